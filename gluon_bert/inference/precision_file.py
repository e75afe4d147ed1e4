"""Read and write ``precision.json``, the precision chosen for a network, beside its parameters."""

from __future__ import annotations

import json
import math
import re
import reprlib
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

from .._internal.files import write_text
from .._internal.json import read_object
from ..config import BertConfig
from ..kernels.encoder import PARTS, PRECISIONS, layer_widths
from .scale_codes import decode_scales, encode_scales

PRECISION_FILE = 'precision.json'
LOWER = tuple(name for name in PRECISIONS if name != 'float32')

_LAYER = re.compile(f'(0|[1-9][0-9]{{0,3}})\\.({"|".join(PARTS)})', re.ASCII)
_MAX_TEXT = 1000
_MAX_BYTES = 4 << 20


# Name in 0.1 -> name.
_FORMER = {
    'keep': 'float32_layers',
    'whole': 'score_all_low',
    'chosen': 'score_chosen',
    'sizes': 'activation_scales',
}


class _Fields(NamedTuple):
    precision: str
    float32_layers: tuple[str, ...] = ()
    tolerance: Optional[float] = None
    measure: Optional[str] = None
    float32: Optional[float] = None
    score_all_low: Optional[float] = None
    score_chosen: Optional[float] = None
    errors: Optional[dict[str, float]] = None
    activation_scales: Optional[dict[str, tuple[float, ...]]] = None
    data: Optional[str] = None
    calibration: Optional[str] = None


class LowPrecision(_Fields):
    """A lower precision, and what it was chosen by; see :func:`.choose_precision`.

    ``precision`` is 'bfloat16' or 'int8', ``float32_layers`` names the dense layers that stay in
    float32. ``measure`` is what ``tolerance`` is on: the name of a score, of which more is better,
    or 'error', the relative RMS error of the outputs. ``float32``, ``score_all_low`` and
    ``score_chosen`` are its values in float32, with all layers in the lower precision, and with
    ``float32_layers`` in float32. ``errors`` has the error that each layer alone causes;
    ``activation_scales``, for int8, how large the inputs of each layer are. ``data`` and
    ``calibration`` name what was evaluated on, and what errors and scales were measured with.

    The names of 0.1 (``keep``, ``whole``, ``chosen``, ``sizes``) still serve as keywords and
    attributes.
    """

    __slots__ = ()

    def __new__(cls, *args: Any, **kwargs: Any) -> LowPrecision:
        return super().__new__(cls, *args, **_with_names(kwargs))

    def _replace(self, **kwargs: Any) -> LowPrecision:
        return super()._replace(**_with_names(kwargs))

    keep = _Fields.float32_layers
    whole = _Fields.score_all_low
    chosen = _Fields.score_chosen
    sizes = _Fields.activation_scales


def _with_names(content):
    """Fields by name, of those by a name of 0.1; ValueError where one stands twice."""
    renamed = {_FORMER.get(name, name): value for name, value in content.items()}
    if len(renamed) < len(content):
        former = next(name for name in content if _FORMER.get(name) in content)
        raise ValueError(f'{former!r} is the former name of {_FORMER[former]!r}: give one of them')
    return renamed


def write_precision(folder: Union[str, Path], precision: LowPrecision) -> None:
    """Write ``precision.json`` into the folder of a network; whole or not at all.

    Parameters
    ----------
    folder : str or Path
    precision : LowPrecision
    """
    content = [
        f'{json.dumps(name)}: {_text(value)}'
        for name, value in {**precision._asdict(), **_encoded(precision)}.items()
        if value is not None
    ]
    write_text(Path(folder) / PRECISION_FILE, '{\n' + ',\n'.join(content) + '\n}\n')


def _encoded(precision):
    """The scales as they are written: as text, where that holds them exactly."""
    scales = precision.activation_scales or {}
    encoded = {name: encode_scales(row) or list(row) for name, row in scales.items()}
    return {'activation_scales': encoded} if encoded else {}


def _decoded(scales):
    """The scales of a file, numbers in each row; what is not as written stays as it is."""
    if not isinstance(scales, dict):
        return scales
    decoded = {name: decode_scales(row) for name, row in scales.items() if isinstance(row, str)}
    return {**scales, **{name: row and list(row) for name, row in decoded.items()}}


def _text(value):
    """JSON with a line for each layer."""
    if not isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return (
        '{\n '
        + ',\n '.join(f'{json.dumps(name)}: {json.dumps(row)}' for name, row in value.items())
        + '}'
    )


def forget_precision(folder: Union[str, Path]) -> None:
    """Remove ``precision.json``, if there is one: it was chosen for other parameters."""
    (Path(folder) / PRECISION_FILE).unlink(missing_ok=True)


def has_precision(folder: Union[str, Path]) -> bool:
    """Return whether :func:`read_precision` has something to read in a folder."""
    return (Path(folder) / PRECISION_FILE).is_file()


def read_precision(folder: Union[str, Path], config: BertConfig) -> LowPrecision:
    """Read and check the ``precision.json`` of a folder, of this version or of 0.1.

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
            f'{path}: no precision is saved with this network; gluon-bert quantize chooses one'
        )
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f'{path}: the file is larger than {_MAX_BYTES} bytes')
    content = {
        name: _decoded(value) if _FORMER.get(name, name) == 'activation_scales' else value
        for name, value in read_object(path).items()
    }
    for name, value in content.items():
        if _FORMER.get(name, name) not in _CHECKS:
            raise ValueError(
                f'{path}: {reprlib.repr(name)} is unknown; there are: {", ".join(_CHECKS)}'
            )
        allowed, check = _CHECKS[_FORMER.get(name, name)]
        if not check(value, config):
            raise ValueError(
                f'{path}: {name} is {reprlib.repr(value)}: expected '
                f'{allowed.format(config.num_layers - 1)}'
            )
    if 'precision' not in content:
        raise ValueError(f"{path}: has no 'precision'")
    try:
        low = LowPrecision(**content)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
    scales = low.activation_scales
    if scales is not None:
        scales = {name: tuple(map(float, row)) for name, row in scales.items()}
    return low._replace(float32_layers=tuple(low.float32_layers), activation_scales=scales)


def resolve_precision(
    precision: Optional[str], folder: Union[str, Path, None], config: BertConfig
) -> LowPrecision:
    """Look up the precision that a user asked for, with what is saved with a network for it.

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
        That of the folder, if its file is for this precision; else with no layer in float32.

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
        raise ValueError("precision='saved': only the folder of a network can have one")
    if folder is None or (precision != 'saved' and not has_precision(folder)):
        return LowPrecision(precision)
    saved = read_precision(folder, config)
    return saved if precision in ('saved', saved.precision) else LowPrecision(precision)


def _is_layer(name, config):
    match = isinstance(name, str) and _LAYER.fullmatch(name)
    return bool(match) and int(match[1]) < config.num_layers


def _are_layers(names, config):
    return (
        isinstance(names, list)
        and all(_is_layer(name, config) for name in names)
        and len(set(names)) == len(names)
    )


def _are_scales(value, config):
    widths = layer_widths(config)
    return (
        isinstance(value, dict)
        and value.keys() == widths.keys()
        and all(
            isinstance(row, list) and len(row) == widths[name] and all(map(_is_positive, row))
            for name, row in value.items()
        )
    )


def _is_number(value, config=None):
    return type(value) in (int, float) and math.isfinite(value)


def _is_positive(value, config=None):
    return _is_number(value) and value >= 0


def _is_text(value, config=None):
    return isinstance(value, str) and value.isprintable() and 0 < len(value) <= _MAX_TEXT


_LAYERS = "dense layers, from '0.query_key_value' to '{}.contract'"
_CHECKS = {
    'precision': (' or '.join(LOWER), lambda value, _: value in LOWER),
    'float32_layers': (f'a list of different {_LAYERS}', _are_layers),
    'tolerance': ('a number from 0', _is_positive),
    'measure': ('text', _is_text),
    'float32': ('a number', _is_number),
    'score_all_low': ('a number', _is_number),
    'score_chosen': ('a number', _is_number),
    'errors': (
        f'numbers from 0 by {_LAYERS}',
        lambda value, config: (
            isinstance(value, dict)
            and all(_is_layer(name, config) for name in value)
            and all(map(_is_positive, value.values()))
        ),
    ),
    'activation_scales': (
        'numbers from 0 for the inputs of each dense layer of the network',
        _are_scales,
    ),
    'data': ('text', _is_text),
    'calibration': ('text', _is_text),
}
