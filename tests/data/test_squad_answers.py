"""Answers from scores, by the rules of Google's code, and their evaluation."""

import json
import math

import numpy as np
import pytest

from gluon_bert.data import Answer, BertTokenizer, Question, build_windows, read_squad, read_vocab
from gluon_bert.data.squad.answers import find_answers
from gluon_bert.metrics.squad import evaluate_squad

LETTERS = 'a b c d e f g h'


@pytest.fixture
def tokenizer(tmp_path):
    path = tmp_path / 'vocab.txt'
    path.write_text(
        '\n'.join(
            [
                '[UNK]',
                '[PAD]',
                '[CLS]',
                '[SEP]',
                '[MASK]',
                *LETTERS.split(),
                '中',
                '国',
                '人',
                '。',
                "'",
                's',
                '##s',
                'cafe',
            ]
        ),
        encoding='utf-8',
    )
    return BertTokenizer(read_vocab(path))


@pytest.fixture
def answers(tokenizer):
    """Find answers where some tokens of the paragraph have high scores."""

    def call(
        starts, ends, context=LETTERS, null=(0.0, 0.0), max_seq_length=40, doc_stride=2, **options
    ):
        questions = [Question('q', 'h', context, (), False)]
        windows = build_windows(questions, tokenizer, max_seq_length, doc_stride)
        scores = []
        for first, begin, feature in zip(windows.first_token, windows.start, windows.features()):
            logits = np.full((feature.valid_length, 2), -10.0, 'float32')
            logits[0] = null
            for column, high in enumerate((starts, ends)):
                for token, value in high.items():
                    if 0 <= token - begin < feature.valid_length - first - 1:
                        logits[first + token - begin, column] = value
            scores.append(logits)
        return find_answers(questions, windows, scores, **options)[0]

    return call


def test_best_pair_wins_and_probabilities_are_those_of_the_candidates(answers):
    found = answers({1: 5, 3: 4}, {2: 5, 4: 1}, n_best_size=3)
    assert found.text == found.best_text == 'b c' and found.null_odds is None
    assert [(c.text, c.start_logit, c.end_logit) for c in found.candidates] == [
        ('b c', 5, 5),
        ('b c d e', 5, 1),
        ('d e', 4, 1),
    ]
    weights = [math.exp(score) for score in (10, 6, 5)]
    assert [c.probability for c in found.candidates] == pytest.approx(
        [weight / sum(weights) for weight in weights]
    )


@pytest.mark.parametrize(
    'starts, ends, options, text',
    [
        ({3: 5, 1: 4}, {2: 5}, {}, 'b c'),  # ends before it starts
        ({0: 5, 2: 4}, {3: 5}, {'max_answer_length': 3}, 'c d'),  # too long
        ({0: 5}, {2: 5}, {'max_answer_length': 3}, 'a b c'),
        ({4: 5, 1: 2}, {2: 5, 6: 3}, {'n_best_size': 2}, 'e f g'),
        ({4: 5, 1: 2}, {2: 5, 6: 3, 7: 4}, {'n_best_size': 2}, 'e f g h'),
    ],
)
def test_pairs_that_are_no_answer_are_left_out(answers, starts, ends, options, text):
    assert answers(starts, ends, **options).text == text


def test_start_counts_only_in_the_window_with_most_context(tokenizer):
    questions = [Question('q', 'h', LETTERS, (), False)]
    windows = build_windows(questions, tokenizer, max_seq_length=10, doc_stride=2)
    assert windows.start.tolist() == [0, 2]
    scores = [np.full((10, 2), -10.0) for _ in range(2)]
    scores[1][3] = 9  # token 2, at the border of the second window
    scores[1][3 + 4] = 5  # token 6, which is in the second window alone
    found = find_answers(questions, windows, scores)[0]
    assert found.text == 'g'
    assert 9 not in {candidate.start_logit for candidate in found.candidates}


def test_equal_texts_are_one_candidate_and_question_is_no_answer(answers):
    found = answers({0: 5, 2: 4}, {0: 5, 2: 4}, context='a b a', n_best_size=20)
    assert [c.text for c in found.candidates][:2] == ['a', 'a b a']
    assert len({c.text for c in found.candidates}) == len(found.candidates)


@pytest.mark.parametrize(
    'null, threshold, text, odds',
    [((2, 3), 0, 'b', -4), ((5, 6), 0, '', 2), ((5, 6), 2, 'b', 2), ((2, 3), -5, '', -4)],
)
def test_no_answer_above_the_threshold(answers, null, threshold, text, odds):
    found = answers({1: 5}, {1: 4}, null=null, version_2=True, null_score_diff_threshold=threshold)
    assert (found.text, found.best_text, found.null_odds) == (text, 'b', odds)
    empty = next(c for c in found.candidates if c.text == '')
    assert (empty.start_logit, empty.end_logit) == null
    assert sum(c.probability for c in found.candidates) == pytest.approx(1)


def test_no_answer_has_the_score_of_the_window_where_it_is_lowest(tokenizer):
    questions = [Question('q', 'h', LETTERS, (), False)]
    windows = build_windows(questions, tokenizer, max_seq_length=10, doc_stride=2)
    scores = [np.zeros((10, 2)), np.zeros((10, 2))]
    scores[0][0], scores[1][0] = (4, 4), (5, 1)
    assert find_answers(questions, windows, scores, version_2=True)[0].null_odds == 6


@pytest.mark.parametrize('version_2', [False, True])
@pytest.mark.parametrize('context', ['', LETTERS], ids=['empty paragraph', 'no pair'])
def test_no_candidate_is_no_answer(answers, context, version_2):
    found = answers({7: 9}, {0: 9}, context, null=(3, 1), n_best_size=1, version_2=version_2)
    assert found.text == found.best_text == ''
    assert found.null_odds == (4 if version_2 else None)
    assert [c.text for c in found.candidates] == [''] * version_2


@pytest.mark.parametrize(
    'context, first, last, text',
    [
        ('中国  人。', 0, 1, '中国'),
        ('Café\u0301  A\tb', 0, 1, 'Café\u0301  A'),
        ("A's  B", 0, 2, "A's"),
    ],
)
def test_text_is_as_it_stands_in_the_paragraph(answers, context, first, last, text):
    assert answers({first: 5}, {last: 5}, context).text == text


def test_scores_that_do_not_fit_are_told(tokenizer):
    questions = [Question('q', 'h', LETTERS, (), False)]
    windows = build_windows(questions, tokenizer)
    with pytest.raises(ValueError, match='0 arrays for 1 windows'):
        find_answers(questions, windows, [])
    with pytest.raises(ValueError, match='n_best_size=0'):
        find_answers(questions, windows, [np.zeros((12, 2))], n_best_size=0)


# ------------------------------------------------------------------------------------ figures


@pytest.mark.data
@pytest.mark.parametrize(
    'name',
    [
        'v1.1-BERT-ensemble-GoogleAI',
        'v2.0-BERT-single-GoogleAI',
        'v1.1-logistic-regression-baseline',
    ],
)
def test_published_predictions_get_their_official_figures(shared_data, name):
    folder = shared_data / 'squad'
    reference = json.loads((folder / 'predictions' / 'reference_eval.json').read_text())[
        f'{name}.json'
    ]
    questions = read_squad(folder / reference.pop('data')).questions
    predictions = json.loads((folder / 'predictions' / f'{name}.json').read_text())
    del reference['evaluator']
    metrics = evaluate_squad(questions, predictions, version_2=name.startswith('v2'))
    assert {key: metrics[key] for key in reference} == pytest.approx(reference, abs=1e-9)


def asked(*texts, number=0):
    return Question(f'q{number}', '', '', tuple(Answer(text, 0) for text in texts), False)


@pytest.mark.parametrize(
    'gold, prediction, exact, f1',
    [
        ('The Normans', 'normans!', 1, 1),
        ('b c d e', 'c d x', 0, 4 / 7),
        ('b b', 'b', 0, 2 / 3),
        ('x', 'y', 0, 0),
        ('the', '', 1, 0),
    ],
)
def test_words_in_common(gold, prediction, exact, f1):
    metrics = evaluate_squad([asked('zzz', gold)], {'q0': prediction})
    assert metrics['exact_match'] == 100 * exact
    assert metrics['f1'] == pytest.approx(100 * f1)


@pytest.mark.parametrize(
    'gold, prediction, exact, f1',
    [
        ('诺曼人', '诺曼。人', 1, 1),
        ('公元10世纪', '10世纪', 0, 0.75),
        ('诺曼人', '诺X曼', 0, 1 / 3),
        ('Norman 王朝', 'norman王朝', 1, 1),
        ('诺曼', '', 0, 0),
    ],
)
def test_chinese_is_compared_by_characters(gold, prediction, exact, f1):
    metrics = evaluate_squad([asked(gold)], {'q0': prediction}, characters=True)
    assert metrics['exact_match'] == 100 * exact
    assert metrics['f1'] == pytest.approx(100 * f1)


def test_missing_predictions_count_as_in_the_official_scripts():
    questions = [asked('x', number=0), asked('y', number=1), asked(number=2)]
    first = evaluate_squad(questions[:2], {'q0': 'x'})
    assert (first['exact_match'], first['total'], first['missing']) == (50, 2, 1)
    second = evaluate_squad(questions, {'q0': 'x', 'q2': 'x'}, version_2=True)
    assert (second['exact'], second['total'], second['missing']) == (50, 2, 1)
    assert (second['HasAns_exact'], second['HasAns_total']) == (100, 1)
    assert (second['NoAns_exact'], second['NoAns_f1']) == (0, 0)


def test_threshold_is_applied_and_the_best_one_found():
    questions = [asked('x', number=0), asked('y', number=1), asked(number=2), asked(number=3)]
    predictions = {'q0': 'x', 'q1': 'z', 'q2': 'x', 'q3': 'x'}
    odds = {'q0': -3.0, 'q1': -1.0, 'q2': -2.0, 'q3': 1.0}
    metrics = evaluate_squad(
        questions, predictions, version_2=True, null_odds=odds, null_threshold=0.0
    )
    assert (metrics['exact'], metrics['NoAns_exact'], metrics['HasAns_exact']) == (50, 50, 50)
    assert (metrics['best_exact'], metrics['best_exact_thresh']) == (75, -3)
    # Every threshold tried by hand.
    tried = [
        evaluate_squad(
            questions, predictions, version_2=True, null_odds=odds, null_threshold=threshold
        )['f1']
        for threshold in (-4, *odds.values())
    ]
    assert metrics['best_f1'] == max(tried)


def test_nothing_to_evaluate_is_told():
    with pytest.raises(ValueError, match='one or more'):
        evaluate_squad([], {})
    with pytest.raises(ValueError, match='no answer to any'):
        evaluate_squad([asked('x')], {}, version_2=True)
    with pytest.raises(ValueError, match="lack the question 'q0'"):
        evaluate_squad([asked('x')], {'q0': 'x'}, version_2=True, null_odds={})
