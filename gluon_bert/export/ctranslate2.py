"""Networks in the format of CTranslate2, through its own specifications; PyTorch is not needed."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, List, Mapping, Optional

import numpy as np

from .._internal.files import new_folder
from .._internal.packages import import_package
from .._internal.suggestions import unknown_name
from .._internal.types import PathLike
from ..checkpoint.arrays import shape_of, with_names
from ..checkpoint.huggingface.safetensors_file import write_safetensors
from ..checkpoint.names import encoder_shapes, layer_numbers
from ..checkpoint.schema import Checkpoint
from .beside import write_settings

HEAD_FILE = 'head.safetensors'
QUANTIZATIONS = (
    'int8', 'int8_float32', 'int8_float16', 'int8_bfloat16', 'int16', 'float16', 'bfloat16',
    'float32',
)  # fmt: skip
"""CTranslate2's names of the types that it stores dense weights and the others in."""

_POOLER = ('pooler.weight', 'pooler.bias')
_CELL = 'encoder.transformer_cells.'
# Ours -> the name in ctranslate2.specs.common_spec.Activation.
_ACTIVATIONS = {'gelu': 'GELU', 'gelu_tanh': 'GELUTanh', 'relu': 'RELU', 'tanh': 'Tanh'}


def write_ctranslate2(
    checkpoint: Checkpoint, folder: PathLike, quantization: Optional[str] = None
) -> None:
    """Write the encoder and its pooler for :class:`ctranslate2.Encoder`.

    ``model.bin``, ``config.json`` and ``vocabulary.json`` are CTranslate2's; the tokenizer's files
    and ``settings.json`` stand beside them. CTranslate2 has no heads: their arrays are in
    ``head.safetensors``, by the names of :mod:`gluon_bert.checkpoint.names`.

    Parameters
    ----------
    checkpoint : Checkpoint
    folder : str or Path
        Made here; it appears when it is whole.
    quantization : str, optional
        Of ``QUANTIZATIONS``; by default the weights stay in float32.

    Raises
    ------
    FileExistsError
        If the folder is there already and not empty.
    ImportError
        If ``ctranslate2`` is not installed, or PyTorch, which it needs for bfloat16.
    ValueError
        If there is no such quantization, or CTranslate2 has no such network.
    """
    import_package('ctranslate2', 'files of CTranslate2')
    if quantization not in (None, *QUANTIZATIONS):
        raise unknown_name('quantization', quantization, QUANTIZATIONS)
    if 'bfloat16' in (quantization or ''):
        import_package('torch', 'bfloat16 in CTranslate2', 'torch')
    if checkpoint.config.embedding_units is not None:
        raise ValueError(
            f'{checkpoint.source or "checkpoint"}: the embeddings have '
            f'{checkpoint.config.embedding_units} units and are projected to '
            f'{checkpoint.config.units}; CTranslate2 has no such projection'
        )
    spec = _build(checkpoint)
    spec.validate()
    spec.optimize(quantization=quantization)
    with new_folder(folder) as whole:
        spec.save(str(whole))
        write_settings(checkpoint, whole)
        write_head(checkpoint, whole)
        if checkpoint.tokenizer is not None:
            checkpoint.tokenizer.save(whole)


def write_head(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the arrays that are neither of the encoder nor of its pooler, if there are any."""
    encoder = {*encoder_shapes(checkpoint.config), *_POOLER}
    names = {name: name for name in checkpoint.arrays if name not in encoder}
    if names:
        write_safetensors(folder / HEAD_FILE, with_names(checkpoint.arrays, names))


def _build(checkpoint: Checkpoint) -> Any:
    """Make the specification, which CTranslate2 checks and writes."""
    common, transformer = (
        importlib.import_module(f'ctranslate2.specs.{name}_spec')
        for name in ('common', 'transformer')
    )
    config, arrays = checkpoint.config, checkpoint.arrays
    activations = {
        ours: getattr(common.Activation, theirs) for ours, theirs in _ACTIVATIONS.items()
    }
    has_types = config.num_token_types > 0
    encoder = transformer.TransformerEncoderSpec(
        config.num_layers,
        config.num_heads,
        pre_norm=False,
        activation=activations[config.activation],
        layernorm_embedding=True,
        num_source_embeddings=1 + has_types,
        embeddings_merge=common.EmbeddingsMerge.ADD,
    )
    encoder.scale_embeddings = False
    encoder.embeddings[0].weight = _float32(arrays, 'word_embed.0.weight')
    if has_types:
        encoder.embeddings[1].weight = _float32(arrays, 'token_type_embed.0.weight')
    encoder.position_encodings.encodings = _float32(arrays, 'encoder.position_weight')
    _set_norm(encoder.layernorm_embedding, arrays, 'encoder.layer_norm')
    rows = len(layer_numbers(config))
    for number, layer in enumerate(encoder.layer):
        _set_layer(layer, arrays, f'{_CELL}{number % rows}.')
    has_pooler = _POOLER[0] in arrays
    spec = transformer.TransformerEncoderModelSpec(
        encoder, has_pooler, activations[config.pooler_activation]
    )
    if has_pooler:
        _set_dense(spec.pooler_dense, arrays, 'pooler')
    spec.config.layer_norm_epsilon = config.layer_norm_eps
    tokens = _tokens(checkpoint)
    spec.register_vocabulary(tokens)
    unknown = getattr(getattr(checkpoint.tokenizer, 'vocab', None), 'unknown_token', None)
    spec.config.unk_token = unknown or tokens[0]
    return spec


def _set_layer(layer, arrays, prefix):
    """Set a layer; its query, key and value projections are one there, (3C, C)."""
    attention, dense = layer.self_attention, f'{prefix}attention_cell.proj_'
    for part in ('weight', 'bias'):
        parts = [_float32(arrays, f'{dense}{name}.{part}') for name in ('query', 'key', 'value')]
        setattr(attention.linear[0], part, np.concatenate(parts))
    _set_dense(attention.linear[1], arrays, f'{prefix}proj')
    _set_norm(attention.layer_norm, arrays, f'{prefix}layer_norm')
    _set_dense(layer.ffn.linear_0, arrays, f'{prefix}ffn.ffn_1')
    _set_dense(layer.ffn.linear_1, arrays, f'{prefix}ffn.ffn_2')
    _set_norm(layer.ffn.layer_norm, arrays, f'{prefix}ffn.layer_norm')


def _set_dense(spec, arrays, name):
    spec.weight, spec.bias = (_float32(arrays, f'{name}.{part}') for part in ('weight', 'bias'))


def _set_norm(spec, arrays, name):
    spec.gamma, spec.beta = (_float32(arrays, f'{name}.{part}') for part in ('gamma', 'beta'))


def _float32(arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """A new array, for quantization changes it."""
    return np.array(arrays[name], 'float32', order='C')


def _tokens(checkpoint: Checkpoint) -> List[str]:
    """A token for each row of the word embedding; those without one are named as CTranslate2's
    converter does.
    """
    vocab = getattr(checkpoint.tokenizer, 'vocab', None)
    known = [] if vocab is None else list(vocab.idx_to_token)
    rows = shape_of(checkpoint.arrays, 'word_embed.0.weight')[0]
    return [*known, *(f'<extra_id_{number}>' for number in range(rows - len(known)))]
