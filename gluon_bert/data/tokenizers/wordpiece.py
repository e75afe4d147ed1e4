"""Tokenize text by WordPiece."""

from __future__ import annotations

import collections.abc
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Optional, Union

from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import WordPiece as WordPieceDecoder
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer, Normalizer, Sequence
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import BertProcessing

from .added_tokens import Added, AnyAdded, library_tokens, num_model_tokens
from .base import LibraryTokenizer, ordered_tokens

if TYPE_CHECKING:
    from gluonnlp.vocab import BERTVocab

    from .vocabulary import Vocabulary


SUBWORD_PREFIX = '##'


class BertTokenizer(LibraryTokenizer):
    """WordPiece tokenizer of BERT.

    Control characters are removed, Chinese characters are words of their own, white space and
    punctuation split the text into words, and each word is split from the left into the longest
    pieces in the vocabulary; a word that cannot be split becomes the unknown token. Devlin et al.
    (2019), section 3; Wu et al. (2016), section 4.1. Special tokens in the text are not split.

    Parameters
    ----------
    vocab : Vocabulary or gluonnlp.vocab.BERTVocab
    lower : bool
        Lower-case the text.
    strip_accents : bool, optional
        Remove accents. By default if ``lower``, as the published models were trained.
    split_chinese : bool
        Make each Chinese character a word.
    max_input_chars_per_word : int
        A longer word is the unknown token.
    never_split : iterable of str, optional
        Words that are not split, in this spelling. Those missing in the vocabulary get the id of
        its unknown token.
    added_tokens : iterable of str or tokenizers.AddedToken, optional
        Tokens of the vocabulary that are found in the text before it is split. Those at its end
        are used in no other way.
    normalizer : str, optional
        JSON of a normalizer of the ``tokenizers`` library, used instead of the one that ``lower``,
        ``strip_accents`` and ``split_chinese`` describe.
    uses_token_types : bool
        Give the second text of a pair token types 1; False for networks without token types
        (DistilBERT).

    Raises
    ------
    TypeError, ValueError
        If ``vocab`` is not a vocabulary or has no unknown token, or another argument is invalid.

    Notes
    -----
    The rules are those of the ``tokenizers`` library, so the ids are those of Hugging Face's
    ``BertTokenizer``. Google's Python differs in three cases that are rare in text: it preserves
    private-use characters, lower-cases a capital sigma at the end of a word to the final form,
    and splits off the 256 Chinese characters from U+2B820.

    Examples
    --------
    >>> from gluonnlp.data import count_tokens
    >>> from gluonnlp.vocab import BERTVocab
    >>> tokenizer = BertTokenizer(BERTVocab(count_tokens(['hello', 'world', '##s', '!'])))
    >>> tokenizer('Hello worlds!')
    ['hello', 'world', '##s', '!']
    >>> tokenizer.encode('Hello worlds!').offsets
    [(0, 5), (6, 11), (11, 12), (12, 13)]
    """

    def __init__(
        self,
        vocab: Union[Vocabulary, BERTVocab],
        lower: bool = True,
        *,
        strip_accents: Optional[bool] = None,
        split_chinese: bool = True,
        max_input_chars_per_word: int = 200,
        never_split: Optional[Iterable[str]] = None,
        added_tokens: Optional[Iterable[AnyAdded]] = None,
        normalizer: Optional[str] = None,
        uses_token_types: bool = True,
    ) -> None:
        super().__init__(
            vocab,
            lower=bool(lower),
            strip_accents=strip_accents,
            split_chinese=split_chinese,
            max_input_chars_per_word=max_input_chars_per_word,
            never_split=_checked_words(never_split),
            added_tokens=added_tokens,
            normalizer=normalizer,
            uses_token_types=bool(uses_token_types),
        )
        if max_input_chars_per_word < 1:
            raise ValueError(
                f'max_input_chars_per_word must be 1 or more, got {max_input_chars_per_word}'
            )
        self._tokenizer = self._build(self._options['never_split'])

    def _build(self, never_split):
        options, vocab = self._options, self._vocab
        tokenizer = Tokenizer(
            WordPiece(
                model_ids(vocab, self._added),
                unk_token=vocab.unknown_token,
                continuing_subword_prefix=SUBWORD_PREFIX,
                max_input_chars_per_word=options['max_input_chars_per_word'],
            )
        )
        names = ('lower', 'strip_accents', 'split_chinese')
        tokenizer.normalizer = (
            normalizer_of(**{name: options[name] for name in names})
            if options['normalizer'] is None
            else normalizer_from_json(options['normalizer'])
        )
        tokenizer.pre_tokenizer = BertPreTokenizer()
        tokenizer.decoder = WordPieceDecoder(SUBWORD_PREFIX)
        if None not in (vocab.cls_token, vocab.sep_token):
            tokenizer.post_processor = BertProcessing(
                *((token, vocab[token]) for token in (vocab.sep_token, vocab.cls_token))
            )
        tokenizer.add_tokens(library_tokens(vocab, self._added))
        tokenizer.add_tokens(
            [AddedToken(word, single_word=True, normalized=False) for word in never_split]
        )
        return tokenizer

    def words(self, text: str) -> list[str]:
        """Clean a text and split it into words, of which the pieces are made.

        Special and added tokens in the text are split like other text.

        Parameters
        ----------
        text : str

        Returns
        -------
        list of str

        Examples
        --------
        >>> from gluon_bert.data import Vocabulary
        >>> tokenizer = BertTokenizer(Vocabulary(['[UNK]'], {'unknown_token': '[UNK]'}))
        >>> tokenizer.words("Crème brûlée isn't")
        ['creme', 'brulee', 'isn', "'", 't']
        """
        cleaned = self._tokenizer.normalizer.normalize_str(text)
        return [word for word, _ in self._tokenizer.pre_tokenizer.pre_tokenize_str(cleaned)]

    @staticmethod
    def is_first_subword(token: str) -> bool:
        """Tell if a token starts a word.

        Examples
        --------
        >>> [BertTokenizer.is_first_subword(token) for token in ('gl', '##uo')]
        [True, False]
        """
        return not token.startswith(SUBWORD_PREFIX)

    def _ids(self, encoding):
        if not self._options['never_split']:
            return encoding.ids
        size = len(self._vocab)  # the library numbers words of never_split from here on
        return [number if number < size else self._unknown_id for number in encoding.ids]

    def _config(self):
        options = self._options
        return {
            'tokenizer_class': 'BertTokenizer',
            'do_lower_case': options['lower'],
            'strip_accents': options['strip_accents'],
            'tokenize_chinese_chars': options['split_chinese'],
            'max_input_chars_per_word': options['max_input_chars_per_word'],
        }

    def _files(self):
        tokens = ordered_tokens(self._vocab, 'vocab.txt')
        tokens = tokens[: num_model_tokens(self._vocab, self._added)]
        for number, token in enumerate(tokens):
            if not token or '\n' in token or token != (token.strip() or token):
                raise ValueError(f'token {number} is {token!r}: vocab.txt cannot hold that')
        # Ids of words that the vocabulary does not have would be beyond the embedding.
        known = self._build(
            [word for word in self._options['never_split'] if word in self._vocab.token_to_idx]
        )
        return {
            'vocab.txt': ''.join(f'{token}\n' for token in tokens),
            'tokenizer.json': known.to_str(pretty=True),
        }


BERTTokenizer = BertTokenizer  # GluonNLP's spelling


def normalizer_of(
    lower: bool, strip_accents: Optional[bool] = None, split_chinese: bool = True
) -> BertNormalizer:
    """Make a normalizer of the ``tokenizers`` library that cleans text as BERT does.

    Parameters
    ----------
    lower : bool
    strip_accents : bool, optional
        By default exactly if ``lower``.
    split_chinese : bool

    Returns
    -------
    tokenizers.normalizers.BertNormalizer
    """
    return BertNormalizer(
        clean_text=True,
        handle_chinese_chars=split_chinese,
        strip_accents=lower if strip_accents is None else strip_accents,
        lowercase=lower,
    )


def model_ids(vocab: Vocabulary, added: collections.abc.Sequence[Added]) -> dict[str, int]:
    """Return the ids of the tokens of which the ``tokenizers`` library makes words."""
    size = num_model_tokens(vocab, added)
    if size == len(vocab):
        return vocab.token_to_idx
    return {token: number for token, number in vocab.token_to_idx.items() if number < size}


def normalizer_from_json(content: str) -> Normalizer:
    """Make a normalizer of the ``tokenizers`` library from its JSON.

    Raises
    ------
    ValueError
        If it is not one.
    """
    try:
        state = json.loads(content)
        model = {'type': 'WordLevel', 'vocab': {}, 'unk_token': ''}
        whole = {'version': '1.0', 'added_tokens': [], 'normalizer': state, 'model': model}
        return Tokenizer.from_str(json.dumps(whole)).normalizer or Sequence([])
    except Exception as error:  # the library's errors have no class of their own
        raise ValueError(f'normalizer is {content[:80]!r}: {error}') from None


def _checked_words(words):
    if isinstance(words, str):
        raise TypeError(f'never_split must be a list of words, got the str {words!r}')
    words = tuple(words or ())
    for word in words:
        if not isinstance(word, str) or not word.strip():
            raise ValueError(f'never_split holds {word!r}, every entry must be a word')
    return words
