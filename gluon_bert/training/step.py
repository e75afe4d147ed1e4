"""One step of training: gradients of a group of batches, their sum, the update."""

from __future__ import annotations

import contextlib
import logging
import math
from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence, Union

import mxnet as mx
from mxnet import nd

from ..inference.devices import devices_of
from ..kernels.training import make_trainer
from .batches import Batch
from .data_parallel import add_gradients
from .distributed.buckets import GradientBuckets
from .objectives import make_objective
from .optimizer import exclude_from_decay, global_norm, layer_factors, make_optimizer
from .options import TrainingOptions
from .reduction import DeviceReduction, ProcessReduction, Reduction, copy_to_others, sum_numbers
from .schedule import share_of_peak
from .terms import Objective

logger = logging.getLogger(__name__)


class StepResult(NamedTuple):
    """Result of a step: its ``loss``, the ``terms`` that it is made of, and its figures."""

    loss: float
    terms: Dict[str, float]
    gradient_norm: float
    learning_rate: float


class TrainingStep:
    """Trains a network by one step at each call.

    Parameters
    ----------
    network : BertBlock
        As for :func:`.fit`.
    loss : Objective, str or callable
        See :func:`.make_objective`.
    options : TrainingOptions
    num_steps : int, optional
        Of the whole run, over which the learning rate rises and falls; needed unless each step is
        given its rate.
    reduction : Reduction, optional
        By default that of one process. Several start with the parameters of process 0.

    Raises
    ------
    ValueError
        If the options ask for bfloat16 or recomputation and the native kernels are not there or do
        not fit; or not all parameters are on the same devices.

    Attributes
    ----------
    encoder : NativeTrainer or None
        Computes the encodings, if the objective takes them from it.
    devices : list of mxnet.Context
    parameters : dict of str to mxnet.gluon.Parameter
        Each once.
    trainer : mxnet.gluon.Trainer
        With the optimizer and its state.
    buckets : GradientBuckets or None
        Of several processes, once a step was made.
    """

    def __init__(
        self,
        network: Any,
        loss: Union[str, Objective, Callable[..., mx.nd.NDArray]],
        options: TrainingOptions,
        num_steps: Optional[int] = None,
        reduction: Optional[Reduction] = None,
    ) -> None:
        self.network, self.options, self.num_steps = network, options, num_steps
        # Other threads may predict with the network meanwhile.
        self._lock = getattr(network, 'lock', contextlib.nullcontext())
        self.objective = make_objective(loss)
        self.encoder = None
        if self.objective.takes_encoder:
            self.encoder = make_trainer(
                network, options.dtype, options.recompute, self.objective.lazy_scores
            )
        self.devices = devices_of(network)
        self.reduction = DeviceReduction() if reduction is None else reduction
        if self.objective.compares and self.reduction.size > 1:
            logger.warning(
                '%s compares the examples of a batch with each other: each of %d processes those '
                'of its own share; a larger batch_size makes up for it',
                self.objective.name,
                self.reduction.size,
            )
        self.parameters = _unique(network._collect_params_with_prefix())
        exclude_from_decay(self.parameters.values())
        self._adds = options.accumulate > 1 or self.objective.adds_gradients
        for parameter in self.parameters.values():
            parameter.grad_req = 'add' if self._adds else 'write'
            parameter.zero_grad()  # of an earlier run that failed
        self.trainer = mx.gluon.Trainer(
            list(self.parameters.values()),
            self._make_optimizer(),
            kvstore=None,  # gradients are added up by the reduction
            update_on_kvstore=False,
        )
        self._has_start = self.reduction.size == 1
        self.buckets: Optional[GradientBuckets] = None

    def share_start(self) -> None:
        """Give all processes the parameters of process 0, which the first step does if need be."""
        if not self._has_start:
            self.reduction.broadcast(
                [parameter.list_data() for parameter in self.parameters.values()]
            )
        self._has_start = True

    def __call__(
        self, batches: Sequence[Batch], step: int = 0, learning_rate: Optional[float] = None
    ) -> StepResult:
        """Make a step.

        Parameters
        ----------
        batches : sequence of Batch
            ``options.accumulate`` of them, of this process; fewer at the end of an epoch, where one
            of several processes may have none.
        step : int
            Steps made before.
        learning_rate : float, optional
            By default that of the options at this step.

        Returns
        -------
        StepResult

        Raises
        ------
        FloatingPointError
            If the loss or a gradient is not finite; nothing is updated then.
        """
        options = self.options
        self.share_start()
        with self._lock:
            means = add_gradients(
                self.network,
                self.objective,
                batches,
                self._totals(batches),
                self.devices,
                (options.seed, step),
                self.encoder,
                self.reduction.rank * len(self.devices),
            )
        if not batches:
            self._clear_gradients()
        gradients = [parameter.list_grad() for parameter in self.parameters.values()]
        # From here on all devices have the same gradients, and compute the same update.
        means = self._reduce(gradients, means)
        loss, norm = (
            self.objective.weighted(means),
            global_norm([copies[0] for copies in gradients]),
        )
        if not math.isfinite(loss) or not math.isfinite(norm):
            raise FloatingPointError(
                f'step {step + 1}: loss {loss}, gradient norm {norm}; try a smaller learning rate'
            )
        if learning_rate is None:
            learning_rate = self._learning_rate(step)
        self.trainer.set_learning_rate(learning_rate)
        # Dividing by this scales the gradient down to the norm allowed.
        with self._lock:
            self.trainer.update(max(1.0, norm / options.max_grad_norm))
        if self._adds:
            for parameter in self.parameters.values():
                parameter.zero_grad()
        return StepResult(loss, means, norm, learning_rate)

    def _make_optimizer(self):
        options = self.options
        optimizer = make_optimizer(
            options.optimizer,
            options.learning_rate,
            options.epsilon,
            options.weight_decay,
            options.bias_correction,
        )
        if options.layer_decay < 1:
            optimizer.rate_factors = layer_factors(self.parameters, options.layer_decay)
        return optimizer

    def _learning_rate(self, step):
        options, total = self.options, self.num_steps
        warmup = int(total * options.warmup_ratio)
        return options.learning_rate * share_of_peak(options.schedule, step + 1, total, warmup)

    def _clear_gradients(self):
        """Leave gradients of 0, as fresh as those of a backward pass."""
        for parameter in self.parameters.values():
            parameter.zero_grad()
            for array in parameter.list_data():
                array._fresh_grad = True

    def _totals(self, batches):
        """Count what each term's sum is divided by, over this step of all processes."""
        totals = dict.fromkeys(self.objective.terms, 0)
        for batch in batches:
            for name, count in self.objective.counts(*batch).items():
                totals[name] += count
        counts = sum_numbers(self.reduction, list(totals.values()))
        return {name: count or 1 for name, count in zip(totals, counts)}

    def _reduce(self, gradients, means):
        """Add up the gradients in place; return the means of the terms of all processes."""
        if self.reduction.size == 1:
            self.reduction.sum_in_place(gradients)
            return means
        values = nd.array(list(means.values()), dtype='float64')
        if isinstance(self.reduction, ProcessReduction):
            self._sum_buckets(gradients)
            self.reduction.sum_in_place([[values]])
        else:  # in one call, as messages take their time
            self.reduction.sum_in_place([*gradients, [values]])
        return dict(zip(means, values.asnumpy().tolist()))

    def _sum_buckets(self, gradients):
        self.reduction.sum_over_devices(gradients)
        first = [copies[0] for copies in gradients]
        if self.buckets is None:
            self.buckets = self._make_buckets(first)
        self.buckets.sum_in_place(first)
        copy_to_others(gradients)

    def _make_buckets(self, gradients):
        if self.encoder is None:
            return GradientBuckets(self.reduction, gradients)
        layers = {id(parameter) for parameter in self.encoder.layer_parameters()}
        numbers = [
            number
            for number, parameter in enumerate(self.parameters.values())
            if id(parameter) in layers
        ]
        return GradientBuckets(self.reduction, gradients, numbers, self.encoder.progress)


def _unique(parameters):
    """Take each parameter once: a shared weight has several names."""
    names = {}
    for name, parameter in parameters.items():
        names.setdefault(id(parameter), name)
    return {name: parameters[name] for name in names.values()}
