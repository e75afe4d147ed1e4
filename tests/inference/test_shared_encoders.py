# ruff: noqa: F811 (fixtures are imported)
"""Predictors, sentence and word vectors: several threads at once, streams in turns, copies."""

import pickle

import mxnet as mx
import numpy as np
import pytest
from script_runs import WORDS, tokenizer  # noqa: F401 (fixtures)
from sharing import CALLS, COPIES, THREADS, backend, copied, in_threads  # noqa: F401 (fixtures)
from test_predictor_features import HEADS, LENGTHS, make_features, rows_of

import gluon_bert as gb
from gluon_bert import kernels
from gluon_bert.inference.precision_file import LowPrecision
from gluon_bert.inference.predictor import Predictor
from gluon_bert.kernels.encoder import NativeEncoder
from gluon_bert.kernels.packing import pack

TEXTS = ['the cat', 'a dog barks loudly !', 'sun', ' '.join(WORDS[5:]), 'moon , sun', 'here .']


def fill(network):
    for parameter in network.collect_params().values():
        if parameter._data is None:
            parameter.initialize(mx.init.Normal(0.2))


@pytest.fixture
def make_network(make_model):
    """Build a tiny hybridized network with a head, or without: head -> network."""

    def make(head='bert', **options):
        # A compiled network warns of a pooler that it does not use.
        network = HEADS[head](make_model(head in ('bert', 'classifier', 'next'), **options))
        fill(network)
        network.hybridize()
        return network

    return make


def arrays_of(output):
    """The arrays of an output, one after the other, as bytes that can be compared."""
    if isinstance(output, np.ndarray):
        return [(output.shape, output.tobytes())]
    if isinstance(output, mx.nd.NDArray):
        return arrays_of(output.asnumpy())
    return [row for part in output for row in arrays_of(part)]


MAKERS = {
    'sentences': lambda bert, tokenizer: gb.SentenceEncoder(bert, tokenizer, batch_size=2),
    'layer': lambda bert, tokenizer: gb.SentenceEncoder(
        bert, tokenizer, 'mean_of_layer:0', batch_size=2
    ),
    'windows': lambda bert, tokenizer: gb.SentenceEncoder(
        gb.Predictor(bert, 1), tokenizer, 'max', max_length=8, long='windows'
    ),
    'words': lambda bert, tokenizer: gb.WordVectors(bert, tokenizer, batch_size=2),
}


@pytest.fixture(params=MAKERS)
def encoder(request, backend, make_network, tokenizer):
    """Sentence encoders and word vectors of a tiny BERT."""
    return MAKERS[request.param](make_network(vocab_size=len(WORDS)), tokenizer)


def vectors(encoder, texts):
    results = encoder.encode(texts)
    return arrays_of(results if isinstance(results, np.ndarray) else [row[1] for row in results])


def test_threads_get_the_vectors_of_single_calls(encoder):
    expected = [vectors(encoder, [text]) for text in TEXTS]

    def run(number):
        order = [(number + i) % len(TEXTS) for i in range(CALLS)]
        return [i for i in order if vectors(encoder, [TEXTS[i]]) != expected[i]]

    assert in_threads(run) == [[]] * THREADS


def test_streams_of_vectors_in_turns(encoder):
    texts = TEXTS * 60
    expected = vectors(encoder, texts), vectors(encoder, texts[::-1])
    turns = list(zip(encoder.encode_stream(texts), encoder.encode_stream(texts[::-1])))
    for blocks, other in zip(zip(*turns), expected):
        parts = blocks if isinstance(blocks[0], np.ndarray) else [row[1] for row in blocks]
        joined = np.concatenate(parts)
        assert joined.tobytes() == b''.join(data for _, data in other)


@pytest.mark.filterwarnings('ignore:.*texts were longer:UserWarning')
def test_counts_of_threads_add_up(make_network, tokenizer):
    bert = make_network(vocab_size=len(WORDS))
    for encoder in (
        gb.SentenceEncoder(bert, tokenizer, max_length=6),
        gb.WordVectors(bert, tokenizer, max_length=6),
    ):
        cut = in_threads(lambda number: _num_cut(encoder.encode_stream(TEXTS)))  # noqa: B023
        assert cut == [cut[0]] * THREADS and cut[0] > 0
        assert encoder.num_cut == sum(cut)


def _num_cut(stream):
    for _ in stream:
        pass
    return stream.num_cut


def test_encoders_are_copied(encoder, copied):
    expected = vectors(encoder, TEXTS)
    again = copied(encoder)
    assert type(again) is type(encoder) and again.num_cut == encoder.num_cut
    assert vectors(again, TEXTS) == expected


@pytest.mark.parametrize('head', HEADS)
def test_predictors_in_threads_and_in_turns(backend, make_network, tiny_config, seed, head):
    features = make_features(tiny_config, LENGTHS, seed)
    predictor = Predictor(make_network(head), 1)
    assert predictor.is_native == (backend == 'native')
    expected = [arrays_of(row) for row in predictor.stream(features, 2, 2)]
    turns = zip(predictor.stream(features, 2, 2), predictor.stream(features, 2, 2))
    assert [(arrays_of(one), arrays_of(other)) for one, other in turns] == list(
        zip(expected, expected)
    )
    singles = [arrays_of(predictor.batch([feature])) for feature in features]

    def run(number):
        order = [(number + i) % len(features) for i in range(CALLS // 4)]
        wrong = [i for i in order if arrays_of(predictor.batch([features[i]])) != singles[i]]
        rows = [arrays_of(row) for row in predictor.stream(features, 2, 2)]
        return wrong or rows != expected

    assert in_threads(run) == [False] * THREADS


def test_a_native_encoder_shared_by_threads_of_its_own(make_model, tiny_config, seed):
    """Each call has its own working memory, in both ways of dividing the work."""
    if not kernels.load():
        pytest.skip('native kernels are not built: python -m gluon_bert.kernels')
    encoder = NativeEncoder(make_model())
    batches = [
        pack(make_features(tiny_config, lengths, seed)) for lengths in ([40], [3] * 20, LENGTHS)
    ]
    expected = [arrays_of(encoder(*batch, 2)) for batch in batches]

    def run(number):
        return [
            i % 3
            for i in range(number, number + 100)
            if arrays_of(encoder(*batches[i % 3], 2)) != expected[i % 3]
        ]

    assert in_threads(run) == [[]] * THREADS


def test_pooled_vectors_need_a_pooler(make_model, tiny_config, seed):
    if not kernels.load():
        pytest.skip('native kernels are not built: python -m gluon_bert.kernels')
    batch = pack(make_features(tiny_config, [3], seed))
    with pytest.raises(ValueError, match='has no pooler'):
        NativeEncoder(make_model(use_pooler=False))(*batch, 1)


@pytest.mark.parametrize('head', HEADS)
def test_networks_are_copied(make_network, ragged, tiny_config, head, copied):
    network = make_network(head)
    network.collect_params('.*gamma').setattr('grad_req', 'null')
    batch = ragged(tiny_config, [5, 9]).arrays()
    expected = arrays_of(network(*batch))
    again = copied(network)
    assert type(again) is type(network) and again is not network
    assert arrays_of(again(*batch)) == expected
    former, present = (item._collect_params_with_prefix() for item in (network, again))
    assert former.keys() == present.keys()
    for name, parameter in former.items():
        assert present[name].grad_req == parameter.grad_req
        assert present[name] is not parameter
    active = [[], []]
    for item, seen in zip((network, again), active):
        item.apply(lambda block, seen=seen: seen.append(getattr(block, '_active', None)))
    assert active[0] == active[1]


def test_networks_with_a_decoder_are_copied_with_their_shared_weight(make_model, copied):
    network = gb.BertForPretraining(make_model())
    fill(network)
    again = copied(network)
    assert again.masked_lm.decoder.weight is again.bert.embeddings.word.weight
    batch = mx.nd.array([[5, 6, 7]]), None, None, mx.nd.array([[1, 2]])
    assert arrays_of(again(*batch)) == arrays_of(network(*batch))
    assert len(pickle.dumps(network)) < 1.2 * 4 * sum(
        parameter.data().size for parameter in network.collect_params().values()
    )


def test_a_network_is_copied_as_it_is(make_model, copied):
    """On several devices, in another dtype, with dropout, and without any values."""
    network = gb.BertClassifier(make_model(), 4, dropout=0.3)
    empty = copied(gb.BertClassifier(gb.BertModel(network.config), num_classes=4, dropout=0.3))
    assert all(parameter._data is None for parameter in empty.collect_params().values())
    network.classifier.initialize()
    network.cast('float16')
    devices = [mx.cpu(0), mx.cpu(1)]
    network.collect_params().reset_ctx(devices)
    again = copied(network)
    for block in (again, copied(again)):
        assert block.dropout._rate == 0.3 and block.classifier._units == 4
        for name, parameter in block._collect_params_with_prefix().items():
            other = network._collect_params_with_prefix()[name]
            assert parameter.list_ctx() == devices and np.dtype(parameter.dtype) == other.dtype
            for device in devices:
                assert arrays_of(parameter.data(device)) == arrays_of(other.data(device))


@pytest.mark.parametrize('head', HEADS)
def test_predictors_are_copied(backend, make_network, tiny_config, seed, head, copied):
    features = make_features(tiny_config, LENGTHS, seed)
    predictor = Predictor(make_network(head), 1)
    again = copied(predictor)
    assert again.is_native == predictor.is_native
    assert arrays_of(rows_of(again.batch(features))) == arrays_of(
        rows_of(predictor.batch(features))
    )


@pytest.mark.parametrize(
    'options',
    [
        {'precision': 'bfloat16'},
        {'precision': 'int8', 'float32_layers': iter(['0.expand', '1.output'])},
        {'precision': LowPrecision('int8', ('1.contract',))},
        {'num_layers': 1},
    ],
    ids=['bfloat16', 'int8', 'low', 'layers'],
)
def test_predictors_keep_their_options(make_network, tiny_config, seed, options):
    if not kernels.load():
        pytest.skip('native kernels are not built: python -m gluon_bert.kernels')
    features = make_features(tiny_config, LENGTHS, seed)
    predictor = Predictor(make_network(), 1, **options)
    for copy in COPIES.values():
        again = copy(copy(predictor))
        assert arrays_of(again.batch(features)) == arrays_of(predictor.batch(features))
        encoder = predictor._backend._encoder
        packed = pack(features)
        (rows, _), (expected, _) = (
            run(*packed, 1, pooled=False) for run in (copy(encoder), encoder)
        )
        assert arrays_of(rows) == arrays_of(expected)


def test_training_goes_on_with_a_copy(make_model, copied):
    network = gb.BertClassifier(make_model(dropout=0.0), dropout=0.0)
    network.classifier.initialize()
    again = copied(network)
    batch, losses = mx.nd.array([[5, 6, 7]]), []
    for block in (network, again):
        trainer = mx.gluon.Trainer(block.collect_params(), 'sgd', {'learning_rate': 0.1})
        for _ in range(2):
            with mx.autograd.record():
                loss = block(batch).square().sum()
            loss.backward()
            trainer.step(1)
        losses.append(loss.asscalar())
    assert losses[0] == losses[1]
