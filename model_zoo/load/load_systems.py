"""Servers of load.py: how each is started, and the processor time and memory of its processes."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark_process import THREAD_VARIABLES

ROOT = Path(__file__).resolve().parents[2]
NAME = 'model'  # by which requests choose the model
START_SECONDS = 180
_TICKS = os.sysconf('SC_CLK_TCK')


@dataclass(frozen=True)
class Given:
    """What a server is started with.

    Parameters
    ----------
    folder : Path
        Of the formats of the model: ``model`` of sentence-transformers, ``onnx`` with
        ``model.onnx``.
    port, threads : int
    infinity : str or None
        The command ``infinity_emb``.
    """

    folder: Path
    port: int
    threads: int
    infinity: str | None = None


def _ours(given, *options):
    source = f'{NAME}={given.folder / "model"}'
    return [source, '--port', str(given.port), '--threads', str(given.threads), *options]


def _infinity(given, model, *options):
    # The folder is the working directory: its engine of onnxruntime finds no file elsewhere.
    return [
        given.infinity, 'v2', '--model-id', model, '--served-model-name', NAME, '--url-prefix',
        '/v1', '--host', '127.0.0.1', '--port', str(given.port), '--device', 'cpu',
        '--no-model-warmup', *options,
    ]  # fmt: skip


@dataclass(frozen=True)
class System:
    """A server.

    Parameters
    ----------
    command : callable
        :class:`Given` -> its command.
    packages : tuple of str
        Whose versions are recorded.
    folder : str
        Its working directory, below the folder of the formats.
    needs_infinity : bool
    """

    command: Callable
    packages: tuple[str, ...]
    folder: str = ''
    needs_infinity: bool = False


_SERVER = ('starlette', 'uvicorn', 'uvloop', 'httptools', 'orjson')
_INFINITY = ('infinity-emb', 'transformers', 'uvicorn', 'uvloop', 'httptools', 'orjson')
SYSTEMS = {
    'gluon_bert': System(
        lambda given: [sys.executable, '-m', 'gluon_bert', 'serve', *_ours(given)], _SERVER
    ),
    'gluon_bert_workers': System(
        lambda given: [
            *[sys.executable, '-m', 'gluon_bert', 'serve'],
            *_ours(replace(given, threads=1), '--workers', str(given.threads)),
        ],
        _SERVER,
    ),
    'onnxruntime': System(
        lambda given: [
            sys.executable,
            str(Path(__file__).with_name('load_onnxruntime.py')),
            str(given.folder / 'onnx' / 'model.onnx'),
            *_ours(given),
        ],
        ('onnxruntime', *_SERVER),
    ),
    'infinity_optimum': System(
        lambda given: _infinity(given, '.', '--engine', 'optimum', '--pooling-method', 'mean'),
        (*_INFINITY, 'onnxruntime', 'optimum'),
        'onnx',
        True,
    ),
    'infinity_torch': System(
        lambda given: _infinity(given, '.', '--engine', 'torch', '--no-bettertransformer'),
        (*_INFINITY, 'torch', 'sentence-transformers'),
        'model',
        True,
    ),
}


class Server:
    """A server in a process of its own, stopped between its turns.

    Parameters
    ----------
    name : str
        Of ``SYSTEMS``.
    folder : Path
    threads : int
    log : Path
        Gets its output.
    infinity : str, optional
    extra : list of str
        Further arguments.

    Raises
    ------
    RuntimeError
        If it does not become ready.
    """

    def __init__(self, name, folder, threads, log, infinity=None, extra=()):
        system, self.name, self.log = SYSTEMS[name], name, log
        given = Given(Path(folder).resolve(), free_port(), threads, infinity)
        self.port = given.port
        with open(log, 'w', encoding='utf-8') as file:
            self._process = subprocess.Popen(
                [*system.command(given), *extra],
                stdout=file,
                stderr=subprocess.STDOUT,
                env=_environment(given, system),
                cwd=given.folder / system.folder,
            )
        self.pid = self._process.pid
        try:
            self._wait_until_ready()
        except RuntimeError:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def _wait_until_ready(self):
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self._process.poll() is not None:
                break
            if answers_health(self.port):
                return
            time.sleep(0.2)
        lines = self.log.read_text(encoding='utf-8', errors='replace').strip().splitlines()
        raise RuntimeError(
            f'{self.name} is not ready: {lines[-1][:300] if lines else "no message"}'
        )

    def stop(self):
        """Stop all of its processes until :meth:`go`."""
        self._send(signal.SIGSTOP)

    def go(self):
        """Let its processes run."""
        self._send(signal.SIGCONT)

    def close(self):
        """End it."""
        for pid in reversed(tree(self.pid)):
            send(pid, signal.SIGKILL)
        self._process.wait()

    def processor_seconds(self):
        """Sum the processor time of its processes so far."""
        return sum(map(_processor_seconds, tree(self.pid)))

    def reset_peak(self):
        """Begin to measure the peak of its memory anew."""
        for pid in tree(self.pid):
            Path(f'/proc/{pid}/clear_refs').write_text('5', encoding='ascii')

    def memory(self, field='VmRSS'):
        """Sum the memory of its processes in bytes: VmRSS now, VmHWM the peak."""
        return sum(_memory(pid, field) for pid in tree(self.pid))

    def _send(self, number):
        for pid in tree(self.pid):
            send(pid, number)


def packages(name, infinity=None):
    """List the packages of a server that are installed, with their versions."""
    system = SYSTEMS[name]
    python = Path(infinity).with_name('python') if system.needs_infinity else sys.executable
    code = (
        'import sys; from importlib.metadata import distributions as d;'
        "found = {one.metadata['Name'].lower().replace('_', '-'): one.version for one in d()};"
        "print(*(f'{name} {found[name]}' for name in sys.argv[1:] if name in found), sep=', ')"
    )
    words = [python, '-c', code, *system.packages]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def send(pid, number):
    """Send a signal to a process, which may have ended."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def answers_health(port):
    """Tell if a server answers 200 at /health."""
    try:
        with socket.create_connection(('127.0.0.1', port), timeout=5) as connection:
            connection.sendall(b'GET /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n')
            return connection.recv(12) == b'HTTP/1.1 200'
    except OSError:
        return False


def free_port():
    """Find a port that nothing listens at."""
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return listener.getsockname()[1]


def tree(pid):
    """List a process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for path in Path('/proc').glob('[0-9]*/stat'):
        try:
            parent = int(_after_name(path.read_text(encoding='utf-8', errors='replace'))[1])
        except OSError:  # it ended
            continue
        children.setdefault(parent, []).append(int(path.parent.name))
    found = [pid]
    for one in found:
        found.extend(children.get(one, ()))
    return found


def _after_name(stat):
    """The fields of /proc/PID/stat after the name, which may hold spaces."""
    return stat.rpartition(')')[2].split()


def _processor_seconds(pid):
    try:
        fields = _after_name(Path(f'/proc/{pid}/stat').read_text(encoding='utf-8'))
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _memory(pid, field):
    try:
        lines = Path(f'/proc/{pid}/status').read_text(encoding='utf-8').splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(f'{field}:'))


def _environment(given, system):
    kept = {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}
    if not system.needs_infinity:
        kept['PYTHONPATH'] = os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])
    return {
        **kept,
        **dict.fromkeys(THREAD_VARIABLES, str(given.threads)),
        'HF_HUB_OFFLINE': '1',
        'HF_HOME': str(given.folder / 'cache'),
    }
