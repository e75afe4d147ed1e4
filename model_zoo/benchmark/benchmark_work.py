"""Inputs of the systems of benchmark.py: the same arrays or texts for all."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

import numpy as np
from benchmark_latency import make_texts

from common import cli

DATASET_BATCH = 32  # of growing data sets
# Of --mode load.
TEXT = 'A process has just been started, and someone waits for the vector of this sentence.'


@dataclass
class Cell:
    """One measurement: its inputs and its name in the results.

    ``lengths`` are those of all sequences, ``padded`` is the number of tokens with padding,
    ``rows`` the number of rows that dense layers multiply at a time, ``path`` the file of the
    arrays or texts.
    """

    batch: int
    length: Optional[int]
    data: str
    lengths: np.ndarray
    padded: int
    rows: int
    path: Optional[Path] = None
    content: dict = field(default_factory=dict)

    @property
    def name(self):
        """Name the cell for messages."""
        return ' '.join(
            filter(
                None,
                [
                    self.data,
                    f'{self.batch}x{self.length}' if self.length else f'batch {self.batch}',
                ],
            )
        )

    @property
    def tokens(self):
        """Count the valid tokens."""
        return int(self.lengths.sum())

    @property
    def fill(self):
        """Compute the share of valid tokens."""
        return self.tokens / self.padded

    def write(self, folder, number):
        """Write the content to a new file for the systems."""
        is_text = 'texts' in self.content
        self.path = Path(folder) / f'work_{number}.{"json" if is_text else "npz"}'
        if is_text:
            self.path.write_text(json.dumps(self.content), encoding='utf-8')
        else:
            np.savez(self.path, **self.content)

    def remove(self):
        """Remove the file."""
        self.path.unlink()


def make_cells(args, config):
    """Make the cells of the arguments, for each number of threads."""
    if args.mode == 'load':
        return [loading(args.folder, config, args.seed)]
    if args.mode == 'latency':
        return queries(args, config)
    if args.mode == 'growth':
        cells = growth(config, args.batches, args.lengths, args.at, args.seed)
    elif not args.data:
        cells = grid(config, args.batches, args.lengths, args.seed)
    else:
        cells = []
    return [*cells, *text_cells(args, config)] if args.data else cells


def queries(args, config):
    """Make a cell of single texts for each of --lengths."""
    tokenizer = read_tokenizer(args, '--mode latency')
    return [
        Cell(
            1,
            length,
            '',
            np.array([length]),
            length,
            length,
            content={
                'texts': make_texts(tokenizer, length, args.seed),
                'pairs': None,
                'batch_size': 1,
                'max_length': config.max_length,
            },
        )
        for length in sorted(args.lengths)
    ]


def read_tokenizer(args, flag):
    """Read the tokenizer of the network's files, which a flag needs."""
    import gluon_bert as gb

    tokenizer = gb.checkpoint.read_checkpoint(args.folder / 'huggingface').tokenizer
    if tokenizer is None:
        raise cli.Failure(
            f'{flag}: the network has no vocabulary; give --bert_dataset or --vocab_file'
        )
    return tokenizer


def text_cells(args, config):
    """Make the cells of --data."""
    tokenizer = read_tokenizer(args, '--data')
    length, cells = min(args.max_len, config.max_length), []
    if args.mode == 'growth':
        return [
            cell
            for path in args.data
            for cell in growing_datasets(path, args.one_by_one, args.sizes, tokenizer, length)
        ]
    for path in args.data:
        texts, name = read_texts(path, args.one_by_one, args.limit)
        if args.mode == 'dataset':
            cells += dataset(texts, name, tokenizer, args.batches, length)
        else:
            cells += ragged(texts, name, tokenizer, args.batches, length, args.seed)
    return cells


def cells_for(args, cells, threads):
    """Select the cells of a number of threads; for its series, one cell is enough."""
    if args.mode != 'growth' or threads == max(args.threads):
        return cells
    return [cell for cell in cells if [cell.batch, cell.length] == args.at]


def grid(config, batches, lengths, seed):
    """Make a cell of random tokens for each batch size and length, small ones first."""
    found = []
    for batch, length in sorted(((b, t) for b in batches for t in lengths), key=np.prod):
        draw = np.random.RandomState((seed, batch, length))
        ids = draw.randint(0, config.vocab_size, (batch, length)).astype('int32')
        types = (np.arange(length) >= length // 2).astype('int32') * np.ones_like(ids)
        content = {
            'ids_0': ids,
            'types_0': types,
            'lengths_0': np.full(batch, length, 'int32'),
            'labels_0': draw.randint(0, 2, batch).astype('int32'),
        }
        found.append(
            Cell(
                batch,
                length,
                '',
                content['lengths_0'],
                batch * length,
                batch * length,
                content=content,
            )
        )
    return found


def ragged(texts, name, tokenizer, batches, max_length, seed):
    """Make a cell for each batch size: texts in their order, each batch padded to its longest."""
    import gluon_bert as gb

    features, _ = gb.data.SentenceTransform(tokenizer, max_length).transform_batch(*texts)
    lengths = np.array([feature.valid_length for feature in features])
    for batch in sorted(batches):
        content, padded, draw = {}, 0, np.random.RandomState((seed, batch))
        for number, begin in enumerate(range(0, len(features), batch)):
            arrays = gb.data.pad_batch(features[begin : begin + batch], 0)
            padded += arrays[0].size
            arrays = (*arrays, draw.randint(0, 2, len(arrays[2])).astype('int32'))
            content.update(
                {
                    f'{key}_{number}': array
                    for key, array in zip(('ids', 'types', 'lengths', 'labels'), arrays)
                }
            )
        rows = round(lengths.sum() / -(-len(features) // batch))
        yield Cell(batch, None, name, lengths, padded, rows, content=content)


def dataset(texts, name, tokenizer, batches, max_length):
    """Make a cell for each batch size: texts, which each system tokenizes and sorts."""
    import gluon_bert as gb

    features, _ = gb.data.SentenceTransform(tokenizer, max_length).transform_batch(*texts)
    lengths = np.array([feature.valid_length for feature in features])
    for batch in sorted(batches):
        content = {
            'texts': texts[0],
            'pairs': texts[1],
            'batch_size': batch,
            'max_length': max_length,
        }
        padded = sum(
            lengths[part].max() * len(part) for part in gb.data.sequential_batches(lengths, batch)
        )
        yield Cell(
            batch,
            None,
            name,
            lengths,
            int(padded),
            min(round(lengths.mean() * batch), int(lengths.sum())),
            content=content,
        )


def loading(folder, config, seed):
    """Make the cell of one text, or of random ids where the network has no tokenizer."""
    import gluon_bert as gb

    content = {'text': None, 'max_length': min(128, config.max_length)}
    tokenizer = gb.checkpoint.read_checkpoint(folder / 'huggingface').tokenizer
    if tokenizer is None:
        ids = np.random.RandomState(seed).randint(0, config.vocab_size, min(32, config.max_length))
        content['ids'] = ids.tolist()
    else:
        content['text'] = TEXT
        ids, _ = gb.data.SentenceTransform(tokenizer, content['max_length'])(TEXT)[0::2]
    count = len(ids)
    return Cell(1, count, '', np.array([count]), count, count, content=content)


def growth(config, batches, lengths, at, seed):
    """Make a cell for each batch size at one length, and for each length at one batch size.

    ``at`` are the fixed batch size and length; their cell occurs once.
    """
    sizes = {(batch, at[1]) for batch in batches} | {(at[0], length) for length in lengths}
    return [
        cell
        for batch, length in sorted({*sizes, tuple(at)}, key=lambda size: (np.prod(size), size))
        for cell in grid(config, [batch], [length], seed)
    ]


def growing_datasets(path, one_by_one, sizes, tokenizer, max_length):
    """Make data sets of the first texts of a file, for each size that the file has."""
    (texts, _), _ = read_texts(path, one_by_one)
    for size in sorted({min(size, len(texts)) for size in sizes}):
        texts, name = read_texts(path, one_by_one, size)
        yield from dataset(texts, name, tokenizer, [DATASET_BATCH], max_length)


def read_texts(path, one_by_one=False, limit=None):
    """Read texts, pairs or None, and their name from a file.

    Parameters
    ----------
    path : Path
        A split of a GLUE task in its folder, such as ``MRPC/train.tsv``; a .json file in SQuAD's
        layout, for its paragraphs; or a .txt file with a text per line.
    one_by_one : bool
        Use the texts of pairs separately.
    limit : int, optional
        Maximum number of texts.

    Raises
    ------
    ValueError
        If the file is none of these, or has no texts.
    """
    import gluon_bert as gb

    path, pairs = Path(path), None
    if not path.is_file():
        raise FileNotFoundError(f'--data {path}: there is no such file')
    if path.suffix == '.txt':
        texts = [line for line in path.read_text(encoding='utf-8').split('\n') if line.strip()]
    elif path.suffix == '.json':
        texts = list(
            dict.fromkeys(question.context for question in gb.data.read_squad(path).questions)
        )
    elif path.suffix == '.tsv':
        texts, pairs = _read_task(path)
    else:
        raise ValueError(f'--data {path}: expected .tsv of a GLUE task, .json of SQuAD or .txt')
    if pairs and one_by_one:
        texts, pairs = [text for both in zip(texts, pairs) for text in both], None
    if not texts:
        raise ValueError(f'--data {path}: has no texts')
    name = f'{path.parent.name}/{path.stem}' + ' one by one' * one_by_one
    name += f' first {limit}' if limit and limit < len(texts) else ''
    return (texts[:limit], pairs and pairs[:limit]), name


def _read_task(path):
    import gluon_bert as gb

    folder = path.resolve().parent
    try:
        task = gb.data.get_task(folder.name)
    except ValueError as error:
        raise ValueError(f'--data {path}: its folder names no task: {error}') from None
    splits = [split for split, name in task.files.items() if name == path.name]
    if not splits:
        raise ValueError(f'--data {path}: {task.name} has {", ".join(task.files.values())}')
    examples = gb.data.read_task(task, folder, splits[0]).examples
    return (
        [example.text for example in examples],
        [example.pair for example in examples] if task.is_pair else None,
    )
