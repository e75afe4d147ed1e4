"""GluonNLP's public names resolve here, or say what to use instead."""

import importlib
import subprocess
import sys

import pytest

import gluon_bert as nlp
from gluon_bert._gluonnlp import MODULES, REPLACEMENTS

ROOMS = ('model', 'data', 'vocab', 'utils', 'loss', 'metric', 'data.batchify', 'initializer')


def public_names():
    for room in ROOMS:
        for name in importlib.import_module(f'gluonnlp.{room}').__all__:
            yield room, name


def resolve(room, name):
    value = nlp
    for part in (*room.split('.'), name):
        value = getattr(value, part)
    return value


@pytest.mark.parametrize('room, name', list(public_names()))
def test_every_public_name_resolves_or_says_what_to_use(room, name):
    instead = REPLACEMENTS.get(room, {}).get(name)
    if instead is None:
        assert resolve(room, name) is not None
    else:
        with pytest.raises(AttributeError, match='gluon_bert|download has ended'):
            resolve(room, name)


@pytest.mark.parametrize(
    'room, name',
    [
        ('data', 'TSVDataset'),
        ('data', 'FixedBucketSampler'),
        ('data', 'SplitSampler'),
        ('data', 'BERTSentenceTransform'),
        ('data', 'BERTBasicTokenizer'),
        ('data.batchify', 'Pad'),
        ('data.batchify', 'Tuple'),
        ('utils', 'clip_grad_global_norm'),
        ('vocab', 'BERTVocab'),
        ('loss', 'MaskedSoftmaxCELoss'),
        ('metric', 'MaskedAccuracy'),
        ('model', 'GELU'),
    ],
)
def test_a_forwarded_name_is_gluonnlps(room, name):
    assert resolve(room, name) is getattr(importlib.import_module(f'gluonnlp.{room}'), name)


@pytest.mark.parametrize('module', list(MODULES))
def test_modules_import_by_name(module):
    assert importlib.import_module(f'gluon_bert.{module}').__name__ == MODULES[module]


def test_models_by_their_names(monkeypatch):
    vocab = nlp.Vocab is nlp.vocab.Vocab and nlp.vocab.BERTVocab(nlp.data.count_tokens(['a']))
    model, given = nlp.model.bert_2_128_2(vocab=vocab, pretrained=False)
    assert given is vocab and (model.config.num_layers, model.config.units) == (2, 128)
    model, _ = nlp.model.bert.get_bert_model('bert_2_128_2', vocab=vocab, pretrained=False)
    assert model.config.num_heads == 2
    regression = nlp.model.BERTRegression(model)
    assert regression.classifier.weight.shape == (1, 128)
    assert nlp.model.RoBERTaClassifier is nlp.BertClassifier


@pytest.mark.parametrize(
    'room, name, message',
    [
        ('data', 'get_tokenizer', 'use gluon_bert.get_tokenizer'),
        ('data', 'GlueMRPC', 'read_task'),
        ('model', 'RoBERTaModel', 'num_token_types=0'),
        ('model', 'BERTClasifier', "did you mean 'BERTClassifier'"),
        ('data', 'TSVDatset', "did you mean 'TSVDataset'"),
    ],
)
def test_what_is_not_here_says_what_to_use(room, name, message):
    with pytest.raises(AttributeError, match=message):
        resolve(room, name)


def test_gluonnlp_is_imported_on_use_only():
    code = 'import sys, gluon_bert; assert "gluonnlp" not in sys.modules'
    assert subprocess.run([sys.executable, '-c', code]).returncode == 0
