"""State dicts of PyTorch files (.bin, .pt, .pth), read without PyTorch and without running pickles.

Two formats: since PyTorch 1.6 a zip of ``<name>/data.pkl`` and, for each storage, a stored member
``<name>/data/<key>``; before it a stream of pickles (magic number, protocol, system, object, keys
of the storages), then for each key a count (int64) and the values.

The pickles are not loaded: :class:`_Pickle` reads their opcodes as data and knows only what a state
dict is made of. The name of anything else, a class or function to be called, is refused.
"""

from __future__ import annotations

import pickletools
import struct
import zipfile
from collections import namedtuple

import numpy as np

from ..._internal.types import PathLike
from ..tensor_file import DTYPES, TensorFile, abbreviate, num_bytes

_STORAGES = {
    f'torch.{name}Storage': dtype
    for name, dtype in (
        ('Float', 'F32'),
        ('Half', 'F16'),
        ('BFloat16', 'BF16'),
        ('Double', 'F64'),
        ('Long', 'I64'),
        ('Int', 'I32'),
        ('Short', 'I16'),
        ('Char', 'I8'),
        ('Byte', 'U8'),
        ('Bool', 'BOOL'),
    )
}
_NESTED = ('state_dict', 'model')  # where training checkpoints keep the state dict
_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001

_MAX_PICKLE = 8 << 20  # bytes; that of BERT large has 60 kB
_MAX_STEPS = 150_000  # a tensor takes 30
_MAX_START = 1 << 10  # bytes of the pickles before the object in a stream
_MAX_TEXT = 1 << 16  # bytes of one string or number
_MAX_LINE = 256  # bytes of the name of a module, class or function
_MAX_DIRECTORY = 2 << 20  # bytes of a zip's list of members
_MAX_END = 22  # bytes at the end of a zip; zipfile takes them without a number
# All tensors together: in sizes of the file, but above so many bytes in no more than a few.
_MAX_SHARING, _MAX_SHARED, _MAX_COPIES = 64, 64 << 20, 4
# What pickletools, zipfile and this module raise on garbage.
_GARBAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
)

_Global = namedtuple('_Global', 'name')
_Storage = namedtuple('_Storage', 'key dtype count')
# Of a storage, by its key; offset and strides in values; a stride that does not matter is 0.
_Tensor = namedtuple('_Tensor', 'key dtype offset shape strides')


class TorchFile(TensorFile):
    """The state dict of a PyTorch file: name -> numpy.ndarray, each read when asked for.

    A state dict inside a training checkpoint, under ``state_dict`` or ``model``, is taken; what is
    not a tensor is left out. BF16 comes as float32, bit for bit.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is truncated, altered or of another kind, holds no tensors, or would have to
        run code to be loaded.
    """

    def __init__(self, path: PathLike) -> None:
        super().__init__(path)
        size = self._stamp[1]
        try:
            with open(self.path, 'rb') as file:
                read = _read_zip if file.read(4) == b'PK\3\4' else _read_stream
                content, self._positions = read(file, size)
            self._entries = _tensors_of(content)
            if sum(
                num_bytes(tensor.shape, DTYPES[tensor.dtype].itemsize)
                for tensor in self._entries.values()
            ) > min(_MAX_SHARING * size, max(_MAX_SHARED, _MAX_COPIES * size)):
                raise ValueError('its tensors are many times larger than the file')
        except _GARBAGE as error:
            reason = error if isinstance(error, ValueError) else f'{type(error).__name__}: {error}'
            raise ValueError(
                f'{self.path}: not a whole PyTorch state dict ({str(reason)[:300]})'
            ) from None

    def __getitem__(self, name):
        tensor = self._entry(name)
        position = self._positions[tensor.key] + tensor.offset * DTYPES[tensor.dtype].itemsize
        span = _span(tensor.shape, tensor.strides)
        values = self._read(name, position if span else 0, tensor.dtype, span)
        strides = [stride * values.itemsize for stride in tensor.strides]
        view = np.lib.stride_tricks.as_strided(values, tensor.shape, strides)
        return np.ascontiguousarray(view).reshape(tensor.shape)  # a copy only if it must be


class _Window:
    """A file of which so many bytes may be read, and so many at once."""

    def __init__(self, file, size, at_once):
        self._file = file
        self._left = size
        self._at_once = at_once
        self.tell = file.tell

    def seek(self, *where):
        try:
            return self._file.seek(*where)
        except OSError:
            raise ValueError('it points to before its own begin') from None

    def read(self, size=_MAX_END):
        if not 0 <= size <= min(self._left, self._at_once):
            raise ValueError('a part of it claims to be longer than it can be')
        self._left -= size
        return self._file.read(size)

    def readline(self):
        line = self._file.readline(min(self._left, _MAX_LINE))
        if b'\\' in line:  # pickletools would take it for an escape, and may warn
            raise ValueError('it has an escape in a name')
        self._left -= len(line)
        return line


class _Pickle:
    """The ``value`` that the pickle at this place of a file describes, and its ``storages``."""

    def __init__(self, file, size):
        self.stack, self.outer, self.memo, self.storages = [], [], {}, {}
        self.steps = 0
        for opcode, argument, _ in pickletools.genops(
            _Window(file, min(size, _MAX_PICKLE), _MAX_TEXT)
        ):
            self.spend(1)
            if opcode.name not in _ACTIONS:
                raise ValueError(f'its pickle uses {opcode.name}, which no state dict needs')
            _ACTIONS[opcode.name](self, argument)
        self.value = self.stack.pop()

    def spend(self, steps):
        self.steps += steps
        if self.steps > _MAX_STEPS:
            raise ValueError(f'its pickle takes more than {_MAX_STEPS} steps')

    def mark(self, _):
        self.outer.append(self.stack)
        self.stack = []

    def since_mark(self):
        items, self.stack = self.stack, self.outer.pop()
        return items

    def pop(self, count):
        return [self.stack.pop() for _ in range(count)][::-1]

    def push(self, value):
        self.stack.append(value)

    def top(self, kind):
        if type(self.stack[-1]) is not kind:
            raise ValueError(f'its pickle fills what is not a {kind.__name__}')
        return self.stack[-1]

    def extend(self, items):
        self.top(list).extend(items)

    def set_items(self, items):
        # Names are texts; hashing a nested tuple could take for ever.
        self.top(dict).update(
            (name, value) for name, value in zip(items[::2], items[1::2]) if type(name) is str
        )

    def put(self, index):
        self.memo[len(self.memo) if index is None else index] = self.stack[-1]

    def push_global(self, parts):
        if not all(type(part) is str for part in parts):
            raise ValueError('its pickle has a name that is not text')
        self.spend(3)  # it takes as long as three others
        name = '.'.join(parts)
        if name not in _STORAGES and name not in _FUNCTIONS:
            raise ValueError(f'it names {abbreviate(name)}: loading it would run code')
        self.push(_Global(name))

    def reduce(self, _):
        function, arguments = self.pop(2)
        if (
            type(function) is not _Global
            or function.name not in _FUNCTIONS
            or type(arguments) is not tuple
            or len(arguments) > 7
        ):
            raise ValueError('its pickle calls what is not a function, or with other arguments')
        self.push(_FUNCTIONS[function.name](self, *arguments))

    def build(self, _):
        self.pop(1)  # a state dict's _metadata: versions of its layers
        self.top(dict)

    def push_storage(self, _):
        (identity,) = self.pop(1)
        if type(identity) is not tuple or len(identity) not in (5, 6):
            raise ValueError('its pickle refers to something outside')
        kind, storage_class, key, _, count, *view = identity
        if (
            kind != 'storage'
            or type(storage_class) is not _Global
            or type(key) is not str
            or storage_class.name not in _STORAGES
            or not _natural(count)
            or any(view)
        ):
            raise ValueError('its pickle refers to something outside that is not a storage')
        storage = _Storage(key, _STORAGES[storage_class.name], count)
        if self.storages.setdefault(key, storage) != storage:
            raise ValueError(f'it has storage {abbreviate(key)} twice, differently')
        self.push(storage)


def _ordered_dict(pickle, pairs=()):
    # Python 2 gives the pairs to OrderedDict, Python 3 fills it later.
    pickle.spend(len(pairs))
    return {name: value for name, value in pairs if type(name) is str}


def _rebuild_tensor(_, storage, offset, shape, strides, *rest):
    # The rest is requires_grad, hooks and, for a negated or conjugate view, metadata.
    if type(storage) is not _Storage or type(shape) is not tuple or type(strides) is not tuple:
        raise ValueError('its pickle makes a tensor of something else')
    num_bytes(shape, DTYPES[storage.dtype].itemsize)
    if len(shape) != len(strides) or any(rest[2:]):
        raise ValueError('its pickle makes a tensor of an unknown kind')
    if not all(_natural(number) for number in (offset, *shape, *strides)):
        raise ValueError('it has a tensor whose shape, strides or offset are not natural numbers')
    span = _span(shape, strides)
    if span and offset + span > storage.count:
        raise ValueError(
            f'it has a tensor of shape {shape} that leads out of its storage of '
            f'{storage.count} values'
        )
    strides = tuple(stride if span and length > 1 else 0 for length, stride in zip(shape, strides))
    return _Tensor(storage.key, storage.dtype, offset, shape, strides)


_FUNCTIONS = {
    'collections.OrderedDict': _ordered_dict,
    'torch._utils._rebuild_tensor': _rebuild_tensor,
    'torch._utils._rebuild_tensor_v2': _rebuild_tensor,
    'torch._utils._rebuild_parameter': lambda pickle, data, requires_grad, hooks: data,
}
_CONSTANTS = {'NONE': None, 'NEWTRUE': True, 'NEWFALSE': False, 'EMPTY_TUPLE': ()}
_ACTIONS = {
    **dict.fromkeys(('PROTO', 'FRAME', 'STOP'), lambda pickle, _: None),
    **dict.fromkeys(
        (
            'BININT',
            'BININT1',
            'BININT2',
            'LONG1',
            'BINFLOAT',
            'BINUNICODE',
            'SHORT_BINUNICODE',
            'BINSTRING',
            'SHORT_BINSTRING',
            'BINBYTES',
            'SHORT_BINBYTES',
        ),
        _Pickle.push,
    ),
    **{
        name: lambda pickle, _, value=value: pickle.push(value)  # type: ignore[misc]
        for name, value in _CONSTANTS.items()
    },
    'EMPTY_DICT': lambda pickle, _: pickle.push({}),
    'EMPTY_LIST': lambda pickle, _: pickle.push([]),
    'MARK': _Pickle.mark,
    **{
        f'TUPLE{count}': lambda pickle, _, count=count: pickle.push(  # type: ignore[misc]
            tuple(pickle.pop(count))
        )
        for count in (1, 2, 3)
    },
    'TUPLE': lambda pickle, _: pickle.push(tuple(pickle.since_mark())),
    'APPEND': lambda pickle, _: pickle.extend(pickle.pop(1)),
    'APPENDS': lambda pickle, _: pickle.extend(pickle.since_mark()),
    'SETITEM': lambda pickle, _: pickle.set_items(pickle.pop(2)),
    'SETITEMS': lambda pickle, _: pickle.set_items(pickle.since_mark()),
    **dict.fromkeys(('BINPUT', 'LONG_BINPUT', 'MEMOIZE'), _Pickle.put),
    **dict.fromkeys(
        ('BINGET', 'LONG_BINGET'), lambda pickle, index: pickle.push(pickle.memo[index])
    ),
    'GLOBAL': lambda pickle, names: pickle.push_global(names.split(' ')),
    'STACK_GLOBAL': lambda pickle, _: pickle.push_global(pickle.pop(2)),
    'REDUCE': _Pickle.reduce,
    'BUILD': _Pickle.build,
    'BINPERSID': _Pickle.push_storage,
}


def _read_zip(file, size):
    """The object in the zip, and where in the file each storage begins."""
    file.seek(max(size - _MAX_END, 0))
    if file.read(4) != b'PK\5\6':
        raise ValueError('it does not end as a zip')
    members = _members(file, size)
    archive = next(iter(members), '').split('/')[0]
    for name in members:
        if not name.startswith(f'{archive}/') or '..' in name.split('/') or '\\' in name:
            raise ValueError(f'its member {abbreviate(name)} is outside of {abbreviate(archive)}')
    order, length = members.get(f'{archive}/byteorder', (0, 0))
    file.seek(order)
    if length and file.read(length) != b'little':
        raise ValueError('its values are not little-endian')
    if f'{archive}/data.pkl' not in members:
        raise ValueError('it has no data.pkl')
    begin, length = members[f'{archive}/data.pkl']
    file.seek(begin)
    content = _Pickle(file, length)
    positions = {}
    for key, storage in content.storages.items():
        positions[key], length = members.get(f'{archive}/data/{key}', (0, -1))
        if length != storage.count * DTYPES[storage.dtype].itemsize:
            raise ValueError(f'its storage {abbreviate(key)} is absent or of another size')
    return content.value, positions


def _members(file, size):
    """Members of a zip: name -> (first byte of its content, number of bytes)."""
    members = {}
    with zipfile.ZipFile(_Window(file, 3 * _MAX_DIRECTORY, _MAX_DIRECTORY)) as archive:
        for member in archive.infolist():
            where = f'its member {abbreviate(member.filename)}'
            if (
                member.compress_type != zipfile.ZIP_STORED
                or member.flag_bits & 1
                or member.compress_size != member.file_size
            ):
                raise ValueError(f'{where} is compressed or encrypted')
            if member.filename in members or not 0 <= member.header_offset <= size:
                raise ValueError(f'{where} is there twice or outside the file')
            file.seek(member.header_offset)
            magic, name, extra = struct.unpack('<4s22xHH', file.read(30))
            begin = member.header_offset + 30 + name + extra
            if magic != b'PK\3\4' or begin + member.file_size > size:
                raise ValueError(f'{where} is cut off')
            members[member.filename] = begin, member.file_size
    return members


def _read_stream(file, size):
    """The object in the stream, and where in the file each storage begins."""
    file.seek(0)
    if file.read(1) != b'\x80':
        raise ValueError('it begins neither as a zip nor as a pickle')
    file.seek(0)
    for expected in (_MAGIC, _PROTOCOL):
        if _Pickle(file, _MAX_START).value != expected:
            raise ValueError('it begins with a pickle that is not of PyTorch')
    system = _Pickle(file, _MAX_START).value
    if type(system) is not dict or system.get('little_endian') is not True:
        raise ValueError('its values are not little-endian')
    content = _Pickle(file, size)
    keys = _Pickle(file, size).value
    if (
        type(keys) is not list
        or not all(type(key) is str for key in keys)
        or sorted(keys) != sorted(content.storages)
    ):
        raise ValueError('its list of storages is not that of its tensors')
    positions = {}
    for key in keys:
        storage = content.storages[key]
        (count,) = struct.unpack('<q', file.read(8))
        positions[key] = file.tell()
        end = positions[key] + count * DTYPES[storage.dtype].itemsize
        if count != storage.count or end > size:
            raise ValueError(f'its storage {abbreviate(key)} is cut off or of another size')
        file.seek(end)
    if file.tell() != size:
        raise ValueError(f'its storages end at byte {file.tell()} and the file at {size}')
    return content.value, positions


def _tensors_of(content):
    """The tensors of a state dict, which may be inside a training checkpoint."""
    if type(content) is not dict:
        raise ValueError(f'it holds an object of type {type(content).__name__}')
    for part in (*map(content.get, _NESTED), content):
        if type(part) is dict:
            tensors = {name: tensor for name, tensor in part.items() if type(tensor) is _Tensor}
            if tensors:
                return tensors
    raise ValueError('it holds no tensors')


def _natural(number):
    return type(number) is int and 0 <= number < 2**63


def _span(shape, strides):
    """Values from the first of a tensor to its last."""
    return (
        0
        if 0 in shape
        else 1 + sum((length - 1) * stride for length, stride in zip(shape, strides))
    )
