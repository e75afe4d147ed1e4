"""Make the pictures of docs/gallery.rst again, from the commands on that page.

    python3 docs/make_gallery.py                 all
    python3 docs/make_gallery.py map training    those whose file begins so
    python3 docs/make_gallery.py --runs FOLDER   with trained networks in another folder

Pictures of attention and vectors need the pre-trained model only. The others need the folders that
the training commands on the page write, looked for in ``output``; what is not there is skipped.
"""

import argparse
import re
import shlex
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE, PICTURES = HERE / 'gallery.rst', HERE / '_static' / 'gallery'
PROGRAM, RUNS = 'gluon-bert', 'output/'


def commands():
    """The commands of the page that write a picture, as lists of words without the program."""
    text = PAGE.read_text(encoding='utf-8').replace('\\\n', ' ')
    lines = re.findall(rf'^   {PROGRAM} (.+)$', text, re.M)
    return [shlex.split(line) for line in lines]


def output_of(command):
    """The name of the picture that a command writes."""
    flag = '--draw' if command[0] == 'info' else '--output'
    return command[command.index(flag) + 1]


def placed(command, runs):
    """The command with its picture and its folders where they are."""
    output = output_of(command)
    return [
        str(PICTURES / word)
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
        words = placed(command, args.runs)
        missing = [
            word for word in words if word.startswith(str(args.runs)) and not Path(word).exists()
        ]
        if missing:
            sys.stderr.write(f'{name}: skipped, there is no {missing[0]}\n')
            continue
        failed += run(words) != 0
    return failed > 0


if __name__ == '__main__':
    sys.exit(main())
