"""Lower precision where it does no harm: which dense layers must stay in float32."""

from __future__ import annotations

import math

import numpy as np

from ..kernels.encoder import dense_layers, input_sizes
from ..kernels.packing import pack
from .precision_file import LOWER, LowPrecision
from .predictor import Predictor, unwrap_head

SCORE_TOLERANCE, ERROR_TOLERANCE = 0.005, 0.05

_BATCH = 32  # sequences that are calibrated on at once


def choose_precision(
    network,
    precision,
    features,
    score=None,
    tolerance=None,
    measure='score',
    num_threads=None,
    tell=None,
):
    """Find the dense layers that must stay in float32 so that a lower precision does no harm.

    If the network as a whole is within the tolerance, nothing is kept. Else layers are ranked by
    the error that each alone in the lower precision causes on the calibration texts, and the
    smallest number from the top of the ranking is kept that brings the network within the
    tolerance: found by bisection, so measured itself. For int8 the calibration texts also tell how
    large the inputs of each layer are in relation to each other; their range is that of each token,
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
        ``tell(keep, value)`` is called with each number of layers kept that is tried, and the score
        or error; all of them for float32.

    Returns
    -------
    LowPrecision
        Keeping all dense layers, if it cannot be within the tolerance otherwise.

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
    >>> choose_precision(get_model(*name)[0], 'bfloat16', features).keep
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
    low = LowPrecision(
        precision, sizes=calibrate(network, features) if precision == 'int8' else None
    )
    search = _Search(network, low, features, score, tolerance, num_threads, tell)
    keep, errors = search.run()
    values = search.values
    return low._replace(
        keep=tuple(keep),
        tolerance=tolerance,
        measure='error' if score is None else measure,
        float32=values[len(search.names)],
        whole=values[0],
        chosen=values[len(keep)],
        errors=errors,
    )


def calibrate(network, features):
    """How large the inputs of each dense layer are on texts, which makes int8 more exact.

    Parameters
    ----------
    network, features
        As for :func:`choose_precision`.

    Returns
    -------
    dict of str to tuple of float
        For ``LowPrecision('int8', sizes=...)``: the root mean square of each input, in four
        figures, by the layer's name.

    Raises
    ------
    ValueError
        If there are no features, no kernels, or the features are not for the network.
    """
    head = unwrap_head(network)
    batches = (
        pack(features[begin : begin + _BATCH]) for begin in range(0, max(1, len(features)), _BATCH)
    )
    return {
        name: tuple(float(f'{size:.3e}') for size in sizes.tolist())
        for name, sizes in input_sizes(getattr(head, 'bert', head), batches).items()
    }


def layer_errors(network, precision, features, num_threads=None):
    """The error that each dense layer alone in a lower precision causes.

    Parameters
    ----------
    network, features, num_threads
        As for :func:`choose_precision`.
    precision : str or LowPrecision
        Whose ``keep`` does not count.

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
        others = low._replace(keep=tuple(other for other in names if other != name))
        errors[name] = _error(_outputs(Predictor(network, num_threads, others), features), exact)
    return dict(sorted(errors.items(), key=lambda pair: -pair[1]))


class _Search:
    """See :func:`choose_precision`. ``values``: scores or errors by the number of layers kept."""

    def __init__(self, network, low, features, score, tolerance, num_threads, tell):
        self.network, self.low, self.features = network, low, features
        self.score, self.tolerance, self.num_threads = score, tolerance, num_threads
        self.tell, self.values = tell, {}
        self.names = dense_layers(network.config.num_layers)

    def run(self):
        """The layers to keep, and the errors of all where they had to be known."""
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

    def _is_within(self, keep):
        predictor = Predictor(self.network, self.num_threads, self.low._replace(keep=tuple(keep)))
        if self.score is None:
            lost = self._note(keep, _error(_outputs(predictor, self.features), self.exact))
        else:
            lost = self.values[len(self.names)] - self._note(keep, self.score(predictor))
        return lost <= self.tolerance + 1e-9  # a tolerance may be a number of texts exactly

    def _note(self, keep, value):
        value = float(value)
        if not math.isfinite(value):
            raise ValueError(f'with {len(keep)} dense layers in float32 the score is {value}')
        self.values[len(keep)] = value
        if self.tell is not None:
            self.tell(keep, value)
        return value


def _outputs(predictor, features):
    """All numbers that a network gives, as one array."""
    found = []
    for _, outputs in predictor.batches(features):
        for part in outputs if isinstance(outputs, tuple) else (outputs,):
            found += map(np.ravel, part)
    return np.concatenate(found)


def _error(outputs, exact):
    """The relative RMS error."""
    size = float(np.sqrt(np.mean(np.square(exact, dtype='float64'))))
    wrong = float(np.sqrt(np.mean(np.square(outputs - exact, dtype='float64'))))
    return wrong / size if size else wrong
