"""The manual: its code runs, its tables have every row, its commands exist."""
import doctest
import importlib.util
import re
from pathlib import Path

import pytest

from gluon_bert.data import TASKS
from gluon_bert.zoo import ARCHITECTURES, VOCABULARIES, WEIGHTS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / 'README.rst', *sorted((ROOT / 'docs').glob('*.rst'))]


def load(path):
    """A file outside the packages, as a module."""
    spec = importlib.util.spec_from_file_location(f'{path.stem}_under_test', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def tables():
    """The module of the tables' directives."""
    pytest.importorskip('sphinx', reason='needs Sphinx: python3 dev.py setup')
    return load(ROOT / 'docs' / '_ext' / 'zoo.py')


def code_of(path):
    """The doctest of a page's code with prompts."""
    return doctest.DocTestParser().get_doctest(
        path.read_text(encoding='utf-8'), {}, path.name, str(path), 0)


@pytest.mark.weights
@pytest.mark.parametrize('name', ['README.rst', 'docs/quickstart.rst'])
def test_code_runs_and_gives_what_the_page_shows(name, real_folder):
    test, report = code_of(ROOT / name), []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(test, out=report.append)
    assert runner.tries > 5
    assert not runner.failures, ''.join(report)


def test_code_with_prompts_is_on_tested_pages_only():
    assert [path.name for path in PAGES if code_of(path).examples] == ['README.rst',
                                                                       'quickstart.rst']


@pytest.mark.parametrize('path', [*PAGES, ROOT / 'CONTRIBUTING.rst', *ROOT.glob('*/README.rst')],
                         ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_of_dev_exist(path):
    text = path.read_text(encoding='utf-8')
    named = set(re.findall(r'python3 dev\.py (\w+)', text))
    assert named <= set(load(ROOT / 'dev.py').COMMANDS)
    if path == ROOT / 'README.rst':
        assert {'sample', 'test'} <= named


def test_readme_and_its_sample_agree():
    numbers = {split: len((ROOT / 'examples' / 'sample' / f'{split}.tsv').read_text(
        encoding='utf-8').splitlines()) - 1 for split in ('train', 'dev', 'test')}
    text = ' '.join((ROOT / 'README.rst').read_text(encoding='utf-8').split())
    assert ('{train} for training, {dev} for evaluation and {test} without labels'.format(
        **numbers)) in text


def cells(table):
    header, rows = table
    assert all(len(row) == len(header) for row in rows)
    return [' | '.join(row) for row in rows]


def test_tables_have_every_row(tables):
    for name in ARCHITECTURES:
        assert any(f'``{name}``' in row for row in cells(tables.zoo_table()))
        assert any(f'``{name}``' in row for row in cells(tables.architecture_table()))
    for name, row in VOCABULARIES.items():
        assert any(f'``{name}`` | {row.size}' in line for line in cells(tables.vocabulary_table()))
    for (name, dataset), row in WEIGHTS.items():
        line, = [line for line in cells(tables.weights_table())
                 if line.startswith(f'``{name}`` | ``{dataset}``')]
        assert row.licence in line
        assert row.source in line
        assert tables.plain(row.description) in '\n'.join(tables.weights_list())
    digests = {row.sha256 for row in (*WEIGHTS.values(), *VOCABULARIES.values())}
    assert set(re.findall(r'``([0-9a-f]{64})``', str(tables.source_table()))) == digests
    lines = cells(tables.task_table())
    assert len(lines) == len(TASKS)
    for task in TASKS.values():
        line, = [line for line in lines if line.startswith(f'``{task.name}`` |')]
        assert all(f'``{metric}``' in line for metric in task.metrics)


def test_only_trained_models_are_marked_so(tables):
    header, rows = tables.zoo_table()
    marked = {(row[0], name) for row in rows for name, cell in zip(header, row)
              if cell == 'trained'}
    assert marked == {(f'``{name}``', f'``{dataset}``') for name, dataset in WEIGHTS}


def test_every_flag_is_in_the_table(tables):
    import finetune_classifier
    flags = {flag for action in finetune_classifier.make_parser()._actions
             for flag in action.option_strings} - {'-h', '--help'}
    shown = str([rows for _, _, rows in tables.flag_tables('finetune_classifier')])
    assert {flag for flag in flags if f'``{flag}``' not in shown} == set()


def test_results_come_from_the_file(tables, tmp_path):
    path = tmp_path / 'glue.csv'
    path.write_text('task,score,command\nMRPC,0.5,python a.py\nRTE,0.6,python b.py\n'
                    'WNLI,0.7,python a.py\n')
    header, rows, commands = tables.results_table(path)
    assert header == ['task', 'score', 'command']
    assert rows == [['MRPC', '0.5', '1'], ['RTE', '0.6', '2'], ['WNLI', '0.7', '1']]
    assert commands == ['python a.py', 'python b.py']
