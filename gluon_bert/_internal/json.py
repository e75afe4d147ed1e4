"""Read JSON files from outside, within bounds and without guessing."""

from __future__ import annotations

import json
import re
from typing import Any, Optional

from .types import PathLike

MAX_BYTES = 24 << 20
MAX_VALUES = 1_200_000  # twice what a vocabulary of 500000 tokens needs
_MAX_DIGITS = 100
_ZEROS = bytes(
    ord('0') if chr(code) in '0123456789' else ord(' ') for code in range(256)
)  # for digits
_SURROGATE = re.compile(rb'\\u[dD][89a-fA-F]')


def read_json(path: PathLike) -> Optional[Any]:
    """Read the content of a JSON file.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict, list, str, int, float, bool or None

    Raises
    ------
    FileNotFoundError
    ValueError
        If the file is larger than 24 MiB, or as :func:`parse_json`.
    """
    with open(path, 'rb') as file:
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise ValueError(f'{path}: the file is larger than {MAX_BYTES} bytes')
    try:
        return parse_json(raw)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None


def read_object(path: PathLike) -> dict[str, Any]:
    """Read a JSON file as :func:`read_json` does; ValueError if it holds no object."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise ValueError(f'{path}: expected a JSON object, got {type(content).__name__}')
    return content


def parse_json(raw: bytes, max_values: int = MAX_VALUES, allow_nan: bool = False) -> Any:
    """Parse JSON given as bytes.

    Parameters
    ----------
    raw : bytes
    max_values : int
    allow_nan : bool
        Read NaN and Infinity, which are not JSON, as numbers.

    Raises
    ------
    ValueError
        If it is not UTF-8, not JSON, has more than ``max_values`` values, is nested too deeply,
        has a key twice in one object, half of a surrogate pair in a string, or a number that is
        NaN, infinite or too long.
    """
    # Checked before parsing: a value of two bytes takes a hundred in memory.
    if sum(map(raw.count, (b',', b'[', b'{'))) > max_values:
        raise ValueError(f'the JSON holds more than {max_values} values')
    try:
        content = json.loads(
            raw.decode('utf-8-sig'),
            object_pairs_hook=_unique,
            # The parser's own way of reading numbers is the fastest.
            parse_int=_integer if _has_long_number(raw) else None,
            parse_constant=float if allow_nan else _no_constant,
        )
        # Surrogates come from escapes alone: no others are UTF-8.
        if (b'\\ud' in raw or b'\\uD' in raw) and _SURROGATE.search(raw):
            json.dumps(content, ensure_ascii=False).encode()
        return content
    except UnicodeEncodeError as error:
        half = error.object[error.start].encode('unicode_escape').decode()
        raise ValueError(f'the JSON holds {half}, half of a surrogate pair') from None
    except UnicodeDecodeError as error:
        raise ValueError(
            f'not UTF-8: byte 0x{raw[error.start]:02x} at offset {error.start}'
        ) from None
    except RecursionError:
        raise ValueError('the JSON is nested too deeply') from None
    except ValueError as error:
        raise ValueError(f'not JSON as expected: {error}') from None


def _unique(pairs):
    content = dict(pairs)
    if len(content) < len(pairs):
        seen = set()
        repeated = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise ValueError(f'the key {repeated[:80]!r} occurs twice in one object')
    return content


def _has_long_number(raw):
    """Tell if so many digits follow each other, in a number or elsewhere."""
    return b'0' * (_MAX_DIGITS + 1) in raw.translate(_ZEROS)


def _integer(digits):
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f'a number of {len(digits)} digits')
    return int(digits)


def _no_constant(name):
    raise ValueError(f'{name} is not a number')
