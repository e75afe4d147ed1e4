"""What a row of the zoo's tables holds."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple


@dataclass(frozen=True)
class InstalledFile:
    """A file inside an installed Python distribution.

    Parameters
    ----------
    distribution : str
        Its name on the package index; installed with ``pip install --no-deps``.
    path : str
        Of the file, relative to site-packages.
    """

    distribution: str
    path: str


@dataclass(frozen=True)
class Vocabulary:
    """The vocabulary of one data set.

    Parameters
    ----------
    filename : str
        Name of the file in a local folder.
    sha256 : str
        Of the file.
    size : int
        Tokens in it.
    lowercase : bool
        Whether text is lower-cased and loses its accents before it is split.
    swapped : bool
        Whether the ids are in the order of GluonNLP's converter of 2018 (special tokens first)
        instead of the file's.
    sources : tuple of InstalledFile
        Where the file can be had, tried in order after the local folder.
    """

    filename: str
    sha256: str
    size: int
    lowercase: bool
    swapped: bool
    sources: Tuple[InstalledFile, ...]


@dataclass(frozen=True)
class Weights:
    """One set of trained parameters.

    Parameters
    ----------
    filename : str
        Name of the file in a local folder.
    sha256 : str
        Of the file.
    size : int
        Bytes in it.
    num_params : int
        Parameters of the model without heads other than the pooler.
    heads : tuple of str
        Trained heads in the file, of 'pooler', 'next_sentence', 'masked_lm'.
    description : str
        What it was trained on and is good for.
    licence : str
        SPDX identifier.
    source : str
        Page of the original release.
    citation : str
    sources : tuple of InstalledFile
        Where the file can be had, tried in order after the local folder.
    """

    filename: str
    sha256: str
    size: int
    num_params: int
    heads: Tuple[str, ...]
    description: str
    licence: str
    source: str
    citation: str
    sources: Tuple[InstalledFile, ...]
