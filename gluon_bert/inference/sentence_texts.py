"""Texts of a sentence encoder to sequences: cut, or in windows."""

from __future__ import annotations

import itertools
from typing import Any, Optional

import numpy as np

from ..data import Features, SentenceTransform
from ..data.tokenizers.base import SubwordTokenizer


class TextReader:
    """Converter of texts to sequences, one for each text or several windows of it.

    Parameters
    ----------
    tokenizer : SubwordTokenizer
    max_length : int
    long : str
        'cut' or 'windows'.
    """

    def __init__(self, tokenizer: SubwordTokenizer, max_length: int, long: str) -> None:
        self._tokenizer: Any = tokenizer
        self._transform, self._long = SentenceTransform(tokenizer, max_length), long

    def __call__(
        self, texts: list[str], pairs: Optional[list]
    ) -> tuple[list[Features], list[int], int]:
        """Return the sequences of texts, how many each text has, and how many texts were cut."""
        features, num_cut = self._transform.transform_batch(texts, pairs)
        if self._long == 'cut' or not num_cut:
            return features, [1] * len(features), num_cut
        groups, num_cut = [], 0
        for number, feature in enumerate(features):
            windows = [feature]
            if feature.valid_length == self._transform.max_length:
                if pairs is None or not pairs[number]:
                    windows = self._windows(texts[number])
                else:
                    num_cut += self._transform.transform_batch([texts[number]], [pairs[number]])[1]
            groups.append(windows)
        return (list(itertools.chain(*groups)), [len(windows) for windows in groups], num_cut)

    def _windows(self, text):
        vocab, room = self._tokenizer.vocabulary, self._transform.max_length - 2
        (ids,) = self._tokenizer.encode_ids([text])
        parts = np.array_split(np.array(ids, 'int32'), -(-len(ids) // room))
        begin, end = vocab[[vocab.cls_token, vocab.sep_token]]
        return [
            Features(
                np.array([begin, *part, end], 'int32'),
                np.zeros(len(part) + 2, 'int32'),
                len(part) + 2,
            )
            for part in parts
        ]
