"""Read, check and convert tag schemes: IOB1, IOB2 (BIO), BMES, BIOES, BILOU, PLAIN.

A tag is 'O', outside of all entities, or a letter, '-' and the entity's type, such as 'B-person'.
Ramshaw and Marcus (1995); Ratinov and Roth (2009), section 3.2. Where all entities are of one type
without a name, such as words in a segmented text, a tag is the letter alone: 'B'.

Tags of the scheme PLAIN, such as parts of speech, make no entities: each is a class of its own, and
each word has one.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Optional

from ..._internal.suggestions import unknown_name

OUTSIDE = 'O'
PLAIN = 'PLAIN'


class TagScheme(NamedTuple):
    """The letters of a scheme; '' if it has none for an entity's end or a single-word entity."""

    name: str
    begin: str
    inside: str
    end: str
    single: str

    @property
    def letters(self) -> list[str]:
        """All letters except the one for no entity."""
        return [letter for letter in self[1:] if letter]

    @property
    def has_spans(self) -> bool:
        """True if tags join to entities; False if each is of one word."""
        return bool(self.letters)


# In IOB1 an entity begins with I, and with B only directly after another of its type.
SCHEMES = {
    scheme.name: scheme
    for scheme in (
        TagScheme('IOB1', 'B', 'I', '', ''),
        TagScheme('IOB2', 'B', 'I', '', ''),
        TagScheme('BMES', 'B', 'M', 'E', 'S'),
        TagScheme('BIOES', 'B', 'I', 'E', 'S'),
        TagScheme('BILOU', 'B', 'I', 'L', 'U'),
        TagScheme(PLAIN, '', '', '', ''),
    )
}
_ALIASES = {
    'BIO': 'IOB2',
    'BIO2': 'IOB2',
    'IOB': 'IOB1',
    'IOBES': 'BIOES',
    'BMESO': 'BMES',
    'BMEO': 'BMES',
    'BIOUL': 'BILOU',
    'BIOLU': 'BILOU',
}
SPAN_LETTERS = frozenset('BIMELSU')
_CONTINUES = 'BIM'  # letters after which an entity can continue
_GOES_ON = 'IMEL'  # letters that continue one


class Span(NamedTuple):
    """An entity: its words from ``begin`` to before ``end``, and its type."""

    begin: int
    end: int
    kind: str


class TagProblem(NamedTuple):
    """A tag that does not fit its neighbours: its position in the sentence, and the problem."""

    index: int  # type: ignore[assignment]
    message: str


def get_scheme(name: str) -> TagScheme:
    """Return the row of a scheme.

    Parameters
    ----------
    name : str
        Key of ``SCHEMES``, or another common name such as 'BIO' or 'IOBES'.

    Returns
    -------
    TagScheme

    Raises
    ------
    ValueError
        If there is no such scheme.

    Examples
    --------
    >>> get_scheme('bio').name
    'IOB2'
    """
    key = str(name).upper()
    key = _ALIASES.get(key, key)
    if key not in SCHEMES:
        raise unknown_name('tag scheme', name, [*SCHEMES, *_ALIASES])
    return SCHEMES[key]


@functools.lru_cache(maxsize=4096)
def split_tag(tag: str) -> tuple[str, str]:
    """Split a tag into its letter and its type, '' for a tag without a type.

    Examples
    --------
    >>> split_tag('B-creative-work'), split_tag('B'), split_tag('O')
    (('B', 'creative-work'), ('B', ''), ('O', ''))

    Raises
    ------
    ValueError
        If it is not a tag.
    """
    if tag == OUTSIDE:
        return OUTSIDE, ''
    letter, dash, kind = tag.partition('-')
    if bool(dash) != bool(kind) or letter not in SPAN_LETTERS:
        raise ValueError(
            f"{tag[:80]!r} is not a tag: expected 'O', or one of B, I, M, E, L, S, U, alone or "
            f"followed by '-' and a type"
        )
    return letter, kind


def type_of_tag(tag: str, scheme: str) -> Optional[str]:
    """Give the type of a tag's entity, None for 'O'; in the scheme PLAIN the tag itself.

    Examples
    --------
    >>> type_of_tag('B-x', 'IOB2'), type_of_tag('O', 'IOB2'), type_of_tag('NOUN', 'PLAIN')
    ('x', None, 'NOUN')
    """
    if not get_scheme(scheme).has_spans:
        return tag
    letter, kind = split_tag(tag)
    return None if letter == OUTSIDE else kind


def join_tag(letter: str, kind: str) -> str:
    """Join a letter and a type, either of which can be empty, to a tag."""
    return f'{letter}-{kind}' if letter and kind else letter or kind


def reading_of(scheme: str, strict: bool = False) -> Optional[str]:
    """Give the scheme by which :func:`tag_spans` reads a network's tags.

    None reads the tags of entities as conlleval does, whatever their scheme; with ``strict`` only
    valid ones count. Tags of the scheme PLAIN are always read as such.
    """
    return None if get_scheme(scheme).has_spans and not strict else scheme


def tag_spans(tags: Sequence[str], scheme: Optional[str] = None) -> list[Span]:
    """Extract the entities of a sentence.

    Without a scheme, any sequence of tags is read as conlleval does: an entity begins wherever a
    tag cannot continue the previous one.

    Parameters
    ----------
    tags : sequence of str
    scheme : str, optional
        Skip entities whose tags violate this scheme, as in seqeval's strict mode. In PLAIN each
        word is one, of the type that its tag names.

    Returns
    -------
    list of Span

    Examples
    --------
    >>> tag_spans(['I-place', 'O', 'B-person', 'I-person'])
    [Span(begin=0, end=1, kind='place'), Span(begin=2, end=4, kind='person')]
    >>> tag_spans(['I-place', 'O', 'B-person', 'I-person'], scheme='IOB2')
    [Span(begin=2, end=4, kind='person')]
    """
    if scheme is not None and not get_scheme(scheme).has_spans:
        return [Span(index, index + 1, tag) for index, tag in enumerate(tags)]
    spans, before, begin = [], (OUTSIDE, ''), 0
    for index, tag in enumerate([*tags, OUTSIDE]):
        letter, kind = split_tag(tag)
        goes_on = before[0] in _CONTINUES and letter in _GOES_ON and kind == before[1]
        if not goes_on:
            if before[0] != OUTSIDE:
                spans.append(Span(begin, index, before[1]))
            begin = index
        before = letter, kind
    if scheme is None:
        return spans
    proper = spans_to_tags(spans, len(tags), scheme)
    return [
        span for span in spans if list(tags[span.begin : span.end]) == proper[span.begin : span.end]
    ]


def spans_to_tags(spans: Iterable[Span], length: int, scheme: str) -> list[str]:
    """Convert the entities of a sentence to tags.

    Parameters
    ----------
    spans : iterable of Span
        In any order.
    length : int
        Number of words of the sentence.
    scheme : str

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        If two entities share a word, or one is empty or outside the sentence; in the scheme PLAIN
        also if a word has none.

    Examples
    --------
    >>> spans_to_tags([Span(0, 2, 'person'), Span(3, 4, 'place')], 4, 'BMES')
    ['B-person', 'E-person', 'O', 'S-place']
    """
    row, spans = get_scheme(scheme), sorted(spans)
    tags, before = [OUTSIDE] * length, Span(0, 0, '')
    for span in spans:
        if not 0 <= span.begin < span.end <= length:
            raise ValueError(f'{span} is not within the {length} words of its sentence')
        if span.begin < before.end:
            raise ValueError(f'{before} and {span} share a word')
        touches = before.end == span.begin and before.kind == span.kind and before.end > 0
        letters = _letters(row, span.end - span.begin, touches)
        tags[span.begin : span.end] = [join_tag(letter, span.kind) for letter in letters]
        before = span
    if not row.has_spans and sum(span.end - span.begin for span in spans) < length:
        raise ValueError(f'expected a tag for each of {length} words')
    return tags


def convert_tags(tags: Sequence[str], source: str, target: str) -> list[str]:
    """Convert the tags of a sentence to another scheme.

    Parameters
    ----------
    tags : sequence of str
    source, target : str
        Schemes.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        If ``tags`` violate ``source``, or only one of the schemes has entities.

    Examples
    --------
    >>> convert_tags(['I-place', 'B-place', 'O'], 'IOB1', 'BIOES')
    ['S-place', 'S-place', 'O']
    """
    has_spans = get_scheme(source).has_spans
    if has_spans != get_scheme(target).has_spans:
        raise ValueError(
            f'tags of the scheme {source} cannot become tags of the scheme {target}: in {PLAIN} '
            f'each tag is of one word, in the others tags join to entities'
        )
    if not has_spans:
        return list(tags)
    for problem in tag_problems(tags, source):
        raise ValueError(f'word {problem.index}: {problem.message}')
    return spans_to_tags(tag_spans(tags), len(tags), target)


def repair_tags(tags: Sequence[str], scheme: str) -> list[str]:
    """Rewrite tags so that the scheme has the entities that conlleval extracts.

    Examples
    --------
    >>> repair_tags(['O', 'I-place', 'I-person'], 'IOB2')
    ['O', 'B-place', 'B-person']
    """
    if not get_scheme(scheme).has_spans:
        return list(tags)
    return spans_to_tags(tag_spans(tags), len(tags), scheme)


def tag_problems(tags: Sequence[str], scheme: str) -> list[TagProblem]:
    """List the tags of a sentence that violate a scheme.

    Parameters
    ----------
    tags : sequence of str
    scheme : str

    Returns
    -------
    list of TagProblem

    Examples
    --------
    >>> print(*tag_problems(['O', 'I-place'], 'IOB2')[0])
    1 'I-place' after 'O' violates IOB2, expected 'B-place'
    """
    row = get_scheme(scheme)
    proper = repair_tags(tags, row.name)
    problems = []
    for index, (tag, better) in enumerate(zip(tags, proper)):
        if tag == better:
            continue
        where = f'after {tags[index - 1]!r}' if index else 'at the beginning'
        # A tag that begins or continues correctly is wrong because of the next one.
        if (
            row.end
            and tag[0] in (row.begin, row.inside)
            and better[0] in (row.end, row.single)
            and not (tag[0] == row.inside and better[0] == row.single)
        ):
            where = f'before {tags[index + 1]!r}' if index + 1 < len(tags) else 'at the end'
        problems.append(
            TagProblem(index, f'{tag!r} {where} violates {row.name}, expected {better!r}')
        )
    return problems


def _letters(scheme, length, touches):
    if scheme.name == 'IOB1':
        return [scheme.begin if touches else scheme.inside] + [scheme.inside] * (length - 1)
    if length == 1:
        return [scheme.single or scheme.begin]
    last = scheme.end or scheme.inside
    return [scheme.begin, *[scheme.inside] * (length - 2), last]
