# ruff: noqa: F811 (fixtures are imported)
"""Linear heads on vectors: a frozen encoder, few examples, what is refused."""

import json

import numpy as np
import pytest
from script_runs import tiny_folder, tokenizer  # noqa: F401 (fixtures)
from sklearn.linear_model import LogisticRegression, Ridge

import gluon_bert as gb
from gluon_bert.checkpoint import read_checkpoint, write_checkpoint
from gluon_bert.cli import main
from gluon_bert.export import export
from gluon_bert.tasks import finetune
from gluon_bert.tasks.few_shot import choose_examples, make_pairs
from gluon_bert.tasks.folds import fold_indices
from gluon_bert.tasks.linear import LINEAR_HEADS, fit_classes, fit_labels, fit_value

WORDS = ('the cat sleeps', 'a dog barks', 'sun here', 'moon without', 'loud dog', 'a cat here')


def write_table(path, labels, texts=WORDS):
    rows = [f'{text}\t{label}' for text, label in zip(texts * 9, labels)]
    path.write_text('\n'.join(['sentence\tlabel', *rows]) + '\n')
    return path


@pytest.fixture
def train(tiny_folder, tmp_path):
    """Train a linear head of a tiny network: labels, options -> what finetune returns."""

    def run(labels, task='text-classification', folder=None, **options):
        table = write_table(tmp_path / 'train.tsv', labels)
        if folder is None:
            source = tmp_path / 'tiny_huggingface'
            folder = source if source.exists() else tiny_folder()[0]
        return finetune.finetune(
            task, folder, train=table, output_dir=tmp_path / 'out', max_len=16, **options
        )

    return run


def vectors_of(folder, texts):
    return gb.SentenceEncoder(str(folder)).encode(list(texts))


def test_a_frozen_encoder_is_a_logistic_regression_of_its_vectors(train, tmp_path):
    labels = ['yes', 'no', 'yes', 'maybe', 'no', 'maybe'] * 3
    done = train(labels, dev=tmp_path / 'train.tsv', freeze_encoder=True, head_c=3.0)
    source = tmp_path / 'tiny_huggingface'
    texts = (WORDS * 9)[: len(labels)]
    vectors = vectors_of(source, texts)
    names = done.pipeline.labels
    expected = LogisticRegression(C=3.0, max_iter=5000).fit(vectors, labels).predict_proba(vectors)
    again = gb.load_pipeline(done.folder)
    for pipeline in (done.pipeline, again):
        shares = [list(row.probabilities.values()) for row in pipeline(list(texts))]
        order = [sorted(names).index(name) for name in names]
        assert np.abs(np.array(shares) - expected[:, order]).max() < 1e-4
    arrays = read_checkpoint(again.trained.checkpoint.source).arrays
    before = read_checkpoint(source).arrays
    assert {*before} - {*arrays} == {'pooler.weight', 'pooler.bias'}
    assert {*arrays} - {*before} == {'classifier.1.weight', 'classifier.1.bias'}
    assert all(np.array_equal(arrays[name], before[name]) for name in {*arrays} & {*before})
    assert done.metrics['dev']['accuracy'] == done.result.best_metrics['accuracy']
    settings = json.loads((done.folder / 'task.json').read_text())
    assert (settings['pooling'], settings['normalize']) == ('mean', True)


def test_the_regularisation_is_chosen_and_drawn(train, tmp_path):
    done = train(['yes', 'no', 'yes'] * 8, dev=tmp_path / 'train.tsv', freeze_encoder=True)
    head = json.loads((done.folder / 'result.json').read_text())['head']
    best = max(row['mean'] for row in head['scores'])
    assert head['c'] == min(row['c'] for row in head['scores'] if row['mean'] == best)
    assert all(0 <= row['dev'] <= 1 for row in head['scores'])
    assert (done.folder / 'regularization.png').stat().st_size > 5000
    assert 'cross-validation' in (done.folder / 'log_train.txt').read_text()


@pytest.mark.parametrize(
    'task, labels', [('text-regression', ['0.5', '2', '-1']), ('multi-label', ['a|b', 'b', ''])]
)
def test_scores_and_several_labels(train, task, labels):
    done = train(labels * 4, task, freeze_encoder=True, head_c=10.0)
    result = gb.load_pipeline(done.folder)('the cat sleeps')
    assert hasattr(result, 'value') or set(result.probabilities) == {'a', 'b'}


def gap(folder):
    """How much nearer the texts of one class are than those of two."""
    vectors = vectors_of(folder, WORDS)
    cosines, labels = vectors @ vectors.T, np.array([1, 0, 1, 0, 0, 1])
    same = labels[:, None] == labels
    return cosines[same & ~np.eye(6, dtype=bool)].mean() - cosines[~same].mean()


def test_few_examples_move_the_encoder_before_the_head(train, tmp_path):
    labels = ['yes', 'no', 'yes', 'no', 'no', 'yes'] * 3
    done = train(labels, few_shot=3, few_shot_pairs=3, learning_rate=3e-3, epochs=6, log_interval=1)
    log = (done.folder / 'log_train.txt').read_text()
    assert 'train: 3 examples of each of 2 classes' in log and '36 pairs of 6 texts' in log
    rows = [json.loads(line) for line in (done.folder / 'metrics.jsonl').read_text().splitlines()]
    assert [row['step'] for row in rows] == list(range(1, 19))
    assert gap(done.folder) > gap(tmp_path / 'tiny_huggingface') + 0.1
    assert not (done.folder / 'contrastive').exists()
    assert (done.folder / 'training_curve.png').is_file()
    arrays = read_checkpoint(gb.load_pipeline(done.folder).trained.checkpoint.source).arrays
    before = read_checkpoint(tmp_path / 'tiny_huggingface').arrays
    name = 'encoder.transformer_cells.0.proj.weight'
    assert np.abs(arrays[name] - before[name]).max() > 1e-3
    with pytest.raises(ValueError, match='resume: the run in the folder is finished'):
        train(labels, few_shot=3, few_shot_pairs=3, resume=True)


@pytest.mark.parametrize(
    'labels, options, message',
    [
        (['yes'] * 6, {'freeze_encoder': True}, "train.tsv: the only label is 'yes'"),
        (['yes'] * 6, {'few_shot': 2}, "train.tsv: the only label is 'yes'"),
        (['yes', 'no', 'yes'], {'few_shot': 2}, "train.tsv: class 'no' has 1 examples, few_shot=2"),
        (['yes', 'no'], {'few_shot': 1}, 'few_shot=1: expected a whole number from 2'),
        (['yes', 'no'], {'head_c': 2.0}, 'head_c=2.0: goes with few_shot or freeze_encoder'),
        (['yes', 'no'], {'few_shot_pairs': 2}, 'few_shot_pairs=2: goes with few_shot, without'),
        (['yes', 'no'], {'freeze_encoder': True, 'head_c': -1.0}, 'head_c=-1.0: expected'),
        (['yes', 'no'], {'freeze_encoder': True, 'epochs': 2}, 'epochs: is for training the enc'),
        (['yes', 'no'], {'few_shot': 2, 'early_stop': 2}, 'early_stop: is not for few_shot'),
    ],
)
def test_what_cannot_be_learned_is_refused(train, tmp_path, labels, options, message):
    with pytest.raises(ValueError, match=message):
        train(labels, **options)
    assert not list(tmp_path.glob('out/*'))


def test_tasks_without_a_linear_head_and_fine_tuned_starts(train, tmp_path):
    with pytest.raises(ValueError, match='freeze_encoder: is not for token-classification'):
        train(['a', 'b'], 'token-classification', freeze_encoder=True)
    with pytest.raises(ValueError, match='few_shot=2: is not for text-regression'):
        train(['1', '2'], 'text-regression', few_shot=2)
    done = train(['yes', 'no'] * 3, freeze_encoder=True, head_c=1.0)
    with pytest.raises(ValueError, match='starts from a pre-trained model, not from a fine-tuned'):
        train(['yes', 'no'] * 3, folder=done.folder, freeze_encoder=True, overwrite=True)


def test_other_formats_have_no_place_for_it(train, tmp_path, capsys):
    done = train(['yes', 'no'] * 3, freeze_encoder=True, head_c=1.0)
    checkpoint = gb.load_pipeline(done.folder).trained.checkpoint
    for format in ('huggingface', 'tensorflow'):
        with pytest.raises(ValueError, match='reads pooled encodings: only a fine-tuned folder'):
            write_checkpoint(checkpoint, tmp_path / format, format)
    for to in ('onnx', 'symbol'):
        with pytest.raises(ValueError, match='reads pooled encodings'):
            export(checkpoint, tmp_path / to, to, {})
    assert main(['predict', str(done.folder), 'a cat here']) == 0
    assert json.loads(capsys.readouterr().out)['label'] in ('yes', 'no')
    network = gb.modeling.build.build_network(checkpoint)
    assert network.kind == 'vector_classifier'
    with pytest.raises(ValueError, match='its classifier reads pooled encodings, which is not for'):
        gb.modeling.build.build_network(checkpoint, 'classifier')


def test_layers_against_scikit_learn():
    draw = np.random.default_rng(1)
    vectors, numbers = draw.normal(size=(60, 5)), np.arange(60) % 4
    for count in (2, 4):
        labels = numbers % count
        weight, bias = fit_classes(vectors, labels, count, 2.0)
        model = LogisticRegression(C=2.0, max_iter=5000).fit(vectors, labels)
        logits = vectors @ weight.T + bias
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        assert np.abs(shares - model.predict_proba(vectors)).max() < 1e-5
    weight, bias = fit_classes(vectors, numbers % 2 * 2, 3, 1.0)  # class 1 has no examples
    assert set((vectors @ weight.T + bias).argmax(axis=1)) == {0, 2}
    flags = np.stack([numbers % 2, np.ones(60, int), numbers > 2], axis=1).astype('int64')
    predicted = LINEAR_HEADS['labels'].predict(
        vectors @ (layer := fit_labels(vectors, flags, 3, 1.0))[0].T + layer[1]
    )
    for column in (0, 2):
        model = LogisticRegression(C=1.0, max_iter=5000).fit(vectors, flags[:, column])
        assert (predicted[:, column] == model.predict(vectors)).all()
    assert predicted[:, 1].all()
    weight, bias = fit_value(vectors, vectors[:, 0] * 2 + 1, 1, 4.0)
    model = Ridge(alpha=0.25).fit(vectors, vectors[:, 0] * 2 + 1)
    assert np.abs(vectors @ weight.T + bias - model.predict(vectors)[:, None]).max() < 1e-5


def test_pairs_folds_and_choices():
    labels = np.array([0, 0, 0, 1, 1, 2, 2])
    pairs, scores = make_pairs(labels, 4, seed=3)
    assert len(pairs) == len(scores) == 2 * 7 * 4
    same = labels[pairs[:, 0]] == labels[pairs[:, 1]]
    assert (same == (scores == 1)).all() and (pairs[:, 0] != pairs[:, 1]).all()
    assert np.bincount(pairs[:, 0]).tolist() == [8] * 7
    chosen = choose_examples(labels.tolist(), 'abc', 2, seed=1)
    assert labels[chosen].tolist() == [0, 0, 1, 1, 2, 2] and chosen == sorted(chosen)
    assert chosen == choose_examples(labels.tolist(), 'abc', 2, seed=1)
    folds = fold_indices(20, 4, 0, np.arange(20) % 2)
    assert np.sort(np.concatenate(folds)).tolist() == list(range(20))
    assert all(np.bincount(fold % 2).tolist() in ([2, 3], [3, 2]) for fold in folds)
    with pytest.raises(ValueError, match='folds=6: expected 2 to 5, the number of examples'):
        fold_indices(5, 6, 0)
