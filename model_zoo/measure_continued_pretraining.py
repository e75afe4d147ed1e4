"""Measure what a small model gains when its pre-training goes on with texts of a task's field.

    GLUON_BERT_DATA=data python3 model_zoo/measure_continued_pretraining.py --seeds 1 2 3 \\
        --output model_zoo/results/continued_pretraining.csv

A model is pre-trained from random parameters on general texts, by default those of
GLUON_BERT_DATA/corpus, with a vocabulary that is learned from them. The field is that of a folder
with GLUE's tables, by default the film reviews of GLUON_BERT_DATA/glue_data/SST-2: the sentences of
train.tsv, without their labels, are the texts to go on with; those of test.tsv are held out, both
from --min_words words on. For each seed, the model is measured as it is ("nothing"), after more
steps on the general texts ("general"), and after as many on the texts of the field ("field").

A row has the loss of masked words in the held-out sentences, with the same masks for all, and the
accuracy on dev.tsv of a logistic regression of the mean vectors of sentences, whose model is not
trained any more. It learns from --labelled sentences of train.tsv, which depend on the seed alone.
All pre-training is ``gluon-bert pretrain --texts``; the parameters of the last step count.
"""

import argparse
import csv
import json
import os
import re
import shlex
import sys
import tempfile
import time
from pathlib import Path

import comparing
import numpy as np

import gluon_bert as gb
from gluon_bert.tasks.pretrain import pretrain

CONTINUED = ('nothing', 'general', 'field')
_OF_NO_ROW = ('files', 'task_folder', 'folder', 'seeds', 'continued', 'output')


def make_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('files', nargs='*', type=Path, help='general texts')
    parser.add_argument('--task_folder', type=Path, help='with train.tsv, dev.tsv and test.tsv')
    parser.add_argument('--folder', type=Path, help='for the models (default: a temporary folder)')
    parser.add_argument('--continued', nargs='+', default=list(CONTINUED), choices=CONTINUED)
    parser.add_argument('--seeds', type=int, nargs='+', default=[1, 2, 3])
    parser.add_argument('--model', default='bert_2_128_2', help='architecture')
    parser.add_argument('--vocab_size', type=int, default=8192)
    parser.add_argument('--general_steps', type=int, default=1500, help='from random parameters')
    parser.add_argument('--steps', type=int, default=500, help='to go on')
    parser.add_argument('--lr', type=float, default=1e-3)
    parser.add_argument('--batch_size', type=int, default=32)
    parser.add_argument('--max_seq_length', type=int, default=64)
    parser.add_argument('--min_words', type=int, default=10)
    parser.add_argument('--labelled', type=int, default=2000)
    comparing.add_output_arguments(parser)
    return parser


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    parser = make_parser()
    args = parser.parse_args(argv)
    data = os.environ.get('GLUON_BERT_DATA')
    if data is not None:
        args.files = args.files or sorted(Path(data, 'corpus').glob('*.txt'))
        args.task_folder = args.task_folder or Path(data, 'glue_data', 'SST-2')
    if not args.files or not args.task_folder:
        parser.error('expected texts and --task_folder, or GLUON_BERT_DATA')
    command = shlex.join(['python3', 'model_zoo/measure_continued_pretraining.py', *argv])
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        write_texts(args, folder)
        write_held_out(args, folder)
        start = train(args, folder, folder / 'start', 'general', 0)
        for seed in args.seeds:
            for name in args.continued:
                row = measure(args, folder, start, name, seed)
                comparing.record(args, {**row, **comparing.origin(), 'command': command})


def write_texts(args, folder):
    """Write the general texts, a vocabulary learned from them, and the texts of the field."""
    paragraphs = [
        ' '.join(block.split())
        for path in args.files
        for block in re.split(r'\n\s*\n', path.read_text('utf-8'))
    ]
    write_lines(folder / 'general.txt', filter(None, paragraphs))
    if not (folder / 'vocabulary').exists():
        gb.data.learn_wordpiece(paragraphs, args.vocab_size).save(folder / 'vocabulary')
    for name, table in (('field', 'train'), ('held_out', 'test')):
        sentences = dict.fromkeys(row['sentence'] for row in read_table(args, table))
        write_lines(folder / f'{name}.txt', (text for text in sentences if is_long(args, text)))


def write_lines(path, lines):
    path.write_text('\n'.join(lines) + '\n', encoding='utf-8')


def read_table(args, name):
    with open(args.task_folder / f'{name}.tsv', newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file, delimiter='\t', quoting=csv.QUOTE_NONE))


def is_long(args, sentence):
    return len(sentence.split()) >= args.min_words


def write_held_out(args, folder):
    """Write the held-out sentences as records, with the same masks for all."""
    options = gb.data.PretrainingDataOptions(
        pairing='full_sentences',
        masking=gb.data.Masking(max_predictions=args.max_seq_length),
        max_seq_length=args.max_seq_length,
        dupe_factor=2,
    )
    tokenizer = gb.data.read_tokenizer(folder / 'vocabulary')
    files = folder / 'held_out.txt', folder / 'held_out.tfrecord'
    gb.data.create_pretraining_data(*files, tokenizer, options, overwrite=True)


def train(args, folder, output, texts, seed, model=None):
    """Pre-train from random parameters, or go on with a model; give the folder of the new one."""
    start = {'from_scratch': True, 'vocab_file': folder / 'vocabulary'} if model is None else {}
    return pretrain(
        args.model if model is None else model,
        **start,
        texts=folder / f'{texts}.txt',
        text_format='text',
        eval_data=folder / 'held_out.tfrecord',
        objective='masked_words',
        output_dir=output,
        training_steps=args.general_steps if model is None else args.steps,
        evaluate_every=args.general_steps if model is None else args.steps,
        batch_size=args.batch_size,
        max_seq_length=args.max_seq_length,
        learning_rate=args.lr,
        seed=seed,
        log_interval=100,
        resume=True,
    ).model


def measure(args, folder, start, name, seed):
    """Go on with the model, and measure the new one; make a row of the results."""
    since, model = time.process_time(), start
    if name != 'nothing':
        model = train(args, folder, folder / f'{name}_{seed}', name, seed, start)
    seconds = time.process_time() - since
    settings = {key: value for key, value in vars(args).items() if key not in _OF_NO_ROW}
    return {
        'continued_with': name,
        'seed': seed,
        'masked_lm_loss': round(last_metrics(model.parent)['masked_lm_loss'], 4),
        'accuracy': round(score(args, model, seed), 4),
        'cpu_seconds': round(seconds, 1),
        **settings,
    }


def score(args, model, seed):
    """Learn labels from the mean vectors of some sentences; give the accuracy on dev.tsv."""
    rows = [row for row in read_table(args, 'train') if is_long(args, row['sentence'])]
    order = np.random.RandomState(seed).permutation(len(rows))[: args.labelled]
    tables = [rows[number] for number in order], read_table(args, 'dev')
    encoder = gb.SentenceEncoder(model, pooling='mean', normalize=False)
    vectors, others = (encoder.encode([row['sentence'] for row in table]) for table in tables)
    labels, expected = (np.array([int(row['label']) for row in table]) for table in tables)
    centre, spread = vectors.mean(0), vectors.std(0) + 1e-6
    weights = logistic_regression((vectors - centre) / spread, labels)
    predicted = add_one((others - centre) / spread) @ weights > 0
    return float((predicted == expected).mean())


def logistic_regression(vectors, labels, penalty=10.0, steps=20):
    """Find the weights of a logistic regression, that of the constant last, by Newton's method."""
    inputs = add_one(vectors.astype('float64'))
    ridge = penalty * np.eye(inputs.shape[1])
    ridge[-1, -1] = 0
    weights = np.zeros(inputs.shape[1])
    for _ in range(steps):
        probabilities = 1 / (1 + np.exp(-inputs @ weights))
        slope = inputs.T @ (probabilities - labels) + ridge @ weights
        curvature = (inputs.T * (probabilities * (1 - probabilities))) @ inputs + ridge
        weights -= np.linalg.solve(curvature, slope)
    return weights


def add_one(vectors):
    return np.hstack([vectors, np.ones((len(vectors), 1))])


def last_metrics(folder):
    """The metrics of a run's last evaluation."""
    lines = (folder / 'metrics.jsonl').read_text(encoding='utf-8').splitlines()
    *_, last = [row['metrics'] for row in map(json.loads, lines) if 'metrics' in row]
    return last


if __name__ == '__main__':
    main()
