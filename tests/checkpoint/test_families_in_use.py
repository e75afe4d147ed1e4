"""Every family of transformers beside the first four: files, training, and the fast form."""

import mxnet as mx
import numpy as np
import pytest
from peers import make_inputs, our_network, our_outputs, random_network

import gluon_bert as gb
from gluon_bert.checkpoint import read_checkpoint, write_checkpoint
from gluon_bert.kernels.support import supports

# Class of transformers, changes of its configuration, the network here.
NETWORKS = [
    ('XLMRobertaForMaskedLM', {}),
    ('XLMRobertaForSequenceClassification', {'num_labels': 3}),
    ('XLMRobertaForTokenClassification', {'num_labels': 4}),
    ('XLMRobertaForQuestionAnswering', {}),
    ('ElectraForMaskedLM', {'embedding_size': 16}),
    ('ElectraForSequenceClassification', {'num_labels': 3, 'embedding_size': 24}),
    ('ElectraForSequenceClassification', {'embedding_size': 16}),
    ('ElectraForTokenClassification', {'num_labels': 4, 'embedding_size': 16}),
    ('ElectraForQuestionAnswering', {'embedding_size': 24}),
    ('AlbertForPreTraining', {'embedding_size': 16}),
    ('AlbertForSequenceClassification', {'num_labels': 3, 'embedding_size': 16}),
    ('AlbertForTokenClassification', {'num_labels': 4, 'embedding_size': 24}),
    ('AlbertForQuestionAnswering', {'embedding_size': 16}),
]
LENGTHS = [9, 1, 12, 5]


@pytest.fixture(params=NETWORKS, ids=lambda case: f'{case[0]}-{case[1]}')
def case(request, tmp_path, seed):
    """A network of transformers and its checkpoint."""
    name, changes = request.param
    network = random_network(name, seed, **changes)
    network.save_pretrained(tmp_path / 'theirs')
    return network, read_checkpoint(tmp_path / 'theirs')


def test_params_file_holds_the_same(case, tmp_path, seed):
    network, checkpoint = case
    write_checkpoint(checkpoint, tmp_path / 'a.params')
    again = read_checkpoint(tmp_path / 'a.params')
    assert (again.family, again.heads) == (checkpoint.family, checkpoint.heads)
    # GluonNLP's RoBERTa has no token types: the only one is added to the positions.
    merged = again.config.num_token_types != checkpoint.config.num_token_types
    if not merged:
        assert again.config == checkpoint.config
        for name in checkpoint.arrays:
            np.testing.assert_array_equal(again.arrays[name], checkpoint.arrays[name], name)
    inputs = make_inputs(network.config, LENGTHS, seed)
    expected = our_outputs(our_network(checkpoint), inputs)
    for name, array in our_outputs(our_network(again), inputs).items():
        np.testing.assert_allclose(array, expected[name], atol=1e-5 if merged else 0)


def test_saved_network_is_loaded_again(case, tmp_path, seed):
    network, checkpoint = case
    first, second = our_network(checkpoint), our_network(checkpoint)
    for parameter in second.collect_params().values():
        parameter.set_data(parameter.data() * 0)
    first.save_parameters(tmp_path / 'a.params')
    second.load_parameters(tmp_path / 'a.params')
    inputs = make_inputs(network.config, LENGTHS, seed)
    expected = our_outputs(first, inputs)
    for name, array in our_outputs(second, inputs).items():
        np.testing.assert_array_equal(array, expected[name])


def test_predictor_gives_the_same(case, seed):
    network, checkpoint = case
    ours = our_network(checkpoint)
    predictor = gb.Predictor(ours)
    assert not predictor.is_native or supports(checkpoint.config)
    *arrays, positions = (mx.nd.array(part) for part in make_inputs(network.config, LENGTHS, seed))
    others = [positions] if hasattr(ours, 'masked_lm') else []
    given, expected = predictor(*arrays, *others), ours(*arrays, *others)
    parts = [(given, expected)] if isinstance(given, mx.nd.NDArray) else zip(given, expected)
    valid = np.arange(max(LENGTHS)) < np.array(LENGTHS)[:, None]
    for one, other in parts:
        one, other = one.asnumpy(), other.asnumpy()
        if one.shape[:2] == valid.shape:
            one, other = one[valid], other[valid]
        np.testing.assert_allclose(one, other, atol=2e-5 * max(1, abs(other).max()))


@pytest.mark.parametrize(
    'network', sorted({name for name, _ in NETWORKS if not name.endswith(('MaskedLM', 'Training'))})
)
def test_fine_tuning_reduces_the_loss(network, tmp_path, seed):
    theirs = random_network(network, seed)
    theirs.save_pretrained(tmp_path / 'theirs')
    ours = our_network(read_checkpoint(tmp_path / 'theirs'))
    for parameter in ours.collect_params().values():
        if not parameter.name.endswith(('gamma', 'beta', 'bias')):
            parameter.set_data(parameter.data() * 0.2)
    ids, types, lengths, _ = make_inputs(theirs.config, LENGTHS, seed)
    arrays = [mx.nd.array(part) for part in (ids, types, lengths)]
    shape = ours(*arrays).shape
    labels = mx.nd.array(np.random.randint(0, 2, shape[:-1]))
    loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = mx.gluon.Trainer(ours.collect_params(), 'adam', {'learning_rate': 2e-3})
    losses = []
    for _ in range(12):
        with mx.autograd.record(train_mode=False):
            value = loss(ours(*arrays), labels).mean()
        value.backward()
        trainer.step(1)
        losses.append(float(value.asscalar()))
    assert losses[-1] < 0.8 * losses[0], losses
