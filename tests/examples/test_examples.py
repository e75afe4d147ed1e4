"""The example scripts as a user runs them: results, files, and errors in one line."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import finetune_classifier
import numpy as np
import pytest
from script_runs import run_script, runs_of, undisturbed, wait_for_steps  # noqa: F401 (fixtures)

from common import cli
from gluon_bert.checkpoint.gluonnlp.params_file import read_params
from gluon_bert.data import TASKS, read_task

EXAMPLES = Path(cli.__file__).parents[1]
SAMPLE = EXAMPLES / 'sample'
MODEL = ['--bert_model', 'bert_6_384_12', '--bert_dataset', 'all_minilm_l6_v2']
SHORT = [
    *MODEL,
    '--max_train_examples',
    '12',
    '--batch_size',
    '4',
    '--epochs',
    '1',
    '--max_len',
    '24',
    '--log_interval',
    '1',
    '--dev_batch_size',
    '64',
]

run = runs_of(finetune_classifier)


@pytest.mark.weights
def test_fine_tuning_writes_what_it_promises(run, real_folder, tmp_path):
    code, log = run('--data_dir', SAMPLE, *SHORT)
    assert code == 0, log
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {
        'arguments.json',
        'task.json',
        'tokenizer',
        'README.md',
        'log_MRPC.txt',
        'metrics.jsonl',
        'result.json',
        'training_curve.png',
        'model_bert_MRPC_0.params',
        'dev_report.txt',
        'dev_confusion.png',
        'MRPC_dev.tsv',
        'MRPC_dev_probabilities.tsv',
        'MRPC.tsv',
        'MRPC_probabilities.tsv',
    }
    lines = (tmp_path / 'out' / 'MRPC.tsv').read_text().splitlines()
    assert lines[0] == 'index\tprediction'
    assert [line.split('\t')[0] for line in lines[1:]] == [str(i) for i in range(40)]
    assert {line.split('\t')[1] for line in lines[1:]} <= {'0', '1'}
    lines = (tmp_path / 'out' / 'MRPC_probabilities.tsv').read_text().splitlines()
    assert lines[0].split('\t') == ['index', 'prediction', '0', '1']
    for line in lines[1:]:
        _, prediction, *values = line.split('\t')
        values = list(map(float, values))
        assert sum(values) == pytest.approx(1, abs=1e-5)
        assert values[int(prediction)] == max(values)


@pytest.mark.weights
def test_only_inference_repeats_the_predictions(run, real_folder, tmp_path):
    run('--data_dir', SAMPLE, *SHORT)
    # the model's names are taken from beside the file
    code, log = run(
        '--data_dir',
        SAMPLE,
        *SHORT[4:],
        '--only_inference',
        '--model_parameters',
        tmp_path / 'out' / 'model_bert_MRPC_0.params',
        output_dir=tmp_path / 'again',
    )
    assert code == 0, log
    for name in ('MRPC_dev_probabilities.tsv', 'MRPC.tsv', 'dev_report.txt'):
        assert (tmp_path / 'again' / name).read_text() == (tmp_path / 'out' / name).read_text()
    assert not (tmp_path / 'again' / 'metrics.jsonl').exists()


@pytest.mark.weights
@pytest.mark.data
@pytest.mark.parametrize('name', ['CoLA', 'SST-2', 'MRPC', 'RTE', 'STS-B', 'WNLI'])
def test_glue_tasks_run_from_their_files(
    run, shared_data, real_folder, tmp_path, name, monkeypatch
):
    task, glue = TASKS[name], tmp_path / 'glue'
    (glue / task.folder).mkdir(parents=True)
    for file in task.files.values():  # the first rows, to be quick
        lines = (shared_data / 'glue_data' / task.folder / file).read_bytes().split(b'\n')[:31]
        (glue / task.folder / file).write_bytes(b'\n'.join(lines) + b'\n')
    monkeypatch.setenv('GLUE_DIR', str(glue))
    code, log = run('--task_name', name, *SHORT)
    assert code == 0, log
    out = tmp_path / 'out'
    metrics = [json.loads(line) for line in (out / 'metrics.jsonl').read_text().splitlines()]
    assert list(metrics[-1]['metrics']) == list(task.metrics)
    submission = (out / task.submissions['test']).read_text().splitlines()
    examples = read_task(task, glue / task.folder, 'test').examples
    assert [line.split('\t')[0] for line in submission[1:]] == [e.index for e in examples]
    allowed = task.labels or [f'{value / 1000:.3f}' for value in range(5001)]
    assert {line.split('\t')[1] for line in submission[1:]} <= set(allowed)


@pytest.mark.weights
@pytest.mark.parametrize('suffix', ['csv', 'tsv', 'jsonl'])
def test_own_tables_with_labels_found_in_them(run, real_folder, tmp_path, suffix):
    rows = [('fine work', 'good'), ('poor work', 'bad'), ('so so', 'fair')] * 6
    path = tmp_path / f'reviews.{suffix}'
    if suffix == 'jsonl':
        path.write_text(
            ''.join(json.dumps({'review': text, 'stars': label}) + '\n' for text, label in rows)
        )
    else:
        separator = {'csv': ',', 'tsv': '\t'}[suffix]
        path.write_text(
            f'review{separator}stars\n'
            + ''.join(f'{text}{separator}{label}\n' for text, label in rows)
        )
    arguments = ['--text_column', 'review', '--label_column', 'stars', *SHORT]
    code, log = run('--train_file', path, '--dev_file', path, '--test_file', path, *arguments)
    assert code == 0, log
    out = tmp_path / 'out'
    assert json.loads((out / 'task.json').read_text())['labels'] == ['bad', 'fair', 'good']
    header = (out / 'reviews_test_probabilities.tsv').read_text().split('\n')[0]
    assert header.split('\t') == ['index', 'prediction', 'bad', 'fair', 'good']
    (parameters,) = out.glob('*.params')
    code, log = run(
        '--dev_file',
        path,
        '--only_inference',
        '--model_parameters',
        parameters,
        *arguments,
        output_dir=tmp_path / 'again',
    )
    assert code == 0, log


@pytest.mark.weights
def test_own_scores_are_learned_as_regression(run, real_folder, tmp_path):
    path = tmp_path / 'scores.csv'
    path.write_text(
        'a,b,label\n' + ''.join(f'text {i},text {i % 3},{i % 3 / 2}\n' for i in range(15))
    )
    code, log = run(
        '--train_file',
        path,
        '--dev_file',
        path,
        '--regression',
        '--text_column',
        'a',
        '--pair_column',
        'b',
        *SHORT,
    )
    assert code == 0, log
    values = [
        line.split('\t')[1]
        for line in (tmp_path / 'out' / 'scores_dev.tsv').read_text().splitlines()[1:]
    ]
    assert len(values) == 15
    assert np.isfinite(np.array(values, float)).all()


@pytest.mark.weights
def test_cut_sequences_are_told_once_with_their_number(run, real_folder, tmp_path):
    code, log = run('--data_dir', SAMPLE, *SHORT, '--max_len', '12')
    assert code == 0, log
    told = [line for line in log.splitlines() if 'longer than --max_len 12' in line]
    assert [line.split()[1] for line in told] == ['train:', 'dev:', 'test:']
    assert '12 of 12 sequences' in told[0]


@pytest.fixture
def mrpc(tmp_path):
    """A small MRPC folder, and a way to spoil a file of it."""
    folder = tmp_path / 'MRPC'
    folder.mkdir()
    for name in ('train.tsv', 'dev.tsv'):
        (folder / name).write_bytes(
            b'\n'.join((SAMPLE / name).read_bytes().split(b'\n')[:9]) + b'\n'
        )
    return folder


def expect_failure(code, log, *parts):
    """Exit code 2, one line, no traceback, all the parts in it."""
    last = log.strip().split('\n')[-1]
    assert code == 2, log
    assert 'Traceback' not in log
    assert 'error: ' in last
    for part in parts:
        assert part in last, last


def spoil(path, line, change):
    lines = path.read_bytes().split(b'\n')
    lines[line - 1] = change(lines[line - 1])
    path.write_bytes(b'\n'.join(lines))


@pytest.mark.parametrize(
    'change, parts',
    [
        (lambda line: line.rsplit(b'\t', 1)[0], ['train.tsv:4:', '4 columns', 'expected 5']),
        (lambda line: b'7' + line[1:], ['train.tsv:4:', "'7'", '0, 1']),
        (lambda line: line + b' caf\xe9', ['train.tsv:4:', 'not UTF-8']),
        (lambda line: line + b'\0', ['train.tsv:4:', 'NUL']),
    ],
    ids=['too few columns', 'unknown label', 'another encoding', 'NUL'],
)
def test_malformed_row_is_told_with_file_and_line(run, mrpc, change, parts):
    spoil(mrpc / 'train.tsv', 4, change)
    expect_failure(*run('--data_dir', mrpc, *SHORT), *parts)


@pytest.mark.weights
def test_malformed_rows_can_be_left_out(run, real_folder, mrpc):
    spoil(mrpc / 'train.tsv', 4, lambda line: b'7' + line[1:])
    code, log = run('--data_dir', mrpc, *SHORT, '--skip_malformed')
    assert code == 0, log
    assert 'train: 7 examples' in log
    assert '1 malformed rows left out' in log


def test_empty_file_is_told(run, mrpc):
    (mrpc / 'dev.tsv').write_bytes(b'')
    expect_failure(*run('--data_dir', mrpc, *SHORT), 'dev.tsv', 'empty')


def test_missing_file_is_told(run, mrpc):
    (mrpc / 'train.tsv').unlink()
    expect_failure(*run('--data_dir', mrpc, *SHORT), 'train.tsv', 'no such file')


def test_missing_glue_dir_is_told(run, monkeypatch):
    monkeypatch.delenv('GLUE_DIR', raising=False)
    expect_failure(*run('--task_name', 'RTE', *SHORT), 'GLUE_DIR', 'RTE')


def test_glue_dir_without_the_task_is_told(run, monkeypatch, tmp_path):
    monkeypatch.setenv('GLUE_DIR', str(tmp_path))
    expect_failure(*run('--task_name', 'RTE', *SHORT), str(tmp_path / 'RTE'))


@pytest.mark.parametrize(
    'arguments, parts',
    [
        (['--batch_size', '0'], ['--batch_size', '0', '1 or more']),
        (['--lr', 'fast'], ['--lr', 'fast']),
        (['--lr', '-1'], ['--lr', '-1']),
        (['--warmup_ratio', '2'], ['--warmup_ratio', 'fraction']),
        (['--optimizer', 'lion'], ['--optimizer', 'lion', 'bertadam']),
        (['--max_len', '600'], ['--max_len 600', '512']),
        (['--task_name', 'MRPS'], ['MRPS', "did you mean 'MRPC'"]),
        (['--bert_model', 'bert_12_786_12'], ['bert_12_786_12', "did you mean 'bert_12_768_12'"]),
        (['--bert_dataset', 'all_minilm_l6'], ["did you mean 'all_minilm_l6_v2'"]),
        (['--only_inference'], ['--model_parameters']),
        (['--model_parameters', 'none.params'], ['none.params']),
    ],
    ids=lambda value: ' '.join(value) if value[0].startswith('--') else '',
)
def test_bad_flag_is_told(run, real_folder, arguments, parts):
    expect_failure(*run('--data_dir', SAMPLE, *SHORT, *arguments), *parts)


def test_output_folder_that_cannot_be_written_is_told(run, tmp_path):
    (tmp_path / 'file').write_text('in the way')
    expect_failure(
        *run('--data_dir', SAMPLE, *SHORT, output_dir=tmp_path / 'file' / 'out'),
        '--output_dir',
        'cannot write there',
    )


def test_no_usable_gpu_is_told(run):
    for option in (['--gpu'], ['--gpu', '3']):
        expect_failure(*run('--data_dir', SAMPLE, *SHORT, *option), '--gpu', 'no such GPU')


@pytest.mark.weights
def test_damaged_weights_are_told(run, real_folder, tmp_path):
    folder = tmp_path / 'root' / 'bert_6_384_12_all_minilm_l6_v2'
    folder.mkdir(parents=True)
    whole = (real_folder / 'model.safetensors').read_bytes()
    (folder / 'model.safetensors').write_bytes(whole[:-10])
    expect_failure(
        *run('--data_dir', SAMPLE, *SHORT, '--root', tmp_path / 'root'),
        'model.safetensors',
        'truncated or altered',
    )


def test_older_flags_of_gluonnlp_are_understood():
    args = finetune_classifier.make_parser().parse_args(
        '--batch_size 32 --optimizer adam --epochs 3 --gpu --test_batch_size 4 --pad'.split()
    )
    assert (
        args.batch_size,
        args.optimizer,
        args.epochs,
        args.gpu,
        args.dev_batch_size,
        args.pad,
        args.task_name,
        args.lr,
        args.seed,
        args.max_len,
    ) == (32, 'adam', 3, 0, 4, True, 'MRPC', 3e-5, 2, 128)
    assert finetune_classifier.make_parser().parse_args(['--gpu', '2']).gpu == 2


@pytest.mark.parametrize('setting, expected', [(None, 'Round'), ('Naive', 'Naive')])
def test_memory_pool_is_set_before_mxnet_is_loaded(setting, expected):
    code = (
        'import os, sys; import finetune_classifier; from common import cli\n'
        'finetune_classifier.make_parser(); cli.prepare_engine()\n'
        'print("mxnet" in sys.modules, os.environ["MXNET_GPU_MEM_POOL_TYPE"])'
    )
    environment = {
        key: value for key, value in os.environ.items() if key != 'MXNET_GPU_MEM_POOL_TYPE'
    }
    if setting:
        environment['MXNET_GPU_MEM_POOL_TYPE'] = setting
    result = subprocess.run(
        [sys.executable, '-c', code], cwd=EXAMPLES, env=environment, capture_output=True, text=True
    )
    assert result.stdout == f'False {expected}\n', result.stderr


def test_help_names_every_flag():
    result = subprocess.run(
        [sys.executable, 'finetune_classifier.py', '--help'],
        cwd=EXAMPLES,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0
    for action in finetune_classifier.make_parser()._actions:
        assert action.option_strings[0] in result.stdout
        assert action.help


def test_sample_is_large_balanced_and_without_repetition():
    splits = {split: read_task('MRPC', SAMPLE, split).examples for split in ('train', 'dev')}
    assert len(splits['train']) >= 400
    assert len(splits['dev']) >= 100
    for examples in splits.values():
        assert sum(example.label for example in examples) * 2 == len(examples)
    texts = [
        text
        for examples in splits.values()
        for example in examples
        for text in (example.text, example.pair)
    ]
    assert len(set(texts)) == len(texts)


@pytest.mark.weights
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGKILL])
def test_broken_off_run_resumes_to_the_same_parameters(real_folder, tmp_path, number):
    command = [
        sys.executable,
        str(EXAMPLES / 'finetune_classifier.py'),
        '--data_dir',
        str(SAMPLE),
        *SHORT,
        '--max_train_examples',
        '32',
        '--checkpoint_interval',
        '2',
        '--epochs',
        '2',
        '--output_dir',
    ]

    def start(folder, *options):
        return subprocess.Popen(
            [*command, str(tmp_path / folder), *options], stderr=subprocess.PIPE, text=True
        )

    broken = start('broken')
    wait_for_steps(tmp_path / 'broken')
    broken.send_signal(number)
    log = broken.communicate(timeout=120)[1]
    if number == signal.SIGINT:
        assert broken.returncode == 130, log
        assert 'everything is saved. Go on with:' in log
        assert '--resume' in log
    assert not (tmp_path / 'broken' / 'result.json').exists()
    for folder, options in (('broken', ['--resume']), ('unbroken', [])):
        process = start(folder, *options)
        log = process.communicate(timeout=300)[1]
        assert process.returncode == 0, log
    best = json.loads((tmp_path / 'unbroken' / 'result.json').read_text())['best_path']
    first, second = (read_params(tmp_path / folder / best) for folder in ('unbroken', 'broken'))
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert (tmp_path / 'broken' / 'MRPC_probabilities.tsv').read_text() == (
        tmp_path / 'unbroken' / 'MRPC_probabilities.tsv'
    ).read_text()
