"""Read the documents of text files, and tokenize them sentence by sentence.

In the input format 'lines' a line is a sentence, in 'text' a paragraph, which is split; a blank
line ends a document.
"""

from __future__ import annotations

import codecs
import copy
import itertools
import json
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tokenizers import Tokenizer

from ..._internal.types import PathLike
from ..classification.lines import MAX_LINE
from ..tokenizers.base import LibraryTokenizer
from .sentences import split_sentences

Document = list[list[int]]  # its sentences, each the ids of its tokens

MAX_DOCUMENT = 1 << 20  # bytes; a longer one is split at a line
_BATCH = 512  # lines tokenized at once
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Chunk(NamedTuple):
    """A part of a text file that begins and ends with a document."""

    path: PathLike
    start: int
    end: int
    first_line: int


class TextEncoder:
    """Tokenize sentences; the names of special tokens in them are text like any other.

    Parameters
    ----------
    tokenizer : SubwordTokenizer
    like_google : bool
        Treat the few characters as Google's Python does that its own library does not.
    """

    def __init__(self, tokenizer: Any, like_google: bool = False) -> None:
        self.tokenizer, self.like_google = tokenizer, like_google
        self._plain = _without_special_tokens(tokenizer)

    def __reduce__(self) -> tuple:
        return TextEncoder, (self.tokenizer, self.like_google)

    def __call__(self, sentences: Iterable[str]) -> list[list[int]]:
        """Compute the ids of sentences."""
        if self.like_google:
            sentences = [_as_google(text, self.tokenizer.lower) for text in sentences]
        return self._plain.encode_ids(list(sentences))


def read_documents(
    chunks: Iterable[Chunk],
    encoder: TextEncoder,
    input_format: str = 'lines',
    max_bytes: float = MAX_DOCUMENT,
) -> Iterator[Document]:
    """Read the documents of parts of files; those without tokens are left out.

    Parameters
    ----------
    chunks : iterable of Chunk
        The next one goes on with the last document of the one before.
    encoder : TextEncoder
    input_format : str
        'lines' or 'text'.
    max_bytes : int
        A longer document is split.

    Yields
    ------
    list of list of int

    Raises
    ------
    ValueError
        If a line is too long or no UTF-8; the message names it.
    """
    document: Document = []
    for sentences in _blocks(chunks, input_format, max_bytes):
        if not sentences:
            if document:
                yield document
            document = []
        else:
            document += [ids for ids in encoder(sentences) if ids]
    if document:
        yield document


def find_chunks(path: PathLike, size: int) -> Iterator[Chunk]:
    """Cut a text file into parts of at least ``size`` bytes, between documents.

    Documents of more than 1 MiB are split.

    Raises
    ------
    ValueError
        If a line is too long; the message names it.
    """
    start, line, position, number = 0, 1, 0, 0
    in_document = 0  # bytes
    with open(path, 'rb') as file:
        for raw in iter(lambda: file.readline(MAX_LINE + 1), b''):
            number += 1
            _check_length(raw, path, number)
            position += len(raw)
            in_document = in_document + len(raw) if raw.strip() else 0
            if position - start >= size and not 0 < in_document < MAX_DOCUMENT:
                yield Chunk(path, start, position, line)
                start, line, in_document = position, number + 1, 0
            elif in_document >= MAX_DOCUMENT:
                in_document = 0
    if position > start:
        yield Chunk(path, start, position, line)


def _blocks(chunks, input_format, max_bytes):
    """Yield lists of sentences of one document, and an empty one where a document ends."""
    sentences: list[str] = []
    size = 0  # of the document, bytes
    for length, line in itertools.chain.from_iterable(map(_lines, chunks)):
        line = line.strip()
        size = size + length if line else 0
        if line:
            sentences += [line] if input_format == 'lines' else split_sentences(line)
        ends = not line or size >= max_bytes
        if sentences and (ends or len(sentences) >= _BATCH):
            yield sentences
            sentences = []
        if ends:
            yield []
            size = 0
    if sentences:
        yield sentences


def _lines(chunk):
    """Yield the length in bytes and the text of each line."""
    with open(chunk.path, 'rb') as file:
        file.seek(chunk.start)
        position, number = chunk.start, chunk.first_line
        while position < chunk.end:
            raw = file.readline(MAX_LINE + 1)
            if not raw:
                raise ValueError(f'{chunk.path}: has become shorter since it was opened')
            _check_length(raw, chunk.path, number)
            yield len(raw), _decode(raw, position, f'{chunk.path}:{number}')
            position, number = position + len(raw), number + 1


def _check_length(raw, path, number):
    if len(raw) > MAX_LINE:
        raise ValueError(f'{path}:{number}: the line is longer than {MAX_LINE} bytes')


def _decode(raw, position, place):
    if position == 0:
        if raw.startswith(_UTF_16):
            raise ValueError(f'{place}: the file is UTF-16, expected UTF-8')
        raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        line = raw.decode('utf-8')
    except UnicodeDecodeError as error:
        raise ValueError(
            f'{place}: not UTF-8: byte 0x{raw[error.start]:02x} at offset {position + error.start} '
            f'of the file'
        ) from None
    if '\0' in line:
        raise ValueError(f'{place}: holds a NUL character; is the file UTF-16, or binary?')
    return line


def _without_special_tokens(tokenizer):
    """Copy a tokenizer that reads names of special tokens as text."""
    if not isinstance(tokenizer, LibraryTokenizer):
        return tokenizer
    state = json.loads(tokenizer._tokenizer.to_str())
    state['added_tokens'] = [row for row in state['added_tokens'] if not row['special']]
    state['post_processor'] = None
    plain = copy.copy(tokenizer)
    plain._tokenizer = Tokenizer.from_str(json.dumps(state))
    return plain


def _as_google(text, lower):
    """Prepare what the library of tokenizers treats in another way.

    Google's script lower-cases whole words, so that a last capital sigma becomes a final one; it
    keeps characters of private use, which make a word unknown; and it splits off the Chinese
    characters from U+2B820.
    """
    if text.isascii():
        return text
    text = text.lower() if lower else text
    return ''.join(map(_as_google_character, text)) if max(text) >= '\ue000' else text


def _as_google_character(char):
    if '\U0002b820' <= char < '\U0002b920':
        return f' {char} '
    # A letter of the Yi script stands in, which no vocabulary of BERT has.
    return '\ua015' if char >= '\ue000' and unicodedata.category(char) in ('Co', 'Cn') else char
