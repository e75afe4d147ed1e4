"""Bodies of requests: each field with its check, its default and its JSON schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .._internal.suggestions import unknown_name
from .errors import invalid

REQUIRED: Any = object()


@dataclass(frozen=True)
class Field:
    """A field of a request's body.

    Parameters
    ----------
    check : callable
        Value -> value; raises ValueError with what is allowed.
    schema : mapping
        In the OpenAPI description.
    about : str
        For people.
    default : object
        Where the field is missing or null.
    """

    check: Callable[[Any], Any]
    schema: Mapping[str, Any]
    about: str = ''
    default: Any = REQUIRED

    def but(self, **changes: Any) -> Field:
        """Copy the field with another default or description."""
        values = {
            'check': self.check,
            'schema': self.schema,
            'about': self.about,
            'default': self.default,
        }
        return Field(**{**values, **changes})


def read_fields(body: Any, fields: Mapping[str, Field], where: str = '') -> dict[str, Any]:
    """Check a body, or an object within one.

    Parameters
    ----------
    body : object
        Of the JSON.
    fields : mapping of str to Field
    where : str
        Put in front of the names in errors, such as 'parameters.'.

    Returns
    -------
    dict
        A value for each of the fields.

    Raises
    ------
    ServiceError
        That names the field, what came and what is allowed.
    """
    if not isinstance(body, dict):
        raise invalid(f'{where.rstrip(".") or "body"}: expected a JSON object, got {kind(body)}')
    for name in body:
        if name not in fields:
            raise invalid(str(unknown_name('field', f'{where}{name}'[:80], fields)))
    values = {}
    for name, field in fields.items():
        value = body.get(name)
        if value is None:
            if field.default is REQUIRED:
                raise invalid(f'{where}{name}: is missing')
            values[name] = field.default
            continue
        try:
            values[name] = field.check(value)
        except ValueError as error:
            raise invalid(f'{where}{name}{error}') from None
    return values


def kind(value: Any) -> str:
    """Name a value's type as JSON does."""
    names = {dict: 'an object', list: 'a list', str: 'a string', bool: 'a boolean'}
    names |= {int: 'a number', float: 'a number', type(None): 'null'}
    return names[type(value)]


def text(value: Any) -> str:
    """Check that a value is a text."""
    if not isinstance(value, str):
        raise ValueError(f': expected a string, got {kind(value)}')
    return value


def texts(value: Any) -> list[str]:
    """Check a list of texts, one or more."""
    if not isinstance(value, list):
        raise ValueError(f': expected a list of strings, got {kind(value)}')
    if not value:
        raise ValueError(': expected one text or more, got none')
    for number, item in enumerate(value):
        if not isinstance(item, str):
            raise ValueError(f'[{number}]: expected a string, got {kind(item)}')
    return value


def one_or_texts(value: Any) -> Any:
    """Check a text or a list of texts."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise ValueError(f': expected a string or a list of strings, got {kind(value)}')
    return texts(value)


def ids(value: Any) -> list[int]:
    """Check the token ids of a text."""
    for number, item in enumerate(value):
        if type(item) is not int:
            raise ValueError(f'[{number}]: expected a token id, got {kind(item)}')
    return value


def texts_or_ids(value: Any) -> Any:
    """Check a text, the ids of its tokens, or a list of either."""
    if not isinstance(value, list) or not value or isinstance(value[0], str):
        return one_or_texts(value)
    if not isinstance(value[0], list):
        return ids(value)
    for number, item in enumerate(value):
        if not isinstance(item, list):
            raise ValueError(f'[{number}]: expected a list of token ids, got {kind(item)}')
        try:
            ids(item)
        except ValueError as error:
            raise ValueError(f'[{number}]{error}') from None
    return value


def inputs_or_pairs(value: Any) -> Any:
    """Check a text, or a list of texts and of lists of one text or two."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise ValueError(f': expected a string or a list, got {kind(value)}')
    if not value:
        raise ValueError(': expected one text or more, got none')
    for number, item in enumerate(value):
        is_pair = isinstance(item, list) and len(item) in (1, 2)
        if not isinstance(item, str) and not (
            is_pair and all(isinstance(part, str) for part in item)
        ):
            raise ValueError(f'[{number}]: expected a string, or a list of one or two strings')
    return value


def flag(value: Any) -> bool:
    """Check that a value is true or false."""
    if not isinstance(value, bool):
        raise ValueError(f': expected true or false, got {kind(value)}')
    return value


def count(value: Any) -> int:
    """Check a whole number above 0."""
    if type(value) is not int or value < 1:
        got = value if type(value) is int else kind(value)
        raise ValueError(f': expected a whole number, 1 or more, got {got}')
    return value


def choice(*allowed: str) -> Callable[[Any], str]:
    """Make the check of a word that is one of several."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in allowed:
            got = repr(value[:40]) if isinstance(value, str) else kind(value)
            raise ValueError(f': expected one of {", ".join(allowed)}, got {got}')
        return value

    return check


STRING = {'type': 'string'}
STRINGS = {'type': 'array', 'items': STRING, 'minItems': 1}
IDS = {'type': 'array', 'items': {'type': 'integer', 'minimum': 0}}
PAIR = {'type': 'array', 'items': STRING, 'minItems': 1, 'maxItems': 2}

TEXT = Field(text, STRING)
TEXTS = Field(texts, STRINGS)
ONE_OR_TEXTS = Field(one_or_texts, {'oneOf': [STRING, STRINGS]}, 'a text or several')
TEXTS_OR_IDS = Field(
    texts_or_ids,
    {'oneOf': [STRING, STRINGS, IDS, {'type': 'array', 'items': IDS}]},
    "a text or several, or the model's own token ids",
)
INPUTS_OR_PAIRS = Field(
    inputs_or_pairs,
    {'oneOf': [STRING, {'type': 'array', 'items': {'oneOf': [STRING, PAIR]}}]},
    'a text, or several; a pair of texts is a list of two',
)
TRUNCATE = Field(
    flag,
    {'type': 'boolean'},
    'cut longer texts; the header x-truncated counts them (default: refuse them with 422)',
    None,
)
ENCODING_FORMAT = Field(
    choice('float', 'base64'),
    {'enum': ['float', 'base64']},
    'numbers, or the bytes of 32-bit floats, little end first',
    'float',
)
DIRECTION = Field(
    choice('Right', 'right'), {'enum': ['Right', 'right']}, 'texts are cut at their end', 'Right'
)
NORMALIZE = Field(
    flag, {'type': 'boolean'}, 'scale vectors to length 1 (default: as the model says)', None
)
PROMPT_NAME = Field(text, STRING, "the name of one of the model's prompts", None)
DIMENSIONS = Field(
    count,
    {'type': 'integer', 'minimum': 1},
    'cut vectors to so many numbers, for models trained for it',
    None,
)
MODEL = Field(text, STRING, 'the name of a model (default: the first that answers)', None)
TOP_K = Field(count, {'type': 'integer', 'minimum': 1}, 'results at most', None)


def flag_field(about: str, default: bool = False) -> Field:
    """Make a field that is true or false."""
    return Field(flag, {'type': 'boolean'}, about, default)


def schema_of(fields: Mapping[str, Field]) -> dict[str, Any]:
    """Write the JSON schema of an object with these fields."""
    properties = {}
    for name, row in fields.items():
        about = {'description': row.about} if row.about else {}
        default = {} if row.default in (REQUIRED, None) else {'default': row.default}
        properties[name] = {**row.schema, **about, **default}
    required = [name for name, row in fields.items() if row.default is REQUIRED]
    return {
        'type': 'object',
        'properties': properties,
        **({'required': required} if required else {}),
        'additionalProperties': False,
    }


def object_field(name: str, fields: Mapping[str, Field], about: str) -> Field:
    """Make the field of an object within a body; it may be left out if all of its fields may."""
    is_needed = any(row.default is REQUIRED for row in fields.values())
    default = REQUIRED if is_needed else {key: row.default for key, row in fields.items()}
    return Field(
        lambda value: read_fields(value, fields, f'{name}.'), schema_of(fields), about, default
    )
