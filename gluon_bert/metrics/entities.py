"""Compute entity-level scores, counted as conlleval and seqeval do.

A predicted entity is correct if its type and both its ends are right (Tjong Kim Sang and De
Meulder, 2003, section 2.3).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Optional

from ..data.ner.schemes import tag_spans


class EntityScores(NamedTuple):
    """Counts of entities of one type, or of all.

    ``num_correct`` of the ``num_predicted`` entities are among the ``num_gold`` gold ones.
    """

    name: str
    num_gold: int
    num_predicted: int
    num_correct: int

    @property
    def precision(self) -> float:
        """Fraction of predicted entities that are right; 0 if none is predicted."""
        return self.num_correct / self.num_predicted if self.num_predicted else 0.0

    @property
    def recall(self) -> float:
        """Fraction of gold entities that are predicted; 0 if there are none."""
        return self.num_correct / self.num_gold if self.num_gold else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 if both are 0."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


class EntityReport(NamedTuple):
    """Scores of all entities together, ``overall``, and ``by_type`` in the order of the names.

    ``accuracy`` is the fraction of words with the right tag.
    """

    overall: EntityScores
    by_type: list[EntityScores]
    accuracy: float

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the types; 0 if there are no types."""
        return sum(row.f1 for row in self.by_type) / len(self.by_type) if self.by_type else 0.0


def entity_report(
    gold: Iterable[Sequence[str]], predicted: Iterable[Sequence[str]], scheme: Optional[str] = None
) -> EntityReport:
    """Compute precision, recall and F1 of entities, overall and by type.

    Parameters
    ----------
    gold, predicted : sequence of sequence of str
        The tags of each sentence.
    scheme : str, optional
        Count only entities tagged according to this scheme, as in seqeval's strict mode. By
        default, entities are read from any tags as conlleval does: seqeval's default mode. In the
        scheme PLAIN words count in place of entities, those of one tag as one type; F1 of all is
        the accuracy.

    Returns
    -------
    EntityReport

    Raises
    ------
    ValueError
        If the numbers of sentences differ, or those of the words of a sentence.

    Examples
    --------
    >>> report = entity_report([['B-x', 'I-x', 'O', 'B-y']], [['B-x', 'I-x', 'B-y', 'O']])
    >>> report.overall.f1, [(row.name, row.f1) for row in report.by_type], report.accuracy
    (0.5, [('x', 1.0), ('y', 0.0)], 0.5)
    """
    gold, predicted = list(gold), list(predicted)
    if len(gold) != len(predicted):
        raise ValueError(f'gold has {len(gold)} sentences, predicted has {len(predicted)}')
    counters: tuple[Counter[str], ...] = (Counter(), Counter(), Counter())
    num_gold, num_predicted, num_correct = counters
    num_words = num_right = 0
    for number, (tags, guesses) in enumerate(zip(gold, predicted)):
        if len(tags) != len(guesses):
            raise ValueError(
                f'sentence {number}: gold has {len(tags)} tags, predicted has {len(guesses)}'
            )
        num_words += len(tags)
        num_right += sum(tag == guess for tag, guess in zip(tags, guesses))
        first, second = set(tag_spans(tags, scheme)), set(tag_spans(guesses, scheme))
        for counter, spans in (
            (num_gold, first),
            (num_predicted, second),
            (num_correct, first & second),
        ):
            counter.update(span.kind for span in spans)
    by_type = [
        EntityScores(kind, num_gold[kind], num_predicted[kind], num_correct[kind])
        for kind in sorted({*num_gold, *num_predicted})
    ]
    overall = EntityScores(
        'all', *(sum(counter.values()) for counter in (num_gold, num_predicted, num_correct))
    )
    return EntityReport(overall, by_type, num_right / num_words if num_words else 0.0)


def format_entity_report(report: EntityReport, counted: str = 'entities') -> str:
    """Format the scores as a text table, all entities in the last row.

    Parameters
    ----------
    report : EntityReport
    counted : str
        What is counted: 'entities', or 'words' of tags in the scheme PLAIN.

    Returns
    -------
    str

    Examples
    --------
    >>> print(format_entity_report(entity_report([['B-x', 'O']], [['B-x', 'B-x']])))
    type  precision  recall      f1  entities  predicted  correct
    x        0.5000  1.0000  0.6667         1          2        1
    all      0.5000  1.0000  0.6667         1          2        1
    """
    rows = [*report.by_type, report.overall]
    width = max([len('type'), *(len(row.name) for row in rows)])
    lines = [f'{"type":<{width}}  precision  recall      f1  {counted:>8}  predicted  correct']
    lines += [
        f'{row.name:<{width}}  {row.precision:9.4f}  {row.recall:.4f}  {row.f1:.4f}  '
        f'{row.num_gold:8d}  {row.num_predicted:9d}  {row.num_correct:7d}'
        for row in rows
    ]
    return '\n'.join(lines)
