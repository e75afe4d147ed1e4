"""Texts with several labels: trained end to end, scores equal to scikit-learn's."""

import json

import numpy as np
import pytest
from script_runs import tiny_folder, tiny_pipeline, tokenizer  # noqa: F401 (fixtures)
from sklearn import metrics as sklearn_metrics

import gluon_bert as gb
from gluon_bert.cli import main
from gluon_bert.metrics.multi_label import evaluate_label_sets
from gluon_bert.pipelines.multi_label import MultiLabelPipeline
from gluon_bert.tasks.evaluation import read_dev

ANIMALS, ACTIONS = ('cat', 'dog'), ('sleeps', 'barks')


def rows(rng, count):
    """Texts whose labels are the words in them."""
    for _ in range(count):
        words = [word for word in (*ANIMALS, *ACTIONS) if rng.rand() < 0.5]
        yield ' '.join(['the', *rng.permutation(words), 'here']), words


@pytest.fixture
def tables(tmp_path, seed):
    rng = np.random.RandomState(seed)
    for name, count in (('train', 96), ('dev', 40)):
        lines = [f'{text},{"|".join(words)}' for text, words in rows(rng, count)]
        (tmp_path / f'{name}.csv').write_text('\n'.join(['text,label', *lines]) + '\n')
    return tmp_path


@pytest.fixture
def trained(tiny_folder, tables):  # noqa: F811
    source, _ = tiny_folder(dropout=0.0)
    return gb.finetune(
        'multi-label-classification',
        source,
        train=tables / 'train.csv',
        dev=tables / 'dev.csv',
        output_dir=tables / 'out',
        epochs=20,
        batch_size=8,
        learning_rate=5e-3,
        optimizer='adamw',
        max_len=16,
    )


def test_it_learns_and_its_scores_are_those_of_scikit_learn(trained, tables):
    split = read_dev(trained.pipeline, tables / 'dev.csv')
    names = trained.pipeline.labels
    right = np.array(split.answers)
    given = np.array(
        [[name in row.labels for name in names] for row in trained.pipeline(split.inputs)]
    )
    assert trained.metrics['dev'] == {
        'micro_f1': pytest.approx(sklearn_metrics.f1_score(right, given, average='micro')),
        'macro_f1': pytest.approx(sklearn_metrics.f1_score(right, given, average='macro')),
        'subset_accuracy': pytest.approx(sklearn_metrics.accuracy_score(right, given)),
    }
    # Giving every label is the best answer without reading the text.
    everything = sklearn_metrics.f1_score(right, np.ones_like(given), average='micro')
    assert trained.metrics['dev']['micro_f1'] > everything + 0.1
    assert split.score(trained.pipeline) == pytest.approx(trained.metrics['dev']['micro_f1'])


def test_the_folder_has_thresholds_report_and_predictions(trained, tables, capsys):
    folder = tables / 'out'
    settings = json.loads((folder / 'task.json').read_text())
    assert settings['labels'] == sorted([*ANIMALS, *ACTIONS])
    assert len(settings['thresholds']) == 4 and settings['thresholds'] != [0.5] * 4
    assert 'multi-label-classification' in (folder / 'README.md').read_text()
    assert (folder / 'dev_report.txt').read_text().count('\n') == 5
    first = (folder / 'train_dev.tsv').read_text().split('\n')[1].split('\t')
    text = 'the cat sleeps here'
    loaded = gb.load_pipeline(folder)
    assert loaded(text) == trained.pipeline(text)
    assert set(first[1].split('|')) <= {*settings['labels'], ''}
    assert main(['predict', str(folder), text, '--top_k', '2']) == 0
    row = json.loads(capsys.readouterr().out)
    assert row['labels'] == loaded(text).labels and len(row['probabilities']) == 2


def test_the_dev_set_is_predicted_once_for_thresholds_and_report(
    tiny_folder,  # noqa: F811
    tables,
    monkeypatch,
):
    source, _ = tiny_folder()
    calls, logits = [], MultiLabelPipeline.logits

    def counted(pipeline, inputs, *options, **more):
        calls.append(len(inputs))
        return logits(pipeline, inputs, *options, **more)

    monkeypatch.setattr(MultiLabelPipeline, 'logits', counted)
    done = gb.finetune(
        'multi-label-classification', source, train=tables / 'train.csv', dev=tables / 'dev.csv',
        test=tables / 'train.csv', output_dir=tables / 'out', epochs=2, max_len=16,
    )  # fmt: skip
    assert calls == [40, 40, 40, 96]  # two epochs, then the thresholds, the test set
    split = read_dev(done.pipeline, tables / 'dev.csv')
    expected = evaluate_label_sets(
        ['micro_f1'],
        np.array(split.answers),
        np.array(
            [
                [name in row.labels for name in done.pipeline.labels]
                for row in done.pipeline(split.inputs)
            ]
        ).astype(int),
    )
    assert done.metrics['dev']['micro_f1'] == expected['micro_f1']


def test_labels_reach_their_thresholds(tiny_pipeline):  # noqa: F811
    pipeline = tiny_pipeline('multi-label-classification')
    for result in pipeline(['the cat', 'a dog barks', 'the sun , the moon']):
        assert result.labels == [
            label
            for label, least in zip(pipeline.labels, pipeline.thresholds)
            if result.probabilities[label] >= least
        ]
        assert result.probability == max(result.probabilities.values())
        assert result.probabilities[result.label] == result.probability


def test_as_many_thresholds_as_labels(tiny_pipeline, tmp_path):  # noqa: F811
    pipeline = tiny_pipeline('multi-label-classification', folder=tmp_path / 'out')
    settings = {**pipeline.settings, 'thresholds': [0.5, 0.5]}
    with pytest.raises(ValueError, match='thresholds has 2 entries: expected one for each of 3'):
        gb.task_folder.task_model('multi-label', pipeline.network, pipeline.tokenizer, settings)
    path = tmp_path / 'out' / 'task.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), 'thresholds': [0.5, 0.5]}))
    with pytest.raises(ValueError, match=r'task\.json: thresholds has 2 entries'):
        gb.load_pipeline(tmp_path / 'out')


def test_unknown_labels_of_a_dev_file_are_told(tiny_folder, tables):  # noqa: F811
    source, _ = tiny_folder()
    (tables / 'dev.csv').write_text('text,label\nthe cat,cat|bird\n')
    with pytest.raises(ValueError, match=r"dev.csv:2: label 'bird' is unknown"):
        gb.finetune(
            'multi-label-classification',
            source,
            train=tables / 'train.csv',
            dev=tables / 'dev.csv',
            output_dir=tables / 'out',
        )
