"""State of an unfinished training run: one file, written whole or not at all."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Union

import mxnet as mx
import numpy as np
from mxnet import nd
from safetensors import SafetensorError, safe_open

from .._internal.files import write_tensors
from .identity import Identity, former_identity
from .reduction import DeviceReduction, Reduction, share

logger = logging.getLogger(__name__)


@dataclass
class Progress:
    """Progress of a run.

    Parameters
    ----------
    epoch, position : int
        Epochs completed, and steps completed of the next one.
    step : int
        Steps completed in all.
    phase, phase_step, seconds : int, int and float
        Phases completed; steps completed of the next one, and the time that they took, where it
        bounds the phase.
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
    trained : dict
        Of the batches of the first epoch that the run was trained on: how many ``batches``, and
        their ``digest``. Empty if they are not known.
    """

    epoch: int = 0
    position: int = 0
    step: int = 0
    phase: int = 0
    phase_step: int = 0
    seconds: float = 0.0
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
    trained: Dict[str, Any] = field(default_factory=dict)

    def note_step(self, loss: float, terms: Dict[str, float]) -> None:
        """Count a step, and add its loss and, if there are several, the terms of it."""
        self.step += 1
        self.phase_step += 1
        self.position += 1
        self.loss_sum += loss
        self.loss_count += 1
        for name, value in terms.items() if len(terms) > 1 else ():
            self.term_sums[name] = self.term_sums.get(name, 0.0) + value

    def begin_phase(self) -> None:
        """Go on to the next phase."""
        self.phase += 1
        self.phase_step, self.seconds = 0, 0.0

    def note_evaluation(self, score: Optional[float], file: str) -> bool:
        """Note an evaluation and the file for its parameters; tell if it is the best so far."""
        self.evaluated_step = self.step
        if score is None or _is_higher(score, self.best_score):
            self.best_epoch, self.best_step = self.epoch, self.step
            self.best_score, self.best_file = score, file
            self.evaluations_without_gain = 0
            return True
        self.evaluations_without_gain += 1
        return False


VERSION = 3  # of the file
Parameters = Dict[str, mx.gluon.Parameter]


class SavedState(NamedTuple):
    """Content of a state: progress, identity of the run and, but for its start, the arrays."""

    path: Path
    progress: Progress
    identity: Identity
    tensors: Dict[str, np.ndarray]

    def parameters(self) -> List[np.ndarray]:
        """List the parameters by name."""
        return [self.tensors[name] for name in sorted(self.tensors) if name[:10] == 'parameter/']


def save_state(
    path: Union[str, Path],
    progress: Progress,
    identity: Identity,
    parameters: Parameters,
    trainer: mx.gluon.Trainer,
) -> None:
    """Write parameters, optimizer moments and progress.

    Parameters
    ----------
    path : str or Path
    progress : Progress
        Before the first step no arrays are written: the run begins with those of the network.
    identity : dict
        What must be the same when the run is resumed.
    parameters : dict of str to mxnet.gluon.Parameter
    trainer : mxnet.gluon.Trainer
        Of these parameters. Only those of the first device are saved: all are alike.
    """
    tensors = {}
    if progress.step:
        for name, parameter in parameters.items():
            tensors[f'parameter/{name}'] = parameter.list_data()[0].asnumpy()
        for name, moments in _moments(parameters, trainer).items():
            for kind, moment in zip(('mean', 'variance'), moments):
                tensors[f'{kind}/{name}'] = moment.asnumpy()
    metadata = {
        'version': str(VERSION),
        'progress': json.dumps(asdict(progress)),
        'identity': json.dumps(identity),
    }
    write_tensors(path, tensors, metadata)


def read_state(path: Union[str, Path], with_arrays: bool = True) -> SavedState:
    """Read a state that :func:`save_state` wrote.

    Parameters
    ----------
    path : str or Path
    with_arrays : bool

    Returns
    -------
    SavedState

    Raises
    ------
    ValueError
        If the file is damaged, or from a later version.
    """
    try:
        with safe_open(path, 'np') as file:
            metadata = file.metadata() or {}
            names = file.keys() if with_arrays else ()
            tensors = {name: file.get_tensor(name) for name in names}
        version = int(metadata.get('version', 1))
        if version > VERSION:
            raise ValueError(f'version {version}: gluon_bert is older than the run')
        fields = json.loads(metadata['progress'])
        if version < 3:
            settings = json.loads(metadata['settings'])
            progress, identity = _former_progress(fields, settings), former_identity(settings)
        else:
            progress, identity = Progress(**fields), json.loads(metadata['identity'])
        if not progress.phase:  # a state before there were phases does not say it
            progress.phase_step = progress.step
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise ValueError(f'{path}: not a whole training state ({error})') from None
    return SavedState(Path(path), progress, identity, tensors)


def restore_state(
    state: SavedState,
    parameters: Parameters,
    trainer: mx.gluon.Trainer,
    reduction: Optional[Reduction] = None,
) -> None:
    """Give a network and its trainer the arrays of a state.

    Parameters
    ----------
    state : SavedState
    parameters, trainer
        As for :func:`save_state`.
    reduction : Reduction, optional
        Of several processes, to which process 0 gives the arrays of its state.

    Raises
    ------
    ValueError
        If they are those of another network; nothing is changed then.
    """
    step = state.progress.step
    reduction = DeviceReduction() if reduction is None else reduction
    then, now = state.identity.get('execution', {}).get('world_size', 1), reduction.size
    if then != now:
        logger.info('processes: %d then, %d now; dropout draws other masks', then, now)
    if step and reduction.rank == 0:
        _restore(state, parameters, trainer)
    if step and reduction.size > 1:
        names = [name[5:] for name in state.tensors if name.startswith('mean/')]
        _share_state(reduction, names, step, parameters, trainer)


def _restore(state, parameters, trainer):
    tensors = state.tensors
    shapes = {
        f'{kind}/{name}': parameter.shape
        for name, parameter in parameters.items()
        for kind in ('parameter', 'mean', 'variance')
    }
    missing = {f'parameter/{name}' for name in parameters} - set(tensors)
    if missing or any(shapes.get(name) != array.shape for name, array in tensors.items()):
        raise ValueError(f'{state.path}: belongs to another network')
    for name, parameter in parameters.items():
        parameter.set_data(nd.array(tensors[f'parameter/{name}']))
    _restore_moments(tensors, state.progress.step, parameters, trainer)


def _share_state(reduction, names, step, parameters, trainer):
    """Give all processes the parameters of process 0, and the moments of some by name."""
    names = share(reduction, names)
    if reduction.rank:
        empty = {
            f'{kind}/{name}': np.zeros(parameters[name].shape, 'float32')
            for kind in ('mean', 'variance')
            for name in names
        }
        _restore_moments(empty, step, parameters, trainer)
    positions = {id(parameter): index for index, parameter in enumerate(trainer._params)}
    arrays = [parameter.list_data() for parameter in parameters.values()]
    for name in names:
        states = [updater.states[positions[id(parameters[name])]] for updater in trainer._updaters]
        arrays += [list(copies) for copies in zip(*states)]
    reduction.broadcast(arrays)


def load_best(network: Any, path: Path, reduction: Reduction) -> None:
    """Load parameters that process 0 has written, in all processes."""
    if reduction.rank == 0:
        network.load_parameters(path)
    if reduction.size > 1:
        parameters = network._collect_params_with_prefix().values()
        reduction.broadcast([parameter.list_data() for parameter in parameters])


def _former_progress(fields, settings):
    """The progress of 0.1: in its first state evaluations at the ends of epochs alone."""
    if 'epochs_without_gain' in fields:
        fields['evaluations_without_gain'] = fields.pop('epochs_without_gain')
        fields['evaluated_step'] = fields['step'] - fields['position']
        position = fields['position'] * settings['accumulate']
        fields['batches'] = {'epoch': fields['epoch'], 'position': position}
        if fields['best_epoch'] is not None:
            fields['best_file'] = f'{settings["name"]}_{fields["best_epoch"]}.params'
    return Progress(**fields)


def _is_higher(score, best):
    """Compare two scores, of which the second may not be there; any is higher than NaN."""
    return best is None or score > best or (math.isnan(best) and not math.isnan(score))


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
