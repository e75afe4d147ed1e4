"""The data options of sentence vectors: files, the loss and the vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from .._internal.checks import check_positive, check_positive_number
from .._internal.errors import ArgumentError
from .options import DEBUG_ROWS, MAX_LEN, Checked, comma_separated, option


def yes_or_no(text: str) -> bool:
    """Parse an answer of the command line; ValueError if it is neither."""
    if text not in ('yes', 'no'):
        raise ValueError(f'{text!r}: expected yes or no')
    return text == 'yes'


def whole_numbers(text: str) -> list[int]:
    """Parse whole numbers with commas between them."""
    return [int(number) for number in comma_separated(text)]


def number_range(text: str) -> tuple[float, ...]:
    """Parse the two ends of a range with a comma between them."""
    return tuple(float(number) for number in comma_separated(text))


@dataclass
class SentenceData(Checked):
    """The files of texts that belong together, the loss, and the form of the vectors."""

    task_name: Optional[str] = option(
        'scored pairs of GLUE, such as STS-B, instead of files', type=str
    )
    data_dir: Optional[Path] = option(
        "the task's folder (default: the one in $GLUE_DIR)", type=Path
    )
    train_file: Optional[Path] = option(
        'train on this table of pairs, triplets or scored pairs (.tsv, .csv, .jsonl), or on the '
        'lines of this .txt',
        type=Path,
    )
    dev_file: Optional[Path] = option(
        'evaluate after each epoch: scored pairs by the order of their cosines, pairs and triplets '
        'by searching for the positive of each anchor',
        type=Path,
    )
    test_file: Optional[Path] = option('evaluate on this file in the end', type=Path)
    columns: Optional[Sequence[str]] = option(
        'of the texts, separated by commas: an anchor, its positive and its negatives; or two '
        'texts, or one (default: anchor,positive,negative; sentence1,sentence2; ...)',
        type=comma_separated,
    )
    dev_columns: Optional[Sequence[str]] = option(
        'of dev_file and test_file (default: columns, if they are two or more)',
        type=comma_separated,
    )
    score_column: Optional[str] = option(
        'of the score of two texts (default: score, ...)', type=str
    )
    score_range: Optional[Sequence[float]] = option(
        'LOW,HIGH: the range of the scores, which becomes 0 to 1', type=number_range
    )
    loss: Optional[str] = option(
        'multiple_negatives_ranking, cosent, cosine, triplet or simcse (default: cosent for scored '
        'pairs, simcse for single texts, else multiple_negatives_ranking)',
        type=str,
    )
    scale: Optional[float] = option(
        'factor of the cosines in the loss (default: 20)', type=float, check=check_positive_number
    )
    symmetric: bool = option('rank the anchors for each positive, too', False)
    distance: Optional[str] = option(
        'of triplets: euclidean, cosine or manhattan (default: euclidean)', type=str
    )
    margin: Optional[float] = option(
        'of triplets, between the distances (default: 5)', type=float, check=check_positive_number
    )
    matryoshka: Sequence[int] = option(
        'also train the first units of the vectors alone: their numbers, separated by commas, such '
        'as 384,128,32',
        (),
        whole_numbers,
    )
    cache_size: Optional[int] = option(
        'gradient caching: compute so many texts at once, so that the memory of a big batch does '
        'not grow with it',
        type=int,
        check=check_positive,
    )
    pooling: Optional[str] = option(
        'mean, cls or max, or several, such as cls+mean (default: that of the model, else mean)',
        type=str,
    )
    normalize: Optional[bool] = option(
        'yes or no: scale the vectors to length 1 (default: as the model does, else yes)',
        type=yes_or_no,
    )
    max_len: Optional[int] = option(
        'tokens of a text, special tokens included; longer ones are cut (default: that of the '
        f'model, else {MAX_LEN})',
        type=int,
        check=check_positive,
    )
    batch_size: int = option('examples in a batch', 32, int, check=check_positive)
    dev_batch_size: int = option('texts in a batch of evaluation', 32, int, check=check_positive)
    max_train_examples: Optional[int] = option(
        'train on the first rows only', type=int, check=check_positive
    )
    round_to: Optional[int] = option(
        'pad lengths to a multiple of this', type=int, check=check_positive
    )
    skip_malformed: bool = option('leave bad rows out and say how many, instead of stopping', False)
    debug: bool = option(f'use {DEBUG_ROWS} rows of each split, to try out', False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.score_range is not None:
            low, high = (*self.score_range, None, None)[:2]
            if len(self.score_range) != 2 or low is None or high is None or not low < high:
                text = ','.join(f'{number:g}' for number in self.score_range)
                raise ArgumentError('score_range', 'expected LOW,HIGH, the lower one first', text)
