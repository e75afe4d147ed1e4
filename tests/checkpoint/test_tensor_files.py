"""Files of tensors: safetensors, PyTorch's two formats, shards; what is refused, at what cost."""

import io
import json
import os
import pickle
import re
import struct
import tracemalloc
import zipfile
from collections.abc import Mapping

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from gluon_bert.checkpoint.huggingface.safetensors_file import (
    SafetensorsFile,
    open_sharded,
    write_safetensors,
)
from gluon_bert.checkpoint.huggingface.torch_file import TorchFile

TYPES = ('float64', 'float32', 'float16', 'int64', 'int32', 'int16', 'int8', 'uint8', 'bool')
MEGABYTE = 1 << 20


@pytest.fixture
def torch():
    return pytest.importorskip('torch', reason='needs PyTorch: python3 dev.py setup --peers')


@pytest.fixture
def arrays(seed):
    rng = np.random.RandomState(seed)
    return {
        'scalar': np.array(3, 'float32'),
        'empty': np.zeros((0, 3), 'float32'),
        **{name: rng.randint(0, 2, (3, 5)).astype(name) for name in TYPES},
        'é "x"\n': rng.standard_normal((2, 3, 4)).astype('float32'),
    }


def same(first, second):
    return first.keys() == second.keys() and all(
        first[name].dtype == second[name].dtype
        and first[name].shape == second[name].shape
        and first[name].tobytes() == second[name].tobytes()
        for name in first
    )


def peak_memory(function):
    """Bytes, NumPy's too, that were in use at once while the function ran."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def assert_refused(read, path, reason):
    def attempt():
        with pytest.raises(ValueError) as caught:
            read(path)
        name, message = str(path), str(caught.value)
        assert name in message and len(message) < 1000
        # The name holds the test's identifier, and that the reason.
        assert re.search(reason, message.replace(name, '')), message

    assert peak_memory(attempt) < 100 * MEGABYTE


def read_all(file):
    return {name: file[name] for name in file}


# safetensors


def test_reads_what_the_library_writes(arrays, tmp_path):
    save_file(arrays, tmp_path / 'a', {'format': 'pt'})
    file = SafetensorsFile(tmp_path / 'a')
    assert same(file, arrays)
    assert file.metadata == {'format': 'pt'}
    assert (file.shape('int16'), file.dtype('int16'), file.dtype('bool')) == ((3, 5), 'I16', 'BOOL')
    assert file['int16'].flags.writeable and file['int16'] is not file['int16']
    assert 'int17' not in file and file.get('int17') is None
    with pytest.raises(KeyError, match='int17'):
        file.shape('int17')


def test_writes_what_the_library_does(arrays, tmp_path):
    save_file(arrays, tmp_path / 'theirs', {'format': 'pt'})
    write_safetensors(tmp_path / 'ours', dict(reversed(arrays.items())), {'format': 'pt'})
    assert (tmp_path / 'ours').read_bytes() == (tmp_path / 'theirs').read_bytes()
    write_safetensors(tmp_path / 'again', SafetensorsFile(tmp_path / 'ours'), {'format': 'pt'})
    assert (tmp_path / 'again').read_bytes() == (tmp_path / 'theirs').read_bytes()


def test_writes_any_memory_layout(tmp_path):
    matrix = np.arange(12, dtype='float32').reshape(3, 4)
    write_safetensors(
        tmp_path / 'a', {'t': matrix.T, 'step': matrix[::2, 1::2], 'big': matrix.astype('>f4')}
    )
    assert same(
        load_file(tmp_path / 'a'),
        {'t': matrix.T.copy(), 'step': matrix[::2, 1::2].copy(), 'big': matrix},
    )


class Lazy(Mapping):
    """Arrays that are made when asked for."""

    def __init__(self, names, make):
        self.names, self.make = names, make

    def __getitem__(self, name):
        return self.make(name)

    def __iter__(self):
        return iter(self.names)

    def __len__(self):
        return len(self.names)


def test_holds_one_tensor_in_memory(tmp_path):
    path = tmp_path / 'a'
    size = 4 * MEGABYTE
    lazy = Lazy('123456789', lambda name: np.full(MEGABYTE, int(name), 'float32'))
    assert peak_memory(lambda: write_safetensors(path, lazy)) < 2.5 * size
    assert peak_memory(lambda: SafetensorsFile(path)['3']) < 1.1 * size
    assert peak_memory(lambda: read_all(SafetensorsFile(path))) < 9.1 * size


def test_a_failed_write_leaves_nothing(tmp_path):
    lengths = iter([2, 3, 2, 4])
    with pytest.raises(ValueError, match="'b' is not twice of the same"):
        write_safetensors(tmp_path / 'a', Lazy('ab', lambda name: np.zeros(next(lengths))))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    'arrays, metadata, reason',
    [
        ({'a': [1.0]}, None, "'a'.*list"),
        ({'a': np.zeros(2, 'complex64')}, None, 'complex64'),
        ({1: np.zeros(2)}, None, '1 cannot be'),
        ({'__metadata__': np.zeros(2)}, None, 'cannot be'),
        ({}, {'a': 1}, 'metadata'),
    ],
)
def test_writes_only_named_arrays(tmp_path, arrays, metadata, reason):
    with pytest.raises(TypeError, match=reason):
        write_safetensors(tmp_path / 'a', arrays, metadata)


def entry(begin=0, end=8, dtype='F32', shape=(2,)):
    return {'dtype': dtype, 'shape': shape, 'data_offsets': [begin, end]}


def write_header(path, header, data=bytes(8), length=None):
    if not isinstance(header, bytes):
        header = json.dumps(header).encode()
    path.write_bytes(struct.pack('<Q', len(header) if length is None else length) + header + data)
    return path


@pytest.mark.parametrize(
    'header, reason',
    [
        ({'a': entry(shape=(3,))}, "'a' needs 12 bytes and has 8"),
        ({'a': entry(shape=(2**62, 8, 0), end=0)}, "'a'.*larger"),
        ({'a': entry(shape=(1,) * 33)}, "'a'.*33 dimensions"),
        ({'a': entry(shape=(-2,))}, "'a'.*type"),
        ({'a': entry(shape=(2.0,))}, "'a'.*type"),
        ({'a': entry(shape=(True, 2))}, "'a'.*type"),
        ({'a': entry(shape='2')}, "'a'.*type"),
        (b'{"a":' + b'9' * 101 + b'}', 'number of 101 digits'),
        ({'a': entry(-8, 0)}, "'a'.*type"),
        ({'a': entry(8, 0)}, "'a'.*data_offsets"),
        ({'a': {**entry(), 'data_offsets': [0, 4, 8]}}, "'a'.*data_offsets"),
        ({'a': {**entry(), 'dtype': 4}}, "'a'.*type"),
        ({'a': [1]}, "'a' is not an object"),
        ({'a': {'dtype': 'F32', 'shape': [2]}}, "'a'.*absent"),
        ({'a': entry(0, 16, shape=(4,))}, 'end at byte'),
        ({'a': entry(0, 4, shape=(1,))}, 'end at'),
        ({}, 'end at byte'),
        ({'a': entry(4, 8, shape=(1,))}, "'a' begins at byte"),
        ({'a': entry(0, 4, shape=(1,)), 'b': entry()}, "'b' begins at byte"),
        (b'{"a":{},"a":{}}', 'twice'),
        ({'__metadata__': {'a': 1}}, '__metadata__'),
        ({'\ud800': entry()}, 'half of a surrogate pair'),
        (b'{"\xff":1}', 'not UTF-8'),
        (b'{', 'Expecting'),
        (b'[]', 'not an object'),
        (b'{"a":' + b'[' * 100_000, 'nested'),
        (b'', 'Expecting'),
        (b'{"a":' + b'[],' * 2_000_000, 'values'),
        (b'"' + b'x' * 50_000_000, 'bytes'),
    ],
    ids=lambda value: value if isinstance(value, str) else '',
)
def test_refuses_a_header(tmp_path, header, reason):
    assert_refused(SafetensorsFile, write_header(tmp_path / 'a', header), reason)


@pytest.mark.parametrize('length', [2**60, 2**64 - 1, 100])
def test_refuses_a_header_longer_than_the_file(tmp_path, length):
    path = write_header(tmp_path / 'a', {'a': entry()}, length=length)
    assert_refused(SafetensorsFile, path, f'{length} bytes does not fit')


def test_a_type_that_numpy_lacks_is_refused_when_read(tmp_path):
    header = {'a': entry(0, 4, shape=(1,)), 'b': entry(4, 8, 'F8_E4M3', (4,))}
    file = SafetensorsFile(write_header(tmp_path / 'a', header))
    assert file['a'] == 0 and file.shape('b') == (4,) and file.dtype('b') == 'F8_E4M3'
    with pytest.raises(ValueError, match="'b' is of type 'F8_E4M3'"):
        file['b']


def test_refuses_a_bool_above_1(tmp_path):
    path = write_header(tmp_path / 'a', {'a': entry(dtype='BOOL', shape=(8,))}, bytes(range(8)))
    assert_refused(lambda path: SafetensorsFile(path)['a'], path, "'a' has a BOOL above 1")


@pytest.mark.parametrize('kind', [SafetensorsFile, TorchFile])
def test_no_file_and_no_content(tmp_path, kind):
    with pytest.raises(FileNotFoundError, match='absent'):
        kind(tmp_path / 'absent')
    (tmp_path / 'a').write_bytes(b'')
    assert_refused(kind, tmp_path / 'a', 'not a whole')


def test_a_file_changed_after_opening_is_refused(tmp_path):
    write_safetensors(tmp_path / 'a', {'x': np.zeros(2)})
    file = SafetensorsFile(tmp_path / 'a')
    write_safetensors(tmp_path / 'a', {'x': np.zeros(3)})
    assert_refused(lambda path: file['x'], tmp_path / 'a', 'changed')


# shards


def write_index(folder, weight_map):
    path = folder / 'model.index.json'
    path.write_text(json.dumps({'metadata': {}, 'weight_map': weight_map}))
    return path


def test_shards(arrays, tmp_path):
    names = list(arrays)
    shards = {name: f'model-{number % 2}.safetensors' for number, name in enumerate(names)}
    for shard in {*shards.values()}:
        write_safetensors(
            tmp_path / shard, {name: arrays[name] for name in names if shards[name] == shard}
        )
    file = open_sharded(write_index(tmp_path, shards), SafetensorsFile)
    assert same(file, arrays) and list(file) == names
    assert file.shape('int16') == (3, 5) and file.dtype('int16') == 'I16'


@pytest.mark.parametrize(
    'weight_map, reason',
    [
        ({'w': '../a'}, 'same folder'),
        ({'w': '/a'}, 'same folder'),
        ({'w': '..'}, 'same folder'),
        ({'w': 'c:a'}, 'same folder'),
        ({'w': '..\\a'}, 'same folder'),
        ({'w': ''}, 'same folder'),
        ({'w': 'a\0'}, 'same folder'),
        ({'w': 1}, 'same folder'),
        ([], 'weight_map'),
        ({}, 'weight_map'),
        ({'x': 'a'}, "'x' in a, where it is not"),
    ],
)
def test_refuses_an_index(tmp_path, weight_map, reason):
    write_safetensors(tmp_path / 'a', {'w': np.zeros(2)})
    path = write_index(tmp_path, weight_map)
    assert_refused(lambda path: open_sharded(path, SafetensorsFile), path, reason)
    with pytest.raises(FileNotFoundError, match='absent'):
        open_sharded(write_index(tmp_path, {'w': 'absent'}), SafetensorsFile)


# PyTorch


def as_numpy(tensor):
    tensor = tensor.detach()
    return (tensor.float() if str(tensor.dtype) == 'torch.bfloat16' else tensor).numpy().copy('C')


def torch_tensors(torch):
    base = torch.randn(4, 6)
    return {
        **{name: torch.randint(0, 2, (3, 5)).to(getattr(torch, name)) for name in TYPES},
        'parameter': torch.nn.Parameter(torch.randn(3)),
        'bfloat16': torch.randn(7).bfloat16(),
        'base': base,
        'shared': base,
        'rows': base[1:3],
        'transposed': base.t(),
        'steps': base[1::2, ::3],
        'bfloat16_view': base.bfloat16().t(),
        'scalar': base[1, 2],
        'empty': torch.zeros(0, 3),
        'expanded': torch.arange(4).expand(3, 4),
    }


@pytest.mark.parametrize('protocol', [2, 4])
@pytest.mark.parametrize('is_zip', [True, False])
def test_reads_what_torch_writes(torch, tmp_path, is_zip, protocol):
    tensors = torch_tensors(torch)
    torch.save(
        tensors, tmp_path / 'a.bin', pickle_protocol=protocol, _use_new_zipfile_serialization=is_zip
    )
    file = TorchFile(tmp_path / 'a.bin')
    assert list(file) == list(tensors)
    assert same(file, {name: as_numpy(tensor) for name, tensor in tensors.items()})
    assert all(file[name].flags.c_contiguous for name in file)
    assert file.shape('transposed') == (6, 4) and file.dtype('bfloat16') == 'BF16'


@pytest.mark.parametrize('is_zip', [True, False])
@pytest.mark.parametrize(
    'wrap',
    [
        lambda state: state,
        lambda state: {'state_dict': state, 'epoch': 3, 'loss': 0.5},
        lambda state: {'model': state, 'names': ['a', ('b', None)], 'steps': {0: True, 1: 2**80}},
    ],
)
def test_reads_the_state_dict_of_a_network(torch, tmp_path, is_zip, wrap):
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    state = network.state_dict()  # an OrderedDict with an attribute
    torch.save(wrap(state), tmp_path / 'a.bin', _use_new_zipfile_serialization=is_zip)
    assert same(
        TorchFile(tmp_path / 'a.bin'), {name: tensor.numpy() for name, tensor in state.items()}
    )


def test_bfloat16_of_torch_in_safetensors_and_shards_of_bin(torch, tmp_path):
    from safetensors.torch import save_file

    tensor = torch.randn(3, 4).bfloat16()
    save_file({'w': tensor}, tmp_path / 'a')
    torch.save({'w': tensor}, tmp_path / 'b.bin')
    expected = {'w': as_numpy(tensor)}
    assert same(SafetensorsFile(tmp_path / 'a'), expected)
    assert same(open_sharded(write_index(tmp_path, {'w': 'b.bin'}), TorchFile), expected)


def test_reads_one_tensor_of_a_torch_file(torch, tmp_path):
    big = torch.zeros(4, MEGABYTE)
    for is_zip in (True, False):
        torch.save(
            {'a': big, 'b': big[1:3].t()}, tmp_path / 'a.bin', _use_new_zipfile_serialization=is_zip
        )
        assert peak_memory(lambda: TorchFile(tmp_path / 'a.bin')) < MEGABYTE
        assert peak_memory(lambda: TorchFile(tmp_path / 'a.bin')['a']) < 17 * MEGABYTE
        assert peak_memory(lambda: TorchFile(tmp_path / 'a.bin')['b']) < 17 * MEGABYTE


@pytest.mark.parametrize('is_zip', [True, False])
def test_refuses_a_cut_torch_file(torch, tmp_path, is_zip):
    buffer = io.BytesIO()
    torch.save({'w': torch.randn(30)}, buffer, _use_new_zipfile_serialization=is_zip)
    content = buffer.getvalue()
    for length in range(0, len(content), 17):
        (tmp_path / 'a').write_bytes(content[:length])
        assert_refused(TorchFile, tmp_path / 'a', 'not a whole')
    (tmp_path / 'a').write_bytes(content + bytes(8))
    assert_refused(TorchFile, tmp_path / 'a', 'not a whole')


# Files like PyTorch's with anything in them.


def number(value):
    return b'\x8a\x09' + value.to_bytes(9, 'little', signed=True)


def text(value):
    return b'X' + struct.pack('<I', len(value)) + value.encode()


def numbers(values):
    return b'(' + b''.join(map(number, values)) + b't'


def tensor(
    offset=0, shape=(2, 3), strides=(3, 1), count=6, kind='Float', key='0', rest=b'\x89}', view=b''
):
    storage = (
        b'('
        + text('storage')
        + f'ctorch\n{kind}Storage\n'.encode()
        + text(key)
        + text('cpu')
        + number(count)
        + view
        + b'tQ'
    )
    return (
        b'ctorch._utils\n_rebuild_tensor_v2\n('
        + storage
        + number(offset)
        + numbers(shape)
        + numbers(strides)
        + rest
        + b'tR'
    )


def state(*items):
    return b'\x80\2}' + b''.join(text(f'w{i}') + item + b's' for i, item in enumerate(items)) + b'.'


def write_zip(path, content, byteorder=b'little', data=bytes(24), members=(), **options):
    with zipfile.ZipFile(path, 'w', **options) as archive:
        for name, part in (
            ('a/data.pkl', content),
            ('a/byteorder', byteorder),
            ('a/data/0', data),
            *members,
        ):
            archive.writestr(name, part)
    return path


def write_stream(
    path,
    content,
    keys=('0',),
    count=6,
    data=bytes(24),
    start=(0x1950A86A20F9469CFC6C, 1001, {'little_endian': True}),
):
    path.write_bytes(
        b''.join(pickle.dumps(part, 2) for part in start)
        + content
        + pickle.dumps(list(keys), 2)
        + struct.pack('<q', count)
        + data
    )
    return path


# A tuple of twice a tuple of twice a tuple ...: to hash it would take for ever.
ENDLESS = b')' + b'q\0h\0\x86' * 60

# A zip is refused for having no tensors, a stream for having storages that no tensor uses.
NOTHING = 'no tensors|type list|list of storages'


class RunsCode:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f'touch {self.path}',)


@pytest.mark.parametrize('write', [write_zip, write_stream])
@pytest.mark.parametrize('protocol', [2, 4])
def test_no_pickle_is_run(tmp_path, write, protocol):
    assert same(
        TorchFile(write(tmp_path / 'good', state(tensor()))), {'w0': np.zeros((2, 3), 'float32')}
    )
    content = pickle.dumps({'w': RunsCode(tmp_path / 'ran')}, protocol)
    assert_refused(TorchFile, write(tmp_path / 'a', content), r"'posix.system'.*would run code")
    assert not (tmp_path / 'ran').exists()
    pickle.loads(content)  # the trap does work
    assert (tmp_path / 'ran').exists()


@pytest.mark.parametrize('write', [write_zip, write_stream])
@pytest.mark.parametrize(
    'content, reason',
    [
        (state(tensor(offset=1)), 'leads out'),
        (state(tensor(shape=(3, 3))), 'leads out'),
        (state(tensor(strides=(4, 1))), 'leads out'),
        (state(tensor(offset=-1)), 'natural'),
        (state(tensor(strides=(-3, 1))), 'natural'),
        (state(tensor(shape=(-2, -3))), 'larger'),
        (state(tensor(shape=(2**40, 2**40), strides=(0, 0))), 'larger'),
        (state(tensor(shape=(1000, 1000), strides=(0, 0))), 'many times larger'),
        (state(tensor(shape=(6,))), 'unknown kind'),
        (state(tensor(rest=b'\x89}}' + text('neg') + b'\x88s')), 'unknown kind'),
        (state(tensor(count=7)), 'storage'),
        (state(tensor(key='../0')), 'storage'),
        (state(tensor(kind='Double')), 'storage'),
        (state(tensor(), tensor(kind='Int')), 'differently'),
        (state(tensor(kind='ComplexFloat')), 'ComplexFloatStorage'),
        (state(b'K\1'), NOTHING),
        (state(tensor(rest=b'\x89}NNNN')), 'other arguments'),
        (b'\x80\2].', NOTHING),
        (b'\x80\2.', 'IndexError'),
        (b'\x80\2}', 'longer|unknown'),
        (b'\x80\2}(K\1K\2u0.', 'POP'),
        (b'\x80\2h\7.', 'KeyError'),
        (b'\x80\2RRR.', 'IndexError'),
        (b'\x80\2K\1K\2R.', 'not a function'),
        (b'\x80\2K\1Q.', 'outside'),
        (b'\x80\2Pa\n.', 'PERSID'),
        (b'\x80\2]}b.', 'not a dict'),
        (b'\x80\2c\\d\na\n.', 'escape'),
        (b'\x80\2c' + b'x' * 10**6 + b'\n.', 'newline'),
        (b'\x80\2X\xff\xff\xff\x7f', 'longer'),
        (b'\x80\2\x8d' + b'\xff' * 7 + b'\x7f', 'longer'),
        (b'\x80\2\x8b\xff\xff\xff\x7f', 'longer'),
        (b'\x80\2' + b'}' * 200_000 + b'.', 'steps'),
        (b'\x80\2' + text('x' * 60_000) * 200 + b'.', 'longer'),
        (state(tensor(view=text('1') + number(0) + number(6) + b'\x87')), 'not a storage'),
        (b'\x80\2}' + ENDLESS + b'K\1s.', NOTHING),
        (b'\x80\2ccollections\nOrderedDict\n]' + ENDLESS + b'K\1\x86a\x85R.', NOTHING),
    ],
    ids=lambda value: value if isinstance(value, str) else '',
)
def test_refuses_a_pickle(tmp_path, write, content, reason):
    assert_refused(TorchFile, write(tmp_path / 'a', content), reason)


def test_reads_the_pairs_of_python_2(tmp_path):
    content = b'\x80\2ccollections\nOrderedDict\n](](U\1w' + tensor() + b'ee\x85R.'
    assert same(
        TorchFile(write_stream(tmp_path / 'a', content)), {'w': np.zeros((2, 3), 'float32')}
    )


def test_tensors_that_share_are_not_many_times_the_file(tmp_path):
    shared = tensor(count=6000, shape=(6000,), strides=(1,))
    path = write_zip(tmp_path / 'a', state(*[shared] * 50), data=bytes(24_000))
    assert len(TorchFile(path)) == 50
    write_zip(path, state(*[shared] * 400), data=bytes(24_000))
    assert_refused(TorchFile, path, 'many times larger')


@pytest.mark.parametrize(
    'options, reason',
    [
        ({'compression': zipfile.ZIP_DEFLATED}, "'a/data.pkl' is compressed"),
        ({'byteorder': b'big'}, 'little-endian'),
        ({'data': bytes(23)}, "'0' is absent or of another"),
        ({'members': [('b/data/1', b'')]}, 'outside'),
        ({'members': [('a/../b', b'')]}, 'outside'),
        ({'members': [('/a/b', b'')]}, 'outside'),
        ({'members': [(f'a/{"x" * 60000}{i}', b'') for i in range(40)]}, 'longer'),
    ],
)
def test_refuses_a_zip(tmp_path, options, reason):
    assert_refused(TorchFile, write_zip(tmp_path / 'a', state(tensor()), **options), reason)


@pytest.mark.filterwarnings('ignore:Duplicate name')
def test_refuses_an_altered_zip(tmp_path):
    path = write_zip(tmp_path / 'a', state(tensor()), members=[('a/data/0', bytes(24))])
    assert_refused(TorchFile, path, "'a/data/0' is there twice")
    content = write_zip(path, state(tensor())).read_bytes()
    directory = content.index(b'PK\1\2')
    for offset, value, reason in ((8, 1, 'encrypted'), (24, 200, 'compressed'), (42, 9, 'cut off')):
        path.write_bytes(
            content[: directory + offset] + bytes([value]) + content[directory + offset + 1 :]
        )
        assert_refused(TorchFile, path, reason)


@pytest.mark.parametrize(
    'options, reason',
    [
        ({'start': (1, 1001, {'little_endian': True})}, 'not of PyTorch'),
        ({'start': (0x1950A86A20F9469CFC6C, 1001, {'little_endian': False})}, 'little-endian'),
        ({'count': 2**62}, "'0' is cut off"),
        ({'count': -6}, "'0' is cut off"),
        ({'keys': ('0', '0')}, 'list of storages'),
        ({'keys': ()}, 'list of storages'),
        ({'keys': (0,)}, 'list of storages'),
        ({'data': bytes(25)}, 'end at byte'),
        ({'data': bytes(23)}, 'cut off'),
    ],
)
def test_refuses_a_stream(tmp_path, options, reason):
    assert_refused(TorchFile, write_stream(tmp_path / 'a', state(tensor()), **options), reason)
