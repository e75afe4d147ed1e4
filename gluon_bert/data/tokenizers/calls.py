"""The calls of a tokenizer: text to tokens and ids, and ids to tokens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, Optional, Union, overload

import numpy as np

from .batch import TextBatch, make_batch
from .encoding import Encoded, checked_ids, checked_list, checked_text, checked_texts, cover_removed

if TYPE_CHECKING:
    from .vocabulary import Vocabulary


class TokenizerCalls(ABC):
    """The part of a tokenizer that converts texts and ids, on top of ``_run_one``."""

    _vocab: Vocabulary
    _special: frozenset  # the tokens that decoding can leave out

    @overload
    def __call__(self, text: str) -> list[str]: ...

    @overload
    def __call__(self, text: list[str]) -> list[list[str]]: ...

    @overload
    def __call__(self, text: Any, pairs: Any = None, **options: Any) -> Any: ...

    def __call__(self, text: Any, pairs: Any = None, **options: Any) -> Any:
        """Tokenize a text or a list of texts.

        Parameters
        ----------
        text : str or iterable of str
        pairs, **options
            As for :meth:`batch`, which makes the result if one is given.

        Returns
        -------
        list of str, or list of list of str
            Of a text, or of each of several; with options, a :class:`TextBatch`.

        Raises
        ------
        TypeError
            If ``text`` is neither a str nor a list of str.
        """
        if pairs is not None or options:
            return self.batch(text, pairs, **options)
        if isinstance(text, str):
            return self._tokenize(checked_text(text))
        if isinstance(text, bytes) or not hasattr(text, '__iter__'):
            raise TypeError(f'text must be str or a list of str, got {type(text).__name__}')
        return [self._tokenize(item) for item in checked_texts(text, 'text')]

    def batch(
        self,
        texts: Iterable[str],
        pairs: Optional[Sequence[Optional[str]]] = None,
        *,
        padding: Union[bool, str] = True,
        truncation: Optional[bool] = None,
        max_length: Optional[int] = None,
    ) -> TextBatch:
        """Make the arrays that a network takes from texts or pairs of texts.

        The sequences are those of :class:`.SentenceTransform`, with the special tokens.

        Parameters
        ----------
        texts : iterable of str
        pairs : sequence of str or None, optional
            The second texts, as many as ``texts``; None among them for a single text.
        padding : bool or str
            True or 'longest': pad to the longest sequence. 'max_length': pad to ``max_length``.
            False: do not pad.
        truncation : bool, optional
            True: cut sequences longer than ``max_length``. False: refuse them. By default they
            are cut if ``max_length`` is given.
        max_length : int, optional
            The longest sequence in tokens, special tokens included. By default there is no limit.

        Returns
        -------
        TextBatch
            ``inputs``, ``token_types`` and ``valid_length``.

        Raises
        ------
        TypeError, ValueError
            If there is no text, one is no str, or an option is not as above or too small.
        """
        return make_batch(self, texts, pairs, padding, truncation, max_length)

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

        Raises
        ------
        TypeError
            If a token is no str.
        """
        if isinstance(tokens, str):
            return self._vocab[tokens]
        tokens = checked_list(tokens, 'tokens', 'str')
        for number, token in enumerate(tokens):
            if not isinstance(token, str):
                raise TypeError(f'tokens[{number}] must be str, got {type(token).__name__}')
        return self._vocab[tokens]

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
        TypeError, ValueError
            If an id is no whole number, or not in the vocabulary.
        """
        if isinstance(ids, Integral):
            return self.convert_ids_to_tokens([ids])[0]
        return self._tokens_of(ids)

    def decode(self, ids: Any, skip_special_tokens: bool = False) -> str:
        """Convert the ids of a sequence to text.

        What the tokenizer changed, such as capitals and white space, does not come back.

        Parameters
        ----------
        ids : iterable of int
            Or an array of NumPy or MXNet, of shape (T,).
        skip_special_tokens : bool
            Leave out the special tokens of the vocabulary, the unknown token among them, and the
            added tokens that are special.

        Returns
        -------
        str

        Raises
        ------
        TypeError, ValueError
            If ``ids`` is no sequence of whole numbers, or one is not in the vocabulary.
        """
        return self._decode(ids, skip_special_tokens)

    def decode_batch(self, sequences: Any, skip_special_tokens: bool = False) -> list[str]:
        """Convert the ids of several sequences to texts, as :meth:`decode` does one.

        Parameters
        ----------
        sequences : iterable of list of int
            Or an array of NumPy or MXNet, of shape (N, T).
        skip_special_tokens : bool

        Returns
        -------
        list of str
        """
        if hasattr(sequences, 'asnumpy'):
            sequences = sequences.asnumpy()
        if isinstance(sequences, np.ndarray):
            sequences = [*np.atleast_1d(sequences)]
        return [
            self._decode(ids, skip_special_tokens, f'sequences[{row}]')
            for row, ids in enumerate(checked_list(sequences, 'sequences', 'lists of ids'))
        ]

    def _decode(self, ids, skips_special, name='ids'):
        tokens = self._tokens_of(ids, name)
        if skips_special:
            tokens = [token for token in tokens if token not in self._special]
        return self._join(tokens)

    def _tokens_of(self, ids, name='ids'):
        idx_to_token = self._vocab.idx_to_token
        return [idx_to_token[number] for number in checked_ids(ids, len(idx_to_token), name)]

    @abstractmethod
    def _join(self, tokens):
        """Join tokens to a text."""

    def _tokenize(self, text):
        """List the tokens of a checked text."""
        return self._tokens(self._run_one(text))

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
