"""The server's log: one JSON object a line, without texts of users."""

from __future__ import annotations

import json
import logging
import sys
import time
from traceback import extract_tb
from typing import Any

logger = logging.getLogger('gluon_bert.serving')


def log_event(event: str, level: int = logging.INFO, **fields: Any) -> None:
    """Write a line.

    Parameters
    ----------
    event : str
        Such as 'request' or 'ready'.
    level : int
        As ``logging`` numbers it.
    **fields
        Values for JSON.
    """
    logger.log(level, event, extra={'fields': fields})


def log_failure(event: str, error: BaseException, **fields: Any) -> None:
    """Write where an error came from, without its message, which may hold a user's text."""
    places = [f'{row.filename}:{row.lineno} {row.name}' for row in extract_tb(error.__traceback__)]
    log_event(event, logging.ERROR, error=type(error).__name__, places=places, **fields)


class JsonFormatter(logging.Formatter):
    """Records as JSON: time, level and event first."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record as one line."""
        seconds = time.gmtime(record.created)
        row = {
            'time': f'{time.strftime("%Y-%m-%dT%H:%M:%S", seconds)}.{int(record.msecs):03}Z',
            'level': record.levelname.lower(),
            'event': record.getMessage().partition('\n')[0],  # what follows may hold a text
            **getattr(record, 'fields', {}),
        }
        if record.exc_info and record.exc_info[0]:
            row['error'] = record.exc_info[0].__name__
        return json.dumps(row, ensure_ascii=False, default=str)


def start_log(level: str = 'info') -> None:
    """Write logs of the package, uvicorn and asyncio, and warnings, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.captureWarnings(True)
    for name in ('gluon_bert', 'uvicorn.error', 'asyncio', 'py.warnings'):
        log = logging.getLogger(name)
        log.handlers[:] = [handler]
        log.propagate = False
        log.setLevel(level.upper() if name == 'gluon_bert' else logging.WARNING)
