"""Long texts in windows: trained, predicted and kept, each text counting once."""

import json

import mxnet as mx
import numpy as np
import pytest
from script_runs import tiny_folder, tiny_pipeline, tokenizer  # noqa: F401 (fixtures)
from sklearn import metrics as sklearn_metrics

import gluon_bert as gb
from gluon_bert.data import SentenceTransform
from gluon_bert.export import export
from gluon_bert.tasks.evaluation import read_dev
from gluon_bert.training.class_losses import make_class_objective
from gluon_bert.zoo import open_checkpoint

WORDS = 'the a sleeps barks here sun moon loud'.split()
TASKS = ('text-classification', 'text-regression', 'multi-label-classification')
SETTINGS = {'max_len': 8, 'windows': 'mean', 'window_stride': 3}


def long_rows(rng, count):
    """Texts of 3 to 20 words; what tells their class stands at the end, out of the first window."""
    for _ in range(count):
        label = ('cat', 'dog')[rng.randint(2)]
        yield ' '.join([*rng.choice(WORDS, rng.randint(3, 20)), label]), label


def write(path, rows, header='text,label'):
    path.write_text('\n'.join([header, *map(','.join, rows)]) + '\n')
    return path


@pytest.mark.parametrize('task', TASKS)
@pytest.mark.parametrize('how', ['mean', 'max'])
def test_scores_are_joined_as_by_hand(tiny_pipeline, tmp_path, task, how, seed):  # noqa: F811
    options = {**SETTINGS, 'windows': how}
    pipeline = tiny_pipeline(task, folder=tmp_path / 'out', batch_size=4, **options)
    plain = gb.pipelines.task_pipeline(
        gb.task_folder.TaskModel(
            task, pipeline.network, pipeline.tokenizer, {**pipeline.settings, 'max_len': 8}
        )
    )
    del plain.settings['windows']
    texts = [text for text, _ in long_rows(np.random.RandomState(seed), 9)]
    results = pipeline(texts)
    assert pipeline.num_cut == 0
    for text, result in zip(texts, results):
        words = text.split()
        starts = range(0, max(1, len(words) - 3), 3)
        windows = [' '.join(words[start : start + 6]) for start in starts if start == 0 or
                   len(words) > start + 3]  # fmt: skip
        outputs = plain.outputs([SentenceTransform(pipeline.tokenizer, 8)(w) for w in windows])
        joined = getattr(np.stack(outputs), how)(axis=0)
        if task == 'text-regression':
            assert result.value == pytest.approx(joined[0], abs=1e-5)
            continue
        shares = 1 / (1 + np.exp(-joined))
        if task == 'text-classification':
            shares = np.exp(joined) / np.exp(joined).sum()
        np.testing.assert_allclose(list(result.probabilities.values()), shares, atol=1e-6)
    # The same one by one, from the folder, from sequences batched by another, and in any order.
    loaded = gb.load_pipeline(tmp_path / 'out')
    prepared = pipeline.prepare(texts)
    order = np.random.RandomState(0).permutation(len(texts))
    shuffled = pipeline([texts[i] for i in order])
    for others in (
        [loaded(text) for text in texts],
        pipeline.results(prepared, pipeline.outputs(prepared.features)),
        [shuffled[i] for i in np.argsort(order)],
    ):
        for ours, theirs in zip(results, others):
            for a, b in zip(pipeline.as_json(ours).values(), pipeline.as_json(theirs).values()):
                assert a == b if isinstance(a, (str, list)) else a == pytest.approx(b, abs=1e-5)


def test_a_text_counts_once_in_the_loss():
    """Three windows of one text and one of another: the mean of the two texts' means."""
    rng = np.random.RandomState(0)
    scores, labels = rng.normal(size=(4, 3)), np.array([1, 1, 1, 2])
    weights = np.array([1 / 3, 1 / 3, 1 / 3, 1])
    logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    losses = -logs[np.arange(4), labels]
    by_class = np.array([1.0, 2.0, 0.5])
    for class_weights in (None, by_class):
        objective = make_class_objective('cross_entropy', 0.0, class_weights, True)
        factors = np.ones(2) if class_weights is None else by_class[[1, 2]]
        expected = (factors * [losses[:3].mean(), losses[3]]).sum() / factors.sum()
        # In one batch, and cut within the text.
        for cuts in ([[0, 1, 2, 3]], [[0, 1], [2, 3]]):
            terms = [
                objective(
                    lambda inputs: inputs,
                    [mx.nd.array(scores[part])],
                    [mx.nd.array(labels[part]), mx.nd.array(weights[part])],
                )['loss']
                for part in cuts
            ]
            found = sum(term.sum.asscalar() for term in terms) / sum(term.count for term in terms)
            assert found == pytest.approx(expected, rel=1e-5)
    squared = make_class_objective('squared_error', weighted_sequences=True)
    assert squared.name == 'squared_error(weighted_sequences)'


def test_trained_end_to_end(tiny_folder, tmp_path, seed, caplog):  # noqa: F811
    source, _ = tiny_folder(dropout=0.0)
    rng = np.random.RandomState(seed)
    train = write(tmp_path / 'train.csv', long_rows(rng, 32))
    dev = write(tmp_path / 'dev.csv', long_rows(rng, 24))

    def run(name, **options):
        caplog.clear()
        with caplog.at_level('INFO'):
            return gb.finetune(
                'text-classification', source, train=train, dev=dev, max_len=8, epochs=2,
                batch_size=8, learning_rate=5e-3, optimizer='adamw', output_dir=tmp_path / name,
                **options,
            )  # fmt: skip

    done = run('windows', windows='max', window_stride=4)
    assert 'texts are longer than 8 tokens' in caplog.text and 'were cut' not in caplog.text
    settings = json.loads((done.folder / 'task.json').read_text())
    assert (settings['windows'], settings['window_stride']) == ('max', 4)
    assert 'windows of 8 tokens, one every 4; the max' in (done.folder / 'README.md').read_text()
    split = read_dev(done.pipeline, dev)
    given = [row.label for row in gb.load_pipeline(done.folder)(split.inputs)]
    right = [done.pipeline.labels[number] for number in split.answers]
    assert done.metrics['dev']['accuracy'] == sklearn_metrics.accuracy_score(right, given)
    # Another start from the folder keeps its windows.
    again = gb.finetune('text-classification', done.folder, train=dev, dev=dev, epochs=1,
                        batch_size=8, output_dir=tmp_path / 'again')  # fmt: skip
    assert again.pipeline.settings['window_stride'] == 4


PAIR = 'text,pair,label'


@pytest.mark.parametrize(
    'task, options, message',
    [
        ('text-classification', {'windows': 'sum'}, "windows 'sum' is unknown.*mean, max"),
        ('text-classification', {'window_stride': 3}, 'window_stride=3: goes with windows'),
        (
            'text-classification',
            {'windows': 'mean', 'window_stride': 6},
            'window_stride=6: expected 1 to 5, less than the 6 tokens of a window',
        ),
        ('text-classification', {'windows': 'mean', 'few_shot': 2}, 'is for training the whole'),
        ('text-ranking', {'windows': 'mean'}, 'windows=mean: is not for text-ranking'),
        (
            'text-classification',
            {'windows': 'mean', 'pair': True},
            r'train.csv: row 1: the first t',
        ),
    ],
)
def test_what_cannot_have_windows_is_refused(tiny_folder, tmp_path, task, options, message):  # noqa: F811
    source, _ = tiny_folder()
    rows = [('the cat', 'cat'), ('a dog', 'dog')] * 2
    train = write(tmp_path / 'train.csv', rows)
    if options.pop('pair', False):
        rows = [('the cat', 'sun', 'a'), ('the cat sleeps here !', 'moon', 'b')]
        train = write(tmp_path / 'train.csv', rows, PAIR)
        options.update(text_column='text', pair_column='pair')
    with pytest.raises(ValueError, match=message):
        gb.finetune(task, source, train=train, output_dir=tmp_path / 'out', max_len=8, **options)
    assert not list((tmp_path / 'out').glob('*'))


def test_a_pair_without_room_is_named(tiny_pipeline):  # noqa: F811
    pipeline = tiny_pipeline('text-classification', **SETTINGS)
    with pytest.raises(ValueError, match='input 1: the first text has 5 tokens and leaves no room'):
        pipeline([('the cat', 'sun'), ('the cat sleeps here !', 'moon')])


@pytest.mark.parametrize(
    'wrong, message',
    [
        ({'windows': 'sum'}, "windows is 'sum': expected 'mean' or 'max'"),
        ({'window_stride': None}, 'windows and window_stride go together'),
        ({'window_stride': 6}, 'window_stride is 6: expected less than the 6 tokens of a window'),
    ],
)
def test_settings_are_checked(tiny_pipeline, tmp_path, wrong, message):  # noqa: F811
    tiny_pipeline('text-regression', folder=tmp_path / 'out', **SETTINGS)
    path = tmp_path / 'out' / 'task.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), **wrong}))
    with pytest.raises(ValueError, match=message):
        gb.load_pipeline(tmp_path / 'out')


def test_an_export_names_the_windows(tiny_pipeline, tmp_path):  # noqa: F811
    tiny_pipeline('text-classification', folder=tmp_path / 'out', **SETTINGS)
    limits = export(open_checkpoint(tmp_path / 'out'), tmp_path / 'hf', 'huggingface')
    assert ('the windows of long texts', 'task.json') in [row[:2] for row in limits]
