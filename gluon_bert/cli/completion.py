"""Print what makes a shell complete the commands, their flags and the names of models.

bash, for this session or in ~/.bashrc:
  eval "$(gluon-bert completion bash)"
zsh, in ~/.zshrc behind compinit:
  eval "$(gluon-bert completion zsh)"
fish, in ~/.config/fish/config.fish:
  source (gluon-bert completion fish | psub)
"""

from __future__ import annotations

import argparse
from typing import Any

from ..zoo import hub_names, list_models
from .output import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument('shell', choices=sorted(_WRITERS), help='the shell to write for')


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    say(_WRITERS[args.shell](read_words()).rstrip())
    return 0


def read_words() -> dict[str, dict[str, list[str]]]:
    """List the words that each command takes, see :func:`words_of`."""
    from . import distill, make_parser, train, tune

    (action,) = (row for row in make_parser()._actions if row.dest == 'command')
    parsers: Any = action.choices
    words = {name: words_of(parser) for name, parser in parsers.items()}
    _merge(words['distill'], {'': _models()})
    _merge(words['distill'], _flag_words(distill))
    return {**words, 'train': _task_words(train), 'tune': _task_words(tune)}


def words_of(parser: argparse.ArgumentParser) -> dict[str, list[str]]:
    """List what a parser takes.

    Parameters
    ----------
    parser : argparse.ArgumentParser

    Returns
    -------
    dict of str to list of str
        Under '' its flags and the choices of its positional arguments; under a flag its choices.
    """
    words: dict[str, list[str]] = {'': []}
    for action in parser._actions:
        choices = [str(choice) for choice in action.choices or ()]
        if isinstance(action, argparse._SubParsersAction):
            for parser in action.choices.values():
                _merge(words, words_of(parser))
        if action.help == argparse.SUPPRESS:
            continue
        if not action.option_strings:
            words[''] += choices or (_models() if 'MODEL' in str(action.metavar) else [])
        for flag in action.option_strings:
            words[''].append(flag)
            if choices:
                words[flag] = choices
    return words


def _task_words(command):
    """The names of the tasks and the flags of any of them."""
    from ..data import TASKS as GLUE
    from ..tasks.registry import TASKS

    words: dict[str, list[str]] = {'': [*TASKS, *GLUE]}
    _merge(words, _flag_words(command))
    return words


def _flag_words(command):
    """The flags for any task."""
    from ..tasks.registry import TASKS

    words: dict[str, list[str]] = {}
    for spec in TASKS.values():
        _merge(words, words_of(command.make_parser(spec, {})))
    return words


def _merge(words, others):
    for flag, choices in others.items():
        words[flag] = list(dict.fromkeys([*words.get(flag, ()), *choices]))


def _models():
    return [*(f'{name}/{data}' for name, data in list_models()), *hub_names()]


def _cases(words, line):
    """The branches of a case on 'COMMAND WORD-BEFORE', the last ones for any word before."""
    return '\n'.join(
        line.format(
            pattern=f"'{name} '*" if flag == '' else f"'{name} {flag}'", words=' '.join(row)
        )
        for name, flags in words.items()
        for flag, row in sorted(flags.items(), reverse=True)
    )


def _bash(words):
    return _BASH.format(
        commands=' '.join(words), cases=_cases(words, "            {pattern}) words='{words}' ;;")
    )


def _zsh(words):
    return _ZSH.format(
        commands=' '.join(words), cases=_cases(words, '            {pattern}) choices=({words}) ;;')
    )


def _fish(words):
    from . import COMMANDS

    lines = []
    for name, flags in words.items():
        lines.append(
            f"complete -c gluon-bert -n __fish_use_subcommand -a {name} -d '{COMMANDS[name][1]}'"
        )
        within = f"complete -c gluon-bert -n '__fish_seen_subcommand_from {name}'"
        others = [word for word in flags[''] if not word.startswith('-')]
        if others:
            lines.append(f"{within} -a '{' '.join(others)}'")
        for flag in (word for word in flags[''] if word.startswith('-')):
            kind = 'l' if flag.startswith('--') else 's'
            choices = f" -x -a '{' '.join(flags[flag])}'" if flag in flags else ''
            lines.append(f'{within} -{kind} {flag.lstrip("-")}{choices}')
    return '\n'.join(lines)


_BASH = """\
_gluon_bert() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} words hidden='-*'
    [[ $current == -* ]] && hidden=
    if [ "$COMP_CWORD" -eq 1 ]; then
        words='{commands}'
    else
        case "${{COMP_WORDS[1]}} ${{COMP_WORDS[COMP_CWORD-1]}}" in
{cases}
        esac
    fi
    COMPREPLY=($(compgen -X "$hidden" -W "$words" -- "$current"))
}}
complete -o default -F _gluon_bert gluon-bert
"""
_ZSH = """\
#compdef gluon-bert
_gluon_bert() {{
    local -a choices
    if (( CURRENT == 2 )); then
        choices=({commands})
    else
        case "${{words[2]}} ${{words[CURRENT-1]}}" in
{cases}
        esac
        _files
    fi
    compadd -- $choices
}}
compdef _gluon_bert gluon-bert
"""
_WRITERS = {'bash': _bash, 'fish': _fish, 'zsh': _zsh}
