"""The one training loop, and prediction over a data set."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Union

import mxnet as mx
import numpy as np

from .._internal.progress import progress_bar
from .._internal.signals import stop_signals
from ..inference.predictor import Predictor
from .files import RESULT_FILE, STATE_FILE, FitResult, RunFiles
from .objectives import Objective
from .options import Plan, TrainingOptions
from .reduction import DeviceReduction, Reduction, share
from .run import Interrupted, TrainingRun, load_best

__all__ = [
    'RESULT_FILE',
    'STATE_FILE',
    'FitResult',
    'Interrupted',
    'Plan',
    'TrainingOptions',
    'fit',
    'predict',
    'set_seed',
]

logger = logging.getLogger(__name__)


def set_seed(seed: int) -> None:
    """Make what MXNet draws next, such as a head's initial weights, a function of ``seed``."""
    mx.random.seed(seed)


def fit(
    model: Any,
    data: Any,
    loss: Union[str, Objective, Callable[..., mx.nd.NDArray]],
    options: TrainingOptions,
    output_dir: Union[str, Path],
    *,
    name: str = 'model',
    evaluate: Optional[Callable[[Any], Dict[str, float]]] = None,
    resume: bool = False,
    overwrite: bool = False,
    reduction: Optional[Reduction] = None,
) -> FitResult:
    """Train a network.

    Parameters
    ----------
    model : BertBlock
        Initialised, on one device or on several of one kind, the same parameters on each. Several
        share each batch; the result is that of one device, but for rounding and the draws of
        dropout.
    data : SequenceData
        Or anything with ``training_batches(epoch)`` and ``load(batch)`` like it; or with
        ``batches(rank, size)``, which makes a :class:`.BatchIterator`, such as a stream.
    loss : str, Objective or callable
        A name of :data:`.OBJECTIVES`, a row like those, or a function: ``loss(outputs, *labels)``
        gives one value for each sequence, shape (N,).
    options : TrainingOptions
    output_dir : str or Path
        Made if it does not exist. Gets the parameters of the best evaluation: at the end of an
        epoch ``<name>_<epoch>.params``, with ``evaluate_every`` ``<name>_step<steps>.params``;
        metrics.jsonl, training_curve.png, result.json and, until the run is complete,
        training_state.safetensors.
    name : str
        Stem of the parameter files.
    evaluate : callable, optional
        ``evaluate(model)`` gives metrics as a dict; the first one, the higher the better, decides
        which epoch, or step, is best. Without it the last one is.
    resume : bool
        Continue from the state in ``output_dir``, to the same result as an unbroken run; start anew
        if there is none.
    overwrite : bool
        Start anew although there is a state.
    reduction : Reduction, optional
        Of several processes, each of which calls this function with the same arguments and sees
        the same folder. They share the batches; process 0 evaluates and writes the files.

    Returns
    -------
    FitResult
        The model has the parameters of the best evaluation.

    Raises
    ------
    Interrupted
        On the first Ctrl-C or SIGTERM, after the step under way and when the state is saved.
    FloatingPointError
        If the loss or a gradient is not finite.
    ValueError
        If the state belongs to another run, or there is one and neither ``resume`` nor
        ``overwrite`` is set; or no batch has a sequence for each device; or the length of the data
        is not known and neither is the number of steps; or the options ask for bfloat16 or
        recomputation and the native kernels are not there or do not fit.
    """
    files = RunFiles(Path(output_dir), name)
    reduction = DeviceReduction() if reduction is None else reduction
    if reduction.rank == 0:
        files.folder.mkdir(parents=True, exist_ok=True)
    if resume:
        record = files.read_result() if reduction.rank == 0 and files.result.is_file() else None
        record = share(reduction, record)
        if record is not None:
            logger.info('the run in %s is complete', files.folder)
            result = files.fit_result(record)
            load_best(model, result.best_path, reduction)
            return result
    with stop_signals() as stop:
        run = TrainingRun(model, data, loss, options, files, evaluate, reduction)
        run.start(resume, overwrite)
        run.train(stop)
        return run.finish()


def predict(
    model: Any, data: Any, desc: str = 'predict', per_token: bool = False
) -> Union[np.ndarray, List[np.ndarray]]:
    """Compute the network's output for each sequence.

    Parameters
    ----------
    model : BertBlock
    data : SequenceData
    desc : str
        Beside the progress bar.
    per_token : bool
        The network gives a row for each token, those of padding left out.

    Returns
    -------
    numpy.ndarray, shape (sequences, K), or, ``per_token``, a list of arrays of shape (T, K)
        In the order of the data set.
    """
    outputs: List[Any] = [None] * len(data)
    with progress_bar(desc, len(data)) as bar:
        for indices, rows in Predictor(model).batches(data.features, data.batch_size):
            for index, output in zip(indices, rows):
                outputs[index] = output
            bar.update(len(indices))
    return outputs if per_token else np.stack(outputs)
