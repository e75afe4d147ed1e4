"""Which precision a network may run in, kept beside its parameters in ``precision.json``."""

from __future__ import annotations

import json
import math
import re
import reprlib
from pathlib import Path
from typing import NamedTuple, Optional

from .._internal.files import write_text
from .._internal.json import read_object
from ..kernels.encoder import PARTS, PRECISIONS, layer_widths

PRECISION_FILE = 'precision.json'
LOWER = tuple(name for name in PRECISIONS if name != 'float32')

_LAYER = re.compile(f'(0|[1-9][0-9]{{0,3}})\\.({"|".join(PARTS)})', re.ASCII)
_MAX_TEXT = 1000
_MAX_BYTES = 4 << 20


class LowPrecision(NamedTuple):
    """A lower precision, and what it was chosen by; see :func:`.choose_precision`.

    ``precision`` is 'bfloat16' or 'int8', ``keep`` names the dense layers that stay in float32.
    ``measure`` is what ``tolerance`` is on: the name of a score, of which more is better, or
    'error', the relative RMS error of the outputs. ``float32``, ``whole`` and ``chosen`` are its
    values in float32, with no layer kept, and with those of ``keep``. ``errors`` has the error that
    each layer alone causes; ``sizes``, for int8, how large the inputs of each layer are. ``data``
    and ``calibration`` name what was evaluated on, and what errors and sizes were found with.
    """

    precision: str
    keep: tuple[str, ...] = ()
    tolerance: Optional[float] = None
    measure: Optional[str] = None
    float32: Optional[float] = None
    whole: Optional[float] = None
    chosen: Optional[float] = None
    errors: Optional[dict[str, float]] = None
    sizes: Optional[dict[str, tuple[float, ...]]] = None
    data: Optional[str] = None
    calibration: Optional[str] = None


def write_precision(folder, found):
    """Write ``precision.json`` into the folder of a network; whole or not at all.

    Parameters
    ----------
    folder : str or Path
    found : LowPrecision
    """
    content = [
        f'{json.dumps(name)}: {_text(value)}'
        for name, value in found._asdict().items()
        if value is not None
    ]
    write_text(Path(folder) / PRECISION_FILE, '{\n' + ',\n'.join(content) + '\n}\n')


def _text(value):
    """JSON with a line for each layer."""
    if not isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return (
        '{\n '
        + ',\n '.join(f'{json.dumps(name)}: {json.dumps(row)}' for name, row in value.items())
        + '}'
    )


def forget_precision(folder):
    """Remove ``precision.json``, if it is there: it was found for other parameters."""
    (Path(folder) / PRECISION_FILE).unlink(missing_ok=True)


def has_precision(folder):
    """Whether :func:`read_precision` has something to read in a folder."""
    return (Path(folder) / PRECISION_FILE).is_file()


def read_precision(folder, config):
    """What :func:`write_precision` wrote, checked.

    Parameters
    ----------
    folder : str or Path
    config : BertConfig
        Of the network.

    Returns
    -------
    LowPrecision

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is damaged or for another network.
    """
    path = Path(folder) / PRECISION_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f'{path}: there is no precision kept with this network; gluon-bert quantize finds one'
        )
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f'{path}: the file is larger than {_MAX_BYTES} bytes')
    content = read_object(path)
    for name, value in content.items():
        if name not in _CHECKS:
            raise ValueError(
                f'{path}: {reprlib.repr(name)} is unknown; there are: {", ".join(_CHECKS)}'
            )
        allowed, check = _CHECKS[name]
        if not check(value, config):
            raise ValueError(
                f'{path}: {name} is {reprlib.repr(value)}: expected '
                f'{allowed.format(config.num_layers - 1)}'
            )
    if 'precision' not in content:
        raise ValueError(f"{path}: has no 'precision'")
    if 'sizes' in content:
        content['sizes'] = {name: tuple(map(float, row)) for name, row in content['sizes'].items()}
    return LowPrecision(**{**content, 'keep': tuple(content.get('keep', ()))})


def resolve_precision(precision, folder, config):
    """The precision that a user asked for, and what is kept with a network for it.

    Parameters
    ----------
    precision : str or None
        'float32', which None means too; 'bfloat16' or 'int8'; or 'saved', that of the folder.
    folder : str, Path or None
        Where ``precision.json`` is looked for; None where there is no folder.
    config : BertConfig
        Of the network.

    Returns
    -------
    LowPrecision
        That of the folder, if its file is for this precision; else with no layer kept.

    Raises
    ------
    FileNotFoundError, ValueError
        If the precision is another one, 'saved' is asked for and there is none, or the file is
        damaged.
    """
    allowed = ('float32', *LOWER, 'saved')
    if precision is None or precision == 'float32':
        return LowPrecision('float32')
    if precision not in allowed:
        raise ValueError(f'precision={precision!r}: expected one of {", ".join(allowed)}')
    if folder is None and precision == 'saved':
        raise ValueError("precision='saved': only the folder of a network can have one kept")
    if folder is None or (precision != 'saved' and not has_precision(folder)):
        return LowPrecision(precision)
    found = read_precision(folder, config)
    return found if precision in ('saved', found.precision) else LowPrecision(precision)


def _is_layer(name, config):
    match = isinstance(name, str) and _LAYER.fullmatch(name)
    return bool(match) and int(match[1]) < config.num_layers


def _are_layers(names, config):
    return (
        isinstance(names, list)
        and all(_is_layer(name, config) for name in names)
        and len(set(names)) == len(names)
    )


def _are_sizes(value, config):
    widths = layer_widths(config)
    return (
        isinstance(value, dict)
        and value.keys() == widths.keys()
        and all(
            isinstance(row, list) and len(row) == widths[name] and all(map(_is_size, row))
            for name, row in value.items()
        )
    )


def _is_number(value, config=None):
    return type(value) in (int, float) and math.isfinite(value)


def _is_size(value, config=None):
    return _is_number(value) and value >= 0


def _is_text(value, config=None):
    return isinstance(value, str) and value.isprintable() and 0 < len(value) <= _MAX_TEXT


_LAYERS = "dense layers, from '0.query_key_value' to '{}.contract'"
_CHECKS = {
    'precision': (' or '.join(LOWER), lambda value, _: value in LOWER),
    'keep': (f'a list of different {_LAYERS}', _are_layers),
    'tolerance': ('a number from 0', _is_size),
    'measure': ('text', _is_text),
    'float32': ('a number', _is_number),
    'whole': ('a number', _is_number),
    'chosen': ('a number', _is_number),
    'errors': (
        f'numbers from 0 by {_LAYERS}',
        lambda value, config: (
            isinstance(value, dict)
            and all(_is_layer(name, config) for name in value)
            and all(map(_is_size, value.values()))
        ),
    ),
    'sizes': ('numbers from 0 for the inputs of each dense layer of the network', _are_sizes),
    'data': ('text', _is_text),
    'calibration': ('text', _is_text),
}
