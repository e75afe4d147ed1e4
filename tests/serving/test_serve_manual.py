# ruff: noqa: F811 (fixtures are imported)
"""Every curl line of the manual's page is answered, and every route has one."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from script_runs import tiny_pipeline, tokenizer  # noqa: F401 (fixtures)
from served import REAL, folders  # noqa: F401 (fixtures)
from test_processes import start  # noqa: F401 (fixtures)

import gluon_bert as gb

PAGE = Path(__file__).parents[2] / 'docs' / 'serve.rst'
LINES = re.findall(r'^ {4}(curl .+)$', PAGE.read_text(encoding='utf-8'), re.M)


def paths():
    urls = (re.search(r'localhost:3000(\S*)', line)[1] for line in LINES)
    return {re.sub(r'/models/\w+', '/models/{name}', url) for url in urls}


@pytest.mark.weights
def test_lines_are_answered(start, folders, real_folder, tmp_path):
    if shutil.which('curl') is None:
        pytest.skip('needs curl')
    names = {'reviews': 'mood', 'questions': 'answers'}
    named = [f'{name}={folders[names.get(name, name)]}' for name in ('reviews', 'rank', 'names')]
    named += [f'{name}={folders[names.get(name, name)]}' for name in ('questions', 'words')]
    gb.SparseEncoder(folders['words']).save(tmp_path / 'sparse')
    named.append(f'sparse={tmp_path / "sparse"}')
    server = start(f'search={REAL}', *named)
    assert len(LINES) > 25
    for line in LINES:
        words = shlex.split(line.replace('localhost:3000', server.url()))
        done = subprocess.run([*words, '-sS', '--fail-with-body'], capture_output=True, text=True)
        assert done.returncode == 0, f'{line}\n{done.stdout}{done.stderr}'
        if 'metrics' in line:
            assert 'te_queue_size' in done.stdout
        elif '-i' in words:
            assert 'HTTP/1.1 200' in done.stdout
        elif not line.endswith(('/health', '/ping')):
            json.loads(done.stdout)
    assert server.end() == 0


def test_every_route_has_a_line():
    from gluon_bert.serving.protocols import ENDPOINTS

    shown = {path.replace('/models/{name}', '') or '/' for path in paths()} | paths()
    missing = {row.path for row in ENDPOINTS} - shown
    assert missing <= {'/v1/models/{name}'}
