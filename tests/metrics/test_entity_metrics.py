"""Entity scores: those of seqeval, or of a plain count where that is not installed."""

import random

import pytest

from gluon_bert.data import read_tagged, tag_spans
from gluon_bert.metrics.entities import entity_report, format_entity_report

SUBMISSIONS = ['uh_ritual', 'sjtu_adapt.txt', 'arcada']


def plain_spans(tags):
    """Entities of IOB2 tags, counted in the plainest way."""
    found, start = set(), None
    for place, tag in enumerate([*tags, 'O']):
        if start is not None and tag != f'I-{tags[start][2:]}':
            found.add((start, place, tags[start][2:]))
            start = None
        if tag != 'O' and start is None:
            start = place
    return found


def plain_counts(gold, predicted):
    """Type -> (meant, found, both)."""
    counts = {}
    for tags, guesses in zip(gold, predicted):
        meant, found = plain_spans(tags), plain_spans(guesses)
        for kind in {span[2] for span in meant | found}:
            own = [
                sum(span[2] == kind for span in spans) for spans in (meant, found, meant & found)
            ]
            counts[kind] = [a + b for a, b in zip(counts.get(kind, [0, 0, 0]), own)]
    return counts


def wnut(folder, name):
    folder = folder / 'ner' / 'wnut17'
    gold = read_tagged(folder / 'emerging.test.annotated')
    other = read_tagged(folder / 'submissions' / name, scheme='IOB2')
    return ([sentence.tags for sentence in file.sentences] for file in (gold, other))


@pytest.mark.data
@pytest.mark.parametrize('name', SUBMISSIONS)
def test_submissions_are_counted_as_by_a_plain_count(shared_data, name):
    gold, predicted = wnut(shared_data, name)
    report = entity_report(gold, predicted)
    assert {row.name: [*row[1:]] for row in report.by_type} == plain_counts(gold, predicted)
    assert report.overall.num_gold == 1079
    assert report.overall[1:] == tuple(map(sum, zip(*(row[1:] for row in report.by_type))))


# By seqeval 1.2.2: precision, recall, F1 of all entities, and the F1 of each type.
FIGURES = {
    'uh_ritual': (
        (0.5753646677471637, 0.3290083410565338, 0.4186320754716981),
        {
            'corporation': 0.2654867256637168,
            'creative-work': 0.12790697674418602,
            'group': 0.24137931034482762,
            'location': 0.5285714285714285,
            'person': 0.586630286493861,
            'product': 0.14457831325301204,
        },
    ),
    'sjtu_adapt.txt': (
        (0.5020632737276479, 0.3382761816496756, 0.40420819490586934),
        {
            'corporation': 0.2905982905982906,
            'creative-work': 0.04081632653061224,
            'group': 0.248,
            'location': 0.42979942693409745,
            'person': 0.5921052631578948,
            'product': 0.1530054644808743,
        },
    ),
    'arcada': (
        (0.47395171537484115, 0.3456904541241891, 0.3997856377277599),
        {
            'corporation': 0.18604651162790697,
            'creative-work': 0.15053763440860216,
            'group': 0.23529411764705882,
            'location': 0.4738461538461538,
            'person': 0.5588235294117647,
            'product': 0.1627906976744186,
        },
    ),
}


@pytest.mark.data
@pytest.mark.parametrize('name', SUBMISSIONS)
def test_submissions_have_the_figures_of_seqeval(shared_data, name):
    gold, predicted = wnut(shared_data, name)
    report = entity_report(gold, predicted)
    overall, by_type = FIGURES[name]
    assert (report.overall.precision, report.overall.recall, report.overall.f1) == pytest.approx(
        overall, abs=1e-12
    )
    assert {row.name: row.f1 for row in report.by_type} == pytest.approx(by_type, abs=1e-12)


def random_tags(rng, letters, length):
    return [
        rng.choice(['O', *(f'{letter}-{kind}' for letter in letters for kind in 'xy')])
        for _ in range(length)
    ]


@pytest.mark.parametrize(
    'scheme, letters',
    [(None, 'BI'), (None, 'BIES'), ('IOB2', 'BI'), ('IOBES', 'BIES'), ('BILOU', 'BILU')],
)
def test_any_tags_are_counted_as_seqeval_counts_them(scheme, letters, seed):
    metrics = pytest.importorskip('seqeval.metrics', reason='needs seqeval')
    schemes = pytest.importorskip('seqeval.scheme')
    rng = random.Random(seed)
    gold, predicted = (
        [random_tags(rng, letters, 1 + number % 7) for number in range(300)] for _ in range(2)
    )
    options = {'mode': 'strict', 'scheme': getattr(schemes, scheme)} if scheme else {}
    expected = metrics.classification_report(
        gold, predicted, output_dict=True, zero_division=0, **options
    )
    report = entity_report(gold, predicted, scheme)
    rows = {row.name: row for row in report.by_type}
    for name, row in [*rows.items(), ('micro avg', report.overall)]:
        assert (row.precision, row.recall, row.f1, row.num_gold) == pytest.approx(
            [expected[name][key] for key in ('precision', 'recall', 'f1-score', 'support')]
        )
    assert report.macro_f1 == pytest.approx(expected['macro avg']['f1-score'])
    assert report.accuracy == pytest.approx(metrics.accuracy_score(gold, predicted))


@pytest.mark.parametrize(
    'tags, expected',
    [
        (['I-x', 'I-x', 'I-y'], [(0, 2, 'x'), (2, 3, 'y')]),
        (['B-x', 'B-x', 'O', 'I-x'], [(0, 1, 'x'), (1, 2, 'x'), (3, 4, 'x')]),
        (['S-x', 'M-x', 'E-x', 'E-x'], [(0, 1, 'x'), (1, 3, 'x'), (3, 4, 'x')]),
        ([], []),
    ],
)
def test_broken_sequences_are_read_as_conlleval_reads_them(tags, expected):
    assert tag_spans(tags) == expected


@pytest.mark.parametrize(
    'scheme, tags, expected',
    [
        ('IOB2', ['I-x', 'O', 'B-y', 'I-x'], [(2, 3, 'y')]),
        ('BMES', ['B-x', 'O', 'B-x', 'E-x', 'M-x', 'E-x'], [(2, 4, 'x')]),
        ('IOB1', ['B-x', 'O', 'I-x', 'B-x'], [(2, 3, 'x'), (3, 4, 'x')]),
    ],
)
def test_strict_mode_leaves_broken_entities_out(scheme, tags, expected):
    assert tag_spans(tags, scheme) == expected


@pytest.mark.parametrize(
    'gold, predicted, expected, accuracy',
    [
        # tag -> gold, predicted, right
        ('N V N', 'N N V', {'N': (2, 2, 1), 'V': (1, 1, 0)}, 1 / 3),
        ('B-x I-x O', 'B-x I-x B-x', {'B-x': (1, 2, 1), 'I-x': (1, 1, 1), 'O': (1, 0, 0)}, 2 / 3),
        ('N N', 'X Y', {'N': (2, 0, 0), 'X': (0, 1, 0), 'Y': (0, 1, 0)}, 0),
    ],
)
def test_words_are_counted_by_plain_tags(gold, predicted, expected, accuracy):
    report = entity_report([gold.split(), []], [predicted.split(), []], 'PLAIN')
    assert {row.name: row[1:] for row in report.by_type} == expected
    assert report.accuracy == report.overall.f1 == pytest.approx(accuracy)
    assert format_entity_report(report, 'words').split()[:5] == [
        'type', 'precision', 'recall', 'f1', 'words',
    ]  # fmt: skip


@pytest.mark.parametrize('scheme', [None, 'IOB2'])
def test_entities_without_type_are_counted_together(scheme):
    report = entity_report([['B', 'I', 'O', 'B']], [['B', 'I', 'B', 'I']], scheme)
    assert [row[:4] for row in report.by_type] == [('', 2, 2, 1)]
    assert (report.overall.f1, report.accuracy) == (0.5, 0.5)


def test_nothing_found_scores_zero():
    report = entity_report([['O', 'B-x']], [['O', 'O']])
    assert (report.overall.precision, report.overall.recall, report.overall.f1) == (0, 0, 0)
    assert entity_report([], []).overall.f1 == entity_report([], []).macro_f1 == 0
    assert format_entity_report(report).splitlines()[-1].split()[0] == 'all'


@pytest.mark.parametrize(
    'gold, predicted, message',
    [
        ([['O']], [], '1 sentences, predicted has 0'),
        ([['O'], ['O', 'O']], [['O'], ['O']], 'sentence 1: gold has 2 tags, predicted has 1'),
    ],
)
def test_other_sentences_are_refused(gold, predicted, message):
    with pytest.raises(ValueError, match=message):
        entity_report(gold, predicted)
