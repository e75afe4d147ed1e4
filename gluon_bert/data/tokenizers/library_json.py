"""Check that tokenizer.json states what the tokenizers of this package do."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from .vocabulary_ids import as_object, clipped

if TYPE_CHECKING:
    from .vocabulary import Vocabulary

logger = logging.getLogger(__name__)

SUBWORD_PREFIX = '##'
# Fields of a model that change its pieces: those that are set must have this value.
_MODEL_FIELDS: dict[str, dict[str, Any]] = {
    'WordPiece': {'continuing_subword_prefix': SUBWORD_PREFIX},
    'BPE': {
        'continuing_subword_prefix': '',
        'end_of_word_suffix': '',
        'dropout': 0.0,
        'byte_fallback': False,
        'ignore_merges': False,
    },
}
_PRE_TOKENIZERS = {'WordPiece': 'BertPreTokenizer', 'BPE': 'ByteLevel'}
_CASING = {
    'do_lower_case': 'lowercase',
    'strip_accents': 'strip_accents',
    'tokenize_chinese_chars': 'handle_chinese_chars',
}


def check_steps(path: Path, content: dict[str, Any]) -> None:
    """Check the steps of a WordPiece or byte-level BPE tokenizer; other kinds are left.

    Raises
    ------
    ValueError
        If a step is not one that the package has, by its name.
    """
    model = as_object(content.get('model'))
    kind = model.get('type') or ('BPE' if 'merges' in model else 'WordPiece')
    if not content or kind not in ('WordPiece', 'BPE'):
        return
    for name, expected in _MODEL_FIELDS[kind].items():
        value = model.get(name)
        if value is not None and value != expected and (value or expected):
            what = 'tokens inside a word begin with' if name.startswith('cont') else f'{name} is'
            raise ValueError(f'{path}: {what} {clipped(value)!r}, expected {expected!r}')
    splitter = content.get('pre_tokenizer')
    if isinstance(splitter, dict):
        _check_splitter(path, splitter, _PRE_TOKENIZERS[kind])
    if kind == 'BPE' and content.get('normalizer'):
        name = _shown(as_object(content['normalizer']).get('type'))
        raise ValueError(
            f"{path}: the text is not split as RoBERTa's: it has the normalizer {name}"
        )
    _check_post_processor(path, content.get('post_processor'))
    cut = content.get('truncation')
    if cut:
        logger.info(
            '%s: its truncation to %s tokens is not used, the maximum length of a call is',
            path,
            _shown(as_object(cut).get('max_length')),
        )


def _check_splitter(path, splitter, expected):
    name = splitter.get('type')
    parts = splitter.get('pretokenizers')
    if name == 'Sequence' and isinstance(parts, list) and len(parts) == 1:
        name = as_object(parts[0]).get('type')
    if name != expected or (name == 'ByteLevel' and splitter.get('use_regex') is False):
        whose = "BERT's" if expected == 'BertPreTokenizer' else "RoBERTa's"
        raise ValueError(
            f'{path}: the text is not split as {whose}: the pre_tokenizer is {_shown(name)}, '
            f'expected {expected}'
        )


def _check_post_processor(path, processor):
    """Check that a text becomes [CLS] text [SEP]."""
    processor = as_object(processor)
    name = processor.get('type')
    if name in (None, 'BertProcessing', 'RobertaProcessing', 'ByteLevel'):
        return
    if name == 'TemplateProcessing':
        parts = [next(iter(as_object(part)), None) for part in processor.get('single') or ()]
        if parts == ['SpecialToken', 'Sequence', 'SpecialToken']:
            return
        name = f'TemplateProcessing of {len(parts)} parts'
    raise ValueError(
        f'{path}: the post_processor is {_shown(name)}, expected one that puts one token before '
        f'a text and one after it'
    )


def is_bert_normalizer(content: Mapping[str, Any]) -> bool:
    """Tell if the text is cleaned as BERT's, or tokenizer.json says nothing of it."""
    if 'normalizer' not in content:
        return True
    normalizer = content['normalizer']
    return (
        isinstance(normalizer, dict)
        and normalizer.get('type', 'BertNormalizer') == 'BertNormalizer'
        and normalizer.get('clean_text') is not False
    )


def warn_flags(
    path: Path, flag: Callable[[str], Optional[bool]], normalizer: Mapping[str, Any]
) -> None:
    """Log a warning for each setting that tokenizer.json states otherwise."""
    for name, other in _CASING.items():
        value, stated = flag(name), normalizer.get(other)
        if None not in (value, stated) and value != stated:
            logger.warning(
                '%s: %s is %s, but %s is %s in tokenizer.json: the former is used',
                path,
                name,
                value,
                other,
                stated,
            )


def merge_settings(
    path: Path, config: Mapping[str, Any], special: Mapping[str, Any]
) -> dict[str, Any]:
    """Complete tokenizer_config.json, at ``path``, by special_tokens_map.json.

    A token that the two state differently is logged.
    """
    for name in sorted(config.keys() & special.keys()):
        used, other = (
            as_object(value).get('content', value) for value in (config[name], special[name])
        )
        if name.endswith('_token') and None not in (used, other) and used != other:
            logger.warning(
                '%s: %s is %r, but %r in special_tokens_map.json: the former is used',
                path,
                name,
                clipped(used),
                clipped(other),
            )
    return {**special, **config}


def unknown_token_of(path: Path, content: Mapping[str, Any], given: Optional[str]) -> Optional[str]:
    """Return the unknown token of the model in tokenizer.json, or the given one if it has none.

    Raises
    ------
    ValueError
        If both are there and differ.
    """
    stated = as_object(content.get('model')).get('unk_token') or None
    if not isinstance(stated, str):
        return given
    if given not in (None, stated):
        raise ValueError(
            f'{path}: unk_token of the model is {clipped(stated)!r}, but {clipped(given)!r} in the '
            f'settings beside it: make them equal'
        )
    return stated


def check_same_tokens(path: Path, ids: Mapping[str, Any], vocab: Vocabulary) -> None:
    """Compare the tokens of tokenizer.json with those of the vocabulary beside it.

    Raises
    ------
    ValueError
        If a token has another id.
    """
    if ids.items() <= vocab.token_to_idx.items():
        return
    for token, number in ids.items():
        if vocab.token_to_idx.get(token) != number:
            raise ValueError(
                f'{path}: token {token[:80]!r} has the id {clipped(number)}, in the vocabulary '
                f'beside it {vocab.token_to_idx.get(token, "none")}: remove one of the files'
            )


def pairs_of(merges: object) -> list[tuple]:
    """Check the merges of a BPE model in tokenizer.json; ValueError if they are no pairs."""
    pairs = [
        tuple(pair.split(' ', 2) if isinstance(pair, str) else pair)
        for pair in (merges if isinstance(merges, list) else [None])
        if isinstance(pair, (str, list))
    ]
    if (
        not isinstance(merges, list)
        or len(pairs) < len(merges)
        or any(
            len(pair) != 2 or not all(isinstance(token, str) for token in pair) for pair in pairs
        )
    ):
        raise ValueError('merges is not a list of pairs of tokens')
    if len(set(pairs)) < len(pairs):
        raise ValueError('merges has a pair twice')
    return pairs


def _shown(name):
    """Show a name as it is, or by repr if it cannot be printed in one line."""
    text = str(clipped(name))
    return text if text.isprintable() else repr(text)
