"""Map tokens to ids and back, without GluonNLP."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional, Union

if TYPE_CHECKING:
    from gluonnlp.vocab import BERTVocab

# Of special tokens, but for the unknown one, in the order in which GluonNLP lists them.
ROLES = ('cls_token', 'sep_token', 'mask_token', 'padding_token', 'bos_token', 'eos_token')


class Vocabulary:
    """Tokens with their ids and the roles of the special ones, as ``gluonnlp.vocab.BERTVocab``.

    It is made and used without MXNet and GluonNLP, and is not changed once made.

    Parameters
    ----------
    tokens : sequence of str
        By id, all different.
    special_tokens : dict of str to str
        Tokens by their roles: unknown_token, padding_token, cls_token, sep_token, mask_token,
        bos_token, eos_token. The attribute of a role that is missing is None.
    reserved_tokens : sequence of str
        Further tokens to list as reserved.
    token_to_idx : dict of str to int, optional
        For files of GluonNLP in which a token has two ids: the one that it is looked up as.

    Attributes
    ----------
    idx_to_token : list of str
    token_to_idx : dict of str to int
    reserved_tokens : list of str or None
        The special tokens, but for the unknown one, and the reserved ones; None if there is none.

    Raises
    ------
    ValueError
        If a token occurs twice without ``token_to_idx``, a role is none of these, or its token is
        not among the tokens.

    Examples
    --------
    >>> special_tokens = {'unknown_token': '[UNK]', 'padding_token': '[PAD]'}
    >>> vocabulary = Vocabulary(['[PAD]', '[UNK]', 'hello'], special_tokens)
    >>> vocabulary['hello', 'absent'], vocabulary.padding_token, vocabulary.mask_token
    ([2, 1], '[PAD]', None)
    """

    def __init__(
        self,
        tokens: Sequence[str],
        special_tokens: Mapping[str, str],
        reserved_tokens: Sequence[str] = (),
        token_to_idx: Optional[Mapping[str, int]] = None,
    ) -> None:
        self.idx_to_token = list(tokens)
        ids = dict(zip(self.idx_to_token, range(len(self.idx_to_token))))
        if token_to_idx is None and len(ids) < len(self.idx_to_token):
            token = next(token for n, token in enumerate(self.idx_to_token) if ids[token] != n)
            raise ValueError(f'tokens: {token[:80]!r} occurs twice')
        self.token_to_idx = ids if token_to_idx is None else dict(token_to_idx)
        for role, token in special_tokens.items():
            if role not in ('unknown_token', *ROLES):
                raise ValueError(f'special_tokens: {role!r} is no role of a special token')
            if token not in self.token_to_idx:
                raise ValueError(f'special_tokens: {role} {token[:80]!r} is not among the tokens')
        self.unknown_token: Optional[str] = special_tokens.get('unknown_token')
        self.padding_token: Optional[str] = special_tokens.get('padding_token')
        self.cls_token: Optional[str] = special_tokens.get('cls_token')
        self.sep_token: Optional[str] = special_tokens.get('sep_token')
        self.mask_token: Optional[str] = special_tokens.get('mask_token')
        self.bos_token: Optional[str] = special_tokens.get('bos_token')
        self.eos_token: Optional[str] = special_tokens.get('eos_token')
        self.reserved_tokens = self._listed(reserved_tokens)
        unknown = self.unknown_token
        self._unknown_id = None if unknown is None else self.token_to_idx[unknown]
        self._gluonnlp: Optional[BERTVocab] = None

    def _listed(self, reserved: Sequence[str]) -> Optional[list[str]]:
        tokens = (getattr(self, role) for role in ROLES)
        return list(dict.fromkeys([*filter(None, tokens), *reserved])) or None

    @classmethod
    def of(cls, vocab: Union[BERTVocab, Vocabulary]) -> Vocabulary:
        """Convert a vocabulary of GluonNLP; a :class:`Vocabulary` is returned as it is.

        Raises
        ------
        TypeError
            If it is neither.
        """
        if isinstance(vocab, cls):
            return vocab
        if not (hasattr(vocab, 'token_to_idx') and hasattr(vocab, 'idx_to_token')):
            raise TypeError(
                f'vocab must be a BERTVocab, got {type(vocab).__name__}; a Vocabulary will do, too'
            )
        roles = {role: getattr(vocab, role, None) for role in ('unknown_token', *ROLES)}
        special_tokens = {role: token for role, token in roles.items() if token is not None}
        light = cls(
            vocab.idx_to_token,
            special_tokens,
            getattr(vocab, 'reserved_tokens', None) or (),
            vocab.token_to_idx,
        )
        light._gluonnlp = vocab
        return light

    def to_gluonnlp(self) -> BERTVocab:
        """Make the equal vocabulary of GluonNLP, which imports it and MXNet.

        Returns
        -------
        gluonnlp.vocab.BERTVocab
            The same object in each call: the one that :meth:`of` converted, if it did.
        """
        if self._gluonnlp is None:
            self._gluonnlp = self._make_gluonnlp()
        return self._gluonnlp

    def _make_gluonnlp(self):
        from gluonnlp.data import count_tokens
        from gluonnlp.vocab import BERTVocab

        special_tokens = {role: getattr(self, role) for role in ('unknown_token', *ROLES)}
        known = set(special_tokens.values())
        names = {
            number: token
            for number, token in enumerate(self.idx_to_token)
            if self.token_to_idx[token] != number
        }
        # GluonNLP builds a vocabulary of different tokens.
        tokens = [
            f'\0{number}' if number in names else token
            for number, token in enumerate(self.idx_to_token)
        ]
        vocab = BERTVocab(
            count_tokens(tokens),
            reserved_tokens=[t for t in self.reserved_tokens or () if t not in known] or None,
            token_to_idx={token: number for number, token in enumerate(tokens)},
            **special_tokens,
        )
        for number, token in names.items():
            del vocab.token_to_idx[tokens[number]]
            vocab.idx_to_token[number] = token
        return vocab

    def to_json(self) -> str:
        """Write the JSON of GluonNLP 0.7 and later, byte for byte as its ``to_json`` does."""
        if self._gluonnlp is not None:
            return self._gluonnlp.to_json()  # which lists the ids by the counts of the tokens
        # The order in which GluonNLP adds tokens that have equal counts.
        first = dict.fromkeys([self.unknown_token, *(self.reserved_tokens or ())])
        order = [*first, *sorted(self.token_to_idx.keys() - first.keys())]
        content = {
            'idx_to_token': self.idx_to_token,
            'token_to_idx': {
                token: self.token_to_idx[token] for token in order if token is not None
            },
            'reserved_tokens': self.reserved_tokens,
            'unknown_token': self.unknown_token,
            'identifiers_to_tokens': {role: getattr(self, role) for role in ROLES},
        }
        return json.dumps(content)

    def __len__(self) -> int:
        return len(self.idx_to_token)

    def __contains__(self, token: object) -> bool:
        return token in self.token_to_idx

    def __getitem__(self, tokens: Any) -> Any:
        """Look up the id of a token, or the list of ids of a list or tuple of tokens."""
        if isinstance(tokens, (list, tuple)):
            return [self[token] for token in tokens]
        number = self.token_to_idx.get(tokens, self._unknown_id)
        if number is None:
            raise KeyError(tokens)
        return number

    def __call__(self, tokens: Any) -> Any:
        """Look up ids, as ``vocabulary[tokens]`` does."""
        return self[tokens]

    def to_indices(self, tokens: Any) -> Any:
        """Look up ids, as ``vocabulary[tokens]`` does."""
        return self[tokens]

    def to_tokens(self, indices: Any) -> Any:
        """Look up the token of an id, or the list of tokens of a list or tuple of ids.

        Raises
        ------
        ValueError
            If an id is not one of the vocabulary.
        """
        if isinstance(indices, (list, tuple)):
            return [self.to_tokens(number) for number in indices]
        if not isinstance(indices, int) or not 0 <= indices < len(self):
            raise ValueError(f'id {indices!r}: expected an int from 0 to {len(self) - 1}')
        return self.idx_to_token[indices]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return NotImplemented
        return self.__getstate__() == other.__getstate__()

    __hash__ = None  # type: ignore[assignment]

    def __getstate__(self) -> dict:
        return {**self.__dict__, '_gluonnlp': None}

    def __repr__(self) -> str:
        return (
            f'Vocabulary({len(self)} tokens, unknown_token={self.unknown_token!r}, '
            f'reserved_tokens={self.reserved_tokens})'
        )
