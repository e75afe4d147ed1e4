"""Counts in Prometheus' text format, by the names of text-embeddings-inference."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Optional

from .metrics_values import Values

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_POWERS = tuple(2**power for power in range(0, 15, 2))

MEDIA_TYPE = 'text/plain; version=0.0.4; charset=utf-8'


class Counter:
    """A number that only grows, for each value of a label.

    Parameters
    ----------
    values : Values
    name, about : str
    label : str
        '' for none.
    """

    def __init__(self, values: Values, name: str, about: str, label: str = '') -> None:
        self.name, self.about, self._label, self._values = name, about, label, values
        if not label:
            values.place(name)

    def add(self, value: float = 1, label: str = '') -> None:
        """Add to the number."""
        self._values.add(value, self._values.place(self.name, label))

    def lines(self, totals: Mapping[str, float]) -> list[str]:
        """Write its total for each label in Prometheus' format."""
        rows = [f'{self.name}{_labels(self._label, key)} {_text(totals[key])}' for key in totals]
        return [f'# HELP {self.name} {self.about}', f'# TYPE {self.name} counter', *rows]


class Histogram:
    """A distribution of values.

    Parameters
    ----------
    values : Values
    name, about : str
    bounds : sequence of float
        Upper bounds of the buckets.
    """

    def __init__(
        self, values: Values, name: str, about: str, bounds: Sequence[float] = _SECONDS
    ) -> None:
        self.name, self.about, self._values = name, about, values
        self._bounds, self._labels = tuple(bounds), (*map(_text, bounds), '+Inf')
        self._places = [values.place(name, label) for label in self._labels]
        self._sum = values.place(name, 'sum')

    def add(self, value: float) -> None:
        """Count a value."""
        self._values.add(1, self._places[bisect.bisect_left(self._bounds, value)])
        self._values.add(value, self._sum)

    def lines(self, totals: Mapping[str, float]) -> list[str]:
        """Write the totals of its buckets in Prometheus' format."""
        rows, running = [], 0.0
        for label in self._labels:
            running += totals[label]
            rows.append(f'{self.name}_bucket{{le="{label}"}} {_text(running)}')
        rows += [f'{self.name}_sum {_text(totals["sum"])}', f'{self.name}_count {_text(running)}']
        return [f'# HELP {self.name} {self.about}', f'# TYPE {self.name} histogram', *rows]


class Gauge:
    """A number that is read when it is asked for, and from time to time for other processes.

    Parameters
    ----------
    values : Values
    name, about : str
    read : callable
    """

    def __init__(self, values: Values, name: str, about: str, read: Callable[[], float]) -> None:
        self.name, self.about, self._read, self._values = name, about, read, values
        self._place = values.place(name, is_gauge=True)

    def publish(self) -> None:
        """Read it."""
        self._values.set(self._read(), self._place)

    def lines(self, totals: Mapping[str, float]) -> list[str]:
        """Write its total in Prometheus' format."""
        value = f'{self.name} {_text(totals[""])}'
        return [f'# HELP {self.name} {self.about}', f'# TYPE {self.name} gauge', value]


class Metrics:
    """All counts of a server.

    Parameters
    ----------
    regions : sequence, optional
    own : int
        As for :class:`.Values`, where several processes serve.
    """

    def __init__(self, regions: Optional[Sequence[Any]] = None, own: int = 0) -> None:
        self._values = values = Values(regions, own)
        self.requests = Counter(values, 'te_request_count', 'Requests by route', 'method')
        self.success = Counter(values, 'te_request_success', 'Requests answered with 2xx', 'method')
        self.failure = Counter(values, 'te_request_failure', 'Requests answered otherwise', 'err')
        self.duration = Histogram(values, 'te_request_duration', 'Seconds of a request')
        self.tokenization = Histogram(
            values, 'te_request_tokenization_duration', 'Seconds in which texts became tokens'
        )
        self.queue = Histogram(values, 'te_request_queue_duration', 'Seconds that a request waited')
        self.inference = Histogram(
            values, 'te_request_inference_duration', 'Seconds from the queue to the last output'
        )
        self.input_length = Histogram(
            values,
            'te_request_input_length',
            'Tokens of a sequence',
            tuple(2**i for i in range(2, 14)),
        )
        self.batch_size = Histogram(values, 'te_batch_next_size', 'Sequences of a batch', _POWERS)
        self.batch_tokens = Histogram(values, 'te_batch_next_tokens', 'Tokens of a batch', _POWERS)
        self.batch_duration = Histogram(values, 'te_batch_inference_duration', 'Seconds of a batch')
        self.tokens = Counter(values, 'te_tokens_count', 'Tokens computed')
        self.truncated = Counter(values, 'te_truncated_count', 'Texts that were cut')
        self.disconnected = Counter(
            values, 'te_disconnected_count', 'Clients that left before the answer'
        )
        self._gauges: list[Gauge] = []

    def watch(self, name: str, about: str, read: Callable[[], float]) -> None:
        """Add a number that is read when it is asked for."""
        self._gauges.append(Gauge(self._values, name, about, read))

    def batch(self, sequences: int, tokens: int, seconds: float) -> None:
        """Take note of a computed batch."""
        self.batch_size.add(sequences)
        self.batch_tokens.add(tokens)
        self.batch_duration.add(seconds)
        self.tokens.add(tokens)

    def publish(self) -> None:
        """Read the numbers that :meth:`watch` added, for the other processes."""
        for gauge in self._gauges:
            gauge.publish()

    def text(self) -> str:
        """Write all of them, summed over the processes, in Prometheus' format."""
        self.publish()
        totals, own = self._values.totals(), vars(self).values()
        rows = [*(row for row in own if isinstance(row, (Counter, Histogram))), *self._gauges]
        return '\n'.join(line for row in rows for line in row.lines(totals[row.name])) + '\n'


def _labels(name, value):
    if not name:
        return ''
    quoted = value.replace('\\', r'\\').replace('"', r'\"').replace('\n', r'\n')
    return f'{{{name}="{quoted}"}}'


def _text(value):
    return str(int(value)) if float(value).is_integer() else repr(float(value))
