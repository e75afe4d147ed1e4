# ruff: noqa: F811 (fixtures are imported)
"""Starting points of training: .params files with and without a description."""

import re

import pytest
from script_runs import WORDS, tokenizer  # noqa: F401 (fixtures)

from gluon_bert.checkpoint import Checkpoint, write_checkpoint
from gluon_bert.tasks.start import Start


@pytest.fixture
def params(make_model, tokenizer, tmp_path):
    """Write a tiny network as a .params file; changes of the configuration -> path, network."""

    def make(use_pooler=True, name='net', **changes):
        model = make_model(use_pooler=use_pooler, vocab_size=len(WORDS), **changes)
        path = tmp_path / f'{name}.params'
        write_checkpoint(
            Checkpoint(model.checkpoint_arrays(), model.config, tokenizer=tokenizer), path
        )
        return path, model

    return make


def load(use_pooler=True, **options):
    start = Start(**options)
    start.choose_model()
    return start.load_bert(None, 0, use_pooler)


def test_the_file_beside_the_parameters_counts(params):
    path, model = params(num_heads=6, layer_norm_eps=1e-5, activation='relu', dropout=0.3)
    bert, tokens = load(pretrained_bert_parameters=str(path))
    assert bert.config == model.config and tokens.vocab.idx_to_token == WORDS
    arrays = model.checkpoint_arrays()
    assert all((array == arrays[name]).all() for name, array in bert.checkpoint_arrays().items())


def test_a_file_that_tells_nothing_needs_the_name_of_its_model(params):
    path, _ = params()
    path.with_suffix('.json').unlink()
    with pytest.raises(ValueError, match=re.escape(f'bert_model: is needed: {path}')):
        load(pretrained_bert_parameters=str(path))


def test_a_pooler_that_is_not_there_is_drawn_and_said(params, caplog):
    path, model = params(use_pooler=False)
    bert, _ = load(pretrained_bert_parameters=str(path))
    (said,) = [row.getMessage() for row in caplog.records]
    assert said == f'{path} has no pooler: it is randomly initialised'
    arrays, expected = bert.checkpoint_arrays(), model.checkpoint_arrays()
    assert set(arrays) - set(expected) == {'pooler.weight', 'pooler.bias'}
    assert all((arrays[name] == array).all() for name, array in expected.items())


def test_without_need_of_a_pooler_nothing_is_said(params, caplog):
    path, _ = params(use_pooler=False)
    load(use_pooler=False, pretrained_bert_parameters=str(path))
    assert not caplog.records
