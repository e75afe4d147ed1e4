"""Records of pre-training: sequences with masked tokens, in the file formats of the field.

T tokens, M masked positions.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, Optional, Union

import numpy as np

from ..._internal.crc32c import masked_crc32c
from ..._internal.files import atomic_path
from ..._internal.suggestions import unknown_name
from ..._internal.types import PathLike

FOLLOWS, RANDOM = 0, 1  # next_sentence


class Record(NamedTuple):
    """A sequence without padding; ``token_ids`` are those after masking."""

    token_ids: np.ndarray
    """Shape (T,), int32."""
    token_types: np.ndarray
    """Shape (T,), int32."""
    masked_positions: np.ndarray
    """Shape (M,), int32, from 0, ascending."""
    masked_ids: np.ndarray
    """Shape (M,), int32: the tokens that were at these positions."""
    masked_weights: np.ndarray
    """Shape (M,), float32: their weights in the loss."""
    next_sentence: Optional[int]
    """0 if the second segment follows the first; 1 if it is a random one, or if the two are
    swapped; None without a label."""


_TYPES = ('int32', 'int32', 'int32', 'int32', 'float32')


@dataclass(frozen=True)
class RecordFormat:
    """A row of :data:`FORMATS`.

    ``module`` has ``read(path)``, which yields stored records, ``decode(stored)``, which makes
    one a :class:`Record`, ``count(path)``, ``check()``, which refuses if a package is missing, and
    ``Writer(path, max_length, max_predictions)`` with
    ``write(record)``, ``close()`` and ``discard()``.
    """

    name: str
    suffixes: tuple[str, ...]
    """How names of files end; of the first one when a file is named."""
    description: str
    module: str
    cannot_hold: str

    def load(self) -> ModuleType:
        """Import the module that reads and writes it."""
        return importlib.import_module(f'.{self.module}', __package__)


FORMATS = {
    row.name: row
    for row in (
        RecordFormat(
            'tfrecord',
            ('.tfrecord', '.tfrecords', '.tf_record'),
            "TensorFlow's records, as Google's run_pretraining.py reads them",
            'tfrecord',
            cannot_hold='weights of 0 at the end',
        ),
        RecordFormat(
            'npz',
            ('.npz',),
            "NumPy's archive, as GluonNLP's run_pretraining.py reads it",
            'npz',
            cannot_hold='some records without labels',
        ),
        RecordFormat(
            'parquet',
            ('.parquet',),
            'Parquet, a row a record, by pyarrow',
            'parquet',
            cannot_hold='',
        ),
    )
}


def describe_formats() -> str:
    """Describe the formats, and what they cannot hold, for the help of commands."""
    parts = []
    for row in FORMATS.values():
        limit = f' (not {row.cannot_hold})' if row.cannot_hold else ''
        parts.append(f'{row.name}: {row.description}{limit}')
    return '; '.join(parts)


def format_of(path: PathLike, name: Optional[str] = None) -> RecordFormat:
    """Choose the format of a file to be written, by its name or by its suffix.

    Raises
    ------
    ValueError
        If there is no such format, or the suffix is that of none.
    """
    if name is not None:
        if name not in FORMATS:
            raise unknown_name('format', name, FORMATS)
        return FORMATS[name]
    for row in FORMATS.values():
        if Path(path).suffix.lower() in row.suffixes:
            return row
    suffixes = ', '.join(row.suffixes[0] for row in FORMATS.values())
    raise ValueError(f'{path}: the name of a file of records ends in one of {suffixes}')


def detect_format(path: PathLike) -> RecordFormat:
    """Detect the format of a file from its content.

    Raises
    ------
    FileNotFoundError
    ValueError
        If it is in none of the formats.
    """
    with open(path, 'rb') as file:
        head = file.read(12)
    if head.startswith(b'PK\3\4'):
        return FORMATS['npz']
    if head.startswith(b'PAR1'):
        return FORMATS['parquet']
    row = FORMATS['tfrecord']
    has_checksum = len(head) == 12 and masked_crc32c(head[:8]).to_bytes(4, 'little') == head[8:]
    if has_checksum or Path(path).suffix.lower() in row.suffixes:
        return row
    raise ValueError(f'{path}: holds no records: expected one of {", ".join(FORMATS)}')


def read_records(
    paths: Union[PathLike, Iterable[PathLike]],
    vocab_size: Optional[int] = None,
    max_length: Optional[int] = None,
) -> Iterator[Record]:
    """Read the records of files one after the other, each format as its content shows.

    Parameters
    ----------
    paths : str, Path or iterable of them
    vocab_size : int, optional
        Refuse ids from here on, which another vocabulary must have given.
    max_length : int, optional
        Refuse longer sequences.

    Yields
    ------
    Record

    Raises
    ------
    FileNotFoundError
    ValueError
        If a file is truncated or altered, or a record contradicts itself or these limits; the
        message names the file and the record, from 1.
    """
    for path in [paths] if isinstance(paths, (str, Path)) else paths:
        form = detect_format(path).load()
        for number, stored in enumerate(form.read(path), 1):
            yield decode_record(form, stored, f'{path}: record {number}', vocab_size, max_length)


def decode_record(
    form: ModuleType,
    stored: Any,
    place: str,
    vocab_size: Optional[int] = None,
    max_length: Optional[int] = None,
) -> Record:
    """Make a stored record a :class:`Record`, and check it; ``place`` is for messages."""
    try:
        record = form.decode(stored)
        arrays = [np.asarray(array, kind) for array, kind in zip(record, _TYPES)]
        record = Record._make([*arrays, record.next_sentence])
        _check(record, vocab_size, max_length)
    except (ValueError, OverflowError) as error:
        raise ValueError(f'{place}: {error}') from None
    return record


def write_records(
    path: PathLike,
    records: Iterable[Record],
    format: Optional[str] = None,
    max_length: Optional[int] = None,
    max_predictions: Optional[int] = None,
) -> int:
    """Write a file of records; it is complete or not there.

    Parameters
    ----------
    path : str or Path
    records : iterable of Record
    format : str, optional
        tfrecord, npz or parquet; by default as the name of the file ends.
    max_length, max_predictions : int, optional
        Tokens and masked positions to which TFRecords are padded, which need them. Longer
        records are refused in every format.

    Returns
    -------
    int
        Number of records.

    Raises
    ------
    ValueError
        If the format cannot hold a record.
    """
    form = format_of(path, format)
    with atomic_path(path) as temporary:
        return write_file(temporary, records, form, max_length, max_predictions)


def write_file(
    path: PathLike,
    records: Iterable[Record],
    form: RecordFormat,
    max_length: Optional[int],
    max_predictions: Optional[int],
) -> int:
    """Write a file as :func:`write_records` does, of which a part remains after an error."""
    count = 0
    writer = form.load().Writer(path, max_length, max_predictions)
    try:
        for record in records:
            writer.write(record)
            count += 1
        writer.close()
    finally:
        writer.discard()
    return count


def check_sizes(record: Record, max_length: Optional[int], max_predictions: Optional[int]) -> None:
    """Refuse a record with more tokens or masked positions."""
    for count, limit, name in (
        (len(record.token_ids), max_length, 'tokens'),
        (len(record.masked_ids), max_predictions, 'masked positions'),
    ):
        if limit is not None and count > limit:
            raise ValueError(f'a record of {count} {name}, at most {limit} are allowed')


def _check(record, vocab_size, max_length):
    """Refuse what no network could read."""
    length, masked = len(record.token_ids), len(record.masked_positions)
    if not length:
        raise ValueError('it has no tokens')
    if len(record.token_types) != length:
        raise ValueError(f'it has {length} tokens, but {len(record.token_types)} token types')
    if (len(record.masked_ids), len(record.masked_weights)) != (masked, masked):
        raise ValueError(
            f'it has {masked} masked positions, {len(record.masked_ids)} masked ids and '
            f'{len(record.masked_weights)} weights'
        )
    if max_length is not None and length > max_length:
        raise ValueError(f'it has {length} tokens, at most {max_length} are allowed')
    limits = (vocab_size, None, length, vocab_size)
    for name, values, limit in zip(Record._fields, record, limits):
        least, most = int(values.min(initial=0)), int(values.max(initial=0))
        if least < 0 or (limit is not None and most >= limit):
            allowed = '0 or more' if limit is None else f'from 0 to {limit - 1}'
            raise ValueError(f'{name} has {least if least < 0 else most}, expected {allowed}')
    if not np.isfinite(record.masked_weights).all():
        raise ValueError('a weight is not finite')
    if record.next_sentence not in (None, FOLLOWS, RANDOM):
        raise ValueError(f'next_sentence is {record.next_sentence}, expected 0 or 1')
