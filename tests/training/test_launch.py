"""gluon-bert launch: what fails ends all with a line, nothing is left over, machines act as one."""

import signal
import socket

import pytest
from launching import Launch, are_gone

from gluon_bert.training.distributed.job import LAUNCHERS, LaunchJob, free_port

# A worker of a few lines; {} is what it does.
WORKER = """\
import os, signal, sys, time
rank, start = int(os.environ['RANK']), os.path.exists(f'again{{os.environ["RANK"]}}')
open(f'again{{rank}}', 'w').close()
print('rank', rank, 'of', os.environ['WORLD_SIZE'], flush=True)
{}
"""


@pytest.fixture
def script(tmp_path):
    def write(code):
        path = tmp_path / 'worker.py'
        path.write_text(WORKER.format(code))
        return path

    return write


def wait_for_all(run, size):
    for rank in range(size):
        run.wait_for(f'rank {rank} of', f'rank{rank}')


def test_each_rank_has_a_log_and_that_of_rank_0_is_shown(tmp_path, script):
    code = 'print("to the log", file=sys.stderr); print(os.environ["OMP_NUM_THREADS"])'
    with Launch(tmp_path, '-n', 3, script(code)) as run:
        status, out, err = run.end()
    assert (status, out) == (0, ['rank 0 of 3', '1'])
    assert err[0].startswith('ranks 0 to 2 of 3, gloo, OMP_NUM_THREADS=1: ')
    assert err[1:] == ['to the log']
    for rank in range(3):
        lines = (run.logs / f'rank{rank}.log').read_text().splitlines()
        assert sorted(lines) == sorted([f'rank {rank} of 3', 'to the log', '1'])


def test_a_process_that_fails_ends_all_and_is_named(tmp_path, script):
    code = 'if rank == 1: raise ValueError("no such label")\ntime.sleep(600)'
    with Launch(tmp_path, '-n', 3, script(code)) as run:
        status, _, err = run.end()
    assert status == 1
    assert err[1:] == [
        'gluon-bert launch: error: rank 1 ended with status 1: ValueError: no such label; its log: '
        'logs/rank1.log'
    ]


def test_a_killed_process_ends_all_with_what_they_started(tmp_path, script):
    code = (
        'import subprocess; child = subprocess.Popen(["sleep", "600"])\n'
        'print("has", child.pid, flush=True)\nsignal.pause()'
    )
    with Launch(tmp_path, '-n', 2, script(code)) as run:
        for rank in range(2):
            run.wait_for('has', f'rank{rank}')
        started = run.children()
        run.kill(RANK='1')
        status, _, err = run.end()
    assert status == 128 + signal.SIGKILL
    assert err[1:] == [
        'gluon-bert launch: error: rank 1 was killed by SIGKILL; its log: logs/rank1.log'
    ]
    assert len(started) >= 5 and are_gone(started)


def test_a_killed_launcher_leaves_nothing(tmp_path, script):
    with Launch(tmp_path, '-n', 2, script('signal.pause()')) as run:
        wait_for_all(run, 2)
        started = run.children()
        run.process.kill()
    assert len(started) == 3 and are_gone(started)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_processes_save_and_ends_all(tmp_path, script, number):
    code = (
        'def save(*args):\n    time.sleep(.3); print("saved", flush=True); sys.exit(130)\n'
        'signal.signal(signal.SIGTERM, save)\nprint("ready", flush=True)\n'
        'while True: time.sleep(.1)'
    )
    with Launch(tmp_path, '-n', 2, script(code)) as run:
        for rank in range(2):
            run.wait_for('ready', f'rank{rank}')
        started = run.children()
        run.process.send_signal(number)
        status, out, err = run.end()
    assert (status, out[-1]) == (130, 'saved')
    assert err[1:] == ['gluon-bert launch: error: stopped by a signal']
    assert (run.logs / 'rank1.log').read_text().endswith('saved\n')
    assert are_gone(started)


@pytest.mark.parametrize('status, starts', [(1, 2), (2, 1), (130, 1)])
def test_it_starts_again_after_a_failure_that_may_pass(tmp_path, script, status, starts):
    code = f'if not start and rank == 1: print("error: a reason", flush=True); os._exit({status})'
    with Launch(tmp_path, '-n', 2, '--max_restarts', 2, script(code)) as run:
        found, out, err = run.end()
    assert (found, len(out)) == (0 if starts == 2 else status, starts)
    again = '; restart 1 of 2' if starts == 2 else ''
    assert err[1:] == [
        f'gluon-bert launch: error: rank 1 ended with status {status}: error: a reason; its log: '
        f'logs/rank1.log{again}'
    ]
    assert (run.logs / 'rank1.log').read_text().count('rank 1 of 2') == starts


def test_the_last_failure_is_that_of_the_job(tmp_path, script):
    with Launch(tmp_path, '--max_restarts', 1, script('sys.exit(7)')) as run:
        status, _, err = run.end()
    assert status == 7
    assert err[1].endswith('; restart 1 of 1') and err[2].endswith('its log: logs/rank0.log')


# --- several machines, here as several launchers


@pytest.fixture
def port():
    return free_port('127.0.0.1')


def machines(folder, port, script, *arguments, nodes=2, timeout=60, **environment):
    """Start a launcher for each of some machines."""
    flags = ['--nnodes', nodes, '--master_addr', '127.0.0.1', '--master_port', port]
    return [
        Launch(
            folder / f'node{number}',
            *(*flags, '--node_rank', number, '--timeout', timeout, *arguments, script),
            **environment,
        )
        for number in range(nodes)
    ]


def end_all(runs):
    try:
        return [run.end() for run in runs]
    finally:
        for run in runs:
            run.__exit__()


def test_machines_begin_and_end_as_one(tmp_path, script, port):
    code = 'time.sleep(rank / 2)\nprint(os.environ["MASTER_PORT"], os.environ["LOCAL_RANK"])'
    runs = machines(tmp_path, port, script(code), '-n', 2, nodes=3)
    ended = end_all(runs)
    assert [status for status, _, _ in ended] == [0, 0, 0]
    ports = set()
    for number, run in enumerate(runs):
        assert {path.name for path in run.logs.iterdir()} == {
            f'rank{rank}.log' for rank in (2 * number, 2 * number + 1)
        }
        for rank in (2 * number, 2 * number + 1):
            first, last = (run.logs / f'rank{rank}.log').read_text().splitlines()
            meeting, local_rank = last.split()
            assert (first, local_rank) == (f'rank {rank} of 6', str(rank % 2))
            ports.add(meeting)
    assert len(ports) == 1 and str(port) not in ports


@pytest.mark.parametrize('victim', [0, 1, 2])
def test_a_failure_on_one_machine_is_told_on_all(tmp_path, script, port, victim):
    runs = machines(tmp_path, port, script('signal.pause()'), nodes=3)
    for number, run in enumerate(runs):
        run.wait_for('rank', f'rank{number}')
    runs[victim].kill(RANK=victim)
    line = f'rank {victim} was killed by SIGKILL; its log: logs/rank{victim}.log'
    where = f'node {victim} (127.0.0.1): ' if victim else ''
    for number, (status, _, err) in enumerate(end_all(runs)):
        assert status == 128 + signal.SIGKILL
        told = line if number == victim else f'{where}{line}'
        assert err[1:] == [f'gluon-bert launch: error: {told}'], number


def test_a_machine_that_is_lost_ends_the_job(tmp_path, script, port):
    runs = machines(tmp_path, port, script('signal.pause()'), '--max_restarts', 3)
    for number, run in enumerate(runs):
        run.wait_for('rank', f'rank{number}')
    runs[1].process.kill()
    status, _, err = end_all(runs)[0]
    assert status == 1
    assert err[1:] == ['gluon-bert launch: error: the connection to node 1 (127.0.0.1) is lost']


def test_machines_start_again_together(tmp_path, script, port):
    code = 'if not start and rank == 1: sys.exit(5)\nif not start: signal.pause()'
    runs = machines(tmp_path, port, script(code), '--max_restarts', 1)
    ended = end_all(runs)
    assert [status for status, _, _ in ended] == [0, 0]
    assert all(len(err) == 2 and err[1].endswith('; restart 1 of 1') for _, _, err in ended)


def test_machines_that_were_started_otherwise_are_refused(tmp_path, script, port):
    flags = ['--nnodes', 2, '--master_addr', '127.0.0.1', '--master_port', port]
    first = Launch(tmp_path, *flags, '--node_rank', 0, '--timeout', 3, '-n', 2, script('pass'))
    second = Launch(tmp_path, *flags, '--node_rank', 1, '--timeout', 3, '-n', 3, script('pass'))
    (_, _, missing), (status, _, err) = end_all([first, second])
    assert status == 2
    assert err[-1] == ('gluon-bert launch: error: --nproc_per_node is 3 here and 2 on node 0')
    assert missing[-1] == (
        f'gluon-bert launch: error: after 3 s node 1 of 2 has not connected to port {port}'
    )


def test_a_machine_that_cannot_be_reached_and_a_port_in_use(tmp_path, script, port):
    flags = ['--nnodes', 2, '--master_addr', '127.0.0.1', '--master_port', port, '--timeout', 1]
    with Launch(tmp_path, *flags, '--node_rank', 1, script('pass')) as run:
        status, _, err = run.end()
    place = f'127.0.0.1:{port} (--master_addr, --master_port)'
    assert status == 2
    assert err[-1] == (
        f'gluon-bert launch: error: node 0 could not be reached at {place} within 1 s: '
        'Connection refused'
    )
    with socket.socket() as other:
        other.bind(('127.0.0.1', port))
        other.listen()
        for number in (1, 2):  # alone, too
            flags[1] = number
            with Launch(tmp_path, *flags, '--node_rank', 0, script('pass')) as run:
                status, _, err = run.end()
            assert status == 2
            assert err[-1] == (
                f'gluon-bert launch: error: --master_port {port}: Address already in use'
            )


def test_what_is_no_launcher_does_no_harm(tmp_path, script, port):
    flags = ['--nnodes', 2, '--master_addr', '127.0.0.1', '--master_port', port]
    with Launch(tmp_path, *flags, '--node_rank', 0, script('pass')) as first:
        for raw in (b'GET / HTTP/1.1\r\n\r\n', b'{"hello": 3}\n', b'[]\n', b'\xff' * 9):
            while True:
                try:
                    with socket.create_connection(('127.0.0.1', port)) as stranger:
                        stranger.sendall(raw)
                        break
                except ConnectionRefusedError:
                    assert first.process.poll() is None
        with Launch(tmp_path, *flags, '--node_rank', 1, script('pass')) as second:
            assert second.end()[0] == 0
        assert first.end()[0] == 0


def test_backends_have_a_launcher():
    from gluon_bert.training.distributed.connect import BACKENDS

    assert {*LAUNCHERS} == {*BACKENDS} - {'device'}


def test_variables_are_those_of_torchrun():
    (spec,) = LaunchJob(['x'], nodes=2, node_rank=1, master_addr='10.0.0.1').specs(3000)
    assert (spec.name, spec.log_name, spec.command, spec.is_shown) == (
        'rank 1',
        'rank1.log',
        ['x'],
        False,
    )
    assert spec.environment == {
        'RANK': '1',
        'WORLD_SIZE': '2',
        'LOCAL_RANK': '0',
        'LOCAL_WORLD_SIZE': '1',
        'GROUP_RANK': '1',
        'MASTER_ADDR': '10.0.0.1',
        'MASTER_PORT': '3000',
    }
