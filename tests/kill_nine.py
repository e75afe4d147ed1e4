"""Kill -9 at random moments: nothing is lost, nothing is left over, results are bit-equal.

    python tests/kill_nine.py --times 300 --seed 1

Trains a tiny network, makes records of text, fetches a model from a server on loopback and converts
a folder, each in processes that are killed at random moments, until one ends by itself. Its files
are then compared, byte for byte, with those of a process that was not disturbed. A kill never hits
an import: a child says when it begins.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

TESTS = Path(__file__).parent
KEY = 'bert_2_24_3_tiny_cased'
KINDS = ('train', 'pretrain', 'records', 'fetch', 'convert')
# Of a line of metrics.jsonl.
_TIMES = ('seconds', 'interval_seconds', 'seconds_per_step', 'tokens_per_second')
_WAIT = 900  # seconds, of a child; much more than it takes on a busy machine


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--times', type=int, default=9, help='kills in all')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--kinds', nargs='+', choices=KINDS, default=list(KINDS))
    args = parser.parse_args()
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        counts = run(Path(folder), args.times, rng, args.kinds)
    sys.stdout.write(f'{json.dumps(counts)}\n')


def run(folder, times, rng, kinds=KINDS):
    """Kill processes that many times; give the kills and the completed rounds of each kind.

    Raises AssertionError if something is lost, left over or different.
    """
    from zoo_server import serve

    counts = {kind: {'kills': 0, 'rounds': 0} for kind in kinds}
    with serve() as server:
        address = prepare(folder, server)
        cases = {kind: Case(kind, folder, address) for kind in kinds}
        number, kills = 0, 0
        while kills < times or number < len(kinds):
            kind = kinds[number % len(kinds)]
            more = cases[kind].round(number, rng, max(1, min(4, times - kills)))
            counts[kind]['kills'] += more
            counts[kind]['rounds'] += 1
            number, kills = number + 1, kills + more
    return counts


class Case:
    """One kind of process, with the files that it makes undisturbed."""

    def __init__(self, kind, folder, address):
        self.kind, self.folder, self.address = kind, folder, address
        started = time.monotonic()
        child = self.start(folder / f'{kind}_expected')
        assert child.wait(_WAIT) == 0
        self.seconds = time.monotonic() - started - child.import_seconds
        self.expected = contents(folder / f'{kind}_expected')
        assert self.expected and not leftovers(self.expected)

    def round(self, number, rng, most):
        """Kill at most that many times, then let it end; give the number of kills."""
        out, kills = self.folder / f'{self.kind}_{number}', 0
        for _ in range(rng.randint(1, most)):
            child = self.start(out)
            try:
                child.wait(rng.uniform(0, 1.1 * self.seconds))
                break  # it was faster
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
                child.wait()
                kills += 1
        child = self.start(out)
        assert child.wait(_WAIT) == 0, f'{self.kind} {number}: the last start failed'
        found = contents(out)
        assert not leftovers(found), leftovers(found)
        assert found == self.expected, difference(found, self.expected)
        shutil.rmtree(out)
        return kills

    def start(self, out):
        """Start a child, and wait until it has imported what it needs."""
        out.mkdir(exist_ok=True)
        started = time.monotonic()
        environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'NO_PROXY': '*', 'HF_HUB_OFFLINE': '0'}
        child = subprocess.Popen(
            [sys.executable, __file__, '--child', self.kind, out, self.folder, self.address],
            stdout=subprocess.PIPE,
            env=environment,
        )
        assert child.stdout.readline() == b'ready\n'
        child.import_seconds = time.monotonic() - started
        child.stdout.close()
        return child


def contents(folder):
    """The files of a folder by name, without what tells the time."""
    files = {}
    for path in sorted(folder.rglob('*')):
        if path.is_file() and path.suffix not in ('.lock', '.txt', '.log'):  # the log has the time
            files[str(path.relative_to(folder))] = _timeless(path)
    return files


def _timeless(path):
    raw = path.read_bytes()
    if path.name == 'metrics.jsonl':
        rows = [json.loads(line) for line in raw.splitlines()]
        return [{name: row[name] for name in row if name not in _TIMES} for row in rows]
    if path.name.endswith('.json') and b'"stamps"' in raw:  # size and time of files
        return {name: value for name, value in json.loads(raw).items() if name != 'stamps'}
    return raw


def leftovers(files):
    """Name temporary files."""
    return [name for name in files if '.part' in name or Path(name).name.startswith('.tmp')]


def difference(found, expected):
    names = set(found) ^ set(expected)
    return names or [name for name in found if found[name] != expected[name]]


# --- what the children do


def prepare(folder, server):
    """Make what the children read; give the address of the files."""
    import mxnet as mx
    from conftest import TINY
    from tiny_zoo import tokenizer

    import gluon_bert as gb
    from gluon_bert.checkpoint import Checkpoint, write_checkpoint

    mx.random.seed(1)
    wide = {'units': 240, 'hidden_size': 960, 'num_layers': 6}
    for name, config in (('tiny', TINY), ('large', replace(TINY, **wide))):
        model = gb.BertModel(config)
        model.initialize(mx.init.Normal(0.05))
        made = Checkpoint(model.checkpoint_arrays(), config, tokenizer=tokenizer())
        write_checkpoint(made, folder / name)
    rows = [f'word{n} word{n % 7},{"odd" if n % 2 else "even"}' for n in range(40)]
    (folder / 'train.csv').write_text('\n'.join(['text,label', *rows]) + '\n')
    articles = '\n\n'.join(f'{row}\n{rows[0]}\n{rows[-1]}' for row in rows[::4])
    (folder / 'articles.txt').write_text(f'{articles}\n')
    stem, data = served()
    server.put_zip(f'original/gluon/models/{stem}.zip', {f'{stem}.params': data})
    return f'{server.url}original/'


def served():
    """The name and the content of the file that is fetched."""
    data = random.Random(1).randbytes(12_000_000)
    return f'{KEY}-{hashlib.sha1(data).hexdigest()[:8]}', data


def train(out, folder, address):
    """Fine-tune a tiny network, or go on with it."""
    from gluon_bert import finetune

    def work():
        finetune(
            'text-classification', folder / 'tiny', train=folder / 'train.csv',
            dev=folder / 'train.csv', output_dir=out / 'run', epochs=4, batch_size=4, max_len=8,
            checkpoint_interval=1, log_interval=1, learning_rate=1e-3, resume=True,
        )  # fmt: skip

    return work


def pretrain(out, folder, address):
    """Make records of texts, and pre-train a tiny network on them in two phases."""
    import gluon_bert.tasks.pretrain as pretraining

    phases = [
        pretraining.PretrainingPhase(training_steps=4, learning_rate=3e-3, batch_size=4),
        pretraining.PretrainingPhase(training_steps=3, max_seq_length=32, accumulate=2),
    ]

    def work():
        pretraining.pretrain(
            folder / 'tiny', texts=folder / 'articles.txt', output_dir=out / 'run', batch_size=2,
            plan=pretraining.PretrainingPlan(phases), max_seq_length=16, checkpoint_interval=1,
            log_interval=1, keep_checkpoints=2, optimizer='lamb', resume=True,
        )  # fmt: skip

    return work


def fetch(out, folder, address):
    """Fetch a model into a cache."""
    from gluon_bert.zoo.fetch import sources, store
    from gluon_bert.zoo.schema import GluonFile, Weights

    sources.STORE = address
    source = GluonFile(KEY, hashlib.sha1(served()[1]).hexdigest(), '.params')
    row = Weights(
        num_params=1, heads=(), description='', licence='', source='', citation='',
        sources=(source,),
    )  # fmt: skip
    return lambda: store.fetch_weights('bert_2_24_3', 'tiny_cased', row, root=out / 'cache')


def convert(out, folder, address):
    """Convert a folder."""
    import gluon_bert.checkpoint  # noqa: F401 (imported before the first kill)
    from gluon_bert import cli

    return lambda: cli.main(['convert', str(folder / 'large'), str(out / 'new'), '--overwrite'])


def records(out, folder, address):
    """Make records to pre-train on in two processes."""
    from tiny_zoo import tokenizer

    from gluon_bert.data import PretrainingDataOptions, create_pretraining_data

    lines = [f'the cat{" sleeps" * (n % 5)}' if n % 7 else '' for n in range(3000)]
    text = out.parent / 'text'
    if not text.exists():
        text.write_text('\n'.join(lines))
    outputs = [out / f'{number}.tfrecord' for number in range(4)]
    options = PretrainingDataOptions(dupe_factor=2)

    def work():
        with contextlib.suppress(FileExistsError):  # it was killed when all was complete
            create_pretraining_data(text, outputs, tokenizer(), options, num_workers=2)

    return work


def child(kind, out, folder, address):
    made = {function.__name__: function for function in (train, pretrain, records, fetch, convert)}
    work = made[kind](Path(out), Path(folder), address)
    sys.stdout.write('ready\n')
    sys.stdout.flush()
    work()


if __name__ == '__main__':
    sys.path.insert(0, str(TESTS))
    if sys.argv[1:2] == ['--child']:
        child(*sys.argv[2:])
    else:
        main()
