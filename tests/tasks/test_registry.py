"""The rows of the tasks: complete, consistent, and the only place that tells tasks apart."""

import ast
import importlib
import json
from pathlib import Path

import pytest
from script_runs import tiny_pipeline, tokenizer  # noqa: F401 (fixtures)

import gluon_bert as gb
from gluon_bert.tasks.registry import TASKS, get_spec
from gluon_bert.tasks.settings import OPTIONAL

PACKAGE = Path(gb.__file__).parent
OLD_NAMES = {
    'classification': 'text-classification',
    'regression': 'text-regression',
    'questions': 'question-answering',
    'entities': 'token-classification',
}


@pytest.mark.parametrize('spec', TASKS.values(), ids=lambda spec: spec.name)
def test_what_a_row_names_is_there(spec):
    pipeline, job = spec.load('pipeline'), spec.load('job')
    assert pipeline.task == spec.name
    assert job.Data and callable(job.dev_set)
    # A head is one of checkpoints, or the task is not told by a head.
    assert not spec.head.checkpoint or callable(spec.load('checkpoint_settings'))
    module, _, name = spec.head.make.partition(':')
    assert callable(getattr(importlib.import_module(module), name))
    assert spec.objective in gb.training.OBJECTIVES
    assert spec.max_length in spec.settings
    assert set(spec.listed) <= {*spec.settings, *OPTIONAL}


@pytest.mark.parametrize('old, new', OLD_NAMES.items())
def test_names_of_0_1_are_read(old, new):
    assert get_spec(old).name == new


@pytest.mark.parametrize('name, near', [('text-clasification', 'text-classification'), (None, '')])
def test_unknown_task_gets_the_nearest(name, near):
    with pytest.raises(ValueError, match='allowed: text-') as caught:
        get_spec(name)
    assert near in str(caught.value)


def test_task_names_are_compared_nowhere_but_in_the_rows():
    """No ``if task == 'question-answering'``: what differs is a field of a row."""
    names = {name for spec in TASKS.values() for name in (spec.name, *spec.aliases)}
    found = []
    for path in PACKAGE.rglob('*.py'):
        if path == PACKAGE / 'tasks' / 'registry.py':
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare):
                for part in ast.walk(node):
                    if isinstance(part, ast.Constant) and part.value in names:
                        found.append(f'{path.relative_to(PACKAGE)}:{node.lineno}')
    # The job of texts serves two rows; 'regression' is a problem type of transformers in both.
    assert {place.partition(':')[0] for place in found} <= {
        'tasks/texts.py',
        'tasks/checkpoint_settings.py',
    }


def test_a_folder_of_a_newer_version_is_refused(tmp_path):
    (tmp_path / 'task.json').write_text(json.dumps({'version': 99, 'task': 'text-regression'}))
    with pytest.raises(ValueError, match='version is 99: expected 1 at most; a newer gluon_bert'):
        gb.task_folder.read_task(tmp_path)


def test_multi_label_folders_of_0_1_are_read(tiny_pipeline, tmp_path):  # noqa: F811
    pipeline = tiny_pipeline('text-classification', folder=tmp_path / 'old')
    path = tmp_path / 'old' / 'task.json'
    content = json.loads(path.read_text())
    del content['version']
    path.write_text(json.dumps({**content, 'task': 'classification', 'multi_label': True}))
    loaded = gb.load_pipeline(tmp_path / 'old')
    assert loaded.task == 'multi-label-classification' and loaded.thresholds == [0.5] * 3
    assert loaded('the cat').label == pipeline('the cat').label
