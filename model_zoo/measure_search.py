"""Measure searches among many vectors: time, bytes, and the best ones that are found.

    python model_zoo/measure_search.py texts.txt --passages 100000 --folder vectors \\
        --output model_zoo/results/search.csv

The lines of the file are encoded; all but the last --queries of them are the corpus, repeated with
random changes up to --passages: a share --noise of a vector's length in a random direction. So the
time is that of so many vectors, and the recall that of vectors with many near neighbours. Systems
are the types of CorpusVectors, and faiss and usearch where they are installed. Times are the least
of some repetitions: of one query, and of a query among all at once.
"""

import argparse
import importlib.util
import os
import time
from pathlib import Path

import comparing
import numpy as np

import gluon_bert as gb
from gluon_bert.inference.search_indexes import INDEXES, open_index
from gluon_bert.inference.vector_types import VECTOR_TYPES
from gluon_bert.zoo import OFFLINE_DEFAULT

K = 10


def make_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('file', type=Path, help='texts, a line each')
    parser.add_argument('--passages', type=int, default=100_000)
    parser.add_argument('--queries', type=int, default=100)
    parser.add_argument('--noise', type=float, default=0.5)
    parser.add_argument('--repeats', type=int, default=20)
    parser.add_argument(
        '--folder', type=Path, required=True, help='for the vectors; must be absent'
    )
    parser.add_argument('--model', default='/'.join(OFFLINE_DEFAULT))
    comparing.add_output_arguments(parser)
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    os.environ['OMP_NUM_THREADS'] = str(args.threads)
    vectors, queries = make_vectors(args)
    scores = queries @ vectors.T
    exact = np.argsort(-scores, axis=1, kind='stable')[:, :K]
    for type in VECTOR_TYPES:
        begun = time.perf_counter()
        stored = gb.CorpusVectors.create(args.folder / type, vectors.shape[1], type)
        stored.append(vectors)
        seconds = time.perf_counter() - begun
        report(args, 'gluon_bert', type, stored.num_bytes, seconds, stored.search, queries, exact)
    if importlib.util.find_spec('faiss') is not None:
        report_flat(args, vectors, queries, exact)
    stored = gb.CorpusVectors(args.folder / 'float32')
    for name, row in INDEXES.items():
        if importlib.util.find_spec(row.package.partition('.')[0]) is not None:
            begun = time.perf_counter()
            index = open_index(name, stored)
            seconds = time.perf_counter() - begun
            size = (stored.folder / row.file).stat().st_size
            report(args, name, 'HNSW', size, seconds, index.search, queries, exact)


def make_vectors(args):
    """Vectors of texts, repeated with random changes, and those of the queries."""
    lines = [line for line in args.file.read_text('utf-8').split('\n') if line.strip()]
    encoded = gb.SentenceEncoder(args.model).encode(lines)
    texts, queries = encoded[: -args.queries], encoded[-args.queries :]
    random = np.random.default_rng(0)
    chosen = np.arange(args.passages) % len(texts)
    changes = random.normal(size=(args.passages, texts.shape[1])).astype('float32')
    changes *= args.noise / np.linalg.norm(changes, axis=1, keepdims=True)
    changes[: len(texts)] = 0
    vectors = texts[chosen] + changes
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), queries


def report_flat(args, vectors, queries, exact):
    """Measure faiss's exact search and its types."""
    import faiss

    faiss.omp_set_num_threads(args.threads)
    units = vectors.shape[1]
    kinds = faiss.ScalarQuantizer
    for name, index, size in (
        ('float32', faiss.IndexFlatIP(units), 4),
        ('float16', _quantizer(faiss, units, kinds.QT_fp16), 2),
        ('int8', _quantizer(faiss, units, kinds.QT_8bit), 1),
    ):
        begun = time.perf_counter()
        index.train(vectors)
        index.add(vectors)
        seconds = time.perf_counter() - begun

        def search(queries, k, index=index):
            return index.search(queries, k)[::-1]

        report(args, 'faiss', name, size * vectors.size, seconds, search, queries, exact)


def _quantizer(faiss, units, kind):
    return faiss.IndexScalarQuantizer(units, kind, faiss.METRIC_INNER_PRODUCT)


def report(args, system, type, size, build_seconds, search, queries, exact):
    """Time a search and compare what it finds."""
    found, _ = search(queries, K)
    recall = np.mean([len({*a} & {*b}) / K for a, b in zip(found.tolist(), exact.tolist())])
    row = {
        'system': system,
        'type': type,
        'passages': args.passages,
        'units': queries.shape[1],
        'megabytes': round(size / 1e6, 1),
        'build_seconds': round(build_seconds, 2),
        'recall@10': round(float(recall), 4),
        **measure(args, search, queries),
        'threads': args.threads,
        'noise': args.noise,
    }
    comparing.record(args, {**row, **comparing.origin()})


def measure(args, search, queries):
    """Milliseconds of a query alone, and of one among all; by the clock and of the processor."""
    one, many = [], []
    for number in range(args.repeats):
        query = number % len(queries)
        one.append(_timed(lambda: search(queries[query : query + 1], K)))  # noqa: B023 (called now)
    for _ in range(max(1, args.repeats // 5)):
        many.append(_timed(lambda: search(queries, K)))
    wall, cpu = (1000 * min(column) for column in zip(*one))
    all_wall, all_cpu = (1000 * min(column) / len(queries) for column in zip(*many))
    return {
        'ms': round(wall, 3),
        'cpu_ms': round(cpu, 3),
        'ms_of_many': round(all_wall, 3),
        'cpu_ms_of_many': round(all_cpu, 3),
    }


def _timed(call):
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


if __name__ == '__main__':
    main()
