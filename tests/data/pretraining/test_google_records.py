"""Records of Google's script, number for number."""

import gzip
import json
import os
import random
from pathlib import Path

import pytest
from google_reference import instances, tokenize
from test_masking import TOKENS, tokenizer

from gluon_bert.data import BertTokenizer, read_vocabulary
from gluon_bert.data.pretraining.corpus import TextEncoder
from gluon_bert.data.pretraining.create import PretrainingDataOptions, create_pretraining_data
from gluon_bert.data.pretraining.masking import Masking
from gluon_bert.data.pretraining.records import read_records

DATA = Path(os.environ.get('GLUON_BERT_DATA', ''))
DEFAULTS = {
    'random_seed': 12345,
    'dupe_factor': 10,
    'max_seq_length': 128,
    'short_seq_prob': 0.1,
    'masked_lm_prob': 0.15,
    'max_predictions_per_seq': 20,
    'do_whole_word_mask': False,
}


def options_of(settings):
    settings = dict(settings)
    strategy = 'whole_words' if settings.pop('do_whole_word_mask') else 'tokens'
    prob, most = settings.pop('masked_lm_prob'), settings.pop('max_predictions_per_seq')
    return PretrainingDataOptions(
        masking=Masking(strategy, prob, most), compatible='google', **settings
    )


def make(inputs, outputs, made_tokenizer, **changes):
    """The records, each as a dict of lists."""
    options = options_of({**DEFAULTS, **changes})
    create_pretraining_data(inputs, outputs, made_tokenizer, options, overwrite=True)
    outputs = [outputs] if isinstance(outputs, (str, Path)) else outputs
    return [rows(path) for path in outputs]


def rows(path):
    return [
        {name: getattr(value, 'tolist', lambda value=value: value)() for name, value in row.items()}
        for row in (record._asdict() for record in read_records(path))
    ]


@pytest.mark.data
@pytest.mark.parametrize('name', ['default', 'whole_word_mask'])
def test_the_published_example(name, tmp_path):
    vocabulary = read_vocabulary(DATA / 'vocab' / 'uncased_english' / 'vocab.txt')
    path = tmp_path / 'a.tfrecord'
    create_pretraining_data(
        DATA / 'corpus' / 'sample_text.txt', path, BertTokenizer(vocabulary),
        options_of({**DEFAULTS, 'do_whole_word_mask': name != 'default'}),
    )  # fmt: skip
    with gzip.open(DATA / 'pretraining_ref' / f'{name}.json.gz') as file:
        expected = json.load(file)
    found = rows(path)
    assert len(found) == len(expected) == (118 if name == 'default' else 122)
    for row, features in zip(found, expected):
        padded = {
            'input_ids': row['token_ids'] + [0] * (128 - len(row['token_ids'])),
            'input_mask': [1] * len(row['token_ids']) + [0] * (128 - len(row['token_ids'])),
            'segment_ids': row['token_types'] + [0] * (128 - len(row['token_ids'])),
            'next_sentence_labels': [row['next_sentence']],
            **{
                feature: row[name] + [0] * (20 - len(row[name]))
                for feature, name in (
                    ('masked_lm_positions', 'masked_positions'),
                    ('masked_lm_ids', 'masked_ids'),
                    ('masked_lm_weights', 'masked_weights'),
                )
            },
        }
        assert padded == features


def made_text(seed, num_documents=5):
    """Documents of random sentences; some are long, some are blank."""
    rng = random.Random(seed)
    documents = []
    for _ in range(num_documents):
        sentences = [
            ' '.join(
                rng.choice('abcdefghz') + rng.choice(['', 'x', 'xy', '中', '国.'])
                for _ in range(rng.choice([1, 4, 12, 40]))
            )
            for _ in range(rng.randint(1, 12))
        ]
        documents.append('\n'.join(sentences))
    return rng.choice(['\n\n', '\n \n\n']).join(documents) + rng.choice(['', '\n'])


@pytest.mark.parametrize(
    'changes',
    [
        {},
        {'random_seed': 7, 'do_whole_word_mask': True},
        {'max_seq_length': 5, 'dupe_factor': 2},
        {'max_seq_length': 33, 'short_seq_prob': 0.9, 'random_seed': -3},
        {'max_seq_length': 512, 'max_predictions_per_seq': 76, 'dupe_factor': 3},
        {'masked_lm_prob': 0.5, 'max_predictions_per_seq': 3, 'do_whole_word_mask': True},
        {'masked_lm_prob': 0, 'short_seq_prob': 0, 'random_seed': 2**70},
        {'masked_lm_prob': 1, 'short_seq_prob': 1, 'max_predictions_per_seq': 500},
    ],
    ids=str,
)
def test_other_settings(tmp_path, changes):
    texts = [made_text(seed, 2 + seed) for seed in range(3)]
    paths = []
    for number, text in enumerate(texts):
        paths.append(tmp_path / f'{number}.txt')
        paths[-1].write_bytes(text.encode())
    vocab = {token: number for number, token in enumerate(TOKENS)}
    expected = instances(
        [text.removesuffix('\n') for text in [_joined(texts)]], vocab, True,
        {**DEFAULTS, **changes},
    )  # fmt: skip
    assert make(paths, tmp_path / 'a.tfrecord', tokenizer(), **changes) == [expected]
    outputs = [tmp_path / f'{number}.npz' for number in range(3)]
    found = make(f'{tmp_path}/0.txt,{tmp_path}/[12].txt', outputs, tokenizer(), **changes)
    assert found == [expected[number::3] for number in range(3)]


def _joined(texts):
    """Files follow each other without a blank line between them."""
    return ''.join(text if text.endswith('\n') else f'{text}\n' for text in texts)


@pytest.mark.data
@pytest.mark.parametrize('name, lower', [('uncased_english', True), ('chinese', False)])
def test_text_becomes_the_tokens_of_googles_tokenizer(name, lower):
    vocabulary = read_vocabulary(DATA / 'vocab' / name / 'vocab.txt')
    encoder = TextEncoder(BertTokenizer(vocabulary, lower=lower), like_google=True)
    lines = (DATA / 'corpus' / 'sample_text.txt').read_text('utf-8').split('\n')
    lines += (DATA / 'corpus' / 'wikitext-2.test.raw.txt').read_text('utf-8').split('\n')[:400]
    lines += ['ΣΑΣ ὈΔΥΣΣΕΎΣ.', 'a\ue000b c', '𫠡x', '[MASK] [SEP] me', 'a\u2028b\x85c\xa0d', 'İI']
    expected = [tokenize(line, vocabulary.token_to_idx, lower) for line in lines]
    found = [[vocabulary.idx_to_token[n] for n in ids] for ids in encoder(lines)]
    assert found == expected
