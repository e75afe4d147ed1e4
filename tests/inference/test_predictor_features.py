"""Predictors on sequences as they are: outputs, order, and how far they read ahead."""

import itertools

import mxnet as mx
import numpy as np
import pytest

import gluon_bert as gb
from gluon_bert import kernels
from gluon_bert.data import Features, pad_batch
from gluon_bert.inference.predictor import Predictor
from gluon_bert.kernels.packing import pack

HEADS = {
    'bert': lambda bert: bert,
    'classifier': lambda bert: gb.BertClassifier(bert, 3),
    'questions': gb.BertForQA,
    'tagger': lambda bert: gb.BertTagger(bert, 5),
    'crf': lambda bert: gb.BertCrfTagger(bert, 5),
    'next': lambda bert: gb.BertForPretraining(bert, use_decoder=False),
}


@pytest.fixture(params=['native', 'plain', 'devices'])
def form(request, monkeypatch):
    """With the kernels, without them, and without them on three devices."""
    if request.param != 'native':
        monkeypatch.setenv('GLUON_BERT_KERNELS', '0')
    elif not kernels.load():
        pytest.skip('native kernels are not built: python -m gluon_bert.kernels')
    return request.param


@pytest.fixture
def make_network(make_model, form):
    def make(head, **options):
        network = (
            HEADS[head](make_model(**options))
            if isinstance(head, str)
            else head(make_model(**options))
        )
        for parameter in network.collect_params().values():
            if parameter._data is None:
                parameter.initialize(mx.init.Normal(0.2))
        if form == 'devices':
            network.collect_params().reset_ctx([mx.cpu(number) for number in range(3)])
        return network

    return make


def make_features(config, lengths, seed):
    draw = np.random.RandomState(seed)
    return [
        Features(
            draw.randint(0, config.vocab_size, length).astype('int32'),
            draw.randint(0, config.num_token_types, length).astype('int32'),
            length,
        )
        for length in lengths
    ]


def alone(network, feature, *others):
    """What the network gives for one sequence, as NumPy arrays."""
    outputs = network(*(mx.nd.array(part) for part in pad_batch([feature], 0)), *others)
    if isinstance(outputs, tuple):
        return type(outputs)(*(part[0].asnumpy() for part in outputs))
    return outputs[0].asnumpy()


def assert_near(found, expected):
    assert type(found) is type(expected)
    for one, other in zip(found, expected) if isinstance(found, tuple) else [(found, expected)]:
        assert one.shape == other.shape and one.dtype == np.float32
        np.testing.assert_allclose(one, other, atol=1e-5 * abs(other).max(initial=1))


def rows_of(outputs):
    return (
        itertools.starmap(type(outputs), zip(*outputs)) if isinstance(outputs, tuple) else outputs
    )


LENGTHS = [5, 12, 1, 9, 9, 40, 2, 3, 3, 17, 1]


@pytest.mark.parametrize('head', HEADS)
def test_outputs_are_the_networks_in_order(make_network, tiny_config, seed, head, form):
    network, features = make_network(head), make_features(tiny_config, LENGTHS, seed)
    predictor = Predictor(network, 2)
    assert predictor.is_native == (form == 'native')
    expected = [alone(network, feature) for feature in features]
    for found in (predictor.stream(iter(features), 2, 3), rows_of(predictor.batch(features))):
        found = list(found)
        assert len(found) == len(features)
        for one, other in zip(found, expected):
            assert_near(one, other)


@pytest.mark.parametrize('pooling', gb.inference.backends.POOLINGS)
@pytest.mark.parametrize('head', ['bert', 'classifier'])
def test_pooling(make_network, tiny_config, seed, pooling, head):
    network, features = make_network(head), make_features(tiny_config, LENGTHS, seed)
    bert = getattr(network, 'bert', network)
    pool = {
        'mean': lambda output: output.sequence.mean(axis=0),
        'cls': lambda output: output.sequence[0],
        'max': lambda output: output.sequence.max(axis=0),
        'pooler': lambda output: output.pooled,
        'mean_sqrt_len': lambda output: output.sequence.sum(axis=0) / len(output.sequence) ** 0.5,
        'weightedmean': lambda output: np.average(
            output.sequence, axis=0, weights=range(1, len(output.sequence) + 1)
        ),
        'lasttoken': lambda output: output.sequence[-1],
    }[pooling]
    found = np.empty((len(features), tiny_config.units), 'float32')
    for indices, vectors in Predictor(network).batches(features, 3, pooling):
        found[indices] = vectors
    assert_near(found, np.stack([pool(alone(bert, feature)) for feature in features]))


@pytest.mark.parametrize('use_pooler', [True, False])
def test_encodings_after_some_layers(make_network, tiny_config, seed, use_pooler):
    network, features = (
        make_network('bert', use_pooler=use_pooler),
        make_features(tiny_config, LENGTHS, seed),
    )
    found = Predictor(network, num_layers=1).stream(features)
    for rows, feature in zip(found, features):
        arrays = [mx.nd.array(part) for part in pad_batch([feature], 0)]
        expected = network.layer_outputs(*arrays, attentions=False).encodings[1]
        assert_near(rows, expected[0].asnumpy())
    inputs = mx.nd.array(pad_batch(features, 0)[0])
    assert Predictor(network, num_layers=1)(inputs).shape == (11, 40, 24)
    with pytest.raises(ValueError, match='has no pooler'):
        next(Predictor(network, num_layers=2).batches(features, pooling='pooler'))
    for wrong in (0, 3):
        with pytest.raises(ValueError, match=f'num_layers={wrong}: expected 1 to 2'):
            Predictor(network, num_layers=wrong)


def test_masked_words(make_network, tiny_config, seed):
    network = make_network(gb.BertForPretraining)
    features, positions = make_features(tiny_config, [5, 9, 2, 1], seed), [[3], [], [1, 0, 1], [0]]
    found = Predictor(network).batch(features, positions)
    assert type(found) is network.output_type
    for index, feature in enumerate(features):
        expected = alone(network, feature, mx.nd.array([positions[index] or [0]]))
        if not positions[index]:
            expected = expected._replace(masked_lm=expected.masked_lm[:0])
        assert_near(type(found)(*(part[index] for part in found)), expected)
    empty = Predictor(network).batch(features, [[]] * 4)
    assert [rows.shape for rows in empty.masked_lm] == [(0, tiny_config.vocab_size)] * 4
    for wrong, message in (
        (None, 'are needed'),
        ([[0]], 'are needed'),
        ([[5], [], [], []], r'positions \[5\] are not all'),
    ):
        with pytest.raises(ValueError, match=message):
            Predictor(network).batch(features, wrong)
    with pytest.raises(ValueError, match='call batch'):
        next(Predictor(network).stream(features))
    with pytest.raises(ValueError, match='are for a network with a decoder'):
        Predictor(network.bert).batch(features, positions)


def test_streams_are_read_block_by_block(make_network, tiny_config, monkeypatch):
    taken = []

    def endless():
        for number in itertools.count():
            taken.append(number)
            yield Features([number % 97] * 4, [0] * 4, 4)

    stream = Predictor(make_network('classifier')).stream(endless(), 2, 5)
    assert taken == []
    assert len(list(itertools.islice(stream, 11))) == 11 and len(taken) == 20
    # Encodings are much memory: of a stream of long sequences fewer are read.
    monkeypatch.setattr('gluon_bert.inference.predictor._BLOCK_BYTES', 4 * tiny_config.units * 9)
    taken.clear()
    next(Predictor(make_network('bert')).stream(endless(), 2, 5))
    assert len(taken) == 3


@pytest.mark.parametrize('lengths', [[1], [40] * 9, [1] * 500, list(range(1, 41)) * 9], ids=len)
def test_batches_hold_every_sequence_once(
    make_network, tiny_config, seed, lengths, form, monkeypatch
):
    monkeypatch.setattr('gluon_bert.inference.backends._TOKENS', 100)
    features = make_features(tiny_config, lengths, seed)
    batches = [
        indices for indices, _ in Predictor(make_network('bert'), 2).batches(features, 4, 'cls')
    ]
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    if form == 'native':
        tokens = [sum(lengths[i] for i in indices) for indices in batches]
        assert max(tokens) < 400 and (len(batches) == 1 or min(tokens) >= 120)
    else:
        assert max(map(len, batches)) == min(4, len(lengths))
    assert list(Predictor(make_network('bert')).batches([])) == []


@pytest.mark.parametrize(
    'feature, message',
    [
        (Features([97], [0], 1), 'ids are from [0-9]+ to 97'),
        (Features([1], [2], 1), 'token_types are from 0 to 2'),
        (Features([1] * 41, [0] * 41, 41), 'lengths are from 1 to 41'),
        (Features([1, 2], [0, 0], 1), '2 ids and 2 token types for a sequence of 1 tokens'),
        (Features([1, 2], [0], 2), '2 ids and 1 token types'),
        (Features([], [], 0), '0 tokens'),
    ],
)
def test_wrong_features_are_refused(make_model, feature, message):
    if not kernels.load():
        pytest.skip('native kernels are not built: python -m gluon_bert.kernels')
    with pytest.raises(ValueError, match=message):
        Predictor(make_model()).batch([Features([1], [0], 1), feature])


def test_wrong_arguments(make_network):
    predictor = Predictor(make_network('bert', use_pooler=False))
    feature = Features([1], [0], 1)
    for call, message in (
        (lambda: predictor.batch([]), 'one sequence or more'),
        (lambda: next(predictor.stream([feature], 0)), 'batch_size=0'),
        (lambda: next(predictor.stream([feature], look_ahead=0)), 'look_ahead=0'),
        (lambda: next(predictor.batches([feature], pooling='sum')), "pooling='sum'"),
        (lambda: next(predictor.batches([feature], pooling='pooler')), 'has no pooler'),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_packed_rows():
    packed = pack([Features([2, 7, 3], [0, 1, 1], 3), Features([5], [0], 1)])
    rows = np.arange(8, dtype='float32').reshape(4, 2)
    assert packed.inputs.tolist() == [2, 7, 3, 5] and packed.starts.tolist() == [0, 3]
    assert [part.tolist() for part in packed.split(rows)] == [rows[:3].tolist(), [[6, 7]]]
    assert packed.mean(rows).tolist() == [[2, 3], [6, 7]]
