"""Import packages that only some formats need."""

from __future__ import annotations

import importlib
from typing import Any, Optional


def import_package(name: str, needed_for: str, package: Optional[str] = None) -> Any:
    """Import a package that may not be installed.

    Parameters
    ----------
    name : str
        Of the package and of the extra in setup.py.
    needed_for : str
        The subject of the message.
    package : str, optional
        To install it by, where it is no extra.

    Raises
    ------
    ImportError
        With the command that installs it.

    Examples
    --------
    >>> import_package('nothing', 'files of Nothing')
    Traceback (most recent call last):
    ...
    ImportError: files of Nothing need the package nothing: pip install 'gluon_bert[nothing]'
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if error.name != name:  # a package that is there, but does not work
            raise
        raise ImportError(
            f'{needed_for} need the package {name}: '
            f'pip install {package or repr(f"gluon_bert[{name}]")}'
        ) from None
