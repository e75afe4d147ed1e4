"""Lists of texts to arrays, and ids to text, for the three kinds of tokenizers."""

import mxnet as mx
import numpy as np
import pytest
from gluonnlp.data import count_tokens
from gluonnlp.vocab import BERTVocab
from test_tokenizer import AWKWARD, SPECIAL, make_vocab
from test_tokenizer_families import TEXT, byte_pair, byte_pair_folder, spiece, train_sentencepiece  # noqa: F401  (fixtures)
from tokenizers import AddedToken, Tokenizer

from gluon_bert.data import (
    BertTokenizer,
    BytePairTokenizer,
    SentencePieceTokenizer,
    SentenceTransform,
    pad_batch,
)
from gluon_bert.data.tokenizers.vocabulary import Vocabulary
from gluon_bert.data.tokenizers.vocabulary_ids import BERT_TOKENS, ROBERTA_TOKENS

# Ids:    0      1      2      3      4       5        6        7       8     9    10   11
WORDS = [*SPECIAL, 'hello', 'world', '##s', 'un', '!', ',', 'a']
PAD, UNK, CLS, SEP, MASK = range(5)
TEXTS = [*TEXT, *AWKWARD]


@pytest.fixture
def words():
    return BertTokenizer(Vocabulary(WORDS, BERT_TOKENS))


@pytest.fixture
def letters():
    """A byte-level BPE with the ids 0 to 8."""
    tokens = ['<s>', '<pad>', '</s>', '<unk>', 'a', 'b', 'Ġ', 'ab', 'Ġab', '<mask>', 'Ã', '©']
    return BytePairTokenizer(Vocabulary(tokens, ROBERTA_TOKENS), [('a', 'b'), ('Ġ', 'ab')])


@pytest.fixture(params=['word_piece', 'byte_pair', 'sentence_piece'])
def tokenizer(request):
    if request.param == 'word_piece':
        return BertTokenizer(make_vocab())
    if request.param == 'byte_pair':
        return request.getfixturevalue('byte_pair')
    return SentencePieceTokenizer(request.getfixturevalue('spiece'))


def library(tokenizer):
    """The ``tokenizers`` library with the file that the tokenizer writes for it."""
    return Tokenizer.from_str(tokenizer.contents()['tokenizer.json'].decode())


# Lists


def test_a_list_of_texts_gives_a_list_of_tokens(words):
    assert words(['Hello worlds!', '', 'un']) == [['hello', 'world', '##s', '!'], [], ['un']]
    assert words(text for text in ('a', 'hello,')) == [['a'], ['hello', ',']]
    assert words(np.array(['a', 'un'])) == [['a'], ['un']]
    assert words([]) == [] and words('Hello worlds!') == ['hello', 'world', '##s', '!']


def test_lists_give_the_tokens_of_each_text(tokenizer):
    assert tokenizer(TEXTS) == [tokenizer(text) for text in TEXTS]


@pytest.mark.parametrize(
    ('texts', 'message'),
    [
        (None, 'text must be str or a list of str, got NoneType'),
        (b'hello', 'text must be str or a list of str, got bytes'),
        (5, 'text must be str or a list of str, got int'),
        (np.array([1, 2]), r'text\[0\] must be str, got int64'),
        (np.array('hello'), 'text must be a list of str, got ndarray'),
        ({'text': 'hello'}, 'text must be a list of str, got dict'),
        ({'hello', 'world'}, 'text must be a list of str, got set'),
        (['hello', None], r'text\[1\] must be str, got NoneType'),
        ([('hello', 'world')], r'text\[0\] must be str, got tuple'),
    ],
)
def test_what_is_no_text_is_refused(tokenizer, texts, message):
    with pytest.raises(TypeError, match=message):
        tokenizer(texts)


# Arrays


def test_texts_are_padded_to_the_longest(words):
    batch = words.batch(['Hello worlds!', 'a', ''])
    assert batch.inputs.tolist() == [
        [CLS, 5, 6, 7, 9, SEP],
        [CLS, 11, SEP, PAD, PAD, PAD],
        [CLS, SEP, PAD, PAD, PAD, PAD],
    ]
    assert batch.token_types.tolist() == [[0] * 6] * 3
    assert batch.valid_length.tolist() == [6, 3, 2]
    assert {array.dtype for array in batch} == {np.dtype('int32')}
    same = words(['Hello worlds!', 'a', ''], padding='longest')
    assert all(np.array_equal(*arrays) for arrays in zip(batch, same))


def test_pairs_have_types_and_are_cut_from_the_longer_text(words):
    batch = words.batch(
        ['Hello worlds!', 'a'], ['un', None], padding='max_length', truncation=True, max_length=7
    )
    # [CLS] hello world ##s [SEP] un [SEP]: "!" is cut.
    assert batch.inputs.tolist() == [[CLS, 5, 6, 7, SEP, 8, SEP], [CLS, 11, SEP, *[PAD] * 4]]
    assert batch.token_types.tolist() == [[0, 0, 0, 0, 0, 1, 1], [0] * 7]
    assert batch.valid_length.tolist() == [7, 3]


def test_pairs_of_roberta_have_two_separators_and_no_types(letters):
    batch = letters(['ab ab', 'b'], ['a', 'b'])
    # <s> ab Ġab </s> </s> a </s>
    assert batch.inputs.tolist() == [[0, 7, 8, 2, 2, 4, 2], [0, 5, 2, 2, 5, 2, 1]]
    assert not batch.token_types.any() and batch.valid_length.tolist() == [7, 6]


def test_without_padding_the_rows_are_arrays_of_their_lengths(words):
    inputs, token_types, valid_length = words.batch(['a', 'Hello worlds!'], padding=False)
    assert [row.tolist() for row in inputs] == [[CLS, 11, SEP], [CLS, 5, 6, 7, 9, SEP]]
    assert [row.tolist() for row in token_types] == [[0] * 3, [0] * 6]
    assert valid_length.tolist() == [3, 6] and valid_length.dtype == 'int32'


@pytest.mark.parametrize('max_length', [None, 6, 9, 40])
@pytest.mark.parametrize('paired', [False, True])
def test_batches_are_those_of_features_and_pad_batch(tokenizer, max_length, paired):
    pairs = TEXTS[::-1] if paired else None
    features, _ = SentenceTransform(tokenizer, max_length or 10**6).transform_batch(TEXTS, pairs)
    expected = pad_batch(features, tokenizer.vocab[tokenizer.vocab.padding_token])
    batch = tokenizer.batch(TEXTS, pairs, max_length=max_length)
    assert all(np.array_equal(*arrays) for arrays in zip(batch, expected))


@pytest.mark.parametrize('max_length', [5, 12])
def test_batches_are_those_of_the_library(words, max_length):
    theirs = Tokenizer.from_str(words.contents()['tokenizer.json'].decode())
    theirs.enable_truncation(max_length)
    theirs.enable_padding(length=max_length, pad_id=PAD, pad_token='[PAD]')
    encoded = theirs.encode_batch(TEXTS)
    mine = words.batch(TEXTS, padding='max_length', max_length=max_length)
    assert mine.inputs.tolist() == [row.ids for row in encoded]
    assert mine.valid_length.tolist() == [sum(row.attention_mask) for row in encoded]


def test_a_network_takes_the_arrays(words, make_model):
    model = make_model()
    sequence, pooled = model(*map(mx.nd.array, words.batch(['Hello worlds!', 'a'])))
    assert sequence.shape[:2] == (2, 6) and pooled.shape[0] == 2


@pytest.mark.parametrize(
    ('texts', 'pairs', 'options', 'error', 'message'),
    [
        ('a', None, {}, TypeError, r'texts must be a list of str, got one text: write \[text\]'),
        (None, None, {}, TypeError, 'texts must be a list of str, got NoneType'),
        (['a', 3], None, {}, TypeError, r'texts\[1\] must be str, got int'),
        ([], None, {}, ValueError, 'texts must hold one text or more'),
        (['a', 'b'], ['c'], {}, ValueError, 'pairs must be as many as texts, got 1 and 2'),
        (['a', 'b'], 'cd', {}, TypeError, 'pairs must be a list of str, got one text'),
        (['a', 'b'], ['c', 4], {}, TypeError, r'pairs\[1\] must be str, got int'),
        (['a'], 5, {}, TypeError, 'pairs must be a list of str, got int'),
        (['a'], None, {'padding': 'longst'}, ValueError, "padding='longst': expected one of"),
        (['a'], None, {'padding': None}, ValueError, 'padding=None: expected one of'),
        (['a'], None, {'padding': 'max_length'}, ValueError, 'needs max_length'),
        (['a'], None, {'truncation': True}, ValueError, 'truncation=True: needs max_length'),
        (['a'], None, {'truncation': 'only_first'}, ValueError, "truncation='only_first'"),
        (['a'], None, {'max_length': 2}, ValueError, 'max_length must be 3 or more'),
        (['a'], None, {'max_length': 8.0}, ValueError, 'max_length must be 3 or more.*got 8.0'),
        (['a'], None, {'max_length': True}, ValueError, 'max_length must be 3 or more.*got True'),
        (['a'], ['b'], {'max_length': 4}, ValueError, 'max_length must be 5 or more for pairs'),
        (['a'], None, {'return_tensors': 'np'}, TypeError, 'return_tensors'),
    ],
)
def test_wrong_arguments_of_a_batch_are_refused(words, texts, pairs, options, error, message):
    with pytest.raises(error, match=message):
        words.batch(texts, pairs, **options)


def test_longer_texts_are_refused_with_their_row_if_nothing_is_cut(words):
    texts = ['a', 'hello worlds', 'Hello worlds!']
    assert words.batch(texts, truncation=False, max_length=6).valid_length.tolist() == [3, 5, 6]
    message = r'texts\[1\] has 5 tokens with the special ones, max_length is 4'
    with pytest.raises(ValueError, match=message):
        words.batch(texts, truncation=False, max_length=4)
    with pytest.raises(ValueError, match=r'texts\[1\] has 6 tokens'):
        words.batch(['a', 'un'], ['a', 'a,'], truncation=False, max_length=5)


@pytest.mark.parametrize('role', ['cls_token', 'padding_token'])
def test_a_vocabulary_without_the_tokens_of_a_sequence_is_refused(role):
    ids = {token: number for number, token in enumerate(WORDS)}
    vocab = BERTVocab(count_tokens(WORDS), **{**BERT_TOKENS, role: None}, token_to_idx=ids)
    with pytest.raises(ValueError, match=f'the vocabulary has no {role}'):
        BertTokenizer(vocab).batch(['a'])


# Back to text


@pytest.mark.parametrize('skips', [False, True])
def test_decoding_is_that_of_the_library(tokenizer, skips):
    theirs = library(tokenizer)
    mask = tokenizer.vocab.mask_token
    for text in [*TEXTS, f'the {mask} dog{mask}{mask} fox', "they don't, do not ; it 's ."]:
        ids = tokenizer.batch([text]).inputs[0].tolist()
        expected = theirs.decode(ids, skip_special_tokens=skips)
        if isinstance(tokenizer, SentencePieceTokenizer) and skips:
            # Without unknown tokens, several spaces can begin the text: SentencePiece drops all.
            expected = expected.lstrip(' ')
        assert tokenizer.decode(ids, skips) == expected


def test_decoding_of_sentence_pieces_is_that_of_their_library(spiece):  # noqa: F811
    sentencepiece = pytest.importorskip('sentencepiece')
    processor = sentencepiece.SentencePieceProcessor(model_file=str(spiece))
    tokenizer = SentencePieceTokenizer(spiece)
    for text in TEXT:
        ids = tokenizer.encode(text).ids
        assert tokenizer.vocab['[UNK]'] not in ids
        assert tokenizer.decode(ids) == processor.decode(processor.encode(text))


def test_bytes_of_sentence_pieces_are_joined():
    model = train_sentencepiece(TEXT, byte_fallback=True, vocab_size=450)
    tokenizer = SentencePieceTokenizer(model)
    text = 'ẞ Ωmega 漢字 [MASK] the 🙂 dog'
    encoded = tokenizer.encode(text)
    assert '<0xF0>' in encoded.tokens
    assert tokenizer.decode(encoded.ids) == 'ẞ Ωmega 漢字[MASK] the 🙂 dog'
    assert tokenizer.decode(encoded.ids, True) == 'ẞ Ωmega 漢字 the 🙂 dog'


def test_decoding_of_words_by_hand(words):
    ids = [CLS, 5, 6, 7, 10, 11, 9, SEP, PAD]
    assert words.decode(ids) == '[CLS] hello worlds, a! [SEP] [PAD]'
    assert words.decode(ids, skip_special_tokens=True) == 'hello worlds, a!'
    assert words.decode([UNK, 7]) == '[UNK]s' and words.decode([]) == ''


def test_decoding_of_bytes_by_hand(letters):
    assert letters.decode([0, 7, 8, 9, 10, 11, 2]) == '<s>ab ab<mask>é</s>'
    assert letters.decode([0, 7, 8, 9, 10, 11, 2], True) == 'ab abé'
    assert letters.decode([4, 10]) == 'a\ufffd'  # half a character


def test_every_text_comes_back_from_bytes(byte_pair):  # noqa: F811
    assert byte_pair.decode_batch(byte_pair.batch(TEXT).inputs, True) == TEXT


@pytest.mark.parametrize('kind', ['words', 'letters', 'pieces'])
def test_added_tokens_are_decoded_as_they_are(request, kind):
    added = [AddedToken('<é>', normalized=False), AddedToken('[E1]', special=True)]
    if kind == 'pieces':
        base = SentencePieceTokenizer(request.getfixturevalue('spiece'))
    else:
        base = request.getfixturevalue(kind)
    tokens = [*base.vocab.idx_to_token, '<é>', '[E1]']
    vocab = Vocabulary(tokens, BERT_TOKENS if kind != 'letters' else ROBERTA_TOKENS)
    arguments = [vocab if value is base.vocabulary else value for value in base._arguments()]
    tokenizer = type(base)(*arguments, added_tokens=added)
    text = {'words': 'hello <é> worlds [E1]', 'letters': 'ab<é>ab[E1]', 'pieces': 'the<é> dog[E1]'}
    ids = tokenizer.encode(text[kind]).ids
    assert {len(tokens) - 2, len(tokens) - 1} < set(ids)
    assert tokenizer.decode(ids) == text[kind]
    assert tokenizer.decode(ids, True) == text[kind].replace('[E1]', '').strip()


def test_arrays_of_numpy_and_mxnet_are_decoded(words):
    batch = words.batch(['Hello worlds!', 'a'])
    expected = ['[CLS] hello worlds! [SEP]', '[CLS] a [SEP] [PAD] [PAD] [PAD]']
    on_device = mx.nd.array(batch.inputs)
    for inputs in (batch.inputs, batch.inputs.tolist(), batch.inputs.astype('float32'), on_device):
        assert words.decode_batch(inputs) == expected
        assert [words.decode(row) for row in inputs] == expected
    assert words.decode_batch(words.batch(['a', 'un'], padding=False).inputs, True) == ['a', 'un']
    assert words.decode_batch([]) == []


@pytest.mark.parametrize(
    ('ids', 'error', 'message'),
    [
        (None, TypeError, 'ids must be a list of ids, got NoneType'),
        ('hello', TypeError, 'ids must be a list of ids, got str'),
        (b'hello', TypeError, 'ids must be a list of ids, got bytes'),
        (5, TypeError, 'ids must be a list of ids, got int'),
        ({5: 1}, TypeError, 'ids must be a list of ids, got dict'),
        (['hello'], TypeError, r"ids\[0\] must be a whole number, got str 'hello'"),
        ([5, 6.0], TypeError, r'ids\[1\] must be a whole number, got float 6.0'),
        ([5, True], TypeError, r'ids\[1\] must be a whole number, got bool True'),
        (np.array([5, 6.5]), TypeError, r'ids\[1\] must be a whole number, got float 6.5'),
        (np.array([np.nan]), TypeError, r'ids\[0\] must be a whole number, got float nan'),
        (np.array([True]), TypeError, r'ids\[0\] must be a whole number, got bool'),
        ([5, 12], ValueError, r'ids\[1\]: id 12 is not in the vocabulary.* from 0 to 11'),
        ([5, 6, -1], ValueError, r'ids\[2\]: id -1 is not in the vocabulary.* from 0 to 11'),
        (np.array([1e30]), ValueError, r'ids\[0\]: id 10+\d+ is not in the vocabulary'),
        (np.zeros((2, 3), int), ValueError, r'one sequence, got an array of shape \(2, 3\)'),
    ],
)
def test_what_is_no_sequence_of_ids_is_refused(words, ids, error, message):
    with pytest.raises(error, match=message):
        words.decode(ids)


@pytest.mark.parametrize(
    ('sequences', 'error', 'message'),
    [
        ('hello', TypeError, 'sequences must be a list of lists of ids, got str'),
        ([5, 6], TypeError, r'sequences\[0\] must be a list of ids, got int'),
        (np.array([5, 6]), TypeError, r'sequences\[0\] must be a list of ids, got int64'),
        ([[5], [6, 12]], ValueError, r'sequences\[1\]\[1\]: id 12 is not in the vocabulary'),
    ],
)
def test_what_are_no_sequences_are_refused(words, sequences, error, message):
    with pytest.raises(error, match=message):
        words.decode_batch(sequences)


@pytest.mark.parametrize('tokens', [[3], ['a', None], b'a', None, [b'a']])
def test_tokens_that_are_no_str_have_no_ids(words, tokens):
    with pytest.raises(TypeError, match='tokens.* must be (a list of )?str, got'):
        words.convert_tokens_to_ids(tokens)
