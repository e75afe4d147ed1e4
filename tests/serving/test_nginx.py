# ruff: noqa: F811 (fixtures are imported)
"""The manual's configuration of nginx: one of two servers is killed, the other answers."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from script_runs import tiny_pipeline, tokenizer  # noqa: F401 (fixtures)
from served import folders, http_client  # noqa: F401 (fixtures)
from test_processes import PAIR, Load, start  # noqa: F401 (fixtures)

httpx = http_client()
PAGE = Path(__file__).parents[2] / 'docs' / 'serve.rst'
NGINX = shutil.which('nginx', path=os.environ.get('PATH', '') + ':/usr/sbin')


def configuration(folder, port, servers):
    """Write the manual's file with these ports, in a whole configuration below a folder."""
    (block,) = re.findall(
        r'code-block:: nginx\n\n((?: {4}.*\n|\n)+)', PAGE.read_text(encoding='utf-8')
    )
    for old, new in (
        ('listen 8080', f'listen 127.0.0.1:{port}'),
        ('127.0.0.1:3000', servers[0].url().removeprefix('http://')),
        ('127.0.0.1:3001', servers[1].url().removeprefix('http://')),
    ):
        assert block.count(old) == 1
        block = block.replace(old, new)
    names = ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi')
    paths = ''.join(f'{name}_temp_path {folder}/{name};\n' for name in names)
    text = f'pid {folder}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{paths}{block}}}\n'
    (folder / 'nginx.conf').write_text(text)
    return folder / 'nginx.conf'


@pytest.fixture
def proxy(start, folders, tmp_path):
    """Two servers and the address of nginx before them."""
    if NGINX is None:
        pytest.skip('needs nginx')
    servers = [start(folders['mood'], '--stop_seconds', '3') for _ in range(2)]
    with socket.create_server(('127.0.0.1', 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / 'nginx').mkdir()
    path = configuration(tmp_path / 'nginx', port, servers)
    words = [NGINX, '-e', 'stderr', '-p', path.parent, '-c', path]
    process = subprocess.Popen([*words, '-g', 'daemon off; master_process off;'])
    url, end = f'http://127.0.0.1:{port}', time.monotonic() + 30
    while time.monotonic() < end and process.poll() is None:
        try:
            httpx.get(url + '/health')
            break
        except httpx.TransportError:
            time.sleep(0.05)
    yield servers, url
    process.send_signal(signal.SIGTERM)
    process.wait(30)


def test_a_killed_server_loses_no_request(proxy):
    servers, url = proxy
    load = Load(url)
    for server in servers:
        server.wait('request', 10)
    servers[0].process.kill()
    more = len(servers[1].rows) + 20
    servers[1].wait('request', more)
    load.end()
    assert set(load.statuses) == {200} and load.errors == load.refused == []
    answer = httpx.post(url + '/predict', json=PAIR)
    assert httpx.post(url + '/predict', json={'inputs': 1}).status_code == 422
    assert servers[1].end() == 0
    ids = [row['id'] for row in servers[1].wait('request')]
    assert answer.headers['x-request-id'] in ids


def test_a_stopped_server_loses_no_request(proxy):
    servers, url = proxy
    load = Load(url)
    for server in servers:
        server.wait('request', 10)
    assert servers[0].end() == 0
    servers[1].wait('request', len(servers[1].rows) + 20)
    load.end()
    assert set(load.statuses) == {200} and load.errors == load.refused == []
    assert servers[1].end() == 0
