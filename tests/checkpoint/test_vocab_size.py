"""Tokens of a tokenizer and rows of a word embedding, in every format."""

import logging

import numpy as np
import pytest
from test_tokenizer import make_vocab

import gluon_bert as gb
from gluon_bert.checkpoint import Checkpoint, write_checkpoint
from gluon_bert.checkpoint.arrays import shape_of
from gluon_bert.data import BertTokenizer
from gluon_bert.zoo.checkpoints import _cut

PLACES = {'gluonnlp': 'x.params', 'huggingface': 'x', 'tensorflow': 'x'}


def write(folder, make_model, format, extra):
    """Write a network with more rows than tokens; return the path and the number of tokens."""
    tokenizer = BertTokenizer(make_vocab())
    model = make_model(vocab_size=len(tokenizer.vocab) + extra)
    path = folder / PLACES[format]
    checkpoint = Checkpoint(model.checkpoint_arrays(), model.config, tokenizer=tokenizer)
    write_checkpoint(checkpoint, path, format=format)
    return path, len(tokenizer.vocab)


@pytest.mark.parametrize('format', PLACES)
@pytest.mark.parametrize('extra', [0, 1, 7])
def test_rows_without_a_token_are_said_once(make_model, tmp_path, caplog, format, extra):
    path, num_tokens = write(tmp_path, make_model, format, extra)
    with caplog.at_level(logging.INFO, 'gluon_bert'):
        model, tokenizer = gb.load_model(path)
    assert model.config.vocab_size == num_tokens + extra and len(tokenizer.vocab) == num_tokens
    said = [message for message in caplog.messages if 'the word embedding has' in message]
    expected = (
        f'the word embedding has {num_tokens + extra} rows, the tokenizer {num_tokens} tokens'
    )
    assert len(said) == bool(extra) and all(expected in message for message in said)


@pytest.mark.parametrize('format', PLACES)
def test_more_tokens_than_rows_are_refused(make_model, tmp_path, format):
    path, num_tokens = write(tmp_path, make_model, format, 0)
    tokenizer = BertTokenizer(make_vocab('more', 'than', 'before'))
    for file in (path if path.is_dir() else path.parent).glob('*vocab*'):
        file.unlink()
    folder = path if path.is_dir() else path.with_suffix('.tokenizer')
    tokenizer.save(folder)
    message = f'has {num_tokens + 3} tokens, the word embedding {num_tokens} rows'
    with pytest.raises(ValueError, match=message):
        gb.load_model(path)


def test_rows_that_the_zoo_leaves_out_are_said(caplog):
    arrays = {'word_embed.0.weight': np.arange(12.0).reshape(6, 2), 'other': np.zeros(6)}
    with caplog.at_level(logging.INFO, 'gluon_bert'):
        cut = _cut(arrays, 4, 'model.params')
        assert _cut(cut, 4, 'model.params') is cut
    assert shape_of(cut, 'word_embed.0.weight') == (4, 2) and cut['other'].shape == (6,)
    (said,) = caplog.messages
    assert said.startswith('model.params: the word embedding has 6 rows, the tokenizer 4 tokens')
