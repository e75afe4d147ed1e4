"""Google's BERT in TensorFlow checkpoints, and TensorFlow itself."""

import importlib.util
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest

from gluon_bert import BertForPretraining, BertModel
from gluon_bert.checkpoint.schema import Checkpoint
from gluon_bert.checkpoint.tensorflow.folder import read_tensorflow, write_tensorflow
from gluon_bert.checkpoint.tensorflow.names import HEADS, encoder_variables, head_variables
from gluon_bert.checkpoint.tensorflow.tensor_bundle import TensorBundle, write_bundle
from gluon_bert.config import BertConfig
from gluon_bert.data import BertTokenizer, read_vocab

PYTHON_VARIABLE = 'GLUON_BERT_TENSORFLOW_PYTHON'


def same(first, second):
    return first.keys() == second.keys() and all(
        first[name].dtype == second[name].dtype and np.array_equal(first[name], second[name])
        for name in first
    )


# Google's BERT


@pytest.fixture
def google(tiny_config):
    """A checkpoint with random arrays and the heads asked for."""

    def make(*heads, num_classes=3, source='random'):
        variables = encoder_variables(tiny_config)
        for head in heads:
            variables += head_variables(tiny_config, head, num_classes)
        arrays = {
            variable.common: np.random.normal(size=variable.common_shape).astype('float32')
            for variable in variables
        }
        return Checkpoint(arrays, tiny_config, source=source)

    return make


@pytest.fixture
def saved(google, tmp_path):
    """Its folder, and a function that puts other variables in place of those of the file."""
    folder = tmp_path / 'saved'
    write_tensorflow(google('pooler', 'next_sentence', 'masked_lm'), folder)

    def change(**tensors):
        kept = {**TensorBundle(folder / 'bert_model.ckpt'), **tensors}
        write_bundle(
            folder / 'bert_model.ckpt',
            {name: array for name, array in kept.items() if array is not None},
        )

    return folder, change


@pytest.mark.parametrize(
    'heads',
    [
        (),
        ('pooler',),
        ('pooler', 'next_sentence', 'masked_lm'),
        ('pooler', 'classifier'),
        ('span',),
        tuple(HEADS),
    ],
)
def test_round_trip_is_bit_equal(google, tmp_path, heads):
    first = google(*heads)
    write_tensorflow(first, tmp_path / 'new' / 'folder')
    for path in ('', 'bert_model.ckpt', 'bert_model.ckpt.index'):
        second = read_tensorflow(tmp_path / 'new' / 'folder' / path)
        assert same(first.arrays, dict(second.arrays))
    assert (second.config, second.family, second.tokenizer) == (first.config, 'bert', None)
    assert {*second.heads} == {*heads}
    assert all(array.flags.c_contiguous for array in second.arrays.values())


def test_a_tagger_comes_back_as_a_classifier(google, tmp_path):
    tagger = google('pooler', 'tagger', num_classes=7)
    write_tensorflow(tagger, tmp_path / 'tagger')
    arrays = read_tensorflow(tmp_path / 'tagger').arrays
    for kind in ('weight', 'bias'):
        np.testing.assert_array_equal(
            arrays[f'classifier.1.{kind}'], tagger.arrays[f'tag_classifier.{kind}']
        )


def test_vocabulary_keeps_the_order_of_its_ids(google, tmp_path):
    tokens = ['[UNK]', '[PAD]', '[CLS]', '[SEP]', '[MASK]', '\u2028', 'Word', 'b']
    (tmp_path / 'vocab.txt').write_text('\n'.join(tokens))
    for lower in (False, True):
        checkpoint = replace(
            google(), tokenizer=BertTokenizer(read_vocab(tmp_path / 'vocab.txt'), lower=lower)
        )
        write_tensorflow(checkpoint, tmp_path / f'uncased_{lower}')
        tokenizer = read_tensorflow(tmp_path / f'uncased_{lower}').tokenizer
        assert tokenizer.vocab.idx_to_token == tokens
        assert tokenizer.lower is lower


@pytest.mark.parametrize(
    'change, reason',
    [
        (dict(family='roberta'), 'roberta'),
        (dict(config=dict(num_token_types=0)), 'num_token_types'),
        (dict(config=dict(pooler_activation='relu')), 'pooler_activation'),
        (dict(config=dict(units=48)), r'word_embed\.0\.weight has shape \(97, 24\).*\(97, 48\)'),
        (dict(config=dict(num_layers=3)), r'it has no encoder\.transformer_cells\.2'),
        (dict(arrays={'extra': np.ones(1)}), 'extra has no name'),
    ],
)
def test_other_networks_cannot_be_written(google, tmp_path, change, reason):
    checkpoint = google()
    changes = dict(change)
    if 'config' in change:
        changes['config'] = replace(checkpoint.config, **change['config'])
    if 'arrays' in change:
        changes['arrays'] = {**checkpoint.arrays, **change['arrays']}
    with pytest.raises(ValueError, match=f'random: cannot be written.*{reason}'):
        write_tensorflow(replace(checkpoint, **changes), tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_nothing_is_overwritten(google, saved):
    with pytest.raises(ValueError, match='is there already'):
        write_tensorflow(google(), saved[0])


def test_other_variables_and_slots_are_left_out(saved):
    folder, change = saved
    before = dict(read_tensorflow(folder).arrays)
    kernel = 'bert/pooler/dense/kernel'
    change(
        **{f'{kernel}/{slot}': np.ones(2) for slot in ('adam_m', 'adam_v', 'Adam_1', 'm')},
        **{'bert/gone/adam_v': np.ones(2), 'global_step': np.int64(3), 'loss_scale': np.ones(1)},
    )
    assert same(before, dict(read_tensorflow(folder).arrays))


@pytest.mark.parametrize('heads_too', [True, False])
def test_a_scope_in_front_of_the_names_is_taken_off(saved, heads_too):
    folder, change = saved
    before = dict(read_tensorflow(folder).arrays)
    bundle = dict(TensorBundle(folder / 'bert_model.ckpt'))
    moved = {name: array for name, array in bundle.items() if heads_too or name.startswith('bert/')}
    change(**dict.fromkeys(moved), **{f'tower/0/{name}': moved[name] for name in moved})
    assert same(before, dict(read_tensorflow(folder).arrays))


@pytest.mark.parametrize(
    'change, reason',
    [
        (
            {'bert/encoder/layer_2/output/dense/bias': np.ones(24, 'f')},
            'layer_2/output/dense/bias, w',
        ),
        ({'bert/pooler/dense/kernel': None}, 'has no variable bert/pooler/dense/kernel'),
        ({'cls/predictions/output_bias': None}, 'has no variable cls/predictions/output_bias'),
        ({'output_bias': np.ones(3, 'f')}, 'has no variable output_weights'),
        (
            {'output_bias': np.ones(3, 'f'), 'output_weights': np.ones((4, 24), 'f')},
            r'output_bias is',
        ),
        ({'bert/embeddings/word_embeddings': np.ones((96, 24), 'f')}, r'\(96, 24\), .*\(97, 24\)'),
        ({'bert/pooler/dense/bias': np.ones(24, 'int32')}, 'is int32'),
        ({'bert/embeddings/word_embeddings': None}, 'not Google.s BERT'),
        (
            {'bert/embeddings/word_embeddings': None, '_CHECKPOINTABLE_OBJECT_GRAPH': np.ones(1)},
            'an object-based checkpoint',
        ),
        (
            {
                'bert/embeddings/word_embeddings': None,
                'a/bert/embeddings/word_embeddings': np.ones(1),
                'b/bert/embeddings/word_embeddings': np.ones(1),
            },
            'several networks, in a/, b/',
        ),
    ],
)
def test_variables_that_are_no_bert_are_named(saved, change, reason):
    saved[1](**change)
    with pytest.raises(ValueError, match=rf'bert_model\.ckpt\.index: .*{reason}'):
        read_tensorflow(saved[0])


def test_many_layers_are_refused_at_once(saved):
    path = saved[0] / 'bert_config.json'
    path.write_text(path.read_text().replace('_layers": 2', '_layers": 1000000000000000'))
    with pytest.raises(ValueError, match='too few for 1000000000000000 layers'):
        read_tensorflow(saved[0])


def test_checkpoint_without_configuration(saved):
    (saved[0] / 'bert_config.json').unlink()
    with pytest.raises(FileNotFoundError, match=r'bert_config\.json'):
        read_tensorflow(saved[0])


def test_which_checkpoint_of_a_folder(saved):
    folder, _ = saved

    def copy(name):
        for file in folder.glob('bert_model.ckpt.*'):
            (folder / file.name.replace('bert_model.ckpt', name)).write_bytes(file.read_bytes())

    copy('model.ckpt-9')
    assert Path(read_tensorflow(folder).source) == folder / 'bert_model.ckpt'
    for file in folder.glob('bert_model.ckpt.*'):
        file.unlink()
    assert Path(read_tensorflow(folder).source) == folder / 'model.ckpt-9'
    copy_of = folder / 'model.ckpt-9.index'
    (folder / 'model.ckpt-10.index').write_bytes(copy_of.read_bytes())
    with pytest.raises(ValueError, match=r'2 checkpoints.*: model\.ckpt-10, model\.ckpt-9$'):
        read_tensorflow(folder)
    (folder / 'checkpoint').write_text('model_checkpoint_path: "/gone/model.ckpt-9"\nx: "y"\n')
    assert Path(read_tensorflow(folder).source) == folder / 'model.ckpt-9'
    with pytest.raises(FileNotFoundError, match='has no TensorFlow checkpoint'):
        read_tensorflow(folder.parent)


# Published files


def expected_shapes(config):
    """Of a network with its pre-training heads, by common names."""
    model = BertForPretraining(BertModel(config))
    shapes = {}
    for name, parts in model.checkpoint_names():
        rows, *rest = model._collect_params_with_prefix()[name].shape
        shapes.update((part, (rows // len(parts), *rest)) for part in parts)
    return {name: shape for name, shape in shapes.items() if name != 'decoder.3.weight'}


@pytest.mark.data
def test_real_checkpoint_with_slots(shared_data):
    folder = shared_data / 'checkpoints' / 'tf_ckpt_keras-bert_random_tiny'
    bundle = TensorBundle(folder / 'bert_model.ckpt')
    # Its tensors lie one after another, in the order of their names.
    assert len(bundle) == 139
    assert (
        b''.join(array.tobytes() for array in bundle.values())
        == (folder / 'bert_model.ckpt.data-00000-of-00001').read_bytes()
    )
    checkpoint = read_tensorflow(folder)
    assert checkpoint.heads == ('pooler', 'next_sentence', 'masked_lm')
    assert len(checkpoint.tokenizer.vocab) == 15 and checkpoint.tokenizer.lower
    model = BertForPretraining(BertModel(checkpoint.config))
    model.load_arrays(checkpoint.arrays, source=checkpoint.source, ctx=mx.cpu())
    for name, shape in expected_shapes(checkpoint.config).items():
        assert checkpoint.arrays[name].shape == shape


@pytest.mark.data
def test_real_index_of_the_chinese_model(shared_data):
    folder = shared_data / 'checkpoints' / 'tf_index_only_chinese_L-12_H-768_A-12'
    checkpoint = read_tensorflow(folder)
    assert checkpoint.config == BertConfig(
        vocab_size=21128,
        units=768,
        hidden_size=3072,
        num_layers=12,
        num_heads=12,
        max_length=512,
        num_token_types=2,
        dropout=0.1,
        layer_norm_eps=1e-12,
        activation='gelu',
        pooler_activation='tanh',
    )
    shapes = {name: checkpoint.arrays.shape(name) for name in checkpoint.arrays}
    assert shapes == expected_shapes(checkpoint.config)
    assert len(shapes) == len(TensorBundle(folder / 'bert_model.ckpt')) == 206
    with pytest.raises(FileNotFoundError, match=r'bert_model\.ckpt\.data-00000-of-00001'):
        checkpoint.arrays['pooler.bias']


# TensorFlow itself


@pytest.fixture(scope='module')
def tensorflow():
    """Run tensorflow_writer.py: TensorFlow and MXNet do not live in one process."""
    python = os.environ.get(PYTHON_VARIABLE)
    if not python and importlib.util.find_spec('tensorflow'):
        python = sys.executable
    if not python:
        pytest.skip(f'needs TensorFlow: set {PYTHON_VARIABLE} to a Python that has it')

    def run(command, path):
        script = Path(__file__).parents[1] / 'tensorflow_writer.py'
        result = subprocess.run([python, script, command, path], capture_output=True, text=True)
        assert result.returncode == 0, result.stderr

    return run


def read_by_tensorflow(prefix):
    return dict(np.load(f'{prefix}.npz'))


@pytest.fixture(scope='module')
def written(tensorflow, tmp_path_factory):
    folder = tmp_path_factory.mktemp('tensorflow')
    tensorflow('write', folder)
    return folder


def test_outputs_are_those_of_tensorflow(written):
    checkpoint = read_tensorflow(written / 'bert')
    model = BertForPretraining(BertModel(checkpoint.config))
    model.load_arrays(checkpoint.arrays, source=checkpoint.source, ctx=mx.cpu())
    expected = np.load(written / 'bert' / 'outputs.npz')
    output = model(
        *(
            mx.nd.array(expected[name])
            for name in ('inputs', 'token_types', 'lengths', 'masked_positions')
        )
    )
    for row, length in enumerate(expected['lengths']):
        np.testing.assert_allclose(
            output.sequence[row].asnumpy()[:length], expected['sequence'][row, :length], atol=1e-5
        )
    for name in ('pooled', 'next_sentence', 'masked_lm'):
        np.testing.assert_allclose(getattr(output, name).asnumpy(), expected[name], atol=1e-5)


@pytest.mark.parametrize(
    'name, num_refused',
    [('bert/bert_model.ckpt', 0), ('types', 1), ('slices', 1), ('shards', 0), ('objects', 1)],
)
def test_all_kinds_of_bundles_agree_with_tensorflow(written, name, num_refused):
    bundle, expected = TensorBundle(written / name), read_by_tensorflow(written / name)
    assert bundle.shapes == {key: array.shape for key, array in expected.items()}
    refused = {key for key, dtype in bundle.dtypes.items() if dtype == 'string' or key == 'sliced'}
    assert len(refused) == num_refused
    for key in refused:
        del expected[key]
        with pytest.raises(ValueError, match='only'):
            bundle[key]
    assert same(expected, {key: bundle[key] for key in bundle if key not in refused})


def test_tensorflow_reads_what_we_write(tensorflow, google, tmp_path):
    prefix = tmp_path / 'bert' / 'bert_model.ckpt'
    write_tensorflow(google(*HEADS), prefix.parent)
    tensorflow('read', prefix)
    assert same(dict(TensorBundle(prefix)), read_by_tensorflow(prefix))


def test_tensorflow_reads_all_types_that_we_write(tensorflow, tmp_path):
    tensors = {
        dtype: np.array([[0, 1], [1, 100]]).astype(dtype)
        for dtype in (
            'float32',
            'float64',
            'float16',
            'int32',
            'int64',
            'int16',
            'int8',
            'uint8',
            'uint16',
            'uint32',
            'uint64',
            'bool',
        )
    }
    tensors.update(scalar=np.array(2.5), empty=np.zeros((0, 4), 'float32'))
    write_bundle(tmp_path / 'x', tensors)
    tensorflow('read', tmp_path / 'x')
    assert same(tensors, read_by_tensorflow(tmp_path / 'x'))


@pytest.mark.data
def test_tensorflow_agrees_on_the_real_checkpoint(tensorflow, shared_data, tmp_path):
    folder = shared_data / 'checkpoints' / 'tf_ckpt_keras-bert_random_tiny'
    for file in folder.glob('bert_model.ckpt.*'):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tensorflow('read', tmp_path / 'bert_model.ckpt')
    assert same(
        dict(TensorBundle(tmp_path / 'bert_model.ckpt')),
        read_by_tensorflow(tmp_path / 'bert_model.ckpt'),
    )
