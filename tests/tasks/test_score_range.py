# ruff: noqa: F811 (fixtures are imported)
"""Scores of pairs with a range: kept, shown, predictions clipped to it, others refused."""

import json

import numpy as np
import pytest
from script_runs import tiny_folder, tokenizer  # noqa: F401 (fixtures)

import gluon_bert as gb
from gluon_bert.cli import main
from gluon_bert.tasks.evaluation import read_dev


@pytest.fixture
def table(tmp_path):
    """Pairs with scores from 0 to 5."""
    words = ['cat', 'dog', 'sun', 'moon']
    rows = [f'the {a},a {b},{5 * (a == b)}' for a in words for b in words]
    (tmp_path / 'pairs.csv').write_text('\n'.join(['sentence1,sentence2,score', *rows]) + '\n')
    return tmp_path / 'pairs.csv'


def train(source, table, *flags):
    arguments = ['--train_file', table, '--dev_file', table, '--label_column', 'score']
    arguments += ['--output_dir', table.parent / 'out', '--epochs', '2', '--overwrite', *flags]
    return main(['train', 'text-regression', '--model', str(source), *map(str, arguments)])


def test_the_range_is_kept_and_bounds_predictions(tiny_folder, table, capsys):
    source, _ = tiny_folder(dropout=0.0)
    assert train(source, table, '--score_range', '0,5') == 0
    capsys.readouterr()
    folder = table.parent / 'out'
    assert json.loads((folder / 'task.json').read_text())['range'] == [0, 5]
    assert 'Range of the scores: 0.0, 5.0.' in (folder / 'README.md').read_text()
    pipeline = gb.load_pipeline(folder)
    inputs = [('the cat', 'a cat'), ('the moon', 'a dog')]
    plain = type(pipeline)(
        gb.task_folder.TaskModel(
            pipeline.task,
            pipeline.trained,
            pipeline.tokenizer,
            {key: value for key, value in pipeline.settings.items() if key != 'range'},
        )
    )
    values = [row.value for row in plain(inputs)]
    # A narrow range within what the network gives, so that both of its ends are reached.
    low, high = np.quantile(values, [0.25, 0.75]).tolist()
    pipeline.settings['range'] = [low, high]
    assert [row.value for row in pipeline(inputs)] == pytest.approx(np.clip(values, low, high))
    # Targets are trained as they are: the same network without a range learns the same.
    assert train(source, table) == 0
    again = gb.load_pipeline(folder)
    assert 'range' not in again.settings
    assert [row.value for row in again(inputs)] == pytest.approx(values, rel=1e-5)


def test_a_score_outside_is_refused_with_its_line(tiny_folder, table, capsys):
    source, _ = tiny_folder(dropout=0.0)
    assert train(source, table, '--score_range', '0,4') == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert f"{table}:2: score '5' is not allowed: it must be from 0 to 4" in error
    assert train(source, table, '--score_range', '0,5') == 0
    # A dev set of the finished network, too.
    table.write_text('sentence1,sentence2,score\na,b,7\n')
    with pytest.raises(ValueError, match=r"pairs.csv:2: score '7' is not allowed"):
        read_dev(gb.load_pipeline(table.parent / 'out'), table, label='score')


REFUSED = {
    '5,0': 'expected two numbers, the lowest and the highest',
    '3': 'expected two numbers',
    'nan,1': 'expected two numbers',
    'a,b': 'score_range',
}


@pytest.mark.parametrize('value', REFUSED)
def test_what_is_no_range_is_refused(value, tiny_folder, table, capsys):
    source, _ = tiny_folder()
    try:
        status = train(source, table, '--score_range', value)
    except SystemExit as error:
        status = error.code
    assert status == 2 and REFUSED[value] in capsys.readouterr().err


@pytest.mark.parametrize('task', ['text-classification', 'text-ranking'])
def test_other_tasks_have_no_range(task, tiny_folder, table):
    source, _ = tiny_folder()
    with pytest.raises(ValueError, match=f'score_range.*is not for {task}'):
        gb.finetune(task, source, train=table, score_range=(0, 5), output_dir=table.parent / 'out')


def test_a_task_of_glue_has_its_own(tiny_folder, tmp_path):
    source, _ = tiny_folder()
    with pytest.raises(ValueError, match='score_range.* goes with train_file'):
        gb.finetune('STS-B', source, score_range=(0, 5), output_dir=tmp_path / 'out')
