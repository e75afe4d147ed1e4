"""Names that the manual of 0.1 has: all import today, and without a warning."""

import subprocess
import sys

import pytest

NAMES = [
    'gluon_bert.BertClassifier',
    'gluon_bert.BertModel',
    'gluon_bert.Predictor',
    'gluon_bert.bert',
    'gluon_bert.checkpoint',
    'gluon_bert.checkpoint.Checkpoint',
    'gluon_bert.checkpoint.arrays',
    'gluon_bert.checkpoint.gluonnlp',
    'gluon_bert.checkpoint.gluonnlp_names',
    'gluon_bert.checkpoint.huggingface',
    'gluon_bert.checkpoint.huggingface_config',
    'gluon_bert.checkpoint.huggingface_names',
    'gluon_bert.checkpoint.layout',
    'gluon_bert.checkpoint.names',
    'gluon_bert.checkpoint.params_file',
    'gluon_bert.checkpoint.read_checkpoint',
    'gluon_bert.checkpoint.safetensors_file',
    'gluon_bert.checkpoint.tensor_bundle',
    'gluon_bert.checkpoint.tensorflow',
    'gluon_bert.checkpoint.tensorflow_config',
    'gluon_bert.checkpoint.tensorflow_names',
    'gluon_bert.checkpoint.torch_file',
    'gluon_bert.checkpoint.write_checkpoint',
    'gluon_bert.command',
    'gluon_bert.config',
    'gluon_bert.counts',
    'gluon_bert.crf',
    'gluon_bert.data',
    'gluon_bert.data.SentenceTransform',
    'gluon_bert.data.glue',
    'gluon_bert.data.pad_batch',
    'gluon_bert.devices',
    'gluon_bert.drawing',
    'gluon_bert.embedding',
    'gluon_bert.entity_metrics',
    'gluon_bert.evaluation',
    'gluon_bert.forms',
    'gluon_bert.get_model',
    'gluon_bert.heads',
    'gluon_bert.inference',
    'gluon_bert.inference.Predictor',
    'gluon_bert.kernels',
    'gluon_bert.kernels.encoder',
    'gluon_bert.kernels.training',
    'gluon_bert.layers',
    'gluon_bert.load_pipeline',
    'gluon_bert.losses',
    'gluon_bert.metrics',
    'gluon_bert.model',
    'gluon_bert.model_card',
    'gluon_bert.networks',
    'gluon_bert.networks.build_network',
    'gluon_bert.optimizer',
    'gluon_bert.packed',
    'gluon_bert.pipelines.base',
    'gluon_bert.pipelines.classification',
    'gluon_bert.pipelines.entities',
    'gluon_bert.pipelines.loading',
    'gluon_bert.pipelines.pretraining',
    'gluon_bert.pipelines.questions',
    'gluon_bert.plots',
    'gluon_bert.precision',
    'gluon_bert.precision_file',
    'gluon_bert.search',
    'gluon_bert.squad_answers',
    'gluon_bert.squad_metrics',
    'gluon_bert.tagging',
    'gluon_bert.task_checkpoint',
    'gluon_bert.task_folder',
    'gluon_bert.token_vectors',
    'gluon_bert.training',
    'gluon_bert.training.fit',
    'gluon_bert.training_log',
    'gluon_bert.zoo',
    'gluon_bert.zoo.fetch_model',
    'gluon_bert.zoo.fetch_repository',
    'gluon_bert.zoo.found.Found',
    'gluon_bert.zoo.get_model',
    'gluon_bert.zoo.schema',
    'gluon_bert.zoo.store',
    'gluon_bert.zoo.zoo_checkpoint',
]
CODE = """
import importlib, sys
for name in sys.argv[1:]:
    parent, _, leaf = name.rpartition('.')
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        getattr(importlib.import_module(parent), leaf)
"""


@pytest.mark.parametrize('start', range(0, len(NAMES), 27))
def test_names_of_the_manual_of_0_1_import_without_a_warning(start):
    """The first name of each group is imported by a fresh process, so MXNet is too."""
    result = subprocess.run(
        [sys.executable, '-W', 'error', '-c', CODE, *NAMES[start : start + 27]],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr


def test_a_former_module_is_the_module_of_today():
    import gluon_bert.metrics.squad
    import gluon_bert.squad_metrics
    from gluon_bert.task_folder import read_task
    from gluon_bert.tasks import folder

    assert gluon_bert.squad_metrics is gluon_bert.metrics.squad
    assert gluon_bert.metrics.squad.__spec__.name == 'gluon_bert.metrics.squad'
    assert read_task is folder.read_task
