"""Directives that write tables from the rows of the package, the example scripts and CSV files.

The functions whose names end in ``_table`` give a header and rows of cells in reStructuredText;
they need no Sphinx run.
"""
import csv
import importlib
import inspect
import re
import textwrap
from pathlib import Path
from urllib.parse import urlsplit

from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective, nodes

from gluon_bert.data import TASKS, Task
from gluon_bert.zoo import ARCHITECTURES, VOCABULARIES, WEIGHTS, get_config

RESULTS = Path(__file__).resolve().parents[2] / 'model_zoo' / 'results'


def literal(value):
    """A cell in typewriter letters; empty for an empty value."""
    return f'``{value}``' if str(value) else ''


def literals(values):
    """A cell of several of them."""
    return ', '.join(map(literal, values))


def plain(text):
    """A cell of text that is not markup."""
    return re.sub(r'([*`|_\\])', r'\\\1', str(text))


def link(address):
    """A cell that is a link, shown as its host."""
    return f'`{plain(urlsplit(address).netloc)} <{address}>`__'


def zoo_table():
    """Architectures by data sets: which have trained parameters."""
    rows = [[literal(name), *('trained' if (name, dataset) in WEIGHTS else 'initialised only'
                              for dataset in VOCABULARIES)] for name in ARCHITECTURES]
    return ['Architecture', *map(literal, VOCABULARIES)], rows


def architecture_table():
    """The hyper-parameters of each architecture."""
    fields = list(next(iter(ARCHITECTURES.values())))
    rows = [[literal(name), *(plain(row[field]) for field in fields)]
            for name, row in ARCHITECTURES.items()]
    return ['Architecture', *map(literal, fields)], rows


def weights_table():
    """The trained parameters: how large, from where, under which licence."""
    header = ['Architecture', 'Data set', 'Parameters', 'Trained heads', 'Size', 'Licence',
              'Source']
    rows = [[literal(name), literal(dataset), f'{row.num_params / 1e6:.1f} million',
             literals(row.heads), f'{row.size / 1e6:.1f} MB', plain(row.licence),
             link(row.source)] for (name, dataset), row in WEIGHTS.items()]
    return header, rows


def weights_list():
    """Lines of a definition list: what each of them is, and what to cite."""
    for (name, dataset), row in WEIGHTS.items():
        yield from (f'{literal(name)} on {literal(dataset)}', f'   {plain(row.description)}', '',
                    f'   Cite: {plain(row.citation)}.', '')


def source_table():
    """Where each file can be had, and the digest it is checked against."""
    files = {f'{name}_{dataset}': row for (name, dataset), row in WEIGHTS.items()}
    rows = [[literal(f'{folder}/{row.filename}'),
             literals(source.distribution for source in row.sources), literal(row.sha256)]
            for folder, row in {**files, **VOCABULARIES}.items()]
    return ['File', 'Comes with', 'SHA-256'], rows


def vocabulary_table():
    """The vocabularies."""
    header = ['Data set', 'Tokens', 'Case', 'Order of ids']
    rows = [[literal(name), f'{row.size}', 'lower' if row.lowercase else 'kept',
             'GluonNLP 0.5 and 0.6' if row.swapped else 'file']
            for name, row in VOCABULARIES.items()]
    return header, rows


def task_table():
    """The tasks that can be read by name."""
    header = ['Task', 'Folder', 'Texts', 'Classes', 'Metrics', 'Splits', "GLUE server's files"]
    rows = []
    for name, task in TASKS.items():
        classes = 'score {:g} to {:g}'.format(*task.label_range) if task.is_regression else (
            literals(task.labels))
        rows.append([literal(name), literal(task.folder), 'pair' if task.is_pair else 'one',
                     classes, literals(task.metrics), literals(task.files),
                     literals(task.submissions.values())])
    return header, rows


def flag_tables(script):
    """(title, header, rows) for each group of a script's arguments."""
    parser = importlib.import_module(script).make_parser()
    for group in parser._action_groups:
        rows = [_flag_row(parser, action) for action in group._group_actions
                if action.dest != 'help']
        if rows:
            yield group.title, ['Flag', 'Default', 'Meaning'], rows


def _flag_row(parser, action):
    silent = action.default is None or isinstance(action.default, bool)
    meaning = plain(action.help % {**vars(action), 'prog': parser.prog})
    if action.choices:
        meaning += f'; one of {literals(action.choices)}'
    return [literals(action.option_strings), '' if silent else literal(action.default), meaning]


def results_table(path):
    """Header, rows and commands of a CSV of results; a row names its command by number."""
    with open(path, newline='', encoding='utf-8') as file:
        reader = csv.DictReader(file)
        header, results = list(reader.fieldnames or ()), list(reader)
    commands = list(dict.fromkeys(row['command'] for row in results if row.get('command')))
    rows = [[str(commands.index(row[name]) + 1) if name == 'command' and row[name]
             else plain(row[name] or '') for name in header] for row in results]
    return header, rows, commands


def list_table(header, rows):
    """Lines of a ``list-table``."""
    lines = ['.. list-table::', '   :header-rows: 1', '']
    for row in [header, *rows]:
        for number, cell in enumerate(row):
            lines.append(f'   {" " if number else "*"} - {cell}'.rstrip())
    return [*lines, '']


class Generated(SphinxDirective):
    """What all directives here share: lines of reStructuredText become nodes."""

    def parse(self, lines, *sources):
        for source in sources:
            self.env.note_dependency(str(source))
        node = nodes.Element()
        self.state.nested_parse(StringList(lines, self.get_source_info()[0]),
                                self.content_offset, node)
        return node.children


def table_directive(table, after=tuple):
    """A directive without arguments: a table, then the lines that ``after`` gives."""
    class Table(Generated):
        def run(self):
            tables = Path(inspect.getfile(get_config)).parent
            return self.parse([*list_table(*table()), *after()],
                              *tables.glob('*.py'), inspect.getfile(Task))
    return Table


class FlagsTable(Generated):
    """``.. flags-table:: script`` for a script of the folder examples."""

    required_arguments = 1

    def run(self):
        lines = []
        for title, header, rows in flag_tables(self.arguments[0]):
            lines += [f'.. rubric:: {title.capitalize()}', '', *list_table(header, rows)]
        module = importlib.import_module(self.arguments[0])
        return self.parse(lines, module.__file__, importlib.import_module('cli').__file__)


class ScriptHelp(Generated):
    """``.. script-help:: script`` shows the docstring of a script."""

    required_arguments = 1

    def run(self):
        module = importlib.import_module(self.arguments[0])
        text = inspect.cleandoc(module.__doc__)
        return self.parse(['.. code-block:: text', '', *textwrap.indent(text, '   ').split('\n'),
                           ''], module.__file__)


class ResultsTable(Generated):
    """``.. results-table:: file.csv`` for a file of model_zoo/results; absent ones say so."""

    required_arguments = 1

    def run(self):
        path = RESULTS / self.arguments[0]
        self.env.note_dependency(str(path))
        header, rows, commands = results_table(path) if path.is_file() else ([], [], [])
        if not rows:
            return self.parse([f'No results are recorded in ``model_zoo/results/{path.name}`` '
                               f'yet.', ''])
        lines = list_table(header, rows)
        if commands:
            lines += ['The commands by number:', '']
            for number, command in enumerate(commands, 1):
                lines += [f'{number}. ``{command}``']
        return self.parse([*lines, ''])


def setup(app):
    """Register the directives."""
    for table in (zoo_table, architecture_table, source_table, vocabulary_table, task_table):
        app.add_directive(table.__name__.replace('_', '-'), table_directive(table))
    app.add_directive('weights-table', table_directive(weights_table, after=weights_list))
    app.add_directive('flags-table', FlagsTable)
    app.add_directive('script-help', ScriptHelp)
    app.add_directive('results-table', ResultsTable)
    return {'version': '1', 'parallel_read_safe': True}
