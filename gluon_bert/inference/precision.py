"""Choose which dense layers stay in float32, so that a lower precision does no harm."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Optional, Union

import numpy as np

from ..data import Features
from ..kernels.encoder import dense_layers, input_sizes
from ..kernels.packing import pack
from ..modeling.bert import BertBlock
from .checks import inner_bert, unwrap_head
from .precision_file import LOWER, LowPrecision
from .predictor import Predictor
from .scale_codes import round_scales

SCORE_TOLERANCE, ERROR_TOLERANCE = 0.005, 0.05

Score = Callable[[Predictor], float]

_BATCH = 32  # sequences that are calibrated on at once


def choose_precision(
    network: BertBlock,
    precision: str,
    features: Sequence[Features],
    score: Optional[Score] = None,
    tolerance: Optional[float] = None,
    measure: str = 'score',
    num_threads: Optional[int] = None,
    tell: Optional[Callable[[Sequence[str], float], Any]] = None,
) -> LowPrecision:
    """Find the dense layers that must stay in float32 so that a lower precision does no harm.

    If the network with all layers in the lower precision is within the tolerance, no layer stays in
    float32. Else layers are ranked by the error that each alone causes on the calibration texts;
    the smallest number from the top of the ranking stays in float32 that brings the network within
    the tolerance. It is searched by bisection, so its score is measured. For int8 the scales of the
    activations are measured on the calibration texts too; their range is that of each token,
    whatever texts come.

    Parameters
    ----------
    network : BertModel, BertClassifier, BertForQA, BertTagger or BertCrfTagger
        In float32 on the CPU.
    precision : str
        'bfloat16' or 'int8'.
    features : list of Features
        Calibration texts, such as will come.
    score : callable, optional
        ``score(predictor)`` gives the figure of merit of a :class:`.Predictor` on a dev set, the
        more the better. Without it the error on the calibration texts decides.
    tolerance : float, optional
        How much less than in float32 the score may be, 0.005 by default; or how large the relative
        RMS error of the outputs may be, 0.05 by default.
    measure : str
        The name of the score.
    num_threads : int, optional
        As for :class:`.Predictor`.
    tell : callable, optional
        ``tell(float32_layers, value)`` is called for each trial, with the layers in float32 and the
        score or error; all layers for float32.

    Returns
    -------
    LowPrecision
        With all dense layers in float32, if it cannot be within the tolerance otherwise.

    Raises
    ------
    ValueError
        If an argument is wrong, a score or an output is not finite, or there are no kernels.

    Examples
    --------
    >>> from gluon_bert import get_model, get_tokenizer
    >>> from gluon_bert.data import SentenceTransform
    >>> name = 'bert_6_384_12', 'all_minilm_l6_v2'
    >>> texts = ['A cat sleeps.', 'Shares fell, as few had thought they would.']
    >>> features, _ = SentenceTransform(get_tokenizer(*name), 128).transform_batch(texts)
    >>> choose_precision(get_model(*name)[0], 'bfloat16', features).float32_layers
    ()
    """
    if precision not in LOWER:
        raise ValueError(f'precision={precision!r}: expected one of {", ".join(LOWER)}')
    if not features:
        raise ValueError('features: expected one or more calibration texts')
    if tolerance is None:
        tolerance = ERROR_TOLERANCE if score is None else SCORE_TOLERANCE
    if not (math.isfinite(tolerance) and tolerance >= 0):
        raise ValueError(f'tolerance={tolerance}: expected a number from 0')
    scales = calibrate(network, features) if precision == 'int8' else None
    low = LowPrecision(precision, activation_scales=scales)
    search = _Search(network, low, features, score, tolerance, num_threads, tell)
    float32_layers, errors = search.run()
    values = search.values
    return low._replace(
        float32_layers=tuple(float32_layers),
        tolerance=tolerance,
        measure='error' if score is None else measure,
        float32=values[len(search.names)],
        score_all_low=values[0],
        score_chosen=values[len(float32_layers)],
        errors=errors,
    )


def calibrate(network: BertBlock, features: Sequence[Features]) -> dict[str, tuple[float, ...]]:
    """Measure how large the inputs of each dense layer are on texts, which makes int8 more exact.

    Parameters
    ----------
    network, features
        As for :func:`choose_precision`.

    Returns
    -------
    dict of str to tuple of float
        For ``LowPrecision('int8', activation_scales=...)``: the root mean square of each input,
        rounded to steps of 4 percent, by the layer's name.

    Raises
    ------
    ValueError
        If there are no features, no kernels, the features are not for the network, or what it
        computes is not finite.
    """
    head = unwrap_head(network)
    batches = (
        pack(features[begin : begin + _BATCH]) for begin in range(0, max(1, len(features)), _BATCH)
    )
    sizes = input_sizes(inner_bert(head), batches)
    for name, scales in sizes.items():
        if not np.isfinite(scales).all():
            raise ValueError(
                f'the inputs of {name} are not finite: the network computes no numbers'
            )
    return {name: round_scales(scales.tolist()) for name, scales in sizes.items()}


def layer_errors(
    network: BertBlock,
    precision: Union[str, LowPrecision],
    features: Sequence[Features],
    num_threads: Optional[int] = None,
) -> dict[str, float]:
    """Measure the error that each dense layer alone in a lower precision causes.

    Parameters
    ----------
    network, features, num_threads
        As for :func:`choose_precision`.
    precision : str or LowPrecision
        Its ``float32_layers`` are ignored.

    Returns
    -------
    dict of str to float
        The relative RMS error of the network's outputs by the layer's name, such as '0.expand', the
        largest first.
    """
    names = dense_layers(network.config.num_layers)
    exact = _outputs(Predictor(network, num_threads), features)
    low = LowPrecision(precision) if isinstance(precision, str) else precision
    errors = {}
    for name in names:
        others = low._replace(float32_layers=tuple(other for other in names if other != name))
        errors[name] = _error(_outputs(Predictor(network, num_threads, others), features), exact)
    return dict(sorted(errors.items(), key=lambda pair: -pair[1]))


class _Search:
    """See :func:`choose_precision`; ``values`` are scores by the number of layers in float32."""

    def __init__(self, network, low, features, score, tolerance, num_threads, tell):
        self.network, self.low, self.features = network, low, features
        self.score, self.tolerance, self.num_threads = score, tolerance, num_threads
        self.tell, self.values = tell, {}
        self.names = dense_layers(network.config.num_layers)

    def run(self):
        """The layers to leave in float32, and the errors of all where they had to be measured."""
        exact = Predictor(self.network, self.num_threads)
        if self.score is None:
            self.exact = _outputs(exact, self.features)
            self._note(self.names, 0.0)
        else:
            self._note(self.names, self.score(exact))
        if self._is_within([]):
            return [], None
        errors = layer_errors(self.network, self.low, self.features, self.num_threads)
        ranking, low, high = list(errors), 0, len(errors)
        while high - low > 1:
            middle = (low + high) // 2
            if self._is_within(ranking[:middle]):
                high = middle
            else:
                low = middle
        return ranking[:high], errors

    def _is_within(self, layers):
        low = self.low._replace(float32_layers=tuple(layers))
        predictor = Predictor(self.network, self.num_threads, low)
        if self.score is None:
            lost = self._note(layers, _error(_outputs(predictor, self.features), self.exact))
        else:
            lost = self.values[len(self.names)] - self._note(layers, self.score(predictor))
        return lost <= self.tolerance + 1e-9  # a tolerance may be a number of texts exactly

    def _note(self, layers, value):
        value = float(value)
        if not math.isfinite(value):
            raise ValueError(f'with {len(layers)} dense layers in float32 the score is {value}')
        self.values[len(layers)] = value
        if self.tell is not None:
            self.tell(layers, value)
        return value


def _outputs(predictor, features):
    """All outputs of a network, as one array."""
    arrays = []
    for _, outputs in predictor.batches(features):
        for part in outputs if isinstance(outputs, tuple) else (outputs,):
            arrays += map(np.ravel, part)
    return np.concatenate(arrays)


def _error(outputs, exact):
    """The relative RMS error."""
    size = float(np.sqrt(np.mean(np.square(exact, dtype='float64'))))
    wrong = float(np.sqrt(np.mean(np.square(outputs - exact, dtype='float64'))))
    return wrong / size if size else wrong
