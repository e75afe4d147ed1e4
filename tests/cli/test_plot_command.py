"""The console script: plot; the gallery that is made by it."""

import json
import re
import runpy
from pathlib import Path

import pytest
from conftest import TINY
from test_plots import ROWS, texts_of, write_rows
from tiny_zoo import tokenizer

from gluon_bert import task_folder
from gluon_bert.cli import make_parser

pytest_plugins = ['command_fixtures']

DOCS = Path(__file__).parents[2] / 'docs'


@pytest.fixture
def drawn(run, tmp_path):
    """Draw a kind of picture by the command line; gives the words in it."""

    def draw_it(kind, *words):
        output = tmp_path / 'drawn.svg'
        status, out, err = run('plot', kind, *words, '--output', output)
        assert (status, out, err) == (0, '', f'drawn: {output}\n')
        return texts_of(output)

    return draw_it


SETTINGS = {
    'questions': dict(
        max_seq_length=16,
        doc_stride=4,
        max_query_length=6,
        n_best_size=3,
        max_answer_length=4,
        version_2=True,
        null_score_diff_threshold=0.0,
    ),
    'entities': dict(
        kinds=['place'],
        scheme='IOB2',
        file_scheme='IOB2',
        crf=False,
        dropout=0.0,
        max_len=20,
        characters=False,
    ),
    'classification': dict(labels=['no', 'yes'], max_len=20, dropout=0.0),
}


@pytest.fixture
def fine_tuned(tmp_path):
    """A folder of an untrained network for a task."""

    def make(task):
        folder = tmp_path / task
        folder.mkdir()
        network = task_folder.make_network(task, TINY, SETTINGS[task])
        network.initialize()
        network.save_parameters(folder / 'a.params')
        model = task_folder.task_model(task, network, tokenizer(), SETTINGS[task])
        task_folder.save_tokenizer(folder, model.tokenizer)
        task_folder.save_task(folder, model, 'a.params')
        return folder

    return make


def test_command_attention(drawn, folder):
    assert 'word7' in drawn('attention', folder, 'word7 word8', '--layer', 1, '--head', 0)


def test_command_vectors(drawn, folder, tmp_path):
    table = tmp_path / 'texts.tsv'
    table.write_text(
        'text\ttopic\n' + ''.join(f'word{n} word{n + 1}\tt{n % 2}\n' for n in range(6)),
        encoding='utf-8',
    )
    assert {'t0', 't1', 'word3 word4'} <= {
        *drawn('map', folder, '--input', table, '--color_column', 'topic')
    }
    lines = tmp_path / 'texts.txt'
    lines.write_text('word1\n\nword2\n', encoding='utf-8')
    assert 'word2  2' in drawn('similarity', folder, '--input', lines, '--keep_order')


def test_command_training_and_confusion(drawn, tmp_path):
    for name in ('a', 'b'):
        (tmp_path / name).mkdir()
        write_rows(tmp_path / name, *map(json.dumps, ROWS))
    assert {'a', 'b', 'accuracy'} <= {*drawn('training', tmp_path / 'a', tmp_path / 'b')}
    (tmp_path / 'p.tsv').write_text('gold\tprediction\nyes\tno\nno\tno\n', encoding='utf-8')
    assert '1 of 2 right (50.0%)' in drawn('confusion', tmp_path / 'p.tsv', '--gold_column', 'gold')


def test_command_answer_of_a_file(drawn, tmp_path):
    content = {
        'data': [
            {
                'paragraphs': [
                    {
                        'context': 'Ada in Rome',
                        'qas': [{'id': 'q', 'question': 'Where is she?', 'answers': []}],
                    }
                ]
            }
        ]
    }
    (tmp_path / 'dev.json').write_text(json.dumps(content), encoding='utf-8')
    (tmp_path / 'nbest.json').write_text(
        json.dumps({'q': [{'text': 'Rome', 'probability': 0.9}]}), encoding='utf-8'
    )
    assert {'Rome', '90.0%'} <= {
        *drawn(
            'answer', tmp_path / 'nbest.json', '--data', tmp_path / 'dev.json', '--question_id', 'q'
        )
    }


def test_command_with_fine_tuned_folders(drawn, fine_tuned, tmp_path):
    words = [f'word{number}' for number in range(20)]
    folder = fine_tuned('questions')
    written = drawn('answer', folder, '--question', 'word1', '--context', ' '.join(words))
    assert {'(no answer)', 'answer begins', *words} <= {*written}
    assert 'word1' in drawn('attention', folder, 'word1', '--layer', 0, '--head', 0)
    assert {*words} <= {*drawn('entities', fine_tuned('entities'), ' '.join(words))}
    (tmp_path / 'dev.tsv').write_text(
        'text\tlabel\n' + 'word1\tyes\nword2\tno\n' * 2, encoding='utf-8'
    )
    assert 'yes  (2)' in drawn(
        'confusion', fine_tuned('classification'), '--data', tmp_path / 'dev.tsv'
    )


@pytest.mark.parametrize(
    'words, message',
    [
        (['attention', 'MODEL'], 'expected one or two texts after the model, got 0'),
        (['map', 'MODEL', 'word1'], 'a map needs 2 texts or more, got 1'),
        (['map', 'MODEL'], 'expected texts after the model, or --input'),
        (
            ['similarity', 'MODEL', 'word1', 'word2', '--groups', 'a'],
            '--groups names 1 groups for 2',
        ),
        (['training', 'MODEL'], 'metrics.jsonl'),
        (
            ['entities', 'MODEL', 'Ada'],
            'is for fill-mask; expected a network for token-classification',
        ),
        (['confusion', 'MODEL'], 'give the texts to classify as --data'),
        (['answer', 'MODEL', '--question', 'Who?'], 'expected --question with --context'),
    ],
)
def test_commands_that_are_wrong(words, message, folder, run, tmp_path):
    words = [folder if word == 'MODEL' else word for word in words]
    status, out, err = run('plot', *words, '--output', tmp_path / 'a.png')
    assert (status, out) == (2, '') and message in err and err.count('\n') == 1
    assert not (tmp_path / 'a.png').exists()


def test_every_picture_of_the_gallery_has_its_command():
    script = runpy.run_path(str(DOCS / 'make_gallery.py'))
    commands = script['commands']()
    shown = re.findall(r'figure:: _static/gallery/(\S+)', (DOCS / 'gallery.rst').read_text('utf-8'))
    assert [script['output_of'](command) for command in commands] == shown
    for command in commands:
        make_parser().parse_args(command)
    for name in shown:
        assert (DOCS / '_static' / 'gallery' / name).stat().st_size < 150_000
