"""The archive of the example scripts; the same files give the same bytes."""

from __future__ import annotations

import zipfile
from pathlib import Path

from gluon_bert._internal.files import atomic_path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = 'bert'  # in the archive
_DATE = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644 << 16
_UNIX = 3


def bundled_files():
    """Map names in the archive to files: scripts, their README, sample data, licence."""
    examples = ROOT / 'examples'
    paths = [
        *examples.glob('*.py'),
        examples / 'README.rst',
        *examples.glob('common/*.py'),
        *examples.glob('sample/*'),
    ]
    files = {f'{FOLDER}/{path.relative_to(examples).as_posix()}': path for path in paths}
    return dict(sorted({**files, f'{FOLDER}/LICENSE': ROOT / 'LICENSE'}.items()))


def write_bundle(target):
    """Write the archive.

    Parameters
    ----------
    target : Path
        Its folder is created if necessary.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # Not compressed: the result would depend on the version of zlib.
    with atomic_path(target) as path, zipfile.ZipFile(path, 'w', zipfile.ZIP_STORED) as archive:
        for name, file in bundled_files().items():
            member = zipfile.ZipInfo(name, _DATE)
            member.create_system, member.external_attr = _UNIX, _MODE
            archive.writestr(member, file.read_bytes())
