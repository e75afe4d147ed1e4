"""Measurements of benchmark.py: systems are compared with each other, then timed in turn."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from benchmark_latency import MOST_QUERIES, percentiles
from benchmark_process import Failed, Process, order
from benchmark_report import (
    RANKED,
    TOLERANCES,
    ceiling,
    difference,
    forward_flop,
    products,
    quartiles,
    rank,
)
from benchmark_systems import CEILINGS, PRECISIONS, SYSTEMS

MOST_CALLS = 50  # of a system in a turn
LONG = 3  # turns: a longer call needs no warm-up


class Team:
    """The processes of all systems for one number of threads.

    Parameters
    ----------
    names, ceilings : list of str
        Of ``SYSTEMS`` and ``CEILINGS``.
    folder : Path
        Of the network.
    mode : str
    threads : int
    work_folder : Path
        For logs and the files that processes read and write.
    isa : str
        Instruction set to hold them to, or ''.
    """

    def __init__(self, names, ceilings, folder, mode, threads, work_folder, isa=''):
        self.mode, self.threads, self.work_folder = mode, threads, Path(work_folder)
        self.is_latency = mode == 'latency'
        self.request = 'queries' if self.is_latency else 'time'
        self.most_calls = MOST_QUERIES if self.is_latency else MOST_CALLS
        self.processes, self.ceilings, self.failed = {}, {}, {}
        self._files = 0
        for name in [*names, *ceilings]:
            is_system = name not in ceilings
            try:
                process = Process(
                    name,
                    folder,
                    mode if is_system else 'grid',
                    threads,
                    self.work_folder / f'{name}.log',
                    isa,
                )
                (self.processes if is_system else self.ceilings)[name] = process
            except Failed as error:
                self.failed[name] = f'failed: {error}'

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for process in [*self.processes.values(), *self.ceilings.values()]:
            process.close()

    def drop(self, name, error):
        """Continue without a system."""
        self.processes.pop(name).close()
        self.failed[name] = f'failed: {error}'

    def measure(self, cell, config, rounds, turn_seconds, cell_seconds=math.inf):
        """Measure the rows of a cell, one for each system.

        Parameters
        ----------
        cell : benchmark_work.Cell
        config : BertConfig
        rounds : int
        turn_seconds : float
            Time of a system in a round, at least one call.
        cell_seconds : float
            Limit of the time of all rounds: fewer rounds, but at least one.
        """
        self._files += 1
        cell.write(self.work_folder, self._files)
        rows, estimates = self._check(cell, turn_seconds)
        shapes, speeds = products(config, cell.rows), {name: [] for name in self.ceilings}
        calls, warm = turns(estimates, turn_seconds, self.most_calls)
        expected = sum(seconds * (calls[name] + warm[name]) for name, seconds in estimates.items())
        rounds = max(1, int(min(rounds, cell_seconds / max(expected, 1e-6))))
        for number in range(rounds):
            for name in order(list(self.processes), number):
                try:
                    answer = self.processes[name].ask(
                        self.request, work=str(cell.path), warm=warm[name], calls=calls[name]
                    )
                except Failed as error:
                    self.drop(name, error)
                    rows[name] = self._failed_row(name)
                    continue
                rows[name]['rounds_seconds'].append(float(np.median(answer['seconds'])))
                rows[name]['peaks'].append(answer['peak_bytes'])
                if self.is_latency:
                    rows[name]['queries_seconds'] += answer['seconds']
            self._multiply(shapes, speeds, number)
        cell.remove()
        limits = ceilings_of(shapes, speeds)
        flop = forward_flop(config, cell.lengths) * (3 if self.mode == 'train' else 1)
        found = [rows[name] for name in SYSTEMS if name in rows]
        for row in found:
            if row.get('rounds_seconds'):
                row.update(
                    figures(row, cell, flop, limits[row['precision']]),
                    rounds=rounds,
                    calls=calls[row['system']],
                )
                if self.is_latency:
                    row.update(percentiles(row['queries_seconds']))
        rank(found)
        return found

    def _multiply(self, shapes, speeds, number):
        """Run a round of the ceilings; append to speeds, name -> rounds -> seconds by shape."""
        for name in order(list(self.ceilings), number):
            try:
                speeds[name].append(self.ceilings[name].ask('products', shapes=shapes)['seconds'])
            except Failed as error:
                self.ceilings.pop(name).close()
                self.failed[name] = f'failed: {error}'

    def _check(self, cell, turn_seconds):
        """Make rows with the difference of each system's outputs from the first, and seconds."""
        rows, estimates, expected = {}, {}, None
        for name, process in list(self.processes.items()):
            output = self.work_folder / f'{name}.npz'
            row = system_row(name)
            try:
                seconds = process.ask('check', work=str(cell.path), output=str(output))['seconds']
                if seconds < LONG * turn_seconds:  # the first call of a shape is slower
                    seconds = process.ask(self.request, work=str(cell.path), warm=0, calls=1)[
                        'seconds'
                    ][0]
            except Failed as error:
                self.drop(name, error)
                continue
            with np.load(output) as arrays:
                found = dict(arrays)
            output.unlink()
            # Tokenizers may truncate pairs differently, which changes the vectors.
            found.pop('tokens', None)
            expected = expected or found
            row['difference'], row['difference_rms'] = difference(expected, found)
            row['tolerance'] = TOLERANCES[row['precision']]
            row['status'] = RANKED if row['difference_rms'] <= row['tolerance'] else 'disagrees'
            rows[name], estimates[name] = row, max(seconds, 1e-6)
            row.update(
                {
                    f'{part}_seconds': process.loading[f'{part}_seconds']
                    for part in ('import', 'load')
                },
                start_seconds=process.start_seconds,
            )
        for name in self.failed:
            if name in SYSTEMS:
                rows[name] = self._failed_row(name)
        return rows, estimates

    def _failed_row(self, name):
        return {**system_row(name), 'status': self.failed[name]}


def turns(estimates, turn_seconds, most=MOST_CALLS):
    """Choose the number of calls in a turn and of warm-up calls, by the seconds of a call."""
    return (
        {
            name: max(1, min(most, int(turn_seconds / seconds)))
            for name, seconds in estimates.items()
        },
        {name: int(seconds < LONG * turn_seconds) for name, seconds in estimates.items()},
    )


def ceilings_of(shapes, speeds):
    """Compute operations per second for each precision; nan if not measured."""
    return {
        precision: ceiling(
            shapes,
            {
                name: rounds
                for name, rounds in speeds.items()
                if CEILINGS[name].precision == precision
            },
        )
        for precision in PRECISIONS
    }


def system_row(name):
    """Make the first columns of a system's row."""
    system = SYSTEMS[name]
    return {
        'system': name,
        'precision': system.precision,
        'is_ours': system.is_ours,
        'rounds_seconds': [],
        'queries_seconds': [],
        'peaks': [],
    }


def figures(row, cell, flop, limit):
    """Compute the figures of a system from its times in all rounds."""
    median, lower, upper = quartiles(row['rounds_seconds'])
    return {
        'seconds': median,
        'seconds_q1': lower,
        'seconds_q3': upper,
        'sequences': len(cell.lengths),
        'valid_tokens': cell.tokens,
        'fill': cell.fill,
        'tokens_per_second': cell.tokens / median,
        'gflop': flop / 1e9,
        'gflop_per_second': flop / 1e9 / median,
        'ceiling_gflop_per_second': limit / 1e9,
        'ceiling_precision': '' if math.isnan(limit) else row['precision'],
        'share_of_ceiling': flop / median / limit,
        'peak_memory_mb': max(row['peaks']) / 1e6,
    }
