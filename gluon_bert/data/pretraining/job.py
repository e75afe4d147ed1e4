"""All that records depend on, for every process that makes them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ..._internal.files import atomic_path
from ..._internal.types import PathLike
from .corpus import Document, TextEncoder
from .masking import Masker, make_record
from .pairing import Layout, Segments
from .records import FORMATS, Record, write_file, write_records


class Job(NamedTuple):
    """Settings, with the functions that are made of them."""

    options: Any
    """A :class:`PretrainingDataOptions`."""
    encoder: TextEncoder
    masker: Masker
    layout: Layout
    output_files: tuple[str, ...]
    format: str
    work: str
    """Folder of files that are needed meanwhile."""

    def write(self, path: PathLike, records: Iterable[Record]) -> int:
        """Write a file of records; their number."""
        return write_records(path, records, self.format, *self._sizes())

    def write_all(self, records: Sequence[Record]) -> None:
        """Deal records out to the output files in turn; all are complete, or none is there."""
        with contextlib.ExitStack() as stack:
            for number, path in enumerate(self.output_files):
                temporary = stack.enter_context(atomic_path(path))
                rows = records[number :: len(self.output_files)]
                write_file(temporary, rows, FORMATS[self.format], *self._sizes())

    def _sizes(self):
        return self.options.max_seq_length, self.options.masking.max_predictions

    def mask(self, row: Segments) -> Record:
        """Mask a sequence by its own random numbers."""
        masked, positions, ids = self.masker.mask(row.token_ids, row.rng)
        return make_record(masked, row.token_types, positions, ids, row.next_sentence)

    def check_documents(self, num_documents: int, path: PathLike) -> None:
        """Refuse too few documents."""
        if not num_documents:
            raise ValueError(f'{path}: there is no text in it')
        if num_documents == 1 and self.options.pairing == 'next_sentence':
            raise ValueError(
                f'{path}: is one document, so that no random next sentence can be of another; '
                f'separate documents by blank lines, or choose another pairing'
            )


def count_tokens(documents: Iterable[Document]) -> int:
    """Count the tokens of documents."""
    return sum(len(sentence) for document in documents for sentence in document)
