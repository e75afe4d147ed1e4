# ruff: noqa: F811 (fixtures are imported)
"""Distillation as a library call and a command: from a teacher to a folder that is used."""

import json
import logging
import shutil

import mxnet as mx
import numpy as np
import pytest
from script_runs import WORDS, tiny_folder, tiny_pipeline, tokenizer  # noqa: F401 (fixtures)
from task_folders import drawn
from test_finetune import FAST, ROWS, files, table

import gluon_bert as gb
from gluon_bert.cli import main
from gluon_bert.tasks.distillation.options import DistillationOptions
from gluon_bert.tasks.distillation.student import choose_layers
from gluon_bert.training.step import TrainingStep

TEXTS = ['the cat sleeps here', 'a dog barks loudly', 'sun', 'the moon without a cat !']


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ('MXNET_GPU_MEM_POOL_TYPE', 'GOMP_SPINCOUNT', 'OMP_NUM_THREADS'):
        monkeypatch.setenv(name, '1' if name.startswith('OMP') else 'kept')


@pytest.fixture
def teacher(tiny_pipeline, tmp_path):
    """The folder of a fine-tuned network with random parameters, of the classes cat and dog."""
    pipeline = tiny_pipeline(
        'text-classification', folder=tmp_path / 'teacher', labels=['cat', 'dog']
    )
    drawn(pipeline.network).save_parameters(tmp_path / 'teacher' / 'tiny.params')
    return tmp_path / 'teacher', pipeline


@pytest.fixture
def train(tmp_path):
    return table(tmp_path / 'train.csv', ROWS * 2)


@pytest.fixture
def lines(tmp_path):
    (tmp_path / 'lines.txt').write_text('\n\n'.join(TEXTS) + '\n')
    return tmp_path / 'lines.txt'


def terms_of(row):
    """The terms of the loss in a row of the log."""
    return {name[:-5] for name in row if name.endswith('_loss')}


def test_a_student_of_all_layers_begins_as_its_teacher(teacher, train, tmp_path):
    folder, pipeline = teacher
    done = gb.distill(
        folder, num_layers=2, train=train, dev=train, output_dir=tmp_path / 'out',
        learning_rate=1e-30, **FAST,
    )  # fmt: skip
    for found, expected in zip(done.pipeline(TEXTS), pipeline(TEXTS)):
        assert found.label == expected.label
        assert found.probability == pytest.approx(expected.probability, abs=1e-6)
    assert done.pipeline.settings['max_len'] == 16
    row = json.loads((tmp_path / 'out' / 'metrics.jsonl').read_text().splitlines()[0])
    assert terms_of(row) == {'teacher', 'labels'}


def test_the_student_learns_what_the_teacher_says(teacher, lines, tmp_path):
    """Without labels: its probabilities come near to those of the teacher."""
    folder, pipeline = teacher
    texts = [f'{a} {b}' for a in WORDS[5:] for b in WORDS[5:11]]
    lines.write_text('\n'.join(texts))
    right = np.array([row.probabilities['cat'] for row in pipeline(texts)])
    errors = []
    for rate in (1e-30, 1e-3):
        done = gb.distill(
            folder, student_layers=[0], unlabelled=[lines], output_dir=tmp_path / str(rate),
            learning_rate=rate, batch_size=8, epochs=5,
        )  # fmt: skip
        assert done.pipeline.network.config.num_layers == 1 and not done.metrics
        found = np.array([row.probabilities['cat'] for row in done.pipeline(texts)])
        errors.append(np.abs(right - found).mean())
    assert errors[1] < 0.4 * errors[0]


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
def test_every_task_with_all_terms(tiny_pipeline, tiny_folder, tmp_path, task):
    labels = {
        'text-classification': ['cat', 'dog'],
        'multi-label-classification': ['cat', 'dog', 'x'],
    }
    settings = {'labels': labels[task]} if task in labels else {}
    tiny_pipeline(task, folder=tmp_path / 'teacher', **settings)
    source, _ = tiny_folder(units=12, hidden_size=20)
    train, _, inputs = files(task, tmp_path)
    (tmp_path / 'lines.txt').write_text('\n'.join(TEXTS))
    more = {} if task == 'question-answering' else {'unlabelled': tmp_path / 'lines.txt'}
    done = gb.distill(
        tmp_path / 'teacher', source, train=train, dev=train, output_dir=tmp_path / 'out',
        relation_weight=1.0, hidden_weight=1.0, **FAST, **more,
    )  # fmt: skip
    assert done.pipeline.network.config.units == 12 and done.metrics['dev']
    row = json.loads((tmp_path / 'out' / 'metrics.jsonl').read_text().splitlines()[0])
    assert terms_of(row) == {'teacher', 'labels', 'relations', 'hidden'}
    loaded = gb.load_pipeline(tmp_path / 'out')
    assert list(loaded(list(inputs))) == list(done.pipeline(list(inputs)))
    card = (tmp_path / 'out' / 'README.md').read_text()
    assert '| Teacher | teacher, 2 layers of 24 units |' in card
    assert 'gluon_bert.distill(' in card


def test_the_cache_changes_no_result_and_is_used_again(teacher, train, tmp_path, caplog):
    folder, _ = teacher
    more = {'num_layers': 1, 'train': train, 'hidden_weight': 1.0, **FAST}
    first = gb.distill(folder, output_dir=tmp_path / 'a', **more)
    assert {'teacher_scores.bin', 'teacher_states.bin'} <= {
        path.name for path in (tmp_path / 'a').iterdir()
    }
    second = gb.distill(folder, output_dir=tmp_path / 'b', teacher_cache='none', **more)
    assert not list((tmp_path / 'b').glob('*.bin'))
    caplog.clear()
    with caplog.at_level(logging.INFO):
        third = gb.distill(folder, output_dir=tmp_path / 'c', teacher_cache=tmp_path / 'a', **more)
    assert 'outputs of the teacher' not in caplog.text
    for other in (second, third):
        assert list(other.pipeline(TEXTS)) == list(first.pipeline(TEXTS))
    fewer = {**more, 'max_train_examples': 4}
    with pytest.raises(ValueError, match=r'teacher_scores\.bin: is not of this teacher and these'):
        gb.distill(folder, output_dir=tmp_path / 'd', teacher_cache=tmp_path / 'a', **fewer)
    (tmp_path / 'a' / 'teacher_scores.bin').write_bytes(b'no JSON')
    with pytest.raises(ValueError, match=r'teacher_scores\.bin: is not of this teacher'):
        gb.distill(folder, output_dir=tmp_path / 'e', teacher_cache=tmp_path / 'a', **more)


def test_a_finished_run_is_given_back_and_another_one_refused(teacher, train, tmp_path):
    folder, _ = teacher
    more = {'num_layers': 1, 'train': train, 'output_dir': tmp_path / 'out', **FAST}
    first = gb.distill(folder, **more)
    again = gb.distill(folder, resume=True, **more)
    assert list(again.pipeline(TEXTS)) == list(first.pipeline(TEXTS))
    with pytest.raises(ValueError, match=r'loss: .*temperature=2.0.*temperature=3.0'):
        gb.distill(folder, resume=True, temperature=3.0, **more)
    with pytest.raises(ValueError, match='resume it or overwrite it|overwrite'):
        gb.distill(folder, **more)


@pytest.mark.parametrize(
    'options, error, parts',
    [
        ({'temperature': 0.0}, ValueError, ['temperature=0.0: expected a positive number']),
        ({'alpha': 1.5}, ValueError, ['alpha=1.5: expected a fraction in [0, 1]']),
        ({'num_layers': 3}, ValueError, ['num_layers=3: the teacher has 2 layers']),
        ({'num_layers': None, 'student_layers': [0, 2]}, ValueError, ['student_layers=0 2: exp']),
        ({'num_layers': 1, 'student_layers': [0, 1]}, ValueError, ['student_layers names 2']),
        ({'num_layers': None}, ValueError, ['student: is needed, or num_layers']),
        ({'task': 'question-answering'}, ValueError, ['teacher=', 'not for question-answering']),
        ({'relation_heads': 4}, ValueError, ['relation_heads=4: goes with relation_weight']),
        (
            {'relation_weight': 1, 'relation_heads': 5},
            ValueError,
            ['relation_heads=5: does not divide the 24 units of the teacher'],
        ),
        ({'relation_weight': 1, 'teacher_layer': 2}, ValueError, ['teacher_layer=2: expected 0']),
        ({'temperatur': 1}, TypeError, ["did you mean 'temperature'"]),
        ({'train': None}, ValueError, ['train_file: is needed, or unlabelled']),
        ({'class_weights': 'balanced'}, ValueError, ['class_weights: is not for a student']),
        ({'unlabelled': 'empty.txt'}, ValueError, ['unlabelled=', 'there is no text in it']),
        ({'unlabelled': 'none.txt'}, FileNotFoundError, ['none.txt: no such file']),
        ({'train': None, 'unlabelled': 'lines.txt', 'alpha': 0.5}, ValueError, ['there are none']),
        ({'student': 'bert_2_128_2', 'num_layers': 1}, ValueError, ['num_layers: goes with a st']),
        ({'from_scratch': True}, ValueError, ['from_scratch: does not go with num_layers']),
    ],
)  # fmt: skip
def test_errors(teacher, train, lines, tmp_path, monkeypatch, options, error, parts):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'empty.txt').write_text('\n \n')
    given = {'num_layers': 1, 'train': train, **FAST, **options}
    given = {name: value for name, value in given.items() if value is not None}
    with pytest.raises(error) as caught:
        gb.distill(teacher[0], output_dir=tmp_path / 'out', **given)
    message = str(caught.value)
    assert '\n' not in message and all(part in message for part in parts), message
    assert not list(tmp_path.glob('out/*'))


def test_other_labels_pairs_and_vocabularies_are_refused(
    teacher, tiny_folder, make_model, tmp_path
):
    folder, _ = teacher
    rows = [('the cat', 'cat'), ('the sun', 'sun')]
    given = {'num_layers': 1, 'output_dir': tmp_path / 'out', **FAST}
    with pytest.raises(ValueError, match=r"train\.csv:3: label 'sun' is unknown.* of the teacher"):
        gb.distill(folder, train=table(tmp_path / 'train.csv', rows), **given)
    pairs = table(tmp_path / 'pairs.csv', [('a', 'b', 'cat')] * 4, 'text_a,text_b,label')
    settings = json.loads((folder / 'task.json').read_text())
    (folder / 'task.json').write_text(json.dumps({**settings, 'pair': False}))
    with pytest.raises(ValueError, match='reads single texts, the data are pairs'):
        gb.distill(folder, train=pairs, **given)
    single = table(tmp_path / 'single.csv', ROWS)
    with pytest.raises(ValueError, match='line 2 has a pair: the teacher reads single texts'):
        gb.distill(folder, train=single, unlabelled=pairs, **given)
    other, _ = tiny_folder()
    tokens = (other / 'vocab.txt').read_text().split()
    (other / 'vocab.txt').write_text('\n'.join([*tokens[:-2], *tokens[:-3:-1]]))
    for name in ('tokenizer.json',):
        (other / name).unlink(missing_ok=True)
    given.pop('num_layers')
    with pytest.raises(ValueError, match='student: has another vocabulary than the teacher'):
        gb.distill(folder, other, train=single, **given)
    assert not list(tmp_path.glob('out/*'))


def test_layers_are_evenly_spread():
    for count, expected in ((1, (0,)), (2, (0, 11)), (4, (0, 3, 7, 11)), (12, tuple(range(12)))):
        assert choose_layers(DistillationOptions(num_layers=count), 12) == expected


def test_the_command(teacher, train, lines, tmp_path, capsys):
    folder, out = teacher[0], tmp_path / 'out'
    words = ['--student_layers', '1', '--unlabelled', lines, '--train_file', train, '--epochs', 1]
    arguments = [folder, *words, '--batch-size', 4, '--output_dir', out]
    assert main(['distill', *map(str, arguments)]) == 0
    assert capsys.readouterr().out == f'{out}\n'
    assert 'gluon-bert distill teacher --student' in (out / 'README.md').read_text()
    assert json.loads((out / 'arguments.json').read_text())['student_layers'] == [1]
    assert gb.load_pipeline(out)('the cat').label in ('cat', 'dog')
    assert main(['distill', str(folder), '--num_layers', '9', '--train_file', str(train)]) == 2
    assert '--num_layers 9: the teacher has 2 layers' in capsys.readouterr().err


def test_a_resumed_run_with_projections_equals_an_unbroken_one(
    teacher, tiny_folder, train, tmp_path, monkeypatch
):
    student, _ = tiny_folder(units=12, hidden_size=20)
    given = {'train': train, 'hidden_weight': 1.0, **FAST, 'epochs': 2, 'checkpoint_interval': 1}
    whole = gb.distill(teacher[0], student, output_dir=tmp_path / 'whole', **given)
    make_step, count = TrainingStep.__call__, iter(range(9))

    def broken(*arguments, **options):
        if next(count) == 3:
            raise RuntimeError('broken')
        return make_step(*arguments, **options)

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match='broken'):
        patch.setattr(TrainingStep, '__call__', broken)
        gb.distill(teacher[0], student, output_dir=tmp_path / 'out', **given)
    done = gb.distill(teacher[0], student, output_dir=tmp_path / 'out', resume=True, **given)
    results = [json.loads((tmp_path / n / 'result.json').read_text()) for n in ('whole', 'out')]
    assert results[0]['final'] == results[1]['final']
    assert list(done.pipeline(TEXTS)) == list(whole.pipeline(TEXTS))


def test_compiled_layers_have_the_gradients_of_plain_ones(
    teacher, tiny_folder, train, tmp_path, monkeypatch
):
    student, _ = tiny_folder()
    given = {'train': train, 'hidden_weight': 1.0, 'relation_weight': 1.0, **FAST, 'epochs': 2}
    gb.distill(teacher[0], student, output_dir=tmp_path / 'compiled', **given)
    monkeypatch.setattr(mx.gluon.HybridBlock, 'hybridize', lambda self, *_, **__: None)
    gb.distill(teacher[0], student, output_dir=tmp_path / 'plain', **given)
    compiled, plain = (
        [
            row['gradient_norm']
            for row in map(json.loads, (tmp_path / name / 'metrics.jsonl').read_text().splitlines())
            if 'gradient_norm' in row
        ]
        for name in ('compiled', 'plain')
    )
    assert compiled == pytest.approx(plain, rel=1e-6) and len(plain) == 4


def test_a_cross_encoder_learns_from_pairs_with_and_without_labels(tiny_pipeline, tmp_path):
    tiny_pipeline('text-ranking', folder=tmp_path / 'teacher')
    rows = [('the cat', 'a cat', '1'), ('the cat', 'the sun', '0')]
    header = 'query,document,label'
    train = table(tmp_path / 'train.csv', rows * 4, header)
    more = table(tmp_path / 'more.csv', [row[:2] for row in rows], 'query,document')
    done = gb.distill(
        tmp_path / 'teacher', num_layers=1, train=train, dev=train, unlabelled=more,
        output_dir=tmp_path / 'out', **FAST,
    )  # fmt: skip
    row = json.loads((tmp_path / 'out' / 'metrics.jsonl').read_text().splitlines()[0])
    assert terms_of(row) == {'teacher', 'labels'} and 'mrr@10' in done.metrics['dev']
    assert len(gb.CrossEncoder(tmp_path / 'out').rank('the cat', ['a cat', 'the sun'])) == 2
    with pytest.raises(ValueError, match='loss=lambdarank: is no mean over texts'):
        gb.distill(
            tmp_path / 'teacher', num_layers=1, train=train, loss='lambdarank',
            output_dir=tmp_path / 'lists', **{**FAST, 'batch_size': 8},
        )  # fmt: skip


@pytest.mark.parametrize('units', [24, 12])
def test_vectors_of_a_student_come_near_to_the_teachers(tiny_folder, tmp_path, units):
    """An encoder teaches: vectors, relations and hidden states, of the same width or another."""
    source, _ = tiny_folder()
    shutil.move(source, tmp_path / 'teacher')
    given = {'num_layers': 1}
    if units == 12:
        given = {'student': tiny_folder(units=12, hidden_size=20, num_layers=1)[0]}
    (tmp_path / 'lines.txt').write_text(
        '\n'.join(f'{a} {b}' for a in WORDS[5:] for b in WORDS[5:9])
    )
    scored = table(
        tmp_path / 'dev.csv',
        [(a, b, str(i % 3)) for i, (a, b) in enumerate(zip(TEXTS, TEXTS[1:]))],
        'sentence1,sentence2,score',
    )
    done = gb.distill(
        tmp_path / 'teacher', unlabelled=tmp_path / 'lines.txt', dev=scored, epochs=4,
        learning_rate=1e-3, batch_size=8, output_dir=tmp_path / 'out', relation_weight=1.0,
        hidden_weight=1.0, **given,
    )  # fmt: skip
    lines = (tmp_path / 'out' / 'metrics.jsonl').read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if 'loss' in row]
    assert rows[-1]['loss'] < 0.6 * rows[0]['loss']
    assert terms_of(rows[0]) == {'teacher', 'relations', 'hidden'}
    assert {'spearman', 'pearson'} == {*done.metrics['dev']}
    encoder = gb.SentenceEncoder(done.folder)
    assert encoder.encode(TEXTS).shape == (4, units)
    assert '| Teacher | teacher, 2 layers of 24 units |' in (done.folder / 'README.md').read_text()


def test_an_encoder_is_compared_with_what_was_asked_for(tiny_folder, lines, tmp_path):
    source, _ = tiny_folder()
    given = {'num_layers': 1, 'output_dir': tmp_path / 'out', 'unlabelled': lines}
    with pytest.raises(ValueError, match='teacher=.*: has no head of a task, not for text-class'):
        gb.distill(source, task='text-classification', **given)
    with pytest.raises(ValueError, match='pooling=cls: is not for a student'):
        gb.distill(source, pooling='cls', **given)
    with pytest.raises(ValueError, match='temperature=2.0: is not for the squared distance'):
        gb.distill(source, temperature=2.0, **given)
    assert not list(tmp_path.glob('out/*'))
