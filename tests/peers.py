"""The same network in transformers on PyTorch, to compare to."""

import json

import mxnet as mx
import numpy as np
import pytest
from test_bert import parameters_of
from test_gluonnlp_files import network as our_network  # noqa: F401 (for those who compare)

import gluon_bert as gb
from gluon_bert.checkpoint.huggingface.names import huggingface_names

torch = pytest.importorskip('torch', reason='needs PyTorch: python3 dev.py setup --peers')
transformers = pytest.importorskip('transformers', reason='needs transformers')

# Our activations by transformers' names.
ACTIVATIONS = {'gelu': 'gelu', 'gelu_tanh': 'gelu_pytorch_tanh', 'relu': 'relu'}


def huggingface_config(config, **changes):
    return transformers.BertConfig(
        **{
            **dict(
                vocab_size=config.vocab_size,
                hidden_size=config.units,
                intermediate_size=config.hidden_size,
                num_hidden_layers=config.num_layers,
                num_attention_heads=config.num_heads,
                max_position_embeddings=config.max_length,
                type_vocab_size=config.num_token_types,
                hidden_dropout_prob=config.dropout,
                attention_probs_dropout_prob=config.dropout,
                layer_norm_eps=config.layer_norm_eps,
                hidden_act=ACTIVATIONS[config.activation],
            ),
            **changes,
        }
    )


def state_dict(bert, prefix=''):
    """Our BertModel's parameters by transformers' names."""
    names = huggingface_names('bert', bert.config.num_layers, prefix='')
    return {
        prefix + names[name]: torch.tensor(array) for name, array in parameters_of(bert).items()
    }


def huggingface_model(bert):
    """Our BertModel as a transformers.BertModel in evaluation mode."""
    model = transformers.BertModel(huggingface_config(bert.config)).eval()
    model.load_state_dict(state_dict(bert))
    return model


def huggingface_inputs(inputs, token_types, lengths):
    """Padded arrays as transformers' keyword arguments."""
    mask = np.arange(inputs.shape[1])[None] < np.asarray(lengths)[:, None]
    return {
        'input_ids': torch.tensor(np.asarray(inputs, 'int64')),
        'token_type_ids': torch.tensor(np.asarray(token_types, 'int64')),
        'attention_mask': torch.tensor(mask.astype('int64')),
    }


def random_network(name, seed, **changes):
    """A tiny network of transformers, wide enough at random that wrong maths shows."""
    if name.startswith('DistilBert'):
        sizes = dict(dim=24, hidden_dim=40, n_layers=2, n_heads=3)
    else:
        sizes = dict(
            hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3
        )
    if name.startswith('Albert'):
        sizes['num_hidden_layers'] = 3
    network = getattr(transformers, name)
    torch.manual_seed(seed)
    network = network(
        network.config_class(
            **{**dict(vocab_size=50, max_position_embeddings=20), **sizes, **changes}
        )
    ).eval()
    for name, parameter in network.named_parameters():
        is_norm = 'norm' in name.lower() and name.endswith('weight')
        torch.nn.init.normal_(parameter, mean=float(is_norm), std=0.3)
    return network


def make_inputs(config, lengths, seed):
    """A padded batch: ids, token types, lengths, masked positions."""
    rng = np.random.RandomState(seed)
    shape = (len(lengths), max(lengths))
    ids = rng.randint(config.pad_token_id + 1, config.vocab_size, shape)
    ids[np.arange(shape[1])[None] >= np.array(lengths)[:, None]] = config.pad_token_id
    types = rng.randint(0, getattr(config, 'type_vocab_size', 1), shape)
    positions = rng.randint(0, 100, (len(lengths), 3)) % np.array(lengths)[:, None]
    return ids, types, np.array(lengths), positions


def torch_outputs(network, inputs):
    """What a network of transformers gives, by name; masked-LM scores at the masked positions."""
    ids, types, lengths, positions = inputs
    arguments = huggingface_inputs(ids, types, lengths)
    if network.config.model_type == 'distilbert':
        del arguments['token_type_ids']
    given_arguments = arguments
    if type(network).__name__.endswith('MultipleChoice'):  # each sequence is an only choice
        given_arguments = {name: values[:, None] for name, values in arguments.items()}
    with torch.no_grad():
        encoded, given = network.base_model(**arguments), network(**given_arguments)
    found = {
        'sequence': encoded.last_hidden_state,
        'pooled': encoded.get('pooler_output'),
        'next_sentence': given.get('seq_relationship_logits', given.get('sop_logits')),
        'masked_lm': given.get('prediction_logits'),
        'scores': given.get('logits'),
    }
    if 'start_logits' in given:
        found['scores'] = torch.stack([given.start_logits, given.end_logits], dim=2)
    for suffix, kind in (('MaskedLM', 'masked_lm'), ('SentencePrediction', 'next_sentence')):
        if type(network).__name__.endswith(suffix):
            found[kind] = found.pop('scores')
    if found['masked_lm'] is not None:
        found['masked_lm'] = found['masked_lm'][np.arange(len(ids))[:, None], positions]
    return {name: value.numpy() for name, value in found.items() if value is not None}


def our_outputs(model, inputs):
    """What our network gives, by the names of :func:`torch_outputs`."""
    *arrays, positions = (mx.nd.array(part) for part in inputs)
    uses_decoder = isinstance(model, gb.BertForPretraining) and hasattr(model, 'masked_lm')
    given = model(*arrays, *([positions] if uses_decoder else []))
    if isinstance(given, tuple):
        return {name: part.asnumpy() for name, part in given._asdict().items()}
    name = 'sequence' if isinstance(model, gb.BertModel) else 'scores'
    return {name: given.asnumpy()}


def compare(ours, theirs, lengths):
    """All that we give agrees within 1e-5, on valid tokens."""
    valid = np.arange(max(lengths))[None] < np.array(lengths)[:, None]
    for name, array in ours.items():
        expected = theirs[name]
        if array.shape[:2] == valid.shape and name != 'masked_lm':
            array, expected = array[valid], expected[valid]
        np.testing.assert_allclose(array, expected, rtol=1e-5, atol=1e-5, err_msg=name)


def change_config(folder, **changes):
    """Change values of a config.json; 'absent' takes one out."""
    path = folder / 'config.json'
    values = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in values.items() if value != 'absent'}))
