"""Run a BERT and keep what its layers give, to be compared with another's."""

from __future__ import annotations

from typing import Any, Optional

from mxnet import nd


class LayerTap:
    """Computes the encodings of a :class:`.BertModel` by MXNet's operators, and keeps some values.

    It is the ``encoder`` of one call of a network, ``network(..., encoder=tap)``, and takes part in
    its recording.

    Parameters
    ----------
    bert : BertModel
    layers : sequence of int
        Whose encodings are kept; 0 stands for the embeddings.
    relation_layer : int, optional
        The layer, from 1, whose queries, keys and values are kept.

    Attributes
    ----------
    hidden : dict of int to NDArray
        Encodings (N, T, C) by layer; those of padding mean nothing.
    query_key_value : list of NDArray
        Queries, keys and values, each (N, T, C), the attention heads side by side.
    """

    def __init__(
        self, bert: Any, layers: tuple[int, ...] = (), relation_layer: Optional[int] = None
    ) -> None:
        self._bert, self._layers, self._relation_layer = bert, layers, relation_layer
        self.hidden: dict[int, Any] = {}
        self.query_key_value: list[Any] = []

    def __call__(
        self, inputs: Any, token_types: Any, valid_length: Any, first_only: bool = False
    ) -> Any:
        """Compute the encodings.

        Parameters
        ----------
        inputs, token_types, valid_length : NDArray
            As for :class:`.BertModel`.
        first_only : bool
            Only those of the first token of each sequence.

        Returns
        -------
        NDArray, shape (N, T, C), or, ``first_only``, (N, C)
        """
        bert, lengths = self._bert, nd.cast(valid_length, dtype='float32')
        hidden = bert.embeddings(inputs, token_types)  # (T, N, C)
        mask = bert.attention_mask(hidden, lengths)
        self._keep(0, hidden)
        for number, layer in enumerate(bert.layers, 1):
            if number == self._relation_layer:
                self.query_key_value = _divide(
                    layer.attention.query_key_value(hidden), bert.config.num_heads
                )
            hidden = layer(hidden, mask)
            self._keep(number, hidden)
        if first_only:
            return hidden[0]
        masked = nd.SequenceMask(hidden, sequence_length=lengths, use_sequence_length=True)
        return masked.transpose((1, 0, 2))

    def _keep(self, number, hidden):
        if number in self._layers:
            self.hidden[number] = hidden.transpose((1, 0, 2))


def _divide(joint, num_heads):
    """Queries, keys and values, (N, T, C) each, of what is (T, N, 3 C), head by head."""
    parts = joint.reshape((0, 0, num_heads, 3, -1)).transpose((3, 1, 0, 2, 4))  # (3, N, T, H, D)
    return [part.reshape((0, 0, -1)) for part in parts.split(3, axis=0, squeeze_axis=True)]
