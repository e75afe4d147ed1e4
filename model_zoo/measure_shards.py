"""Measure shards on Ray: two actors over large files, with actors and a driver killed meanwhile.

    python model_zoo/measure_shards.py --megabytes 1000 --stage lines \\
        --output model_zoo/results/shards.csv

The text has numbered lines. A local Ray is started; a driver, a process of its own, runs the stage
over the text: ``lines`` numbers lines and computes checksums, ``embed`` runs a tiny network. Actors
and one driver are killed with signal 9 when random numbers of shards are complete; another driver
goes on. The results are then compared with those of one process. The anonymous memory of the
drivers and actors is read twice a second; shared memory of Ray's object store is not in it.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import comparing
import numpy as np
import shard_stages

from gluon_bert.batch import Workers, run_batch

INTERVAL = 0.5  # seconds between two looks at memory
POINTS = 150  # of a process, in the plot
_SECOND = os.sysconf('SC_CLK_TCK')


def make_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--megabytes', nargs='+', type=float, default=[1000])
    parser.add_argument('--stage', choices=tuple(shard_stages.STAGES), default='lines')
    parser.add_argument('--num_workers', type=int, default=2)
    parser.add_argument('--kills', type=int, default=3, help='of actors; one driver is killed, too')
    parser.add_argument('--shard_mb', type=float, default=1)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--folder', type=Path, help='for files (default: a temporary folder)')
    comparing.add_output_arguments(parser)
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    for size in args.megabytes:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            text = Path(folder) / 'text.txt'
            lines = write_text(text, size * 1e6)
            row, points = measure(args, text)
        row = {'stage': args.stage, 'text_mb': size, 'lines': lines, **row, **comparing.origin()}
        comparing.record(args, row)
        if args.output:
            draw(points, row, args.output.with_name(f'{args.output.stem}_{args.stage}.png'))


def write_text(path, size):
    """Write numbered lines of words; their number."""
    rng, number, left = random.Random(0), 0, size
    phrases = [
        ' '.join(rng.choices(shard_stages.WORDS, k=rng.randint(20, 140))) for _ in range(999)
    ]
    with open(path, 'w', encoding='utf-8', newline='\n') as file:
        while left > 0:
            number += 1
            left -= file.write(f'{number} {phrases[number % 999]}\n')
    return number


def measure(args, text):
    """Run the stage with kills; a row of the results, and points (seconds, process, MB)."""
    rng, output = (
        random.Random(args.seed),
        text.with_name(f'o.{shard_stages.STAGES[args.stage][1]}'),
    )
    total = max(1, int(text.stat().st_size / (args.shard_mb * 2**20)))
    moments = sorted(rng.sample(range(1, total), min(total - 1, args.kills + 1)))
    driver_moment = rng.choice(moments) if moments else None
    watch = Watch(time.monotonic())
    killed = {'actor': 0, 'driver': 0}
    with cluster() as env:
        driver = start_driver(args, text, output, env)
        while driver.poll() is None:
            watch.look(driver.pid, env['SHARDS_MARK'])
            complete = count_complete(output)
            if moments and complete >= moments[0]:
                kind = 'driver' if moments.pop(0) == driver_moment else 'actor'
                actors = actors_of(env['SHARDS_MARK'])
                victim = driver.pid if kind == 'driver' else next(iter(actors), None)
                with contextlib.suppress(ProcessLookupError, TypeError):
                    os.kill(victim, signal.SIGKILL)
                    killed[kind] += 1
                if kind == 'driver':
                    driver.wait()
                    driver = start_driver(args, text, output, env)
            time.sleep(INTERVAL)
    if driver.returncode:
        raise RuntimeError(f'the driver ended with status {driver.returncode}')
    row = {
        'shards': total,
        'workers': args.num_workers,
        'killed_actors': killed['actor'],
        'killed_drivers': killed['driver'],
        'equal_to_one_process': is_equal(args, text, output),
        'seconds': round(watch.points[-1][0], 1),
        'cpu_seconds': round(sum(watch.cpu.values()), 1),
    }
    for kind in ('driver', 'actor'):
        row[f'{kind}_peak_mb'] = round(max(mb for _, name, mb in watch.points if kind in name), 1)
        row[f'{kind}_growth_mb'] = round(watch.growth(kind), 1)
    return row, watch.points


def start_driver(args, text, output, env):
    words = [args.stage, text, output, args.num_workers, args.shard_mb]
    return subprocess.Popen([sys.executable, __file__, '--driver', *map(str, words)], env=env)


def drive(stage, text, output, num_workers, shard_mb):
    """Run the stage on Ray, in the driver."""
    workers = Workers(int(num_workers), 'ray')
    size = int(float(shard_mb) * 2**20)
    run_batch(shard_stages.STAGES[stage][0](), text, output, shard_size=size, num_workers=workers)


def count_complete(output):
    folder = Path(f'{output}.work')
    return sum(1 for _ in folder.glob('done-*')) if folder.is_dir() else 0


@contextlib.contextmanager
def cluster():
    """A local Ray; the environment of its drivers."""
    folder = tempfile.mkdtemp(prefix='ray')  # paths of its sockets must be short
    mark = Path(folder).name
    env = {
        **os.environ,
        **{'SHARDS_MARK': mark, 'OMP_NUM_THREADS': '1', 'RAY_USAGE_STATS_ENABLED': '0'},
        **{'RAY_AUTH_MODE': 'token', 'RAY_AUTH_TOKEN': uuid.uuid4().hex},
        'PYTHONPATH': os.pathsep.join(path for path in sys.path if path),
    }
    ray = subprocess.Popen(
        [sys.executable, __file__, '--cluster', folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=env,
    )
    try:
        address = next((line for line in ray.stdout if line.startswith(b'at ')), None)
        if address is None:
            raise RuntimeError('Ray did not start')
        yield {**env, 'RAY_ADDRESS': address.split()[1].decode()}
    finally:
        ray.communicate(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


def hold_cluster(folder):
    """Keep a local Ray until standard input ends."""
    import ray

    ray.init(
        num_cpus=4,
        include_dashboard=False,
        object_store_memory=80 << 20,
        log_to_driver=False,
        _node_ip_address='127.0.0.1',
        _temp_dir=folder,
    )
    print('at', ray.get_runtime_context().gcs_address, flush=True)
    sys.stdin.read()
    ray.shutdown()


def actors_of(mark):
    """The processes of the actors of a cluster."""
    found = []
    for path in Path('/proc').glob('[0-9]*'):
        with contextlib.suppress(OSError):
            is_actor = (path / 'cmdline').read_bytes().startswith(b'ray::MapWorker')
            if is_actor and f'SHARDS_MARK={mark}'.encode() in (path / 'environ').read_bytes():
                found.append(int(path.name))
    return found


class Watch:
    """Memory and processor time of drivers and actors over time."""

    def __init__(self, start):
        self.start, self.points, self.cpu, self._names = start, [], {}, {}

    def look(self, driver, mark):
        for kind, process in [('driver', driver), *(('actor', n) for n in actors_of(mark))]:
            with contextlib.suppress(OSError):
                size = comparing.memory('RssAnon', process)
                words = Path(f'/proc/{process}/stat').read_text().rpartition(')')[2].split()
                number = 1 + sum(kind in name for name in self._names.values())
                name = self._names.setdefault(process, f'{kind} {number}')
                self.cpu[process] = (int(words[11]) + int(words[12])) / _SECOND
                self.points.append((time.monotonic() - self.start, name, size / 1e6))

    def growth(self, kind):
        """MB of the last quarter of a process over those of its second one; the most."""
        most = 0.0
        for name in {name for _, name, _ in self.points if kind in name}:
            sizes = [mb for _, other, mb in self.points if other == name]
            if len(sizes) >= 8:
                second, last = np.array_split(sizes, 4)[1::2]
                most = max(most, float(np.mean(last) - np.mean(second)))
        return most


def is_equal(args, text, output):
    """Compare the results with those that one process makes."""
    if args.stage == 'lines':
        with open(text, encoding='utf-8') as lines, open(output, 'rb') as rows:
            expected = (shard_stages.line_row(n, line[:-1]) for n, line in enumerate(lines, 1))
            return all(row == next(expected, None) for row in rows) and next(expected, None) is None
    one = output.with_name(f'one{output.suffix}')
    run_batch(shard_stages.STAGES[args.stage][0](), text, one, overwrite=True)
    return one.read_bytes() == output.read_bytes()


def draw(points, row, target):
    """Plot the memory of each process over time."""
    from gluon_bert.plots import style

    names = sorted({name for _, name, _ in points})
    with style.picture(target, (5.6, 3.0)) as (figure, _):
        axes = figure.subplots()
        for name in names:
            rows = [(seconds, mb) for seconds, other, mb in points if other == name]
            rows = rows[:: max(1, len(rows) // POINTS)]
            is_driver = name.startswith('driver')
            axes.plot(
                *zip(*rows), color=style.PALETTE[is_driver], linestyle=style.DASHES[is_driver]
            )
        axes.plot([], [], color=style.PALETTE[0], linestyle=style.DASHES[0], label='actors')
        axes.plot([], [], color=style.PALETTE[1], linestyle=style.DASHES[1], label='drivers')
        axes.set_ylim(0, 1.3 * max(mb for _, _, mb in points))
        axes.set_xlabel(f'seconds of {row["text_mb"]:g} MB of text')
        axes.set_ylabel('anonymous memory, MB')
        axes.grid(True)
        axes.legend(loc='lower right')


if __name__ == '__main__':
    modes = {'--driver': drive, '--cluster': hold_cluster}
    if sys.argv[1:2] and sys.argv[1] in modes:
        modes[sys.argv[1]](*sys.argv[2:])
    else:
        os.environ.setdefault('OMP_NUM_THREADS', '1')
        main()
