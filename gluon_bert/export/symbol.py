"""Networks as MXNet's symbol and parameters, for its C, Java, Scala and other interfaces."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Callable, List, Mapping, NamedTuple, Optional, Tuple

import mxnet as mx
from mxnet.gluon import HybridBlock

from .._internal.files import new_folder
from .._internal.types import PathLike
from ..checkpoint.arrays import with_names
from ..checkpoint.names import encoder_shapes, head_shapes
from ..checkpoint.schema import Checkpoint
from ..modeling.build import build_network
from .beside import write_settings
from .heads import HEADS, NO_HEAD, choose_head

NAME = 'bert'
# Problem type of a classifier, '' if unknown -> what makes probabilities of its scores.
_OPERATORS = {
    '': 'softmax',
    'single_label_classification': 'softmax',
    'multi_label_classification': 'sigmoid',
}


class SymbolHead(NamedTuple):
    """The output of a head.

    Parameters
    ----------
    network : str
        A task of :func:`.build_network`.
    operator : callable
        Checkpoint -> the operator that makes probabilities of its scores; None if there is none.
    pooled : bool
        Whether it reads the pooled vector.
    part : str
        Of a network with several outputs: the name of the one.
    all_positions : bool
        Whether the network also reads masked positions, which are then all positions.
    axis : int
        Along which probabilities add up to 1.
    """

    network: str
    operator: Callable[[Checkpoint], Optional[str]] = lambda checkpoint: 'softmax'
    pooled: bool = False
    part: str = ''
    all_positions: bool = False
    axis: int = -1


_SYMBOLS: Mapping[str, SymbolHead] = {
    'classifier': SymbolHead(
        'classifier', lambda checkpoint: _OPERATORS.get(checkpoint.problem_type), pooled=True
    ),
    'choice': SymbolHead('choice', lambda checkpoint: None, pooled=True),
    'tagger': SymbolHead('tagger'),
    'span': SymbolHead('span', axis=1),
    'masked_lm': SymbolHead('pretraining', part='masked_lm', all_positions=True),
    'next_sentence': SymbolHead('pretraining', pooled=True, part='next_sentence'),
}


class HeadBlock(HybridBlock):
    """A network with one output, from the three inputs that every head has.

    Parameters
    ----------
    network : HybridBlock
    row : SymbolHead
    operator : str, optional
        'softmax' or 'sigmoid': give probabilities. Those of tokens are 0 for padding.
    """

    def __init__(
        self, network: HybridBlock, row: SymbolHead, operator: Optional[str] = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._row, self._operator = row, operator
        with self.name_scope():
            self.network = network

    def hybrid_forward(self, F: Any, inputs: Any, token_types: Any, valid_length: Any) -> Any:
        positions = []
        if self._row.all_positions:
            numbers = F.expand_dims(F.contrib.arange_like(inputs, axis=1), axis=0)  # (1, T)
            positions = [F.broadcast_like(numbers, inputs)]
        scores = self.network(inputs, token_types, valid_length, *positions)
        if self._row.part:
            scores = getattr(scores, self._row.part)
        if self._operator is None:
            return scores
        if self._row.axis == 1:
            scores = F.SequenceMask(
                scores, valid_length, use_sequence_length=True, value=-1e30, axis=1
            )
        options = {'axis': self._row.axis} if self._operator == 'softmax' else {}
        return getattr(F, self._operator)(scores, **options)


def write_symbol(
    checkpoint: Checkpoint,
    folder: PathLike,
    head: Optional[str] = None,
    probabilities: bool = False,
) -> None:
    """Write ``bert-symbol.json`` and ``bert-0000.params``, with a vocabulary for DJL beside them.

    :meth:`mxnet.gluon.SymbolBlock.imports` and MXNet's C interface read them. The inputs are
    ``data0``, token ids (N, T); ``data1``, token types (N, T); and ``data2``, valid lengths (N,);
    float32, with N and T free. The outputs are those of :func:`outputs_of`.

    Parameters
    ----------
    checkpoint : Checkpoint
    folder : str or Path
        Made here; it appears when it is whole.
    head : str, optional
        See :func:`.choose_head`.
    probabilities : bool
        Give probabilities instead of scores: of classes, tags and words, and of the tokens where an
        answer begins and ends.

    Raises
    ------
    FileExistsError
        If the folder is there already and not empty.
    ValueError
        If the network does not have the head, or probabilities are asked of a network without
        classes.
    """
    head = choose_head(checkpoint, head)
    network = _build(checkpoint, head, probabilities)
    tokens = mx.nd.zeros((1, 3))
    network(tokens, mx.nd.zeros_like(tokens), mx.nd.array([3]))  # which makes the graph
    with new_folder(folder) as whole:
        try:
            network.export(str(whole / NAME))
        except mx.base.MXNetError as error:
            line = str(error).strip().splitlines()[-1]
            raise OSError(f'{folder}: MXNet did not write its files: {line}') from None
        write_settings(checkpoint, whole)
        if checkpoint.tokenizer is not None:
            checkpoint.tokenizer.save(whole)
            tokens = checkpoint.tokenizer.vocab.idx_to_token
            text = json.dumps({'token_to_idx': {token: n for n, token in enumerate(tokens)},
                               'idx_to_token': tokens}, ensure_ascii=False)  # fmt: skip
            (whole / 'vocab.json').write_text(text, encoding='utf-8')


def outputs_of(
    checkpoint: Checkpoint, head: str, probabilities: bool = False
) -> List[Tuple[str, str]]:
    """List the outputs of a symbol: names and shapes.

    Parameters
    ----------
    checkpoint : Checkpoint
    head : str
        As :func:`.choose_head` gives it.
    probabilities : bool
    """
    if head != NO_HEAD:
        name = 'probabilities' if probabilities else 'scores'
        return [(name, HEADS[head].shape(checkpoint))]
    units = checkpoint.config.units
    outputs = [('last_hidden_state', f'(N, T, {units})')]
    return outputs + [('pooler_output', f'(N, {units})')] * ('pooler' in checkpoint.heads)


def _build(checkpoint, head, probabilities):
    """The network of a head, hybridized; a head of pre-training alone."""
    row = _SYMBOLS.get(head)
    operator = row.operator(checkpoint) if row and probabilities else None
    if probabilities and operator is None:
        raise ValueError(
            f'probabilities are those of classes: this network has none (head: {head}'
            f'{", which gives one score" if row else ""})'
        )
    pooled = row is None or row.pooled
    network = build_network(_with_head(checkpoint, head, pooled), row.network if row else 'encoder')
    if row is None or not (row.part or operator):
        return network
    block = HeadBlock(network, row, operator)
    block.hybridize()
    return block


def _with_head(checkpoint, head, pooled):
    """The checkpoint with one head, so that all of its arrays are in the graph."""
    heads = ['pooler'] * pooled + [head] * (head in HEADS)
    wanted = {*encoder_shapes(checkpoint.config)}
    for name in heads:
        wanted |= {*head_shapes(checkpoint.config, name, 1)}
    kept = {name: name for name in checkpoint.arrays if name in wanted}
    return replace(checkpoint, arrays=with_names(checkpoint.arrays, kept))
