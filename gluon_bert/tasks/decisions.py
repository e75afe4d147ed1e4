"""Choose a temperature and thresholds on the dev set, once the parameters are final."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

import numpy as np

from .._internal.errors import ArgumentError
from ..metrics.calibration import (
    LEAST_TEMPERATURE,
    LIKELIHOODS,
    MOST_TEMPERATURE,
    fit_temperature,
    measure_calibration,
)
from ..metrics.multi_label import best_thresholds
from ..metrics.thresholds import best_threshold
from ..plots.reliability import plot_reliability
from .registry import TASKS

logger = logging.getLogger(__name__)

_CHOSEN = ('temperature', 'threshold')


def dev_of(job: Any) -> Optional[str]:
    """Name the split by which a job chooses: the first dev split; None if there is none."""
    return next((name for name in job.splits if name.startswith('dev')), None)


def check_decisions(job: Any) -> None:
    """See, before anything is trained, that there is a dev split to choose by.

    Parameters
    ----------
    job : TextJob
        Its data are read.

    Raises
    ------
    ValueError
        If there is no dev split with labels, all its labels are equal, or a threshold is asked for
        and there are not two classes.
    """
    data, name = job.data, dev_of(job)
    if not job.trains or not _is_asked(data):
        return
    value = data.threshold_metric
    wanted = 'calibrate' if value is None else 'threshold_metric'
    labels = None if name is None else job.label_array(job.splits[name])
    if labels is None:
        raise ArgumentError(wanted, 'needs a dev set with labels: {dev_file}', value)
    if value is not None and len(job.task.labels) != 2:
        raise ArgumentError(wanted, f'is for two classes, there are {len(job.task.labels)}', value)
    try:
        check_labels(labels, job.task.labels)
    except ValueError as error:
        raise ValueError(f'{job.splits[name].path}: {error}') from None


def _is_asked(data):
    """Tell if a temperature or a threshold is asked for; some tasks have no such options."""
    return getattr(data, 'calibrate', False) or getattr(data, 'threshold_metric', None) is not None


def check_labels(labels: np.ndarray, names: Any) -> None:
    """Raise ValueError if all labels of a dev set are equal, so that nothing can be chosen.

    Parameters
    ----------
    labels : numpy.ndarray, shape (N,) or (N, K)
    names : sequence of str
        Of the classes.
    """
    labels = np.asarray(labels)
    if labels.min() == labels.max():
        what = f'of one class, {names[labels[0]]!r}' if labels.ndim == 1 else 'with all labels'
        if labels.ndim > 1 and not labels.any():
            what = 'without a label'
        raise ValueError(f'all examples are {what}: no temperature or threshold can be chosen')


def saved_decisions(job: Any) -> dict[str, Any]:
    """Keep what was chosen for saved parameters, where they are not trained further."""
    if job.saved is None or job.trains:
        return {}
    return {name: job.saved.settings[name] for name in _CHOSEN if name in job.saved.settings}


def choose_decisions(job: Any, pipeline: Any) -> dict[str, Any]:
    """Choose a temperature, and thresholds of the probabilities that it makes, by the dev split.

    Parameters
    ----------
    job : TextJob
        Keeps the scores of the split.
    pipeline : TaskPipeline

    Returns
    -------
    dict
        Settings.
    """
    kind, name = job.spec.likelihood, dev_of(job)
    labels = None if name is None else job.label_array(job.splits[name])
    if labels is None or kind not in _THRESHOLDS:
        return {}
    choose, always = _THRESHOLDS[kind]
    if not always and not _is_asked(job.data):
        return {}
    job.predicted = logits, _ = job.logits(pipeline, name, job.splits[name])
    chosen, temperature = {}, 1.0
    if job.data.calibrate:
        chosen['temperature'] = temperature = fit_temperature(kind, logits, labels)
        tell_temperature(temperature)
    probabilities = LIKELIHOODS[kind].probabilities(np.asarray(logits, 'float64') / temperature)
    return {**chosen, **choose(job, labels, probabilities)}


def _choose_threshold(job, labels, probabilities):
    """The threshold of the second of two classes, if one is asked for."""
    metric = job.data.threshold_metric
    if metric is None:
        return {}
    threshold = best_threshold(labels, probabilities[:, 1], metric)
    logger.info('threshold: %s from %g on', job.task.labels[1], threshold)
    return {'threshold': threshold}


def _choose_thresholds(job, labels, probabilities):
    """A threshold for each of any number of labels."""
    thresholds = best_thresholds(labels, probabilities)
    rows = zip(job.task.labels, thresholds)
    logger.info('thresholds: %s', ', '.join(f'{label} {least:g}' for label, least in rows))
    return {'thresholds': thresholds}


# Likelihood -> (choice of thresholds, whether they are chosen unasked).
_THRESHOLDS = {'softmax': (_choose_threshold, False), 'sigmoid': (_choose_thresholds, True)}


def tell_temperature(temperature: float) -> None:
    """Log a temperature, with a warning if it is a bound."""
    logger.info('temperature: %.4f', temperature)
    if temperature in (LEAST_TEMPERATURE, MOST_TEMPERATURE):
        logger.warning(
            'the temperature is at its bound: the dev set does not determine it, as when all its '
            'examples are predicted right'
        )


def report_calibration(
    folder: Path, name: str, pipeline: Any, logits: np.ndarray, labels: np.ndarray
) -> dict[str, float]:
    """Measure the calibration of a split, and draw it, if the network has a temperature.

    Parameters
    ----------
    folder : Path
        Of the picture, '<name>_reliability.png'.
    name : str
        Of the split.
    pipeline : TaskPipeline
    logits, labels
        As for :func:`choose_decisions`.

    Returns
    -------
    dict of str to float
        Expected calibration error and negative log-likelihood, with the temperature and without.
    """
    path = Path(folder) / f'{name}_reliability.png'
    temperature = pipeline.settings.get('temperature')
    if temperature is None:
        path.unlink(missing_ok=True)  # of an earlier run
        return {}
    measured = compare_calibrations(pipeline, logits, labels)
    plot_reliability(measured, path)
    before, after = measured.values()
    figures = {
        'ece': after.ece,
        'ece_uncalibrated': before.ece,
        'nll': after.nll,
        'nll_uncalibrated': before.nll,
    }
    logger.info('%s: %s', name, ' '.join(f'{key}={value:.4f}' for key, value in figures.items()))
    return figures


def compare_calibrations(pipeline: Any, logits: np.ndarray, labels: np.ndarray) -> Mapping:
    """Measure probabilities without the temperature of a pipeline and with it.

    Returns
    -------
    dict of str to Calibration
        By titles of the two.
    """
    temperature, kind = pipeline.temperature, TASKS[pipeline.task].likelihood
    return {
        'uncalibrated': measure_calibration(kind, logits, labels),
        f'temperature {temperature:.3g}': measure_calibration(kind, logits, labels, temperature),
    }
