"""GluonNLP's files of all its classes, in and out; the names its 0.5 to 0.10 wrote."""

import json
import re

import mxnet as mx
import numpy as np
import pytest
from gluonnlp.model.bert import (
    BERTClassifier,
    BERTEncoder,
    BERTModel,
    DistilBERTModel,
    RoBERTaClassifier,
    RoBERTaModel,
)
from mxnet.gluon import HybridBlock, nn

from gluon_bert.checkpoint.gluonnlp.files import read_gluonnlp, write_gluonnlp
from gluon_bert.checkpoint.gluonnlp.params_file import read_params, write_params
from gluon_bert.checkpoint.schema import Checkpoint
from gluon_bert.modeling.build import build_network

SIZES = dict(num_layers=2, units=128, hidden_size=96, num_heads=2, max_length=20, dropout=0.1)
BATCH = tuple(
    mx.nd.array(part)
    for part in ([[2, 9, 4, 7, 3], [2, 5, 3, 1, 1]], [[0, 0, 1, 1, 1], [0, 0, 0, 0, 0]], [5, 3])
)
SHORT = BATCH[0], BATCH[2]


class QuestionAnswering(HybridBlock):
    """With the parameter names of GluonNLP's script finetune_squad.py."""

    def __init__(self, bert, **kwargs):
        super().__init__(**kwargs)
        self.bert = bert
        with self.name_scope():
            self.span_classifier = nn.Dense(2, flatten=False)

    def forward(self, *inputs):
        return self.span_classifier(self.bert(*inputs))


class Tagger(HybridBlock):
    """With the parameter names of GluonNLP's script for entities."""

    def __init__(self, bert, **kwargs):
        super().__init__(**kwargs)
        self.bert_model = bert
        with self.name_scope():
            self.tag_classifier = nn.Dense(5, flatten=False)

    def forward(self, *inputs):
        return self.tag_classifier(self.bert_model(*inputs))


def bert(**heads):
    return BERTModel(
        BERTEncoder(**SIZES),
        31,
        token_type_vocab_size=2,
        units=128,
        embed_size=128,
        **{'use_decoder': False, 'use_classifier': False, **heads},
    )


def roberta(**heads):
    encoder = BERTEncoder(**SIZES, layer_norm_eps=1e-5)
    return RoBERTaModel(encoder, 31, units=128, embed_size=128, **heads)


def network(checkpoint):
    pretraining = {'masked_lm', 'next_sentence'} & set(checkpoint.heads)
    return build_network(checkpoint, 'pretraining' if pretraining else None)


def initialised(block, inputs):
    block.initialize(mx.init.Normal(0.1))
    block(*inputs)
    for parameter in block.collect_params().values():
        parameter.set_data(
            parameter.data() + mx.nd.random.normal(scale=0.05, shape=parameter.shape)
        )
    return block


CASES = {
    'bare': (bert, BATCH),
    'no pooler': (lambda: bert(use_pooler=False), BATCH),
    'classifier': (lambda: BERTClassifier(bert(), 3, dropout=0.1), BATCH),
    'classifier without dropout': (lambda: BERTClassifier(bert(), 3, dropout=0.0), BATCH),
    'questions': (lambda: QuestionAnswering(bert(use_pooler=False)), BATCH),
    'entities': (lambda: Tagger(bert(use_pooler=False)), BATCH),
    'roberta': (lambda: roberta(use_decoder=False), SHORT),
    'roberta masked words': (roberta, (*SHORT, mx.nd.array([[1, 2], [0, 1]]))),
    'roberta classifier': (lambda: RoBERTaClassifier(roberta(use_decoder=False), 3, 0.1), SHORT),
    'roberta classifier without dropout': (
        lambda: RoBERTaClassifier(roberta(use_decoder=False), 3, 0.0),
        SHORT,
    ),
    'distilbert': (
        lambda: DistilBERTModel(BERTEncoder(**SIZES), 31, units=128, embed_size=128),
        SHORT,
    ),
}


def outputs(block, inputs):
    result = block(*inputs)
    return [part.asnumpy() for part in (result if isinstance(result, (list, tuple)) else [result])]


def assert_agree(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize('name', CASES)
def test_files_of_every_class_load_agree_and_go_back(name, tmp_path):
    make, inputs = CASES[name]
    theirs = initialised(make(), inputs)
    theirs.save_parameters(str(tmp_path / 'their.params'))
    # Not told by a file: DistilBERT's has no name of its own, nor RoBERTa's bare model's.
    family = name.split()[0] if name.startswith(('roberta', 'distil')) else None
    checkpoint = read_gluonnlp(tmp_path / 'their.params', family=family, num_heads=2)
    ours = network(checkpoint)
    expected = outputs(theirs, inputs)
    assert_agree(outputs(ours, inputs), expected)

    write_gluonnlp(checkpoint, tmp_path / 'our.params')
    again = make()
    if 'without dropout' in name:  # in our own files a classifier is one with dropout
        again = (
            BERTClassifier(bert(), 3, 0.1)
            if name[0] == 'c'
            else RoBERTaClassifier(roberta(use_decoder=False), 3, 0.1)
        )
    again.load_parameters(str(tmp_path / 'our.params'))
    assert_agree(outputs(again, inputs), expected)
    first, second = checkpoint.arrays, read_gluonnlp(tmp_path / 'our.params').arrays
    assert set(first) == set(second)
    assert all(np.array_equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize('cell', ['dotproductselfattentioncell', 'multiheadattentioncell'])
@pytest.mark.parametrize('name', ['bare', 'classifier', 'roberta classifier'])
def test_exported_files(name, cell, tmp_path):
    make, inputs = CASES[name]
    theirs = initialised(make(), inputs)
    theirs.hybridize()
    expected = outputs(theirs, inputs)
    theirs.export(str(tmp_path / 'model'))
    arrays = read_params(tmp_path / 'model-0000.params')
    write_params(
        tmp_path / 'old.params',
        {'arg:' + re.sub('dotproductselfattentioncell', cell, key): arrays[key] for key in arrays},
    )
    ours = network(
        read_gluonnlp(
            tmp_path / 'old.params',
            family=name.split()[0] if 'roberta' in name else None,
            num_heads=2,
        )
    )
    assert_agree(outputs(ours, inputs), expected)


def test_regression_files_of_the_old_class(tmp_path):
    theirs = initialised(BERTClassifier(bert(), 1, dropout=0.1), BATCH)
    theirs.save_parameters(str(tmp_path / 'a.params'))
    arrays = read_params(tmp_path / 'a.params')
    write_params(
        tmp_path / 'old.params',
        {key.replace('classifier.1.', 'regression.1.'): arrays[key] for key in arrays},
    )
    ours = network(read_gluonnlp(tmp_path / 'old.params', num_heads=2))
    assert_agree(outputs(ours, BATCH), outputs(theirs, BATCH))


@pytest.mark.parametrize('absent', ['word_embed.0.weight', 'decoder.3.weight'])
def test_shared_weight_may_be_there_once(absent, tmp_path):
    theirs = initialised(bert(use_decoder=True), (*BATCH, mx.nd.array([[1], [2]])))
    theirs.save_parameters(str(tmp_path / 'a.params'))
    arrays = dict(read_params(tmp_path / 'a.params'))
    arrays.pop(absent)
    write_params(tmp_path / 'once.params', arrays)
    inputs = (*BATCH, mx.nd.array([[1], [2]]))
    ours = network(read_gluonnlp(tmp_path / 'once.params', num_heads=2))
    assert_agree(outputs(ours, inputs), outputs(theirs, inputs))


def test_a_decoder_of_its_own_is_refused(tmp_path):
    theirs = initialised(bert(use_decoder=True), (*BATCH, mx.nd.array([[1], [2]])))
    theirs.save_parameters(str(tmp_path / 'a.params'))
    arrays = dict(read_params(tmp_path / 'a.params'))
    arrays['decoder.3.weight'] = arrays['decoder.3.weight'] + 1
    write_params(tmp_path / 'a.params', arrays)
    with pytest.raises(ValueError, match=r'a\.params: decoder\.3\.weight differs'):
        read_gluonnlp(tmp_path / 'a.params')


def test_mxnet_reads_what_we_write(tmp_path, seed):
    arrays = {
        'x': np.random.RandomState(seed).rand(3, 4).astype('float32'),
        'y.z': np.arange(5, dtype='int64'),
        'h': np.ones((1, 2), 'float16'),
    }
    write_params(tmp_path / 'a.params', arrays)
    loaded = mx.nd.load(str(tmp_path / 'a.params'))
    assert {name: (array.dtype, array.shape) for name, array in arrays.items()} == {
        name: (np.dtype(array.dtype), array.shape) for name, array in loaded.items()
    }
    assert all(np.array_equal(arrays[name], loaded[name].asnumpy()) for name in arrays)
    again = read_params(tmp_path / 'a.params')
    assert all(np.array_equal(arrays[name], again[name]) for name in arrays)


def test_not_a_bert_says_what_is_missing(tmp_path):
    write_params(tmp_path / 'a.params', {'conv0.weight': np.ones((3, 3), 'float32')})
    with pytest.raises(ValueError, match=r'a\.params: has no word_embed\.0\.weight'):
        read_gluonnlp(tmp_path / 'a.params')


def test_existing_files_are_not_overwritten(make_model, tmp_path):
    model = make_model()
    model.save_parameters(tmp_path / 'a.params')
    checkpoint = read_gluonnlp(tmp_path / 'a.params', config=model.config)
    with pytest.raises(ValueError, match=r'a\.params: is there already'):
        write_gluonnlp(checkpoint, tmp_path / 'a.params')


def test_configuration_beside_the_file_has_a_version(make_model, tmp_path):
    model = make_model()
    write_gluonnlp(Checkpoint(model.checkpoint_arrays(), model.config), tmp_path / 'a.params')
    path = tmp_path / 'a.json'
    content = json.loads(path.read_text())
    assert content['config']['version'] == 1
    del content['config']['version']  # as it was written before there was one
    path.write_text(json.dumps(content))
    assert read_gluonnlp(tmp_path / 'a.params').config == model.config
    content['config'].update(version=2)
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r'a\.json: .*newer gluon_bert'):
        read_gluonnlp(tmp_path / 'a.params')
