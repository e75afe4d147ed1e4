"""Settings of models for retrieval: sparse vectors, and vectors of all tokens.

T tokens of a text, V words, C units.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Mapping, Optional, Tuple

import numpy as np

from .sentence import SentenceModule

SPARSE_POOLINGS = ('max', 'sum')
SPARSE_ACTIVATIONS = ('relu', 'log1p_relu')
SPARSE_SIMILARITIES = ('dot', 'cosine')


def _check(name, value, allowed):
    if value not in allowed:
        raise ValueError(f'{name} {value!r}: expected one of {", ".join(allowed)}')


@dataclass(frozen=True)
class SparseSettings:
    """Settings of a model that makes sparse vectors of the scores of all words: SPLADE.

    Parameters
    ----------
    pooling : str
        'max' over the tokens of a text (Formal et al., 2021, SPLADE v2) or their 'sum' (v1).
    activation : str
        'relu', so that the weight of a word is log(1 + relu(score)); or 'log1p_relu', the logarithm
        twice.
    max_length : int, optional
        Tokens of the longest sequence, special tokens included; None for the model's longest.
    lower : bool
        Lower-case texts before the tokenizer reads them.
    prompts : mapping of str to str
        What is put in front of a text, by a name.
    default_prompt : str, optional
        The name of the prompt of texts for which none is asked.
    similarity : str
        'dot' or 'cosine'.

    Raises
    ------
    ValueError
        If a field is none of these.
    """

    pooling: str = 'max'
    activation: str = 'relu'
    max_length: Optional[int] = None
    lower: bool = False
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt: Optional[str] = None
    similarity: str = 'dot'

    def __post_init__(self):
        _check('pooling', self.pooling, SPARSE_POOLINGS)
        _check('activation', self.activation, SPARSE_ACTIVATIONS)
        _check('similarity', self.similarity, SPARSE_SIMILARITIES)

    def pool(self, scores: np.ndarray) -> np.ndarray:
        """Make the vector of a text: scores of all words (T, V) -> weights (V,), 0 or more."""
        if self.pooling == 'max':  # of which both functions keep the order
            scores = scores.max(axis=0)
        weights = np.log1p(np.maximum(scores, 0))
        if self.activation == 'log1p_relu':
            weights = np.log1p(weights)
        return weights if self.pooling == 'max' else weights.sum(axis=0)


@dataclass(frozen=True)
class TokenVectorSettings:
    """Settings of a model that makes a vector of each token, for late interaction: ColBERT.

    Parameters
    ----------
    modules : tuple of SentenceModule
        Steps from encodings to vectors of tokens; their lengths are then made 1.
    query_length, document_length : int, optional
        Tokens of the longest sequence, special tokens included; None for the model's longest.
    query_prefix, document_prefix : str
        A token of the vocabulary that follows the first one; '' for none.
    expand_queries : bool
        Fill queries up to ``query_length`` with mask tokens, whose vectors count.
    attend_to_expansion : bool
        Whether other tokens attend to these.
    skip_words : tuple of str
        Tokens of documents whose vectors do not count, such as punctuation.
    lower : bool
        Lower-case texts before the tokenizer reads them.

    Raises
    ------
    ValueError
        If queries are expanded to no length.
    """

    modules: Tuple[SentenceModule, ...] = ()
    query_length: Optional[int] = None
    document_length: Optional[int] = None
    query_prefix: str = ''
    document_prefix: str = ''
    expand_queries: bool = False
    attend_to_expansion: bool = False
    skip_words: Tuple[str, ...] = ()
    lower: bool = False

    def __post_init__(self):
        if self.expand_queries and self.query_length is None:
            raise ValueError('queries are expanded, but query_length is not given')

    def output_units(self, units: int) -> int:
        """Return the width of the vectors; ValueError if the modules do not fit the model."""
        for module in self.modules:
            units = module.output_units(units)
        return units
