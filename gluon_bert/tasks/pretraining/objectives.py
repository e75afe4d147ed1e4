"""The objectives of pre-training, a row each: the network's heads, the loss and the metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class PretrainingObjective:
    """A row of ``PRETRAINING_OBJECTIVES``.

    Parameters
    ----------
    loss : str
        Name in :data:`.OBJECTIVES`.
    title : str
    labels_pairs : bool
        Whether each sequence is a pair of segments with a label.
    pairing : str
        Of the records that are made of texts, see :class:`.PretrainingDataOptions`.
    replaces : bool
        Whether a generator replaces the masked tokens.
    terms : mapping of str to (str, str)
        Term of the loss -> its name in the metrics, and in the log in GluonNLP's form.
    label : str
        The meaning of a record's label, where it is another one than in records of Google's script,
        which look the same.
    """

    loss: str
    title: str
    labels_pairs: bool
    terms: Mapping[str, tuple[str, str]]
    pairing: str = 'full_sentences'
    replaces: bool = False
    label: str = ''


_MASKED_WORDS = {'masked_words': ('masked_lm', 'mlm')}

PRETRAINING_OBJECTIVES = {
    'pretraining': PretrainingObjective(
        'pretraining',
        'masked words and the next sentence (Devlin et al., 2019, section 3.1)',
        True,
        {**_MASKED_WORDS, 'next_sentence': ('next_sentence', 'nsp')},
        pairing='next_sentence',
    ),
    'masked_words': PretrainingObjective(
        'masked_words', 'masked words alone (Liu et al., 2019, section 4.2)', False, _MASKED_WORDS
    ),
    'sentence_order': PretrainingObjective(
        'sentence_order',
        'masked words and the order of two segments (Lan et al., 2020, section 3.1)',
        True,
        {**_MASKED_WORDS, 'sentence_order': ('sentence_order', 'sop')},
        pairing='sentence_order',
        label='1 where the two segments are swapped, as by pretraining-data --pairing '
        'sentence_order',
    ),
    'replaced_tokens': PretrainingObjective(
        'replaced_tokens',
        'tokens that a small generator has replaced (Clark et al., 2020, section 2)',
        False,
        {**_MASKED_WORDS, 'replaced_tokens': ('replaced_token', 'rtd')},
        replaces=True,
    ),
}
