"""Map tokens to ids, for the readers and writers of vocabularies."""

from __future__ import annotations

import reprlib
from collections.abc import Collection, Iterable, Mapping, Sequence

from ..._internal.suggestions import unknown_name
from ..._internal.types import PathLike

BYTE_LEVEL_SPACE = 'Ġ'  # how vocabularies of byte-level BPE spell a space
SPECIAL_TOKENS = ('[UNK]', '[PAD]', '[CLS]', '[SEP]', '[MASK]')  # GluonNLP's ids 0 to 4

# Default special tokens of a vocabulary.
BERT_TOKENS = {
    'unknown_token': '[UNK]',
    'padding_token': '[PAD]',
    'cls_token': '[CLS]',
    'sep_token': '[SEP]',
    'mask_token': '[MASK]',
}
ROBERTA_TOKENS = {
    'unknown_token': '<unk>',
    'padding_token': '<pad>',
    'cls_token': '<s>',
    'sep_token': '</s>',
    'mask_token': '<mask>',
    'bos_token': '<s>',
    'eos_token': '</s>',
}


def clipped(value: object) -> str:
    """Shorten a value read from a file, to be shown with repr in a message."""
    return value[:80] if isinstance(value, str) else reprlib.repr(value)


def as_object(value: object) -> dict:
    """Return a value read from JSON if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def gluonnlp_order(tokens: Sequence[str]) -> list[int]:
    """Compute the order that GluonNLP 0.5's and 0.6's converters gave a vocabulary.

    [UNK], [PAD], [CLS], [SEP] and [MASK] get the ids 0 to 4, each by swapping with the token that
    has the id.

    Parameters
    ----------
    tokens : list of str
        In file order.

    Returns
    -------
    list of int
        The id in the file for each id of GluonNLP: a permutation, so that
        ``weight[gluonnlp_order(tokens)]`` has the rows of an embedding in GluonNLP's order.

    Raises
    ------
    ValueError
        If a special token is missing.

    Examples
    --------
    >>> gluonnlp_order(['[PAD]', 'a', '[UNK]', '[CLS]', '[SEP]', '[MASK]'])
    [2, 0, 3, 4, 5, 1]
    """
    order = list(range(len(tokens)))
    position = {token: number for number, token in enumerate(tokens)}
    for new, token in enumerate(SPECIAL_TOKENS):
        if token not in position:
            raise ValueError(f'special token {token!r} is missing among the {len(tokens)} tokens')
        old = position[token]
        ousted = tokens[order[new]]
        order[new], order[old] = order[old], order[new]
        position[token], position[ousted] = new, old
    return order


def find_special_tokens(
    tokens: Collection[str], given: Mapping[str, str], source: PathLike
) -> dict[str, str]:
    """Find the special tokens of a vocabulary by their names in GluonNLP.

    Parameters
    ----------
    tokens : collection of str
    given : dict of str to str
        Known special tokens. The others are BERT's or, in a vocabulary with <s> and without
        [CLS], RoBERTa's.
    source : str or Path
        For the message.

    Returns
    -------
    dict of str to str

    Raises
    ------
    ValueError
        If one is missing or equals the unknown token, or ``given`` has an unknown name.
    """
    check_names(given)
    known = {*BERT_TOKENS.values(), *ROBERTA_TOKENS.values(), *given.values()}
    present = known.intersection(tokens)
    usual = ROBERTA_TOKENS if '<s>' in present and '[CLS]' not in present else BERT_TOKENS
    special_tokens = {
        name: token
        for name, token in {**usual, **given}.items()
        if name in BERT_TOKENS or name in given or token in present
    }
    for name, token in special_tokens.items():
        if token not in present:
            raise ValueError(
                f'{source}: special token {token[:80]!r} is missing among the '
                f'{len(tokens)} tokens ({name})'
            )
    check_unknown(special_tokens, source)
    return special_tokens


def check_names(special_tokens: Iterable[str]) -> None:
    """Raise ValueError if a special token has a name other than GluonNLP's."""
    for name in special_tokens:
        if name not in ROBERTA_TOKENS:
            raise unknown_name('special token', name, ROBERTA_TOKENS)


def check_unknown(special_tokens: Mapping[str, str], source: PathLike) -> None:
    """Raise ValueError if a token equals the unknown one, which GluonNLP would count twice."""
    for name, token in special_tokens.items():
        if name != 'unknown_token' and token == special_tokens['unknown_token']:
            raise ValueError(f'{source}: {token[:80]!r} is both unknown_token and {name}')


def ids_to_tokens(ids: object, source: PathLike) -> list[str]:
    """List the tokens by id, given an object with the id of each token.

    Raises
    ------
    ValueError
        If it is not such an object, or the ids are not consecutive from 0.
    """
    if not isinstance(ids, dict) or not ids:
        raise ValueError(f'{source}: expected an object with the id of each token')
    by_id: dict[int, str] = {}
    for token, number in ids.items():
        _check_id(token, number, len(ids), source)
        if number in by_id:
            raise ValueError(
                f'{source}: tokens {by_id[number][:80]!r} and {token[:80]!r} both '
                f'have the id {number}'
            )
        by_id[number] = token
    tokens = [by_id[number] for number in range(len(ids))]
    check_text(tokens, source)
    return tokens


def check_text(tokens: Sequence[object], source: PathLike) -> None:
    """Raise ValueError if a token is no str, holds a NUL, or is not valid Unicode."""
    for number, token in enumerate(tokens):
        if not isinstance(token, str):
            raise ValueError(f'{source}: token {number} is {clipped(token)!r}, not a text')
        if '\0' in token:
            raise ValueError(f'{source}: token {number}, {token[:80]!r}, holds a NUL character')
        if not token.isascii() and any('\ud800' <= char <= '\udfff' for char in token):
            raise ValueError(
                f'{source}: token {number}, {token[:80]!r}, holds an unpaired surrogate'
            )


def check_num_lines(path: PathLike, max_bytes: int, max_lines: int) -> None:
    """Raise ValueError if a file has more than ``max_lines`` in its first ``max_bytes``."""
    with open(path, 'rb') as file:
        if file.read(max_bytes).count(b'\n') > max_lines:
            raise ValueError(f'{path}: the file has more than {max_lines} lines')


def _check_id(token, number, size, source):
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < size:
        raise ValueError(
            f'{source}: token {token[:80]!r} has the id {reprlib.repr(number)}, '
            f'ids go from 0 to {size - 1}'
        )
