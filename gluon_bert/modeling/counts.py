"""The parameters of a network by kind of layer, counted without building it."""

from __future__ import annotations

_TITLES = {
    'masked_lm': 'masked words',
    'span': 'answer',
    'tagger': 'tags',
    'next_sentence': 'next sentence',
    'classifier': 'classes',
}


def count_parameters(config, heads=(), num_classes=2):
    """The parameters of a network by kind of layer.

    Parameters
    ----------
    config : BertConfig
    heads : iterable of str
        Of :attr:`.Checkpoint.heads`.
    num_classes : int
        Of its classifier or tagger.

    Returns
    -------
    dict of str to int
        Kind -> number; a shared weight is counted once, with the word embedding.

    Examples
    --------
    >>> from gluon_bert import BertConfig
    >>> config = BertConfig(vocab_size=30522, units=768, hidden_size=3072, num_layers=12,
    ...                     num_heads=12, max_length=512, num_token_types=2, dropout=0.1,
    ...                     layer_norm_eps=1e-12, activation='gelu', pooler_activation='tanh')
    >>> sum(count_parameters(config, heads=['pooler']).values())
    109482240
    """
    units, layers = config.units, config.num_layers
    square, norm = units * units + units, 2 * units
    counts = {
        'word embedding': config.vocab_size * units,
        'position embedding': config.max_length * units,
        'token type embedding': config.num_token_types * units,
        'attention query, key, value': layers * 3 * square,
        'attention output': layers * square,
        'feed-forward': layers * (2 * units * config.hidden_size + config.hidden_size + units),
        'layer normalisation': (1 + 2 * layers) * norm,
    }
    classes = num_classes * units + num_classes
    of_heads = {
        'pooler': square,
        'masked_lm': square + norm + config.vocab_size,
        'next_sentence': 2 * units + 2,
        'span': 2 * units + 2,
        'classifier': classes,
        'tagger': classes,
    }
    for head in heads:
        counts[head] = of_heads[head]
    return {kind: count for kind, count in counts.items() if count}


def title_of(kind):
    """A kind of :func:`count_parameters` in words."""
    return _TITLES.get(kind, kind)


def short_count(number):
    """A number of parameters for people: '1,536', '0.59 M', '109.48 M'."""
    return f'{number:,}' if number < 100_000 else f'{number / 1e6:,.2f} M'
