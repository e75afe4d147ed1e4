"""What a training run tells as it goes: one line of JSON for each of its events."""

from __future__ import annotations

import contextlib
import json

from .._internal.files import write_text


class TrainingLog:
    """The rows of a run, in memory and in a file.

    Parameters
    ----------
    path : Path
        Of the file, one JSON object to a line.
    """

    def __init__(self, path):
        self._path = path
        self.rows = []

    def begin(self, last_step=None):
        """Start a new file; of a run that goes on, keep the rows up to its last step."""
        self.rows = (
            [] if last_step is None else [row for row in self._read() if row['step'] <= last_step]
        )
        write_text(self._path, ''.join(map(_line, self.rows)))

    def append(self, row):
        """Add a row, which has a ``step``."""
        self.rows.append(row)
        with open(self._path, 'a', encoding='utf-8') as file:
            file.write(_line(row))

    def metrics(self, epoch):
        """The evaluation of an epoch, empty if there was none."""
        return next(
            (row['metrics'] for row in self.rows if 'metrics' in row and row['epoch'] == epoch), {}
        )

    def _read(self):
        if not self._path.is_file():
            return []
        rows = []
        for line in self._path.read_text(encoding='utf-8').split('\n'):
            # A line cut short by a kill is later than the state and not needed.
            with contextlib.suppress(ValueError):
                rows.append(json.loads(line))
        return rows


def _line(row):
    return json.dumps(row) + '\n'
