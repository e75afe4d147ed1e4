# ruff: noqa: F811 (fixtures are imported)
"""Shards on a local Ray: results of one process, actors and drivers that are killed, errors."""

import contextlib
import importlib.util
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import batch_files
import pytest
from batch_files import write_text
from ray_cluster import Cluster
from script_runs import tiny_pipeline, tokenizer  # noqa: F401 (fixtures)

import gluon_bert as gb
from gluon_bert._internal import ray_tasks
from gluon_bert.batch import PredictStage, run_batch
from gluon_bert.data import PretrainingDataOptions, create_pretraining_data
from gluon_bert.data.pretraining.create import shard_names


@pytest.fixture(scope='module')
def cluster():
    """A local Ray."""
    for name in ('ray', 'pyarrow', 'pandas'):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f'needs {name}: python3 dev.py setup --peers')
    cluster = Cluster(serves=False)
    try:
        cluster.env['RAY_ADDRESS'] = cluster.ask('address')
        yield cluster
    finally:
        cluster.end()


def start(cluster, *arguments):
    """Start a driver; wait until its work begins."""
    driver = subprocess.Popen(
        [sys.executable, batch_files.__file__, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=cluster.env,
    )
    assert driver.stdout.readline() == b'ready\n', driver.stderr.read().decode()
    return driver


def end(driver):
    """Wait for a driver; its exit status and log."""
    _, log = driver.communicate(timeout=200)
    return driver.returncode, log.decode()


def wait_for_shards(output, driver, count):
    """Wait until so many shards more are complete, or the driver has ended."""
    limit, work = time.monotonic() + 100, output.with_name(f'{output.name}.work')
    before = len([*work.glob('done-*')])
    while len([*work.glob('done-*')]) < before + count and driver.poll() is None:
        assert time.monotonic() < limit
        time.sleep(0.02)


def kill(process):
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def test_nothing_is_lost_or_doubled_after_kills(cluster, tiny_pipeline, tmp_path, seed):
    rng, folder = random.Random(seed), tmp_path / 'mood'
    tiny_pipeline('text-classification', folder=folder)
    text, one, output = (tmp_path / name for name in ('a.txt', 'one.jsonl', 'o.jsonl'))
    write_text(text, 12000)
    run_batch(PredictStage(gb.load_pipeline(folder)), text, one)
    work = tmp_path / 'o.jsonl.work'
    # Drivers, each at a random moment of the work.
    for _ in range(int(os.environ.get('GLUON_BERT_KILLS', '1'))):
        driver = start(cluster, 'predict', folder, text, output, 'ray', 2)
        wait_for_shards(output, driver, rng.randrange(1, 40))
        kill(driver.pid)
        end(driver)
        if output.exists():
            assert output.read_bytes() == one.read_bytes()
            output.unlink()
    # Actors, while a driver goes on.
    kept = len([*work.glob('done-*')])
    driver = start(cluster, 'predict', folder, text, output, 'ray', 2)
    for _ in range(int(os.environ.get('GLUON_BERT_KILLS', '1'))):
        wait_for_shards(output, driver, 1)
        for actor in list(cluster.processes('ray::MapWorker'))[:1]:
            kill(actor)
    code, log = end(driver)
    assert code == 0, log
    assert kept and output.read_bytes() == one.read_bytes()
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {'a.txt', 'mood', 'o.jsonl', 'one.jsonl'}


def test_records_and_errors_are_those_of_one_process(cluster, tiny_pipeline, tmp_path):
    tiny_pipeline('text-classification', folder=tmp_path / 'mood')
    bad, text = tmp_path / 'bad.txt', tmp_path / 'a.txt'
    bad.write_bytes(b'the cat\n\nthe dog\n\n' * 500 + b'\xff\n')
    text.write_bytes(b'the cat\nhere\n\nthe dog\n\n' * 50)
    outputs = {}
    for name in ('one', 'many'):
        (tmp_path / name).mkdir()
        outputs[name] = shard_names(tmp_path / name / 'a.tfrecord', 2)
    driver = start(cluster, 'records', tmp_path / 'mood', text, bad, *outputs['many'])
    code, log = end(driver)
    assert code == 0, log
    assert f'refused: {bad}:2001: not UTF-8: byte 0xff at offset 9000 of the file' in log
    assert not Path(f'{outputs["many"][0]}.jsonl').exists()
    tokens = gb.load_pipeline(tmp_path / 'mood').tokenizer
    options = PretrainingDataOptions(dupe_factor=2)
    create_pretraining_data(text, outputs['one'], tokens, options)
    for first, second in zip(*outputs.values()):
        content = Path(first).read_bytes()
        assert content == Path(second).read_bytes() and content


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'ray', None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'gluon_bert\[ray\]'"):
        next(ray_tasks.run_on_ray(print, [1], 1, print, 1))
