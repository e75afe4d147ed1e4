"""Files of vectors of texts: a block at a time, and files of parts joined to one."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np

from .._internal.types import PathLike

FORMS = ('npy', 'npz', 'jsonl', 'tsv')
ARRAYS = ('npy', 'npz')  # the forms that have no texts

_HEADER = 128  # bytes, as NumPy writes it for any length


def write_vectors(
    path: PathLike, form: str, blocks: Iterable[tuple[Sequence[str], np.ndarray]], units: int
) -> int:
    """Write the vectors of texts as they come.

    Parameters
    ----------
    path : str or Path
    form : str
        One of ``FORMS`` but npz.
    blocks : iterable of (texts, vectors)
        Vectors of shape (texts, C).
    units : int
        C.

    Returns
    -------
    int
        The number of vectors.
    """
    count = 0
    with open(path, 'wb') as file:
        if form not in ARRAYS:
            for texts, vectors in blocks:
                file.writelines(line.encode() for line in vector_lines(texts, vectors, form))
                count += len(vectors)
            return count
        file.write(bytes(_HEADER))
        for _, vectors in blocks:
            file.write(np.ascontiguousarray(vectors, 'float32').data)
            count += len(vectors)
        file.seek(0)
        _write_header(file, count, units)
    return count


def join_vectors(paths: Sequence[PathLike], target: PathLike, form: str) -> None:
    """Join files of :func:`write_vectors` in their order; those of an .npz are .npy files.

    Parameters
    ----------
    paths : sequence of str or Path
    target : str or Path
    form : str
        Of the joined file.
    """
    with open(target, 'wb') as file:
        if form == 'npz':
            with (
                zipfile.ZipFile(file, 'w') as archive,
                archive.open('vectors.npy', 'w', force_zip64=True) as member,
            ):
                _join_arrays(paths, member)
        elif form == 'npy':
            _join_arrays(paths, file)
        else:
            for path in paths:
                with open(path, 'rb') as part:
                    shutil.copyfileobj(part, file)


def vector_lines(texts: Sequence[str], vectors: np.ndarray, form: str) -> Iterator[str]:
    """Write vectors as lines: 'tsv', numbers alone, or 'jsonl', objects with text and vector."""
    for text, row in zip(texts, vectors.tolist()):
        numbers = [f'{value:.9g}' for value in row]
        if form == 'tsv':
            yield '\t'.join(numbers) + '\n'
        else:
            yield f'{{"text": {json.dumps(text)}, "vector": [{", ".join(numbers)}]}}\n'


def _join_arrays(paths, file):
    shapes = []
    for path in paths:
        with open(path, 'rb') as part:
            shapes.append(_read_header(part))
    _write_header(file, sum(count for count, _ in shapes), shapes[0][1])
    for path in paths:
        with open(path, 'rb') as part:
            _read_header(part)
            shutil.copyfileobj(part, file)


def _read_header(file: Any) -> tuple[int, int]:
    np.lib.format.read_magic(file)
    return np.lib.format.read_array_header_1_0(file)[0]


def _write_header(file: BinaryIO, count: int, units: int) -> None:
    np.lib.format.write_array_header_1_0(
        file, {'descr': '<f4', 'fortran_order': False, 'shape': (count, units)}
    )
