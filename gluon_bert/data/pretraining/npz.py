"""GluonNLP 0.10's archive of records: arrays of arrays, which NumPy stores as pickles.

The pickles are not loaded as such: :class:`_Unpickler` makes arrays of numbers, and knows no other
class or function.
"""

from __future__ import annotations

import ast
import io
import math
import pickle
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, Optional

import numpy as np

from ..._internal.types import PathLike
from .records import Record, check_sizes

_RAGGED = ('input_ids', 'segment_ids', 'masked_lm_positions', 'masked_lm_ids', 'masked_lm_weights')
_NEXT, _LENGTHS = 'next_sentence_labels', 'valid_lengths'
_TYPES = ('int32', 'int32', 'int32', 'int32', 'float32')
_MAX_MEMBER = 1 << 33  # bytes
_MAX_HEADER = 1 << 12  # bytes
_GARBAGE = (
    ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, RecursionError, TypeError,
    SyntaxError, ValueError, pickle.UnpicklingError, zipfile.BadZipFile, NotImplementedError,
    zlib.error,
)  # fmt: skip


class Writer:
    """Gather records, and write them on close.

    Parameters
    ----------
    path : str or Path
    max_length, max_predictions : int, optional
        Refuse larger records.
    """

    def __init__(
        self, path: PathLike, max_length: Optional[int], max_predictions: Optional[int]
    ) -> None:
        self._path, self._sizes = path, (max_length, max_predictions)
        self._records: list[Record] = []

    def write(self, record: Record) -> None:
        """Add a record."""
        check_sizes(record, *self._sizes)
        first = self._records[0] if self._records else record
        if (first.next_sentence is None) != (record.next_sentence is None):
            raise ValueError('npz holds a label of the next sentence for all records, or for none')
        self._records.append(record)

    def close(self) -> None:
        """Write the file."""
        arrays = {}
        for name, kind, values in zip(_RAGGED, _TYPES, _columns(self._records)):
            arrays[name] = np.empty(len(values), object)
            arrays[name][:] = [np.asarray(value, kind) for value in values] or 0
        if not self._records or self._records[0].next_sentence is not None:
            labels = [record.next_sentence for record in self._records]
            arrays[_NEXT] = np.array(labels, 'int32')
        lengths = [len(record.token_ids) for record in self._records]
        arrays[_LENGTHS] = np.array(lengths, 'int32')
        content = io.BytesIO()  # as an archive that cannot be written complains once more later
        np.savez_compressed(content, **arrays)
        with open(self._path, 'wb') as file:
            file.write(content.getbuffer())

    def discard(self) -> None:
        """Forget the records."""
        self._records = []


def check() -> None:
    """Do nothing: no further package is needed."""
    return None


def read(path: PathLike) -> Iterator[tuple]:
    """Read the file at once, and give a row of each array at a time."""
    try:
        with zipfile.ZipFile(path) as archive:
            columns = [_read_rows(archive, name) for name in _RAGGED]
            lengths = _read_array(archive, _LENGTHS).tolist()
            labels: list = [None] * len(lengths)
            if f'{_NEXT}.npy' in archive.namelist():
                labels = _read_array(archive, _NEXT).tolist()
        for name, rows in zip((*_RAGGED, _NEXT), (*columns, labels)):
            if len(rows) != len(lengths):
                raise ValueError(f'{name} has {len(rows)} rows, {_LENGTHS} has {len(lengths)}')
    except _GARBAGE as error:
        raise ValueError(f'{path}: not a whole archive of records ({_reason(error)})') from None
    yield from zip(*columns, labels, lengths)


def count(path: PathLike) -> int:
    """Count the records of a file."""
    try:
        with zipfile.ZipFile(path) as archive:
            return len(_read_array(archive, _LENGTHS))
    except _GARBAGE as error:
        raise ValueError(f'{path}: not a whole archive of records ({_reason(error)})') from None


def decode(row: tuple) -> Record:
    """Make a record of a row; its arrays may be padded up to one length."""
    *arrays, label, length = row
    for name, array in zip(_RAGGED, arrays):
        allowed = 'iuf' if name == 'masked_lm_weights' else 'iu'
        if array.ndim != 1 or (array.size and array.dtype.kind not in allowed):
            raise ValueError(f'{name} is not a row of numbers')
    ids, types, positions, masked_ids, weights = arrays
    if not 0 < length <= len(ids):
        raise ValueError(f'{_LENGTHS} is {length} for {len(ids)} tokens')
    return Record(ids[:length], types[:length], positions, masked_ids, weights, label)


def _columns(records):
    """The five ragged arrays, each as a list of rows."""
    return zip(*(record[:5] for record in records)) if records else [()] * len(_RAGGED)


def _reason(error):
    text = str(error) if isinstance(error, ValueError) else f'{type(error).__name__}: {error}'
    return text[:200].encode('unicode_escape').decode()


def _read_rows(archive, name):
    """The rows of an array of arrays, or of a matrix."""
    array = _read_array(archive, name)
    return [np.asarray(row) for row in array]


def _read_array(archive, name):
    if f'{name}.npy' not in archive.namelist():
        raise ValueError(f'it has no {name}')
    size = archive.getinfo(f'{name}.npy').file_size
    if size > _MAX_MEMBER:
        raise ValueError(f'{name} has {size} bytes, at most {_MAX_MEMBER} are read')
    with archive.open(f'{name}.npy') as file:
        shape, is_fortran, kind = _read_header(file, name)
        if kind.kind == 'O':
            return _read_objects(file, name)
        if kind.kind not in 'iufb' or (is_fortran and len(shape) > 1):
            raise ValueError(f'{name} is of type {kind}')
        if math.prod(shape) * kind.itemsize > size:
            raise ValueError(f'{name} claims the shape {shape}')
        return np.frombuffer(file.read(), kind).reshape(shape)


def _read_header(file, name):
    """Shape, order and type of an array in NumPy's format."""
    magic = file.read(8)
    if magic[:6] != b'\x93NUMPY' or magic[6:] not in (b'\1\0', b'\2\0', b'\3\0'):
        raise ValueError(f'{name} is not in a known version of the format of NumPy')
    size = int.from_bytes(file.read(2 if magic[6] == 1 else 4), 'little')
    text = file.read(min(size, _MAX_HEADER)).decode('latin-1')
    header = {} if '\\' in text else ast.literal_eval(text.strip())
    shape, kind = header['shape'], header['descr']
    is_shape = isinstance(shape, tuple) and all(isinstance(n, int) and n >= 0 for n in shape)
    if not is_shape or not re.fullmatch('[<>|]?[iufbO][1248]?', kind):
        raise ValueError(f'{name} has the type {kind!r} and the shape {shape!r}'[:200])
    return shape, header['fortran_order'], np.dtype(kind)


def _read_objects(file, name):
    rows = _Unpickler(io.BytesIO(file.read())).load()  # after its checksum was compared
    if not isinstance(rows, _Array):
        raise ValueError(f'{name} is not an array')
    return rows.rows()


class _Unpickler(pickle.Unpickler):
    """Make stand-ins of arrays, types and numbers; refuse all else."""

    def find_class(self, module: str, name: str) -> Any:
        module = module.replace('numpy._core', 'numpy.core')
        allowed = {
            ('numpy.core.multiarray', '_reconstruct'): _Array,
            ('numpy.core.multiarray', 'scalar'): _Number,
            ('numpy', 'ndarray'): 'ndarray',
            ('numpy', 'dtype'): _Type,
        }
        if (module, name) not in allowed:
            raise ValueError(f'it names {module}.{name}, which no array of numbers needs'[:200])
        return allowed[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise ValueError('it refers to an object outside of it')


class _Type:
    """Stand-in of a type of numbers, or of objects."""

    def __init__(self, code, *_):
        if not isinstance(code, str) or code[:1] not in 'iufbO' or len(code) > 2:
            raise ValueError(f'it holds values of type {code!r:.40}')
        self.code, self.order = code, '<'

    def __setstate__(self, state):
        self.order = state[1] if state[1] in ('<', '>') else '|'

    def dtype(self):
        return np.dtype(self.code).newbyteorder(self.order)


class _Array:
    """Stand-in of an array."""

    type = state = None

    def __init__(self, *_):
        pass  # BUILD gives shape, type and content

    def __setstate__(self, state):
        _, self.shape, self.type, _, self.state = state

    def rows(self):
        """The array; of objects, one for each row."""
        if not isinstance(self.type, _Type):
            raise ValueError('an array in it has no type')
        if self.type.code[0] != 'O':
            if not isinstance(self.state, bytes):
                raise ValueError('an array in it has no content')
            return np.frombuffer(self.state, self.type.dtype()).reshape(self.shape)
        values = [_plain(value) for value in self.state]
        if len(self.shape) == 2:  # all rows have one length
            return np.array(values).reshape(self.shape)
        array = np.empty(len(values), object)
        array[:] = values or 0
        return array


class _Number:
    """Stand-in of a number."""

    def __init__(self, kind, raw):
        if not isinstance(kind, _Type) or not isinstance(raw, bytes):
            raise ValueError('a number in it has no type or no content')
        self.value = np.frombuffer(raw, kind.dtype())[0]

    def __setstate__(self, state):
        raise ValueError('a number in it has a state')


def _plain(value):
    """A number, or an array of numbers."""
    if isinstance(value, _Array):
        if not isinstance(value.type, _Type) or value.type.code[0] == 'O':
            raise ValueError('an array in it is nested too deeply')
        return value.rows()
    if isinstance(value, _Number):
        return value.value
    if isinstance(value, list) and all(isinstance(item, (int, float)) for item in value):
        return np.array(value)
    if isinstance(value, (int, float)):
        return value
    raise ValueError(f'it holds a {type(value).__name__}, expected numbers')
