"""Checks of the labels and templates of zero-shot classification."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Union

TEMPLATE = 'This example is {}.'  # transformers' own


def check_candidates(candidate_labels: Union[str, Iterable[str]]) -> list[str]:
    """Check labels: one or more, different, none of them empty.

    Parameters
    ----------
    candidate_labels : list of str, or str with commas between them

    Returns
    -------
    list of str
        Without white space around them.

    Raises
    ------
    ValueError
        If they are not so.
    """
    if isinstance(candidate_labels, str):
        candidate_labels = candidate_labels.split(',')
    labels = list(candidate_labels)
    wrong = next((label for label in labels if not isinstance(label, str)), None)
    if wrong is not None:
        raise ValueError(f'candidate_labels: expected texts, got {type(wrong).__name__}')
    labels = [label.strip() for label in labels]
    if not any(labels):
        raise ValueError('candidate_labels: expected one label or more, got none')
    for number, label in enumerate(labels):
        if not label:
            raise ValueError(f'candidate_labels: label {number} is empty')
        if label in labels[:number]:
            raise ValueError(f'candidate_labels: {label!r} is given twice')
    return labels


def check_template(template: str) -> None:
    """Raise ValueError unless a template has ``{}`` once, and no other braces."""
    plain = template.replace('{}', '', 1)
    if '{}' not in template or '{' in plain or '}' in plain:
        raise ValueError(
            f'hypothesis_template={template!r}: expected {{}} once, where the label stands, as in '
            f'{TEMPLATE!r}'
        )
