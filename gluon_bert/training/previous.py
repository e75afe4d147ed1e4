"""The earlier run in an output folder: find it, and compare it with the one that is to begin."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from .files import RunFiles
from .identity import Identity, can_compare_contents, differences, digest_of_arrays, digest_of_batch
from .reduction import Reduction, share
from .state import Progress, SavedState, read_state

logger = logging.getLogger(__name__)


class Previous(NamedTuple):
    """The earlier run in an output folder, as far as it is to be used.

    ``state`` is that of an unfinished run to continue, ``record`` the result of a finished one to
    give back; with neither, a run begins anew. ``stale`` names the files of the earlier run that a
    new one replaces.
    """

    state: Optional[SavedState] = None
    record: Optional[Dict[str, Any]] = None
    stale: Tuple[str, ...] = ()


def refuse_unasked(files: RunFiles, resume: bool, overwrite: bool) -> None:
    """Refuse to replace an earlier run that has got anywhere, unless that was asked for.

    Raises
    ------
    ValueError
        If there is a run and neither ``resume`` nor ``overwrite`` is set.
    """
    if resume or overwrite:
        return
    ways = 'resume or overwrite it, or choose another folder'
    if files.state.is_file():
        if read_state(files.state, with_arrays=False).progress.step:
            raise ValueError(f'{files.state}: there is an unfinished run; {ways}')
    elif files.result.is_file():
        raise ValueError(f'{files.result}: there is a finished run; {ways}')


def find_previous(
    files: RunFiles, identity: Identity, batches: Any, resume: bool = False, overwrite: bool = False
) -> Previous:
    """Find the earlier run in a folder, and see that it is the same as the one to begin.

    Nothing is written.

    Parameters
    ----------
    files : RunFiles
    identity : dict
        Of the run to begin.
    batches : BatchIterator
        Of its data.
    resume, overwrite : bool

    Returns
    -------
    Previous

    Raises
    ------
    ValueError
        If there is a run, and neither ``resume`` nor ``overwrite`` is set, or with ``resume`` it
        is not the same run; the message has all that differs. Or if its files are damaged.
    """
    refuse_unasked(files, resume, overwrite)
    if overwrite or not files.has_run:
        return _anew(files, overwrite)
    # Until the state is removed, it says more than a result: that may be of a run it replaces.
    if files.state.is_file():
        state = read_state(files.state)
        if not resume:
            return _anew(files, True)
        progress, weights = state.progress, state.parameters()
        known = [digest_of_arrays(weights)] if weights else []
        _compare(files.state, state.identity, identity, progress.trained, batches, known)
        _need(files.state, files, progress.best_file)
        return Previous(state=state, stale=files.stale(progress.best_file))
    record = files.read_result()
    known = [record['final']]
    # Where it was computed no longer matters.
    saved = {name: group for name, group in record['identity'].items() if name != 'execution'}
    _compare(files.result, saved, identity, record['trained'], batches, known)
    _need(files.result, files, record['best_path'])
    return Previous(record=record)


def share_previous(reduction: Reduction, files: RunFiles, find: Callable[[], Previous]) -> Previous:
    """Give all processes what process 0 finds, or raise its ValueError in all.

    Parameters
    ----------
    reduction : Reduction
    files : RunFiles
    find : callable
        Gives the :class:`Previous`; called in process 0 alone.
    """
    previous, error = Previous(), None
    if reduction.rank == 0:
        try:
            previous = find()
        except ValueError as reason:
            error = str(reason)
    error = share(reduction, error)
    if error is not None:
        raise ValueError(error)
    state = previous.state
    known = share(reduction, state and [asdict(state.progress), state.identity])
    if known is not None and reduction.rank:  # the arrays follow, see share_state
        previous = Previous(state=SavedState(files.state, Progress(**known[0]), known[1], {}))
    return previous._replace(record=share(reduction, previous.record))


def _anew(files, overwrite):
    """A run that begins anew, with the files of an earlier one that it removes."""
    stale = files.stale()
    if stale and not overwrite:
        raise ValueError(
            f'{files.folder}: there are parameters of an earlier run, {stale[0]}, and no state or '
            f'result of it; overwrite them, or choose another folder'
        )
    return Previous(stale=(*stale, *_recorded(files)))


def _recorded(files):
    """The parameter files that state and result name, if they can be read."""
    names = []
    with contextlib.suppress(ValueError, OSError):
        names.append(files.read_result()['best_path'])
    with contextlib.suppress(ValueError):
        names.append(read_state(files.state, with_arrays=False).progress.best_file)
    return [name for name in names if name and Path(name).name == name]


def _compare(path, saved, given, trained, batches, known):
    """Refuse a run that is not the same."""
    found = differences(saved, given)
    start = saved.get('network', {}).get('start')
    if start is None:
        logger.warning(
            '%s: an earlier gluon_bert wrote it, and did not tell data, network and first '
            'parameters: see to it that they are the same',
            path,
        )
    elif given['network']['start'] not in (start, *known) and not _has_prefix(found, 'network '):
        found.append(
            f'network start: the parameters are neither those that the run began with nor the '
            f"run's own ({start[:12]} then, {given['network']['start'][:12]} now)"
        )
    if (
        start is not None
        and not _has_prefix(found, 'data ')
        and not _same_batches(saved, given, trained, batches)
    ):
        found.append(
            'data batches: they are not those of the training; where load draws at random, give '
            'the data a fingerprint()'
        )
    if found:
        raise ValueError(_refusal(path, found))


def _refusal(path, found: List[str]) -> str:
    text = f'{path}: belongs to a run with other settings ({", ".join(found)})'
    if path.suffix == '.json' and _has_prefix(found, ('epochs: ', 'training_steps: ')):
        text += (
            '; it is finished: to train on, begin a new run in another folder that starts from '
            'its parameters'
        )
    return text


def _has_prefix(found, prefix):
    return any(item.startswith(prefix) for item in found)


def _same_batches(saved, given, trained, batches):
    """Compare data of which one has no fingerprint, by the batches that were trained on."""
    is_told = can_compare_contents(saved, given) or not trained.get('batches')
    if is_told or not hasattr(batches, 'replay'):  # a stream cannot be read twice
        return True
    digest = ''
    for batch in batches.replay(trained['batches']):
        digest = digest_of_batch(digest, batch)
    return digest == trained['digest']


def _need(path, files, name):
    if name is not None and not (files.folder / name).is_file():
        raise ValueError(f'{path}: the parameters of the best evaluation, {name}, are not there')
