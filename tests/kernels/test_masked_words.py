"""The native loss of masked words against NumPy in float64, plain operators and PyTorch."""

import json
import os
import subprocess
import sys

import masked_word_losses
import mxnet as mx
import numpy as np
import pytest
import settings
from masked_word_losses import errors, exactly, example, natively, plainly, rounded
from test_bert import parameters_of
from test_native_training import assert_close, gradients, make
from test_objectives import MaskedData, make_pretrained

from gluon_bert import kernels
from gluon_bert.kernels.masked_words import MaskedScores
from gluon_bert.kernels.training import NativeTrainer, make_trainer
from gluon_bert.training.batches import Batch
from gluon_bert.training.labels import LabelError
from gluon_bert.training.masked_words import masked_word_loss, masked_word_loss_and_hits
from gluon_bert.training.objectives import OBJECTIVES
from gluon_bert.training.options import TrainingOptions
from gluon_bert.training.step import TrainingStep


@pytest.fixture(autouse=True)
def loaded():
    if not kernels.is_available():
        pytest.skip('native kernels are not built: python -m gluon_bert.kernels')


SIZES = [
    (1, 1, 1, 1),
    (1, 1, 16, 3),
    (3, 5, 24, 97),
    (4, 20, 128, 256),
    (3, 7, 33, 257),
    (2, 9, 65, 1300),
    (32, 20, 64, 8192),
    (57, 20, 7, 600),  # more positions than are computed at a time
]


@pytest.mark.parametrize('size', SIZES, ids=str)
def test_losses_hits_and_gradients(size):
    arrays = example(size)
    exact, found = exactly(*arrays), natively(*arrays)
    assert np.array_equal(found[1], exact[1])
    plain = errors(plainly(*arrays), exact)
    for name, error, other in zip(
        ('losses', '', 'hidden', 'weight', 'bias'), errors(found, exact), plain
    ):
        assert error <= max(1e-6, 1.5 * other), name
    for threads in (2, 3):
        again = natively(*arrays, threads=threads)
        assert all(map(np.array_equal, again, found))


@pytest.mark.parametrize('size', SIZES[2:6], ids=str)
def test_products_in_bfloat16(size):
    arrays = example(size)
    exact, found = exactly(*arrays, form=rounded), natively(*arrays, dtype='bfloat16')
    assert errors(found, exact)[0] < 1e-6
    assert max(errors(found, exact)) < 2e-3  # gradients of scores may be rounded to the next number
    assert errors(found, exactly(*arrays))[0] > 1e-5
    assert all(map(np.array_equal, natively(*arrays, dtype='bfloat16', threads=2), found))


@pytest.mark.parametrize('size', SIZES[2:6], ids=str)
def test_pytorch_gives_the_same(size):
    torch = pytest.importorskip('torch', reason='compares with PyTorch')
    hidden, weight, bias, words, weights, gradient = example(size)
    inputs = [torch.tensor(array, requires_grad=True) for array in (hidden, weight, bias)]
    scores = inputs[0] @ inputs[1].T + inputs[2]
    losses = torch.nn.functional.cross_entropy(
        scores.reshape(-1, size[3]), torch.tensor(words.ravel()).long(), reduction='none'
    )
    losses = losses.reshape(words.shape) * torch.tensor(weights)
    losses.backward(torch.tensor(gradient))
    found = natively(hidden, weight, bias, words, weights, gradient)
    hits = (scores.argmax(-1).numpy() == words) * weights
    expected = [losses.detach().numpy(), hits, *(array.grad.numpy() for array in inputs)]
    assert max(errors(found, expected)) < 2e-6


def test_large_scores_do_not_overflow():
    arrays = example((2, 20, 40, 700), scale=300.0)
    arrays[3][0] = np.argmax(arrays[0][0] @ arrays[1].T + arrays[2], axis=1)  # the best words
    exact, found = exactly(*arrays), natively(*arrays)
    assert exact[0].max() > 1000
    assert exact[1][0].sum() == 15
    assert max(errors(found, exact)) < 2e-6
    np.testing.assert_allclose(found[0][0], exact[0][0], atol=1e-6)


def test_small_losses_of_large_scores():
    # The difference of log-sum-exp and score, two like numbers, would be off by up to 6e-5.
    hidden, weight = np.ones((1, 3, 4), 'float32'), np.full((400, 4), 250.0, 'float32')
    weight[7] += 2.5
    words, ones = np.full((1, 3), 7, 'float32'), np.ones((1, 3), 'float32')
    arrays = hidden, weight, np.zeros(400, 'float32'), words, ones, ones
    assert 0.01 < exactly(*arrays)[0].max() < 0.02
    np.testing.assert_allclose(natively(*arrays)[0], exactly(*arrays)[0], atol=1e-6)


def test_of_equal_scores_the_first_is_the_best():
    bias = np.zeros(900, 'float32')
    bias[[300, 310, 700]] = 1
    words = np.array([[299, 300, 310, 700, 899]], 'float32')
    arrays = np.zeros((1, 5, 3)), np.zeros((900, 3)), bias, words, np.ones((1, 5)), np.ones((1, 5))
    assert natively(*arrays)[1].tolist() == plainly(*arrays)[1].tolist() == [[0, 1, 0, 0, 0]]


def test_padding_is_not_computed_and_weights_multiply():
    arrays = example((2, 6, 24, 300))
    hidden, weights = arrays[0], arrays[4]
    weights[:] = [[1, 0, 2, 0.5, 0, 1], [0] * 6]
    expected = exactly(*arrays)
    hidden[weights == 0] = np.nan
    found = natively(*arrays)
    assert max(errors(found, expected)) < 1e-6
    assert not found[2][weights == 0].any()


def test_a_batch_without_masked_words_has_gradients_of_0():
    arrays = example((2, 3, 24, 300))
    arrays[4][:] = 0
    assert not any(array.any() for array in natively(*arrays))


@pytest.mark.parametrize('request_', ['write', 'add'])
def test_gradients_of_a_tied_weight_add_up(request_):
    # As in a network: the weight is that of an embedding, too.
    hidden, weight, bias, words, weights, gradient = map(mx.nd.array, example((3, 5, 24, 600)))
    results = []
    for native in (True, False):
        for array in (weight, bias):
            array.attach_grad(grad_req=request_)
        for _ in range(2):
            with mx.autograd.record():
                inner = hidden + mx.nd.Embedding(words, weight, input_dim=600, output_dim=24)
                scores = (
                    MaskedScores(inner, weight, bias)
                    if native
                    else mx.nd.FullyConnected(inner, weight, bias, num_hidden=600, flatten=False)
                )
                losses = masked_word_loss(scores, words, weights)
            losses.backward(gradient)
        results.append([losses.asnumpy(), weight.grad.asnumpy(), bias.grad.asnumpy()])
    assert max(errors(*results)) < 1e-6


def test_backward_twice_and_what_needs_no_gradient():
    hidden, weight, bias, words, weights, gradient = map(mx.nd.array, example((3, 5, 24, 600)))
    expected = natively(*(a.asnumpy() for a in (hidden, weight, bias, words, weights, gradient)))
    hidden.attach_grad()
    with mx.autograd.record():
        losses, hits = MaskedScores(hidden, weight, bias).losses(words, weights)
    for _ in range(2):
        losses.backward(gradient, retain_graph=True)
        assert np.array_equal(hidden.grad.asnumpy(), expected[2])
    assert np.array_equal(losses.asnumpy(), expected[0])
    assert np.array_equal(hits.asnumpy(), expected[1])


def test_what_does_not_fit_is_refused():
    hidden, weight, bias, words, weights, _ = map(mx.nd.array, example((3, 5, 24, 600)))
    scores = MaskedScores(hidden, weight, bias)
    assert scores.shape == (3, 5, 600)
    with pytest.raises(ValueError, match=r'weights has shape \(3, 4\), expected \(3, 5\)'):
        masked_word_loss(scores, words, weights[:, :4])
    words[1, 2] = 600
    for function in (masked_word_loss, masked_word_loss_and_hits):
        with pytest.raises(LabelError, match='sequence 1 of the batch has 600'):
            function(scores, words, weights)


def words_and_weights(config):
    return mx.nd.array([[5, 7], [9, config.vocab_size - 1]]), mx.nd.array([[1, 1], [0, 1]])


def masked_loss(network, *inputs, encoder=None):
    outputs = network(*inputs, mx.nd.array([[0, 3], [1, 2]]), encoder=encoder)
    assert isinstance(outputs.masked_lm, MaskedScores) == getattr(encoder, 'lazy_scores', False)
    losses = masked_word_loss(outputs.masked_lm, *words_and_weights(network.config))
    return losses.sum() + outputs.next_sentence.sum() + outputs.sequence.sum()


@pytest.mark.parametrize('hybridized', [False, True])
@pytest.mark.parametrize('request_', ['write', 'add'])
def test_gradients_of_a_network(tiny_config, ragged, hybridized, request_):
    network = make(tiny_config, 'pretraining', hybridized)
    network.collect_params().setattr('grad_req', request_)
    inputs = ragged(tiny_config, [9, 4]).arrays()
    expected = gradients(network, inputs, masked_loss, repeat=2)
    for recompute in (False, True):
        encoder = make_trainer(network, recompute=recompute, lazy_scores=True)
        found = gradients(network, inputs, masked_loss, repeat=2, encoder=encoder)
        assert_close(found, expected)
    encoder = make_trainer(network)  # not lazy
    assert_close(gradients(network, inputs, masked_loss, repeat=2, encoder=encoder), expected)


@pytest.mark.parametrize('frozen', ['bert.embeddings.word.weight', 'masked_lm.decoder.bias'])
def test_frozen_parameters(tiny_config, ragged, frozen):
    network = make(tiny_config, 'pretraining')
    parameters = network._collect_params_with_prefix()
    inputs = ragged(tiny_config, [9, 4]).arrays()
    all_gradients = gradients(network, inputs, masked_loss)
    expected = [
        gradient
        for gradient, parameter in zip(all_gradients[1:], network.collect_params().values())
        if parameter is not parameters[frozen]
    ]
    parameters[frozen].grad_req = 'null'
    encoder = make_trainer(network, lazy_scores=True)
    found = gradients(network, inputs, masked_loss, encoder=encoder)
    assert len(found) == len(all_gradients) - 1
    assert_close(found, [all_gradients[0], *expected])


@pytest.mark.parametrize('name', ['pretraining', 'masked_words'])
@pytest.mark.parametrize('accumulate', [1, 3])
def test_20_steps_with_and_without_kernels(tiny_config, monkeypatch, name, accumulate):
    data, results = MaskedData(6), []
    batches = [Batch(*data.load(indices)) for indices in data.training_batches(0)]
    options = TrainingOptions(accumulate=accumulate, learning_rate=1e-3, epsilon=1e-3)
    for setting in ('1', '0'):
        monkeypatch.setenv('GLUON_BERT_KERNELS', setting)
        network = make_pretrained(tiny_config, classifier=name == 'pretraining')
        step = TrainingStep(network, name, options, 20)
        assert (step.encoder is None) == (setting == '0')
        losses = [
            step([batches[(number + i) % 3] for i in range(accumulate)], number).loss
            for number in range(20)
        ]
        results.append((parameters_of(network), losses))
    (found, found_losses), (expected, expected_losses) = results
    for key, array in expected.items():
        np.testing.assert_allclose(found[key], array, rtol=0, atol=2e-6, err_msg=key)
    assert found_losses == pytest.approx(expected_losses, rel=1e-5)


def test_rows_of_objectives_leave_the_scores_to_the_loss(tiny_config):
    network, data = make_pretrained(tiny_config), MaskedData(18)
    inputs, labels = data.load(np.arange(18))
    for name in ('pretraining', 'masked_words'):
        objective = OBJECTIVES[name]
        assert objective.lazy_scores
        encoder = NativeTrainer(network.bert, lazy_scores=objective.lazy_scores)
        found = objective(network, inputs, labels, encoder)
        expected = objective(network, inputs, labels)
        for term, (value, count) in expected.items():
            assert found[term].count == count
            assert found[term].sum.asscalar() == pytest.approx(value.asscalar(), rel=1e-6)


@pytest.mark.parametrize('setting', settings.ALL)
def test_all_processors(setting):
    result = subprocess.run(
        [sys.executable, '-W', 'ignore', masked_word_losses.__file__],
        capture_output=True,
        text=True,
        env={**os.environ, 'GLUON_BERT_KERNELS': setting, 'PYTHONPATH': os.pathsep.join(sys.path)},
    )
    assert not result.returncode, result.stderr
    processor, wrong = json.loads(result.stdout)
    assert processor == 'generic' or setting != 'generic'
    assert not wrong


MEMORY = """if True:
    import resource
    import gluon_bert, mxnet as mx
    from gluon_bert.kernels.masked_words import MaskedScores

    def megabytes():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10

    shapes = (8, 128, 8), (250002, 8), (250002,)
    hidden, weight, bias = (mx.nd.random.normal(shape=shape) for shape in shapes)
    words, weights = mx.nd.full((8, 128), 7), mx.nd.ones((8, 128))
    for array in (hidden, weight, bias):
        array.attach_grad()
    mx.nd.waitall()
    before = megabytes()
    with mx.autograd.record():
        losses, _ = MaskedScores(hidden, weight, bias).losses(words, weights)
    losses.backward()
    mx.nd.waitall()
    print(megabytes() - before)
"""


def test_scores_are_not_stored():
    # They would take 1024 MB.
    result = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', MEMORY], capture_output=True, text=True
    )
    assert not result.returncode, result.stderr
    assert int(result.stdout) < 100
