"""Directives that write tables from the rows of the package, parsers, scripts and CSV files.

The pages of the models and the archive of the scripts are written before Sphinx reads pages.
"""

import importlib
import inspect
import textwrap
from pathlib import Path
from typing import ClassVar

import zoo_tables
from docutils.statemachine import StringList
from parser_tables import command_parsers, description_lines, flag_tables, parser_tables, usage
from result_tables import RESULTS, image_lines, read_results, results_lines
from sphinx.util.docutils import SphinxDirective, nodes
from zoo_bundle import write_bundle
from zoo_markup import code_block, dropdown, grid_table, list_table, literal, literals
from zoo_pages import write_pages

ZOO = Path(inspect.getfile(zoo_tables.list_models)).parent


def task_table():
    """Make the table of tasks with a name."""
    # Imports MXNet, so it is not at the top.
    from gluon_bert.data import TASKS

    header = ['Task', 'Folder', 'Texts', 'Classes', 'Metrics', 'Splits', "GLUE server's files"]
    rows = []
    for name, task in TASKS.items():
        classes = (
            'score {:g} to {:g}'.format(*task.label_range)
            if task.is_regression
            else (literals(task.labels))
        )
        rows.append(
            [
                literal(name),
                literal(task.folder),
                'pair' if task.is_pair else 'one',
                classes,
                literals(task.metrics),
                literals(task.files),
                literals(task.submissions.values()),
            ]
        )
    return header, rows


class Generated(SphinxDirective):
    """Base class of the directives: turns lines of reStructuredText into nodes."""

    def parse(self, lines, *sources):
        """Make nodes of lines that depend on source files."""
        for source in sources:
            self.env.note_dependency(str(source))
        node = nodes.Element()
        self.state.nested_parse(
            StringList(list(lines), self.get_source_info()[0]), self.content_offset, node
        )
        return node.children


class ZooTable(Generated):
    """Show the models of a group of :func:`zoo_tables.groups`: ``.. zoo-table:: group``."""

    required_arguments = 1

    def run(self):
        group = self.arguments[0]
        return self.parse(
            [
                '.. rst-class:: zoo',
                '',
                *grid_table(*zoo_tables.zoo_table(group)),
                *(zoo_tables.datasets_of(group) if group == 'small' else ()),
            ],
            *ZOO.glob('*.py'),
        )


class FileTable(Generated):
    """Show the files of a kind of source: ``.. file-table:: kind``."""

    required_arguments = 1

    def run(self):
        kind = zoo_tables.SOURCE_KINDS[self.arguments[0]]
        header, rows, widths = zoo_tables.file_table(kind)
        return self.parse(list_table(header, rows, 'files', widths=widths), *ZOO.glob('*.py'))


ROW_TABLES = {
    'architecture-table': zoo_tables.architecture_table,
    'vocabulary-table': zoo_tables.vocabulary_table,
    'alias-table': zoo_tables.alias_table,
    'moved-table': zoo_tables.moved_table,
    'task-table': task_table,
}


class RowTable(Generated):
    """Show a table of ``ROW_TABLES``, such as ``.. architecture-table::``."""

    def run(self):
        table = ROW_TABLES[self.name]
        module = None
        if table is task_table:
            module = importlib.import_module('gluon_bert.data.classification.glue_tasks')
        after = zoo_tables.shared_line() if table is zoo_tables.architecture_table else ()
        return self.parse(
            [*list_table(*table()), *after],
            *ZOO.glob('*.py'),
            *([module.__file__] if module else ()),
        )


class FlagsTable(Generated):
    """Show the flags of a script: ``.. flags-table:: script``."""

    required_arguments = 1

    def run(self):
        module = importlib.import_module(self.arguments[0])
        return self.parse(
            _grouped(flag_tables(self.arguments[0])),
            module.__file__,
            importlib.import_module('common.cli').__file__,
        )


class CommandHelp(Generated):
    """Show the help of a subcommand of the console script: ``.. command-help:: name``."""

    required_arguments = 1

    def run(self):
        from gluon_bert import cli

        parser = command_parsers()[self.arguments[0]]
        lines = [
            *code_block(usage(parser)),
            *description_lines(parser),
            *_grouped(parser_tables(parser)),
        ]
        return self.parse(lines, *Path(cli.__file__).parent.glob('*.py'))


def _grouped(tables):
    for title, header, rows in tables:
        yield from (f'.. rubric:: {title.capitalize()}', '', *list_table(header, rows))


class ScriptHelp(Generated):
    """Show the docstring of a script: ``.. script-help:: script``."""

    required_arguments = 1

    def run(self):
        module = importlib.import_module(self.arguments[0])
        text = inspect.cleandoc(module.__doc__)
        return self.parse(
            ['.. code-block:: text', '', *textwrap.indent(text, '   ').split('\n'), ''],
            module.__file__,
        )


class ResultsTable(Generated):
    """Show a file of model_zoo/results, or that it is missing: ``.. results-table:: file.csv``.

    ``:without:`` has names of columns that are left out. Plots whose names begin with the file's
    name follow.
    """

    required_arguments = 1
    option_spec: ClassVar = {'without': str.split}

    def run(self):
        path = RESULTS / self.arguments[0]
        self.env.note_dependency(str(path))
        header, rows = read_results(path) if path.is_file() else ([], [])
        if not rows:
            return self.parse(
                [
                    f'This was not measured yet: there are no rows in '
                    f'``model_zoo/results/{path.name}``.',
                    '',
                ]
            )
        header = [name for name in header if name not in self.options.get('without', ())]
        title = f'All {len(rows)} rows of model_zoo/results/{path.name}'
        lines = dropdown(title, results_lines(header, rows))
        for plot in sorted(
            [*RESULTS.glob(f'{path.stem}.png'), *RESULTS.glob(f'{path.stem}_*.png')]
        ):
            lines += image_lines(plot, plot.stem.replace('_', ' '))
        return self.parse(lines)


def write_files(app):
    """Write the pages of the models and the archive of the scripts."""
    write_pages(Path(app.srcdir) / 'models')
    write_bundle(Path(app.srcdir) / 'model_zoo' / 'bert.zip')


def setup(app):
    """Register the directives."""
    for name in ROW_TABLES:
        app.add_directive(name, RowTable)
    for directive, name in (
        (ZooTable, 'zoo-table'),
        (FileTable, 'file-table'),
        (FlagsTable, 'flags-table'),
        (CommandHelp, 'command-help'),
        (ScriptHelp, 'script-help'),
        (ResultsTable, 'results-table'),
    ):
        app.add_directive(name, directive)
    app.connect('builder-inited', write_files)
    return {'version': '2', 'parallel_read_safe': True}
