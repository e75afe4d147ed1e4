"""TensorFlow's bundles of tensors: written and read, and hostile ones."""

import numpy as np
import pytest

from gluon_bert._internal.crc32c import masked_crc32c
from gluon_bert._internal.protobuf import encode_varint
from gluon_bert.checkpoint.tensorflow.tensor_bundle import TensorBundle, write_bundle

TENSORS = {
    'matrix': np.arange(6, dtype='float32').reshape(2, 3),
    'a/scalar': np.float64(2.5),
    'turned': np.arange(6, dtype='int32').reshape(2, 3).T,
    'empty': np.zeros((0, 4), 'float16'),
    'flags': np.array([True, False]),
    'ü': np.arange(300, dtype='>i8'),
    'b': np.uint8([1]),
}


def test_what_is_written_is_read(tmp_path):
    write_bundle(tmp_path / 'x', TENSORS)
    bundle = TensorBundle(tmp_path / 'x')
    assert bundle.shapes == {name: array.shape for name, array in TENSORS.items()}
    for name, array in TENSORS.items():
        assert bundle[name].dtype == array.dtype.newbyteorder('=')
        np.testing.assert_array_equal(bundle[name], array)


def test_only_what_is_asked_for_is_read(tmp_path):
    write_bundle(tmp_path / 'x', TENSORS)
    data = tmp_path / 'x.data-00000-of-00001'
    whole = data.read_bytes()
    data.write_bytes(whole[:-1])  # of the last name
    bundle = TensorBundle(tmp_path / 'x')
    np.testing.assert_array_equal(bundle['matrix'], TENSORS['matrix'])
    with pytest.raises(ValueError, match=r'x\.data-00000-of-00001: ü should be the bytes'):
        bundle['ü']
    data.write_bytes(b'?' + whole[1:])
    with pytest.raises(ValueError, match='the bytes of a/scalar do not have the checksum'):
        bundle['a/scalar']
    data.unlink()
    with pytest.raises(FileNotFoundError, match=r'x\.data-00000-of-00001'):
        bundle['matrix']
    assert len(TensorBundle(tmp_path / 'x')) == len(TENSORS)


def test_failed_write_leaves_nothing(tmp_path):
    class Failing(dict):
        def __getitem__(self, name):
            raise OSError('disk full')

    with pytest.raises(OSError, match='disk full'):
        write_bundle(tmp_path / 'x', Failing(TENSORS))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    'name, array',
    [('', np.ones(1)), ('\0a', np.ones(1)), ('a', np.array(['text'])), ('a', np.array([None]))],
)
def test_what_cannot_be_written_is_refused(tmp_path, name, array):
    with pytest.raises(ValueError, match='cannot be'):
        write_bundle(tmp_path / 'x', {name: array})


# Hostile bundles, made by hand

HEADER = bytes((0x08, 1))
MAGIC = bytes.fromhex('57fb808b247547db')


def field(number, value):
    if isinstance(value, bytes):
        return encode_varint(number << 3 | 2) + encode_varint(len(value)) + value
    return encode_varint(number << 3) + encode_varint(value % 2**64)


def entry(shape=(2,), size=8, dtype=1, shard=0, offset=0, more=b''):
    dimensions = b''.join(field(2, field(1, length)) for length in shape)
    return (
        field(1, dtype)
        + field(2, dimensions)
        + field(3, shard)
        + field(4, offset)
        + field(5, size)
        + more
    )


def block(*pairs, restarts=1):
    """Pairs (shared length, rest of the key, value)."""
    content = b''.join(
        encode_varint(shared) + encode_varint(len(key)) + encode_varint(len(value)) + key + value
        for shared, key, value in pairs
    )
    return content + bytes(4) + restarts.to_bytes(4, 'little')


def with_checksum(content):
    return content + masked_crc32c(content).to_bytes(4, 'little')


def table(*blocks, packed=0, handles=None):
    data, places = b'', []
    for content in blocks:
        places.append(encode_varint(len(data)) + encode_varint(len(content)))
        data += with_checksum(content + bytes([packed]))
    index = block(*((0, b'%03d' % i, place) for i, place in enumerate(handles or places)))
    place = encode_varint(len(data)) + encode_varint(len(index))
    return data + with_checksum(index + b'\0') + (b'\0\0' + place).ljust(40, b'\0') + MAGIC


def one(value, name=b'name', header=HEADER):
    return table(block((0, b'', header), (0, name, value)))


GOOD = one(entry())
NESTED = b''.join(field(2, b'') for _ in range(33))
HOSTILE = {
    'empty file': (b'', 'does not end as one'),
    'cut': (GOOD[:-1], 'does not end as one'),
    'cut at the front': (GOOD[1:], 'checksum|which it does not have'),
    'one bit': (bytes([GOOD[0] ^ 1]) + GOOD[1:], 'the checksum of the block at 0 is wrong'),
    'only a footer': (bytes(40) + MAGIC, 'which it does not have'),
    'handle that does not end': (b'\xff' * 40 + MAGIC, 'a number in it does not end'),
    'huge file': (bytes(5 << 20), 'has more than'),
    'block outside': (table(block(), handles=[encode_varint(2**40) + b'\x08']), 'does not have'),
    'huge block': (table(block(), handles=[b'\0' + encode_varint(2**63)]), 'does not have'),
    'same block again': (table(block((0, b'', HEADER)), handles=[b'\0\x0d'] * 3), 'overlap'),
    'block too short': (table(b'abc'), 'shorter than its list'),
    'many restarts': (table(block(restarts=2**32 - 1)), 'shorter than its list'),
    'unknown compression': (table(block(), packed=7), 'the unknown way 7'),
    'no header': (table(block((0, b'name', entry()))), 'no header'),
    'nothing': (table(block()), 'no entries'),
    'shared with nothing': (table(block((5, b'', HEADER))), 'claims a name of 5'),
    'long name': (one(entry(), name=b'a' * 5000), 'claims a name of 0 . 5000'),
    'names not in order': (
        table(block((0, b'', HEADER), (0, b'b', entry()), (0, b'a', entry()))),
        'not in order',
    ),
    'name twice': (
        table(block((0, b'', HEADER), (0, b'a', entry()), (1, b'', entry()))),
        'not in order',
    ),
    'too many': (
        table(block((0, b'', HEADER), *((0, b'%06d' % i, entry()) for i in range(10_001)))),
        'more than 10000',
    ),
    'entry ends early': (
        table(block((0, b'', HEADER))[:-10] + b'\x01' + bytes(8)),
        'ends inside field',
    ),
    'not UTF-8': (one(entry(), name=b'\xff\xfe'), 'not UTF-8'),
    'no shards': (one(entry(), header=b''), 'claims 0 data files'),
    'many shards': (one(entry(), header=field(1, 10**6)), 'claims 1000000 data files'),
    'negative shards': (one(entry(), header=field(1, -1)), 'claims -1 data files'),
    'big-endian': (one(entry(), header=HEADER + field(2, 1)), 'big-endian'),
    'later version': (one(entry(), header=HEADER + field(3, field(2, 9))), 'version 9'),
    'negative size': (one(entry((-2,))), r'the shape \(-2,\)'),
    'overflowing shape': (one(entry((2**32, 2**32), 0)), 'claims the shape'),
    'overflow beside zero': (one(entry((0, 2**62, 2**62), 0)), 'claims the shape'),
    'many dimensions': (one(field(1, 1) + field(2, NESTED)), 'more than 32'),
    'unknown rank': (one(field(1, 1) + field(2, field(3, 1))), 'unknown number of dimensions'),
    'shape and size': (one(entry((2,), 9)), 'claims 9 bytes'),
    'shard outside': (one(entry(shard=1)), 'data file 1 of 1'),
    'negative offset': (one(entry(offset=-8)), 'from -8'),
    'negative length': (one(entry(size=-8, dtype=7)), 'claims -8 bytes'),
    'wire type': (one(b'\x0f'), 'the unknown way 7'),
    'field ends early': (one(b'\x0a\x7f'), 'ends inside field 1'),
    'number ends early': (one(b'\x08\x80'), 'ends inside a number'),
}


@pytest.mark.parametrize('name', HOSTILE)
def test_hostile_index_is_refused(tmp_path, name):
    data, reason = HOSTILE[name]
    (tmp_path / 'x.index').write_bytes(data)
    with pytest.raises(ValueError, match=rf'x\.index: not a whole TensorFlow.*{reason}'):
        TensorBundle(tmp_path / 'x')


@pytest.mark.parametrize(
    'value, reason',
    [
        (entry(offset=2**62), 'but the file has 8'),
        (entry((3,), 12), 'but the file has 8'),
        (entry(more=b'\x35\1\2\3\4'), 'checksum'),
        (entry(dtype=7), 'type string'),
        (entry(dtype=99), 'type number 99'),
        (entry(dtype=-1), 'type number -1'),
        (entry(more=field(7, b'')), 'stored in slices'),
        (entry((0,), 0, offset=9), 'the file has 8'),
    ],
)
def test_hostile_entry_is_refused_on_reading(tmp_path, value, reason):
    (tmp_path / 'x.index').write_bytes(one(value))
    (tmp_path / 'x.data-00000-of-00001').write_bytes(bytes(8))
    bundle = TensorBundle(tmp_path / 'x')
    with pytest.raises(ValueError, match=reason):
        bundle['name']


def literal(data):
    return bytes([61 << 2]) + (len(data) - 1).to_bytes(2, 'little') + data


def test_compressed_index(tmp_path):
    name = b'n' + b'a' * 93
    content = block((0, b'', HEADER), (0, name, entry()))
    start = content.index(b'a') + 1
    copies = (
        bytes([63 << 2 | 2, 1, 0])  # 64 bytes from 1 back
        + bytes([4 << 2 | 1, 2])  # 8 from 2 back
        + bytes([19 << 2 | 3, 60, 0, 0, 0])
    )  # 20 from 60 back
    packed = (
        encode_varint(len(content))
        + literal(content[:start])
        + copies
        + literal(content[start + 92 :])
    )
    (tmp_path / 'x.index').write_bytes(table(packed, packed=1))
    assert TensorBundle(tmp_path / 'x').shapes == {name.decode(): (2,)}


@pytest.mark.parametrize(
    'packed, reason',
    [
        (b'', 'ends inside a number'),
        (encode_varint(2**40), 'unpacks to'),
        (b'\x08\x01\x01', 'copies from outside'),
        (b'\x08\x00a\x01\x00', 'copies from outside'),
        (b'\x08\x00a', 'the 8 bytes'),
        (b'\x01\x04ab', 'the 1 bytes'),
        (b'\x08\xfc\xff\xff\xff\xff', 'ends too early'),
        (b'\x08\x00a\x02', 'ends too early'),
    ],
)
def test_hostile_compression_is_refused(tmp_path, packed, reason):
    (tmp_path / 'x.index').write_bytes(table(packed, packed=1))
    with pytest.raises(ValueError, match=rf'x\.index.*{reason}'):
        TensorBundle(tmp_path / 'x')


def test_missing_index_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'none\.index'):
        TensorBundle(tmp_path / 'none')
