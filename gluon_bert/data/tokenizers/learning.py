"""Learn the vocabulary of a WordPiece tokenizer from texts."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Optional

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.trainers import WordPieceTrainer

from ..._internal.checks import check_fraction, check_positive, check_range
from ..._internal.errors import ArgumentError
from .added_tokens import Added
from .encoding import checked_text
from .vocabulary import Vocabulary
from .vocabulary_files import MAX_LINES
from .vocabulary_ids import BERT_TOKENS
from .wordpiece import SUBWORD_PREFIX, BertTokenizer

logger = logging.getLogger(__name__)

NO_WORDS = 'the texts have no words to learn from'
_PART = 16 << 20  # characters of text that are read before their words are counted
_MAX_CHARACTERS = 2**31 - 1  # of all words: the library counts pairs in 32 bits
_MAX_WORD = 200  # characters; longer words are unknown to the tokenizer by default
_MAX_REPEATED = 1000


def learn_wordpiece(
    texts: Iterable[str],
    size: int,
    *,
    lower: bool = True,
    strip_accents: Optional[bool] = None,
    split_chinese: bool = True,
    num_unused: int = 0,
    extra_tokens: Sequence[str] = (),
    character_coverage: float = 1.0,
    min_frequency: int = 2,
) -> BertTokenizer:
    """Learn a WordPiece vocabulary from texts.

    The ids are in Google's order: [PAD], the unused tokens, [UNK], [CLS], [SEP], [MASK], then the
    extra tokens, the characters, and the pieces in the order in which they were learned. The same
    texts give the same vocabulary, in whichever order and on however many threads.

    Parameters
    ----------
    texts : iterable of str
        Read once. The memory needed grows with the number of different words.
    size : int
        Tokens of the vocabulary. If the texts give fewer, the log says so.
    lower, strip_accents, split_chinese
        As for :class:`BertTokenizer`, which cleans and splits the texts.
    num_unused : int
        Number of tokens [unused0], [unused1], ... that a user may replace by others later. With 99,
        [UNK], [CLS], [SEP] and [MASK] have Google's ids, 100 to 103.
    extra_tokens : sequence of str
        Further special tokens, which are never split.
    character_coverage : float
        Fraction of the characters in the texts that the vocabulary must cover. The rarest ones are
        left out first; words with them become [UNK].
    min_frequency : int
        A pair of pieces that is rarer is not joined.

    Returns
    -------
    BertTokenizer

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid, the texts have no words, or ``size`` is too small for the
        special tokens and the characters.

    Notes
    -----
    As in the ``tokenizers`` library, whose trainer this is, pieces are learned by byte-pair
    encoding: the most frequent pair of pieces is joined, again and again. Google's unpublished
    learner joined the pair that most increases the likelihood of the texts.

    Examples
    --------
    >>> tokenizer = learn_wordpiece(['low lower lowest', 'new newer newest'] * 9, 30)
    >>> tokenizer.vocabulary.idx_to_token[:8]
    ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'e', 'l', 'n']
    >>> tokenizer('a newer low')
    ['[UNK]', 'newer', 'low']
    """
    check_range(1, MAX_LINES, size=size)
    check_fraction(character_coverage=character_coverage)
    check_positive(min_frequency=min_frequency)
    unused = unused_tokens(num_unused)
    padding = BERT_TOKENS['padding_token']
    others = [token for token in BERT_TOKENS.values() if token != padding]
    first = [padding, *unused, *others, *extra_tokens]
    added = check_extra(extra_tokens, first)

    def tokenizer_with(tokens):
        return BertTokenizer(
            Vocabulary(tokens, BERT_TOKENS),
            lower,
            strip_accents=strip_accents,
            split_chinese=split_chinese,
            added_tokens=added,
        )

    special = (*BERT_TOKENS.values(), *extra_tokens)
    words = _count_words(between_tokens(texts, special), tokenizer_with(first))
    if not words:
        raise ValueError(NO_WORDS)
    words, letters = _most_frequent_letters(words, character_coverage)
    inner = {f'{SUBWORD_PREFIX}{letter}' for word in words for letter in word[1:]}
    start = list(dict.fromkeys([*first, *sorted(letters), *sorted(inner)]))
    check_size(size, len(start))
    tokenizer = tokenizer_with(_join_pairs(words, start, size, min_frequency))
    warn_fewer(size, len(tokenizer.vocabulary))
    return tokenizer


def unused_tokens(count: int) -> list[str]:
    """List the tokens [unused0], [unused1], ...; ValueError if the count is none."""
    check_range(0, MAX_LINES, num_unused=count)
    return [f'[unused{number}]' for number in range(count)]


def check_extra(extra: Sequence[str], special: Sequence[str]) -> list[Added]:
    """Check the extra ones among the special tokens, and make them tokens that are not split.

    Raises
    ------
    TypeError, ValueError
        If one is no token, or occurs twice among the special ones.
    """
    if isinstance(extra, str):
        raise TypeError(f'extra_tokens must be a list of tokens, got the str {extra!r}')
    for token in extra:
        if not isinstance(token, str) or not token or token.split() != [token]:
            raise ArgumentError('extra_tokens', 'expected tokens, without white space', repr(token))
        if special.count(token) > 1:
            raise ArgumentError('extra_tokens', 'stands there twice, or is one anyway', repr(token))
    return [Added(token, normalized=False, special=True) for token in extra]


def between_tokens(texts: Iterable[str], special: Iterable[str]) -> Iterator[str]:
    """Yield what is between the special tokens in texts, as it is there that tokenizers split."""
    if isinstance(texts, (str, bytes)):
        raise TypeError('texts must be an iterable of str, got one text: pass [text]')
    longest_first = sorted(special, key=len, reverse=True)
    split = re.compile('|'.join(map(re.escape, longest_first))).split
    for number, text in enumerate(texts):
        yield from split(checked_text(text, f'texts[{number}]'))


def check_size(size: int, least: int) -> None:
    """Raise ValueError if a vocabulary cannot hold what it must."""
    if size < least:
        raise ArgumentError(
            'size',
            f'the special tokens and the characters of the texts need {least}; lower '
            f'{{character_coverage}} to leave out the rarest characters',
            size,
        )


def warn_fewer(size: int, learned: int) -> None:
    """Log a warning if fewer tokens were learned than asked for."""
    if learned < size:
        logger.warning('the texts give a vocabulary of %d tokens, not %d', learned, size)


def _count_words(texts, tokenizer):
    """Count the words of texts; those that the tokenizer would not split are left out.

    Each different chunk between spaces is cleaned and split once in a part of the texts: no step of
    the tokenizer looks across a space.
    """
    words: Counter[str] = Counter()
    chunks: Counter[str] = Counter()
    length = 0
    for text in texts:
        chunks.update(text.split(' '))
        length += len(text)
        if length > _PART:
            _add_words(words, chunks, tokenizer)
            chunks.clear()
            length = 0
    _add_words(words, chunks, tokenizer)
    return words


def _add_words(words, chunks, tokenizer):
    for chunk, count in chunks.items():
        for word in tokenizer.words(chunk):
            if len(word) <= _MAX_WORD:
                words[word] += count


def _most_frequent_letters(words, coverage):
    """Return the letters that cover the texts, and the words made of them alone."""
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for letter in word:
            counts[letter] += count
    open_share = coverage * sum(counts.values())
    letters = set()
    for letter, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if open_share <= 0:
            break
        letters.add(letter)
        open_share -= count
    if len(letters) < len(counts):
        logger.info('%d of %d characters are left out', len(counts) - len(letters), len(counts))
        words = {word: count for word, count in words.items() if letters.issuperset(word)}
    return words, letters


def _join_pairs(words, start, size, min_frequency):
    """Join the most frequent pairs of pieces until there are enough tokens.

    The library numbers the characters in a random order, by which it chooses among pairs that are
    equally frequent. Named as special tokens, they have a fixed one.
    """
    scale = -(-sum(len(word) * count for word, count in words.items()) // _MAX_CHARACTERS)
    if scale > 1:
        logger.info('the counts of words are divided by %d', scale)
        words = {word: count // scale for word, count in words.items()}
        min_frequency = max(1, min_frequency // scale)
    library = Tokenizer(WordPiece(unk_token=BERT_TOKENS['unknown_token']))
    library.pre_tokenizer = WhitespaceSplit()
    trainer = WordPieceTrainer(
        vocab_size=size,
        min_frequency=min_frequency,
        special_tokens=start,
        continuing_subword_prefix=SUBWORD_PREFIX,
        show_progress=False,
    )
    library.train_from_iterator(_repeated(words), trainer)
    ids = library.get_vocab()
    return sorted(ids, key=ids.__getitem__)


def _repeated(words):
    """Yield each word as often as it occurs, which is how the library counts."""
    for word, count in words.items():
        for done in range(0, count, _MAX_REPEATED):
            yield f'{word} ' * min(_MAX_REPEATED, count - done)
