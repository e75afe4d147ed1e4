"""Approximate indexes of the vectors of a corpus: faiss and usearch, where they are installed.

Both build a graph of neighbours (HNSW; Malkov and Yashunin, 2018). It is kept in the folder of the
vectors, and extended when there are more of them.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .._internal.files import atomic_path
from .._internal.suggestions import unknown_name
from .corpus_vectors import CorpusVectors
from .search import unit_rows

EXACT = 'exact'
_BLOCK = 8192
_NEIGHBOURS = 32  # of a vector in the graph
_BUILD, _SEARCH = 128, 128  # candidates while the graph is built, and searched


class ApproximateIndex:
    """An index with the search of :class:`.CorpusVectors`.

    Parameters
    ----------
    library : object
        Of :data:`INDEXES`.
    index : object
        Of its package.
    """

    def __init__(self, library: Any, index: Any) -> None:
        self._library, self._index = library, index

    def __len__(self) -> int:
        return self._library.size(self._index)

    def search(self, queries: np.ndarray, k: int = 10) -> tuple[np.ndarray, np.ndarray]:
        """Find vectors that are among the most similar; -1 and minus infinity where none is found.

        The parameters and results are those of :meth:`.CorpusVectors.search`.
        """
        queries = np.asarray(queries, 'float32')
        if queries.ndim != 2 or k < 1:
            raise ValueError(
                f'queries of shape {queries.shape}, k={k}: expected (Q, C) and k from 1'
            )
        indices, scores = self._library.search(self._index, unit_rows(queries), min(k, len(self)))
        scores = np.where(indices < 0, -np.inf, scores)
        return indices.astype('int64'), scores.astype('float32')


class _Faiss:
    package, file = 'faiss', 'faiss.index'

    @staticmethod
    def make(faiss, units):
        index = faiss.IndexHNSWFlat(units, _NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
        faiss.ParameterSpace().set_index_parameter(index, 'efConstruction', _BUILD)
        return index

    @staticmethod
    def read(faiss, path):
        return faiss.read_index(str(path))

    @staticmethod
    def write(faiss, index, path):
        faiss.write_index(index, str(path))

    @staticmethod
    def size(index):
        return index.ntotal

    @staticmethod
    def units(index):
        return index.d

    @staticmethod
    def add(index, first, vectors):
        index.add(np.ascontiguousarray(vectors))

    @staticmethod
    def search(index, queries, k):
        space = importlib.import_module('faiss').ParameterSpace()
        space.set_index_parameter(index, 'efSearch', max(_SEARCH, 2 * k))
        scores, indices = index.search(queries, k)
        return indices, scores


class _Usearch:
    package, file = 'usearch.index', 'usearch.index'

    @staticmethod
    def make(usearch, units):
        return usearch.Index(
            ndim=units,
            metric='ip',
            dtype='f32',
            connectivity=_NEIGHBOURS,
            expansion_add=_BUILD,
            expansion_search=_SEARCH,
        )

    @staticmethod
    def read(usearch, path):
        return usearch.Index.restore(str(path))

    @staticmethod
    def write(usearch, index, path):
        index.save(str(path))

    @staticmethod
    def size(index):
        return len(index)

    @staticmethod
    def units(index):
        return index.ndim

    @staticmethod
    def add(index, first, vectors):
        index.add(np.arange(first, first + len(vectors)), vectors)

    @staticmethod
    def search(index, queries, k):
        matches = index.search(queries, k)
        keys, distances = np.atleast_2d(matches.keys), np.atleast_2d(matches.distances)
        indices = np.full((len(queries), k), -1, 'int64')
        scores = np.zeros(indices.shape, 'float32')
        indices[:, : keys.shape[1]], scores[:, : keys.shape[1]] = (
            keys.astype('int64'),
            1 - distances,
        )
        return indices, scores


INDEXES: Mapping[str, Any] = {'faiss': _Faiss, 'usearch': _Usearch}
"""Name, which is also that of the extra of this package -> its library."""


def open_index(name: str, vectors: CorpusVectors) -> Any:
    """Open the index of the vectors of a corpus, made or extended where vectors are missing.

    Parameters
    ----------
    name : str
        'exact', a key of :data:`INDEXES`.
    vectors : CorpusVectors
        Compared by the cosine.

    Returns
    -------
    CorpusVectors or ApproximateIndex

    Raises
    ------
    ValueError
        If there is no such index, its package is not installed, the vectors are not compared by the
        cosine, or its file is damaged.
    """
    if name == EXACT:
        return vectors
    if name not in INDEXES:
        raise unknown_name('index', name, (EXACT, *INDEXES))
    if vectors.similarity != 'cosine':
        raise ValueError(
            f'index={name!r}: is for the cosine, the model is for {vectors.similarity}'
        )
    library = INDEXES[name]
    try:
        package = importlib.import_module(library.package)
    except ImportError as error:
        raise ValueError(f"index={name!r}: pip install 'gluon_bert[{name}]' ({error})") from None
    path = vectors.folder / library.file
    index = _read(library, package, path, vectors) if path.exists() else None
    if index is None:
        index = library.make(package, vectors.units)
    count = library.size(index)
    if count < len(vectors):
        for begin in range(count, len(vectors), _BLOCK):
            library.add(index, begin, vectors.read(begin, begin + _BLOCK))
        with atomic_path(path) as temporary:
            library.write(package, index, temporary)
    return ApproximateIndex(library, index)


def _read(library, package, path: Path, vectors):
    try:
        index = library.read(package, path)
    except Exception as error:  # each package raises its own
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ValueError(f'{path}: is damaged ({reason}): remove it') from None
    if index is None or library.units(index) != vectors.units or library.size(index) > len(vectors):
        raise ValueError(f'{path}: is not of the vectors beside it: remove it')
    return index
