# ruff: noqa: F811 (fixtures are imported)
"""Shards of files: results of one process, an interruption, another job, bad input."""

import contextlib
import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import batch_files
import numpy as np
import pytest
from batch_files import sentences, write_text
from script_runs import WORDS, tiny_folder, tiny_pipeline, tokenizer  # noqa: F401 (fixtures)

import gluon_bert as gb
from gluon_bert.batch import FeatureStage, PredictStage, ShardedJob, run_batch
from gluon_bert.cli import main

SIZE = 300  # bytes of a shard


@pytest.fixture
def folder(tiny_pipeline, tmp_path):
    """A fine-tuned folder."""
    tiny_pipeline('text-classification', folder=tmp_path / 'mood')
    return tmp_path / 'mood'


@pytest.fixture
def stage(folder):
    return PredictStage(gb.load_pipeline(folder))


def command(*words):
    return main([*map(str, words)])


def write_inputs(tmp_path):
    """A file of each format, with its task."""
    lines = [line or 'a' for line in sentences(60)]
    rows = {'txt': lines, 'tsv': ['text\tn', *(f'{row}\t1' for row in lines)]}
    rows['jsonl'] = [json.dumps({'text': row}) for row in lines]
    rows['csv'] = ['text,n', *(f'"{row}, a\nb",1' for row in lines)]
    for suffix, content in rows.items():
        (tmp_path / f'a.{suffix}').write_text('\n'.join(content) + '\n')
        yield 'text-classification', tmp_path / f'a.{suffix}'
    (tmp_path / 'b.jsonl').write_text('[' + ',\n'.join(rows['jsonl']) + ']')
    yield 'text-classification', tmp_path / 'b.jsonl'
    (tmp_path / 'q.tsv').write_text(
        'question\tcontext\n' + ''.join(f'the cat\t{row}\n' for row in lines)
    )
    yield 'question-answering', tmp_path / 'q.tsv'
    (tmp_path / 'a.conll').write_text(''.join(f'{row.replace(" ", chr(10))}\n\n' for row in lines))
    yield 'token-classification', tmp_path / 'a.conll'
    yield 'token-classification', tmp_path / 'a.txt'


def test_predictions_are_those_of_one_process(tiny_pipeline, tmp_path, capsys, caplog):
    for task, path in write_inputs(tmp_path):
        model = tmp_path / task
        if not model.exists():
            tiny_pipeline(task, folder=model)
        one, many = tmp_path / 'one.jsonl', tmp_path / 'many.jsonl'
        assert command('predict', model, '--input', path, '--output', one) == 0
        words = ['predict', model, '--input', path, '--output', many, '--shard_mb', SIZE / 2**20]
        assert command(*words) == 0, capsys.readouterr().err
        assert many.read_bytes() == one.read_bytes() and one.stat().st_size > 1000, path
        assert not list(tmp_path.glob('*.work')) and '60 results' in capsys.readouterr().err
        many.unlink()
    assert 'a.csv: is one shard' in caplog.text and 'a.txt' not in caplog.text


@pytest.mark.parametrize('suffix', ['json', 'csv', 'tsv', 'ndjson'])
def test_forms_of_predictions_are_those_of_one_process(folder, tmp_path, suffix):
    text, one, many = tmp_path / 'a.txt', tmp_path / f'one.{suffix}', tmp_path / f'many.{suffix}'
    write_text(text, 50)
    assert command('predict', folder, '--input', text, '--output', one) == 0
    words = ['predict', folder, '--input', text, '--output', many, '--shard_mb', 0.0005]
    assert command(*words, '--num_workers', 1) == 0
    assert many.read_bytes() == one.read_bytes()


@pytest.mark.parametrize('form', ['npy', 'npz', 'jsonl', 'tsv'])
def test_vectors_are_those_of_one_process(tiny_folder, tmp_path, form):
    model, _ = tiny_folder()
    text, one, many = tmp_path / 'a.txt', tmp_path / f'one.{form}', tmp_path / f'many.{form}'
    write_text(text, 50)
    assert command('embed', model, '--input', text, '--output', one) == 0
    assert command('embed', model, '--input', text, '--output', many, '--shard_mb', 0.0003) == 0
    if form == 'npz':
        assert np.array_equal(np.load(many)['vectors'], np.load(one)['vectors'])
        assert np.load(many).files == ['vectors']
    else:
        assert many.read_bytes() == one.read_bytes()


def test_features_are_those_of_layer_features(tiny_folder, tmp_path):
    model, _ = tiny_folder()
    text, output = tmp_path / 'a.txt', tmp_path / 'a.jsonl'
    text.write_text('\n'.join(sentences(40)[:-1]) + '\nthe cat ||| a dog\n')
    stage = FeatureStage(model, layers=[-1, 0], max_length=6)
    assert run_batch(stage, text, output, shard_size=SIZE).num_results == 40
    network, tokens = gb.load_model(model)
    texts = [*sentences(40)[:-1], ('the cat', 'a dog')]
    expected = gb.layer_features(network, tokens, texts, [-1, 0], max_length=6)
    for number, (line, row) in enumerate(zip(output.read_text().splitlines(), expected)):
        found = json.loads(line)
        assert found['linex_index'] == number
        assert [item['token'] for item in found['features']] == row.tokens
        values = [[layer['values'] for layer in item['layers']] for item in found['features']]
        np.testing.assert_allclose(np.transpose(values, (1, 0, 2)), row.values, atol=2e-5)
        assert [layer['index'] for layer in found['features'][0]['layers']] == [-1, 0]
    assert found['linex_index'] == 39


def test_each_of_several_files_has_its_results(folder, tmp_path, capsys):
    (tmp_path / 'in').mkdir()
    for number in range(3):
        write_text(tmp_path / 'in' / f'{number}.txt', 10 + number, number)
    words = ['predict', folder, '--input', tmp_path / 'in' / '*.txt', '--output', tmp_path / 'out']
    assert command(*words) == 0
    assert '33 results' in capsys.readouterr().err
    for number in range(3):
        rows = (tmp_path / 'out' / f'{number}.txt.jsonl').read_text().splitlines()
        assert [json.loads(row)['text'] for row in rows] == sentences(10 + number, number)
    assert command(*words) == 2 and '0.txt.jsonl: is there already' in capsys.readouterr().err
    assert command(*words, '--overwrite') == 0
    assert sorted(path.name for path in tmp_path.glob('out*')) == ['out']


def counting(stage, limit=None):
    """The stage, which counts what it writes, and is interrupted after so many shards."""
    made, write = [], stage.write

    def counted(*arguments):
        if len(made) == limit:
            raise KeyboardInterrupt
        made.append(arguments[0])
        return write(*arguments)

    stage.write = counted
    return made


def test_shards_that_are_complete_are_kept(stage, folder, tmp_path):
    text, one = write_text(tmp_path / 'a.txt', 100), tmp_path / 'one.jsonl'
    output = tmp_path / 'o.jsonl'
    run_batch(PredictStage(gb.load_pipeline(folder)), text, one)
    counting(stage, 3)
    with pytest.raises(KeyboardInterrupt):
        run_batch(stage, text, output, shard_size=SIZE)
    assert not output.exists() and len(list(tmp_path.glob('o.jsonl.work/done-*'))) == 3
    again = PredictStage(gb.load_pipeline(folder))
    made = counting(again)
    summary = run_batch(again, text, output, shard_size=SIZE)
    assert summary.num_kept == 3 and len(made) == summary.num_shards - 3 == 3
    assert output.read_bytes() == one.read_bytes() and summary.num_results == 100
    assert not Path(f'{output}.work').exists()


def test_another_job_is_refused_by_name(stage, tiny_pipeline, folder, tmp_path):
    text, output = write_text(tmp_path / 'a.txt', 100), tmp_path / 'o.jsonl'
    counting(stage, 3)
    with pytest.raises(KeyboardInterrupt):
        run_batch(stage, text, output, shard_size=SIZE)
    pipeline = gb.load_pipeline(folder)

    def refused(stage, name, **options):
        with pytest.raises(ValueError, match=rf'o\.jsonl\.work: .* with another {name} \('):
            run_batch(stage, text, output, **{'shard_size': SIZE, **options})

    refused(PredictStage(pipeline, top_k=2), 'top_k')
    refused(PredictStage(pipeline), 'shard_size', shard_size=SIZE + 1)
    refused(PredictStage(pipeline, text_column='text'), 'text_column')
    lower = gb.load_pipeline(folder, precision='int8')
    refused(PredictStage(lower), 'precision')
    stat = os.stat(text)
    os.utime(text, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    refused(PredictStage(pipeline), 'inputs')
    os.utime(text, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    # The model changes in its folder.
    tiny_pipeline('text-classification', folder=tmp_path / 'other')
    os.replace(tmp_path / 'other' / 'tiny.params', folder / 'tiny.params')
    refused(PredictStage(gb.load_pipeline(folder)), 'model')
    changed = PredictStage(gb.load_pipeline(folder))
    assert run_batch(changed, text, output, shard_size=SIZE, overwrite=True).num_kept == 0


def test_a_model_that_changes_while_a_job_starts_is_refused(stage, tiny_pipeline, folder, tmp_path):
    text = write_text(tmp_path / 'a.txt', 50)
    with ShardedJob(stage, text, tmp_path / 'o.jsonl', SIZE) as job:
        tiny_pipeline('text-classification', folder=tmp_path / 'other')
        os.replace(tmp_path / 'other' / 'tiny.params', folder / 'tiny.params')
        work = pickle.loads(pickle.dumps(job.work))
        with pytest.raises(ValueError, match='the model has changed since the job began'):
            work(job.missing()[0])


def test_a_job_that_runs_is_not_disturbed(stage, tmp_path):
    text, output = write_text(tmp_path / 'a.txt', 50), tmp_path / 'o.jsonl'
    with ShardedJob(stage, text, output, SIZE) as job:
        with pytest.raises(RuntimeError, match=r'(\d+) of \1 shards are not complete'):
            job.join()
        with pytest.raises(ValueError, match='another process is making these files'):
            run_batch(stage, text, output, shard_size=SIZE)
        job.work(job.missing()[0])
        text.write_text('the cat\n')
        with pytest.raises(ValueError, match=r'a\.txt: has changed since the job began'):
            job.work(job.missing()[0])


def test_bad_input_is_named_and_nothing_is_left(stage, tmp_path):
    text = tmp_path / 'a.txt'
    start = b'the cat\n' * 100
    for content, message in (
        (b'', r'a\.txt: is empty'),
        (b'\n\n', r'a\.txt: is empty'),
        (start + b'\xff\n' + b'the cat\n' * 9, r'a\.txt:101: not UTF-8: byte 0xff at offset 800 '),
        (start + b'x' * (10 << 20) + b'\n', r'a\.txt:101: the line is longer than 1048576 bytes'),
    ):
        text.write_bytes(content)
        for workers in (1, 2) if b'\xff' in content else (1,):
            with pytest.raises(ValueError, match=message):
                run_batch(stage, text, tmp_path / 'o.jsonl', shard_size=1000, num_workers=workers)
            assert not (tmp_path / 'o.jsonl').exists()
    text.write_text('the cat\n')
    for inputs, output, message in (
        (text, tmp_path / 'o.txt', r'o\.txt: expected a name that ends in one of \.jsonl'),
        (text, tmp_path / 'no' / 'o.jsonl', 'there is no folder'),
        ([text, text], tmp_path / 'out', 'both would have results in'),
        ([text, tmp_path / 'mood' / 'task.json'], text, 'is a file, expected a folder for 2 files'),
        (tmp_path / 'mood', tmp_path / 'o.jsonl', 'mood: is a folder'),
        (tmp_path / 'none.txt', tmp_path / 'o.jsonl', r'none\.txt: no such file'),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            run_batch(stage, inputs, output)
    os.rename(text, tmp_path / 'a.jsonl')
    with pytest.raises(ValueError, match=r'a\.jsonl: is a file of inputs'):
        run_batch(stage, tmp_path / 'a.jsonl', tmp_path / 'a.jsonl')
    left = {path.name for path in tmp_path.iterdir()} - {'o.jsonl.work'}
    assert left == {'a.jsonl', 'mood'}


@pytest.mark.parametrize(
    'words, message',
    [
        (['--num_workers', 0], '--num_workers 0: expected a whole number, 1 or more'),
        (['--num_cpus', 2], '--num_cpus 2: is for several --num_workers, or another --engine; set'),
        (['--shard_mb', 0], '--shard_mb 0.0: expected a positive number'),
        (['--gpu', '--num_workers', 2], '--gpu: goes with one process'),
        (['--num_workers', 2, '--output', ''], 'give --output, too'),
        (['--num_workers', 2, '--input', ''], 'give --input, too'),
        (['a text', '--engine', 'ray', '--input', ''], 'give --input, not texts'),
    ],
)
def test_wrong_arguments_are_named(folder, tmp_path, capsys, words, message):
    text = write_text(tmp_path / 'a.txt', 5)
    words = ['--input', text, '--output', tmp_path / 'o.jsonl', *words]
    assert command('predict', folder, *words) == 2
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1


def start(*arguments):
    program = [sys.executable, batch_files.__file__, *map(str, arguments)]
    env = {**os.environ, 'PYTHONPATH': str(Path(gb.__file__).parents[1])}
    child = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env)
    assert child.stdout.readline() == b'ready\n'
    return child


def test_nothing_is_lost_or_doubled_after_kills(folder, stage, tmp_path, seed):
    """The driver and a worker, killed with signal 9 at random moments."""
    rng, text = random.Random(seed), write_text(tmp_path / 'a.txt', 3000)
    one, output = tmp_path / 'one.jsonl', tmp_path / 'o.jsonl'
    run_batch(stage, text, one)
    for _ in range(int(os.environ.get('GLUON_BERT_KILLS', '1'))):
        child = start('predict', folder, text, output, 'local', 2)
        time.sleep(rng.uniform(0, 3))
        victims = Path(f'/proc/{child.pid}/task/{child.pid}/children').read_text().split()
        victim = int(rng.choice(victims)) if rng.random() < 0.5 and victims else child.pid
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        with child.stdout:
            child.wait(120)
        if output.exists():
            assert output.read_bytes() == one.read_bytes()
            output.unlink()
    assert run_batch(stage, text, output, shard_size=400).num_results == 3000
    assert output.read_bytes() == one.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {'a.txt', 'mood', 'o.jsonl', 'one.jsonl'}
