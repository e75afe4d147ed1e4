"""Adam as BERT uses it, its variants, LAMB, and parameters without weight decay."""

from __future__ import annotations

import importlib
import math
import re
import warnings
from collections.abc import Iterable, Sequence
from typing import Any, Dict, Optional, Tuple

import mxnet as mx
from mxnet import nd
from mxnet.optimizer import Optimizer

from .. import kernels
from .options import OPTIMIZERS
from .schedule import linear_schedule  # noqa: F401 (its home in 0.1)

# Devlin et al. (2019), appendix A.2; their code leaves these parameters out of the decay.
NO_DECAY = ('beta', 'gamma', 'bias')

_PLACE = re.compile(r'(?:^|\.)(?:embeddings|layers\.(?P<layer>\d+))\.')

State = Tuple[Any, Any]  # of one parameter: its two moments


class BertAdam(Optimizer):
    r"""Adam without bias correction and with decoupled weight decay.

    .. math::
        m &\leftarrow \beta_1 m + (1 - \beta_1)\, g \\
        v &\leftarrow \beta_2 v + (1 - \beta_2)\, g^2 \\
        w &\leftarrow w - \eta \left(\frac{m}{\sqrt{v} + \epsilon} + \lambda w\right)

    Devlin et al. (2019), appendix A.2; Kingma and Ba (2015), algorithm 1, without its correction
    of the moments; Loshchilov and Hutter (2019), algorithm 2. GluonNLP's name is 'bertadam'.

    Parameters
    ----------
    learning_rate : float
    beta1, beta2 : float
        Decay of the first and second moments.
    epsilon : float
    wd : float
        Decay :math:`\lambda`; a parameter's ``wd_mult`` scales it.
    """

    correct_bias = False
    decoupled_decay = True

    def __init__(
        self,
        learning_rate: float = 5e-5,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-6,
        wd: float = 0.01,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, wd=wd, **kwargs)
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.rate_factors: Dict[int, float] = {}
        """Factor of the learning rate by the number of a parameter; 1 where there is none."""

    def create_state(self, index: int, weight: mx.nd.NDArray) -> State:
        """Make the two moments, both zero."""
        return tuple(nd.zeros(weight.shape, weight.context, dtype=weight.dtype) for _ in range(2))

    def update(self, index: int, weight: mx.nd.NDArray, grad: mx.nd.NDArray, state: State) -> None:
        """Update one parameter in place."""
        self._update_count(index)
        scale, epsilon = self._correction(index)
        rate, decay = self._get_lr(index), self._get_wd(index)
        if self.decoupled_decay:
            self._move(weight, grad, state, rate * scale, epsilon, 1 - rate * decay)
        else:
            self._move(weight, grad, state, rate * scale, epsilon, decay=decay)

    def _get_lr(self, index):
        return super()._get_lr(index) * self.rate_factors.get(index, 1.0)

    def _correction(self, index):
        """Give the factor of the rate, and epsilon, that correct the moments' bias."""
        if not self.correct_bias:
            return 1.0, self.epsilon
        # m/(1-b1^t) / (sqrt(v/(1-b2^t)) + e) = s m/(1-b1^t) / (sqrt(v) + e s) with this s
        steps = self._index_update_count[index]
        scale = math.sqrt(1 - self.beta2**steps)
        return scale / (1 - self.beta1**steps), self.epsilon * scale

    def _move(self, weight, grad, state, step_size, epsilon, decay_factor=1.0, decay=0.0):
        """Update the moments; multiply the weight by a factor, and move it by a step."""
        mean, variance = state
        if kernels.supports_arrays((weight, grad, mean, variance)):
            kernels.adam(
                weight,
                grad,
                mean,
                variance,
                step_size,
                self.beta1,
                self.beta2,
                epsilon,
                decay_factor,
                decay,
                self.rescale_grad,
            )
            return
        if decay_factor != 1:
            weight *= decay_factor
        nd.adam_update(
            weight,
            grad,
            mean,
            variance,
            out=weight,
            lr=step_size,
            beta1=self.beta1,
            beta2=self.beta2,
            epsilon=epsilon,
            wd=decay,
            rescale_grad=self.rescale_grad,
            lazy_update=False,
        )


class AdamW(BertAdam):
    """Adam with bias correction and decoupled weight decay.

    Loshchilov and Hutter (2019), algorithm 2, as ``torch.optim.AdamW`` computes it.
    """

    correct_bias = True


class Adam(BertAdam):
    """Adam with bias correction; weight decay is added to the gradient.

    Kingma and Ba (2015), as ``torch.optim.Adam`` computes it. MXNet's own 'adam' differs in where
    epsilon is added.
    """

    correct_bias = True
    decoupled_decay = False


class Lamb(BertAdam):
    r"""LAMB: the step of AdamW in each parameter, scaled to the parameter's length.

    .. math::
        u &= \frac{\hat m}{\sqrt{\hat v} + \epsilon} + \lambda w \\
        w &\leftarrow w - \eta \frac{\lVert w \rVert}{\lVert u \rVert} u

    with the corrected moments of Adam (You et al., 2020, algorithm 2). As in the authors' code and
    in NVIDIA's, parameters that are left out of the weight decay take the step as it is, and so
    does one whose length, or whose step's, is 0.
    """

    correct_bias = True

    def update(self, index: int, weight: mx.nd.NDArray, grad: mx.nd.NDArray, state: State) -> None:
        """Update one parameter in place."""
        self._update_count(index)
        scale, epsilon = self._correction(index)
        step = weight.copy()
        self._move(step, grad, state, -scale, epsilon, self._get_wd(index))
        ratio = 1.0 if self._is_excluded(index) else _ratio(weight, step)
        step *= self._get_lr(index) * ratio
        weight -= step

    def _is_excluded(self, index):
        if index in self.param_dict:
            return self.param_dict[index].wd_mult == 0
        return self.wd_mult.get(index, 1) == 0


def _ratio(weight, step):
    length, step_length = global_norm([weight]), global_norm([step])
    return length / step_length if length and step_length else 1.0


with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    # GluonNLP registers a 'bertadam' of the same formula, and MXNet warns of the second one.
    importlib.import_module('gluonnlp')
    mx.optimizer.register(BertAdam)
    mx.optimizer.register(AdamW)


def make_optimizer(
    name: str,
    learning_rate: float,
    epsilon: float = 1e-6,
    wd: Optional[float] = None,
    bias_correction: bool = False,
) -> BertAdam:
    """Make an optimizer by its name.

    Parameters
    ----------
    name : str
        'bertadam', 'adamw', 'adam' or 'lamb'.
    learning_rate : float
    epsilon : float
    wd : float, optional
        Weight decay; by default 0.01 where it is decoupled, 0 for 'adam'.
    bias_correction : bool
        Correct the bias of the moments in 'bertadam', too.

    Returns
    -------
    BertAdam

    Raises
    ------
    ValueError
        If there is no such optimizer.
    """
    classes = dict(zip(OPTIMIZERS, (BertAdam, Adam, AdamW, Lamb)))
    if name not in classes:
        raise ValueError(f'unknown optimizer {name!r}: expected one of {", ".join(OPTIMIZERS)}')
    if wd is None:
        wd = 0.01 if classes[name].decoupled_decay else 0.0
    optimizer = classes[name](learning_rate=learning_rate, epsilon=epsilon, wd=wd)
    optimizer.correct_bias = optimizer.correct_bias or bias_correction
    return optimizer


def exclude_from_decay(parameters: Iterable[mx.gluon.Parameter]) -> None:
    """Set ``wd_mult`` to 0 for biases and normalisation parameters.

    Parameters
    ----------
    parameters : iterable of mxnet.gluon.Parameter
    """
    for parameter in parameters:
        if parameter.name.endswith(NO_DECAY):
            parameter.wd_mult = 0.0


def layer_factors(names: Iterable[str], decay: float) -> Dict[int, float]:
    """Compute the factors of the learning rate that fall from layer to layer.

    Parameters
    ----------
    names : iterable of str
        Of the parameters, by their places in the network.
    decay : float
        From a layer to the one below it; the embeddings are below the first.

    Returns
    -------
    dict of int to float
        By the number of the parameter; those outside of the encoder have none.

    Examples
    --------
    >>> names = ['embeddings.word.weight', 'layers.0.expand.bias', 'layers.1.expand.bias', 'head']
    >>> layer_factors(names, 0.5)
    {0: 0.25, 1: 0.5, 2: 1.0}
    """
    places = {number: _PLACE.search(name) for number, name in enumerate(names)}
    heights = {
        number: -1 if place['layer'] is None else int(place['layer'])
        for number, place in places.items()
        if place is not None
    }
    top = max(heights.values(), default=0)
    return {number: decay ** (top - height) for number, height in heights.items()}


def global_norm(gradients: Sequence[mx.nd.NDArray]) -> float:
    """Compute the Euclidean norm of all gradients together.

    Parameters
    ----------
    gradients : list of NDArray

    Returns
    -------
    float
    """
    if kernels.supports_arrays(gradients):
        return math.sqrt(sum(map(kernels.sum_of_squares, gradients)))
    squares = nd.multi_sum_sq(*gradients, num_arrays=len(gradients))
    return math.sqrt(float(squares.sum().asscalar()))
