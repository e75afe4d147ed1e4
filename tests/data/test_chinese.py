# ruff: noqa: F811 (fixtures are imported)
"""The Chinese tasks: the real texts cut into characters, and each task from its files to scores."""

import json

import finetune_classifier
import numpy as np
import pytest
from script_runs import run_script, undisturbed  # noqa: F401 (fixtures)

import gluon_bert as gb
from gluon_bert.data import TASKS, Example, read_task

# Where the real files of a task are: its split -> file in the data folder.
REAL = {
    'TNEWS': {
        'train': 'tnews/train.first11999.json',
        'dev': 'tnews/dev.json',
        'test': 'tnews/test.json',
    },
    # Its training file is not at hand: the first rows of dev stand in for it.
    'XNLI': {'train': 'xnli_zh/dev.tsv', 'dev': 'xnli_zh/dev.tsv', 'test': 'xnli_zh/test.tsv'},
    'ChnSentiCorp': {split: f'chnsenticorp/{split}.tsv' for split in ('train', 'dev', 'test')},
}
ROWS = {'train': 200, 'dev': 60, 'test': 40}
TEXTS = ('tnews/dev.json', 'tnews/test1.0.json', 'xnli_zh/test.tsv', 'chnsenticorp/train.tsv')


@pytest.fixture
def vocab_file(shared_data):
    return shared_data / 'vocab' / 'chinese' / 'vocab.txt'


@pytest.fixture
def task_files(shared_data, tmp_path):
    """Make a task's folder from the first rows of the real files, or rows of its layout."""

    def make(name):
        task = TASKS[name]
        folder = tmp_path / task.folder
        folder.mkdir()
        for split, file in task.files.items():
            if name in REAL:
                text = (shared_data / REAL[name][split]).read_text(encoding='utf-8')
                lines = text.split('\n')[: ROWS[split] + file.endswith('.tsv')]
            else:
                lines = ['text_a\ttext_b\tlabel'] + [
                    f'怎么去第{i % 7}站？\t第{i % 5}站在哪里\t{int(i % 7 == i % 5)}'
                    for i in range(ROWS[split])
                ]
            (folder / file).write_text('\n'.join(lines) + '\n', encoding='utf-8')
        return folder

    return make


@pytest.mark.data
@pytest.mark.parametrize('lower', [False, True])
@pytest.mark.parametrize('file', TEXTS)
def test_ids_of_real_texts_are_those_of_transformers(shared_data, vocab_file, file, lower):
    from peers import transformers

    content = (shared_data / file).read_text(encoding='utf-8').split('\n')[1:3001]
    if file.endswith('.json'):
        rows = [json.loads(line) for line in content if line]
        texts = [part for row in rows for part in (row['sentence'], row['keywords'])]
    else:
        texts = [part for line in content for part in line.split('\t')]
    ours = gb.data.BertTokenizer(gb.data.read_vocab(vocab_file), lower=lower)
    theirs = transformers.BertTokenizer(str(vocab_file), do_lower_case=lower)
    assert len(texts) > 2500
    assert ours.encode_ids(texts) == [
        theirs.encode(text, add_special_tokens=False) for text in texts
    ]


@pytest.mark.data
def test_chinese_characters_are_words_and_other_letters_make_them(vocab_file):
    tokenizer = gb.data.BertTokenizer(gb.data.read_vocab(vocab_file), lower=False)
    text = '上课ipad响了2018次，「很好」！'
    encoded = tokenizer.encode(text)
    assert encoded.tokens == '上 课 ipad 响 了 2018 次 ， 「 很 好 」 ！'.split()
    assert [text[begin:end] for begin, end in encoded.offsets] == encoded.tokens


@pytest.mark.data
@pytest.mark.parametrize('name', [*REAL, 'LCQMC'])
def test_a_task_is_learned_from_its_files(run_script, task_files, vocab_file, tmp_path, name):
    task, folder, out = TASKS[name], task_files(name), tmp_path / 'out'
    arguments = [
        '--task_name',
        name,
        '--data_dir',
        folder,
        '--max_len',
        '48',
        '--dev_batch_size',
        '20',
        '--output_dir',
        out,
    ]
    code, _, log = run_script(
        finetune_classifier,
        *arguments,
        '--bert_model',
        'bert_2_128_2',
        '--from_scratch',
        '--vocab_file',
        vocab_file,
        '--batch_size',
        '20',
        '--epochs',
        '1',
        '--lr',
        '1e-3',
        '--optimizer',
        'adam',
    )
    assert code == 0, log
    counts = {split: len(read_task(task, folder, split).examples) for split in task.files}
    assert counts == ROWS
    metrics = json.loads((out / 'metrics.jsonl').read_text().splitlines()[-1])['metrics']
    dev = read_task(task, folder, 'dev').examples
    predicted = [
        line.split('\t')[1] for line in (out / f'{name}_dev.tsv').read_text().splitlines()[1:]
    ]
    labels = [task.labels[example.label] for example in dev]
    assert metrics['accuracy'] == pytest.approx(np.mean(np.array(predicted) == np.array(labels)))
    submission = (out / task.submissions.get('test', f'{name}_test.tsv')).read_text()
    if name == 'TNEWS':
        rows = [json.loads(line) for line in submission.splitlines()]
        assert [row['id'] for row in rows] == list(range(40))
        assert [list(row) for row in rows] == [['id', 'label']] * 40
        assert {row['label'] for row in rows} <= set(task.labels)
    else:
        assert len(submission.splitlines()) == 41


@pytest.mark.data
def test_keywords_are_a_second_text_on_request(run_script, task_files, vocab_file, tmp_path):
    folder = task_files('TNEWS')
    code, _, log = run_script(
        finetune_classifier,
        '--train_file',
        folder / 'train.json',
        '--dev_file',
        folder / 'dev.json',
        '--test_file',
        folder / 'test.json',
        '--text_column',
        'sentence',
        '--pair_column',
        'keywords',
        '--bert_model',
        'bert_2_128_2',
        '--from_scratch',
        '--vocab_file',
        vocab_file,
        '--debug',
        '--epochs',
        '1',
        '--max_len',
        '48',
        '--output_dir',
        tmp_path / 'out',
    )
    assert code == 0, log
    labels = json.loads((tmp_path / 'out' / 'task.json').read_text())['labels']
    assert set(labels) <= set(TASKS['TNEWS'].labels) and labels == sorted(labels)


@pytest.mark.parametrize(
    'line, message',
    [
        ('{"label": "100", "sentence": "a"', r'dev\.json:2: not JSON'),
        ('["a"]', r'dev\.json:2: expected a JSON object, got list'),
        ('{"label": "105", "sentence": "a"}', r"dev\.json:2: label '105' is unknown"),
        (
            '{"label": "100", "sentense": "a"}',
            r"dev\.json:2: key 'sentence' is unknown; did you mean",
        ),
        ('{"label": ["100"], "sentence": "a"}', r"dev\.json:2: 'label' must be a string"),
        ('{"label": "100", "sentence": 3}', r"dev\.json:2: 'sentence' must be a string, got int"),
    ],
)
def test_bad_line_of_json_is_told(tmp_path, line, message):
    good = '{"label": "116", "sentence": "a\u2028b", "keywords": ""}'
    (tmp_path / 'dev.json').write_text(f'\ufeff{good}\n{line}\n', encoding='utf-8')
    with pytest.raises(ValueError, match=message):
        read_task('TNEWS', tmp_path, 'dev')
    split = read_task('TNEWS', tmp_path, 'dev', skip_malformed=True)
    assert split.examples == [Example('a\u2028b', None, 14, '0')] and split.num_skipped == 1
