"""One file over HTTP: whole and checked, or refused with a reason."""

# ruff: noqa: F811 (fixtures are imported)
import hashlib
import io
import os
import random
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
from zoo_server import running, server, zipped  # noqa: F401 (fixtures)

from gluon_bert.zoo.fetch import archives
from gluon_bert.zoo.fetch import errors as failures
from gluon_bert.zoo.fetch import http as download
from gluon_bert.zoo.fetch.errors import SourceError

DATA = random.Random(1).randbytes(1_000_000)
OTHER = random.Random(2).randbytes(1_000_000)


@pytest.fixture
def waits(server, monkeypatch):
    """Seconds that were to be waited, and are not."""
    seconds = []
    monkeypatch.setattr(failures, '_sleep', seconds.append)
    return seconds


@pytest.fixture
def fetch(server, waits, tmp_path):
    def fetch(path='model.bin', data=DATA, **options):
        return download.download(server.put(path, data), tmp_path / path, **options)

    return fetch


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_whole_file_takes_one_request(fetch, server, tmp_path, capfd):
    assert fetch(size=len(DATA)).read_bytes() == DATA
    assert server.sent('model.bin') == [len(DATA)]
    assert names(tmp_path) == ['model.bin']
    assert capfd.readouterr().err == ''  # no bar where there is no terminal


def test_a_terminal_has_a_bar(fetch, monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, 'stderr', terminal)
    fetch('silent.bin', progress=False)
    assert terminal.getvalue() == ''
    fetch()
    assert 'model.bin: 100%' in terminal.getvalue()
    assert '1.00M/1.00M' in terminal.getvalue()


def test_broken_off_it_goes_on_from_there(fetch, server, waits):
    server.fail('model.bin', 'break')
    assert fetch().read_bytes() == DATA
    assert server.sent('model.bin') == [300_000, 700_000]
    assert waits == [failures.BACK_OFF]


def broken(fetch, server, tmp_path):
    """A file that stays incomplete after all attempts."""
    server.fail('model.bin', 'break', 500, 500, 500)
    with pytest.raises(SourceError, match='HTTP 500'):
        fetch()
    assert names(tmp_path) == ['model.bin.part', 'model.bin.part.json']
    server.requests.clear()


def test_a_later_call_goes_on_too(fetch, server, tmp_path):
    broken(fetch, server, tmp_path)
    assert fetch().read_bytes() == DATA
    assert server.sent('model.bin') == [700_000]
    assert names(tmp_path) == ['model.bin']


@pytest.mark.parametrize(
    'data, fault, sent',
    [
        (DATA, 'no range', [1_000_000]),
        (OTHER, None, [1_000_000]),
        (DATA, 416, [0, 1_000_000]),
        (DATA, 'wrong range', [1_000_000, 1_000_000]),
    ],
    ids=['range ignored', 'changed meanwhile', 'range refused', 'another range'],
)
def test_what_cannot_be_gone_on_with_begins_anew(fetch, server, tmp_path, data, fault, sent):
    broken(fetch, server, tmp_path)
    server.fail('model.bin', fault)
    assert fetch(data=data).read_bytes() == data
    assert server.sent('model.bin') == sent


def test_another_server_begins_anew(fetch, server, tmp_path):
    broken(fetch, server, tmp_path)
    download.download(server.put('elsewhere', DATA), tmp_path / 'model.bin')
    assert server.sent('elsewhere') == [1_000_000]


def test_a_part_without_its_side_file_begins_anew(fetch, server, tmp_path):
    broken(fetch, server, tmp_path)
    (tmp_path / 'model.bin.part.json').write_text('[1')
    assert fetch().read_bytes() == DATA
    assert server.sent('model.bin') == [1_000_000]


def test_interrupted_by_the_user_it_goes_on_later(fetch, server, tmp_path, monkeypatch):
    def interrupted(response, size):
        yield response.raw.read(size)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(requests.Response, 'iter_content', interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch()
    server.requests.clear()
    assert fetch().read_bytes() == DATA
    assert server.sent('model.bin') == [1_000_000 - download.CHUNK]


def sha_check(path):
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != hashlib.sha256(DATA).hexdigest():
        raise ValueError(f'it has {found}')


def test_a_wrong_file_is_fetched_once_more(fetch, server, tmp_path):
    server.fail('model.bin', 'wrong')
    assert fetch(check=sha_check).read_bytes() == DATA
    server.fail('model.bin', lasting='wrong')
    (tmp_path / 'model.bin').unlink()
    server.requests.clear()
    with pytest.raises(SourceError, match='it has [0-9a-f]{64}'):
        fetch(check=sha_check)
    assert len(server.requests) == 2
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    'faults, expected',
    [
        ([500, 500], [0.5, 1.0]),
        ([(429, 7)], [7]),
        ([(503, 4000)], [30]),
        ([(429, 'Thu, 01 Jan 1970 00:00:00 GMT')], [0]),
        ([(429, 'soon')], [0.5]),
    ],
)
def test_a_busy_server_is_asked_again(fetch, server, waits, faults, expected):
    server.fail('model.bin', *faults)
    assert fetch().read_bytes() == DATA
    assert waits == expected


@pytest.mark.parametrize(
    'fault, reason, attempts',
    [
        (404, 'HTTP 404', 1),
        (401, 'HTTP 401', 1),
        (500, r'HTTP 500 \(4 attempts\)', 4),
        ('hang', r'no data for 0\.2 s \(4 attempts\)', 4),
        ('long', 'interrupted after 1000000 of 1001000', 4),
        (('redirect', '/model.bin'), 'redirects', 11),
    ],
    ids=str,
)
def test_a_failing_source_is_told(fetch, server, tmp_path, monkeypatch, fault, reason, attempts):
    monkeypatch.setenv('GLUON_BERT_TIMEOUT', '0.2')
    server.fail('model.bin', lasting=fault)
    with pytest.raises(SourceError, match=reason) as error:
        fetch()
    assert len(server.requests) == attempts
    assert error.value.absent == (fault == 404)
    assert 'model.bin' not in names(tmp_path)


def test_no_server_is_told(waits, tmp_path):
    with pytest.raises(SourceError, match=r'Connection refused \(4 attempts\)'):
        download.download('http://127.0.0.1:9/x', tmp_path / 'x')


def test_a_redirect_is_followed_but_not_out_of_https(fetch, server):
    server.fail('model.bin', ('redirect', server.put('elsewhere', DATA)))
    assert fetch().read_bytes() == DATA
    response = requests.Response()
    response.status_code, response.url = 302, 'https://example.org/a'
    response.headers['Location'] = 'http://example.org/a?key=secret'
    with pytest.raises(SourceError, match='from https to http://example.org/a$'):
        download._session().get_redirect_target(response)


@pytest.mark.parametrize(
    'size, fault', [(len(DATA) + 1, None), (len(DATA) - 1, None), (1000, 'endless')]
)
def test_another_size_than_the_published_is_refused(fetch, server, tmp_path, size, fault):
    server.fail('model.bin', fault)
    with pytest.raises(SourceError, match=f'the published file {size}'):
        fetch(size=size)
    assert names(tmp_path) == []


def test_a_size_that_is_not_known_has_a_bound(fetch, server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, 'MAX_SIZE', 500_000)
    for fault in (None, 'endless'):
        server.fail('model.bin', fault)
        with pytest.raises(SourceError, match='more than 500000 bytes'):
            fetch()
    assert names(tmp_path) == []


def test_a_disk_too_small_is_told_beforehand(fetch, server, tmp_path, monkeypatch):
    broken(fetch, server, tmp_path)
    monkeypatch.setattr(download.shutil, 'disk_usage', lambda folder: SimpleNamespace(free=17))
    with pytest.raises(OSError, match='700000 bytes are needed, 17 bytes are free') as error:
        fetch()
    assert error.value.filename == str(tmp_path)
    assert names(tmp_path) == []


LIMITED = """
import resource, sys
from pathlib import Path
from gluon_bert.zoo.fetch.http import download
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
try:
    download(sys.argv[1], Path(sys.argv[2]) / 'model.bin')
except OSError as error:
    print(error)
"""


@pytest.mark.skipif(os.name != 'posix', reason='needs limits of POSIX')
def test_a_limit_on_the_size_of_files_is_told(server, tmp_path):
    run = subprocess.run(
        [sys.executable, '-c', LIMITED, server.put('model.bin', DATA), tmp_path],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=Path(__file__).parents[2],
    )
    assert 'File too large: 1000000 bytes are needed' in run.stdout
    assert str(tmp_path) in run.stdout
    assert names(tmp_path) == []


def test_a_full_disk_is_told(fetch, server, tmp_path, monkeypatch):
    disk = tmp_path / 'disk'
    disk.mkdir()
    mount = subprocess.run(
        ['mount', '-t', 'tmpfs', '-o', 'size=512k', 'none', disk], capture_output=True, text=True
    )
    if mount.returncode:
        pytest.skip(f'needs leave to mount a small disk: {mount.stderr.strip()}')
    try:
        server.fail('model.bin', 'endless')  # its length is not known beforehand
        with pytest.raises(OSError, match='No space left on device: more space is needed, 0 bytes'):
            download.download(server.put('model.bin', DATA), disk / 'model.bin')
        assert names(disk) == []
        with pytest.raises(OSError, match='1000000 bytes are needed, 524288 bytes are free'):
            download.download(server.put('model.bin', DATA), disk / 'model.bin')
        with pytest.raises(OSError, match='No space left on device: 1000000 bytes are needed'):
            (tmp_path / 'model.zip').write_bytes(zipped({'model.bin': DATA}))
            archives.extract(tmp_path / 'model.zip', disk, lambda name: True)
        assert names(disk) == []
    finally:
        subprocess.run(['umount', disk], check=True)


def test_a_timeout_is_a_number_of_seconds(fetch, monkeypatch):
    monkeypatch.setenv('GLUON_BERT_TIMEOUT', 'soon')
    with pytest.raises(ValueError, match="GLUON_BERT_TIMEOUT='soon': expected seconds"):
        fetch()
