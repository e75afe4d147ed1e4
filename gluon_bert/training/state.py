"""State of an unfinished training run: one file, written whole or not at all."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Dict, Optional, Union

import mxnet as mx
from mxnet import nd
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from .._internal.files import atomic_path


@dataclass
class Progress:
    """Progress of a run.

    Parameters
    ----------
    epoch, position : int
        Epochs completed, and steps completed of the next one.
    step : int
        Steps completed in all.
    evaluated_step : int
        Steps completed at the last evaluation.
    best_epoch, best_step, best_score, best_file : int, int, float and str, optional
        The best evaluation so far, and the name of the file with its parameters.
    evaluations_without_gain : int
        Evaluations since then.
    loss_sum, loss_count : float and int
        Of the steps since the last line in the log.
    term_sums : dict of str to float
        The same for each term of the loss, if there are several.
    batches : dict
        State of the iterator of batches.
    """

    epoch: int = 0
    position: int = 0
    step: int = 0
    evaluated_step: int = 0
    best_epoch: Optional[int] = None
    best_step: Optional[int] = None
    best_score: Optional[float] = None
    best_file: Optional[str] = None
    evaluations_without_gain: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    term_sums: Dict[str, float] = field(default_factory=dict)
    batches: Dict[str, Any] = field(default_factory=dict)


VERSION = 2  # of the file
Parameters = Dict[str, mx.gluon.Parameter]


def save_state(
    path: Union[str, Path],
    progress: Progress,
    settings: Dict[str, Any],
    parameters: Parameters,
    trainer: mx.gluon.Trainer,
) -> None:
    """Write parameters, optimizer moments and progress.

    Parameters
    ----------
    path : str or Path
    progress : Progress
    settings : dict
        What must be the same when the run is resumed.
    parameters : dict of str to mxnet.gluon.Parameter
    trainer : mxnet.gluon.Trainer
        Of these parameters. Only those of the first device are saved: all are alike.
    """
    tensors = {
        f'parameter/{name}': parameter.list_data()[0].asnumpy()
        for name, parameter in parameters.items()
    }
    for name, moments in _moments(parameters, trainer).items():
        for kind, moment in zip(('mean', 'variance'), moments):
            tensors[f'{kind}/{name}'] = moment.asnumpy()
    metadata = {
        'version': str(VERSION),
        'progress': json.dumps(asdict(progress)),
        'settings': json.dumps(settings),
    }
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata=metadata)


def load_state(
    path: Union[str, Path],
    settings: Dict[str, Any],
    parameters: Parameters,
    trainer: mx.gluon.Trainer,
) -> Progress:
    """Restore a state that :func:`save_state` wrote.

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
        saved = json.loads(metadata['settings'])
        version = int(metadata.get('version', 1))
        if version > VERSION:
            raise ValueError(f'version {version}: gluon_bert is older than the run')
        progress = _read_progress(json.loads(metadata['progress']), saved, version)
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


def _read_progress(fields, settings, version):
    if version == 1:  # 0.1.0: evaluations at the ends of epochs alone, batches by number
        fields['evaluations_without_gain'] = fields.pop('epochs_without_gain')
        position = fields['position'] * settings['accumulate']
        fields['batches'] = {'epoch': fields['epoch'], 'position': position}
        if fields['best_epoch'] is not None:
            fields['best_file'] = f'{settings["name"]}_{fields["best_epoch"]}.params'
    return Progress(**fields)


def _moments(parameters, trainer):
    """Get the moments by parameter name; MXNet has them by position in the trainer."""
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
