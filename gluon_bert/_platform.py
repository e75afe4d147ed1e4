"""Name the machines that MXNet 1.9.1 runs on, and the command that installs it.

``setup.py`` and ``dev.py`` run this file before anything is installed, with any Python 3, so it
imports nothing but the standard library.
"""

import os
import platform
import sys
from typing import Optional

MXNET = 'mxnet==1.9.1'
# MXNet's metadata forbid NumPy 2, without which there is no Python 3.13. So pip gets MXNet alone;
# what MXNet requires is among the requirements of this package.
INSTALL_MXNET = f'pip install --no-deps {MXNET}'
OLDEST_PYTHON, NEWEST_PYTHON = (3, 9), (3, 13)
# For Linux the wheels are made for glibc.
WHEELS = {('Linux', 'x86_64'), ('Linux', 'aarch64'), ('Darwin', 'x86_64')}


def describe_obstacle() -> Optional[str]:
    """Say in one line why MXNet cannot run here and what helps; None if it can."""
    if sys.version_info < OLDEST_PYTHON:
        return (
            f'Python {_dotted(sys.version_info)} is too old: use a Python from '
            f'{_dotted(OLDEST_PYTHON)} to {_dotted(NEWEST_PYTHON)}'
        )
    place = (platform.system(), platform.machine())
    libc = '' if place[0] != 'Linux' or _has_glibc() else ' without glibc'
    if place not in WHEELS or libc or sys.maxsize < 2**32:
        bits = ' (32 bits)' if sys.maxsize < 2**32 else ''
        return (
            f'MXNet 1.9.1 has no wheel for {" ".join(place)}{libc}{bits}: use Linux on x86-64 with '
            'glibc, for example docker run -it --platform linux/amd64 python:3.13 bash'
        )
    return None


def describe_new_python() -> Optional[str]:
    """Say that Python is newer than those the project was run on; None if it is not."""
    if sys.version_info[:2] <= NEWEST_PYTHON:
        return None
    return (
        f'gluon_bert was run on Python {_dotted(OLDEST_PYTHON)} to {_dotted(NEWEST_PYTHON)}; '
        f'on Python {_dotted(sys.version_info)} it may fail'
    )


def _dotted(version):
    return '.'.join(map(str, version[:2]))


def _has_glibc():
    name = 'CS_GNU_LIBC_VERSION'
    return name in os.confstr_names and (os.confstr(name) or '').startswith('glibc')
