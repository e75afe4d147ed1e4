"""Latency of single queries, from text to vector: benchmark.py --mode latency."""

from __future__ import annotations

import numpy as np
from benchmark_growth import line_style, place_legend
from benchmark_report import RANKED
from benchmark_systems import PRECISIONS, SYSTEMS

LENGTHS = [4, 8, 16, 32]  # tokens of a query
NUM_TEXTS = 16  # in turn, so that no system sees the same text twice in a row
MOST_QUERIES = 1000  # of a system in a turn: the 99th percentile needs many
COLUMNS = ('seconds_p50', 'seconds_p99')
_SPECIAL = 2  # tokens: [CLS] and [SEP]
_WIDTH, _HEIGHT = 3.2, 3.0  # inches, of a panel


def make_texts(tokenizer, length, seed):
    """Make texts of random words, each with this number of tokens, special ones included.

    Parameters
    ----------
    tokenizer : BertTokenizer
    length : int
        3 or more.
    seed : int

    Raises
    ------
    ValueError
        If the vocabulary has no words of letters, each of which is one token.
    """
    words = sorted(
        token
        for token in tokenizer.vocabulary.idx_to_token
        if token.isascii() and token.isalpha() and token.islower()
    )
    if not words:
        raise ValueError('--mode latency: the vocabulary has no words of small letters a to z')
    draw = np.random.RandomState((seed, length))
    return [' '.join(draw.choice(words, length - _SPECIAL).tolist()) for _ in range(NUM_TEXTS)]


def percentiles(seconds):
    """Compute the columns of a row from the seconds of all its queries."""
    return dict(zip(COLUMNS, map(float, np.percentile(seconds, [50, 99]))))


def latency_table(rows):
    """Make header and rows: of each cell all ranked systems, the fastest first.

    Parameters
    ----------
    rows : list of dict
        Of one mode and network, as in the file.
    """
    found = [row for row in rows if row['status'] == RANKED and row['seconds_p50']]
    found.sort(
        key=lambda row: (
            PRECISIONS.index(row['precision']),
            int(row['threads']),
            int(row['length']),
            float(row['seconds_p50']),
        )
    )
    return ['Precision', 'Threads', 'Tokens', 'System', 'p50, ms', 'p99, ms'], [
        [
            row['precision'],
            row['threads'],
            row['length'],
            f'``{row["system"]}``',
            *(f'{float(row[column]) * 1e3:.3g}' for column in COLUMNS),
        ]
        for row in found
    ]


def plot_latency(rows, title, path):
    """Plot p50 against tokens for each precision and number of threads, with a bar up to p99.

    Parameters
    ----------
    rows : list of dict
        Of one mode and network, as in the file.
    title : str
    path : Path

    Returns
    -------
    bool
        True if there was anything to plot.
    """
    from gluon_bert.plots import style

    panels = {}
    for row in rows:
        if row['status'] == RANKED and row['seconds_p50']:
            panels.setdefault((row['precision'], int(row['threads'])), {}).setdefault(
                row['system'], []
            ).append((int(row['length']), *(float(row[name]) * 1e3 for name in COLUMNS)))
    if not panels:
        return False
    names = [name for name in SYSTEMS if any(name in lines for lines in panels.values())]
    keys = sorted(panels, key=lambda key: (PRECISIONS.index(key[0]), key[1]))
    with style.picture(path, (max(_WIDTH * len(keys), 6), _HEIGHT + 0.9)) as (figure, _):
        figure.suptitle(title, fontsize=9, x=0.01, ha='left')
        handles = {}
        for key, axes in zip(keys, figure.subplots(1, len(keys), squeeze=False)[0]):
            for name, points in panels[key].items():
                handles[name] = _draw_line(axes, sorted(points), name, names, style)
            precision, threads = key
            axes.set_title(f'{precision}, {threads} thread{"s" * (threads > 1)}', fontsize=7)
            _scale(axes, sorted({size for line in panels[key].values() for size, *_ in line}))
        place_legend(figure, handles, names, len(keys))
    return True


def _draw_line(axes, points, name, names, style):
    sizes, medians, tails = zip(*points)
    look = line_style(names.index(name), name, style)
    axes.vlines(sizes, medians, tails, color=look['color'], linewidth=0.8, alpha=0.6)
    return axes.plot(sizes, medians, **look)[0]


def _scale(axes, sizes):
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    axes.set_xscale('log')
    axes.set_yscale('log')
    axes.set_xticks(sizes, [str(size) for size in sizes], fontsize=7)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:g}'))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel('tokens of the query')
    axes.set_ylabel('ms: p50, bar to p99')
    axes.grid(True, which='major')
