"""The common names as GluonNLP's classes spell them in their files; data used both ways."""

from __future__ import annotations

import re
from typing import Dict, Iterable, Mapping, NamedTuple

import numpy as np

from ..arrays import Arrays, with_names
from ..wrappers import without_wrapper


class Layout(NamedTuple):
    """The file of one class: what stands in front of the encoder, and the names of its head.

    ``head`` maps common names to the file's.
    """

    prefix: str
    head: Mapping[str, str]


def _dense(common, file):
    return {f'{common}.{kind}': f'{file}.{kind}' for kind in ('weight', 'bias')}


# In GluonNLP the dense layers of a classifier are in a Sequential, after a Dropout if there is one.
LAYOUTS = {
    'model': Layout('', {}),
    'classifier': Layout('bert.', _dense('classifier.1', 'classifier.1')),
    'classifier_without_dropout': Layout('bert.', _dense('classifier.1', 'classifier.0')),
    'roberta_classifier': Layout(
        'roberta.', {**_dense('pooler', 'classifier.1'), **_dense('classifier.1', 'classifier.3')}
    ),
    'roberta_classifier_without_dropout': Layout(
        'roberta.', {**_dense('pooler', 'classifier.0'), **_dense('classifier.1', 'classifier.1')}
    ),
    'choice': Layout('bert.', _dense('choice_classifier', 'choice_classifier')),
    'questions': Layout('bert.', _dense('span_classifier', 'span_classifier')),
    'tagger': Layout('bert_model.', _dense('tag_classifier', 'tag_classifier')),
}

# The word embedding, under one of its names.
_ANCHORS = ('word_embed.0.weight', 'decoder.3.weight')

# BERTRegression of 0.6 to 0.8.
_REGRESSION = re.compile(r'regression\.[01]\.(weight|bias)$')
_CLASSIFIER = re.compile(r'classifier\.([0-3])\.(weight|bias)$')

# Names in exported files: blocks are numbered as they were made in that process.
_EXPORTED = (
    (r'word_embed_embedding0_weight$', 'word_embed.0.weight'),
    (r'word_embed_embedding0_bias$', 'decoder.3.bias'),
    (r'token_type_embed_embedding0_weight$', 'token_type_embed.0.weight'),
    (r'encoder\d+_position_weight$', 'encoder.position_weight'),
    (r'encoder\d+_layernorm0_(gamma|beta)$', r'encoder.layer_norm.\1'),
    (
        r'encoder\d+_transformer(\d+)_(?:dotproductself|multihead)attentioncell\d+'
        r'_(query|key|value)_(weight|bias)$',
        r'encoder.transformer_cells.\1.attention_cell.proj_\2.\3',
    ),
    (r'encoder\d+_transformer(\d+)_proj_(weight|bias)$', r'encoder.transformer_cells.\1.proj.\2'),
    (
        r'encoder\d+_transformer(\d+)_layernorm0_(gamma|beta)$',
        r'encoder.transformer_cells.\1.layer_norm.\2',
    ),
    (
        r'encoder\d+_transformer(\d+)_(?:positionwise|bertpositionwise)ffn0_ffn_([12])_(weight|bias)$',
        r'encoder.transformer_cells.\1.ffn.ffn_\2.\3',
    ),
    (
        r'encoder\d+_transformer(\d+)_(?:positionwise|bertpositionwise)ffn0_layernorm0_(gamma|beta)$',
        r'encoder.transformer_cells.\1.ffn.layer_norm.\2',
    ),
    (r'(?:bert|roberta)model\d+_pooler_(weight|bias)$', r'pooler.\1'),
    (r'(?:bert|roberta)model\d+_cls_(weight|bias)$', r'classifier.\1'),
    (r'(?:bert|roberta)model\d+_dense0_(weight|bias)$', r'decoder.0.\1'),
    (r'(?:bert|roberta)model\d+_layernorm0_(gamma|beta)$', r'decoder.2.\1'),
    (r'bert(?:classifier|regression)\d+_dense0_(weight|bias)$', r'classifier.1.\1'),
    (r'robertaclassifier\d+_dense0_(weight|bias)$', r'pooler.\1'),
    (r'robertaclassifier\d+_dense1_(weight|bias)$', r'classifier.1.\1'),
    (r'bertforqa\d+_(?:span_classifier|dense0)_(weight|bias)$', r'span_classifier.\1'),
    (r'berttagger\d+_(?:tag_classifier|dense0)_(weight|bias)$', r'tag_classifier.\1'),
)


def to_file_names(names: Iterable[str], layout: str) -> Dict[str, str]:
    """Map common names to those in the file of a class.

    Parameters
    ----------
    names : iterable of str
    layout : str
        Key of ``LAYOUTS``.

    Returns
    -------
    dict of str to str
    """
    prefix, head = LAYOUTS[layout]
    return {name: head.get(name, prefix + name) for name in names}


def to_common_names(names: Iterable[str]) -> Dict[str, str]:
    """Map the names in a file of any of GluonNLP's classes to common names.

    Parameters
    ----------
    names : iterable of str
        Common names are taken as they are.

    Returns
    -------
    dict of str to str
        Names that belong to no class are kept.

    Raises
    ------
    ValueError
        If two names would become one.
    """
    names = list(names)
    exported = not any('.' in name for name in names)
    prefix = next(
        (
            prefix
            for prefix in ('bert.', 'roberta.', 'bert_model.')
            if prefix + 'word_embed.0.weight' in names or prefix + 'decoder.3.weight' in names
        ),
        '',
    )
    dense = sorted({int(match[1]) for match in map(_CLASSIFIER.match, names) if match})
    common: Dict[str, str] = {}
    seen: Dict[str, str] = {}
    for name in names:
        new = _exported_name(name) if exported else _common_name(name, prefix, dense)
        if new in seen:
            raise ValueError(f'{seen[new]!r} and {name!r} are both {new!r}')
        common[name], seen[new] = new, name
    return common


def common_arrays(arrays: Mapping[str, np.ndarray]) -> Arrays:
    """Give the arrays of a file of any of GluonNLP's classes common names.

    The decoder's weight, which is the word embedding stored again, is left out.

    Parameters
    ----------
    arrays : mapping of str to numpy.ndarray

    Returns
    -------
    Arrays

    Raises
    ------
    ValueError
        If the decoder's weight is another than the word embedding.
    """
    arrays = unwrapped(arrays)
    present = {common: name for name, common in to_common_names(arrays).items()}
    decoder = present.pop('decoder.3.weight', None)
    if decoder is not None:
        embedding = present.setdefault('word_embed.0.weight', decoder)
        if embedding != decoder and not _equal(arrays[embedding], arrays[decoder]):
            raise ValueError(
                f"{decoder} differs from {embedding}: BERT's decoder shares the word embedding"
            )
    return with_names(arrays, present)


def unwrapped(arrays: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """Take off what a block around one of GluonNLP's has put in front of its names."""
    prefixes = {layout.prefix for layout in LAYOUTS.values()} - {''}
    for anchor in _ANCHORS:
        if any(name == anchor or name.endswith('.' + anchor) for name in arrays):
            return without_wrapper(arrays, anchor, prefixes)
    return arrays


def _exported_name(name):
    for pattern, common in _EXPORTED:
        match = re.search(pattern, name)
        if match:
            return match.expand(common)
    return name


def _common_name(name, prefix, dense):
    if prefix and name.startswith(prefix):
        return name[len(prefix) :]
    match = _REGRESSION.match(name)
    if match:
        return f'classifier.1.{match[1]}'
    match = _CLASSIFIER.match(name)
    if not match:
        return name
    # RoBERTa's head has two dense layers; the first does what BERT's pooler does.
    first_of_two = len(dense) == 2 and int(match[1]) == dense[0]
    return f'pooler.{match[2]}' if first_of_two else f'classifier.1.{match[2]}'


def _equal(first, second):
    return first.shape == second.shape and bool((first == second).all())
