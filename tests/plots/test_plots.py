"""Pictures: what they hold, that nothing overlaps, and what is refused."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest

from gluon_bert import plots
from gluon_bert.data import Question, build_windows
from gluon_bert.plots import labels, style
from gluon_bert.plots.curves import count_from_one
from gluon_bert.plots.highlight import num_lines, runs_of, set_text

SVG = '{http://www.w3.org/2000/svg}'
ROWS = [
    {'step': 10, 'epoch': 0, 'loss': 0.7, 'learning_rate': 2e-4},
    {'step': 20, 'epoch': 0, 'metrics': {'accuracy': 0.5, 'f1': 0.4}},
    {'step': 40, 'epoch': 1, 'metrics': {'accuracy': 0.8, 'f1': 0.9}},
]
TEXTS = ['rain', 'heavy rain', r'a $\frac$ of shares', 'stocks\tand\nbonds', 'x' * 300]


def texts_of(path):
    """The comments in which Matplotlib writes what a text in an SVG says."""
    parser = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))
    tree = ElementTree.parse(path, parser)
    return [node.text.strip() for node in tree.iter() if node.tag is ElementTree.Comment]


def attention(num_layers=2, num_heads=3, tokens=('[CLS]', 'rain', '[SEP]', 'sun', '[SEP]')):
    shares = np.random.dirichlet(np.ones(len(tokens)), (num_layers, num_heads, len(tokens)))
    return plots.Attention(list(tokens), shares, 3)


def draw(kind, path):
    vectors = np.random.RandomState(0).randn(len(TEXTS), 8)
    answers = [plots.AnswerSpan(4, 8, 0.7), plots.AnswerSpan(0, 0, 0.2)]
    {
        'attention': lambda: plots.plot_attention(attention(), path),
        'layer': lambda: plots.plot_attention(attention(), path, layer=-1),
        'head': lambda: plots.plot_attention(attention(), path, 0, 2),
        'map': lambda: plots.plot_map(vectors, TEXTS, path, ['a', 'a', 'b', 'b', 'c']),
        'similarity': lambda: plots.plot_similarity(
            vectors, TEXTS, path, ['a', 'a', 'b', 'b', 'c']
        ),
        'training': lambda: plots.plot_training(ROWS, path),
        'runs': lambda: plots.plot_runs({'a': ROWS, 'b': ROWS[:2]}, path, 'two runs'),
        'confusion': lambda: plots.plot_confusion(np.eye(3, dtype=int), ['a', 'b', 'c'], path),
        'answer': lambda: plots.plot_answer('What?', 'The rain falls.', answers, path),
        'entities': lambda: plots.plot_entities(
            'Ada in Rome', [(0, 3, 'person'), (7, 11, 'place')], path
        ),
    }[kind]()


KINDS = (
    'attention',
    'layer',
    'head',
    'map',
    'similarity',
    'training',
    'runs',
    'confusion',
    'answer',
    'entities',
)


@pytest.mark.parametrize('kind', KINDS)
def test_svg_is_whole_and_the_same_each_time(kind, tmp_path):
    for name in ('a.svg', 'b.svg'):
        np.random.seed(0)
        draw(kind, tmp_path / name)
    assert ElementTree.parse(tmp_path / 'a.svg').getroot().tag == f'{SVG}svg'
    assert (tmp_path / 'a.svg').read_bytes() == (tmp_path / 'b.svg').read_bytes()


@pytest.mark.parametrize('suffix, begin', [('.PNG', b'\x89PNG'), ('.pdf', b'%PDF')])
def test_the_suffix_decides(suffix, begin, tmp_path):
    draw('training', tmp_path / f'a{suffix}')
    assert (tmp_path / f'a{suffix}').read_bytes().startswith(begin)


@pytest.mark.parametrize('kind', KINDS)
def test_other_suffixes_and_folders_are_refused(kind, tmp_path):
    with pytest.raises(ValueError, match=r'a\.gif: expected a name that ends in \.png, \.svg or'):
        draw(kind, tmp_path / 'a.gif')
    with pytest.raises(FileNotFoundError, match='no such folder'):
        draw(kind, tmp_path / 'none' / 'a.png')
    assert not list(tmp_path.iterdir())


def test_attention_is_that_of_the_model(real_model, tmp_path):
    from gluon_bert.zoo import get_tokenizer

    tokenizer = get_tokenizer('bert_6_384_12', 'all_minilm_l6_v2')
    found = plots.attention_of(real_model[0], tokenizer, 'Rain falls.', 'Sun')
    assert found.tokens == ['[CLS]', 'rain', 'falls', '.', '[SEP]', 'sun', '[SEP]']
    assert found.probabilities.shape == (6, 12, 7, 7)
    assert found.num_first == 5
    assert np.allclose(found.probabilities.sum(axis=-1), 1, atol=1e-5)


def test_layer_outputs_without_attentions_are_the_same(make_model, ragged, tiny_config):
    model, batch = make_model(), ragged(tiny_config, [5, 9]).arrays()
    whole, quick = model.layer_outputs(*batch), model.layer_outputs(*batch, attentions=False)
    assert quick.attentions == []
    for one, other in zip(whole.encodings, quick.encodings):
        assert np.array_equal(one.asnumpy(), other.asnumpy())


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(layer=2), 'layer 2 is not in the model, which has layers 0 to 1, or -2 to -1'),
        (dict(head=-4), 'head -4 is not in the model'),
    ],
)
def test_layers_and_heads_out_of_range(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        plots.plot_attention(attention(), tmp_path / 'a.png', **options)


def test_pca_is_that_of_the_covariance():
    vectors = np.random.RandomState(1).randn(30, 6) * [5, 3, 1, 1, 1, 1]
    found = plots.project(vectors)
    values = np.linalg.eigvalsh(np.cov(vectors.T))[::-1]
    assert np.allclose(found.points.var(axis=0, ddof=1), values[:2])
    assert f'({values[0] / values.sum():.0%} of the variance)' in found.axes[0]


def test_tsne_keeps_neighbours_and_its_seed():
    centres = np.repeat(np.eye(3) * 50, 8, axis=0)
    vectors = centres + np.random.RandomState(0).randn(24, 3)
    points = plots.project(vectors, 'tsne', seed=3).points
    assert np.array_equal(points, plots.project(vectors, 'tsne', seed=3).points)
    nearest = np.linalg.norm(points[:, None] - points, axis=-1).argsort(axis=1)[:, 1]
    assert (nearest // 8 == np.arange(24) // 8).all()


@pytest.mark.parametrize(
    'vectors, options, message',
    [
        (np.eye(1), {}, 'a map by pca needs 2 texts or more, got 1'),
        (np.eye(3), dict(method='tsne'), 'a map by tsne needs 4 texts or more, got 3'),
        (np.eye(3), dict(method='umap'), "method='umap': expected one of"),
        (np.eye(3), dict(groups=['a']), 'groups has 1 entries for 3 vectors'),
    ],
)
def test_maps_that_cannot_be(vectors, options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        plots.plot_map(vectors, ['a'] * len(vectors), tmp_path / 'a.png', **options)


def test_the_same_text_twice_is_a_map(tmp_path):
    plots.plot_map(np.ones((2, 4)), ['rain', 'rain'], tmp_path / 'a.svg')
    assert texts_of(tmp_path / 'a.svg').count('rain') == 2


@pytest.mark.parametrize('number', [20, 90])
def test_labels_do_not_overlap(number):
    rng = np.random.RandomState(number)
    points, sizes = rng.rand(number, 2) * [600, 380], rng.rand(number, 2) * [20, 4] + [10, 9]
    corners = labels.place_labels(points, sizes, (-40, -20, 640, 400))
    boxes = [(*corner, *np.add(corner, size)) for corner, size in zip(corners, sizes) if corner]
    assert len(boxes) == number
    for place, box in enumerate(boxes):
        assert not any(labels._meet(box, other, 0) for other in boxes[:place])
        assert not any(box[0] < x < box[2] and box[1] < y < box[3] for x, y in points)


def test_many_texts_are_numbered_and_listed(tmp_path):
    texts = [f'text {number}' for number in range(50)]
    plots.plot_map(np.random.RandomState(0).randn(50, 4), texts, tmp_path / 'a.svg')
    written = texts_of(tmp_path / 'a.svg')
    assert {*texts, '1', '50'} <= {*written}


def test_similar_texts_stand_side_by_side(tmp_path):
    vectors = np.array([[1, 0], [0, 1], [1, 0.1], [0.1, 1]])
    found = plots.plot_similarity(vectors, list('abcd'), tmp_path / 'a.svg')
    assert np.allclose(np.diag(found), 1)
    order = [
        text[0]
        for text in texts_of(tmp_path / 'a.svg')
        if text[:1] in {*'abcd'} and text[1:3] == '  '
    ]
    assert {*order[:2]} in ({'a', 'c'}, {'b', 'd'})
    with pytest.raises(ValueError, match='needs 2 to 200 texts, got 1'):
        plots.plot_similarity(vectors[:1], ['a'], tmp_path / 'b.svg')


def write_rows(folder, *lines):
    (folder / 'metrics.jsonl').write_text('\n'.join(lines), encoding='utf-8')
    return folder


def test_metrics_are_read_and_a_cut_last_line_left_out(tmp_path):
    lines = [json.dumps(row) for row in ROWS]
    assert plots.read_metrics(write_rows(tmp_path, *lines, '{"step": 5')) == ROWS


@pytest.mark.parametrize(
    'lines, message',
    [
        ([], 'has no rows'),
        (['{"step": 1', '{}'], r'metrics\.jsonl:1: is not a row'),
        (['[1]', ''], 'expected an object'),
        (['{"step": 1, "loss": "a"}', ''], "'loss' is not a number"),
        (['{"step": 1}', ''], "has no 'loss'"),
        (['{"step": 1, "epoch": 0, "metrics": {"f1": NaN}}', ''], "'f1' is not a number"),
    ],
)
def test_metrics_that_are_none(lines, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        plots.read_metrics(write_rows(tmp_path, *lines))


@pytest.mark.parametrize('rows', [[], ROWS[:1], ROWS[1:2]])
def test_a_training_that_has_just_begun(rows, tmp_path):
    plots.plot_training(rows, tmp_path / 'a.png')
    assert (tmp_path / 'a.png').stat().st_size


def test_epochs_count_from_one_in_old_logs_too():
    old = [{'step': 1, 'epoch': 0, 'loss': 1.0}, {'step': 2, 'epoch': 1, 'metrics': {'f1': 0.5}}]
    new = [{**row, 'epoch': row['epoch'] + 1} for row in old]
    assert count_from_one(old) == count_from_one(new) == new
    assert count_from_one([{'step': 1, 'loss': 1.0}]) == [{'step': 1, 'loss': 1.0}]


@pytest.mark.parametrize('num_runs', [1, 2])
@pytest.mark.parametrize(
    'epoch, label', [(1, 'epoch (ring: best epoch)'), (0, 'optimizer step (ring: best one)')]
)
def test_evaluations_by_steps_are_drawn_over_steps(num_runs, epoch, label, tmp_path):
    rows = [*ROWS[:2], {**ROWS[2], 'epoch': epoch}]
    runs = dict.fromkeys('ab'[:num_runs], rows)
    plots.plot_runs(runs, tmp_path / 'a.svg')
    texts = texts_of(tmp_path / 'a.svg')
    assert label in texts
    assert ('30' in texts) == (epoch == 0)  # a tick between steps 20 and 40


def test_confusion_has_counts_and_shares(tmp_path):
    plots.plot_confusion([[3, 1], [0, 4]], ['no', 'yes'], tmp_path / 'a.svg')
    assert {'3', '75%', '25%', '100%', '7 of 8 right (87.5%)', 'no  (4)'} <= {
        *texts_of(tmp_path / 'a.svg')
    }


@pytest.mark.parametrize(
    'matrix, names, message',
    [
        ([[1, 2]], ['a'], r'shape \(1, 2\) for 1 labels'),
        ([[0]], ['a'], 'counts that are not all 0'),
        ([[1, -1], [0, 1]], ['a', 'b'], 'expected counts'),
    ],
)
def test_matrices_that_are_none(matrix, names, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        plots.plot_confusion(matrix, names, tmp_path / 'a.png')


def monospaced(text, size, weight='normal'):
    return size * len(text)


def test_lines_are_broken_and_marks_kept():
    text = 'one two three\nfour ' + 'x' * 25
    pieces = set_text(text, [place // 5 for place in range(len(text))], 10, monospaced, 1)
    assert all(piece.x >= 0 and piece.x + piece.width <= 10 for piece in pieces)
    assert ''.join(text[piece.start : piece.end] for piece in pieces).replace(' ', '') == (
        text.replace(' ', '').replace('\n', '')
    )
    assert num_lines(pieces) == 6
    chinese = set_text('一二三四、五', [0] * 6, 4, monospaced, 1)
    assert [piece.line for piece in chinese] == [0, 0, 0, 1, 1]  # '四、' is not parted


def test_an_entity_over_two_lines_has_a_ground_in_both():
    pieces = set_text('aaaa bbbb', [1] * 9, 5, monospaced, 1)
    assert [run[1:4] for run in runs_of(pieces)] == [[0, 0.0, 4], [1, 0.0, 4]] or [
        run[1] for run in runs_of(pieces)
    ] == [0, 1]


@pytest.mark.parametrize(
    'spans, message',
    [([(0, 99, 'a')], 'is not within the text'), ([(0, 3, 'a'), (2, 5, 'b')], 'overlaps')],
)
def test_entities_out_of_place(spans, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        plots.plot_entities('Ada in Rome', spans, tmp_path / 'a.png')


@pytest.mark.parametrize(
    'answers, message',
    [
        ([], 'answers is empty'),
        ([plots.AnswerSpan(2, 99, 0.5)], 'is not within the context'),
        ([plots.AnswerSpan(0, 2, 1.5)], 'is not within'),
    ],
)
def test_answers_out_of_place(answers, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        plots.plot_answer('Who?', 'Ada in Rome', answers, tmp_path / 'a.png')


def test_token_probabilities_count_each_token_once():
    from tiny_zoo import tokenizer

    words = [f'word{number}' for number in range(12)]
    question = Question('a', 'word1', ' '.join(words), (), False)
    windows = build_windows([question], tokenizer(), max_seq_length=10, doc_stride=3)
    assert len(windows) > 2
    scores = [np.zeros((len(feature.inputs), 2)) for feature in windows.features()]
    found = plots.token_probabilities(windows, scores)
    assert [question.context[begin:end] for begin, end in found.offsets] == words
    assert np.allclose(found.starts, 1 / 13) and np.allclose(found.ends, 1 / 13)


@pytest.mark.parametrize(
    'rows, message',
    [
        (
            [{'text': 'Rom', 'probability': 0.5}, {'text': 'Oslo', 'probability': 0.5}],
            'does not occur in the paragraph',
        ),
        ([{'text': 'Rome'}], 'malformed'),
        ([], 'has no candidates'),
    ],
)
def test_predictions_that_do_not_belong(rows, message, tmp_path):
    path = tmp_path / 'nbest.json'
    path.write_text(json.dumps({'q': rows}), encoding='utf-8')
    with pytest.raises(ValueError, match=message):
        plots.answers_of_file(path, Question('q', 'Where?', 'Ada in Rome', (), False))


def test_characters_without_a_font_are_told(tmp_path):
    with pytest.warns(UserWarning, match=r'no installed font has 1 of the .* \(U\+10FFF0\)'):
        plots.plot_entities('Ada \U0010fff0', [(0, 3, 'a')], tmp_path / 'a.svg')
    assert style.MISSING in texts_of(tmp_path / 'a.svg')
    for font, message in ((tmp_path / 'a.svg', 'is not a font'), (tmp_path / 'none', 'no such')):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            plots.plot_entities('Ada', [], tmp_path / 'b.svg', font=font)


@pytest.mark.parametrize(
    'text, width, short',
    [
        ('a long text', 20, 'a long text'),
        ('a long text', 7, 'a long…'),
        ('a \n b', 9, 'a b'),
        ('今天天气很好', 7, '今天天…'),
        ('今天天气很好', 12, '今天天气很好'),
    ],
)
def test_shortened_texts_have_room(text, width, short):
    assert style.shorten(text, width) == short
    assert style.columns_of(short) <= width
