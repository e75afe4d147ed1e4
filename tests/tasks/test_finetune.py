"""Fine-tuning as a library call: every task, from files to a folder that is used."""

import json
import logging

import pytest
from script_runs import tiny_folder, tokenizer  # noqa: F401 (fixtures)

import gluon_bert as gb
from gluon_bert.tasks.finetune import finetune

ROWS = [('the cat sleeps', 'cat'), ('the dog barks', 'dog'), ('a cat', 'cat'), ('a dog', 'dog')]
CONTEXT = 'the cat sleeps here , the dog barks'
FAST = {'epochs': 1, 'batch_size': 4, 'log_interval': 1}


def table(path, rows, header='text,label'):
    path.write_text('\n'.join([header, *(','.join(row) for row in rows)]) + '\n')
    return path


def squad(path):
    qas = [
        {
            'id': str(number),
            'question': question,
            'answers': [{'text': answer, 'answer_start': CONTEXT.index(answer)}],
        }
        for number, (question, answer) in enumerate([('the cat', 'sleeps'), ('the dog', 'barks')])
    ]
    content = {'version': '1.1', 'data': [{'paragraphs': [{'context': CONTEXT, 'qas': qas}]}]}
    path.write_text(json.dumps(content))
    return path


def tagged(path):
    path.write_text('the\tO\ncat\tB-x\nsleeps\tO\n\na\tO\ndog\tB-y\n\n' * 4)
    return path


def files(task, folder):
    """The data of a task, and what its pipeline is called on."""
    if task == 'question-answering':
        return (
            squad(folder / 'train.json'),
            {'max_seq_length': 24, 'doc_stride': 6},
            [('the cat', CONTEXT)],
        )
    if task == 'token-classification':
        return tagged(folder / 'train.conll'), {'max_len': 12}, ['the cat sleeps']
    if task == 'text-regression':
        rows = [(text, str(len(text))) for text, _ in ROWS]
        return table(folder / 'train.csv', rows * 2), {'max_len': 16}, ['the cat']
    if task == 'multi-label-classification':
        rows = [(text, f'{label}|x') for text, label in ROWS] + [('the sun', '')]
        return table(folder / 'train.csv', rows * 2), {'max_len': 16}, ['the cat']
    return table(folder / 'train.csv', ROWS * 2), {'max_len': 16}, ['the cat']


@pytest.mark.parametrize(
    'task',
    [
        'text-classification',
        'text-regression',
        'multi-label-classification',
        'question-answering',
        'token-classification',
    ],
)
def test_every_task_from_files_to_predictions(tiny_folder, tmp_path, task):  # noqa: F811
    source, _ = tiny_folder()
    train, options, inputs = files(task, tmp_path)
    out = tmp_path / 'runs' / 'first'
    done = finetune(task, source, train=train, dev=train, output_dir=out, **FAST, **options)
    assert done.folder == out and done.metrics['dev'] and done.result.steps
    assert {'task.json', 'README.md', 'metrics.jsonl', 'result.json', 'training_curve.png'} <= {
        path.name for path in out.iterdir()
    }
    loaded = gb.load_pipeline(out)
    assert loaded.task == task
    assert list(loaded(list(inputs))) == list(done.pipeline(list(inputs)))
    assert f"gluon_bert.finetune('{task}'" in (out / 'README.md').read_text()


def test_a_finished_folder_is_where_the_next_run_starts(tiny_folder, tmp_path):  # noqa: F811
    source, _ = tiny_folder()
    train = table(tmp_path / 'train.csv', ROWS * 2)
    first = finetune(
        'text-classification', source, train=train, output_dir=tmp_path / 'a', max_len=16, **FAST
    )
    second = finetune(
        'text-classification', tmp_path / 'a', train=train, output_dir=tmp_path / 'b', **FAST
    )
    assert second.pipeline.settings['max_len'] == 16
    assert second.pipeline.labels == first.pipeline.labels
    with pytest.raises(ValueError, match='was trained for text-classification, this run is for'):
        finetune('question-answering', tmp_path / 'a', output_dir=tmp_path / 'c')


@pytest.mark.parametrize(
    'task, options, error, parts',
    [
        ('text-clasification', {}, ValueError, ["did you mean 'text-classification'"]),
        ('text-classification', {'learning_rat': 1}, TypeError, ["did you mean 'learning_rate'"]),
        ('text-classification', {'max_len': 600}, ValueError, ['max_len=600: expected 5 to 40']),
        (
            'text-classification',
            {'train': None},
            ValueError,
            ['train_file: is needed, or task_name'],
        ),
        ('text-classification', {'model': 'bert_12_786_12'}, FileNotFoundError, ['bert_12_768_12']),
        ('text-classification', {'model': 'bert_2_128_2/nowhere'}, ValueError, ['nowhere']),
        ('multi-label-classification', {'train': None}, ValueError, ['tables of your own']),
        ('text-classification', {'labels': ['cat']}, ValueError, ["label 'dog' is unknown"]),
        ('text-classification', {'labels': ['a', 'a']}, ValueError, ['different names']),
        ('text-regression', {'labels': ['a', 'b']}, ValueError, ['not with scores']),
        ('text-classification', {'optimizer': 'sgd'}, ValueError, ['sgd', 'bertadam']),
    ],
)
def test_wrong_arguments_are_named(tiny_folder, tmp_path, task, options, error, parts):  # noqa: F811
    source, _ = tiny_folder()
    arguments = {
        'model': source,
        'train': table(tmp_path / 'train.csv', ROWS * 2),
        'output_dir': tmp_path / 'out',
        **FAST,
        **options,
    }
    with pytest.raises(error) as caught:
        finetune(task, **arguments)
    for part in parts:
        assert part in str(caught.value)


def test_classes_are_those_that_are_named(tiny_folder, tmp_path):  # noqa: F811
    source, _ = tiny_folder()
    rows = [(text, 'None' if label == 'dog' else label) for text, label in ROWS]
    arguments = {'train': table(tmp_path / 'train.csv', rows * 2), **FAST}
    with pytest.raises(ValueError, match=r"train\.csv:3: the label is 'None'.*labels"):
        finetune('text-classification', source, output_dir=tmp_path / 'a', **arguments)
    labels = ['None', 'cat', 'mouse']
    done = finetune(
        'text-classification', source, output_dir=tmp_path / 'b', labels=labels, **arguments
    )
    assert list(done.pipeline.labels) == labels
    with pytest.raises(ValueError, match='was trained for None, cat, mouse'):
        finetune(
            'text-classification',
            tmp_path / 'b',
            output_dir=tmp_path / 'c',
            labels=['cat', 'None'],
            **arguments,
        )


@pytest.mark.parametrize('bad', ['\ue000', '\u200b\u200c', '\ufffd'])
def test_answers_without_tokens_are_left_out_on_request(
    tiny_folder,  # noqa: F811
    tmp_path,
    caplog,
    bad,
):
    source, _ = tiny_folder()
    path = squad(tmp_path / 'train.json')
    content = json.loads(path.read_text())
    for number in range(2):
        row = {'id': f'bad{number}', 'question': 'who', 'answers': [{'text': bad}]}
        row['answers'][0]['answer_start'] = 4
        content['data'][0]['paragraphs'].append({'context': f'the {bad} cat', 'qas': [row]})
    path.write_text(json.dumps(content))
    options = {'train': path, 'max_seq_length': 24, 'doc_stride': 6, **FAST}
    with pytest.raises(ValueError, match=r"train\.json: question 'bad0': .* no tokens.* 1 others"):
        finetune('question-answering', source, output_dir=tmp_path / 'a', **options)
    finetune('question-answering', source, output_dir=tmp_path / 'b', skip_bad=True, **options)
    assert "2 bad ones left out: question 'bad0'" in caplog.text


def test_the_log_is_in_the_folder_and_logging_is_as_before(tiny_folder, tmp_path):  # noqa: F811
    source, _ = tiny_folder()
    package = logging.getLogger('gluon_bert')
    before = package.level, list(package.handlers)
    train = table(tmp_path / 'train.csv', ROWS * 2)
    finetune('text-classification', source, train=train, output_dir=tmp_path / 'out', **FAST)
    assert 'loss=' in (tmp_path / 'out' / 'log_train.txt').read_text()
    assert (package.level, package.handlers) == before


def test_a_glue_task_by_its_name(tiny_folder, tmp_path):  # noqa: F811
    source, _ = tiny_folder()
    folder = tmp_path / 'SST-2'
    folder.mkdir()
    for name in ('train', 'dev'):
        rows = [f'{text}\t{int(label == "cat")}' for text, label in ROWS]
        (folder / f'{name}.tsv').write_text('\n'.join(['sentence\tlabel', *rows]) + '\n')
    done = finetune('sst-2', source, data_dir=folder, output_dir=tmp_path / 'out', **FAST)
    assert done.pipeline.settings['name'] == 'SST-2'
    assert set(done.metrics['dev']) == {'accuracy'}
