"""Protocol buffers without their library: fields of a message, and numbers as they are stored."""

from __future__ import annotations

from typing import Iterator, Tuple, Union

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # how a field can be stored
_FIXED = {FIXED64: 8, FIXED32: 4}


def read_fields(data: bytes) -> Iterator[Tuple[int, int, Union[int, bytes]]]:
    """Read the fields of a message: number, how it is stored, and the number or bytes it holds.

    Raises
    ------
    ValueError
        If the message ends inside a field or has one that is stored in an unknown way.
    """
    if isinstance(data, int):
        raise ValueError(f'expected a message, got the number {data}')
    position = 0
    while position < len(data):
        tag, position = read_varint(data, position)
        number, stored = tag >> 3, tag & 7
        value: Union[int, bytes]
        if stored == VARINT:
            value, position = read_varint(data, position)
        elif stored == BYTES or stored in _FIXED:
            size = _FIXED.get(stored)
            if size is None:
                size, position = read_varint(data, position)
            if size > len(data) - position:
                raise ValueError(f'it ends inside field {number}')
            value, position = data[position : position + size], position + size
        else:
            raise ValueError(f'field {number} is stored in the unknown way {stored}')
        yield number, stored, value


def read_varint(data: bytes, position: int) -> Tuple[int, int]:
    """Read a whole number below 2^64, seven bits a byte, and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise ValueError('it ends inside a number')
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & 0xFFFFFFFFFFFFFFFF, position
    raise ValueError('a number in it does not end: it has more than 64 bits')


def encode_varint(value: int) -> bytes:
    """Make the bytes that :func:`read_varint` reads as ``value``."""
    result = bytearray()
    while value > 127:
        result.append(value & 127 | 128)
        value >>= 7
    result.append(value)
    return bytes(result)


def encode_bytes(number: int, content: bytes) -> bytes:
    """Make a field that holds bytes: text, or a message."""
    return encode_varint(number << 3 | BYTES) + encode_varint(len(content)) + content
