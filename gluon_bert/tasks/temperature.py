"""Fit the temperature of a fine-tuned folder on a dev set, after its training."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, Union

import numpy as np

from .._internal.checks import check_range
from .._internal.errors import ArgumentError
from ..checkpoint.task_file import has_task, read_task_file, write_task_file
from ..metrics.calibration import Calibration, fit_temperature, measure_calibration, move_threshold
from ..plots.reliability import plot_reliability
from . import model_card
from .decisions import check_labels, tell_temperature
from .registry import TASKS

PICTURE = 'reliability.png'


class TemperatureFit(NamedTuple):
    """A temperature, and what it changes.

    ``measured`` has for the title of each data set the calibration without the temperature and with
    it, and the number of its examples.
    """

    temperature: float
    measured: dict[str, tuple[Calibration, Calibration, int]]


def check_folder(folder: Union[str, Path], pipeline: Any) -> str:
    """Check that a folder can have a temperature.

    Returns
    -------
    str
        The likelihood of its probabilities.

    Raises
    ------
    ValueError
        If its task has no probabilities to calibrate, or it has no ``task.json``.
    """
    spec = TASKS.get(pipeline.task)
    if spec is None or not spec.likelihood:
        allowed = ' and '.join(row.name for row in TASKS.values() if row.likelihood)
        raise ValueError(f'{folder}: is for {pipeline.task}: a temperature is for {allowed}')
    if not has_task(folder):
        raise ValueError(f'{folder}: has no task.json, in which the temperature is kept')
    return spec.likelihood


def fit_folder(
    folder: Union[str, Path],
    pipeline: Any,
    dev: Any,
    test: Any = None,
    held_out: float = 0.0,
    seed: int = 0,
) -> TemperatureFit:
    """Fit the temperature of a folder, and write it there.

    ``task.json`` gets it, with thresholds moved so that no decision changes; the model card gets
    the calibration error, and ``reliability.png`` shows it.

    Parameters
    ----------
    folder : str or Path
        Of a fine-tuned network.
    pipeline : TaskPipeline
        Of the folder.
    dev : gluon_bert.tasks.evaluation.DevSet
        See :func:`.read_dev`.
    test : gluon_bert.tasks.evaluation.DevSet, optional
        The calibration is measured on it, too.
    held_out : float
        Share of ``dev`` that the temperature is not fitted on, but the calibration measured. Where
        it is 0, and there is no ``test``, the error is measured on what was fitted, and so too
        small.
    seed : int
        Of the choice of this share.

    Returns
    -------
    TemperatureFit

    Raises
    ------
    ValueError
        As :func:`check_folder`; or ``held_out`` is not from 0 to below 1, or the labels of a part
        are all equal.
    """
    kind = check_folder(folder, pipeline)
    if not 0 <= held_out < 1:
        raise ArgumentError('held_out', 'expected a share from 0 to below 1', held_out)
    check_range(0, 2**31 - 1, seed=seed)
    sets = _cut(dev, held_out, seed)
    if test is not None:
        sets['test'] = test
    scores = {
        name: (_logits(pipeline, part), np.array(part.answers)) for name, part in sets.items()
    }
    for name, (_, labels) in scores.items():
        try:
            check_labels(labels, pipeline.labels)
        except ValueError as error:
            raise ValueError(f'{sets[name].path} ({name}): {error}') from None
    temperature = fit_temperature(kind, *scores['fitted'])
    tell_temperature(temperature)
    measured = {
        name: (
            measure_calibration(kind, *rows),
            measure_calibration(kind, *rows, temperature),
            len(rows[1]),
        )
        for name, rows in scores.items()
    }
    _write(Path(folder), temperature, measured)
    return TemperatureFit(temperature, measured)


def _cut(dev, held_out, seed):
    """The parts of a dev set by name: 'fitted' and, if there is one, 'held out'."""
    order = np.random.default_rng(seed).permutation(len(dev.inputs))
    count = round(held_out * len(order))
    if not held_out:
        return {'fitted': dev}
    if not 0 < count < len(order):
        raise ArgumentError('held_out', f'leaves a part of {len(order)} examples empty', held_out)
    return {
        'fitted': dev.part(np.sort(order[count:])),
        'held out': dev.part(np.sort(order[:count])),
    }


def _logits(pipeline, dev):
    return np.stack(list(pipeline.logits(dev.inputs)))


def _write(folder, temperature, measured):
    """Write task.json, the picture and the section of the card."""
    described = read_task_file(folder)
    settings = dict(described.task)
    factor = settings.get('temperature', 1.0) / temperature
    if 'threshold' in settings:
        settings['threshold'] = move_threshold(settings['threshold'], factor)
    if 'thresholds' in settings:
        settings['thresholds'] = [move_threshold(one, factor) for one in settings['thresholds']]
    settings['temperature'] = temperature
    name = list(measured)[-1]
    before, after, _ = measured[name]
    titles = {'uncalibrated': before, f'temperature {temperature:.3g}': after}
    plot_reliability(titles, folder / PICTURE, name)
    write_task_file(folder, settings, described.config, described.parameters.name)
    model_card.tell_temperature(folder, settings, measured, PICTURE)
