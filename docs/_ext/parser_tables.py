"""Tables of command line arguments, from their argparse parsers."""

from __future__ import annotations

import argparse
import importlib
import inspect

from zoo_markup import code_block, literal, literals, plain

_WIDTH = 88


def flag_tables(script):
    """Yield (title, header, rows) for each group of a script's arguments."""
    return parser_tables(importlib.import_module(script).make_parser())


def command_parsers():
    """Map the subcommands of the console script to their parsers."""
    from gluon_bert.cli import make_parser

    (action,) = (
        action
        for action in make_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    return dict(action.choices)


def parser_tables(parser):
    """Yield (title, header, rows) for each group of a parser's arguments.

    Groups of its subcommands follow. Those that all subcommands share come last, once.
    """
    for group in parser._action_groups:
        rows = [
            _row(parser, action)
            for action in group._group_actions
            if action.dest != 'help' and not isinstance(action, argparse._SubParsersAction)
        ]
        if rows:
            yield group.title, ['Argument', 'Default', 'Meaning'], rows
    subcommands = {
        name: list(parser_tables(subparser))
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for name, subparser in action.choices.items()
    }
    shared = [
        table
        for table in next(iter(subcommands.values()), ())
        if all(table in tables for tables in subcommands.values())
    ]
    for name, tables in subcommands.items():
        for title, *table in tables:
            if (title, *table) not in shared:
                yield f'{parser.prog.split()[-1]} {name}: {title}', *table
    yield from shared


def usage(parser):
    """Format the usage of a parser, independently of the width of the terminal."""
    formatter = argparse.HelpFormatter(parser.prog, width=_WIDTH)
    actions = [action for action in parser._actions if action.dest != 'help']
    formatter.add_usage(parser.usage, actions, parser._mutually_exclusive_groups, prefix='')
    return formatter.format_help().strip()


def description_lines(parser):
    """Make lines of a parser's description: paragraphs, then its examples as code."""
    text, _, examples = (parser.description or '').partition('\nexample')
    lines = [*plain(text).split('\n'), '']
    if examples:  # begins with 's:' or ':', then the commands
        lines += code_block(inspect.cleandoc(examples.partition('\n')[2]))
    return lines


def _row(parser, action):
    has_no_default = action.default in (None, argparse.SUPPRESS) or isinstance(action.default, bool)
    meaning = plain((action.help or '') % {**vars(action), 'prog': parser.prog})
    if action.choices:
        meaning += f'; one of {literals(action.choices)}'
    names = action.option_strings or [action.metavar or action.dest]
    return [literals(names), '' if has_no_default else literal(action.default), meaning]
