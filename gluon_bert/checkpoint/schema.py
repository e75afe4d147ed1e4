"""Checkpoints, whatever their format."""

from __future__ import annotations

import logging
import reprlib
from dataclasses import dataclass
from typing import Any, Mapping, Optional, Tuple

import numpy as np

from .._internal.types import PathLike
from ..config import BertConfig
from ..families import DEFAULT_FAMILY, FAMILIES
from .names import HEADS
from .retrieval import SparseSettings, TokenVectorSettings
from .sentence import ACTIVATIONS, SentenceSettings

logger = logging.getLogger(__name__)

PROBLEM_TYPES = ('regression', 'single_label_classification', 'multi_label_classification')


@dataclass(frozen=True)
class Checkpoint:
    """A trained network, as its reader gives it.

    Parameters
    ----------
    arrays : mapping of str to numpy.ndarray
        By the common names of :mod:`gluon_bert.checkpoint.names`: GluonNLP's, without a prefix in
        front of the encoder. It may read an array from its file only when that is asked for. The
        decoder's weight, being the word embedding, is left out.
    config : BertConfig
    family : str
        Of :data:`.FAMILIES`: how the formats name its arrays and how a pair of texts is put
        together.
    tokenizer : BertTokenizer, BytePairTokenizer or SentencePieceTokenizer, optional
        With its vocabulary; None if there was none beside the arrays.
    labels : tuple of str
        Names of the classes of a fine-tuned head; empty if not known.
    source : str
        For messages: where it came from.
    problem_type : str
        What a classifier was fine-tuned for, of ``PROBLEM_TYPES``; empty if not known.
    max_tokens : int, optional
        The longest sequence, special tokens included, that the tokenizer is set to; None if not
        known.
    dropout : float, optional
        In front of a fine-tuned head; None if it is that of the configuration.
    task : mapping of str to object, optional
        'task', what this package fine-tuned the network for, and the settings of
        :mod:`gluon_bert.tasks.settings`; None if another package did, or it is pre-trained only.
    sentence : SentenceSettings, optional
        How a sentence model pools its encodings, and what follows; None if it is none.
    score_activation : str, optional
        What a cross-encoder does to its one score, of ``ACTIVATIONS`` of
        :mod:`gluon_bert.checkpoint.sentence`; None if it is none.
    sparse : SparseSettings, optional
        How a model makes sparse vectors; None if it makes none.
    token_vectors : TokenVectorSettings, optional
        How a model makes vectors of tokens for late interaction; None if it makes none.
    """

    arrays: Mapping[str, np.ndarray]
    config: BertConfig
    family: str = DEFAULT_FAMILY
    tokenizer: Optional[Any] = None
    labels: Tuple[str, ...] = ()
    source: str = ''
    problem_type: str = ''
    max_tokens: Optional[int] = None
    dropout: Optional[float] = None
    task: Optional[Mapping[str, Any]] = None
    sentence: Optional[SentenceSettings] = None
    score_activation: Optional[str] = None
    sparse: Optional[SparseSettings] = None
    token_vectors: Optional[TokenVectorSettings] = None

    def __post_init__(self):
        if self.family not in FAMILIES:
            raise ValueError(f'family={self.family!r}: expected one of {tuple(FAMILIES)}')
        if self.problem_type not in ('', *PROBLEM_TYPES):
            raise ValueError(f'problem_type={self.problem_type!r}: expected one of {PROBLEM_TYPES}')
        if self.score_activation not in (None, *ACTIVATIONS):
            raise ValueError(
                f'score_activation={reprlib.repr(self.score_activation)}: expected one of '
                f'{", ".join(ACTIVATIONS)}'
            )
        tokens, dropout = self.max_tokens, self.dropout
        if tokens is not None and (type(tokens) is not int or not 1 <= tokens < 2**31):
            raise ValueError(f'max_tokens={reprlib.repr(tokens)}: expected a whole number from 1')
        if dropout is not None and (type(dropout) not in (int, float) or not 0 <= dropout < 1):
            raise ValueError(f'dropout={reprlib.repr(dropout)}: expected a number in [0, 1)')

    @property
    def head_dropout(self) -> float:
        """Dropout in front of a fine-tuned head."""
        return self.config.dropout if self.dropout is None else self.dropout

    @property
    def reads_vectors(self) -> bool:
        """True if the classifier reads pooled encodings, as its task says, and no pooler."""
        return self.task is not None and 'pooling' in self.task

    @property
    def heads(self) -> Tuple[str, ...]:
        """Heads that it has, of 'pooler', 'next_sentence', 'masked_lm', 'classifier',
        'choice', 'span', 'tagger'.
        """
        return tuple(head for head, array in HEADS.items() if array in self.arrays)


def check_pooler(checkpoint: Checkpoint) -> None:
    """Raise ValueError if the classifier reads pooled encodings: no other format has such."""
    if checkpoint.reads_vectors:
        raise ValueError(
            'its classifier reads pooled encodings: only a fine-tuned folder of this package has a '
            'place for that'
        )


def check_vocab_size(tokenizer: Optional[Any], num_rows: int, source: PathLike) -> None:
    """Compare the tokens of a tokenizer, if there is one, with the rows of a word embedding.

    Rows that belong to no token are logged.

    Raises
    ------
    ValueError
        If there are more tokens than rows.
    """
    num_tokens = num_rows if tokenizer is None else len(tokenizer.vocabulary)
    if num_tokens > num_rows:
        raise ValueError(
            f'{source}: the tokenizer has {num_tokens} tokens, the word embedding {num_rows} rows'
        )
    if num_tokens < num_rows:
        logger.info(
            '%s: the word embedding has %d rows, the tokenizer %d tokens: no token has the last '
            '%d rows',
            source,
            num_rows,
            num_tokens,
            num_rows - num_tokens,
        )
