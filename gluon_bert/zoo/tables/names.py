"""Other names of the data sets, and the scripts' default models."""

# (architecture, data set)
DEFAULT = ('bert_12_768_12', 'book_corpus_wiki_en_uncased')
DEFAULT_CASED = ('bert_12_768_12', 'book_corpus_wiki_en_cased')
OFFLINE_DEFAULT = ('bert_6_384_12', 'all_minilm_l6_v2')  # needs no download

# Name in GluonNLP 0.5 or 0.6, in its documentation or in its docstrings -> name here.
DATASET_ALIASES = {
    'baidu_ernie': 'baidu_ernie_uncased',
    'biobert_v1.0_pmc': 'biobert_v1.0_pmc_cased',
    'biobert_v1.0_pubmed': 'biobert_v1.0_pubmed_cased',
    'biobert_v1.0_pubmed_pmc': 'biobert_v1.0_pubmed_pmc_cased',
    'biobert_v1.1_pubmed': 'biobert_v1.1_pubmed_cased',
    'clinicalbert': 'clinicalbert_uncased',
    'distil_book_corpus_wiki_en_uncased': 'distilbert_book_corpus_wiki_en_uncased',
    'openwebtext_ccnews_stories_books': 'openwebtext_ccnews_stories_books_cased',
    'wiki_cn': 'wiki_cn_cased',
    'wiki_multilingual': 'wiki_multilingual_uncased',
}
