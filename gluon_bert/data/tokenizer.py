"""Text to WordPiece tokens."""
from __future__ import annotations

import functools
import operator
import re
from typing import NamedTuple

from tokenizers import AddedToken, Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

SUBWORD_PREFIX = '##'
_SPECIAL_TOKENS = ('unknown_token', 'padding_token', 'cls_token', 'sep_token', 'mask_token')
_SURROGATE = re.compile('[\ud800-\udfff]')    # half a character: from JSON escapes, file names


class Encoded(NamedTuple):
    """The tokens of a text, their ids, and where in the text each of them stands.

    ``text[start:end]`` with (start, end) of ``offsets`` is what the token was made from, but for
    characters that were removed at its ends, such as a combining accent after the last letter.
    """

    tokens: list[str]
    ids: list[int]
    offsets: list[tuple[int, int]]


class BertTokenizer:
    """WordPiece tokenizer of BERT.

    Control characters go, Chinese characters stand alone, white space and punctuation split the
    text into words, and each word is cut into the longest pieces that the vocabulary has, from
    the left; a word that cannot be cut is the unknown token. Devlin et al. (2019), section 3; Wu
    et al. (2016), section 4.1. Special tokens in the text are kept whole.

    Parameters
    ----------
    vocab : gluonnlp.vocab.BERTVocab
    lower : bool
        Lower-case the text.
    strip_accents : bool, optional
        Remove accents. By default exactly if ``lower``, as the published models were trained.
    split_chinese : bool
        Make each Chinese character a word.
    max_input_chars_per_word : int
        A longer word is the unknown token.
    never_split : iterable of str, optional
        Words kept whole, in this spelling. Those that the vocabulary does not have get the id of
        its unknown token.

    Raises
    ------
    TypeError, ValueError
        If ``vocab`` is no vocabulary or has no unknown token, or another argument is not as above.

    Notes
    -----
    The rules are those of the ``tokenizers`` library, so the ids are those of Hugging Face's
    ``BertTokenizer``. Google's Python differs in three places that ordinary text does not reach:
    it keeps private-use characters, turns a capital sigma at the end of a word into the final
    one, and sets apart the 256 Chinese characters from U+2B820.

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

    def __init__(self, vocab, lower=True, *, strip_accents=None, split_chinese=True,
                 max_input_chars_per_word=200, never_split=None):
        if not (hasattr(vocab, 'token_to_idx') and hasattr(vocab, 'idx_to_token')):
            raise TypeError(f'vocab must be a BERTVocab, got {type(vocab).__name__}')
        if vocab.unknown_token is None:
            raise ValueError('vocab has no unknown token: words that it cannot make have no id')
        if max_input_chars_per_word < 1:
            raise ValueError(f'max_input_chars_per_word must be 1 or more, '
                             f'got {max_input_chars_per_word}')
        self._vocab = vocab
        self._options = {
            'lower': bool(lower), 'strip_accents': strip_accents, 'split_chinese': split_chinese,
            'max_input_chars_per_word': max_input_chars_per_word,
            'never_split': _checked_words(never_split)}
        self._unknown_id = vocab.token_to_idx[vocab.unknown_token]
        self._tokenizer = self._build()

    def _build(self):
        options, vocab = self._options, self._vocab
        tokenizer = Tokenizer(WordPiece(
            dict(vocab.token_to_idx), unk_token=vocab.unknown_token,
            continuing_subword_prefix=SUBWORD_PREFIX,
            max_input_chars_per_word=options['max_input_chars_per_word']))
        strip_accents = options['strip_accents']
        tokenizer.normalizer = BertNormalizer(
            clean_text=True, handle_chinese_chars=options['split_chinese'],
            strip_accents=options['lower'] if strip_accents is None else strip_accents,
            lowercase=options['lower'])
        tokenizer.pre_tokenizer = BertPreTokenizer()
        special = [getattr(vocab, name, None) for name in _SPECIAL_TOKENS]
        tokenizer.add_special_tokens([token for token in special if token is not None])
        tokenizer.add_tokens([AddedToken(word, single_word=True, normalized=False)
                              for word in options['never_split']])
        return tokenizer

    def __reduce__(self):
        return functools.partial(type(self), self._vocab, **self._options), ()

    def __repr__(self):
        return f'{type(self).__name__}({self._vocab!r}, lower={self.lower})'

    @property
    def vocab(self):
        """The vocabulary."""
        return self._vocab

    @property
    def lower(self):
        """Whether the text is lower-cased."""
        return self._options['lower']

    def __call__(self, text):
        """The tokens of a text, as a list of str."""
        return self._tokenizer.encode(_checked_text(text), add_special_tokens=False).tokens

    def encode(self, text):
        """The tokens of a text with their ids and places.

        Parameters
        ----------
        text : str

        Returns
        -------
        Encoded

        Raises
        ------
        TypeError
            If ``text`` is not a str.
        """
        return self._encoded(
            self._tokenizer.encode(_checked_text(text), add_special_tokens=False))

    def encode_batch(self, texts):
        """As :meth:`encode`, for many texts at once: on all cores.

        Parameters
        ----------
        texts : iterable of str

        Returns
        -------
        list of Encoded
        """
        return [self._encoded(encoding) for encoding in self._encode_batch(texts)]

    def encode_ids(self, texts):
        """The ids alone of many texts, faster than :meth:`encode_batch`.

        Parameters
        ----------
        texts : iterable of str

        Returns
        -------
        list of list of int
        """
        return [self._ids(encoding) for encoding in self._encode_batch(texts)]

    def convert_tokens_to_ids(self, tokens):
        """The id of a token, or the ids of a list of tokens.

        Parameters
        ----------
        tokens : str or list of str

        Returns
        -------
        int or list of int
            The unknown token's id for tokens that the vocabulary does not have.
        """
        return self._vocab[tokens if isinstance(tokens, str) else list(tokens)]

    def convert_ids_to_tokens(self, ids):
        """The token of an id, or the tokens of a list or array of ids.

        Parameters
        ----------
        ids : int or iterable of int

        Returns
        -------
        str or list of str

        Raises
        ------
        ValueError
            If an id is not in the vocabulary.
        """
        if not hasattr(ids, '__iter__'):
            return self.convert_ids_to_tokens([ids])[0]
        numbers = [operator.index(number) for number in ids]
        for number in numbers:
            if not 0 <= number < len(self._vocab):
                raise ValueError(f'id {number} is not in the vocabulary, '
                                 f'which has ids from 0 to {len(self._vocab) - 1}')
        return [self._vocab.idx_to_token[number] for number in numbers]

    @staticmethod
    def is_first_subword(token):
        """Whether a token starts a word.

        Examples
        --------
        >>> [BertTokenizer.is_first_subword(token) for token in ('gl', '##uo')]
        [True, False]
        """
        return not token.startswith(SUBWORD_PREFIX)

    def _encode_batch(self, texts):
        if isinstance(texts, (str, bytes)):
            raise TypeError('texts must be a list of str, got one text')
        return self._tokenizer.encode_batch([_checked_text(text) for text in texts],
                                            add_special_tokens=False)

    def _ids(self, encoding):
        if not self._options['never_split']:
            return encoding.ids
        size = len(self._vocab)    # the library numbers words of never_split from here on
        return [number if number < size else self._unknown_id for number in encoding.ids]

    def _encoded(self, encoding):
        return Encoded(encoding.tokens, self._ids(encoding), encoding.offsets)


BERTTokenizer = BertTokenizer    # GluonNLP's spelling


def _checked_text(text):
    if not isinstance(text, str):
        raise TypeError(f'text must be str, got {type(text).__name__}')
    return _SURROGATE.sub('\ufffd', text)    # which the tokenizer drops; offsets stay


def _checked_words(words):
    if isinstance(words, str):
        raise TypeError(f'never_split must be a list of words, got the str {words!r}')
    words = tuple(words or ())
    for word in words:
        if not isinstance(word, str) or not word.strip():
            raise ValueError(f'never_split holds {word!r}, every entry must be a word')
    return words
