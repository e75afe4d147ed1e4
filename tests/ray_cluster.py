"""A local Ray, with the server on it or without; ``python ray_cluster.py`` is it.

Its program is what a user writes, but that it deploys again and again, as standard input says.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path

import gluon_bert as gb

ROOT = Path(gb.__file__).parents[1]
_LIMIT = 240  # seconds, after which a Ray that hangs is ended
MARK = 'GLUON_BERT_TEST_CLUSTER'


class Cluster:
    """The process and those that Ray starts below it."""

    def __init__(self, serves=True):
        self.mark = uuid.uuid4().hex
        self.folder = Path(tempfile.mkdtemp(prefix='ray'))  # paths of its sockets must be short
        with socket.create_server(('127.0.0.1', 0)) as free:
            port = free.getsockname()[1]
        self.url = f'http://127.0.0.1:{port}'
        self.env = env = {
            **os.environ,
            **{'PYTHONPATH': str(ROOT), MARK: self.mark, 'RAY_USAGE_STATS_ENABLED': '0'},
            **{'RAY_AUTH_MODE': 'token', 'RAY_AUTH_TOKEN': uuid.uuid4().hex},
        }
        with open(self.folder / 'errors', 'wb') as errors:
            self.process = subprocess.Popen(
                [sys.executable, __file__, self.folder, str(port) if serves else ''],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=env,
            )
        self._limit = threading.Timer(_LIMIT, self.process.kill)
        self._limit.start()

    def ask(self, command, **arguments):
        """Have the program call a function; return what it returns."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps([command, arguments]).encode() + b'\n')
            self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith(b'['):
                return json.loads(line)[0]
        raise AssertionError((self.folder / 'errors').read_text(errors='replace')[-4000:])

    def deploy(self, *models, num_replicas=2, updates=False, **options):
        """Deploy models, or update what is deployed; return the ids of the replicas."""
        if not updates:
            self.ask('delete')
        old = self.replicas()
        self.ask('deploy', models=[*map(str, models)], num_replicas=num_replicas, **options)
        end = time.monotonic() + 30
        while old & self.replicas() and time.monotonic() < end:
            time.sleep(0.05)
        new = self.replicas()
        assert len(new) == num_replicas and not old & new
        return new

    def processes(self, title=''):
        """The ids of the processes of this Ray whose title begins so."""
        found = set()
        for path in Path('/proc').glob('[0-9]*'):
            with contextlib.suppress(OSError):
                ours = f'{MARK}={self.mark}'.encode() in (path / 'environ').read_bytes()
                if ours and (path / 'cmdline').read_bytes().startswith(title.encode()):
                    found.add(int(path.name))
        return found

    def replicas(self):
        """The ids of the replicas' processes."""
        return self.processes('ray::ServeReplica')

    def end(self):
        """End the program; return the processes that it left behind, which are killed."""
        with contextlib.suppress(subprocess.TimeoutExpired, BrokenPipeError):
            self.process.communicate(timeout=30)
        end = time.monotonic() + 10
        while self.processes() and time.monotonic() < end:
            time.sleep(0.1)
        left = self.processes()
        for number in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        self._limit.cancel()
        self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)
        return left


def main(folder, port):
    import ray

    def deploy(models, num_replicas, bounds=(), route_prefix='/'):
        from gluon_bert.serving.limits import ServerLimits
        from gluon_bert.serving.ray import deployment

        limits = ServerLimits(**dict(bounds))
        server = deployment(models, limits, num_replicas=num_replicas)
        serve.run(server.bind(), route_prefix=route_prefix)

    def states():
        (row,) = serve.status().applications['default'].deployments.values()
        return {key: count for key, count in row.replica_states.items() if count}

    commands = {'deploy': deploy, 'states': states, 'delete': lambda: serve.delete('default')}
    commands['address'] = lambda: ray.get_runtime_context().gcs_address
    ray.init(
        num_cpus=8,
        include_dashboard=False,
        object_store_memory=80 << 20,
        log_to_driver=False,
        _node_ip_address='127.0.0.1',
        _temp_dir=folder,
    )
    if port:
        from ray import serve
    try:
        if port:
            serve.start(http_options={'host': '127.0.0.1', 'port': int(port)})
        for line in sys.stdin:
            command, arguments = json.loads(line)
            sys.stdout.write(json.dumps([commands[command](**arguments)]) + '\n')
            sys.stdout.flush()
    finally:
        if port:
            serve.shutdown()
        ray.shutdown()


if __name__ == '__main__':
    main(*sys.argv[1:])
