"""The calls of a tokenizer: text to tokens and ids, and ids to tokens."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .encoding import Encoded, checked_text, checked_texts, cover_removed

if TYPE_CHECKING:
    from gluonnlp.vocab import BERTVocab


class TokenizerCalls(ABC):
    """The part of a tokenizer that converts texts and ids, on top of ``_run_one``."""

    _vocab: BERTVocab

    def __call__(self, text: str) -> list[str]:
        """Tokenize a text; return a list of str."""
        return self._tokens(self._run_one(checked_text(text)))

    def encode(self, text: str) -> Encoded:
        """Tokenize a text with ids and offsets.

        Parameters
        ----------
        text : str

        Returns
        -------
        Encoded

        Raises
        ------
        TypeError
            If ``text`` is not a str.
        """
        text = checked_text(text)
        return self._encoded(text, self._run_one(text))

    def encode_batch(self, texts: Iterable[str]) -> list[Encoded]:
        """Tokenize many texts at once, as :meth:`encode` does one.

        Parameters
        ----------
        texts : iterable of str

        Returns
        -------
        list of Encoded
        """
        texts = checked_texts(texts)
        return [self._encoded(text, encoding) for text, encoding in zip(texts, self._run(texts))]

    def encode_ids(self, texts: Iterable[str]) -> list[list[int]]:
        """Compute only the ids of many texts, faster than :meth:`encode_batch`.

        Parameters
        ----------
        texts : iterable of str

        Returns
        -------
        list of list of int
        """
        return [self._ids(encoding) for encoding in self._run_for_ids(checked_texts(texts))]

    def convert_tokens_to_ids(self, tokens: Any) -> Any:
        """Look up the id of a token, or the ids of a list of tokens.

        Parameters
        ----------
        tokens : str or list of str

        Returns
        -------
        int or list of int
            The unknown token's id for tokens that the vocabulary lacks.
        """
        return self._vocab[tokens if isinstance(tokens, str) else list(tokens)]

    def convert_ids_to_tokens(self, ids: Any) -> Any:
        """Look up the token of an id, or the tokens of a list or array of ids.

        Parameters
        ----------
        ids : int or iterable of int

        Returns
        -------
        str or list of str

        Raises
        ------
        ValueError
            If an id is not in the vocabulary.
        """
        if not hasattr(ids, '__iter__'):
            return self.convert_ids_to_tokens([ids])[0]
        numbers = [operator.index(number) for number in ids]
        for number in numbers:
            if not 0 <= number < len(self._vocab):
                raise ValueError(
                    f'id {number} is not in the vocabulary, '
                    f'which has ids from 0 to {len(self._vocab) - 1}'
                )
        return [self._vocab.idx_to_token[number] for number in numbers]

    @abstractmethod
    def _run_one(self, text):
        """Tokenize one checked text into an object with tokens, ids and offsets."""

    def _run(self, texts):
        """Tokenize a list of checked texts."""
        return [self._run_one(text) for text in texts]

    def _run_for_ids(self, texts):
        """Tokenize a list of checked texts where offsets are not needed."""
        return self._run(texts)

    def _ids(self, encoding):
        return encoding.ids

    def _encoded(self, text, encoding):
        offsets = cover_removed(text, encoding.offsets)
        return Encoded(self._tokens(encoding), self._ids(encoding), offsets)

    def _tokens(self, encoding):
        return encoding.tokens
