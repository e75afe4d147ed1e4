"""Labels: what is a class, what is a score, and what is neither."""

import json
import logging

import pytest

from gluon_bert.data import discover_labels, read_table
from gluon_bert.data.classification.label_sets import read_label_sets
from gluon_bert.data.classification.labels import label_set, name_parser, score_parser


def table(tmp_path, labels, name='data.csv'):
    path = tmp_path / name
    path.write_text('text,label\n' + ''.join(f'text,{label}\n' for label in labels))
    return path


def json_table(tmp_path, *labels):
    path = tmp_path / 'data.jsonl'
    path.write_text(''.join(f'{{"text": "text", "label": {label}}}\n' for label in labels))
    return path


MISSING = ['nan', 'NaN', 'null', 'NULL', 'None', 'NA', 'N/A', 'n/a', '<NA>', '#N/A', 'NaT', '-nan']


@pytest.mark.parametrize('missing', MISSING)
def test_what_pandas_writes_for_a_missing_label_is_refused_with_its_line(tmp_path, missing):
    path = table(tmp_path, ['a', 'b', missing])
    for read in (read_table, discover_labels):
        with pytest.raises(ValueError, match=r'data\.csv:4: the label is .*a missing one.*labels'):
            read(path)


@pytest.mark.parametrize('missing', ['NaN', '"NaN"', '"nan"', '"None"'])
def test_missing_label_in_json_is_refused_with_its_line(tmp_path, missing):
    with pytest.raises(ValueError, match=r'data\.jsonl:2: the label is .*a missing one'):
        read_table(json_table(tmp_path, 1, missing, 0))


@pytest.mark.parametrize('value', ['null', '{}', '[]', 'Infinity', '-Infinity', '1e999'])
def test_what_is_no_label_in_json_is_refused_with_its_line(tmp_path, value):
    with pytest.raises(ValueError, match=r"data\.jsonl:2: 'label' must be"):
        read_table(json_table(tmp_path, 1, value, 0))


@pytest.mark.parametrize('name', ['nan', 'None', 'NA', 'null'])
def test_class_that_is_named_like_a_missing_label_is_given_explicitly(tmp_path, name):
    path = table(tmp_path, ['a', name, 'a'])
    assert [row.label for row in read_table(path, labels=['a', name]).examples] == [0, 1, 0]


@pytest.mark.parametrize('name', ['none', 'NONE', 'na', 'Null', 'Nan', 'nil', 'missing', '-'])
def test_other_spellings_are_classes(tmp_path, name):
    assert set(read_table(table(tmp_path, ['a', name])).labels) == {'a', name}


def test_missing_label_is_skipped_on_request_and_told(tmp_path, caplog):
    path = table(tmp_path, ['a', 'nan', 'b', '', 'a'])
    split = read_table(path, skip_malformed=True)
    assert [row.label for row in split.examples] == [0, 1, 0]
    assert split.num_skipped == 2
    assert (
        'left out: 2; the first: ' in caplog.text
        and "data.csv:3: the label is 'nan'" in caplog.text
    )


@pytest.mark.parametrize(
    ('labels', 'line'),
    [
        (['1', '0', '1.0'], 4),
        (['1.0', '0.0', '1'], 4),
        (['01', '1', '2'], 3),
        (['1', '2', '+1'], 4),
        (['100', '1e2', '3'], 3),
        (['true', '1', 'false'], 3),
        (['0', '1', 'False'], 4),
        (['True', 'false', 'true'], 4),
        (['caf\u00e9', 'x', 'cafe\u0301'], 4),
        (['9007199254740993', '9007199254740993.0', '1'], 3),
    ],
)
def test_two_spellings_of_one_label_are_refused_with_the_line(tmp_path, labels, line):
    path = table(tmp_path, labels)
    with pytest.raises(ValueError, match=rf'data\.csv:{line}: .* in another spelling'):
        read_table(path)
    assert len(read_table(path, labels=labels).examples) == len(labels)


def test_two_spellings_in_two_files_are_refused(tmp_path):
    first, second = table(tmp_path, ['0', '1'], 'a.csv'), table(tmp_path, ['0.0', '1.0'], 'b.csv')
    with pytest.raises(ValueError, match=r"b\.csv:2: label '0\.0' is '0' of an earlier row"):
        discover_labels([first, second])


@pytest.mark.parametrize(
    ('labels', 'found'),
    [
        (['1.0', '0.0', '1.0'], ('0.0', '1.0')),
        (['9007199254740993', '9007199254740992'], ('9007199254740992', '9007199254740993')),
        (['True', 'False'], ('False', 'True')),
        (['1_000', '1000'], ('1000', '1_000')),
        (['\u0661', '1'], ('1', '\u0661')),
        (['Good', 'good'], ('Good', 'good')),
        (['1,5'.replace(',', '.'), '10', '2'], ('1.5', '2', '10')),
    ],
)
def test_labels_that_differ_are_classes(tmp_path, labels, found):
    assert read_table(table(tmp_path, labels)).labels == found


def test_json_values_of_one_label_are_one_class(tmp_path):
    split = read_table(json_table(tmp_path, 1, '"1"', 0, '"0"'))
    assert (split.labels, [row.label for row in split.examples]) == (('0', '1'), [1, 1, 0, 0])
    split = read_table(json_table(tmp_path, 'true', '"true"', 'false'))
    assert (split.labels, [row.label for row in split.examples]) == (('false', 'true'), [1, 1, 0])
    with pytest.raises(ValueError, match=r"jsonl:2: label '1\.0' is '1' of an earlier row"):
        read_table(json_table(tmp_path, 1, 1.0, 0))


@pytest.mark.parametrize(
    ('text', 'score'),
    [('1', 1.0), (' -2.50 ', -2.5), ('+3', 3.0), ('.5', 0.5), ('5.', 5.0), ('1e-3', 0.001)],
)
def test_scores_are_plain_decimal_numbers(text, score):
    assert score_parser()(text) == score


@pytest.mark.parametrize(
    'text', ['1_000', '\u0661', '\uff11', '0x10', '1,5', '', ' ', '1e', '--1', '1 2', 'None', 'NA']
)
def test_what_is_no_plain_number_is_no_score(text):
    with pytest.raises(ValueError, match='is not a number'):
        score_parser()(text)


@pytest.mark.parametrize('text', ['nan', 'NaN', 'inf', '-Infinity', '1e999'])
def test_scores_are_finite(text):
    with pytest.raises(ValueError, match='must be finite'):
        score_parser()(text)


# few-shot


@pytest.mark.parametrize('classes', [21, 25, 100])
@pytest.mark.parametrize('rows_each', [1, 2])
def test_one_row_for_each_class_is_read_and_told(tmp_path, caplog, classes, rows_each):
    caplog.set_level(logging.WARNING)
    names = [f'intent{number:03}' for number in range(classes)]
    assert read_table(table(tmp_path, names * rows_each)).labels == tuple(names)
    told = f'{classes} classes in {classes} rows; is it the right column?'
    assert (told in caplog.text) == (rows_each == 1)


@pytest.mark.parametrize('first', [0, 1])
def test_consecutive_numbers_may_be_classes_of_one_row(tmp_path, first):
    labels = tuple(str(number) for number in range(first, first + 25))
    assert read_table(table(tmp_path, labels)).labels == labels


@pytest.mark.parametrize('labels', [[f'{i}.5' for i in range(25)], [str(7 * i) for i in range(25)]])
def test_numbers_that_are_scores_need_a_word(tmp_path, labels):
    path = table(tmp_path, labels)
    with pytest.raises(ValueError, match='25 different labels in 25 rows.*regression=True'):
        read_table(path)
    assert [row.label for row in read_table(path, labels=labels).examples] == list(range(25))


def test_label_sets_refuse_missing_names_and_two_spellings(tmp_path):
    path = table(tmp_path, ['war|nan', 'film'])
    with pytest.raises(ValueError, match=r"data\.csv:2: the label is 'nan'"):
        read_label_sets(path)
    path = table(tmp_path, ['1|2', '1.0'])
    with pytest.raises(ValueError, match=r"data\.csv:3: label '1\.0' is '1' of an earlier row"):
        read_label_sets(path)
    assert read_label_sets(path, labels=['1', '2', '1.0']).examples[1].label == (2,)


def test_parser_keeps_the_first_spelling_of_its_own_rows_only():
    assert [name_parser()(label) for label in ('1', '1.0')] == ['1', '1.0']


def test_set_of_one_label_is_refused():
    with pytest.raises(ValueError, match="data: the only label is 'a', expected two or more"):
        label_set(['a', 'a'], 'data')


def test_surrogates_and_repeated_keys_are_refused_with_the_line(tmp_path):
    path, good = tmp_path / 'data.jsonl', json.dumps({'text': 'a', 'label': 'x'})
    for bad, message in [
        ('{"text": "a\\ud800", "label": "x"}', r'\\ud800, half of a surrogate pair'),
        ('{"text": "a", "label": "\\uDE00"}', r'\\ude00, half of a surrogate pair'),
        ('{"text": "a", "label": "x", "\\ud83d": 1}', 'half of a surrogate pair'),
        ('{"text": "a", "label": "x", "text": "b"}', "the key 'text' occurs twice"),
        ('{"text": "a", "label": "x", "more": {"k": 1, "k": 2}}', "the key 'k' occurs twice"),
        ('{"text": "a", "label": ' + '9' * 5000 + '}', 'a number of 5000 digits'),
    ]:
        path.write_text(f'{good}\n{bad}\n')
        with pytest.raises(ValueError, match=rf'data\.jsonl:2: .*{message}'):
            read_table(path)
    path.write_text(good + '\n{"text": "\\ud83d\\ude00", "label": "y", "other": NaN}\n')
    assert read_table(path).examples[1].text == '\U0001f600'
