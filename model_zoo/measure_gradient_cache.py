"""Measure the memory of a training step of sentence vectors, with gradient caching and without.

    python model_zoo/measure_gradient_cache.py --output model_zoo/results/gradient_cache.csv

Each row is a process of its own that makes one step on a batch of equally long random pairs. Its
memory is the peak of its resident memory above that before the step, after a step on one pair.
"""

import argparse
import json
import subprocess
import sys
import time

import comparing
import numpy as np

import gluon_bert as gb


def make_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--batch_sizes', type=int, nargs='+', default=[16, 64, 256])
    parser.add_argument('--cache_size', type=int, default=32, help='texts computed at once')
    parser.add_argument('--tokens', type=int, default=32, help='of a text')
    parser.add_argument('--model', default=comparing.MODEL, help='architecture of the zoo')
    parser.add_argument('--child', nargs=2, help='used by the script itself')
    comparing.add_output_arguments(parser)
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    if args.child:
        return print(json.dumps(measure(args, *map(int, args.child))))
    for size in args.batch_sizes:
        for cache in (0, args.cache_size):
            command = [sys.executable, __file__, *(sys.argv[1:] if argv is None else argv)]
            result = subprocess.run(
                [*command, '--child', str(size), str(cache)],
                check=True,
                env=comparing.environment(args),
                stdout=subprocess.PIPE,
            )
            row = {
                'model': args.model,
                'batch_size': size,
                'tokens': args.tokens,
                'cache_size': cache or 'none',
                **json.loads(result.stdout.splitlines()[-1]),
                'threads': args.threads,
                **comparing.origin(),
            }
            comparing.record(args, row)


def measure(args, batch_size, cache_size):
    """Make one step on a batch of pairs; return its memory and processor time."""
    from gluon_bert.modeling.embedder import BertEmbedder
    from gluon_bert.training import TrainingOptions, TrainingStep, make_sentence_objective

    bert, _ = gb.get_model(
        args.model, dataset_name=comparing.DATASET, pretrained=False, use_pooler=False
    )
    network = BertEmbedder(bert)
    objective = make_sentence_objective('multiple_negatives_ranking', cache_size=cache_size or None)
    step = TrainingStep(network, objective, TrainingOptions(), num_steps=2)
    step([batch_of(args, 1)], 0)
    before, begin = comparing.memory('VmRSS'), time.process_time()
    step([batch_of(args, batch_size)], 1)
    return {
        'megabytes': round((comparing.memory('VmHWM') - before) / 1e6),
        'cpu_seconds': round(time.process_time() - begin, 1),
    }


def batch_of(args, size):
    """Draw a batch of pairs, as the loop reads it."""
    import mxnet as mx

    from gluon_bert.training.batches import Batch

    ids = np.random.RandomState(1).randint(1000, 20000, (2 * size, args.tokens))
    lengths = np.full(2 * size, args.tokens)
    arrays = (mx.nd.array(array, dtype='float32') for array in (ids, ids * 0, lengths))
    return Batch(tuple(arrays), ())


if __name__ == '__main__':
    sys.exit(main())
