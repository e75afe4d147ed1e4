"""Names of arrays inside wrappers of a network, and names that are no network's."""

import json
import logging

import numpy as np
import pytest
from conftest import TINY
from safetensors.numpy import load_file, save_file

from gluon_bert.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from gluon_bert.checkpoint.gluonnlp.params_file import read_params, write_params
from gluon_bert.modeling.heads import BertClassifier

WRAPPERS = (
    'module.',
    'model.',
    '0.auto_model.',
    '_orig_mod.',
    'bert_model.',
    'module.model.net.',
    'module._orig_mod.',
    'encoder.',
)


@pytest.fixture
def checkpoint(make_model):
    network = BertClassifier(make_model(), 3)
    network.classifier.initialize()
    return Checkpoint(network.checkpoint_arrays(), TINY, labels=('a', 'b', 'c'))


@pytest.fixture
def renamed(checkpoint, tmp_path):
    """Write the folder with its arrays' names changed by a function; gives its path."""

    def make(change, family='bert', **config):
        path = tmp_path / 'folder'
        write_checkpoint(checkpoint, path)
        file = path / 'model.safetensors'
        save_file({change(name): array for name, array in load_file(file).items()}, file)
        values = json.loads((path / 'config.json').read_text())
        (path / 'config.json').write_text(json.dumps({**values, **config}))
        return path

    return make


def same(first, second):
    return set(first) == set(second) and all(
        np.array_equal(first[name], second[name]) for name in first
    )


@pytest.mark.parametrize('wrapper', WRAPPERS)
def test_what_wraps_all_names_is_taken_off_and_said_once(wrapper, renamed, checkpoint, caplog):
    again = read_checkpoint(renamed(lambda name: wrapper + name))
    assert same(again.arrays, checkpoint.arrays) and again.labels == checkpoint.labels
    (said,) = [row.getMessage() for row in caplog.records]
    assert said.startswith('taken off the names of the arrays') and wrapper.split('.')[0] in said


def test_a_head_may_be_outside_of_the_wrapper(renamed, checkpoint):
    path = renamed(lambda name: name.replace('bert.', 'my_model.'))
    assert same(read_checkpoint(path).arrays, checkpoint.arrays)


@pytest.mark.parametrize('part', ['_orig_mod', '_fsdp_wrapped_module'])
def test_wrappers_of_layers_are_taken_off(part, renamed, checkpoint):
    path = renamed(lambda name: name.replace('.layer.1.', f'.layer.1.{part}.'))
    assert same(read_checkpoint(path).arrays, checkpoint.arrays)


def test_without_a_wrapper_nothing_is_said(renamed, caplog):
    read_checkpoint(renamed(lambda name: name))
    assert not caplog.records


@pytest.mark.parametrize('wrapper', ['net.', 'module.net.'])
def test_blocks_around_those_of_gluonnlp(wrapper, checkpoint, tmp_path, caplog):
    write_checkpoint(checkpoint, tmp_path / 'a.params')
    arrays = read_params(tmp_path / 'a.params')
    write_params(tmp_path / 'a.params', {wrapper + name: arrays[name] for name in arrays})
    assert same(read_checkpoint(tmp_path / 'a.params').arrays, checkpoint.arrays)
    assert [wrapper in row.getMessage() for row in caplog.records] == [True]


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda name: name.replace('bert.', 'roberta.'), 'another family: their names begin with'),
        (lambda name: name.replace('word_emb', 'w_emb'), 'word embedding; it has 41 arrays: bert'),
        (
            lambda name: name.replace('layer.0.attention.self.query', 'layer.0.attention.self.q'),
            r'has no bert\.encoder\.layer\.0\.attention\.self\.query\.weight',
        ),
        (
            lambda name: name.replace('self.query.weight', 'self.query.base_layer.weight'),
            'has adapters',
        ),
        (
            lambda name: 'x.bert.embeddings.word_embeddings.weight' if 'position' in name else name,
            'several networks, whose names begin with bert., x.bert.',
        ),
    ],
)
def test_names_of_no_network_are_told(change, message, renamed):
    path = renamed(change)
    with pytest.raises(ValueError, match=message) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)


def test_layers_that_the_configuration_leaves_out_are_said(renamed, caplog):
    path = renamed(lambda name: name, num_hidden_layers=1)
    with caplog.at_level(logging.WARNING):
        again = read_checkpoint(path)
    assert again.config.num_layers == 1 and 'left out: layers [1]' in caplog.text
