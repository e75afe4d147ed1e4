"""Read the tags of other makers' checkpoints, and order the rows of the head by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..checkpoint import Checkpoint
from ..checkpoint.arrays import with_arrays
from ..data import detect_scheme, tag_names
from ..data.ner.detection import are_plain, is_span_tag
from ..data.ner.schemes import OUTSIDE, PLAIN, SPAN_LETTERS, type_of_tag
from ..modeling.chain import FORBIDDEN
from .checkpoint import check_unique, class_labels
from .registry import TASKS


def tag_settings(checkpoint: Checkpoint, longest: int) -> tuple[dict, Checkpoint]:
    """Derive the settings of a tagger; see :mod:`gluon_bert.tasks.checkpoint_settings`.

    Raises
    ------
    ValueError
        If a label has no name, two are one tag, none is of an entity, or no scheme has them.
    """
    labels = class_labels(checkpoint, TASKS['token-classification'])
    check_unique(labels)
    if '' in labels:
        raise ValueError(
            f'class {labels.index("")} has an empty name: give it a name in id2label of config.json'
        )
    tags, scheme = _tags(labels)
    types = (type_of_tag(tag, scheme) for tag in tags)
    entity_types = list(dict.fromkeys(name for name in types if name is not None))
    if not entity_types:
        raise ValueError('the labels of its tokens name no entity')
    numbers = {tag: number for number, tag in enumerate(tags)}
    rows = np.array([numbers.get(tag, -1) for tag in tag_names(entity_types, scheme)])
    settings = {
        'kinds': entity_types,
        'scheme': scheme,
        'file_scheme': scheme,
        'crf': False,
        'dropout': checkpoint.head_dropout,
        'max_len': longest,
        'characters': False,
    }
    return settings, _with_rows(checkpoint, rows)


def _tags(labels: Sequence[str]) -> tuple[list[str], str]:
    """Read labels as tags, and tell their scheme."""
    if are_plain(labels):
        return list(labels), PLAIN
    tags = list(labels)
    if not {*labels} <= SPAN_LETTERS | {OUTSIDE}:
        # Beside tags with types, a label that is none is a type of entity.
        tags = [
            label if is_span_tag(label) and label not in SPAN_LETTERS else f'I-{label}'
            for label in labels
        ]
    for number, tag in enumerate(tags):
        first = tags.index(tag)
        if first != number:
            raise ValueError(
                f'classes {first} and {number}, {labels[first][:80]!r} and '
                f'{labels[number][:80]!r}, are one tag, {tag[:80]!r}'
            )
    # One tag for each letter will do, each a sentence of its own.
    return tags, detect_scheme([[tag] for tag in {tag[0]: tag for tag in tags}.values()])


def _with_rows(checkpoint, rows):
    """The checkpoint with the rows of its head in another order; -1 is a tag it does not know."""
    arrays, units = checkpoint.arrays, checkpoint.config.units

    def weight():
        return np.where(rows[:, None] < 0, 0, arrays['tag_classifier.weight'][rows])

    def bias():
        # A tag that the network does not know gets no share in any probability.
        return np.where(rows < 0, FORBIDDEN, arrays['tag_classifier.bias'][rows])

    ordered = with_arrays(
        arrays,
        {
            'tag_classifier.weight': ((len(rows), units), weight),
            'tag_classifier.bias': ((len(rows),), bias),
        },
    )
    return replace(checkpoint, arrays=ordered)
