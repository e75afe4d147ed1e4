"""Losses of masked words by NumPy in float64, by the kernels and by MXNet's operators.

Run as a script it prints as JSON the processor in use and where the kernels differ from NumPy.
"""

import json
import sys

import numpy as np

from gluon_bert import kernels
from gluon_bert.kernels.masked_words import MaskedScores
from gluon_bert.training.masked_words import masked_word_loss_and_hits

import mxnet as mx  # isort: skip


def rounded(array):
    """Round to bfloat16."""
    bits = np.asarray(array, 'float32').view('uint32')
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype('uint32').view('float32')


def example(size, scale=0.2, seed=0):
    """Arrays for N, M, C and V: hidden, weight, bias, words, weights, gradient of the losses."""
    *shape, units, vocab_size = size
    rng = np.random.RandomState(seed)
    hidden = rng.normal(size=(*shape, units))
    weight, bias = rng.normal(scale=scale, size=(vocab_size, units)), rng.normal(size=vocab_size)
    words, weights = rng.randint(0, vocab_size, shape), np.arange(np.prod(shape)) % 4 != 2
    arrays = hidden, weight, bias, words, weights.reshape(shape), rng.normal(size=shape)
    return [array.astype('float32') for array in arrays]


def exactly(hidden, weight, bias, words, weights, gradient, form=np.asarray):
    """Losses, hits and the gradients of hidden, weight and bias; ``form`` converts what products
    read.
    """
    words, weights, gradient = words.astype(int)[..., None], weights.astype('float64'), gradient
    hidden, weight = (form(array).astype('float64') for array in (hidden, weight))
    scores = hidden @ weight.T + bias
    shifted = scores - scores.max(axis=-1, keepdims=True)
    sums = np.exp(shifted).sum(axis=-1, keepdims=True)
    losses = (np.log(sums) - np.take_along_axis(shifted, words, -1))[..., 0] * weights
    hits = (scores.argmax(axis=-1) == words[..., 0]) * weights
    inner = np.exp(shifted) / sums - (np.arange(len(weight)) == words)
    inner *= (gradient * weights)[..., None]
    of_bias, inner = inner.sum(axis=(0, 1)), form(inner).astype('float64')
    return losses, hits, inner @ weight, np.einsum('nmv,nmc->vc', inner, hidden), of_bias


def natively(hidden, weight, bias, words, weights, gradient, dtype='float32', threads=1):
    """The same by the kernels."""
    inputs = [mx.nd.array(array) for array in (hidden, weight, bias)]
    for array in inputs:
        array.attach_grad()
    with mx.autograd.record():
        scores = MaskedScores(*inputs, dtype, threads)
        losses, hits = scores.losses(mx.nd.array(words), mx.nd.array(weights))
    losses.backward(mx.nd.array(gradient))
    return [array.asnumpy() for array in (losses, hits, *(array.grad for array in inputs))]


def plainly(hidden, weight, bias, words, weights, gradient):
    """The same by MXNet's operators."""
    inputs = [mx.nd.array(array) for array in (hidden, weight, bias)]
    for array in inputs:
        array.attach_grad()
    with mx.autograd.record():
        scores = mx.nd.FullyConnected(*inputs, num_hidden=len(weight), flatten=False)
        losses, hits = masked_word_loss_and_hits(scores, mx.nd.array(words), mx.nd.array(weights))
    losses.backward(mx.nd.array(gradient))
    return [array.asnumpy() for array in (losses, hits, *(array.grad for array in inputs))]


def errors(found, expected):
    """The largest error of each array, relative to its largest number."""
    return [
        abs(one - other).max() / max(abs(other).max(), 1e-6) for one, other in zip(found, expected)
    ]


def compare(dtype, form, bound):
    """Say which results of the kernels are wrong, or depend on the number of threads."""
    wrong = []
    for size in ((1, 1, 1, 1), (3, 5, 24, 97), (2, 9, 65, 1300), (57, 20, 7, 600)):
        arrays = example(size)
        found = natively(*arrays, dtype=dtype)
        if not max(errors(found, exactly(*arrays, form=form))) < bound:
            wrong.append([size, dtype, errors(found, exactly(*arrays, form=form))])
        if not all(map(np.array_equal, natively(*arrays, dtype=dtype, threads=2), found)):
            wrong.append([size, dtype, 'threads'])
    return wrong


def not_finite():
    """Say where results are finite and those of NumPy are not, or the reverse.

    MXNet's log_softmax gives a number where another score is NaN.
    """
    wrong = []
    places = {
        'hidden': lambda word: (1, 2, 3),
        'weight': lambda word: (word, 3),
        'bias': lambda word: (word,),
    }
    for index, (place, at) in enumerate(places.items()):
        for value in (np.nan, -np.nan, np.inf, -np.inf):
            for word in (5, 599):
                arrays = example((2, 3, 24, 600))
                arrays[4][:] = 1
                arrays[3][0] = [5, 599, 17]
                arrays[index][at(word)] = value
                with np.errstate(all='ignore'):
                    expected = exactly(*arrays)
                for dtype in ('float32', 'bfloat16'):
                    found = natively(*arrays, dtype=dtype)
                    for number in (0, 2, 3, 4):  # a hit means nothing where no score is the largest
                        if not np.array_equal(*map(np.isfinite, (found[number], expected[number]))):
                            wrong.append([place, repr(value), word, dtype, number])
    return wrong


if __name__ == '__main__':
    wrong = compare('float32', np.asarray, 2e-6) + compare('bfloat16', rounded, 2e-3)
    sys.stdout.write(json.dumps([kernels.processor(), wrong + not_finite()]))
