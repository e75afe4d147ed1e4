"""User names, passwords and signatures appear in requests alone."""

# ruff: noqa: F811 (fixtures are imported)
import json
import logging
import traceback
from urllib.parse import quote

import pytest
from zoo_server import running, server  # noqa: F401 (fixtures)

from gluon_bert.zoo.fetch import hub, sources
from gluon_bert.zoo.fetch.errors import SourceError
from gluon_bert.zoo.fetch.http import download, forget_old_states
from gluon_bert.zoo.fetch.printable import scrub, shown, url_key
from gluon_bert.zoo.schema import GluonFile, HubFile

SECRET = 'S3cr3tS3cr3t'
DATA = bytes(1000)


def with_user(server, path, user=f'ada:{SECRET}'):
    return server.url.replace('://', f'://{user}@') + path


@pytest.mark.parametrize(
    ('url', 'printed'),
    [
        ('https://a.b/c.zip', 'https://a.b/c.zip'),
        (f'https://ada:{SECRET}@a.b/c.zip', 'https://a.b/c.zip'),
        (f'https://{SECRET}@a.b:80/c', 'https://a.b:80/c'),
        (f'https://a.b/c?sig={SECRET}&x=1#{SECRET}', 'https://a.b/c'),
        (f'https://a.b?token={SECRET}', 'https://a.b'),
        (f'https://ada:{SECRET}@[::bad/c', 'https://[::bad/c'),
        (f'https://ada:{SECRET}@[::1]:8/c', 'https://[::1]:8/c'),
        (f'https://ada:{SECRET}@a.b:99999/', 'https://a.b:99999/'),
        (f'ftp://ada:{SECRET}@a.b/', 'ftp://a.b/'),
        (f'//ada:{SECRET}@a.b/', '//a.b/'),
        (f'https://ada:x@{SECRET}@a.b/c', 'https://a.b/c'),
        (f'https://ada:{SECRET}/x@a.b/c', 'https://a.b/c'),
        ('https://a.b:80/c@main', 'https://a.b:80/c@main'),
        ('/home/ada/c?d', '/home/ada/c?d'),
        ('file:///home/ada/c', 'file:///home/ada/c'),
    ],
)
def test_printed_url_has_no_secret(url, printed):
    assert shown(url) == printed


@pytest.mark.parametrize(
    'text',
    [
        f'Failed to parse: http://ada:{SECRET}@a.b:99999/',
        f"url: /c.zip?X-Amz-Signature={SECRET} (Caused by X('y'))",
        f'"GET /c.zip?token={SECRET} HTTP/1.1" 200',
        f"netloc 'ada:{SECRET}@a.b' is wrong",
        f'Authorization: Bearer hf_{SECRET}',
    ],
)
def test_texts_of_others_are_scrubbed(monkeypatch, text):
    monkeypatch.setenv('HF_TOKEN', f'hf_{SECRET}')
    monkeypatch.setenv('https_proxy', f'http://ada:{quote(SECRET)}@a.b')
    scrubbed = scrub(text)
    assert SECRET not in scrubbed
    assert scrubbed.split(' ')[0] == text.split(' ')[0]


FAULTS = [
    (None, 404),
    (None, 'break'),
    (None, 500),
    (None, ('redirect', f'http://ada:{SECRET}@127.0.0.1:1/x?sig={SECRET}')),
    (None, ('redirect', f'ftp://ada:{SECRET}@127.0.0.1/x')),
    (None, ('redirect', f'http://ada:{SECRET}@[::bad/x?sig={SECRET}')),
    (None, ('redirect', f'http://ada:{SECRET}@127.0.0.1:99999/x')),
    (None, ('redirect', f'/model.bin?sig={SECRET}')),
    (f'http://ada:{SECRET}@127.0.0.1:1/model.bin?sig={SECRET}', None),
    (f'http://ada:{SECRET}@127.0.0.1:99999/model.bin', None),
    (f'http://ada:{SECRET}@[::bad/model.bin', None),
    (f'http://ada:{SECRET}@\u2100.b/model.bin', None),
    (f'http://ada:{SECRET}/x@a.invalid/model.bin', None),
    (f'nothing://ada:{SECRET}@a.b/model.bin', None),
]


@pytest.mark.parametrize(('url', 'fault'), FAULTS)
def test_failed_downloads_tell_no_secret(server, tmp_path, caplog, url, fault):
    caplog.set_level(logging.DEBUG)
    server.put('model.bin', DATA)
    server.fail('model.bin', lasting=fault)
    url = url or with_user(server, f'model.bin?X-Amz-Signature={SECRET}#{SECRET}')
    with pytest.raises(SourceError) as caught:
        download(url, tmp_path / 'model.bin', progress=False)
    error = caught.value
    while error is not None:
        assert SECRET not in ''.join(traceback.format_exception(None, error, None))
        error = error.__cause__ or error.__context__
    assert SECRET not in caplog.text
    for path in tmp_path.iterdir():
        assert SECRET.encode() not in path.read_bytes()


def test_password_and_signature_reach_the_server(server, tmp_path, monkeypatch):
    seen = []
    handler = server.RequestHandlerClass
    monkeypatch.setattr(
        handler, 'send_response_only', note(seen, handler.send_response_only), raising=True
    )
    server.put('model.bin', DATA)
    download(with_user(server, f'model.bin?sig={SECRET}'), tmp_path / 'model.bin', progress=False)
    assert seen == [(f'/model.bin?sig={SECRET}', 'Basic YWRhOlMzY3IzdFMzY3IzdA==')]


def note(seen, send):
    def noted(self, *arguments):
        seen.append((self.path, self.headers['Authorization']))
        send(self, *arguments)

    return noted


def test_interrupted_download_goes_on_by_the_hash_of_its_url(server, tmp_path):
    server.put('model.bin', DATA)
    server.fail('model.bin', 'break', 404)
    url = with_user(server, f'model.bin?sig={SECRET}')
    with pytest.raises(SourceError):
        download(url, tmp_path / 'model.bin', progress=False)
    state = json.loads((tmp_path / 'model.bin.part.json').read_text())
    assert state['key'] == url_key(url) and 'url' not in state
    server.requests.clear()
    assert download(url, tmp_path / 'model.bin', progress=False).read_bytes() == DATA
    assert [request.range for request in server.requests] == ['bytes=300-']


def test_states_of_earlier_versions_are_removed_when_met(server, tmp_path):
    url = with_user(server, f'model.bin?sig={SECRET}')
    server.put('model.bin', DATA)
    server.fail('model.bin', lasting=404)
    part, state = tmp_path / 'model.bin.part', tmp_path / 'model.bin.part.json'
    part.write_bytes(DATA[:300])
    state.write_text(json.dumps({'url': url, 'validator': '"x"', 'total': 1000}))
    with pytest.raises(SourceError):
        download(url, tmp_path / 'model.bin', progress=False)
    assert not state.exists() or SECRET not in state.read_text()
    state.write_text(json.dumps({'url': url, 'validator': '"x"', 'total': 1000}))
    kept = tmp_path / 'other.part.json'
    kept.write_text(json.dumps({'key': url_key(url), 'validator': '"x"', 'total': 1000}))
    forget_old_states(tmp_path)
    assert not state.exists() and kept.exists()


@pytest.mark.parametrize(
    'mirror',
    [
        'ftp://ada:{}@host/',
        'http://ada:{}@127.0.0.1:99999/',
        'https://ada:{}@[::bad/',
        'http://ada:{}@127.0.0.1:1/?sig={}',
    ],
)
def test_mirror_is_told_without_its_password(server, monkeypatch, tmp_path, mirror):
    monkeypatch.setenv(sources.MIRROR, mirror.replace('{}', SECRET))
    file = GluonFile('words', '0' * 40, '.vocab')
    context = sources.FetchContext(None, tmp_path, tmp_path, False)
    with pytest.raises(SourceError) as caught:
        sources.fetch((file,), context)
    assert SECRET not in ''.join(traceback.format_exception(None, caught.value, None))
    assert SECRET not in sources.url_of(file)


def test_hub_is_told_without_its_password_and_token(server, monkeypatch, caplog, tmp_path):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv('HF_TOKEN', f'hf_{SECRET}')
    monkeypatch.setenv('HF_HUB_CACHE', str(tmp_path))
    for endpoint in (with_user(server, ''), f'http://ada:{SECRET}@127.0.0.1:1'):
        monkeypatch.setenv('HF_ENDPOINT', endpoint)
        with pytest.raises(FileNotFoundError) as caught:
            hub.fetch_folder('owner/name', progress=False)
        error = caught.value
        while error is not None:
            assert SECRET not in ''.join(traceback.format_exception(None, error, None))
            error = error.__cause__ or error.__context__
    assert SECRET not in sources.url_of(HubFile('owner/name', 'config.json'))
    assert SECRET not in caplog.text
