"""Read SentencePiece's model file, a protocol buffer with pieces and normalisation rules."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from tokenizers import AddedToken, Regex, Tokenizer, normalizers
from tokenizers.decoders import Metaspace as MetaspaceDecoder
from tokenizers.models import Unigram
from tokenizers.pre_tokenizers import Metaspace
from tokenizers.processors import BertProcessing, RobertaProcessing

from ..._internal.protobuf import encode_bytes, encode_varint, read_fields
from ..._internal.types import PathLike
from .added_tokens import library_tokens

if TYPE_CHECKING:
    from .added_tokens import Added
    from .sentencepiece_styles import Style
    from .vocabulary import Vocabulary

MAX_BYTES = 8 << 20
MAX_PIECES = 300_000  # the largest published models have 256000
_NEEDS = 'sentencepiece>=0.2.2,<1'
_NORMAL, _UNKNOWN, _USER_DEFINED = 1, 2, 4  # types of pieces
_UNIGRAM = 1


class Model(NamedTuple):
    """Content of a model file: pieces as (text, score, type), and the fields of its settings."""

    pieces: list
    trainer: dict
    normalizer: dict


def read_model(path: PathLike) -> bytes:
    """Read the bytes of a model file and check that it is one.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    bytes

    Raises
    ------
    FileNotFoundError
    ValueError
        If the file is larger than 8 MiB or not a SentencePiece model.
    """
    with open(path, 'rb') as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f'{path}: the file is larger than {MAX_BYTES} bytes')
    try:
        parse_model(data)
    except ValueError as error:
        raise ValueError(f'{path}: not a SentencePiece model: {error}') from None
    return data


def import_library() -> Any:
    """Import the package ``sentencepiece``.

    Raises
    ------
    ImportError
        If it is not installed, or crashes on damaged models because it is too old.
    """
    try:
        import sentencepiece
    except ImportError as error:
        raise ImportError(
            f"SentencePiece models need the package sentencepiece: pip install '{_NEEDS}'"
        ) from error
    if tuple(map(int, re.findall(r'\d+', sentencepiece.__version__)[:3])) < (0, 2, 2):
        raise ImportError(
            f'sentencepiece {sentencepiece.__version__} crashes on damaged models: '
            f"pip install '{_NEEDS}'"
        )
    return sentencepiece


def load(data: bytes, source: PathLike = 'the model') -> Any:
    """Load a model into the library's processor.

    Parameters
    ----------
    data : bytes
    source : str or Path
        For the message.

    Returns
    -------
    sentencepiece.SentencePieceProcessor

    Raises
    ------
    ImportError
        As from :func:`import_library`.
    ValueError
        If the library refuses the model.
    """
    library = import_library()
    try:
        return library.SentencePieceProcessor(model_proto=data)
    except (RuntimeError, ValueError, OSError) as error:
        raise ValueError(f'{source}: not a SentencePiece model: {error}') from None


def parse_model(data: bytes) -> Model:
    """Parse a model file; ValueError if it is none."""
    pieces: list[tuple[str, float, int]] = []
    settings: dict[int, dict] = {2: {}, 3: {}}
    for number, value in _fields(data):
        if number == 1:
            fields = dict(_fields(value))
            text, score = fields.get(1, b''), fields.get(2, bytes(4))
            if isinstance(text, int) or isinstance(score, int) or len(score) != 4:
                raise ValueError(f'piece {len(pieces)} is malformed')
            if len(pieces) == MAX_PIECES:
                raise ValueError(f'it has more than {MAX_PIECES} pieces')
            pieces.append(
                (text.decode('utf-8'), struct.unpack('<f', score)[0], fields.get(3, _NORMAL))
            )
        elif number in settings:
            settings[number] = dict(_fields(value))
    if not pieces:
        raise ValueError('it has no pieces')
    return Model(pieces, settings[2], settings[3])


def pieces_of(encoded: bytes) -> Iterator[tuple[str, int, int]]:
    """Yield the pieces of an encoded text, as (text, begin, end) with positions in bytes."""
    for number, value in _fields(encoded):
        if number == 2:
            fields = dict(_fields(value))
            yield fields[1].decode('utf-8'), fields.get(4, 0), fields.get(5, 0)


def with_avoided(data: bytes, avoid: Callable[[str], object], penalty: float = 100.0) -> bytes:
    """Lower the scores of pieces, so that a segmentation has them only where nothing else fits.

    Parameters
    ----------
    data : bytes
        A model file.
    avoid : callable
        Piece -> whether it is one of them.
    penalty : float

    Returns
    -------
    bytes
    """
    fields, changed = [], False
    for number, value in _fields(data):
        parts = dict(_fields(value)) if number == 1 else {}
        if number == 1 and avoid(parts.get(1, b'').decode('utf-8')):
            changed = True
            score = struct.unpack('<f', parts.get(2, bytes(4)))[0] - penalty
            value = encode_bytes(1, parts[1]) + b'\x15' + struct.pack('<f', score)
            value += b'\x18' + encode_varint(parts.get(3, _NORMAL))
        fields.append((number, value))
    if not changed:
        return data
    return b''.join(encode_bytes(number, value) for number, value in fields)


def library_tokenizer(
    data: bytes,
    vocab: Vocabulary,
    style: Style,
    cleaning: Optional[normalizers.Normalizer] = None,
    added: Sequence[Added] = (),
) -> Optional[Tokenizer]:
    """Build the same segmentation in the ``tokenizers`` library, if it supports it.

    It differs only for full-width letters with a combining accent, which the library does not
    compose.

    Parameters
    ----------
    data : bytes
        A model file.
    vocab : Vocabulary
    style : Style
        Of :mod:`gluon_bert.data.tokenizers.sentencepiece_styles`.
    cleaning : tokenizers.normalizers.Normalizer, optional
        Before the model's own.
    added : sequence of Added
        Tokens that were added after the model's.

    Returns
    -------
    tokenizers.Tokenizer or None
        None unless the vocabulary has separators, and the model is a unigram model with the usual
        handling of white space and the same ids, whose normalisation rules the library can read.
    """
    model = parse_model(data)
    scores = {piece: score for piece, score, _ in model.pieces}
    tokens = style.tokens(list(scores))
    usual = (
        model.trainer.get(3, _UNIGRAM) == _UNIGRAM
        and not model.trainer.get(24)
        and not model.trainer.get(35)
        and all(model.normalizer.get(i, 1) for i in (3, 4, 5))
    )
    first, last = vocab.cls_token, vocab.sep_token
    if not usual or first is None or last is None or vocab.idx_to_token[: len(tokens)] != tokens:
        return None
    unknown = next(piece for piece, _, kind in model.pieces if kind == _UNKNOWN)
    tokenizer = Tokenizer(
        Unigram([(token, scores.get(token, 0.0)) for token in tokens], tokens.index(unknown))
    )
    steps = [] if cleaning is None else [cleaning]
    if model.normalizer.get(2):
        try:
            steps.append(normalizers.Precompiled(model.normalizer[2]))
        except Exception:  # the library's errors have no class of their own
            return None
    steps += [normalizers.Replace(Regex(' {2,}'), ' '), normalizers.Strip()]
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer, tokenizer.decoder = Metaspace(), MetaspaceDecoder()
    sep, cls = (last, vocab[last]), (first, vocab[first])
    tokenizer.post_processor = (
        BertProcessing(sep, cls)
        if style.pair_separators == 1
        else RobertaProcessing(sep, cls, trim_offsets=True, add_prefix_space=True)
    )
    further = library_tokens(vocab, added)
    known = {token.content for token in further}
    tokenizer.add_tokens(further)
    tokenizer.add_tokens(
        [
            AddedToken(piece, normalized=False)
            for piece, _, kind in model.pieces
            if kind == _USER_DEFINED and piece not in known
        ]
    )
    return tokenizer


def _fields(data):
    """Yield the fields of a message: (number, int or bytes)."""
    return ((number, value) for number, _, value in read_fields(data))
