"""What TensorFlow writes and reads, for test_tensorflow.py; run in a process of its own.

python tensorflow_writer.py write FOLDER
    FOLDER/bert: a tiny BERT as Google's scripts save it, its inputs and outputs in outputs.npz.
    FOLDER/{types,slices,shards,objects}: bundles of one kind each. All of them are read again.
python tensorflow_writer.py read PREFIX
    What TensorFlow reads from a checkpoint, in PREFIX.npz.
"""

import json
import os
import sys
from pathlib import Path

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'

import numpy as np
import tensorflow as tf

VOCAB, UNITS, HIDDEN, LAYERS, HEADS, POSITIONS, TYPES = 31, 12, 20, 2, 3, 16, 2
CONFIG = dict(
    vocab_size=VOCAB,
    hidden_size=UNITS,
    intermediate_size=HIDDEN,
    num_hidden_layers=LAYERS,
    num_attention_heads=HEADS,
    max_position_embeddings=POSITIONS,
    type_vocab_size=TYPES,
    hidden_act='gelu',
    hidden_dropout_prob=0.1,
    attention_probs_dropout_prob=0.1,
    initializer_range=0.02,
    directionality='bidi',
    pooler_type='first_token_transform',
)


def make_variables(rng):
    """All variables of BERT with its pre-training heads, wide enough that wrong maths shows."""
    shapes = {
        'bert/embeddings/word_embeddings': (VOCAB, UNITS),
        'bert/embeddings/token_type_embeddings': (TYPES, UNITS),
        'bert/embeddings/position_embeddings': (POSITIONS, UNITS),
        'cls/predictions/output_bias': (VOCAB,),
        'cls/seq_relationship/output_weights': (2, UNITS),
        'cls/seq_relationship/output_bias': (2,),
    }
    norms = ['bert/embeddings', 'cls/predictions/transform']
    dense = {'bert/pooler/dense': (UNITS, UNITS), 'cls/predictions/transform/dense': (UNITS, UNITS)}
    for i in range(LAYERS):
        layer = f'bert/encoder/layer_{i}'
        for part in ('self/query', 'self/key', 'self/value', 'output/dense'):
            dense[f'{layer}/attention/{part}'] = (UNITS, UNITS)
        dense[f'{layer}/intermediate/dense'] = (UNITS, HIDDEN)
        dense[f'{layer}/output/dense'] = (HIDDEN, UNITS)
        norms += [f'{layer}/attention/output', f'{layer}/output']
    for name, shape in dense.items():
        shapes.update({f'{name}/kernel': shape, f'{name}/bias': shape[1:]})
    for name in norms:
        shapes.update({f'{name}/LayerNorm/{kind}': (UNITS,) for kind in ('gamma', 'beta')})
    return {
        name: tf.constant(rng.normal(name.endswith('gamma'), 0.3, shape), tf.float32)
        for name, shape in shapes.items()
    }


def bert(variables, inputs, token_types, lengths, masked_positions):
    """Sequence, pooled vector, next-sentence and masked-word scores."""

    def dense(x, name):
        return x @ variables[f'{name}/kernel'] + variables[f'{name}/bias']

    def norm(x, name):
        mean, variance = tf.nn.moments(x, -1, keepdims=True)
        return (x - mean) / tf.sqrt(variance + 1e-12) * variables[
            f'{name}/LayerNorm/gamma'
        ] + variables[f'{name}/LayerNorm/beta']

    def gelu(x):
        return x * (1 + tf.math.erf(x / tf.sqrt(2.0))) / 2

    def heads(x):
        return tf.transpose(tf.reshape(x, (*x.shape[:2], HEADS, -1)), (0, 2, 1, 3))

    batch, length = inputs.shape
    words = variables['bert/embeddings/word_embeddings']
    x = (
        tf.gather(words, inputs)
        + tf.gather(variables['bert/embeddings/token_type_embeddings'], token_types)
        + variables['bert/embeddings/position_embeddings'][:length]
    )
    x = norm(x, 'bert/embeddings')
    mask = (1 - tf.sequence_mask(lengths, length, tf.float32))[:, None, None] * -10000
    for i in range(LAYERS):
        layer = f'bert/encoder/layer_{i}'
        query, key, value = (
            heads(dense(x, f'{layer}/attention/self/{part}')) for part in ('query', 'key', 'value')
        )
        scores = query @ tf.transpose(key, (0, 1, 3, 2)) / np.sqrt(UNITS // HEADS) + mask
        context = tf.transpose(tf.nn.softmax(scores) @ value, (0, 2, 1, 3))
        context = tf.reshape(context, (batch, length, UNITS))
        x = norm(x + dense(context, f'{layer}/attention/output/dense'), f'{layer}/attention/output')
        hidden = gelu(dense(x, f'{layer}/intermediate/dense'))
        x = norm(x + dense(hidden, f'{layer}/output/dense'), f'{layer}/output')
    pooled = tf.tanh(dense(x[:, 0], 'bert/pooler/dense'))
    next_sentence = (
        tf.matmul(pooled, variables['cls/seq_relationship/output_weights'], transpose_b=True)
        + variables['cls/seq_relationship/output_bias']
    )
    chosen = gelu(
        dense(tf.gather(x, masked_positions, batch_dims=1), 'cls/predictions/transform/dense')
    )
    chosen = norm(chosen, 'cls/predictions/transform')
    masked_lm = chosen @ tf.transpose(words) + variables['cls/predictions/output_bias']
    return dict(sequence=x, pooled=pooled, next_sentence=next_sentence, masked_lm=masked_lm)


def save(prefix, tensors):
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(tensors),
        shape_and_slices=[''] * len(tensors),
        tensors=[tf.convert_to_tensor(tensor) for tensor in tensors.values()],
    )


def write_bert(folder, rng):
    folder.mkdir()
    variables = make_variables(rng)
    slots = {
        f'{name}/{slot}': tf.zeros_like(variable)
        for name, variable in variables.items()
        for slot in ('adam_m', 'adam_v')
    }
    save(folder / 'bert_model.ckpt', {**variables, **slots, 'global_step': np.int64(7)})
    (folder / 'bert_config.json').write_text(json.dumps(CONFIG))
    tokens = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', *(f'word{i}' for i in range(26))]
    (folder / 'vocab.txt').write_text('\n'.join(tokens))
    inputs = dict(
        inputs=rng.integers(0, VOCAB, (3, 9)),
        token_types=rng.integers(0, TYPES, (3, 9)),
        lengths=np.array([9, 4, 6]),
        masked_positions=np.array([[1, 8], [0, 3], [5, 5]]),
    )
    np.savez(folder / 'outputs.npz', **inputs, **bert(variables, **inputs))


def write(folder):
    rng = np.random.default_rng(5)
    write_bert(folder / 'bert', rng)
    numbers = [[0, 1, 0], [3, 100, 2]]
    save(
        folder / 'types',
        {
            **{
                dtype: tf.cast(numbers, dtype)
                for dtype in (
                    'float32',
                    'float64',
                    'float16',
                    'bfloat16',
                    'int32',
                    'int64',
                    'int16',
                    'int8',
                    'uint8',
                    'bool',
                )
            },
            'scalar': np.float32(2.5),
            'empty': np.zeros((0, 4), 'float32'),
            'text': ['a', 'bc'],
        },
    )
    whole = np.arange(15, dtype='float32').reshape(5, 3)
    tf.raw_ops.SaveV2(
        prefix=str(folder / 'slices'),
        tensor_names=['sliced', 'sliced', 'whole'],
        shape_and_slices=['5 3 0,3:-', '5 3 3,2:-', ''],
        tensors=[whole[:3], whole[3:], whole],
    )
    for name in ('first', 'second'):
        save(folder / name, {name: whole})
    tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=[str(folder / 'first'), str(folder / 'second')],
        destination_prefix=str(folder / 'shards'),
        delete_old_dirs=False,
    )
    tf.train.Checkpoint(matrix=tf.Variable(whole)).write(str(folder / 'objects'))
    for name in ('bert/bert_model.ckpt', 'types', 'slices', 'shards', 'objects'):
        read(folder / name)


def read(prefix):
    reader = tf.train.load_checkpoint(str(prefix))
    arrays = {}
    for name, dtype in reader.get_variable_to_dtype_map().items():
        array = np.asarray(reader.get_tensor(name))
        simple = {tf.string: 'S', tf.bfloat16: 'float32'}.get(dtype, array.dtype)
        arrays[name] = array.astype(simple)
    np.savez(f'{prefix}.npz', **arrays)


if __name__ == '__main__':
    command, path = sys.argv[1:]
    {'write': write, 'read': read}[command](Path(path))
