"""Make records as google-research/bert's create_pretraining_data.py, number for number."""

from __future__ import annotations

import math
import os
import random
from collections.abc import Sequence

from ..._internal.progress import progress_bar
from ..._internal.types import PathLike
from .corpus import Chunk, Document, read_documents
from .job import Job, count_tokens
from .pairing import next_sentence_pairs
from .records import Record


def create_as_google(job: Job, inputs: Sequence[PathLike]) -> tuple[int, int, int]:
    """Make files of records from text files; all records are in memory.

    Parameters
    ----------
    job : Job
    inputs : sequence of str or Path

    Returns
    -------
    num_documents, num_tokens, num_records : int
    """
    chunks = [Chunk(path, 0, os.path.getsize(path), 1) for path in inputs]
    documents = list(read_documents(chunks, job.encoder, job.options.input_format, math.inf))
    job.check_documents(len(documents), inputs[0])
    records = google_records(job, documents)
    job.write_all(records)
    return len(documents), count_tokens(documents), len(records)


def google_records(job: Job, documents: list[Document]) -> list[Record]:
    """Make the records of documents with one generator of random numbers, in Google's order.

    Parameters
    ----------
    job : Job
    documents : list of documents
        Is shuffled.

    Returns
    -------
    list of Record
    """
    rng = random.Random(job.options.random_seed)
    rng.shuffle(documents)
    numbers, records = range(len(documents)), []
    for _ in progress_bar('passes', None, range(job.options.dupe_factor)):
        for row in next_sentence_pairs(documents, numbers, lambda _: rng, job.layout):
            records.append(job.mask(row))
    rng.shuffle(records)
    return records
