"""BERT for Apache MXNet/Gluon: a model zoo with an example suite.

Importing the package restores the NumPy names that MXNet 1.9.1 needs. MXNet itself is imported
when a name is first used, so that scripts can set its environment variables after their arguments
are known.
"""
import importlib
import warnings

from . import _compat  # noqa: F401 (restores the names)

__version__ = '0.1.0'

_HOMES = {
    'BertConfig': 'config',
    'BertModel': 'bert', 'BertOutput': 'bert', 'LayerOutputs': 'bert', 'mean_pool': 'bert',
    'BertClassifier': 'heads', 'BertForPretraining': 'heads', 'BertForQA': 'heads',
    'BertTagger': 'heads', 'BertCrfTagger': 'tagging', 'LinearChainCRF': 'crf',
    'Predictor': 'inference', 'SentenceEncoder': 'embedding', 'WordVectors': 'token_vectors',
    'cosine_search': 'search', 'layer_features': 'token_vectors',
    'load_pipeline': 'pipelines', 'choose_precision': 'precision',
    'get_model': 'zoo', 'get_tokenizer': 'zoo', 'list_models': 'zoo', 'load_model': 'zoo',
}
_MODULES = ('bert', 'checkpoint', 'config', 'data', 'devices', 'heads', 'inference', 'kernels',
            'layers', 'metrics', 'losses', 'model', 'networks', 'optimizer', 'plan', 'plots',
            'squad_answers', 'squad_metrics', 'training', 'zoo', 'crf', 'entity_metrics',
            'tagging', 'task_folder', 'task_checkpoint', 'model_card', 'pipelines', 'embedding',
            'search', 'text_batches', 'token_vectors', 'evaluation', 'precision',
            'precision_file')

__all__ = ['__version__', *_HOMES, *_MODULES]


def __getattr__(name):
    if name not in _HOMES and name not in _MODULES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')    # MXNet and GluonNLP warn about themselves on import
        try:
            module = importlib.import_module('.' + _HOMES.get(name, name), __name__)
        except AttributeError as error:
            # Left as it is, Python would take it for 'no such name' and hide the reason.
            raise ImportError(f'{__name__}.{name} cannot be imported: {error}') from error
    value = getattr(module, name) if name in _HOMES else module
    globals()[name] = value
    return value


def __dir__():
    return sorted(__all__)
