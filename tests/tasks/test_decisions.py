"""A temperature and a threshold: chosen, kept, and used by everything that predicts."""

import json
import logging

import numpy as np
import pytest
from script_runs import tiny_folder, tiny_pipeline, tokenizer  # noqa: F401 (fixtures)
from sklearn import metrics as sklearn_metrics

import gluon_bert as gb
from gluon_bert.cli import main
from gluon_bert.metrics.calibration import fit_temperature, measure_calibration
from gluon_bert.tasks.evaluation import read_dev

WORDS = 'the a cat dog sleeps barks here sun moon'.split()


def table(path, rng, count, noise=0.2, labels=('cat', 'dog')):
    """Texts whose label is the animal in them, but for some."""
    rows = []
    for _ in range(count):
        label = labels[rng.randint(len(labels))]
        text = ' '.join([*rng.choice(WORDS[4:], 3), label])
        rows.append(f'{text},{labels[rng.randint(len(labels))] if rng.rand() < noise else label}')
    path.write_text('\n'.join(['text,label', *rows]) + '\n')
    return path


@pytest.fixture
def trained(tiny_folder, tmp_path, seed):  # noqa: F811
    source, _ = tiny_folder(dropout=0.0)
    rng = np.random.RandomState(seed)
    files = {name: table(tmp_path / f'{name}.csv', rng, 40) for name in ('train', 'dev', 'test')}

    def run(task='text-classification', **options):
        options = {'epochs': 3, 'batch_size': 8, 'learning_rate': 5e-3, 'max_len': 12, **options}
        return gb.finetune(
            task, source, **files, output_dir=tmp_path / 'out', optimizer='adamw', **options
        )

    return run


def test_chosen_on_the_dev_set_and_used_by_everything(trained, tmp_path, capsys):
    done = trained(calibrate=True, threshold_metric='f1')
    folder, pipeline = done.folder, done.pipeline
    split = read_dev(pipeline, tmp_path / 'dev.csv')
    logits = np.stack(list(pipeline.logits(split.inputs)))
    labels = np.array(split.answers)
    settings = json.loads((folder / 'task.json').read_text())
    temperature, threshold = settings['temperature'], settings['threshold']
    assert temperature == pytest.approx(fit_temperature('softmax', logits, labels))
    # What the result says, by hand.
    shares = np.exp(logits.astype('float64') / temperature)
    shares = shares[:, 1] / shares.sum(axis=1)
    results = pipeline(split.inputs)
    given = np.array([row.label == 'dog' for row in results])
    np.testing.assert_allclose([row.probabilities['dog'] for row in results], shares, atol=1e-12)
    np.testing.assert_array_equal(given, shares >= threshold)
    assert all(row.probability == row.probabilities[row.label] for row in results)
    best = max(sklearn_metrics.f1_score(labels, shares >= least) for least in shares)
    assert sklearn_metrics.f1_score(labels, given) == pytest.approx(best)
    # The same from the folder, one at a time, from the command line, and in the metrics.
    loaded = gb.load_pipeline(folder)
    assert [loaded(text).label for text in split.inputs] == [row.label for row in results]
    assert main(['predict', str(folder), split.inputs[0]]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row['probabilities']['dog'] == pytest.approx(shares[0], abs=1e-6)
    figures = done.metrics['dev']
    assert figures['accuracy'] == pytest.approx(sklearn_metrics.accuracy_score(labels, given))
    for name, used in (('', temperature), ('_uncalibrated', 1.0)):
        expected = measure_calibration('softmax', logits, labels, used)
        assert figures[f'ece{name}'] == pytest.approx(expected.ece)
        assert figures[f'nll{name}'] == pytest.approx(expected.nll)
    assert {'ece', 'nll_uncalibrated'} <= set(done.metrics['test'])
    card = (folder / 'README.md').read_text()
    assert f'divided by a temperature of {temperature:.4f}' in card
    assert f'class dog from a probability of {threshold:.4f} on' in card
    assert '![reliability diagram](dev_reliability.png)' in card
    assert (folder / 'test_reliability.png').is_file()


def test_without_them_nothing_of_an_earlier_run_is_left(trained, tmp_path):
    trained(calibrate=True, epochs=1)
    done = trained(overwrite=True, epochs=1)
    assert not list(done.folder.glob('*_reliability.png'))
    assert 'temperature' not in (done.folder / 'README.md').read_text()
    assert 'ece' not in done.metrics['dev'] and done.pipeline.temperature == 1


def test_a_network_trained_further_chooses_anew(trained, tmp_path):
    folder = trained(calibrate=True, threshold_metric='accuracy', epochs=1).folder
    again = gb.finetune(
        'text-classification', folder, train=tmp_path / 'train.csv', epochs=1, batch_size=8,
        output_dir=tmp_path / 'again',
    )  # fmt: skip
    assert again.pipeline.temperature == 1 and again.pipeline.threshold is None


def test_labels_of_several_kinds_have_one_temperature(trained, tmp_path):
    done = trained('multi-label-classification', calibrate=True)
    split = read_dev(done.pipeline, tmp_path / 'dev.csv')
    logits, labels = np.stack(list(done.pipeline.logits(split.inputs))), np.array(split.answers)
    assert done.pipeline.temperature == pytest.approx(fit_temperature('sigmoid', logits, labels))
    result = done.pipeline(split.inputs[0])
    shares = 1 / (1 + np.exp(-logits[0].astype('float64') / done.pipeline.temperature))
    np.testing.assert_allclose(list(result.probabilities.values()), shares, atol=1e-12)
    assert done.metrics['dev']['nll'] <= done.metrics['dev']['nll_uncalibrated']


@pytest.mark.parametrize('task', ['text-classification', 'multi-label-classification'])
def test_the_command_fits_a_folder_and_changes_no_decision(trained, tmp_path, capsys, task):
    options = {'threshold_metric': 'f1'} if task == 'text-classification' else {}
    folder = trained(task, **options).folder
    before = gb.load_pipeline(folder)
    dev, test = tmp_path / 'dev.csv', tmp_path / 'test.csv'
    texts = read_dev(before, test).inputs
    expected = [before.as_json(row).get('labels', row.label) for row in before(texts)]
    flags = ['--dev_file', str(dev), '--test_file', str(test), '--held_out', '0.5']
    capsys.readouterr()
    for _ in range(2):  # again, from its own result
        assert main(['temperature', str(folder), *flags]) == 0
        captured = capsys.readouterr()
        rows = [line.split() for line in captured.out.splitlines()]
        assert [row[0] for row in rows] == ['examples', 'fitted', 'held', 'test']
        after = gb.load_pipeline(folder)
        assert f'task.json has the temperature {after.temperature:.4f}' in captured.err
        assert [after.as_json(row).get('labels', row.label) for row in after(texts)] == expected
    split = read_dev(after, test)
    logits, labels = np.stack(list(after.logits(split.inputs))), np.array(split.answers)
    kind = after.trained and {'text-classification': 'softmax'}.get(task, 'sigmoid')
    figures = [
        measure_calibration(kind, logits, labels, value) for value in (1.0, after.temperature)
    ]
    assert rows[3][2:] == [
        f'{getattr(row, name):.4f}' for name in ('ece', 'nll') for row in figures
    ]
    card = (folder / 'README.md').read_text()
    assert card.count('## Probabilities') == 1 and '| held out | 20 |' in card
    assert card.index('](reliability.png)') < card.index('## Use')


def test_a_fit_on_all_of_the_dev_set_says_so(trained, tmp_path, capsys):
    folder = trained(epochs=1).folder
    capsys.readouterr()
    assert main(['temperature', str(folder), '--dev_file', str(tmp_path / 'dev.csv')]) == 0
    assert 'is too small: --held_out, --test_file' in capsys.readouterr().err


@pytest.mark.parametrize(
    'options, message',
    [
        ({'threshold_metric': 'recall'}, "threshold_metric 'recall' is unknown.*f1, macro_f1"),
        ({'calibrate': True, 'dev': None}, 'calibrate: needs a dev set with labels: dev_file'),
        ({'threshold_metric': 'f1', 'dev': 'one'}, 'one.csv: all examples are of one class, .cat'),
        ({'calibrate': True, 'dev': 'one'}, 'one.csv: all examples are of one class, .cat'),
        ({'threshold_metric': 'f1', 'train': 'three'}, 'is for two classes, there are 3'),
    ],
)  # fmt: skip
def test_what_cannot_be_chosen_is_refused(tiny_folder, tmp_path, options, message):  # noqa: F811
    source, _ = tiny_folder()
    rng = np.random.RandomState(0)
    labels = {'train': ('cat', 'dog'), 'three': ('cat', 'dog', 'sun'), 'one': ('cat',)}
    files = {key: table(tmp_path / f'{key}.csv', rng, 12, 0, row) for key, row in labels.items()}
    given = {'train': 'train', 'dev': 'train', **options}
    given.update({key: given[key] and files[given[key]] for key in ('train', 'dev')})
    with pytest.raises(ValueError, match=message):
        gb.finetune('text-classification', source, output_dir=tmp_path / 'out', epochs=1, **given)
    assert not list((tmp_path / 'out').glob('*'))


def test_the_command_refuses_what_it_cannot_fit(tiny_pipeline, tmp_path, capsys):  # noqa: F811
    tiny_pipeline('text-classification', folder=tmp_path / 'out')
    tiny_pipeline('text-regression', folder=tmp_path / 'scores')
    dev, one = tmp_path / 'dev.csv', tmp_path / 'one.csv'
    dev.write_text('text,label\nthe cat,low\na dog,mid\n')
    one.write_text('text,label\nthe cat,low\na dog,low\n')

    def error(folder, *flags):
        assert main(['temperature', str(tmp_path / folder), *map(str, flags)]) == 2
        return capsys.readouterr().err

    assert 'scores: is for text-regression: a temperature is for multi' in error('scores')
    assert '--held_out 1.0: expected a share' in error('out', '--dev_file', dev, '--held_out', 1)
    assert 'leaves a part of 2 examples empty' in error('out', '--dev_file', dev, '--held_out', 0.1)
    assert "one.csv (fitted): all examples are of one class, 'low'" in error(
        'out', '--dev_file', one
    )
    assert 'temperature' not in json.loads((tmp_path / 'out' / 'task.json').read_text())


def test_settings_are_checked(tiny_pipeline, tmp_path):  # noqa: F811
    pipeline = tiny_pipeline('text-classification', folder=tmp_path / 'out', temperature=2.0)
    path = tmp_path / 'out' / 'task.json'
    good = json.loads(path.read_text())
    assert pipeline.temperature == gb.load_pipeline(tmp_path / 'out').temperature == 2
    for wrong, message in (
        ({'temperature': 0}, 'temperature is 0: expected a positive number'),
        ({'threshold': 1.5}, r'threshold is 1.5: expected a number in \[0, 1\]'),
        ({'threshold': 0.5}, 'threshold is for two classes, not 3'),
        ({'windows': 'mean', 'thresholds': [0.5]}, 'is unknown; there are: labels.*temperature'),
    ):
        path.write_text(json.dumps({**good, **wrong}))
        with pytest.raises(ValueError, match=message):
            gb.load_pipeline(tmp_path / 'out')


def test_a_temperature_at_its_bound_is_told(caplog):
    from gluon_bert.tasks.decisions import tell_temperature

    with caplog.at_level(logging.INFO):
        tell_temperature(1.5)
        assert not [row for row in caplog.records if row.levelname == 'WARNING']
        tell_temperature(0.01)
    assert 'the temperature is at its bound' in caplog.text


def test_exports_name_what_they_cannot_hold(tiny_pipeline, tmp_path):  # noqa: F811
    from gluon_bert.export import export
    from gluon_bert.zoo import open_checkpoint

    tiny_pipeline(
        'text-classification', folder=tmp_path / 'out', labels=['low', 'high'], temperature=2.0,
        threshold=0.25,
    )  # fmt: skip
    limits = export(open_checkpoint(tmp_path / 'out'), tmp_path / 'hf', 'huggingface')
    parts = {limit.part: limit.place for limit in limits}
    assert parts['the temperature of the probabilities'] == 'task.json'
    assert parts['the thresholds of the classes'] == 'task.json'
    texts = ['the cat', 'a dog barks']
    before, after = (gb.load_pipeline(tmp_path / name)(texts) for name in ('out', 'hf'))
    assert before == after
