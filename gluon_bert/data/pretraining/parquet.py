"""Parquet files of records, a row each; columns have GluonNLP's names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional

import numpy as np

from ..._internal.types import PathLike
from .records import Record, check_sizes

_COLUMNS = {
    'input_ids': 'int32',
    'segment_ids': 'int32',
    'masked_lm_positions': 'int32',
    'masked_lm_ids': 'int32',
    'masked_lm_weights': 'float32',
}
_NEXT = 'next_sentence_labels'
_ROW_GROUP = 4096  # records written together


class Writer:
    """Write records in groups.

    Parameters
    ----------
    path : str or Path
    max_length, max_predictions : int, optional
        Refuse larger records.
    """

    def __init__(
        self, path: PathLike, max_length: Optional[int], max_predictions: Optional[int]
    ) -> None:
        self._arrow, parquet = _pyarrow()
        self._sizes = max_length, max_predictions
        self._records: list[Record] = []
        self._schema = _schema(self._arrow)
        self._file = parquet.ParquetWriter(path, self._schema)

    def write(self, record: Record) -> None:
        """Add a record."""
        check_sizes(record, *self._sizes)
        self._records.append(record)
        if len(self._records) == _ROW_GROUP:
            self._flush()

    def close(self) -> None:
        """Complete the file."""
        if self._records:
            self._flush()
        self._file.close()

    def discard(self) -> None:
        """Close the file as it is."""
        self._file.close()

    def _flush(self):
        columns = list(zip(*self._records))
        arrays = [
            self._arrow.array([np.asarray(row, kind) for row in column], self._schema.field(n).type)
            for n, (column, kind) in enumerate(zip(columns, _COLUMNS.values()))
        ]
        arrays.append(self._arrow.array(columns[-1], self._arrow.int32()))
        self._file.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
        self._records = []


def check() -> None:
    """Refuse if pyarrow is not installed."""
    _pyarrow()


def read(path: PathLike) -> Iterator[dict]:
    """Read the rows, a batch in memory at a time."""
    arrow, parquet = _pyarrow()
    try:
        with parquet.ParquetFile(path) as file:
            missing = {*_COLUMNS, _NEXT} - {*file.schema_arrow.names}
            if missing:
                raise ValueError(f'{path}: it has no column {min(missing)}')
            for batch in file.iter_batches(batch_size=1024, columns=[*_COLUMNS, _NEXT]):
                yield from batch.to_pylist()
    except (arrow.ArrowException, OSError) as error:
        raise _damaged(path, error) from None


def count(path: PathLike) -> int:
    """Count the rows of a file."""
    arrow, parquet = _pyarrow()
    try:
        return parquet.read_metadata(path).num_rows
    except (arrow.ArrowException, OSError) as error:
        raise _damaged(path, error) from None


def decode(row: dict) -> Record:
    """Make a record of a row."""
    arrays = []
    for name, kind in _COLUMNS.items():
        values = np.asarray(row[name] if row[name] is not None else [])
        if values.size and values.dtype.kind not in ('iu' if kind == 'int32' else 'iuf'):
            raise ValueError(f'{name} is not a list of numbers')
        arrays.append(values)
    ids, types, positions, masked_ids, weights = arrays
    return Record(ids, types, positions, masked_ids, weights, row[_NEXT])


def _damaged(path, error):
    lines = str(error).splitlines() or ['']
    return ValueError(f'{path}: not a whole Parquet file ({lines[0][:200]})')


def _schema(arrow: Any) -> Any:
    columns = [(name, arrow.list_(getattr(arrow, kind)())) for name, kind in _COLUMNS.items()]
    return arrow.schema([*columns, (_NEXT, arrow.int32())])


def _pyarrow():
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ValueError("Parquet needs pyarrow: pip install 'gluon_bert[parquet]'") from None
    return pyarrow, pyarrow.parquet
