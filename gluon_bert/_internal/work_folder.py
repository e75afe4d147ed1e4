"""The folder of work that goes on after an interruption."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Sequence
from typing import Any, Optional

from .errors import named_errors
from .files import remove_leftovers, staging_folder, write_text
from .json import read_json, read_object

logger = logging.getLogger(__name__)

_OPTIONS, _RESULT, _LOCK = 'options.json', 'result.json', 'lock'


class WorkFolder(contextlib.AbstractContextManager):
    """Make the folder of a call, or go on with that of an interrupted one; remove it at the end.

    It is left if the block is interrupted. After an error it is removed, unless an output file is
    complete.

    Parameters
    ----------
    path : str
    outputs : sequence of str
        Files that the call makes.
    description : dict
        JSON object of what they depend on, compared with that of the interrupted call.
    overwrite : bool
        Replace outputs; and start anew if the folder is of another call.

    Raises
    ------
    FileExistsError
        If an output is there.
    ValueError
        If the folder is of another call, or that call is still running.
    """

    def __init__(
        self, path: str, outputs: Sequence[str], description: dict[str, Any], overwrite: bool
    ) -> None:
        self._path, self._outputs = path, outputs
        self._description = json.loads(json.dumps(description))
        self._overwrite = overwrite
        self._lock: Any = None
        self.result: Optional[list] = None
        """Result of the call, if it was interrupted while its folder was removed."""

    def __enter__(self) -> WorkFolder:
        from filelock import FileLock, Timeout

        remove_leftovers(os.path.dirname(os.path.abspath(self._path)), os.path.basename(self._path))
        is_new = not os.path.isdir(self._path)
        if is_new:
            self._refuse_existing()
            os.mkdir(self._path)
        self._lock = FileLock(os.path.join(self._path, _LOCK))
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise ValueError(f'{self._path}: another process is making these files') from None
        try:
            with named_errors(self._path):
                self._compare()
        except BaseException:
            if is_new:
                self._remove()
            self._lock.release()
            raise
        return self

    def end(self, result: list) -> None:
        """Write the result, a JSON value: the outputs are complete."""
        write_text(self._place(_RESULT), json.dumps(result))
        self.result = result

    def _place(self, name):
        return os.path.join(self._path, name)

    def _compare(self):
        if not os.path.exists(self._place(_OPTIONS)):
            self._refuse_existing()
        else:
            before = read_object(self._place(_OPTIONS))
            names = [*self._description, *before]
            changed = [n for n in names if before.get(n) != self._description.get(n)]
            if not changed:
                logger.info('%s: going on with an interrupted call', self._path)
                if os.path.exists(self._place(_RESULT)):
                    self.result = read_json(self._place(_RESULT))
                return
            if not self._overwrite:
                values = (repr(row.get(changed[0]))[:60] for row in (before, self._description))
                raise ValueError(
                    f'{self._path}: is of an interrupted call with another {changed[0]} '
                    f'({", now ".join(values)}): remove it, or overwrite'
                )
        self._clear()
        write_text(self._place(_OPTIONS), json.dumps(self._description, indent=1))

    def _clear(self):
        """Remove all but the lock, the options last."""
        names = sorted(os.listdir(self._path), key=lambda name: name in (_OPTIONS, _RESULT))
        for name in names:
            if name != _LOCK:
                os.unlink(self._place(name))

    def _remove(self):
        """Remove the folder in one step: a part of it would not tell that all is complete."""
        with staging_folder(self._path) as temporary:
            os.rename(self._path, temporary / 'work')

    def _refuse_existing(self):
        for path in self._outputs if not self._overwrite else ():
            if os.path.exists(path):
                raise FileExistsError(f'{path}: is there already; remove it, or overwrite')

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        for path in self._outputs:
            remove_leftovers(os.path.dirname(os.path.abspath(path)), os.path.basename(path))
        remove_leftovers(self._path)
        has_outputs = any(name.startswith('done-') for name in os.listdir(self._path))
        if self.result is not None or (isinstance(error, Exception) and not has_outputs):
            self._remove()
        self._lock.release()


def marker(work: str, number: int) -> str:
    """Name the file in the folder ``work`` that says that an output is complete."""
    return os.path.join(work, f'done-{number:05d}')
