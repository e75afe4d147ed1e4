"""GluonNLP's checkpoints: a .params file, with its description beside it.

GluonNLP itself keeps no hyper-parameters in a file. What this package writes has them beside it,
in ``<stem>.json``, with the vocabulary in ``<stem>.vocab``, GluonNLP's form of it.
"""

from __future__ import annotations

import json
import re
import reprlib
from dataclasses import replace
from pathlib import Path
from typing import Optional

from ..._internal.files import write_text
from ..._internal.json import read_object
from ..._internal.types import PathLike
from ...config import BertConfig
from ...data import BertTokenizer, looks_lowercase, read_tokenizer, read_vocab, write_vocab_json
from ...families import FAMILIES, family_by_prefix
from ..arrays import shape_of, with_arrays, with_names
from ..names import check_shapes
from ..schema import PROBLEM_TYPES, Checkpoint
from .names import common_arrays, to_file_names
from .params_file import read_params, write_params

_HEAD_FEATURES = 64  # D of every BERT published for GluonNLP
_LAYER = re.compile(r'encoder\.transformer_cells\.(\d+)\.')


def read_gluonnlp(
    path: PathLike,
    config: Optional[BertConfig] = None,
    family: Optional[str] = None,
    tokenizer: Optional[object] = None,
) -> Checkpoint:
    """Read a .params file of any of GluonNLP's BERT classes, 0.5 to 0.10, or of this package.

    Parameters
    ----------
    path : str or Path
    config : BertConfig, optional
        By default what ``<stem>.json`` beside the file says; without that, what the shapes say,
        with heads of 64 features and an exact GELU.
    family : str, optional
        See :class:`.Checkpoint`; by default from ``<stem>.json``, else as the names tell.
    tokenizer : optional
        By default from ``<stem>.vocab`` or another vocabulary file beside.

    Returns
    -------
    Checkpoint

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is absent, damaged, or no BERT.
    """
    path = Path(path)
    raw, described = read_params(path), _read_description(path.with_suffix('.json'))
    try:
        arrays = common_arrays(raw)
        family = family or described.get('family') or family_by_prefix(raw)
        config = config or described.get('config') or _guess_config(arrays, family)
        check_shapes(arrays, config)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
    if tokenizer is None:
        tokenizer = _find_tokenizer(path, described.get('lower'))
    return Checkpoint(
        arrays,
        config,
        family,
        tokenizer,
        described.get('labels', ()),
        str(path),
        described.get('problem_type') or '',
        described.get('max_tokens'),
    )


def write_gluonnlp(checkpoint: Checkpoint, path: PathLike) -> None:
    """Write a checkpoint as a .params file that GluonNLP 0.10 loads, and its description.

    Parameters
    ----------
    checkpoint : Checkpoint
    path : str or Path
        ``<stem>.params``; ``<stem>.json`` and ``<stem>.vocab`` are written beside it.

    Raises
    ------
    ValueError
        If a file of these names is there already.
    """
    path = Path(path)
    described, vocabulary = path.with_suffix('.json'), path.with_suffix('.vocab')
    for target in (path, described, vocabulary):
        if target.exists():
            raise ValueError(f'{target}: is there already; give another name or remove it')
    checkpoint = without_single_token_type(checkpoint)
    names = to_file_names(checkpoint.arrays, _layout(checkpoint))
    stored = {file: name for name, file in names.items()}
    if 'decoder.3.bias' in names:
        stored['decoder.3.weight'] = 'word_embed.0.weight'
    write_params(path, with_names(checkpoint.arrays, stored))
    tokenizer = checkpoint.tokenizer
    write_text(
        described,
        json.dumps(
            {
                'family': checkpoint.family,
                'config': checkpoint.config.to_dict(),
                'lower': getattr(tokenizer, 'lower', None),
                'labels': list(checkpoint.labels),
                'problem_type': checkpoint.problem_type or None,
                'max_tokens': checkpoint.max_tokens,
            },
            indent=1,
        ),
    )
    if isinstance(tokenizer, BertTokenizer):
        write_vocab_json(vocabulary, tokenizer.vocab)
    elif tokenizer is not None:
        tokenizer.save(path.parent)


def _layout(checkpoint):
    heads = checkpoint.heads
    if 'span' in heads:
        return 'questions'
    if 'tagger' in heads:
        return 'tagger'
    if 'classifier' in heads:
        return FAMILIES[checkpoint.family].gluonnlp_classifier
    return 'model'


def without_single_token_type(checkpoint: Checkpoint) -> Checkpoint:
    """Change a checkpoint into one that GluonNLP's classes can hold.

    Its RoBERTa has no token types: where there is one row of them, it is added to the positions.
    """
    row = FAMILIES[checkpoint.family]
    if row.gluonnlp_token_types or checkpoint.config.num_token_types != 1:
        return checkpoint
    types, positions = 'token_type_embed.0.weight', 'encoder.position_weight'
    arrays = checkpoint.arrays
    entries = {
        types: None,
        positions: (shape_of(arrays, positions), lambda: arrays[positions] + arrays[types]),
    }
    return replace(
        checkpoint,
        arrays=with_arrays(arrays, entries),
        config=replace(checkpoint.config, num_token_types=0),
    )


def _find_tokenizer(path, lower):
    vocabulary = path.with_suffix('.vocab')
    if not vocabulary.is_file():
        return read_tokenizer(path.parent, lower=lower)
    vocab = read_vocab(vocabulary)
    if '[CLS]' not in vocab:
        return None  # not of WordPiece: the file alone does not tell how to split text
    return BertTokenizer(vocab, lower=looks_lowercase(vocab) if lower is None else lower)


def _guess_config(arrays, family):
    for name in (
        'word_embed.0.weight',
        'encoder.position_weight',
        'encoder.transformer_cells.0.ffn.ffn_1.weight',
    ):
        if name not in arrays or len(shape_of(arrays, name)) != 2:
            raise ValueError(f'has no {name}: not a BERT of GluonNLP')
    vocab_size, units = shape_of(arrays, 'word_embed.0.weight')
    layers = {int(match[1]) for match in map(_LAYER.match, arrays) if match}
    types = 'token_type_embed.0.weight'
    if units % _HEAD_FEATURES:
        raise ValueError(
            f'width {units} is not a multiple of {_HEAD_FEATURES}: the number of '
            f'attention heads cannot be told; give config'
        )
    return BertConfig(
        vocab_size=vocab_size,
        units=units,
        num_layers=len(layers),
        hidden_size=shape_of(arrays, 'encoder.transformer_cells.0.ffn.ffn_1.weight')[0],
        num_heads=units // _HEAD_FEATURES,
        max_length=shape_of(arrays, 'encoder.position_weight')[0],
        num_token_types=shape_of(arrays, types)[0] if types in arrays else 0,
        dropout=0.1,
        layer_norm_eps=FAMILIES[family].gluonnlp_eps,
        activation='gelu',
        pooler_activation='tanh',
    )


def _read_description(path):
    """What ``<stem>.json`` says; nothing if it is not there."""
    if not path.is_file():
        return {}
    described = read_object(path)
    values = {
        key: described.get(key)
        for key in ('config', 'family', 'lower', 'labels', 'problem_type', 'max_tokens')
    }
    for key, allowed in (
        ('family', (None, *FAMILIES)),
        ('lower', (None, True, False)),
        ('problem_type', (None, *PROBLEM_TYPES)),
    ):
        if values[key] not in allowed:
            raise ValueError(
                f'{path}: {key} is {reprlib.repr(values[key])}: expected one of {allowed}'
            )
    labels = [] if values['labels'] is None else values['labels']
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ValueError(f'{path}: labels is {reprlib.repr(labels)}: expected names')
    longest = values['max_tokens']
    if longest is not None and (type(longest) is not int or not 1 <= longest < 2**31):
        raise ValueError(
            f'{path}: max_tokens is {reprlib.repr(longest)}: expected a whole number from 1'
        )
    try:
        return {**values, 'config': BertConfig.from_dict(values['config']), 'labels': tuple(labels)}
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
