"""TensorFlow's V2 checkpoints, called tensor bundles, without TensorFlow.

``<prefix>.index`` is a sorted table: a header under the empty key, then one entry a tensor with its
type, shape, place and checksum, each a protocol buffer. The tensors' bytes are in
``<prefix>.data-00000-of-00001`` and on.
"""

from __future__ import annotations

import math
import os
from typing import Dict, Mapping, NamedTuple, Tuple

import numpy as np

from ..._internal.crc32c import masked_crc32c
from ..._internal.files import atomic_path
from ..._internal.protobuf import BYTES, FIXED32, VARINT, encode_bytes, encode_varint, read_fields
from ..._internal.types import PathLike
from ..arrays import NamedEntries
from ..tensor_file import printable
from .sorted_table import MAX_BYTES, MAX_KEY, encode_table, read_table

_MAX_TENSORS = 10_000  # BERT-large with its Adam slots has 1200
_MAX_TENSOR = 1 << 34  # bytes
_MAX_DIMENSIONS = 32  # NumPy's limit
_MAX_SHARDS = 99_999  # file names have five digits

_VERSION = 1
_HEADER = bytes((0x08, 1, 0x1A, 2, 0x08, _VERSION))  # 1 data file; little-endian by default

# TensorFlow's number of a type -> its name, and NumPy's type of the stored bytes.
_TYPES = {
    1: ('float32', '<f4'),
    2: ('float64', '<f8'),
    3: ('int32', '<i4'),
    4: ('uint8', '|u1'),
    5: ('int16', '<i2'),
    6: ('int8', '|i1'),
    9: ('int64', '<i8'),
    10: ('bool', '|b1'),
    14: ('bfloat16', '<u2'),
    17: ('uint16', '<u2'),
    19: ('float16', '<f2'),
    22: ('uint32', '<u4'),
    23: ('uint64', '<u8'),
    7: ('string', None),
    8: ('complex64', None),
    18: ('complex128', None),
    20: ('resource', None),
    21: ('variant', None),
}
_NUMBERS = {
    stored: number for number, (name, stored) in _TYPES.items() if stored and name != 'bfloat16'
}


class TensorBundle(NamedEntries):
    """The tensors of a checkpoint by name; each is read from its file when it is asked for.

    bfloat16 is read as float32.

    Parameters
    ----------
    prefix : str or Path
        Path of the files without ``.index``. The data files may be absent as long as no tensor
        is asked for.

    Raises
    ------
    FileNotFoundError
        If there is no index; on asking for a tensor, if there is no data file.
    ValueError
        If the index is truncated, altered or of another kind. On asking for a tensor: if its
        bytes are not there or do not have their checksum, if it is not numeric, or if it is
        stored in slices (a partitioned variable).
    """

    def __init__(self, prefix: PathLike) -> None:
        self.prefix = os.fspath(prefix)
        self._index = f'{self.prefix}.index'
        if not os.path.isfile(self._index):
            raise FileNotFoundError(f'{self._index}: no such checkpoint index')
        with open(self._index, 'rb') as file:
            data = file.read(MAX_BYTES + 1)
        try:
            self._num_shards, self._entries = _read_index(data)
        except ValueError as error:
            raise ValueError(
                f'{self._index}: not a whole TensorFlow checkpoint index ({error})'
            ) from None

    def __repr__(self):
        return f'{type(self).__name__}({self.prefix!r})'

    def __getitem__(self, name):
        entry = self._entries[name]
        if entry.is_partitioned:
            raise ValueError(
                f'{self._index}: {printable(name)} is stored in slices (a partitioned '
                f'variable), only whole variables can be read'
            )
        stored = _stored(entry.type)
        if stored is None:
            raise ValueError(
                f'{self._index}: {printable(name)} is of type {_type_name(entry.type)}, '
                f'only numbers can be read'
            )
        path = f'{self.prefix}.data-{entry.shard:05d}-of-{self._num_shards:05d}'
        raw = _read_bytes(path, printable(name), entry)
        if _type_name(entry.type) == 'bool':
            array = raw.astype(bool)  # any byte but 0 is true
        elif _type_name(entry.type) == 'bfloat16':
            array = (raw.view(stored).astype('<u4') << 16).view('<f4')
        else:
            array = raw.view(stored)
        return array.reshape(entry.shape)

    @property
    def shapes(self) -> Dict[str, Tuple[int, ...]]:
        """Shape of each tensor, as dict of str to tuple of int."""
        return {name: entry.shape for name, entry in self._entries.items()}

    @property
    def dtypes(self) -> Dict[str, str]:
        """TensorFlow's name of each tensor's type, as dict of str to str."""
        return {name: _type_name(entry.type) for name, entry in self._entries.items()}


def write_bundle(prefix: PathLike, tensors: Mapping[str, np.ndarray]) -> None:
    """Write a checkpoint that TensorFlow reads: an index and one data file.

    One tensor at a time is in memory if ``tensors`` is lazy. Both files are whole or not there.

    Parameters
    ----------
    prefix : str or Path
        Path of the files without ``.index``.
    tensors : mapping of str to numpy.ndarray
        Booleans, whole numbers or floating-point numbers.

    Raises
    ------
    ValueError
        If a name or a type cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> write_bundle(f'{folder.name}/a', {'x': np.ones((2, 3), 'float32')})
    >>> TensorBundle(f'{folder.name}/a').shapes
    {'x': (2, 3)}
    >>> folder.cleanup()
    """
    prefix = os.fspath(prefix)
    keys = {name.encode(): name for name in tensors}
    for key, name in keys.items():
        if not 0 < len(key) <= MAX_KEY or key.startswith(b'\0'):
            raise ValueError(f'{prefix}: a tensor cannot be named {name[:80]!r}')
    if len(keys) > _MAX_TENSORS:
        raise ValueError(f'{prefix}: {len(keys)} tensors, at most {_MAX_TENSORS} can be written')
    entries = [(b'', _HEADER)]
    # The index is renamed last: a data file without one is not taken for a checkpoint.
    with atomic_path(f'{prefix}.index') as index:
        with atomic_path(f'{prefix}.data-00000-of-00001') as data, open(data, 'wb') as file:
            for key, name in sorted(keys.items()):
                entries.append((key, _write_tensor(file, prefix, name, np.asarray(tensors[name]))))
        index.write_bytes(encode_table(entries))


class _Entry(NamedTuple):
    type: int
    shape: Tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int
    is_partitioned: bool


def _type_name(number):
    return _TYPES[number][0] if number in _TYPES else f'number {number}'


def _stored(number):
    return _TYPES[number][1] if number in _TYPES else None


def _read_bytes(path, name, entry):
    """The stored bytes of a tensor, as an array of uint8."""
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{path}: no such file, it should hold {name}')
    with open(path, 'rb') as file:
        size = os.fstat(file.fileno()).st_size
        if entry.offset + entry.size > size:
            raise ValueError(
                f'{path}: {name} should be the bytes {entry.offset} to '
                f'{entry.offset + entry.size}, but the file has {size}'
            )
        raw = np.empty(entry.size, 'u1')
        file.seek(entry.offset)
        num_bytes = file.readinto(raw)
    if num_bytes != entry.size or masked_crc32c(raw) != entry.checksum:
        raise ValueError(
            f'{path}: the bytes of {name} do not have the checksum in the index: the '
            f'file is altered, or of another checkpoint'
        )
    return raw


def _read_index(data):
    """Number of data files, and the entries by name."""
    num_shards, previous, entries = None, None, {}
    for count, (key, value) in enumerate(read_table(data)):
        if count > _MAX_TENSORS:
            raise ValueError(f'it has more than {_MAX_TENSORS} entries')
        if previous is not None and key <= previous:
            raise ValueError('its names are not in order')
        previous = key
        if num_shards is None:
            num_shards = _read_header(key, value)
        elif not key.startswith(b'\0'):  # else a slice of a partitioned variable
            name = _decode_name(key)
            entries[name] = _read_entry(name, value, num_shards)
    if num_shards is None:
        raise ValueError('it has no entries')
    return num_shards, entries


def _decode_name(key):
    try:
        return key.decode('utf-8')
    except UnicodeDecodeError:
        raise ValueError(f'a name in it is not UTF-8: {key[:80]!r}') from None


def _read_header(key, value):
    if key:
        raise ValueError('it has no header')
    fields = _read_message(value)
    num_shards, big_endian = _number(fields, 1), _number(fields, 2)
    version = _number(_read_message(_bytes(fields, 3)), 2)
    if not 0 < num_shards <= _MAX_SHARDS:
        raise ValueError(f'it claims {num_shards} data files')
    if big_endian:
        raise ValueError('its tensors are big-endian')
    if version > _VERSION:
        raise ValueError(f'it needs a reader of version {version}')
    return num_shards


def _read_entry(name, value, num_shards):
    name = repr(name[:80])
    fields = _read_message(value)
    shape = _read_message(_bytes(fields, 2))
    sizes = shape.get((2, BYTES), [])
    if len(sizes) > _MAX_DIMENSIONS or _number(shape, 3):
        raise ValueError(
            f'{name} has an unknown number of dimensions, or more than {_MAX_DIMENSIONS}'
        )
    entry = _Entry(
        type=_number(fields, 1),
        shape=tuple(_number(_read_message(size), 1) for size in sizes),
        shard=_number(fields, 3),
        offset=_number(fields, 4),
        size=_number(fields, 5),
        checksum=int.from_bytes(fields.get((6, FIXED32), [b''])[-1], 'little'),
        is_partitioned=(7, BYTES) in fields,
    )
    stored = _stored(entry.type)
    item_size = np.dtype(stored).itemsize if stored else 1
    # Without the zeros: NumPy refuses an empty array whose other sizes overflow.
    if (
        min(entry.shape, default=0) < 0
        or math.prod(max(size, 1) for size in entry.shape) * item_size > _MAX_TENSOR
    ):
        raise ValueError(f'{name} claims the shape {entry.shape}')
    if not 0 <= entry.shard < num_shards or entry.offset < 0 or entry.size < 0:
        raise ValueError(
            f'{name} claims {entry.size} bytes from {entry.offset} of data file '
            f'{entry.shard} of {num_shards}'
        )
    if stored and not entry.is_partitioned and math.prod(entry.shape) * item_size != entry.size:
        raise ValueError(
            f'{name} claims {entry.size} bytes, which the shape {entry.shape} of '
            f'{_type_name(entry.type)} does not have'
        )
    return entry


def _write_tensor(file, prefix, name, array):
    """Append an array to the data file; its entry."""
    array = array.astype(array.dtype.newbyteorder('<'), order='C', copy=False)
    if array.dtype.str not in _NUMBERS:
        raise ValueError(f'{prefix}: {name} is of type {array.dtype}, which cannot be written')
    raw, offset = array.reshape(-1).view('u1'), file.tell()
    file.write(raw)
    sizes = b''.join(encode_bytes(2, b'\x08' + encode_varint(size)) for size in array.shape)
    return (
        b'\x08'
        + encode_varint(_NUMBERS[array.dtype.str])
        + encode_bytes(2, sizes)
        + b'\x20'
        + encode_varint(offset)
        + b'\x28'
        + encode_varint(array.nbytes)
        + b'\x35'
        + masked_crc32c(raw).to_bytes(4, 'little')
    )


def _read_message(data):
    """Gather the fields of a message: {(number, how it is stored): list of values}."""
    fields = {}
    for number, stored, value in read_fields(data):
        fields.setdefault((number, stored), []).append(value)
    return fields


def _number(fields, number):
    """A signed whole number of a protocol buffer; 0 if absent."""
    value = fields.get((number, VARINT), [0])[-1]
    return value - (1 << 64) if value >> 63 else value


def _bytes(fields, number):
    return fields.get((number, BYTES), [b''])[-1]
