"""Stream records of pre-training from files in batches, shuffled, from any position on.

N sequences, T tokens, M masked positions.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, NamedTuple, Optional

import numpy as np

from ..._internal.checks import check_not_negative, check_positive
from ..._internal.files import expand_paths
from ..._internal.types import Context
from ..shares import rows_of
from .masking import Masker
from .records import Record, decode_record, detect_format


class PretrainingArrays(NamedTuple):
    """A batch, padded with zeros and with weights 0."""

    token_ids: np.ndarray
    """Shape (N, T), int32."""
    token_types: np.ndarray
    """Shape (N, T), int32."""
    valid_length: np.ndarray
    """Shape (N,), int32."""
    masked_positions: np.ndarray
    """Shape (N, M), int32."""
    masked_ids: np.ndarray
    """Shape (N, M), int32."""
    masked_weights: np.ndarray
    """Shape (N, M), float32."""
    next_sentence: Optional[np.ndarray]
    """Shape (N,), int32; None if the labels are not asked for."""


@dataclass(frozen=True)
class StreamOptions:
    """Settings of a :class:`PretrainingStream`.

    Parameters
    ----------
    batch_size : int
    seed : int
        Of the order of files and records.
    buffer_size : int
        Records in memory, among which the order is drawn anew in each epoch; 0: the order of the
        files, in every epoch.
    round_to : int
        Make T a multiple of this.
    pad_id : int
    next_sentence : bool
        Give the labels of the next sentence.
    vocab_size, max_length : int, optional
        Refuse records with larger ids or more tokens.
    """

    batch_size: int = 32
    seed: int = 0
    buffer_size: int = 16384
    round_to: int = 8
    pad_id: int = 0
    next_sentence: bool = True
    vocab_size: Optional[int] = None
    max_length: Optional[int] = None

    def __post_init__(self) -> None:
        check_positive(
            batch_size=self.batch_size,
            round_to=self.round_to,
            vocab_size=self.vocab_size,
            max_length=self.max_length,
        )
        check_not_negative(seed=self.seed, buffer_size=self.buffer_size, pad_id=self.pad_id)


class PretrainingStream:
    """Records of files as the batches of :func:`.fit`.

    Memory depends on ``buffer_size``, not on the files (of .npz, one file at a time is in memory).

    Parameters
    ----------
    paths : str, Path or sequence of them
        Files of records in any of the formats, or patterns such as ``data/*.tfrecord``.
    options : StreamOptions, optional
    masker : Masker, optional
        Mask the tokens anew in each epoch (dynamic masking).
    ctx : mxnet.Context or list of them, optional
        Device of the batches, the first of several; by default the current context.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a file is in no format of records, or there are no records. While reading: as
        :func:`read_records`, or if a record has no label of the next sentence, but one is asked
        for.
    """

    def __init__(
        self,
        paths: Any,
        options: Optional[StreamOptions] = None,
        masker: Optional[Masker] = None,
        ctx: Optional[Context] = None,
    ) -> None:
        self.options = options or StreamOptions()
        self._paths = expand_paths(paths)
        self._formats = [detect_format(path).load() for path in self._paths]
        self._counts = [form.count(path) for form, path in zip(self._formats, self._paths)]
        self._masker = masker
        self._ctx = ctx[0] if isinstance(ctx, (list, tuple)) else ctx
        if not sum(self._counts):
            raise ValueError(f'{self._paths[0]}: there are no records')

    def __len__(self) -> int:
        """Count the records."""
        return sum(self._counts)

    def fingerprint(self) -> dict[str, Any]:
        """Describe what the batches depend on as a JSON object, files by size and beginning."""
        masker = self._masker
        return {
            **asdict(self.options),
            'masking': None if masker is None else [masker.vocab_size, asdict(masker.masking)],
            'files': [_describe(path) for path in self._paths],
        }

    def batches(self, rank: int = 0, size: int = 1) -> PretrainingBatches:
        """Make the iterator of process ``rank`` of ``size``, which share each batch."""
        return PretrainingBatches(self, rank, size)

    def check(self) -> None:
        """Read the first batch: records of another vocabulary or length are refused early.

        Raises
        ------
        ValueError
            As while reading.
        """
        self.load(
            list(islice(self._rows(np.arange(len(self._paths)), 0), self.options.batch_size)), 0
        )

    def to_ndarrays(self, arrays: PretrainingArrays) -> tuple[tuple, tuple]:
        """Make the inputs of a network and its labels, float32 as MXNet's layers read.

        Returns
        -------
        inputs : tuple of NDArray
            token_ids (N, T), token_types (N, T), valid_length (N,), masked_positions (N, M).
        labels : tuple of NDArray
            masked_ids (N, M), masked_weights (N, M), and next_sentence (N,) if asked for.
        """
        from mxnet import nd

        converted = [
            nd.array(array, dtype='float32', ctx=self._ctx) for array in arrays if array is not None
        ]
        return tuple(converted[:4]), tuple(converted[4:])

    def blocks(self, epoch: int, first: int, size: int) -> Iterator[list[tuple]]:
        """Read the stored records of an epoch from a block on, in blocks of ``size``, shuffled.

        Yields
        ------
        list of (int, int, object)
            File, number in the file from 0, and record as stored.
        """
        is_shuffled = self.options.buffer_size > 0
        files = np.arange(len(self._paths))
        if is_shuffled:
            files = np.random.RandomState((self.options.seed, epoch)).permutation(files)
        block: list[tuple] = []
        for row in self._rows(files, first * size):
            block.append(row)
            if len(block) == size:
                yield self._shuffled(block, epoch, first)
                block, first = [], first + 1
        if block:
            yield self._shuffled(block, epoch, first)

    def load(self, rows: Sequence[tuple], epoch: int) -> PretrainingArrays:
        """Decode stored records, mask them anew if so asked, and pad them."""
        records = []
        for file, number, stored in rows:
            place = f'{self._paths[file]}: record {number + 1}'
            limits = self.options.vocab_size, self.options.max_length
            record = decode_record(self._formats[file], stored, place, *limits)
            if self.options.next_sentence and record.next_sentence is None:
                raise ValueError(f'{place}: has no label of the next sentence')
            if self._masker is not None:
                number += sum(self._counts[:file])
                record = self._masker.mask_again(record, self.options.seed, epoch, number)
            records.append(record)
        return pad_records(records, self.options)

    def _rows(self, files, skipped):
        for file in files.tolist():
            if skipped >= self._counts[file]:
                skipped -= self._counts[file]
                continue
            for number, stored in enumerate(self._formats[file].read(self._paths[file])):
                if number >= skipped:
                    yield file, number, stored
            skipped = 0

    def _shuffled(self, block, epoch, number):
        if not self.options.buffer_size:
            return block
        random = np.random.RandomState((self.options.seed, epoch, number))
        return [block[place] for place in random.permutation(len(block))]


class PretrainingBatches:
    """Iterator of the batches of one process, as :func:`.fit` reads them.

    Process ``rank`` of ``size`` reads its share of each; None where it has none.

    Parameters
    ----------
    stream : PretrainingStream
    rank, size : int
    """

    def __init__(self, stream: PretrainingStream, rank: int = 0, size: int = 1) -> None:
        batch_size = stream.options.batch_size
        self.epoch = 0
        self.num_batches = -(-len(stream) // batch_size)
        self.largest_batch = min(batch_size, len(stream))
        self._stream, self._rank, self._size = stream, rank, size
        self._position = 0  # batches of the epoch that were read
        self._in_block = max(1, stream.options.buffer_size // batch_size)

    def __iter__(self) -> Iterator[Optional[tuple[tuple, tuple]]]:
        """Read the rest of the current epoch as inputs and labels, tuples of NDArrays."""
        for arrays in self.arrays():
            yield None if arrays is None else self._stream.to_ndarrays(arrays)

    def arrays(self) -> Iterator[Optional[PretrainingArrays]]:
        """Read the rest of the current epoch as NumPy arrays."""
        batch_size, per_block = self._stream.options.batch_size, self._in_block
        number = self._position // per_block
        for block in self._stream.blocks(self.epoch, number, per_block * batch_size):
            while self._position < (number + 1) * per_block:
                start = (self._position - number * per_block) * batch_size
                if start >= len(block):
                    break
                self._position += 1
                rows = block[start : start + batch_size]
                rows = rows[rows_of(self._rank, self._size, len(rows))]
                yield self._stream.load(rows, self.epoch) if rows else None
            number += 1
        self.epoch, self._position = self.epoch + 1, 0

    def state_dict(self) -> dict[str, int]:
        """Describe the position, by epoch and batches of it."""
        return {'epoch': self.epoch, 'position': self._position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go to a position that :meth:`state_dict` described."""
        self.epoch, self._position = state['epoch'], state['position']


def pad_records(records: Sequence[Record], options: StreamOptions) -> PretrainingArrays:
    """Stack records of different lengths.

    Parameters
    ----------
    records : sequence of Record, one or more
    options : StreamOptions
        Its ``round_to``, ``max_length``, ``pad_id`` and ``next_sentence``.

    Returns
    -------
    PretrainingArrays
    """
    valid_length = np.array([len(record.token_ids) for record in records], 'int32')
    length = -(-int(valid_length.max()) // options.round_to) * options.round_to
    length = length if options.max_length is None else min(length, options.max_length)
    masked = max(1, *(len(record.masked_ids) for record in records))
    token_ids = np.full((len(records), length), options.pad_id, 'int32')
    token_types = np.zeros_like(token_ids)
    positions, ids = np.zeros((2, len(records), masked), 'int32')
    weights = np.zeros((len(records), masked), 'float32')
    for row, record in enumerate(records):
        token_ids[row, : len(record.token_ids)] = record.token_ids
        token_types[row, : len(record.token_ids)] = record.token_types
        positions[row, : len(record.masked_ids)] = record.masked_positions
        ids[row, : len(record.masked_ids)] = record.masked_ids
        weights[row, : len(record.masked_ids)] = record.masked_weights
    labels = None
    if options.next_sentence:
        labels = np.array([record.next_sentence for record in records], 'int32')
    return PretrainingArrays(token_ids, token_types, valid_length, positions, ids, weights, labels)


def _describe(path):
    with open(path, 'rb') as file:
        return [os.path.getsize(path), hashlib.sha256(file.read(1 << 16)).hexdigest()[:32]]
