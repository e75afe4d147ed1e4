"""Counts in Prometheus' text format, by the names of text-embeddings-inference."""

from __future__ import annotations

import bisect
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_POWERS = tuple(2**power for power in range(0, 15, 2))

MEDIA_TYPE = 'text/plain; version=0.0.4; charset=utf-8'


class Counter:
    """A number that only grows, for each value of a label.

    Parameters
    ----------
    name, about : str
    label : str
        '' for none.
    """

    def __init__(self, name: str, about: str, label: str = '') -> None:
        self.name, self.about, self._label = name, about, label
        self._values: dict[str, float] = defaultdict(float)
        self._lock = threading.Lock()

    def add(self, value: float = 1, label: str = '') -> None:
        """Add to the number."""
        with self._lock:
            self._values[label] += value

    def lines(self) -> list[str]:
        """Write it in Prometheus' format."""
        with self._lock:
            values = dict(self._values) or ({} if self._label else {'': 0.0})
        rows = [f'{self.name}{_labels(self._label, key)} {_text(values[key])}' for key in values]
        return [f'# HELP {self.name} {self.about}', f'# TYPE {self.name} counter', *rows]


class Histogram:
    """A distribution of values.

    Parameters
    ----------
    name, about : str
    bounds : sequence of float
        Upper bounds of the buckets.
    """

    def __init__(self, name: str, about: str, bounds: Sequence[float] = _SECONDS) -> None:
        self.name, self.about, self._bounds = name, about, tuple(bounds)
        self._counts, self._sum = [0] * (len(self._bounds) + 1), 0.0
        self._lock = threading.Lock()

    def add(self, value: float) -> None:
        """Count a value."""
        with self._lock:
            self._counts[bisect.bisect_left(self._bounds, value)] += 1
            self._sum += value

    def lines(self) -> list[str]:
        """Write it in Prometheus' format."""
        with self._lock:
            counts, total = list(self._counts), self._sum
        rows, running = [], 0
        for bound, count in zip((*map(_text, self._bounds), '+Inf'), counts):
            running += count
            rows.append(f'{self.name}_bucket{{le="{bound}"}} {running}')
        rows += [f'{self.name}_sum {_text(total)}', f'{self.name}_count {running}']
        return [f'# HELP {self.name} {self.about}', f'# TYPE {self.name} histogram', *rows]


class Gauge:
    """A number that is read when it is asked for.

    Parameters
    ----------
    name, about : str
    read : callable
    """

    def __init__(self, name: str, about: str, read: Callable[[], float]) -> None:
        self.name, self.about, self._read = name, about, read

    def lines(self) -> list[str]:
        """Write it in Prometheus' format."""
        value = f'{self.name} {_text(self._read())}'
        return [f'# HELP {self.name} {self.about}', f'# TYPE {self.name} gauge', value]


class Metrics:
    """All counts of a server's process."""

    def __init__(self) -> None:
        self.requests = Counter('te_request_count', 'Requests by route', 'method')
        self.success = Counter('te_request_success', 'Requests answered with 2xx', 'method')
        self.failure = Counter('te_request_failure', 'Requests answered otherwise', 'err')
        self.duration = Histogram('te_request_duration', 'Seconds of a request')
        self.tokenization = Histogram(
            'te_request_tokenization_duration', 'Seconds in which texts became tokens'
        )
        self.queue = Histogram('te_request_queue_duration', 'Seconds that a request waited')
        self.inference = Histogram(
            'te_request_inference_duration', 'Seconds from the queue to the last output'
        )
        self.input_length = Histogram(
            'te_request_input_length', 'Tokens of a sequence', tuple(2**i for i in range(2, 14))
        )
        self.batch_size = Histogram('te_batch_next_size', 'Sequences of a batch', _POWERS)
        self.batch_tokens = Histogram('te_batch_next_tokens', 'Tokens of a batch', _POWERS)
        self.batch_duration = Histogram('te_batch_inference_duration', 'Seconds of a batch')
        self.tokens = Counter('te_tokens_count', 'Tokens computed')
        self.truncated = Counter('te_truncated_count', 'Texts that were cut')
        self.disconnected = Counter('te_disconnected_count', 'Clients that left before the answer')
        self._gauges: list[Gauge] = []

    def watch(self, name: str, about: str, read: Callable[[], float]) -> None:
        """Add a number that is read when it is asked for."""
        self._gauges.append(Gauge(name, about, read))

    def batch(self, sequences: int, tokens: int, seconds: float) -> None:
        """Take note of a computed batch."""
        self.batch_size.add(sequences)
        self.batch_tokens.add(tokens)
        self.batch_duration.add(seconds)
        self.tokens.add(tokens)

    def text(self) -> str:
        """Write all of them in Prometheus' format."""
        own = [value for value in vars(self).values() if hasattr(value, 'lines')]
        return '\n'.join(line for row in (*own, *self._gauges) for line in row.lines()) + '\n'


def _labels(name, value):
    if not name:
        return ''
    quoted = value.replace('\\', r'\\').replace('"', r'\"').replace('\n', r'\n')
    return f'{{{name}="{quoted}"}}'


def _text(value):
    return str(int(value)) if float(value).is_integer() else repr(float(value))
