"""Byte-level BPE and SentencePiece; tokenizers to folders and back."""

import io
import json
import multiprocessing
import os
import pickle
import random
import re
import shutil
import sys

import pytest
from gluonnlp import data as gluonnlp_data
from gluonnlp.data import count_tokens
from gluonnlp.vocab import BERTVocab, Vocab
from test_tokenizer import AWKWARD, SPECIAL, make_vocab
from tokenizers import AddedToken, ByteLevelBPETokenizer

from gluon_bert.data import (
    BertTokenizer,
    BytePairTokenizer,
    SentencePieceTokenizer,
    SentenceTransform,
    read_sentencepiece_vocab,
    read_tokenizer,
    read_vocab,
    write_vocab_json,
)

TEXT = [
    'The quick brown fox jumps over the lazy dog.',
    "A dog is a man's best friend, they say.",
    'She sells sea shells on the sea shore; the shells she sells are sea shells.',
    'How much wood would a woodchuck chuck if a woodchuck could chuck wood?',
    "Peter Piper picked a peck of pickled peppers, didn't he?",
    'naïve café in Köln, 1984!',
    '빠른 갈색 여우가 게으른 개를 뛰어넘는다.',
    '한국어 모델을 공유합니다.',
    '中文句子，测试。',
]


@pytest.fixture(scope='module')
def byte_pair_folder(tmp_path_factory):
    """vocab.json and merges.txt of a tiny RoBERTa."""
    folder = tmp_path_factory.mktemp('byte_pair')
    trainer = ByteLevelBPETokenizer()
    trainer.train_from_iterator(
        TEXT,
        vocab_size=400,
        show_progress=False,
        special_tokens=['<s>', '<pad>', '</s>', '<unk>', '<mask>'],
    )
    trainer.save_model(str(folder))
    return folder


@pytest.fixture(scope='module')
def byte_pair(byte_pair_folder):
    return BytePairTokenizer.from_files(
        byte_pair_folder / 'vocab.json', byte_pair_folder / 'merges.txt'
    )


def train_sentencepiece(texts, **options):
    sentencepiece = pytest.importorskip('sentencepiece', reason='needs sentencepiece')
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=model,
        minloglevel=2,
        hard_vocab_limit=False,
        **{
            'unk_id': 0,
            'unk_piece': '[UNK]',
            'vocab_size': 150,
            'pad_id': 1,
            'pad_piece': '[PAD]',
            'bos_id': -1,
            'eos_id': -1,
            'user_defined_symbols': ['[CLS]', '[SEP]', '[MASK]'],
            **options,
        },
    )
    return model.getvalue()


@pytest.fixture(scope='module')
def spiece(tmp_path_factory):
    """The file of a tiny SentencePiece model with KoBERT's ids of special tokens."""
    path = tmp_path_factory.mktemp('spiece') / 'tiny.spiece'
    path.write_bytes(train_sentencepiece(TEXT))
    return path


@pytest.fixture(scope='module')
def sentences(shared_data):
    """Real sentences of two languages, evenly picked."""
    lines = [
        line
        for name in (
            'corpus/gutenberg_grimm.txt',
            'corpus/wikitext-2.test.raw.txt',
            'xnli_zh/dev.tsv',
        )
        for line in (shared_data / name).read_text(encoding='utf-8').split('\n')
    ]
    lines = [line.strip() for line in lines if line.strip()]
    return lines[:: len(lines) // 1500]


# Byte-level BPE


def test_ids_of_byte_pairs_are_those_of_the_file(byte_pair, byte_pair_folder):
    ids = json.loads((byte_pair_folder / 'vocab.json').read_text(encoding='utf-8'))
    vocab = byte_pair.vocab
    assert dict(vocab.token_to_idx) == ids
    assert vocab[
        [
            vocab.cls_token,
            vocab.padding_token,
            vocab.sep_token,
            vocab.unknown_token,
            vocab.mask_token,
        ]
    ] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize('add_prefix_space', [False, True])
def test_byte_pairs_are_those_of_transformers(byte_pair_folder, add_prefix_space):
    transformers = pytest.importorskip('transformers')
    theirs = transformers.RobertaTokenizerFast.from_pretrained(
        byte_pair_folder,
        add_prefix_space=add_prefix_space,
        mask_token=AddedToken('<mask>', lstrip=True),
    )  # as in the published files
    mine = BytePairTokenizer.from_files(
        byte_pair_folder / 'vocab.json',
        byte_pair_folder / 'merges.txt',
        add_prefix_space=add_prefix_space,
    )
    texts = [*TEXT, *AWKWARD, 'The <mask> dog<mask>. <s> a', '  two  spaces ', "it's\n\ttabs"]
    encoded = theirs(texts, add_special_tokens=False, return_offsets_mapping=True)
    assert mine.encode_ids(texts) == encoded['input_ids']
    assert [row.offsets for row in mine.encode_batch(texts)] == encoded['offset_mapping']
    # The space that belongs to their token of the mask is no part of the vocabulary's.
    tokens = [[token.replace(' <mask>', '<mask>') for token in theirs.tokenize(t)] for t in texts]
    assert [mine(text) for text in texts] == tokens


@pytest.mark.data
def test_byte_pairs_of_real_text_are_those_of_transformers(sentences, tmp_path):
    transformers = pytest.importorskip('transformers')
    trainer = ByteLevelBPETokenizer()
    trainer.train_from_iterator(
        sentences,
        vocab_size=3000,
        show_progress=False,
        special_tokens=['<s>', '<pad>', '</s>', '<unk>', '<mask>'],
    )
    trainer.save_model(str(tmp_path))
    theirs = transformers.RobertaTokenizerFast.from_pretrained(tmp_path)
    assert len(sentences) > 1000
    assert (
        read_tokenizer(tmp_path).encode_ids(sentences)
        == theirs(sentences, add_special_tokens=False)['input_ids']
    )


def test_offsets_of_byte_pairs_leave_out_the_space_before_a_word(byte_pair):
    text = 'sea shells, sea'
    encoded = byte_pair.encode(text)
    assert encoded.tokens[-1] == 'Ġsea'
    assert text[slice(*encoded.offsets[-1])] == 'sea'
    assert ''.join(text[start:end] for start, end in encoded.offsets) == text.replace(' ', '')


def test_gluonnlp_files_of_roberta_give_the_same_tokenizer(byte_pair, byte_pair_folder, tmp_path):
    ids = dict(byte_pair.vocab.token_to_idx)
    vocab = Vocab(
        count_tokens(ids),
        token_to_idx=ids,
        unknown_token='<unk>',
        padding_token='<pad>',
        bos_token='<s>',
        eos_token='</s>',
        mask_token='<mask>',
    )
    (tmp_path / 'openwebtext_ccnews_stories_books_cased-2b804f8f.vocab').write_text(vocab.to_json())
    shutil.copy(
        byte_pair_folder / 'merges.txt', tmp_path / 'openai_webtext_bpe_ranks-396d4d8e.json'
    )
    tokenizer = read_tokenizer(tmp_path)
    assert tokenizer.encode_batch(TEXT) == byte_pair.encode_batch(TEXT)
    assert tokenizer.vocab.cls_token == '<s>' and tokenizer.vocab.sep_token == '</s>'


def test_byte_pairs_are_those_of_gluonnlp(byte_pair, byte_pair_folder):
    theirs = object.__new__(gluonnlp_data.GPT2BPETokenizer)  # its constructor downloads
    gluonnlp_data.transforms._GPT2BPE.__init__(theirs)
    theirs._read_bpe_ranks(byte_pair_folder / 'merges.txt')
    regex = pytest.importorskip('regex', reason="needs regex, as GluonNLP's tokenizer does")
    theirs._cache, theirs._regex = {}, regex
    theirs._token_pattern = (
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+"
        r'|\s+(?!\S)|\s+'
    )
    assert [byte_pair(text) for text in TEXT] == [theirs(text) for text in TEXT]


def test_first_subwords_of_byte_pairs_follow_a_space(byte_pair):
    tokens = byte_pair('sea shells shells')
    assert [byte_pair.is_first_subword(token) for token in tokens] == [
        token[0] == 'Ġ' for token in tokens
    ]
    assert not byte_pair.lower and not byte_pair.uses_token_types


BAD_MERGES = [
    ('Ġ t\nĠ\n', r':2: .* is not two tokens'),
    ('Ġ t\nh e\nĠ t\n', r':3: .* in line 1'),
    ('a  b\n', r':1: .* is not two'),
    ('a b c\n', r':1: .* is not two'),
    ('Ġ t\n\nh e\n', r':2: .* is not two'),
    ('q q\n', r"'qq' is not in the vocabulary"),
    (b'\xff \xfe\n', r':1: not UTF-8'),
    ('a b\n' * 700000, 'more than 600000 lines'),
]


@pytest.mark.parametrize(('content', 'message'), BAD_MERGES, ids=[row[1] for row in BAD_MERGES])
def test_bad_merges_are_refused_with_their_line(byte_pair_folder, tmp_path, content, message):
    path = tmp_path / 'merges.txt'
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=r'merges\.txt.*' + message):
        BytePairTokenizer.from_files(byte_pair_folder / 'vocab.json', path)


# SentencePiece


@pytest.mark.parametrize(
    'options',
    [
        {},
        {'bos_id': 2, 'eos_id': 3, 'user_defined_symbols': []},
        {'pad_id': -1, 'user_defined_symbols': ['[PAD]', '[SEP]']},
    ],
    ids=str,
)
def test_vocabulary_of_a_model_is_that_of_gluonnlp(tmp_path, options):
    path = tmp_path / 'tokenizer.model'
    path.write_bytes(train_sentencepiece(TEXT, **options))
    theirs = BERTVocab.from_sentencepiece(
        str(path), padding_token='[PAD]'
    )  # as GluonNLP loads KoBERT's
    mine = read_vocab(path)
    assert mine.idx_to_token == theirs.idx_to_token
    assert mine.to_json() == theirs.to_json()


def test_special_tokens_of_a_model_are_its_own(spiece):
    with pytest.raises(ValueError, match=r"padding_token is '\[PAD\]' in the model, not '<pad>'"):
        read_vocab(spiece, special_tokens={'padding_token': '<pad>'})
    with pytest.raises(ValueError, match=r"'\[UNK\]' is both unknown_token and mask_token"):
        read_vocab(spiece, special_tokens={'mask_token': '[UNK]'})


@pytest.mark.data
@pytest.mark.parametrize('lower', [False, True])
@pytest.mark.parametrize('split_words', [False, True])
def test_pieces_of_real_text_are_those_of_gluonnlp(sentences, tmp_path, lower, split_words):
    path = tmp_path / 'tokenizer.model'
    path.write_bytes(train_sentencepiece(sentences, vocab_size=2500))
    vocab = BERTVocab.from_sentencepiece(str(path), padding_token='[PAD]')
    mine = SentencePieceTokenizer(path, vocab, lower, split_words=split_words)
    # Neither can ask recent releases for no sampling: the call that they make is refused.
    processor = mine._processor
    if split_words:
        theirs = gluonnlp_data.BERTSPTokenizer(str(path), vocab, lower=lower)
        theirs.sentencepiece = processor.encode_as_pieces
    else:

        def theirs(text):
            return processor.encode_as_pieces(text)

        sentences = [line.lower() for line in sentences if line.isascii()] if lower else sentences
    # GluonNLP's compiled code takes accents away from cased text too.
    lines = [line for line in sentences if lower or line.isascii() or not split_words]
    assert len(lines) > 500
    assert mine.encode_ids(lines) == [vocab[theirs(line)] for line in lines]


@pytest.mark.parametrize('split_words', [False, True])
@pytest.mark.parametrize('lower', [False, True])
def test_pieces_ids_and_offsets_agree(spiece, lower, split_words):
    tokenizer = SentencePieceTokenizer(spiece, lower=lower, split_words=split_words)
    texts = [*TEXT, *AWKWARD, 'sea [MASK] shells[SEP]']
    encoded = tokenizer.encode_batch(texts)
    assert [row.tokens for row in encoded] == [tokenizer(text) for text in texts]
    assert [row.ids for row in encoded] == tokenizer.encode_ids(texts)
    for text, row in zip(texts, encoded):
        assert len(row.tokens) == len(row.ids) == len(row.offsets)
        assert row.offsets == sorted(row.offsets)
        for token, (start, end) in zip(row.tokens, row.offsets):
            cut = text[start:end]
            if cut.isascii() and end - start == len(token.lstrip('▁')):
                assert token.lstrip('▁') == (cut.lower() if lower and cut[:1] != '[' else cut)


@pytest.mark.parametrize(
    'options',
    [{}, {'lower': True}, {'split_words': True}, {'lower': True, 'split_words': True}],
    ids=str,
)
def test_offsets_of_pieces_cut_them_out_of_the_original(options):
    model = train_sentencepiece(['sea Köln, köln koln ,'] * 9, vocab_size=30)
    text = ' sea [MASK]  Ko\u0308ln,'
    encoded = SentencePieceTokenizer(model, **options).encode(text)
    spans = [text[start:end] for start, end in encoded.offsets]
    assert ''.join(spans) == 'sea[MASK]Ko\u0308ln,'
    assert encoded.offsets[encoded.tokens.index('[MASK]')] == (5, 11)


def test_sampling_varies_the_pieces_and_not_the_text(spiece):
    sentencepiece = pytest.importorskip('sentencepiece')
    sentencepiece.set_random_generator_seed(7)
    tokenizer = SentencePieceTokenizer(spiece, num_best=-1, alpha=0.1)
    text = 'How much wood would a woodchuck chuck'
    drawn = {tuple(tokenizer(text)) for _ in range(20)}
    assert len(drawn) > 1
    assert {''.join(tokens) for tokens in drawn} == {'▁' + text.replace(' ', '▁')}
    assert len({tuple(tokenizer.encode(text).tokens) for _ in range(20)}) > 1


@pytest.mark.parametrize('num_best', [-2, 513])
def test_sampling_out_of_range_is_refused(spiece, num_best):
    with pytest.raises(ValueError, match=f'num_best must be from -1 to 512, got {num_best}'):
        SentencePieceTokenizer(spiece, num_best=num_best)


def test_first_subwords_of_pieces_are_told_from_the_rest(spiece):
    tokenizer = SentencePieceTokenizer(spiece)
    assert tokenizer.is_first_subword('▁sea') and not tokenizer.is_first_subword('sea')


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', 'it has no pieces'),
        (b'garbage' * 100, 'not a SentencePiece model'),
        (b'\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f', 'it ends inside field 1'),
        (b'\x0a\x02\x0a', 'it ends inside'),
        (b'\xff' * 30, 'more than 64 bits'),
        (b'\x0a\x00' * 400000, 'more than 300000 pieces'),
        (b'\x08\x05', 'expected a message'),
        (b'\x0a\x03\x0a\x01\xff', 'not a SentencePiece model'),
        (b'\x0a\x03\x0a\x01a', 'not a SentencePiece model'),  # no unknown piece
        (b'x' * (9 << 20), 'larger than 8388608 bytes'),
    ],
    ids=lambda value: str(value)[:24],
)
def test_bad_model_is_refused(tmp_path, content, message):
    pytest.importorskip('sentencepiece', reason='needs sentencepiece')
    path = tmp_path / 'bad.spiece'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r'bad\.spiece: .*' + message):
        SentencePieceTokenizer(path)


def test_a_truncated_or_mutated_model_is_refused_or_works(spiece, tmp_path):
    whole = spiece.read_bytes()
    path = tmp_path / 'bad.spiece'
    rng = random.Random(0)
    refused = 0
    for number in range(200):
        content = bytearray(whole[: rng.randrange(len(whole))] if number % 2 else whole)
        for _ in range(3):
            content[rng.randrange(min(4000, len(content)))] = rng.randrange(256)
        path.write_bytes(content)
        try:
            SentencePieceTokenizer(path).encode(TEXT[0])
        except ValueError:
            refused += 1
    assert refused > 100


def test_without_the_library_the_error_says_what_to_install(spiece, monkeypatch):
    monkeypatch.setitem(sys.modules, 'sentencepiece', None)
    with pytest.raises(ImportError, match=r"need the package sentencepiece: pip install 'sent"):
        SentencePieceTokenizer(spiece)


def test_an_old_library_is_refused(spiece, monkeypatch):
    sentencepiece = pytest.importorskip('sentencepiece')
    monkeypatch.setattr(sentencepiece, '__version__', '0.2.1')
    with pytest.raises(ImportError, match=r"0\.2\.1 crashes .* 'sentencepiece>=0\.2\.2"):
        SentencePieceTokenizer(spiece)


# All families


@pytest.fixture(params=['word_piece', 'byte_pair', 'spiece', 'spiece_lower', 'spiece_words'])
def any_tokenizer(request):
    if request.param == 'word_piece':
        return BertTokenizer(
            make_vocab('C++', '\u2028'),
            lower=False,
            strip_accents=True,
            max_input_chars_per_word=60,
            split_chinese=False,
        )
    if request.param == 'byte_pair':
        return BytePairTokenizer(
            *request.getfixturevalue('byte_pair')._arguments(), add_prefix_space=True
        )
    return SentencePieceTokenizer(
        request.getfixturevalue('spiece'),
        lower=request.param != 'spiece',
        split_words=request.param.endswith('words'),
    )


def test_a_copy_by_pickle_gives_the_same_tokens(any_tokenizer):
    copy = pickle.loads(pickle.dumps(any_tokenizer))
    texts = [*TEXT, *AWKWARD]
    assert copy.encode_batch(texts) == any_tokenizer.encode_batch(texts)
    assert repr(copy) == repr(any_tokenizer)


def test_a_spawned_worker_can_tokenize_sentencepiece(spiece):
    tokenizer = SentencePieceTokenizer(spiece)
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        assert pool.map(tokenizer, TEXT[:1]) == [tokenizer(TEXT[0])]


def test_a_saved_tokenizer_is_read_back(any_tokenizer, tmp_path):
    any_tokenizer.save(tmp_path / 'new' / 'folder')
    copy = read_tokenizer(tmp_path / 'new' / 'folder')
    texts = [*TEXT, *AWKWARD]
    assert type(copy) is type(any_tokenizer)
    assert copy.vocab.to_json() == any_tokenizer.vocab.to_json()
    assert copy.encode_batch(texts) == any_tokenizer.encode_batch(texts)
    assert copy.uses_token_types == any_tokenizer.uses_token_types


def test_a_saved_tokenizer_is_opened_by_transformers(any_tokenizer, tmp_path):
    transformers = pytest.importorskip('transformers')
    any_tokenizer.save(tmp_path)
    if not (tmp_path / 'tokenizer.json').exists():
        pytest.skip('the tokenizers library does not have this segmentation')
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    for text in [*TEXT, *AWKWARD, 'sea <mask> shells [MASK] shells']:
        if '\uff54\u0327' in text and isinstance(any_tokenizer, SentencePieceTokenizer):
            continue  # the tokenizers library does not compose these
        encoded = theirs(text)['input_ids']
        assert encoded[1:-1] == any_tokenizer.encode(text).ids, text
    vocab = any_tokenizer.vocab
    assert [encoded[0], encoded[-1], theirs.pad_token_id, theirs.mask_token_id] == vocab[
        [vocab.cls_token, vocab.sep_token, vocab.padding_token, vocab.mask_token]
    ]


def test_without_tokenizer_json_word_piece_and_byte_pairs_are_opened_too(byte_pair, tmp_path):
    transformers = pytest.importorskip('transformers')
    for number, tokenizer in enumerate((BertTokenizer(make_vocab()), byte_pair)):
        folder = tmp_path / str(number)
        tokenizer.save(folder)
        (folder / 'tokenizer.json').unlink()
        theirs = transformers.AutoTokenizer.from_pretrained(folder)
        texts = [*TEXT, 'sea <mask> shells', 'sea [MASK] shells']
        assert theirs(texts, add_special_tokens=False)['input_ids'] == tokenizer.encode_ids(texts)


def test_never_split_words_without_id_are_not_saved(tmp_path):
    tokenizer = BertTokenizer(make_vocab('C++'), never_split=['C++', 'BERTy'])
    tokenizer.save(tmp_path)
    added = json.loads((tmp_path / 'tokenizer.json').read_text())['added_tokens']
    assert {token['content'] for token in added} == {*SPECIAL, 'C++'}


@pytest.mark.parametrize('token', ['', 'two\nlines', ' space'])
def test_a_token_that_a_line_cannot_hold_is_not_saved(tmp_path, token):
    with pytest.raises(ValueError, match=r'vocab\.txt cannot hold that'):
        BertTokenizer(make_vocab(token)).save(tmp_path / 'folder')
    assert not (tmp_path / 'folder').exists()


# Folders


def write_files(folder, **files):
    """Write files; '__' in a name stands for a dot."""
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name.replace('__', '.')).write_text(text, encoding='utf-8')


LINES = '\n'.join([*SPECIAL, 'hello', 'world', '##s'])
CASED = LINES.replace('hello', 'Hello')


@pytest.mark.parametrize(
    ('files', 'lower'),
    [
        ({'vocab__txt': LINES}, True),
        ({'vocab__txt': CASED}, False),
        ({'vocab__txt': CASED, 'tokenizer_config__json': {'do_lower_case': True}}, True),
        ({'vocab__txt': LINES, 'tokenizer_config__json': {'do_lower_case': False}}, False),
        ({'vocab__txt': CASED, 'tokenizer__json': {'normalizer': {'lowercase': True}}}, True),
        (
            {
                'vocab__txt': LINES,
                'tokenizer_config__json': {'do_lower_case': False},
                'tokenizer__json': {'normalizer': {'lowercase': True}},
            },
            False,
        ),
    ],
)
def test_lower_casing_is_as_said_or_else_guessed(tmp_path, files, lower):
    write_files(tmp_path, **files)
    assert read_tokenizer(tmp_path).lower is lower
    assert read_tokenizer(tmp_path, lower=not lower).lower is not lower


def test_settings_of_transformers_are_followed(tmp_path):
    write_files(
        tmp_path,
        vocab__txt=LINES.replace('[MASK]', '<m>').replace('[SEP]', '</s>') + '\ncafé\n中文',
        tokenizer_config__json={
            'mask_token': {'content': '<m>', '__type': 'AddedToken'},
            'strip_accents': False,
            'tokenize_chinese_chars': False,
            'tokenizer_class': 'DistilBertTokenizer',
        },
        special_tokens_map__json={'sep_token': '</s>', 'mask_token': '[MASK]'},
    )
    tokenizer = read_tokenizer(tmp_path)
    assert tokenizer('Café 中文 <m>') == ['café', '中文', '<m>']
    assert (tokenizer.vocab.mask_token, tokenizer.vocab.sep_token) == ('<m>', '</s>')
    assert not tokenizer.uses_token_types


@pytest.mark.parametrize('name', ['vocab.json', 'book_corpus_wiki_en_uncased-a6607397.vocab'])
def test_vocabulary_json_of_gluonnlp_is_found(tmp_path, name):
    vocab = make_vocab()
    write_vocab_json(tmp_path / name, vocab)
    tokenizer = read_tokenizer(tmp_path)
    assert isinstance(tokenizer, BertTokenizer)
    assert tokenizer.vocab.idx_to_token == vocab.idx_to_token


@pytest.mark.parametrize('family', ['word_piece', 'byte_pair'])
@pytest.mark.parametrize('as_text', [False, True])
def test_tokenizer_json_alone_will_do(tmp_path, byte_pair, family, as_text):
    tokenizer = (
        byte_pair
        if family == 'byte_pair'
        else BertTokenizer(make_vocab('Café'), lower=False, max_input_chars_per_word=60)
    )
    tokenizer.save(tmp_path / 'whole')
    content = json.loads((tmp_path / 'whole/tokenizer.json').read_text(encoding='utf-8'))
    if as_text:  # as older releases wrote it
        content['model'].pop('type')
        if family == 'byte_pair':
            content['model']['merges'] = [
                pair if isinstance(pair, str) else ' '.join(pair)
                for pair in content['model']['merges']
            ]
    write_files(tmp_path, tokenizer__json=content)
    copy = read_tokenizer(tmp_path)
    texts = [*TEXT, *AWKWARD]
    assert type(copy) is type(tokenizer)
    assert copy.encode_batch(texts) == tokenizer.encode_batch(texts)


def test_what_transformers_saves_is_read(tmp_path, byte_pair_folder):
    transformers = pytest.importorskip('transformers')
    (tmp_path / 'vocab.txt').write_text(LINES)
    for number, theirs in enumerate(
        (
            transformers.BertTokenizer(str(tmp_path / 'vocab.txt'), do_lower_case=False),
            transformers.RobertaTokenizerFast.from_pretrained(byte_pair_folder),
        )
    ):
        folder = tmp_path / str(number)
        theirs.save_pretrained(folder)
        assert (
            read_tokenizer(folder).encode_ids(TEXT)
            == theirs(TEXT, add_special_tokens=False)['input_ids']
        )


def test_a_sentencepiece_model_goes_before_a_vocabulary_beside_it(tmp_path, spiece):
    shutil.copy(spiece, tmp_path / 'spiece.model')
    write_files(
        tmp_path,
        vocab__txt='\n'.join(read_sentencepiece_vocab(spiece).idx_to_token),
        tokenizer_config__json={'do_lower_case': True, 'pad_token': '[PAD]'},
    )
    tokenizer = read_tokenizer(tmp_path)
    assert tokenizer.lower and isinstance(tokenizer, SentencePieceTokenizer)


def test_a_folder_without_tokenizer_gives_none(tmp_path):
    write_files(tmp_path, config__json={'model_type': 'bert'})
    assert read_tokenizer(tmp_path) is None


WHOLE = {
    'model': {
        'type': 'WordPiece',
        'vocab': {token: i for i, token in enumerate(SPECIAL)},
        'continuing_subword_prefix': '##',
    },
    'normalizer': {'type': 'BertNormalizer'},
    'pre_tokenizer': {'type': 'BertPreTokenizer'},
}


def altered(part, **changes):
    return {**WHOLE, part: {**WHOLE[part], **changes}}


@pytest.mark.parametrize(
    ('files', 'message'),
    [
        (
            {'vocab__txt': LINES, 'tokenizer_config__json': {'do_lower_case': 'yes'}},
            r"tokenizer_config\.json: do_lower_case is 'yes', expected true or false",
        ),
        (
            {'vocab__txt': LINES, 'tokenizer_config__json': {'cls_token': 7}},
            r"tokenizer_config\.json: cls_token is '7', not a token",
        ),
        (
            {'vocab__txt': LINES, 'tokenizer_config__json': {'cls_token': '[START]'}},
            r"vocab\.txt: special token '\[START\]' is missing",
        ),
        (
            {'vocab__txt': LINES, 'tokenizer_config__json': {'max_input_chars_per_word': 0}},
            r'max_input_chars_per_word is .0., expected 1 or more',
        ),
        ({'vocab__txt': LINES, 'tokenizer_config__json': []}, r'config\.json: holds a list'),
        (
            {'a__vocab': LINES, 'b__vocab': LINES},
            r'has 2 files \*\.vocab, such as a\.vocab and b\.v',
        ),
        (
            {
                'vocab__json': {
                    token: i
                    for i, token in enumerate(['<s>', '<pad>', '</s>', '<unk>', '<mask>', 'Ġthe'])
                }
            },
            r'its merges\.txt is missing',
        ),
        (
            {'tokenizer__json': altered('model', type='Unigram')},
            r'tokenizer\.json: a Unigram model',
        ),
        ({'tokenizer__json': altered('model', type=[3])}, r'tokenizer\.json: a \[3\] model'),
        (
            {'tokenizer__json': altered('model', vocab=[1])},
            r'expected an object with the id of each token',
        ),
        ({'tokenizer__json': altered('model', vocab={'a': 1})}, r"token 'a' has the id 1"),
        ({'tokenizer__json': altered('model', continuing_subword_prefix='@@')}, r"begin with '@@'"),
        (
            {'tokenizer__json': altered('pre_tokenizer', type='Whitespace')},
            r'the pre_tokenizer is Whitespace, expected BertPreTokenizer',
        ),
        (
            {'tokenizer__json': altered('model', type='BPE', continuing_subword_prefix='')},
            r"not split as RoBERTa's",
        ),
        *(
            (
                {
                    'tokenizer__json': {
                        'model': {
                            **WHOLE['model'],
                            'type': 'BPE',
                            'merges': merges,
                            'continuing_subword_prefix': None,
                        },
                        'pre_tokenizer': {'type': 'ByteLevel'},
                    }
                },
                r'tokenizer\.json: merges',
            )
            for merges in (None, 'ab', [3], [['a']], ['a b c'], [[1, 2]], ['a b'])
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else '',
)
def test_a_malformed_folder_is_refused_with_the_file(tmp_path, files, message):
    write_files(tmp_path, **files)
    with pytest.raises(ValueError, match=message):
        read_tokenizer(tmp_path)


def test_an_absent_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'nowhere: no such folder'):
        read_tokenizer(tmp_path / 'nowhere')


# XLM-R


@pytest.fixture(scope='module')
def fairseq_model():
    """A tiny SentencePiece model with the ids that fairseq's are made from."""
    return train_sentencepiece(
        TEXT, unk_piece='<unk>', bos_id=1, eos_id=2, pad_id=-1, user_defined_symbols=[]
    )


@pytest.fixture
def fairseq_folder(fairseq_model, tmp_path):
    (tmp_path / 'sentencepiece.bpe.model').write_bytes(fairseq_model)
    return tmp_path


def test_ids_of_xlm_r_are_those_of_fairseq(fairseq_model, fairseq_folder):
    sentencepiece = pytest.importorskip('sentencepiece')
    tokenizer = read_tokenizer(fairseq_folder)
    vocab = tokenizer.vocab
    assert vocab.idx_to_token[:4] == ['<s>', '<pad>', '</s>', '<unk>']
    processor = sentencepiece.SentencePieceProcessor(model_proto=fairseq_model)
    assert len(vocab) == len(processor) + 2 and vocab['<mask>'] == len(vocab) - 1
    for number in range(3, len(processor)):
        assert vocab[processor.id_to_piece(number)] == number + 1
    for text in [*TEXT, *AWKWARD]:
        if '<' not in text:
            unknown = processor.unk_id()
            expected = [3 if i == unknown else i + 1 for i in processor.encode(text)]
            assert tokenizer.encode(text).ids == expected, text
    assert tokenizer.pair_separators == 2 and not tokenizer.uses_token_types


def test_pair_of_xlm_r_has_two_separators(fairseq_folder):
    tokenizer = read_tokenizer(fairseq_folder)
    features = SentenceTransform(tokenizer, max_length=64)(TEXT[0], TEXT[1])
    first, second = tokenizer.encode_ids(TEXT[:2])
    assert list(features.inputs) == [0, *first, 2, 2, *second, 2]
    assert not any(features.token_types)


@pytest.mark.parametrize('name', ['XLMRobertaTokenizer', 'AutoTokenizer'])
def test_transformers_opens_the_tokenizer_of_xlm_r(name, fairseq_folder, tmp_path):
    transformers = pytest.importorskip('transformers')
    tokenizer = read_tokenizer(fairseq_folder)
    tokenizer.save(tmp_path / 'ours')
    copy = read_tokenizer(tmp_path / 'ours')
    assert copy.vocab.to_json() == tokenizer.vocab.to_json()
    assert copy.encode_batch(TEXT) == tokenizer.encode_batch(TEXT)
    assert (copy.pair_separators, copy.uses_token_types) == (2, False)
    theirs = getattr(transformers, name).from_pretrained(tmp_path / 'ours')
    assert theirs.vocab_size == len(tokenizer.vocab)
    for text in [*TEXT, 'sea <mask> shells']:
        assert theirs(text)['input_ids'][1:-1] == tokenizer.encode(text).ids, text
    first, second = tokenizer.encode_ids(TEXT[:2])
    encoded = theirs(TEXT[0], TEXT[1])
    assert encoded['input_ids'] == [0, *first, 2, 2, *second, 2]
    theirs.save_pretrained(tmp_path / 'again')
    if (tmp_path / 'again' / 'sentencepiece.bpe.model').exists():
        assert read_tokenizer(tmp_path / 'again').encode_ids(TEXT) == tokenizer.encode_ids(TEXT)


def test_model_under_another_name_is_read_by_its_class(fairseq_folder):
    expected = read_tokenizer(fairseq_folder).encode_ids(TEXT)
    os.rename(fairseq_folder / 'sentencepiece.bpe.model', fairseq_folder / 'tokenizer.model')
    write_files(fairseq_folder, config__json={'model_type': 'xlm-roberta'})
    assert read_tokenizer(fairseq_folder).encode_ids(TEXT) == expected
    # A multilingual MiniLM is a BERT with that tokenizer.
    write_files(
        fairseq_folder,
        config__json={'model_type': 'bert'},
        tokenizer_config__json={'tokenizer_class': 'XLMRobertaTokenizerFast'},
    )
    assert read_tokenizer(fairseq_folder).encode_ids(TEXT) == expected


def test_model_of_another_family_is_not_taken_for_xlm_r(fairseq_folder, spiece):
    write_files(fairseq_folder, tokenizer_config__json={'tokenizer_class': 'CamembertTokenizer'})
    with pytest.raises(ValueError, match="'CamembertTokenizer': sentencepiece.bpe.model is read"):
        read_tokenizer(fairseq_folder)
    (fairseq_folder / 'tokenizer_config.json').unlink()
    shutil.copy(spiece, fairseq_folder / 'sentencepiece.bpe.model')
    with pytest.raises(ValueError, match=r"begin with \['\[UNK\]'.*expected \['<unk>', '<s>'"):
        read_tokenizer(fairseq_folder)
    with pytest.raises(ValueError, match="style='fairseq': expected one of plain, xlm-roberta"):
        SentencePieceTokenizer(spiece, style='fairseq')


# ALBERT


@pytest.fixture(scope='module')
def albert_model():
    """A tiny SentencePiece model with ALBERT's special tokens, trained on text as it cleans it."""
    return train_sentencepiece(
        [*(text.lower() for text in TEXT), *['in 1984, 1985, 1986, 84, 4,'] * 9],
        unk_id=1,
        unk_piece='<unk>',
        pad_id=0,
        pad_piece='<pad>',
        control_symbols=['[CLS]', '[SEP]', '[MASK]'],
        user_defined_symbols=[],
        vocab_size=170,
    )


@pytest.fixture
def albert_folder(albert_model, tmp_path):
    (tmp_path / 'spiece.model').write_bytes(albert_model)
    write_files(tmp_path, config__json={'model_type': 'albert'})
    return tmp_path


def test_albert_cleans_the_text(albert_folder):
    tokenizer = read_tokenizer(albert_folder)
    assert tokenizer.vocab[['<pad>', '<unk>', '[CLS]', '[SEP]', '[MASK]']] == [0, 1, 2, 3, 4]
    assert tokenizer.lower and tokenizer.uses_token_types and tokenizer.pair_separators == 1
    assert tokenizer("``Naïve'' Café") == tokenizer('"naive" cafe')
    text = 'The  Sea ﬁsh'
    encoded = tokenizer.encode(text)
    assert ''.join(encoded.tokens) == '▁the▁sea▁fish'
    assert text[encoded.offsets[-1][0] : encoded.offsets[-1][1]].endswith('h')
    write_files(
        albert_folder, tokenizer_config__json={'do_lower_case': False, 'keep_accents': True}
    )
    assert read_tokenizer(albert_folder)('Café') != tokenizer('cafe')


def test_albert_splits_numbers_from_commas(albert_folder, albert_model):
    plain = SentencePieceTokenizer(albert_model, lower=True)
    text = 'in 1984, 84, 4, 1985,'
    assert any(re.search(r'[0-9],$', token) for token in plain(text))
    tokens = read_tokenizer(albert_folder)(text)
    assert ''.join(tokens) == ''.join(plain(text))
    assert not any(re.search(r'[0-9],$', token) for token in tokens)


def test_transformers_opens_the_tokenizer_of_albert(albert_folder, tmp_path):
    transformers = pytest.importorskip('transformers')
    tokenizer = read_tokenizer(albert_folder)
    tokenizer.save(tmp_path / 'ours')
    copy = read_tokenizer(tmp_path / 'ours')
    assert copy.encode_batch(TEXT) == tokenizer.encode_batch(TEXT)
    assert copy.vocab.to_json() == tokenizer.vocab.to_json()
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / 'ours')
    assert type(theirs).__name__.startswith('Albert')
    texts = [text for text in TEXT if '한' not in text and '빠' not in text]
    for text in [*texts, 'sea [MASK] shells', "in 1984, ``The'' Köln  \u00bd"]:
        assert theirs(text)['input_ids'][1:-1] == tokenizer.encode(text).ids, text
    first, second = tokenizer.encode_ids(TEXT[:2])
    encoded = theirs(TEXT[0], TEXT[1], return_token_type_ids=True)
    assert encoded['input_ids'] == [2, *first, 3, *second, 3]
    features = SentenceTransform(tokenizer, max_length=64)(TEXT[0], TEXT[1])
    assert list(features.inputs) == encoded['input_ids']
    assert list(features.token_types) == encoded['token_type_ids']
