"""What the pages of results begin with: a sentence, a picture and a table that fits the page.

All figures come from the files in model_zoo/results. The pictures are drawn before Sphinx reads
pages.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from benchmark_report import geometric_mean, latest, read_rows, standings
from benchmark_systems import SYSTEMS
from result_tables import RESULTS, read_results
from zoo import Generated
from zoo_markup import list_table, literal

JOBS = Path(__file__).resolve().parents[1] / 'jobs.csv'
PICTURES = '_generated'

WORKS = {
    'grid': 'Inference, equal lengths',
    'ragged': 'Inference, mixed lengths',
    'dataset': 'Data sets, with tokenization',
    'train': 'Training step',
    'load': 'Start of a process',
}
PRECISIONS = {'fp32': 'float32', 'bf16': 'bfloat16', 'int8': 'int8'}
# Options of the same system: the plain one represents it.
LEFT_OUT = ('gluon_bert_block', 'gluon_bert_recompute')

FLOAT32 = 'float32'
METRICS = {'f1': 'F1', 'pearson': 'Pearson'}
# File, task where the file has no column of it, what tells one run from another.
COMPARED = (
    ('compare_pytorch.csv', '', ('task', 'epochs')),
    ('squad.csv', 'SQuAD 1.1, 40 articles', ('train_file', 'epochs')),
    ('ner.csv', 'WNUT-17 entities', ('train_file', 'epochs')),
)


def speeds(folder=RESULTS):
    """Collect speeds relative to the best peer.

    Returns
    -------
    dict of (str, str, str) to list of float
        By processor, work and precision; a figure for each cell.
    """
    found = defaultdict(list)
    for path in sorted(folder.glob('benchmark*.csv')):
        rows = [row for row in latest(read_rows(path)) if SYSTEMS[row['system']].is_ours]
        for row in rows:
            if row['mode'] not in WORKS or row['system'] in LEFT_OUT:
                continue
            processor = 'AVX-512' if 'avx512' in row['flags'] else 'AVX2'
            for precision, ratios, _ in standings([row]).values():
                found[processor, row['mode'], precision] += ratios
    return dict(found)


def speed_table(found):
    """Make header and rows of the geometric means, a row for each kind of work."""
    columns = sorted(
        {(p, q) for p, _, q in found}, key=lambda column: (column[0], _rank(column[1]))
    )
    header = ['Work', *(f'{processor} {PRECISIONS[name]}' for processor, name in columns)]
    rows = [
        [text, *(_mean_text(found.get((processor, work, name))) for processor, name in columns)]
        for work, text in WORKS.items()
        if any(work == measured for _, measured, _ in found)
    ]
    return header, rows


def speed_sentences(found):
    """Say the figures that most readers look for."""
    for processor in sorted({key[0] for key in found}):
        with_only = 'only AVX2' if processor == 'AVX2' else processor
        inference, small, training = (
            _mean_text(found.get((processor, work, precision))) or 'not measured'
            for work, precision in (('grid', 'fp32'), ('grid', 'int8'), ('train', 'fp32'))
        )
        yield (
            f'* On a processor with {with_only}, relative to the fastest other system: inference '
            f'**{inference}** times as fast in float32 and **{small}** times in int8, training '
            f'**{training}** times.'
        )


class Comparison(NamedTuple):
    """The mean score of the same runs in two ways."""

    task: str
    metric: str
    num_runs: int
    score: float
    other: str  # what the second score is of
    other_score: float


def comparisons(folder=RESULTS):
    """List scores of float32 beside those of PyTorch and of lower precisions.

    Returns
    -------
    list of Comparison
        Each over the seeds that both ways ran with the same settings.
    """
    found = []
    for name, task, keys in COMPARED:
        runs = [row for row in read_results(folder / name)[1] if row['steps'] == 'all']
        for row in runs:
            row['task'] = task or row['task']
        found += _compare(runs, 'framework', 'gluon_bert', {'pytorch': 'PyTorch'}, keys)
    runs = [
        row
        for row in read_results(folder / 'precision.csv')[1]
        if row['evaluated_on'] == 'all' and not row['chosen_on']
    ]
    inference = {'bfloat16': 'inference in bfloat16', 'int8': 'inference in int8'}
    found += _compare(runs, 'precision', FLOAT32, inference, ('processor',))
    runs = [
        row
        for row in read_results(folder / 'training_bfloat16.csv')[1]
        if row['metric'] in ('accuracy', 'pearson')
    ]
    return found + _compare(runs, 'dtype', FLOAT32, {'bfloat16': 'training in bfloat16'}, ())


def _compare(runs, column, ours, others, keys):
    scores = {}
    for row in runs:
        key = (row['task'], row['metric'], row['seed'], *(row[name] for name in keys))
        scores[row[column], key] = float(row['score'])
    found = []
    for task, metric in dict.fromkeys((row['task'], row['metric']) for row in runs):
        for other, text in others.items():
            both = [
                key
                for way, key in scores
                if way == ours and key[:2] == (task, metric) and (other, key) in scores
            ]
            if both:
                score, other_score = (
                    mean(scores[way, key] for key in both) for way in (ours, other)
                )
                found.append(Comparison(task, metric, len(both), score, text, other_score))
    return found


def _points(score):
    """Format a score in points; some files have shares, others points."""
    return f'{score * 100 if score <= 1 else score:.1f}'


def comparison_table(found):
    """Make header and rows of comparisons."""
    header = ['Task', 'Metric', 'Runs', 'float32', 'Compared with', 'Score there']
    rows = [
        [
            row.task,
            METRICS.get(row.metric, row.metric),
            str(row.num_runs),
            _points(row.score),
            row.other,
            _points(row.other_score),
        ]
        for row in found
    ]
    return header, rows


def comparison_sentences(found):
    """Say the largest differences from float32."""
    gaps = defaultdict(list)
    for row in found:
        gap = float(_points(row.other_score)) - float(_points(row.score))
        gaps[row.other.replace('bfloat16', 'low precision').replace('int8', 'low precision')] += [
            gap
        ]
    for other, values in gaps.items():
        yield (
            f'* {other[0].upper()}{other[1:]} minus float32 here: '
            f'**{min(values):+.1f} to {max(values):+.1f}** points.'
        )


def draw_speeds(path, found):
    """Draw the mean and the range of the speeds of each kind of work in each precision."""
    from gluon_bert.plots import style

    rows = [
        (work, precision)
        for work in WORKS
        for precision in PRECISIONS
        if any((processor, work, precision) in found for processor in ('AVX-512', 'AVX2'))
    ]
    with style.picture(path, (7.2, 0.9 + 0.3 * len(rows))) as (figure, _):
        axes = figure.subplots()
        axes.axvline(1, color=style.QUIET, linewidth=1)
        for number, processor in enumerate(('AVX-512', 'AVX2')):
            for line, (work, precision) in enumerate(rows):
                ratios = found.get((processor, work, precision))
                if not ratios:
                    continue
                y, colour = line + 0.22 * number - 0.11, style.PALETTE[number]
                axes.plot([min(ratios), max(ratios)], [y, y], color=colour, linewidth=2, alpha=0.5)
                axes.plot(geometric_mean(ratios), y, style.MARKERS[number], color=colour, ms=5)
            axes.plot([], [], style.MARKERS[number], color=style.PALETTE[number], label=processor)
        axes.set_xscale('log', base=2)
        ticks = [0.125, 0.25, 0.5, 1, 2, 4, 8]
        axes.set_xticks(ticks, [f'{tick:g}' for tick in ticks])
        axes.set_yticks(range(len(rows)), [f'{WORKS[w]}, {PRECISIONS[p]}' for w, p in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel('times as fast as the fastest other system (mean and range of all cells)')
        axes.grid(True, axis='x')
        axes.legend(loc='lower right')


def draw_comparisons(path, found):
    """Draw the two scores of each comparison on a line."""
    from gluon_bert.plots import style

    with style.picture(path, (7.2, 0.8 + 0.3 * len(found))) as (figure, _):
        axes = figure.subplots()
        for line, row in enumerate(found):
            left, right = float(_points(row.score)), float(_points(row.other_score))
            axes.plot([left, right], [line, line], color=style.RULE, linewidth=3, zorder=1)
            axes.plot(right, line, 'D', color=style.PALETTE[1], ms=6, zorder=2)
            axes.plot(left, line, 'o', color=style.PALETTE[0], ms=5, zorder=3)
        axes.plot([], [], 'o', color=style.PALETTE[0], label='float32')
        axes.plot([], [], 'D', color=style.PALETTE[1], label='compared with')
        axes.set_yticks(range(len(found)), [f'{row.task}, {row.other}' for row in found])
        axes.set_ylim(len(found) - 0.5, -0.5)
        axes.set_xlim(0, 100)
        axes.set_xlabel('score in points')
        axes.grid(True, axis='x')
        axes.legend(loc='lower left')


def _rank(precision):
    return list(PRECISIONS).index(precision)


def _mean_text(ratios):
    return f'{geometric_mean(ratios):.2f}' if ratios else ''


class SpeedSummary(Generated):
    """Sum up the benchmark: ``.. speed-summary::``."""

    def run(self):
        found = speeds()
        lines = [*speed_sentences(found), '', *list_table(*speed_table(found), 'summary')]
        lines += _picture('speed.svg', 'speed relative to the fastest other system')
        return self.parse(lines, *RESULTS.glob('benchmark*.csv'))


class AccuracySummary(Generated):
    """Sum up the scores: ``.. accuracy-summary::``."""

    def run(self):
        found = comparisons()
        lines = [*comparison_sentences(found), '', *list_table(*comparison_table(found), 'summary')]
        lines += _picture('accuracy.svg', 'scores in float32 and what they are compared with')
        return self.parse(lines, *RESULTS.glob('*.csv'))


class JobsTable(Generated):
    """Show which model is for which job, from docs/jobs.csv: ``.. jobs-table::``."""

    def run(self):
        with open(JOBS, newline='', encoding='utf-8') as file:
            rows = [
                [
                    row['job'],
                    f'{literal(row["model"])}\n:doc:`{row["dataset"]} '
                    f'<models/{row["model"]}/{row["dataset"]}>`',
                    row['advice'],
                ]
                for row in csv.DictReader(file)
            ]
        header = ['Job', 'Model and data set', 'Why, and how']
        return self.parse(list_table(header, rows, 'jobs', widths='24 30 46'), JOBS)


def _picture(name, meaning):
    return [f'.. image:: /{PICTURES}/{name}', f'   :alt: {meaning}', '   :width: 100%', '']


def draw(app):
    """Draw the pictures of the summaries."""
    folder = Path(app.srcdir) / PICTURES
    folder.mkdir(exist_ok=True)
    draw_speeds(folder / 'speed.svg', speeds())
    draw_comparisons(folder / 'accuracy.svg', comparisons())


def setup(app):
    """Register the directives and draw the pictures."""
    app.add_directive('speed-summary', SpeedSummary)
    app.add_directive('accuracy-summary', AccuracySummary)
    app.add_directive('jobs-table', JobsTable)
    app.connect('builder-inited', draw)
    return {'version': '1', 'parallel_read_safe': True}
