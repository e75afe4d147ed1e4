"""Serve contexts with choices as padded batches, an example a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from ..._internal.types import Context
from ..dataset import digest_of
from ..features import Features, bucketed_batches, pad_batch


class ChoiceData:
    """The sequences of examples of multiple choice, with the numbers of the right choices.

    A row of a batch is an example with all of its choices, so no cut of a batch divides it.

    Parameters
    ----------
    features : list of list of Features
        Of each example, one for each choice.
    labels : sequence of int
        The number of the right choice of each, from 0.
    pad_id : int
        Id of the padding token.
    batch_size : int
        Examples in a batch.
    seed : int
        Seed of the order of training batches.
    round_to, fixed_length : int, optional
        As for :class:`.SequenceData`.
    ctx : mxnet.Context or list of them, optional
        Device of the batches, the first of several; by default the current context.

    Raises
    ------
    ValueError
        If there are no examples, or a label is not the number of a choice.
    """

    def __init__(
        self,
        features: list[list[Features]],
        labels: Sequence[int],
        pad_id: int,
        batch_size: int,
        seed: int = 0,
        round_to: Optional[int] = None,
        fixed_length: Optional[int] = None,
        ctx: Optional[Context] = None,
    ) -> None:
        if not features:
            raise ValueError('features: a data set needs at least one example')
        if len(labels) != len(features):
            raise ValueError(f'labels has {len(labels)} entries for {len(features)} examples')
        for row, (choices, label) in enumerate(zip(features, labels)):
            if not 0 <= label < len(choices):
                raise ValueError(
                    f'labels: row {row} has {label}: expected the number of one of '
                    f'{len(choices)} choices, from 0'
                )
        self._features, self.labels = features, np.array(labels, 'int64')
        self._pad_id, self._batch_size, self._seed = pad_id, batch_size, seed
        self._round_to, self._fixed_length = round_to, fixed_length
        self._ctx = ctx[0] if isinstance(ctx, (list, tuple)) else ctx
        self._lengths = [max(choice.valid_length for choice in choices) for choices in features]
        self._absent = Features(np.zeros(0, 'int32'), np.zeros(0, 'int32'), 0)

    def __len__(self) -> int:
        return len(self._features)

    def fingerprint(self) -> dict[str, Any]:
        """Describe what the training batches depend on, contents by digests, as a JSON object."""
        sequences = [choice for choices in self._features for choice in choices]
        return {
            'tokens': digest_of([sequence.inputs for sequence in sequences]),
            'token_types': digest_of([sequence.token_types for sequence in sequences]),
            'choices': digest_of(np.array(list(map(len, self._features)))),
            'labels': digest_of(self.labels),
            'batch_size': self._batch_size,
            'seed': self._seed,
            'pad_id': self._pad_id,
            'round_to': self._round_to,
            'fixed_length': self._fixed_length,
        }

    def training_batches(self, epoch: int) -> list[np.ndarray]:
        """Shuffle batches of examples of similar length, by seed and epoch: index arrays."""
        return bucketed_batches(self._lengths, self._batch_size, self._seed, epoch)

    def load(self, indices: Sequence[int]) -> tuple[tuple, Any]:
        """Load one batch.

        Parameters
        ----------
        indices : array of int
            As returned by the method above.

        Returns
        -------
        inputs : tuple of NDArray
            inputs (N, K, T), token_types (N, K, T), valid_length (N, K), for up to K choices; a
            length is 0 where an example has fewer.
        labels : NDArray, shape (N,)
        """
        examples = [self._features[i] for i in indices]
        count = max(map(len, examples))
        rows = [
            sequence
            for choices in examples
            for sequence in (*choices, *[self._absent] * (count - len(choices)))
        ]
        arrays = pad_batch(
            rows,
            self._pad_id,
            round_to=self._fixed_length or self._round_to,
            max_length=self._fixed_length,
        )
        from mxnet import nd

        inputs = tuple(
            nd.array(
                array.reshape((len(examples), count, *array.shape[1:])),
                dtype='float32',
                ctx=self._ctx,
            )
            for array in arrays
        )
        return inputs, nd.array(self.labels[indices], dtype='float32', ctx=self._ctx)
