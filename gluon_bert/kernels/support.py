"""Networks that the kernels compute."""

from __future__ import annotations

from ..config import BertConfig

# Field of BertConfig -> the values that the kernels compute; None: all that the field can have.
_SUPPORTED = {
    'vocab_size': None,
    'units': None,
    'hidden_size': None,
    'num_layers': None,
    'num_heads': None,
    'max_length': None,
    'num_token_types': None,
    'dropout': None,
    'layer_norm_eps': None,
    'activation': ('gelu', 'gelu_tanh', 'relu'),
    'pooler_activation': ('tanh', 'relu', 'gelu'),
}


def supports(config: BertConfig) -> bool:
    """Tell from its configuration alone whether the kernels compute an encoder.

    Where they do not, it runs on MXNet's operators.

    Parameters
    ----------
    config : BertConfig

    Returns
    -------
    bool
    """
    return config.is_within(_SUPPORTED)
