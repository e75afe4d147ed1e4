"""Compare ways of learning from few examples: a linear head, few_shot, and SetFit itself.

    GLUE_DIR=glue_data python model_zoo/compare_few_shot.py --draws 0 1 2 3 4 5 6 7 8 9 \\
        --setfit_python setfit/bin/python --output model_zoo/results/few_shot.csv

A draw is a permutation, by its number, of the first 1200 training sentences of SST-2 with more than
5 words; the first sentences of each class are learned from. All are evaluated on the dev set, once,
in the end. SetFit runs in an environment of its own with its default settings: all pairs once, in
batches of 16, at a rate of 2e-5.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

POOL, LEAST_WORDS = 1200, 6
METHODS = ('linear_head', 'few_shot', 'setfit')


def make_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--sizes', type=int, nargs='+', default=[8, 16], help='examples a class')
    parser.add_argument('--draws', type=int, nargs='+', default=list(range(10)))
    parser.add_argument('--methods', nargs='+', default=list(METHODS), choices=METHODS)
    parser.add_argument('--data_dir', type=Path, help='folder of SST-2 (default: in $GLUE_DIR)')
    parser.add_argument('--setfit_python', help='Python of an environment with setfit')
    parser.add_argument('--max_examples', type=int, metavar='N', help='of the dev set, for testing')
    parser.add_argument('--few_shot_pairs', type=int, help='for testing')
    parser.add_argument('--output', type=Path, help='CSV file to append to')
    parser.add_argument('--child', nargs=3, help='used by the script itself: train, dev, model')
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    if args.child:
        return run_setfit(*args.child)
    if 'setfit' in args.methods and not args.setfit_python:
        make_parser().error('--setfit_python is needed for setfit (or leave it out of --methods)')
    import comparing

    import gluon_bert as gb

    task = gb.data.get_task('SST-2')
    folder = args.data_dir or gb.data.glue_folder(task)
    train, dev = (gb.data.read_task(task, folder, name).examples for name in ('train', 'dev'))
    pool = [row for row in train if len(row.text.split()) >= LEAST_WORDS][:POOL]
    with tempfile.TemporaryDirectory() as place:
        dev_file = write(Path(place) / 'dev.tsv', dev[: args.max_examples])
        for size in args.sizes:
            for draw in args.draws:
                file = write(Path(place) / 'train.tsv', choose(pool, size, draw))
                for method in args.methods:
                    score, cpu, seconds = measure(args, method, size, file, dev_file)
                    row = {
                        'method': method,
                        'model': '/'.join((comparing.MODEL, comparing.DATASET)),
                        'examples_per_class': size,
                        'draw': draw,
                        'accuracy': round(score, 4),
                        'cpu_seconds': round(cpu, 1),
                        'seconds': round(seconds, 1),
                        **comparing.origin(),
                    }
                    comparing.record(args, row)


def choose(pool, size, draw):
    """Choose the first sentences of each class of a permutation."""
    order = np.random.RandomState(draw).permutation(len(pool))
    return [
        row for label in (0, 1) for row in [pool[i] for i in order if pool[i].label == label][:size]
    ]


def write(path, examples):
    lines = [f'{row.text.strip()}\t{row.label}' for row in examples]
    path.write_text('\n'.join(['sentence\tlabel', *lines]) + '\n', encoding='utf-8')
    return path


def measure(args, method, size, train, dev):
    """Learn from a file; return the accuracy on the dev set and the seconds of the training."""
    if method == 'setfit':
        import comparing

        command = [args.setfit_python, __file__, '--child', train, dev, comparing.weights_folder()]
        done = subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE)
        return json.loads(done.stdout.splitlines()[-1])
    import comparing

    import gluon_bert as gb

    options = {'few_shot': size}
    if method == 'linear_head':
        options['freeze_encoder'] = True
    elif args.few_shot_pairs:
        options['few_shot_pairs'] = args.few_shot_pairs
    begin, cpu = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        done = gb.finetune(
            'text-classification',
            f'{comparing.MODEL}/{comparing.DATASET}',
            train=train,
            output_dir=folder,
            **options,
        )
        seconds = time.process_time() - cpu, time.perf_counter() - begin
        pipeline = gb.load_pipeline(done.folder)
        rows = [line.rsplit('\t', 1) for line in dev.read_text(encoding='utf-8').splitlines()[1:]]
        predicted = [result.label for result in pipeline([text for text, _ in rows])]
    right = [label for _, label in rows]
    return float(np.mean([a == b for a, b in zip(predicted, right)])), *seconds


def run_setfit(train, dev, model):
    """Train with SetFit; print the accuracy and the seconds of the training."""
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    def read(path):
        lines = Path(path).read_text(encoding='utf-8').splitlines()[1:]
        rows = [line.rsplit('\t', 1) for line in lines]
        return {'text': [text for text, _ in rows], 'label': [int(label) for _, label in rows]}

    begin, cpu = time.perf_counter(), time.process_time()
    network = SetFitModel.from_pretrained(model)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(output_dir=folder, report_to='none', seed=2)
        Trainer(model=network, args=arguments, train_dataset=Dataset.from_dict(read(train))).train()
        seconds = time.process_time() - cpu, time.perf_counter() - begin
    rows = read(dev)
    predicted = np.asarray(network.predict(rows['text']))
    print(json.dumps([float((predicted == np.array(rows['label'])).mean()), *seconds]))


if __name__ == '__main__':
    sys.exit(main())
