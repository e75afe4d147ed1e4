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


def test_top_layers_are_drawn_anew(params, caplog):
    path, model = params()
    caplog.set_level('INFO')
    bert, _ = load(pretrained_bert_parameters=str(path), reinit_layers=1)
    assert 'drawn anew: the top 1 of 2 layers and the pooler' in caplog.text
    before, after = model.checkpoint_arrays(), bert.checkpoint_arrays()
    new = {name for name in before if (before[name] != after[name]).any()}
    cell = 'encoder.transformer_cells.1.'
    assert new == {name for name in before if name.startswith((cell, 'pooler.'))}
    weight = after[f'{cell}ffn.ffn_1.weight']
    assert 0.01 < weight.std() < 0.03 and (after[f'{cell}layer_norm.gamma'] == 1).all()
    again, _ = load(pretrained_bert_parameters=str(path), reinit_layers=1)
    arrays = again.checkpoint_arrays()
    assert all((array == arrays[name]).all() for name, array in after.items())


@pytest.mark.parametrize(
    'options, message',
    [
        ({'reinit_layers': 3}, 'reinit_layers=3: expected 0 to 2, the layers of the model'),
        ({'reinit_layers': -1}, 'reinit_layers=-1: expected 0 to 2'),
        (
            {'reinit_layers': 1, 'model_parameters': 'x.params'},
            'goes with a pre-trained model, not with from_scratch or model_parameters',
        ),
    ],
)
def test_layers_that_cannot_be_drawn_anew_are_refused(params, options, message):
    path, _ = params()
    with pytest.raises(ValueError, match=message):
        load(pretrained_bert_parameters=str(path), **options)
