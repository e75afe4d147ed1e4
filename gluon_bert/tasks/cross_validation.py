"""Cross-validation of fine-tuning: a training on each set of folds but one, evaluated on that."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

import numpy as np

from .._internal.errors import ArgumentError
from .._internal.files import write_text
from ..training.files import RunFiles
from .finetune import make_run
from .run import Run, run_job

logger = logging.getLogger(__name__)

RESULT_FILE = 'cross_validation.json'
_OTHER_FILES = ('dev_file', 'test_file')


class CrossValidation(NamedTuple):
    """Scores of a cross-validation.

    ``folder`` has a folder for each fold, ``values`` the metrics of the folds by name, ``means``
    and ``spreads`` their means and standard deviations.
    """

    folder: Path
    values: dict[str, list[float]]

    @property
    def means(self) -> dict[str, float]:
        """The mean of each metric."""
        return {name: float(np.mean(values)) for name, values in self.values.items()}

    @property
    def spreads(self) -> dict[str, float]:
        """The standard deviation of each metric over the folds."""
        return {name: float(np.std(values, ddof=1)) for name, values in self.values.items()}

    def describe(self) -> str:
        """Write a line for each metric."""
        spreads = self.spreads
        return ''.join(
            f'{name} {mean:.4f} +- {spreads[name]:.4f} ({len(self.values[name])} folds)\n'
            for name, mean in self.means.items()
        )


def cross_validate(
    task: str,
    model: Optional[Union[str, Path]] = None,
    *,
    output_dir: Union[str, Path],
    folds: int = 5,
    train: Optional[Union[str, Path]] = None,
    **options: Any,
) -> CrossValidation:
    """Fine-tune once for each fold of the training file, and evaluate on that fold.

    Parameters
    ----------
    task : str
        Of texts: classes, several labels, or scores.
    model : str or Path, optional
        As for :func:`.finetune`.
    output_dir : str or Path
        Gets ``fold_1`` and so on, each as :func:`.finetune` writes it, and
        ``cross_validation.json``.
    folds : int
        Each has its share of each class. The seed decides which examples are in which.
    train : str or Path, optional
        The training file.
    **options
        As for :func:`.finetune`, without a dev or test file. With ``resume`` finished folds are
        taken as they are.

    Returns
    -------
    CrossValidation

    Raises
    ------
    ValueError
        If there are more folds than examples, or the task is not one of texts.
    """
    folder = Path(output_dir)
    if train is not None:
        options['train_file'] = train
    for name in _OTHER_FILES:
        if options.get(name) is not None:
            raise ArgumentError(name, 'does not go with {folds}', options[name])
    if type(folds) is not int or folds < 2:
        raise ArgumentError('folds', 'expected a whole number from 2', folds)
    values: dict[str, list[float]] = {}
    for number in range(folds):
        run = make_run(task, model, folder / f'fold_{number + 1}', dict(options))
        run = replace(run, fold=(number, folds))
        metrics = _finished(run) or run_job(run).metrics['dev']
        logger.info('fold %d of %d: %s', number + 1, folds, metrics)
        for name, value in metrics.items():
            values.setdefault(name, []).append(float(value))
    done = CrossValidation(folder, values)
    content = {'folds': folds, 'values': values, 'mean': done.means, 'spread': done.spreads}
    write_text(folder / RESULT_FILE, json.dumps(content, indent=1) + '\n')
    return done


def _finished(run: Run) -> Optional[dict[str, float]]:
    """Return the metrics of a finished fold that is to be resumed; None if there are none."""
    files = RunFiles(Path(run.output_dir), run.stem or 'model')
    if not run.resume or not files.result.is_file():
        return None
    return files.fit_result(files.read_result()).best_metrics
