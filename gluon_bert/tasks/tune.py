"""Search for hyper-parameters of fine-tuning with Optuna, on a study that can be resumed."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

from .._internal.checks import check_positive, check_positive_number
from .._internal.errors import ArgumentError
from .._internal.files import portable_path, write_text
from .._internal.packages import import_package
from ..plots.tuning import plot_tuning
from .cross_validation import cross_validate
from .finetune import finetune
from .run import make_folder

logger = logging.getLogger(__name__)

STUDY_FILE, RESULT_FILE, PICTURE = 'study.db', 'tuning.json', 'tuning.png'
_NAME = 'tune'
_RANDOM_TRIALS = 5  # before the sampler learns from them
_UNCOMPARED = ('ctx', 'command', 'arguments')


@dataclass(frozen=True)
class SearchSpace:
    """Values to search.

    Parameters
    ----------
    learning_rate : (float, float)
        Lowest and highest; drawn on a logarithmic scale.
    epochs, batch_size : sequence of int
        Values to choose from.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    learning_rate: Sequence[float] = (1e-5, 1e-4)
    epochs: Sequence[int] = (2, 3, 4)
    batch_size: Sequence[int] = (16, 32)

    def __post_init__(self) -> None:
        if len(self.learning_rate) != 2:
            reason = 'expected two numbers, the lowest and the highest'
            raise ArgumentError('learning_rate', reason, list(self.learning_rate))
        low, high = self.learning_rate
        check_positive_number(learning_rate=low)
        if low > high:
            raise ArgumentError('learning_rate', f'expected {low:g} or more', high)
        for name in ('epochs', 'batch_size'):
            values = list(getattr(self, name))
            if not values or len(set(values)) < len(values):
                raise ArgumentError(name, 'expected different whole numbers', values)
            for value in values:
                check_positive(**{name: value})

    def suggest(self, trial: Any) -> dict[str, Any]:
        """Draw the values of a trial."""
        return {
            'learning_rate': trial.suggest_float('learning_rate', *self.learning_rate, log=True),
            'epochs': trial.suggest_categorical('epochs', list(self.epochs)),
            'batch_size': trial.suggest_categorical('batch_size', list(self.batch_size)),
        }


class Tuning(NamedTuple):
    """Result of a search: its folder, the best values and score, and all trials in order."""

    folder: Path
    best: dict[str, Any]
    score: float
    trials: list[dict[str, Any]]


def tune(
    task: str,
    model: Optional[Union[str, Path]] = None,
    *,
    output_dir: Union[str, Path],
    trials: int = 20,
    space: Optional[SearchSpace] = None,
    folds: Optional[int] = None,
    resume: bool = False,
    overwrite: bool = False,
    **options: Any,
) -> Tuning:
    """Search for the learning rate, the epochs and the batch size with the best score.

    Parameters
    ----------
    task : str
    model : str or Path, optional
        As for :func:`.finetune`.
    output_dir : str or Path
        Gets the study, ``study.db``; after each trial ``tuning.json`` and the picture
        ``tuning.png``; and ``best``, the folder of the best trial.
    trials : int
        In all, those of a resumed study included.
    space : SearchSpace, optional
    folds : int, optional
        Score a trial by cross-validation; by default by the dev set.
    resume : bool
        Go on with the study in the folder, if there is one. A trial that was interrupted is made
        again, with the same values.
    overwrite : bool
        Remove the study in the folder.
    **options
        As for :func:`.finetune`: files, and options that all trials share.

    Returns
    -------
    Tuning

    Raises
    ------
    ImportError
        If Optuna is not installed.
    ValueError
        If there is a study and neither ``resume`` nor ``overwrite`` is set, or it is another one;
        or there is nothing to score by.
    """
    optuna = import_package('optuna', 'searches', "'gluon_bert[tune]'")
    space, folder = space or SearchSpace(), Path(output_dir)
    check_positive(trials=trials)
    for name in ('learning_rate', 'epochs', 'batch_size', 'training_steps', 'hours'):
        if name in options:
            raise ArgumentError(name, 'is searched for: give it in the space', options[name])
    given = {*options}
    if folds is None and {'train', 'train_file'} & given and not {'dev', 'dev_file'} & given:
        raise ArgumentError('dev_file', 'is needed to compare trials, or {folds}')
    make_folder(folder)
    setup = _describe(task, model, space, folds, options)
    study = _open_study(optuna, folder, setup, resume, overwrite, options.get('seed', 2))
    while len(_finished(study)) < trials:
        trial = _next_trial(study)
        values = space.suggest(trial)
        logger.info('trial %d of %d: %s', len(_finished(study)) + 1, trials, values)
        place = folder / f'trial_{trial.number}'
        try:
            score = _run(task, model, place, folds, {**options, **values})
        except FloatingPointError as error:
            logger.warning('trial %d: %s', trial.number, error)
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            shutil.rmtree(place, ignore_errors=True)
            continue
        study.tell(trial, score)
        _keep_best(study, folder, trial.number)
        _report(study, folder)
    return _result(study, folder)


def _describe(task, model, space, folds, options):
    """What must be as it was when a study is resumed, as text."""
    compared = {name: value for name, value in options.items() if name not in _UNCOMPARED}
    setup = {'task': task, 'model': model, 'space': vars(space), 'folds': folds, **compared}
    return json.dumps(
        setup,
        sort_keys=True,
        default=lambda value: portable_path(value) if isinstance(value, Path) else str(value),
    )


def _open_study(optuna, folder, setup, resume, overwrite, seed):
    path = folder / STUDY_FILE
    if path.exists() and not (resume or overwrite):
        raise ValueError(
            f'{path}: there is a study; resume or overwrite it, or choose another folder'
        )
    if overwrite:
        path.unlink(missing_ok=True)
        for place in folder.glob('trial_*'):
            shutil.rmtree(place, ignore_errors=True)
        shutil.rmtree(folder / 'best', ignore_errors=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    stored: dict[str, Any] = {'storage': f'sqlite:///{path.absolute()}', 'study_name': _NAME}
    study = optuna.create_study(direction='maximize', load_if_exists=True, **stored)
    # A resumed study does not draw the same values again.
    seed += len(study.trials)
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=_RANDOM_TRIALS)
    study = optuna.load_study(sampler=sampler, **stored)
    if study.user_attrs.get('setup', setup) != setup:
        raise ValueError(
            f'{path}: is a study of another search: it had {study.user_attrs["setup"]}, this one '
            f'has {setup}'
        )
    study.set_user_attr('setup', setup)
    return study


def _finished(study):
    return [
        trial for trial in study.trials if trial.state.is_finished() and trial.state.name != 'FAIL'
    ]


def _next_trial(study):
    """Ask for a trial; one that was interrupted is made again first."""
    for trial in study.trials:
        if not trial.state.is_finished():
            study.enqueue_trial(trial.params)
            study.tell(trial.number, state=type(trial.state).FAIL)
    return study.ask()


def _run(task, model, place, folds, options):
    """The score of a trial, of the first metric."""
    options['overwrite'] = True
    if folds is not None:
        means = cross_validate(task, model, output_dir=place, folds=folds, **options).means
        return next(iter(means.values()))
    done = finetune(task, model, output_dir=place, **options)
    if done.result is None or not done.result.best_metrics:
        raise ArgumentError('dev_file', 'is needed to compare trials, or {folds}')
    return next(iter(done.result.best_metrics.values()))


def _keep_best(study, folder, number):
    """Make the folder of a trial 'best' if it is, and remove it otherwise."""
    place, best = folder / f'trial_{number}', folder / 'best'
    if study.best_trial.number == number:
        shutil.rmtree(best, ignore_errors=True)
        place.replace(best)
    else:
        shutil.rmtree(place)


def _rows(study) -> list[dict[str, Any]]:
    return [
        {'trial': number, **trial.params, 'score': trial.value}
        for number, trial in enumerate(_finished(study), 1)
    ]


def _report(study, folder):
    """Write the trials and draw them."""
    content = {'best': study.best_params, 'score': study.best_value, 'trials': _rows(study)}
    write_text(folder / RESULT_FILE, json.dumps(content, indent=1) + '\n')
    scored = [row for row in _rows(study) if row['score'] is not None]
    plot_tuning(scored, folder / PICTURE)


def _result(study, folder) -> Tuning:
    rows = _rows(study)
    if not any(row['score'] is not None for row in rows):
        raise FloatingPointError('no trial has a score; try smaller learning rates')
    best: Mapping[str, Any] = study.best_params
    return Tuning(folder, dict(best), study.best_value, rows)
