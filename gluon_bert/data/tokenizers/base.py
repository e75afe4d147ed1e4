"""Base classes of the tokenizers of all families."""

from __future__ import annotations

import functools
import json
from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from ..._internal.files import atomic_path
from ..._internal.types import PathLike
from .added_tokens import (
    ADDED_TOKENS,
    AnyAdded,
    added_entries,
    added_ids,
    check_added,
    library_tokens,
)
from .calls import TokenizerCalls
from .vocabulary import Vocabulary

if TYPE_CHECKING:
    from gluonnlp.vocab import BERTVocab


ROLES = ('unknown_token', 'padding_token', 'cls_token', 'sep_token', 'mask_token')
# The same roles in the files of transformers.
FILE_ROLES = {
    'unknown_token': 'unk_token',
    'padding_token': 'pad_token',
    'cls_token': 'cls_token',
    'sep_token': 'sep_token',
    'mask_token': 'mask_token',
    'bos_token': 'bos_token',
    'eos_token': 'eos_token',
}


class SubwordTokenizer(TokenizerCalls):
    """Base class of the tokenizers: text to subword tokens and their ids.

    Parameters
    ----------
    vocab : Vocabulary or gluonnlp.vocab.BERTVocab
    **options
        Further keyword arguments of the class, for copies.

    Raises
    ------
    TypeError, ValueError
        If ``vocab`` is not a vocabulary or has no unknown token.
    """

    pair_separators = 1
    """Number of separators between the two texts of a pair."""

    def __init__(self, vocab: Union[Vocabulary, BERTVocab], **options: Any) -> None:
        vocab = Vocabulary.of(vocab)
        if vocab.unknown_token is None:
            raise ValueError('vocab has no unknown token, for words that it cannot form')
        self._vocab = vocab
        self._options = options
        self._unknown_id = vocab.token_to_idx[vocab.unknown_token]
        self._added = self._options['added_tokens'] = check_added(
            options.get('added_tokens'), vocab
        )
        tokens = library_tokens(vocab, self._added)
        # What is not split: id -> token.
        self._whole = {vocab.token_to_idx[token.content]: token.content for token in tokens}
        self._special = frozenset(token.content for token in tokens if token.special)

    def __reduce__(self) -> tuple:
        return functools.partial(type(self), *self._arguments(), **self._options), ()

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self._vocab!r}, lower={self.lower})'

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary, which needs no GluonNLP."""
        return self._vocab

    @property
    def vocab(self) -> BERTVocab:
        """The vocabulary as GluonNLP's class; it and MXNet are imported when this is first used."""
        return self._vocab.to_gluonnlp()

    @property
    def lower(self) -> bool:
        """True if the text is lower-cased."""
        return self._options.get('lower', False)

    @property
    def uses_token_types(self) -> bool:
        """True if the second text of a pair has token types 1."""
        return self._options.get('uses_token_types', True)

    def is_like(self, other: object) -> bool:
        """Tell if another tokenizer makes the same ids of every text."""
        return (
            isinstance(other, SubwordTokenizer)
            and type(self) is type(other)
            and self._settings() == other._settings()
            and self._vocab.idx_to_token == other._vocab.idx_to_token
            and all(
                getattr(self._vocab, role, None) == getattr(other._vocab, role, None)
                for role in FILE_ROLES
            )
        )

    def _settings(self):
        """The options, where accents are removed with the capitals by default."""
        strips = self._options.get('strip_accents')
        return {**self._options, 'strip_accents': self.lower if strips is None else strips}

    def with_lower(self, lower: bool) -> SubwordTokenizer:
        """Copy the tokenizer to lower-case text or not; accents go with the capitals."""
        if self._options.get('normalizer') is not None and lower != self.lower:
            raise ValueError(f'lower={lower}: the normalizer of this tokenizer decides the casing')
        options = {**self._options, 'lower': lower}
        if options.get('strip_accents') in (None, self.lower) and 'strip_accents' in options:
            options['strip_accents'] = None
        return type(self)(*self._arguments(), **options)

    def with_added_tokens(self, added_tokens: Iterable[AnyAdded]) -> SubwordTokenizer:
        """Copy the tokenizer with other added tokens, which the vocabulary has."""
        return type(self)(*self._arguments(), **{**self._options, 'added_tokens': added_tokens})

    def without_token_types(self) -> SubwordTokenizer:
        """Copy the tokenizer for a network that has no token types."""
        if not self.uses_token_types:
            return self
        return type(self)(*self._arguments(), **{**self._options, 'uses_token_types': False})

    def save(self, folder: PathLike) -> None:
        """Write the files that transformers and :func:`read_tokenizer` read as this tokenizer.

        Parameters
        ----------
        folder : str or Path
            Made if absent.

        Raises
        ------
        ValueError
            If these files cannot hold the vocabulary.
        """
        contents = self.contents()
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            with atomic_path(folder / name) as path:
                path.write_bytes(content)

    def contents(self) -> dict[str, bytes]:
        """Give the files of :meth:`save` by their names.

        Raises
        ------
        ValueError
            If these files cannot hold the vocabulary.
        """
        special = {
            key: token
            for name, key in FILE_ROLES.items()
            if (token := getattr(self._vocab, name, None)) is not None
        }
        special = {key: self._special_entry(key, token) for key, token in special.items()}
        typed = {
            key: {'__type': 'AddedToken', **entry} if isinstance(entry, dict) else entry
            for key, entry in special.items()
        }
        config = {**typed, **self._config(), **added_entries(self._vocab, self._added)}
        if not self.uses_token_types:
            config['model_input_names'] = ['input_ids', 'attention_mask']
        added = added_ids(self._vocab, self._added)
        contents = {
            **self._files(),
            **({ADDED_TOKENS: json.dumps(added, indent=2) + '\n'} if added else {}),
            'tokenizer_config.json': json.dumps(config, indent=2) + '\n',
            'special_tokens_map.json': json.dumps(special, indent=2) + '\n',
        }
        return {
            name: content.encode() if isinstance(content, str) else content
            for name, content in contents.items()
        }

    def _arguments(self):
        """Return the positional arguments of a copy."""
        return (self._vocab,)

    def _special_entry(self, key, token):
        """Return a special token as transformers' files state it: the token, or an object."""
        return token

    @abstractmethod
    def _config(self):
        """Return the entries of tokenizer_config.json."""

    @abstractmethod
    def _files(self):
        """Return the content, as text or bytes, of the vocabulary's files by name."""


class LibraryTokenizer(SubwordTokenizer):
    """A tokenizer whose text processing is all in the ``tokenizers`` library.

    Parameters
    ----------
    vocab, **options
        As for :class:`SubwordTokenizer`.
    """

    _tokenizer: Any = None  # a tokenizers.Tokenizer, made by the class

    def _tokens(self, encoding):
        # The library gives an added token as it stands in the text.
        whole = self._whole
        return [whole.get(number, token) for number, token in zip(encoding.ids, encoding.tokens)]

    def _join(self, tokens):
        return self._tokenizer.decoder.decode(tokens)

    def _run_one(self, text):
        return self._tokenizer.encode(text, add_special_tokens=False)

    def _run(self, texts):
        return self._tokenizer.encode_batch(texts, add_special_tokens=False)  # on all cores

    def _run_for_ids(self, texts):
        # Since tokenizers 0.20.
        run = getattr(self._tokenizer, 'encode_batch_fast', self._tokenizer.encode_batch)
        return run(texts, add_special_tokens=False)


def ordered_tokens(vocab: Vocabulary, form: str) -> list[str]:
    """List the tokens by id; ValueError if one occurs twice, which ``form`` cannot express."""
    for number, token in enumerate(vocab.idx_to_token):
        if vocab.token_to_idx[token] != number:
            raise ValueError(
                f'token {token!r} has the ids {number} and '
                f'{vocab.token_to_idx[token]}: {form} cannot hold that'
            )
    return vocab.idx_to_token
