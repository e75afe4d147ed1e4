"""The identity of a training run: what determines its result, compared when it is resumed.

It is a dict of groups: ``options``, ``data``, ``network``, ``execution`` and ``more``, what the
caller adds. Contents are told by digests, so that it is small and can be kept with the result.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence

import mxnet as mx
import numpy as np

from .batches import Batch
from .options import TrainingOptions
from .phases import Phase
from .step import TrainingStep

Identity = Dict[str, Dict[str, Any]]

# Options that do not change the parameters that a run ends with.
_WITHOUT_INFLUENCE = ('log_interval', 'checkpoint_interval')
_DIGEST = re.compile('[0-9a-f]{32}')
_MAX_SHOWN = 100  # characters of a value in an error


def make_identity(
    step: TrainingStep, phases: Sequence[Phase], more: Optional[Mapping[str, Any]] = None
) -> Identity:
    """Collect what determines the result of a run.

    Parameters
    ----------
    step : TrainingStep
        With the network and its first parameters.
    phases : list of Phase
        The ``fingerprint()`` of their data, if there is one, says what the batches depend on.
    more : mapping of str to object, optional
        What the caller adds, JSON values.

    Returns
    -------
    dict of str to dict

    Raises
    ------
    TypeError
        If a value is not one of JSON.
    """
    first, *later = [_determining(asdict(phase.options)) for phase in phases]
    data, *later_data = [_describe_data(phase.data, phase.batches) for phase in phases]
    if later:
        first['phases'] = [
            {name: value for name, value in row.items() if value != first[name]} for row in later
        ]
        data['phases'] = later_data
    execution = {
        'native_kernels': step.encoder is not None,
        'device': step.devices[0].device_type,
        'devices': len(step.devices),
        'world_size': step.reduction.size,
    }
    identity = {
        'options': {'loss': step.objective.name, **first},
        'data': data,
        'network': _describe_network(step),
        'execution': execution,
        'more': dict(more or {}),
    }
    return json.loads(json.dumps(identity))


def former_identity(settings: Mapping[str, Any]) -> Identity:
    """Sort the settings that states of gluon_bert 0.1 had; they did not tell all."""
    names = {*asdict(TrainingOptions()), 'evaluate_every'}
    identity: Identity = {
        'options': _determining({name: settings[name] for name in names if name in settings}),
        'data': {'sequences': settings.get('sequences')},
        'execution': {'processes': settings.get('processes', 1)},
    }
    for name in ('native_kernels', 'devices'):
        if name in settings:
            identity['execution'][name] = settings[name]
    return identity


def differences(saved: Identity, given: Identity) -> List[str]:
    """Name what differs, with what it was and what it is.

    Only what both know is compared. The first parameters are not: see :func:`digest_of_arrays`; nor
    is the number of processes, which share each batch: the result is the same within rounding.
    """
    found = []
    for group in saved:
        was, now = _flat(saved[group]), _flat(given.get(group, {}))
        if group == 'options':  # an option that the earlier version lacked had its default
            was = {**_determining(asdict(TrainingOptions())), 'phases': [], **was}
            now = {'phases': [], **now}
        if group == 'execution':  # earlier versions gave each process batches of its own
            was, now = {'processes': 1, **was}, {'processes': 1, **now}
        prefix = f'{group} ' if group in ('data', 'network') else ''
        for name in sorted(was.keys() & now.keys() - {'start', 'world_size'}):
            if was[name] != now[name]:
                found.append(f'{prefix}{name}: {_contrast(was[name], now[name])}')
        # The order of the batches follows from what the data tell otherwise.
        if sum(item.startswith('data ') for item in found) > 1:
            found = [item for item in found if not item.startswith('data order: ')]
        if group == 'more':
            for name in sorted(was.keys() ^ now.keys()):
                found.append(
                    f'{name}: {show_value(was.get(name))} then, {show_value(now.get(name))} now'
                )
    return found


def flatten(identity: Identity) -> Dict[str, Any]:
    """List what is in an identity by name, but for the first parameters."""
    flat = {}
    for group, values in identity.items():
        prefix = f'{group} ' if group in ('data', 'network') else ''
        flat.update({f'{prefix}{name}': value for name, value in _flat(values).items()})
    flat.pop('network start', None)
    return flat


def can_compare_contents(saved: Identity, given: Identity) -> bool:
    """Tell whether the fingerprints of both data sets say all about them."""
    return None not in (saved['data'].get('fingerprint'), given['data']['fingerprint'])


def digest_of_arrays(arrays: Iterable[Any]) -> str:
    """Compute a digest of arrays in their order."""
    digest = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array)
        digest.update(repr((array.shape, array.dtype.str)).encode())
        digest.update(array.data)
    return digest.hexdigest()[:32]


def digest_of_parameters(parameters: Mapping[str, mx.gluon.Parameter]) -> str:
    """Compute a digest of the parameters of a network, in the order of their names."""
    arrays = [parameters[name].list_data()[0] for name in sorted(parameters)]
    return digest_of_arrays(array.asnumpy() for array in arrays)


def note_batches(trained: Dict[str, Any], batches: Iterable[Batch]) -> Dict[str, Any]:
    """Add batches to the number and digest of those that a run was trained on."""
    number, digest = trained['batches'], trained['digest']
    for batch in batches:
        number, digest = number + 1, digest_of_batch(digest, batch)
    return {'batches': number, 'digest': digest}


def digest_of_batch(former: str, batch: Batch) -> str:
    """Compute a digest of a batch and, by their digest, of those before it."""
    arrays = (array.asnumpy() for array in (*batch.inputs, *batch.labels))
    return hashlib.sha256((former + digest_of_arrays(arrays)).encode()).hexdigest()[:32]


def _determining(options):
    return {name: value for name, value in options.items() if name not in _WITHOUT_INFLUENCE}


def _describe_data(data, batches):
    fingerprint = getattr(data, 'fingerprint', None)
    return {
        'sequences': len(data) if hasattr(data, '__len__') else None,
        'num_batches': batches.num_batches,
        'order': getattr(batches, 'order', None),
        'fingerprint': None if fingerprint is None else fingerprint(),
    }


def _describe_network(step):
    network, parameters = step.network, step.parameters
    arrays = [parameters[name].list_data()[0] for name in sorted(parameters)]
    config = getattr(network, 'config', None)
    return {
        'class': type(network).__name__,
        'config': config.to_dict() if hasattr(config, 'to_dict') else {},
        'arrays': len(arrays),
        'numbers': sum(array.size for array in arrays),
        'dropout': sorted(_dropout_rates(network)),
        'multipliers': {
            name: [parameter.lr_mult, parameter.wd_mult]
            for name, parameter in parameters.items()
            if parameter.lr_mult != 1 or parameter.wd_mult not in (0, 1)
        },
        'start': digest_of_parameters(parameters),
    }


def _dropout_rates(network):
    rates = {network._rate} if hasattr(network, '_rate') else set()
    for child in getattr(network, '_children', {}).values():
        rates |= _dropout_rates(child)
    return rates


def _flat(group):
    """A group with the entries of the dicts in it, which have names of their own."""
    flat = {}
    for name, value in group.items():
        if name in ('config', 'fingerprint'):
            flat.update(
                value if isinstance(value, dict) else {} if value is None else {name: value}
            )
        else:
            flat[name] = value
    return flat


def _contrast(was, now):
    """Both values; of two lists, the first entries that differ."""
    if isinstance(was, list) and isinstance(now, list) and len(was) == len(now) > 4:
        number = next(number for number, pair in enumerate(zip(was, now)) if pair[0] != pair[1])
        return f'entry {number + 1}: {show_value(was[number])} then, {show_value(now[number])} now'
    return f'{show_value(was)} then, {show_value(now)} now'


def show_value(value: Any) -> str:
    """Write a value for a message: digests and long ones are cut short."""
    if isinstance(value, str) and _DIGEST.fullmatch(value):
        value = value[:12]
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f'{text[:_MAX_SHOWN]}...'
