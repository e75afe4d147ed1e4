"""Compare learned vocabularies with Google's on text that was held out.

    python3 model_zoo/compare_vocabulary.py corpus/*.txt \\
        --output model_zoo/results/vocabulary.csv

Uncased vocabularies are learned from nine of ten lines of the files. On the others, pieces and
unknown tokens are counted for each word, as WordPiece's tokenizer splits the text into words.
"""

import argparse
import shlex
import time
from pathlib import Path

import comparing

from gluon_bert.data import learn_sentencepiece, learn_wordpiece
from gluon_bert.data.classification.lines import read_lines
from gluon_bert.zoo import DEFAULT, open_checkpoint

LEARNERS = {'wordpiece': learn_wordpiece, 'sentencepiece': learn_sentencepiece}
HELD_OUT = 10  # every how many lines


def make_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('files', nargs='+', type=Path, help='lines of text')
    parser.add_argument('--sizes', nargs='+', type=int, default=[8192])
    parser.add_argument('--output', type=Path, help='CSV file to append to')
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    learned_from, held_out = split_lines(args.files)
    google = open_checkpoint('/'.join((comparing.MODEL, comparing.DATASET))).tokenizer
    num_words = sum(len(google.words(text)) for text in held_out)
    about = {
        'megabytes': round(sum(len(text.encode()) for text in learned_from) / 1e6, 2),
        **comparing.origin(),
        'command': shlex.join(
            ['python3', 'model_zoo/compare_vocabulary.py', *map(str, args.files)]
        ),
    }

    def record(name, tokenizer, seconds):
        row = {'vocabulary': name, **counts(tokenizer, held_out, num_words), 'cpu_seconds': seconds}
        comparing.record(args, {**row, **about})

    record(DEFAULT[1], google, '')
    for size in args.sizes:
        for name, learn in LEARNERS.items():
            start = time.process_time()
            tokenizer = learn(learned_from, size)
            record(name, tokenizer, round(time.process_time() - start, 2))


def split_lines(paths):
    """Return the lines to learn from, and every tenth line of a file that is not empty."""
    learned_from, held_out = [], []
    for path in paths:
        lines = [line for _, line in read_lines(path) if line.strip()]
        held_out += lines[::HELD_OUT]
        learned_from += [line for number, line in enumerate(lines) if number % HELD_OUT]
    return learned_from, held_out


def counts(tokenizer, texts, num_words):
    """Count pieces and unknown tokens of texts for each of their words."""
    vocabulary = tokenizer.vocabulary
    ids = [number for text_ids in tokenizer.encode_ids(texts) for number in text_ids]
    num_unknown = ids.count(vocabulary[vocabulary.unknown_token])
    return {
        'tokens': len(vocabulary),
        'pieces_per_word': round(len(ids) / num_words, 4),
        'unknown_percent': round(100 * num_unknown / num_words, 4),
        'words': num_words,
    }


if __name__ == '__main__':
    main()
