"""The same network in transformers on PyTorch, to compare to."""
import numpy as np
import pytest
from test_bert import parameters_of

from gluon_bert.checkpoint.names import huggingface_names

torch = pytest.importorskip('torch', reason='needs PyTorch: python3 dev.py setup --peers')
transformers = pytest.importorskip('transformers', reason='needs transformers')

# Our activations by transformers' names.
ACTIVATIONS = {'gelu': 'gelu', 'gelu_tanh': 'gelu_pytorch_tanh', 'relu': 'relu'}


def huggingface_config(config, **changes):
    return transformers.BertConfig(**{**dict(
        vocab_size=config.vocab_size, hidden_size=config.units,
        intermediate_size=config.hidden_size, num_hidden_layers=config.num_layers,
        num_attention_heads=config.num_heads, max_position_embeddings=config.max_length,
        type_vocab_size=config.num_token_types, hidden_dropout_prob=config.dropout,
        attention_probs_dropout_prob=config.dropout, layer_norm_eps=config.layer_norm_eps,
        hidden_act=ACTIVATIONS[config.activation]), **changes})


def state_dict(bert, prefix=''):
    """Our BertModel's parameters by transformers' names."""
    names = huggingface_names(bert.config.num_layers)
    return {prefix + names[name]: torch.tensor(array)
            for name, array in parameters_of(bert).items()}


def huggingface_model(bert):
    """Our BertModel as a transformers.BertModel in evaluation mode."""
    model = transformers.BertModel(huggingface_config(bert.config)).eval()
    model.load_state_dict(state_dict(bert))
    return model


def huggingface_inputs(inputs, token_types, lengths):
    """Padded arrays as transformers' keyword arguments."""
    mask = np.arange(inputs.shape[1])[None] < np.asarray(lengths)[:, None]
    return {'input_ids': torch.tensor(np.asarray(inputs, 'int64')),
            'token_type_ids': torch.tensor(np.asarray(token_types, 'int64')),
            'attention_mask': torch.tensor(mask.astype('int64'))}
