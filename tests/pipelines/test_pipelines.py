# ruff: noqa: F811 (fixtures are imported)
"""Pipelines: inputs of every form, order, memory, offsets; the folders they are loaded from."""

import itertools
import json

import mxnet as mx
import numpy as np
import pytest
from script_runs import WORDS, tiny_pipeline, tokenizer, valid_tags  # noqa: F401 (fixtures)

import gluon_bert as gb
from gluon_bert.modeling.crf import marginals
from gluon_bert.pipelines import InputError, split_words

TEXTS = ['the cat', 'a dog barks loudly !', 'sun', ' '.join(WORDS[5:14]), 'moon , sun']
CONTEXT = 'the cat sleeps here . a dog barks out loud , without the moon'


def close(first, second):
    """Equal but for the rounding that another padding brings."""
    assert type(first) is type(second)
    if isinstance(first, float):
        assert first == pytest.approx(second, abs=1e-5)
    elif isinstance(first, dict):
        assert list(first) == list(second)
        close(list(first.values()), list(second.values()))
    elif isinstance(first, (list, tuple)):
        assert len(first) == len(second)
        for pair in zip(first, second):
            close(*pair)
    else:
        assert first == second


@pytest.mark.parametrize(
    'task, inputs',
    [
        ('classification', [*TEXTS, ('a cat', 'the sun'), *TEXTS]),
        ('regression', TEXTS * 3),
        ('questions', [(text, CONTEXT) for text in TEXTS] * 2),
        ('entities', [*TEXTS, ['the', 'cat'], *TEXTS, '', []]),
    ],
)
def test_order_and_batches_do_not_matter(tiny_pipeline, task, inputs):
    pipeline = tiny_pipeline(task, batch_size=2)
    pipeline.look_ahead = 2
    results = pipeline(inputs)
    close(results, [next(pipeline.stream([item])) for item in inputs])
    close(results, list(pipeline(iter(inputs))))
    pipeline.batch_size = 32
    close(results, pipeline(inputs))
    assert pipeline([]) == []


@pytest.mark.parametrize('look_ahead, read', [(3, 18), (1, 8)])
def test_streams_read_on_as_results_are_taken(tiny_pipeline, look_ahead, read):
    pipeline, taken = tiny_pipeline('regression', batch_size=2), []
    pipeline.look_ahead = look_ahead
    results = pipeline(taken.append(i) or 'the cat' for i in itertools.count())
    # But with 1, the next block is prepared meanwhile.
    assert len(list(itertools.islice(results, 7))) == 7 and len(taken) == read


@pytest.mark.parametrize(
    'task, wrong, error',
    [
        ('classification', 7, TypeError),
        ('classification', 'the cat', InputError),
        ('questions', 'the cat', InputError),
        ('entities', None, TypeError),
    ],
)
def test_results_before_a_wrong_input_are_given(tiny_pipeline, task, wrong, error):
    pipeline = tiny_pipeline(task, batch_size=2, **{'pair': True} if 'class' in task else {})
    pipeline.look_ahead = 2
    right = 'the cat' if task == 'entities' else ('the cat', CONTEXT)
    found = []
    with pytest.raises(error, match='input 9' if error is InputError else '9'):
        for result in pipeline.stream([right] * 9 + [wrong]):
            found.append(result)
    assert len(found) == 8


def test_classes_have_their_softmax(tiny_pipeline):
    pipeline = tiny_pipeline('classification')
    pipeline.network.classifier.weight.set_data(
        mx.nd.zeros_like(pipeline.network.classifier.weight.data())
    )
    pipeline.network.classifier.bias.set_data(mx.nd.log(mx.nd.array([1, 5, 4])))
    result = pipeline('the cat')
    assert (result.label, result.probability) == ('mid', pytest.approx(0.5))
    assert result.probabilities == pytest.approx({'low': 0.1, 'mid': 0.5, 'high': 0.4})


def test_scores_stay_in_their_range_and_cuts_are_counted(tiny_pipeline):
    pipeline = tiny_pipeline('regression', range=[2.0, 3.0])
    pipeline.network.classifier.bias.set_data(mx.nd.array([99]))
    assert [result.value for result in pipeline(['the', 'cat ' * 15])] == [3, 3]
    assert pipeline.num_cut == 1


@pytest.mark.parametrize(
    'pair, text, reason',
    [(True, 'the cat', 'reads pairs'), (False, ('the', 'cat'), 'reads single texts')],
)
def test_wrong_number_of_texts_is_told(tiny_pipeline, pair, text, reason):
    pipeline = tiny_pipeline('classification', pair=pair, batch_size=1)
    pipeline.look_ahead = 1
    right = ('the', 'cat') if pair else 'the cat'
    with pytest.raises(InputError, match=f'input 2: the network {reason}'):
        pipeline([right, right, text])


def test_answers_stand_where_they_say(tiny_pipeline):
    pipeline = tiny_pipeline('questions')
    answers = pipeline(['a cat', 'the dog'], CONTEXT)
    for answer in answers:
        assert answer.text and CONTEXT[answer.start : answer.end] == answer.text
        assert answer.probability == answer.candidates[0].probability
        for row in answer.candidates:
            assert CONTEXT[row.start : row.end] == row.text
    close(answers, [pipeline('a cat', CONTEXT), pipeline(('the dog', CONTEXT))])
    close(answers, pipeline(['a cat', 'the dog'], [CONTEXT, CONTEXT]))
    with pytest.raises(ValueError, match='one for each of 2 questions, got 1'):
        pipeline(['a', 'b'], [CONTEXT])
    with pytest.raises(InputError, match='without its context'):
        pipeline(['a cat'])


def test_no_answer_is_empty(tiny_pipeline):
    pipeline = tiny_pipeline('questions', version_2=True, null_score_diff_threshold=-1e9)
    answer = pipeline('a cat', CONTEXT)
    assert (answer.text, answer.start, answer.end) == ('', 0, 0)
    assert answer.best_text in CONTEXT and 0 < answer.probability < 1


@pytest.mark.parametrize('crf', [False, True])
def test_entities_stand_where_they_say(tiny_pipeline, crf):
    pipeline = tiny_pipeline('entities', crf=crf)
    text = 'The cat, the dogs - \u4e2d\u56fdsun e\u0301 \U00020001 ! ' + 'out loud ' * 12
    entities, words = pipeline(text), split_words(text)[0]
    assert len(entities) > 3
    for entity in entities:
        assert text[entity.start : entity.end] == entity.text and 0 < entity.probability <= 1
    (given,) = pipeline([words])
    assert [(entity.type, entity.probability) for entity in given] == [
        (entity.type, pytest.approx(entity.probability)) for entity in entities
    ]
    assert [entity.text.replace(' ', '') for entity in given] == [
        ''.join(entity.text.split()) for entity in entities
    ]
    (tags,) = valid_tags(pipeline, [words])
    assert pipeline.tags_of(given, len(words)) == tags


def test_characters_are_words_where_they_were_in_training(tiny_pipeline):
    pipeline = tiny_pipeline('entities', characters=True)
    text = 'the \u4e2d\u56fd cat'
    for entity in pipeline(text):
        assert text[entity.start : entity.end] == entity.text
    assert pipeline.words(text)[0] == list(text)
    assert [row[:4] for row in pipeline(text)] == [row[:4] for row in pipeline([list(text)])[0]]


@pytest.mark.parametrize(
    'text, words',
    [
        ('', []),
        ('  ', []),
        ("it's\u3000\u4e2d3a", ['it', "'", 's', '\u4e2d', '3a']),
        ('\ud800 x', ['\ufffd', 'x']),
    ],
)
def test_words_are_those_of_bert(text, words):
    assert split_words(text)[0] == words


def test_tag_probabilities_of_a_crf_are_sums_over_all_sequences():
    random = np.random.RandomState(3)
    emissions, pair, begin, end = (random.randn(*shape) for shape in ((3, 2), (2, 2), (2,), (2,)))
    total = np.zeros((3, 2))
    for tags in itertools.product(range(2), repeat=3):
        score = (
            emissions[range(3), tags].sum()
            + begin[tags[0]]
            + end[tags[-1]]
            + pair[tags[:-1], tags[1:]].sum()
        )
        total[range(3), tags] += np.exp(score)
    np.testing.assert_allclose(
        marginals(emissions, pair, begin, end), total / total.sum(axis=1, keepdims=True)
    )


@pytest.mark.parametrize(
    'task', ['text-classification', 'text-regression', 'question-answering', 'token-classification']
)
def test_folder_gives_the_same_pipeline(tiny_pipeline, tmp_path, task):
    pipeline = tiny_pipeline(task, folder=tmp_path / 'kept', batch_size=3)
    inputs = [(text, CONTEXT) if task == 'question-answering' else text for text in TEXTS]
    for source in (tmp_path / 'kept', tmp_path / 'kept' / 'tiny.params'):
        assert gb.load_pipeline(source, batch_size=3)(inputs) == pipeline(inputs)
    with pytest.raises(ValueError, match=f'was fine-tuned for {task}'):
        gb.load_pipeline(tmp_path / 'kept', task='fill-mask')


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'task': 'tags'}, "task 'tags' is unknown"),
        ({'parameters': '../tiny.params'}, 'parameters is'),
        ({'parameters': '..'}, 'parameters is'),
        ({'labels': ['low', 'low', 'mid']}, 'labels is'),
        ({'labels': ['low', 'mid']}, 'of shape'),
        ({'labels': None}, "no 'labels'"),
        ({'max_len': 41}, '3 to 40'),
        ({'max_len': True}, 'max_len is True'),
        ({'batch_size': 10**9}, 'batch_size is 1000000000'),
        ({'dropout': 1e999}, 'not JSON|dropout'),
        ({'pooler': 'mean'}, "'pooler' is unknown"),
        ({'pooling': 'median'}, 'pooling is'),
        ({'config': {}}, 'the configuration is'),
        ({'config': {'num_layers': 10**9}}, 'too few for'),
        ({'range': [1, 0]}, 'range is'),
        ({'columns': {'text': None, 'pair': 'x'}}, 'columns is'),
        ({'base': ['bert']}, 'base is'),
        ({'parameters': 'none.params'}, 'none.params'),
    ],
)
def test_folder_that_was_altered_is_told(tiny_pipeline, tmp_path, changes, message):
    tiny_pipeline('classification', folder=tmp_path / 'kept')
    path = tmp_path / 'kept' / 'task.json'
    content = json.loads(path.read_text())
    if changes.get('config'):
        changes = {'config': {**content['config'], **changes['config']}}
    path.write_text(json.dumps({**content, **changes}))
    with pytest.raises((ValueError, FileNotFoundError), match=message) as caught:
        gb.load_pipeline(tmp_path / 'kept')
    assert str(tmp_path / 'kept') in str(caught.value)


def test_parts_that_are_absent_are_told(tiny_pipeline, make_model, tmp_path):
    tiny_pipeline('entities', folder=tmp_path / 'kept', crf=True)
    path = tmp_path / 'kept' / 'task.json'
    path.write_text(path.read_text().replace('"crf": true', '"crf": false'))
    with pytest.raises(ValueError, match='crf'):
        gb.load_pipeline(tmp_path / 'kept')
    for part in (tmp_path / 'kept' / 'tokenizer').iterdir():
        part.unlink()
    with pytest.raises(FileNotFoundError, match='no tokenizer'):
        gb.load_pipeline(tmp_path / 'kept')
    with pytest.raises(FileNotFoundError, match='nowhere'):
        gb.load_pipeline(tmp_path / 'nowhere')


def test_tokenizers_that_cannot_be_kept_are_refused_before_training(
    tokenizer, tmp_path, monkeypatch
):
    monkeypatch.setattr(type(tokenizer), 'lower', property(lambda self: self is not tokenizer))
    with pytest.raises(ValueError, match='cannot be saved'):
        gb.task_folder.save_tokenizer(tmp_path, tokenizer)


def test_card_tells_where_a_network_comes_from(tiny_pipeline, tmp_path):
    pipeline = tiny_pipeline(
        'classification', name='a|b', pair=True, base=['bert_6_384_12', 'all_minilm_l6_v2']
    )
    model = gb.task_folder.TaskModel('classification', pipeline.network, None, pipeline.settings)
    (tmp_path / 'dev_confusion.png').touch()
    gb.model_card.write_card(
        tmp_path,
        model,
        [
            gb.model_card.SplitReport('train', 'train.tsv', 9),
            gb.model_card.SplitReport('dev', 'dev.tsv', 3, {'accuracy': 0.5}, 'a report'),
        ],
        ['finetune.py', '--x', 'a b'],
    )
    card = (tmp_path / 'README.md').read_text()
    header, _, body = card.partition('\n---\n')
    for line in (
        'library_name: gluon_bert',
        'pipeline_tag: text-classification',
        'license: apache-2.0',
        'base_model: sentence-transformers/all-MiniLM-L6-v2',
        '- "accuracy"',
        '      value: 0.5',
    ):
        assert line in header.split('\n')
    for part in (
        'a\\|b',
        '| dev | dev.tsv | 3 |',
        "    finetune.py --x 'a b'",
        '    a report',
        '![confusion matrix](dev_confusion.png)',
        "pipeline(('A text.', 'Another.'))",
        'gluon-bert predict',
        'Apache-2.0',
    ):
        assert part in body
