"""The names of models on the Hugging Face hub stand for rows of the zoo."""

import logging

import pytest

import gluon_bert as gb
from gluon_bert.zoo import expand_name, find_model, hub_names, resolve, rows

KNOWN = {
    'bert-base-uncased': ('bert_12_768_12', 'book_corpus_wiki_en_uncased'),
    'google-bert/bert-base-uncased': ('bert_12_768_12', 'book_corpus_wiki_en_uncased'),
    'bert-large-cased-whole-word-masking': ('bert_24_1024_16', 'book_corpus_wiki_en_cased_wwm'),
    'bert-base-chinese': ('bert_12_768_12', 'wiki_cn_cased'),
    'sentence-transformers/all-MiniLM-L6-v2': ('bert_6_384_12', 'all_minilm_l6_v2'),
    'all-MiniLM-L6-v2': ('bert_6_384_12', 'all_minilm_l6_v2'),
    'FacebookAI/roberta-base': ('roberta_12_768_12', 'openwebtext_ccnews_stories_books_cased'),
    'roberta-large': ('roberta_24_1024_16', 'openwebtext_ccnews_stories_books_cased'),
    'distilbert-base-uncased': ('distilbert_6_768_12', 'distilbert_book_corpus_wiki_en_uncased'),
    'allenai/scibert_scivocab_uncased': ('bert_12_768_12', 'scibert_scivocab_uncased'),
}


@pytest.mark.parametrize('name', KNOWN)
def test_a_name_of_the_hub_is_a_row(name):
    assert find_model(name) == resolve(name) == expand_name(name, None) == KNOWN[name]


def test_every_name_is_that_of_one_row():
    by_name = {}
    for key, row in gb.zoo.WEIGHTS.items():
        for repository in set(rows._repositories(row)):
            by_name.setdefault(repository, set()).add(key)
            by_name.setdefault(repository.split('/')[1], set()).add(key)
    assert {name: {key} for name, key in hub_names().items()} == by_name


def test_models_and_tokenizers_by_name():
    model, vocab = gb.get_model('all-MiniLM-L6-v2', pretrained=False)
    assert (model.config.num_layers, model.config.units, len(vocab)) == (6, 384, 30522)
    tokenizer = gb.get_tokenizer('sentence-transformers/all-MiniLM-L6-v2')
    assert tokenizer('Hello') == ['hello']
    assert gb.zoo.get_config('roberta-base', 10).max_length == 512
    assert gb.zoo.family_of('roberta-base') == 'roberta'


def test_it_is_said_once_what_a_name_stands_for(caplog, monkeypatch):
    monkeypatch.setattr(rows, '_said', set())
    with caplog.at_level(logging.INFO, 'gluon_bert.zoo.rows'):
        for _ in range(2):
            find_model('bert-base-cased')
    assert caplog.messages == ['bert-base-cased is bert_12_768_12 on book_corpus_wiki_en_cased']


def test_a_folder_of_the_name_goes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'bert-base-uncased').mkdir()
    assert find_model('bert-base-uncased') is None
    with pytest.raises(ValueError, match='bert-base-uncased: holds no checkpoint'):
        gb.load_pipeline('bert-base-uncased')


@pytest.mark.parametrize(
    'arguments, message',
    [
        (('bert-base-uncasd',), "'bert-base-uncasd' is unknown; did you mean 'bert-base-uncased'"),
        (('bert-base-uncased', 'wiki_cn_cased'), 'bert_12_768_12 on book_corpus_wiki_en_uncased'),
        (('bert_12_768_12',), 'give dataset_name'),
        (('bert_12_768_12', 'wiki_cn_case'), "unknown; did you mean 'wiki_cn_cased'"),
    ],
)
@pytest.mark.parametrize('call', [gb.get_model, gb.get_tokenizer])
def test_a_wrong_name_has_the_nearest(call, arguments, message):
    with pytest.raises(ValueError, match=message):
        call(*arguments)
