"""Alter files of every format at random and read them: they are read or refused, and no more.

    python tests/fuzz.py --count 100000 --seed 1
    python tests/fuzz.py --seed 1 --reader params --case 17     once more, with the traceback

A reader may raise ValueError or FileNotFoundError, with one printable line that names a file.
Another exception, a warning, a crash, more than 10 s or 300 MB is a failure: it is printed, and its
files are kept. An altered file depends on the seed, the reader and the number of the case alone.
"""

import argparse
import faulthandler
import logging
import mmap
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

from fuzz_alter import altered
from fuzz_seeds import make_readers, peak_memory, put

os.environ.setdefault('OMP_NUM_THREADS', '1')
os.environ.setdefault('TOKENIZERS_PARALLELISM', 'false')
# They read no file, and loading them takes seconds, in each process anew.
os.environ.setdefault('GLUON_BERT_KERNELS', '0')

SECONDS = 10  # of one case
MEMORY = 300 << 10  # KiB above the start
HEAD = 3  # of the shared numbers: case, reader, peak memory
FIELDS = ('read', 'refused', 'failed', 'slowest', 'slowest_case')
KEPT = Path(tempfile.gettempdir(), 'gluon_bert_fuzz')


class Log(logging.Handler):
    """The messages that were logged, and the exceptions that nobody could catch."""

    def __init__(self):
        super().__init__()
        self.messages = []

    def emit(self, record):
        self.messages.append(record.getMessage())


class Run:
    """Cases in this process; ``shared`` is seen by the one that watches it."""

    def __init__(self, args, readers, folder, shared):
        self.args, self.readers, self.folder, self.shared = args, readers, folder, shared
        self.log = Log()
        logging.getLogger('gluon_bert').addHandler(self.log)
        sys.unraisablehook = lambda hook: self.log.messages.append(f'\0{hook.exc_value!r}')
        warnings.simplefilter('error')
        warnings.filterwarnings('ignore', category=DeprecationWarning, module='mxnet')
        self.most = peak_memory() + MEMORY

    def run(self, name, numbers, place):
        """Cases of one reader; ``place`` is its first field in ``shared``."""
        reader, folder, shared = self.readers[name], self.folder / name, self.shared
        shutil.rmtree(folder, ignore_errors=True)
        put(reader.files, folder)
        for number in numbers:
            shared[0] = number
            rng = random.Random(f'{self.args.seed}/{name}/{number}')
            file = rng.choice(reader.altered)
            data = altered(rng, file, reader.files[file], [*reader.files.values()])
            (folder / file).unlink() if data is None else (folder / file).write_bytes(data)
            faulthandler.dump_traceback_later(SECONDS, exit=True)
            begin = time.perf_counter()
            refused, problem = self.attempt(reader.read, folder)
            seconds = time.perf_counter() - begin
            faulthandler.cancel_dump_traceback_later()
            if problem:
                report(self.args, name, number, folder, problem)
                shared[place + 2] += 1
            else:
                shared[place + refused] += 1
            if seconds > shared[place + 3]:
                shared[place + 3], shared[place + 4] = seconds, number
            (folder / file).write_bytes(reader.files[file])

    def attempt(self, read, folder):
        """Whether a reader refuses a folder, and what is wrong with how it does it."""
        self.log.messages.clear()
        refused, problem = False, None
        try:
            read(folder)
        except (ValueError, FileNotFoundError) as error:
            refused = True
            problem = bad_message(str(error), folder)
            if self.args.case is not None:
                traceback.print_exc()
        except BaseException:
            problem = traceback.format_exc()
        for message in self.log.messages:
            if not message.isprintable():
                problem = f'logged {message!r}'
        peak = peak_memory()
        self.shared[2] = max(self.shared[2], peak)
        if peak > self.most:
            problem, self.most = f'{peak >> 10} MB of memory by now', peak + MEMORY
        return refused, problem


def bad_message(message, folder):
    if not message.isprintable() or len(message) > 2000:
        return f'a message that is not one short printable line: {message[:3000]!r}'
    if not any(path in message for path in (str(folder), *os.listdir(folder))):
        return f'a message that names no file: {message!r}'
    return None


def report(args, name, number, folder, problem):
    kept = KEPT / f'{name}-{args.seed}-{number}'
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(folder, kept)
    say(
        f'FAILED {name} case {number}: {problem}\n  files: {kept}\n  again: python tests/fuzz.py '
        f'--seed {args.seed} --reader {name} --case {number}\n'
    )


def say(*words):
    sys.stdout.write(' '.join(words) + '\n')
    sys.stdout.flush()


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--count', type=int, default=100_000, help='cases of all readers')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--reader', help='one of them only')
    parser.add_argument('--case', type=int, help='this case only; needs --reader')
    parser.add_argument('--jobs', type=int, default=1, help='processes')
    parser.add_argument('--max_failures', type=int, default=20)
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    import gluon_bert

    _ = gluon_bert.checkpoint, gluon_bert.data, gluon_bert.pipelines, gluon_bert.zoo
    readers = make_readers()
    warnings.simplefilter('ignore')  # of forking beside the threads of MXNet
    if args.reader is not None:
        readers = {args.reader: readers[args.reader]}
    memory = '/dev/shm' if os.path.isdir('/dev/shm') else None
    with tempfile.TemporaryDirectory(prefix='fuzz', dir=memory) as folder:
        jobs = [
            Job(args, readers, Path(folder, str(number)), number) for number in range(args.jobs)
        ]
        while any(job.pid for job in jobs):
            pid, status = os.wait()
            next(job for job in jobs if job.pid == pid).ended(status)
    return summary(readers, jobs)


class Job:
    """A process of cases; after a crash another goes on behind it."""

    def __init__(self, args, readers, folder, first):
        self.args, self.readers, self.folder, self.first = args, readers, folder, first
        self.shared = memoryview(mmap.mmap(-1, 8 * (HEAD + len(FIELDS) * len(readers)))).cast('d')
        folder.mkdir()
        self.start(0, first)

    def start(self, index, number):
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid:
            return
        status = 3
        try:
            self.work(index, number)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def work(self, index, number):
        run = Run(self.args, self.readers, self.folder, self.shared)
        share = -(-self.args.count // len(self.readers))
        for place, name in list(enumerate(self.readers))[index:]:
            self.shared[1] = place
            cases = range(number, share, self.args.jobs)
            if self.args.case is not None:
                cases = [self.args.case]
            run.run(name, cases, HEAD + len(FIELDS) * place)
            number = self.first
            if self.is_enough():
                say('too many failures: no more is tried')
                return

    def ended(self, status):
        """Note a crash and go on."""
        self.pid = None
        if status == 0:
            return
        if status == 3 << 8:
            raise SystemExit('the fuzzer itself failed')
        number, index = int(self.shared[0]), int(self.shared[1])
        name = list(self.readers)[index]
        report(self.args, name, number, self.folder / name, f'the process died, status {status}')
        self.shared[HEAD + len(FIELDS) * index + FIELDS.index('failed')] += 1
        if not self.is_enough() and self.args.case is None:
            self.start(index, number + self.args.jobs)

    def rows(self):
        """The fields of each reader."""
        size = len(FIELDS)
        return [
            dict(zip(FIELDS, self.shared[HEAD + size * i : HEAD + size * (i + 1)]))
            for i in range(len(self.readers))
        ]

    def is_enough(self):
        return sum(row['failed'] for row in self.rows()) >= self.args.max_failures


def summary(readers, jobs):
    """Print the counts; the exit status."""
    total = dict.fromkeys(FIELDS[:3], 0)
    for name, rows in zip(readers, zip(*(job.rows() for job in jobs))):
        counts = {field: int(sum(row[field] for row in rows)) for field in total}
        slowest = max(rows, key=lambda row: row['slowest'])
        say(
            f'{name:20}',
            *(f'{field} {count:6}' for field, count in counts.items()),
            f'slowest {slowest["slowest"] * 1000:6.0f} ms (case {slowest["slowest_case"]:.0f})',
        )
        total = {field: total[field] + counts[field] for field in total}
    say(
        f'{sum(total.values())} cases:',
        *(f'{field} {count}' for field, count in total.items()),
        f'peak memory {max(job.shared[2] for job in jobs) / 1024:.0f} MB',
    )
    return 1 if total['failed'] else 0


if __name__ == '__main__':
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    sys.exit(main())
