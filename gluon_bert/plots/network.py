"""Draw a block diagram of a network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .._internal.types import PathLike
from ..checkpoint.names import layer_numbers
from ..modeling.counts import count_parameters, short_count, title_of
from .diagram import QUIET, Diagram
from .style import checked_path, save

if TYPE_CHECKING:
    from ..config import BertConfig


# Heads that work on the encodings of the tokens, and on the pooled vector.
_OF_TOKENS = ('masked_lm', 'span', 'tagger')
_OF_TEXTS = ('next_sentence', 'classifier', 'choice')
_ACTIVATIONS = {'gelu': 'GELU', 'gelu_tanh': 'GELU (tanh)', 'relu': 'ReLU', 'tanh': 'tanh'}


def draw_network(
    config: BertConfig,
    path: PathLike,
    heads: Iterable[str] = (),
    title: str = '',
    num_classes: int = 2,
) -> None:
    """Draw a block diagram of a network, with shapes and the number of parameters of each block.

    Parameters
    ----------
    config : BertConfig
    path : str or Path
    heads : iterable of str
        Names as in :attr:`.Checkpoint.heads`.
    title : str
    num_classes : int
        Of its classifier or tagger.

    Raises
    ------
    ValueError, FileNotFoundError
        If the suffix is not allowed, or there is no such folder.
    """
    from matplotlib import rc_context

    path = checked_path(path)
    # The same network gives the same bytes.
    with rc_context({'svg.hashsalt': 'gluon_bert'}):
        save(_draw(config, heads, title, num_classes), path, title)


MIDDLE, BLOCK = 3.35, 3.3  # of the column of blocks: its centre and their width


def _draw(config, heads, title, num_classes):
    """Draw the figure from the bottom up."""
    diagram = Diagram()
    counts = count_parameters(config, heads, num_classes)
    y = _draw_embeddings(diagram, config, counts)
    y = _draw_layer(diagram, config, counts, y)
    top = _draw_heads(diagram, config, counts, y, num_classes)
    if title:
        diagram.text(
            0.35,
            top + 0.3,
            title,
            size=min(13, 900 / len(title)),
            weight='bold',
            ha='left',
            parse_math=False,
        )
        top += 0.35
    _draw_margin(diagram, config, counts, 6.75, top - (0.65 if title else 0.25))
    return diagram.finish(top + 0.25)


def _draw_embeddings(diagram, config, counts):
    letter = 'C' if config.embedding_units is None else 'E'
    parts = [
        ('word embedding', f'$V \\times {letter}$', 'token ids $(N, T)$'),
        ('position embedding', f'${config.max_length} \\times {letter}$', 'positions $0 … T-1$'),
    ]
    if config.num_token_types:
        parts.append(
            (
                'token type embedding',
                f'${config.num_token_types} \\times {letter}$',
                'token types $(N, T)$',
            )
        )
    width, distance, plus = 1.85, 2.0, 2.12
    for number, (kind, shape, given) in enumerate(parts):
        centre = MIDDLE + (number - (len(parts) - 1) / 2) * distance
        diagram.text(centre, 0.3, given)
        diagram.line((centre, 0.45), (centre, 0.78))
        diagram.block(
            centre, 0.78, (width, 0.75), (kind.capitalize(), shape), counts[kind], 'embedding'
        )
        end = MIDDLE + 0.13 * (centre > MIDDLE) - 0.13 * (centre < MIDDLE)
        if end == MIDDLE:
            diagram.line((centre, 1.53), (centre, plus - 0.13))
        else:
            diagram.line((centre, 1.53), (centre, plus), (end, plus))
    diagram.circle(MIDDLE, plus)
    diagram.line((MIDDLE, plus + 0.13), (MIDDLE, 2.5))
    title, count = 'Layer norm, dropout', 2 * config.embedding_width
    if config.embedding_units is not None:
        title, count = f'{title}, $E \\times C$', count + counts['embed project']
    diagram.strip(MIDDLE, 2.5, (BLOCK, 0.36), title, count)
    return 2.86


def _draw_layer(diagram, config, counts, y):
    """Draw one encoder layer in a frame that states the number of layers; return the top."""
    layers, norm = config.num_layers, 2 * config.units
    sets = len(layer_numbers(config))  # of parameters: one for each layer, or one for all
    attention = (counts['attention query, key, value'] + counts['attention output']) // sets
    forward = counts['feed-forward'] // sets
    bottom, first = y + 0.42, y + 1.0
    second, right = first + 1.95, MIDDLE + BLOCK / 2
    diagram.rectangle(MIDDLE - 2.45, bottom, 4.9, 4.35, 'layer', edge='#999999', rounding=0.14)
    of_layer = attention + forward + 2 * norm
    diagram.text(
        MIDDLE + 2.3,
        bottom + 4.13,
        f'$L$ × {short_count(of_layer)} = {short_count(layers * of_layer)}'
        if sets == layers
        else f'$L$ × the same {short_count(of_layer)}',
        size=8,
        colour=QUIET,
        ha='right',
    )
    diagram.text(MIDDLE - 2.3, bottom + 4.13, f'{layers} layers', size=9, weight='bold', ha='left')
    diagram.line((MIDDLE, y), (MIDDLE, first))
    diagram.text(MIDDLE + 0.1, y + 0.21, '$(N, T, C)$', size=8, colour=QUIET, ha='left')
    diagram.block(
        MIDDLE,
        first,
        (BLOCK, 0.95),
        (
            'Multi-head self-attention',
            '$H$ heads of $D$ features',
            'query, key, value and output: $C \\times C$',
        ),
        attention,
        'attention',
    )
    diagram.text(0.2, first + 0.475, 'valid\nlength\n$(N)$', ha='left', size=8)
    diagram.line((0.68, first + 0.475), (MIDDLE - BLOCK / 2, first + 0.475))
    diagram.line((MIDDLE, first + 0.95), (MIDDLE, first + 1.15))
    diagram.strip(MIDDLE, first + 1.15, (BLOCK, 0.36), 'Add, layer norm', norm)
    diagram.line((MIDDLE, first + 1.51), (MIDDLE, second))
    diagram.block(
        MIDDLE,
        second,
        (BLOCK, 0.75),
        ('Feed-forward', f'$C \\to F \\to C$, {_ACTIVATIONS[config.activation]}'),
        forward,
        'feed-forward',
    )
    diagram.line((MIDDLE, second + 0.75), (MIDDLE, second + 0.95))
    diagram.strip(MIDDLE, second + 0.95, (BLOCK, 0.36), 'Add, layer norm', norm)
    for begin, end in ((first - 0.3, first + 1.33), (first + 1.7, second + 1.13)):
        diagram.line((MIDDLE, begin), (right + 0.4, begin), (right + 0.4, end), (right, end))
    return second + 1.31


def _draw_heads(diagram, config, counts, y, num_classes):
    """Draw the heads on the encoder; return the top of the picture."""
    letter = 'C' if config.embedding_units is None else 'E'
    activation = _ACTIVATIONS[config.activation]
    heads = {  # lines, output
        'masked_lm': (
            f'$C \\times {letter}$, {activation}, layer norm;',
            f"${letter} \\times V$ by the words' weight",
            'scores $(N, M, V)$',
        ),
        'span': ('$C \\times 2$: begin and end', 'scores $(N, T, 2)$'),
        'tagger': (f'$C \\times {num_classes}$', f'scores $(N, T, {num_classes})$'),
        'pooler': (
            f'first token; $C \\times C$, {_ACTIVATIONS[config.pooler_activation]}',
            'pooled $(N, C)$',
        ),
        'next_sentence': ('$C \\times 2$', 'scores $(N, 2)$'),
        'classifier': (f'$C \\times {num_classes}$', f'scores $(N, {num_classes})$'),
        'choice': ('$C \\times 1$', 'scores $(N, 1)$'),
    }
    columns = [[head] for head in _OF_TOKENS if head in counts] or [[]]
    if 'pooler' in counts:
        columns += [['pooler', head] for head in _OF_TEXTS if head in counts] or [['pooler']]
    split, width = y + 0.85, {1: BLOCK, 2: 2.5, 3: 1.95}.get(len(columns), 1.5)
    distance = {2: 2.9, 3: 2.1}.get(len(columns), 1.6)
    diagram.text(MIDDLE + 0.1, y + 0.66, '$(N, T, C)$', size=8, colour=QUIET, ha='left')
    tops = []
    for number, column in enumerate(columns):
        centre = MIDDLE + (number - (len(columns) - 1) / 2) * distance
        bends = [(MIDDLE, split), (centre, split)] if abs(centre - MIDDLE) > 0.01 else []
        diagram.line((MIDDLE, y), *bends, (centre, split + 0.3))
        tops.append(
            _draw_column(
                diagram,
                centre,
                split + 0.3,
                width,
                [(head, counts[head], heads[head][:-1], heads[head][-1]) for head in column],
            )
        )
    return max(tops)


def _draw_column(diagram, centre, y, width, blocks):
    """Draw blocks one above the other, as (head, count, lines, output); return the top."""
    for number, (head, count, lines, _) in enumerate(blocks):
        if number:
            diagram.line((centre, y), (centre, y + 0.25))
            y += 0.25
        height = 0.57 + 0.185 * len(lines)
        diagram.block(
            centre, y, (width, height), (title_of(head).capitalize(), *lines), count, 'head'
        )
        y += height
    if blocks:
        diagram.line((centre, y), (centre, y + 0.25))
        y += 0.25
    diagram.text(centre, y + 0.14, blocks[-1][-1] if blocks else 'sequence $(N, T, C)$')
    return y + 0.28


def _draw_margin(diagram, config, counts, left, y):
    """Write the letters, and each kind of layer's share of the parameters."""
    right = diagram.WIDTH - 0.3
    letter = 'C' if config.embedding_units is None else 'E'
    letters = [
        ('N', 'texts', ''),
        ('T', 'tokens of a text', f'≤ {config.max_length}'),
        ('C', 'units', f'{config.units:,}'),
        *([('E', 'width of embeddings', f'{config.embedding_width:,}')] * (letter == 'E')),
        ('H', 'attention heads', f'{config.num_heads}'),
        ('D', 'features, $C / H$', f'{config.units // config.num_heads}'),
        ('F', 'feed-forward', f'{config.hidden_size:,}'),
        ('L', 'layers', f'{config.num_layers}'),
        ('V', 'vocabulary', f'{config.vocab_size:,}'),
    ]
    if 'masked_lm' in counts:
        letters.append(('M', 'masked positions', ''))
    for letter, meaning, value in letters:
        diagram.text(left + 0.07, y, f'${letter}$', size=9)
        diagram.text(left + 0.25, y, meaning, ha='left')
        diagram.text(right, y, value, ha='right')
        y -= 0.21
    total = sum(counts.values())
    y -= 0.2
    diagram.text(left, y, 'Parameters', size=9, weight='bold', ha='left')
    diagram.text(right, y, short_count(total), size=9, weight='bold', ha='right')
    for kind, count in counts.items():
        y -= 0.3
        share = count / total
        diagram.text(left, y, title_of(kind), size=8, ha='left')
        diagram.text(
            right,
            y,
            f'{share:.1%}' if share >= 0.001 else '< 0.1%',
            size=8,
            ha='right',
            colour=QUIET,
        )
        diagram.bar(left, y - 0.13, (right - left) * share, 0.05)
