"""Answers as JSON: the same numbers with orjson and without it."""

import json

import numpy as np
import pytest

from gluon_bert.serving import replies


@pytest.fixture(params=['orjson', 'json'])
def writer(request, monkeypatch):
    """The module with one of the two writers of arrays."""
    if request.param == 'orjson':
        pytest.importorskip('orjson', reason='needs orjson')
        assert replies.orjson is not None
    else:
        monkeypatch.setattr(replies, 'orjson', None)
    return replies


@pytest.mark.parametrize('shape', [(0,), (3,), (2, 3), (0, 3), (130, 2), (65, 2, 3)])
@pytest.mark.parametrize('dtype', ['float32', 'float64', 'int64', 'int32'])
def test_arrays_are_written_as_lists_of_the_same_numbers(writer, shape, dtype):
    array = (1e3 * np.random.RandomState(4).normal(size=shape)).astype(dtype)
    content = json.loads(writer.json_reply({'rows': array, 'list': [array, 1]}).content)
    for given in (content['rows'], content['list'][0]):
        assert np.array_equal(np.array(given, dtype).reshape(shape), array)


def test_numbers_are_exact_in_float32_at_both_ends(writer):
    row = np.array([0, -0.0, 1e-45, 1.1754944e-38, 3.4028235e38, 1 / 3, -1e-7, 16777217], 'float32')
    content = json.loads(writer.json_reply(row).content)
    assert np.array(content, 'float32').tobytes() == row.tobytes()


def test_parts_of_larger_arrays_and_their_columns_are_written(writer):
    array = np.arange(24, dtype='float32').reshape(4, 6)
    for part in (array[:, ::2], array.T, array[1:3, 2:], array.astype('>f4')):
        assert json.loads(writer.json_reply(part).content) == part.tolist()


@pytest.mark.parametrize('number', [np.nan, np.inf, -np.inf])
def test_numbers_that_json_does_not_have_are_refused(writer, number):
    with pytest.raises(ValueError, match='finite|JSON'):
        writer.json_reply(np.array([[1, number]], 'float32'))
    with pytest.raises(ValueError, match='finite|JSON'):
        writer.json_reply([{'score': number}])
