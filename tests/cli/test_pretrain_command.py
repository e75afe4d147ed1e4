"""The command gluon-bert pretrain: its flags, results, and errors in one line."""

import json
import signal

import pytest
from pretraining_files import write_files

from gluon_bert.cli import main, make_parser
from gluon_bert.training import run as training_run


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    monkeypatch.setattr(training_run, 'plot_training', lambda *arguments: None)


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp('files')
    write_files(folder)
    return folder


def command(files, folder, *more):
    flags = {
        '--data': files / '*rain.npz',
        '--vocab_file': files / 'vocab.txt',
        '--bert_config_file': files / 'bert_config.json',
        '--output_dir': folder,
        '--batch-size': 8,
        '--log_interval': 1,
    }
    words = [str(word) for pair in flags.items() for word in pair]
    return main(['pretrain', '--from_scratch', *words, *more])


def rows_of(folder):
    return [json.loads(line) for line in (folder / 'metrics.jsonl').read_text().splitlines()]


def test_phases_follow_each_other(files, tmp_path, capsys):
    phases = (
        'training_steps=2',
        'training_steps=1,batch_size=4,learning_rate=3e-4,schedule=constant',
    )
    flags = [word for phase in phases for word in ('--phase', phase)]
    assert command(files, tmp_path / 'out', *flags, '--warmup_ratio', '0') == 0
    assert capsys.readouterr().out == f'{tmp_path / "out" / "model"}\n'
    rates = [row['learning_rate'] for row in rows_of(tmp_path / 'out')]
    assert rates == pytest.approx([5e-5, 0, 3e-4])
    arguments = json.loads((tmp_path / 'out' / 'arguments.json').read_text())
    assert arguments['phase'] == list(phases) and arguments['batch_size'] == 8


def test_rows_of_the_zoo_are_printed(files, tmp_path, capsys):
    flags = ['--training_steps', '1', '--zoo_name', 'tiny_uncased']
    assert command(files, tmp_path, *flags) == 0
    rows, _, model = capsys.readouterr().out.rstrip().rpartition('\n')
    assert rows + '\n' == (tmp_path / 'zoo' / 'rows.py').read_text()
    assert model == str(tmp_path / 'model')


@pytest.mark.parametrize(
    'flags, message',
    [
        (['--objective', 'mlm'], "objective 'mlm'"),
        (['--evaluate_every', '2'], '--evaluate_every: needs --eval_data or --eval_texts'),
        (['--texts', 'a.txt'], '--texts: does not go with --data'),
        (['--max_len', '50'], '--max_seq_length 50: the model takes 40 tokens at most'),
        (['--phase', 'steps=3'], "--phase 'steps=3': expected NAME=VALUE"),
        (['--phase', 'training_steps=3,batch_size=0'], '--batch_size 0: expected a whole number'),
        (['--hours', '1', '--training_steps', '2'], '--hours 1.0: does not go with'),
        (['--objectiv', 'x', '--objectivs', 'x'], 'unknown flag --objectivs; did you mean'),
    ],
)
def test_errors_are_one_line_with_the_flag(files, tmp_path, capsys, flags, message):
    try:
        status = command(files, tmp_path / 'out', *flags)
    except SystemExit as error:
        status = error.code
    assert status == 2
    line = capsys.readouterr().err.splitlines()[-1]  # before it, the log
    assert line.startswith('gluon-bert pretrain: error: ') and message in line
    assert not (tmp_path / 'out').exists()


def test_defaults_are_those_of_the_library(capsys):
    with pytest.raises(SystemExit):
        main(['pretrain', '--help'])
    text = ' '.join(capsys.readouterr().out.split())
    assert 'peak learning rate (default: 0.0001)' in text
    given = make_parser('pretrain').parse_args(['pretrain', '--data', 'a,b'])
    assert given.data == ['a', 'b'] and not hasattr(given, 'batch_size')


def test_an_interrupted_run_says_how_to_go_on(files, tmp_path, capsys, monkeypatch):
    after_step = training_run.TrainingRun._after_step

    def interrupt(run, stop):
        if run.progress.step == 2:
            signal.raise_signal(signal.SIGINT)
        after_step(run, stop)

    with monkeypatch.context() as patch:
        patch.setattr(training_run.TrainingRun, '_after_step', interrupt)
        assert command(files, tmp_path, '--training_steps', '4') == 130
    assert 'stopped after step 2 of 4; everything is saved. Go on with:' in capsys.readouterr().err
    assert command(files, tmp_path, '--training_steps', '4', '--resume') == 0
    assert [row['step'] for row in rows_of(tmp_path)] == [1, 2, 3, 4]
