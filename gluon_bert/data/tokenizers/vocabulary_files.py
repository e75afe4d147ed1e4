"""Read vocabulary files: one token a line, JSON, or a SentencePiece model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from ..._internal.json import read_json
from ..._internal.types import PathLike
from ..classification.lines import read_all_lines
from .added_tokens import extended_vocab, with_added
from .vocabulary import Vocabulary
from .vocabulary_ids import check_num_lines, find_special_tokens, gluonnlp_order
from .vocabulary_json import vocabulary_from_json

if TYPE_CHECKING:
    from gluonnlp.vocab import BERTVocab


# The largest published vocabulary, LaBSE's, has 501153 lines and 5 million bytes.
MAX_LINES = 600_000
MAX_BYTES = 16 << 20


def read_vocab(
    path: PathLike,
    swap: bool = False,
    special_tokens: Optional[dict[str, str]] = None,
    added_ids: Optional[Mapping[str, Optional[int]]] = None,
) -> BERTVocab:
    """Read a vocabulary as GluonNLP's class, which imports it and MXNet.

    Parameters
    ----------
    path, swap, special_tokens, added_ids
        As for :func:`read_vocabulary`, which reads the same without GluonNLP.

    Returns
    -------
    gluonnlp.vocab.BERTVocab
        With the ids of the file. A model may have rows for more ids than there are tokens.

    Raises
    ------
    FileNotFoundError, ValueError
        As from :func:`read_vocabulary`.
    """
    return read_vocabulary(path, swap, special_tokens, added_ids).to_gluonnlp()


def read_vocabulary(
    path: PathLike,
    swap: bool = False,
    special_tokens: Optional[dict[str, str]] = None,
    added_ids: Optional[Mapping[str, Optional[int]]] = None,
) -> Vocabulary:
    r"""Read a vocabulary in any form in which BERTs are published.

    - ``vocab.txt``: the id of a token is its line number, from 0. Lines are stripped as in Google's
      reader, except that a token of white space is preserved: the Chinese and the multilingual
      files contain U+2028.
    - GluonNLP's JSON (``*.vocab``, ``vocab.json``), with the keys of 0.5, of 0.6 or of 0.7 and
      later. The empty token, to which GluonNLP's converters stripped U+2028, is restored.
    - ``vocab.json`` of a byte-level BPE: an object with the id of each token.
    - A SentencePiece model (``*.spiece``, ``*.model``).

    Parameters
    ----------
    path : str or Path
        A '.txt' file is read line by line; the format of others is detected from their content.
    swap : bool
        Give the tokens of a ``vocab.txt`` the ids of GluonNLP 0.5 and 0.6, see
        :func:`gluonnlp_order`. Other formats contain ids, which are preserved.
    special_tokens : dict of str to str, optional
        Special tokens that differ from the usual ones, such as
        ``{'mask_token': '<mask>'}``: of unknown_token, padding_token, cls_token, sep_token,
        mask_token, bos_token, eos_token.
    added_ids : mapping of str to int or None, optional
        Tokens added after those of the file, with their ids; None: the next one.

    Returns
    -------
    Vocabulary
        With the ids of the file. A model may have rows for more ids than there are tokens.

    Raises
    ------
    FileNotFoundError
    ValueError
        If the file is too large or not UTF-8, a token is empty or occurs twice, the ids are not
        consecutive from 0, the parts of a JSON contradict each other, or a special token is
        missing.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, 'vocab.txt')
    >>> _ = path.write_text('[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\n')
    >>> read_vocabulary(path)['[PAD]', 'hello', 'absent']
    [0, 5, 1]
    >>> read_vocabulary(path, swap=True)['[PAD]', 'hello', 'absent']
    [1, 5, 0]
    >>> folder.cleanup()
    """
    path = Path(path)
    if path.suffix in ('.spiece', '.model'):
        from .sentencepiece import read_sentencepiece_vocabulary

        return extended_vocab(
            read_sentencepiece_vocabulary(path, special_tokens), added_ids or {}, path
        )
    if path.suffix != '.txt' and _begins_as_json(path):
        return vocabulary_from_json(read_json(path), path, special_tokens, added_ids)
    tokens = with_added(_read_tokens(path), added_ids or {}, path)
    special_tokens = find_special_tokens(tokens, special_tokens or {}, path)
    if swap:
        tokens = [tokens[file_id] for file_id in gluonnlp_order(tokens)]
    return Vocabulary(tokens, special_tokens)


def _begins_as_json(path):
    with open(path, 'rb') as file:
        return file.read(256).removeprefix(b'\xef\xbb\xbf').lstrip()[:1] == b'{'


def _read_tokens(path):
    check_num_lines(path, MAX_BYTES, MAX_LINES)
    lines = read_all_lines(path, MAX_BYTES)
    tokens = list(map(str.strip, lines))
    if '' in tokens:
        tokens = [token or line for token, line in zip(tokens, lines)]
    if '' not in tokens and len(set(tokens)) == len(tokens):
        return tokens
    seen: dict[str, int] = {}  # the line of each token
    for number, token in enumerate(tokens, 1):
        if not token:
            raise ValueError(f'{path}:{number}: the line is empty, expected one token a line')
        if token in seen:
            raise ValueError(
                f'{path}:{number}: token {token[:80]!r} also occurs in line {seen[token]}'
            )
        seen[token] = number
    return tokens
