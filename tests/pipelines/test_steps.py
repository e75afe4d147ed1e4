# ruff: noqa: F811 (fixtures are imported)
"""The steps of pipelines and encoders: their results are those of the calls."""

import numpy as np
import pytest
from script_runs import WORDS, tiny_pipeline, tokenizer  # noqa: F401 (fixtures)
from test_concurrency import KINDS, make_pipeline  # noqa: F401 (fixtures)

from gluon_bert import SentenceEncoder
from gluon_bert.pipelines import InputError

LONG = ' '.join(WORDS[5:] * 3)


def flat(result):
    """The leaves of a result, numbers within 1e-6."""
    if isinstance(result, dict):
        result = list(result.items())
    if isinstance(result, (list, tuple)):
        return [leaf for part in result for leaf in flat(part)]
    return [pytest.approx(result, abs=1e-6) if isinstance(result, float) else result]


@pytest.mark.parametrize('kind', KINDS)
def test_results_of_mixed_sequences_are_those_of_calls(make_pipeline, kind):
    pipeline, inputs = make_pipeline(kind).freeze(), KINDS[kind]
    requests = [pipeline.prepare(inputs[:2]), pipeline.prepare(inputs[2:])]
    # The sequences of both requests are computed together, and those of the second come first.
    features = [feature for request in requests[::-1] for feature in request.features]
    positions = [place for request in requests[::-1] for place in request.positions or []]
    outputs = pipeline.outputs(features, positions or None)
    size = len(requests[1].features)
    results = pipeline.results(requests[0], outputs[size:])
    results += pipeline.results(requests[1], outputs[:size])
    assert [flat(row) for row in results] == [flat(row) for row in pipeline(inputs)]


def test_what_is_cut_is_counted_before_it_is_computed(tiny_pipeline):
    pipeline = tiny_pipeline('text-classification')
    assert pipeline.prepare(['the cat', LONG, LONG]).num_cut == 2
    assert tiny_pipeline('token-classification').prepare([LONG]).num_cut == 0


def test_a_wrong_input_is_named_by_its_number(make_pipeline):
    with pytest.raises(InputError, match=r'input 1: has no \[MASK\]'):
        make_pipeline('fill-mask').prepare(['a [MASK]', 'the cat'])


@pytest.mark.weights
def test_steps_of_an_encoder_make_its_vectors(real_model):
    encoder = SentenceEncoder('all_minilm_l6_v2', max_length=16, long='windows')
    texts = ['A cat sleeps.', ('one', 'two'), 'word ' * 50]
    batch = encoder.steps.prepare(texts)
    assert batch.counts == [1, 1, 4] and len(batch.features) == 6
    rows = encoder.steps.pool(batch.features, batch.pooling)
    np.testing.assert_allclose(encoder.steps.vectors(batch, rows), encoder.encode(texts), atol=1e-6)
    long = encoder.steps.vectors(batch, rows, normalize=False)
    np.testing.assert_allclose(long, encoder.encode(texts, normalize=False), atol=1e-6)
    assert encoder.steps.prepare([]).features == []


def test_what_windows_cut_is_counted(tiny_pipeline):
    words, answers = tiny_pipeline('token-classification'), tiny_pipeline('question-answering')
    # At most 12 tokens with the two special ones: a word of 10 pieces fits, one of 11 does not.
    fits, long = 'loud' + 'ly' * 9, 'loud' + 'ly' * 10
    assert words.prepare([f'the {fits}', fits, ['a', 'cat']]).num_cut == 0
    assert words.prepare([f'the {long} cat {long}', fits, ['a', long]]).num_cut == 2
    assert answers.prepare([('the cat ' * 4, 'sun')]).num_cut == 0  # 8 tokens
    assert answers.prepare([('the cat ' * 4 + 'a', 'sun'), ('sun', 'a ' * 90)]).num_cut == 1
