"""The example scripts as a user runs them, within this process, and what they start from."""

import logging
import sys
import time

import mxnet as mx
import pytest
from gluonnlp.vocab import BERTVocab

import gluon_bert as gb
from common import cli
from gluon_bert.checkpoint import Checkpoint, write_checkpoint
from gluon_bert.tasks.registry import get_spec

REAL = ['--bert_model', 'bert_6_384_12', '--bert_dataset', 'all_minilm_l6_v2']
WORDS = (
    '[PAD] [UNK] [CLS] [SEP] [MASK] the a cat dog sleeps barks loud ##ly ##s here ! , . '
    'with out ##out sun moon'
).split()


@pytest.fixture(autouse=True)
def undisturbed(monkeypatch):
    """The scripts set up the log and the environment of their process; put both back."""
    for name in ('MXNET_GPU_MEM_POOL_TYPE', 'GOMP_SPINCOUNT'):
        monkeypatch.setenv(name, 'kept')
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


@pytest.fixture
def run_script(capsys, monkeypatch, undisturbed):
    """Run a script's module: arguments -> exit code, standard output, standard error."""

    def call(module, *arguments):
        argv = list(map(str, arguments))
        monkeypatch.setattr(sys, 'argv', [module.__name__, *argv])
        try:
            code = cli.run(module.main, argv)
        except SystemExit as error:
            code = error.code
        return (code, *capsys.readouterr())

    return call


def runs_of(module):
    """A fixture that runs a script that trains: arguments -> exit code, standard error."""

    @pytest.fixture
    def run(run_script, tmp_path):
        def call(*arguments, output_dir=None):
            code, _, log = run_script(
                module, *arguments, '--output_dir', output_dir or tmp_path / 'out'
            )
            return code, log

        return call

    return run


def wait_for_steps(folder):
    """Wait until a run that writes into a folder has done three steps, two minutes at most."""
    metrics, deadline = folder / 'metrics.jsonl', time.time() + 120
    while time.time() < deadline and not (
        metrics.exists() and metrics.read_text().count('loss') >= 3
    ):
        time.sleep(0.02)


@pytest.fixture
def tokenizer():
    """A tokenizer of a few words."""
    ids = {word: number for number, word in enumerate(WORDS)}
    return gb.data.BertTokenizer(
        BERTVocab(ids, padding_token='[PAD]', unknown_token='[UNK]', token_to_idx=ids)
    )


def byte_pair_tokenizer(folder):
    """A tokenizer of byte pairs, trained on the same words; its files are written to a folder."""
    from tokenizers import ByteLevelBPETokenizer

    words = ByteLevelBPETokenizer(add_prefix_space=True)
    words.train_from_iterator(
        [' '.join(WORDS[5:])] * 3,
        vocab_size=290,
        show_progress=False,
        special_tokens=['<s>', '<pad>', '</s>', '<unk>', '<mask>'],
    )
    words.save_model(str(folder))
    roles = (
        'unknown_token unk',
        'padding_token pad',
        'cls_token s',
        'sep_token /s',
        'mask_token mask',
    )
    tokens = gb.data.BytePairTokenizer.from_files(
        folder / 'vocab.json',
        folder / 'merges.txt',
        {name: f'<{token}>' for name, token in map(str.split, roles)},
        add_prefix_space=True,
    )
    tokens.save(folder)
    return tokens


@pytest.fixture
def tiny_folder(make_model, tokenizer, tmp_path):
    """Write a tiny network in a format: format, changed configuration -> folder, network."""

    def make(format='huggingface', **changes):
        model = make_model(vocab_size=len(WORDS), **changes)
        folder = tmp_path / f'tiny_{format}'
        write_checkpoint(
            Checkpoint(model.checkpoint_arrays(), model.config, tokenizer=tokenizer), folder, format
        )
        return folder, model

    return make


@pytest.fixture
def tiny_pipeline(make_model, tokenizer):
    """The pipeline of a tiny network with random parameters: task, settings -> pipeline."""
    needed = {
        'text-classification': {'labels': ['low', 'mid', 'high'], 'max_len': 16, 'dropout': 0.1},
        'text-regression': {'max_len': 16, 'dropout': 0.1},
        'text-ranking': {'max_len': 16, 'dropout': 0.1, 'activation': 'sigmoid', 'pair': True},
        'multiple-choice': {'max_len': 16, 'dropout': 0.1},
        'question-answering': {
            'max_seq_length': 20,
            'doc_stride': 6,
            'max_query_length': 8,
            'n_best_size': 5,
            'max_answer_length': 6,
            'version_2': False,
            'null_score_diff_threshold': 0.0,
        },
        'token-classification': {
            'kinds': ['x', 'y'],
            'scheme': 'IOB2',
            'file_scheme': 'IOB2',
            'crf': False,
            'dropout': 0.1,
            'max_len': 12,
            'characters': False,
        },
        'multi-label-classification': {
            'labels': ['low', 'mid', 'high'],
            'thresholds': [0.5, 0.25, 0.75],
            'max_len': 16,
            'dropout': 0.1,
        },
    }

    def make(task, batch_size=None, folder=None, **settings):
        spec = get_spec(task)
        settings = {**needed[spec.name], **settings}
        config = make_model(vocab_size=len(WORDS)).config
        network = gb.task_folder.make_network(task, config, settings)
        network.initialize(mx.init.Normal(0.3))
        model = gb.task_folder.TaskModel(task, network, tokenizer, settings)
        if folder:
            folder.mkdir()
            network.save_parameters(folder / 'tiny.params')
            gb.task_folder.save_tokenizer(folder, tokenizer)
            gb.task_folder.save_task(folder, model, 'tiny.params')
        return gb.pipelines.task_pipeline(model, batch_size)

    return make


def valid_tags(pipeline, sentences):
    """The tags that a pipeline's network gives, made valid in the scheme of its files."""
    scheme = pipeline.settings['file_scheme']
    return [gb.data.repair_tags(tags, scheme) for tags in pipeline.raw_tags(sentences)]
