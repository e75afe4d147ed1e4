"""The nearest of the names there are."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, names: Iterable[str], cutoff: float = 0.5) -> str:
    """Suggest the nearest name.

    Parameters
    ----------
    name : str
        That is none of ``names``.
    names : iterable of str
    cutoff : float
        Least likeness, in [0, 1].

    Returns
    -------
    str
        "; did you mean 'x'?", or '' where none is near.
    """
    near = difflib.get_close_matches(str(name), list(names), n=1, cutoff=cutoff)
    return f'; did you mean {near[0]!r}?' if near else ''
