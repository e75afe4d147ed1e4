"""Named arrays that are read when they are asked for."""
from __future__ import annotations

from collections.abc import Mapping


class Arrays(Mapping):
    """Arrays by name, each made by a function of its own at the time it is asked for.

    Parameters
    ----------
    entries : mapping of str to (tuple of int, callable)
        Name -> (shape, function without arguments that gives the array).
    """

    def __init__(self, entries):
        self._entries = dict(entries)

    def __getitem__(self, name):
        return self._entries[name][1]()

    def __iter__(self):
        return iter(self._entries)

    def __len__(self):
        return len(self._entries)

    def __contains__(self, name):
        return name in self._entries

    def shape(self, name):
        """The shape of an array, without reading it."""
        return self._entries[name][0]


def shape_of(arrays, name):
    """The shape of one of named arrays, without reading it where that can be."""
    shape = getattr(arrays, 'shape', None)
    return tuple(shape(name)) if shape else tuple(arrays[name].shape)


def renamed(arrays, names):
    """The same arrays by other names; those that ``names`` does not list are left out.

    Parameters
    ----------
    arrays : mapping of str to numpy.ndarray
    names : mapping of str to str
        New name -> present name.

    Returns
    -------
    Arrays
    """
    return Arrays({new: (shape_of(arrays, old), lambda old=old: arrays[old])
                   for new, old in names.items()})
