"""The native backend called as a Gluon network: padded arrays of MXNet in and out.

N sequences, T tokens, C units, K scores.
"""

from __future__ import annotations

from typing import Any, Optional

import numpy as np
from mxnet import nd

from ..kernels.packing import unpad
from ..modeling.block import check_inputs, check_range, check_values, ordered_arguments
from ..modeling.outputs import BertOutput
from .heads import EncoderHead, PretrainingHeads


def run_padded(
    backend: Any,
    inputs: nd.NDArray,
    token_types: Optional[nd.NDArray] = None,
    valid_length: Optional[nd.NDArray] = None,
    *others: nd.NDArray,
) -> Any:
    """Compute what a network does for padded arrays.

    Parameters
    ----------
    backend : NativeBackend
    inputs, token_types, valid_length, others
        As for the network.

    Returns
    -------
    NDArray, BertOutput or the network's own NamedTuple
        Encodings and scores of padding are 0.
    """
    config, head = backend.network.config, backend.head
    inputs, token_types, valid_length, *rest = ordered_arguments(
        config, inputs, token_types, valid_length, *others
    )
    ctx = inputs.context
    check_inputs(config, inputs, inputs if token_types is None else token_types)
    if valid_length is None or valid_length.shape == inputs.shape[:1]:  # else unpad says so
        check_values(config, inputs, token_types, valid_length)
    packed, valid = unpad(inputs, token_types, valid_length)
    rows, pooled = backend.encode(packed, *head.reads)

    def array(values):
        return nd.from_numpy(np.ascontiguousarray(values)).as_in_context(ctx)

    def padded(values):
        """Rows of valid tokens, (M, K), in their places: (N, T, K)."""
        places = np.zeros((*valid.shape, values.shape[1]), 'float32')
        places[valid] = values
        return places

    if isinstance(head, EncoderHead):
        sequence = array(padded(rows))
        return sequence if pooled is None else BertOutput(sequence, array(pooled))
    if isinstance(head, PretrainingHeads):
        encodings = padded(rows)
        parts = [encodings] + ([] if pooled is None else [pooled])
        if head.next_sentence is not None:
            parts.append(head.next_sentence(pooled))
        if head.masked_lm is not None:
            check_range('masked_positions', rest[0].asnumpy(), 0, inputs.shape[1] - 1)
            positions = rest[0].asnumpy().astype(int)  # (N, M)
            chosen = encodings[np.arange(len(positions))[:, None], positions]
            scores = head.masked_lm(chosen.reshape((-1, chosen.shape[-1])))
            parts.append(scores.reshape((*positions.shape, -1)))
        return head.output_type(*map(array, parts))
    return array(head.layer(pooled)) if rows is None else array(padded(head.layer(rows)))
