"""Helpers that the whole package shares."""

import math
import warnings

import numpy as np
import pytest

from gluon_bert import data
from gluon_bert._internal.numerics import erf, sigmoid, softmax
from gluon_bert._internal.suggestions import did_you_mean, nearest
from gluon_bert.cli.output import error_text
from gluon_bert.pipelines import classification
from gluon_bert.zoo.fetch.hub import is_hub_url, parse_hub_url


@pytest.mark.parametrize(
    'name, names, expected',
    [
        ('Bert_12', ['bert_12', 'roberta'], 'bert_12'),
        ('MRPS', {'MRPC': 1, 'RTE': 2}, 'MRPC'),
        ('unlike', ['xyz'], None),
        (12, [13, 'a'], '13'),
        ('a', [], None),
    ],
)
def test_the_nearest_name_is_suggested_whatever_its_case(name, names, expected):
    assert nearest(name, names) == expected
    hint = did_you_mean(name, names)
    assert hint == ('' if expected is None else f'; did you mean {expected!r}?')


def test_a_long_wrong_name_is_compared_by_its_beginning():
    assert nearest('base' * 1_000_000, ['base' * 25, 'large']) == 'base' * 25


@pytest.mark.parametrize('dtype', ['float32', 'float64'])
def test_error_function(dtype):
    x = np.concatenate([np.linspace(-7, 7, 10001), [0.0, -0.0, 1e30, -1e30]]).astype(dtype)
    expected = np.vectorize(math.erf)(x)
    with np.errstate(over='ignore'):
        found = erf(x)
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-7)
    assert found.dtype == dtype and np.isnan(erf(np.array([np.nan], dtype)))


def test_probabilities():
    scores = np.array([[-1e4, -1.0, 0.0, 1.0, 1e4]])
    expected = [[0.0, 1 / (1 + np.e), 0.5, np.e / (1 + np.e), 1.0]]
    np.testing.assert_allclose(sigmoid(scores), expected, rtol=1e-15, atol=0)
    assert softmax(scores).tolist() == [[0.0, 0.0, 0.0, 0.0, 1.0]]
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert np.isnan(sigmoid([np.nan]))
    assert classification.sigmoid is sigmoid


@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_softmax_of_no_number_is_no_number(bad):
    probabilities = softmax([[1.0, bad], [2.0, 2.0]])
    assert np.isnan(probabilities[0]).any() and probabilities[1].tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    'url, parts',
    [
        ('hf://owner/name', ('owner/name', 'main')),
        ('hf://owner/name@', ('owner/name', 'main')),
        ('hf://owner/name@refs/pr/1', ('owner/name', 'refs/pr/1')),
    ],
)
def test_addresses_of_the_hub(url, parts):
    assert is_hub_url(url) and parse_hub_url(url) == parts
    assert not is_hub_url(url[len('hf://') :])


def test_an_error_is_described_with_its_file():
    error = FileNotFoundError(2, 'No such file or directory', 'a.txt')
    assert error_text(error) == 'a.txt: No such file or directory'
    assert error_text(ValueError('wrong')) == 'wrong'
    assert error_text(OSError('no errno')) == 'no errno'


def test_names_of_0_1_still_work(tmp_path):
    assert data.task_folder is data.glue_folder
    assert data.unswapped is data.to_published_order
    path = tmp_path / 'a.conll'
    path.write_text('Ada B-person\n')
    tagged = data.read_tagged(path)
    assert tagged.kinds() == tagged.entity_types() == ['person']
    data.check_kinds(tagged, kinds=['person'], source='train')
    with pytest.raises(ValueError, match="'person'.*place"):
        data.check_kinds(tagged, kinds=['place'], source='train')
