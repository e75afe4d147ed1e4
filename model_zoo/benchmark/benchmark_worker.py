"""The process of one system of benchmark.py, which reads requests as lines of JSON.

python3 benchmark_worker.py '{"system": "torch_sdpa", "folder": "...", "mode": "grid",
"threads": 1}'
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import itertools
import json
import os
import signal
import sys
import time
from pathlib import Path

BEGUN = time.perf_counter()

import numpy as np
from benchmark_systems import CEILINGS, SYSTEMS

import gluon_bert  # noqa: F401 (restores names of NumPy that MXNet needs; loads no MXNet)

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


class Worker:
    """A loaded system; its methods are the requests."""

    def __init__(self, system, folder, mode, threads):
        row = {**SYSTEMS, **CEILINGS}[system]
        name = row.trainer_module if mode == 'train' else ''
        module = importlib.import_module(name or row.module)
        self.import_seconds = time.perf_counter() - BEGUN
        start = time.perf_counter()
        made = getattr(module, row.trainer if mode == 'train' else row.encoder)
        options = row.training if mode == 'train' else row.options
        self._system, self._folder = made(Path(folder), threads, **options), Path(folder)
        self._mode, self._path, self._work, self._tokenizer = mode, None, None, None
        self.load_seconds = time.perf_counter() - start

    def ready(self):
        """Report the seconds of loading."""
        return {
            'import_seconds': self.import_seconds,
            'load_seconds': self.load_seconds,
            **memory(),
        }

    def check(self, work, output):
        """Write the system's outputs for a work to a file; report the seconds."""
        self._open(work)
        start = time.perf_counter()
        arrays = self._outputs()
        seconds = time.perf_counter() - start
        np.savez(output, **arrays)
        return {'seconds': seconds}

    def time(self, work, calls, warm):
        """Measure the seconds of each call after the warm-up, and the peak memory."""
        self._open(work)
        for _ in range(warm):
            self._call()
        reset_memory()
        seconds = []
        for _ in range(calls):
            start = time.perf_counter()
            self._call()
            seconds.append(time.perf_counter() - start)
        return {'seconds': seconds, **memory()}

    def queries(self, work, calls, warm):
        """Measure the seconds of each of some texts alone, from text to vector."""
        self._open(work)
        texts = itertools.cycle(self._work['texts'])
        for text in itertools.islice(texts, warm):
            self._query(text)
        reset_memory()
        seconds = []
        for text in itertools.islice(texts, calls):
            start = time.perf_counter()
            self._query(text)
            seconds.append(time.perf_counter() - start)
        return {'seconds': seconds, **memory()}

    def peak(self):
        """Report the peak memory since the start or the last measurement."""
        return memory()

    def products(self, shapes):
        """Measure the seconds of matrix products."""
        return {'seconds': self._system.time(shapes)}

    def _open(self, path):
        if path == self._path:
            return
        if path.endswith('.json'):
            self._work = json.loads(Path(path).read_text(encoding='utf-8'))
        else:
            with np.load(path) as arrays:
                count = 1 + max(int(name.rpartition('_')[2]) for name in arrays)
                names = ('ids', 'types', 'lengths', 'labels')[: 4 if self._mode == 'train' else 3]
                self._work = [
                    tuple(arrays[f'{name}_{number}'] for name in names) for number in range(count)
                ]
        self._path = path

    def _call(self):
        if isinstance(self._work, dict):
            return self._encode_texts()
        for batch in self._work:
            self._system.step(*batch) if self._mode == 'train' else self._system(*batch)
        return None

    def _outputs(self):
        if isinstance(self._work, dict):
            vectors, tokens = self._encode_texts()
            return {'pooled_0': vectors, 'tokens': np.array(tokens)}
        if self._mode == 'train':
            return {
                f'check_{number}': self._system.check(*batch)
                for number, batch in enumerate(self._work[:1])
            }
        arrays = {}
        for number, (ids, types, lengths) in enumerate(self._work):
            sequence, pooled = self._system(ids, types, lengths)
            # Systems differ in the padding.
            valid = np.arange(ids.shape[1]) < lengths[:, None]
            rows = np.concatenate(sequence) if isinstance(sequence, list) else sequence[valid]
            arrays.update({f'sequence_{number}': rows, f'pooled_{number}': pooled})
        return arrays

    def _query(self, text):
        if hasattr(self._system, 'encode_texts'):
            return self._system.encode_texts([text], None, 1, self._work['max_length'])[0][0]
        encoding = self._load_tokenizer().encode(text)
        lengths = np.array([len(encoding.ids)], 'int32')
        arrays = (np.array([row], 'int32') for row in (encoding.ids, encoding.type_ids))
        return self._system(*arrays, lengths)[1][0]

    def _load_tokenizer(self):
        if self._tokenizer is None:
            from tokenizers import Tokenizer

            path = self._folder / 'huggingface' / 'tokenizer.json'
            self._tokenizer = Tokenizer.from_file(str(path))
        return self._tokenizer

    def _encode_texts(self):
        work = self._work
        arguments = work['texts'], work['pairs'], work['batch_size'], work['max_length']
        if hasattr(self._system, 'encode_texts'):
            return self._system.encode_texts(*arguments)
        return encode_texts(self._system, self._load_tokenizer(), *arguments)


def encode_texts(system, tokenizer, texts, pairs, batch_size, max_length):
    """Compute the pooled vectors of all texts, in their order, and the number of tokens.

    ``tokenizers`` tokenizes the texts in one call, and batches are sorted by length: the best
    that is possible for a system without a tokenizer.
    """
    tokenizer.enable_truncation(max_length)
    found = tokenizer.encode_batch(texts if pairs is None else list(zip(texts, pairs)))
    rows = [(encoding.ids, encoding.type_ids) for encoding in found]
    lengths = np.array([len(ids) for ids, _ in rows], 'int32')
    order, vectors = np.argsort(-lengths, kind='stable'), None
    for begin in range(0, len(order), batch_size):
        indices = order[begin : begin + batch_size]
        ids = np.zeros((len(indices), lengths[indices[0]]), 'int32')
        types = np.zeros_like(ids)
        for number, index in enumerate(indices):
            ids[number, : lengths[index]], types[number, : lengths[index]] = rows[index]
        _, pooled = system(ids, types, lengths[indices])
        if vectors is None:
            vectors = np.empty((len(rows), pooled.shape[1]), 'float32')
        vectors[indices] = pooled
    return vectors, int(lengths.sum())


def memory():
    """Get the peak of resident memory since :func:`reset_memory`, in bytes."""
    for line in Path('/proc/self/status').read_text(encoding='utf-8').splitlines():
        if line.startswith('VmHWM:'):
            return {'peak_bytes': int(line.split()[1]) * 1024}
    return {'peak_bytes': 0}


def reset_memory():
    """Reset the peak of resident memory, if the system allows it."""
    with contextlib.suppress(OSError):
        Path('/proc/self/clear_refs').write_text('5', encoding='ascii')


def main():
    given = json.loads(sys.argv[1])
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    # Answers go to the original standard output, all other output to standard error.
    answers = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)
    worker, line = None, '{"do": "ready"}'
    while line:
        try:
            worker = worker or Worker(**given)
            asked = json.loads(line)
            answer = getattr(worker, asked.pop('do'))(**asked)
        except Exception as error:
            answer = {'error': f'{type(error).__name__}: {error}'.split('\n')[0][:300]}
        print(json.dumps(answer), file=answers, flush=True)
        line = sys.stdin.readline() if worker else ''


if __name__ == '__main__':
    main()
