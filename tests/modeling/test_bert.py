"""The encoder against the NumPy oracle, and the properties its users rely on."""

from dataclasses import replace

import mxnet as mx
import numpy as np
import pytest
from reference import bert as oracle

from gluon_bert import BertModel, mean_pool

CONFIGURATIONS = [
    {},
    {'activation': 'gelu_tanh'},
    {'activation': 'relu'},
    {'num_token_types': 1},
    {'num_token_types': 0},
    {'num_token_types': 0, 'pooler_activation': 'relu'},
    {'layer_norm_eps': 1e-5},
    {'layer_norm_eps': 1e-2, 'activation': 'gelu_tanh'},
    {'num_layers': 1, 'num_heads': 1},
    {'num_layers': 4, 'units': 32, 'num_heads': 8},
    {'units': 6, 'hidden_size': 5, 'num_heads': 2},
    {'max_length': 9},
    {'pooler_activation': 'gelu'},
    {'embedding_units': 7},
    {'embedding_units': 40, 'num_token_types': 0, 'pooler_activation': 'gelu'},
    {'embedding_units': 24},
    {'share_layers': True, 'num_layers': 3},
    {'share_layers': True, 'embedding_units': 7, 'activation': 'gelu_tanh'},
]


def parameters_of(model):
    return model.checkpoint_arrays()


@pytest.mark.parametrize('changes', CONFIGURATIONS, ids=str)
@pytest.mark.parametrize('hybridized', [False, True])
def test_equals_the_oracle(make_model, ragged, changes, hybridized):
    model = make_model(**changes)
    if hybridized:
        model.hybridize()
    batch = ragged(model.config, [9, 1, 4, 7])
    sequence, pooled = model(*batch.arrays())
    for row, length in enumerate(batch.lengths):
        expected = oracle(
            model.config,
            parameters_of(model),
            batch.inputs[row, :length],
            batch.token_types[row, :length],
        )
        np.testing.assert_allclose(sequence[row, :length].asnumpy(), expected[0], atol=2e-5)
        np.testing.assert_allclose(pooled[row].asnumpy(), expected[1], atol=2e-5)


@pytest.mark.parametrize('changes', [{}, {'share_layers': True, 'embedding_units': 7}], ids=str)
def test_layer_outputs_equal_the_oracle(make_model, ragged, changes):
    model = make_model(**changes)
    batch = ragged(model.config, [6, 3])
    outputs = model.layer_outputs(*batch.arrays())
    assert (len(outputs.encodings), len(outputs.attentions)) == (3, 2)
    for row, length in enumerate(batch.lengths):
        _, _, encodings, attentions = oracle(
            model.config,
            parameters_of(model),
            batch.inputs[row, :length],
            batch.token_types[row, :length],
        )
        for ours, expected in zip(outputs.encodings, encodings):
            np.testing.assert_allclose(ours[row, :length].asnumpy(), expected, atol=2e-5)
        for ours, expected in zip(outputs.attentions, attentions):
            probabilities = ours[row].asnumpy()  # (H, T, T)
            np.testing.assert_allclose(probabilities[:, :length, :length], expected, atol=2e-5)
            assert not probabilities[:, :, length:].any()


def test_last_encoding_is_the_sequence(make_model, ragged):
    model = make_model()
    model.hybridize()
    batch = ragged(model.config, [5, 2])
    last = model.layer_outputs(*batch.arrays()).encodings[-1]
    np.testing.assert_array_equal(last.asnumpy(), model(*batch.arrays()).sequence.asnumpy())


def test_padding_has_no_influence(make_model, ragged):
    model = make_model(wide=3.0)  # scores of many hundreds
    batch = ragged(model.config, [8, 3, 1])
    before = model(*batch.arrays())
    for row, length in enumerate(batch.lengths):
        batch.inputs[row, length:] = np.random.randint(0, 97, 8 - length)
        batch.token_types[row, length:] = 1
    after = model(*batch.arrays())
    np.testing.assert_array_equal(before.sequence.asnumpy(), after.sequence.asnumpy())
    np.testing.assert_array_equal(before.pooled.asnumpy(), after.pooled.asnumpy())


def test_rows_past_the_valid_length_are_zero(make_model, ragged):
    model = make_model()
    batch = ragged(model.config, [4, 2], width=7)
    sequence = model(*batch.arrays()).sequence.asnumpy()
    assert not sequence[0, 4:].any() and not sequence[1, 2:].any()
    assert sequence[0, :4].all() and sequence[1, :2].all()


def test_alone_and_in_a_batch_are_the_same(make_model, ragged):
    model = make_model()
    batch = ragged(model.config, [9, 5, 2, 7])
    together = model(*batch.arrays()).sequence.asnumpy()
    for row, length in enumerate(batch.lengths):
        alone = model(
            mx.nd.array(batch.inputs[row : row + 1, :length]),
            mx.nd.array(batch.token_types[row : row + 1, :length]),
        )
        np.testing.assert_allclose(alone.sequence[0].asnumpy(), together[row, :length], atol=1e-5)


def test_order_of_the_batch_does_not_matter(make_model, ragged):
    model = make_model()
    batch = ragged(model.config, [9, 5, 2, 7])
    order = np.array([2, 0, 3, 1])
    pooled = model(*batch.arrays()).pooled.asnumpy()
    permuted = model(*(part[mx.nd.array(order)] for part in batch.arrays())).pooled.asnumpy()
    np.testing.assert_allclose(permuted, pooled[order], atol=1e-6)


def test_integer_and_float_inputs_are_the_same(make_model, ragged):
    model = make_model()
    batch = ragged(model.config, [5, 3])
    integers = model(*(part.astype('int32') for part in batch.arrays()))
    np.testing.assert_array_equal(
        integers.sequence.asnumpy(), model(*batch.arrays()).sequence.asnumpy()
    )


def test_every_parameter_gets_a_gradient(make_model, ragged):
    model = make_model()
    model.hybridize()
    batch = ragged(model.config, [model.config.max_length] * 6)
    with mx.autograd.record():
        sequence, pooled = model(*batch.arrays())
        loss = (sequence**2).sum() + pooled.sum()
    loss.backward()
    without = [
        name
        for name, parameter in model.collect_params().items()
        if not parameter.grad().asnumpy().any()
    ]
    assert without == []


def test_outputs_keep_their_names_when_hybridized(make_model, ragged):
    model = make_model()
    batch = ragged(model.config, [3])
    assert model(*batch.arrays())._fields == ('sequence', 'pooled')
    model.hybridize()
    assert model(*batch.arrays())._fields == ('sequence', 'pooled')


def test_without_pooler_the_sequence_comes_alone(make_model, ragged):
    model = make_model(use_pooler=False)
    batch = ragged(model.config, [3, 2])
    assert model(*batch.arrays()).shape == (2, 3, 24)


def test_too_long_a_sequence_is_refused(make_model):
    model = make_model(max_length=6)
    with pytest.raises(ValueError, match='7 tokens .* max_length=6'):
        model(mx.nd.ones((2, 7)))


@pytest.mark.parametrize(
    'shapes, message',
    [
        (((2, 3), (2, 4), (2,)), r'\(2, 3\) and \(2, 4\)'),
        (((6,), (6,), (6,)), 'shape'),
        (((2, 3), (2, 3), (3,)), r'valid_length has shape \(3,\), expected \(2,\)'),
    ],
)
def test_shapes_that_do_not_fit_are_named(make_model, shapes, message):
    with pytest.raises(ValueError, match=message):
        make_model()(*map(mx.nd.ones, shapes))


def test_initial_weights_are_normal_with_width_0_02(tiny_config):
    model = BertModel(replace(tiny_config, vocab_size=3000))
    model.initialize()
    word = model.embeddings.word.weight.data().asnumpy()
    assert abs(word.mean()) < 1e-3 and abs(word.std() - 0.02) < 1e-3
    weight = model.layers[0].expand.weight.data().asnumpy()
    assert abs(weight.std() - 0.02) < 2e-3
    assert not model.layers[0].expand.bias.data().asnumpy().any()


@pytest.mark.filterwarnings('ignore:Cannot decide type:UserWarning')
def test_exported_network_gives_the_same(make_model, ragged, tmp_path):
    model = make_model()
    model.hybridize()
    batch = ragged(model.config, [5, 2])
    expected = model(*batch.arrays())
    model.export(str(tmp_path / 'bert'))
    block = mx.gluon.SymbolBlock.imports(
        str(tmp_path / 'bert-symbol.json'),
        ['data0', 'data1', 'data2'],
        str(tmp_path / 'bert-0000.params'),
    )
    sequence, pooled = block(*batch.arrays())
    np.testing.assert_array_equal(sequence.asnumpy(), expected.sequence.asnumpy())
    np.testing.assert_array_equal(pooled.asnumpy(), expected.pooled.asnumpy())


def test_mean_pool_is_the_mean_of_valid_rows_scaled_to_length_one(make_model, ragged):
    model = make_model()
    batch = ragged(model.config, [5, 2])
    sequence = model(*batch.arrays()).sequence
    vectors = mean_pool(sequence, mx.nd.array(batch.lengths)).asnumpy()
    for row, length in enumerate(batch.lengths):
        mean = sequence[row, :length].asnumpy().mean(axis=0)
        np.testing.assert_allclose(vectors[row], mean / np.linalg.norm(mean), atol=1e-6)
