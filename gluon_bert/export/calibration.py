"""Ranges of the inputs of dense layers, for int8 with scales that are known beforehand."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence

import numpy as np

from ..checkpoint.schema import Checkpoint
from ..data import Features
from ..inference.precision_file import LowPrecision, resolve_precision

logger = logging.getLogger(__name__)

# Times the largest root mean square of an input: how far values reach that are not cut off.
_REACH = 4


class Range(NamedTuple):
    """The smallest and the largest value of an input."""

    lowest: float
    highest: float


def saved_precision(checkpoint: Checkpoint) -> LowPrecision:
    """Read what ``precision.json`` of a checkpoint's folder says about int8.

    Parameters
    ----------
    checkpoint : Checkpoint

    Returns
    -------
    LowPrecision
        With no layer in float32 and no scales if there is no such file.

    Raises
    ------
    ValueError
        If the file is damaged.
    """
    path = Path(checkpoint.source or '.')
    folder = path.parent if path.is_file() else path
    is_there = bool(checkpoint.source) and folder.is_dir()
    return resolve_precision('int8', folder if is_there else None, checkpoint.config)


def saved_ranges(checkpoint: Checkpoint) -> Dict[str, Range]:
    """Estimate the ranges from the scales in ``precision.json`` of a checkpoint's folder.

    Parameters
    ----------
    checkpoint : Checkpoint

    Returns
    -------
    dict of str to Range
        By the layer's name, such as '0.expand'.

    Raises
    ------
    ValueError
        If there are no scales.
    """
    scales = saved_precision(checkpoint).activation_scales
    if scales is None:
        raise ValueError(
            'int8-static needs calibration texts (--calibrate FILE), or a folder with the scales '
            'of gluon-bert quantize --precision int8'
        )
    logger.warning(
        'no calibration texts: the ranges of int8 are estimated from the scales of precision.json'
    )
    reaches = {name: _REACH * max(row, default=0.0) for name, row in scales.items()}
    return {name: Range(-reach, reach) for name, reach in reaches.items()}


def measure_ranges(checkpoint: Checkpoint, features: Sequence[Features]) -> Dict[str, Range]:
    """Measure the ranges on calibration texts.

    Parameters
    ----------
    checkpoint : Checkpoint
    features : list of Features
        Such as will come.

    Returns
    -------
    dict of str to Range
        By the layer's name, such as '0.expand'.

    Raises
    ------
    ValueError
        If there are no features, they are not for the network, or what it computes of them is not
        finite.
    """
    from mxnet import nd

    from ..modeling.build import build_network

    if not features:
        raise ValueError('calibration: expected one text or more')
    network: Any = build_network(checkpoint, 'encoder')
    network.hybridize(active=False)
    seen: Dict[str, List[Range]] = {}
    for block, names in _dense_blocks(network):
        block.register_forward_pre_hook(_watch(itertools.cycle(names), seen))
    for feature in features:
        length = feature.valid_length
        # One at a time, for padding would be in the ranges.
        rows = [nd.array(part[None, :length]) for part in (feature.inputs, feature.token_types)]
        network(*rows, nd.array([length]))
    ranges = {
        name: Range(min(one.lowest for one in many), max(one.highest for one in many))
        for name, many in seen.items()
    }
    for name, found in ranges.items():
        if not np.isfinite(found).all():
            raise ValueError(
                f'the inputs of {name} are not finite: the network computes no numbers'
            )
    return ranges


def _dense_blocks(network):
    """The dense layers' blocks, each with its names in the order in which it is called."""
    blocks: Dict[int, Any] = {}
    for number, layer in enumerate(network.layers):
        for name, block in (
            ('query_key_value', layer.attention.query_key_value),
            ('output', layer.attention.output),
            ('expand', layer.expand),
            ('contract', layer.contract),
        ):
            blocks.setdefault(id(block), (block, []))[1].append(f'{number}.{name}')
    return blocks.values()


def _watch(names, seen):
    def watch(_, inputs):
        array = inputs[0].asnumpy()
        found = Range(float(array.min()), float(array.max()))
        seen.setdefault(next(names), []).append(found)

    return watch
