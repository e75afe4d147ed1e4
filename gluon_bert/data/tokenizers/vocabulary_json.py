"""Read and write GluonNLP's vocabulary JSON in all its versions and both orders of ids."""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional, Union

from ..._internal.files import write_text
from ..._internal.types import PathLike
from .added_tokens import extended_vocab, with_added
from .vocabulary import Vocabulary
from .vocabulary_ids import (
    BERT_TOKENS,
    SPECIAL_TOKENS,
    check_text,
    clipped,
    find_special_tokens,
    gluonnlp_order,
    ids_to_tokens,
)

if TYPE_CHECKING:
    from gluonnlp.vocab import BERTVocab


FORMS = ('current', 'old', '0.5')

# Keys of special tokens, which are in a separate object since 0.7.
_ROLES = ('padding_token', 'bos_token', 'eos_token', 'mask_token', 'sep_token', 'cls_token')
_RESERVED = ('[PAD]', '[CLS]', '[SEP]', '[MASK]')
_LINE_SEPARATOR = '\u2028'
_UNUSED = re.compile(r'\[unused(\d+)\]')


def gluonnlp_json(tokens: Any, form: str = 'current') -> bytes:
    """Write a published vocabulary as GluonNLP's converters wrote it, byte for byte.

    Parameters
    ----------
    tokens : list of str, Vocabulary or gluonnlp.vocab.BERTVocab
        In the order of the published ``vocab.txt``.
    form : str
        'current' (0.7 and later; the published order of ids), 'old' (0.6; ten keys) or '0.5'
        (seven keys), these two in the order of :func:`gluonnlp_order`.

    Returns
    -------
    bytes
        Tokens are stripped as in the converters: U+2028 becomes the empty token.

    Raises
    ------
    ValueError
        If the form is unknown, a special token is missing, or two tokens become equal.

    Examples
    --------
    >>> gluonnlp_json(['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'a'], 'old')[:62]
    b'{"idx_to_token": ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]"'
    """
    if form not in FORMS:
        raise ValueError(f'form={form!r}: expected one of {FORMS}')
    tokens = [token.strip() for token in getattr(tokens, 'idx_to_token', tokens)]
    if len(set(tokens)) < len(tokens):
        repeated = next(token for token in tokens if tokens.count(token) > 1)
        raise ValueError(f'tokens: {repeated!r} occurs twice, white space aside')
    if form == 'current':
        special_tokens = find_special_tokens(tokens, BERT_TOKENS, 'tokens')
        return Vocabulary(tokens, special_tokens).to_json().encode()
    swapped = [tokens[number] for number in gluonnlp_order(tokens)]
    ids = {token: number for number, token in enumerate(swapped)}
    content = {
        'idx_to_token': swapped,
        'token_to_idx': {token: ids[token] for token in tokens},
        'reserved_tokens': _RESERVED,
        'unknown_token': '[UNK]',
        'padding_token': '[PAD]',
        'bos_token': None,
        'eos_token': None,
    }
    if form == 'old':
        content.update(mask_token='[MASK]', sep_token='[SEP]', cls_token='[CLS]')
    return json.dumps(content).encode()


def write_vocab_json(path: PathLike, vocab: Union[Vocabulary, BERTVocab]) -> None:
    """Write a vocabulary atomically as the JSON of GluonNLP 0.7 and later.

    ``gluonnlp.vocab.BERTVocab.from_json`` and :func:`gluon_bert.data.read_vocab` read an equal
    vocabulary from it.

    Parameters
    ----------
    path : str or Path
    vocab : Vocabulary or gluonnlp.vocab.BERTVocab
        Written in its order of ids.
    """
    write_text(path, Vocabulary.of(vocab).to_json())


def to_published_order(tokens: Sequence[str]) -> list[str]:
    """Convert the ids of GluonNLP 0.5 and 0.6 back to the published ones.

    Inverts :func:`gluonnlp_order`. The tokens that the special tokens replaced show their former
    positions: the published files of 2018 begin with [PAD] and continue with [unused0], [unused1]
    and so on, or [unused1], [unused2] and so on. The four of these missing before the token at
    id 5 are now where [UNK], [CLS], [SEP] and [MASK] came from.

    Parameters
    ----------
    tokens : list of str
        In GluonNLP's order.

    Returns
    -------
    list of str
        In the order of the published ``vocab.txt``.

    Raises
    ------
    ValueError
        If the list is not one that :func:`gluonnlp_order` gives for a file of this kind.

    Examples
    --------
    >>> file = ['[PAD]', *(f'[unused{i}]' for i in range(6)), '[UNK]', '[CLS]', '[SEP]', '[MASK]']
    >>> swapped = [file[i] for i in gluonnlp_order(file)]
    >>> swapped[:6], swapped[-4:]
    (['[UNK]', '[PAD]', '[CLS]', '[SEP]', '[MASK]', '[unused4]'], \
['[unused0]', '[unused1]', '[unused2]', '[unused3]'])
    >>> to_published_order(swapped) == file
    True
    """
    place = {token: number for number, token in enumerate(tokens)}
    number = _UNUSED.fullmatch(tokens[5]) if len(tokens) > 5 else None
    first = int(number[1]) - 4 if number else -1
    unused = [f'[unused{first + k}]' for k in range(4)]
    ousted = [place[token] for token in unused if token in place]
    if tuple(tokens[:5]) != SPECIAL_TOKENS or len(ousted) < len(unused):
        raise ValueError(
            f'the tokens begin with {tokens[:6]}: not the order GluonNLP gave the '
            f'vocabularies of 2018, {list(SPECIAL_TOKENS)} and an [unused...] '
            f'whose four predecessors are elsewhere'
        )
    published = list(tokens)
    for new, old in (
        (4, ousted[3]),
        (3, ousted[2]),
        (2, ousted[1]),
        (1, ousted[0]),
        (0, ousted[0]),
    ):  # the last swap moves [PAD], which [UNK] had replaced, to the front
        published[new], published[old] = published[old], published[new]
    if [published[number] for number in gluonnlp_order(published)] != list(tokens):
        raise ValueError(
            'the tokens that special tokens replaced are not at their former positions'
        )
    return published


unswapped = to_published_order  # its name in 0.1


def vocabulary_from_json(
    content: object,
    source: PathLike,
    special_tokens: Optional[Mapping[str, str]] = None,
    added_ids: Optional[Mapping[str, Optional[int]]] = None,
) -> Vocabulary:
    """Build the vocabulary in a JSON of GluonNLP, or in an object with each token's id.

    Parameters
    ----------
    content : dict
        As parsed.
    source : str or Path
        For the messages.
    special_tokens : dict of str to str, optional
        Used instead of those in the content.
    added_ids : mapping of str to int or None, optional
        See :func:`gluon_bert.data.read_vocab`.

    Returns
    -------
    Vocabulary

    Raises
    ------
    ValueError
        If the content contradicts itself, or a special token is missing.

    Notes
    -----
    Before 0.7 GluonNLP wrote a token with two roles, such as end and padding, twice into
    idx_to_token. As in its own reader the ids are preserved, and the token has that of
    token_to_idx.
    """
    if not isinstance(content, dict):
        raise ValueError(f'{source}: holds a {type(content).__name__}, not an object')
    if 'idx_to_token' not in content:
        tokens = with_added(ids_to_tokens(content, source), added_ids or {}, source)
        return Vocabulary(tokens, find_special_tokens(tokens, special_tokens or {}, source))
    tokens, ids = _indices(content, source)
    named = {**_named_tokens(content, source), **(special_tokens or {})}
    if 'bos_token' in named and '[CLS]' not in ids:  # as GluonNLP writes RoBERTa's
        named = {'cls_token': named['bos_token'], **named}
        named = {'sep_token': named.get('eos_token', named['bos_token']), **named}
    named = find_special_tokens(ids, named, source)
    reserved = _reserved_tokens(content, ids, named, source)
    repeated = [number for number, token in enumerate(tokens) if ids[token] != number]
    for number in repeated:
        if tokens[number] not in (*named.values(), *reserved):
            raise ValueError(
                f'{source}: token {tokens[number][:80]!r} occurs twice, with the ids '
                f'{number} and {ids[tokens[number]]}'
            )
    return extended_vocab(_build(tokens, ids, named, reserved), added_ids or {}, source)


def _build(tokens, ids, named, reserved):
    tokens, ids = list(tokens), dict(ids)
    if '' in ids and _LINE_SEPARATOR not in ids:
        number = ids[_LINE_SEPARATOR] = ids.pop('')
        tokens[number] = _LINE_SEPARATOR
    return Vocabulary(tokens, named, reserved, ids)


def _indices(content, source):
    tokens, ids = content['idx_to_token'], content.get('token_to_idx')
    if not isinstance(tokens, list) or not isinstance(ids, dict):
        raise ValueError(f'{source}: idx_to_token must be a list and token_to_idx an object')
    check_text(tokens, source)
    for token, number in ids.items():
        is_id = isinstance(number, int) and not isinstance(number, bool)
        if not is_id or not 0 <= number < len(tokens):
            raise ValueError(
                f'{source}: token {token[:80]!r} has the id {reprlib.repr(number)}, '
                f'ids go from 0 to {len(tokens) - 1}'
            )
        if tokens[number] != token:
            raise ValueError(
                f'{source}: token {token[:80]!r} has the id {number}, where '
                f'idx_to_token has {tokens[number][:80]!r}'
            )
    for number, token in enumerate(tokens):
        if token not in ids:
            raise ValueError(
                f'{source}: token {token[:80]!r}, number {number} of idx_to_token, '
                f'is not in token_to_idx'
            )
    return tokens, ids


def _named_tokens(content, source):
    """Return the special tokens named in a JSON, by role."""
    inner = content.get('identifiers_to_tokens') or {}
    if not isinstance(inner, dict):
        raise ValueError(f'{source}: identifiers_to_tokens is not an object')
    named = {role: inner[role] for role in _ROLES if inner.get(role) is not None}
    for role in ('unknown_token', *_ROLES):
        if content.get(role) is None:
            continue
        if role in named:
            raise ValueError(f'{source}: {role} is given twice, in identifiers_to_tokens too')
        named[role] = content[role]
    for role, token in named.items():
        if not isinstance(token, str) or not token:
            raise ValueError(f'{source}: {role} is {clipped(token)!r}, not a token')
    return named


def _reserved_tokens(content, ids, named, source):
    reserved = content.get('reserved_tokens') or []
    if not isinstance(reserved, list):
        raise ValueError(f'{source}: reserved_tokens is not a list')
    for token in reserved:
        if not isinstance(token, str) or not token or token not in ids:
            raise ValueError(f'{source}: reserved token {clipped(token)!r} is not in token_to_idx')
    return [token for token in dict.fromkeys(reserved) if token not in named.values()]
