"""Questions about paragraphs to answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Optional, Union

import numpy as np

from ..data import Question, build_windows
from ..data.squad.answers import Candidate, Prediction, find_answers
from ..data.squad.windows import Windows
from .base import Progress, TaskPipeline


class Answer(NamedTuple):
    """The answer to a question.

    ``text`` stands in the context from the character ``start`` to before ``end``; it is '' for no
    answer. ``probability`` is its share among the ``candidates``, which begin with the most
    probable. A network that knows questions without an answer gives ``best_text``, the best that
    is not '', and ``null_odds``, by how much the score of no answer exceeds its score.
    """

    text: str
    probability: float
    start: int
    end: int
    candidates: list[Candidate]
    best_text: str
    null_odds: Optional[float]


class QuestionPipeline(TaskPipeline):
    """Answers that are cut out of the context; long contexts are read in windows.

    Parameters
    ----------
    model : TaskModel
        Of the task 'question-answering'.
    batch_size : int, optional
        Windows computed at once; by default as in the evaluations of the training, else 32.
    """

    task = 'question-answering'
    look_ahead = 8
    keys = ('question', 'context')

    def __call__(  # type: ignore[override]
        self,
        question: Any,
        context: Union[str, Sequence[str], None] = None,
        progress: Progress = None,
    ) -> Any:
        """Answer a question, or several.

        Parameters
        ----------
        question : str, or list of str
            Without ``context``: a tuple (question, context), or a list or iterable of these.
        context : str, or list of str, optional
            One for each question, or one for all.
        progress : callable, optional
            As for :meth:`.Pipeline.stream`.

        Returns
        -------
        Answer, list of Answer, or an iterator of Answer
            One, a list, or an iterator, as the questions are.

        Raises
        ------
        ValueError
            If there are not as many contexts as questions, or a question leaves no room for its
            context.
        """
        if context is None:
            return super().__call__(question, progress)
        if isinstance(question, str):
            if not isinstance(context, str):
                raise TypeError('context must be a str where question is one')
            return super().__call__((question, context), progress)
        contexts = [context] * len(question) if isinstance(context, str) else context
        if len(contexts) != len(question):
            raise ValueError(
                f'context: expected one for each of {len(question)} questions, got {len(contexts)}'
            )
        return super().__call__(list(zip(question, contexts)), progress)

    def windows(
        self,
        questions: Sequence[Question],
        build: Callable[..., Windows] = build_windows,
        **options: Any,
    ) -> Windows:
        """Make the windows of questions, with the settings of the network.

        Parameters
        ----------
        questions : list of Question
        build : callable
            :func:`.build_windows`, or one like it.
        **options
            Passed on to it.

        Returns
        -------
        Windows
        """
        return build(
            questions,
            self.tokenizer,
            **options,
            **{
                name: self.settings[name]
                for name in ('max_seq_length', 'doc_stride', 'max_query_length')
            },
        )

    def predictions(
        self,
        questions: Sequence[Question],
        windows: Optional[Windows] = None,
        progress: Progress = None,
    ) -> list[Prediction]:
        """Find answers as :func:`.find_answers` does, for the evaluation of a whole file.

        Parameters
        ----------
        questions : list of Question
        windows : Windows, optional
            Of these questions, where they are made already.
        progress : callable, optional
            As for :meth:`.Pipeline.stream`.

        Returns
        -------
        list of Prediction
        """
        return self._predict(self._new_call(progress), questions, windows)

    def scores(
        self, questions: Sequence[Question], windows: Windows, progress: Progress = None
    ) -> list[np.ndarray]:
        """Compute the logits of each window, of which :meth:`predictions` are made.

        Parameters
        ----------
        questions : list of Question
        windows : Windows
            Of these questions.
        progress : callable, optional
            As for :meth:`.Pipeline.stream`.

        Returns
        -------
        list of numpy.ndarray, each of shape (T, 2)
            Of the answer's begin, [:, 0], and of its end, [:, 1], at each token.
        """
        return self._scores(self._new_call(progress), questions, windows)

    def _predict(self, call, questions, windows):
        windows = self.windows(questions) if windows is None else windows
        names = 'n_best_size', 'max_answer_length', 'version_2', 'null_score_diff_threshold'
        return find_answers(
            questions,
            windows,
            self._scores(call, questions, windows),
            **{name: self.settings[name] for name in names},
        )

    def _scores(self, call, questions, windows):
        features, scores, last = windows.features(), [], 0
        # In the same blocks as a stream of these questions, so that the batches are the same.
        for block, _ in self._blocks((row.question, row.context) for row in questions):
            first, last = last, last + len(block)
            begin, end = np.searchsorted(windows.question, (first, last))
            scores += self._outputs(call, features[begin:end])
            call.advance(len(block))
        return scores

    def _prepare(self, questions, contexts):
        for number in range(len(questions)):
            if contexts is None or contexts[number] is None:
                self._fail(number, 'a question without its context')
        rows = [
            Question(str(number), question, context, (), False)
            for number, (question, context) in enumerate(zip(questions, contexts))
        ]
        return rows, self.windows(rows)

    def _sequences(self, rows, windows):
        longest = self.settings['max_query_length']
        (full,) = np.nonzero(np.diff(windows.query_bounds) >= longest)
        ids = self.tokenizer.encode_ids([rows[number].question for number in full])
        return windows.features(), None, sum(len(row) > longest for row in ids)

    def _features(self, rows, windows):
        return windows.features()

    def _results(self, call, rows, windows):
        return [answer_of(row) for row in self._predict(call, rows, windows)]

    def as_json(
        self, result: Answer, top_k: Optional[int] = None, words: Optional[list] = None
    ) -> dict[str, Any]:
        row = super().as_json(result)
        candidates = row.pop('candidates')
        row = {'answer': row.pop('text'), **row}
        if row['null_odds'] is None:
            del row['null_odds'], row['best_text']
        if top_k is not None:
            row['candidates'] = [candidate._asdict() for candidate in candidates[:top_k]]
        return row


def answer_of(prediction: Prediction) -> Answer:
    """Convert a :class:`.Prediction` to an :class:`Answer`."""
    best = next((row for row in prediction.candidates if row.text == prediction.text), None)
    probability, start, end = (best.probability, best.start, best.end) if best else (0.0, 0, 0)
    return Answer(
        prediction.text,
        probability,
        start,
        end,
        prediction.candidates,
        prediction.best_text,
        prediction.null_odds,
    )
