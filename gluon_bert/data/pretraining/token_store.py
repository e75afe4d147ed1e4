"""Tokenized documents in files, of which one sentence at a time is in memory.

A file holds counts of tokens, sentences and documents (int64), the tokens (int32), the end of each
sentence in tokens (int64), and the end of each document in sentences (int64).
"""

from __future__ import annotations

import bisect
import functools
import itertools
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..._internal.files import atomic_path
from ..._internal.types import PathLike
from .corpus import Document

_HEADER = 24  # bytes
_OPEN_FILES = 128
_SENTENCES = 32  # read at once


def write_tokens(path: PathLike, documents: Iterable[Document]) -> tuple[int, int]:
    """Write documents; the file is complete or not there.

    Parameters
    ----------
    path : str or Path
    documents : iterable of documents

    Returns
    -------
    num_documents, num_tokens : int
    """
    total, sentences, ends = 0, [], []
    with atomic_path(path) as temporary, open(temporary, 'wb') as file:
        file.write(bytes(_HEADER))
        for document in documents:
            tokens = [token for sentence in document for token in sentence]
            file.write(np.array(tokens, '<i4').tobytes())
            sentences += [total + end for end in itertools.accumulate(map(len, document))]
            total += len(tokens)
            ends.append(len(sentences))
        for bounds in (sentences, ends):
            file.write(np.array(bounds, '<i8').tobytes())
        file.seek(0)
        file.write(np.array([total, len(sentences), len(ends)], '<i8').tobytes())
    return len(ends), total


def count_documents(path: PathLike) -> tuple[int, int]:
    """Read the numbers of documents and tokens of a file that :func:`write_tokens` wrote."""
    tokens, _, documents = np.fromfile(path, '<i8', 3).tolist()
    return documents, tokens


class TokenStore(Sequence):
    """The documents of several files, each a sequence of sentences that are read when asked for.

    Parameters
    ----------
    paths : sequence of str or Path
    """

    def __init__(self, paths: Sequence[PathLike]) -> None:
        self._paths = list(paths)
        self._ends = [*itertools.accumulate(count_documents(path)[0] for path in self._paths)]
        self._open = functools.lru_cache(_OPEN_FILES)(lambda number: _Part(self._paths[number]))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, number: Any) -> _StoredDocument:
        if not 0 <= number < len(self):
            raise IndexError(number)
        file = bisect.bisect(self._ends, number)
        return _StoredDocument(self._open(file), number - (self._ends[file - 1] if file else 0))


class _Part:
    """An open file; closed when nothing refers to it."""

    def __init__(self, path):
        self._handle = os.open(path, os.O_RDONLY)
        tokens, sentences, _ = self.read(0, '<i8', 3)
        self.sentence_ends = _HEADER + 4 * tokens
        self.document_ends = self.sentence_ends + 8 * sentences

    def __del__(self):
        os.close(self._handle)

    def read(self, offset, kind, count):
        size = count * int(kind[-1])
        return np.frombuffer(os.pread(self._handle, size, offset), kind).tolist()

    def bounds(self, table, first, count):
        """``count`` + 1 bounds of a table of ends, of which the first begins at 0."""
        if first:
            return self.read(table + 8 * (first - 1), '<i8', count + 1)
        return [0, *self.read(table, '<i8', count)]


class _StoredDocument(Sequence):
    """The sentences of a document."""

    def __init__(self, part, number):
        self._part = part
        self._first, end = part.bounds(part.document_ends, number, 1)
        self._length = end - self._first
        self._run = (0, [0], [])  # number of its first sentence, bounds of sentences, tokens

    def __len__(self):
        return self._length

    def __getitem__(self, number):
        if not 0 <= number < self._length:
            raise IndexError(number)
        first, bounds, tokens = self._run
        if not first <= number < first + len(bounds) - 1:
            first, count = number, min(_SENTENCES, self._length - number)
            bounds = self._part.bounds(self._part.sentence_ends, self._first + first, count)
            tokens = self._part.read(_HEADER + 4 * bounds[0], '<i4', bounds[-1] - bounds[0])
            self._run = first, bounds, tokens
        start, end = bounds[number - first : number - first + 2]
        return tokens[start - bounds[0] : end - bounds[0]]
