"""BERT for Apache MXNet/Gluon: a model zoo with an example suite.

MXNet is imported when a name is first used, so that scripts can set its environment variables after
their arguments are known. NumPy then gets back the names that MXNet 1.9.1 needs.
"""

import importlib
import importlib.machinery
import importlib.util
import sys
import warnings

from . import _compat, _gluonnlp

_compat.say_what_is_missing()

__version__ = '0.2.0.dev0'

# Public name -> its module.
_HOMES = {
    'BertConfig': 'config',
    'BertModel': 'modeling.bert',
    'BertOutput': 'modeling.bert',
    'LayerOutputs': 'modeling.bert',
    'mean_pool': 'modeling.pooling',
    'BertClassifier': 'modeling.heads',
    'BertForPretraining': 'modeling.heads',
    'BertForMultipleChoice': 'modeling.multiple_choice',
    'BertForQA': 'modeling.heads',
    'BertTagger': 'modeling.heads',
    'BertCrfTagger': 'modeling.tagging',
    'LinearChainCRF': 'modeling.crf',
    'Predictor': 'inference',
    'SentenceEncoder': 'inference.sentence_encoder',
    'attention_of': 'inference.attention',
    'WordVectors': 'inference.word_vectors',
    'cosine_search': 'inference.search',
    'CorpusVectors': 'inference.corpus_vectors',
    'layer_features': 'inference.word_vectors',
    'choose_precision': 'inference.precision',
    'finetune': 'tasks.finetune',
    'distill': 'tasks.distill',
    'cross_validate': 'tasks.cross_validation',
    'tune': 'tasks.tune',
    'pretrain': 'tasks.pretrain',
    'load_pipeline': 'pipelines',
    'CrossEncoder': 'pipelines',
    'SparseEncoder': 'pipelines',
    'MultiVectorEncoder': 'inference.late_interaction',
    'Retriever': 'pipelines',
    'get_model': 'zoo',
    'get_tokenizer': 'zoo',
    'list_models': 'zoo',
    'Vocab': 'gluonnlp.vocab',
    'load_model': 'zoo',
}
_ROOMS = (
    'batch',
    'checkpoint',
    'config',
    'data',
    'export',
    'inference',
    'kernels',
    'metrics',
    'model',
    'pipelines',
    'plots',
    'training',
    'zoo',
)
# Module of 0.1.0's first layout -> where it is now; both names import.
_MOVED = {
    'checkpoint.gluonnlp_names': 'checkpoint.gluonnlp.names',
    'checkpoint.params_file': 'checkpoint.gluonnlp.params_file',
    'checkpoint.huggingface_config': 'checkpoint.huggingface.config',
    'checkpoint.huggingface_names': 'checkpoint.huggingface.names',
    'checkpoint.safetensors_file': 'checkpoint.huggingface.safetensors_file',
    'checkpoint.torch_file': 'checkpoint.huggingface.torch_file',
    'checkpoint.tensorflow_config': 'checkpoint.tensorflow.config',
    'checkpoint.tensorflow_names': 'checkpoint.tensorflow.names',
    'checkpoint.tensor_bundle': 'checkpoint.tensorflow.tensor_bundle',
    'packed': 'kernels.packing',
    'data.glue': 'data.classification.glue',
    'layers': 'modeling.layers',
    'bert': 'modeling.bert',
    'heads': 'modeling.heads',
    'crf': 'modeling.crf',
    'tagging': 'modeling.tagging',
    'networks': 'modeling.build',
    'counts': 'modeling.counts',
    'forms': 'inference.backends',
    'embedding': 'inference.sentence_encoder',
    'token_vectors': 'inference.word_vectors',
    'search': 'inference.search',
    'precision': 'inference.precision',
    'precision_file': 'inference.precision_file',
    'text_batches': 'inference.batches',
    'devices': 'training.data_parallel',
    'drawing': 'plots.network',
    'zoo.store': 'zoo.fetch.store',
    'zoo.download': 'zoo.fetch.http',
    'zoo.failures': 'zoo.fetch.errors',
    'zoo.found': 'zoo.fetch.local_files',
    'zoo.reading': 'zoo.checkpoints',
    'zoo.architectures': 'zoo.tables.architectures',
    'zoo.vocabularies': 'zoo.tables.vocabularies',
    'zoo.weights': 'zoo.tables.weights',
    'zoo.names': 'zoo.tables.names',
    'plan': 'training.options',
    'optimizer': 'training.optimizer',
    'training_state': 'training.state',
    'training_log': 'training.log',
    'losses': 'training.objectives',
    'task_folder': 'tasks.folder',
    'task_checkpoint': 'tasks.checkpoint',
    'model_card': 'tasks.model_card',
    'evaluation': 'tasks.evaluation',
    'command': 'cli',
    'squad_answers': 'data.squad.answers',
    'entity_metrics': 'metrics.entities',
    'squad_metrics': 'metrics.squad',
}
_MOVED.update(_gluonnlp.MODULES)
_MODULES = (*_ROOMS, *(name for name in _MOVED if '.' not in name))

__all__ = ['__version__', *_HOMES, *_MODULES]


def __getattr__(name):
    if name not in _HOMES and name not in _MODULES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    home = _HOMES.get(name) or _MOVED.get(name, name)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # MXNet and GluonNLP warn about themselves on import
        try:
            module = _import(home)
        except AttributeError as error:
            # Left as it is, Python would take it for 'no such name' and hide the reason.
            raise ImportError(f'{__name__}.{name} cannot be imported: {error}') from error
    value = getattr(module, name) if name in _HOMES else module
    globals()[name] = value
    return value


def _import(home):
    """Import a module of this package, or one of GluonNLP's."""
    return importlib.import_module(home if home.startswith('gluonnlp.') else f'.{home}', __name__)


def __dir__():
    return sorted(__all__)


class _MovedFinder:
    """Import a module by its former name: ``import gluon_bert.squad_metrics``."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        package, _, former = name.partition('.')
        if package != __name__ or former not in _MOVED:
            return None
        return importlib.machinery.ModuleSpec(name, _MovedLoader)


class _MovedLoader:
    @staticmethod
    def create_module(spec):
        module = _import(_MOVED[spec.name.partition('.')[2]])
        spec.loader_state = module.__spec__
        return module

    @staticmethod
    def exec_module(module):
        # Importing set the specification to that of the former name.
        module.__spec__ = module.__spec__.loader_state


sys.meta_path.append(_MovedFinder)
