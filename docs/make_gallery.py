"""Make the plots of docs/gallery.rst again, from the commands on that page.

    python3 docs/make_gallery.py                 all plots
    python3 docs/make_gallery.py map training    plots whose file names begin with these words
    python3 docs/make_gallery.py --runs FOLDER   with trained networks in another folder

Plots of attention and vectors need only the pre-trained model. The others need the folders that the
training commands on the page write to ``output``; plots whose folder is missing are skipped.
"""

import argparse
import re
import shlex
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE, PLOTS = HERE / 'gallery.rst', HERE / '_static' / 'gallery'
PROGRAM, RUNS = 'gluon-bert', 'output/'


def commands():
    """List the commands of the page that write a plot, as words without the program."""
    text = PAGE.read_text(encoding='utf-8').replace('\\\n', ' ')
    lines = re.findall(rf'^   {PROGRAM} (.+)$', text, re.M)
    return [shlex.split(line) for line in lines]


def output_of(command):
    """Name the plot that a command writes."""
    flag = '--draw' if command[0] == 'info' else '--output'
    return command[command.index(flag) + 1]


def with_paths(command, runs):
    """Replace the names of plot and folders in a command by their paths."""
    output = output_of(command)
    return [
        str(PLOTS / word)
        if word == output
        else str(runs / word[len(RUNS) :])
        if word.startswith(RUNS)
        else str(HERE.parent / word)
        if word.startswith(('docs/', 'examples/'))
        else word
        for word in command
    ]


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('names', nargs='*', metavar='NAME')
    parser.add_argument('--runs', type=Path, default=HERE.parent / 'output', metavar='FOLDER')
    args = parser.parse_args(argv)
    sys.path.insert(0, str(HERE.parent))
    from gluon_bert.cli import main as run

    failed = 0
    for command in commands():
        name = output_of(command)
        if args.names and not name.startswith(tuple(args.names)):
            continue
        words = with_paths(command, args.runs)
        missing = [
            word for word in words if word.startswith(str(args.runs)) and not Path(word).exists()
        ]
        if missing:
            sys.stderr.write(f'{name}: skipped, {missing[0]} not found\n')
            continue
        failed += run(words) != 0
    return failed > 0


if __name__ == '__main__':
    sys.exit(main())
