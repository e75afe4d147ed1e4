"""Translate between the common names and those of transformers."""

from __future__ import annotations

import re
from typing import Collection, Dict, Iterable, List, Optional

from .name_maps import NAME_MAPS

# Buffers of 0, 1, 2, ... or 0, 0, 0, ... that older versions wrote.
_BUFFERS = ('embeddings.position_ids', 'embeddings.token_type_ids')

_OLD_NORM = re.compile(r'(LayerNorm)\.(gamma|beta)$')
_NORM_KINDS = {'gamma': 'weight', 'beta': 'bias'}
_CELLS = 'encoder.transformer_cells.'


def huggingface_names(
    family: str, num_layers: int, heads: Iterable[str] = (), prefix: Optional[str] = None
) -> Dict[str, str]:
    """Map the common names to those of transformers.

    Parameters
    ----------
    family : str
        Of :data:`.FAMILIES`.
    num_layers : int
    heads : iterable of str
        Of 'masked_lm', 'next_sentence', 'classifier', 'choice', 'span', 'tagger'.
    prefix : str, optional
        In front of the encoder's names; by default the family's if there is a head, else none.

    Returns
    -------
    dict of str to str
        The decoder's weight, being the word embedding, is left out.

    Examples
    --------
    >>> names = huggingface_names('roberta', 12, ['masked_lm'])
    >>> names['decoder.2.gamma'], names['encoder.position_weight']
    ('lm_head.layer_norm.weight', 'roberta.embeddings.position_embeddings.weight')
    """
    name_map = NAME_MAPS[family]
    heads = tuple(heads)
    if prefix is None:
        prefix = name_map.prefix if heads else ''
    names = {common: prefix + theirs for common, theirs in name_map.encoder.items()}
    names.update(
        {
            f'{_CELLS}{i}.{common}': f'{prefix}{name_map.layers}{i}.{theirs}'
            for i in range(num_layers)
            for common, theirs in name_map.layer.items()
        }
    )
    for head in heads:
        names.update(name_map.heads[head])
    return names


def find_heads(names: Collection[str], family: str, architecture: str = '') -> List[str]:
    """Tell the heads of a network from the names of its arrays.

    Parameters
    ----------
    names : collection of str
        transformers' names.
    family : str
    architecture : str
        transformers' class, such as 'BertForTokenClassification', if known. BERT's and ERNIE's
        classifier of texts has the same names as that of tokens; if this does not tell, it is of
        texts where there is a pooler. A head of choices is there only if this says so.

    Returns
    -------
    list of str
    """
    name_map = NAME_MAPS[family]
    heads = [
        head for head, theirs in name_map.heads.items() if next(iter(theirs.values())) in names
    ]
    if 'choice' in heads:
        is_of_choices = architecture.endswith('ForMultipleChoice')
        others = ('classifier', 'tagger') if is_of_choices else ('choice',)
        heads = [head for head in heads if head not in others]
    if {'classifier', 'tagger'} <= set(heads):
        heads.remove('classifier' if _is_of_tokens(names, name_map, architecture) else 'tagger')
    return heads


def _is_of_tokens(names, name_map, architecture):
    if 'pooler.weight' in name_map.heads['classifier']:
        return False
    if architecture.endswith('Classification'):
        return architecture.endswith('ForTokenClassification')
    pooler = name_map.encoder['pooler.weight']
    return pooler not in names and name_map.prefix + pooler not in names


def find_names(names: Iterable[str], family: str, heads: Iterable[str]) -> Dict[str, str]:
    """Map the common names to those in a file.

    Parameters
    ----------
    names : iterable of str
        With the family's prefix or without.
    family : str
    heads : iterable of str
        From :func:`find_heads`.

    Returns
    -------
    dict of str to str
        Names that the family does not have, copies of the decoder's weight and bias, and buffers
        are left out.

    Raises
    ------
    ValueError
        If two names would become one.
    """
    name_map = NAME_MAPS[family]
    ours = {theirs: common for head in heads for common, theirs in name_map.heads[head].items()}
    taken = set(ours.values())
    encoder = {theirs: common for common, theirs in name_map.encoder.items() if common not in taken}
    layer = {theirs: common for common, theirs in name_map.layer.items()}
    present: Dict[str, str] = {}
    for name in names:
        common = ours.get(_renew(name))
        if common is None:
            common = _encoder_name(_renew(name), name_map, encoder, layer)
        if common is None:
            continue
        if common in present:
            raise ValueError(f'{present[common]} and {name} are the same array')
        present[common] = name
    return present


def is_buffer(name: str, family: str) -> bool:
    """Tell whether a name is that of a buffer, which holds nothing learnt."""
    return _bare(name, NAME_MAPS[family]) in _BUFFERS


def _encoder_name(name, name_map, encoder, layer):
    name = _bare(name, name_map)
    if name.startswith(name_map.layers):
        number, _, rest = name[len(name_map.layers) :].partition('.')
        if rest in layer and re.fullmatch('0|[1-9][0-9]{0,5}', number):
            return f'{_CELLS}{number}.{layer[rest]}'
    return encoder.get(name)


def _bare(name, name_map):
    return name[len(name_map.prefix) :] if name.startswith(name_map.prefix) else name


def _renew(name):
    return _OLD_NORM.sub(lambda match: f'{match[1]}.{_NORM_KINDS[match[2]]}', name)
