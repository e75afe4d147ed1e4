"""``gluon-bert train``: flags of every task, errors in one line, folders that predict uses."""

import json

import pytest
from script_runs import tiny_folder, tokenizer  # noqa: F401 (fixtures)

import gluon_bert as gb
from gluon_bert.cli import main
from gluon_bert.cli.train import make_parser
from gluon_bert.tasks.registry import TASKS

ROWS = 'the cat sleeps,cat\nthe dog barks,dog\n' * 6


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ('MXNET_GPU_MEM_POOL_TYPE', 'GOMP_SPINCOUNT', 'OMP_NUM_THREADS'):
        monkeypatch.setenv(name, '1' if name.startswith('OMP') else 'kept')


@pytest.fixture
def run(capsys):
    def call(*arguments):
        code = main(['train', *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def train_file(tmp_path):
    (tmp_path / 'train.csv').write_text('text,label\n' + ROWS)
    return tmp_path / 'train.csv'


@pytest.mark.parametrize('spec', TASKS.values(), ids=lambda spec: spec.name)
def test_every_flag_has_help_and_both_spellings(spec):
    parser = make_parser(spec, {})
    for action in parser._actions:
        assert action.help, action.option_strings
    args = parser.parse_args(['--batch-size', '4', '--lr', '1e-3', '--dev_batch_size', '2'])
    assert (args.batch_size, args.learning_rate, args.dev_batch_size) == (4, 1e-3, 2)
    assert not hasattr(args, 'epochs')


def test_from_a_table_to_predictions(run, tiny_folder, train_file, tmp_path, capsys):  # noqa: F811
    folder, _ = tiny_folder()
    out = tmp_path / 'new' / 'out'
    code, printed, log = run(
        'text-classification', '--train_file', train_file, '--dev-file', train_file, '--model',
        folder, '--epochs', 1, '--batch-size', 4, '--output_dir', out,
    )  # fmt: skip
    assert code == 0, log
    assert printed == f'{out}\n' and 'accuracy=' in log
    arguments = json.loads((out / 'arguments.json').read_text())
    assert arguments['task'] == 'text-classification' and arguments['epochs'] == 1
    assert 'gluon-bert train text-classification --train_file' in (out / 'README.md').read_text()
    assert main(['predict', str(out), 'the cat']) == 0
    assert json.loads(capsys.readouterr().out)['label'] in ('cat', 'dog')
    assert gb.load_pipeline(out).labels == ['cat', 'dog']


@pytest.mark.parametrize(
    'arguments, parts',
    [
        (['text-clasification'], ["did you mean 'text-classification'"]),
        (['text-classification'], ['--train_file', '--task_name']),
        (['text-classification', '--train_file', 'none.csv'], ['none.csv']),
        (['MRPC', '--data_dir', 'nowhere'], ['train.tsv', 'no such file']),
        (['text-classification', '--train_file', 'TRAIN', '--max_len', '600'], ['--max_len 600']),
        (
            ['text-classification', '--train_file', 'TRAIN', '--from_scratch'],
            ['--from_scratch', '--model'],
        ),
        (
            ['text-classification', '--train_file', 'TRAIN', '--epochs', '0'],
            ['epochs', '1 or more'],
        ),
        (['text-classification', '--train_file', 'TRAIN', '--gpu'], ['--gpu', 'no such GPU']),
        (['question-answering', '--dev_file', 'TRAIN'], ['--dev_file', '--train_file']),
        (['token-classification', '--train_file', 'TRAIN', '--tag_column', '9'], ['train.csv']),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    run,
    tiny_folder,  # noqa: F811
    train_file,
    tmp_path,
    arguments,
    parts,
    monkeypatch,
):
    monkeypatch.chdir(tmp_path)
    folder, _ = tiny_folder()
    arguments = [train_file if item == 'TRAIN' else item for item in arguments]
    code, _, log = run(*arguments, '--model', folder, '--output_dir', tmp_path / 'out')
    last = log.strip().split('\n')[-1]
    assert code == 2 and last.startswith('gluon-bert train: error: '), log
    for part in parts:
        assert part in last, last


def test_a_finished_run_is_resumed_to_its_result(run, tiny_folder, train_file, tmp_path):  # noqa: F811
    folder, _ = tiny_folder()
    arguments = ['text-classification', '--train_file', train_file, '--model', folder]
    arguments += ['--batch_size', 4, '--epochs', 1, '--output_dir', tmp_path / 'out']
    assert run(*arguments)[0] == 0
    before = (tmp_path / 'out' / 'model_bert_train_0.params').read_bytes()
    code, _, log = run(*arguments, '--resume')
    assert code == 0 and 'is complete' in log
    assert (tmp_path / 'out' / 'model_bert_train_0.params').read_bytes() == before
