"""A linear-chain conditional random field over tags (Lafferty et al., 2001; Lample et al., 2016,
section 2.2).

The score of tags y of a sentence of W words with emissions e, transitions A, begins b and ends c is

    s(y) = b[y_1] + sum_w e[w, y_w] + sum_w A[y_(w-1), y_w] + c[y_W]

and log p(y) = s(y) - log sum_y' exp s(y').
"""

from __future__ import annotations

from typing import Any

import mxnet as mx
import numpy as np
from mxnet.gluon import HybridBlock

from .chain import ChainScores, penalties
from .chain import marginals as marginals
from .chain import viterbi as viterbi


class LinearChainCRF(HybridBlock):
    """The transitions of a CRF, with its likelihood and its best path.

    Parameters
    ----------
    num_tags : int
        Number K of tags.
    transitions : Transitions, optional
        Which of them may follow each other, begin and end a sentence; all by default. A forbidden
        pair has probability 0 in training and decoding; begin and end are only minded in
        decoding, as what is trained on may be a part of a sentence.

    Raises
    ------
    ValueError
        If the shapes do not fit, or no tag may begin or end a sentence.
    """

    def __init__(self, num_tags: int, transitions: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_tags = num_tags
        self._penalties = penalties(num_tags, transitions)
        with self.name_scope():
            self.transitions = self.params.get(
                'transitions_bias', shape=(num_tags, num_tags), init=mx.init.Zero()
            )
            self.begin = self.params.get('begin_bias', shape=(num_tags,), init=mx.init.Zero())
            self.end = self.params.get('end_bias', shape=(num_tags,), init=mx.init.Zero())

    def forward(
        self, emissions: mx.nd.NDArray, tags: mx.nd.NDArray, lengths: mx.nd.NDArray
    ) -> mx.nd.NDArray:
        """Compute the log-likelihood of tags.

        Parameters
        ----------
        emissions : NDArray, shape (N, W, K)
        tags : NDArray, shape (N, W)
            Numbers of the tags; those past the length mean nothing but must be from 0 to K - 1.
        lengths : NDArray, shape (N,)
            Words of each sentence, 1 <= value <= W.

        Returns
        -------
        NDArray, shape (N,)
        """
        return self._score(emissions, tags, lengths) - self._log_partition(emissions, lengths)

    def _score(self, emissions, tags, lengths):
        pair = self._pairs(emissions.context)  # (K, K)
        positions = mx.nd.arange(emissions.shape[1], ctx=emissions.context)
        inside = mx.nd.broadcast_lesser(positions.expand_dims(0), lengths.expand_dims(1))
        score = (mx.nd.pick(emissions, tags) * inside).sum(axis=1)  # (N,)
        if emissions.shape[1] > 1:
            steps = mx.nd.gather_nd(pair, mx.nd.stack(tags[:, :-1], tags[:, 1:], axis=0))
            score = score + (steps * inside[:, 1:]).sum(axis=1)
        else:
            score = score + 0 * pair.sum()  # the trainer wants a gradient, if 0
        last = mx.nd.pick(tags, lengths - 1)  # (N,)
        context = emissions.context
        return (
            score
            + mx.nd.take(self.begin.data(context), tags[:, 0])
            + mx.nd.take(self.end.data(context), last)
        )

    def _log_partition(self, emissions, lengths):
        """The forward algorithm: log of the sum over all tag sequences, shape (N,)."""
        context = emissions.context
        pair = self._pairs(context).expand_dims(0)  # (1, K, K)
        alpha = mx.nd.broadcast_add(emissions[:, 0], self.begin.data(context).expand_dims(0))
        for word in range(1, emissions.shape[1]):
            paths = mx.nd.broadcast_add(alpha.expand_dims(2), pair)  # (N, K, K)
            after = _log_sum_exp(paths) + emissions[:, word]  # (N, K)
            goes_on = mx.nd.broadcast_greater(
                lengths, mx.nd.full((1,), word, ctx=context)
            ).expand_dims(1)
            alpha = mx.nd.where(mx.nd.broadcast_like(goes_on, alpha), after, alpha)
        ending = mx.nd.broadcast_add(alpha, self.end.data(context).expand_dims(0))
        return _log_sum_exp(ending)

    def _pairs(self, context):
        return self.transitions.data(context) + mx.nd.array(
            self._penalties.transitions, ctx=context
        )

    def decode(self, emissions: np.ndarray) -> np.ndarray:
        """Find the best tags of a sentence, see :meth:`.ChainScores.decode`."""
        return self.scores().decode(emissions)

    def probabilities(self, emissions: np.ndarray) -> np.ndarray:
        """Compute the probability of each tag, see :meth:`.ChainScores.probabilities`."""
        return self.scores().probabilities(emissions)

    def scores(self) -> ChainScores:
        """Return the present scores of transitions, begin and end, those of invalid ones too."""
        return self._penalties.add(
            *(
                parameter.data(parameter.list_ctx()[0]).asnumpy()
                for parameter in (self.transitions, self.begin, self.end)
            )
        )


def _log_sum_exp(values):
    """Over axis 1: (N, K, ...) -> (N, ...)."""
    highest = mx.nd.BlockGrad(values.max(axis=1, keepdims=True))
    total = mx.nd.broadcast_sub(values, highest).exp().sum(axis=1)
    return total.log() + highest.reshape(total.shape)
