"""Read the tokenizer of a folder with a published or saved model."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from ..._internal.json import read_json
from ..._internal.types import PathLike
from ...families import FAMILIES
from .added_tokens import TOKENIZER_CONFIG, TOKENIZER_JSON, AddedTokens, extended_vocab, with_added
from .base import FILE_ROLES, ROLES
from .casing import has_accents, looks_lowercase
from .library_json import (
    check_same_tokens,
    check_steps,
    is_bert_normalizer,
    merge_settings,
    pairs_of,
    unknown_token_of,
    warn_flags,
)
from .vocabulary import Vocabulary
from .vocabulary_files import read_vocabulary
from .vocabulary_ids import BYTE_LEVEL_SPACE, as_object, clipped, find_special_tokens, ids_to_tokens
from .wordpiece import SUBWORD_PREFIX, BertTokenizer, normalizer_from_json

if TYPE_CHECKING:
    from .base import SubwordTokenizer

logger = logging.getLogger(__name__)


def read_tokenizer(folder: PathLike, lower: Optional[bool] = None) -> Optional[SubwordTokenizer]:
    """Read the tokenizer of a folder, whatever its family.

    It is built from the first of these in the folder:

    1. a SentencePiece model: ``tokenizer.model``, ``sentencepiece.bpe.model``, ``spiece.model`` or
       ``*.spiece``;
    2. a byte-level BPE: ``merges.txt`` or GluonNLP's ``*bpe_ranks*.json``, with ``vocab.json`` or
       GluonNLP's ``*.vocab``;
    3. a WordPiece vocabulary: ``vocab.txt``, or GluonNLP's JSON as ``vocab.json`` or ``*.vocab``;
    4. ``tokenizer.json`` with a WordPiece or byte-level BPE model.

    ``tokenizer_config.json`` and ``special_tokens_map.json`` hold the settings. Added tokens are
    read from ``tokenizer.json``, ``tokenizer_config.json`` and ``added_tokens.json``. A
    ``tokenizer.json`` beside a vocabulary must have the same tokens; its normalizer is used.

    Parameters
    ----------
    folder : str or Path
    lower : bool, optional
        Lower-case the text. By default as stated in ``tokenizer_config.json`` or
        ``tokenizer.json``; if in neither, for WordPiece, by the share of the vocabulary's tokens
        that have capital letters, which is logged.

    Returns
    -------
    BertTokenizer, BytePairTokenizer, SentencePieceTokenizer or None
        None if the folder has none of these files.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If a file is malformed, or several files match.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f'{folder}: no such folder')
    settings = _Settings(folder)
    model = _find(folder, 'tokenizer.model', 'sentencepiece.bpe.model', 'spiece.model', '*.spiece')
    if model is not None:
        return _sentencepiece(model, settings, lower)
    merges = _find(folder, 'merges.txt', '*bpe_ranks*.json')
    vocab = _find(folder, *(() if merges else ('vocab.txt',)), 'vocab.json', '*.vocab')
    if merges is not None and vocab is not None:
        from .byte_pair import BytePairTokenizer

        tokenizer = BytePairTokenizer.from_files(
            vocab,
            merges,
            settings.special_tokens(),
            settings.added.ids,
            **_byte_pair_options(settings, as_object(settings.tokenizer_json.get('pre_tokenizer'))),
        )
        return _checked_with(folder / TOKENIZER_JSON, settings, _with_added(tokenizer, settings))
    if vocab is not None:
        tokenizer = _word_piece(_word_piece_vocab(vocab, settings), settings, lower)
        return _checked_with(folder / TOKENIZER_JSON, settings, tokenizer)
    if settings.tokenizer_json:
        return _from_tokenizer_json(folder / TOKENIZER_JSON, settings, lower)
    return None


def read_max_tokens(folder: PathLike) -> Optional[int]:
    """Read the longest sequence that the tokenizer of a folder is set to make.

    Parameters
    ----------
    folder : str or Path

    Returns
    -------
    int or None
        ``model_max_length`` of ``tokenizer_config.json``, special tokens included; None if it is
        missing, or so large that it means no limit.

    Raises
    ------
    ValueError
        If it is not a number from 1.
    """
    path = Path(folder) / TOKENIZER_CONFIG
    value = _read_object(path).get('model_max_length')
    if value is None:
        return None
    if type(value) not in (int, float) or not value >= 1:
        raise ValueError(f'{path}: model_max_length is {clipped(value)!r}, expected 1 or more')
    return int(value) if value < 2**31 else None


class _Settings:
    """Checked settings from the JSON files of a folder."""

    def __init__(self, folder):
        self.path = folder / TOKENIZER_CONFIG
        special = _read_object(folder / 'special_tokens_map.json')
        self._content = merge_settings(self.path, _read_object(self.path), special)
        self.tokenizer_json = _read_object(folder / TOKENIZER_JSON)
        check_steps(folder / TOKENIZER_JSON, self.tokenizer_json)
        self.added = AddedTokens(folder, self.tokenizer_json, self._content)
        self._network = _read_object(folder / 'config.json')

    def special_tokens(self):
        """Return the named special tokens by GluonNLP's names."""
        tokens = {}
        for name in ROLES:
            token = self._content.get(FILE_ROLES[name])
            token = token.get('content') if isinstance(token, dict) else token
            if token is None:
                continue
            if not isinstance(token, str) or not token:
                raise ValueError(
                    f'{self.path}: {FILE_ROLES[name]} is {clipped(token)!r}, not a token'
                )
            tokens[name] = token
        unknown = unknown_token_of(
            self.path.with_name(TOKENIZER_JSON), self.tokenizer_json, tokens.get('unknown_token')
        )
        return tokens if unknown is None else {**tokens, 'unknown_token': unknown}

    def flag(self, name, *others):
        """Return a boolean setting, or the first boolean of ``others`` if it is missing."""
        value = self._content.get(name)
        if value is not None and not isinstance(value, bool):
            raise ValueError(f'{self.path}: {name} is {clipped(value)!r}, expected true or false')
        return next((item for item in (value, *others) if isinstance(item, bool)), None)

    @property
    def strip_accents(self):
        """Tell whether accents are removed, or None; ALBERT's files tell whether they are kept."""
        keep = self.flag('keep_accents')
        return self.flag('strip_accents', None if keep is None else not keep)

    @property
    def max_input_chars_per_word(self):
        """The longest word in characters, or None."""
        name = 'max_input_chars_per_word'
        value = self._content.get(name, as_object(self.tokenizer_json.get('model')).get(name))
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**31
        ):
            raise ValueError(
                f'{self.path}: {name} is {clipped(value)!r}, expected 1 or more and less than 2^31'
            )
        return value

    @property
    def tokenizer_classes(self):
        """transformers' class as the files name it, then that of the network's family."""
        family = self._network.get('model_type')
        row = FAMILIES.get(family) if isinstance(family, str) else None
        names = self._content.get('tokenizer_class'), row and row.tokenizer
        return [name for name in names if isinstance(name, str)]

    @property
    def uses_token_types(self):
        """True if the network takes token types; None if not stated."""
        inputs = self._content.get('model_input_names')
        if isinstance(inputs, list):
            return 'token_type_ids' in inputs
        kind = self._content.get('tokenizer_class')
        return False if isinstance(kind, str) and kind.startswith('DistilBert') else None


def _sentencepiece(path, settings, lower):
    from .sentencepiece import SentencePieceTokenizer, read_sentencepiece_vocabulary
    from .sentencepiece_styles import STYLES, find_style

    try:
        style = find_style(path.name, *settings.tokenizer_classes)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
    vocab = read_sentencepiece_vocabulary(path, settings.special_tokens(), style)
    vocab = extended_vocab(vocab, settings.added.ids, path)
    lower = settings.flag('do_lower_case', STYLES[style].lower) if lower is None else lower
    return SentencePieceTokenizer(
        path,
        vocab,
        bool(lower),
        style=style,
        split_words=bool(settings.flag('do_basic_tokenize')),
        added_tokens=settings.added.flags(vocab),
        **_given(strip_accents=settings.strip_accents, uses_token_types=settings.uses_token_types),
    )


def _word_piece_vocab(path, settings):
    vocab = read_vocabulary(
        path, special_tokens=settings.special_tokens(), added_ids=settings.added.ids
    )
    if not any(token.startswith(SUBWORD_PREFIX) for token in vocab.idx_to_token) and any(
        token.startswith(BYTE_LEVEL_SPACE) for token in vocab.idx_to_token
    ):
        raise ValueError(f'{path}: a vocabulary of byte-level BPE, but its merges.txt is missing')
    return vocab


def _word_piece(vocab, settings, lower):
    normalizer = as_object(settings.tokenizer_json.get('normalizer'))
    further = {}
    if settings.tokenizer_json and not is_bert_normalizer(settings.tokenizer_json):
        lower, further = _own_normalizer(settings, lower)
        normalizer = {'strip_accents': lower}
    elif lower is None:
        warn_flags(settings.path, settings.flag, normalizer)
    if lower is None:
        lower = settings.flag('do_lower_case', normalizer.get('lowercase'))
    strip_accents = settings.flag('strip_accents', normalizer.get('strip_accents'))
    guessed = lower is None
    lower = looks_lowercase(vocab) if guessed else lower
    if lower and strip_accents is None and has_accents(vocab):
        strip_accents = False if guessed else None
        logger.warning(
            'strip_accents is stated nowhere, and the vocabulary has tokens with accents: they are '
            '%s',
            'kept' if guessed else "removed, as by do_lower_case in transformers' tokenizers",
        )
    return BertTokenizer(
        vocab,
        lower,
        **_given(
            strip_accents=strip_accents,
            split_chinese=settings.flag(
                'tokenize_chinese_chars', normalizer.get('handle_chinese_chars')
            ),
            max_input_chars_per_word=settings.max_input_chars_per_word,
            uses_token_types=settings.uses_token_types,
            added_tokens=settings.added.flags(vocab) or None,
        ),
        **further,
    )


def _own_normalizer(settings, lower):
    """Return the casing and the options of a normalizer that is not BERT's."""
    content = json.dumps(settings.tokenizer_json.get('normalizer'), sort_keys=True)
    path = settings.path.with_name(TOKENIZER_JSON)
    try:
        lowers = normalizer_from_json(content).normalize_str('A') == 'a'
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
    if lower not in (None, lowers):
        raise ValueError(
            f'lower={lower}: the normalizer of {path} '
            f'{"lower-cases" if lowers else "does not lower-case"} the text'
        )
    if settings.flag('do_lower_case') not in (None, lowers):
        logger.warning(
            '%s: do_lower_case is not used, the normalizer of %s is', settings.path, TOKENIZER_JSON
        )
    return lowers, {'normalizer': content}


def _with_added(tokenizer, settings):
    """Give a byte-level BPE the flags of its added tokens."""
    flags = settings.added.flags(tokenizer.vocabulary, tokenizer.vocabulary.mask_token)
    return tokenizer.with_added_tokens(flags) if flags else tokenizer


def _checked_with(path, settings, tokenizer):
    """Compare the vocabulary with that of tokenizer.json beside it."""
    model = as_object(settings.tokenizer_json.get('model'))
    if isinstance(model.get('vocab'), dict):
        check_same_tokens(path, model['vocab'], tokenizer.vocabulary)
    return tokenizer


def _byte_pair_options(settings, splitter):
    return _given(
        add_prefix_space=settings.flag('add_prefix_space', splitter.get('add_prefix_space')),
        uses_token_types=settings.uses_token_types,
    )


def _from_tokenizer_json(path, settings, lower):
    """Build a tokenizer from tokenizer.json alone."""
    content, model = settings.tokenizer_json, as_object(settings.tokenizer_json.get('model'))
    kind = model.get('type') or ('BPE' if 'merges' in model else 'WordPiece')
    if kind not in ('WordPiece', 'BPE'):
        kind = repr(clipped(kind)).strip('\'"')
        raise ValueError(f'{path}: a {kind} model, expected WordPiece or BPE')
    tokens = with_added(ids_to_tokens(model.get('vocab'), path), settings.added.ids, path)
    vocab = Vocabulary(tokens, find_special_tokens(tokens, settings.special_tokens(), path))
    cleaning, splitter = (as_object(content.get(name)) for name in ('normalizer', 'pre_tokenizer'))
    if kind == 'WordPiece':
        if splitter.get('type') != 'BertPreTokenizer':
            raise ValueError(f"{path}: the text is not cleaned and split as BERT's")
        return _word_piece(vocab, settings, lower)
    if cleaning or splitter.get('type') != 'ByteLevel':
        raise ValueError(f"{path}: the text is not split as RoBERTa's")
    from .byte_pair import BytePairTokenizer

    try:
        tokenizer = BytePairTokenizer(
            vocab, pairs_of(model.get('merges')), **_byte_pair_options(settings, splitter)
        )
        return _with_added(tokenizer, settings)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None


def _find(folder, *patterns):
    """Find the file of the first pattern that matches; ValueError if several match."""
    for pattern in patterns:
        paths = sorted(path for path in folder.glob(pattern) if path.is_file())
        if len(paths) > 1:
            raise ValueError(
                f'{folder}: has {len(paths)} files {pattern}, such as '
                f'{paths[0].name} and {paths[1].name}; keep only one of them'
            )
        if paths:
            return paths[0]
    return None


def _read_object(path):
    content = read_json(path) if path.is_file() else {}
    if not isinstance(content, dict):
        raise ValueError(f'{path}: holds a {type(content).__name__}, not an object')
    return content


def _given(**options):
    return {name: value for name, value in options.items() if value is not None}
