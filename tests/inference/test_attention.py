# ruff: noqa: F811 (fixtures are imported)
"""Attention in NumPy: against the oracle, the Gluon network and transformers, of every family."""

import subprocess
import sys
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
from export_networks import FAMILY_CONFIGS, HEADS, checkpoint_of, initialized
from reference import bert as oracle
from script_runs import WORDS, byte_pair_tokenizer, tiny_pipeline, tokenizer  # noqa: F401

import gluon_bert as gb
from gluon_bert.checkpoint import read_checkpoint
from gluon_bert.data import Features, SentenceTransform, pad_batch
from gluon_bert.families import FAMILIES
from gluon_bert.inference.attention import attention_of, attention_probabilities, supports
from gluon_bert.inference.trained import TrainedNetwork, open_network

# Class of transformers -> changes of its configuration.
PEERS = {
    'BertForPreTraining': {'hidden_act': 'gelu_new', 'layer_norm_eps': 1e-3},
    'BertForSequenceClassification': {'num_labels': 3},
    'RobertaForMaskedLM': {'type_vocab_size': 1, 'layer_norm_eps': 1e-5},
    'XLMRobertaForTokenClassification': {'type_vocab_size': 1, 'num_labels': 4},
    'DistilBertForQuestionAnswering': {},
    'ErnieForTokenClassification': {'hidden_act': 'relu'},
    'ElectraModel': {'embedding_size': 16},
    'AlbertForMaskedLM': {'embedding_size': 40},
}


def some_features(config, seed, length):
    rng = np.random.RandomState(seed)
    ids = rng.randint(0, config.vocab_size, length).astype('int32')
    types = rng.randint(0, max(1, config.num_token_types), length).astype('int32')
    return Features(ids, types, length)


def trained(network, family, **changes):
    checkpoint = replace(checkpoint_of(network, family=family), **changes)
    return TrainedNetwork(checkpoint, network.kind)


@pytest.mark.parametrize('kind', HEADS)
@pytest.mark.parametrize('family', FAMILY_CONFIGS)
def test_equals_the_oracle_and_the_gluon_network(family, kind, make_model, seed):
    network = initialized(HEADS[kind](make_model(**FAMILY_CONFIGS[family])))
    bert = getattr(network, 'bert', network)
    for length in (1, 9, network.config.max_length):
        features = some_features(network.config, seed, length)
        found = attention_probabilities(trained(network, family), features)
        assert found.dtype == 'float32' and found.shape == (2, 3, length, length)
        parameters = bert.checkpoint_arrays()
        expected = oracle(bert.config, parameters, features.inputs, features.token_types)[3]
        np.testing.assert_allclose(found, np.stack(expected), atol=1e-5)
        arrays = [gluon_array(part) for part in pad_batch([features], 0)]
        gluon = np.concatenate(
            [layer.asnumpy() for layer in bert.layer_outputs(*arrays).attentions]
        )
        np.testing.assert_allclose(found, gluon, atol=1e-5)
        np.testing.assert_array_equal(attention_probabilities(network, features), found)


def gluon_array(array):
    from mxnet import nd

    return nd.array(array, dtype='float32')


@pytest.mark.parametrize('name', PEERS)
def test_equals_transformers(name, seed, tmp_path):
    import peers  # skips where there is no transformers

    network = peers.random_network(name, seed, **PEERS[name])
    network.set_attn_implementation('eager')
    network.save_pretrained(tmp_path)
    ours = TrainedNetwork(read_checkpoint(tmp_path))
    ids, types, _, _ = inputs = peers.make_inputs(network.config, [12], seed)
    arguments = peers.huggingface_inputs(*inputs[:3])
    if network.config.model_type == 'distilbert':
        del arguments['token_type_ids']
    with peers.torch.no_grad():
        layers = network(**arguments, output_attentions=True).attentions
    expected = np.concatenate([layer.numpy() for layer in layers])
    types = types if ours.config.num_token_types else np.zeros_like(types)
    features = Features(ids[0].astype('int32'), types[0].astype('int32'), 12)
    assert expected.shape == (ours.config.num_layers, 3, 12, 12)
    np.testing.assert_allclose(attention_probabilities(ours, features), expected, atol=1e-5)


def test_peers_are_of_all_families():
    prefixes = {row.class_prefix for row in FAMILIES.values()}
    assert {next(p for p in sorted(prefixes) if name.startswith(p)) for name in PEERS} == prefixes


@pytest.mark.weights
def test_real_weights(real_folder):
    network = open_network(real_folder)
    tokens = network.checkpoint.tokenizer
    found = attention_of(network, tokens, 'Rain falls.', 'Sun')
    assert found.tokens == ['[CLS]', 'rain', 'falls', '.', '[SEP]', 'sun', '[SEP]']
    assert found.num_first == 5 and found.probabilities.shape == (6, 12, 7, 7)
    features = SentenceTransform(tokens, 512)('Rain falls.', 'Sun')
    arrays = [gluon_array(part) for part in pad_batch([features], 0)]
    layers = network.gluon.layer_outputs(*arrays).attentions
    expected = np.concatenate([layer.asnumpy() for layer in layers])
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-5)
    cut = attention_of(network, tokens, 'rain ' * 99, max_length=8)
    assert cut.tokens == ['[CLS]', *['rain'] * 6, '[SEP]']


@pytest.mark.parametrize('task', ['text-classification', 'token-classification'])
def test_networks_of_pipelines(task, tiny_pipeline, tmp_path):  # those of a CRF, too
    tiny_pipeline(task, folder=tmp_path / 'a', **({'crf': True} if 'token' in task else {}))
    pipeline = gb.load_pipeline(tmp_path / 'a')
    found = gb.attention_of(pipeline.trained, pipeline.tokenizer, 'the cat sleeps')
    gluon = gb.attention_of(pipeline.network, pipeline.tokenizer, 'the cat sleeps')
    np.testing.assert_array_equal(found.probabilities, gluon.probabilities)
    np.testing.assert_allclose(found.probabilities.sum(axis=-1), 1, atol=1e-6)
    assert found.tokens == gluon.tokens == ['[CLS]', 'the', 'cat', 'sleeps', '[SEP]']


def test_the_first_text_of_a_pair(make_model, tokenizer, tmp_path):
    model = make_model(vocab_size=len(WORDS))
    found = attention_of(model, tokenizer, 'the cat sleeps', 'a dog')
    assert ' '.join(found.tokens[: found.num_first]) == '[CLS] the cat sleeps [SEP]'
    assert attention_of(model, tokenizer, 'the cat', '').num_first == 4
    pieces = byte_pair_tokenizer(tmp_path)  # whose token types do not tell
    model = make_model(vocab_size=len(pieces.vocabulary), num_token_types=0)
    found = attention_of(model, pieces, 'the', 'cat')
    assert found.tokens[found.num_first - 1 : found.num_first + 1] == ['</s>', '</s>']
    assert found.tokens[: found.num_first] == attention_of(model, pieces, 'the').tokens


@pytest.mark.parametrize('dtype', ['float16', 'float64'])
def test_weights_of_other_types(dtype, make_model, seed):
    model = make_model()
    arrays = {name: array.astype(dtype) for name, array in model.checkpoint_arrays().items()}
    features = some_features(model.config, seed, 9)
    found = attention_probabilities(trained(model, 'bert', arrays=arrays), features)
    expected = oracle(model.config, arrays, features.inputs, features.token_types)[3]
    np.testing.assert_allclose(found, np.stack(expected), atol=1e-5)


def test_what_cannot_be_computed_is_refused(make_model, seed):
    model = make_model()
    features = some_features(model.config, seed, 4)
    for changes, reason in (
        ({'inputs': np.array([0, 1, 97, 2])}, 'inputs of the features are from 0 to 97, .* to 96'),
        ({'inputs': np.array([0, -1, 9, 2])}, 'inputs of the features are from -1 to 9'),
        ({'token_types': np.array([0, 0, 2, 0])}, 'token_types of the features .* expected 0 to 1'),
        ({'inputs': np.zeros(3, 'int32')}, r'shape \(3,\), expected \(4,\)'),
        ({'valid_length': 0}, '0 tokens, expected 1 to 40'),
        ({'valid_length': 41}, '41 tokens, expected 1 to 40'),
    ):
        with pytest.raises(ValueError, match=reason):
            attention_probabilities(model, features._replace(**changes))
    arrays = dict(model.checkpoint_arrays())
    del arrays['encoder.transformer_cells.1.ffn.ffn_1.weight']
    with pytest.raises(ValueError, match='has no .*1.ffn.ffn_1.weight'):
        attention_probabilities(trained(model, 'bert', arrays=arrays), features)


def test_networks_with_nan_have_nan_and_no_warning(make_model, seed):
    model = make_model()
    arrays = {name: np.array(array) for name, array in model.checkpoint_arrays().items()}
    arrays['encoder.transformer_cells.0.proj.weight'][0] = np.nan
    arrays['encoder.transformer_cells.0.proj.weight'][1] = 3e38
    network = trained(model, 'bert', arrays=arrays)
    found = attention_probabilities(network, some_features(model.config, seed, 4))
    assert np.isfinite(found[0]).all() and np.isnan(found[1]).all()


@dataclass(frozen=True)
class LaterConfig(gb.BertConfig):
    """A configuration with a field of later networks."""

    rotary: bool = False


def test_configurations_of_later_networks_are_declined(tiny_config, seed):
    same = LaterConfig(**vars(tiny_config))
    assert supports(tiny_config) and supports(same)
    later, other = replace(same, rotary=True), replace(same)
    object.__setattr__(other, 'activation', 'swish')
    assert not supports(later) and not supports(other)
    with pytest.raises(ValueError, match='rotary=True.* is not computed'):
        attention_probabilities(SimpleNamespace(config=later), some_features(tiny_config, seed, 4))


@pytest.mark.weights
def test_mxnet_is_not_imported(real_folder):
    program = """
import sys
import gluon_bert as gb
from gluon_bert.inference.trained import open_network
network = open_network(sys.argv[1])
print(gb.attention_of(network, network.checkpoint.tokenizer, 'Rain falls.').probabilities.shape)
heavy = 'mxnet', 'gluonnlp', 'scipy', 'sklearn', 'matplotlib', 'torch'
print([name for name in heavy if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, '-c', program, str(real_folder)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ['(6, 12, 5, 5)', '[]']
