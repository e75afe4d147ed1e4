"""Google's 24 small models of 2020: (architecture, data set) -> row.

The base model was retrained for this release, so it has a separate data set; among the other 23 its
place is taken by the model of 2018.
"""

from ..schema import HubFile, Weights, ZipArchive

_HEADS = ('pooler', 'next_sentence', 'masked_lm')
_SMALL = (
    'English books and Wikipedia, lower-cased, as the base model but smaller; best '
    'fine-tuned on the predictions of a larger one.'
)
_PAGE = 'https://github.com/google-research/bert'
_CITATION = (
    'Turc et al. (2019), Well-Read Students Learn Better: On the Importance of '
    'Pre-training Compact Models'
)
_ZIPS = 'https://storage.googleapis.com/bert_models/2020_02_20/'

WEIGHTS = {
    ('bert_2_128_2', 'book_corpus_wiki_en_uncased'): Weights(
        num_params=4385920,
        heads=_HEADS,
        description='BERT-Tiny. ' + _SMALL,
        licence='Apache-2.0',
        source=_PAGE,
        citation=_CITATION,
        sources=(
            HubFile(
                'google/bert_uncased_L-2_H-128_A-2',
                'model.safetensors',
                sha256='7fb69ad9f6866d8983183c930e33828f326470bf6ad8bbb2ad4ed957a92e9414',
                size=17739144,
            ),
            ZipArchive(_ZIPS + 'uncased_L-2_H-128_A-2.zip'),
        ),
    ),
    ('bert_2_256_4', 'book_corpus_wiki_en_uncased'): Weights(
        num_params=9591040,
        heads=_HEADS,
        description=_SMALL,
        licence='Apache-2.0',
        source=_PAGE,
        citation=_CITATION,
        sources=(
            HubFile('google/bert_uncased_L-2_H-256_A-4', 'pytorch_model.bin'),
            ZipArchive(_ZIPS + 'uncased_L-2_H-256_A-4.zip'),
        ),
    ),
    ('bert_2_512_8', 'book_corpus_wiki_en_uncased'): Weights(
        num_params=22458880,
        heads=_HEADS,
        description=_SMALL,
        licence='Apache-2.0',
        source=_PAGE,
        citation=_CITATION,
        sources=(
            HubFile('google/bert_uncased_L-2_H-512_A-8', 'pytorch_model.bin'),
            ZipArchive(_ZIPS + 'uncased_L-2_H-512_A-8.zip'),
        ),
    ),
    ('bert_2_768_12', 'book_corpus_wiki_en_uncased'): Weights(
        num_params=38603520,
        heads=_HEADS,
        description=_SMALL,
        licence='Apache-2.0',
        source=_PAGE,
        citation=_CITATION,
        sources=(
            HubFile('google/bert_uncased_L-2_H-768_A-12', 'pytorch_model.bin'),
            ZipArchive(_ZIPS + 'uncased_L-2_H-768_A-12.zip'),
        ),
    ),
    ('bert_4_128_2', 'book_corpus_wiki_en_uncased'): Weights(
        num_params=4782464,
        heads=_HEADS,
        description=_SMALL,
        licence='Apache-2.0',
        source=_PAGE,
        citation=_CITATION,
        sources=(
            HubFile('google/bert_uncased_L-4_H-128_A-2', 'pytorch_model.bin'),
            ZipArchive(_ZIPS + 'uncased_L-4_H-128_A-2.zip'),
        ),
    ),
    ('bert_4_256_4', 'book_corpus_wiki_en_uncased'): Weights(
        num_params=11170560,
        heads=_HEADS,
        description='BERT-Mini. ' + _SMALL,
        licence='Apache-2.0',
        source=_PAGE,
        citation=_CITATION,
        sources=(
            HubFile('google/bert_uncased_L-4_H-256_A-4', 'pytorch_model.bin'),
            ZipArchive(_ZIPS + 'uncased_L-4_H-256_A-4.zip'),
        ),
    ),
    ('bert_4_512_8', 'book_corpus_wiki_en_uncased'): Weights(
        num_params=28763648,
        heads=_HEADS,
        description='BERT-Small. ' + _SMALL,
        licence='Apache-2.0',
        source=_PAGE,
        citation=_CITATION,
        sources=(
            HubFile('google/bert_uncased_L-4_H-512_A-8', 'pytorch_model.bin'),
            ZipArchive(_ZIPS + 'uncased_L-4_H-512_A-8.zip'),
        ),
    ),
    ('bert_4_768_12', 'book_corpus_wiki_en_uncased'): Weights(
        num_params=52779264,
        heads=_HEADS,
        description=_SMALL,
        licence='Apache-2.0',
        source=_PAGE,
        citation=_CITATION,
        sources=(
            HubFile('google/bert_uncased_L-4_H-768_A-12', 'pytorch_model.bin'),
            ZipArchive(_ZIPS + 'uncased_L-4_H-768_A-12.zip'),
        ),
    ),
    ('bert_6_128_2', 'book_corpus_wiki_en_uncased'): Weights(
        num_params=5179008,
        heads=_HEADS,
        description=_SMALL,
        licence='Apache-2.0',
        source=_PAGE,
        citation=_CITATION,
        sources=(
            HubFile('google/bert_uncased_L-6_H-128_A-2', 'pytorch_model.bin'),
            ZipArchive(_ZIPS + 'uncased_L-6_H-128_A-2.zip'),
        ),
    ),
    ('bert_6_256_4', 'book_corpus_wiki_en_uncased'): Weights(
        num_params=12750080,
        heads=_HEADS,
        description=_SMALL,
        licence='Apache-2.0',
        source=_PAGE,
        citation=_CITATION,
        sources=(
            HubFile('google/bert_uncased_L-6_H-256_A-4', 'pytorch_model.bin'),
            ZipArchive(_ZIPS + 'uncased_L-6_H-256_A-4.zip'),
        ),
    ),
    ('bert_6_512_8', 'book_corpus_wiki_en_uncased'): Weights(
        num_params=35068416,
        heads=_HEADS,
        description=_SMALL,
        licence='Apache-2.0',
        source=_PAGE,
        citation=_CITATION,
        sources=(
            HubFile('google/bert_uncased_L-6_H-512_A-8', 'pytorch_model.bin'),
            ZipArchive(_ZIPS + 'uncased_L-6_H-512_A-8.zip'),
        ),
    ),
    ('bert_6_768_12', 'book_corpus_wiki_en_uncased'): Weights(
        num_params=66955008,
        heads=_HEADS,
        description=_SMALL,
        licence='Apache-2.0',
        source=_PAGE,
        citation=_CITATION,
        sources=(
            HubFile('google/bert_uncased_L-6_H-768_A-12', 'pytorch_model.bin'),
            ZipArchive(_ZIPS + 'uncased_L-6_H-768_A-12.zip'),
        ),
    ),
    ('bert_8_128_2', 'book_corpus_wiki_en_uncased'): Weights(
        num_params=5575552,
        heads=_HEADS,
        description=_SMALL,
        licence='Apache-2.0',
        source=_PAGE,
        citation=_CITATION,
        sources=(
            HubFile('google/bert_uncased_L-8_H-128_A-2', 'pytorch_model.bin'),
            ZipArchive(_ZIPS + 'uncased_L-8_H-128_A-2.zip'),
        ),
    ),
    ('bert_8_256_4', 'book_corpus_wiki_en_uncased'): Weights(
        num_params=14329600,
        heads=_HEADS,
        description=_SMALL,
        licence='Apache-2.0',
        source=_PAGE,
        citation=_CITATION,
        sources=(
            HubFile('google/bert_uncased_L-8_H-256_A-4', 'pytorch_model.bin'),
            ZipArchive(_ZIPS + 'uncased_L-8_H-256_A-4.zip'),
        ),
    ),
    ('bert_8_512_8', 'book_corpus_wiki_en_uncased'): Weights(
        num_params=41373184,
        heads=_HEADS,
        description='BERT-Medium. ' + _SMALL,
        licence='Apache-2.0',
        source=_PAGE,
        citation=_CITATION,
        sources=(
            HubFile('google/bert_uncased_L-8_H-512_A-8', 'pytorch_model.bin'),
            ZipArchive(_ZIPS + 'uncased_L-8_H-512_A-8.zip'),
        ),
    ),
    ('bert_8_768_12', 'book_corpus_wiki_en_uncased'): Weights(
        num_params=81130752,
        heads=_HEADS,
        description=_SMALL,
        licence='Apache-2.0',
        source=_PAGE,
        citation=_CITATION,
        sources=(
            HubFile('google/bert_uncased_L-8_H-768_A-12', 'pytorch_model.bin'),
            ZipArchive(_ZIPS + 'uncased_L-8_H-768_A-12.zip'),
        ),
    ),
    ('bert_10_128_2', 'book_corpus_wiki_en_uncased'): Weights(
        num_params=5972096,
        heads=_HEADS,
        description=_SMALL,
        licence='Apache-2.0',
        source=_PAGE,
        citation=_CITATION,
        sources=(
            HubFile('google/bert_uncased_L-10_H-128_A-2', 'pytorch_model.bin'),
            ZipArchive(_ZIPS + 'uncased_L-10_H-128_A-2.zip'),
        ),
    ),
    ('bert_10_256_4', 'book_corpus_wiki_en_uncased'): Weights(
        num_params=15909120,
        heads=_HEADS,
        description=_SMALL,
        licence='Apache-2.0',
        source=_PAGE,
        citation=_CITATION,
        sources=(
            HubFile('google/bert_uncased_L-10_H-256_A-4', 'pytorch_model.bin'),
            ZipArchive(_ZIPS + 'uncased_L-10_H-256_A-4.zip'),
        ),
    ),
    ('bert_10_512_8', 'book_corpus_wiki_en_uncased'): Weights(
        num_params=47677952,
        heads=_HEADS,
        description=_SMALL,
        licence='Apache-2.0',
        source=_PAGE,
        citation=_CITATION,
        sources=(
            HubFile('google/bert_uncased_L-10_H-512_A-8', 'pytorch_model.bin'),
            ZipArchive(_ZIPS + 'uncased_L-10_H-512_A-8.zip'),
        ),
    ),
    ('bert_10_768_12', 'book_corpus_wiki_en_uncased'): Weights(
        num_params=95306496,
        heads=_HEADS,
        description=_SMALL,
        licence='Apache-2.0',
        source=_PAGE,
        citation=_CITATION,
        sources=(
            HubFile('google/bert_uncased_L-10_H-768_A-12', 'pytorch_model.bin'),
            ZipArchive(_ZIPS + 'uncased_L-10_H-768_A-12.zip'),
        ),
    ),
    ('bert_12_128_2', 'book_corpus_wiki_en_uncased'): Weights(
        num_params=6368640,
        heads=_HEADS,
        description=_SMALL,
        licence='Apache-2.0',
        source=_PAGE,
        citation=_CITATION,
        sources=(
            HubFile('google/bert_uncased_L-12_H-128_A-2', 'pytorch_model.bin'),
            ZipArchive(_ZIPS + 'uncased_L-12_H-128_A-2.zip'),
        ),
    ),
    ('bert_12_256_4', 'book_corpus_wiki_en_uncased'): Weights(
        num_params=17488640,
        heads=_HEADS,
        description=_SMALL,
        licence='Apache-2.0',
        source=_PAGE,
        citation=_CITATION,
        sources=(
            HubFile('google/bert_uncased_L-12_H-256_A-4', 'pytorch_model.bin'),
            ZipArchive(_ZIPS + 'uncased_L-12_H-256_A-4.zip'),
        ),
    ),
    ('bert_12_512_8', 'book_corpus_wiki_en_uncased'): Weights(
        num_params=53982720,
        heads=_HEADS,
        description=_SMALL,
        licence='Apache-2.0',
        source=_PAGE,
        citation=_CITATION,
        sources=(
            HubFile('google/bert_uncased_L-12_H-512_A-8', 'pytorch_model.bin'),
            ZipArchive(_ZIPS + 'uncased_L-12_H-512_A-8.zip'),
        ),
    ),
    ('bert_12_768_12', 'book_corpus_wiki_en_uncased_2020'): Weights(
        num_params=109482240,
        heads=_HEADS,
        description='The base model trained anew in 2020, as the 23 smaller ones were, for '
        'comparison with them.',
        licence='Apache-2.0',
        source=_PAGE,
        citation=_CITATION,
        sources=(
            HubFile('google/bert_uncased_L-12_H-768_A-12', 'pytorch_model.bin'),
            ZipArchive(_ZIPS + 'uncased_L-12_H-768_A-12.zip'),
        ),
    ),
}
