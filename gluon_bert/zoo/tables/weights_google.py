"""Google's models of 2018 and 2019: (architecture, data set) -> row."""

from ..schema import GluonFile, HubFile, Weights, ZipArchive

_HEADS = ('pooler', 'next_sentence', 'masked_lm')
_PAGE = 'https://github.com/google-research/bert'
_MULTILINGUAL_PAGE = 'https://github.com/google-research/bert/blob/master/multilingual.md'
_CITATION = (
    'Devlin et al. (2019), BERT: Pre-training of Deep Bidirectional Transformers for '
    'Language Understanding'
)
_ZIPS = 'https://storage.googleapis.com/bert_models/'

WEIGHTS = {
    ('bert_12_768_12', 'book_corpus_wiki_en_uncased'): Weights(
        num_params=109482240,
        heads=_HEADS,
        description='English books and Wikipedia, lower-cased: the usual first choice for English.',
        licence='Apache-2.0',
        source=_PAGE,
        citation=_CITATION,
        sources=(
            HubFile(
                'google-bert/bert-base-uncased',
                'model.safetensors',
                sha256='68d45e234eb4a928074dfd868cead0219ab85354cc53d20e772753c6bb9169d3',
                size=440449768,
            ),
            ZipArchive(_ZIPS + '2018_10_18/uncased_L-12_H-768_A-12.zip'),
            GluonFile(
                'bert_12_768_12_book_corpus_wiki_en_uncased',
                '75cc780f085e8007b3bf6769c6348bb1ff9a3074',
                '.params',
            ),
        ),
    ),
    ('bert_12_768_12', 'book_corpus_wiki_en_cased'): Weights(
        num_params=108310272,
        heads=_HEADS,
        description='English books and Wikipedia, case and accents kept: for tasks where they '
        'matter, such as names.',
        licence='Apache-2.0',
        source=_PAGE,
        citation=_CITATION,
        sources=(
            HubFile('google-bert/bert-base-cased', 'model.safetensors'),
            ZipArchive(_ZIPS + '2018_10_18/cased_L-12_H-768_A-12.zip'),
            GluonFile(
                'bert_12_768_12_book_corpus_wiki_en_cased',
                '5656dac6965b5054147b0375337d5a6a7a2ff832',
                '.params',
            ),
        ),
    ),
    ('bert_24_1024_16', 'book_corpus_wiki_en_uncased'): Weights(
        num_params=335141888,
        heads=_HEADS,
        description='English books and Wikipedia, lower-cased: more accurate than the base model, '
        'at three times its size.',
        licence='Apache-2.0',
        source=_PAGE,
        citation=_CITATION,
        sources=(
            HubFile('google-bert/bert-large-uncased', 'model.safetensors'),
            ZipArchive(_ZIPS + '2018_10_18/uncased_L-24_H-1024_A-16.zip'),
            GluonFile(
                'bert_24_1024_16_book_corpus_wiki_en_uncased',
                '24551e1446180e045019a87fc4ffbf714d99c0b5',
                '.params',
            ),
        ),
    ),
    ('bert_24_1024_16', 'book_corpus_wiki_en_cased'): Weights(
        num_params=333579264,
        heads=_HEADS,
        description='English books and Wikipedia, case and accents kept: more accurate than the '
        'base model, at three times its size.',
        licence='Apache-2.0',
        source=_PAGE,
        citation=_CITATION,
        sources=(
            HubFile('google-bert/bert-large-cased', 'model.safetensors'),
            ZipArchive(_ZIPS + '2018_10_18/cased_L-24_H-1024_A-16.zip'),
            GluonFile(
                'bert_24_1024_16_book_corpus_wiki_en_cased',
                '4e685a966f8bf07d533bd6b0e06c04136f23f620',
                '.params',
            ),
        ),
    ),
    ('bert_24_1024_16', 'book_corpus_wiki_en_uncased_wwm'): Weights(
        num_params=335141888,
        heads=_HEADS,
        description='As the lower-cased large model, but all pieces of a word are masked '
        'together, which makes the prediction harder and the model better.',
        licence='Apache-2.0',
        source=_PAGE,
        citation=_CITATION,
        sources=(
            HubFile('google-bert/bert-large-uncased-whole-word-masking', 'model.safetensors'),
            ZipArchive(_ZIPS + '2019_05_30/wwm_uncased_L-24_H-1024_A-16.zip'),
        ),
    ),
    ('bert_24_1024_16', 'book_corpus_wiki_en_cased_wwm'): Weights(
        num_params=333579264,
        heads=_HEADS,
        description='As the cased large model, but all pieces of a word are masked together, '
        'which makes the prediction harder and the model better.',
        licence='Apache-2.0',
        source=_PAGE,
        citation=_CITATION,
        sources=(
            HubFile('google-bert/bert-large-cased-whole-word-masking', 'model.safetensors'),
            ZipArchive(_ZIPS + '2019_05_30/wwm_cased_L-24_H-1024_A-16.zip'),
        ),
    ),
    ('bert_12_768_12', 'wiki_multilingual_uncased'): Weights(
        num_params=167356416,
        heads=_HEADS,
        description='Wikipedia in 102 languages, lower-cased and without accents; its authors '
        'advise the cased model instead.',
        licence='Apache-2.0',
        source=_MULTILINGUAL_PAGE,
        citation=_CITATION,
        sources=(
            HubFile(
                'google-bert/bert-base-multilingual-uncased',
                'model.safetensors',
                sha256='b33adb2b700b7029a64a4a14ddec6bda8555d2ca879e80a75789fd9542a6290e',
            ),
            ZipArchive(_ZIPS + '2018_11_03/multilingual_L-12_H-768_A-12.zip'),
            GluonFile(
                'bert_12_768_12_wiki_multilingual_uncased',
                '237f39851b24f0b56d70aa20efd50095e3926e26',
                '.params',
            ),
        ),
    ),
    ('bert_12_768_12', 'wiki_multilingual_cased'): Weights(
        num_params=177853440,
        heads=_HEADS,
        description='Wikipedia in 104 languages, case and accents kept.',
        licence='Apache-2.0',
        source=_MULTILINGUAL_PAGE,
        citation=_CITATION,
        sources=(
            HubFile(
                'google-bert/bert-base-multilingual-cased',
                'model.safetensors',
                sha256='876f584f15ebf14887dec17539c114bb99a032e96b9e72507a51c41e205337fc',
            ),
            ZipArchive(_ZIPS + '2018_11_23/multi_cased_L-12_H-768_A-12.zip'),
            GluonFile(
                'bert_12_768_12_wiki_multilingual_cased',
                'b0f57a207f85a7d361bb79de80756a8c9a4276f7',
                '.params',
            ),
        ),
    ),
    ('bert_12_768_12', 'wiki_cn_cased'): Weights(
        num_params=102267648,
        heads=_HEADS,
        description='Chinese Wikipedia, simplified and traditional, one character a token.',
        licence='Apache-2.0',
        source=_MULTILINGUAL_PAGE,
        citation=_CITATION,
        sources=(
            HubFile('google-bert/bert-base-chinese', 'model.safetensors'),
            ZipArchive(_ZIPS + '2018_11_03/chinese_L-12_H-768_A-12.zip'),
            GluonFile(
                'bert_12_768_12_wiki_cn_cased',
                '885ebb9adc249a170c5576e90e88cfd1bbd98da6',
                '.params',
            ),
        ),
    ),
}
