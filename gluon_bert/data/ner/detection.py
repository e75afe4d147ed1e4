"""Detect the scheme of a file from its tags, and check each tag by itself."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Optional

from .conllu import EMPTY
from .schemes import OUTSIDE, PLAIN, SCHEMES, SPAN_LETTERS, split_tag, tag_problems

MAX_TAGS = 200  # more are the words or lemmas of a wrong column rather than tags
# Tags of entities in another spelling: 'b-person', 'B_person', 'o'.
_LIKE_SPANS = re.compile('[oO0]|[bimelsuBIMELSU][-_].*', re.DOTALL)
_CURE = f'with the scheme {PLAIN}, each tag is a class of its own'

logger = logging.getLogger(__name__)


def is_span_tag(tag: str) -> bool:
    """Tell if a tag can be of an entity or outside of all."""
    try:
        split_tag(tag)
    except ValueError:
        return False
    return True


def are_plain(tags: Iterable[str]) -> bool:
    """Tell if tags are of the scheme PLAIN: not all can be of entities, and none surely is.

    Nor may one look like a tag of an entity in another spelling.

    Examples
    --------
    >>> are_plain(['NOUN', 'S']), are_plain(['B', 'S']), are_plain(['NOUN', 'O'])
    (True, False, False)
    >>> are_plain(['b-person', 'o']), are_plain(['B_person'])
    (False, False)
    """
    others = [tag for tag in set(tags) if tag not in SPAN_LETTERS]
    return bool(others) and not any(map(_is_like_span_tag, others))


def detect_scheme(sentences: Iterable[Sequence[str]]) -> str:
    """Detect the scheme of a file from its tags.

    Parameters
    ----------
    sentences : iterable of sequence of str
        The tags of each sentence.

    Returns
    -------
    str
        Of IOB1 and IOB2, which have the same letters, the one that fewer tags violate; IOB2 if
        both fit. PLAIN if not all tags can be of entities, and none is 'O' or has a type.

    Raises
    ------
    ValueError
        If no scheme has all of the letters, or a tag does not go with the others.

    Examples
    --------
    >>> detect_scheme([['B-x', 'M-x', 'E-x', 'O']]), detect_scheme([['O', 'I-x', 'B-x']])
    ('BMES', 'IOB1')
    """
    sentences = [list(tags) for tags in sentences]
    if are_plain({tag for tags in sentences for tag in tags}):
        return PLAIN
    letters = Counter(split_tag(tag)[0] for tags in sentences for tag in tags) - Counter()
    letters.pop(OUTSIDE, None)
    fitting = [name for name, scheme in SCHEMES.items() if set(letters) <= set(scheme.letters)]
    if not fitting:
        raise ValueError(
            f'the tags begin with {", ".join(sorted(letters))}: no scheme has all of '
            f'these letters (allowed: {_known_letters()})'
        )
    if 'IOB2' not in fitting:
        # Tags fit both BMES and BIOES only without M and I, where the two agree.
        return fitting[0]
    wrong = _count_problems(sentences, 'IOB2')
    return 'IOB1' if wrong and _count_problems(sentences, 'IOB1') < wrong else 'IOB2'


def check_single_tags(
    path: str, numbered: Sequence[tuple[int, str]], scheme: Optional[str]
) -> Optional[str]:
    """Check each tag of a file without its neighbours.

    Parameters
    ----------
    path : str
    numbered : sequence of (int, str)
        Line and tag of each word.
    scheme : str, optional
        Row of ``SCHEMES``, if it is known.

    Returns
    -------
    str or None
        PLAIN if the tags are no tags of entities, which is logged; else ``scheme``.

    Raises
    ------
    ValueError
        If a tag is none, or tags of entities and others, or with and without a type, are mixed.
    """
    tags = {tag for _, tag in numbered}
    if scheme is None and are_plain(tags):
        _check_column(path, tags, len(numbered))
        logger.info(
            '%s: its %d tags, such as %s, are not those of entities: each is a class of its own '
            '(%s)',
            path,
            len(tags),
            _some(tags),
            PLAIN,
        )
        scheme = PLAIN
    if scheme == PLAIN:
        for number, tag in numbered:
            if not tag or any(character.isspace() for character in tag):
                raise ValueError(
                    f'{path}:{number}: {tag[:80]!r} is not a tag: expected one without white space'
                )
        return scheme
    _check_span_tags(path, numbered, tags, detects=scheme is None)
    if scheme is None and tags & SPAN_LETTERS:
        logger.info('%s: its tags have no type: all entities are of one, without a name', path)
    return scheme


def _check_span_tags(path, numbered, tags, detects):
    others = [row for row in numbered if not is_span_tag(row[1])]
    sure = [row for row in numbered if is_span_tag(row[1]) and row[1] not in SPAN_LETTERS]
    like = any(_is_like_span_tag(tag) for _, tag in others)
    if detects and not like and 0 < len(sure) < len(others):
        number, tag = sure[0]
        raise ValueError(
            f'{path}:{number}: {tag[:80]!r} is a tag of entities, but others, such as '
            f'{others[0][1][:80]!r} in line {others[0][0]}, are not; {_CURE}'
        )
    for number, tag in others:
        try:
            split_tag(tag)
        except ValueError as error:
            cure = f'; {_CURE}' if detects else ''
            raise ValueError(f'{path}:{number}: {error}{cure}') from None
    typed = tags - SPAN_LETTERS - {OUTSIDE}
    for number, tag in numbered if typed else ():
        if tag in SPAN_LETTERS:
            raise ValueError(f'{path}:{number}: {tag!r} has no type, but {min(typed)[:80]!r} has')


def _is_like_span_tag(tag):
    return is_span_tag(tag) or _LIKE_SPANS.fullmatch(tag) is not None


def _check_column(path, tags, num_words):
    """Refuse what is rather another column: empty values, many tags, nearly as many as words."""
    if EMPTY in tags:
        raise ValueError(
            f'{path}: has the tag {EMPTY!r}, which in CoNLL-U is no value: choose the column of '
            f'the tags, or read this one with the scheme {PLAIN}'
        )
    limit = min(MAX_TAGS, max(20, num_words // 2))
    if len(tags) > limit:
        raise ValueError(
            f'{path}: has {len(tags)} different tags in {num_words} words, such as {_some(tags)}; '
            f'if this is the column of tags, read it with the scheme {PLAIN}'
        )


def _some(tags):
    return ', '.join(repr(tag[:40]) for tag in sorted(tags)[:3])


def _count_problems(sentences, scheme):
    return sum(len(tag_problems(tags, scheme)) for tags in sentences)


def _known_letters():
    return '; '.join(
        f'{name} {"".join(scheme.letters)}' for name, scheme in SCHEMES.items() if scheme.has_spans
    )
