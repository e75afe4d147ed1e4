"""Directives that write tables from the rows of the package, parsers, scripts and CSV files.

Before Sphinx looks for pages, those of the models and the archive of the scripts are written.
"""
import csv
import importlib
import inspect
import sys
import textwrap
from pathlib import Path

from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective, nodes

sys.path.insert(0, str(Path(__file__).parent))

import zoo_tables  # noqa: E402
from parser_tables import command_parsers, flag_tables, parser_tables, usage  # noqa: E402
from zoo_bundle import write_bundle  # noqa: E402
from zoo_markup import code_block, grid_table, list_table, literal, literals, plain  # noqa: E402
from zoo_pages import RESULTS, write_pages  # noqa: E402

ZOO = Path(inspect.getfile(zoo_tables.list_models)).parent


def task_table():
    """The tasks that can be read by name."""
    from gluon_bert.data import TASKS    # which brings MXNet, so not above
    header = ['Task', 'Folder', 'Texts', 'Classes', 'Metrics', 'Splits', "GLUE server's files"]
    rows = []
    for name, task in TASKS.items():
        classes = 'score {:g} to {:g}'.format(*task.label_range) if task.is_regression else (
            literals(task.labels))
        rows.append([literal(name), literal(task.folder), 'pair' if task.is_pair else 'one',
                     classes, literals(task.metrics), literals(task.files),
                     literals(task.submissions.values())])
    return header, rows


def results_table(path):
    """Header, rows and commands of a CSV of results; a row names its command by number."""
    with open(path, newline='', encoding='utf-8') as file:
        reader = csv.DictReader(file)
        header, results = list(reader.fieldnames or ()), list(reader)
    commands = list(dict.fromkeys(row['command'] for row in results if row.get('command')))
    rows = [[str(commands.index(row[name]) + 1) if name == 'command' and row[name]
             else plain(row[name] or '') for name in header] for row in results]
    return header, rows, commands


class Generated(SphinxDirective):
    """What all directives here share: lines of reStructuredText become nodes."""

    def parse(self, lines, *sources):
        for source in sources:
            self.env.note_dependency(str(source))
        node = nodes.Element()
        self.state.nested_parse(StringList(list(lines), self.get_source_info()[0]),
                                self.content_offset, node)
        return node.children


class ZooTable(Generated):
    """``.. zoo-table:: group``: which of its models there are, see :func:`zoo_tables.groups`."""

    required_arguments = 1

    def run(self):
        group = self.arguments[0]
        return self.parse([*grid_table(*zoo_tables.zoo_table(group)),
                           *(zoo_tables.datasets_of(group) if group == 'small' else ())],
                          *ZOO.glob('*.py'))


class FileTable(Generated):
    """``.. file-table:: kind``: the files of a kind of source."""

    required_arguments = 1

    def run(self):
        kind = zoo_tables.SOURCE_KINDS[self.arguments[0]]
        return self.parse(list_table(*zoo_tables.file_table(kind), 'files'), *ZOO.glob('*.py'))


class RowTable(Generated):
    """``.. architecture-table::`` and others without arguments."""

    tables = {'architecture-table': zoo_tables.architecture_table,
              'vocabulary-table': zoo_tables.vocabulary_table,
              'alias-table': zoo_tables.alias_table, 'task-table': task_table}

    def run(self):
        table = self.tables[self.name]
        module = importlib.import_module('gluon_bert.data.glue') if table is task_table else None
        return self.parse(list_table(*table()), *ZOO.glob('*.py'),
                          *([module.__file__] if module else ()))


class FlagsTable(Generated):
    """``.. flags-table:: script`` for a script of the folder examples."""

    required_arguments = 1

    def run(self):
        module = importlib.import_module(self.arguments[0])
        return self.parse(_grouped(flag_tables(self.arguments[0])), module.__file__,
                          importlib.import_module('cli').__file__)


class CommandHelp(Generated):
    """``.. command-help:: name``: a subcommand of the console script."""

    required_arguments = 1

    def run(self):
        from gluon_bert import command
        parser = command_parsers()[self.arguments[0]]
        lines = [*code_block(usage(parser)), *code_block(parser.description or ''),
                 *_grouped(parser_tables(parser))]
        return self.parse(lines, *Path(command.__file__).parent.glob('*.py'))


def _grouped(tables):
    for title, header, rows in tables:
        yield from (f'.. rubric:: {title.capitalize()}', '', *list_table(header, rows))


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


def write_files(app):
    """Write what the pages are made from and link to."""
    write_pages(Path(app.srcdir) / 'models')
    write_bundle(Path(app.srcdir) / 'model_zoo' / 'bert.zip')


def setup(app):
    """Register the directives."""
    for name in RowTable.tables:
        app.add_directive(name, RowTable)
    for directive, name in ((ZooTable, 'zoo-table'), (FileTable, 'file-table'),
                            (FlagsTable, 'flags-table'), (CommandHelp, 'command-help'),
                            (ScriptHelp, 'script-help'), (ResultsTable, 'results-table')):
        app.add_directive(name, directive)
    app.connect('builder-inited', write_files)
    return {'version': '2', 'parallel_read_safe': True}
