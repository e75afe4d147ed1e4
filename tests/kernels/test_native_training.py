"""The native encoder in training against the plain network: values, gradients, dropout."""

import subprocess
import sys
from dataclasses import replace

import mxnet as mx
import numpy as np
import pytest
from test_bert import parameters_of
from test_training import toy_data

from gluon_bert import (
    BertClassifier,
    BertCrfTagger,
    BertForPretraining,
    BertForQA,
    BertModel,
    BertTagger,
    kernels,
)
from gluon_bert.kernels.training import NativeTrainer, make_trainer
from gluon_bert.training.loop import Plan, fit
from gluon_bert.training.objectives import cross_entropy


@pytest.fixture(autouse=True)
def loaded():
    if not kernels.is_available():
        pytest.skip('native kernels are not built: python -m gluon_bert.kernels')


def native(network, threads=1, **options):
    """As make_trainer, on some threads."""
    assert make_trainer(network, **options) is not None
    return NativeTrainer(getattr(network, 'bert', network), num_threads=threads, **options)


def gradients(network, inputs, forward, repeat=1, encoder=None):
    """The forward pass's values, then the gradients of all parameters that have one."""
    parameters = [
        parameter for parameter in network.collect_params().values() if parameter.grad_req != 'null'
    ]
    for parameter in parameters:
        parameter.zero_grad()
    for _ in range(repeat):
        with mx.autograd.record():
            value = forward(network, *inputs, encoder=encoder)
        value.backward()
    return [value.asnumpy(), *(parameter.grad().asnumpy() for parameter in parameters)]


def assert_close(found, expected, tolerance=2e-5, least=1e-3):
    """Within a part of the largest; the gradient of the keys' bias is 0 but for rounding."""
    assert len(found) == len(expected)
    assert abs(found[0] - expected[0]).max() <= tolerance * max(abs(expected[0]).max(), 1)
    for one, other in zip(found[1:], expected[1:]):
        assert abs(one - other).max() <= tolerance * max(abs(other).max(), least)


def weighed(outputs):
    """A number that depends on all outputs, each in its own way."""
    outputs = outputs if isinstance(outputs, (tuple, list)) else [outputs]
    return sum(
        (output * mx.nd.sin(mx.nd.arange(output.size)).reshape(output.shape)).sum()
        for output in outputs
    )


HEADS = {
    'model': lambda bert: bert,
    'classifier': lambda bert: BertClassifier(bert, 3, dropout=0.0),
    'questions': BertForQA,
    'tagger': lambda bert: BertTagger(bert, 5, dropout=0.0),
    'crf': lambda bert: BertCrfTagger(bert, 5, dropout=0.0),
    'pretraining': BertForPretraining,
}


def forward(network, *inputs, encoder=None):
    if isinstance(network, BertForPretraining):
        inputs = (*inputs, mx.nd.array([[0, 1]] * len(inputs[0])))
    outputs = network(*inputs, encoder=encoder)
    if isinstance(network, BertCrfTagger):
        return network.loss(outputs, mx.nd.zeros_like(inputs[0])).sum()
    return weighed(outputs)


def make(config, head, hybridized=True, dropout=0.0):
    has_pooler = head in ('model', 'classifier', 'pretraining')
    network = HEADS[head](BertModel(replace(config, dropout=dropout), use_pooler=has_pooler))
    network.initialize()
    for parameter in network.collect_params().values():
        centre = 1 if parameter.name.endswith('gamma') else 0
        parameter.set_data(centre + mx.nd.random.normal(scale=0.3, shape=parameter.shape))
    network.hybridize(hybridized)
    return network


SIZES = [
    {'units': 24, 'num_heads': 3, 'hidden_size': 52},
    {'units': 6, 'num_heads': 2, 'hidden_size': 7, 'num_token_types': 0},
    {'units': 64, 'num_heads': 4, 'hidden_size': 100, 'activation': 'gelu_tanh'},
    {'units': 10, 'num_heads': 2, 'hidden_size': 33, 'num_layers': 1, 'activation': 'relu'},
]


@pytest.mark.parametrize('sizes', SIZES, ids=lambda sizes: str(sizes['units']))
@pytest.mark.parametrize('lengths', [[1], [3, 7, 1], [130, 129, 48, 49], [60] * 20], ids=str)
@pytest.mark.parametrize('head', ['model', 'classifier'])
def test_gradients_equal_those_of_the_plain_network(tiny_config, ragged, sizes, lengths, head):
    config = replace(tiny_config, max_length=140, **sizes)
    network = make(config, head)
    inputs = ragged(config, lengths, width=max(lengths) + 2).arrays()
    expected = gradients(network, inputs, forward)
    found = []
    for threads, recompute in [(1, False), (1, True), (2, False), (3, True)]:
        encoder = native(network, threads, recompute=recompute)
        found.append(gradients(network, inputs, forward, encoder=encoder))
    assert_close(found[0], expected)
    # The same to the last bit with any number of threads, and recomputed in one part.
    for other in found[1:]:
        assert all(map(np.array_equal, found[0], other))


@pytest.mark.parametrize('head', HEADS)
@pytest.mark.parametrize('hybridized', [False, True])
def test_all_heads_with_gradients_added_up(tiny_config, ragged, head, hybridized):
    network = make(tiny_config, head, hybridized)
    for parameter in network.collect_params().values():
        parameter.grad_req = 'add'
    inputs = ragged(tiny_config, [9, 4]).arrays()
    expected = gradients(network, inputs, forward, repeat=2)
    encoder = make_trainer(network)
    assert encoder is not None
    assert_close(gradients(network, inputs, forward, repeat=2, encoder=encoder), expected)


@pytest.mark.parametrize('lengths', [[700] * 3 + [2100, 5, 900, 900, 400], [50] * 90], ids=len)
@pytest.mark.parametrize('head', ['model', 'classifier'])
@pytest.mark.parametrize('request_', ['write', 'add'])
def test_large_batches_are_recomputed_in_parts(tiny_config, ragged, lengths, head, request_):
    config = replace(tiny_config, units=24, num_heads=3, max_length=2100)
    network = make(config, head, dropout=0.1)
    network.collect_params().setattr('grad_req', request_)
    batches = [ragged(config, some).arrays() for some in (lengths, [9, 4])]
    found = []
    for threads, recompute in [(1, False), (1, True), (3, True)]:
        mx.random.seed(5)
        encoder = native(network, threads, recompute=recompute)
        found.append(
            [gradients(network, inputs, forward, repeat=2, encoder=encoder) for inputs in batches]
        )
    for whole, *parts in zip(*found):
        assert_close(parts[0], whole)
        assert all(map(np.array_equal, *parts))


def test_two_forward_passes_before_one_backward(tiny_config, ragged):
    network = make(tiny_config, 'model')
    batches = [ragged(tiny_config, lengths).arrays() for lengths in ([9, 4], [2, 12, 7])]

    def both(network, *inputs, encoder=None):
        first, second = (network(*part, encoder=encoder) for part in (inputs[:3], inputs[3:]))
        return weighed(first) + 2 * weighed(second)

    expected = gradients(network, batches[0] + batches[1], both)
    found = gradients(network, batches[0] + batches[1], both, encoder=make_trainer(network))
    assert_close(found, expected)


def test_frozen_parameters(tiny_config, ragged):
    # MXNet's dense layer leaves out the gradient of the bias where the weight is frozen.
    network = make(tiny_config, 'classifier')
    inputs = ragged(tiny_config, [9, 4]).arrays()
    value, *expected = gradients(network, inputs, forward)
    layers = network.bert.layers
    frozen = [
        *network.bert.embeddings.collect_params().values(),
        layers[0].expand.bias,
        layers[1].attention.output.weight,
    ]
    expected = [
        gradient
        for gradient, parameter in zip(expected, network.collect_params().values())
        if parameter not in frozen
    ]
    for parameter in frozen:
        parameter.grad_req = 'null'
    encoder = make_trainer(network)
    assert_close(gradients(network, inputs, forward, encoder=encoder), [value, *expected])
    network.bert.collect_params().setattr('grad_req', 'null')
    # The value, the head's two.
    assert len(gradients(network, inputs, forward, encoder=encoder)) == 3


def test_inference_has_no_dropout_and_may_be_recorded(make_model, tiny_config, ragged):
    model = make_model(dropout=0.5)
    inputs = ragged(tiny_config, [9, 4]).arrays()
    expected = model(*inputs)[0].asnumpy()
    encoder = make_trainer(model)
    assert_close([model(*inputs, encoder=encoder)[0].asnumpy()], [expected])
    with mx.autograd.record(train_mode=False):
        sequence = model(*inputs, encoder=encoder)[0]
    sequence.backward(retain_graph=True)
    weight = model.layers[0].expand.weight
    first = weight.grad().asnumpy()
    assert first.any()
    sequence.backward()
    np.testing.assert_array_equal(weight.grad().asnumpy(), first)
    np.testing.assert_array_equal(sequence.asnumpy()[1, 4:], 0)
    assert_close([sequence.asnumpy()], [expected])


@pytest.mark.parametrize('recompute', [False, True])
@pytest.mark.parametrize(
    'name',
    [
        'embeddings.norm.beta',
        'layers.0.attention_norm.beta',
        'layers.1.attention.query_key_value.bias',
        'layers.1.contract.bias',
    ],
)
def test_backward_drops_what_forward_dropped(make_model, ragged, recompute, name):
    # Along a direction, at a fixed seed: the gradient is the slope of the loss.
    model = make_model(dropout=0.3, wide=0.3, use_pooler=False)
    inputs = ragged(model.config, [20, 7, 33]).arrays()
    parameter = model._collect_params_with_prefix()[name]
    start, step = parameter.data().copy(), mx.nd.random.normal(shape=parameter.shape)
    encoder = make_trainer(model, recompute=recompute)

    def loss():
        mx.random.seed(8)
        return weighed(model(*inputs, encoder=encoder))

    with mx.autograd.record():
        value = loss()
    value.backward()
    slope = (parameter.grad() * step).sum().asscalar()
    ends = []
    for sign in (1, -1):
        parameter.set_data(start + sign * 1e-2 * step)
        with mx.autograd.record():
            ends.append(loss().asscalar())
    assert abs((ends[0] - ends[1]) / 2e-2 - slope) < 0.02 * abs(slope) + 0.02


def encode(model, inputs, seed):
    mx.random.seed(seed)
    encoder = make_trainer(model)
    with mx.autograd.record():
        return model(*inputs, encoder=encoder).asnumpy()


def test_dropout_is_a_function_of_the_seed(make_model, ragged):
    model = make_model(dropout=0.3, use_pooler=False)
    inputs = ragged(model.config, [20, 7]).arrays()
    draws = [encode(model, inputs, seed) for seed in (1, 1, 2)]
    assert np.array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])


@pytest.fixture
def silent(make_model):
    """A model of one layer of which every part gives 0."""
    model = make_model(
        num_layers=1, dropout=0.25, units=64, num_heads=2, max_length=300, use_pooler=False
    )
    for parameter in model.collect_params().values():
        parameter.set_data(mx.nd.zeros(parameter.shape))
    model.layers[0].output_norm.gamma.set_data(mx.nd.ones(64))
    return model


@pytest.mark.parametrize('place', ['embeddings', 'attention', 'output'])
def test_outputs_are_dropped_at_their_rate(silent, ragged, place):
    # With a constant before it, what dropout gives has two values, and so has its norm.
    layer = silent.layers[0]
    source = {
        'embeddings': silent.embeddings.norm.beta,
        'attention': layer.attention.output.bias,
        'output': layer.contract.bias,
    }[place]
    source.set_data(mx.nd.ones(64))
    if place != 'output':
        layer.attention_norm.gamma.set_data(mx.nd.ones(64))
    kept = encode(silent, ragged(silent.config, [300, 300]).arrays(), 5) > 0
    assert abs(kept.mean() - 0.75) < 0.01
    flat = kept.reshape(-1, 64)
    for one, other in ((flat[1:], flat[:-1]), (flat[:, 1:], flat[:, :-1]), (kept[0], kept[1])):
        assert abs((one & other).mean() - 0.5625) < 0.015  # neighbours are independent


def test_attention_weights_are_dropped_at_their_rate(silent, ragged):
    # With equal scores and values of 1, a context is the share of weights kept, over 1 - p. With
    # numbers much smaller than epsilon, the norms are linear.
    config = replace(silent.config, layer_norm_eps=0.99)
    model = BertModel(config, use_pooler=False)
    model.initialize()
    for parameter in model.collect_params().values():
        parameter.set_data(mx.nd.zeros(parameter.shape))
    layer = model.layers[0]
    for norm in (layer.attention_norm, layer.output_norm):
        norm.gamma.set_data(mx.nd.ones(64))
    bias, weight = np.zeros((2, 3, 32)), np.zeros((64, 64))
    bias[:, 2] = 1
    weight[:, 0] = np.where(np.arange(64) % 2, -1e-3, 1e-3)
    layer.attention.query_key_value.bias.set_data(mx.nd.array(bias.ravel()))
    layer.attention.output.weight.set_data(mx.nd.array(weight))
    found = encode(model, ragged(config, [300] * 8).arrays(), 5) / weight[:, 0] * 0.99
    shares = found.mean(axis=2)  # of 64 outputs, which are dropped in their turn
    assert abs(shares.mean() - 1) < 0.01
    spread = np.sqrt(0.25 / 0.75 * (1 / 300 + 1 / 64))
    assert abs(shares.std() - spread) < 0.05 * spread


def test_bfloat16_is_near_and_recomputed_the_same(tiny_config, ragged):
    config = replace(tiny_config, units=96, hidden_size=200)
    network = make(config, 'classifier')
    for parameter in network.collect_params().values():
        if parameter.name.endswith('weight'):
            parameter.set_data(parameter.data() * 0.3)
    inputs = ragged(config, [33, 20, 39]).arrays()
    expected, found = gradients(network, inputs, forward), []
    for threads, recompute in [(1, False), (2, True)]:
        encoder = native(network, threads, dtype='bfloat16', recompute=recompute)
        found.append(gradients(network, inputs, forward, encoder=encoder))
    assert all(map(np.array_equal, *found))
    for one, other in zip(found[0], expected):
        error = np.linalg.norm(one - other) / max(np.linalg.norm(other), 1e-2)
        assert error < 0.04
    assert any(
        abs(one - other).max() > 1e-3 * abs(other).max() for one, other in zip(found[0], expected)
    )


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda ids, types, lengths: (ids + 200, types, lengths), r'inputs\[0, 0\] is .* from 0'),
        (lambda ids, types, lengths: (ids, types + 2, lengths), r'token_types\[0, 0\] is [23]: '),
        (lambda ids, types, lengths: (ids, types, lengths + 9), r'valid_length\[0\] is 18: '),
        (lambda ids, types, lengths: (ids, types, lengths * 0), r'valid_length\[0\] is 0: '),
    ],
)
def test_inputs_out_of_range_are_told(make_model, tiny_config, ragged, change, message):
    model = make_model()
    inputs = change(*ragged(tiny_config, [9, 4]).arrays())
    encoder = make_trainer(model)
    with pytest.raises(ValueError, match=message):
        model(*inputs, encoder=encoder)


@pytest.mark.parametrize('options', [{'dtype': 'bfloat16'}, {'recompute': True}], ids=str)
def test_what_needs_the_kernels_says_so(make_model, monkeypatch, tmp_path, options):
    model = BertClassifier(make_model())
    model.classifier.initialize()
    model.cast('float64')
    with pytest.raises(ValueError, match='not on one CPU in float32'):
        fit(model, toy_data(), cross_entropy, Plan(**options), tmp_path)
    monkeypatch.setenv('GLUON_BERT_KERNELS', '0')
    model.cast('float32')
    with pytest.raises(ValueError, match='switched off'):
        fit(model, toy_data(), cross_entropy, Plan(**options), tmp_path)


def test_training_with_recomputation_ends_in_the_same_parameters(make_model, tmp_path):
    finals = []
    for recompute in (False, True):
        mx.random.seed(3)
        model = BertClassifier(make_model(wide=0.05, dropout=0.1))
        model.classifier.initialize(mx.init.Normal(0.02))
        model.hybridize(static_alloc=True)
        plan = Plan(epochs=2, dtype='bfloat16', accumulate=2, recompute=recompute)
        fit(model, toy_data(), cross_entropy, plan, tmp_path, overwrite=True)
        finals.append(parameters_of(model))
    assert all(np.array_equal(finals[1][name], array) for name, array in finals[0].items())


UPDATES = """
import numpy as np
import gluon_bert as gb
from gluon_bert.kernels.training import make_trainer
from gluon_bert.training.masked_words import masked_word_loss_and_hits
import mxnet as mx

CONFIG = gb.BertConfig(vocab_size=50, units=32, hidden_size=64, num_layers=2, num_heads=2,
                       max_length=16, num_token_types=2, dropout=0.0, layer_norm_eps=1e-12,
                       activation='gelu', pooler_activation='tanh')

def train(wait):
    mx.random.seed(3)
    model = gb.BertForPretraining(gb.BertModel(CONFIG))
    model.initialize(mx.init.Normal(0.1))
    encoder = make_trainer(model, lazy_scores=True)
    trainer = mx.gluon.Trainer(model.collect_params(), 'adam', {'learning_rate': 1e-3})
    ids, lengths = mx.nd.arange(64).reshape((4, 16)) % 50, mx.nd.array([16, 9, 16, 3])
    places, words = mx.nd.array([[1, 2]] * 4), mx.nd.array([[7, 8]] * 4)
    for _ in range(5):
        with mx.autograd.record():
            outputs = model(ids, ids * 0, lengths, places, encoder=encoder)
            losses, _ = masked_word_loss_and_hits(
                outputs.masked_lm, words, mx.nd.ones_like(words))
            loss = losses.sum() + (outputs.next_sentence ** 2).sum()
        loss.backward()
        if wait:
            mx.nd.waitall()
        trainer.step(4)
    return [parameter.data().asnumpy() for parameter in model.collect_params().values()]

for one, other in zip(train(True), train(False)):
    np.testing.assert_array_equal(one, other)
"""


def test_updates_pushed_before_the_backward_pass_has_run():
    # In a process of its own, for it hung.
    subprocess.run([sys.executable, '-W', 'ignore', '-c', UPDATES], check=True, timeout=120)
