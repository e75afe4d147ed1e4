"""The files of text tasks: inputs of examples, dev sets, predictions."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from .._internal.errors import ArgumentError
from .._internal.files import write_text
from ..data import Split, get_task, glue_folder, label_array, read_table, read_task
from .base import DevSource
from .folder import TaskFolder
from .settings import are_names

logger = logging.getLogger(__name__)


def input_files(data: Any, trains: bool) -> dict[str, Path]:
    """List the files of data options by the names of their splits."""
    files = {'train': data.train_file, 'dev': data.dev_file, 'test': data.test_file}
    return {
        name: Path(path) for name, path in files.items() if path and (trains or name != 'train')
    }


def inputs_of(examples: list) -> list:
    """Give examples as a pipeline takes them: texts, or pairs as tuples."""
    return [
        example.text if example.pair is None else (example.text, example.pair)
        for example in examples
    ]


def known_labels(
    given: Optional[Sequence[str]], regression: bool, saved: Optional[TaskFolder]
) -> Optional[tuple[str, ...]]:
    """Return the classes that a caller names or a network was trained for; None if neither.

    Raises
    ------
    ArgumentError
        If they are named for scores, are no different names, or not those of the network.
    """
    if given is not None and regression:
        raise ArgumentError('labels', 'goes with classes, not with scores', given)
    if given is not None and not are_names(list(given)):
        raise ArgumentError('labels', 'expected different names', given)
    trained = saved and saved.settings.get('labels')
    if given is not None and trained and list(given) != trained:
        raise ArgumentError('labels', f'the network was trained for {", ".join(trained)}', given)
    return None if regression else tuple(trained or given or ()) or None


@contextlib.contextmanager
def labels_of(teacher: Any) -> Iterator[None]:
    """Say in errors of reading that the labels are those of a teacher, if there is one."""
    try:
        yield
    except ValueError as error:
        if teacher is None or not teacher.settings.get('labels'):
            raise
        raise ValueError(f'{error}; the labels are those of the teacher') from None


def reads_pairs(splits: Mapping[str, Split], teacher: Any) -> bool:
    """Tell if examples are pairs; without any, if those of the teacher are.

    Raises
    ------
    ArgumentError
        If those of the teacher are not.
    """
    pairs = {split.examples[0].pair is not None for split in splits.values()}
    taught = None if teacher is None else teacher.settings.get('pair')
    if taught is not None and pairs - {taught}:
        kinds = ('single texts', 'pairs')
        reason = f'reads {kinds[taught]}, the data are {kinds[not taught]}'
        raise ArgumentError('teacher', reason, teacher.source)
    return next(iter(pairs), bool(taught))


def check_classes(job: Any) -> None:
    """Raise ArgumentError if a job's fine-tuned network, or its teacher, has other classes."""
    if job.known is None:
        return
    trained = job.known.settings.get('labels')
    if trained != (job.task.labels and list(job.task.labels)):
        saved = job.saved
        raise ArgumentError(
            'teacher' if saved is None else 'model_parameters',
            f'was trained for other classes than those of {job.task.name}',
            job.teacher.source if saved is None else saved.parameters,
        )


def table_dev(settings: dict[str, Any], source: DevSource, labels: Optional[list[str]]) -> Split:
    """Read a dev set from a table, whose columns are those of the training by default."""
    text, pair = source.text, source.pair
    columns = settings.get('columns') or {'text': None, 'pair': None}
    if text is None and isinstance(columns['text'], str):
        text, pair = columns['text'], pair or columns['pair']
    return read_table(
        str(source.path),
        text=text,
        pair=pair,
        label=source.label,
        labels=labels,
        regression=labels is None,
        score_range=settings.get('range'),
    )


def labelled_dev(settings: dict[str, Any], source: DevSource) -> tuple[Split, list]:
    """Read a dev set and its labels from a table, or of the GLUE task of the training."""
    if source.path is None:
        split = glue_dev(settings, source)
    else:
        split = table_dev(settings, source, settings.get('labels'))
    labels = label_array(split.examples)
    if labels is None:
        raise ValueError(f'{split.path}: has no labels')
    return split, list(labels)


def tell_cut(name: str, num_cut: int, total: int, max_len: int) -> None:
    """Warn of sequences of a split that were cut, if there are any."""
    if num_cut:
        logger.warning(
            '%s: %d of %d sequences were longer than --max_len %d tokens and were cut',
            name,
            num_cut,
            total,
            max_len,
        )


def glue_dev(settings: dict[str, Any], source: DevSource) -> Split:
    """Read the dev split of the GLUE task that a network was trained on."""
    name = settings.get('name')
    try:
        task = get_task(str(name))
    except ValueError:
        raise ValueError(
            f'the network was trained on {name!r}, which is no task of GLUE: the file '
            f'of the dev set must be named'
        ) from None
    if list(task.labels or ()) != settings.get('labels', []):
        raise ValueError(
            f'the network has other classes than {task.name}: the file of the dev set must be named'
        )
    split = next(split for split in task.files if split.startswith('dev'))
    folder = Path(source.data_dir) if source.data_dir else glue_folder(task)
    return read_task(task, folder, split)


def write_predictions(path: Path, examples: list, texts: list[str]) -> None:
    """Write predictions in the benchmark's layout: GLUE's table, or CLUE's lines of JSON.

    Parameters
    ----------
    path : Path
        Its suffix tells the layout.
    examples : list of Example
    texts : list of str
        The predictions in words.
    """
    if path.suffix == '.json':
        lines = [
            json.dumps({'id': json.loads(example.index), 'label': text}) + '\n'
            for example, text in zip(examples, texts)
        ]
    else:
        lines = ['index\tprediction\n'] + [
            f'{example.index}\t{text}\n' for example, text in zip(examples, texts)
        ]
    write_text(path, ''.join(lines))
    logger.info('predictions: %s', path)


def write_rows(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a table with tabs between its columns."""
    lines = ['\t'.join(map(str, row)) + '\n' for row in (header, *rows)]
    write_text(path, ''.join(lines))


def write_probabilities(
    path: Path, examples: list, texts: list[str], results: list, labels: Sequence[str]
) -> None:
    """Write the probability of every class beside a file of predictions."""
    lines = ['\t'.join(['index', 'prediction', *labels]) + '\n']
    for example, text, result in zip(examples, texts, results):
        shares = [f'{share:.6f}' for share in result.probabilities.values()]
        lines.append('\t'.join([example.index, text, *shares]) + '\n')
    write_text(path.with_name(f'{path.stem}_probabilities.tsv'), ''.join(lines))
