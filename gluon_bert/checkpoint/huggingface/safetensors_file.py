"""Named tensors in files: safetensors, read tensor by tensor, and files in several shards.

A safetensors file is the length of its header (8 bytes), the header (JSON: name -> type, shape and
byte range) and the tensors' bytes. ``safetensors.numpy.load_file`` is not used: it has the file and
a copy of all tensors in memory, where a tensor here lies in the file until it is touched and is not
copied; and no BF16.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Tuple

import numpy as np

from ..._internal.files import atomic_path
from ..._internal.json import parse_json
from ..._internal.types import PathLike
from ..tensor_file import DTYPES, TensorFile, abbreviate, existing, num_bytes

_WRITTEN = {stored: name for name, stored in DTYPES.items() if name != 'BF16'}

# The format allows a header of 100 MB. As Python objects that could be gigabytes; the header of
# BERT large takes 40 kB.
_MAX_HEADER = 8 << 20
_MAX_SEPARATORS = 400_000  # each '[', '{' and ',' makes room for one object


class _Entry(NamedTuple):
    dtype: str
    shape: Tuple[int, ...]
    begin: int  # in the file
    end: int


class SafetensorsFile(TensorFile):
    """The tensors of a safetensors file: name -> numpy.ndarray, each read when asked for.

    The header is checked as a whole on opening. BF16 comes as float32, bit for bit.

    Parameters
    ----------
    path : str or Path

    Attributes
    ----------
    metadata : dict of str to str

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is truncated, altered or of another kind; on reading, if the tensor's type is
        not one of F64, F32, F16, BF16, I64, I32, I16, I8, U8 and BOOL.
    """

    def __init__(self, path: PathLike) -> None:
        super().__init__(path)
        size = self._stamp[1]
        try:
            with open(self.path, 'rb') as file:
                length = int.from_bytes(file.read(8), 'little')
                if length > size - 8:
                    raise ValueError(f'its header of {length} bytes does not fit in {size}')
                header = _parse_object(file.read(min(length, _MAX_HEADER + 1)))
            self.metadata = header.pop('__metadata__', {})
            if not isinstance(self.metadata, dict) or not _texts(self.metadata.values()):
                raise ValueError('its __metadata__ is not text by name')
            self._entries = {
                name: _check_entry(name, entry, 8 + length) for name, entry in header.items()
            }
            _check_cover(self._entries, 8 + length, size)
        except ValueError as error:
            raise ValueError(f'{self.path}: not a whole safetensors file ({error})') from None

    def __getitem__(self, name):
        entry = self._entry(name)
        if entry.dtype not in DTYPES:
            raise ValueError(
                f'{self.path}: tensor {abbreviate(name)} is of type {abbreviate(entry.dtype)}: '
                f'expected one of {", ".join(DTYPES)}'
            )
        count = (entry.end - entry.begin) // DTYPES[entry.dtype].itemsize
        return self._read(name, entry.begin, entry.dtype, count).reshape(entry.shape)


class ShardedTensors(TensorFile):
    """Tensors spread over several files; made by :func:`open_sharded`."""

    def __init__(self, path: PathLike, files: Mapping[str, Any]) -> None:
        super().__init__(path)
        self._entries = dict(files)  # name -> open file

    def __getitem__(self, name):
        return self._entry(name)[name]

    def shape(self, name: str) -> Tuple[int, ...]:
        return self._entry(name).shape(name)

    def dtype(self, name: str) -> str:
        return self._entry(name).dtype(name)


def open_tensors(path: Path) -> Mapping[str, Any]:
    """Open a file with parameters, or the shards that a ``*.index.json`` lists.

    Parameters
    ----------
    path : Path
        Files of transformers: of safetensors if '.safetensors' is in the name, else of PyTorch,
        the reader of which is imported only then.

    Returns
    -------
    SafetensorsFile, TorchFile or ShardedTensors
    """
    opener: Callable[[Path], Any] = SafetensorsFile
    if '.safetensors' not in path.suffixes:
        from .torch_file import TorchFile

        opener = TorchFile
    return open_sharded(path, opener) if path.suffix == '.json' else opener(path)


def open_sharded(index_path: PathLike, open_file: Callable[[Path], Any]) -> ShardedTensors:
    """Open the shards that a ``*.index.json`` lists.

    Parameters
    ----------
    index_path : str or Path
        Its ``weight_map`` gives for each tensor a file in the same folder.
    open_file : callable
        Opens one shard: :class:`SafetensorsFile`, or
        :class:`~gluon_bert.checkpoint.huggingface.torch_file.TorchFile` for ``.bin`` shards.

    Returns
    -------
    ShardedTensors
        The tensors that the index lists, whichever shard they are in.

    Raises
    ------
    FileNotFoundError
        If the index or a shard is absent.
    ValueError
        If the index is none, leads out of its folder or lists a tensor that its shard has not.
    """
    path = existing(index_path)
    try:
        with open(path, 'rb') as file:
            shards = _parse_object(file.read(_MAX_HEADER + 1)).get('weight_map')
        if not isinstance(shards, dict) or not shards:
            raise ValueError("it has no object 'weight_map' with tensors")
        for name, shard in shards.items():
            if (
                type(shard) is not str
                or shard in ('', '.', '..')
                or not shard.isprintable()
                or len(shard.encode()) > 255
                or any(mark in shard for mark in '/\\:')
            ):
                raise ValueError(
                    f'tensor {abbreviate(name)} is said to be in {abbreviate(shard)}: expected '
                    'a file name in the same folder'
                )
    except ValueError as error:
        raise ValueError(f'{path}: not an index of shards ({error})') from None
    files = {shard: open_file(path.parent / shard) for shard in sorted({*shards.values()})}
    for name, shard in shards.items():
        if name not in files[shard]:
            raise ValueError(f'{path}: lists tensor {abbreviate(name)} in {shard}, where it is not')
    return ShardedTensors(path, {name: files[shard] for name, shard in shards.items()})


def write_safetensors(
    path: PathLike, arrays: Mapping[str, np.ndarray], metadata: Optional[Mapping[str, str]] = None
) -> None:
    """Write named arrays as a safetensors file, whole or not at all.

    One array at a time is in memory: ``arrays`` may be a mapping that reads each when asked for; it
    is asked twice, for the header and for the bytes. The same arrays give the same file.

    Parameters
    ----------
    path : str or Path
    arrays : mapping of str to numpy.ndarray
        Of float64, float32, float16, int64, int32, int16, int8, uint8 or bool.
    metadata : dict of str to str, optional
        transformers wants ``{'format': 'pt'}``.

    Raises
    ------
    TypeError
        If a value is not such an array, or a name or the metadata not text.
    """
    described = {name: _describe(name, arrays[name]) for name in arrays}
    order = list(DTYPES)
    names = sorted(described, key=lambda name: (order.index(described[name][0]), name))
    header: Dict[str, Any] = {}
    end = 0
    if metadata:
        if not _texts([*metadata, *metadata.values()]):
            raise TypeError('metadata: expected text by text')
        header['__metadata__'] = dict(sorted(metadata.items()))
    for name in names:
        dtype, shape = described[name]
        begin, end = end, end + num_bytes(shape, DTYPES[dtype].itemsize)
        header[name] = {'dtype': dtype, 'shape': shape, 'data_offsets': [begin, end]}
    text = json.dumps(header, separators=(',', ':'), ensure_ascii=False).encode()
    text += b' ' * (-len(text) % 8)
    with atomic_path(path) as temporary, open(temporary, 'wb') as file:
        file.write(len(text).to_bytes(8, 'little') + text)
        for name in names:
            array = arrays[name]
            if _describe(name, array) != described[name]:
                raise ValueError(f'{path}: array {name!r} is not twice of the same type and shape')
            stored = np.ascontiguousarray(array, DTYPES[described[name][0]])
            file.write(stored.reshape(-1).view(np.uint8).data)


def _check_entry(name, entry, start):
    """An entry of the header; ``start`` is where in the file the tensors begin."""
    where = f'tensor {abbreviate(name)}'
    if not isinstance(entry, dict):
        raise ValueError(f'{where} is not an object')
    dtype, shape, offsets = (entry.get(key) for key in ('dtype', 'shape', 'data_offsets'))
    if type(dtype) is not str or not _naturals(shape) or not _naturals(offsets):
        raise ValueError(f'{where}: dtype, shape or data_offsets are absent or of another type')
    if len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ValueError(f'{where} has the data_offsets {offsets[:4]}')
    try:
        name.encode()
        needed = num_bytes(shape, DTYPES[dtype].itemsize if dtype in DTYPES else 1)
    except ValueError as error:
        raise ValueError(f'{where}: {error}') from None
    begin, end = (start + offset for offset in offsets)
    # How long the others are does not matter: reading them is refused.
    if dtype in DTYPES and end - begin != needed:
        raise ValueError(f'{where} needs {needed} bytes and has {end - begin}')
    return _Entry(dtype, tuple(shape), begin, end)


def _naturals(values):
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)


def _texts(values):
    return all(type(value) is str for value in values)


def _check_cover(entries, start, size):
    """The format wants each byte behind the header in exactly one tensor."""
    end = start
    for name, entry in sorted(entries.items(), key=lambda item: item[1][2:]):
        if entry.begin != end:
            raise ValueError(
                f'tensor {abbreviate(name)} begins at byte {entry.begin} where the one '
                f'before it ends at {end}'
            )
        end = entry.end
    if end != size:
        raise ValueError(f'its tensors end at byte {end} and the file at {size}')


def _describe(name, array):
    """Type and shape of an array to be written."""
    if type(name) is not str or name == '__metadata__':
        raise TypeError(f'arrays: {name!r} cannot be the name of a tensor')
    if not isinstance(array, np.ndarray):
        raise TypeError(f'arrays[{name!r}]: expected a numpy.ndarray, got {type(array).__name__}')
    dtype = _WRITTEN.get(array.dtype.newbyteorder('<'))
    if dtype is None:
        raise TypeError(f'arrays[{name!r}]: cannot write the type {array.dtype}')
    return dtype, array.shape


def _parse_object(text):
    if len(text) > _MAX_HEADER:
        raise ValueError(f'its JSON has over {_MAX_HEADER} bytes')
    value = parse_json(text, max_values=_MAX_SEPARATORS)
    if not isinstance(value, dict):
        raise ValueError('its JSON is not an object')
    return value
