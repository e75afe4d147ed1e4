"""The house rules that a machine can check."""
import ast
import importlib
import inspect
from pathlib import Path

import pytest

import gluon_bert as gb

PACKAGE = Path(gb.__file__).parent
MODULES = sorted(PACKAGE.rglob('*.py'))
SCRIPTS = sorted(path for folder in ('examples', 'model_zoo', 'docs')
                 for path in (PACKAGE.parent / folder).rglob('*.py'))

# What a module of the package may import from it.
ARROWS = {
    '_compat': (), '_processors': (), '_files': (), '_signals': (), 'config': (), 'plan': (),
    'metrics': (),
    '_softmax': (), 'layers': (), 'losses': (), 'squad_answers': ('_softmax',), 'squad_metrics': (),
    'plots': ('_files', '_json', '_softmax', 'data', 'plots', 'text_batches'),
    'optimizer': ('kernels',),
    'kernels': ('kernels', 'packed'),
    '_json': (), '_parameters': (),
    'checkpoint': ('_files', '_json', 'checkpoint', 'config', 'data'),
    'data': ('_files', '_json', 'data'),
    'bert': ('_parameters', 'checkpoint', 'layers'),
    'heads': ('bert', 'checkpoint', 'layers'),
    'crf': (), 'entity_metrics': ('data',),
    'tagging': ('_softmax', 'bert', 'checkpoint', 'crf', 'data', 'heads'),
    'precision_file': ('_files', '_json', 'kernels'),
    'precision': ('inference', 'kernels', 'packed', 'precision_file'),
    'task_folder': ('_files', '_json', 'bert', 'checkpoint', 'data', 'heads', 'precision_file',
                    'tagging', 'text_batches'),
    'task_checkpoint': ('checkpoint', 'crf', 'data', 'task_folder', 'text_batches'),
    'model_card': ('_files', 'zoo'),
    'evaluation': ('data', 'entity_metrics', 'metrics', 'squad_metrics'),
    'pipelines': ('_softmax', 'data', 'devices', 'inference', 'kernels', 'networks', 'pipelines',
                  'precision_file', 'squad_answers', 'tagging', 'task_checkpoint', 'task_folder',
                  'text_batches', 'zoo'),
    'networks': ('bert', 'checkpoint', 'heads'),
    'text_batches': ('data',), 'embedding': ('data', 'forms', 'inference', 'text_batches'),
    'packed': (), 'forms': ('bert', 'data', 'devices', 'heads', 'kernels', 'packed',
                            'text_batches'),
    'token_vectors': ('data', 'inference', 'text_batches'),
    'search': (), 'inference': ('_processors', 'bert', 'forms', 'heads',
                                'kernels', 'precision_file', 'tagging', 'text_batches'),
    'counts': ('checkpoint', 'config'), 'drawing': ('counts', 'plots'),
    'training_state': ('_files',), 'training_log': ('_files',), 'devices': (),
    'training': ('_files', '_signals', 'devices', 'inference', 'kernels', 'optimizer', 'plan',
                 'plots', 'training_log', 'training_state'),
    'zoo': ('_files', '_json', 'bert', 'checkpoint', 'config', 'data', 'heads', 'networks', 'zoo'),
    'model': ('bert', 'heads', 'zoo'), '__init__': ('_compat',),
    'command': ('_files', '_json', 'bert', 'checkpoint', 'command', 'config', 'counts', 'data',
                'drawing', 'embedding', 'evaluation', 'kernels', 'model_card', 'networks',
                'pipelines', 'plots', 'precision', 'precision_file', 'squad_answers',
                'task_folder', 'zoo', '__version__'),
    '__main__': ('command',),
}


def relative(path):
    return str(path.relative_to(PACKAGE.parent))


def own_imports(path):
    """The parts of the package that a file imports."""
    parts = path.relative_to(PACKAGE).with_suffix('').parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = parts[:len(parts) - node.level]
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found |= {(*base, *name.split('.'))[0] for name in names}
    return found


@pytest.mark.parametrize('path', MODULES, ids=relative)
def test_imports_run_one_way(path):
    part = path.relative_to(PACKAGE).with_suffix('').parts[0]
    assert own_imports(path) <= {*ARROWS[part]}


@pytest.mark.parametrize('path', [*MODULES, *SCRIPTS], ids=relative)
def test_nothing_imports_tests_or_scripts(path):
    allowed = ({'cli', 'classifier_report', 'ner_report', 'squad_report'}
               if path.parent.name == 'examples' else set())
    names = {alias.name.split('.')[0] for node in ast.walk(ast.parse(path.read_text()))
             if isinstance(node, ast.Import) for alias in node.names}
    assert not names & ({'tests', 'examples', 'model_zoo', 'docs', 'cli',
                         'classifier_report', 'ner_report', 'squad_report', 'conftest'} - allowed)


@pytest.mark.parametrize('path', [*MODULES, *SCRIPTS], ids=relative)
def test_files_and_functions_are_short(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 360
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            first = node.body[1:] if ast.get_docstring(node) else node.body
            length = node.end_lineno - first[0].lineno + 1 if first else 0
            assert length <= 60, f'{node.name} has {length} lines'


def public_objects():
    for name in ('bert', 'heads', 'crf', 'entity_metrics', 'evaluation', 'precision',
                 'precision_file', 'task_checkpoint', 'task_folder', 'tagging', 'layers',
                 'optimizer', 'training', 'training_log', 'devices', 'plan', 'zoo', 'data',
                 'losses', 'metrics', 'plots', 'kernels', 'networks', 'checkpoint',
                 'checkpoint.gluonnlp', 'checkpoint.huggingface', 'checkpoint.tensorflow',
                 'zoo.models', 'zoo.reading', 'embedding', 'model_card', 'search', 'text_batches',
                 'forms', 'inference', 'packed', 'token_vectors', 'squad_answers', 'squad_metrics',
                 'pipelines',
                 'pipelines.base'):
        module = importlib.import_module(f'gluon_bert.{name}')
        for key, value in vars(module).items():
            if (not key.startswith('_') and getattr(value, '__module__', '').startswith(
                    'gluon_bert') and (inspect.isclass(value) or inspect.isfunction(value))):
                yield f'{name}.{key}', value


@pytest.mark.parametrize('name, value', list(public_objects()))
def test_public_names_have_docstrings(name, value):
    text = inspect.getdoc(value) or ''
    assert len(text) > 20, name
    assert text.splitlines()[0].rstrip().endswith(('.', ':')), name
