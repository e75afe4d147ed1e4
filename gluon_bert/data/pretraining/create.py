"""Make files of records from text files: as Google's script, or in several processes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Optional, Union

from ..._internal.checks import check_choice, check_fraction, check_positive, check_range
from ..._internal.errors import ArgumentError
from ..._internal.files import expand_paths
from ..._internal.types import PathLike
from ..._internal.work_folder import WorkFolder
from ..._internal.workers import Workers, as_workers
from ..features import role_token
from .corpus import TextEncoder
from .google import create_as_google
from .job import Job
from .masking import Masker, Masking
from .pairing import PAIRINGS, Layout
from .parallel import create_in_parallel
from .records import FORMATS, format_of

INPUT_FORMATS = ('lines', 'text')
COMPATIBLE = ('none', 'google')


@dataclass(frozen=True)
class PretrainingDataOptions:
    """Settings of :func:`create_pretraining_data`; the defaults are those of Google's script.

    Parameters
    ----------
    pairing : str
        'next_sentence', 'sentence_order' (ALBERT) or 'full_sentences' (RoBERTa).
    masking : Masking
    max_seq_length : int
        Tokens of a sequence at most, 5 or more.
    short_seq_prob : float
        Fraction of documents whose sequences aim at a random shorter length.
    dupe_factor : int
        Passes over the documents, each with other draws.
    random_seed : int
    input_format : str
        'lines': a sentence a line; 'text': a paragraph a line, which is split into sentences.
        A blank line ends a document.
    compatible : str
        'google': the records of google-research/bert's create_pretraining_data.py, number for
        number, by one process that holds all of them in memory; 'none': a generator of random
        numbers for each document and pass, in any number of processes and constant memory.
    """

    pairing: str = 'next_sentence'
    masking: Masking = field(default_factory=Masking)
    max_seq_length: int = 128
    short_seq_prob: float = 0.1
    dupe_factor: int = 10
    random_seed: int = 12345
    input_format: str = 'lines'
    compatible: str = 'none'

    def __post_init__(self) -> None:
        check_choice(tuple(PAIRINGS), pairing=self.pairing)
        check_choice(INPUT_FORMATS, input_format=self.input_format)
        check_choice(COMPATIBLE, compatible=self.compatible)
        check_range(5, 1 << 20, max_seq_length=self.max_seq_length)
        check_fraction(short_seq_prob=self.short_seq_prob)
        check_positive(dupe_factor=self.dupe_factor)
        if self.compatible == 'google':
            for name, value, allowed in (
                ('pairing', self.pairing, ('next_sentence',)),
                ('masking', self.masking.strategy, ('tokens', 'whole_words')),
            ):
                if value not in allowed:
                    raise ArgumentError(name, "Google's script does not have it", value)


class Summary(NamedTuple):
    """Counts of what was made."""

    num_documents: int
    num_tokens: int
    """Of the text."""
    num_records: int


def create_pretraining_data(
    input_files: Any,
    output_files: Any,
    tokenizer: Any,
    options: Optional[PretrainingDataOptions] = None,
    *,
    words: Iterable[str] = (),
    format: Optional[str] = None,
    num_workers: Union[int, Workers] = 1,
    overwrite: bool = False,
) -> Summary:
    """Make files of records for pre-training from text files.

    Each file is complete or not there. What an interrupted call leaves, the folder
    ``<first output>.work`` and complete files, is used by the next one with the same arguments:
    its files are those of a call that was not interrupted. The folder is removed at the end.

    Parameters
    ----------
    input_files : str, Path or sequence of them
        Text files or patterns, UTF-8.
    output_files : str, Path or sequence of them
        The records are shared out to these. More than one are needed for several processes.
    tokenizer : SubwordTokenizer
    options : PretrainingDataOptions, optional
    words : iterable of str
        As for :class:`Masker`.
    format : str, optional
        tfrecord, npz or parquet; by default as the names of the output files end.
    num_workers : int or Workers
        Processes of this machine, or workers of another engine; the records do not depend on it.
        With more than one, a script needs ``if __name__ == '__main__'``.
    overwrite : bool
        Replace output files.

    Returns
    -------
    Summary

    Raises
    ------
    FileExistsError
        If an output file is there and ``overwrite`` is not set.
    FileNotFoundError
    ValueError
        If a text is not UTF-8 or has a line of more than 1 MiB, there are no documents, or only
        one of which a pair is to be made with another, the vocabulary lacks a special token, or
        an interrupted call had other arguments.
    """
    options = options or PretrainingDataOptions()
    workers = as_workers(num_workers)
    outputs = _list_outputs(output_files)
    inputs = expand_paths(input_files)
    words = tuple(words)
    job = Job(
        options,
        TextEncoder(tokenizer, options.compatible == 'google'),
        Masker(tokenizer, options.masking, words),
        _layout(tokenizer, options),
        outputs,
        _common_format(outputs, format),
        f'{outputs[0]}.work',
    )
    if options.compatible == 'google' and workers != Workers():
        given = workers.num_workers if workers.num_workers > 1 else workers.engine
        raise ArgumentError('num_workers', "Google's order takes one process, this one", given)
    description = _describe(job, inputs, tokenizer, words)
    with WorkFolder(job.work, outputs, description, overwrite) as folder:
        if folder.result is None:
            if options.compatible == 'google':
                counts = create_as_google(job, inputs)
            else:
                counts = create_in_parallel(job, inputs, workers)
            folder.end(list(counts))
        return Summary._make(folder.result or ())


def shard_names(path: PathLike, num_shards: int) -> list[str]:
    """Name the parts of a file, such as ``a-00000-of-00002.npz``; the file itself if it is one.

    Examples
    --------
    >>> shard_names('a.npz', 2)
    ['a-00000-of-00002.npz', 'a-00001-of-00002.npz']
    """
    check_positive(num_shards=num_shards)
    stem, suffix = os.path.splitext(os.fspath(path))
    if num_shards == 1:
        return [os.fspath(path)]
    return [f'{stem}-{n:05d}-of-{num_shards:05d}{suffix}' for n in range(num_shards)]


def _list_outputs(files):
    if isinstance(files, str):
        files = files.split(',')
    outputs = tuple(map(os.fspath, files if isinstance(files, Sequence) else [files]))
    if not outputs or '' in outputs:
        raise ArgumentError('output_files', 'expected one name or more')
    places = [os.path.abspath(path) for path in outputs]
    if len({*places}) < len(places):
        raise ArgumentError('output_files', 'a name is given twice')
    for path in outputs:
        folder = os.path.dirname(os.path.abspath(path))
        if os.path.isdir(path) or not os.path.isdir(folder):
            reason = 'is a folder' if os.path.isdir(path) else f'there is no folder {folder}'
            raise ValueError(f'{path}: {reason}')
    return outputs


def _common_format(outputs, name):
    names = {format_of(path, name).name for path in outputs}
    if len(names) > 1:
        raise ArgumentError('output_files', f'are of several formats: {", ".join(sorted(names))}')
    chosen = names.pop()
    FORMATS[chosen].load().check()
    return chosen


def _layout(tokenizer, options):
    vocabulary = tokenizer.vocabulary
    ids = [vocabulary[role_token(vocabulary, role)] for role in ('cls_token', 'sep_token')]
    return Layout(options.max_seq_length, options.short_seq_prob, *ids)


def _describe(job, inputs, tokenizer, words):
    """What the records depend on, as a JSON object; contents by digest, size or time."""
    vocabulary = tokenizer.vocabulary
    content = repr((type(tokenizer).__name__, tokenizer._settings(), vocabulary.idx_to_token))
    stats = [(os.fspath(path), os.stat(path)) for path in inputs]
    return {
        'version': 1,
        **asdict(job.options),
        'vocabulary': hashlib.sha256(content.encode('utf-8', 'surrogatepass')).hexdigest()[:32],
        'words': hashlib.sha256('\n'.join(words).encode()).hexdigest()[:32],
        'format': job.format,
        'output_files': [os.path.basename(path) for path in job.output_files],
        'input_files': [[os.path.basename(p), stat.st_size, stat.st_mtime_ns] for p, stat in stats],
    }
