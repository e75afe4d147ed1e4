"""Vectors of a corpus in a folder: memory-mapped, extended at the end, in any of some types.

``index.json`` says how many vectors there are and what they were made of; each part of them is a
file of rows. New rows are written behind those that it counts, and count when it is replaced: an
addition that is interrupted changes nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

import numpy as np

from .._internal.cpu import default_threads
from .._internal.files import new_folder, write_text
from .._internal.json import read_object
from .._internal.suggestions import unknown_name
from .._internal.types import PathLike
from ..kernels.vectors import hamming_distances
from .search import no_results, score_block, search_blocks, unit_rows
from .vector_types import VECTOR_TYPES, sign_codes

INDEX_FILE = 'index.json'
VERSION = 1
RESCORE = 10  # candidates by binary codes for each result
_BLOCK = 8192  # vectors that are decoded at once
_MAX_UNITS = 1 << 16
_SIMILARITIES = ('cosine', 'dot')


class CorpusVectors:
    """Vectors of a corpus in a folder.

    :meth:`create` makes a folder, this opens one. Vectors stay on the disk until a search reads
    them.

    Parameters
    ----------
    folder : str or Path

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or a file is absent.
    ValueError
        If it is damaged, truncated, or of a newer version.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> place = tempfile.TemporaryDirectory()
    >>> vectors = CorpusVectors.create(pathlib.Path(place.name, 'vectors'), units=2, type='int8')
    >>> vectors.append(np.array([[0.0, 1.0], [3.0, 3.0], [2.0, 0.0]]))
    >>> indices, scores = vectors.search(np.array([[1.0, 0.0]]), k=2)
    >>> indices.tolist(), scores.round(2).tolist()
    ([[2, 1]], [[1.0, 0.7099999785423279]])
    >>> place.cleanup()
    """

    def __init__(self, folder: PathLike) -> None:
        self.folder = Path(folder)
        if not (self.folder / INDEX_FILE).is_file():
            raise FileNotFoundError(f'{self.folder}: has no {INDEX_FILE}: no vectors of a corpus')
        self._read()

    @classmethod
    def create(
        cls,
        folder: PathLike,
        units: int,
        type: str = 'float32',
        similarity: str = 'cosine',
        made_by: Optional[Mapping[str, Any]] = None,
    ) -> CorpusVectors:
        """Make a folder without vectors.

        Parameters
        ----------
        folder : str or Path
            It appears when it is whole.
        units : int
            Numbers of a vector.
        type : str
            'float32', 'float16', 'int8' or 'binary'.
        similarity : str
            'cosine', for which vectors are scaled to length 1, or 'dot'.
        made_by : mapping of str to object, optional
            What the vectors are made by, for JSON; kept as :attr:`made_by`.

        Returns
        -------
        CorpusVectors

        Raises
        ------
        FileExistsError
            If the folder is there already and not empty.
        ValueError
            If an argument is none of these.
        """
        if type not in VECTOR_TYPES:
            raise unknown_name('type', type, VECTOR_TYPES)
        if similarity not in _SIMILARITIES:
            raise unknown_name('similarity', similarity, _SIMILARITIES)
        if not 1 <= units <= _MAX_UNITS:
            raise ValueError(f'units={units}: expected 1 to {_MAX_UNITS}')
        content = {'version': VERSION, 'type': type, 'units': units, 'similarity': similarity}
        content.update(count=0, made_by=dict(made_by or {}), corpus={})
        with new_folder(folder) as whole:
            for part in VECTOR_TYPES[type].parts:
                (whole / f'{part}.bin').touch()
            write_text(whole / INDEX_FILE, json.dumps(content) + '\n')
        return cls(folder)

    def __len__(self) -> int:
        return self._count

    @property
    def type(self) -> str:
        """The name of the type of its vectors."""
        return self._type.name

    @property
    def corpus(self) -> dict[str, Any]:
        """The description of the corpus that the last :meth:`append` got."""
        return dict(self._content['corpus'])

    @property
    def made_by(self) -> dict[str, Any]:
        """The description of the model that makes its vectors."""
        return dict(self._content['made_by'])

    @property
    def num_bytes(self) -> int:
        """The bytes of all vectors."""
        return self._count * self._type.row_bytes(self.units)

    def append(self, vectors: Any, corpus: Optional[Mapping[str, Any]] = None) -> None:
        """Add vectors at the end: all of them, or none if it fails.

        Parameters
        ----------
        vectors : numpy.ndarray, shape (N, C), or iterable of such blocks
        corpus : mapping of str to object, optional
            What the corpus is now, for JSON; kept as :attr:`corpus`.

        Raises
        ------
        ValueError
            If a block has another shape or a number that is not finite, or another process is
            adding vectors.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self.folder / '.lock')
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise ValueError(f'{self.folder}: another process is adding vectors') from None
        with lock:
            self._read()  # another process may have added some
            blocks = [vectors] if isinstance(vectors, np.ndarray) else vectors
            added = self._write(blocks)
            content = {**self._content, 'count': self._count + added}
            if corpus is not None:
                content['corpus'] = dict(corpus)
            write_text(self.folder / INDEX_FILE, json.dumps(content) + '\n')
            self._read()

    def read(self, begin: int = 0, end: Optional[int] = None) -> np.ndarray:
        """Decode some of the vectors: float32, (N, C)."""
        parts = {name: part[begin:end] for name, part in self._parts.items()}
        return self._type.decode(parts, default_threads())

    def search(
        self, queries: np.ndarray, k: int = 10, rescore: int = RESCORE
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the vectors most similar to each query.

        Parameters
        ----------
        queries : numpy.ndarray, shape (Q, C)
        k : int
            Vectors to find; all of them if there are fewer.
        rescore : int
            Of binary vectors: ``k * rescore`` are found by their codes, and scored by int8.

        Returns
        -------
        indices : numpy.ndarray, int64, shape (Q, k)
        scores : numpy.ndarray, float32, shape (Q, k)
            As of :func:`.similarity_search`.

        Raises
        ------
        ValueError
            If the shapes do not fit, or ``k`` or ``rescore`` is below 1.
        """
        queries = np.asarray(queries, 'float32')
        if queries.ndim != 2 or queries.shape[1] != self.units:
            raise ValueError(f'queries of shape {queries.shape}: expected (queries, {self.units})')
        if k < 1 or rescore < 1:
            raise ValueError(f'k={k}, rescore={rescore}: expected 1 or more')
        if self.similarity == 'cosine':
            queries = unit_rows(queries)
        if self._type.has_codes:
            return self._search_codes(queries, k, rescore)
        blocks = (self.read(begin, begin + _BLOCK) for begin in range(0, len(self), _BLOCK))
        return search_blocks(queries, blocks, k)

    def _search_codes(self, queries, k, rescore):
        """Find candidates by their codes, and score these by their vectors."""
        distances = hamming_distances(sign_codes(queries), self._parts['codes'], default_threads())
        size, results = min(k * rescore, len(self)), no_results(len(queries))
        if not size:
            return results
        rows = []
        for query, distance in zip(queries, distances):
            chosen = np.sort(np.argpartition(distance, size - 1)[:size])
            parts = {name: part[chosen] for name, part in self._parts.items()}
            vectors = self._type.decode(parts, default_threads())
            indices, scores = score_block(query[None], vectors, k)
            rows.append((chosen[indices], scores))
        return tuple(np.concatenate(part) for part in zip(*rows)) if rows else results

    def _read(self):
        path = self.folder / INDEX_FILE
        content = read_object(path)
        if content.get('version') != VERSION:
            raise ValueError(
                f'{path}: version is {reprlib.repr(content.get("version"))}: expected {VERSION}'
            )
        for key, allowed in (('type', tuple(VECTOR_TYPES)), ('similarity', _SIMILARITIES)):
            if content.get(key) not in allowed:
                raise ValueError(
                    f'{path}: {key} is {reprlib.repr(content.get(key))}: expected one of '
                    f'{", ".join(allowed)}'
                )
        for key, least, most in (('units', 1, _MAX_UNITS), ('count', 0, 2**40)):
            value = content.get(key)
            if type(value) is not int or not least <= value <= most:
                raise ValueError(f'{path}: {key} is {reprlib.repr(value)}: expected a whole number')
        for key in ('made_by', 'corpus'):
            if not isinstance(content.get(key), dict):
                raise ValueError(f'{path}: {key}: expected an object')
        self._content, self._count, self.units = content, content['count'], content['units']
        self._type, self.similarity = VECTOR_TYPES[content['type']], content['similarity']
        self._parts = {name: self._map(name, *row) for name, row in self._type.parts.items()}

    def _map(self, name, kind, size):
        """A part of the vectors, read from the disk when it is used."""
        path, shape = self.folder / f'{name}.bin', (self._count, size(self.units))
        wanted = int(np.prod(shape)) * np.dtype(kind).itemsize
        if not path.is_file():
            raise FileNotFoundError(f'{path}: no such file')
        if path.stat().st_size < wanted:
            raise ValueError(
                f'{path}: has {path.stat().st_size} bytes, {self._count} vectors of {self.units} '
                f'units have {wanted}: it is truncated'
            )
        if not self._count:
            return np.zeros(shape, kind)
        return np.memmap(path, kind, 'r', shape=shape)

    def _write(self, blocks):
        """Write rows behind the ones that count; return how many."""
        added, files = 0, {}
        with contextlib.ExitStack() as stack:
            for name, (kind, size) in self._type.parts.items():
                files[name] = stack.enter_context(open(self.folder / f'{name}.bin', 'r+b'))
                row_bytes = size(self.units) * np.dtype(kind).itemsize
                files[name].truncate(self._count * row_bytes)  # what an interruption left
                files[name].seek(0, os.SEEK_END)
            for block in blocks:
                for name, rows in self._encode(block, added).items():
                    files[name].write(np.ascontiguousarray(rows, self._type.parts[name][0]))
                added += len(block)
            for file in files.values():
                file.flush()
                os.fsync(file.fileno())
        return added

    def _encode(self, block, first):
        vectors = np.asarray(block, 'float32')
        if vectors.ndim != 2 or vectors.shape[1] != self.units:
            raise ValueError(
                f'{self.folder}: has vectors of {self.units} units, got shape {vectors.shape}'
            )
        wrong = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if len(wrong):
            raise ValueError(
                f'vector {first + int(wrong[0])} to add has a number that is not finite'
            )
        if self.similarity == 'cosine':
            vectors = unit_rows(vectors)
        return self._type.encode(vectors)
