"""GluonNLP's checkpoints: a .params file, with its description beside it.

GluonNLP itself keeps no hyper-parameters in a file. What this package writes has them beside it,
in ``<stem>.json``, with the vocabulary in ``<stem>.vocab``, GluonNLP's form of it. A tokenizer that
this form cannot hold is in the folder ``<stem>.tokenizer``.
"""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Optional

from ..._internal.files import write_text
from ..._internal.types import PathLike
from ...config import BertConfig
from ...data import (
    BertTokenizer,
    looks_lowercase,
    read_tokenizer,
    read_vocabulary,
    write_vocab_json,
)
from ...families import DEFAULT_FAMILY, FAMILIES, family_by_prefix
from ..arrays import shape_of, with_arrays, with_names
from ..names import check_shapes
from ..schema import Checkpoint, check_vocab_size
from ..task_file import find_folder_tokenizer, likely_family, with_task
from .description import Description, MissingHyperParameters, find_description, guess_config
from .names import common_arrays, to_file_names, unwrapped
from .params_file import read_params, write_params

logger = logging.getLogger(__name__)

_TOKENIZER = '.tokenizer'


def read_gluonnlp(
    path: PathLike,
    config: Optional[BertConfig] = None,
    family: Optional[str] = None,
    tokenizer: Optional[object] = None,
    num_heads: Optional[int] = None,
) -> Checkpoint:
    """Read a .params file of any of GluonNLP's BERT classes, 0.5 to 0.10, or of this package.

    Parameters
    ----------
    path : str or Path
    config : BertConfig, optional
        By default what the files beside it say, see :func:`.find_description`.
    family : str, optional
        See :class:`.Checkpoint`; by default from the same file, else as the names tell.
    tokenizer : optional
        By default from ``<stem>.tokenizer`` or ``<stem>.vocab``, from ``tokenizer`` of a fine-tuned
        folder, or from another vocabulary file beside.
    num_heads : int, optional
        Number of attention heads where no file states it. Activation, epsilon and dropout are then
        GluonNLP's, which the log says.

    Returns
    -------
    Checkpoint

    Raises
    ------
    FileNotFoundError
        If the file is absent.
    MissingHyperParameters
        If nothing states the number of heads, or the family of a network without token types.
    ValueError
        If the file is damaged or no BERT, or an argument contradicts the files beside it.
    """
    path = Path(path)
    file, described = read_params(path), find_description(path)
    if config is not None and described.place != path.with_suffix('.json'):
        described = Description()  # of other files in the folder
    try:
        raw = unwrapped(file)
        _check_arguments(described, config, num_heads)
        arrays = common_arrays(raw)
        family = family or described.family
        config = config or described.config or guess_config(arrays, raw, family, num_heads)
        check_shapes(arrays, config)
    except MissingHyperParameters as error:
        raise MissingHyperParameters(f'{path}: {error}') from None
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
    if num_heads is not None:
        _warn_guesses(path, config)
    if tokenizer is None:
        tokenizer = _find_tokenizer(path, described, config)
        check_vocab_size(tokenizer, config.vocab_size, path)
    if family is None:
        family = _family(raw, config, tokenizer)
    checkpoint = Checkpoint(
        arrays,
        config,
        family,
        tokenizer,
        described.labels,
        str(path),
        described.problem_type,
        described.max_tokens,
        described.dropout,
        score_activation=described.score_activation,
    )
    return (
        checkpoint
        if described.task is None
        else with_task(checkpoint, described.task, described.place)
    )


def _check_arguments(described, config, num_heads):
    """Raise ValueError where an argument is not needed or contradicts the files."""
    if num_heads is not None and (config or described.config):
        raise ValueError(
            f'num_heads={num_heads}: is for a file without a configuration; '
            f'{described.place or "config"} states it'
        )
    if config is not None and described.config not in (None, config):
        raise ValueError(
            f'config is {config}, but {described.place} has another; leave it out, or correct that '
            f'file'
        )


def _family(names, config, tokenizer):
    family = family_by_prefix(names)
    return likely_family(config, tokenizer) if family == DEFAULT_FAMILY else family


def _warn_guesses(path, config):
    logger.warning(
        '%s: says nothing of activation, epsilon and dropout: %s, %s and %s are taken, as in '
        "GluonNLP's classes; a configuration states others",
        path,
        config.activation,
        config.layer_norm_eps,
        config.dropout,
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
    described = path.with_suffix('.json')
    for target in (path, described, path.with_suffix('.vocab'), path.with_suffix(_TOKENIZER)):
        if target.exists():
            raise ValueError(f'{target}: is there already; give another name or remove it')
    checkpoint = without_single_token_type(checkpoint)
    names = to_file_names(checkpoint.arrays, _layout(checkpoint))
    stored = {file: name for name, file in names.items()}
    if 'decoder.3.bias' in names:
        stored['decoder.3.weight'] = 'word_embed.0.weight'
    write_params(path, with_names(checkpoint.arrays, stored))
    content = {
        'family': checkpoint.family,
        'config': checkpoint.config.to_dict(),
        'lower': getattr(checkpoint.tokenizer, 'lower', None),
        'labels': list(checkpoint.labels),
        'problem_type': checkpoint.problem_type or None,
        'max_tokens': checkpoint.max_tokens,
        'dropout': checkpoint.dropout,
        'task': checkpoint.task,
    }
    if checkpoint.score_activation is not None:  # which earlier versions do not know
        content['score_activation'] = checkpoint.score_activation
    write_text(described, json.dumps(content, indent=1, ensure_ascii=False) + '\n')
    _write_tokenizer(path, checkpoint.tokenizer, checkpoint.config)


def _layout(checkpoint):
    heads = checkpoint.heads
    if 'span' in heads:
        return 'questions'
    if 'tagger' in heads:
        return 'tagger'
    if 'choice' in heads:
        return 'choice'
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


def _find_tokenizer(path, described, config):
    """Read the tokenizer that belongs to a .params file; None if there is none."""
    if path.with_suffix(_TOKENIZER).is_dir():
        return read_tokenizer(path.with_suffix(_TOKENIZER))
    vocabulary, folder = path.with_suffix('.vocab'), find_folder_tokenizer(path)
    if not vocabulary.is_file():
        tokenizer = read_tokenizer(folder or path.parent, lower=described.lower)
    else:
        tokenizer = _word_piece(read_vocabulary(vocabulary), described.lower)
    if tokenizer is None or config.num_token_types > 1:
        return tokenizer
    return tokenizer.without_token_types()


def _word_piece(vocab, lower):
    """The tokenizer of a vocabulary of GluonNLP; None if it is not one of WordPiece."""
    if '[CLS]' not in vocab:
        return None  # the file alone does not tell how to split text
    return BertTokenizer(vocab, lower=looks_lowercase(vocab) if lower is None else lower)


def _write_tokenizer(path, tokenizer, config):
    """Write GluonNLP's vocabulary, and the tokenizer's own files if that does not hold all."""
    if tokenizer is None:
        return
    if isinstance(tokenizer, BertTokenizer):
        write_vocab_json(path.with_suffix('.vocab'), tokenizer.vocabulary)
        described = Description(lower=tokenizer.lower)
        if tokenizer.is_like(_find_tokenizer(path, described, config)):
            return
    tokenizer.save(path.with_suffix(_TOKENIZER))
