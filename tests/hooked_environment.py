"""A virtual environment with the packages of this one and the import hook of this tree."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def make_environment(folder):
    """Make the environment; return its Python."""
    venv.create(folder, with_pip=False)
    python = Path(folder) / 'bin' / 'python'
    query = 'import sysconfig; print(sysconfig.get_paths()["purelib"])'
    site = Path(subprocess.check_output([python, '-c', query], text=True).strip())
    outer = Path(sysconfig.get_paths()['purelib'])
    (site / 'a_path.pth').write_text(f'{ROOT}\n{outer}\n')
    distutils = outer / 'distutils-precedence.pth'
    if distutils.is_file():
        (site / distutils.name).write_bytes(distutils.read_bytes())
    _write_hook(site)
    return python


def _write_hook(folder):
    """Write the file as setup.py does: by its own command."""
    program = (
        'import sys, setuptools, runpy\n'
        'setuptools.setup = lambda **keywords: globals().update(keywords)\n'
        'runpy.run_path("setup.py")\n'
        'command = cmdclass["build_py"](setuptools.Distribution())\n'
        'command.add_hook(sys.argv[1])'
    )
    subprocess.run([sys.executable, '-c', program, folder], cwd=ROOT, check=True)


def run(python, code, *options, **variables):
    """Run a program, given as a file's name or as text, without PYTHONPATH."""
    kept = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    program = [python, *options, *([] if Path(code).suffix == '.py' else ['-c']), code]
    return subprocess.run(
        program, capture_output=True, text=True, cwd=ROOT, env={**kept, **variables}
    )
