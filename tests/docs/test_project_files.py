"""Files about the project agree with the package: changelog, citation, hooks."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import gluon_bert

ROOT = Path(__file__).resolve().parents[2]


def read(name):
    return (ROOT / name).read_text(encoding='utf-8')


def releases():
    """Pairs (version, date) of the changelog's released sections, the newest first."""
    return re.findall(r'^(\d+\.\d+\.\d+) - (\d{4}-\d\d-\d\d)\n-+$', read('CHANGELOG.rst'), re.M)


def test_the_changelog_has_an_unreleased_section_and_then_releases():
    titles = re.findall(r'^(\S.*)\n-+$', read('CHANGELOG.rst'), re.M)
    assert titles[0] == 'Unreleased'
    assert titles[1:] == [f'{version} - {date}' for version, date in releases()]
    assert releases() == sorted(releases(), reverse=True)


def test_version_and_date_are_those_of_the_newest_release():
    fields = dict(re.findall(r'^([\w-]+): (\S.*)$', read('CITATION.cff'), re.M))
    assert (fields['version'], fields['date-released']) == releases()[0]
    version = gluon_bert.__version__
    assert version == fields['version'] or version.endswith('.dev0')
    assert fields['license'] == 'Apache-2.0'
    assert 'name: The gluon_bert contributors' in read('CITATION.cff')


def test_hooks_are_local():
    text = read('.pre-commit-config.yaml')
    assert re.findall(r'repo: (\S+)', text) == ['local']
    assert set(re.findall(r'language: (\S+)', text)) == {'system', 'pygrep'}


@pytest.mark.parametrize(
    'content, matches', [(b'a\n', False), (b'', False), (b'a', True), (b'a\n\n', True)]
)
def test_the_hook_for_the_end_of_files_finds_them(content, matches):
    (pattern,) = re.findall(r"entry: '(.*)'", read('.pre-commit-config.yaml'))
    found = re.search(pattern.encode(), content, re.MULTILINE | re.DOTALL)
    assert bool(found) == matches


def test_text_files_end_with_one_newline_and_are_small():
    git = shutil.which('git')
    if git is None or not (ROOT / '.git').exists():
        pytest.skip('needs a clone of the repository and git')
    names = subprocess.run(
        [git, 'ls-files', '-z'], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split('\0')
    for path in (ROOT / name for name in names if name and (ROOT / name).is_file()):
        content = path.read_bytes()
        assert len(content) < 1_000_000, path
        if b'\0' not in content[:8000] and content:
            assert re.search(rb'[^\n]\n\Z', content), f'{path}: ends without a newline or with two'
