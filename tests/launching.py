"""Start gluon-bert launch in a process of its own, and find the processes that it started."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

RUN = Path(__file__).parent / 'training' / 'launched_run.py'
_WAIT = 60  # seconds


class Launch:
    """A launcher: arguments, its process, and in the end its status and output."""

    def __init__(self, folder, *arguments, prefix=(), **environment):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.logs = self.folder / 'logs'
        self.process = subprocess.Popen(
            [*prefix, sys.executable, '-W', 'ignore', '-m', 'gluon_bert', 'launch']
            + ['--log_dir', 'logs', *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path), **environment},
        )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.communicate()

    def end(self):
        """Wait for the end; give status, lines of standard output and of standard error."""
        out, err = self.process.communicate(timeout=_WAIT)
        return self.process.returncode, out.splitlines(), err.splitlines()

    def children(self, **variables):
        """Numbers of the processes with these environment variables."""
        wanted = {f'{name}={value}'.encode() for name, value in variables.items()}
        return [
            number
            for number in descendants(self.process.pid)
            if wanted <= set(environment_of(number))
        ]

    def kill(self, **variables):
        """Kill -9 the launcher's own process with these environment variables."""
        os.kill(self.children(**variables)[0], signal.SIGKILL)
        return time.monotonic()

    def wait_for(self, text, name):
        """Wait until a log has a text."""
        path = self.logs / f'{name}.log'
        for _ in range(10 * _WAIT):
            if path.exists() and text in path.read_text():
                return
            assert self.process.poll() is None, self.end()
            time.sleep(0.1)
        raise TimeoutError(f'{path} has no {text}')


def descendants(parent):
    """Numbers of the processes below a process."""
    children = {}
    for path in Path('/proc').glob('[0-9]*/stat'):
        try:
            fields = path.read_text().rpartition(')')[2].split()
        except OSError:  # it has ended
            continue
        children.setdefault(int(fields[1]), []).append(int(path.parent.name))
    pending, found = [parent], []
    while pending:
        new = children.get(pending.pop(), [])
        found += new
        pending += new
    return found


def environment_of(number):
    try:
        return Path(f'/proc/{number}/environ').read_bytes().split(b'\0')
    except OSError:
        return []


def are_gone(numbers):
    """Wait until processes have ended; False if some have not after some seconds."""
    for _ in range(100):
        if not any(is_running(number) for number in numbers):
            return True
        time.sleep(0.1)
    return False


def is_running(number):
    try:
        return Path(f'/proc/{number}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False
