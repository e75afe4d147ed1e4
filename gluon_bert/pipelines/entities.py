"""Texts, or sentences of words, to entities or to a tag for each word."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any, NamedTuple, Optional, Union

from tokenizers.pre_tokenizers import BertPreTokenizer

from ..data import Span, join_windows, make_windows, reading_of, spans_to_tags, tag_names, tag_spans
from ..data.ner.windows import Window
from ..data.streams import chunk
from ..data.tokenizers.encoding import checked_text
from ..modeling.chain import best_tags, tag_probabilities
from ..tasks.folder import TaskModel
from .base import Progress, TaskPipeline

# Characters each of which BERT makes a word.
_CHINESE = re.compile(
    '[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff\U00020000-\U0002a6df'
    '\U0002a700-\U0002b73f\U0002b740-\U0002b81f\U0002b820-\U0002ceaf'
    '\U0002f800-\U0002fa1f]'
)


class Entity(NamedTuple):
    """An entity: its text, its type, where it stands, and how probable its least sure tag is.

    The type is '' where the network knows one kind of entity, without a name. A network with a tag
    for each word, such as its part of speech, gives each word as an entity of this type.

    ``start`` and ``end`` are its first character and the one behind its last; of a sentence given
    as words, its first word and the one behind its last.
    """

    text: str
    type: str
    start: int
    end: int
    probability: Optional[float]


class EntityPipeline(TaskPipeline):
    """The entities of texts.

    Called on a text it returns a list of :class:`Entity`. A text is split into words, or into
    characters for a network that was trained on characters; a sentence that is split already is
    given as a list of words within a list or another iterable. See :class:`Pipeline` for lists and
    iterators. Long sentences are read in windows.

    Parameters
    ----------
    model : TaskModel
        Of the task 'token-classification'.
    batch_size : int, optional
        Windows computed at once; by default as in the evaluations of the training, else 32.
    """

    task = 'token-classification'
    look_ahead = 16
    keys = ('text',)

    def __init__(self, model: TaskModel, batch_size: Optional[int] = None) -> None:
        super().__init__(model, batch_size)
        self.tags = tag_names(self.settings['kinds'], self.settings['scheme'])

    def windows(self, sentences: Sequence[Sequence[str]]) -> list[Window]:
        """Make the windows of sentences of words, see :func:`.make_windows`."""
        return make_windows(
            self.tokenizer, sentences, self.settings['max_len'], self.settings.get('overlap')
        )

    def raw_tags(
        self, sentences: Sequence[Sequence[str]], progress: Progress = None
    ) -> list[list[str]]:
        """Predict the tags of sentences, which without a CRF may be no valid sequence.

        Parameters
        ----------
        sentences : list of list of str
            Words; for a network trained on characters, characters.
        progress : callable, optional
            As for :meth:`.Pipeline.stream`.

        Returns
        -------
        list of list of str
        """
        call = self._new_call(progress)
        return [
            tags
            for (block,) in self._blocks(sentences)
            for tags, _ in self._tagged(call, block, self.windows(block))
        ]

    def entities(
        self,
        sentence: Union[str, Sequence[str]],
        tags: Sequence[str],
        probabilities: Optional[Sequence[float]] = None,
    ) -> list[Entity]:
        """Join the tags of a text or of words to entities.

        Parameters
        ----------
        sentence : str or list of str
        tags : list of str
            Of its words, those of :meth:`words` for a text.
        probabilities : sequence of float, optional
            Of the tags.

        Returns
        -------
        list of Entity
        """
        _, offsets = self.words(sentence)
        entities = []
        for begin, end, kind in tag_spans(tags, reading_of(self.settings['scheme'])):
            least = None if probabilities is None else float(min(probabilities[begin:end]))
            if isinstance(sentence, str) and offsets is not None:
                start, stop = offsets[begin][0], offsets[end - 1][1]
                entities.append(Entity(sentence[start:stop], kind, start, stop, least))
            else:
                text = ('' if self.settings['characters'] else ' ').join(sentence[begin:end])
                entities.append(Entity(text, kind, begin, end, least))
        return entities

    def tags_of(self, entities: Sequence[Entity], num_words: int) -> list[str]:
        """Write the entities of a sentence given as words as tags, in the training files' scheme.

        Parameters
        ----------
        entities : list of Entity
        num_words : int

        Returns
        -------
        list of str
        """
        spans = [Span(entity.start, entity.end, entity.type) for entity in entities]
        return spans_to_tags(spans, num_words, self.settings['file_scheme'])

    def words(
        self, sentence: Union[str, Sequence[str]]
    ) -> tuple[Sequence[str], Optional[list[tuple[int, int]]]]:
        """Split a text into words, with the first character of each and the one behind its last.

        Words that are given as a list are returned as they are, with None.
        """
        if not isinstance(sentence, str):
            return sentence, None
        if self.settings['characters']:
            return list(sentence), [(place, place + 1) for place in range(len(sentence))]
        return split_words(sentence)

    def as_json(
        self, result: list, top_k: Optional[int] = None, words: Optional[list] = None
    ) -> dict[str, Any]:
        tags = {} if words is None else {'tags': self.tags_of(result, len(words))}
        return {**tags, 'entities': [entity._asdict() for entity in result]}

    def _is_one(self, inputs):
        return isinstance(inputs, str)

    def _blocks(self, inputs):
        """Texts or sentences of words in blocks of bounded size."""
        items = (_checked(item, number) for number, item in enumerate(inputs))
        for block in chunk(items, self.batch_size * self.look_ahead, _num_characters):
            yield (block,)

    def _prepare(self, block):
        sentences = [self.words(item)[0] for item in block]
        return block, sentences, self.windows(sentences)

    def _sequences(self, block, sentences, windows):
        # A word that fills a window may be longer.
        room = self.settings['max_len'] - 2
        full = [
            w for w in windows if w.features.valid_length == room + 2 and w.words[1] == w.words[-2]
        ]
        ids = self.tokenizer.encode_ids([sentences[w.sentence][w.words[1]] for w in full])
        cut = {window.sentence for window, row in zip(full, ids) if len(row) > room}
        return [window.features for window in windows], None, len(cut)

    def _features(self, block, sentences, windows):
        return [window.features for window in windows]

    def _results(self, call, block, sentences, windows):
        return [
            self.entities(item, tags, shares)
            for item, (tags, shares) in zip(block, self._tagged(call, sentences, windows))
        ]

    def _tagged(self, call, sentences, windows):
        """The network's tags of sentences of words, and their probabilities."""
        scores = self._outputs(call, [window.features for window in windows])
        scores = join_windows(
            windows,
            [row[window.firsts] for row, window in zip(scores, windows)],
            [len(words) for words in sentences],
        )
        call.advance(len(sentences))
        for row, numbers in zip(scores, best_tags(self.trained, scores)):
            shares = tag_probabilities(self.trained, row)
            yield (
                [self.tags[number] for number in numbers],
                [shares[word, number] for word, number in enumerate(numbers)],
            )


def _checked(item, number):
    if not isinstance(item, str) and not (
        isinstance(item, (list, tuple)) and all(isinstance(word, str) for word in item)
    ):
        raise TypeError(
            f'input {number}: expected a text or a list of words, got {type(item).__name__}'
        )
    return item


def _num_characters(item):
    return len(item) if isinstance(item, str) else sum(map(len, item))


def split_words(text: str) -> tuple[list[str], list[tuple[int, int]]]:
    """Split a text into words, as BERT does before it cuts them into pieces.

    White space separates words; punctuation marks and Chinese characters are words of their own.

    Parameters
    ----------
    text : str

    Returns
    -------
    words : list of str
    offsets : list of (int, int)
        The first character of each word, and the one behind its last.

    Examples
    --------
    >>> split_words('Ada, \u4e2d\u56fd')
    (['Ada', ',', '\u4e2d', '\u56fd'], [(0, 3), (3, 4), (5, 6), (6, 7)])
    """
    words, offsets = [], []
    for word, (begin, _) in BertPreTokenizer().pre_tokenize_str(checked_text(text)):
        edges = [0, len(word)]
        for match in _CHINESE.finditer(word):
            edges += match.span()
        edges = sorted(set(edges))
        for first, last in zip(edges, itertools.islice(edges, 1, None)):
            words.append(word[first:last])
            offsets.append((begin + first, begin + last))
    return words, offsets
