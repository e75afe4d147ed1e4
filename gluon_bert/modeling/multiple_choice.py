"""A score for each of several choices: multiple choice."""

from __future__ import annotations

from typing import Any

from mxnet import nd
from mxnet.gluon import nn

from ..checkpoint.names import CHOICE
from .bert import BertModel
from .heads import BertHead
from .layers import dense

_ABSENT = -1e30  # the score of a choice that an example does not have; its probability is 0


class BertForMultipleChoice(BertHead):
    """A score for each choice of an example, read with the context (Devlin et al., 2019, 4.4).

    It is called on the choices of examples, or on single sequences: a context with one choice.

    Parameters
    ----------
    bert : BertModel
        With its pooler.
    dropout : float
        On the pooled vectors, in [0, 1).

    Inputs
    ------
    inputs, token_types : shape (N, K, T), or (M, T)
        As for :class:`.BertModel`, for up to K choices of N examples; or for M sequences.
    valid_length : shape (N, K), or (M,)
        0 where an example has fewer than K choices.

    Outputs
    -------
    scores : float, shape (N, K), or (M, 1)
        Logits of a softmax over the choices of an example. Those of choices that an example does
        not have are -1e30.
    """

    file_layout = 'choice'
    kind = 'choice'
    head_names = CHOICE
    reads = 'pooled'

    def __init__(self, bert: BertModel, dropout: float = 0.1, **kwargs: Any) -> None:
        super().__init__(bert, **kwargs)
        if not bert.use_pooler:
            raise ValueError(
                'a head of choices reads the pooled vector: bert must have its pooler '
                '(use_pooler=True)'
            )
        with self.name_scope():
            self.dropout = nn.Dropout(dropout)
            self.choice = dense(1, bert.config.units)

    def __call__(  # type: ignore[override]
        self,
        inputs: Any,
        token_types: Any = None,
        valid_length: Any = None,
        *others: Any,
        encoder: Any = None,
    ) -> Any:
        if not isinstance(inputs, nd.NDArray) or inputs.ndim != 3:
            return super().__call__(inputs, token_types, valid_length, *others, encoder=encoder)
        num_examples, num_choices, _ = inputs.shape
        if valid_length is None or valid_length.shape != (num_examples, num_choices):
            raise ValueError(
                f'valid_length must have shape {(num_examples, num_choices)}: a length for each '
                f'choice of each example, 0 where there is none'
            )
        sequences = [
            None if array is None else array.reshape((-3, 0)) for array in (inputs, token_types)
        ]
        lengths = nd.maximum(valid_length, 1).reshape((-1,))  # one token of padding, to no effect
        scores = super().__call__(*sequences, lengths, encoder=encoder)
        scores = scores.reshape((num_examples, num_choices))
        return nd.where(valid_length > 0, scores, nd.full(scores.shape, _ABSENT, scores.context))

    def scores(self, encodings: Any) -> Any:
        return self.choice(self.dropout(encodings))  # (M, 1)
