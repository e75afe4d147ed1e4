"""Files of questions, and their windows against Google's algorithm written out plainly."""

import functools
import json
from dataclasses import fields

import mxnet as mx
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import gluon_bert as gb
from gluon_bert.data import (
    Answer,
    BertTokenizer,
    Question,
    build_windows,
    cached_windows,
    read_squad,
    read_vocab,
)
from gluon_bert.data.squad.windows import Windows

CONTEXT = 'The Norman dynasty had a major impact. 诺曼人在公元10世纪得名。 Its café closed.'


def entry(**changes):
    return {
        'id': 'q1',
        'question': 'Who?',
        'answers': [{'text': 'Norman', 'answer_start': 4}],
        **changes,
    }


def squad(*entries, context=CONTEXT):
    return {
        'version': '1.1',
        'data': [{'title': 'T', 'paragraphs': [{'context': context, 'qas': list(entries)}]}],
    }


@pytest.fixture
def write(tmp_path):
    def call(content):
        path = tmp_path / 'squad.json'
        path.write_bytes(
            content
            if isinstance(content, bytes)
            else json.dumps(content, ensure_ascii=False).encode()
        )
        return path

    return call


@pytest.mark.data
@pytest.mark.parametrize(
    'name, number, impossible',
    [
        ('dev-v1.1.json', 10570, 0),
        ('dev-v2.0.rebuilt.json', 11873, 5945),
        ('train40-v1.1.json', 8981, 0),
        ('dev8-v1.1.json', 1589, 0),
    ],
)
def test_official_files_are_read_whole(shared_data, name, number, impossible):
    content = read_squad(shared_data / 'squad' / name, training=True)
    assert len(content.questions) == number and content.num_skipped == 0
    assert sum(question.is_impossible for question in content.questions) == impossible
    assert content.has_answers


def test_fields_that_may_be_absent(write):
    content = read_squad(write(squad({'id': 7, 'question': ''}, entry(is_impossible=True))))
    assert content.questions == [
        Question('7', '', CONTEXT, (), False),
        Question('q1', 'Who?', CONTEXT, (Answer('Norman', 4),), True),
    ]
    assert not read_squad(write(squad({'id': 'q', 'question': 'Who?'}))).has_answers


WRONG_PLACE = entry(answers=[{'text': 'Norman', 'answer_start': 5}])
IN_QUESTION = 'data[0].paragraphs[0].qas[0]'


@pytest.mark.parametrize(
    'content, parts',
    [
        (b'', ['the file is empty']),
        (b'\xef\xbb\xbf{"data": "\xe4\xb8\xad" 5}', ['byte 18: not JSON']),
        (b'{"data": "caf\xe9"}', ['not UTF-8', 'offset 13']),
        (b'[' * 100000, ['nested too deeply']),
        (b'[' + b'1,' * 4_000_000 + b'1]', ['more than 3000000 values']),
        (b'[]', ['the file', 'expected an object, got list']),
        ({}, ["has no 'data'"]),
        ({'data': []}, ['has no questions']),
        ({'data': [{'title': 'T'}]}, ['data[0]', "has no 'paragraphs'"]),
        (squad(context=3), ['data[0].paragraphs[0].context', 'expected a string, got int']),
        (squad('q'), [IN_QUESTION, 'expected an object, got str']),
        (squad(entry(id=True)), [f'{IN_QUESTION}.id', 'expected a string, got bool']),
        (squad(entry(is_impossible='no')), ['is_impossible', 'true or false']),
        (squad(entry(answers=None)), ['answers', 'expected a list']),
        (
            squad(entry(answers=[{'text': 'N', 'answer_start': '4'}])),
            [f'{IN_QUESTION}.answers[0].answer_start', 'a whole number, got str'],
        ),
        (squad(entry(), entry()), ['qas[1]', "'q1' occurs twice", IN_QUESTION]),
    ],
)
def test_bad_file_is_told_with_its_place(write, content, parts):
    path = write(content)
    with pytest.raises(ValueError) as error:
        read_squad(path)
    for part in (str(path), *parts):
        assert part in str(error.value)


@pytest.mark.parametrize(
    'wrong, parts',
    [
        (WRONG_PLACE, ["'Norman' is not at answer_start 5", "'orman '"]),
        (entry(answers=[{'text': 'Norman', 'answer_start': -70}]), ['answer_start -70']),
        (entry(answers=[{'text': 'Norman'}]), ['answer_start -1']),
        (entry(answers=[{'text': ' ', 'answer_start': 3}]), ['blank']),
        (entry(answers=[]), ['no answer', 'is_impossible']),
    ],
)
def test_answers_to_learn_must_be_where_the_file_says(write, wrong, parts):
    path = write(squad(wrong, entry(id='q2')))
    with pytest.raises(ValueError) as error:
        read_squad(path, training=True)
    for part in (str(path), IN_QUESTION, *parts):
        assert part in str(error.value)
    content = read_squad(path, training=True, skip_bad=True)
    assert [question.id for question in content.questions] == ['q2']
    assert content.num_skipped == 1
    assert len(read_squad(path).questions) == 2
    with pytest.raises(ValueError, match='no questions remain'):
        read_squad(write(squad(wrong)), training=True, skip_bad=True)


def test_file_that_is_too_large_is_refused_unread(write):
    with pytest.raises(ValueError, match='larger than 20 bytes'):
        read_squad(write(squad(entry())), max_bytes=20)


# ------------------------------------------------------------------ Google's windows, written out


def plain_words(text):
    """Words between white space, and for every character the number of its word."""
    words, word_of, in_word = [], [], False
    for char in text:
        if char in ' \t\r\n\u202f':
            in_word = False
        elif in_word:
            words[-1] += char
        else:
            words.append(char)
            in_word = True
        word_of.append(len(words) - 1)
    return words, word_of


def plain_is_best(spans, number, position):
    best = None
    for index, (start, length) in enumerate(spans):
        if start <= position < start + length:
            left, right = position - start, start + length - 1 - position
            score = min(left, right) + 0.01 * length
            if best is None or score > best[0]:
                best = score, index
    return best[1] == number


def plain_windows(question, cut, max_seq_length=384, doc_stride=128, max_query_length=64):
    """(tokens, is best, span of Google, words of the answer's span) of each window."""
    query = cut(question.question)[:max_query_length]
    words, word_of = plain_words(question.context)
    tokens, first_of = [], []
    for word in words:
        first_of.append(len(tokens))
        tokens += cut(word)
    text, start = question.answers[0]
    begin = first_of[word_of[start]]
    after = word_of[start + len(text) - 1] + 1
    end = (first_of[after] if after < len(words) else len(tokens)) - 1
    wide, pieces = (begin, end), [token for word in text.split() for token in cut(word)]
    improved = next(
        (
            (i, j)
            for i in range(begin, end + 1)
            for j in range(end, i - 1, -1)
            if tokens[i : j + 1] == pieces
        ),
        None,
    )
    spans, position, room = [], 0, max_seq_length - len(query) - 3
    while position < len(tokens):
        spans.append((position, min(room, len(tokens) - position)))
        if sum(spans[-1]) == len(tokens):
            break
        position += min(spans[-1][1], doc_stride)
    for number, (position, length) in enumerate(spans):
        part = tokens[position : position + length]
        best = [plain_is_best(spans, number, position + i) for i in range(length)]
        placed = [
            (0, 0)
            if pair is None or pair[0] < position or pair[1] >= position + length
            else tuple(i - position + len(query) + 2 for i in pair)
            for pair in (improved, wide)
        ]
        yield ['[CLS]', *query, '[SEP]', *part, '[SEP]'], best, improved is not None, placed


@pytest.fixture(scope='module')
def vocabularies(shared_data):
    def load(name):
        return read_vocab(shared_data / 'vocab' / name / 'vocab.txt')

    return load


@pytest.mark.data
@pytest.mark.parametrize(
    'settings',
    [{}, {'max_seq_length': 96, 'doc_stride': 37, 'max_query_length': 9}],
    ids=['published settings', 'small windows'],
)
def test_windows_of_squad_are_googles(shared_data, vocabularies, settings):
    tokenizer = BertTokenizer(vocabularies('uncased_english'))
    cut = functools.lru_cache(None)(tokenizer)
    questions = read_squad(shared_data / 'squad' / 'dev-v1.1.json', training=True).questions
    questions = questions[::7] if settings else questions
    windows = build_windows(questions, tokenizer, with_spans=True, **settings)
    rows = zip(
        windows.question,
        windows.features(),
        windows.max_context(),
        windows.span,
        windows.first_token,
        windows.length,
        windows.offsets(),
    )
    unlike = 0
    for number, question in enumerate(questions):
        for tokens, best, is_whole, (improved, wide) in plain_windows(question, cut, **settings):
            owner, feature, flags, span, first, length, offsets = next(rows)
            assert owner == number
            assert tokenizer.convert_ids_to_tokens(feature.inputs) == tokens
            assert feature.token_types.tolist() == [0] * first + [1] * (length + 1)
            assert flags.tolist() == best
            if is_whole and tuple(span) == improved:
                continue
            # The answer ends within a token, or stands twice in its words: Google takes all the
            # words or the first place, here it is the fewest tokens with its characters.
            unlike += 1
            if span.any():
                text, start = question.answers[0]
                (begin, begin_next), (end_before, end) = offsets[span - first]
                assert begin <= start < begin_next
                assert end_before < start + len(text) <= end
            if wide != (0, 0):
                assert wide[0] <= span[0] <= span[1] <= wide[1]
    assert next(rows, None) is None
    assert unlike <= 0.004 * len(windows)


@pytest.mark.data
@pytest.mark.parametrize('vocabulary, lower', [('multilingual_cased', False), ('chinese', True)])
def test_spans_give_back_the_answer_as_it_is_written(vocabularies, vocabulary, lower):
    tokenizer = BertTokenizer(vocabularies(vocabulary), lower=lower)
    texts = ['Norman', 'major impact', '诺曼人', '世纪得名', 'café', '10', 'closed.', CONTEXT]
    questions = [
        Question(str(i), '谁 who?', CONTEXT, (Answer(text, CONTEXT.index(text)),), False)
        for i, text in enumerate(texts)
    ]
    windows = build_windows(questions, tokenizer, with_spans=True)
    for text, span, first, offsets in zip(
        texts, windows.span, windows.first_token, windows.offsets()
    ):
        begin, end = span - first
        assert CONTEXT[offsets[begin, 0] : offsets[end, 1]] == text


@pytest.fixture
def tiny(write):
    """Two questions and a tokenizer whose vocabulary is their letters."""
    letters = sorted(set(CONTEXT.lower()) - {' '})
    path = write(
        '\n'.join(
            [
                '[UNK]',
                '[PAD]',
                '[CLS]',
                '[SEP]',
                '[MASK]',
                *letters,
                *('##' + letter for letter in letters),
            ]
        ).encode()
    )
    tokenizer = BertTokenizer(read_vocab(path))
    context = 'a b c d e f g h'
    return [
        Question('q1', 'h i', context, (Answer('d e', 6),), False),
        Question('q2', '', context, (), True),
        Question('q3', 'h', '', (), False),
    ], tokenizer


def test_spans_only_where_all_of_the_answer_is(tiny):
    questions, tokenizer = tiny
    windows = build_windows(questions, tokenizer, max_seq_length=9, doc_stride=2, with_spans=True)
    assert windows.question.tolist() == [0] * 3 + [1] * 2 + [2]
    assert windows.start.tolist() == [0, 2, 4, 0, 2, 0]
    assert windows.length.tolist() == [4, 4, 4, 6, 6, 0]
    assert windows.span.tolist() == [[0, 0], [5, 6], [0, 0], [0, 0], [0, 0], [0, 0]]
    assert [len(feature.inputs) for feature in windows.features()] == [9, 9, 9, 9, 9, 4]


@pytest.mark.parametrize(
    'settings, parts',
    [
        ({'max_seq_length': 5}, ['max_seq_length=5', "'q1'", '6 or more', 'max_query_length']),
        ({'doc_stride': 0}, ['doc_stride=0']),
        ({'max_query_length': 0}, ['max_query_length=0']),
    ],
)
def test_window_without_room_is_told(tiny, settings, parts):
    with pytest.raises(ValueError) as error:
        build_windows(*tiny, **settings)
    for part in parts:
        assert part in str(error.value)


def test_answer_without_tokens_is_told(tiny):
    question = Question('q9', 'a', 'a \u200d b', (Answer('\u200d', 2),), False)
    with pytest.raises(ValueError, match="'q9'.*no tokens"):
        build_windows([question], tiny[1], with_spans=True)


def equal(first, second):
    return all(
        np.array_equal(getattr(first, field.name), getattr(second, field.name))
        for field in fields(Windows)
    )


def test_windows_are_kept_and_read_again(tiny, tmp_path, monkeypatch):
    done = []
    built = cached_windows(tmp_path, *tiny, with_spans=True, progress=done.append)
    assert equal(built, build_windows(*tiny, with_spans=True))
    assert sum(done) == 5  # three questions, two paragraphs
    monkeypatch.setattr(gb.data.squad.cache, 'build_windows', None)
    assert equal(cached_windows(tmp_path, *tiny, with_spans=True), built)


def test_other_questions_settings_or_vocabulary_are_other_windows(tiny, tmp_path):
    questions, tokenizer = tiny
    other = [questions[0]._replace(question='h'), *questions[1:]]
    for arguments, settings in (
        ((questions, tokenizer), {}),
        ((questions, tokenizer), {'doc_stride': 3}),
        ((other, tokenizer), {}),
        ((questions, BertTokenizer(tokenizer.vocab, lower=False)), {}),
    ):
        cached_windows(tmp_path, *arguments, **settings)
    assert len(list(tmp_path.glob('windows-*'))) == 4


@pytest.mark.parametrize(
    'damage',
    [
        lambda arrays: arrays['token_ids'].__setitem__(0, 9999),
        lambda arrays: arrays['token_offsets'].__setitem__((0, 1), 99),
        lambda arrays: arrays['length'].__setitem__(0, 99),
        lambda arrays: arrays['question'].__setitem__(0, -1),
        lambda arrays: arrays['question'].__setitem__(1, 2),
        lambda arrays: arrays['special'].__setitem__(2, 90),
        lambda arrays: arrays['token_bounds'].__setitem__(1, -4),
        lambda arrays: arrays.update(span=arrays['span'][:1]),
        lambda arrays: arrays.update(start=arrays['start'].astype('float32')),
        lambda arrays: arrays.pop('special'),
        None,
    ],
    ids=[
        'id',
        'character',
        'length',
        'question',
        'no window',
        'separators',
        'bounds',
        'rows',
        'type',
        'absent',
        'cut off',
    ],
)
def test_damaged_file_of_windows_is_written_anew(tiny, tmp_path, caplog, damage):
    built = cached_windows(tmp_path, *tiny)
    (path,) = tmp_path.glob('windows-*')
    if damage:
        with safe_open(path, 'np') as file:
            key = file.metadata()
        arrays = load_file(path)
        damage(arrays)
        save_file(arrays, path, metadata=key)
    else:
        path.write_bytes(path.read_bytes()[:-9])
    assert equal(cached_windows(tmp_path, *tiny), built)
    assert ': damaged (' in caplog.text
    assert equal(cached_windows(tmp_path, *tiny), built)
    assert caplog.text.count(': damaged (') == 1


def test_scores_of_tokens_come_without_padding_in_the_order_of_the_questions(tiny, make_model):
    questions, tokenizer = tiny
    network = gb.BertForQA(make_model(use_pooler=False, vocab_size=len(tokenizer.vocab)))
    network.span.initialize()
    features = build_windows(questions, tokenizer, max_seq_length=12).features()
    scores = gb.training.predict(
        network, gb.data.SequenceData(features, None, 1, batch_size=3), per_token=True
    )
    assert [len(rows) for rows in scores] == [feature.valid_length for feature in features]
    for rows, feature in zip(scores, features):
        alone = network(*(mx.nd.array([part]) for part in feature)).asnumpy()[0]
        np.testing.assert_allclose(rows, alone, atol=1e-5)
