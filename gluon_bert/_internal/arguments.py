"""The parser of the command line and of the scripts."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn, Optional

from .suggestions import nearest


class Parser(argparse.ArgumentParser):
    """Parser that takes flags in both spellings, and names the nearest of what it does not know.

    ``--batch-size`` and ``--batch_size`` are one flag, whichever of them is declared. What is wrong
    is reported in one line.
    """

    def parse_known_args(
        self, args: Optional[Iterable[str]] = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Parse the arguments; an unknown flag is an error, in a subcommand too."""
        args = list(sys.argv[1:] if args is None else args)
        namespace, extras = super().parse_known_args(list(self._respelled(args)), namespace)
        unknown = next((item for item in extras if item.startswith('-') and item != '-'), None)
        if unknown is not None:
            name = unknown.partition('=')[0]
            self.error(f'unknown flag {name}{_hint(name, self._option_string_actions)}')
        return namespace, self._place(namespace, extras)

    def _place(self, namespace, extras):
        """Add words that stand behind a flag to the last argument if it takes any number."""
        positional = [action for action in self._actions if not action.option_strings]
        if not positional or positional[-1].nargs not in ('*', '+'):
            return extras
        words = getattr(namespace, positional[-1].dest)
        if not isinstance(words, list):
            return extras
        setattr(namespace, positional[-1].dest, [*words, *extras])
        return []

    def _respelled(self, args: Iterable[str]) -> Iterator[str]:
        """The arguments with each flag as it was declared, abbreviated ones too.

        Those of a command that follows are left alone.
        """
        known, skip = self._option_string_actions, False
        args = iter(args)
        for item in args:
            if item == '--' or (self._ends_in_a_command() and not skip and item[:1] != '-'):
                yield item
                break
            name, equals, value = item.partition('=')
            if name.startswith('--') and name not in known:
                # The declared spelling has the same length: - and _ are one character each.
                same = sorted(
                    {flag[: len(name)] for flag in known if _plain(flag).startswith(_plain(name))}
                )
                name = same[0] if same else name
            meant = [action for flag, action in known.items() if flag.startswith(name)]
            skip = item[:1] == '-' and not equals and bool(meant) and meant[0].nargs is None
            yield f'{name}{equals}{value}'
        yield from args

    def _ends_in_a_command(self) -> bool:
        return any(action.nargs == argparse.REMAINDER for action in self._actions)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            choices = [str(choice) for choice in action.choices]
            raise argparse.ArgumentError(
                action,
                f'{value!r} is unknown{_hint(value, choices)} (allowed: {", ".join(choices)})',
            )

    def error(self, message: str) -> NoReturn:
        """End the process with the message and status 2."""
        self.exit(2, f'{self.prog}: error: {message}\n')


def _plain(flag):
    return flag.replace('_', '-')


def _hint(name, names):
    match = nearest(name, names)
    return '' if match is None else f'; did you mean {match}?'
