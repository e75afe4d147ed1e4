# ruff: noqa: F811 (fixtures are imported)
"""Pipelines of checkpoints that transformers fine-tuned, against transformers; what is refused."""

import json

import numpy as np
import pytest
from peers import change_config, random_network, torch, transformers
from script_runs import WORDS, byte_pair_tokenizer, tokenizer  # noqa: F401 (fixtures)

import gluon_bert as gb
from gluon_bert.checkpoint import read_checkpoint, write_checkpoint

FAMILIES = 'Bert', 'Roberta', 'DistilBert'
TEXTS = ['The cat sleeps here', 'a dog barks loudly , without the moon !', 'sun', 'the dogs']
CONTEXT = 'the cat sleeps here . a dog barks out loud , without the moon'
TAGS = ['I-x', 'O', 'B-y', 'B-x', 'I-y']  # not in the order of this package
NOUNS = ['NOUN', 'VERB', 'LABEL_2']


@pytest.fixture
def folder(tokenizer, seed, tmp_path):
    """Write a random network of transformers: family, head, values of config.json -> folder."""

    def make(family, head, labels=None, **changes):
        if family == 'Roberta':
            tokens = byte_pair_tokenizer(tmp_path)
            changes = {'type_vocab_size': 1, 'pad_token_id': 1, **changes}
        else:
            tokens = tokenizer
            tokens.save(tmp_path)
        if labels:
            changes.update(
                id2label=dict(enumerate(labels)),
                label2id={label: i for i, label in enumerate(labels)},
            )
        network = random_network(
            f'{family}For{head}',
            seed,
            **{'vocab_size': len(tokens.vocab), 'max_position_embeddings': 40, **changes},
        )
        network.save_pretrained(tmp_path)
        return tmp_path

    return make


def peers_of(task, folder, **options):
    return transformers.pipeline(
        task, model=str(folder), tokenizer=str(folder), device='cpu', **options
    )


@pytest.mark.parametrize(
    'problem', ['single_label_classification', 'multi_label_classification', None]
)
@pytest.mark.parametrize('family', FAMILIES)
def test_classes_are_those_of_transformers(folder, family, problem):
    labels = ['good', 'bad', '7'] if problem else None
    path = folder(family, 'SequenceClassification', labels, problem_type=problem)
    inputs = [*TEXTS, ('the cat', 'barks')]
    theirs = peers_of('text-classification', path, top_k=None)
    for text, result in zip(inputs, gb.load_pipeline(path, batch_size=2)(inputs)):
        given = {'text': text[0], 'text_pair': text[1]} if isinstance(text, tuple) else text
        expected = {row['label']: row['score'] for row in theirs([given])[0]}
        assert result.probabilities == pytest.approx(expected, abs=1e-5)
        assert result.label == max(expected, key=expected.get)
        assert result.probability == result.probabilities[result.label]
        assert list(result.probabilities) == (labels or ['LABEL_0', 'LABEL_1'])


@pytest.mark.parametrize('problem', ['regression', None])
@pytest.mark.parametrize('family', FAMILIES)
def test_scores_are_the_outputs_of_transformers(folder, family, problem):
    path = folder(family, 'SequenceClassification', num_labels=1, problem_type=problem)
    theirs = peers_of('text-classification', path, function_to_apply='none')
    assert [result.value for result in gb.load_pipeline(path)(TEXTS)] == pytest.approx(
        [row['score'] for row in theirs(TEXTS)], abs=1e-5
    )


@pytest.mark.parametrize('labels', [TAGS, NOUNS])
@pytest.mark.parametrize('family', FAMILIES)
def test_entities_are_those_of_transformers(folder, family, labels):
    path = folder(family, 'TokenClassification', labels)
    tag, count = peers_of('token-classification', path), 0
    for text, entities in zip(TEXTS, gb.load_pipeline(path)(TEXTS)):
        offset, words = 0, []
        for word in text.split():
            start = text.index(word, offset)
            offset = start + len(word)
            words.append((start, offset))
        firsts = {}
        for row in tag(text, ignore_labels=[]):
            start = next(start for start, end in words if row['start'] < end)
            firsts.setdefault(start, row)
        expected = []
        for (start, end), row in zip(words, firsts.values()):
            kind, begins = row['entity'].split('-')[-1], row['entity'].startswith('B-')
            if kind == 'O':
                expected.append(None)
            elif (
                labels is TAGS
                and expected
                and expected[-1]
                and expected[-1][0] == kind
                and not begins
            ):
                expected[-1] = (kind, expected[-1][1], end, min(expected[-1][3], row['score']))
            else:
                expected.append((kind, start, end, row['score']))
        found = [(row.type, row.start, row.end) for row in entities]
        assert found == [row[:3] for row in expected if row]
        assert [row.probability for row in entities] == pytest.approx(
            [float(row[3]) for row in expected if row], abs=1e-5
        )
        count += len(found)
    assert count


@pytest.mark.parametrize('family', FAMILIES)
def test_answers_are_those_of_the_scores_of_transformers(folder, family):
    path = folder(family, 'QuestionAnswering', max_position_embeddings=80)
    pipeline = gb.load_pipeline(path)
    network = getattr(transformers, f'{family}ForQuestionAnswering').from_pretrained(path).eval()
    tokens = transformers.AutoTokenizer.from_pretrained(path)
    for question in TEXTS:
        inputs = tokens(question, CONTEXT, return_tensors='pt', return_offsets_mapping=True)
        offsets = inputs.pop('offset_mapping')[0].tolist()
        with torch.no_grad():
            given = network(**inputs)
        begin, end = (row[0].double().numpy() for row in (given.start_logits, given.end_logits))
        inside = [i for i, kind in enumerate(inputs.sequence_ids(0)) if kind == 1]
        # The space before a word is part of its token, but not of the answer.
        starts = {i: offsets[i][0] + (CONTEXT[offsets[i][0]] == ' ') for i in inside}
        spans = sorted(
            (
                (begin[i] + end[j], CONTEXT[starts[i] : offsets[j][1]])
                for i in inside
                for j in inside
                if 0 <= j - i < 30
            ),
            reverse=True,
        )
        best = {}
        for score, text in spans:
            best.setdefault(text, score)
        pipeline.settings['n_best_size'] = 100  # starts and ends in the question are among them
        answer, scores = pipeline(question, CONTEXT), [*best.values()][:5]
        assert answer.text == spans[0][1] == CONTEXT[answer.start : answer.end]
        found = answer.candidates[:5]
        assert [row.text for row in found] == [*best][:5]
        assert [row.start_logit + row.end_logit for row in found] == pytest.approx(scores, abs=1e-5)
        assert [row.probability / answer.probability for row in found] == pytest.approx(
            np.exp(np.array(scores) - scores[0]).tolist(), abs=1e-5
        )


def test_command_reads_them_too(folder, capsys):
    from gluon_bert.cli import main

    path = folder('Bert', 'SequenceClassification', ['good', 'bad'])
    assert main(['predict', str(path), 'a cat']) == 0
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert line == {'text': 'a cat', **gb.load_pipeline(path)('a cat')._asdict()}


@pytest.mark.parametrize('limit, cut', [(6, True), (10**30, False), (1e30, False), (99, False)])
def test_texts_are_as_long_as_tokenizer_and_network_take(folder, limit, cut):
    path = folder('Bert', 'SequenceClassification', ['good', 'bad'])
    file = path / 'tokenizer_config.json'
    file.write_text(json.dumps({**json.loads(file.read_text()), 'model_max_length': limit}))
    pipeline = gb.load_pipeline(path)
    pipeline('cat ' * 38)
    assert pipeline.num_cut == cut
    pipeline('cat ' * 39)
    assert pipeline.num_cut == cut + 1


@pytest.mark.parametrize('form', ['copy.params', 'copy'])
def test_what_a_checkpoint_says_is_kept_in_other_forms(folder, tmp_path, form):
    path = folder(
        'Bert',
        'SequenceClassification',
        ['good', 'bad', 'new'],
        problem_type='multi_label_classification',
    )
    change = path / 'tokenizer_config.json'
    change.write_text(json.dumps({**json.loads(change.read_text()), 'model_max_length': 9}))
    (tmp_path / 'other').mkdir()
    write_checkpoint(read_checkpoint(path), tmp_path / 'other' / form)
    first, second = gb.load_pipeline(path), gb.load_pipeline(tmp_path / 'other' / form)
    assert second.settings == first.settings and second.settings['max_len'] == 9
    assert second(TEXTS) == first(TEXTS)


def test_pretraining_heads_are_not_tasks(folder):
    path = folder('Bert', 'SequenceClassification', ['good', 'bad'])
    assert gb.load_pipeline(path, task='classification').task == 'text-classification'
    with pytest.raises(ValueError, match='is for text-classification'):
        gb.load_pipeline(path, task='fill-mask')


def named(*labels):
    return {'id2label': {str(i): label for i, label in enumerate(labels)}, 'num_labels': 'absent'}


@pytest.mark.parametrize(
    'head, changes, message',
    [
        ('Sequence', named('a', 'a', 'b'), "classes 0 and 1 have one name, 'a'"),
        ('Sequence', named('a', 'b'), 'has shape'),
        ('Sequence', {'id2label': ['a', 'b', 'c']}, r'config\.json: id2label is'),
        ('Sequence', {'problem_type': 'tags'}, r"config\.json: problem_type is 'tags'"),
        ('Sequence', {'problem_type': 'regression'}, 'a regression with 3 outputs'),
        ('Token', named('O', 'B-x', 'B-x'), "classes 1 and 2 have one name, 'B-x'"),
        ('Token', named('O', 'x', 'I-x'), "classes 1 and 2, 'x' and 'I-x', are one tag"),
        ('Token', named('O', 'L-x', 'E-x'), 'no scheme has all'),
        ('Token', named('O', 'a', ''), 'class 2 has an empty name'),
    ],
)
def test_labels_that_cannot_be_used_are_told(folder, head, changes, message):
    path = folder('Bert', f'{head}Classification', ['O', 'B-x', 'I-x'])
    change_config(path, **changes)
    with pytest.raises(ValueError, match=message) as caught:
        gb.load_pipeline(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize('limit', [0, -1, True, 'long', [9]])
def test_lengths_that_are_none_are_told(folder, limit):
    path = folder('Bert', 'QuestionAnswering')
    file = path / 'tokenizer_config.json'
    file.write_text(json.dumps({**json.loads(file.read_text()), 'model_max_length': limit}))
    with pytest.raises(ValueError, match=r'tokenizer_config\.json: model_max_length is'):
        gb.load_pipeline(path)


def test_what_is_absent_is_told(folder):
    path = folder('Bert', 'TokenClassification', ['O'])
    with pytest.raises(ValueError, match='name no entity'):
        gb.load_pipeline(path)
    for name in ('vocab.txt', 'tokenizer.json'):
        (path / name).unlink(missing_ok=True)
    with pytest.raises(ValueError, match='no vocabulary'):
        gb.load_pipeline(path)
