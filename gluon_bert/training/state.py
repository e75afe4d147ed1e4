"""What a broken-off training run needs to go on: one file, written whole or not at all."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Optional

from mxnet import nd
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from .._internal.files import atomic_path


@dataclass
class Progress:
    """How far a run is.

    Parameters
    ----------
    epoch, position : int
        The next step's: epochs and steps of it that are behind.
    step : int
        Steps done in all.
    best_epoch, best_score : int and float, optional
        The best evaluation so far.
    epochs_without_gain : int
        Evaluations since.
    loss_sum, loss_count : float and int
        Of the steps since the last line in the log.
    """

    epoch: int = 0
    position: int = 0
    step: int = 0
    best_epoch: Optional[int] = None
    best_score: Optional[float] = None
    epochs_without_gain: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0


def save_state(path, progress, settings, parameters, trainer):
    """Write parameters, optimizer moments and progress.

    Parameters
    ----------
    path : str or Path
    progress : Progress
    settings : dict
        What must be the same when the run goes on.
    parameters : dict of str to mxnet.gluon.Parameter
    trainer : mxnet.gluon.Trainer
        Of these parameters. Of several devices, which are alike, the first is saved.
    """
    tensors = {
        f'parameter/{name}': parameter.list_data()[0].asnumpy()
        for name, parameter in parameters.items()
    }
    for name, moments in _moments(parameters, trainer).items():
        for kind, moment in zip(('mean', 'variance'), moments):
            tensors[f'{kind}/{name}'] = moment.asnumpy()
    metadata = {'progress': json.dumps(asdict(progress)), 'settings': json.dumps(settings)}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata=metadata)


def load_state(path, settings, parameters, trainer):
    """Restore what :func:`save_state` wrote.

    Parameters
    ----------
    path, settings, parameters, trainer
        As there.

    Returns
    -------
    Progress

    Raises
    ------
    ValueError
        If the file is damaged, or belongs to a run with other settings or another network.
    """
    try:
        with safe_open(path, 'np') as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        progress = Progress(**json.loads(metadata['progress']))
        saved = json.loads(metadata['settings'])
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise ValueError(f'{path}: not a whole training state ({error})') from None
    differing = sorted(
        name for name in {**saved, **settings} if saved.get(name) != settings.get(name)
    )
    if differing:
        changes = ', '.join(
            f'{name}: {saved.get(name)!r} then, {settings.get(name)!r} now' for name in differing
        )
        raise ValueError(f'{path}: belongs to a run with other settings ({changes})')
    expected = {
        f'{kind}/{name}' for name in parameters for kind in ('parameter', 'mean', 'variance')
    }
    if set(tensors) - expected or {f'parameter/{name}' for name in parameters} - set(tensors):
        raise ValueError(f'{path}: belongs to another network')
    for name, parameter in parameters.items():
        parameter.set_data(nd.array(tensors[f'parameter/{name}']))
    _restore_moments(tensors, progress.step, parameters, trainer)
    return progress


def _moments(parameters, trainer):
    """By parameter name; MXNet keeps them by position in the trainer."""
    names = {id(parameter): name for name, parameter in parameters.items()}
    states = trainer._updaters[0].states
    return {names[id(trainer._params[index])]: moments for index, moments in states.items()}


def _restore_moments(tensors, step, parameters, trainer):
    positions = {id(parameter): index for index, parameter in enumerate(trainer._params)}
    optimizer = trainer._optimizer
    for device, updater in zip(trainer._contexts, trainer._updaters):
        optimizer._set_current_context(device.device_id)  # each has its own count of steps
        for name, parameter in parameters.items():
            if f'mean/{name}' not in tensors:
                continue
            index = positions[id(parameter)]
            updater.states[index] = tuple(
                nd.array(tensors[f'{kind}/{name}'], ctx=device) for kind in ('mean', 'variance')
            )
            updater.states_synced[index] = True
            optimizer._index_update_count[index] = step
    optimizer.num_update = step
