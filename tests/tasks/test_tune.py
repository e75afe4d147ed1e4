# ruff: noqa: F811 (fixtures are imported)
"""Cross-validation and searches: what they measure, what is resumed, what is refused."""

import csv
import gc
import json

import numpy as np
import pytest
from script_runs import tiny_folder, tokenizer  # noqa: F401 (fixtures)

import gluon_bert as gb
from gluon_bert.cli import main
from gluon_bert.tasks import tune as search
from gluon_bert.tasks.finetune import finetune
from gluon_bert.training import Interrupted

TEXTS = ['the cat sleeps', 'a dog barks', 'sun here', 'moon without', 'loud dog', 'a cat here']


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ('MXNET_GPU_MEM_POOL_TYPE', 'GOMP_SPINCOUNT', 'OMP_NUM_THREADS'):
        monkeypatch.setenv(name, '1' if name.startswith('OMP') else 'kept')


@pytest.fixture
def table(tmp_path):
    with open(tmp_path / 'train.csv', 'w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['text', 'label'])
        writer.writerows([text, 'ab'['cat' in text]] for text in TEXTS * 2)
    return tmp_path / 'train.csv'


def test_each_fold_is_evaluated_by_a_network_of_the_others(tiny_folder, table, tmp_path, capsys):
    folder, _ = tiny_folder()
    words = ['text-classification', '--train_file', str(table), '--model', str(folder)]
    more = ['--folds', '3', '--freeze_encoder', '--head_c', '10', '--output_dir']
    assert main(['train', *words, *more, str(tmp_path / 'out')]) == 0
    where, *lines = capsys.readouterr().out.splitlines()
    content = json.loads((tmp_path / 'out' / 'cross_validation.json').read_text())
    values = content['values']['accuracy']
    assert where == str(tmp_path / 'out') and len(values) == 3
    assert lines[0] == f'accuracy {np.mean(values):.4f} +- {np.std(values, ddof=1):.4f} (3 folds)'
    read = []
    for number, value in enumerate(values, 1):
        place = tmp_path / 'out' / f'fold_{number}'
        rows = (place / 'train_dev.tsv').read_text().splitlines()
        assert len(rows) in (4, 5)
        assert json.loads((place / 'result.json').read_text())['best_metrics']['accuracy'] == value
        read.append(len((place / 'log_train.txt').read_text().splitlines()))
    again = gb.cross_validate(
        'text-classification', folder, train=table, folds=3, freeze_encoder=True, head_c=10.0,
        output_dir=tmp_path / 'out', resume=True,
    )  # fmt: skip
    assert again.values['accuracy'] == values


def test_networks_of_earlier_folds_are_freed(tiny_folder, table, tmp_path):
    folder, _ = tiny_folder()
    gc.collect()
    before = count_networks()
    gb.cross_validate(
        'text-classification', folder, train=table, folds=3, freeze_encoder=True, head_c=10.0,
        output_dir=tmp_path / 'out',
    )  # fmt: skip
    assert count_networks() <= before + 1


def count_networks():
    return sum(type(thing) is gb.BertModel for thing in gc.get_objects())


@pytest.mark.parametrize(
    'options, message',
    [
        ({'folds': 13}, 'folds=13: expected 2 to 12, the number of examples'),
        ({'folds': 1}, 'folds=1: expected a whole number from 2'),
        ({'folds': 2, 'dev_file': 'x.csv'}, 'dev_file=x.csv: does not go with folds'),
    ],
)
def test_folds_that_cannot_be(tiny_folder, table, tmp_path, options, message):
    folder, _ = tiny_folder()
    with pytest.raises(ValueError, match=message):
        gb.cross_validate(
            'text-classification', folder, train=table, output_dir=tmp_path / 'out', **options
        )


def test_a_search_is_resumed_after_an_interruption(tiny_folder, table, tmp_path, monkeypatch):
    pytest.importorskip('optuna', reason="needs optuna: pip install '.[tune]'")
    folder, _ = tiny_folder()
    seen, fails = [], [2]

    def run(task, model, **options):
        seen.append([options[name] for name in ('learning_rate', 'epochs', 'batch_size')])
        if len(seen) in fails:
            raise Interrupted('stopped')
        return finetune(task, model, **options)

    monkeypatch.setattr(search, 'finetune', run)
    space = search.SearchSpace((1e-4, 1e-2), (1, 2), (4,))
    options = {'train': table, 'dev': table, 'output_dir': tmp_path / 'out', 'space': space}
    with pytest.raises(Interrupted):
        gb.tune('text-classification', folder, trials=3, **options)
    with pytest.raises(ValueError, match='study.db: there is a study; resume or overwrite it'):
        gb.tune('text-classification', folder, trials=3, **options)
    done = gb.tune('text-classification', folder, trials=3, resume=True, **options)
    assert len(seen) == 4 and seen[2] == seen[1]  # what was interrupted is made again
    assert [row['trial'] for row in done.trials] == [1, 2, 3]
    scores = [row['score'] for row in done.trials]
    assert done.score == max(scores)
    assert all(1e-4 <= row['learning_rate'] <= 1e-2 for row in done.trials)
    best = json.loads((tmp_path / 'out' / 'best' / 'result.json').read_text())
    assert best['best_metrics']['accuracy'] == done.score
    assert gb.load_pipeline(tmp_path / 'out' / 'best')('the cat').label in 'ab'
    assert (tmp_path / 'out' / 'tuning.png').stat().st_size > 5000
    assert not list((tmp_path / 'out').glob('trial_*'))
    more = gb.tune('text-classification', folder, trials=3, resume=True, **options)
    assert more.trials == done.trials and len(seen) == 4
    with pytest.raises(ValueError, match='is a study of another search'):
        gb.tune('text-classification', folder, trials=3, resume=True, seed=3, **options)


def test_the_command_searches(tiny_folder, table, tmp_path, capsys):
    pytest.importorskip('optuna', reason="needs optuna: pip install '.[tune]'")
    folder, _ = tiny_folder()
    words = ['tune', 'text-classification', '--train_file', str(table), '--model', str(folder)]
    more = ['--dev_file', str(table), '--trials', '1', '--learning_rate', '1e-3,1e-3']
    space = ['--epochs', '1', '--batch-size', '4', '--output_dir', str(tmp_path / 'out')]
    assert main([*words, *more, *space]) == 0
    where, line = capsys.readouterr().out.splitlines()
    assert where == str(tmp_path / 'out')
    assert line.endswith('learning_rate=0.001 epochs=1 batch_size=4')
    with pytest.raises(SystemExit):
        main([*words, *more, '--epochs', 'x', '--output_dir', str(tmp_path / 'y')])
    assert "invalid ints separated by commas value: 'x'" in capsys.readouterr().err


@pytest.mark.parametrize(
    'space, message',
    [
        ({'learning_rate': (1e-5,)}, 'expected two numbers, the lowest and the highest'),
        ({'learning_rate': (1e-4, 1e-5)}, 'learning_rate=1e-05: expected 0.0001 or more'),
        ({'epochs': ()}, r'epochs=\[\]: expected different whole numbers'),
        ({'batch_size': (16, 16)}, r'batch_size=\[16, 16\]: expected different whole numbers'),
        ({'epochs': (0,)}, 'epochs=0: expected'),
    ],
)
def test_spaces_that_cannot_be_searched(space, message):
    with pytest.raises(ValueError, match=message):
        search.SearchSpace(**space)


def test_what_cannot_be_compared_is_refused(table, tmp_path):
    pytest.importorskip('optuna', reason="needs optuna: pip install '.[tune]'")
    with pytest.raises(ValueError, match='dev_file: is needed to compare trials, or folds'):
        gb.tune('text-classification', train=table, output_dir=tmp_path / 'out')
    with pytest.raises(ValueError, match='learning_rate=0.1: is searched for'):
        gb.tune('text-classification', train=table, learning_rate=0.1, output_dir=tmp_path / 'out')
