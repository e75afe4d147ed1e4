"""Compare the time and memory from a safetensors file to the first output with transformers.

    python model_zoo/compare_loading.py --repeats 7

transformers runs on PyTorch. Each measurement is a separate process, the two sides take turns, and
the file is in the page cache of both. Imports are not counted. Memory is the peak above the memory
after the imports, relative to the size of the file. The network has random parameters: only its
shapes matter.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import comparing

import gluon_bert as gb

SIDES = ('gluon_bert', 'transformers')


def make_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--bert_model', default='bert_12_768_12')
    parser.add_argument('--vocab_size', type=int, default=30522)
    parser.add_argument('--tokens', type=int, default=16, help='number of tokens')
    parser.add_argument('--repeats', type=int, default=7)
    parser.add_argument('--threads', type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument(
        '--measure', nargs=3, metavar=('SIDE', 'FOLDER', 'TOKENS'), help=argparse.SUPPRESS
    )
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    if args.measure:
        side, folder, tokens = args.measure
        print(json.dumps(measure(side, folder, int(tokens))))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder) / 'model'
        write_model(args.bert_model, args.vocab_size, folder)
        size = (folder / 'model.safetensors').stat().st_size
        results = {side: [] for side in SIDES}
        for repeat in range(args.repeats + 1):  # the first run fills the page cache
            for side in SIDES if repeat % 2 else SIDES[::-1]:
                result = run(side, folder, args.tokens, args.threads)
                if repeat:
                    results[side].append(result)
    report(results, size)
    return 0


def write_model(name, vocab_size, folder):
    """Write a Hugging Face folder with random parameters."""
    import numpy as np

    from gluon_bert.checkpoint.arrays import Arrays
    from gluon_bert.checkpoint.names import encoder_shapes

    config = gb.zoo.get_config(name, vocab_size)
    rng = np.random.default_rng(1)
    shapes = {
        **encoder_shapes(config),
        'pooler.weight': (config.units, config.units),
        'pooler.bias': (config.units,),
    }
    arrays = Arrays(
        {
            key: (shape, lambda shape=shape: rng.normal(0, 0.02, shape).astype('f'))
            for key, shape in shapes.items()
        }
    )
    gb.checkpoint.write_checkpoint(gb.checkpoint.Checkpoint(arrays, config), folder)


def run(side, folder, tokens, threads):
    """Run a measurement in a separate process."""
    environment = {**os.environ, 'OMP_NUM_THREADS': str(threads), 'HF_HUB_OFFLINE': '1'}
    output = subprocess.run(
        [sys.executable, __file__, '--measure', side, str(folder), str(tokens)],
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    return json.loads(output.splitlines()[-1])


def measure(side, folder, tokens):
    """Measure seconds, and bytes of memory above those after the imports."""
    import time

    load = {'gluon_bert': load_gluon_bert, 'transformers': load_transformers}[side]()
    before = comparing.memory('VmRSS')
    start = time.perf_counter()
    output = load(folder, tokens)
    seconds = time.perf_counter() - start
    assert output.shape[:2] == (1, tokens), output.shape
    return {'seconds': seconds, 'peak': comparing.memory('VmHWM') - before}


def load_gluon_bert():
    import mxnet as mx

    load_model = gb.load_model
    mx.nd.array([0]).asnumpy()

    def load(folder, tokens):
        model, _ = load_model(folder)
        return model(mx.nd.ones((1, tokens))).sequence.asnumpy()

    return load


def load_transformers():
    import torch
    from transformers import BertModel

    def load(folder, tokens):
        model = BertModel.from_pretrained(folder).eval()
        with torch.inference_mode():
            return model(torch.ones((1, tokens), dtype=torch.int64)).last_hidden_state.numpy()

    return load


def report(results, size):
    """Print medians with their spread, and the ratios."""
    seconds = {side: [result['seconds'] for result in results[side]] for side in SIDES}
    peaks = {side: statistics.median(result['peak'] for result in results[side]) for side in SIDES}
    print(f'file: {size / 1e6:.1f} MB')
    for side in SIDES:
        print(
            f'{side:14}{statistics.median(seconds[side]):7.3f} s '
            f'({min(seconds[side]):.3f} to {max(seconds[side]):.3f}), '
            f'peak {peaks[side] / size:.2f} of the file'
        )
    ratios = [one / other for one, other in zip(*(seconds[side] for side in SIDES))]
    print(
        f'ratio of times, run by run: median {statistics.median(ratios):.2f} '
        f'({min(ratios):.2f} to {max(ratios):.2f})'
    )


if __name__ == '__main__':
    sys.exit(main())
