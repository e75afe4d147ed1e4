"""The one training loop, and prediction over a data set."""

from __future__ import annotations

import json
import logging
import math
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import mxnet as mx
import numpy as np
from tqdm import tqdm

from .._internal.files import write_text
from .._internal.signals import stop_signals
from ..inference.devices import add_gradients, devices_of
from ..inference.predictor import Predictor
from ..kernels.training import make_trainer
from ..plots import plot_training
from .log import TrainingLog
from .optimizer import exclude_from_decay, global_norm, linear_schedule, make_optimizer
from .options import Plan
from .state import Progress, load_state, save_state

__all__ = ['FitResult', 'Interrupted', 'Plan', 'fit', 'predict', 'set_seed']

logger = logging.getLogger(__name__)

STATE_FILE = 'training_state.safetensors'
METRICS_FILE = 'metrics.jsonl'
CURVE_FILE = 'training_curve.png'
RESULT_FILE = 'result.json'


def set_seed(seed):
    """Make what MXNet draws next, such as a head's initial weights, a function of ``seed``."""
    mx.random.seed(seed)


class FitResult(NamedTuple):
    """What :func:`fit` gives.

    ``best_epoch`` counts from 0; ``best_metrics`` are its evaluation, empty without one;
    ``best_path`` is the file with its parameters; ``steps`` were done in all.
    """

    best_epoch: int
    best_metrics: dict
    best_path: Path
    steps: int


class Interrupted(Exception):
    """Training was stopped by a signal; its state is saved and it can go on."""


def fit(
    model,
    data,
    loss,
    plan,
    output_dir,
    *,
    name='model',
    evaluate=None,
    resume=False,
    overwrite=False,
):
    """Train a network.

    Parameters
    ----------
    model : BertBlock
        Initialised, on one device or on several of one kind, the same parameters on each. Several
        share each batch; the result is that of one device, but for rounding and the draws of
        dropout.
    data : SequenceData
        Or anything with ``training_batches(epoch)`` and ``load(batch)`` like it.
    loss : callable
        ``loss(outputs, labels)`` gives one value for each sequence, shape (N,).
    plan : Plan
    output_dir : str or Path
        Gets ``<name>_<epoch>.params`` of the best epoch, metrics.jsonl, training_curve.png,
        result.json and, until the run is complete, training_state.safetensors.
    name : str
        Stem of the parameter files.
    evaluate : callable, optional
        ``evaluate(model)`` gives metrics as a dict; the first one, the higher the better, decides
        which epoch is best. Without it the last one is.
    resume : bool
        Go on from the state in ``output_dir``, to the same result as an unbroken run; start anew
        where there is none.
    overwrite : bool
        Start anew although there is a state.

    Returns
    -------
    FitResult
        The model has the parameters of the best epoch.

    Raises
    ------
    Interrupted
        On the first Ctrl-C or SIGTERM, after the step under way and when the state is saved.
    FloatingPointError
        If the loss or a gradient is not finite.
    ValueError
        If the state belongs to another run, or there is one and neither ``resume`` nor
        ``overwrite`` is set; or no batch has a sequence for each device; or the plan asks for
        bfloat16 or recomputation and the native kernels are not there or do not fit.
    """
    output_dir = Path(output_dir)
    if resume and (output_dir / RESULT_FILE).is_file():
        return _finished(model, output_dir)
    with stop_signals() as stop:
        run = _Run(model, data, loss, plan, output_dir, name, evaluate)
        run.start(resume, overwrite)
        run.train(stop)
        return run.finish()


def predict(model, data, desc='predict', per_token=False):
    """The network's output for each sequence.

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
    outputs = [None] * len(data)
    with _progress(None, desc, total=len(data)) as bar:
        for indices, rows in Predictor(model).batches(data.features, data.batch_size):
            for index, output in zip(indices, rows):
                outputs[index] = output
            bar.update(len(indices))
    return outputs if per_token else np.stack(outputs)


class _Run:
    """One training run; see :func:`fit`."""

    def __init__(self, model, data, loss, plan, output_dir, name, evaluate):
        self.model, self.data, self.loss, self.plan = model, data, loss, plan
        self.output_dir, self.name, self.evaluate = output_dir, name, evaluate
        self.encoder = make_trainer(model, plan.dtype, plan.recompute)
        self.devices = devices_of(model)
        batches = data.training_batches(0)
        if max(map(len, batches)) < len(self.devices):
            raise ValueError(
                f'{len(self.devices)} devices share each batch, but no batch has more '
                f'than {max(map(len, batches))} sequences; use fewer devices or a '
                f'larger batch size'
            )
        self.steps_per_epoch = math.ceil(len(batches) / plan.accumulate)
        self.num_steps = plan.training_steps or plan.epochs * self.steps_per_epoch
        self.num_epochs = math.ceil(self.num_steps / self.steps_per_epoch)
        self.parameters = _unique(model._collect_params_with_prefix())
        exclude_from_decay(self.parameters.values())
        for parameter in self.parameters.values():
            parameter.grad_req = 'add' if plan.accumulate > 1 else 'write'
        self.trainer = mx.gluon.Trainer(
            list(self.parameters.values()),
            make_optimizer(plan.optimizer, plan.learning_rate, plan.epsilon, plan.weight_decay),
            update_on_kvstore=False,
        )
        self.settings = {
            **asdict(plan),
            'sequences': len(data),
            'name': name,
            'native_kernels': self.encoder is not None,
            'devices': len(self.devices),
        }
        self.progress, self.log = Progress(), TrainingLog(output_dir / METRICS_FILE)
        self.started = time.perf_counter()

    def start(self, resume, overwrite):
        state = self.output_dir / STATE_FILE
        if state.is_file() and not overwrite:
            if not resume:
                raise ValueError(
                    f'{state}: there is an unfinished run; resume or overwrite it, '
                    f'or choose another folder'
                )
            self.progress = load_state(state, self.settings, self.parameters, self.trainer)
            self.log.begin(self.progress.step)
            logger.info('resumed at step %d of %d', self.progress.step, self.num_steps)
        else:
            state.unlink(missing_ok=True)
            self.log.begin()
        (self.output_dir / RESULT_FILE).unlink(missing_ok=True)

    def train(self, stop):
        progress = self.progress
        while progress.step < self.num_steps and not self._has_stalled():
            batches = self.data.training_batches(progress.epoch)
            groups = [
                batches[i : i + self.plan.accumulate]
                for i in range(0, len(batches), self.plan.accumulate)
            ]
            bar = _progress(
                groups[progress.position :],
                f'epoch {progress.epoch + 1}/{self.num_epochs}',
                initial=progress.position,
                total=len(groups),
            )
            for group in bar:
                self._step(group, bar)
                last = progress.position == len(groups) or progress.step == self.num_steps
                due = progress.step % self.plan.checkpoint_interval == 0 and not last
                if due or stop.is_set():
                    self._save()
                self._check(stop)
                if last:
                    break
            bar.close()
            self._end_epoch()
            self._check(stop)

    def _check(self, stop):
        if stop.is_set():
            raise Interrupted(f'stopped after step {self.progress.step} of {self.num_steps}')

    def _step(self, group, bar):
        progress, plan = self.progress, self.plan
        rate = linear_schedule(
            progress.step + 1,
            self.num_steps,
            int(self.num_steps * plan.warmup_ratio),
            plan.learning_rate,
        )
        seeds = (plan.seed, progress.step)
        loss = add_gradients(
            self.model, self.data, self.loss, group, self.devices, seeds, self.encoder
        )
        self.trainer.allreduce_grads()
        # From here on all devices have the same gradients, and compute the same update.
        norm = global_norm([parameter.list_grad()[0] for parameter in self.parameters.values()])
        if not math.isfinite(loss) or not math.isfinite(norm):
            raise FloatingPointError(
                f'step {progress.step + 1}: loss {loss}, gradient norm '
                f'{norm}; try a smaller learning rate'
            )
        self.trainer.set_learning_rate(rate)
        # Dividing by this scales the gradient down to the norm allowed.
        self.trainer.update(max(1.0, norm / plan.max_grad_norm))
        if plan.accumulate > 1:
            for parameter in self.parameters.values():
                parameter.zero_grad()
        progress.step += 1
        progress.position += 1
        progress.loss_sum += loss
        progress.loss_count += 1
        bar.set_postfix(loss=f'{loss:.4f}', refresh=False)
        if progress.step % plan.log_interval == 0 or progress.step == self.num_steps:
            self._log_step(rate, norm)

    def _log_step(self, rate, norm):
        progress = self.progress
        row = {
            'step': progress.step,
            'epoch': progress.epoch,
            'loss': progress.loss_sum / progress.loss_count,
            'learning_rate': rate,
            'gradient_norm': norm,
            'seconds': round(time.perf_counter() - self.started, 3),
        }
        progress.loss_sum, progress.loss_count = 0.0, 0
        self.log.append(row)
        logger.info(
            '[Epoch %d/%d Step %d/%d] loss=%.4f lr=%.3g norm=%.3f',
            progress.epoch + 1,
            self.num_epochs,
            progress.step,
            self.num_steps,
            row['loss'],
            rate,
            norm,
        )

    def _end_epoch(self):
        progress = self.progress
        metrics = {
            name: float(value)
            for name, value in (self.evaluate(self.model) if self.evaluate else {}).items()
        }
        if metrics:
            self.log.append(
                {
                    'step': progress.step,
                    'epoch': progress.epoch,
                    'metrics': metrics,
                    'seconds': round(time.perf_counter() - self.started, 3),
                }
            )
            logger.info(
                '[Epoch %d/%d] dev %s',
                progress.epoch + 1,
                self.num_epochs,
                ' '.join(f'{name}={value:.4f}' for name, value in metrics.items()),
            )
        score = next(iter(metrics.values()), None)
        previous = progress.best_epoch
        if score is None or progress.best_score is None or score > progress.best_score:
            progress.best_epoch, progress.best_score = progress.epoch, score
            progress.epochs_without_gain = 0
            self.model.save_parameters(self._path(progress.epoch))
        else:
            progress.epochs_without_gain += 1
        progress.epoch += 1
        progress.position = 0
        self._save()
        # Only now: until the state is saved, the former best file is what a resumed run has.
        if previous is not None and previous != progress.best_epoch:
            self._path(previous).unlink(missing_ok=True)
        plot_training(self.log.rows, self.output_dir / CURVE_FILE)

    def finish(self):
        """Leave the best parameters in the model, the result in its file, the state away."""
        best = self.progress.best_epoch
        result = FitResult(best, self.log.metrics(best), self._path(best), self.progress.step)
        self.model.load_parameters(result.best_path)
        write_text(
            self.output_dir / RESULT_FILE,
            json.dumps({**result._asdict(), 'best_path': result.best_path.name}, indent=1),
        )
        (self.output_dir / STATE_FILE).unlink(missing_ok=True)
        return result

    def _has_stalled(self):
        patience = self.plan.early_stop
        return patience is not None and self.progress.epochs_without_gain >= patience

    def _save(self):
        path = self.output_dir / STATE_FILE
        save_state(path, self.progress, self.settings, self.parameters, self.trainer)

    def _path(self, epoch):
        return self.output_dir / f'{self.name}_{epoch}.params'


def _finished(model, output_dir):
    result = json.loads((output_dir / RESULT_FILE).read_text(encoding='utf-8'))
    result = FitResult(**{**result, 'best_path': output_dir / result['best_path']})
    logger.info('the run in %s is complete', output_dir)
    model.load_parameters(result.best_path)
    return result


def _progress(items, desc, **kwargs):
    return tqdm(items, desc=desc, disable=not sys.stderr.isatty(), leave=False, **kwargs)


def _unique(parameters):
    """Each parameter once: a shared weight has several names."""
    names = {}
    for name, parameter in parameters.items():
        names.setdefault(id(parameter), name)
    return {name: parameters[name] for name in names.values()}
