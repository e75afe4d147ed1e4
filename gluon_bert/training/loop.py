"""The one training loop, and prediction over a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Union

import mxnet as mx
import numpy as np

from .._internal.progress import progress_bar
from ..inference.predictor import Predictor
from .files import RESULT_FILE, STATE_FILE, FitResult, RunFiles
from .options import Plan, TrainingOptions
from .reduction import Reduction
from .run import Interrupted, TrainingRun
from .terms import Objective

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
    identity: Optional[Mapping[str, Any]] = None,
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
        ``batches(rank, size)``, which makes a :class:`.BatchIterator`, such as a stream. Its
        ``fingerprint()``, if it has one, gives a JSON value that says what its batches depend on;
        without one a resumed run compares their order and those it was trained on.
    loss : str, Objective or callable
        A name of :data:`.OBJECTIVES`, a row like those, or a function: ``loss(outputs, *labels)``
        gives one value for each sequence, shape (N,).
    options : TrainingOptions
    output_dir : str or Path
        Made if it does not exist. Gets the parameters of the best evaluation: at the end of an
        epoch ``<name>_<epoch>.params``, with ``evaluate_every`` ``<name>_step<steps>.params``;
        metrics.jsonl, training_curve.png, result.json and, until the run is complete,
        training_state.safetensors. Both tell what the run was: options, data, network and its first
        parameters.
    name : str
        Stem of the parameter files.
    evaluate : callable, optional
        ``evaluate(model)`` gives metrics as a dict; the first one, the higher the better, decides
        which epoch, or step, is best. Without it the last one is.
    resume : bool
        Continue from the state in ``output_dir``, to the same result as an unbroken run; give the
        result of a finished run; start anew if there is neither. All that determines the training
        must be as it was. The network comes with the parameters that the run began with, or with
        those that an interrupted or finished run left in it.
    overwrite : bool
        Start anew, and remove the parameters of the earlier run in ``output_dir``.
    reduction : Reduction, optional
        Of several processes, each of which calls this function with the same arguments and sees
        the same folder. They share the batches; process 0 evaluates and writes the files.
    identity : mapping of str to object, optional
        What else must be as it was when the run is resumed, as JSON values: names of classes, the
        tokenizer, data that ``evaluate`` reads.

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
        If there is a run in ``output_dir``, and neither ``resume`` nor ``overwrite`` is set, or
        with ``resume`` it is not this one: the message has all that differs, and nothing is
        written. Or no batch has a sequence for each device; or the length of the data
        is not known and neither is the number of steps; or the options ask for bfloat16 or
        recomputation and the native kernels are not there or do not fit.
    """
    files = RunFiles(Path(output_dir), name)
    run = TrainingRun(model, data, loss, options, files, evaluate, reduction, identity)
    run.check(resume, overwrite)
    return run.fit()


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
