"""Plan the pre-training of BERT-base on many machines: days and money, from measured steps.

    python3 model_zoo/plan_machines.py --output model_zoo/results/machines.csv

Nothing is run. The time of a step and its floating-point operations are those that
results/benchmark.csv has of training BERT-base on 2 cores; the run is that of Devlin et al. (2019),
section A.2. The formulas are in docs/distributed.rst, and what is assumed has a flag here.
"""

import argparse
import csv
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from gluon_bert.zoo import DEFAULT, WEIGHTS, get_config

HERE = Path(__file__).parent
NODES = (1, 4, 8, 16, 32, 64, 128, 256)
BANDWIDTHS = (1, 10, 25, 100)  # Gbit/s
CORES = (2, 64)  # of a machine
BATCH = 256  # sequences of a step
# Devlin et al. (2019), A.2: (steps, length, masked positions)
PHASES = ((900_000, 128, 20), (100_000, 512, 77))
BYTES = {'fp32': 4, 'bf16': 2}  # of a number in the buckets
SYSTEMS = {'fp32': 'gluon_bert', 'bf16': 'gluon_bert_bf16'}
VOCAB_SIZE = 30522  # of DEFAULT's vocabulary
CONFIG, NUM_PARAMS = get_config(DEFAULT[0], VOCAB_SIZE), WEIGHTS[DEFAULT].num_params
HIDDEN_SHARE = 2 / 3  # of the computation: the backward pass, meanwhile messages are sent


class Processor(NamedTuple):
    """Two measured cores: ``rate`` in GFLOP/s, and the seconds of a step that grow with nothing."""

    rate: float
    fixed: float


def make_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--benchmark', type=Path, default=HERE / 'results' / 'benchmark.csv')
    parser.add_argument('--output', type=Path, default=HERE / 'results' / 'machines.csv')
    parser.add_argument(
        '--latency', type=float, default=50e-6, help='seconds of a message, assumed'
    )
    parser.add_argument(
        '--price', type=float, default=0.04, help='dollars of a core for an hour, assumed'
    )
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    measured = read_steps(args.benchmark)
    rows = [
        plan(measured, cores, dtype, bandwidth, nodes, args.latency, args.price)
        for cores in CORES
        for dtype in BYTES
        for bandwidth in BANDWIDTHS
        for nodes in NODES
    ]
    write(args.output, rows)
    write(args.output.with_name(f'{args.output.stem}_days.csv'), summarise(rows))
    draw(rows, args.output.with_suffix('.png'))


def read_steps(path):
    """Read steps of BERT-base on 2 threads: (dtype, length) -> gigaflops, seconds, batch."""
    with open(path, newline='', encoding='utf-8') as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if (row['mode'], row['model'], row['threads'], row['status'], row['data'])
            == ('train', DEFAULT[0], '2', 'ok', '')
        ]
    return {
        (dtype, int(row['length'])): (float(row['gflop']), float(row['seconds']), int(row['batch']))
        for dtype, system in SYSTEMS.items()
        for row in rows
        if row['system'] == system
    }


def processors(measured):
    """Fit seconds = fixed + operations / rate to the steps of 128 and of 384 tokens.

    In bfloat16 only the first was measured; the fixed part, the update in float32, is the same.
    """
    (small, seconds, _), (large, more, _) = measured['fp32', 128], measured['fp32', 384]
    rate = (large - small) / (more - seconds)
    fixed = seconds - small / rate
    flop, seconds, _ = measured['bf16', 128]
    return {'fp32': Processor(rate, fixed), 'bf16': Processor(flop / (seconds - fixed), fixed)}


def operations(measured, length, masked):
    """Compute a sequence's gigaflops: a T + b T^2 through both lengths, and the word scores."""
    (first, _, num), (second, _, other) = measured['fp32', 128], measured['fp32', 384]
    first, second = first / num / 128, second / other / 384
    slope = (second - first) / (384 - 128)
    head = 6e-9 * masked * CONFIG.units * (CONFIG.units + CONFIG.vocab_size)
    return length * (first + slope * (length - 128)) + head


def num_parameters():
    """Count the parameters of BERT-base with the heads of pre-training."""
    units, words = CONFIG.units, CONFIG.vocab_size
    return NUM_PARAMS + units * units + 3 * units + words + 2 * units + 2


def plan(measured, cores, dtype, bandwidth, nodes, latency, price):
    """Compute a row: days with the messages hidden behind the backward pass, and not."""
    processor, size = processors(measured)[dtype], num_parameters() * BYTES[dtype]
    times = cores / 2  # as many as the measured ones, all of them as fast
    messages = 2 * (nodes - 1) / nodes * size * 8 / (bandwidth * 1e9) + 2 * (nodes - 1) * latency
    row = {'cores': cores, 'dtype': dtype, 'gbit_per_second': bandwidth, 'nodes': nodes}
    hidden = plain = alone = 0.0
    for steps, length, masked in PHASES:
        work = operations(measured, length, masked) * BATCH / (processor.rate * times)
        fixed = processor.fixed / times
        compute = work / nodes + fixed
        exposed = max(0.0, messages - HIDDEN_SHARE * work / nodes)
        hidden += steps * (compute + exposed)
        plain += steps * (compute + messages)
        alone += steps * (work + fixed)
        row[f'seconds_of_{length}'] = round(compute + exposed, 4)
    hours = hidden / 3600 * nodes * cores
    return {
        **row,
        'megabytes_sent': round(2 * (nodes - 1) / nodes * size / 1e6, 1),
        'message_seconds': round(messages, 4),
        'days': round(hidden / 86400, 2),
        'days_not_hidden': round(plain / 86400, 2),
        'efficiency': round(alone / nodes / hidden, 3),
        'core_hours': round(hours),
        'dollars': round(hours * price),
        'dollars_per_core_hour': price,
        'latency': latency,
        'source': 'benchmark.csv train',
    }


def summarise(rows):
    """Make a row for each machine and network: days by nodes, and where half is lost."""
    groups = {}
    for row in rows:
        key = row['cores'], row['dtype'], row['gbit_per_second']
        groups.setdefault(key, []).append(row)
    for (cores, dtype, bandwidth), group in groups.items():
        good = [row for row in group if row['efficiency'] >= 0.5]
        by_nodes = {row['nodes']: row for row in group}
        yield {
            'Cores': cores,
            'Type': dtype,
            'Gbit/s': bandwidth,
            **{f'Days, {nodes} nodes': by_nodes[nodes]['days'] for nodes in (4, 16, 64, 256)},
            'Nodes at 50 %': good[-1]['nodes'],
            'Days there': good[-1]['days'],
            'Dollars there': good[-1]['dollars'],
        }


def write(path, rows):
    rows = list(rows)
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)


def draw(rows, path):
    """Draw days against nodes, a line for each bandwidth."""
    figure = Figure(figsize=(9, 3.6), layout='constrained')
    for axes, cores in zip(figure.subplots(1, len(CORES)), CORES):
        for bandwidth in BANDWIDTHS:
            line = [
                row
                for row in rows
                if (row['cores'], row['dtype'], row['gbit_per_second'])
                == (cores, 'bf16', bandwidth)
            ]
            axes.plot(
                [row['nodes'] for row in line],
                [row['days'] for row in line],
                marker='o',
                label=f'{bandwidth} Gbit/s',
            )
        axes.set_title(f'machines of {cores} cores, bfloat16')
        axes.set_xscale('log', base=2)
        axes.set_yscale('log')
        axes.set_xlabel('machines')
        axes.set_ylabel('days')
        axes.set_xticks(NODES, map(str, NODES))
    figure.axes[0].legend()
    figure.savefig(path, dpi=120)


if __name__ == '__main__':
    main()
