"""Networks as MXNet's symbol and parameters, for its C, Java, Scala and other interfaces."""

from __future__ import annotations

import json
from typing import Any

import mxnet as mx
from mxnet.gluon import HybridBlock

from .._internal.files import new_folder
from .._internal.types import PathLike
from ..checkpoint.schema import Checkpoint
from ..modeling.build import build_network
from .beside import without_crf, write_settings

NAME = 'bert'
# Problem type of a classifier, '' if unknown -> what makes probabilities of its scores.
_OPERATORS = {
    '': 'softmax',
    'single_label_classification': 'softmax',
    'multi_label_classification': 'sigmoid',
}


class Probabilities(HybridBlock):
    """A network whose scores become probabilities.

    Parameters
    ----------
    network : HybridBlock
        With scores of classes on the last axis.
    operator : str
        'softmax', or 'sigmoid' where each class has a probability of its own.
    """

    def __init__(self, network: HybridBlock, operator: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._operator = operator
        with self.name_scope():
            self.network = network

    def hybrid_forward(self, F: Any, inputs: Any, token_types: Any, valid_length: Any) -> Any:
        scores = self.network(inputs, token_types, valid_length)
        return getattr(F, self._operator)(scores)


def write_symbol(checkpoint: Checkpoint, folder: PathLike, probabilities: bool = False) -> None:
    """Write ``bert-symbol.json`` and ``bert-0000.params``, with a vocabulary for DJL beside them.

    :meth:`mxnet.gluon.SymbolBlock.imports` and MXNet's C interface read them. The inputs are
    ``data0``, token ids (N, T); ``data1``, token types (N, T); and ``data2``, valid lengths (N,);
    float32, with N and T free. The output is that of the
    network: sequence and pooled vectors of an encoder, scores of a fine-tuned one.

    Parameters
    ----------
    checkpoint : Checkpoint
    folder : str or Path
        Made here; it appears when it is whole.
    probabilities : bool
        Give the probabilities of classes instead of scores.

    Raises
    ------
    FileExistsError
        If the folder is there already and not empty.
    ValueError
        If probabilities are asked of a network without classes.
    """
    # The transitions of a CRF are no part of the graph.
    network = build_network(without_crf(checkpoint))
    if probabilities:
        operator = _OPERATORS.get(checkpoint.problem_type)
        if 'classifier' not in checkpoint.heads or operator is None:
            raise ValueError(
                'probabilities are those of classes: this network is no classifier of texts'
            )
        network = Probabilities(network, operator)
        network.hybridize()
    tokens = mx.nd.zeros((1, 3))
    arguments = [tokens, mx.nd.zeros_like(tokens), mx.nd.array([3])]
    if 'masked_lm' in checkpoint.heads:
        arguments.append(mx.nd.zeros((1, 1)))
    network(*arguments)  # which makes the graph
    with new_folder(folder) as whole:
        network.export(str(whole / NAME))
        write_settings(checkpoint, whole)
        if checkpoint.tokenizer is not None:
            checkpoint.tokenizer.save(whole)
            tokens = checkpoint.tokenizer.vocabulary.idx_to_token
            text = json.dumps({'token_to_idx': {token: n for n, token in enumerate(tokens)},
                               'idx_to_token': tokens}, ensure_ascii=False)  # fmt: skip
            (whole / 'vocab.json').write_text(text, encoding='utf-8')
