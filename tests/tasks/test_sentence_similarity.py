"""Training of sentence vectors: files to a folder of sentence-transformers, and what is refused."""

import json
import shutil

import numpy as np
import pytest
from script_runs import tiny_folder, tokenizer  # noqa: F401 (fixtures)

import gluon_bert as gb
from gluon_bert.cli import main
from gluon_bert.metrics import evaluate_metrics
from gluon_bert.tasks.sentence_data import measure

NOUNS, VERBS = ('cat', 'dog', 'sun', 'moon'), ('sleeps', 'barks', 'here')
PAIRS = [(f'the {noun} {verb}', f'a {noun} {verb} !') for noun in NOUNS for verb in VERBS]
SCORED = [
    (*PAIRS[i], 5.0) if i % 3 == 0 else (PAIRS[i][0], PAIRS[-i][1], float(i % 3)) for i in range(12)
]
TEXTS = ['the cat sleeps', 'a dog barks', 'sun !']


def write_table(path, columns, rows):
    lines = ['\t'.join(map(str, row)) + '\n' for row in (columns, *rows)]
    path.write_text(''.join(lines))
    return path


@pytest.fixture
def files(tmp_path):
    triplets = [(*pair, PAIRS[-1 - number][1]) for number, pair in enumerate(PAIRS)]
    lines = tmp_path / 'lines.txt'
    lines.write_text('\n'.join(text for pair in PAIRS for text in pair) + '\n')
    return {
        'scored': write_table(tmp_path / 'scored.tsv', ('sentence1', 'sentence2', 'score'), SCORED),
        'pairs': write_table(tmp_path / 'pairs.tsv', ('anchor', 'positive'), PAIRS),
        'triplets': write_table(
            tmp_path / 'triplets.tsv', ('anchor', 'positive', 'negative'), triplets
        ),
        'lines': lines,
    }


@pytest.fixture
def train(tiny_folder, files, tmp_path):  # noqa: F811
    folder, _ = tiny_folder()

    def call(kind, dev='scored', name='out', **options):
        options = {
            'epochs': 1,
            'batch_size': 4,
            'max_len': 12,
            'learning_rate': 1e-3,
            'dev': files[dev] if dev else None,
            **options,
        }
        return gb.finetune(
            'sentence-similarity', folder, train=files[kind], output_dir=tmp_path / name, **options
        )

    return call


@pytest.mark.parametrize(
    'kind, dev, options, loss, metric',
    [
        ('scored', 'scored', {}, 'cosent(scale=20.0)', 'spearman'),
        ('scored', 'pairs', {'loss': 'cosine', 'score_range': (0, 5)}, 'cosine', 'mrr@10'),
        (
            'pairs',
            'pairs',
            {'symmetric': True, 'scale': 10.0},
            'multiple_negatives_ranking(scale=10.0, symmetric=True)',
            'mrr@10',
        ),
        (
            'triplets',
            'triplets',
            {'cache_size': 3, 'matryoshka': [8, 24]},
            'multiple_negatives_ranking(scale=20.0, symmetric=False, matryoshka=[24, 8])',
            'mrr@10',
        ),
        (
            'triplets',
            'scored',
            {'loss': 'triplet', 'margin': 1.0, 'pooling': 'cls+max', 'normalize': False},
            "triplet(distance='euclidean', margin=1.0)",
            'spearman',
        ),
        ('lines', 'scored', {}, 'simcse(scale=20.0, symmetric=False)', 'spearman'),
    ],
)
def test_every_loss_trains_to_a_folder_that_opens(train, kind, dev, options, loss, metric):
    done = train(kind, dev, **options)
    result = json.loads((done.folder.parent / 'result.json').read_text())
    assert result['identity']['options']['loss'] == loss
    assert next(iter(done.metrics['dev'])) == metric
    assert done.result.best_metrics[metric] == pytest.approx(done.metrics['dev'][metric])
    encoder = gb.SentenceEncoder(done.folder)
    modes = tuple(options.get('pooling', 'mean').split('+'))
    assert encoder.settings.modes == modes and encoder.max_length == 12
    assert len(encoder.settings.modules) == options.get('normalize', True)
    expected = done.pipeline.vectors(TEXTS)
    if options.get('normalize', True):
        expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    found = encoder.encode(TEXTS, normalize=options.get('normalize', True))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_the_best_epoch_learns_the_order(train):
    before = gb.SentenceEncoder(train('scored', epochs=1, learning_rate=1e-9).folder)
    scores = [row[2] for row in SCORED]

    def spearman(encoder):
        vectors = [encoder.encode([row[side] for row in SCORED]) for side in (0, 1)]
        return evaluate_metrics(['spearman'], scores, (vectors[0] * vectors[1]).sum(1))['spearman']

    done = train('scored', name='long', epochs=12)
    after = spearman(gb.SentenceEncoder(done.folder))
    assert after == pytest.approx(done.metrics['dev']['spearman'], abs=1e-6)
    assert after > max(0.8, spearman(before))
    log = (done.folder.parent / 'metrics.jsonl').read_text().splitlines()
    rows = [json.loads(line) for line in log]
    best = max(row['metrics']['spearman'] for row in rows if 'metrics' in row)
    assert best == pytest.approx(done.metrics['dev']['spearman'])


def test_a_killed_run_is_resumed_bit_equal(train, tmp_path, monkeypatch):
    options = {'epochs': 3, 'cache_size': 3, 'checkpoint_interval': 1}
    whole = train('pairs', 'pairs', **options)
    from gluon_bert.training import run as runs

    steps = []
    make_step = runs.TrainingRun.step

    def killed(self, batches):
        steps.append(1)
        if len(steps) == 6:
            raise KeyboardInterrupt
        return make_step(self, batches)

    with monkeypatch.context() as patch:
        patch.setattr(runs.TrainingRun, 'step', killed)
        with pytest.raises(KeyboardInterrupt):
            train('pairs', 'pairs', 'again', **options)
    assert not (tmp_path / 'again' / 'model').exists()
    resumed = train('pairs', 'pairs', 'again', resume=True, **options)
    name = 'model.safetensors'
    assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes()
    with pytest.raises(ValueError, match=r'loss: .*scale=20.0.* then, .*scale=5.0.* now'):
        train('pairs', 'pairs', 'again', resume=True, scale=5.0, **options)


def test_the_folder_keeps_what_the_model_says_of_itself(train, tmp_path):
    first = train('pairs', 'pairs', pooling='cls', normalize=False, max_len=9)
    second = gb.finetune(
        'sentence-similarity', first.folder, train=tmp_path / 'pairs.tsv', epochs=1, batch_size=4,
        output_dir=tmp_path / 'second',
    )  # fmt: skip
    settings = gb.SentenceEncoder(second.folder).settings
    assert (settings.modes, settings.modules, settings.max_length) == (('cls',), (), 9)


def test_a_trained_folder_opens_in_sentence_transformers(train):
    package = pytest.importorskip('sentence_transformers', reason='it opens the folder')
    done = train('scored', pooling='cls+mean')
    model = package.SentenceTransformer(str(done.folder), device='cpu')
    expected = gb.SentenceEncoder(done.folder).encode(TEXTS)
    np.testing.assert_allclose(model.encode(TEXTS), expected, atol=1e-5)
    card = (done.folder / 'README.md').read_text()
    assert "gb.SentenceEncoder('model')" in card and 'pipeline_tag: sentence-similarity' in card
    assert 'load_pipeline' not in card


def test_retrieval_is_measured_among_all_texts_of_the_file():
    groups = gb.data.TextGroups([('q', 'p', 'n'), ('q', 'r', 'n'), ('s', 't', 'p')], None, 'x')
    places = {'q': 0.0, 'p': 0.1, 'n': 0.2, 'r': 0.5, 's': 2.0, 't': 3.0}
    vectors = lambda texts: np.array(  # noqa: E731
        [[np.cos(places[text]), np.sin(places[text])] for text in texts], 'float32'
    )
    metrics, cosines = measure(groups, vectors)
    # q: p right, n, r right, t; s: t right.
    assert metrics['mrr@10'] == pytest.approx(1.0)
    assert metrics['recall@1'] == pytest.approx((0.5 + 1) / 2)
    gain = (1 + 1 / np.log2(4)) / (1 + 1 / np.log2(3))
    assert metrics['ndcg@10'] == pytest.approx((gain + 1) / 2)
    np.testing.assert_allclose(cosines, np.cos([0.1, 0.5, 1.0]), atol=1e-6)


EQUAL = [('the cat', 'the cat'), ('a dog', 'a dog')]


@pytest.mark.parametrize(
    'columns, rows, options, part',
    [
        (('anchor', 'positive'), EQUAL, {}, 'the first two texts are equal in every example'),
        (('anchor', 'positive'), PAIRS[:1], {}, 'expected two or more with different texts'),
        (
            ('anchor', 'positive'),
            PAIRS,
            {'loss': 'triplet'},
            'has 2 texts in each example; the loss',
        ),
        (
            ('anchor', 'positive'),
            PAIRS,
            {'loss': 'cosent'},
            'no column has a usual name for a score',
        ),
        (('left', 'right'), PAIRS, {}, 'no columns have usual names'),
        (
            ('sentence1', 'sentence2', 'score'),
            [(*pair, 1) for pair in PAIRS],
            {},
            'all scores are equal: there is no order to learn',
        ),
        (
            ('sentence1', 'sentence2', 'score'),
            SCORED,
            {'loss': 'cosine'},
            'score_range: is needed: ',
        ),
        (
            ('sentence1', 'sentence2', 'score'),
            SCORED,
            {'score_range': (0, 4)},
            "table.tsv:2: score '5.0' is not allowed: it must be from 0 to 4",
        ),
        (
            ('anchor', 'positive'),
            PAIRS,
            {'score_range': (4, 0)},
            'score_range=4,0: expected LOW,HIGH',
        ),
        (('anchor', 'positive'), PAIRS, {'loss': 'cosen'}, "did you mean 'cosent'"),
        (('anchor', 'positive'), PAIRS, {'margin': 2.0}, 'margin=2.0: goes with the loss triplet'),
        (('anchor', 'positive'), PAIRS, {'pooling': 'meen'}, 'pooling=meen: expected one of cls'),
        (('anchor', 'positive'), PAIRS, {'matryoshka': [8, 99]}, 'matryoshka=99: the vectors have'),
        (('anchor', 'positive'), PAIRS, {'max_len': 600}, 'max_len=600: expected 3 to'),
        (('text',), [('the cat',)] * 4, {}, 'expected two or more with different texts'),
    ],
)
def test_what_cannot_be_trained_on_is_refused(
    tiny_folder,  # noqa: F811
    tmp_path,
    columns,
    rows,
    options,
    part,
):
    path = write_table(tmp_path / 'table.tsv', columns, rows)
    with pytest.raises(ValueError) as caught:
        gb.finetune(
            'sentence-similarity', tiny_folder()[0], train=path, output_dir=tmp_path / 'out',
            **options,
        )  # fmt: skip
    assert part in str(caught.value)
    assert not any((tmp_path / 'out').glob('*'))


@pytest.mark.parametrize(
    'columns, rows, part',
    [
        (('text',), [('the cat',), ('a dog',)], 'expected pairs to evaluate on'),
        (('anchor', 'positive'), PAIRS[:1], 'there is one text to search in'),
        (
            ('sentence1', 'sentence2', 'score'),
            [(*pair, 1) for pair in PAIRS],
            'all scores are equal: no order can be measured',
        ),
    ],
)
def test_what_cannot_be_evaluated_on_is_refused(train, files, tmp_path, columns, rows, part):
    files['other'] = write_table(tmp_path / 'dev.tsv', columns, rows)
    with pytest.raises(ValueError, match=part):
        train('pairs', 'other')


def test_several_devices_are_refused(train):
    import mxnet as mx

    with pytest.raises(ValueError, match='2 devices would share each batch'):
        train('pairs', ctx=[mx.cpu(0), mx.cpu(1)])


def test_a_folder_of_something_else_is_not_replaced(train, tmp_path):
    (tmp_path / 'out' / 'model').mkdir(parents=True)
    (tmp_path / 'out' / 'model' / 'mine').write_text('x')
    with pytest.raises(ValueError, match='is there, and is not of a run'):
        train('pairs', overwrite=True)
    assert (tmp_path / 'out' / 'model' / 'mine').exists()
    shutil.rmtree(tmp_path / 'out')
    train('pairs')
    with pytest.raises(ValueError, match='resume'):
        train('pairs')
    assert (train('pairs', overwrite=True).folder / 'modules.json').is_file()


def test_from_the_command_line(tiny_folder, files, tmp_path, capsys):  # noqa: F811
    folder, _ = tiny_folder()
    out = tmp_path / 'out'
    arguments = [
        'train', 'sentence-similarity', '--model', folder, '--train_file', files['scored'],
        '--dev_file', files['scored'], '--score_range', '0,5', '--matryoshka', '24,8',
        '--epochs', 1, '--batch_size', 4, '--max_len', 12, '--output_dir', out,
    ]  # fmt: skip
    assert main([*map(str, arguments)]) == 0
    assert capsys.readouterr().out == f'{out / "model"}\n'
    assert main(['embed', str(out / 'model'), 'the cat', '--output', str(tmp_path / 'v.npy')]) == 0
    assert np.load(tmp_path / 'v.npy').shape == (1, 24)
    lines = (out / 'dev_cosines.tsv').read_text().splitlines()
    assert lines[0] == 'index\tcosine' and len(lines) == 13
    wrong = [*arguments[:6], '--loss', 'triplet', '--overwrite', '--output_dir', out]
    assert main([*map(str, wrong)]) == 2
    assert 'has 2 texts in each example' in capsys.readouterr().err.splitlines()[-1]
