"""Measure the sentence models of the zoo on the STS-B development set, without fine-tuning.

    GLUE_DIR=glue_data python model_zoo/compare_sentence_rows.py \\
        --output model_zoo/results/sentence_rows.csv

The score is Spearman's correlation of the cosines with the ratings. Where the weights of a row come
from an ONNX file, onnxruntime computes the vectors of that file, too: ``largest_difference`` is
that of any component from the encoder's here.
"""

import argparse
import time
from pathlib import Path

import comparing
import numpy as np
from scipy.stats import spearmanr

import gluon_bert as gb
from gluon_bert.data import get_task, glue_folder, read_task
from gluon_bert.zoo import WEIGHTS, find_model, open_checkpoint

ROWS = ['/'.join(key) for key in gb.list_models() if WEIGHTS[key].sentence_tokens]
COMPARED = 100  # sentences


def make_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--models', nargs='+', default=ROWS)
    parser.add_argument('--data_dir', type=Path, help='folder of STS-B (default: in $GLUE_DIR)')
    parser.add_argument('--max_examples', type=int, metavar='N', help='use the first rows only')
    parser.add_argument('--output', type=Path, help='CSV file to append to')
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    task = get_task('STS-B')
    examples = read_task(task, args.data_dir or glue_folder(task), 'dev').examples
    for name in args.models:
        comparing.record(args, measure(name, examples[: args.max_examples]))


def measure(name, examples):
    """Make the row of a model."""
    encoder = gb.SentenceEncoder(name)
    start = time.perf_counter()
    texts, others = (
        encoder.encode([getattr(example, part) for example in examples])
        for part in ('text', 'pair')
    )
    seconds = time.perf_counter() - start
    ratings = [example.label for example in examples]
    difference = compare_file(name, encoder, [example.text for example in examples[:COMPARED]])
    return {
        'model': name,
        'metric': 'spearman',
        'score': round(float(spearmanr((texts * others).sum(axis=1), ratings)[0]), 4),
        'pairs': len(examples),
        'seconds': round(seconds, 2),
        'largest_difference': '' if difference is None else f'{difference:.1e}',
        **comparing.origin(),
    }


def compare_file(name, encoder, texts):
    """Compare with onnxruntime on the row's own file; None if that is in another format."""
    key = find_model(name)
    path = open_checkpoint(name).source
    if not path.endswith('.onnx'):
        return None
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    output = session.get_outputs()[-1].name
    tokenizer, largest = gb.get_tokenizer(*key), 0.0
    for text, vector in zip(texts, encoder.encode(texts, normalize=False)):
        tokens = [tokenizer.vocab.cls_token, *tokenizer(text), tokenizer.vocab.sep_token]
        ids = np.array([tokenizer.vocab[tokens]])
        inputs = {'input_ids': ids, 'attention_mask': np.ones_like(ids)}
        largest = max(largest, float(np.abs(session.run([output], inputs)[0] - vector).max()))
    return largest


if __name__ == '__main__':
    main()
