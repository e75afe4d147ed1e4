"""Split sentences of words into windows of tokens, and join token scores to words.

A word's label is that of its first token. A sentence that is too long becomes several overlapping
windows; every word belongs to the window in which it has most context, and counts only there.

T tokens of a window, K tags.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Optional

import numpy as np

from ..features import Features
from ..tokenizers.byte_pair import BytePairTokenizer

if TYPE_CHECKING:
    from ..tokenizers.base import SubwordTokenizer


NO_LABEL = -1


class Window(NamedTuple):
    """A part of a sentence as the network reads it.

    ``sentence`` is the number of the sentence. ``words``, int of shape (T,), has the word of each
    token, -1 for special tokens; ``offsets`` its position in that word. The words from ``begin`` to
    before ``end`` belong to this window; ``firsts`` has the positions of their first tokens.
    """

    sentence: int
    features: Features
    words: np.ndarray
    offsets: list[tuple[int, int]]
    begin: int
    end: int
    firsts: np.ndarray


class _Pieces(NamedTuple):
    """The tokens of one word."""

    ids: list[int]
    offsets: list[tuple[int, int]]


def make_windows(
    tokenizer: SubwordTokenizer,
    sentences: Sequence[Sequence[str]],
    max_length: int,
    overlap: Optional[int] = None,
) -> list[Window]:
    """Split sentences of words into windows of tokens.

    Parameters
    ----------
    tokenizer : BertTokenizer, BytePairTokenizer or SentencePieceTokenizer
        Each word is tokenized separately; a word without tokens becomes the unknown token.
    sentences : sequence of sequence of str
    max_length : int
        The longest window in tokens, [CLS] and [SEP] included, 3 or more. A longer single word is
        cut to its first tokens.
    overlap : int, optional
        Maximum number of tokens that neighbouring windows share; by default a quarter of
        ``max_length``.

    Returns
    -------
    list of Window
        One or more for each sentence that has words.

    Raises
    ------
    ValueError
        If ``max_length`` or ``overlap`` is out of range.

    Examples
    --------
    >>> from gluonnlp.data import count_tokens
    >>> from gluonnlp.vocab import BERTVocab
    >>> from gluon_bert.data import BertTokenizer
    >>> vocab = BERTVocab(count_tokens(['a', 'wo', '##rd', 'or', 'two']))
    >>> windows = make_windows(BertTokenizer(vocab), [['a', 'word', 'or', 'two']], 5, overlap=1)
    >>> [(window.begin, window.end, window.firsts.tolist()) for window in windows]
    [(0, 2, [1, 2]), (2, 4, [1, 2])]
    """
    room = max_length - 2
    if room < 1:
        raise ValueError(
            f'max_length must be 3 or more, for [CLS], a token and [SEP]; got {max_length}'
        )
    overlap = min(max_length // 4, room - 1) if overlap is None else overlap
    if not 0 <= overlap < room:
        raise ValueError(
            f'overlap={overlap}: expected 0 to {room - 1}, less than the tokens of a '
            f'window of max_length={max_length}'
        )
    pieces = _encode_words(tokenizer, sentences)
    special = tokenizer.convert_tokens_to_ids(
        [tokenizer.vocabulary.cls_token, tokenizer.vocabulary.sep_token]
    )
    windows = []
    for number, sentence in enumerate(sentences):
        words = [pieces[word] for word in sentence]
        edges = np.concatenate([[0], np.cumsum([min(len(word.ids), room) for word in words])])
        ranges = _ranges(edges, room, overlap)
        for (first, last), (begin, end) in zip(ranges, _owned(edges, ranges)):
            windows.append(_window(number, words, first, last, begin, end, room, special))
    return windows


def window_labels(windows: list[Window], numbers: Sequence[Sequence[int]]) -> list[np.ndarray]:
    """Label each token, as :func:`gluon_bert.training.objectives.tag_loss` reads the labels.

    Parameters
    ----------
    windows : list of Window
    numbers : sequence of sequence of int
        The numbers of the tags of each sentence.

    Returns
    -------
    list of numpy.ndarray, int, shape (T,)
        -1 except for the first tokens of the words that belong to the window.
    """
    labels = []
    for window in windows:
        row = np.full(len(window.words), NO_LABEL)
        row[window.firsts] = numbers[window.sentence][window.begin : window.end]
        labels.append(row)
    return labels


def join_windows(
    windows: list[Window], outputs: Sequence[np.ndarray], lengths: Sequence[int]
) -> list[np.ndarray]:
    """Join the scores of each sentence's words, each word from the window it belongs to.

    Parameters
    ----------
    windows : list of Window
    outputs : sequence of numpy.ndarray, shape (words that belong to the window, K)
    lengths : sequence of int
        Words of each sentence.

    Returns
    -------
    list of numpy.ndarray, shape (words, K)
    """
    num_tags = outputs[0].shape[1] if len(outputs) else 0
    scores = [np.zeros((length, num_tags), 'float32') for length in lengths]
    for window, output in zip(windows, outputs):
        scores[window.sentence][window.begin : window.end] = output
    return scores


def _encode_words(tokenizer, sentences):
    """Tokenize every distinct word."""
    words = list(dict.fromkeys(word for sentence in sentences for word in sentence))
    # Byte-level BPE recognises a word inside a text by the space before it.
    space = ' ' if isinstance(tokenizer, BytePairTokenizer) else ''
    unknown = tokenizer.convert_tokens_to_ids(tokenizer.vocabulary.unknown_token)
    pieces = {}
    for word, encoded in zip(words, tokenizer.encode_batch([space + word for word in words])):
        offsets = [
            (max(begin - len(space), 0), max(end - len(space), 0)) for begin, end in encoded.offsets
        ]
        pieces[word] = (
            _Pieces(encoded.ids, offsets) if encoded.ids else _Pieces([unknown], [(0, len(word))])
        )
    return pieces


def _ranges(edges, room, overlap):
    """List the words of each window; ``edges`` has the first token of each word."""
    num_words, ranges, first = len(edges) - 1, [], 0
    while num_words:
        last = int(np.searchsorted(edges, edges[first] + room, side='right')) - 1
        ranges.append((first, last))
        if last == num_words:
            break
        # The next window begins within the overlap, but late enough that one more word fits.
        least = max(edges[last] - overlap, edges[last + 1] - room)
        first = max(first + 1, int(np.searchsorted(edges, least)))
    return ranges


def _owned(edges, ranges):
    """List the words that belong to each window: those with more context there than in others."""
    owned, begin = [], 0
    for number, (_, last) in enumerate(ranges):
        end = last
        if number + 1 < len(ranges):
            after = ranges[number + 1]
            end = max(begin, after[0])
            while end < last and (
                _context(edges, end, ranges[number]) >= _context(edges, end, after)
            ):
                end += 1
        owned.append((begin, end))
        begin = end
    return owned


def _context(edges, word, span):
    return min(edges[word] - edges[span[0]], edges[span[1]] - edges[word + 1])


def _window(sentence, words, first, last, begin, end, room, special):
    ids, numbers, offsets, firsts = [special[0]], [NO_LABEL], [(0, 0)], []
    for number in range(first, last):
        if begin <= number < end:
            firsts.append(len(ids))
        pieces = words[number].ids[:room]
        ids += pieces
        numbers += [number] * len(pieces)
        offsets += words[number].offsets[: len(pieces)]
    ids, numbers, offsets = [*ids, special[1]], [*numbers, NO_LABEL], [*offsets, (0, 0)]
    features = Features(np.array(ids, 'int32'), np.zeros(len(ids), 'int32'), len(ids))
    return Window(sentence, features, np.array(numbers), offsets, begin, end, np.array(firsts, int))
