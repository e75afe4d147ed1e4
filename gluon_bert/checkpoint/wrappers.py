"""Names of arrays as they stand inside a wrapper of the network, such as PyTorch's DataParallel."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Dict, Tuple

import numpy as np

from .arrays import NamedEntries, is_lazy, shape_of
from .tensor_file import join_names

logger = logging.getLogger(__name__)

# Parts of names that wrappers of single layers put in their middle.
_INNER = ('_orig_mod', '_fsdp_wrapped_module', '_checkpoint_wrapped_module')


class _Renamed(NamedEntries):
    """Lazy arrays by other names; ``_entries`` is new name -> present name."""

    def __init__(self, arrays: Any, names: Mapping[str, str]) -> None:
        self._arrays, self._entries = arrays, dict(names)

    def __getitem__(self, name):
        return self._arrays[self._entries[name]]

    def shape(self, name: str) -> Tuple[int, ...]:
        """Tell the shape of an array, without reading it."""
        return shape_of(self._arrays, self._entries[name])

    def dtype(self, name: str) -> str:
        """Name the type of an array, without reading it."""
        return self._arrays.dtype(self._entries[name])


def without_wrapper(
    arrays: Mapping[str, np.ndarray], anchor: str, prefixes: Iterable[str]
) -> Mapping[str, np.ndarray]:
    """Take off what wrappers have put in front of all names, or into them; the log says what.

    Parameters
    ----------
    arrays : mapping of str to numpy.ndarray
    anchor : str
        The end of the name of the word embedding.
    prefixes : iterable of str
        What is in front of the encoder's names in networks without a wrapper, such as 'bert.'.

    Returns
    -------
    mapping of str to numpy.ndarray
        The same object where there is nothing to take off.

    Raises
    ------
    ValueError
        If there are several networks, or two names would become one.
    """
    names: Dict[str, str] = {}
    fronts = {_plain(name)[: -len(anchor)] for name in arrays if _ends_with(_plain(name), anchor)}
    if len(fronts) > 1:
        raise ValueError(
            f'has several networks, whose names begin with '
            f'{join_names(sorted(front or "nothing" for front in fronts))}; only one can be read'
        )
    front = next(iter(fronts), '')
    inner = [prefix for prefix in prefixes if _ends_with(front, prefix)]
    wrapper = front[: len(front) - max(map(len, inner), default=0)]
    for name in arrays:
        plain = _plain(name)
        new = plain[len(wrapper) :] if plain.startswith(wrapper) else plain
        if new in names:
            raise ValueError(f'{names[new]!r} and {name!r} are both {new!r}')
        names[new] = name
    if all(new == name for new, name in names.items()):
        return arrays
    parts = [part for part in _INNER if any(part in name.split('.') for name in arrays)]
    logger.warning(
        'taken off the names of the arrays, as of a wrapper of the network: %s',
        join_names([*([wrapper] if wrapper else []), *parts]),
    )
    if not is_lazy(arrays):
        return {new: arrays[name] for new, name in names.items()}
    return _Renamed(arrays, names)


def _ends_with(name, end):
    """Tell if a name ends with whole parts."""
    return name == end or name.endswith('.' + end)


def _plain(name):
    return '.'.join(part for part in name.split('.') if part not in _INNER)
