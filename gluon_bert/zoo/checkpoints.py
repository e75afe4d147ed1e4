"""Read the files of a row as a checkpoint whose ids follow the row's vocabulary."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import numpy as np

from .. import data
from .._internal.files import write_text
from .._internal.types import PathLike
from ..checkpoint.arrays import shape_of, with_arrays
from ..checkpoint.names import check_shapes
from ..checkpoint.schema import Checkpoint
from ..checkpoint.sentence import Normalize, SentenceSettings
from .fetch.local_files import LocalFiles, files_of
from .fetch.store import fetch_vocabulary, fetch_weights
from .rows import ModelName, family_of, get_config, resolve
from .schema import GluonFile, Weights
from .tables.architectures import ARCHITECTURES
from .tables.vocabularies import VOCABULARIES
from .tables.weights import WEIGHTS

if TYPE_CHECKING:
    from ..data.tokenizers.base import SubwordTokenizer


logger = logging.getLogger(__name__)

# Arrays that have a row for each token.
_BY_TOKEN = ('word_embed.0.weight', 'decoder.3.bias')


def zoo_checkpoint(
    name: str,
    dataset_name: str,
    root: Optional[PathLike] = None,
    progress: bool = True,
    heads: Sequence[str] = (),
) -> Checkpoint:
    """Read the checkpoint of a row, fetching files that are missing.

    Parameters
    ----------
    name, dataset_name : str
        As for :func:`.get_model`.
    root : str or Path, optional
    progress : bool
        Show the progress of downloads.
    heads : tuple of str
        Heads that it must have: sources known to lack one are skipped.

    Returns
    -------
    Checkpoint
        Its arrays and its tokenizer have the ids of the row's vocabulary.

    Raises
    ------
    ValueError, FileNotFoundError
        If there is no such row, or no source has its files.
    """
    name, dataset_name = resolve(name, dataset_name)
    row, vocabulary = _with_heads(WEIGHTS[name, dataset_name], heads), VOCABULARIES[dataset_name]
    tokenizer = read_tokenizer_of(dataset_name, root, progress)
    order = _order(tokenizer.vocabulary) if vocabulary.swapped else None
    files = fetch_weights(
        name,
        dataset_name,
        row,
        root=root,
        progress=progress,
        convert=_converter(name, dataset_name, row, order),
    )
    return _row_checkpoint(files, ModelName(name, dataset_name), tokenizer, order)


def row_checkpoint(
    key: ModelName, files: LocalFiles, root: Optional[PathLike] = None
) -> Checkpoint:
    """Read files that are those of a row, wherever they are.

    Parameters
    ----------
    key : ModelName
    files : LocalFiles
    root : str or Path, optional
        Where the vocabulary is looked for, and fetched to.

    Returns
    -------
    Checkpoint
        As from :func:`zoo_checkpoint`.
    """
    tokenizer = read_tokenizer_of(key.dataset_name, root)
    order = _order(tokenizer.vocabulary) if VOCABULARIES[key.dataset_name].swapped else None
    return _row_checkpoint(files, key, tokenizer, order)


def _row_checkpoint(files, key, tokenizer, order):
    name, row, vocabulary = key.name, WEIGHTS[key], VOCABULARIES[key.dataset_name]
    arrays, in_published_order = _read_arrays(files, name, vocabulary.size)
    if order is not None:
        # In GluonNLP's official files only the decoder's bias is not in the order of the ids.
        moved = _BY_TOKEN if in_published_order else _unordered_in_official(files, row)
        arrays = _changed(arrays, moved, lambda array: array[order], vocabulary.size)
    config = get_config(name, vocabulary.size)
    try:
        check_shapes(arrays, config)
    except ValueError as error:
        raise ValueError(f'{files.paths[0]}: {error}') from None
    return Checkpoint(
        arrays,
        config,
        family_of(name),
        tokenizer,
        source=str(files.paths[0]),
        sentence=sentence_settings_of(row),
    )


def sentence_settings_of(row: Weights) -> Optional[SentenceSettings]:
    """Return how a row's sentence vectors are made; None if it is no sentence model."""
    if row.sentence_tokens is None:
        return None
    modules = (Normalize(),) if row.sentence_normalized else ()
    return SentenceSettings(modules=modules, max_length=row.sentence_tokens)


def read_tokenizer_of(
    dataset_name: str, root: Optional[PathLike] = None, progress: bool = True
) -> SubwordTokenizer:
    """Read the tokenizer of a data set of the tables, fetching missing files."""
    row = VOCABULARIES[dataset_name]
    files = fetch_vocabulary(
        dataset_name, row, root=root, progress=progress, convert=_vocabulary_converter(row)
    )
    if row.kind == 'byte_pair':
        vocab_path, merges_path = files.paths
        return data.BytePairTokenizer.from_files(vocab_path, merges_path)
    if files.kind == 'spiece':
        return data.SentencePieceTokenizer(files.paths[0], lower=row.lowercase)
    vocab = data.read_vocabulary(files.paths[0], swap=row.swapped and files.kind == 'vocab_txt')
    has_token_types = any(
        ARCHITECTURES[name]['num_token_types']
        for name, data_set in WEIGHTS
        if data_set == dataset_name
    )
    return data.BertTokenizer(vocab, lower=row.lowercase, uses_token_types=has_token_types)


def fetch_model(
    name: str, dataset_name: str, root: Optional[PathLike] = None, progress: bool = True
) -> tuple[Path, ...]:
    """Fetch the files of a row into the folder of the zoo.

    Parameters
    ----------
    name, dataset_name, root, progress
        As for :func:`zoo_checkpoint`.

    Returns
    -------
    tuple of Path
        The files.
    """
    name, dataset_name = resolve(name, dataset_name)
    checkpoint = zoo_checkpoint(name, dataset_name, root, progress)
    row = VOCABULARIES[dataset_name]
    return (Path(checkpoint.source), *fetch_vocabulary(dataset_name, row, root=root).paths)


def fetch_repository(repository: str, revision: str = 'main') -> Path:
    """Fetch a checkpoint of the Hugging Face hub into the cache of the hub's client.

    Parameters
    ----------
    repository : str
        'owner/name'.
    revision : str
        Branch, tag or commit.

    Returns
    -------
    Path
        The folder: config.json, tokenizer files, and the weights in one format.

    Raises
    ------
    FileNotFoundError
        If there is no such checkpoint, or the hub cannot be reached.
    """
    from .fetch.hub import fetch_folder

    return fetch_folder(repository, revision)


def _with_heads(row, heads):
    sources = tuple(
        source
        for source in row.sources
        if not any(set(getattr(file, 'lacks', ())) & set(heads) for file in files_of(source))
    )
    return replace(row, sources=sources or row.sources)


def _read_arrays(files, name, size):
    """Read arrays by common names; tell if their ids are in the published order.

    Rows beyond the vocabulary's ``size`` belong to no token (ERNIE has 18000 for 17964): they are
    dropped.
    """
    path = files.paths[0]
    # A reader is imported for its own kind of file alone.
    if files.kind == 'tensorflow':
        from ..checkpoint.tensorflow.folder import read_tensorflow

        return _cut(read_tensorflow(path, tokenizer=False).arrays, size, path), True
    if files.kind == 'params':
        from ..checkpoint.gluonnlp.names import common_arrays
        from ..checkpoint.gluonnlp.params_file import read_params

        return _cut(common_arrays(read_params(path)), size, path), False
    if files.kind == 'onnx':
        from ..checkpoint.onnx.files import read_onnx_arrays

        return read_onnx_arrays(path, get_config(name, size)), True
    from ..checkpoint.huggingface.folder import huggingface_arrays
    from ..checkpoint.huggingface.safetensors_file import open_tensors

    tensors = open_tensors(path)
    return _cut(huggingface_arrays(tensors, family_of(name)), size, path), True


def _cut(arrays, size, path):
    long = [name for name in _BY_TOKEN if name in arrays and shape_of(arrays, name)[0] > size]
    if not long:
        return arrays
    logger.info(
        '%s: the word embedding has %d rows, the tokenizer %d tokens: the rows after them are '
        'left out',
        path,
        shape_of(arrays, long[0])[0],
        size,
    )
    return _changed(arrays, long, lambda array: array[:size], size)


def _changed(arrays, names, change, rows):
    """Apply a function to the arrays named ``names``; each result has ``rows`` rows."""
    return with_arrays(
        arrays,
        {
            name: ((rows, *shape_of(arrays, name)[1:]), lambda name=name: change(arrays[name]))
            for name in names
            if name in arrays
        },
    )


def _unordered_in_official(files, row):
    # Not by the full name: GluonNLP has renamed data sets, but never changed files' digests.
    official = tuple(
        f'-{file.sha1[:8]}{file.suffix}'
        for source in row.sources
        for file in files_of(source)
        if isinstance(file, GluonFile)
    )
    return ('decoder.3.bias',) if files.paths[0].name.endswith(official) else ()


def _converter(name, dataset_name, row, order):
    """Make a function that converts fetched files to Hugging Face's layout and published ids."""
    size = VOCABULARIES[dataset_name].size

    def convert(files, folder):
        arrays, in_published_order = _read_arrays(files, name, size)
        if order is not None and not in_published_order:
            unordered = _unordered_in_official(files, row)
            back = np.argsort(order)
            arrays = _changed(
                arrays,
                [key for key in _BY_TOKEN if key not in unordered],
                lambda array: array[back],
                size,
            )
        from ..checkpoint.huggingface.folder import write_huggingface

        write_huggingface(
            Checkpoint(arrays, get_config(name, size), family_of(name), source=files.source), folder
        )

    return convert


def _vocabulary_converter(row):
    def convert(files, folder):
        if row.kind == 'byte_pair':
            data.BytePairTokenizer.from_files(*files.paths).save(folder)
            return
        tokens = data.read_vocabulary(files.paths[0]).idx_to_token
        tokens = data.to_published_order(tokens) if row.swapped else tokens
        write_text(folder / 'vocab.txt', ''.join(f'{token}\n' for token in tokens))

    return convert


def _order(vocab):
    """Compute the published id of each id in GluonNLP's order."""
    return np.array(data.gluonnlp_order(data.to_published_order(vocab.idx_to_token)))
