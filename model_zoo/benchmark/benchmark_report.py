"""Figures of benchmark.py: formulas, comparison of outputs, rows of the CSV file, tables."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

# Root mean square of the difference from gluon_bert, relative to that of its outputs.
TOLERANCES = {'fp32': 1e-4, 'bf16': 3e-2, 'int8': 2.5e-1}

# The key of a measurement; the last row of a key counts.
KEYS = ('mode', 'model', 'weights', 'data', 'batch', 'length', 'threads', 'isa', 'system')
FIELDS = (
    *KEYS,
    'precision',
    'status',
    'rounds',
    'calls',
    'seconds',
    'seconds_q1',
    'seconds_q3',
    'seconds_p50',
    'seconds_p99',
    'sequences',
    'valid_tokens',
    'fill',
    'tokens_per_second',
    'best_peer',
    'speed_to_best_peer',
    'gflop',
    'gflop_per_second',
    'ceiling_precision',
    'ceiling_gflop_per_second',
    'share_of_ceiling',
    'difference',
    'difference_rms',
    'tolerance',
    'peak_memory_mb',
    'start_seconds',
    'import_seconds',
    'load_seconds',
    'bare_import_seconds',
    'resident_memory_mb',
    'modules',
    'packages',
    'processor',
    'processors',
    'flags',
    'versions',
    'commit',
    'date',
    'command',
)
# Columns that files before these do not have; the ceilings of the first are those of fp32.
NEWER = (
    ('sequences', 'ceiling_precision'),
    ('bare_import_seconds', 'resident_memory_mb', 'modules', 'packages'),
    ('isa',),
    ('seconds_p50', 'seconds_p99'),
)
RANKED = 'ok'


def products(config, rows):
    """List the matrix products (M, N, K) of a layer's dense layers for this number of tokens."""
    units, hidden = config.units, config.hidden_size
    return [
        (rows, 3 * units, units),
        (rows, units, units),
        (rows, hidden, units),
        (rows, units, hidden),
    ]


def forward_flop(config, lengths):
    r"""Count the floating-point operations of encoding sequences, without padding.

    .. math:: \sum_t L \left(2 t (4 C^2 + 2 C H) + 4 t^2 C\right) + 2 C^2

    for sequences of t tokens, L layers, C units, H units of the feed-forward layer; the last term
    is the pooler. A product of (M, K) and (K, N) has 2 M N K. Training has three times as many.
    """
    lengths, units = np.asarray(lengths, 'float64'), config.units
    dense = 4 * units**2 + 2 * units * config.hidden_size
    return float(
        (config.num_layers * (2 * lengths * dense + 4 * lengths**2 * units) + 2 * units**2).sum()
    )


def ceiling(shapes, measured):
    """Compute operations per second of the products of a layer, each by the fastest library.

    Parameters
    ----------
    shapes : list of (int, int, int)
    measured : dict of str to list of list of float
        Library -> rounds -> seconds of each shape.

    Returns
    -------
    float
        nan if nothing was measured.
    """
    medians = [np.median(rounds, axis=0) for rounds in measured.values() if rounds]
    if not medians:
        return math.nan
    return 2 * sum(map(math.prod, shapes)) / float(np.min(medians, axis=0).sum())


def difference(ours, theirs):
    """Compute the difference of named arrays from those of gluon_bert; the largest over names.

    Returns
    -------
    largest : float
        The largest absolute difference, relative to the largest value of gluon_bert.
    rms : float
        The root mean square of the difference, relative to that of gluon_bert.
    """
    if set(ours) != set(theirs):
        return math.inf, math.inf
    largest = rms = 0.0
    for name, expected in ours.items():
        found = theirs[name]
        if found.shape != expected.shape or not np.isfinite(found).all():
            return math.inf, math.inf
        apart = (found - expected).astype('float64')
        largest = max(largest, float(abs(apart).max() / (abs(expected).max() or 1)))
        rms = max(rms, math.sqrt((apart**2).mean() / ((expected**2).mean() or 1)))
    return largest, rms


def quartiles(values):
    """Compute median, lower and upper quartile."""
    return tuple(float(value) for value in np.percentile(values, [50, 25, 75]))


def rank(rows):
    """Fill in the best peer of each precision, and the speeds relative to it.

    Parameters
    ----------
    rows : list of dict
        Of one cell, with ``rounds_seconds``, a time for each round; only rows whose status is
        'ok' are ranked. The speed is the median over the rounds of the peer's time divided by
        the system's own in the same round.
    """
    for row in rows:
        peers = [
            peer
            for peer in rows
            if peer['status'] == RANKED
            and not peer['is_ours']
            and peer['precision'] == row['precision']
        ]
        if peers and row['status'] == RANKED:
            best = min(peers, key=lambda peer: np.median(peer['rounds_seconds']))
            ratios = np.divide(best['rounds_seconds'], row['rounds_seconds'])
            row.update(best_peer=best['system'], speed_to_best_peer=float(np.median(ratios)))


def standings(rows):
    """Compare systems with the best peer, over all cells.

    Parameters
    ----------
    rows : list of dict
        Of one mode and network, as in the file or with numbers; only gluon_bert's systems.

    Returns
    -------
    dict of str to Standing
    """
    found = {}
    for row in rows:
        if row['status'] == RANKED and row.get('speed_to_best_peer'):
            found.setdefault(row['system'], []).append(row)
    return {
        system: Standing(
            cells[0]['precision'],
            [float(row['speed_to_best_peer']) for row in cells],
            [row for row in cells if float(row['speed_to_best_peer']) < 1],
        )
        for system, cells in found.items()
    }


class Standing(NamedTuple):
    """A system's precision, its speeds relative to the best peer, and the cells it lost."""

    precision: str
    ratios: list
    lost: list  # of rows


def cell_name(row):
    """Name the cell of a row."""
    size = f'{row["batch"]}x{row["length"]}' if row['length'] else f'batch {row["batch"]}'
    return ' '.join(filter(None, [row['data'], size]))


def geometric_mean(values):
    """Compute the geometric mean of positive numbers."""
    return math.exp(sum(map(math.log, values)) / len(values))


def read_rows(path):
    """Read the rows of a CSV file of results, also of earlier versions; [] if there is none."""
    header, rows = _read(path)
    missing = [name for name in FIELDS if name not in header]
    for row in rows:
        row.update(dict.fromkeys(missing, ''))
        if 'ceiling_precision' in missing and row['share_of_ceiling']:
            row['ceiling_precision'] = 'fp32'
    return rows


def append_rows(path, rows):
    """Append rows to a CSV file; add the header or missing columns."""
    path, is_new = Path(path), not Path(path).is_file()
    if not is_new and _read(path)[0] != FIELDS:
        from gluon_bert._internal.files import atomic_path

        earlier = read_rows(path)
        with atomic_path(path) as temporary:
            _write(temporary, earlier, 'w')
    _write(path, rows, 'w' if is_new else 'a')


def _write(path, rows, mode):
    with open(path, mode, newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, FIELDS, extrasaction='ignore')
        if mode == 'w':
            writer.writeheader()
        writer.writerows({key: _plain(value) for key, value in row.items()} for row in rows)


def _read(path):
    """Read header and rows of a file unchanged."""
    if not Path(path).is_file():
        return FIELDS, []
    with open(path, newline='', encoding='utf-8') as file:
        reader = csv.DictReader(file)
        header = tuple(reader.fieldnames or ())
        if header not in _headers():
            raise ValueError(
                f'{path}: is no file of this benchmark, or of another version of it: '
                f'its header is {",".join(header)[:120]!r}'
            )
        return header, list(reader)


def _headers():
    """List the headers of files of this version and of earlier ones."""
    headers = [FIELDS]
    for columns in reversed(NEWER):
        headers.append(tuple(name for name in headers[-1] if name not in columns))
    return headers


def key_of(row):
    """Get the key of a measurement, as in the file."""
    return tuple('' if row[key] is None else str(row[key]) for key in KEYS)


def latest(rows):
    """Keep the last row of each measurement."""
    return list({key_of(row): row for row in rows}.values())


def missing(done, cell_keys, systems):
    """List the systems whose rows of a cell are not done.

    Parameters
    ----------
    done : set of tuple
        From :func:`key_of`, of one commit.
    cell_keys : dict
        The key of the cell without the system.
    systems : list of str
    """
    return [name for name in systems if key_of({**cell_keys, 'system': name}) not in done]


def table(rows):
    """Make lines that show a cell."""
    lines = [
        f'  {"system":18} {"":5} {"ms":>9}  {"quartiles":>17} {"tokens/s":>9} {"to peer":>7} '
        f'{"ceiling":>7} {"max diff":>8} {"rms diff":>8} {"MB":>6}'
    ]
    for row in rows:
        if 'seconds' not in row:
            lines.append(f'  {row["system"]:18} {row["precision"]:5} {row["status"]}')
            continue
        spread = f'{row["seconds_q1"] * 1e3:.2f}-{row["seconds_q3"] * 1e3:.2f}'
        ratio = row.get('speed_to_best_peer')
        share = '' if math.isnan(row['share_of_ceiling']) else f'{row["share_of_ceiling"]:.1%}'
        lines.append(
            f'  {row["system"]:18} {row["precision"]:5} {row["seconds"] * 1e3:9.2f}  {spread:>17} '
            f'{row["tokens_per_second"]:9.0f} {f"{ratio:.2f}" if ratio else "":>7} '
            f'{share:>7} {row["difference"]:8.1e} {row["difference_rms"]:8.1e} '
            f'{row["peak_memory_mb"]:6.0f}{_remark(row)}'
        )
    return lines


def _remark(row):
    slow = f' p99 {row["seconds_p99"] * 1e3:.2f} ms' if 'seconds_p99' in row else ''
    return slow + (f' {row["status"]}' if row['status'] != RANKED else '')


def summary(rows):
    """Make lines that compare gluon_bert with the best peer of every cell."""
    found = standings([row for row in rows if row['is_ours']])
    return [
        f'{system}: {geometric_mean(ratios):.3f} times the best peer (geometric mean of '
        f'{len(ratios)} cells, {min(ratios):.3f} to {max(ratios):.3f}; at least as fast in '
        f'{len(ratios) - len(lost)})'
        for system, (_, ratios, lost) in found.items()
    ]


def _plain(value):
    if isinstance(value, float):
        return '' if math.isnan(value) else f'{value:.6g}'
    return value
