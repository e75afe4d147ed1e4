"""Suggest the nearest allowed name when a name is unknown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Optional


def nearest(name: object, names: Iterable[object], cutoff: float = 0.5) -> Optional[str]:
    """Find the allowed name most like a given one, whatever its case.

    Parameters
    ----------
    name : object
        The name as it was given; only its first 100 characters are compared.
    names : iterable
        The allowed names.
    cutoff : float
        Similarity, from 0 to 1, below which no name counts as near; see
        :func:`difflib.get_close_matches`.

    Returns
    -------
    str or None
    """
    import difflib

    choices = {str(choice).lower(): str(choice) for choice in names}
    matches = difflib.get_close_matches(str(name)[:100].lower(), choices, n=1, cutoff=cutoff)
    return choices[matches[0]] if matches else None


def did_you_mean(name: object, names: Iterable[object], cutoff: float = 0.5) -> str:
    """Write the part of an error message that suggests the nearest name.

    Returns
    -------
    str
        Such as ``"; did you mean 'base'?"``; empty if no name is near.

    Examples
    --------
    >>> did_you_mean('Bsae', ['base', 'large'])
    "; did you mean 'base'?"
    >>> did_you_mean('xyz', ['base', 'large'])
    ''
    """
    match = nearest(name, names, cutoff)
    return '' if match is None else f'; did you mean {match!r}?'


def unknown_name(
    kind: str, name: object, allowed: Iterable[object], others: Iterable[object] = ()
) -> ValueError:
    """Make the error for a name that is not allowed, with the nearest allowed one.

    Parameters
    ----------
    kind : str
        Kind of the name, such as 'data set', or the argument that it was given for.
    name : object
    allowed : iterable
        The names to list; of many, the first 20.
    others : iterable
        Further allowed names, which may be suggested but are not listed.

    Returns
    -------
    ValueError

    Examples
    --------
    >>> unknown_name('colour', 'gren', ['red', 'green'])
    ValueError("colour 'gren' is unknown; did you mean 'green'? (allowed: red, green)")
    """
    name = str(name)[:80]
    choices = [str(choice) for choice in allowed]
    hint = did_you_mean(name, [*choices, *others])
    shown = choices[:20] + (['...'] if len(choices) > 20 else [])
    return ValueError(f'{kind} {name!r} is unknown{hint} (allowed: {", ".join(shown)})')
