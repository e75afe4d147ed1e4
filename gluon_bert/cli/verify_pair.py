"""Two checkpoints against each other: their outputs on random texts, and their arrays."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import NamedTuple

import numpy as np

from ..checkpoint.gluonnlp.description import is_described
from ..checkpoint.schema import Checkpoint
from ..modeling.counts import title_of
from .comparing import (
    AS_IT_IS,
    TokenMap,
    compare_array,
    largest_difference,
    names_of_both,
    with_dtype,
)
from .output import columns, note, say

_TEXTS = 4  # in a batch
_LONGEST = 48  # tokens
_MASKED = 3  # positions of a text
_SHOWN = 12  # arrays that differ


class Batch(NamedTuple):
    """Random texts: for each checkpoint its ids (N, T); types (N, T), lengths (N,), positions
    (N, M).
    """

    ids: tuple
    token_types: np.ndarray
    lengths: np.ndarray
    positions: np.ndarray


def verify_pair(models: list, args: argparse.Namespace) -> int:
    """Compare two checkpoints.

    Parameters
    ----------
    models : list of Model
    args : argparse.Namespace
        With ``root``, ``config``, ``num_heads``, ``batches``, ``tolerance`` and ``seed``.

    Returns
    -------
    int
        0, or 1 if an output differs by more than the tolerance.
    """
    pair = [_open(model, args) for model in models]
    for letter, model, checkpoint in zip('AB', models, pair):
        say(
            f'{letter}: {model.text} ({checkpoint.family}; '
            f'{", ".join(map(title_of, checkpoint.heads)) or "no heads"})'
        )
    first, second = pair
    tokens = map_tokens(first, second)
    _write_configurations(first, second)
    if first.config.units != second.config.units:
        say('different: the widths differ, no output can be compared')
        return 1
    batches = _random_batches(pair, tokens, args)
    largest = _write_outputs(pair, batches, tokens)
    _write_arrays(first, second, tokens)
    good = largest <= args.tolerance
    say(
        f'{"same" if good else "different"}: the outputs differ by {largest:.3g} at most, '
        f'tolerance {args.tolerance:g}'
    )
    return 0 if good else 1


def map_tokens(first: Checkpoint, second: Checkpoint) -> TokenMap:
    """Map the ids of two checkpoints that stand for the same tokens.

    Parameters
    ----------
    first, second : Checkpoint

    Returns
    -------
    TokenMap

    Raises
    ------
    ValueError
        If the vocabularies have no token in common.
    """
    vocabs: list = [
        checkpoint.tokenizer and checkpoint.tokenizer.vocabulary.idx_to_token
        for checkpoint in (first, second)
    ]
    if vocabs == [None, None]:
        return AS_IT_IS
    if None in vocabs:
        note('one has no vocabulary: ids are taken to stand for the same tokens in both')
        return AS_IT_IS
    if vocabs[0] == vocabs[1]:
        return AS_IT_IS
    ids = {token: number for number, token in enumerate(vocabs[1])}
    shared = [(number, ids[token]) for number, token in enumerate(vocabs[0]) if token in ids]
    if not shared:
        raise ValueError('the vocabularies have no token in common')
    moved = sum(a != b for a, b in shared)
    note(
        f'the vocabularies differ: {len(shared)} tokens are in both, {moved} of them with another '
        f'id; ids are mapped so that both get the same texts'
    )
    return TokenMap(*np.array(shared).T)


def _open(model, args):
    # Options are for those of the two that need them.
    needs = model.path is not None and not is_described(model.path)
    options = (args.config, args.num_heads) if needs else (None, None)
    return model.checkpoint(args.root, *options)


def _write_configurations(first, second):
    rows = [
        (f'  {name}', str(value), str(getattr(second.config, name)))
        for name, value in asdict(first.config).items()
        if value != getattr(second.config, name)
    ]
    if first.family != second.family:
        rows.append(('  family', first.family, second.family))
    if rows:
        say('\n'.join(columns([('configuration', 'A', 'B'), *rows])))


def _random_batches(pair, tokens, args):
    """Ragged texts of tokens that both have."""
    rng = np.random.RandomState(args.seed % 2**32)
    configs = [checkpoint.config for checkpoint in pair]
    if tokens is AS_IT_IS:
        known = [
            len(checkpoint.tokenizer.vocabulary) for checkpoint in pair if checkpoint.tokenizer
        ]
        every = np.arange(min(*(config.vocab_size for config in configs), *known, 2**31))
        tokens = TokenMap(every, every)
    longest = min(_LONGEST, *(config.max_length for config in configs))
    types = max(1, min(config.num_token_types for config in configs))
    batches = []
    for _ in range(args.batches):
        chosen = rng.randint(0, len(tokens.first), (_TEXTS, longest))
        lengths = rng.randint(1, longest + 1, _TEXTS)
        lengths[0] = longest
        batches.append(
            Batch(
                (tokens.first[chosen], tokens.second[chosen]),
                rng.randint(0, types, (_TEXTS, longest)),
                lengths,
                np.stack([rng.randint(0, length, _MASKED) for length in lengths]),
            )
        )
    return batches


def _write_outputs(pair, batches, tokens):
    """Tell how far each output that both have differs; gives the largest difference."""
    # One network after the other, so that one is in memory at a time.
    outputs = [
        _outputs(with_dtype(checkpoint, 'float32'), number, batches)
        for number, checkpoint in enumerate(pair)
    ]
    if tokens is not AS_IT_IS:
        for result, ids in zip(outputs, tokens):
            if 'masked_lm' in result:
                result['masked_lm'] = [scores[..., ids] for scores in result['masked_lm']]
    both, only_first, only_second = names_of_both(*outputs)
    say(f'outputs of {len(batches) * _TEXTS} random texts, largest difference')
    differences = {}
    for name in both:
        first, second = outputs[0][name], outputs[1][name]
        differences[name] = (
            max(map(largest_difference, first, second))
            if first[0].shape == second[0].shape
            else float('inf')
        )
    rows = [
        (f'  {title_of(name)}', f'{value:.3g}' if np.isfinite(value) else 'not comparable')
        for name, value in differences.items()
    ]
    rows += [
        (f'  {title_of(name)}', f'only in {letter}')
        for letter, names in (('A', only_first), ('B', only_second))
        for name in names
    ]
    say('\n'.join(columns(rows)))
    return max(differences.values())


def _outputs(checkpoint, number, batches):
    """Name -> a NumPy array for each batch, of all outputs that a checkpoint has."""
    import mxnet as mx

    from ..modeling.build import build_network, default_task

    heads, results = checkpoint.heads, {}
    pretrained = {'masked_lm', 'next_sentence'} & {*heads}
    tasks = {'pretraining' if pretrained else 'encoder'}
    if default_task(checkpoint) != 'classifier' or 'pooler' in heads:
        tasks.add(default_task(checkpoint))
    for task in sorted(tasks):
        network = build_network(checkpoint, task)
        for batch in batches:
            arguments = [batch.ids[number], batch.token_types, batch.lengths]
            if task == 'pretraining' and 'masked_lm' in heads:
                arguments.append(batch.positions)
            output = network(*(mx.nd.array(argument) for argument in arguments))
            for name, array in _named(task, output, heads):
                results.setdefault(name, []).append(_valid(name, array.asnumpy(), batch.lengths))
    return results


def _named(task, output, heads):
    """Pairs (name, array) of what a network gives."""
    if task in ('encoder', 'pretraining'):
        names = [
            name
            for name, there in (
                ('sequence', True),
                ('pooled', 'pooler' in heads),
                ('next_sentence', task == 'pretraining' and 'next_sentence' in heads),
                ('masked_lm', task == 'pretraining' and 'masked_lm' in heads),
            )
            if there
        ]
        return zip(names, output if isinstance(output, tuple) else (output,))
    return [(task, output)]


def _valid(name, array, lengths):
    """Without what stands in the padding."""
    if name not in ('sequence', 'span', 'tagger'):
        return array
    return np.concatenate([rows[:length] for rows, length in zip(array, lengths)])


def _write_arrays(first, second, tokens):
    both, only_first, only_second = names_of_both(first.arrays, second.arrays)
    results = [compare_array(name, first.arrays, second.arrays, tokens) for name in both]
    different = sorted(
        (result for result in results if not result.equal), key=lambda result: -result.largest
    )
    say(f'arrays: {len(results) - len(different)} of {len(results)} equal bit by bit')
    rows = [
        (
            f'  {result.name}',
            '' if np.isinf(result.largest) else f'{result.largest:.3g}',
            result.reason,
        )
        for result in different[:_SHOWN]
    ]
    if rows:
        say('\n'.join(columns([('largest difference', '', ''), *rows])))
    if len(different) > _SHOWN:
        say(f'  and {len(different) - _SHOWN} more')
    for letter, names in (('A', only_first), ('B', only_second)):
        if names:
            say(
                f'only in {letter}: {", ".join(names[:_SHOWN])}'
                f'{f" and {len(names) - _SHOWN} more" if names[_SHOWN:] else ""}'
            )
