"""Records in several processes: the same whatever happens, sound, and refused for bad input."""

import collections
import itertools
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from test_google_records import made_text, rows
from test_masking import CLS, SEP, TOKENS, tokenizer

from gluon_bert.data.pretraining import corpus, create, parallel
from gluon_bert.data.pretraining.create import (
    PretrainingDataOptions,
    create_pretraining_data,
    shard_names,
)
from gluon_bert.data.pretraining.masking import Masking
from gluon_bert.data.pretraining.token_store import TokenStore, count_documents, write_tokens


@pytest.fixture
def text(tmp_path):
    paths = []
    for seed in range(3):
        paths.append(tmp_path / f'{seed}.txt')
        paths[-1].write_text(made_text(seed, 8), encoding='utf-8')
    return paths


def make(text, outputs, overwrite=False, num_workers=1, **options):
    options = PretrainingDataOptions(**{'dupe_factor': 3, 'max_seq_length': 64, **options})
    return create_pretraining_data(
        text, outputs, tokenizer(), options, num_workers=num_workers, overwrite=overwrite
    )


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def restored(row):
    """The tokens of a record before they were masked."""
    tokens = list(row['token_ids'])
    for position, token in zip(row['masked_positions'], row['masked_ids']):
        tokens[position] = token
    return tokens


def segments(row):
    """The two segments of a record."""
    tokens = restored(row)
    end = row['token_types'].index(1) if 1 in row['token_types'] else len(tokens)
    assert tokens[0] == CLS and tokens[end - 1] == tokens[-1] == SEP
    assert not {CLS, SEP} & {*tokens[1 : end - 1], *tokens[end:-1]}
    return tokens[1 : end - 1], tokens[end:-1]


@pytest.mark.parametrize('pairing', ['next_sentence', 'full_sentences'])
def test_records_do_not_depend_on_the_processes(text, tmp_path, pairing, monkeypatch):
    found = []
    for number, workers in enumerate((1, 2, 3)):
        folder = tmp_path / str(number)
        folder.mkdir()
        summary = make(
            text, shard_names(folder / 'a.tfrecord', 2), num_workers=workers, pairing=pairing
        )
        found.append(contents(folder))
        assert [*found[0]] == ['a-00000-of-00002.tfrecord', 'a-00001-of-00002.tfrecord']
        assert summary.num_documents == 24
        assert summary.num_records == sum(len(rows(path)) for path in folder.iterdir())
    assert found[0] == found[1] == found[2]


def test_records_depend_on_seed_and_options_alone(text, tmp_path):
    def made(**options):
        make(text, tmp_path / 'a.npz', overwrite=True, **options)
        return rows(tmp_path / 'a.npz')

    first = made()
    assert made() == first
    assert made(random_seed=1) != first
    assert made(max_seq_length=65) != first
    more = made(dupe_factor=4)
    key = [json.dumps(row) for row in more]
    assert {json.dumps(row) for row in first} < {*key}  # the passes do not depend on their number


def all_sentences(paths):
    encoder = corpus.TextEncoder(tokenizer())
    chunks = [corpus.Chunk(path, 0, os.path.getsize(path), 1) for path in paths]
    return [list(corpus.read_documents([chunk], encoder)) for chunk in chunks]


def test_pairs_are_of_one_document_or_of_two(text, tmp_path):
    make(text, tmp_path / 'a.npz', dupe_factor=10, short_seq_prob=0.3)
    runs = [
        [token for sentence in document for token in sentence]
        for documents in all_sentences(text)
        for document in documents
    ]
    joined = [' '.join(map(str, run)) for run in runs]
    labels = collections.Counter()
    for row in rows(tmp_path / 'a.npz'):
        assert len(row['token_ids']) <= 64
        first, second = segments(row)
        assert first and second
        label = row['next_sentence']
        labels[label] += 1
        homes = [
            {n for n, text in enumerate(joined) if f' {" ".join(map(str, part))} ' in f' {text} '}
            for part in (first, second)
        ]
        assert homes[0] and homes[1]
        if label == 0:
            assert homes[0] & homes[1]
        else:
            assert homes[0] != homes[1] or len(homes[0]) > 1
    assert labels[0] > 50 and labels[1] > 50


def test_each_token_is_masked_at_times(text, tmp_path):
    make(text, tmp_path / 'a.npz', dupe_factor=20, masking=Masking('whole_words', 0.2))
    counts = collections.Counter()
    for row in rows(tmp_path / 'a.npz'):
        counts.update(row['masked_ids'])
    assert {*counts} == {token for d in all_sentences(text) for e in d for s in e for token in s}


def test_swapped_pairs(text, tmp_path):
    make(text, tmp_path / 'a.npz', dupe_factor=10, pairing='sentence_order', max_seq_length=300)
    joined = [
        ' '.join(str(token) for sentence in document for token in sentence)
        for documents in all_sentences(text)
        for document in documents
    ]
    labels = collections.Counter()
    for row in rows(tmp_path / 'a.npz'):
        first, second = segments(row)
        if len(first) + len(second) == 297:  # perhaps truncated
            continue
        labels[row['next_sentence']] += 1
        pair = (second, first) if row['next_sentence'] else (first, second)
        text_of_pair = ' '.join(map(str, pair[0] + pair[1]))
        assert any(text_of_pair in text for text in joined)
    assert labels[0] > 50 and labels[1] > 50
    assert abs(labels[0] - labels[1]) < 0.3 * (labels[0] + labels[1])


def test_full_sentences_hold_all_of_the_text(text, tmp_path):
    make(text, tmp_path / 'a.npz', dupe_factor=1, pairing='full_sentences', max_seq_length=50)
    found = rows(tmp_path / 'a.npz')
    counts, lengths = collections.Counter(), []
    for row in found:
        tokens = restored(row)
        assert tokens[0] == CLS and tokens[-1] == SEP and row['next_sentence'] is None
        assert {*row['token_types']} == {0}
        counts.update(tokens)
        lengths.append(len(tokens))
    documents = [document for group in all_sentences(text) for document in group]
    expected = collections.Counter(t for d in documents for s in d for t in s)
    assert {t: n for t, n in counts.items() if t not in (CLS, SEP)} == expected
    assert max(lengths) <= 50 and np.mean(lengths) > 35
    between = counts[SEP] - len(found)  # between two documents
    assert 0 < between < len(documents)


def test_formats(text, tmp_path):
    make(text, tmp_path / 'a.tfrecord')
    make(text, tmp_path / 'a.npz')
    assert rows(tmp_path / 'a.tfrecord') == rows(tmp_path / 'a.npz')
    pytest.importorskip('pyarrow', reason='Parquet needs pyarrow')
    make(text, tmp_path / 'a.parquet')
    assert rows(tmp_path / 'a.parquet') == rows(tmp_path / 'a.npz')


def test_paragraphs_are_split_into_sentences(tmp_path):
    (tmp_path / 'a.txt').write_text('a b. C d! E f.\nG h? A.\n\nb c. D\n')
    encoder = corpus.TextEncoder(tokenizer())
    chunk = corpus.Chunk(tmp_path / 'a.txt', 0, (tmp_path / 'a.txt').stat().st_size, 1)
    lengths = {
        form: [[*map(len, doc)] for doc in corpus.read_documents([chunk], encoder, form)]
        for form in ('lines', 'text')
    }
    assert lengths == {'lines': [[9, 5], [4]], 'text': [[3, 3, 3, 3, 2], [3, 1]]}


# --- text


def test_names_of_special_tokens_are_text():
    ids = corpus.TextEncoder(tokenizer())(['a [MASK] b [SEP]', '[CLS]'])
    assert not {CLS, SEP, TOKENS.index('[MASK]')} & {*ids[0], *ids[1]}
    assert len(ids[0]) == 8


@pytest.mark.parametrize('size', [1, 7, 100, 10**6])
def test_parts_of_files_have_the_documents_of_the_whole(tmp_path, size):
    path = tmp_path / 'a.txt'
    for seed in range(20):
        path.write_text(made_text(seed, 6), encoding='utf-8')
        chunks = list(corpus.find_chunks(path, size))
        assert [chunk.start for chunk in chunks[1:]] == [chunk.end for chunk in chunks[:-1]]
        assert chunks[0].start == 0 and chunks[-1].end == path.stat().st_size
        encoder = corpus.TextEncoder(tokenizer())
        parts = [doc for chunk in chunks for doc in corpus.read_documents([chunk], encoder)]
        assert parts == all_sentences([path])[0]
        lines = path.read_bytes().split(b'\n')
        for chunk in chunks:
            assert (
                path.read_bytes()[: chunk.start].count(b'\n') == chunk.first_line - 1 <= len(lines)
            )


def test_long_documents_are_split(tmp_path, monkeypatch):
    path = tmp_path / 'a.txt'
    path.write_text('a b c\n' * 50 + '\n' + 'd\n' * 3)
    monkeypatch.setattr(corpus, 'MAX_DOCUMENT', 60)
    for size in (1, 100, 10**6):
        chunks = list(corpus.find_chunks(path, size))
        encoder = corpus.TextEncoder(tokenizer())
        found = [
            len(doc)
            for chunk in chunks
            for doc in corpus.read_documents([chunk], encoder, 'lines', 60)
        ]
        assert found == [10] * 5 + [3]


def test_stored_documents_are_those_that_were_written(tmp_path):
    rng = random.Random(0)
    documents = [
        [[rng.randint(0, 30000) for _ in range(rng.randint(1, 9))] for _ in range(size)]
        for size in (1, 100, 3, 33, 32, 31)
    ]
    written = [write_tokens(tmp_path / 'a', documents[:2]), write_tokens(tmp_path / 'b', [])]
    written.append(write_tokens(tmp_path / 'c', documents[2:]))
    paths = [tmp_path / name for name in 'abc']
    assert [count_documents(path) for path in paths] == written
    store = TokenStore(paths)
    assert [list(document) for document in store] == documents
    for _ in range(300):
        number = rng.randrange(len(documents))
        place = rng.randrange(len(documents[number]))
        document = store[number]
        assert document[place] == documents[number][place]
        assert [document[n] for n in range(len(document))] == documents[number]


# --- interruptions


def test_a_killed_process_is_resumed_bit_for_bit(text, tmp_path):
    (tmp_path / 'vocab').write_text('\n'.join(TOKENS), encoding='utf-8')

    def start(folder, workers):
        """Start the command, which makes three files of records."""
        folder.mkdir(exist_ok=True)
        command = [
            sys.executable, '-m', 'gluon_bert', 'pretraining-data', '--input_file',
            f'{tmp_path}/*.txt', '--vocab_file', tmp_path / 'vocab', '--output_file',
            folder / 'a.tfrecord', '--num_shards', '3', '--num_workers', str(workers),
            '--dupe_factor', '9', '--max_seq_length', '64',
        ]  # fmt: skip
        environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))}
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )

    def wait(child):
        with child.stderr:
            error = child.stderr.read().decode()
        return child.wait() == 0 or 'is there already' in error

    seconds = []
    for workers in (1, 2):
        begin = time.monotonic()
        assert wait(start(tmp_path / f'expected{workers}', workers))
        seconds.append(time.monotonic() - begin)
    expected = contents(tmp_path / 'expected1')
    assert expected == contents(tmp_path / 'expected2') and len(expected) == 3
    rng = random.Random(1)
    for number in range(int(os.environ.get('GLUON_BERT_KILLS', '4'))):
        folder, workers = tmp_path / str(number), 1 + number % 2
        child = start(folder, workers)
        time.sleep(rng.uniform(0.4, 1.0) * seconds[workers - 1])
        child.send_signal(signal.SIGKILL)
        wait(child)
        assert wait(start(folder, workers)), number
        assert contents(folder) == expected, number


_OPERATIONS = ('open', 'os.chmod', 'os.mkdir', 'os.remove', 'os.rename', 'os.rmdir')


def die_at(number, folder, work):
    """Call a function in a process that dies before an operation on the files in a folder.

    Operations are counted from 0; False if there are fewer.
    """
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)  # of threads, which have no work now
        child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] != 0
    count = 0

    def die(event, arguments):
        nonlocal count
        if event in _OPERATIONS and str(folder) in str(arguments[0]):
            if count == number:
                os._exit(9)
            count += 1

    try:
        sys.addaudithook(die)
        work()
        os._exit(0)
    finally:
        os._exit(1)


@pytest.mark.parametrize('compatible', ['none', 'google'])
def test_killed_at_any_operation_on_files(tmp_path, compatible):
    text, names = tmp_path / 'text', [tmp_path / 'out' / f'{n}.tfrecord' for n in range(2)]
    text.write_text(made_text(1, 3), encoding='utf-8')
    options = {'compatible': compatible, 'dupe_factor': 1}
    (tmp_path / 'out').mkdir()
    summary = make(text, names, **options)
    expected = contents(tmp_path / 'out')
    endings = []
    for number in itertools.count():
        for path in names:
            path.unlink()
        if not die_at(number, tmp_path / 'out', lambda: make(text, names, **options)):
            break
        is_complete = not (tmp_path / 'out' / '0.tfrecord.work').exists()
        try:
            assert make(text, names, **options) == summary, number
            endings.append('resumed')
        except FileExistsError:
            # As after any complete call.
            assert is_complete and all(path.exists() for path in names), number
            endings.append('complete')
        assert contents(tmp_path / 'out') == expected, number
    assert endings.count('resumed') > 10 and endings.count('complete') > 1


def test_complete_shards_stay(text, tmp_path, monkeypatch):
    names = shard_names(tmp_path / 'a.npz', 3)
    original, made = parallel._make_shard, []

    def stops(job, parts, shard, report):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(shard)
        original(job, parts, shard, report)

    monkeypatch.setattr(parallel, '_make_shard', stops)
    with pytest.raises(KeyboardInterrupt):
        make(text, names)
    assert made == [0, 1] and (tmp_path / 'a-00000-of-00003.npz.work').is_dir()
    with pytest.raises(ValueError, match=r'another random_seed \(12345, now 5\)'):
        make(text, names, random_seed=5)
    monkeypatch.setattr(parallel, '_tokenize', _die)  # is not called again
    made.clear()
    make(text, names)
    assert made == [2] and not (tmp_path / 'a-00000-of-00003.npz.work').exists()
    before = contents(tmp_path)
    monkeypatch.undo()
    make(text, names, overwrite=True)
    assert contents(tmp_path) == before


def test_existing_files_are_refused(text, tmp_path):
    (tmp_path / 'a.npz').write_text('mine')
    for compatible in ('none', 'google'):
        with pytest.raises(FileExistsError, match=r'a\.npz: is there already'):
            make(text, tmp_path / 'a.npz', compatible=compatible)
    assert (tmp_path / 'a.npz').read_text() == 'mine'
    assert sorted(os.listdir(tmp_path)) == ['0.txt', '1.txt', '2.txt', 'a.npz']
    make(text, tmp_path / 'a.npz', overwrite=True)
    assert rows(tmp_path / 'a.npz')


# --- bad input


@pytest.mark.parametrize('compatible', ['none', 'google'])
@pytest.mark.parametrize(
    'content, reason',
    [
        (b'', 'there is no text in it'),
        (b'\n \n\xe3\x80\x80\n', 'there is no text in it'),
        (b'a b c\nd e\n', 'is one document'),
        (b'a b\n\nc d\n' + b'a ' * 5_000_000 + b'\n', ':4: the line is longer than 1048576 bytes'),
        (b'a b\n\nc \xff\n', r':3: not UTF-8: byte 0xff at offset 7 of the file'),
        (b'a b\n\nc \0\n', ':3: holds a NUL character'),
        ('a b\n\nc'.encode('utf-16'), ':1: the file is UTF-16'),
    ],
    ids=['empty', 'blank', 'one document', 'long line', 'not UTF-8', 'NUL', 'UTF-16'],
)
@pytest.mark.parametrize('workers', [1, 2])
def test_bad_text_is_refused_and_nothing_is_left(tmp_path, content, reason, compatible, workers):
    if compatible == 'google' and workers == 2:
        return
    (tmp_path / 'in.txt').write_bytes(content)
    with pytest.raises(ValueError, match=rf'in\.txt{reason}' if reason[0] == ':' else reason):
        make(
            tmp_path / 'in.txt', shard_names(tmp_path / 'a.npz', 2), compatible=compatible,
            num_workers=workers,
        )  # fmt: skip
    assert os.listdir(tmp_path) == ['in.txt']


def test_one_document_is_enough_for_other_pairings(tmp_path):
    (tmp_path / 'in.txt').write_text('a b c\nd e\n')
    for pairing in ('sentence_order', 'full_sentences'):
        summary = make(tmp_path / 'in.txt', tmp_path / f'{pairing}.npz', pairing=pairing)
        assert summary == create.Summary(1, 5, 3)


@pytest.mark.parametrize(
    'options, reason',
    [
        (dict(pairing='next'), 'pairing'),
        (dict(max_seq_length=4), 'max_seq_length'),
        (dict(short_seq_prob=2), 'short_seq_prob'),
        (dict(dupe_factor=0), 'dupe_factor'),
        (dict(input_format='html'), 'input_format'),
        (dict(compatible='bert'), 'compatible'),
        (dict(compatible='google', pairing='full_sentences'), 'pairing=full_sentences: Google'),
        (dict(compatible='google', masking=Masking('spans')), 'masking=spans: Google'),
        (dict(compatible='google', num_workers=2), 'num_workers=2: Google'),
        (dict(num_workers=0), 'num_workers'),
    ],
)
def test_wrong_options_are_refused(text, tmp_path, options, reason):
    with pytest.raises(ValueError, match=reason):
        make(text, tmp_path / 'a.npz', **options)
    assert sorted(os.listdir(tmp_path)) == ['0.txt', '1.txt', '2.txt']


def test_wrong_names_of_outputs_are_refused(text, tmp_path):
    for names, reason in (
        ([], 'one name or more'),
        ('a.npz,', 'one name or more'),
        ([tmp_path / 'a.npz', tmp_path / 'b' / '..' / 'a.npz'], 'is given twice'),
        (tmp_path / 'none' / 'a.npz', 'there is no folder'),
        (tmp_path / 'a.txt', r'\.tfrecord'),
        ([tmp_path / 'a.npz', tmp_path / 'a.tfrecord'], 'several formats: npz, tfrecord'),
    ):
        with pytest.raises(ValueError, match=reason):
            make(text, names)


def test_a_full_disk_leaves_nothing(text, tmp_path):
    size = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        for limit in (100, 3000):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, size[1]))
            for compatible in ('none', 'google'):
                with pytest.raises(OSError, match='File too large') as caught:
                    make(text, shard_names(tmp_path / 'a.tfrecord', 3), compatible=compatible)
                assert str(tmp_path) in caught.value.filename
                assert sorted(os.listdir(tmp_path)) == ['0.txt', '1.txt', '2.txt']
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, size)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_dead_worker_is_an_error(text, tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, '_make_shard', _die)
    with pytest.raises(ChildProcessError, match='a worker process ended with status 3'):
        make(text, shard_names(tmp_path / 'a.npz', 2), num_workers=2)
    assert sorted(os.listdir(tmp_path)) == ['0.txt', '1.txt', '2.txt']


def _die(*_):
    os._exit(3)


def test_two_calls_at_once_are_refused(text, tmp_path):
    from gluon_bert._internal.work_folder import WorkFolder

    place = str(tmp_path / 'a.npz.work')
    with WorkFolder(place, [str(tmp_path / 'a.npz')], {}, False) as folder:
        with pytest.raises(ValueError, match='another process is making these files'):
            make(text, tmp_path / 'a.npz')
        folder.end([1])
    assert not Path(place).exists()
