"""Read and write CLUENER's JSON lines: a text and its entities with their characters."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Optional

from ..._internal.json import parse_json
from ..._internal.types import PathLike
from ..classification.lines import read_lines
from .schemes import OUTSIDE, Span, spans_to_tags, tag_spans


def read_json_sentences(
    path: PathLike, scheme: str, repair: bool
) -> tuple[list[tuple[list[str], Optional[list[str]], int]], list[str]]:
    """Read the characters of each text with their tags, None without labels.

    Parameters
    ----------
    path : str or Path
    scheme : str
        Scheme of the tags.
    repair : bool
        Keep the longer of two entities that share characters, instead of raising.

    Returns
    -------
    rows : list of (list of str, list of str or None, int)
        Characters, tags, and the number of the line.
    repairs : list of str
        Messages about entities left out.
    """
    rows, repairs, has_labels = [], [], None
    for number, line in read_lines(path):
        if not line.strip():
            continue
        where = f'{path}:{number}'
        try:
            content = parse_json(line.encode())
        except ValueError as error:
            raise ValueError(f'{where}: {error}') from None
        if not isinstance(content, dict) or not isinstance(content.get('text'), str):
            raise ValueError(f'{where}: expected an object with a "text"')
        if has_labels is None:
            has_labels = 'label' in content
        if ('label' in content) != has_labels:
            raise ValueError(f'{where}: "label" must be in all lines or in none')
        text, tags = content['text'], None
        if has_labels:
            spans = _json_spans(where, text, content['label'])
            spans, dropped = _apart(where, text, spans, repair)
            repairs += dropped
            tags = spans_to_tags(spans, len(text), scheme)
        rows.append((list(text), tags, number))
    return rows, repairs


def add_entities(line: str, tags: Sequence[str]) -> str:
    """Add the entities of the tags to a line as ``label``.

    Examples
    --------
    >>> add_entities('{"id": 3, "text": "Ada"}', ['B-name', 'I-name', 'I-name'])
    '{"id": 3, "text": "Ada", "label": {"name": {"Ada": [[0, 2]]}}}'
    """
    content = parse_json(line.encode())
    labels: dict[str, dict[str, list]] = {}
    for begin, end, kind in tag_spans(tags):
        places = labels.setdefault(kind, {}).setdefault(content['text'][begin:end], [])
        places.append([begin, end - 1])
    return json.dumps({**content, 'label': labels}, ensure_ascii=False)


def _json_spans(where, text, label):
    if not isinstance(label, dict) or not all(
        isinstance(entities, dict) for entities in label.values()
    ):
        raise ValueError(f'{where}: "label" must be {{type: {{entity: [[first, last], ...]}}}}')
    spans = []
    for kind, entities in label.items():
        if not kind or kind == OUTSIDE or any(character.isspace() for character in kind):
            raise ValueError(f'{where}: {kind[:80]!r} is not a type of entity')
        for entity, places in entities.items():
            for place in places if isinstance(places, list) else [places]:
                if (
                    not isinstance(place, list)
                    or len(place) != 2
                    or not all(type(edge) is int for edge in place)
                    or not 0 <= place[0] <= place[1] < len(text)
                ):
                    raise ValueError(
                        f'{where}: {kind} {entity[:80]!r}: {str(place)[:80]} is not '
                        f'[first, last] within the {len(text)} characters'
                    )
                begin, end = place[0], place[1] + 1
                if len(entity) != end - begin or not text.startswith(entity, begin):
                    raise ValueError(
                        f'{where}: {kind} {entity[:80]!r}: at {place} the text has '
                        f'{text[begin : min(end, begin + 80)]!r}'
                    )
                spans.append(Span(begin, end, kind))
    return spans


def _apart(where, text, spans, repair):
    """Drop spans that share characters; return the others and messages about the dropped."""
    separate, dropped, owners = [], [], [None] * len(text)
    for span in sorted(spans, key=lambda span: (span.begin - span.end, span)):
        # Earlier spans are as long or longer: one that overlaps has the first or last character.
        other = owners[span.begin] or owners[span.end - 1]
        if other is None:
            separate.append(span)
            owners[span.begin : span.end] = [span] * (span.end - span.begin)
            continue
        message = (
            f'{where}: {span.kind} at [{span.begin}, {span.end - 1}] shares characters with '
            f'{other.kind} at [{other.begin}, {other.end - 1}]'
        )
        if not repair:
            raise ValueError(f'{message}; with repair, the longer one is kept')
        dropped.append(message)
    return separate, dropped
