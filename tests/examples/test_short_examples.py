"""The examples of one screen each, as a user runs them."""

import json

import answer
import classify
import distill
import embed_and_search
import predict_files
import pytest
import tag
import train_on_csv
import train_sentences
from script_runs import tiny_folder, tiny_pipeline, tokenizer  # noqa: F401 (fixtures)

import gluon_bert as gb

TEXT = 'the cat sleeps here , the dog barks'


def lines_of(capsys):
    return capsys.readouterr().out.strip().split('\n')


def test_classify_prints_the_most_probable_class_first(tiny_pipeline, tmp_path, capsys):  # noqa: F811
    pipeline = tiny_pipeline('text-classification', folder=tmp_path / 'out')
    classify.main([str(tmp_path / 'out'), TEXT, 'the moon'])
    rows = [line.split('\t') for line in lines_of(capsys)]
    assert [row[0] for row in rows] == [TEXT, 'the moon']
    for row, result in zip(rows, pipeline([TEXT, 'the moon'])):
        assert row[1] == f'{result.label} {result.probability:.3f}'
        assert len(row) == 4


def test_files_are_predicted_in_several_processes(tiny_pipeline, tmp_path, capsys):  # noqa: F811
    pipeline = tiny_pipeline('text-classification', folder=tmp_path / 'out')
    (tmp_path / 'a.txt').write_text(f'{TEXT}\nthe moon\n')
    names = [str(tmp_path / name) for name in ('out', 'a.txt', 'a.jsonl')]
    predict_files.main(names)
    assert capsys.readouterr().err == '2 results, 0 shards were there\n'
    rows = [json.loads(line) for line in (tmp_path / 'a.jsonl').read_text().splitlines()]
    assert [row['label'] for row in rows] == [row.label for row in pipeline([TEXT, 'the moon'])]


def test_answer_prints_answers_with_their_places(tiny_pipeline, tmp_path, capsys):  # noqa: F811
    pipeline = tiny_pipeline('question-answering', folder=tmp_path / 'out')
    (tmp_path / 'text.txt').write_text(TEXT)
    answer.main([str(tmp_path / 'out'), str(tmp_path / 'text.txt'), 'the dog', 'the cat'])
    rows = [line.split('\t') for line in lines_of(capsys)]
    expected = pipeline(['the dog', 'the cat'], TEXT)
    assert [row[1] for row in rows] == [result.text for result in expected]
    assert rows[0][3] == f'characters {expected[0].start} to {expected[0].end}'


def test_tag_keeps_the_text_around_the_entities(tiny_pipeline, tmp_path, capsys):  # noqa: F811
    pipeline = tiny_pipeline('token-classification', folder=tmp_path / 'out')
    tag.main([str(tmp_path / 'out'), TEXT])
    line = lines_of(capsys)[0]
    entities = pipeline(TEXT)
    assert entities and line.count('](') == len(entities)
    for entity in entities:
        line = line.replace(f'[{entity.text}]({entity.type})', entity.text, 1)
    assert line == TEXT


@pytest.mark.weights
def test_search_finds_the_line_that_means_the_same(real_model, tmp_path, capsys):
    (tmp_path / 'lines.txt').write_text(
        'The train to Basel leaves at noon.\nA cat sleeps on the sofa.\n\nShares fell.\n'
    )
    embed_and_search.main([str(tmp_path / 'lines.txt'), 'a kitten on the couch'])
    lines = lines_of(capsys)
    assert lines[0] == 'a kitten on the couch'
    assert lines[1].endswith('A cat sleeps on the sofa.') and len(lines) == 4


def test_train_on_a_table(tiny_folder, tmp_path, capsys):  # noqa: F811
    folder, _ = tiny_folder()
    rows = 'the cat sleeps,cat\nthe dog barks,dog\n'
    for name, times in (('train', 8), ('dev', 2)):
        (tmp_path / f'{name}.csv').write_text('text,label\n' + rows * times)
    train_on_csv.main(
        [*(str(tmp_path / name) for name in ('train.csv', 'dev.csv', 'out')), str(folder)]
    )
    first, second = lines_of(capsys)
    assert first.startswith('dev accuracy ') and second in ('cat', 'dog')
    assert gb.load_pipeline(tmp_path / 'out')('An example.').label == second


def test_distill_a_teacher(tiny_pipeline, tmp_path, capsys):  # noqa: F811
    tiny_pipeline('text-classification', folder=tmp_path / 'teacher', labels=['cat', 'dog'])
    rows = 'the cat sleeps,cat\nthe dog barks,dog\n'
    (tmp_path / 'train.csv').write_text('text,label\n' + rows * 4)
    (tmp_path / 'lines.txt').write_text('a cat\na dog\n')
    names = ('teacher', 'train.csv', 'train.csv', 'out', 'lines.txt')
    distill.main([str(tmp_path / name) for name in names])
    first, *others = lines_of(capsys)
    assert first.startswith('student of 1 layers: dev accuracy ') and len(others) == 2
    assert gb.load_pipeline(tmp_path / 'out').trained.config.num_layers == 1


def test_train_sentence_vectors(tiny_folder, tmp_path, capsys):  # noqa: F811
    folder, _ = tiny_folder()
    rows = 'the cat sleeps\ta cat sleeps\nthe dog barks\ta dog barks\nthe sun\tsun here !\n'
    for name in ('train', 'dev'):
        (tmp_path / f'{name}.tsv').write_text('anchor\tpositive\n' + rows)
    train_sentences.main(
        [*(str(tmp_path / name) for name in ('train.tsv', 'dev.tsv', 'out')), str(folder)]
    )
    first, second = lines_of(capsys)
    assert first.startswith('dev mrr@10 ') and second.startswith('[[')
    assert gb.SentenceEncoder(tmp_path / 'out' / 'model').encode(['the cat']).shape == (1, 24)
