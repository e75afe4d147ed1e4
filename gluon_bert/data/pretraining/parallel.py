"""Make records in any number of processes, at constant memory.

First the documents are tokenized into files of their own. Then each output file, a shard, is made
by itself. In each pass over the documents they are shuffled and dealt out to the shards. The random
numbers of a document depend on the seed, the pass and the number of the document; so the records
depend neither on the processes nor on an interruption. A random next sentence is of any document
of the corpus.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import multiprocessing
import os
import random
from collections.abc import Iterator, Sequence

import numpy as np

from ..._internal.files import write_text
from ..._internal.processes import Report
from ..._internal.progress import progress_bar
from ..._internal.types import PathLike
from ..._internal.work_folder import marker
from ..._internal.workers import Workers
from .corpus import Chunk, find_chunks, read_documents
from .job import Job
from .pairing import PAIRINGS
from .records import Record
from .token_store import TokenStore, count_documents, write_tokens

logger = logging.getLogger(__name__)

_CHUNK, _MAX_CHUNKS = 4 << 20, 2000  # bytes of text at least, and chunks about at most
_BLOCK = 4096  # records shuffled in memory
_REPORT = 64  # documents between two reports


def create_in_parallel(
    job: Job, inputs: Sequence[PathLike], workers: Workers
) -> tuple[int, int, int]:
    """Make files of records from text files.

    Parameters
    ----------
    job : Job
    inputs : sequence of str or Path
    workers : Workers

    Returns
    -------
    num_documents, num_tokens, num_records : int
    """
    parts = _tokenize_all(job, inputs, workers)
    counts = [count_documents(part) for part in parts]
    num_documents, num_tokens = (sum(column) for column in zip(*counts)) if counts else (0, 0)
    job.check_documents(num_documents, inputs[0])
    shards = range(len(job.output_files))
    if workers.num_workers > len(shards):
        logger.warning('%d processes make the %d output files: one each', len(shards), len(shards))
    missing = [shard for shard in shards if not os.path.exists(marker(job.work, shard))]
    work = functools.partial(_make_shard, job, parts)
    total = num_documents * job.options.dupe_factor * len(missing) // len(shards)
    with progress_bar('documents', total) as bar:
        for _ in workers.run(work, missing, bar.update):
            pass
    num_records = 0
    for shard in shards:
        with open(marker(job.work, shard), encoding='utf-8') as file:
            num_records += int(file.read())
    return num_documents, num_tokens, num_records


def _tokenize_all(job, inputs, workers):
    """Tokenize the files; names of those with the tokens."""
    size = max(_CHUNK, sum(map(os.path.getsize, inputs)) // _MAX_CHUNKS)
    tasks, parts = [], []
    for path in inputs:
        for chunk in find_chunks(path, size):
            parts.append(os.path.join(job.work, f'tokens-{len(parts):05d}'))
            if not os.path.exists(parts[-1]):
                tasks.append((chunk, parts[-1]))
    total = sum(chunk.end - chunk.start for chunk, _ in tasks)
    with progress_bar('text', total, unit='B', unit_scale=True) as bar:
        for _ in workers.run(functools.partial(_tokenize, job), tasks, bar.update):
            pass
    return parts


def _tokenize(job: Job, task: tuple[Chunk, str], report: Report) -> None:
    if multiprocessing.parent_process() is not None:  # else its threads would be too many
        os.environ.setdefault('TOKENIZERS_PARALLELISM', 'false')
    chunk, path = task
    write_tokens(path, read_documents([chunk], job.encoder, job.options.input_format))
    report(chunk.end - chunk.start)


def _make_shard(job: Job, parts: Sequence[str], shard: int, report: Report) -> None:
    records = _shuffled(_shard_records(job, TokenStore(parts), shard, report), job, shard)
    count = job.write(job.output_files[shard], records)
    write_text(marker(job.work, shard), f'{count}\n')


def _shard_records(job, store, shard, report) -> Iterator[Record]:
    """The records of a shard in the order of passes and documents."""
    options = job.options
    for number in range(options.dupe_factor):
        key = f'{options.random_seed} {number}'
        seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], 'little')
        order = np.random.RandomState(seed).permutation(len(store))
        order = order[shard :: len(job.output_files)].copy()
        rng_of = functools.partial(_rng_of, key)
        for row in PAIRINGS[options.pairing](store, _counted(order, report), rng_of, job.layout):
            yield job.mask(row)


def _rng_of(key, number):
    return random.Random(f'{key} {number}')


def _counted(numbers, report):
    """The numbers, of which every so many are reported."""
    for start in range(0, len(numbers), _REPORT):
        block = numbers[start : start + _REPORT].tolist()
        yield from block
        report(len(block))


def _shuffled(records, job, shard) -> Iterator[Record]:
    """Shuffle records in blocks."""
    block: list[Record] = []
    rng = random.Random(f'{job.options.random_seed} shard {shard}')
    for record in records:
        block.append(record)
        if len(block) == _BLOCK:
            rng.shuffle(block)
            yield from block
            block = []
    rng.shuffle(block)
    yield from block
