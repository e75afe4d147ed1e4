"""What the tests of the server share: models of all tasks, and a client of an application."""

import importlib.util
import json

import mxnet as mx
import numpy as np
import pytest
from script_runs import WORDS

import gluon_bert as gb
from gluon_bert.checkpoint import Checkpoint, write_checkpoint
from gluon_bert.serving.limits import ServerLimits
from gluon_bert.serving.models import Source, open_models

REAL = 'bert_6_384_12/all_minilm_l6_v2'
TASKS = {
    'mood': 'text-classification',
    'topics': 'multi-label-classification',
    'stars': 'text-regression',
    'names': 'token-classification',
    'answers': 'question-answering',
}


@pytest.fixture
def folders(tiny_pipeline, make_model, tokenizer, tmp_path):
    """Folders of tiny models of all tasks, by name."""
    paths = {}
    for name, task in TASKS.items():
        tiny_pipeline(task, folder=tmp_path / name)
        paths[name] = tmp_path / name
    tiny_pipeline('text-regression', folder=tmp_path / 'rank', pair=True)
    paths['rank'] = tmp_path / 'rank'
    paths['words'] = write_words(make_model, tokenizer, tmp_path / 'words')
    return paths


@pytest.fixture
def words(make_model, tokenizer, tmp_path):
    """The folder of a tiny pre-trained network."""
    return write_words(make_model, tokenizer, tmp_path / 'words')


def write_words(make_model, tokenizer, folder):
    """Write a tiny pre-trained network; return its folder."""
    network = gb.BertForPretraining(make_model(vocab_size=len(WORDS)))
    for parameter in network.collect_params().values():
        if parameter._data is None:
            parameter.initialize(mx.init.Normal(0.3))
    arrays = network.checkpoint_arrays()
    checkpoint = Checkpoint(arrays, network.config, tokenizer=tokenizer)
    write_checkpoint(checkpoint, folder)
    return folder


@pytest.fixture
def make_client(folders):
    """Open an application with some of the models: names, bounds -> its client."""
    pytest.importorskip('starlette', reason='needs starlette')
    http_client()
    from starlette import testclient

    from gluon_bert.serving.app import make_app

    opened = []

    def make(*names, routes=(), **limits):
        sources = [Source(name, str(folders[name])) for name in names or folders]
        app = make_app(open_models(sources), ServerLimits(**limits), routes)
        client = testclient.TestClient(app, raise_server_exceptions=False)
        opened.append(client)
        return client.__enter__()

    yield make
    for client in opened:
        client.__exit__(None, None, None)


def http_client():
    """The package of HTTP clients that there is, by its name since 2026 or before."""
    name = 'httpx2' if importlib.util.find_spec('httpx2') else 'httpx'
    return pytest.importorskip(name, reason='needs httpx')


def close(ours, theirs, error=1e-5):
    """Assert that two values for JSON are equal, numbers within an error."""
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        for key in theirs:
            close(ours[key], theirs[key], error)
    elif isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs)
        for pair in zip(ours, theirs):
            close(*pair, error)
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, abs=error)
    else:
        assert ours == theirs


def array(answer):
    """The numbers of an answer of 200."""
    assert answer.status_code == 200, answer.text
    return np.array(json.loads(answer.content), 'float32')
