"""TensorFlow's file of records, each a ``tf.train.Example``, without TensorFlow.

A record is its length (8 bytes), the checksum of these, its bytes, and their checksum. Features
have the names and the padding of google-research/bert's create_pretraining_data.py.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from typing import Optional

import numpy as np

from ..._internal.checks import check_positive
from ..._internal.crc32c import masked_crc32c
from ..._internal.protobuf import BYTES, FIXED32, VARINT, encode_bytes, encode_varint, read_fields
from ..._internal.types import PathLike
from .records import Record, check_sizes

_MAX_RECORD = 1 << 24  # bytes
_HEADER, _TRAILER = 12, 4  # bytes
_IDS, _MASK, _SEGMENTS = 'input_ids', 'input_mask', 'segment_ids'
_POSITIONS, _LABELS = 'masked_lm_positions', 'masked_lm_ids'
_WEIGHTS, _NEXT = 'masked_lm_weights', 'next_sentence_labels'
_FLOATS, _INTEGERS = 2, 3  # fields of a Feature
_REQUIRED = (_IDS, _MASK, _SEGMENTS, _POSITIONS, _LABELS, _WEIGHTS)


class Writer:
    """Write records, padded, one after the other.

    Parameters
    ----------
    path : str or Path
    max_length, max_predictions : int
        Tokens and masked positions of each record.
    """

    def __init__(
        self, path: PathLike, max_length: Optional[int], max_predictions: Optional[int]
    ) -> None:
        if max_length is None or max_predictions is None:
            raise ValueError('TFRecords are padded: max_length and max_predictions are needed')
        check_positive(max_length=max_length, max_predictions=max_predictions)
        self._sizes = max_length, max_predictions
        self._file = open(path, 'wb')  # noqa: SIM115 (closed by close)

    def write(self, record: Record) -> None:
        """Append a record."""
        data = encode_example(record, *self._sizes)
        header = len(data).to_bytes(8, 'little')
        self._file.write(
            header
            + masked_crc32c(header).to_bytes(4, 'little')
            + data
            + masked_crc32c(data).to_bytes(4, 'little')
        )

    def close(self) -> None:
        """Complete the file."""
        self._file.close()

    discard = close


def check() -> None:
    """Do nothing: no further package is needed."""
    return None


def read(path: PathLike) -> Iterator[bytes]:
    """Read the bytes of each record, whose checksums are verified."""
    with open(path, 'rb') as file:
        for number, size in _headers(file, path):
            data = file.read(size)
            if masked_crc32c(data).to_bytes(4, 'little') != file.read(_TRAILER):
                raise ValueError(
                    f'{path}: record {number}: the checksum of its content is wrong: the file is '
                    f'altered'
                )
            yield data


def count(path: PathLike) -> int:
    """Count the records, whose content is not read."""
    total = 0
    with open(path, 'rb') as file:
        for _, size in _headers(file, path):
            file.seek(size + _TRAILER, os.SEEK_CUR)
            total += 1
    return total


def decode(data: bytes) -> Record:
    """Decode an Example and take its padding off."""
    features = _features(data)
    missing = [name for name in _REQUIRED if name not in features]
    if missing:
        raise ValueError(f'it has no feature {missing[0]}')
    mask, weights = features[_MASK], features[_WEIGHTS]
    length = int(mask.sum()) if len(mask) else 0
    if len(mask) != len(features[_IDS]) or not np.array_equal(mask, np.arange(len(mask)) < length):
        raise ValueError(f'{_MASK} is not 1 for the tokens and then 0 for the padding')
    masked = int(np.flatnonzero(weights)[-1]) + 1 if weights.any() else 0
    label = features.get(_NEXT)
    if label is not None and len(label) != 1:
        raise ValueError(f'{_NEXT} has {len(label)} values, expected 1')
    return Record(
        features[_IDS][:length],
        features[_SEGMENTS][:length],
        features[_POSITIONS][:masked],
        features[_LABELS][:masked],
        weights[:masked],
        None if label is None else int(label[0]),
    )


def encode_example(record: Record, max_length: int, max_predictions: int) -> bytes:
    """Encode a record as an Example, padded with zeros.

    A record without a label of the next sentence has no such feature.

    Raises
    ------
    ValueError
        If it has more tokens or masked positions.
    """
    check_sizes(record, max_length, max_predictions)
    integers = [
        (_IDS, record.token_ids, max_length),
        (_MASK, np.ones(len(record.token_ids), 'int64'), max_length),
        (_SEGMENTS, record.token_types, max_length),
        (_POSITIONS, record.masked_positions, max_predictions),
        (_LABELS, record.masked_ids, max_predictions),
    ]
    if record.next_sentence is not None:
        integers.append((_NEXT, np.array([record.next_sentence]), 1))
    features = [
        _feature(name, _INTEGERS, encode_varints(values) + bytes(size - len(values)))
        for name, values, size in integers
    ]
    weights = np.zeros(max_predictions, '<f4')
    weights[: len(record.masked_weights)] = record.masked_weights
    features.append(_feature(_WEIGHTS, _FLOATS, weights.tobytes()))
    return encode_bytes(1, b''.join(features))


def encode_varints(values: np.ndarray) -> bytes:
    """Encode whole numbers from 0 to 2^63 - 1 one after the other, seven bits a byte."""
    return b''.join(map(_encode_number, np.asarray(values).tolist()))


@functools.lru_cache(1 << 18)
def _encode_number(value):
    return encode_varint(value)


def decode_varints(data: bytes) -> np.ndarray:
    """Decode what :func:`encode_varints` encodes, and signed 64-bit numbers as well."""
    raw = np.frombuffer(data, 'u1')
    if not len(raw):
        return np.zeros(0, 'int64')
    ends = np.flatnonzero(raw < 128)
    if not len(ends) or ends[-1] != len(raw) - 1:
        raise ValueError('it ends inside a number')
    starts = np.concatenate([[0], ends[:-1] + 1])
    place = np.arange(len(raw)) - np.repeat(starts, ends - starts + 1)
    if place.max() > 9:
        raise ValueError('a number in it has more than 64 bits')
    return np.add.reduceat((raw & 127).astype('u8') << (7 * place).astype('u8'), starts).view('i8')


def _headers(file, path):
    """Number and size of each record, whose content the caller reads or skips."""
    size_of_file = os.fstat(file.fileno()).st_size
    number = 0
    while True:
        header = file.read(_HEADER)
        if not header:
            return
        number += 1
        place = f'{path}: record {number}'
        if len(header) == _HEADER and masked_crc32c(header[:8]).to_bytes(4, 'little') != header[8:]:
            raise ValueError(
                f'{place}: the checksum of its length is wrong: the file is altered, or not of '
                f'TFRecords'
            )
        size = int.from_bytes(header[:8], 'little')
        if len(header) < _HEADER or size > size_of_file - file.tell() - _TRAILER:
            raise ValueError(f'{place}: the file ends inside of it: it is truncated')
        if size > _MAX_RECORD:
            raise ValueError(f'{place}: claims {size} bytes, at most {_MAX_RECORD} are read')
        yield number, size


def _feature(name, kind, packed):
    values = encode_bytes(kind, encode_bytes(1, packed))
    return encode_bytes(1, encode_bytes(1, name.encode()) + encode_bytes(2, values))


def _features(data):
    """The features of an Example: name -> array."""
    features = {}
    for number, _, message in read_fields(data):
        for inner, _, entry in read_fields(message) if number == 1 else ():
            if inner == 1:
                parts = {key: value for key, _, value in read_fields(entry)}
                name = _name(parts.get(1, b''))
                features[name] = _values(name, parts.get(2, b''))
    return features


def _name(raw):
    name = raw.decode('ascii', 'replace') if isinstance(raw, bytes) else ''
    if name not in (*_REQUIRED, _NEXT):
        raise ValueError(f'feature {name[:80]!r} is none of a pre-training record')
    return name


def _values(name, feature):
    """The numbers of a feature."""
    kind = _FLOATS if name == _WEIGHTS else _INTEGERS
    for number, _, values in read_fields(feature):
        if number != kind:
            break
        return _numbers(values, np.frombuffer if kind == _FLOATS else None)
    raise ValueError(f'feature {name} is not a list of {"floats" if kind == _FLOATS else "int64"}')


def _numbers(values, read_floats):
    parts = []
    for _, stored, value in read_fields(values):
        if stored == BYTES:
            parts.append(read_floats(value, '<f4') if read_floats else decode_varints(value))
        elif stored == VARINT and not read_floats:  # each on its own
            parts.append(np.array([value], 'u8').view('i8'))
        elif stored == FIXED32 and read_floats:
            parts.append(read_floats(value, '<f4'))
        else:
            raise ValueError('its numbers are stored in an unknown way')
    return np.concatenate(parts) if parts else np.zeros(0, 'f4' if read_floats else 'i8')
