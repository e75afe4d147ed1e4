"""gluon-bert launch: what is wrong in its arguments is said in a line, and nothing is started."""

import socket
import sys

import pytest

from gluon_bert.cli import launch

pytest_plugins = ['command_fixtures']


@pytest.fixture
def started(monkeypatch):
    """What would be started: jobs and options."""
    calls = []
    monkeypatch.setattr(launch, 'launch', lambda job, options, report: calls.append(job) or 0)
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    return calls


@pytest.mark.parametrize(
    'words, message',
    [
        ('-n 0 true', '-n 0: expected 1 or more'),
        ('-n 2', 'give the command to run, such as gluon-bert train'),
        ('-n 2 nonesuch', 'nonesuch: command not found'),
        ('-n 2 nonesuch.py', 'nonesuch.py: no such script'),
        ('--comm_backend glo true', '--comm_backend glo: expected one of gloo, dist_sync, horovod'),
        ('--comm_backend device true', '--comm_backend device: expected one of gloo,'),
        (
            '--comm_backend gloo gluon-bert train x --comm_backend dist_sync',
            '--comm_backend gloo: COMMAND has --comm_backend dist_sync; give it once',
        ),
        ('--nnodes 2 true', '--nnodes 2: needs --node_rank and --master_addr, or --hosts'),
        ('--nnodes 0 true', '--nnodes 0: expected 1 or more'),
        ('--nnodes 2 --node_rank 2 --master_addr x true', '--node_rank 2: expected 0 to 1, of 2'),
        ('--node_rank 1 true', '--node_rank 1: expected 0 to 0, of 1 machines'),
        ('--hosts a,a true', '--hosts a,a: expected different names or addresses'),
        ('--hosts 127.0.0.1,b --nnodes 2 true', '--hosts: says the same as --nnodes; give one'),
        ('--hosts 198.51.100.1,198.51.100.2 true', 'none is this machine; give --node_rank'),
        ('--master_port 70000 true', '--master_port 70000: expected 1 to 65535'),
        ('--max_restarts -1 true', '--max_restarts -1: expected 0 or more'),
        ('--timeout 0 true', '--timeout 0.0: expected a positive number'),
        ('--num_servers 0 true', '--num_servers 0: expected 1 or more'),
        ('-n 2 gluon-bert tune x', 'gluon-bert tune: is not for several processes, as are train,'),
        ('-n 2 gluon-bert', 'gluon-bert : is not for several processes'),
        (
            '--max_restarts 1 gluon-bert pretrain --data a',
            '--max_restarts: COMMAND needs --resume, or each start begins anew',
        ),
    ],
)
def test_wrong_arguments_are_refused_in_a_line(run, started, words, message):
    status, out, err = run('launch', *words.split())
    assert (status, out) == (2, '') and err.count('\n') == 1
    assert err.startswith('gluon-bert launch: error: ') and message in err, err
    assert not started


@pytest.mark.parametrize(
    'words, command, backend',
    [
        ('train x --resume', 'train x --resume --comm_backend gloo', 'gloo'),
        ('--comm_backend dist_sync train x', 'train x --comm_backend dist_sync', 'dist_sync'),
        ('train x --comm-backend=horovod', 'train x --comm-backend=horovod', 'horovod'),
        ('train --comm_backend dist_sync y', 'train --comm_backend dist_sync y', 'dist_sync'),
        ('-- train --log-dir y', 'train --log-dir y --comm_backend gloo', 'gloo'),
        ('--log-dir y distill --log-dir y', 'distill --log-dir y --comm_backend gloo', 'gloo'),
    ],
)
def test_the_backend_is_given_once(run, started, words, command, backend):
    first = next(n for n, word in enumerate(words.split()) if word in ('train', 'distill'))
    words = words.split()
    status, _, err = run('launch', *words[:first], 'gluon-bert', *words[first:])
    assert status == 0, err
    (job,) = started
    assert [*job.command] == [sys.executable, '-m', 'gluon_bert', *command.split()]
    assert job.comm_backend == backend
    assert err == f'rank 0 of 1, {backend}, OMP_NUM_THREADS=1: {" ".join(job.command)}\n'


def test_hosts_say_which_machine_this_is(run, started):
    # Every address of 127.0.0.0/8 is this machine, those of TEST-NET-2 are nobody's.
    status, _, err = run(
        'launch', '--hosts', '198.51.100.1,127.0.0.5,198.51.100.3', '-n', 4, 'true'
    )
    assert status == 0, err
    (job,) = started
    assert (job.nodes, job.node_rank, job.master_addr) == (3, 1, '198.51.100.1')
    assert [*job.ranks()] == [4, 5, 6, 7]


def test_a_host_without_an_address_is_named(run, started, monkeypatch):
    def fail(host):
        raise socket.gaierror(-2, 'Name or service not known')

    monkeypatch.setattr(socket, 'gethostbyname', fail)
    status, _, err = run('launch', '--hosts', 'nohost,b', 'true')
    assert (status, err) == (
        2,
        'gluon-bert launch: error: --hosts: nohost: Name or service not known\n',
    )
