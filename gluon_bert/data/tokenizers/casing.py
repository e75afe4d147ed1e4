"""Decide from a vocabulary whether its text was lower-cased, where no file states it."""

from __future__ import annotations

import logging
import unicodedata
from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    from gluonnlp.vocab import BERTVocab

    from .vocabulary import Vocabulary

logger = logging.getLogger(__name__)

# Published cased vocabularies have capitals in 23 % (multilingual) to 31 % (English) of the tokens
# that have letters with case, uncased and Chinese ones in none. Users replace [unused...] tokens by
# up to a thousand of their own, 4 %.
_MIN_CAPITALS = 0.05
_SURE_CAPITALS = 0.15
# Published vocabularies of text without accents have no token with one.
_MIN_ACCENTS = 0.01


def looks_lowercase(vocab: Union[Vocabulary, BERTVocab]) -> bool:
    """Tell if a vocabulary seems made of lower-cased text, and log the decision.

    Parameters
    ----------
    vocab : Vocabulary or gluonnlp.vocab.BERTVocab

    Returns
    -------
    bool
        True if less than 5 % of the tokens that have letters with case have a capital one. Tokens
        in [] and <> do not count. The log has it as a warning if capitals are rare but present.

    Examples
    --------
    >>> from gluon_bert.data import Vocabulary
    >>> looks_lowercase(Vocabulary(['[UNK]', 'berlin'], {'unknown_token': '[UNK]'}))
    True
    """
    with_case = _words_with_case(vocab.idx_to_token)
    capitals = [token for token in with_case if token != token.lower()]
    lower = len(capitals) < _MIN_CAPITALS * len(with_case) or not capitals
    in_doubt = capitals and len(capitals) < _SURE_CAPITALS * len(with_case)
    logger.log(
        logging.WARNING if in_doubt else logging.INFO,
        'no file states whether text is lower-cased: it is%s, since %d of %d tokens with letters '
        'have capitals%s',
        '' if lower else ' not',
        len(capitals),
        len(with_case),
        f', such as {capitals[0][:40]!r}; state do_lower_case in tokenizer_config.json'
        if in_doubt
        else '',
    )
    return lower


def has_accents(vocab: Union[Vocabulary, BERTVocab]) -> bool:
    """Tell if a vocabulary seems made of text that kept its accents.

    Parameters
    ----------
    vocab : Vocabulary or gluonnlp.vocab.BERTVocab

    Returns
    -------
    bool
        True if 1 % or more of the tokens that have letters with case have an accent.
    """
    others = [token for token in vocab.idx_to_token if not token.isascii()]
    accents = sum(
        any(unicodedata.category(char) == 'Mn' for char in unicodedata.normalize('NFD', token))
        for token in _words_with_case(others)
    )
    # Most vocabularies have none: the other tokens need not be counted.
    return accents > 0 and accents >= _MIN_ACCENTS * len(_words_with_case(vocab.idx_to_token))


def _words_with_case(tokens):
    """List the tokens that have letters with case, without those in [] and <>."""
    return [
        token
        for token in tokens
        if token[:1] + token[-1:] not in ('[]', '<>') and token.lower() != token.upper()
    ]
