"""Tokenize text by byte-level BPE, as RoBERTa does."""

from __future__ import annotations

import itertools
import json
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional, Union

from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.processors import RobertaProcessing

from ..._internal.types import PathLike
from ..classification.lines import drop_trailing_blanks, read_lines
from .added_tokens import AnyAdded, library_tokens, num_model_tokens
from .base import LibraryTokenizer, ordered_tokens
from .vocabulary_files import read_vocabulary
from .vocabulary_ids import BYTE_LEVEL_SPACE, check_num_lines
from .wordpiece import model_ids

if TYPE_CHECKING:
    from gluonnlp.vocab import BERTVocab

    from .vocabulary import Vocabulary


MAX_BYTES = 16 << 20
MAX_MERGES = 600_000
_VERSION = '#version: 0.2'


class BytePairTokenizer(LibraryTokenizer):
    """Byte-level BPE tokenizer of RoBERTa.

    The text is split into words, each with the space before it, and numbers and punctuation; the
    UTF-8 bytes of each are joined pair by pair, in the order of ``merges``.
    Radford et al. (2019), section 2.2; Liu et al. (2019), section 4.4. Case and white space are
    preserved. Special tokens in the text are not split; the mask token takes the space before it.

    Parameters
    ----------
    vocab : Vocabulary or gluonnlp.vocab.BERTVocab
    merges : sequence of (str, str)
        The pairs, the most frequent first.
    add_prefix_space : bool
        Treat the first word like the others, as if a space preceded it.
    added_tokens : iterable of str or tokenizers.AddedToken, optional
        See :class:`BertTokenizer`.
    uses_token_types : bool
        Give the second text of a pair token types 1; RoBERTa has none.

    Raises
    ------
    TypeError, ValueError
        If ``vocab`` is not a vocabulary, or lacks a pair's parts or union.

    Examples
    --------
    >>> from gluonnlp.vocab import BERTVocab
    >>> ids = {token: i for i, token in enumerate('<s> <pad> </s> <unk> a b Ġ ab Ġab'.split())}
    >>> vocab = BERTVocab(ids, unknown_token='<unk>', padding_token='<pad>', cls_token='<s>',
    ...                   sep_token='</s>', mask_token=None, token_to_idx=ids)
    >>> tokenizer = BytePairTokenizer(vocab, [('a', 'b'), ('Ġ', 'ab')])
    >>> tokenizer('abb ab')
    ['ab', 'b', 'Ġab']
    >>> tokenizer.encode('abb ab').offsets
    [(0, 2), (2, 3), (4, 6)]
    """

    pair_separators = 2

    def __init__(
        self,
        vocab: Union[Vocabulary, BERTVocab],
        merges: Sequence[tuple[str, str]],
        *,
        add_prefix_space: bool = False,
        added_tokens: Optional[Iterable[AnyAdded]] = None,
        uses_token_types: bool = False,
    ) -> None:
        super().__init__(
            vocab,
            add_prefix_space=bool(add_prefix_space),
            added_tokens=added_tokens,
            uses_token_types=bool(uses_token_types),
        )
        self._merges = [tuple(pair) for pair in merges]
        known = self._vocab.token_to_idx
        for number, pair in enumerate(self._merges):
            for token in (*pair, ''.join(pair)):
                if token not in known:
                    raise ValueError(
                        f'merges[{number}] is {reprlib.repr(pair)}: '
                        f'{token[:80]!r} is not in the vocabulary'
                    )
        self._tokenizer = self._build()

    @classmethod
    def from_files(
        cls,
        vocab_path: PathLike,
        merges_path: PathLike,
        special_tokens: Optional[dict[str, str]] = None,
        added_ids: Optional[Mapping[str, Optional[int]]] = None,
        **options: Any,
    ) -> BytePairTokenizer:
        """Read the tokenizer from its two files.

        Parameters
        ----------
        vocab_path : str or Path
            ``vocab.json`` with the id of each token, or GluonNLP's vocabulary JSON.
        merges_path : str or Path
            ``merges.txt``, or GluonNLP's ``openai_webtext_bpe_ranks-396d4d8e.json``; both have a
            pair a line.
        special_tokens : dict of str to str, optional
            See :func:`gluon_bert.data.read_vocab`.
        added_ids : mapping of str to int or None, optional
            See :func:`gluon_bert.data.read_vocab`.
        **options
            As for the class.

        Returns
        -------
        BytePairTokenizer

        Raises
        ------
        FileNotFoundError
        ValueError
            If a file is malformed, or they do not belong together.
        """
        vocab = read_vocabulary(vocab_path, special_tokens=special_tokens, added_ids=added_ids)
        try:
            return cls(vocab, read_merges(merges_path), **options)
        except ValueError as error:
            raise ValueError(
                f'{merges_path}: {error} {vocab_path}'
                if str(error).startswith('merges[')
                else error
            ) from None

    def _build(self):
        vocab, space = self._vocab, self._options['add_prefix_space']
        tokenizer = Tokenizer(
            BPE(model_ids(vocab, self._added), self._merges, unk_token=vocab.unknown_token)
        )
        tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=space)
        tokenizer.decoder = ByteLevelDecoder()
        tokenizer.post_processor = RobertaProcessing(
            *((token, vocab[token]) for token in (vocab.sep_token, vocab.cls_token)),
            trim_offsets=True,
            add_prefix_space=space,
        )
        tokenizer.add_tokens(library_tokens(vocab, self._added, vocab.mask_token))
        return tokenizer

    @staticmethod
    def is_first_subword(token: str) -> bool:
        """Tell if a token starts a word after a space.

        For the first word of a text this holds only with ``add_prefix_space``.

        Examples
        --------
        >>> [BytePairTokenizer.is_first_subword(token) for token in ('Ġgl', 'uo')]
        [True, False]
        """
        return token.startswith(BYTE_LEVEL_SPACE)

    def _arguments(self):
        return self._vocab, self._merges

    def _join(self, tokens):
        # Special and added tokens are spelled in characters, not in bytes.
        parts = itertools.groupby(tokens, set(self._whole.values()).__contains__)
        return ''.join(
            ''.join(part) if is_whole else super(BytePairTokenizer, self)._join(list(part))
            for is_whole, part in parts
        )

    def _special_entry(self, key, token):
        return (
            token
            if key != 'mask_token'
            else {
                'content': token,
                'lstrip': True,
                'rstrip': False,
                'normalized': False,
                'single_word': False,
            }
        )

    def _config(self):
        return {
            'tokenizer_class': 'RobertaTokenizer',
            'trim_offsets': True,
            'add_prefix_space': self._options['add_prefix_space'],
        }

    def _files(self):
        tokens = ordered_tokens(self._vocab, 'vocab.json')
        tokens = tokens[: num_model_tokens(self._vocab, self._added)]
        ids = {token: number for number, token in enumerate(tokens)}
        return {
            'vocab.json': json.dumps(ids, ensure_ascii=False) + '\n',
            'merges.txt': ''.join(f'{line}\n' for line in (_VERSION, *map(' '.join, self._merges))),
            'tokenizer.json': self._tokenizer.to_str(pretty=True),
        }


def read_merges(path: PathLike) -> list[tuple[str, str]]:
    """Read the pairs of a ``merges.txt``, or of GluonNLP's file of BPE ranks.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    list of tuple of (str, str)
        The most frequent first.

    Raises
    ------
    FileNotFoundError
    ValueError
        If the file is larger than 16 MiB or not UTF-8, or a line is not a pair or occurs twice.
    """
    check_num_lines(path, MAX_BYTES, MAX_MERGES)
    lines: dict[tuple[str, str], int] = {}  # of each pair
    for number, line in drop_trailing_blanks(read_lines(path, MAX_BYTES)):
        if number == 1 and line.startswith('#version'):
            continue
        first, *others = line.split(' ')
        if len(others) != 1 or not (first and others[0]):
            raise ValueError(f'{path}:{number}: {line[:80]!r} is not two tokens and one space')
        pair = first, others[0]
        if pair in lines:
            raise ValueError(f'{path}:{number}: {line[:80]!r} also occurs in line {lines[pair]}')
        lines[pair] = number
    return list(lines)
