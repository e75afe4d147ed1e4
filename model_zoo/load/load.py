"""Load servers of sentence vectors with requests, and compare them.

    python3 model_zoo/load/load.py compare --infinity infinity_emb --output serve.csv
    python3 model_zoo/load/load.py memory --requests 200000 --output serve_memory.csv
    python3 model_zoo/load/load.py overload --seconds 60 --output serve_overload.csv

compare   gluon_bert, infinity with PyTorch and with onnxruntime, and onnxruntime behind the same
          code as gluon_bert, on the same weights: one text a request, of STS-B's sentences or of
          SQuAD's paragraphs, with --concurrency requests open at all times. Servers take turns in
          --rounds rounds; those that wait are stopped. The figures are medians over the rounds,
          percentiles of the answers of all rounds. Each server's vectors are compared with the
          library's first.
memory    The memory of one server over many requests, of texts of all lengths.
overload  Requests arrive at --times the rate that the server answers, however many are open.

The client runs on the same processors as the servers.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(_FOLDER.parents[1]), str(_FOLDER.parent), str(_FOLDER.parent / 'benchmark')]

import load_plot
from benchmark_process import order
from comparing import append, origin
from load_client import percentile, request_bytes, run_closed
from load_steady import measure_memory, measure_overload
from load_systems import NAME, SYSTEMS, Server, packages
from load_work import (
    KINDS,
    NUM_CHECKED,
    PATH,
    TOLERANCE,
    Library,
    body_of,
    largest_difference,
    make_formats,
)

OURS, LIBRARY = 'gluon_bert', 'library'
_UNBOUNDED = ('--max_queue_tokens', '1000000')  # all of the open requests may wait
_WARM = 32  # requests before a turn


def make_parser():
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('mode', choices=('compare', 'memory', 'overload'))
    parser.add_argument('--systems', nargs='+', choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument('--infinity', help='the command infinity_emb (default: leave it out)')
    parser.add_argument('--concurrency', type=int, nargs='+', default=[1, 16, 64, 256])
    parser.add_argument('--texts', nargs='+', choices=KINDS, default=list(KINDS))
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--turn_seconds', type=float, default=3.0, help='of a server in a round')
    parser.add_argument('--requests', type=int, default=200_000, help='memory: number of requests')
    parser.add_argument('--seconds', type=float, default=60.0, help='overload: seconds')
    parser.add_argument('--times', type=float, default=10.0, help='overload: of the measured rate')
    parser.add_argument('--threads', type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument(
        '--work_folder',
        type=Path,
        help='for the formats of the model (default: a temporary folder)',
    )
    parser.add_argument('--output', type=Path, help='CSV file to append to')
    return parser


class Comparison:
    """The servers, and the rows of their turns.

    Parameters
    ----------
    args : argparse.Namespace
    folder : Path
        Of the formats.
    """

    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        self.library = Library(folder / 'model', args.threads)
        self.texts = {kind: self.library.fitting(KINDS[kind]()) for kind in args.texts}
        self.servers, self.turns = {}, {}

    def __enter__(self):
        for name in self.args.systems:
            if SYSTEMS[name].needs_infinity and not self.args.infinity:
                print(f'{name}: left out, --infinity names no command', file=sys.stderr)
                continue
            log = self.folder / f'{name}.log'
            extra = () if SYSTEMS[name].needs_infinity else _UNBOUNDED
            server = Server(name, self.folder, self.args.threads, log, self.args.infinity, extra)
            self.servers[name] = server
            server.stop()
        return self

    def __exit__(self, *error):
        for server in self.servers.values():
            server.go()
            server.close()

    def check(self, name, kind):
        """Compare a server's vectors with the library's; ValueError if they differ."""
        texts = [text for text, _ in self.texts[kind][:NUM_CHECKED]]
        server, bodies = self.servers[name], []
        server.go()
        asyncio.run(
            run_closed(
                server.port,
                iter(self._requests(server, texts)),
                1,
                on_answer=lambda status, body: bodies.append(body),
            )
        )
        server.stop()
        difference = largest_difference(bodies, self.library.encoder.encode(texts))
        if not difference <= TOLERANCE:
            raise ValueError(
                f'{name}: vectors of {kind} differ by {difference:.2g} from the library'
            )
        return difference

    def turn(self, name, kind, concurrency):
        """Load a server once; return its figures."""
        server = self.servers[name]
        requests = itertools.cycle(self._requests(server, [text for text, _ in self.texts[kind]]))
        server.go()
        asyncio.run(run_closed(server.port, requests, concurrency, count=_WARM))
        server.reset_peak()
        before = server.processor_seconds()
        outcome = asyncio.run(
            run_closed(server.port, requests, concurrency, self.args.turn_seconds)
        )
        after, peak = server.processor_seconds(), server.memory('VmHWM')
        server.stop()
        times = outcome.times()
        count = max(1, len(outcome.latencies))
        return {
            'requests_per_second': len(times) / outcome.seconds,
            'times': times,
            'cpu_ms_per_request': 1000 * (after - before) / count,
            'peak_memory_mb': peak / 1e6,
            'requests': len(times),
            'failed': outcome.unanswered + len(outcome.latencies) - len(times),
        }

    def library_turn(self, kind):
        """Time the library's own call on one text."""
        times = self.library.times([text for text, _ in self.texts[kind]], self.args.turn_seconds)
        return {
            'requests_per_second': len(times) / sum(times),
            'times': times,
            'requests': len(times),
            'failed': 0,
        }

    def run(self):
        """Run all rounds; return the rows."""
        differences = {
            (name, kind): self.check(name, kind) for name in self.servers for kind in self.texts
        }
        print(f'{", ".join(self.servers)}: agree with the library', file=sys.stderr, flush=True)
        for number in range(self.args.rounds):
            for kind, concurrency in itertools.product(self.texts, self.args.concurrency):
                if concurrency == 1:
                    self._add((LIBRARY, kind, 1), self.library_turn(kind))
                for name in order(list(self.servers), number):
                    self._add((name, kind, concurrency), self.turn(name, kind, concurrency))
        return [self._row(*key, differences.get(key[:2], '')) for key in self.turns]

    def _add(self, key, figures):
        self.turns.setdefault(key, []).append(figures)
        shown = {name: round(value, 2) for name, value in figures.items() if name != 'times'}
        print(*key, shown, file=sys.stderr, flush=True)

    def _row(self, name, kind, concurrency, difference):
        turns, tokens = self.turns[name, kind, concurrency], self.texts[kind]
        rates = [turn['requests_per_second'] for turn in turns]
        ours = self.turns.get((OURS, kind, concurrency), ())
        ratios = [one['requests_per_second'] / rate for one, rate in zip(ours, rates)]
        medians = {
            key: round(statistics.median(turn[key] for turn in turns), 3) if key in turns[0] else ''
            for key in ('requests_per_second', 'cpu_ms_per_request')
        }
        times = sorted(itertools.chain(*(turn['times'] for turn in turns)))
        return {
            'system': name,
            'texts': kind,
            'concurrency': concurrency,
            **medians,
            'p50_ms': round(1000 * percentile(times, 0.5), 2),
            'p99_ms': round(1000 * percentile(times, 0.99), 2),
            'requests_per_second_lowest': round(min(rates), 3),
            'requests_per_second_highest': round(max(rates), 3),
            'gluon_bert_times_as_many': round(statistics.median(ratios), 3) if ratios else '',
            'peak_memory_mb': round(max(turn.get('peak_memory_mb', 0) for turn in turns)) or '',
            'requests': sum(turn['requests'] for turn in turns),
            'failed': sum(turn['failed'] for turn in turns),
            'difference': difference if difference == '' else f'{difference:.1e}',
            'tokens_per_text': round(statistics.mean(count for _, count in tokens), 1),
            'rounds': len(turns),
            'turn_seconds': self.args.turn_seconds,
            'threads': self.args.threads,
            'packages': '' if name == LIBRARY else packages(name, self.args.infinity),
        }

    def _requests(self, server, texts):
        return [request_bytes(server.port, PATH, body_of(text, NAME)) for text in texts]


def compare(args, folder):
    """Measure all servers in turn; yield the rows."""
    with Comparison(args, folder) as comparison:
        yield from comparison.run()


MODES = {'compare': compare, 'memory': measure_memory, 'overload': measure_overload}


def main(argv=None):
    """Measure, and write and plot the rows."""
    args = make_parser().parse_args(argv)
    given = sys.argv[1:] if argv is None else argv
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.work_folder or Path(temporary)
        make_formats(folder, 'onnxruntime' in args.systems and args.mode == 'compare')
        words = [Path(word).name for word in given]  # of paths the last part
        described = {**origin(), 'command': f'load.py {" ".join(words)}'}
        for row in MODES[args.mode](args, folder):
            row = {**row, **described}
            print(json.dumps(row), flush=True)
            if args.output:
                append(args.output, row)
    if args.output:
        load_plot.plot_file(args.output, args.mode)
    return 0


if __name__ == '__main__':
    sys.exit(main())
