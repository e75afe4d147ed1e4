"""A corpus in a text file, and the vectors of its lines in a folder that belongs to it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Optional

import numpy as np

from .._internal.types import PathLike
from ..data.classification.lines import drop_trailing_blanks, read_lines
from .corpus_vectors import CorpusVectors
from .sentence_encoder import SentenceEncoder
from .sentence_options import role_prompt

_PROBE = 'A short text that every model encodes in its own way, by which it is known again.'
_TOLERANCE = 1e-3  # of the probe's vector; another processor changes less
_CHUNK = 1 << 20

Encode = Callable[[list[str]], Iterable[np.ndarray]]


class TextCorpus:
    """The lines of a text file; blank ones at the end are left out.

    Parameters
    ----------
    path : str or Path
        UTF-8.

    Raises
    ------
    FileNotFoundError
    ValueError
        If the file is empty or not UTF-8.
    """

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)
        self.lines: list[str] = [line for _, line in drop_trailing_blanks(read_lines(self.path))]
        if not self.lines:
            raise ValueError(f'{self.path}: is empty')

    def describe(self) -> dict[str, Any]:
        """Describe the file: its bytes, lines and digest."""
        size = self.path.stat().st_size
        digest, last = _digest(self.path, size)
        return {
            'bytes': size,
            'lines': len(self.lines),
            'sha256': digest,
            'ends_line': last == b'\n',
        }

    def check_begins_with(self, earlier: Mapping[str, Any], place: object) -> None:
        """Raise ValueError unless the file is an earlier one, or begins with its lines.

        Parameters
        ----------
        earlier : mapping
            Of :meth:`describe`.
        place : str or Path
            Of the vectors, for messages.
        """
        size, lines = (earlier.get(key) for key in ('bytes', 'lines'))
        if type(size) is not int or type(lines) is not int or size < 0 or lines < 0:
            raise ValueError(f'{place}: does not say of which file its vectors are')
        same = size <= self.path.stat().st_size and lines <= len(self.lines)
        if same:
            digest, _ = _digest(self.path, size)
            same = digest == earlier.get('sha256')
        if same and not earlier.get('ends_line') and size < self.path.stat().st_size:
            with open(self.path, 'rb') as file:  # or the last line would be a longer one
                file.seek(size)
                same = file.read(1) in (b'\n', b'\r')
        if not same:
            raise ValueError(
                f'{self.path}: is not the file of the vectors in {place}, which had {lines} lines, '
                f'nor does it begin with them: give another folder, or remove that one'
            )


def _digest(path, size):
    """The digest of the first bytes of a file, and the last one of them."""
    digest, last = hashlib.sha256(), b''
    with open(path, 'rb') as file:
        while size > 0:
            chunk = file.read(min(size, _CHUNK))
            if not chunk:
                break
            digest.update(chunk)
            size, last = size - len(chunk), chunk[-1:]
    return digest.hexdigest(), last


def open_corpus_vectors(
    folder: PathLike,
    corpus: TextCorpus,
    encoder: SentenceEncoder,
    encode: Encode,
    type: Optional[str] = None,
) -> CorpusVectors:
    """Open the vectors of a corpus; make them, or those of further lines, where they are missing.

    Parameters
    ----------
    folder : str or Path
    corpus : TextCorpus
    encoder : SentenceEncoder
    encode : callable
        Texts -> blocks of their vectors by the encoder.
    type : str, optional
        As for :meth:`.CorpusVectors.create`; by default that of the folder, else 'float32'.

    Returns
    -------
    CorpusVectors
        One for each line.

    Raises
    ------
    FileNotFoundError, ValueError
        If the folder is damaged, or its vectors are of another file, model or type.
    """
    folder = Path(folder)
    made_by = _describe_encoder(encoder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        vectors = CorpusVectors(folder)
        _check_encoder(vectors, encoder, made_by)
        if type not in (None, vectors.type):
            raise ValueError(f'{folder}: has vectors of {vectors.type}, not of {type}')
        if len(vectors) or vectors.corpus:
            corpus.check_begins_with(vectors.corpus, folder)
            if vectors.corpus['lines'] != len(vectors):
                raise ValueError(
                    f'{folder}: has {len(vectors)} vectors for {vectors.corpus["lines"]} lines'
                )
    else:
        similarity = encoder.settings.similarity
        vectors = CorpusVectors.create(
            folder, encoder.units, type or 'float32', similarity, made_by
        )
    if len(vectors) < len(corpus.lines):
        state = corpus.describe()
        vectors.append(encode(corpus.lines[len(vectors) :]), state)
    return vectors


def _describe_encoder(encoder):
    vector = encoder.encode([_PROBE], prompt_name=document_prompt(encoder))[0]
    return {'max_length': encoder.max_length, 'probe': vector.tolist()}


def document_prompt(encoder: SentenceEncoder) -> Any:
    """Return the name of the prompt of an encoder for documents; None if it has none."""
    return role_prompt(encoder.settings, 'document')


def _check_encoder(vectors, encoder, made_by):
    """Raise ValueError if another model made the vectors: it is known by that of a text."""
    place = vectors.folder
    if vectors.units != encoder.units:
        raise ValueError(
            f'{place}: has vectors of {vectors.units} units, the model makes {encoder.units}'
        )
    if vectors.similarity != encoder.settings.similarity:
        raise ValueError(
            f'{place}: is for the similarity {vectors.similarity}, the model is for '
            f'{encoder.settings.similarity}'
        )
    if vectors.made_by.get('max_length') != made_by['max_length']:
        raise ValueError(
            f'{place}: texts were cut at {vectors.made_by.get("max_length")} tokens, the model '
            f'cuts at {made_by["max_length"]}'
        )
    probe = np.array(made_by['probe'])
    try:
        theirs = np.array(vectors.made_by['probe'], 'float64')
        distance = np.linalg.norm(theirs - probe)
    except (KeyError, TypeError, ValueError):
        raise ValueError(f'{place}: does not say which model made its vectors') from None
    if not distance <= _TOLERANCE * np.linalg.norm(probe):
        raise ValueError(f'{place}: another model, or other options, made its vectors')
