"""The kernels for aarch64, compiled here and run by an emulator, against NumPy.

GLUON_BERT_AARCH64 names the Python that .ci/aarch64.sh makes.
"""

import functools
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from kernel_results import (
    DENSE,
    LENGTHS,
    MASKED,
    NETWORKS,
    TOP,
    Network,
    adam_example,
    dense_example,
    masked_example,
    output_gradient,
    tokens,
    top_example,
    vector_example,
    whole_example,
)
from reference import ACTIVATIONS as EXACT_ACTIVATIONS
from reference import bert

import gluon_bert
from gluon_bert import kernels
from gluon_bert.kernels import compiling
from gluon_bert.kernels.top_words import best_of_scores

VARIABLE = 'GLUON_BERT_AARCH64'
COMPILER = 'aarch64-linux-gnu-g++'
SCRIPT = Path(__file__).with_name('kernel_results.py')
# The processor that is emulated, what GLUON_BERT_KERNELS limits, and what has to be chosen.
RUNS = {
    'neon_bf16': ('max', '1'),
    'neon_dotprod': ('neoverse-n1', '1'),
    'neon': ('cortex-a72', '1'),
    'generic': ('max', 'generic'),
}


def emulated():
    """The command of a Python for aarch64."""
    if platform.machine() == 'aarch64':
        return sys.executable
    python = os.environ.get(VARIABLE, '')
    if not shutil.which(python):
        pytest.skip(f'{VARIABLE} names no Python for aarch64: .ci/aarch64.sh makes one')
    if not shutil.which(COMPILER):
        pytest.skip(f'there is no {COMPILER}')
    return python


@pytest.fixture(scope='module')
def package(tmp_path_factory):
    """A folder with a copy of the package and its kernels for aarch64."""
    emulated()
    folder = tmp_path_factory.mktemp('aarch64')
    ignored = shutil.ignore_patterns('__pycache__', 'building-*', '*.so')
    target = folder / 'gluon_bert'
    shutil.copytree(Path(gluon_bert.__file__).parent, target, ignore=ignored)
    with pytest.MonkeyPatch.context() as patch:
        if platform.machine() != 'aarch64':
            patch.setenv('CXX', COMPILER)
        compiling.build(target / 'kernels', machine='aarch64')
    return folder


def run(python, package, target, processor, setting):
    result = subprocess.run(
        [python, '-W', 'ignore', SCRIPT, target],
        capture_output=True,
        text=True,
        timeout=600,
        env={
            **os.environ,
            'PYTHONPATH': str(package),
            'QEMU_CPU': processor,
            'GLUON_BERT_KERNELS': setting,
            'OMP_NUM_THREADS': '2',
        },
    )
    assert not result.returncode, result.stderr
    with np.load(target) as found:
        return result.stdout, dict(found)


@pytest.fixture(scope='module', params=RUNS)
def results(request, package, tmp_path_factory):
    """The kind of processor and what its kernels compute."""
    target = tmp_path_factory.mktemp('results') / 'results.npz'
    name, found = run(emulated(), package, target, *RUNS[request.param])
    assert name == request.param or platform.machine() == 'aarch64'
    return found


def rounded(array):
    """To bfloat16."""
    bits = np.asarray(array, 'float32').view('uint32')
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype('uint32').view('float32')


def test_dense_layers(results):
    for size in DENSE:
        width = size[2]
        x, weight, bias = (array.astype('float64') for array in dense_example(*size))
        exact = {'float32': x @ weight.T + bias}
        exact['bfloat16'] = rounded(x).astype('float64') @ rounded(weight).T + bias
        x, weight, bias = whole_example(*size)
        exact['int8'] = x @ weight.T + bias
        for precision, expected in exact.items():
            found = results[f'dense {precision} {size}']
            if precision == 'int8':
                np.testing.assert_allclose(found, expected, atol=1e-6 * abs(expected).max())
            else:
                np.testing.assert_allclose(found, expected, atol=1e-6 * (width + 3))
            assert np.array_equal(found, results[f'dense {precision} {size}, 3 threads'])
            last = results[f'dense {precision} {size}, NaN']
            assert np.array_equal(last[:-1], found[:-1]) and np.isnan(last[-1]).all()


def test_activations(results):
    x = np.linspace(-9, 9, 2001, dtype='float32')[:, None].astype('float64')
    for name, function in {'tanh': np.tanh, **EXACT_ACTIVATIONS}.items():
        np.testing.assert_allclose(results[f'activation {name}'], function(x), rtol=4e-7, atol=8e-7)


def parts(ids):
    """An array of all tokens by sequences."""
    return np.split(ids, np.cumsum(LENGTHS)[:-1])


def oracle(network, arrays):
    """Encodings of all tokens and the pooled ones, in double precision."""
    arrays = network.for_oracle(arrays)
    ids, types, _ = tokens()
    found = [bert(network.config, arrays, *pair)[:2] for pair in zip(parts(ids), parts(types))]
    return np.concatenate([row[0] for row in found]), np.stack([row[1] for row in found])


@pytest.mark.parametrize(
    'precision, bound', [('float32', 1e-5), ('bfloat16', 0.06), ('int8', 0.12)]
)
def test_encoders(results, precision, bound):
    for size in NETWORKS:
        network = Network(*size)
        for name, expected in zip(('sequence', 'pooled'), oracle(network, network.arrays)):
            one, three = (results[f'encoder {precision} {size} {name} {n}'] for n in (1, 3))
            assert np.array_equal(one, three)
            assert abs(one - expected).max() < bound * abs(expected).max()


def along(network, arrays, name, direction):
    """The slope of the output's product with its gradient, by a difference in double precision."""
    step, products = 1e-5, []
    for sign in (1, -1):
        moved = {**arrays, name: arrays[name] + sign * step * direction}
        output = oracle(network, moved)[0]
        gradient = output_gradient(network.config.units)
        valid = [row[:length] for row, length in zip(gradient, LENGTHS)]
        products.append((output * np.concatenate(valid)).sum())
    return (products[0] - products[1]) / (2 * step)


@functools.cache
def slopes(size):
    """Of each array of a network along a random direction: direction and slope."""
    network, rng = Network(*size), np.random.RandomState(3)
    arrays = {name: array.astype('float64') for name, array in network.arrays.items()}
    found = {}
    for name, array in list(arrays.items())[:-2]:
        direction = rng.normal(size=array.shape)
        found[name] = direction, along(network, arrays, name, direction)
    return found


@pytest.mark.parametrize('size', NETWORKS)
def test_training(results, size):
    network = Network(*size)
    output = results[f'training float32 {size} 0.0 output']
    valid = np.concatenate([row[:length] for row, length in zip(output, LENGTHS)])
    expected = oracle(network, network.arrays)[0]
    assert abs(valid - expected).max() < 1e-5 * abs(expected).max()
    for name, (direction, slope) in slopes(size).items():
        gradient = results[f'training float32 {size} 0.0 {name}'].astype('float64')
        found = (gradient * direction).sum()
        assert abs(found - slope) < 3e-5 * np.linalg.norm(gradient), name


@pytest.fixture(scope='module')
def native_results(tmp_path_factory):
    """What the kernels of this machine compute."""
    if not kernels.is_available():
        pytest.skip('native kernels are not built: python -m gluon_bert.kernels')
    target = tmp_path_factory.mktemp('native') / 'results.npz'
    folder = Path(gluon_bert.__file__).parents[1]
    return run(sys.executable, folder, target, '', 'generic')[1]


def test_training_with_dropout_and_in_bfloat16(results, native_results):
    # Dropout is the same on all processors.
    for name, expected in native_results.items():
        if name.startswith('training'):
            bound = 0.02 if 'bfloat16' in name else 3e-5
            assert abs(results[name] - expected).max() < bound * abs(expected).max(), name


@pytest.mark.parametrize('precision, bound', [('float32', 2e-6), ('bfloat16', 2e-3)])
def test_losses_of_masked_words(results, precision, bound):
    from masked_word_losses import errors, exactly

    for size in MASKED:
        hidden, weight, bias, words, gradient = masked_example(size)
        form = rounded if precision == 'bfloat16' else np.asarray
        expected = exactly(hidden, weight, bias, words, np.ones_like(words), gradient, form=form)
        found = [results[f'masked {precision} {size} {number}'] for number in range(5)]
        assert max(errors(found, expected)) < bound


def test_top_words(results):
    for size in TOP:
        hidden, weight, bias = (array.astype('float64') for array in top_example(size))
        expected = best_of_scores(hidden @ weight.T + bias, 7)
        assert np.array_equal(results[f'top words {size}'], expected.ids)
        np.testing.assert_allclose(
            results[f'top probabilities {size}'], expected.probabilities, rtol=2e-5
        )


def test_vectors(results):
    halves, vectors, scales, bits = vector_example()
    assert np.array_equal(results['halves'], halves.astype('float32'))
    assert np.array_equal(results['int8'], vectors * scales[:, None])
    expected = (bits[:3, None].astype('int32') != bits[None, 3:]).sum(axis=2)
    assert np.array_equal(results['distances'], expected)


def test_optimizer(results):
    (weight, gradient, mean, variance), step = adam_example()
    np.testing.assert_allclose(results['squares'], (weight.astype('float64') ** 2).sum(), rtol=1e-6)
    weight = weight * step.factor
    gradient = gradient * step.rescale + step.decay * weight
    mean = step.beta1 * mean + (1 - step.beta1) * gradient
    variance = step.beta2 * variance + (1 - step.beta2) * gradient**2
    weight = weight - step.lr * mean / (np.sqrt(variance) + step.eps)
    for name, expected in (('weight', weight), ('mean', mean), ('variance', variance)):
        np.testing.assert_allclose(results[f'adam {name}'], expected, rtol=1e-5, atol=1e-6)
