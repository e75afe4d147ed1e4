"""Folders of transformers, of every family of :mod:`gluon_bert.families`, in and out.

The positions of RoBERTa and XLM-R begin after the id of the padding token: the rows up to it are
cut off when reading, and written as zeros. A token type embedding of one row of zeros adds nothing:
it is left out when reading, and written where transformers wants one.
"""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Callable, Mapping, Optional

import numpy as np

from ..._internal.files import new_folder
from ..._internal.types import PathLike
from ...data import read_max_tokens, read_tokenizer
from ...families import FAMILIES
from ..arrays import Arrays, shape_of, with_names
from ..names import layer_numbers
from ..schema import Checkpoint, check_vocab_size
from ..task_file import join_task, write_task_file
from ..tensor_file import join_names, printable
from ..wrappers import without_wrapper
from .check import all_names, check_names, check_network, count_classes, layer_of
from .config import config_values, read_config
from .cross_encoder import read_score_activation, score_values
from .embedding_tables import POSITIONS, TOKEN_TYPES, with_token_type, with_zeros, without_rows
from .name_maps import FAMILY_PREFIXES, NAME_MAPS, WORD_EMBEDDING
from .names import find_heads, find_names, is_buffer
from .retrieval_files import (
    read_sparse_settings,
    read_token_settings,
    write_sparse_files,
    write_token_files,
)
from .safetensors_file import open_tensors, write_safetensors
from .sentence_files import read_sentence_settings, transformer_folder, write_sentence_files

logger = logging.getLogger(__name__)

# Of those in a folder the first is read.
_FILES = (
    'model.safetensors',
    'model.safetensors.index.json',
    'pytorch_model.bin',
    'pytorch_model.bin.index.json',
)
_FLOATS = ('F64', 'F32', 'F16', 'BF16')
_ROWS = 4096  # compared at a time


def read_huggingface(
    path: PathLike, meanwhile: Optional[Callable[[Checkpoint], object]] = None
) -> Checkpoint:
    """Read a folder that transformers wrote, or that it could read.

    Parameters
    ----------
    path : str or Path
        A folder with config.json and model.safetensors or pytorch_model.bin, whole or in shards
        (safetensors is preferred); or one of these files with config.json beside it.
    meanwhile : callable, optional
        As for :func:`.read_checkpoint`.

    Returns
    -------
    Checkpoint
        An array is read from its file when it is asked for. Arrays that belong to no known head
        are left out, and named in a logged warning.

    Raises
    ------
    FileNotFoundError
        If a file is absent.
    ValueError
        If one is damaged, if the network is none that this package has, or not the one that
        config.json describes.

    Notes
    -----
    A network has one dropout here, that of the hidden layers in config.json; another one of the
    attention probabilities is not kept.
    """
    file = _find_file(Path(path))
    tensors = open_tensors(file)
    try:
        tensors = without_wrapper(tensors, WORD_EMBEDDING, FAMILY_PREFIXES)
    except ValueError as error:
        raise ValueError(f'{file}: {error}') from None
    described = read_config(file.parent / 'config.json', tensors)
    try:
        checkpoint = _to_checkpoint(tensors, described)
    except ValueError as error:
        raise ValueError(f'{file}: {error}') from None
    if meanwhile is not None:
        meanwhile(checkpoint)
    tokenizer = read_tokenizer(file.parent)
    check_vocab_size(tokenizer, checkpoint.config.vocab_size, file.parent)
    if tokenizer is not None and checkpoint.config.num_token_types < 2:
        tokenizer = tokenizer.without_token_types()  # older files do not say so
    config, max_tokens = checkpoint.config, read_max_tokens(file.parent)
    longest = min(max_tokens or config.max_length, config.max_length)
    checkpoint = replace(
        checkpoint,
        tokenizer=tokenizer,
        source=str(path),
        max_tokens=max_tokens,
        sentence=read_sentence_settings(file.parent, config.units, longest),
        sparse=read_sparse_settings(file.parent, longest),
        token_vectors=read_token_settings(file.parent, config.units, longest),
        score_activation=read_score_activation(file.parent / 'config.json'),
    )
    return join_task(checkpoint, file)


def huggingface_arrays(
    tensors: Mapping[str, np.ndarray],
    family: str = 'bert',
    architecture: str = '',
    padding_id: int = 1,
) -> Arrays:
    """Give arrays by transformers' names those of :mod:`gluon_bert.checkpoint.names`.

    Parameters
    ----------
    tensors : mapping of str to numpy.ndarray
        Of a network of ``family``, with a head or without.
    family : str
        Of :data:`.FAMILIES`.
    architecture : str
        transformers' class, if known; see :func:`.find_heads`.
    padding_id : int
        Of a family whose positions begin at the row after it, such as RoBERTa.

    Returns
    -------
    Arrays
        One of ``tensors`` is asked for when its like is.

    Raises
    ------
    ValueError
        If the decoder has weights of its own, an array is not of floats, or two have one name.
    """
    tensors = without_wrapper(tensors, WORD_EMBEDDING, FAMILY_PREFIXES)
    check_names(tensors, family)
    names = find_names(tensors, family, find_heads(tensors, family, architecture))
    copies = _check_copies(tensors, names, family)
    dtype = getattr(tensors, 'dtype', lambda name: _FLOATS[0])
    for name in names.values():
        if dtype(name) not in _FLOATS:
            raise ValueError(
                f'{name} is of type {printable(dtype(name))}: expected one of {", ".join(_FLOATS)}'
            )
    known = {*names.values(), *copies}
    _warn_left_out([name for name in tensors if name not in known and not is_buffer(name, family)])
    if TOKEN_TYPES in names and _adds_nothing(tensors, names[TOKEN_TYPES]):
        del names[TOKEN_TYPES]
    if FAMILIES[family].positions_follow_padding and POSITIONS in names:
        return without_rows(with_names(tensors, names), POSITIONS, padding_id + 1)
    return with_names(tensors, names)


def write_huggingface(checkpoint: Checkpoint, folder: PathLike) -> None:
    """Write a folder that transformers opens: config.json, model.safetensors, tokenizer files.

    Parameters
    ----------
    checkpoint : Checkpoint
        Its arrays are asked for one at a time.
    folder : str or Path
        Made here; it appears when it is whole.

    Raises
    ------
    FileExistsError
        If the folder is there already and not empty.
    ValueError
        If transformers has no such network, or an array is missing.
    """
    with new_folder(folder) as whole:
        tensors = describe_huggingface(checkpoint, whole)
        write_safetensors(whole / _FILES[0], tensors, metadata={'format': 'pt'})
        if checkpoint.sentence is not None:
            write_sentence_files(checkpoint.sentence, whole, checkpoint.config.units)
        if checkpoint.sparse is not None:
            write_sparse_files(checkpoint.sparse, whole, checkpoint.config.vocab_size)
        if checkpoint.token_vectors is not None:
            write_token_files(checkpoint.token_vectors, whole)
        if checkpoint.task is not None:
            write_task_file(whole, checkpoint.task, checkpoint.config, _FILES[0])


def describe_huggingface(checkpoint: Checkpoint, folder: PathLike) -> Arrays:
    """Write config.json and the files of the tokenizer, all but the arrays.

    Parameters
    ----------
    checkpoint : Checkpoint
    folder : str or Path
        Must exist.

    Returns
    -------
    Arrays
        Those of the checkpoint by transformers' names.

    Raises
    ------
    ValueError
        If transformers has no such network, or an array is missing.
    """
    folder = Path(folder)
    try:
        tensors, config = _to_huggingface(checkpoint)
    except ValueError as error:
        raise ValueError(f'{checkpoint.source or "checkpoint"}: {error}') from None
    (folder / 'config.json').write_text(json.dumps(config, indent=2) + '\n', encoding='utf-8')
    if checkpoint.tokenizer is not None:
        _save_tokenizer(checkpoint, folder)
    return tensors


def _find_file(path):
    if path.is_file():
        return path
    if not path.is_dir():
        raise FileNotFoundError(f'{path}: no such file or folder')
    path = transformer_folder(path)
    for name in _FILES:
        if (path / name).is_file():
            return path / name
    raise FileNotFoundError(f'{path}: has none of {", ".join(_FILES)}')


def _to_checkpoint(tensors, described):
    family, config = described.family, described.config
    num_classes, labels = described.num_classes, described.labels
    arrays = huggingface_arrays(tensors, family, described.architecture, described.padding_id)
    if config.num_token_types == 1 and TOKEN_TYPES not in arrays:
        config = replace(config, num_token_types=0)
    checkpoint = Checkpoint(arrays, config, family)
    names = check_network(checkpoint, num_classes or count_classes(checkpoint))
    further = {name for name in arrays if layer_of(name) >= len(layer_numbers(config))}
    if further:
        layers = sorted(set(map(layer_of, further)))
        logger.warning(
            'left out: layers %s, since the configuration has %s', layers, config.num_layers
        )
    _warn_left_out([name for name in arrays if name not in names and name not in further])
    has_classes = bool(count_classes(checkpoint))
    return replace(
        checkpoint,
        arrays=with_names(arrays, {name: name for name in names}),
        labels=labels if has_classes else (),
        problem_type=described.problem_type,
        dropout=described.dropout if has_classes or 'choice' in checkpoint.heads else None,
    )


def _to_huggingface(checkpoint):
    """Arrays by transformers' names, and the values of config.json."""
    arrays, config, family = checkpoint.arrays, checkpoint.config, checkpoint.family
    num_classes, labels = count_classes(checkpoint), checkpoint.labels
    if not num_classes:
        labels = ()
    if labels and len(labels) != num_classes:
        raise ValueError(f'has {len(labels)} labels for {num_classes} classes')
    names = check_network(checkpoint, num_classes)
    left = [name for name in arrays if name not in names and name != 'decoder.3.weight']
    if left:
        raise ValueError(f"has {join_names(left)}: transformers' {family} has no place for them")
    special_ids = _special_ids(checkpoint)
    values = config_values(
        config,
        family,
        checkpoint.heads,
        num_classes,
        labels,
        special_ids,
        checkpoint.problem_type,
        checkpoint.dropout,
    )
    if FAMILIES[family].positions_follow_padding:
        arrays = with_zeros(arrays, POSITIONS, values['pad_token_id'] + 1)
    if FAMILIES[family].needs_token_types and not config.num_token_types:
        names[TOKEN_TYPES] = all_names(family, config, checkpoint.heads)[TOKEN_TYPES]
        arrays = with_token_type(arrays)
    if checkpoint.score_activation is not None:
        values.update(score_values(checkpoint.score_activation))
    return with_names(arrays, {theirs: name for name, theirs in names.items()}), values


def _save_tokenizer(checkpoint, folder):
    """Write its files, with what transformers' tokenizers know of the network."""
    config = checkpoint.config
    checkpoint.tokenizer.save(folder)
    path = folder / 'tokenizer_config.json'
    values = json.loads(path.read_text(encoding='utf-8'))
    values['model_max_length'] = min(checkpoint.max_tokens or config.max_length, config.max_length)
    if config.num_token_types < 2:  # or it would be given types of which it has no row
        values['model_input_names'] = ['input_ids', 'attention_mask']
    path.write_text(json.dumps(values, indent=2) + '\n', encoding='utf-8')


def _special_ids(checkpoint):
    """The ids that config.json repeats from the vocabulary."""
    vocab = getattr(checkpoint.tokenizer, 'vocabulary', None)
    tokens = {
        key: getattr(vocab, token, None)
        for key, token in FAMILIES[checkpoint.family].special_ids.items()
    }
    return {key: int(vocab[token]) for key, token in tokens.items() if token is not None}


def _check_copies(tensors, names, family):
    """The names of arrays that are there twice; ValueError if the second is another."""
    name_map, copies = NAME_MAPS[family], []
    for copy, common in (
        (name_map.decoder_weight, 'word_embed.0.weight'),
        (name_map.decoder_bias, 'decoder.3.bias'),
    ):
        if copy in tensors and common in names:
            if not _equal(tensors, copy, names[common]):
                raise ValueError(
                    f'{copy} differs from {names[common]}: a decoder with weights of '
                    'its own is not supported'
                )
            copies.append(copy)
    return copies


def _equal(tensors, first, second):
    if shape_of(tensors, first) != shape_of(tensors, second):
        return False
    first, second = np.atleast_1d(tensors[first], tensors[second])
    return all(
        np.array_equal(first[i : i + _ROWS], second[i : i + _ROWS])
        for i in range(0, len(first), _ROWS)
    )


def _adds_nothing(tensors, name):
    return shape_of(tensors, name)[:1] == (1,) and not tensors[name].any()


def _warn_left_out(names):
    if names:
        logger.warning('left out, being of no known part of the network: %s', join_names(names))
