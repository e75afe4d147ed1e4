"""List the tags of a network and the transitions allowed between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from .schemes import OUTSIDE, get_scheme, join_tag, split_tag


def tag_names(kinds: Iterable[str], scheme: str) -> list[str]:
    """List all tags of some types of entity, 'O' first; in the scheme PLAIN these are the tags.

    Examples
    --------
    >>> tag_names(['person'], 'IOB2'), tag_names([''], 'IOB2'), tag_names(['NOUN'], 'PLAIN')
    (['O', 'B-person', 'I-person'], ['O', 'B', 'I'], ['NOUN'])
    """
    row = get_scheme(scheme)
    if not row.has_spans:
        return list(kinds)
    return [OUTSIDE, *(join_tag(letter, kind) for kind in kinds for letter in row.letters)]


class Transitions(NamedTuple):
    """Transitions allowed between K tags: bool arrays, see :func:`valid_transitions`."""

    between: np.ndarray
    begin: np.ndarray
    end: np.ndarray


def valid_transitions(tags: Sequence[str], scheme: str) -> Transitions:
    """Compute which tag may follow which.

    Parameters
    ----------
    tags : sequence of str
        K different tags, as from :func:`tag_names`.
    scheme : str

    Returns
    -------
    Transitions
        ``between``, shape (K, K), is True if the second tag may follow the first; ``begin`` and
        ``end``, shape (K,), if a sentence may begin or end with the tag.

    Examples
    --------
    >>> valid_transitions(['O', 'B-x', 'I-x'], 'IOB2').between.tolist()
    [[True, True, False], [True, True, True], [True, True, True]]
    """
    row = get_scheme(scheme)
    if not row.has_spans:
        anything = np.ones(len(tags), bool)
        return Transitions(np.outer(anything, anything), anything, anything)
    parts = [split_tag(tag) for tag in tags]
    nothing = (OUTSIDE, '')
    between = [[_may_follow(first, second, row) for second in parts] for first in parts]
    return Transitions(
        np.array(between),
        np.array([_may_follow(nothing, part, row) for part in parts]),
        np.array([_may_follow(part, nothing, row) for part in parts]),
    )


def _may_follow(first, second, scheme):
    same = first[1] == second[1]
    if scheme.name == 'IOB1':
        return second[0] != scheme.begin or (first[0] != OUTSIDE and same)
    goes_on = second[0] in (scheme.inside, scheme.end)
    is_open = first[0] in (scheme.begin, scheme.inside)
    if goes_on:
        return is_open and same
    return not (is_open and scheme.end)
