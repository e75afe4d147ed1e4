"""The settings of tasks, each with what is allowed, and the one checker of them."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..checkpoint.sentence import ACTIVATIONS
from ..data.ner.transitions import tag_names, valid_transitions
from ..data.windows import WINDOWS

MAX_BATCH = 4096


class Setting(NamedTuple):
    """A setting: what is allowed, in words, and a check of a value."""

    allowed: str
    check: Callable[[Any], bool]


def is_count(value: Any) -> bool:
    """Tell if a value is a whole number from 1."""
    return type(value) is int and 1 <= value < 2**31


def is_number(value: Any) -> bool:
    """Tell if a value is a finite number."""
    return type(value) in (int, float) and math.isfinite(value)


def are_names(value: Any) -> bool:
    """Tell if a value is a list of different names, one or more."""
    return are_labels(value) and all(value)


def are_labels(value: Any) -> bool:
    """Tell if a value is a list of different texts, one or more; one may be empty."""
    return (
        isinstance(value, list)
        and all(isinstance(name, str) for name in value)
        and 0 < len(value) == len(set(value))
    )


def _is_range(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(map(is_number, value))
        and value[0] < value[1]
    )


def _are_columns(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and {*value} == {'text', 'pair'}
        and value['text'] is not None
        and all(
            column is None
            or isinstance(column, str)
            or (type(column) is int and 0 <= column < 1000)
            for column in value.values()
        )
    )


COUNT = Setting('a whole number from 1', is_count)
FLAG = Setting('true or false', lambda value: type(value) is bool)
LABELS = Setting('different names', are_labels)
NAMES = Setting('different names, none of them empty', are_names)
TYPES = Setting(
    "different names, none of them empty, or one type without a name, ''",
    lambda value: value == [''] or are_names(value),
)
NUMBER = Setting('a number', is_number)
SHARE = Setting('a number in [0, 1)', lambda value: is_number(value) and 0 <= value < 1)
PROBABILITY = Setting('a number in [0, 1]', lambda value: is_number(value) and 0 <= value <= 1)
POSITIVE = Setting('a positive number', lambda value: is_number(value) and value > 0)
JOINED = Setting(' or '.join(map(repr, WINDOWS)), lambda value: value in WINDOWS)
TEXT = Setting('text', lambda value: isinstance(value, str))
SHARES = Setting(
    'numbers in [0, 1]',
    lambda value: (
        isinstance(value, list) and all(is_number(share) and 0 <= share <= 1 for share in value)
    ),
)

ACTIVATION = Setting(
    f'one of {", ".join(ACTIVATIONS)}',
    lambda value: isinstance(value, str) and value in ACTIVATIONS,
)

# Settings that any task may have; null is as absent. ``name`` of the data; ``metrics``, the first
# of which chose the epoch; ``batch_size`` of the evaluation; ``pair``, whether texts come in pairs;
# ``range`` of a score; ``columns`` of the training tables; ``overlap`` of windows; ``character_f1``
# and ``strict``, how figures count; ``pooling`` and ``normalize``, of the encodings that a
# classifier reads in place of the pooler's vector; ``base``, the model of the zoo that training
# started from.
OPTIONAL: Mapping[str, Setting] = {
    'name': TEXT,
    'metrics': NAMES,
    'batch_size': Setting(
        f'a whole number from 1 to {MAX_BATCH}',
        lambda value: is_count(value) and value <= MAX_BATCH,
    ),
    'pair': FLAG,
    'range': Setting('[lowest, highest]', _is_range),
    'columns': Setting('{"text": ..., "pair": ...}, names or positions of columns', _are_columns),
    'overlap': Setting('a whole number from 0', lambda value: type(value) is int and value >= 0),
    'character_f1': FLAG,
    'strict': FLAG,
    'pooling': Setting("'mean' or 'cls'", lambda value: value in ('mean', 'cls')),
    'normalize': FLAG,
    'base': Setting(
        '[model, data set]',
        lambda value: (
            isinstance(value, list)
            and len(value) == 2
            and all(isinstance(name, str) for name in value)
        ),
    ),
}


def check_settings(
    values: Mapping[str, Any],
    needed: Mapping[str, Setting],
    place: object,
    task: str,
    optional: Mapping[str, Setting] = OPTIONAL,
) -> None:
    """Check the settings of a task.

    Parameters
    ----------
    values : mapping of str to object
    needed : mapping of str to Setting
        Those that there must be.
    place : str or Path
        Where they stand, for messages.
    task : str
    optional : mapping of str to Setting
        Those that there may be.

    Raises
    ------
    ValueError
        If one is missing, unknown, or has a value that is not allowed.
    """
    for name in needed:
        if name not in values:
            raise ValueError(f'{place}: has no {name!r}, which {task} needs')
    for name, value in values.items():
        if name not in needed and name not in optional:
            raise ValueError(
                f'{place}: {reprlib.repr(name)} is unknown; there are: '
                f'{", ".join([*needed, *optional])}'
            )
        allowed, check = needed.get(name) or optional[name]
        if not check(value):
            raise ValueError(f'{place}: {name} is {reprlib.repr(value)}: expected {allowed}')
    _check_together(values, place)


def _check_together(values, place):
    """Check settings that depend on others."""
    if 'threshold' in values and len(values['labels']) != 2:
        raise ValueError(f'{place}: threshold is for two classes, not {len(values["labels"])}')
    if ('windows' in values) != ('window_stride' in values):
        raise ValueError(f'{place}: windows and window_stride go together')
    if 'windows' in values and values['window_stride'] >= values['max_len'] - 2:
        raise ValueError(
            f'{place}: window_stride is {values["window_stride"]}: expected less than the '
            f'{values["max_len"] - 2} tokens of a window'
        )


def tag_transitions(settings: Mapping[str, Any]) -> Any:
    """Tell which tags of a tagger with a CRF may follow each other.

    Parameters
    ----------
    settings : mapping of str to object
        Of the network.

    Returns
    -------
    Transitions or None
        None without a CRF.
    """
    if not settings.get('crf'):
        return None
    scheme = settings['scheme']
    return valid_transitions(tag_names(settings['kinds'], scheme), scheme)
