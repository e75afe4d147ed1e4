"""Two hosts: network namespaces with an address each, which see nothing of each other but that.

Set GLUON_BERT_NAMESPACES=1 as root: it makes network namespaces, and takes half a minute.
"""

import os
import shutil
import subprocess

import numpy as np
import pytest
from launched_run import OPTIONS, TASKS
from launching import RUN, Launch
from process_run import train

pytestmark = pytest.mark.skipif(
    not os.environ.get('GLUON_BERT_NAMESPACES') or os.geteuid() != 0 or not shutil.which('ip'),
    reason='makes network namespaces: set GLUON_BERT_NAMESPACES=1 as root',
)
NAMES = ('gluon_bert_a', 'gluon_bert_b')
ADDRESSES = ('10.213.7.1', '10.213.7.2')


def ip(line):
    subprocess.run(['ip', *line.split()], check=True)


@pytest.fixture
def hosts():
    """Two namespaces that a cable connects."""
    try:
        for name in NAMES:
            ip(f'netns add {name}')
        ip(f'link add gb0 netns {NAMES[0]} type veth peer name gb1 netns {NAMES[1]}')
        for number, (name, address) in enumerate(zip(NAMES, ADDRESSES)):
            ip(f'-n {name} address add {address}/24 dev gb{number}')
            ip(f'-n {name} link set gb{number} up')
            ip(f'-n {name} link set lo up')
        yield NAMES
    finally:
        for name in NAMES:
            subprocess.run(['ip', 'netns', 'delete', name], check=False)


def start(hosts, folder, backend, *arguments):
    """Start a launcher on each host, in a folder of its own."""
    return [
        Launch(
            folder / name,
            *('--hosts', ','.join(ADDRESSES), '--comm_backend', backend, '--timeout', 60),
            *(RUN, backend, folder, *arguments),
            prefix=('ip', 'netns', 'exec', name),
        )
        for name in hosts
    ]


@pytest.fixture(params=('gloo', 'dist_sync', 'horovod'))
def backend(request):
    needs = {'gloo': 'torch', 'horovod': 'horovod'}.get(request.param)
    if needs:
        pytest.importorskip(needs, reason=f'{request.param} needs it')
    return request.param


def test_two_hosts_come_to_the_parameters_of_one(tmp_path, hosts, backend):
    runs = start(hosts, tmp_path, backend)
    for run in runs:
        status, _, err = run.end()
        assert status == 0, err
    for task in TASKS:
        network, _ = train(tmp_path / f'one_{task}', task, {**OPTIONS, 'training_steps': 20})
        ranks = [dict(np.load(tmp_path / task / f'rank{rank}.npz')) for rank in range(2)]
        for name, parameter in network._collect_params_with_prefix().items():
            expected = parameter.data().asnumpy()
            np.testing.assert_allclose(ranks[0][name], expected, rtol=0, atol=1e-6, err_msg=name)
            assert np.array_equal(ranks[0][name], ranks[1][name]), name


def test_a_process_killed_on_one_host_ends_both(tmp_path, hosts, backend):
    runs = start(hosts, tmp_path, backend, '--steps', 0)
    for number, run in enumerate(runs):
        run.wait_for('adds up right', f'rank{number}')
    runs[1].kill(RANK='1')
    line = 'rank 1 was killed by SIGKILL; its log: logs/rank1.log'
    lines = (f'node 1 ({ADDRESSES[1]}): {line}', line)
    for run, text in zip(runs, lines):
        status, _, err = run.end()
        assert status == 128 + 9
        assert err[-1] == f'gluon-bert launch: error: {text}'


def test_a_cut_cable_ends_both(tmp_path, hosts):
    runs = start(hosts, tmp_path, 'dist_sync', '--steps', 0)
    for number, run in enumerate(runs):
        run.wait_for('adds up right', f'rank{number}')
    ip(f'-n {hosts[0]} link set gb0 down')
    for run, number in zip(runs, (1, 0)):
        status, _, err = run.end()
        assert status == 1
        assert err[-1].endswith(f'node {number} ({ADDRESSES[number]}) has not answered for 7 s')
