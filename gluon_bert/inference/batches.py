"""Texts read in blocks, and their batches as arrays where a model is."""

from __future__ import annotations

import ctypes
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor

from mxnet import nd

from ..data import pad_batch, sequential_batches

_MAX_CHARACTERS = 4 << 20  # of the texts of a block


class Batches:
    """Padded batches of sequences as arrays where the model is: features -> (indices, arrays).

    Parameters
    ----------
    bert : BertModel
    tokenizer
    size : int
        Sequences in a batch.
    """

    def __init__(self, bert, tokenizer, size):
        if size < 1:
            raise ValueError(f'batch_size={size}: expected 1 or more')
        self.size = size
        self._ctx = bert.embeddings.word.weight.list_ctx()[0]
        self._pad_id = tokenizer.vocab[tokenizer.vocab.padding_token]

    def __call__(self, features):
        lengths = [feature.valid_length for feature in features]
        for indices in sequential_batches(lengths, self.size):
            arrays = pad_batch([features[i] for i in indices], self._pad_id)
            yield indices, [nd.array(array, dtype='float32', ctx=self._ctx) for array in arrays]


def blocks_of(texts, size):
    """Texts or pairs in blocks of bounded size.

    Parameters
    ----------
    texts : iterable of str or of (str, str)
    size : int
        Texts in a block; fewer if they are very long.

    Yields
    ------
    texts : list of str
    pairs : list of str, or None
        None if the block has no pairs, and among them for a single text.

    Raises
    ------
    TypeError
        If one is neither a text nor a pair.
    """
    if isinstance(texts, (str, bytes)):
        raise TypeError('texts must be a list of str, got one text')
    block, has_pairs, num_characters = [], False, 0
    for number, item in enumerate(texts):
        if isinstance(item, str):
            num_characters += len(item)
        else:
            item = _pair(item, number)
            has_pairs = True
            num_characters += len(item[0]) + len(item[1] or '')
        block.append(item)
        if len(block) == size or num_characters > _MAX_CHARACTERS:
            yield _columns(block) if has_pairs else (block, None)
            block, has_pairs, num_characters = [], False, 0
    if block:
        yield _columns(block) if has_pairs else (block, None)


def _pair(item, number):
    """The two parts of an item that is no single text, the second may be None."""
    parts = tuple(item) if isinstance(item, (tuple, list)) else ()
    if len(parts) != 2 or not all(
        isinstance(part, str) for part in parts[: 1 + (parts[1] is not None)]
    ):
        raise TypeError(
            f'texts[{number}] must be a str or a pair of str, got {type(item).__name__}'
        )
    return parts


def _columns(block):
    texts, pairs = map(
        list, zip(*((item, None) if isinstance(item, str) else item for item in block))
    )
    return texts, None if all(pair is None for pair in pairs) else pairs


def computed_ahead(function, blocks):
    """What a function gives for each block, the next one computed in a thread meanwhile.

    Parameters
    ----------
    function : callable
        Takes the parts of a block. It must leave MXNet alone.
    blocks : iterable of tuple
        Read in the caller's thread.

    Yields
    ------
    object
        What ``function`` gives, in the order of the blocks.

    Raises
    ------
    Exception
        As ``function`` and ``blocks`` do, after the results of the blocks before.
    """
    with ThreadPoolExecutor(1) as worker:
        coming = None
        for future in _submitted(worker, function, blocks):
            done, coming = coming, future
            if done:
                yield done.result()
        if coming:
            yield coming.result()


def _submitted(worker, function, blocks):
    """A future for each block, and for an error that reading them ends with."""
    blocks = iter(blocks)
    while True:
        try:
            block = next(blocks)
        except StopIteration:
            return
        except Exception as error:  # is to be told after what came before it
            failed = Future()
            failed.set_exception(error)
            yield failed
            return
        yield worker.submit(function, *block)


def memory_trimmer(seconds=1.0):
    """A function to call now and then, which gives freed memory back to the system.

    Batches of many sizes leave the heap of the C library in pieces, and it would grow for hours.

    Parameters
    ----------
    seconds : float
        A call sooner than so long after the last trimming does nothing.

    Returns
    -------
    callable
        Without arguments; does nothing where the C library cannot trim.
    """
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None) if sys.platform == 'linux' else None
    last = time.monotonic()

    def call():
        nonlocal last
        if trim is not None and time.monotonic() - last >= seconds:
            trim(0)
            last = time.monotonic()

    return call


def bert_of(model, tokenizer):
    """The BERT of a network; ValueError if the tokenizer is not for it."""
    bert = getattr(model, 'bert', model)
    if tokenizer is None:
        raise ValueError('tokenizer is None: the model came without a vocabulary')
    if len(tokenizer.vocab) > bert.config.vocab_size:
        raise ValueError(
            f'the tokenizer has {len(tokenizer.vocab)} tokens, the model only '
            f'{bert.config.vocab_size}: they do not belong together'
        )
    return bert


def checked_length(bert, max_length):
    """The longest sequence to make; ValueError if the model cannot take it."""
    longest = bert.config.max_length
    if max_length is None:
        return longest
    if not 3 <= max_length <= longest:
        raise ValueError(
            f'max_length={max_length}: expected 3 to {longest}, the longest that the model takes'
        )
    return max_length


def layer_number(bert, layer):
    """A layer's number from 0, of one that may be counted from the last, -1."""
    num_layers = bert.config.num_layers
    if not -num_layers <= layer < num_layers:
        raise ValueError(
            f'layer {layer} is not in the model, which has the layers 0 to '
            f'{num_layers - 1}, or {-num_layers} to -1 counted from the last'
        )
    return layer % num_layers


def layer_encodings(bert, layers, inputs, token_types, valid_length):
    """What chosen layers, numbered from 0, give: list of (N, T, C). Later ones are not run."""
    hidden, mask, lengths = bert._embed(nd, inputs, token_types, valid_length)
    found = {}
    for number, layer in zip(range(max(layers) + 1), bert.layers):
        hidden = layer(hidden, mask)
        if number in layers:
            found[number] = bert._batch_major(nd, hidden, lengths)
    return [found[number] for number in layers]
