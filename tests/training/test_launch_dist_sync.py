"""MXNet's dist_sync, launched: the result of one process, and an end when any role dies.

GLUON_BERT_KILLS is the number of further kills at random moments, each resumed.
"""

import os
import random
import sys
import time

import numpy as np
import pytest
from launched_run import OPTIONS, TASKS
from launching import RUN, Launch, are_gone
from process_run import train

KILLS = int(os.environ.get('GLUON_BERT_KILLS') or 0)
# Role -> its environment, its name in the message.
ROLES = {
    'worker': ({'RANK': '1'}, 'rank 1'),
    'server': ({'DMLC_ROLE': 'server'}, 'server 0'),
    'scheduler': ({'DMLC_ROLE': 'scheduler'}, 'scheduler'),
}
BACKEND = os.environ.get('GLUON_BERT_COMM_BACKEND', 'dist_sync')  # horovod, where it is installed


def launch(folder, *arguments, size=2, flags=()):
    command = [RUN, BACKEND, folder, *arguments]
    return Launch(folder, '-n', size, '--comm_backend', BACKEND, *flags, *command)


def test_two_processes_come_to_the_parameters_of_one(tmp_path):
    with launch(tmp_path) as run:
        status, out, err = run.end()
    assert status == 0, err
    assert out[0] == 'rank 0 adds up right'
    assert out[1:] == [f'{{"task": "{task}", "steps": 20}}' for task in TASKS]
    for task in TASKS:
        # Its batches are twice as big as the share of each of the two.
        network, _ = train(tmp_path / f'one_{task}', task, {**OPTIONS, 'training_steps': 20})
        ranks = [dict(np.load(tmp_path / task / f'rank{rank}.npz')) for rank in range(2)]
        for name, parameter in network._collect_params_with_prefix().items():
            expected = parameter.data().asnumpy()
            np.testing.assert_allclose(ranks[0][name], expected, rtol=0, atol=1e-6, err_msg=name)
            assert np.array_equal(ranks[0][name], ranks[1][name]), name


@pytest.mark.skipif(BACKEND != 'dist_sync', reason='horovod has no servers')
def test_two_servers_divide_large_arrays_between_them(tmp_path):
    flags = ('--num_servers', 2)
    with Launch(
        *(tmp_path, '-n', 2, '--comm_backend', BACKEND, *flags, RUN, BACKEND, tmp_path),
        *('--steps', 2, '--tasks', 'classes'),
        MXNET_KVSTORE_BIGARRAY_BOUND='100',  # elements
    ) as run:
        status, out, err = run.end()
    assert status == 0, err
    assert out == ['rank 0 adds up right', '{"task": "classes", "steps": 2}']
    assert (tmp_path / 'logs' / 'server1.log').exists()
    network, _ = train(tmp_path / 'one', 'classes', {**OPTIONS, 'training_steps': 2})
    got = np.load(tmp_path / 'classes' / 'rank1.npz')
    for name, parameter in network._collect_params_with_prefix().items():
        expected = parameter.data().asnumpy()
        np.testing.assert_allclose(got[name], expected, rtol=0, atol=1e-6, err_msg=name)


@pytest.mark.skipif(BACKEND != 'dist_sync', reason='dist_sync has these roles')
@pytest.mark.parametrize('role', ROLES)
def test_the_death_of_any_role_ends_the_job_with_a_line(tmp_path, role):
    variables, name = ROLES[role]
    with launch(tmp_path, '--steps', 0) as run:
        for rank in range(2):
            run.wait_for('adds up right', f'rank{rank}')
        started = run.children()
        killed = run.kill(**variables)
        status, _, err = run.end()
    assert time.monotonic() - killed < 60  # the job would go on for ever
    assert status == 128 + 9
    log = name.replace(' ', '')
    assert err[-1] == (
        f'gluon-bert launch: error: {name} was killed by SIGKILL; its log: logs/{log}.log'
    )
    assert are_gone(started)


def test_a_process_that_waits_in_vain_ends_itself(tmp_path):
    script = tmp_path / 'late.py'
    script.write_text(
        'import os, runpy, sys, time\nif os.environ["RANK"] == "1": time.sleep(600)\n'
        'sys.argv = sys.argv[1:]\nrunpy.run_path(sys.argv[0], run_name="__main__")'
    )
    command = [script, RUN, 'dist_sync', tmp_path, '--timeout', 1]
    with Launch(tmp_path, '--comm_backend', 'dist_sync', '-n', 2, *command) as run:
        status, _, err = run.end()
    assert status == 3
    assert err[-1] == (
        'gluon-bert launch: error: rank 0 ended with status 3: error: rank 0: after 1 s the other '
        'processes are not there; its log: logs/rank0.log'
    )


@pytest.mark.skipif(not KILLS, reason='takes long: GLUON_BERT_KILLS is the number of kills')
@pytest.mark.parametrize('role', ROLES)
def test_kills_at_random_are_resumed_to_the_unbroken_run(tmp_path, seed, role):
    rng, steps, seconds = random.Random(seed), 30, []
    with launch(
        tmp_path / 'unbroken', '--steps', steps, '--interval', 1, '--tasks', 'classes'
    ) as run:
        assert run.end()[0] == 0
    expected = dict(np.load(tmp_path / 'unbroken' / 'classes' / 'rank0.npz'))
    kills = number = 0
    while kills < KILLS:
        folder, number = tmp_path / f'broken{number}', number + 1
        for _ in range(4):
            flags = ('--steps', steps, '--interval', 1, '--tasks', 'classes', '--resume')
            with launch(folder, *flags) as run:
                run.wait_for('adds up right', 'rank1')
                time.sleep(rng.uniform(0, 3))
                try:
                    killed = run.kill(**ROLES[role][0])
                except (IndexError, ProcessLookupError):  # it was faster
                    break
                status, _, err = run.end()
                if status == 0:
                    break
                seconds.append(time.monotonic() - killed)
                assert status == 128 + 9 and ROLES[role][1] in err[-1], err
                assert seconds[-1] < 10
                kills += 1
        with launch(
            folder, '--steps', steps, '--interval', 1, '--tasks', 'classes', '--resume'
        ) as run:
            status, _, err = run.end()
            assert status == 0, err
        for name, array in np.load(folder / 'classes' / 'rank0.npz').items():
            assert np.array_equal(array, expected[name]), name
    report = f'{role}: {kills} kills in {number} runs, ended after at most {max(seconds):.1f} s'
    sys.stderr.write(f'{report}\n')
