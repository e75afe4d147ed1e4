"""Parameter files: round trips, GluonNLP's classes, damaged files."""

import struct

import mxnet as mx
import numpy as np
import pytest
from test_bert import parameters_of
from test_heads import make_pretraining

from gluon_bert import BertClassifier, BertModel
from gluon_bert.checkpoint.gluonnlp.files import read_gluonnlp
from gluon_bert.checkpoint.gluonnlp.params_file import read_params, write_params


def same(first, second):
    first, second = parameters_of(first), parameters_of(second)
    return first.keys() == second.keys() and all(
        np.array_equal(first[name], second[name]) for name in first
    )


def test_save_and_load_is_bit_equal(make_model, tmp_path):
    model, other = make_model(), make_model()
    assert not same(model, other)
    model.save_parameters(tmp_path / 'bert.params')
    other.load_parameters(tmp_path / 'bert.params')
    assert same(model, other)


def test_arrays_given_stay_what_they_are(make_model, tiny_config):
    arrays = make_model().checkpoint_arrays()
    before = {name: array.copy() for name, array in arrays.items()}
    first, second = BertModel(tiny_config), BertModel(tiny_config)
    for model in (first, second):
        model.load_arrays(arrays, 'memory', ctx=mx.cpu())
    for parameter in first.collect_params().values():
        parameter.set_data(parameter.data() + 1)
        parameter.data()[:] += 1
    mx.nd.waitall()
    assert all(np.array_equal(before[name], array) for name, array in arrays.items())
    assert all(array.flags.writeable for array in arrays.values())
    assert all(
        np.array_equal(before[name], array) for name, array in second.checkpoint_arrays().items()
    )


@pytest.mark.parametrize('dtype', ['float16', 'float64'])
def test_other_precisions_are_cast(make_model, tiny_config, tmp_path, dtype):
    model = make_model()
    write_params(
        tmp_path / 'a.params',
        {name: array.astype(dtype) for name, array in model.checkpoint_arrays().items()},
    )
    other = BertModel(tiny_config)
    other.load_checkpoint(read_gluonnlp(tmp_path / 'a.params', config=tiny_config), ctx=mx.cpu())
    arrays = other.checkpoint_arrays()
    assert {array.dtype.name for array in arrays.values()} == {'float32'}
    for name, array in model.checkpoint_arrays().items():
        np.testing.assert_allclose(arrays[name], array, atol=1e-3, rtol=1e-3)


def test_gradients_begin_as_zeros_and_training_works_after_loading(
    make_model, tiny_config, ragged, tmp_path
):
    make_model().save_parameters(tmp_path / 'bert.params')
    model = BertModel(tiny_config)
    model.load_parameters(tmp_path / 'bert.params', ctx=mx.cpu())
    batch = ragged(tiny_config, [5, 3])
    assert all(
        not parameter.grad().asnumpy().any() for parameter in model.collect_params().values()
    )
    with mx.autograd.record():
        loss = model(*batch.arrays()).pooled.sum()
    loss.backward()
    assert all(parameter.grad().asnumpy().any() for parameter in model.collect_params().values())


def test_load_into_a_network_without_values(make_model, tiny_config, tmp_path):
    model, other = make_model(), BertModel(tiny_config)
    model.save_parameters(tmp_path / 'bert.params')
    other.load_parameters(tmp_path / 'bert.params', ctx=mx.cpu())
    assert same(model, other)


@pytest.mark.parametrize('dropout, position', [(0.1, 1), (0.0, 0)])
def test_classifier_file_has_gluonnlp_names(make_model, tmp_path, dropout, position):
    classifier = BertClassifier(make_model(), num_classes=3, dropout=dropout)
    classifier.classifier.initialize()
    classifier.save_parameters(tmp_path / 'classifier.params')
    names = set(read_params(tmp_path / 'classifier.params'))
    assert {
        f'classifier.{position}.weight',
        'bert.word_embed.0.weight',
        'bert.encoder.transformer_cells.1.attention_cell.proj_key.bias',
    } <= names
    assert len(names) == 5 + 2 * 16 + 2 + 2


def gluonnlp_model(config, **heads):
    from gluonnlp.model.bert import BERTEncoder, BERTModel

    encoder = BERTEncoder(
        units=config.units,
        hidden_size=config.hidden_size,
        num_layers=config.num_layers,
        num_heads=config.num_heads,
        max_length=config.max_length,
        dropout=config.dropout,
    )
    return BERTModel(
        encoder,
        config.vocab_size,
        token_type_vocab_size=config.num_token_types,
        units=config.units,
        embed_size=config.units,
        **heads,
    )


def test_gluonnlp_loads_what_we_save_and_agrees(make_model, ragged, tmp_path):
    model = make_pretraining(make_model())
    model.save_parameters(tmp_path / 'bert.params')
    theirs = gluonnlp_model(model.config)
    theirs.load_parameters(str(tmp_path / 'bert.params'))
    batch = ragged(model.config, [7, 4])
    positions = mx.nd.array([[1, 2], [0, 3]])
    for ours, expected in zip(
        model(*batch.arrays(), positions), theirs(*batch.arrays(), positions)
    ):
        np.testing.assert_allclose(ours.asnumpy(), expected.asnumpy(), atol=1e-5)


@pytest.mark.parametrize('deduplicate', [False, True])
def test_we_load_what_gluonnlp_saves_and_agree(make_model, ragged, tmp_path, deduplicate):
    model = make_pretraining(make_model())
    theirs = gluonnlp_model(model.config)
    theirs.initialize(mx.init.Normal(0.3))
    batch = ragged(model.config, [7, 4])
    positions = mx.nd.array([[1, 2], [0, 3]])
    expected = theirs(*batch.arrays(), positions)
    theirs.save_parameters(str(tmp_path / 'bert.params'), deduplicate=deduplicate)
    model.load_parameters(tmp_path / 'bert.params')
    for ours, output in zip(model(*batch.arrays(), positions), expected):
        np.testing.assert_allclose(ours.asnumpy(), output.asnumpy(), atol=1e-5)


def test_encoder_takes_its_part_of_a_file_with_heads(make_model, tmp_path):
    model = make_pretraining(make_model())
    model.save_parameters(tmp_path / 'bert.params')
    encoder = make_model()
    with pytest.raises(ValueError, match='decoder.0.bias'):
        encoder.load_parameters(tmp_path / 'bert.params')
    encoder.load_parameters(tmp_path / 'bert.params', ignore_extra=True)
    assert same(encoder, model.bert)


def test_missing_parameters_are_listed_and_nothing_is_changed(make_model, tmp_path):
    model = make_model()
    before = parameters_of(model)
    arrays = {name: array + 1 for name, array in before.items()}
    del arrays['pooler.weight']
    write_params(tmp_path / 'part.params', arrays)
    with pytest.raises(ValueError, match=r'part\.params: has no pooler\.weight'):
        model.load_parameters(tmp_path / 'part.params')
    after = parameters_of(model)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_another_shape_is_named(make_model, tmp_path):
    make_model(units=48).save_parameters(tmp_path / 'wide.params')
    with pytest.raises(
        ValueError,
        match=r'wide\.params: embeddings\.word\.weight has shape '
        r'\(97, 48\), the model needs \(97, 24\)',
    ):
        make_model().load_parameters(tmp_path / 'wide.params')


@pytest.mark.parametrize('fraction', [0, 0.0001, 0.3, 0.999])
def test_truncated_file_is_refused(make_model, tmp_path, fraction):
    path = tmp_path / 'bert.params'
    make_model().save_parameters(path)
    path.write_bytes(path.read_bytes()[: int(fraction * path.stat().st_size)])
    with pytest.raises(ValueError, match=r'bert\.params: not a whole MXNet parameter file'):
        make_model().load_parameters(path)


def test_file_that_claims_too_much_is_refused_before_memory_is_taken(tmp_path):
    header = struct.pack('<QQQ', 0x112, 0, 1)
    array = struct.pack('<IiIqqiii', 0xF993FAC9, 0, 2, 1 << 40, 1 << 20, 1, 0, 0)
    (tmp_path / 'huge.params').write_bytes(header + array + b'\0' * 64)
    with pytest.raises(ValueError, match='shorter than the arrays it claims'):
        read_params(tmp_path / 'huge.params')


def test_pickle_is_not_executed(tmp_path):
    import pickle

    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / 'executed'), 'w'))

    (tmp_path / 'bomb.params').write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match='does not begin as one'):
        read_params(tmp_path / 'bomb.params')
    assert not (tmp_path / 'executed').exists()


def test_missing_file_is_named(make_model, tmp_path):
    with pytest.raises(FileNotFoundError, match=r'none\.params'):
        make_model().load_parameters(tmp_path / 'none.params')


def test_failed_write_leaves_the_former_file(tmp_path):
    write_params(tmp_path / 'a.params', {'x': np.ones(3, 'float32')})

    class Failing(dict):
        def __getitem__(self, name):
            raise OSError('disk full')

    with pytest.raises(OSError, match='disk full'):
        write_params(tmp_path / 'a.params', Failing(x=np.zeros(3, 'float32')))
    assert read_params(tmp_path / 'a.params')['x'].tolist() == [1, 1, 1]
    assert [path.name for path in tmp_path.iterdir()] == ['a.params']
