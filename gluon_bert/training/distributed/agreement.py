"""See that all processes of a run were given the same, before its first step."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict
from typing import Any, Dict, List, Mapping, Sequence

import mxnet as mx
import numpy as np
from mxnet import nd

from ..identity import Identity, digest_of_parameters, flatten, show_value
from ..phases import Phase
from ..reduction import Reduction, share
from ..step import TrainingStep

_MOST = 5  # differences of a process in the message


def package_versions() -> Dict[str, str]:
    """List the versions of what computes the steps."""
    from ... import __version__

    return {
        'version of gluon_bert': __version__,
        'version of mxnet': mx.__version__,
        'version of numpy': np.__version__,
        'version of python': '.'.join(platform.python_version_tuple()[:2]),
    }


def agree_on_run(step: TrainingStep, phases: Sequence[Phase], identity: Identity) -> None:
    """See that all processes have the same run, then give them the parameters of process 0.

    Parameters
    ----------
    step : TrainingStep
    phases : list of Phase
    identity : dict
        Of the run; it gets the digest of the parameters that it starts with.

    Raises
    ------
    ValueError
        As :func:`agree`.
    """
    if step.reduction.size == 1:
        return
    first, *others = [asdict(phase.options) for phase in phases]
    values = {**package_versions(), **flatten(identity), **first, 'phases': others}
    for name in ('bucket_mb', 'bucket_dtype'):
        values[name] = getattr(step.reduction, name, None)
    agree(step.reduction, values)
    step.share_start()
    identity['network']['start'] = digest_of_parameters(step.parameters)


def agree(reduction: Reduction, mine: Mapping[str, Any]) -> None:
    """Refuse processes that were given something else than process 0.

    Parameters
    ----------
    reduction : Reduction
    mine : mapping of str to object
        JSON values by name, of this process.

    Raises
    ------
    ValueError
        In all processes, if one differs; the message has its rank, the names and both values.
    """
    if reduction.size == 1:
        return
    mine = json.loads(json.dumps(mine))
    first = share(reduction, mine)
    found = [
        f'{name}={_show(mine, name, first)}, rank 0 {name}={_show(first, name, mine)}'
        for name in sorted(mine.keys() | first.keys())
        if mine.get(name) != first.get(name)
    ]
    more = f' and {len(found) - _MOST} more' if len(found) > _MOST else ''
    texts = gather_texts(reduction, '; '.join(found[:_MOST]) + more)
    refused = [f'rank {rank} has {text}' for rank, text in enumerate(texts) if text]
    if refused:
        raise ValueError(f'the processes do not train the same: {"; ".join(refused)}')


def _show(values, name, others):
    value, other = values.get(name), others.get(name)
    if isinstance(value, list) and isinstance(other, list) and len(value) == len(other) > 1:
        place = next(i for i, pair in enumerate(zip(value, other)) if pair[0] != pair[1])
        return f'{show_value(value[place])} in place {place + 1}'
    return show_value(value)


def gather_texts(reduction: Reduction, text: str) -> List[str]:
    """Give every process the texts of all, by rank."""
    raw = np.frombuffer(text.encode(), 'uint8')
    lengths = np.zeros(reduction.size)
    lengths[reduction.rank] = len(raw)
    lengths = _sum(reduction, lengths).astype(int)
    table = np.zeros((reduction.size, max(1, lengths.max())))
    table[reduction.rank, : len(raw)] = raw
    rows = _sum(reduction, table).astype('uint8')
    return [row[:length].tobytes().decode() for row, length in zip(rows, lengths)]


def _sum(reduction, values):
    array = nd.array(values, dtype='float32')
    reduction.sum_in_place([[array]])
    return array.asnumpy()
