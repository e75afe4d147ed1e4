# ruff: noqa: F811 (fixtures are imported)
"""gluon-bert predict as a user runs it: the scores of training, every kind of input, its errors."""

import csv
import io
import json
import os
import random
import subprocess
import sys
from dataclasses import replace

import finetune_classifier
import finetune_ner
import finetune_squad
import pytest
from command_fixtures import checkpoint, run, tiny_zoo  # noqa: F401 (fixtures)
from script_runs import WORDS, run_script, tiny_pipeline, tokenizer, undisturbed, valid_tags  # noqa: F401 (fixtures)
from tiny_zoo import KEY, error_of

from gluon_bert import load_pipeline
from gluon_bert.checkpoint import write_checkpoint
from gluon_bert.data import read_squad, read_table, read_tagged
from gluon_bert.metrics.classification import evaluate_metrics
from gluon_bert.metrics.entities import entity_report
from gluon_bert.metrics.squad import evaluate_squad

PLAIN = [word for word in WORDS if word.isalpha()]


def sentence(rng, least=2, most=12):
    return [rng.choice(PLAIN) for _ in range(rng.randint(least, most))]


def write_table(path, rng, count, label):
    path.write_text(
        'a\tb\tlabel\n'
        + ''.join(
            f'{" ".join(sentence(rng))}\t{" ".join(sentence(rng))}\t{label(rng, i)}\n'
            for i in range(count)
        )
    )


def write_questions(path, rng, count, label):
    articles = []
    for number in range(count):
        words = sentence(rng, 20, 60)
        place = rng.randrange(len(words))
        answer = {
            'text': words[place],
            'answer_start': len(' '.join(words[:place]) + ' ' * (place > 0)),
        }
        impossible = number % 4 == 0
        articles.append(
            {
                'title': '',
                'paragraphs': [
                    {
                        'context': ' '.join(words),
                        'qas': [
                            {
                                'id': f'q{number}',
                                'question': ' '.join(sentence(rng, 2, 5)),
                                'is_impossible': impossible,
                                'answers': [] if impossible else [answer],
                            }
                        ],
                    }
                ],
            }
        )
    path.write_text(json.dumps({'version': '2.0', 'data': articles}))


def write_entities(path, rng, count, label):
    path.write_text(
        '\n'.join(
            ''.join(f'{word} {rng.choice(["O", "O", "B-x", "B-y"])}\n' for word in sentence(rng))
            for _ in range(count)
        )
    )


def table_scores(path, lines, metrics, **options):
    examples = read_table(path, text='a', pair='b', **options).examples
    labels = options.get('labels')
    found = [labels.index(line['label']) if labels else line['value'] for line in lines]
    return evaluate_metrics(metrics, [example.label for example in examples], found)


def question_scores(path, lines):
    questions = read_squad(path).questions
    assert [line['id'] for line in lines] == [question.id for question in questions]
    return evaluate_squad(
        questions,
        {line['id']: line['best_text'] for line in lines},
        version_2=True,
        null_odds={line['id']: line['null_odds'] for line in lines},
    )


def entity_scores(path, lines):
    gold = read_tagged(path).sentences
    assert [line['words'] for line in lines] == [row.words for row in gold]
    overall = entity_report([row.tags for row in gold], [line['tags'] for line in lines]).overall
    return {'f1': overall.f1, 'precision': overall.precision, 'recall': overall.recall}


TASKS = {
    'classification': (
        finetune_classifier,
        'tsv',
        write_table,
        lambda rng, i: 'xyz'[i % 3],
        '--train_file',
        '--dev_file',
        ['--text_column', 'a', '--pair_column', 'b'],
        lambda *given: table_scores(*given, ['accuracy', 'macro_f1'], labels=['x', 'y', 'z']),
    ),
    'regression': (
        finetune_classifier,
        'tsv',
        write_table,
        lambda rng, i: rng.random(),
        '--train_file',
        '--dev_file',
        ['--text_column', 'a', '--pair_column', 'b', '--regression'],
        lambda *given: table_scores(*given, ['pearson', 'spearman'], regression=True),
    ),
    'questions': (
        finetune_squad,
        'json',
        write_questions,
        None,
        '--train_file',
        '--predict_file',
        ['--version_2', '--max_seq_length', '32', '--doc_stride', '8'],
        question_scores,
    ),
    'entities': (
        finetune_ner,
        'conll',
        write_entities,
        None,
        '--train_path',
        '--dev_path',
        ['--crf', '--seq_len', '8'],
        entity_scores,
    ),
}


@pytest.mark.parametrize('task', TASKS)
def test_scores_of_training_are_repeated_by_the_folder_alone(run_script, tmp_path, task):
    script, suffix, write, label, train_flag, dev_flag, flags, scores_of = TASKS[task]
    rng = random.Random(5)
    train, dev, vocab = (
        tmp_path / name for name in (f'train.{suffix}', f'dev.{suffix}', 'vocab.txt')
    )
    write(train, rng, 24, label)
    write(dev, rng, 70, label)  # more than are sorted by length together
    vocab.write_text('\n'.join(WORDS))
    batch = {finetune_squad: '--test_batch_size'}.get(script, '--dev_batch_size')
    code, _, log = run_script(
        script,
        train_flag,
        train,
        dev_flag,
        dev,
        *flags,
        '--bert_model',
        'bert_2_128_2',
        '--from_scratch',
        '--vocab_file',
        vocab,
        '--epochs',
        '2',
        '--batch_size',
        '8',
        '--lr',
        '1e-3',
        batch,
        '1',
        '--output_dir',
        tmp_path / 'out',
    )
    assert code == 0, log
    train.unlink(), vocab.unlink()
    (tmp_path / 'out').rename(tmp_path / 'moved')
    empty = tmp_path / 'empty'
    empty.mkdir()
    environment = {
        **os.environ,
        'MXNET_HOME': str(empty),
        'HF_HOME': str(empty),
        'PYTHONPATH': os.pathsep.join(sys.path),
    }
    result = subprocess.run(
        [
            sys.executable,
            '-m',
            'gluon_bert',
            'predict',
            str(tmp_path / 'moved'),
            '--input',
            str(dev),
            '--output',
            str(tmp_path / 'lines.jsonl'),
        ],
        capture_output=True,
        text=True,
        cwd=empty,
        env=environment,
    )
    assert (result.returncode, result.stdout) == (0, ''), result.stderr
    lines = [json.loads(line) for line in (tmp_path / 'lines.jsonl').read_text().splitlines()]
    expected = json.loads((tmp_path / 'moved' / 'result.json').read_text())['best_metrics']
    found = scores_of(dev, lines)
    assert expected and {name: found[name] for name in expected} == expected
    assert not list(empty.iterdir())


@pytest.fixture
def folder(tiny_pipeline, tmp_path):
    """Write the folder of a tiny network: task, settings -> folder, its pipeline."""

    def make(task, **settings):
        pipeline = tiny_pipeline(task, folder=tmp_path / 'kept', **settings)
        return tmp_path / 'kept', pipeline

    return make


def lines_of(run, *argv):
    """The objects that a command line writes to standard output."""
    status, out, err = run('predict', *argv)
    assert status == 0, err
    return [json.loads(line) for line in out.splitlines()]


def test_texts_come_from_arguments_files_and_standard_input(run, folder, tmp_path, monkeypatch):
    kept, pipeline = folder('classification', batch_size=1)
    one = '--batch_size', '1'
    texts = ['the cat', '', 'a dog ||| barks']
    expected = [
        {'text': text, 'pair': pair} if pair else {'text': text}
        for text, pair in (('the cat', None), ('', None), ('a dog', 'barks'))
    ]
    for line, result in zip(expected, pipeline(['the cat', '', ('a dog', 'barks')])):
        line.update(result._asdict())
    assert lines_of(run, kept, *texts, *one) == expected
    path = tmp_path / 'texts.txt'
    path.write_text('\n'.join(texts).replace(' ||| ', '\t') + '\n\n')
    assert lines_of(run, kept, '--input', path, *one) == expected
    monkeypatch.setattr(sys, 'stdin', io.TextIOWrapper(io.BytesIO('\n'.join(texts).encode())))
    # Read one by one, as if typed: computed apart, so rounded otherwise.
    assert lines_of(run, kept, *one) == [
        {
            **line,
            'probability': pytest.approx(line['probability']),
            'probabilities': pytest.approx(line['probabilities']),
        }
        for line in expected
    ]
    best = lines_of(run, kept, *texts, *one, '--top_k', '1')
    assert [line['probabilities'] for line in best] == [
        {line['label']: line['probability']} for line in expected
    ]


@pytest.mark.parametrize(
    'name, content',
    [
        ('a.csv', 'n,b,a\n1,barks,"the, cat"\n'),
        ('a.tsv', 'a\tlabel\tb\nthe, cat\t\tbarks\n'),
        ('a.jsonl', '{"a": "the, cat", "b": "barks", "label": null}\n'),
    ],
)
def test_tables_are_read_by_the_columns_of_training(run, folder, tmp_path, name, content):
    kept, pipeline = folder('regression', columns={'text': 'a', 'pair': 'b'}, pair=True)
    (tmp_path / name).write_text(content)
    expected = {'text': 'the, cat', 'pair': 'barks', 'value': pipeline(('the, cat', 'barks')).value}
    assert lines_of(run, kept, '--input', tmp_path / name) == [expected]
    (tmp_path / name).write_text(content.replace('a', 'x', content.count('a')))
    (found,) = lines_of(
        run, kept, '--input', tmp_path / name, '--text_column', 'x', '--pair_column', 'b'
    )
    assert found['pair'] == 'bxrks'


def test_columns_by_position_have_no_header(run, folder, tmp_path):
    kept, _ = folder('regression', columns={'text': 3, 'pair': None}, pair=False)
    (tmp_path / 'dev.tsv').write_text('x\t1\t\tthe cat\nx\t0\t*\tsun\n')
    assert [line['text'] for line in lines_of(run, kept, '--input', tmp_path / 'dev.tsv')] == [
        'the cat',
        'sun',
    ]


def test_questions_and_their_candidates(run, folder, tmp_path):
    kept, pipeline = folder('questions')
    context = 'the cat sleeps here , a dog barks'
    expected = pipeline('a cat', context)
    (found,) = lines_of(run, kept, f'a cat ||| {context}', '--top_k', '2')
    assert [found[name] for name in ('question', 'answer', 'start', 'end', 'probability')] == [
        'a cat',
        *expected[:1],
        expected.start,
        expected.end,
        expected.probability,
    ]
    assert found['candidates'] == [row._asdict() for row in expected.candidates[:2]]
    assert 'null_odds' not in found
    path = tmp_path / 'questions.csv'
    path.write_text(f'question,context\na cat,"{context}"\n')
    assert lines_of(run, kept, '--input', path)[0]['answer'] == expected.text


def test_entities_of_texts_of_words_and_of_characters(run, folder, tmp_path):
    kept, pipeline = folder('entities', file_scheme='IOB1')
    (line,) = lines_of(run, kept, 'The cat, a dog')
    assert line == {
        'text': 'The cat, a dog',
        'entities': [entity._asdict() for entity in pipeline('The cat, a dog')],
    }
    columns, cluener = tmp_path / 'a.bmes', tmp_path / 'a.json'
    columns.write_text('The I-unknown\ncat O\n\nsun O\n')
    cluener.write_text('{"text": "a sun", "label": {}}\n')
    lines = lines_of(run, kept, '--input', columns)
    assert [line['words'] for line in lines] == [['The', 'cat'], ['sun']]
    assert [line['tags'] for line in lines] == valid_tags(pipeline, [['The', 'cat'], ['sun']])
    assert lines_of(run, kept, '--input', cluener)[0]['text'] == 'a sun'


def test_pretrained_checkpoints_and_models_of_the_zoo(run, folder, tiny_zoo, checkpoint, tmp_path):
    write_checkpoint(checkpoint, tmp_path / 'theirs')
    for source in (tmp_path / 'theirs', '/'.join(KEY)):
        (line,) = lines_of(run, source, 'word1 [MASK]', '--top_k', '2', '--root', tiny_zoo)
        fill = load_pipeline(source, root=tiny_zoo)
        fill.top_k = 2
        assert line == {
            'text': 'word1 [MASK]',
            'masks': [[word._asdict() for word in words] for words in fill('word1 [MASK]')],
        }
        (line,) = lines_of(run, source, 'word1 ||| word2', '--task', 'next-sentence')
        follows = load_pipeline(source, task='next-sentence')
        assert line == {'text': 'word1', 'pair': 'word2', **follows(('word1', 'word2'))._asdict()}


def test_output_is_whole_or_not_there(run, folder, tmp_path):
    kept, _ = folder('regression', pair=False)
    path, texts = tmp_path / 'lines.jsonl', tmp_path / 'a.csv'
    texts.write_text('text\n' + 'the cat\n' * 70)
    assert run('predict', kept, '--input', texts, '--output', path, '--batch_size', '1')[:2] == (
        0,
        '',
    )
    before = path.read_text()
    assert before.count('\n') == 70
    texts.write_text('text\n' + 'the cat\n' * 70 + 'the,cat\n')
    assert 'a.csv:72: ' in error_of(
        run, 'predict', kept, '--input', texts, '--output', path, '--batch_size', '1'
    )
    assert path.read_text() == before
    assert {item.name for item in tmp_path.iterdir()} == {'kept', 'lines.jsonl', 'a.csv'}


def test_half_characters_are_refused_and_long_texts_are_cut(run, folder, tmp_path):
    kept, _ = folder('regression')
    path = tmp_path / 'a.jsonl'
    path.write_text('{"text": "\\ud800"}\n')
    assert 'a.jsonl:1: ' in error_of(run, 'predict', kept, '--input', path)
    path.write_text(json.dumps({'text': 'cat ' * 20}) + '\n')
    status, out, err = run('predict', kept, '--input', path)
    assert status == 0 and json.loads(out)['text'] == 'cat ' * 20
    assert err == '1 inputs were longer than the model reads and were cut\n'


@pytest.mark.parametrize(
    'arguments, parts',
    [
        (['--input', 'none.txt'], ['none.txt: no such file']),
        (['text', '--input', 'x'], ['not both']),
        (['a', '--top_k', '0'], ['--top_k 0']),
        (['a', '--batch_size', '0'], ['--batch_size 0']),
        (['a', '--gpu'], ['--gpu 0', 'no such GPU']),
        (['a', '--output', 'no/where'], ['--output', 'no such folder']),
        (['a', '--task', 'fill-mask'], ['was fine-tuned for text-classification']),
        (['--input', 'a.xyz'], ['a.xyz', '--format']),
        (['--input', 'a.xyz', '--format', 'squad'], ['is for question-answering']),
        (['--input', 'empty.txt'], ['empty.txt: is empty']),
        (['--input', 'pairs.txt'], ['pairs.txt:2: the network reads pairs']),
        (['--input', 'bad.csv'], ['bad.csv:3: the row has 1 column']),
        (['--input', 'bytes.txt'], ['bytes.txt:2', 'not UTF-8']),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(
    run, folder, tmp_path, monkeypatch, arguments, parts
):
    kept, _ = folder('classification', pair=True)
    monkeypatch.chdir(tmp_path)
    for name, content in (
        ('a.xyz', b'a'),
        ('empty.txt', b''),
        ('pairs.txt', b'a\tb\nalone\n'),
        ('bad.csv', b'text_a,text_b\na,b\nc\n'),
        ('bytes.txt', b'a\tb\n\xff\n'),
    ):
        (tmp_path / name).write_bytes(content)
    error = error_of(run, 'predict', kept, *arguments)
    for part in parts:
        assert part in error


def test_sources_that_are_none_are_told(run, checkpoint, tmp_path):
    assert "did you mean 'bert_12_768_12'" in error_of(run, 'predict', 'bert_12_786_12/x', 'a')
    bare = replace(
        checkpoint,
        arrays={
            name: array
            for name, array in checkpoint.arrays.items()
            if not name.startswith(('decoder', 'classifier'))
        },
    )
    write_checkpoint(bare, tmp_path / 'bare')
    assert 'no head to predict with' in error_of(run, 'predict', tmp_path / 'bare', 'a')
    write_checkpoint(checkpoint, tmp_path / 'theirs')
    assert 'text 2: has no [MASK]' in error_of(run, 'predict', tmp_path / 'theirs', '[MASK]', 'a')


@pytest.mark.parametrize(
    'task, settings, text',
    [
        ('classification', {'pair': False}, 'the cat'),
        ('regression', {'pair': False}, 'the cat'),
        ('questions', {}, 'what barks ||| a dog barks'),
        ('entities', {}, 'the cat'),
    ],
)
def test_output_has_the_form_of_its_ending(run, folder, tmp_path, task, settings, text):
    kept, _ = folder(task, **settings)
    (line,) = lines_of(run, kept, text)
    for name, read in (
        ('a.json', json.loads),
        ('a.csv', lambda content: list(csv.DictReader(io.StringIO(content)))),
        (
            'a.tsv',
            lambda content: list(csv.DictReader(io.StringIO(content), delimiter='\t', quoting=3)),
        ),
    ):
        assert run('predict', kept, text, '--output', tmp_path / name)[:2] == (0, '')
        (row,) = read((tmp_path / name).read_text(encoding='utf-8'))
        if name == 'a.json':
            assert row == line
            continue
        flat = {}
        for key, value in line.items():
            parts = value.items() if isinstance(value, dict) else [('', value)]
            flat.update({f'{key}.{part}' if part else key: item for part, item in parts})
        assert row == {
            key: value if isinstance(value, str) else '' if value is None else json.dumps(value)
            for key, value in flat.items()
        }
