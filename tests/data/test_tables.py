"""The user's own tables."""

import json
import random

import pytest

from gluon_bert.data import Example, discover_labels, iterate_texts, read_table
from gluon_bert.data.classification import parts

FORMS = ['.tsv', '.csv', '.jsonl', '.json']


@pytest.fixture
def write_table(tmp_path):
    """Write rows under a header in the form that the ending names; or raw content."""

    def write(content, form, name='data'):
        path = tmp_path / f'{name}{form}'
        if isinstance(content, list):
            header, *rows = content
            separator = '\t' if form == '.tsv' else ','
            content = ''.join(separator.join(map(str, row)) + '\n' for row in content)
            if form.startswith('.json'):
                content = ''.join(
                    json.dumps(dict(zip(header, row)), ensure_ascii=False) + '\n' for row in rows
                )
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize('form', [*FORMS, '.TSV'])
def test_every_form_gives_the_same_examples(write_table, form):
    path = write_table(
        [['id', 'body', 'topic'], ['7', 'Goal! Тор 目标', 'sport'], ['8', 'Vote', 'politics']],
        form.lower(),
        name='a',
    )
    path = path.rename(path.with_suffix(form))
    split = read_table(path, text='body', label='topic')
    assert split.examples == [
        Example('Goal! Тор 目标', None, 1, '0'),
        Example('Vote', None, 0, '1'),
    ]
    assert split.labels == ('politics', 'sport')
    assert (split.num_skipped, split.path) == (0, str(path))


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize(
    ('header', 'text', 'pair'),
    [
        (['label', 'sentence'], 'two', None),
        (['text', 'label'], 'one', None),
        (['sentence1', 'label', 'sentence2'], 'one', 'three'),
        (['question2', 'label', 'question1'], 'three', 'one'),
        (['text_a', 'text_b', 'label'], 'one', 'two'),
        (['text_a', 'other', 'label'], 'one', None),
        (['text', 'premise', 'hypothesis'], 'two', 'three'),
    ],
)
def test_usual_names_of_text_columns_are_found(write_table, form, header, text, pair):
    path = write_table([header, ['one', 'two', 'three'][: len(header)]], form)
    example = read_table(path, labels=['one', 'two', 'three']).examples[0]
    assert (example.text, example.pair) == (text, pair)


@pytest.mark.parametrize('form', FORMS)
def test_label_column_is_found_or_there_are_no_labels(write_table, form):
    labelled = write_table([['text', 'label'], ['a', 'x'], ['b', 'y']], form, 'labelled')
    bare = write_table([['text', 'other'], ['a', 'x'], ['b', 'y']], form, 'bare')
    assert [example.label for example in read_table(labelled).examples] == [0, 1]
    assert [example.label for example in read_table(bare).examples] == [None, None]
    assert read_table(bare).labels is None


@pytest.mark.parametrize('form', FORMS)
def test_labels_of_the_training_file_number_those_of_another(write_table, form):
    train = write_table([['text', 'label'], ['a', 'x'], ['b', 'y'], ['c', 'z']], form, 'train')
    dev = write_table([['text', 'label'], ['a', 'z'], ['b', 'z']], form, 'dev')
    split = read_table(dev, labels=read_table(train).labels)
    assert [example.label for example in split.examples] == [2, 2]
    assert split.labels == ('x', 'y', 'z')


@pytest.mark.parametrize('form', FORMS)
def test_scores_are_read_as_numbers(write_table, form):
    path = write_table([['text', 'label'], ['a', '1e-1'], ['b', '-3']], form)
    split = read_table(path, regression=True)
    assert [example.label for example in split.examples] == [0.1, -3.0]
    assert split.labels is None


def test_json_numbers_and_booleans_are_labels(write_table):
    path = write_table('{"text": "a", "label": 1}\n{"text": "b", "label": 0}\n', '.jsonl')
    assert [row.label for row in read_table(path, labels=['0', '1']).examples] == [1, 0]
    assert [row.label for row in read_table(path, regression=True).examples] == [1.0, 0.0]
    path = write_table('{"text": "a", "label": true}\n{"text": "b", "label": false}\n', '.jsonl')
    assert read_table(path).labels == ('false', 'true')


def test_tsv_quotes_are_text_and_csv_quotes_are_quotes(write_table):
    content = 'text{0}label\n"a ""b"""{0}x\n"c"{0}y\n'
    tsv = read_table(write_table(content.format('\t'), '.tsv'))
    quoted = read_table(write_table(content.format(','), '.csv'))
    assert [row.text for row in tsv.examples] == ['"a ""b"""', '"c"']
    assert [row.text for row in quoted.examples] == ['a "b"', 'c']


def test_csv_text_may_hold_commas_and_line_ends(write_table):
    path = write_table('\ufefftext,label\r\n"a, b\r\n\r\nc",x\r\nd,y\r\n\r\n', '.csv')
    split = read_table(path)
    assert split.examples == [Example('a, b\r\n\r\nc', None, 0, '0'), Example('d', None, 1, '1')]


def test_line_number_of_csv_counts_the_lines_inside_quotes(write_table):
    path = write_table('text,label\n"a\nb\nc",x\nd,y\ne\n', '.csv')
    with pytest.raises(ValueError, match=r'data\.csv:6: the row has 1 column, expected 2'):
        read_table(path)


@pytest.mark.parametrize('form', FORMS)
def test_malformed_rows_are_left_out_and_counted_on_request(write_table, form):
    separator = '\t' if form == '.tsv' else ','
    lines = [f'text{separator}label', f'a{separator}x', 'broken', '', f'b{separator}y', '', '']
    if form.startswith('.json'):
        lines = ['{"text": "a", "label": "x"}', '{"text":', '', '{"text": "b", "label": "y"}', '']
    split = read_table(write_table('\n'.join(lines), form), skip_malformed=True)
    assert [row.text for row in split.examples] == ['a', 'b']
    assert [row.index for row in split.examples] == ['0', '2']
    assert split.num_skipped == 1


BAD_FILES = [
    ('.tsv', 'text\tlabel\na\tx\nb\n', {}, r'data\.tsv:3: the row has 1 column, expected 2'),
    (
        '.tsv',
        'text\tlabel\na\tx\n',
        {'labels': ['xy', 'z']},
        r"data\.tsv:2: label 'x' is unknown; did you mean 'xy'\? \(allowed: xy, z\)",
    ),
    ('.tsv', 'text\tlabel\na\tx\nb\t \n', {}, r'data\.tsv:3: the label is empty'),
    ('.tsv', 'text\tlabel\na\tx\n', {'regression': True}, r"data\.tsv:2: score 'x' is not a num"),
    ('.tsv', 'text\tlabel\na\tnan\n', {'regression': True}, r"tsv:2: score 'nan' .*must be finite"),
    ('.tsv', 'text\tlabel\n', {}, r'data\.tsv: the file has no rows'),
    ('.tsv', '', {}, r'data\.tsv: the file is empty'),
    ('.tsv', b'text\tlabel\n\xe9\tx\n', {}, r'data\.tsv:2: not UTF-8: byte 0xe9 at offset 11'),
    ('.tsv', 'text\ttext\na\tb\n', {}, r"data\.tsv:1: the header names 'text' twice"),
    ('.tsv', 'body\tlabel\na\tb\n', {}, r'data\.tsv:1: no column has a usual name.*body, label'),
    ('.tsv', 'text\tlabel\na\tb\n', {'text': 'txt'}, r"column 'txt' is unknown; .* 'text'"),
    ('.tsv', 'text\tlabel\na\tb\n', {'label': 'lable'}, r"column 'lable' is unknown; .* 'label'"),
    ('.tsv', 'text\tlabel\na\tb\n', {'pair': 'text'}, r"got pair='text' alone"),
    ('.csv', '', {}, r'data\.csv: the file is empty'),
    ('.csv', 'text,label\na,"x\nb,y\n', {}, r'data\.csv:2: not CSV: unexpected end of data'),
    ('.csv', 'text,label\na,x\n"a"b,y\n', {}, r'data\.csv:3: not CSV'),
    ('.csv', 'text,label\na\0b,x\n', {}, r'data\.csv:2: holds a NUL'),
    ('.csv', 'body;label\na;x\n', {}, r'data\.csv:1: no column has a usual name.*body, label'),
    ('.tsv', 'text;label\na;x\n', {}, r"tsv:1: no column .*'text;label': are its .* by ';'\?"),
    ('.tsv', 'text,label\na,x\n', {}, r"tsv:1: no column .*'text,label': are its .* by ','\?"),
    ('.jsonl', '', {}, r'data\.jsonl: the file is empty'),
    ('.jsonl', '[1]\n', {}, r'data\.jsonl:1: expected a JSON object, got int'),
    ('.jsonl', '{"text": "a", "label": "x"}\n3\n', {}, r'data\.jsonl:2: expected a JSON object'),
    ('.jsonl', '{"text": "a", "label": "x"}\n{"text": \n', {}, r'data\.jsonl:2: not JSON'),
    ('.jsonl', '{"text": "a", "label": "x"}\n' + '[' * 100000 + '\n', {}, r'jsonl:2: .*nested too'),
    (
        '.jsonl',
        '{"text": "a", "label": "x"}\n{"text": "b"}\n',
        {},
        r"data\.jsonl:2: key 'label' is unknown.*allowed: text",
    ),
    ('.jsonl', '{"text": "a"}\n', {'text': 'txt'}, r"jsonl:1: key 'txt' is unknown; .*'text'"),
    ('.jsonl', '{"text": 3, "label": "x"}\n', {}, r"jsonl:1: 'text' must be a string, got int"),
    ('.jsonl', '{"text": null}\n', {}, r"jsonl:1: 'text' must be a string, got NoneType"),
    ('.jsonl', '{"text": "a", "label": null}\n', {}, r"'label' must be a string, a number"),
    ('.jsonl', '{"text": "a", "label": ["x"]}\n', {}, r"'label' must be .*, got list"),
    ('.jsonl', '{"text": "a", "label": NaN}\n', {'regression': True}, r"score 'NaN' .*finite"),
]


@pytest.mark.parametrize(
    ('form', 'content', 'options', 'message'),
    BAD_FILES,
    ids=[f'{row[0]}-{row[3]}' for row in BAD_FILES],
)
def test_bad_table_is_refused_with_file_and_line(write_table, form, content, options, message):
    with pytest.raises(ValueError, match=message):
        read_table(write_table(content, form), **options)


@pytest.mark.parametrize('form', FORMS)
def test_damaged_table_is_read_or_refused_but_never_fails_otherwise(write_table, form, seed):
    rng = random.Random(seed)
    path = write_table(
        [['text', 'label'], *([f'text "{i}" é', 'xy'[i % 2]] for i in range(9))], form
    )
    content = path.read_bytes()
    messages = []
    for _ in range(200):
        damaged = bytearray(content)
        for _ in range(rng.randrange(1, 6)):
            damaged[rng.randrange(len(damaged))] = rng.choice(b'\n\r\t,"\\{}[]:\0\xff 1x')
        path.write_bytes(damaged[: rng.randrange(len(damaged))])
        try:
            assert read_table(path, skip_malformed=True).examples
        except ValueError as error:
            messages.append(str(error))
    assert messages
    assert all(path.name in message for message in messages)


@pytest.mark.parametrize('form', ['.txt', '.xml', '.csv.gz', ''])
def test_unknown_form_is_refused_with_the_allowed_ones(write_table, form):
    with pytest.raises(ValueError, match=r'must end in \.tsv, \.csv, \.jsonl or \.json'):
        read_table(write_table('text\tlabel\n', form))


@pytest.mark.parametrize('form', FORMS)
def test_missing_table_is_told(tmp_path, form):
    with pytest.raises(FileNotFoundError, match='nowhere'):
        read_table(tmp_path / f'nowhere{form}')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'labels': ['a', 'b'], 'regression': True}, 'labels must be None with regression=True'),
        ({'labels': ['a', 'a']}, 'labels must be a list of different names'),
        ({'labels': 'ab'}, 'labels must be a list of different names'),
        ({'labels': []}, 'labels must be a list of different names'),
    ],
)
def test_labels_that_contradict_are_refused(write_table, options, message):
    with pytest.raises(ValueError, match=message):
        read_table(write_table([['text', 'label'], ['a', 'a']], '.tsv'), **options)


# discover_labels


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize(
    ('found', 'labels'),
    [
        (['b', 'a', 'b'], ('a', 'b')),
        (['10', '9', '10'], ('9', '10')),
        (['1', '-1', '0'], ('-1', '0', '1')),
        (['0.5', '10', '2'], ('0.5', '2', '10')),
        (['10', '9', 'x'], ('10', '9', 'x')),
    ],
)
def test_labels_are_sorted_numbers_by_value(write_table, form, found, labels):
    path = write_table([['label', 'anything'], *([label, 'a'] for label in found)], form)
    assert discover_labels(path) == labels


def test_labels_of_several_tables_are_joined(write_table):
    first = write_table([['topic', 'text'], ['b', 't'], ['a', 't']], '.tsv', 'first')
    second = write_table([['text', 'topic'], ['t', 'c']], '.csv', 'second')
    assert discover_labels([first, str(second)], label='topic') == ('a', 'b', 'c')


@pytest.mark.parametrize(
    ('found', 'message'),
    [
        (['x'] * 5, r"the only label is 'x', expected two or more"),
        ([f'{i}' for i in range(3000)] * 2, r'3000 different labels in 6000 rows.*regression=True'),
        ([f'{i / 7:.3f}' for i in range(30)], r'30 different labels in 30 rows.*regression=True'),
        ([f'text {i}' for i in range(1001)], r'1001 different labels.*is it the right column'),
    ],
    ids=['one', 'thousands', 'scores', 'texts'],
)
def test_column_that_holds_no_classes_is_refused(write_table, found, message):
    path = write_table([['text', 'label'], *(['a', label] for label in found)], '.tsv')
    with pytest.raises(ValueError, match=message):
        discover_labels(path)
    with pytest.raises(ValueError, match=message):
        read_table(path)


def test_missing_label_column_is_refused_with_the_nearest_name(write_table):
    path = write_table([['text', 'label'], ['a', 'b']], '.csv')
    with pytest.raises(ValueError, match=r"column 'labels' is unknown; did you mean 'label'"):
        discover_labels(path, label='labels')


def test_missing_default_label_column_is_refused(write_table):
    path = write_table([['text', 'labels'], ['a', 'b']], '.csv')
    with pytest.raises(ValueError, match=r"column 'label' is unknown; did you mean 'labels'"):
        discover_labels(path, label=None)


@pytest.mark.parametrize(
    'name, content',
    [
        ('a.csv', 'text,label\na,b\nc\nd,e\n'),
        ('a.tsv', 'text\ttext\na\tb\n'),
        ('b.tsv', 'x\na\nb\n'),
        ('a.jsonl', '{"text": "a"}\n["b"]\n{"text": "c"}\n'),
    ],
)
@pytest.mark.parametrize('read', [read_table, lambda path: list(iterate_texts(path))])
def test_files_of_malformed_tables_are_closed(tmp_path, monkeypatch, read, name, content):
    opened, real_open = [], open

    def remember(*arguments):
        opened.append(real_open(*arguments))
        return opened[-1]

    monkeypatch.setattr(parts, 'open', remember, raising=False)
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=name) as kept:
        read(tmp_path / name)
    assert opened and all(file.closed for file in opened), kept


# what other programs write

ROWS = [('first, one', 'x'), ('second "one"', 'y')]


@pytest.mark.parametrize('end', ['\n', '\r\n', '\r'])
@pytest.mark.parametrize('form', FORMS)
def test_every_line_end_ends_a_line(write_table, form, end):
    path = write_table([['text', 'label'], ['a', 'x'], ['b', 'y'], ['c', 'x']], form)
    path.write_bytes(path.read_bytes().replace(b'\n', end.encode()))
    split = read_table(path)
    assert [(row.text, row.label) for row in split.examples] == [('a', 0), ('b', 1), ('c', 0)]
    broken = '{"text": 1' if 'json' in form else 'broken'
    path.write_bytes(path.read_bytes() + (broken + end).encode())
    with pytest.raises(ValueError, match=rf'data\{form}:{4 if "json" in form else 5}: '):
        read_table(path)


def test_long_lines_of_an_old_mac_are_counted_one_by_one(write_table):
    path = write_table('text\tlabel\r' + ('a' * 100 + '\tx\r') * 20000 + 'b\ty\rc\r', '.tsv')
    with pytest.raises(ValueError, match=r'data\.tsv:20003: the row has 1 column'):
        read_table(path)


@pytest.mark.parametrize('inside', ['\n', '\r\n', '\r', '\u2028', '\x85', '\x0c', '\n\n'])
def test_quoted_text_is_kept_as_it_stands(write_table, inside):
    path = write_table(f'text,label\r\n"a{inside}b",x\r\nc,y\r\n', '.csv')
    assert [row.text for row in read_table(path).examples] == [f'a{inside}b', 'c']


@pytest.mark.parametrize('size', [131073, 1 << 20, 3 << 20])
def test_long_fields_are_read(write_table, size):
    text = ('word ' * 20 + '\n') * (size // 101 + 1)
    split = read_table(write_table(f'text,label\n"{text}",x\nb,y\n', '.csv'))
    assert split.examples[0].text == text


@pytest.mark.parametrize('separator', [',', ';', '\t', '|'])
@pytest.mark.parametrize('mark', ['', '\ufeff'])
def test_csv_of_any_usual_separator_is_read(write_table, separator, mark, caplog):
    caplog.set_level('INFO')
    lines = [f'text{separator}label', f'"first{separator} one"{separator}x', f'b{separator}y', '']
    split = read_table(write_table(mark + '\r\n'.join(lines), '.csv'))
    assert [(row.text, row.label) for row in split.examples] == [
        (f'first{separator} one', 0),
        ('b', 1),
    ]
    assert ('separated by' in caplog.text) == (separator != ',')


@pytest.mark.parametrize(
    'content',
    [
        'text,label,,\na,x,,\nb,y,,\n',
        'text,label,,\na,x\nb,y,\n',
        ',text,label\n0,a,x\n1,b,y\n',
        'text,label,note,note\na,x,1,2\nb,y,3,4\n',
        'text,label\n\na,x\n\n\nb,y\n\n',
        'text,label\na,x\n,\n ,\nb,y\n,\n',
    ],
)
@pytest.mark.parametrize('form', ['.csv', '.tsv'])
def test_columns_without_a_name_and_rows_without_a_text_do_not_matter(write_table, content, form):
    content = content.replace(',', '\t') if form == '.tsv' else content
    split = read_table(write_table(content, form))
    assert [(row.text, row.label, row.index) for row in split.examples] == [
        ('a', 0, '0'),
        ('b', 1, '1'),
    ]
    assert split.num_skipped == 0


def test_repeated_column_is_refused_when_it_is_asked_for(write_table):
    path = write_table('text,label,text\na,x,b\nb,y,c\n', '.csv')
    with pytest.raises(ValueError, match=r"data\.csv:1: the header names 'text' twice"):
        read_table(path)


@pytest.mark.parametrize('form', ['.json', '.jsonl'])
@pytest.mark.parametrize('indent', [None, 0, 2])
def test_array_of_objects_is_read(write_table, form, indent):
    rows = [{'text': text, 'label': label} for text, label in ROWS]
    split = read_table(write_table('\ufeff\n ' + json.dumps(rows, indent=indent) + '\n', form))
    assert [(row.text, row.label) for row in split.examples] == [(ROWS[0][0], 0), (ROWS[1][0], 1)]
    assert [text for _, text, _ in iterate_texts(split.path)] == [ROWS[0][0], ROWS[1][0]]


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('[\n{"text": "a", "label": 0},\n{"text": "b"}\n]', r"json:3: key 'label' is unknown"),
        ('[\n{"text": "a", "label": 0},\n{"text": "b", "label": NaN}]', r'json:3: the label is'),
        ('[\n{"text": "a", "label": 0}\n{"text": "b"}\n]', r'json:2: not JSON: expected ","'),
        ('[\n{"text": "a", "label": 0},\n', r'json:2: not JSON: Expecting value'),
        ('[\n{"text": "a", "label": 0},\n3]', r'json:3: expected a JSON object'),
        ('[]', r'json: the file is empty'),
        ('{\n "text": "a"}', r'json:1: not JSON'),
    ],
)
def test_malformed_array_is_refused_with_the_line(write_table, content, message):
    with pytest.raises(ValueError, match=message):
        read_table(write_table(content, '.json'))


@pytest.mark.parametrize(
    ('rows', 'texts', 'skipped', 'line'),
    [
        ('a,x\n"b"c,y\nd,y\n', ['a', 'd'], 1, 3),
        ('a,x\nd,y\n"b,y\ne,x\n', ['a', 'd'], 2, 4),
        ('a,x\nb\0,y\nd,y\n', ['a', 'd'], 1, 3),
        ('a,x\nb,y,z\nd,y\ne\n', ['a', 'd'], 2, 3),
        ('a,x\n' + 'b' * 2_000_000 + ',y\nd,y\n', ['a', 'd'], 1, 3),
    ],
)
def test_what_is_no_row_of_csv_is_left_out_on_request(
    write_table, caplog, rows, texts, skipped, line
):
    path = write_table('text,label\n' + rows, '.csv')
    with pytest.raises(ValueError, match=rf'data\.csv:{line}: '):
        read_table(path)
    split = read_table(path, skip_malformed=True)
    assert [row.text for row in split.examples] == texts
    assert split.num_skipped == skipped
    assert f'left out: {skipped}; the first: {path}:{line}: ' in caplog.text


@pytest.mark.parametrize('encoding', ['utf-16', 'utf-16-be', 'utf-16-le'])
@pytest.mark.parametrize('form', FORMS)
def test_utf_16_is_refused_by_its_name(write_table, form, encoding):
    path = write_table([['text', 'label'], ['a', 'x'], ['b', 'y']], form)
    path.write_bytes(path.read_text().encode(encoding))
    with pytest.raises(ValueError, match=rf'data\{form}:1: .*UTF-16'):
        read_table(path)


@pytest.mark.parametrize(
    'options',
    [
        {'text': 'label', 'label': 'label'},
        {'text': 'text', 'pair': 'text'},
        {'text': 'text', 'label': 'text'},
    ],
)
def test_one_column_has_one_role(write_table, options):
    path = write_table([['text', 'label'], ['a', 'x'], ['b', 'y']], '.csv')
    with pytest.raises(ValueError, match='expected different columns'):
        read_table(path, **options)


@pytest.mark.parametrize(
    ('header', 'message'),
    [
        ('text,labels', r"column 'label' is unknown; did you mean 'labels'.*text, labels\); label"),
        ('text,sentiment', r"column 'label' is unknown \(allowed: text, sentiment\); label must"),
    ],
)
def test_forgotten_label_column_is_told_with_the_columns(write_table, header, message):
    path = write_table(f'{header}\na,x\nb,y\n', '.csv')
    with pytest.raises(ValueError, match=message):
        discover_labels(path)
