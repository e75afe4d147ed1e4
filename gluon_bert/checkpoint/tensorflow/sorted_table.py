"""LevelDB's sorted tables, in which TensorFlow keeps the index of a checkpoint.

A table is blocks of pairs of bytes (key, value), each block with its masked CRC-32C; an index of
the blocks; and a footer that says where the index is. Reading takes bounded memory and time, and
whatever is wrong with a table is a ValueError that says so, without the name of the file.
"""

from __future__ import annotations

from typing import Iterator, Sequence, Tuple

from ..._internal.crc32c import masked_crc32c
from ..._internal.protobuf import encode_varint, read_varint

MAX_BYTES = 1 << 20  # of a table, packed or not
MAX_KEY = 2048  # bytes
MAX_VALUE = 16 << 10  # bytes

_MAGIC = 0xDB4775248B80FB57.to_bytes(8, 'little')
_FOOTER = 48  # bytes
_TRAILER = 5  # bytes after a block: how it is compressed, its checksum


def read_table(data: bytes) -> Iterator[Tuple[bytes, bytes]]:
    """Read the pairs of a table.

    Parameters
    ----------
    data : bytes
        The whole file.

    Yields
    ------
    key, value : bytes
        In the order of the file.

    Raises
    ------
    ValueError
        If the table is truncated, altered, too large, or none.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f'it has more than {MAX_BYTES} bytes')
    if len(data) < _FOOTER or not data.endswith(_MAGIC):
        raise ValueError('it does not end as one')
    footer = data[-_FOOTER : -len(_MAGIC)]
    _, position = _read_handle(footer, 0)  # of a block of statistics, not used
    index, _ = _read_handle(footer, position)
    end = total = 0
    for _, value in _read_pairs(_read_block(data, *index)):
        (offset, size), _ = _read_handle(value, 0)
        if offset < end:
            raise ValueError('its blocks overlap')
        end = offset + size + _TRAILER
        block = _read_block(data, offset, size)
        total += len(block)
        if total > MAX_BYTES:
            raise ValueError(f'it unpacks to more than {MAX_BYTES} bytes')
        yield from _read_pairs(block)


def encode_table(pairs: Sequence[Tuple[bytes, bytes]]) -> bytes:
    """Make a table of one block.

    Parameters
    ----------
    pairs : list of (bytes, bytes)
        Key and value, sorted by key; one at least.

    Returns
    -------
    bytes
    """
    table, handles = b'', []
    for content in (_encode_pairs(pairs), _encode_pairs([])):
        handles.append(encode_varint(len(table)) + encode_varint(len(content)))
        table += _with_trailer(content)
    index = _encode_pairs([(pairs[-1][0], handles[0])])
    footer = handles[1] + encode_varint(len(table)) + encode_varint(len(index))
    return table + _with_trailer(index) + footer.ljust(_FOOTER - len(_MAGIC), b'\0') + _MAGIC


def take(data: bytes, position: int, size: int) -> Tuple[bytes, int]:
    """Take the next ``size`` bytes; they and the position after them."""
    if size > len(data) - position:
        raise ValueError('it ends too early')
    return data[position : position + size], position + size


def _read_handle(data, position):
    """Offset and size of a block, and the position after them."""
    offset, position = read_varint(data, position)
    size, position = read_varint(data, position)
    return (offset, size), position


def _read_block(data, offset, size):
    end = offset + size
    if end + _TRAILER > len(data) - _FOOTER:
        raise ValueError(f'a block should be {size} bytes from {offset}, which it does not have')
    compression, stored = data[end], int.from_bytes(data[end + 1 : end + _TRAILER], 'little')
    if masked_crc32c(data[offset : end + 1]) != stored:
        raise ValueError(f'the checksum of the block at {offset} is wrong')
    if compression > 1:
        raise ValueError(f'a block is compressed in the unknown way {compression}')
    content = data[offset:end]
    return _unpack_snappy(content) if compression else content


def _read_pairs(block):
    """The pairs of a block; a key shares its beginning with the one before."""
    end = len(block) - 4 * (int.from_bytes(block[-4:], 'little') + 1)
    if end < 0:
        raise ValueError('a block is shorter than its list of restarts')
    block, key, position = block[:end], b'', 0
    while position < end:
        shared, position = read_varint(block, position)
        added, position = read_varint(block, position)
        size, position = read_varint(block, position)
        if shared > len(key) or shared + added > MAX_KEY or size > MAX_VALUE:
            raise ValueError(
                f'an entry claims a name of {shared} + {added} bytes and a value of {size} bytes'
            )
        piece, position = take(block, position, added)
        value, position = take(block, position, size)
        key = key[:shared] + piece
        yield key, value


def _unpack_snappy(data):
    """Snappy's raw format: the length, then literals and copies of what came before."""
    length, position = read_varint(data, 0)
    if length > MAX_BYTES:
        raise ValueError(f'a block unpacks to {length} bytes')
    result = bytearray()
    while position < len(data) and len(result) <= length:
        tag = data[position]
        kind, size, position = tag & 3, (tag >> 2) + 1, position + 1
        if kind == 0:
            if size > 60:  # the size itself follows, in 1 to 4 bytes
                raw, position = take(data, position, size - 60)
                size = int.from_bytes(raw, 'little') + 1
            piece, position = take(data, position, size)
        else:
            raw, position = take(data, position, (1, 2, 4)[kind - 1])
            distance = int.from_bytes(raw, 'little')
            if kind == 1:
                size, distance = (tag >> 2 & 7) + 4, tag >> 5 << 8 | distance
            start = len(result) - distance
            if distance == 0 or start < 0:
                raise ValueError('a compressed block copies from outside of it')
            piece = result[start : start + size]
            piece = (piece * (size // len(piece) + 1))[:size]
        result += piece
    if len(result) != length:
        raise ValueError(f'a block does not unpack to the {length} bytes that it claims')
    return bytes(result)


def _encode_pairs(pairs):
    """A block in which every key is whole, so that each is a place to start from."""
    block, starts = bytearray(), []
    for key, value in pairs:
        starts.append(len(block))
        block += b'\0' + encode_varint(len(key)) + encode_varint(len(value)) + key + value
    starts = starts or [0]
    return bytes(block) + b''.join(
        number.to_bytes(4, 'little') for number in (*starts, len(starts))
    )


def _with_trailer(content):
    content += b'\0'  # not compressed
    return content + masked_crc32c(content).to_bytes(4, 'little')
