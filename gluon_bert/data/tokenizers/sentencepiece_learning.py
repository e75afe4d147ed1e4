"""Learn a SentencePiece model from texts."""

from __future__ import annotations

import heapq
import io
import logging
import random
import re
from collections.abc import Iterable, Sequence
from typing import Optional

from ..._internal.checks import check_positive, check_range
from ..._internal.errors import ArgumentError
from .learning import NO_WORDS, between_tokens, check_extra, check_size, unused_tokens, warn_fewer
from .sentencepiece import SentencePieceTokenizer
from .sentencepiece_file import MAX_PIECES, import_library
from .sentencepiece_styles import STYLES

logger = logging.getLogger(__name__)

_STYLE = 'albert'
_PADDING, _UNKNOWN = '<pad>', '<unk>'
_CONTROL = ('[CLS]', '[SEP]', '[MASK]')
_SKIPPED = '▅'  # the library leaves out texts with the character by which it shows the unknown
_THREADS = 8  # their number changes the last digits of the scores, so it is fixed
_MIN_COVERAGE = 0.98  # of the library
_MAX_BYTES = 1 << 30  # of a text: the library leaves out longer ones


def learn_sentencepiece(
    texts: Iterable[str],
    size: int,
    *,
    lower: bool = True,
    strip_accents: Optional[bool] = None,
    num_unused: int = 0,
    extra_tokens: Sequence[str] = (),
    character_coverage: float = 0.9995,
    max_characters: int = 50_000_000,
) -> SentencePieceTokenizer:
    """Learn a SentencePiece model (unigram) from texts, with ALBERT's special tokens.

    The ids begin with <pad>, <unk>, [CLS], [SEP], [MASK], the unused and the extra tokens. The same
    texts in the same order give the same model, on however many cores.

    Parameters
    ----------
    texts : iterable of str
        Read once. Those that the model is learned from are in memory.
    size : int
        Tokens of the vocabulary. If the texts give fewer, the log says so.
    lower, strip_accents
        As for :class:`SentencePieceTokenizer`, which cleans the texts.
    num_unused : int
        Number of tokens [unused0], [unused1], ... that a user may replace by others later.
    extra_tokens : sequence of str
        Further special tokens, which are never split.
    character_coverage : float
        Fraction of the characters in the texts that the vocabulary must cover, from 0.98.
    max_characters : int
        Learn from a random sample of the texts if they have more characters; the log says so. The
        library takes about 25 bytes for each.

    Returns
    -------
    SentencePieceTokenizer

    Raises
    ------
    ImportError
        If the package ``sentencepiece`` is not installed.
    TypeError, ValueError
        If an argument is invalid, the texts have no words, or ``size`` is too small for the
        special tokens and the characters.
    """
    library = import_library()
    check_range(1, MAX_PIECES, size=size)
    check_positive(max_characters=max_characters)
    if not _MIN_COVERAGE <= character_coverage <= 1:
        reason = f'expected a fraction from {_MIN_COVERAGE} to 1'
        raise ArgumentError('character_coverage', reason, character_coverage)
    control = [*_CONTROL, *unused_tokens(num_unused), *extra_tokens]
    added = check_extra(extra_tokens, [_PADDING, _UNKNOWN, *control])
    strip_accents = lower if strip_accents is None else strip_accents
    special = [_PADDING, _UNKNOWN, *_CONTROL, *extra_tokens]
    clean = STYLES[_STYLE].clean(lower, strip_accents).normalize_str
    model = _train(
        library,
        _sample(_cleaned(between_tokens(texts, special), clean), max_characters),
        size,
        control_symbols=control,
        character_coverage=character_coverage,
    )
    tokenizer = SentencePieceTokenizer(
        model, lower=lower, strip_accents=strip_accents, added_tokens=added, style=_STYLE
    )
    warn_fewer(size, len(tokenizer.vocabulary))
    return tokenizer


def _cleaned(texts, clean):
    for text in texts:
        cleaned = clean(text).replace(_SKIPPED, ' ').strip()
        if cleaned:
            yield cleaned


def _sample(texts, max_characters):
    """List texts up to a number of characters, at random if there are more.

    Each text has a random number, the same in each run; those with the smallest are taken.
    """
    generator, taken, length, count = random.Random(0), [], 0, 0
    for text in texts:
        count += 1
        heapq.heappush(taken, (-generator.random(), text))
        length += len(text)
        while length > max_characters and len(taken) > 1:
            length -= len(heapq.heappop(taken)[1])
    if len(taken) < count:
        logger.warning('learned from a random %d of %d texts', len(taken), count)
    return [text for _, text in taken]


def _train(library, texts, size, **options):
    if not texts:
        raise ValueError(NO_WORDS)
    model = io.BytesIO()
    try:
        library.SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=model,
            vocab_size=size,
            hard_vocab_limit=False,
            pad_id=0,
            unk_id=1,
            bos_id=-1,
            eos_id=-1,
            pad_piece=_PADDING,
            unk_piece=_UNKNOWN,
            max_sentence_length=_MAX_BYTES,
            num_threads=_THREADS,
            minloglevel=2,
            **options,
        )
    except RuntimeError as error:
        least = re.search(r'required_chars\. \d+ vs (\d+)', str(error))
        if least:
            check_size(size, int(least[1]))
        if 'all_chars_count' in str(error):  # what the library itself removes, such as U+200B
            raise ValueError(NO_WORDS) from None
        raise ValueError(f'sentencepiece cannot learn from the texts: {error}') from None
    return model.getvalue()
