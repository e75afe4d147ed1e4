"""What the kernels compute of some arrays, with NumPy alone; and what it should be, by the oracle.

Run as a script it writes the results to a file of arrays, and prints the processor in use.
"""

import ctypes
import sys
from types import SimpleNamespace

import numpy as np

from gluon_bert.config import BertConfig
from gluon_bert.kernels import _functions, processor
from gluon_bert.kernels.dense import NativeDense
from gluon_bert.kernels.encoder import ACTIVATIONS, PRECISIONS, EncoderArrays, NativeEncoder
from gluon_bert.kernels.top_words import top_words
from gluon_bert.kernels.vectors import hamming_distances, widen_half, widen_int8

# Rows, outputs, inputs: all heights of tiles, widths of panels and rests of words; more rows than a
# block has, and more words than a slice.
DENSE = [*((rows, 30 - rows, 28 + rows) for rows in range(1, 19)), (350, 17, 37), (29, 9, 1559)]
LIMIT, STEPS = 127, 253  # of weights and inputs in int8
NAMES = ('query_key_value', 'proj', 'layer_norm', 'ffn.ffn_1', 'ffn.ffn_2', 'ffn.layer_norm')
LENGTHS = [70, 31, 1]


def dense_example(rows, out, width):
    """x, weight and bias."""
    rng = np.random.RandomState(rows)
    shapes = (rows, width), (out, width), (out,)
    return [rng.normal(size=shape).astype('float32') for shape in shapes]


def whole_example(rows, out, width):
    """The same of whole numbers, which int8 holds exactly."""
    rng = np.random.RandomState(rows)
    x, weight = rng.randint(-50, STEPS - 49, (rows, width)), rng.randint(-127, 128, (out, width))
    x[:, 0], x[:, -1], weight[:, -1] = -50, STEPS - 50, -LIMIT
    return x, weight, rng.randint(-9, 9, out)


def dense_results():
    for size in DENSE:
        x, weight, bias = dense_example(*size)
        for precision in PRECISIONS:
            x, weight, bias = (whole_example if precision == 'int8' else dense_example)(*size)
            layer = NativeDense(weight, bias, precision)
            yield f'dense {precision} {size}', layer(x)
            yield f'dense {precision} {size}, 3 threads', layer(x, 3)
            x = x.astype('float32')
            x[-1, len(weight) % x.shape[1]] = np.nan
            yield f'dense {precision} {size}, NaN', layer(x)
    x = np.linspace(-9, 9, 2001, dtype='float32')[:, None]
    for activation in filter(None, ACTIVATIONS):
        layer = NativeDense(np.eye(1), np.zeros(1))
        yield f'activation {activation}', layer(x, activation=activation)


class Network:
    """A BERT of random arrays, by the names of the oracle."""

    use_pooler = True

    def __init__(self, units, num_heads):
        self.config = BertConfig(
            vocab_size=50,
            units=units,
            hidden_size=52,
            num_layers=2,
            num_heads=num_heads,
            max_length=70,
            num_token_types=2,
            dropout=0.1,
            layer_norm_eps=1e-12,
            activation='gelu',
            pooler_activation='tanh',
        )
        rng = np.random.RandomState(units)
        shapes = {
            'word_embed.0.weight': (50, units),
            'token_type_embed.0.weight': (2, units),
            'encoder.position_weight': (70, units),
            'encoder.layer_norm.gamma': (units,),
            'encoder.layer_norm.beta': (units,),
        }
        for layer in range(2):
            name = f'encoder.transformer_cells.{layer}.'
            sizes = 3 * units, units, None, 52, units, None
            inputs = units, units, None, units, 52, None
            for part, rows, width in zip(NAMES, sizes, inputs):
                kinds = ('weight', (rows, width)), ('bias', (rows,))
                if rows is None:
                    kinds = ('gamma', (units,)), ('beta', (units,))
                shapes.update({f'{name}{part}.{kind}': shape for kind, shape in kinds})
        shapes.update({'pooler.weight': (units, units), 'pooler.bias': (units,)})
        self.arrays = {
            name: (rng.normal(size=shape) * 0.3 + name.endswith('gamma')).astype('float32')
            for name, shape in shapes.items()
        }

    def is_native(self):
        return True

    def split(self, name):
        """Query, key and value of a joint array, (H, 3, D, ...): each (H, D, ...)."""
        joint = self.arrays[name]
        joint = joint.reshape(self.config.num_heads, 3, -1, *joint.shape[1:])
        return [joint[:, number] for number in range(3)]

    def for_oracle(self, arrays):
        """Arrays as the oracle wants them, with query, key and value apart."""
        found = dict(arrays)
        for name in [name for name in arrays if 'query_key_value' in name]:
            cell, kind = name.split('query_key_value.')
            joint = found.pop(name)
            joint = joint.reshape(self.config.num_heads, 3, -1, *joint.shape[1:])
            for number, part in enumerate(('query', 'key', 'value')):
                flat = joint[:, number].reshape(-1, *joint.shape[3:])
                found[f'{cell}attention_cell.proj_{part}.{kind}'] = flat
        return found

    def encoder_arrays(self):
        names, layers = list(self.arrays), []
        for layer in range(2):
            first, *others = names[5 + 12 * layer : 17 + 12 * layer]
            parts = zip(self.split(first), self.split(others[0]))
            joint = [array for pair in parts for array in pair]
            layers.append(joint + [self.arrays[name] for name in others[1:]])
        embeddings, pooler = names[:5], names[-2:]
        return EncoderArrays(
            [self.arrays[name] for name in embeddings],
            layers,
            [self.arrays[name] for name in pooler],
        )


def tokens():
    rng = np.random.RandomState(1)
    ids, types = (rng.randint(0, limit, sum(LENGTHS)).astype('int32') for limit in (50, 2))
    return ids, types, np.array(LENGTHS, 'int32')


# Heads of 20 features, which are padded, and of 16.
NETWORKS = [(40, 2), (32, 2)]


def encoder_results():
    for size in NETWORKS:
        for precision in PRECISIONS:
            encoder = NativeEncoder(Network(*size), precision)
            for threads in (1, 3):
                results = encoder(*tokens(), threads)
                for name, array in zip(('sequence', 'pooled'), results):
                    yield f'encoder {precision} {size} {name} {threads}', array


def addresses(arrays):
    return (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))


def training_results():
    for size in NETWORKS:
        network = Network(*size)
        for precision, recompute, dropout in (
            ('float32', 0, 0.0),
            ('float32', 1, 0.1),
            ('bfloat16', 0, 0.1),
        ):
            found = train(network, precision, recompute, dropout)
            for name, array in found.items():
                yield f'training {precision} {size} {dropout} {name}', array


def output_gradient(units):
    return np.random.RandomState(2).normal(size=(3, 70, units)).astype('float32')


def train(network, precision, recompute, dropout):
    """The output and the gradients by names."""
    functions, config, pointer = _functions(), network.config, ctypes.c_void_p
    functions.gluon_bert_trainer.restype = functions.gluon_bert_train_forward.restype = pointer
    sizes = [config.units, 52, config.num_heads, 2, 50, 2, 70]
    sizes = np.array([*sizes, ACTIVATIONS['gelu'], PRECISIONS[precision], recompute], 'int64')
    trainer = pointer(functions.gluon_bert_trainer(sizes.ctypes, ctypes.c_float(1e-12)))
    names = list(network.arrays)[:-2]
    arrays = [network.arrays[name] for name in names]
    output = np.empty((3, 70, config.units), 'float32')
    run = functions.gluon_bert_train_forward(
        trainer,
        addresses(arrays),
        *(array.ctypes for array in tokens()),
        *map(ctypes.c_int64, (3, 70)),
        *map(ctypes.c_int, (0, 1)),
        ctypes.c_float(dropout),
        ctypes.c_uint64(7),
        functions.gluon_bert_threads(),
        output.ctypes,
    )
    gradients = [np.full(array.shape, 9, 'float32') for array in arrays]
    assert not functions.gluon_bert_train_backward(
        pointer(run),
        addresses(arrays),
        output_gradient(config.units).ctypes,
        addresses(gradients),
        np.zeros(len(arrays), 'uint8').ctypes,
        None,
    )
    functions.gluon_bert_free_pass(pointer(run))
    functions.gluon_bert_free_trainer(trainer)
    return {'output': output, **dict(zip(names, gradients))}


MASKED = [(3, 5, 24, 97), (57, 20, 7, 600)]


def masked_example(size, seed=0):
    """As in masked_word_losses: hidden, weight, bias, words, gradient of the losses."""
    *shape, units, vocab_size = size
    rng = np.random.RandomState(seed)
    hidden, weight = rng.normal(size=(*shape, units)), rng.normal(size=(vocab_size, units)) * 0.2
    bias, words = rng.normal(size=vocab_size), rng.randint(0, vocab_size, shape)
    return [array.astype('f') for array in (hidden, weight, bias, words, rng.normal(size=shape))]


def masked_results():
    functions = _functions()
    for size in MASKED:
        hidden, weight, bias, words, gradient = masked_example(size)
        positions = words.size
        for precision in ('float32', 'bfloat16'):
            sizes = np.array([positions, size[2], size[3], PRECISIONS[precision]], 'int64')
            rows, words = np.arange(positions), words.astype('int32')
            results = np.empty((4, positions), 'float32')
            gradients = [np.empty_like(array) for array in (hidden, weight, bias)]
            shared = (
                sizes.ctypes,
                addresses([hidden, weight, bias]),
                rows.ctypes,
                words.ctypes,
                ctypes.c_int(2),
            )
            assert not functions.gluon_bert_masked_words(
                *shared, *(array.ctypes for array in results)
            )
            assert not functions.gluon_bert_masked_words_backward(
                *shared,
                *(array.ctypes for array in (*results[2:], gradient)),
                ctypes.c_int64(positions),
                addresses(gradients),
                np.zeros(3, 'uint8').ctypes,
            )
            parts = results[0].reshape(words.shape), results[1].reshape(words.shape), *gradients
            for number, array in enumerate(parts):
                yield f'masked {precision} {size} {number}', array


TOP = [(1, 24, 900), (30, 40, 301), (3, 5, 9)]


def top_example(size):
    rng = np.random.RandomState(0)
    positions, units, words = size
    shapes = (positions, units), (words, units), words
    return [rng.normal(size=shape).astype('float32') for shape in shapes]


def vector_example():
    rng = np.random.RandomState(0)
    halves = np.arange(0, 1 << 16, 7, dtype='uint16').view('float16')
    halves = halves[np.isfinite(halves)]
    vectors = rng.randint(-128, 128, (37, 19)).astype('int8')
    bits = rng.randint(0, 2, (504, 128)).astype('uint8')
    return halves, vectors, rng.uniform(0, 2, 37).astype('float32'), bits


def adam_example():
    rng = np.random.RandomState(0)
    arrays = [rng.normal(size=1003).astype('float32') for _ in range(4)]
    arrays[3] = abs(arrays[3])
    return arrays, SimpleNamespace(
        lr=0.01, beta1=0.9, beta2=0.99, eps=1e-3, factor=0.9, decay=0.1, rescale=0.5
    )


def other_results():
    for size in TOP:
        best = top_words(*top_example(size), 7)
        yield f'top words {size}', best.ids
        yield f'top probabilities {size}', best.probabilities
    halves, vectors, scales, bits = vector_example()
    codes = np.packbits(bits, axis=1)
    yield 'halves', widen_half(halves, 3)
    yield 'int8', widen_int8(vectors, scales)
    yield 'distances', hamming_distances(codes[:3], codes[3:])
    arrays, step = adam_example()
    functions = _functions()
    yield (
        'squares',
        np.array(functions.gluon_bert_sum_of_squares(arrays[0].ctypes, ctypes.c_int64(1003))),
    )
    functions.gluon_bert_adam(
        *(array.ctypes for array in arrays),
        ctypes.c_int64(1003),
        *map(ctypes.c_float, vars(step).values()),
    )
    for name, array in zip(('weight', '', 'mean', 'variance'), arrays):
        yield f'adam {name}', array


def all_results():
    parts = dense_results, encoder_results, training_results, masked_results, other_results
    return {name: array for part in parts for name, array in part()}


if __name__ == '__main__':
    np.savez(sys.argv[1], **all_results())
    sys.stdout.write(processor())
