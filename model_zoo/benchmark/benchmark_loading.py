"""Measure the starts of systems: benchmark.py --mode load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from benchmark_process import Failed, environment, processors_for
from benchmark_report import RANKED, TOLERANCES
from benchmark_rounds import figures, order, rank, system_row
from benchmark_systems import SYSTEMS

STARTER = Path(__file__).with_name('benchmark_start.py')
BARE = 'numpy and tokenizers'
_PARTS = ('import_seconds', 'load_seconds')


def measure_loading(names, cell, config, folder, threads, rounds, isa=''):
    """Measure the seconds from the start of a new process to the vector of one text.

    Systems take turns. From the second round on, the files of the network are in the page cache.
    ``import numpy, tokenizers`` alone is measured beside them.
    """
    rows, parts = {name: system_row(name) for name in names}, {name: [] for name in names}
    bare, first = [], None
    for number in range(rounds):
        bare.append(start(BARE, folder, threads, cell, isa)['seconds'])
        for name in order(list(names), number):
            row = rows[name]
            if 'status' in row:
                continue
            try:
                found = start(name, folder, threads, cell, isa)
            except Failed as error:
                row['status'] = f'failed: {error}'
                continue
            row['rounds_seconds'].append(found['seconds'])
            row['peaks'].append(found['peak_bytes'])
            parts[name].append([found[part] for part in _PARTS])
            row.update({key: found[key] for key in ('modules', 'resident_bytes')})
            row['packages'] = ' '.join(found['packages'])
            row['vector'] = np.array(found['vector'], 'float32')
    for row in rows.values():
        row.setdefault('status', RANKED)
        if row['status'] == RANKED:
            first = row['vector'] if first is None else first
            _complete(row, cell, rounds, first, parts[row['system']], float(np.median(bare)))
    rank(list(rows.values()))
    return list(rows.values())


def _complete(row, cell, rounds, first, parts, bare):
    """Add the figures of a system."""
    row.update(figures(row, cell, 0.0, float('nan')), rounds=rounds, calls=1)
    difference = np.abs(row['vector'] - first)
    size = float(np.sqrt(np.mean(np.square(first))))
    row['difference'] = float(difference.max())
    row['difference_rms'] = float(np.sqrt(np.mean(np.square(difference)))) / size
    row['tolerance'] = TOLERANCES[row['precision']]
    if row['difference_rms'] > row['tolerance']:
        row['status'] = f'differs: {row["difference_rms"]:.2g}'
    row.update(zip(_PARTS, map(float, np.median(parts, axis=0))))
    row['resident_memory_mb'] = row['resident_bytes'] / 1e6
    row['bare_import_seconds'] = bare


def start(name, folder, threads, cell, isa=''):
    """Start a system; return what it printed, with the seconds until its vector was there."""
    given = {'module': None}
    if name != BARE:
        system = SYSTEMS[name]
        given = {
            'module': system.module,
            'class': system.encoder,
            'options': system.options,
            'folder': str(folder),
            'threads': threads,
            **cell.content,
        }
    command = [sys.executable, str(STARTER), json.dumps(given)]
    processors = processors_for(threads)
    with tempfile.TemporaryFile('w+', encoding='utf-8') as errors:
        begun = time.perf_counter()
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment(threads, isa),
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, processors),
        ) as process:
            lines = [process.stdout.readline()]
            seconds = time.perf_counter() - begun
            lines += process.stdout.readlines()
        if process.returncode:
            errors.seek(0)
            last = (errors.read().strip().splitlines() or ['no message'])[-1]
            raise Failed(f'its process ended with {process.returncode}: {last[:300]}')
    found = {'seconds': seconds}
    for line in lines:
        found.update(json.loads(line))
    return found
