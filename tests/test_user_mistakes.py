"""Errors of Python users name the mistake and its cure."""

import mxnet as mx
import numpy as np
import pytest
from gluonnlp.data import count_tokens
from gluonnlp.vocab import BERTVocab
from script_runs import tiny_pipeline, tokenizer  # noqa: F401 (fixtures)

import gluon_bert as gb
from gluon_bert import model as names
from gluon_bert.pipelines import InputError

VOCAB = BERTVocab(count_tokens(['hello', 'world']))


@pytest.fixture(scope='module')
def bert():
    return gb.get_model('bert_2_128_2', vocab=VOCAB, pretrained=False)[0]


IDS = [[2, 5, 3]]


@pytest.mark.parametrize(
    'inputs, message',
    [
        ('hello', 'got str; a network reads ids of tokens'),
        (['hello', 'world'], 'got list; a network reads ids'),
        (b'hello', 'got bytes; a network reads ids'),
        ({'text': 'hello'}, 'got dict; a network reads ids'),
        (np.array(IDS), r'got ndarray; convert it with mx\.nd\.array'),
        (IDS, r'got list; convert it with mx\.nd\.array'),
        (None, 'got NoneType'),
        (3, r'got int; convert it with mx\.nd\.array'),
    ],
)
def test_networks_are_called_on_arrays(bert, inputs, message):
    heads = [gb.BertClassifier(bert), gb.BertForPretraining(bert), gb.Predictor(bert)]
    for network in (bert, *heads):
        with pytest.raises(TypeError, match=message):
            network(inputs)
    with pytest.raises(TypeError, match='got ndarray'):
        bert(mx.nd.array(IDS), np.zeros((1, 3)))


def test_predictors_read_features(bert):
    predictor = gb.Predictor(bert)
    for wrong in ('hello', ['hello'], [b'x'], [[2, 3]]):
        for call in (predictor.batch, predictor.batches, predictor.stream):
            with pytest.raises(TypeError, match='expected|must be a list of Features, got'):
                list(call(wrong))
    with pytest.raises(TypeError, match='got str; make them of texts'):
        list(predictor.stream(iter(['hello'])))
    with pytest.raises(
        ValueError, match='bert_12_768_12: is an architecture; expected NAME/DATASET'
    ):
        gb.Predictor('bert_12_768_12')
    with pytest.raises(FileNotFoundError, match='no_such: no such file or folder'):
        gb.Predictor('no_such')
    with pytest.raises(TypeError, match='int is no network around a BERT; give a model'):
        gb.Predictor(3)


@pytest.mark.parametrize(
    'head', [gb.BertClassifier, gb.BertForQA, gb.BertForPretraining, names.BERTRegression]
)
def test_heads_are_put_on_a_model(head, bert):
    for wrong, message in (
        ('bert_12_768_12', r"got str; build it first: .* gluon_bert\.get_model\('bert_12_768_12'"),
        ((bert, VOCAB), 'got tuple; get_model returns the model and its vocabulary'),
        (gb.BertClassifier(bert), r'has a head already; give its \.bert'),
        (None, 'got NoneType; build one first'),
    ):
        with pytest.raises(TypeError, match=message):
            head(wrong)


@pytest.mark.parametrize(
    'ctx, kind, message',
    [
        (mx.gpu(), ValueError, r'ctx=gpu\(0\): no such GPU'),
        ([mx.cpu(), mx.gpu(7)], ValueError, r'ctx=gpu\(7\): no such GPU'),
        ('gpu', TypeError, "ctx='gpu': expected an mxnet.Context"),
    ],
)
def test_a_gpu_that_is_not_there(ctx, kind, message, tmp_path):
    with pytest.raises(kind, match=message):
        gb.get_model('bert_2_128_2', vocab=VOCAB, pretrained=False, ctx=ctx)
    with pytest.raises(kind, match=message):
        gb.load_pipeline(tmp_path, ctx=ctx)
    with pytest.raises(kind, match=message):
        gb.load_model('bert_6_384_12/all_minilm_l6_v2', ctx=ctx)


@pytest.mark.parametrize(
    'name, message',
    [
        ('allow_missing', 'pretrained_allow_missing'),
        ('use_poolr', "did you mean 'use_pooler'"),
        ('output_attention', r'use model\.layer_outputs'),
        ('zzzz', r"has no argument 'zzzz' \(there are: name, "),
    ],
)
def test_get_model_names_the_nearest_argument(name, message):
    with pytest.raises(TypeError, match=message):
        gb.get_model('bert_2_128_2', vocab=VOCAB, pretrained=False, **{name: True})


def test_a_missing_head_names_the_argument_of_get_model():
    with pytest.raises(ValueError, match='pass pretrained_allow_missing=True'):
        gb.get_model('bert_6_384_12', 'all_minilm_l6_v2', use_decoder=True)


@pytest.mark.parametrize('wrong', [None, 3, 2.5, b'text', object()])
@pytest.mark.parametrize('task', ['classification', 'entities', 'questions'])
def test_pipelines_refuse_what_is_no_text(task, wrong, tiny_pipeline):  # noqa: F811
    pipeline = tiny_pipeline(task)
    with pytest.raises(TypeError, match=f'got {type(wrong).__name__}'):
        pipeline(wrong)
    with pytest.raises((TypeError, ValueError), match=f'got {type(wrong).__name__}'):
        pipeline([wrong])


def test_pipelines_take_dictionaries_and_arrays(tiny_pipeline):  # noqa: F811
    pipeline = tiny_pipeline('classification')
    texts = ['the cat', ('a dog', 'barks')]
    assert pipeline({'text': 'the cat'}) == pipeline('the cat')
    items = [{'text': 'the cat', 'pair': None}, {'text': 'a dog', 'pair': 'barks'}]
    assert pipeline(items) == pipeline(texts)
    assert list(pipeline(np.array(['the cat', 'a dog']))) == pipeline(['the cat', 'a dog'])
    questions = tiny_pipeline('questions')
    answer = questions('what barks', 'a dog barks')
    assert questions({'question': 'what barks', 'context': 'a dog barks'}) == answer
    tagger = tiny_pipeline('entities')
    assert tagger({'text': 'the cat'}) == tagger('the cat')


@pytest.mark.parametrize(
    'item, message',
    [
        ({'txt': 'a'}, "input 1: key 'txt' is unknown; did you mean 'text'"),
        ({'pair': 'a'}, "input 1: has no 'text'"),
        ({}, "input 1: has no 'text'"),
    ],
)
def test_wrong_keys_are_named(item, message, tiny_pipeline):  # noqa: F811
    with pytest.raises(InputError, match=message):
        tiny_pipeline('classification')(['a', item])
