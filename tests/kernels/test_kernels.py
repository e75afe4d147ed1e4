"""The native kernels against MXNet's own operators."""

import io
import math
import os
import subprocess
import sys
import threading

import mxnet as mx
import numpy as np
import pytest
import settings
from test_bert import parameters_of
from test_training import accuracy, toy_data

from gluon_bert import BertClassifier, Predictor, kernels
from gluon_bert.kernels.dense import NativeDense
from gluon_bert.kernels.training import NativeTrainer, make_trainer
from gluon_bert.modeling.bert import BertBlock
from gluon_bert.training.loop import Plan, fit
from gluon_bert.training.objectives import cross_entropy


@pytest.fixture(autouse=True)
def loaded():
    if not kernels.is_available():
        pytest.skip('native kernels are not built: python -m gluon_bert.kernels')


DENSE = [(1, 1, 1), (2, 5, 3), (7, 33, 18), (13, 64, 130), (200, 100, 1500), (97, 40, 3001)]


@pytest.mark.parametrize('rows, out, width', DENSE)
@pytest.mark.parametrize('num_threads', [1, 3])
def test_dense_in_float32_and_bfloat16(rows, out, width, num_threads):
    rng = np.random.RandomState(rows)
    x, weight, bias = (
        rng.normal(size=shape).astype('float32') for shape in ((rows, width), (out, width), (out,))
    )
    exact = x.astype('float64') @ weight.T.astype('float64') + bias
    found = NativeDense(weight, bias)(x, num_threads)
    np.testing.assert_allclose(found, exact, atol=1e-6 * (width + 3))

    def rounded(array):
        bits = array.view('uint32')
        return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype('uint32').view('float32')

    exact = rounded(x).astype('float64') @ rounded(weight).T.astype('float64') + bias
    found = NativeDense(weight, bias, 'bfloat16')(x, num_threads)
    np.testing.assert_allclose(found, exact, atol=1e-6 * (width + 3))


@pytest.mark.parametrize('rows, out, width', DENSE)
@pytest.mark.parametrize('num_threads', [1, 3])
def test_dense_in_int8_multiplies_whole_numbers_exactly(rows, out, width, num_threads):
    # Weights of which the largest is the limit, and rows that span `steps`, are whole numbers
    # already. What weights and rows go to depends on the processor.
    rng = np.random.RandomState(rows)
    bias = rng.randint(-9, 9, out)
    for limit, steps in ((63, 125), (127, 253)):
        weight = rng.randint(-limit, limit + 1, (out, width))
        weight[:, -1] = -limit
        x = rng.randint(-50, steps - 49, (rows, width))
        x[:, 0], x[:, -1] = -50, steps - 50
        found = NativeDense(weight, bias, 'int8')(x, num_threads)
        exact = x @ weight.T + bias
        error = abs(found - exact).max() / max(1, abs(exact).max())
        if error < 1e-6:
            break
    else:
        pytest.fail(f'error {error}')
    # The largest sums: none of a few products overflows.
    for sign in (1, -1):
        found = NativeDense(np.full((out, width), sign * limit), bias * 0, 'int8')(
            np.full((rows, width), steps), num_threads
        )
        np.testing.assert_allclose(found, sign * steps * limit * width, rtol=1e-6)


ROUNDED = """if True:
    import sys
    import numpy as np
    from gluon_bert import kernels
    from gluon_bert.kernels.dense import NativeDense
    def rounded(x):  # to nearest, ties to even
        bits = x.view('uint32').astype('uint64')
        return ((bits + 0x7fff + (bits >> 16 & 1)) >> 16 << 16).astype('uint32').view('float32')
    draw = np.random.RandomState(3)
    for rows, out, width in (1, 1, 1), (7, 33, 19), (40, 70, 300):
        x, weight = (draw.normal(size=(n, width)).astype('float32') for n in (rows, out))
        bias = draw.normal(size=out).astype('float32')
        found = NativeDense(weight, bias, 'bfloat16')(x, 2)
        assert (found == NativeDense(rounded(weight), bias)(rounded(x))).all(), (rows, out, width)
    x[0, 1], weight[2, 3] = np.nan, np.inf
    found = NativeDense(weight, bias, 'bfloat16')(x)
    assert np.isnan(found[0]).all() and np.isinf(found[1:, 2]).all()
    print(kernels.processor())
"""


@pytest.mark.parametrize('processor', ['generic', 'avx2', 'avx512'])
def test_bfloat16_without_its_instructions_is_float32_of_rounded_numbers(processor):
    result = subprocess.run(
        [sys.executable, '-c', ROUNDED],
        capture_output=True,
        text=True,
        env={**os.environ, 'GLUON_BERT_KERNELS': processor},
    )
    assert not result.returncode, result.stderr
    assert result.stdout.strip() != 'avx512_bf16'


def test_dense_in_int8_scales_each_row_and_each_column():
    rng = np.random.RandomState(5)
    sizes = 10.0 ** rng.randint(-6, 6, (40, 1)), 10.0 ** rng.randint(-6, 6, (50, 1))
    x, weight = rng.normal(size=(40, 64)) * sizes[0], rng.normal(size=(50, 64)) * sizes[1]
    x[3], x[4], x[5] = 0, 9 + abs(x[4]), -abs(x[5])
    found = NativeDense(weight, np.zeros(50), 'int8')(x)
    # Each number is off by half a step of its row or column at most.
    steps = [
        np.ptp(np.pad(x, ((0, 0), (0, 1))), axis=1, keepdims=True) / 125,
        abs(weight).max(axis=1, keepdims=True) / 63,
    ]
    bound = (abs(x) + steps[0] / 2).sum(axis=1)[:, None] * steps[1].T / 2 + (
        steps[0] / 2 * abs(weight).sum(axis=1)
    )
    assert (abs(found - x @ weight.T) <= 1.001 * bound).all()
    assert not found[3].any()


def test_dense_in_int8_knows_which_inputs_are_large():
    rng = np.random.RandomState(5)
    sizes = 10.0 ** rng.uniform(-2, 1, 64)
    x, weight = rng.normal(size=(40, 64)) * sizes, rng.normal(size=(50, 64)) / sizes
    sizes[7], x[:, 7] = 0, 0  # never used
    exact, bias = x @ weight.T, np.zeros(50)
    rounded, smoothed = (
        abs(NativeDense(weight, bias, 'int8', given)(x) - exact).mean()
        for given in (None, sizes.astype('float32'))
    )
    assert smoothed < 0.1 * rounded


@pytest.mark.parametrize(
    'activation, exact',
    [
        ('gelu', lambda x: x * 0.5 * math.erfc(-x / math.sqrt(2))),
        ('tanh', math.tanh),
        ('relu', lambda x: max(x, 0.0)),
        (
            'gelu_tanh',
            lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
        ),
    ],
)
def test_activations_are_right_everywhere(activation, exact):
    x = np.concatenate([np.linspace(-9, 9, 20001), [1e-30, -1e-30, 87, -87, 1e3, -1e3]])
    x = x.astype('float32')
    layer = NativeDense(np.eye(1), np.zeros(1))
    found = layer(x[:, None], activation=activation)[:, 0]
    np.testing.assert_allclose(found, [exact(value) for value in x.tolist()], rtol=4e-7, atol=8e-7)
    assert np.isnan(
        NativeDense(np.eye(1), np.zeros(1))(np.full((3, 1), np.nan), activation='gelu')
    ).all()


@pytest.mark.parametrize('processor', settings.ALL[2:])
def test_kernels_for_older_processors_give_the_same(processor):
    script = """if True:
        import sys, numpy as np
        import gluon_bert as gb
        from gluon_bert import kernels
        from gluon_bert.kernels.training import make_trainer
        import mxnet as mx
        config = gb.BertConfig(vocab_size=50, units=40, hidden_size=52, num_layers=2, num_heads=2,
                               max_length=70, num_token_types=2, dropout=0.1, layer_norm_eps=1e-12,
                               activation='gelu', pooler_activation='tanh')
        mx.random.seed(3)
        model = gb.BertModel(config, use_pooler=False)
        model.initialize(mx.init.Normal(0.2))
        inputs = mx.nd.array(np.random.RandomState(1).randint(0, 50, (2, 70)))
        found = []
        for dtype in ('float32', 'bfloat16'):
            encoder = make_trainer(model, dtype)
            with mx.autograd.record():
                y = model(inputs, inputs * 0, mx.nd.array([70, 31]), encoder=encoder)
            y.backward(mx.nd.random.normal(shape=y.shape))
            found += [y, *(parameter.grad() for parameter in model.collect_params().values())]
        print(kernels.processor(), file=sys.stderr)
        np.save(sys.stdout.buffer, np.concatenate([
            part.asnumpy().ravel() / max(1, abs(part).max().asscalar()) for part in found]))
    """
    found = []
    for setting in ('1', processor):
        result = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', script],
            capture_output=True,
            env={**os.environ, 'GLUON_BERT_KERNELS': setting},
        )
        assert not result.returncode, result.stderr.decode()
        found.append((result.stderr.decode().split()[-1], np.load(io.BytesIO(result.stdout))))
    if processor == 'generic':
        assert found[1][0] == 'generic'
    half = len(found[0][1]) // 2
    np.testing.assert_allclose(found[1][1][:half], found[0][1][:half], atol=5e-4)
    np.testing.assert_allclose(found[1][1][half:], found[0][1][half:], atol=0.05)


@pytest.fixture
def make_classifier(make_model):
    def make(dropout):
        mx.random.seed(3)
        np.random.seed(3)
        classifier = BertClassifier(make_model(wide=0.05, dropout=dropout), dropout=dropout)
        classifier.classifier.initialize()
        classifier.hybridize(static_alloc=True)
        return classifier

    return make


def test_training_without_dropout_is_the_same_with_and_without(
    make_classifier, tmp_path, monkeypatch
):
    finals = []
    for setting in ('1', '0'):
        monkeypatch.setenv('GLUON_BERT_KERNELS', setting)
        model = make_classifier(dropout=0.0)
        fit(
            model,
            toy_data(),
            cross_entropy,
            Plan(epochs=2, learning_rate=1e-3),
            tmp_path / setting,
            name=f'kernels{setting}',
        )
        finals.append(parameters_of(model))
    for name, array in finals[0].items():
        np.testing.assert_allclose(finals[1][name], array, atol=2e-4)


@pytest.fixture
def native_calls(monkeypatch):
    """The networks whose encodings NativeTrainers computed so far."""
    calls, compute = [], NativeTrainer.__call__

    def recorded(self, *inputs, **options):
        calls.append(self._bert)
        return compute(self, *inputs, **options)

    monkeypatch.setattr(NativeTrainer, '__call__', recorded)
    return calls


def test_network_is_plain_in_evaluation_and_after_training(make_classifier, tmp_path, native_calls):
    model, data = make_classifier(dropout=0.1), toy_data()
    seen = []

    def evaluate(network):
        seen.append(len(native_calls))
        score = accuracy(data)(network)
        network(*data.load([0, 1])[0])
        seen.append(len(native_calls))
        return score

    attributes = set(vars(model)), set(vars(model.bert))
    fit(model, data, cross_entropy, Plan(epochs=1), tmp_path, evaluate=evaluate)
    assert seen == [5, 5]  # one call a step, none in the evaluation
    assert native_calls == [model.bert] * 5
    assert attributes == (set(vars(model)), set(vars(model.bert)))
    inputs, _ = data.load([0, 1])
    model(*inputs)
    model.export(str(tmp_path / 'plain'))
    assert 'gluon_bert_' not in (tmp_path / 'plain-symbol.json').read_text()


def test_layer_outputs_of_a_network_in_training(make_model, tiny_config):
    model = make_model()
    inputs = mx.nd.array([[5, 6, 7, 0], [9, 9, 9, 9]]), mx.nd.zeros((2, 4)), mx.nd.array([3, 4])
    expected = model.layer_outputs(*inputs)
    encoder = make_trainer(model)
    assert encoder is not None
    with mx.autograd.record():
        model(*inputs, encoder=encoder)
    found = model.layer_outputs(*inputs)
    for one, other in zip(expected.attentions, found.attentions):
        np.testing.assert_array_equal(one.asnumpy(), other.asnumpy())


def test_float16_and_switched_off_networks_stay_on_mxnet(make_classifier, monkeypatch):
    model = make_classifier(0.1)
    monkeypatch.setenv('GLUON_BERT_KERNELS', '0')
    assert make_trainer(model) is None
    monkeypatch.delenv('GLUON_BERT_KERNELS')
    assert make_trainer(model) is not None
    model.cast('float64')
    assert make_trainer(model) is None
    with pytest.raises(ValueError, match="dtype='int8': expected one of 'float32', 'bfloat16'"):
        make_trainer(model, 'int8')


class OwnNetwork(BertBlock):
    """A network whose call knows of no encoder."""

    def __init__(self, bert):
        super().__init__()
        self.config, self.bert = bert.config, bert

    def hybrid_forward(self, F, inputs, token_types, valid_length):
        return self.bert(inputs, token_types, valid_length).pooled[:, :2]

    def checkpoint_names(self):
        return [(f'bert.{name}', common) for name, common in self.bert.checkpoint_names()]


def test_network_of_ones_own_trains_on_mxnet_operators(make_model, tmp_path, native_calls):
    model = OwnNetwork(make_model(wide=0.05))
    assert make_trainer(model) is None
    with pytest.raises(ValueError, match='hybrid_forward of OwnNetwork takes no encoder'):
        make_trainer(model, recompute=True)
    assert fit(model, toy_data(), cross_entropy, Plan(epochs=1), tmp_path).steps == 5
    assert native_calls == []


def test_encoder_reads_arrays_only(make_model):
    model = make_model()
    with pytest.raises(TypeError, match='an encoder reads NDArrays, got inputs of Symbol'):
        model(mx.sym.var('ids'), mx.sym.var('types'), mx.sym.var('n'), encoder=make_trainer(model))


@pytest.mark.parametrize('hybridized', [None, {}, {'static_alloc': True}], ids=str)
def test_network_answers_in_other_threads_while_it_is_trained(
    make_classifier, tmp_path, hybridized
):
    """Training comes to what it does alone, and calls of the network compute without kernels."""
    data, finals = toy_data(), []
    inputs, _ = data.load(np.arange(4))
    for concurrent in (False, True):
        model = make_classifier(dropout=0.1)
        model.hybridize(hybridized is not None, **(hybridized or {}))
        errors, answers, stop = [], [], threading.Event()

        def ask(run, answers=answers, errors=errors, stop=stop):
            while not stop.is_set():
                try:
                    answers.append(run(*inputs).asnumpy())
                except Exception as error:
                    errors.append(error)
                    return

        runs = (model, Predictor(model), lambda *arrays, model=model: Predictor(model)(*arrays))
        threads = [threading.Thread(target=ask, args=(run,)) for run in runs] * concurrent
        for thread in threads:
            thread.start()
        fit(model, data, cross_entropy, Plan(epochs=4), tmp_path, overwrite=True)
        stop.set()
        for thread in threads:
            thread.join()
        assert not errors
        assert len(answers) >= 3 * concurrent
        assert all(np.isfinite(answer).all() for answer in answers)
        np.testing.assert_allclose(
            model(*inputs).asnumpy(), Predictor(model)(*inputs).asnumpy(), atol=1e-5
        )
        finals.append(parameters_of(model))
    assert all(np.array_equal(finals[1][name], array) for name, array in finals[0].items())


def test_names_of_the_first_release_stay():
    assert kernels.load() is kernels.is_available() is True
    assert kernels.state() == kernels.describe() == f'native, for {kernels.processor()}'
    for array, taken in ((mx.nd.ones(2), True), (mx.nd.ones(2, dtype='float64'), False)):
        assert kernels.accept([array]) is kernels.supports_arrays([array]) is taken


def test_missing_compiler_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv('CXX', 'no-such-compiler')
    with pytest.raises(FileNotFoundError, match='looked for no-such-compiler'):
        kernels.build(tmp_path)


def test_failed_compilation_leaves_nothing_behind(monkeypatch, tmp_path):
    monkeypatch.setenv('CXX', 'false')
    with pytest.raises(RuntimeError, match='false failed'):
        kernels.build(tmp_path)
    assert list(tmp_path.iterdir()) == []
