"""Split plain text into sentences by rules.

A sentence ends at ``.``, ``!``, ``?`` or an ellipsis, with the quotes and brackets that close
there, if white space follows and then a letter that is not lower-case, a digit, an opening quote or
bracket; and at the full stops of Chinese and Japanese, whatever follows. A full stop ends none
after a single capital letter (``J. Smith``), after a common English abbreviation (``Dr.``,
``e.g.``), and between an abbreviation such as ``No.`` and a number.
"""

from __future__ import annotations

import re

_CLOSING = '"\'”’»)\\]}』」）】》'
_OPENING = '"\'“‘«([{『「（【《¿¡'
# The looks around the dots keep time linear in their number.
_END = re.compile(
    rf'(?:(?<![.!?…])[.!?…]+(?![.!?…])[{_CLOSING}]*(?=\s+[{_OPENING}]*[^\W_a-zß-öø-ÿ])\s+'
    rf'|[。！？｡]+[{_CLOSING}]*\s*)'
)
_LAST_WORD = re.compile(r'([^\W\d_][\w.]*)\.$')
_TITLES = frozenset(
    'mr mrs ms dr prof rev hon st sr jr gen col maj capt lt sgt gov sen rep pres messrs mme mlle '
    'mt ft vs etc inc ltd co corp bros dept univ assn ave blvd rd approx est ca cf al eg ie '
    'jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat sun'.split()
)
_BEFORE_NUMBERS = frozenset('no nos vol vols fig figs p pp ch sec art op ed eds eq ver'.split())


def split_sentences(text: str) -> list[str]:
    """Split a paragraph into its sentences.

    Parameters
    ----------
    text : str

    Returns
    -------
    list of str
        Stripped, none empty.

    Examples
    --------
    >>> split_sentences('Dr. Smith left at 5 p.m. He said: "Goodbye!" Nobody answered.')
    ['Dr. Smith left at 5 p.m.', 'He said: "Goodbye!"', 'Nobody answered.']
    >>> split_sentences('今天下雨。我们在家。')
    ['今天下雨。', '我们在家。']
    """
    sentences, start = [], 0
    for match in _END.finditer(text):
        first, end = max(start, match.start() - 40), match.end()
        if _is_abbreviation(text[first : match.start() + 1], text[end : end + 1]):
            continue
        sentences.append(text[start : match.end()])
        start = match.end()
    sentences.append(text[start:])
    return [sentence for part in sentences if (sentence := part.strip())]


def _is_abbreviation(sentence, following):
    """Tell if the full stop at the end of a text belongs to its last word."""
    match = _LAST_WORD.search(sentence)
    if match is None:
        return False
    word = match[1].lower()
    if len(word) == 1:
        return match[1].isupper() and match[1] != 'I'
    if word in _BEFORE_NUMBERS:
        return following.isdigit()
    return word in _TITLES or word in ('e.g', 'i.e', 'u.s')
