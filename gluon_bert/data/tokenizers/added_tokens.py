"""Tokens that were added to a vocabulary, which are found in the text before it is split."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

from tokenizers import AddedToken, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Normalizer

from ..._internal.json import read_object
from ..._internal.types import PathLike
from .vocabulary import Vocabulary
from .vocabulary_ids import ROBERTA_TOKENS, as_object, clipped

logger = logging.getLogger(__name__)

TOKENIZER_JSON = 'tokenizer.json'
TOKENIZER_CONFIG = 'tokenizer_config.json'
ADDED_TOKENS = 'added_tokens.json'
_LISTS = ('additional_special_tokens', 'extra_special_tokens')
_MAX_TOKENS = 100_000


class Added(NamedTuple):
    """An added token, with the flags of ``tokenizers.AddedToken``.

    ``single_word``: not inside a word. ``lstrip``, ``rstrip``: takes the white space on its left,
    its right. ``normalized``: found in the cleaned text, so also in capitals if that is
    lower-cased. ``special``: left out when ids are decoded.
    """

    content: str
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = True
    special: bool = False

    def for_library(self) -> AddedToken:
        """Convert to the class of the ``tokenizers`` library."""
        return AddedToken(self.content, **{flag: getattr(self, flag) for flag in FLAGS})


FLAGS = Added._fields[1:]
AnyAdded = Union[str, Added, AddedToken]


def role_tokens(vocab: Vocabulary) -> list[str]:
    """List the special tokens of a vocabulary, each once."""
    tokens = [getattr(vocab, role, None) for role in ROBERTA_TOKENS]
    return list(dict.fromkeys(token for token in tokens if token is not None))


def check_added(tokens: Optional[Iterable[AnyAdded]], vocab: Vocabulary) -> tuple[Added, ...]:
    """Check added tokens against a vocabulary, and order them by id.

    Raises
    ------
    TypeError, ValueError
        If one is no token, occurs twice or is missing in the vocabulary.
    """
    if isinstance(tokens, str):
        raise TypeError(f'added_tokens must be a list of tokens, got the str {tokens!r}')
    found: dict[str, Added] = {}
    for token in tokens or ():
        if isinstance(token, str):
            token = Added(token)
        elif isinstance(token, AddedToken):
            token = Added(token.content, *(getattr(token, flag) for flag in FLAGS))
        elif not isinstance(token, Added):
            raise TypeError(f'added_tokens holds a {type(token).__name__}, expected AddedToken')
        if token.content not in vocab.token_to_idx:
            raise ValueError(f'added token {token.content[:80]!r} is not in the vocabulary')
        if token.content in found:
            raise ValueError(f'added token {token.content[:80]!r} occurs twice')
        found[token.content] = token
    return tuple(sorted(found.values(), key=lambda token: vocab.token_to_idx[token.content]))


def num_model_tokens(vocab: Vocabulary, added: Sequence[Added]) -> int:
    """Count the tokens before those that were added at the end of a vocabulary."""
    removable = {token.content for token in added} - set(role_tokens(vocab))
    size = len(vocab)
    while size and vocab.idx_to_token[size - 1] in removable:
        size -= 1
    return size


def library_tokens(
    vocab: Vocabulary, added: Sequence[Added], stripping: Optional[str] = None
) -> list[AddedToken]:
    """List the special and the added tokens for the ``tokenizers`` library, by id.

    Parameters
    ----------
    vocab : Vocabulary
    added : sequence of Added
    stripping : str, optional
        The special token that takes the white space before it.
    """
    tokens = {
        token: Added(token, lstrip=token == stripping, normalized=False, special=True)
        for token in role_tokens(vocab)
    }
    tokens.update((token.content, token) for token in added)
    ordered = sorted(tokens.values(), key=lambda token: vocab.token_to_idx[token.content])
    return [token.for_library() for token in ordered]


def with_added(tokens: Sequence[str], added: Mapping[str, Optional[int]], source: PathLike) -> list:
    """Extend the tokens of a vocabulary by added ones.

    Parameters
    ----------
    tokens : sequence of str
        By id.
    added : mapping of str to int or None
        The id of each added token; None: the next one, if it is none of ``tokens``.
    source : str or Path
        For the messages.

    Raises
    ------
    ValueError
        If an id is that of another token, or ids before it have no token.
    """
    if all(_has_id(tokens, token, number) for token, number in added.items()):
        return list(tokens)
    extended, ids = list(tokens), {token: number for number, token in enumerate(tokens)}
    last = len(tokens) + len(added)
    for token, number in sorted(added.items(), key=lambda item: (item[1] is None, item[1] or last)):
        if number is None:
            if token in ids:
                continue
            number = len(extended)
            logger.warning('%s: added token %r has no id: it gets %d', source, token[:80], number)
        if ids.get(token, number) != number or (number < len(extended) and token not in ids):
            other = 'has' if token in ids else f'is {extended[number][:80]!r} with'
            raise ValueError(
                f'{source}: added token {token[:80]!r} has the id {number}, in the vocabulary it '
                f'{other} the id {ids.get(token, number)}'
            )
        if number > len(extended):
            raise ValueError(
                f'{source}: added token {token[:80]!r} has the id {number}, but no token has the '
                f'ids from {len(extended)} to {number - 1}'
            )
        if number == len(extended):
            ids[token] = number
            extended.append(token)
    return extended


def _has_id(tokens, token, number):
    return number is not None and number < len(tokens) and tokens[number] == token


def extended_vocab(
    vocab: Vocabulary, added: Mapping[str, Optional[int]], source: PathLike
) -> Vocabulary:
    """Extend a vocabulary as :func:`with_added` does its tokens; the same if nothing is new."""
    tokens = with_added(vocab.idx_to_token, added, source)
    if len(tokens) == len(vocab):
        return vocab
    roles = {role: getattr(vocab, role, None) for role in ROBERTA_TOKENS}
    return Vocabulary(tokens, {role: token for role, token in roles.items() if token is not None})


class AddedTokens:
    """The added tokens that the files of a folder state.

    Parameters
    ----------
    folder : Path
    library : dict
        Content of tokenizer.json, {} if there is none.
    settings : dict
        Content of special_tokens_map.json and tokenizer_config.json.

    Raises
    ------
    ValueError
        If a file is malformed, or two contradict each other.
    """

    def __init__(self, folder: Path, library: dict, settings: dict) -> None:
        self._folder = folder
        self.ids: dict[str, Optional[int]] = {}
        self._flags: dict[str, Added] = {}
        self._sources: dict[str, str] = {}
        for entry in _list(library, 'added_tokens', folder / TOKENIZER_JSON):
            self._add(entry, as_object(entry).get('id'), TOKENIZER_JSON)
        decoder = settings.get('added_tokens_decoder') or {}
        if not isinstance(decoder, dict):
            raise ValueError(f'{folder / TOKENIZER_CONFIG}: added_tokens_decoder is not an object')
        for number, entry in decoder.items():
            is_id = isinstance(number, str) and number.isascii() and number.isdecimal()
            self._add(entry, int(number[:12]) if is_id else number, TOKENIZER_CONFIG)
        special = self._special(settings)
        path = folder / ADDED_TOKENS
        for content, number in (read_object(path) if path.is_file() else {}).items():
            entry = {'content': content, 'special': content in special}
            self._add({**entry, 'normalized': content not in special}, number, ADDED_TOKENS)
        for content, entry in special.items():
            if content not in self.ids:
                self.ids[content] = None
                self._flags[content] = entry
        if len(self.ids) > _MAX_TOKENS:
            raise ValueError(f'{folder}: has more than {_MAX_TOKENS} added tokens')

    def flags(self, vocab: Vocabulary, stripping: Optional[str] = None) -> list[Added]:
        """List the tokens with flags, but for special ones of a vocabulary with the usual flags."""
        roles = role_tokens(vocab)
        usual = {
            token: Added(token, lstrip=token == stripping, normalized=False, special=True)
            for token in roles
        }
        return [token for token in self._flags.values() if usual.get(token.content) != token]

    def _add(self, entry, number, name):
        path = self._folder / name
        content = as_object(entry).get('content')
        if not isinstance(content, str) or not content or '\0' in content:
            raise ValueError(f'{path}: added token {clipped(entry)!r} has no content')
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise ValueError(
                f'{path}: added token {content[:80]!r} has the id {clipped(number)!r}, expected 0 '
                f'or more'
            )
        for flag in FLAGS:
            if not isinstance(entry.get(flag, False), bool):
                raise ValueError(
                    f'{path}: {flag} of added token {content[:80]!r} is '
                    f'{clipped(entry[flag])!r}, expected true or false'
                )
        before = self.ids.setdefault(content, number)
        if before != number:
            raise ValueError(
                f'{path}: added token {content[:80]!r} has the id {number}, but {before} in '
                f'{self._sources[content]}'
            )
        special = entry.get('special', False)
        flags = {
            'normalized': not special,
            **{flag: entry[flag] for flag in FLAGS if flag in entry},
        }
        token = Added(content, **flags)
        if self._flags.setdefault(content, token) != token and name != ADDED_TOKENS:
            logger.warning(
                '%s: the flags of added token %r are taken from %s, which has others',
                path,
                content[:80],
                self._sources[content],
            )
        self._sources.setdefault(content, name)

    def _special(self, settings):
        """Return the further special tokens, by content."""
        special = {}
        for key in _LISTS:
            values = settings.get(key) or []
            values = list(values.values()) if isinstance(values, dict) else values
            if not isinstance(values, list):
                raise ValueError(f'{self._folder / TOKENIZER_CONFIG}: {key} is not a list')
            for value in values:
                entry = {'content': value} if isinstance(value, str) else as_object(value)
                content = entry.get('content')
                if not isinstance(content, str) or not content or '\0' in content:
                    raise ValueError(
                        f'{self._folder / TOKENIZER_CONFIG}: {key} holds {clipped(value)!r}, '
                        f'not a token'
                    )
                flags = {flag: entry[flag] is True for flag in FLAGS if flag in entry}
                special[content] = Added(content, **{'normalized': False, **flags, 'special': True})
        return special


def splitter_of(
    vocab: Vocabulary, added: Sequence[Added], normalizer: Optional[Normalizer] = None
) -> Callable[[str], Iterator[tuple[Optional[str], int, int]]]:
    """Make a function that splits special and added tokens off a text.

    Parameters
    ----------
    vocab : Vocabulary
    added : sequence of Added
    normalizer : tokenizers.normalizers.Normalizer, optional
        For tokens that are found in the cleaned text.

    Returns
    -------
    callable
        Text -> parts as (token, begin, end); the token is None for the text between them.
    """
    rest = '\0'
    library = Tokenizer(WordLevel({rest: 0}, unk_token=rest))
    tokens = library_tokens(vocab, added)
    if normalizer is not None and any(token.normalized for token in tokens):
        library.normalizer = normalizer
    library.add_tokens(tokens)
    names = {library.token_to_id(token.content): token.content for token in tokens}

    def split(text):
        encoding = library.encode(text, add_special_tokens=False)
        for number, (begin, end) in zip(encoding.ids, encoding.offsets):
            yield names.get(number), begin, end

    return split


def added_entries(vocab: Vocabulary, added: Collection[Added]) -> dict[str, Any]:
    """Return the entries of tokenizer_config.json for added tokens."""
    if not added:
        return {}
    decoder = {str(vocab.token_to_idx[token.content]): token._asdict() for token in added}
    roles = role_tokens(vocab)
    special = [token.content for token in added if token.special and token.content not in roles]
    return {
        'added_tokens_decoder': decoder,
        **({'additional_special_tokens': special} if special else {}),
    }


def added_ids(vocab: Vocabulary, added: Sequence[Added]) -> dict[str, int]:
    """Return the ids of the tokens that were added at the end of a vocabulary."""
    size = num_model_tokens(vocab, added)
    return {token: number for number, token in enumerate(vocab.idx_to_token[size:], size)}


def _list(content, name, path):
    value = content.get(name) or []
    if not isinstance(value, list):
        raise ValueError(f'{path}: {name} is not a list')
    return value
