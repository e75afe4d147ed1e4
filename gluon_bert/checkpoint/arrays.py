"""Named arrays that are read when they are asked for."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from typing import Any, Tuple

import numpy as np

_MAPPED = 1 << 18  # bytes; each mapping holds an open file, of which there may be 1024


class NamedEntries(Mapping):
    """Base of the mappings of names to arrays; a subclass fills ``_entries``."""

    _entries: Mapping[str, Any]

    def __iter__(self):
        return iter(self._entries)

    def __len__(self):
        return len(self._entries)

    def __contains__(self, name):
        return name in self._entries


class Arrays(NamedEntries):
    """Arrays by name, each made by a function when it is asked for.

    Parameters
    ----------
    entries : mapping of str to (tuple of int, callable)
        Name -> (shape, function without arguments that gives a new array, which nobody else
        holds).
    """

    def __init__(self, entries: Mapping[str, Any]) -> None:
        self._entries = dict(entries)

    def __getitem__(self, name):
        return self._entries[name][1]()

    def shape(self, name: str) -> Tuple[int, ...]:
        """Tell the shape of an array, without reading it."""
        return self._entries[name][0]


def mapped(file: Any, offset: int, dtype: np.dtype, count: int) -> np.ndarray:
    """Map an array of a file; a large one is in memory once it is touched.

    Parameters
    ----------
    file : file object
        Open for reading; large enough, as the caller has checked.
    offset : int
        Byte of the first value.
    dtype : numpy.dtype
    count : int

    Returns
    -------
    numpy.ndarray, shape (count,)
        The caller's to change: what is written into it does not get into the file.
    """
    if count * dtype.itemsize < _MAPPED:
        array = np.empty(count, dtype)
        file.seek(offset)
        if file.readinto(array.view(np.uint8)) != array.nbytes:
            raise ValueError(f'{file.name}: was cut short while it was read')
        return array
    skipped = offset % mmap.ALLOCATIONGRANULARITY
    pages = mmap.mmap(
        file.fileno(),
        skipped + count * dtype.itemsize,
        access=mmap.ACCESS_COPY,
        offset=offset - skipped,
    )
    return np.frombuffer(pages, dtype, count, skipped)


def shape_of(arrays: Mapping[str, np.ndarray], name: str) -> Tuple[int, ...]:
    """Tell the shape of one of named arrays, without reading it where that can be."""
    shape = getattr(arrays, 'shape', None)  # of a lazy mapping
    return tuple(shape(name) if callable(shape) else arrays[name].shape)


def is_lazy(arrays: Mapping[str, np.ndarray]) -> bool:
    """Tell whether a mapping makes a new array at each access, as one of files does."""
    return callable(getattr(arrays, 'shape', None))


def with_names(arrays: Mapping[str, np.ndarray], names: Mapping[str, str]) -> Arrays:
    """Give arrays other names; those that ``names`` does not list are left out.

    Parameters
    ----------
    arrays : mapping of str to numpy.ndarray
    names : mapping of str to str
        New name -> present name.

    Returns
    -------
    Arrays
    """
    new_each_time = is_lazy(arrays)

    def read(name):
        return arrays[name] if new_each_time else arrays[name].copy()

    return Arrays(
        {new: (shape_of(arrays, old), lambda old=old: read(old)) for new, old in names.items()}
    )


def with_arrays(arrays: Mapping[str, np.ndarray], changes: Mapping[str, Any]) -> Arrays:
    """Replace some of the arrays, in the same order.

    Parameters
    ----------
    arrays : mapping of str to numpy.ndarray
    changes : mapping of str to (tuple of int, callable), or to None
        Name -> what :class:`Arrays` takes; None leaves the array out.

    Returns
    -------
    Arrays
    """
    same = with_names(arrays, {name: name for name in arrays})
    entries = {name: (same.shape(name), lambda name=name: same[name]) for name in same}
    return Arrays({name: entry for name, entry in {**entries, **changes}.items() if entry})
