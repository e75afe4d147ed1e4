"""The manual: its code runs, its tables have every row, its commands exist."""

import csv
import doctest
import importlib.util
import os
import re
import subprocess
import sys
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from test_style import ROOMS

import gluon_bert
from gluon_bert.cli import COMMANDS
from gluon_bert.data import TASKS
from gluon_bert.zoo import (
    ARCHITECTURES,
    DATASET_ALIASES,
    DEFAULT,
    OFFLINE_DEFAULT,
    VOCABULARIES,
    WEIGHTS,
)

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / 'README.rst', *sorted((ROOT / 'docs').glob('*.rst'))]


def load(path):
    """A file outside the packages, as a module."""
    spec = importlib.util.spec_from_file_location(f'{path.stem}_under_test', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def extension():
    """The modules of the tables, found as Sphinx finds them."""
    pytest.importorskip('sphinx', reason='needs Sphinx: python3 dev.py setup')
    folder = str(ROOT / 'docs' / '_ext')
    sys.path.insert(0, folder)
    yield importlib.import_module
    sys.path.remove(folder)


@pytest.fixture(scope='module')
def tables(extension):
    return extension('zoo_tables')


@pytest.fixture(scope='module')
def site(extension, tmp_path_factory):
    """The manual, built: path below its folder -> Page."""
    folder = tmp_path_factory.mktemp('html')
    done = subprocess.run(
        [
            sys.executable,
            '-m',
            'sphinx',
            '-W',
            '--keep-going',
            '-n',
            '-q',
            '-b',
            'html',
            ROOT / 'docs',
            folder,
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return {
        path.relative_to(folder).as_posix(): Page(path)
        for path in folder.rglob('*')
        if path.is_file()
    }


class Page(HTMLParser):
    """A file of the site; of a page the links, as (address, text), and the anchors."""

    def __init__(self, path):
        super().__init__()
        self.path, self.links, self.anchors, self._open = path, [], set(), False
        if path.suffix == '.html':
            self.feed(path.read_text(encoding='utf-8'))

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.anchors |= {found.get('id')} - {None}
        self.links += [[found[key], ''] for key in ('href', 'src') if key in found]
        self._open = 'href' in found if tag == 'a' else self._open

    def handle_data(self, text):
        if self._open:
            self.links[-1][1] += text

    def handle_endtag(self, tag):
        self._open = self._open and tag != 'a'


def code_of(path):
    """The doctest of a page's code with prompts."""
    return doctest.DocTestParser().get_doctest(
        path.read_text(encoding='utf-8'), {}, path.name, str(path), 0
    )


@pytest.mark.weights
@pytest.mark.parametrize('name', ['README.rst', 'docs/index.rst', 'docs/quickstart.rst'])
def test_code_runs_and_gives_what_the_page_shows(name, real_folder):
    test, report = code_of(ROOT / name), []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(test, out=report.append)
    assert runner.tries >= 5
    assert not runner.failures, ''.join(report)


def test_code_with_prompts_is_on_tested_pages_only():
    assert [path.name for path in PAGES if code_of(path).examples] == [
        'README.rst',
        'index.rst',
        'quickstart.rst',
    ]


@pytest.mark.parametrize(
    'path',
    [*PAGES, ROOT / 'CONTRIBUTING.rst', *ROOT.glob('*/README.rst')],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_commands_of_dev_exist(path):
    text = path.read_text(encoding='utf-8')
    named = set(re.findall(r'python3 dev\.py (\w+)', text))
    assert named <= set(load(ROOT / 'dev.py').COMMANDS)
    if path == ROOT / 'README.rst':
        assert {'sample', 'test'} <= named


def test_readme_and_its_sample_agree():
    numbers = {
        split: len(
            (ROOT / 'examples' / 'sample' / f'{split}.tsv').read_text(encoding='utf-8').splitlines()
        )
        - 1
        for split in ('train', 'dev', 'test')
    }
    text = ' '.join((ROOT / 'README.rst').read_text(encoding='utf-8').split())
    assert (
        '{train} for training, {dev} for evaluation and {test} without labels'.format(**numbers)
    ) in text


def cells(table):
    header, rows = table
    assert all(len(row) == len(header) for row in rows)
    return [' | '.join(row) for row in rows]


def test_every_model_has_its_cell_and_its_page(tables, site):
    marked = [address for address, text in site['model_zoo.html'].links if text == tables.YES]
    assert sorted(marked) == sorted(f'models/{name}/{dataset}.html' for name, dataset in WEIGHTS)
    listed = {address for address, _ in site['models/index.html'].links}
    for (name, dataset), row in WEIGHTS.items():
        assert f'{name}/{dataset}.html' in listed
        text = site[f'models/{name}/{dataset}.html'].path.read_text(encoding='utf-8')
        assert f'{row.num_params:,}' in text
        assert row.licence in text
        assert f'href="{row.source}"' in text
        assert '.svg' in text
        for file in (*tables.files_of(row), *tables.files_of(VOCABULARIES[dataset])):
            digest = getattr(file, 'sha1', None) or file.sha256
            assert (digest or file.__dict__.get('url') or file.path) in text


def test_links_within_the_site_hold(site):
    broken = []
    for name, page in site.items():
        for address, _ in page.links:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            path = os.path.normpath(os.path.join(os.path.dirname(name), unquote(parts.path)))
            target = site.get(path if parts.path else name)
            anchor = unquote(parts.fragment)
            if target is None or (anchor and anchor not in target.anchors):
                broken.append(f'{name}: {address}')
    assert len(site) > len(WEIGHTS)
    assert broken == []


def test_the_scripts_can_be_downloaded_and_run(site, tmp_path):
    (address,) = [link for link, _ in site['model_zoo.html'].links if link.endswith('/bert.zip')]
    with zipfile.ZipFile(site[address].path) as archive:
        archive.extractall(tmp_path)
    examples = {path.name for path in (ROOT / 'examples').glob('*.*')}
    assert examples <= {path.name for path in (tmp_path / 'bert').iterdir()}
    done = subprocess.run(
        [sys.executable, 'finetune_classifier.py', '--help'],
        text=True,
        cwd=tmp_path / 'bert',
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert '--bert_dataset' in done.stdout, done.stderr


def test_the_bundle_has_the_same_bytes_each_time(extension, tmp_path):
    bundle = extension('zoo_bundle')
    for name in ('a', 'b'):
        bundle.write_bundle(tmp_path / name / 'bert.zip')
    assert (tmp_path / 'a/bert.zip').read_bytes() == (tmp_path / 'b/bert.zip').read_bytes()


WITHOUT_MXNET = """
import socket, sys
sys.modules.update(mxnet=None, gluonnlp=None)
socket.socket.connect = None
import zoo_bundle, zoo_pages, zoo_tables
lines = [*zoo_pages.index_page(), *map(zoo_tables.zoo_table, zoo_tables.groups())]
for key in zoo_tables.list_models():
    lines += zoo_pages.model_page(key)
for kind in zoo_tables.SOURCE_KINDS.values():
    lines += zoo_tables.file_table(kind)
lines += [*zoo_tables.architecture_table(), *zoo_tables.vocabulary_table()]
print(len(lines))
"""


def test_tables_need_neither_mxnet_nor_network(extension):
    path = os.pathsep.join([str(ROOT), str(ROOT / 'docs' / '_ext')])
    done = subprocess.run(
        [sys.executable, '-c', WITHOUT_MXNET],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, 'PYTHONPATH': path},
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10 * len(WEIGHTS)


def test_prose_names_no_data_set_but_the_defaults():
    others = {*VOCABULARIES, *DATASET_ALIASES} - {DEFAULT[1], OFFLINE_DEFAULT[1]}
    for path in [
        *PAGES,
        *ROOT.glob('*.rst'),
        *ROOT.glob('*/README.rst'),
        *(ROOT / 'docs' / '_ext').glob('*.py'),
    ]:
        words = set(re.findall(r'[\w.]+\w', path.read_text(encoding='utf-8')))
        assert words & others == set(), path


def test_tables_have_every_row(extension, tables):
    for name in ARCHITECTURES:
        assert any(f'``{name}``' in row for row in cells(tables.architecture_table()))
    for name, row in VOCABULARIES.items():
        assert any(f'``{name}`` | {row.size}' in line for line in cells(tables.vocabulary_table()))
    shown = str([tables.file_table(kind)[1] for kind in tables.SOURCE_KINDS.values()])
    for folder, row in tables.all_rows():
        assert f'``{folder}``' in shown
        for file in tables.files_of(row):
            assert (getattr(file, 'sha1', None) or file.sha256 or '') in shown
    moved = cells(tables.moved_table())
    assert moved == [
        f'``gluon_bert.{former}`` | ``gluon_bert.{now}``'
        for former, now in gluon_bert._MOVED.items()
    ]
    lines = cells(extension('zoo').task_table())
    assert len(lines) == len(TASKS)
    for task in TASKS.values():
        (line,) = [line for line in lines if line.startswith(f'``{task.name}`` |')]
        assert all(f'``{metric}``' in line for metric in task.metrics)


def test_every_flag_is_in_the_table(extension):
    import finetune_classifier

    parsers = extension('parser_tables')
    commands = parsers.command_parsers()
    page = (ROOT / 'docs' / 'command.rst').read_text(encoding='utf-8')
    helped = re.findall(r'^\.\. command-help:: ([\w-]+)', page, re.M)
    assert helped == list(COMMANDS) == list(commands)
    for parser in (finetune_classifier.make_parser(), *commands.values()):
        flags = {flag for action in parser._actions for flag in action.option_strings}
        shown = str([rows for _, _, rows in parsers.parser_tables(parser)])
        assert {flag for flag in flags - {'-h', '--help'} if f'``{flag}``' not in shown} == set()


def test_results_that_are_not_there_are_said_to_be_missing(site):
    page = site['results.html'].path.read_text(encoding='utf-8')
    text = ' '.join(re.sub('<[^>]*>', '', page).split())
    named = re.findall(
        r'results-table:: (\S+)', (ROOT / 'docs/results.rst').read_text(encoding='utf-8')
    )
    assert {'glue.csv', 'squad.csv', 'ner.csv', 'stream.csv'} <= set(named)
    for name in named:
        said = f'there are no rows in model_zoo/results/{name}' in text
        assert said != (ROOT / 'model_zoo' / 'results' / name).is_file()


def test_results_come_from_the_file(extension, tmp_path):
    results = extension('result_tables')
    path = tmp_path / 'glue.csv'
    path.write_text(
        'task,score,command\nMRPC,0.5,python a.py\nRTE,0.6,python b.py\nWNLI,0.7,python a.py\n'
    )
    header, rows, commands = results.results_table(*results.read_results(path))
    assert header == ['task', 'score', 'command']
    assert rows == [['MRPC', '0.5', '1'], ['RTE', '0.6', '2'], ['WNLI', '0.7', '1']]
    assert commands == ['python a.py', 'python b.py']


def test_pages_load_nothing_from_elsewhere(site):
    """A script, style or picture of another host fails without a network."""
    for name, page in site.items():
        if name.endswith('.html'):
            text = page.path.read_text(encoding='utf-8')
            assert not re.findall(r'<(?:script|img|iframe)[^>]*src="(?:https?:)?//', text), name
            assert not re.findall(r'<link[^>]*stylesheet[^>]*href="(?:https?:)?//', text), name
    assert '<math' in site['benchmark.html'].path.read_text(encoding='utf-8')
    assert '<math' in site['api/modeling.html'].path.read_text(encoding='utf-8')


def test_every_job_has_a_model_of_the_zoo(site):
    with open(ROOT / 'docs' / 'jobs.csv', newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 10
    pages = {address for address, _ in site['choosing.html'].links}
    for row in rows:
        assert (row['model'], row['dataset']) in WEIGHTS
        assert f'models/{row["model"]}/{row["dataset"]}.html' in pages


def test_every_way_to_run_has_its_figures(site, extension, tmp_path):
    from benchmark_systems import SYSTEMS

    from gluon_bert.export import EXPORTS

    tables = extension('ways_tables')
    ways = tables.read_ways()
    assert {way['format'] for way in ways} == {*EXPORTS}
    assert {way['system'] for way in ways} <= {'', *SYSTEMS}
    text = site['running.html'].path.read_text(encoding='utf-8')
    _, rows = tables.ways_table(ways, tables.sizes(), tables.seconds())
    for row in rows:
        assert re.fullmatch(r'[0-9.]+', row[4]) and f'<p>{row[4]}</p>' in text

    times = {
        ('a', 'grid', ('1', '128', '1')): 0.004,
        ('a', 'grid', ('32', '128', '1')): 0.5,
        ('a', 'load', None): 0.25,
    }
    given = dict.fromkeys(('way', 'takes', 'holds', 'lacks', 'options'), '')
    ways = [{**given, 'system': name, 'format': name} for name in ('a', 'b')]
    _, (first, second) = tables.ways_table(ways, {('a', ''): '9.5'}, times)
    assert first[4:] == ['9.5', '4.0', '64', '0.25'] and second[4:] == ['–'] * 4


def test_results_begin_with_a_summary(site):
    for name, figure in (('benchmark', 'speed.svg'), ('results', 'accuracy.svg')):
        text = site[f'{name}.html'].path.read_text(encoding='utf-8')
        assert text.index('class="summary') < text.index(figure) < text.index('<details')


def test_speeds_are_means_over_the_cells(extension, tmp_path):
    summaries, report = extension('summaries'), importlib.import_module('benchmark_report')
    cell = dict.fromkeys(report.FIELDS, '')
    cell |= dict(
        mode='grid', model='m', system='gluon_bert', precision='fp32', flags='avx2 avx512f'
    )
    cells = [
        {**cell, 'status': 'ok', 'batch': 1, 'speed_to_best_peer': 0.5},
        {**cell, 'status': 'ok', 'batch': 8, 'speed_to_best_peer': 8},
        {**cell, 'status': 'disagrees', 'batch': 9, 'speed_to_best_peer': 100},
        {**cell, 'status': 'ok', 'batch': 1, 'speed_to_best_peer': 2},  # measured again
        {**cell, 'status': 'ok', 'batch': 1, 'system': 'gluon_bert_block', 'speed_to_best_peer': 9},
        {**cell, 'status': 'ok', 'mode': 'train', 'flags': 'avx2', 'speed_to_best_peer': 3},
    ]
    report.append_rows(tmp_path / 'benchmark_a.csv', cells)
    found = summaries.speeds(tmp_path)
    assert found == {('AVX-512', 'grid', 'fp32'): [2, 8], ('AVX2', 'train', 'fp32'): [3]}
    header, rows = summaries.speed_table(found)
    assert header == ['Work', 'AVX-512 float32', 'AVX2 float32']
    assert rows == [['Inference, equal lengths', '4.00', ''], ['Training step', '', '3.00']]


def test_comparisons_are_over_the_same_runs(extension):
    summaries = extension('summaries')
    lines = (('a', 1, 0.5), ('a', 2, 0.7), ('b', 1, 0.6), ('b', 3, 0.1), ('a', 3, 0.9))
    runs = [
        dict(task='T', metric='f1', way=way, seed=seed, score=score) for way, seed, score in lines
    ]
    (found,) = summaries._compare(runs, 'way', 'a', {'b': 'B'}, ())
    assert found == ('T', 'f1', 2, pytest.approx(0.7), 'B', pytest.approx(0.35))
    assert summaries.comparison_table([found])[1] == [['T', 'F1', '2', '70.0', 'B', '35.0']]


def test_the_rooms_are_listed_in_their_order():
    listed = re.findall(
        r'^``gluon_bert/(\w+)(?:/|\.py)``  ',
        (ROOT / 'docs' / 'reading.rst').read_text(encoding='utf-8'),
        re.M,
    )
    package = ROOT / 'gluon_bert'
    assert listed == [
        room for room in ROOMS if (package / room).is_dir() or (package / f'{room}.py').is_file()
    ]


def test_reading_names_files_that_exist():
    text = (ROOT / 'docs' / 'reading.rst').read_text(encoding='utf-8')
    for name in re.findall(r'``((?:gluon_bert|tests)/[\w/]+\.py)``', text):
        assert (ROOT / name).is_file(), name
    for room, files in re.findall(r'\*\*(\w+)\*\* \(``([^)]*)``\)', text):
        for name in files.split('``, ``'):
            assert (ROOT / 'gluon_bert' / room / name).exists(), f'{room}: {name}'
