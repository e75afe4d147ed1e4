"""The tasks' rows and the reader of their files."""

import re

import numpy as np
import pytest

from gluon_bert.data import TASKS, Example, get_task, read_task, task_folder
from gluon_bert.metrics.classification import METRICS

MNLI_START = [
    'index',
    'promptID',
    'pairID',
    'genre',
    'sentence1_binary_parse',
    'sentence2_binary_parse',
    'sentence1_parse',
    'sentence2_parse',
    'sentence1',
    'sentence2',
]

# Rows of the official files: train, dev, test.
COUNTS = {
    'CoLA': {'train': 8551, 'dev': 1043, 'test': 1063},
    'SST-2': {'train': 67349, 'dev': 872, 'test': 1821},
    'MRPC': {'train': 3668, 'dev': 408, 'test': 1725},
    'STS-B': {'train': 5749, 'dev': 1500, 'test': 1379},
    'RTE': {'train': 2490, 'dev': 277, 'test': 3000},
    'WNLI': {'train': 635, 'dev': 71, 'test': 146},
    'QNLI': {'dev': 5463, 'test': 5463},
    'AX': {'test': 1104},
}
CHINESE_COUNTS = [
    ('XNLI', 'xnli_zh', 'dev', 2490),
    ('XNLI', 'xnli_zh', 'test', 5010),
    ('ChnSentiCorp', 'chnsenticorp', 'train', 9600),
    ('ChnSentiCorp', 'chnsenticorp', 'dev', 1200),
    ('ChnSentiCorp', 'chnsenticorp', 'test', 1200),
    ('TNEWS', 'tnews', 'dev', 10000),
    ('TNEWS', 'tnews', 'test', 10000),
]


@pytest.fixture
def write_task(tmp_path):
    """Write rows of fields, or raw content, as a file of a folder; give the folder."""

    def write(name, content):
        if isinstance(content, list):
            content = ''.join('\t'.join(row) + '\n' for row in content)
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path

    return write


# Rows


@pytest.mark.parametrize('task', TASKS.values(), ids=TASKS)
def test_row_is_consistent(task):
    assert TASKS[task.name] is get_task(task.name) is get_task(task.folder)
    assert set(task.metrics) <= set(METRICS)
    assert set(task.submissions) <= set(task.files)
    assert task.is_regression == (task.labels is None) == (task.label_range is not None)
    assert task.num_classes == (1 if task.is_regression else len(task.labels))
    assert all(label in task.labels for _, label in task.label_aliases)
    assert all((task.columns_of(split).pair is not None) == task.is_pair for split in task.files)


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('MRPC', 'MRPC'),
        ('mrpc', 'MRPC'),
        ('SST', 'SST-2'),
        ('sst2', 'SST-2'),
        ('SST-2', 'SST-2'),
        ('STSB', 'STS-B'),
        ('sts-b', 'STS-B'),
        ('cola', 'CoLA'),
        ('ax', 'AX'),
        ('diagnostic', 'AX'),
        ('chnsenticorp', 'ChnSentiCorp'),
        ('lcqmc', 'LCQMC'),
        ('xnli', 'XNLI'),
        ('tnews_public', 'TNEWS'),
    ],
)
def test_task_is_found_by_any_of_its_names(name, expected):
    assert get_task(name).name == expected


def test_unknown_task_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match=r"task 'MPRC' is unknown; did you mean 'MRPC'\? .*CoLA"):
        get_task('MPRC')


@pytest.mark.parametrize(
    ('name', 'metrics'),
    [
        ('CoLA', ('mcc',)),
        ('SST-2', ('accuracy',)),
        ('MRPC', ('accuracy', 'f1')),
        ('STS-B', ('pearson', 'spearman')),
        ('QQP', ('accuracy', 'f1')),
        ('MNLI', ('accuracy',)),
        ('QNLI', ('accuracy',)),
        ('RTE', ('accuracy',)),
        ('WNLI', ('accuracy',)),
    ],
)
def test_metrics_are_those_of_glue(name, metrics):
    assert get_task(name).metrics == metrics


@pytest.mark.parametrize(
    ('name', 'labels'),
    [
        ('MNLI', ('contradiction', 'entailment', 'neutral')),
        ('XNLI', ('contradiction', 'entailment', 'neutral')),
        ('AX', ('contradiction', 'entailment', 'neutral')),
        ('RTE', ('entailment', 'not_entailment')),
        ('QNLI', ('entailment', 'not_entailment')),
        ('MRPC', ('0', '1')),
        ('STS-B', None),
    ],
)
def test_classes_have_their_usual_order(name, labels):
    assert get_task(name).labels == labels


def test_submissions_have_the_names_the_server_expects():
    names = {name for task in TASKS.values() for name in task.submissions.values()}
    assert names == {
        'CoLA.tsv',
        'SST-2.tsv',
        'MRPC.tsv',
        'STS-B.tsv',
        'MNLI-m.tsv',
        'MNLI-mm.tsv',
        'QNLI.tsv',
        'QQP.tsv',
        'RTE.tsv',
        'WNLI.tsv',
        'AX.tsv',
        'tnews_predict.json',
    }


# Folders


def test_folder_of_a_task_is_found(tmp_path):
    (tmp_path / 'MRPC').mkdir()
    assert task_folder('mrpc', tmp_path) == tmp_path / 'MRPC'
    assert task_folder(get_task('MRPC'), str(tmp_path)) == tmp_path / 'MRPC'


@pytest.mark.parametrize('folder', ['SST', 'sst-2', 'SST2'])
def test_folder_may_have_another_spelling_of_the_task(tmp_path, folder):
    (tmp_path / folder).mkdir()
    assert task_folder('SST-2', tmp_path) == tmp_path / folder


def test_folder_is_looked_for_in_glue_dir(tmp_path, monkeypatch):
    (tmp_path / 'RTE').mkdir()
    monkeypatch.setenv('GLUE_DIR', str(tmp_path))
    assert task_folder('RTE') == tmp_path / 'RTE'


@pytest.mark.parametrize(
    ('setting', 'argument', 'message'),
    [
        (
            None,
            None,
            r'task RTE: .*GLUE_DIR must name the folder that holds RTE/ with train\.tsv, '
            r'dev\.tsv, test\.tsv \(it is not set\)',
        ),
        ('nowhere', None, r"no such folder 'nowhere'; .*GLUE_DIR .*\(it is 'nowhere'\)"),
        ('nowhere', '.', r"no such folder '.*RTE'; .*GLUE_DIR"),
    ],
)
def test_missing_folder_is_told_with_what_was_looked_for(
    tmp_path, monkeypatch, setting, argument, message
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('GLUE_DIR', raising=False)
    if setting:
        monkeypatch.setenv('GLUE_DIR', setting)
    with pytest.raises(FileNotFoundError, match=message):
        task_folder('RTE', argument)


def test_missing_file_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no dev split of task RTE.*dev\.tsv'"):
        read_task('RTE', tmp_path, 'dev')


def test_unknown_split_is_refused_with_the_allowed_ones(tmp_path):
    with pytest.raises(ValueError, match=r"split of MNLI 'dev' is unknown.*dev_mismatched"):
        read_task('MNLI', tmp_path, 'dev')


# Files


@pytest.mark.data
@pytest.mark.parametrize(
    ('name', 'split', 'count'),
    [(name, split, count) for name, splits in COUNTS.items() for split, count in splits.items()],
)
def test_official_file_has_its_published_number_of_examples(shared_data, name, split, count):
    data = read_task(name, task_folder(name, shared_data / 'glue_data'), split)
    task = get_task(name)
    assert (len(data.examples), data.num_skipped) == (count, 0)
    has_labels = split != 'test'
    assert all((example.label is not None) == has_labels for example in data.examples)
    assert data.labels == (task.labels if has_labels else None)
    assert [example.index for example in data.examples] == [str(i) for i in range(count)]


@pytest.mark.data
@pytest.mark.parametrize(('name', 'folder', 'split', 'count'), CHINESE_COUNTS)
def test_chinese_file_has_its_published_number_of_examples(shared_data, name, folder, split, count):
    data = read_task(name, shared_data / folder, split)
    assert len(data.examples) == count
    labels = {example.label for example in data.examples}
    assert labels == (set(range(get_task(name).num_classes)) if data.labels else {None})


@pytest.mark.data
def test_classes_of_tnews_are_those_of_its_list(shared_data):
    rows = (shared_data / 'tnews' / 'labels.json').read_text().split()
    assert get_task('TNEWS').labels == tuple(re.findall('"label":"(.*?)"', ''.join(rows)))


@pytest.mark.data
@pytest.mark.parametrize(
    ('name', 'split', 'share'),
    [
        ('MRPC', 'train', 0.674),
        ('MRPC', 'dev', 0.684),
        ('CoLA', 'train', 0.704),
        ('CoLA', 'dev', 0.691),
        ('SST-2', 'train', 0.558),
        ('SST-2', 'dev', 0.509),
    ],
)
def test_share_of_class_one_is_as_published(shared_data, name, split, share):
    data = read_task(name, task_folder(name, shared_data / 'glue_data'), split)
    assert np.mean([example.label for example in data.examples]) == pytest.approx(share, abs=5e-4)


@pytest.mark.data
def test_scores_are_read_as_numbers(shared_data):
    data = read_task('STS-B', shared_data / 'glue_data/STS-B', 'dev')
    assert data.examples[1] == Example(
        'A young child is riding a horse.', 'A child is riding a horse.', 4.75, '1'
    )
    assert {type(example.label) for example in data.examples} == {float}


@pytest.mark.data
def test_quotes_are_text(shared_data):
    data = read_task('MRPC', shared_data / 'glue_data/MRPC', 'dev')
    assert data.examples[0].pair.startswith('" The foodservice pie business')


def test_cola_is_read_by_position_and_its_test_file_by_header(write_task):
    folder = write_task('dev.tsv', 'gj04\t0\t*\tThe sang.\ngj04\t1\t\tShe sang.')
    write_task('test.tsv', 'index\tsentence\n7\tThey sang.\n')
    assert read_task('CoLA', folder, 'dev').examples == [
        Example('The sang.', None, 0, '0'),
        Example('She sang.', None, 1, '1'),
    ]
    assert read_task('CoLA', folder, 'test').examples == [Example('They sang.', None, None, '7')]


@pytest.mark.parametrize(
    ('split', 'labels'),
    [
        ('train', ['label1', 'gold_label']),
        ('dev_matched', ['label1', 'label2', 'label3', 'label4', 'label5', 'gold_label']),
        ('dev_mismatched', ['label1', 'label2', 'label3', 'label4', 'label5', 'gold_label']),
    ],
)
def test_mnli_has_its_label_in_gold_label(write_task, split, labels):
    row = ['4', *'abcdefg', 'One.', 'Two.', *(['neutral'] * (len(labels) - 1)), 'entailment']
    folder = write_task(f'{split}.tsv', [[*MNLI_START, *labels], row])
    assert read_task('MNLI', folder, split).examples == [Example('One.', 'Two.', 1, '4')]


@pytest.mark.parametrize('split', ['test_matched', 'test_mismatched'])
def test_mnli_test_files_have_no_labels(write_task, split):
    folder = write_task(f'{split}.tsv', [MNLI_START, ['4', *'abcdefg', 'One.', 'Two.']])
    data = read_task('MNLI', folder, split)
    assert data.examples == [Example('One.', 'Two.', None, '4')]
    assert data.labels is None


QQP_HEADER = ['id', 'qid1', 'qid2', 'question1', 'question2', 'is_duplicate']


def test_qqp_leaves_out_and_counts_the_broken_rows_it_is_known_for(write_task):
    folder = write_task(
        'train.tsv',
        [
            QQP_HEADER,
            ['133', '1', '2', 'Why?', 'How?', '0'],
            ['', 'Was he real?', '0'],
            ['134', '3', '4', 'Who?', '', '1'],
        ],
    )
    data = read_task('QQP', folder, 'train')
    assert data.examples == [Example('Why?', 'How?', 0, '133'), Example('Who?', '', 1, '134')]
    assert data.num_skipped == 1


def test_qqp_refuses_broken_rows_on_request(write_task):
    folder = write_task('train.tsv', [QQP_HEADER, ['', 'Was he real?', '0']])
    with pytest.raises(ValueError, match=r'train\.tsv:2: the row has 3 columns, expected 6'):
        read_task('QQP', folder, 'train', skip_malformed=False)


def test_qqp_test_file_has_no_labels(write_task):
    folder = write_task('test.tsv', [['id', 'question1', 'question2'], ['0', 'Why?', 'How?']])
    assert read_task('QQP', folder, 'test').examples == [Example('Why?', 'How?', None, '0')]


@pytest.mark.parametrize('split', ['train', 'dev', 'test'])
def test_lcqmc_has_labels_in_every_split(write_task, split):
    folder = write_task(f'{split}.tsv', [['text_a', 'text_b', 'label'], ['你好', '您好', '1']])
    assert read_task('LCQMC', folder, split).examples == [Example('你好', '您好', 1, '0')]


def test_xnli_has_two_spellings_of_contradiction(write_task):
    folder = write_task(
        'train.tsv',
        [
            ['text_a', 'text_b', 'label'],
            ['a', 'b', 'contradictory'],
            ['a', 'b', 'contradiction'],
            ['a', 'b', 'neutral'],
        ],
    )
    assert [example.label for example in read_task('XNLI', folder, 'train').examples] == [0, 0, 2]


@pytest.mark.parametrize(
    'content',
    [
        'sentence\tlabel\nfine\t1\n',
        '\ufeffsentence\tlabel\nfine\t1\n',
        'sentence\tlabel\r\nfine\t1\r\n',
        'sentence\tlabel\nfine\t1',
        'label\tsentence\n1\tfine\n\n\n',
        'sentence \t label\nfine\t1 \n',
    ],
)
def test_byte_order_mark_line_ends_and_column_order_do_not_matter(write_task, content):
    folder = write_task('dev.tsv', content)
    assert read_task('SST-2', folder, 'dev').examples == [Example('fine', None, 1, '0')]


@pytest.mark.parametrize('text', ['a\u2028b', 'a\x85b', 'a\x0cb', '"a', "a'' b", ' a '])
def test_text_is_kept_as_it_stands(write_task, text):
    folder = write_task('dev.tsv', f'sentence\tlabel\n{text}\t1\nnext\t0\n')
    assert [row.text for row in read_task('SST-2', folder, 'dev').examples] == [text, 'next']


BAD_ROWS = [
    ('SST-2', 'fi\rne\t1', r'dev\.tsv:3: holds a carriage return'),
    ('SST-2', 'fine', r'dev\.tsv:3: the row has 1 column, expected 2'),
    ('SST-2', 'fine\t1\t2', r'dev\.tsv:3: the row has 3 columns, expected 2; is there a sep'),
    ('SST-2', '', r'dev\.tsv:3: the row has 1 column, expected 2'),
    ('SST-2', 'fine\t2', r"dev\.tsv:3: label '2' is unknown.*allowed: 0, 1"),
    ('SST-2', 'fine\t', r"dev\.tsv:3: label '' is unknown"),
    ('RTE', '0\ta\tb\tentailmet', r"dev\.tsv:3: label 'entailmet' .* did you mean 'entailment'"),
    ('STS-B', 'a\tb\thigh\t0', r"dev\.tsv:3: score 'high' is not a number"),
    ('STS-B', 'a\tb\t5.1\t0', r"dev\.tsv:3: score '5\.1' is not allowed: it must be from 0 to 5"),
    ('STS-B', 'a\tb\t-0.1\t0', r"dev\.tsv:3: score '-0\.1' is not allowed"),
    ('STS-B', 'a\tb\tnan\t0', r"dev\.tsv:3: score 'nan' is not allowed"),
    ('STS-B', 'a\tb\tinf\t0', r"dev\.tsv:3: score 'inf' is not allowed"),
    ('CoLA', 'gj04\t1\tThey sang.', r'dev\.tsv:3: the row has 3 columns, expected 4'),
]
GOOD_ROWS = {
    'SST-2': ['sentence\tlabel', 'fine\t1'],
    'RTE': ['index\tsentence1\tsentence2\tlabel', '0\ta\tb\tentailment'],
    'STS-B': ['sentence1\tsentence2\tscore\tindex', 'a\tb\t5\t0'],
    'CoLA': ['gj04\t1\t\tShe sang.', 'gj04\t1\t\tHe sang.'],
}


@pytest.mark.parametrize(('name', 'row', 'message'), BAD_ROWS)
def test_malformed_row_is_refused_with_file_and_line(write_task, name, row, message):
    folder = write_task('dev.tsv', '\n'.join([*GOOD_ROWS[name], row, GOOD_ROWS[name][1]]))
    with pytest.raises(ValueError, match=message):
        read_task(name, folder, 'dev')


@pytest.mark.parametrize(('name', 'row'), [row[:2] for row in BAD_ROWS])
def test_malformed_row_is_left_out_and_counted_on_request(write_task, name, row):
    good = GOOD_ROWS[name]
    folder = write_task('dev.tsv', '\n'.join([*good, row, good[1]]))
    data = read_task(name, folder, 'dev', skip_malformed=True)
    assert data.num_skipped == 1
    assert len(data.examples) == (3 if name == 'CoLA' else 2)


def test_empty_text_is_allowed(write_task):
    folder = write_task('dev.tsv', 'gj04\t1\t\t\n')
    assert read_task('CoLA', folder, 'dev').examples == [Example('', None, 1, '0')]


BAD_FILES = [
    (b'', r'dev\.tsv: the file is empty'),
    (b'\n\n', r'dev\.tsv: the file is empty'),
    (b'sentence\tlabel\n', r'dev\.tsv: the file has no rows'),
    (b'sentence\tlabel\nfine\t7\nfine\t8\n', r"dev\.tsv:2: label '7' is unknown"),
    (b'text\tlabel\nfine\t1\n', r"dev\.tsv:1: column 'sentence' is unknown.*allowed: text, label"),
    (b'sentences\tlabel\nfine\t1\n', r"dev\.tsv:1: .*did you mean 'sentences'"),
    (b'sentence\tlabel\tlabel\nfine\t1\t1\n', r"dev\.tsv:1: the header names 'label' twice"),
    (b'sentence\tlabel\nna\xefve\t1\n', r'dev\.tsv:2: not UTF-8: byte 0xef at offset 17 .*iconv'),
    (b'\xef\xbb\xbfsentence\tlabel\n\xff\t1\n', r'dev\.tsv:2: not UTF-8: byte 0xff at offset 18 '),
    ('sentence\tlabel\n'.encode('utf-16'), r'dev\.tsv:1: the file is UTF-16'),
    (b'sentence\tlabel\nfi\0ne\t1\n', r'dev\.tsv:2: holds a NUL character at column 2'),
    (b'sentence\tlabel\n' + b'x' * (1 << 20) + b'\t1\n', r'dev\.tsv:2: the line is longer than'),
]


@pytest.mark.parametrize('skip_malformed', [False, True])
@pytest.mark.parametrize(('content', 'message'), BAD_FILES, ids=[row[1] for row in BAD_FILES])
def test_file_that_is_no_table_of_the_task_is_refused(write_task, content, message, skip_malformed):
    folder = write_task('dev.tsv', content)
    with pytest.raises(ValueError, match=message):
        read_task('SST-2', folder, 'dev', skip_malformed=skip_malformed)


def test_headerless_empty_file_is_refused(write_task):
    with pytest.raises(ValueError, match=r'dev\.tsv: the file has no rows'):
        read_task('CoLA', write_task('dev.tsv', ''), 'dev')
