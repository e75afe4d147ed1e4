"""Compare students of a fine-tuned teacher with the same networks fine-tuned alone.

    GLUE_DIR=glue_data python model_zoo/compare_distillation.py --seeds 1 2 3 \\
        --output model_zoo/results/distillation.csv

The teacher is all-MiniLM-L6, fine-tuned on MRPC, or on the first 8000 rows of SST-2, whose other
rows are texts without labels. A student is made of some of its layers, and trained by 'distilled',
the teacher's scores and the labels; by 'labels', the labels alone; and 'alone' are the same layers
of all-MiniLM-L6 itself, fine-tuned. All are evaluated on the dev set once more in the end.

What is in the file of --output is left out, and runs in --work are resumed, so the command can be
interrupted and given again. Speeds are of the Predictor on the dev set, in sequences per second of
processor time, teacher and student in turns.
"""

import argparse
import csv
import shlex
import sys
import time
from pathlib import Path

import comparing

import gluon_bert as gb
from gluon_bert.checkpoint import write_checkpoint
from gluon_bert.tasks.distillation.options import DistillationOptions
from gluon_bert.tasks.distillation.student import choose_layers, take_layers
from gluon_bert.zoo import open_checkpoint

MODEL = '/'.join((comparing.MODEL, comparing.DATASET))
METHODS = ('alone', 'labels', 'distilled')
TEACHER = {'epochs': 3, 'learning_rate': 5e-5}
# Options of a student's training, and of a distillation, by task.
STUDENT = {
    'MRPC': {'epochs': 6, 'learning_rate': 7e-5},
    'SST-2': {'epochs': 3, 'learning_rate': 1e-4},
}
# With many texts without labels the teacher's scores weigh more.
DISTILLED = {'MRPC': {'alpha': 0.5}, 'SST-2': {'alpha': 0.9}}
NUM_LABELLED = {'SST-2': 8000}
KEYS = ('task', 'method', 'layers', 'seed')


def make_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--tasks', nargs='+', default=list(STUDENT), choices=list(STUDENT))
    parser.add_argument('--layers', type=int, nargs='+', default=[3, 2], help='of the students')
    parser.add_argument('--seeds', type=int, nargs='+', default=[1, 2, 3])
    parser.add_argument('--methods', nargs='+', default=list(METHODS), choices=METHODS)
    parser.add_argument('--data_dir', type=Path, help='folder of GLUE (default: $GLUE_DIR)')
    parser.add_argument('--model', default=MODEL, help='of the teacher, for testing')
    parser.add_argument('--max_examples', type=int, metavar='N', help='to learn from, for testing')
    parser.add_argument('--epochs', type=int, help='of all trainings, for testing')
    parser.add_argument(
        '--work', type=Path, default=Path('output/distillation'), help='folder of the runs'
    )
    comparing.add_output_arguments(parser)
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    done = rows_of(args.output)
    for task in args.tasks:
        for seed in args.seeds:
            wanted = [('teacher', 0)] + [(m, n) for n in args.layers for m in args.methods]
            wanted = [row for row in wanted if (task, row[0], str(row[1]), str(seed)) not in done]
            for method, layers in wanted:
                measure(args, task, method, layers, seed)


def rows_of(path):
    """The keys of the rows that are in the file."""
    if path is None or not path.is_file():
        return set()
    with open(path, newline='', encoding='utf-8') as file:
        return {tuple(row[key] for key in KEYS) for row in csv.DictReader(file)}


def measure(args, task, method, layers, seed):
    """Train a network, unless that is done, and write its row."""
    say(f'{task}, seed {seed}: {method}{f", {layers} layers" if layers else ""}')
    begin, cpu = time.perf_counter(), time.process_time()
    teacher = train_teacher(args, task, seed)
    trained = teacher if method == 'teacher' else train(args, task, method, layers, seed, teacher)
    seconds = time.process_time() - cpu, time.perf_counter() - begin
    metrics, best = trained.metrics['dev'], teacher.metrics['dev']
    name = next(iter(metrics))
    speed, ratio = speeds(trained, teacher, args, task)
    row = {
        'task': task,
        'method': method,
        'layers': layers,
        'seed': seed,
        **{f'{key}': round(value, 4) for key, value in metrics.items()},
        'percent_of_teacher': round(100 * metrics[name] / best[name], 1),
        'sequences_per_cpu_second': round(speed, 1),
        'speed_of_teacher': round(ratio, 2),
        'cpu_seconds': round(seconds[0], 1),
        'seconds': round(seconds[1], 1),
        'threads': args.threads,
        'command': f'python model_zoo/compare_distillation.py {shlex.join(command_of(args))}',
        **comparing.origin(),
    }
    comparing.record(args, {'f1': '', **row} if 'f1' not in row else row)


def command_of(args):
    """The arguments that give the rows of one task again."""
    return ['--tasks', *args.tasks, '--layers', *map(str, args.layers)] + [
        '--seeds',
        *map(str, args.seeds),
    ]


def options_of(args, task, seed, given):
    """What all trainings of a task have in common, and further options."""
    folder = {} if args.data_dir is None else {'data_dir': args.data_dir / task}
    count = args.max_examples or NUM_LABELLED.get(task)
    limit = {} if count is None else {'max_train_examples': count}
    options = {**folder, **limit, 'seed': seed, 'resume': True, **given}
    return {**options, 'epochs': args.epochs} if args.epochs else options


def place_of(args, task, name, seed):
    folder = args.work / f'{task}_{seed}' / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    return folder


def train_teacher(args, task, seed):
    options = options_of(args, task, seed, TEACHER)
    folder = place_of(args, task, 'teacher', seed)
    return gb.finetune(task, args.model, output_dir=folder, **options)


def train(args, task, method, layers, seed, teacher):
    """Train a student by one of METHODS."""
    options = options_of(args, task, seed, STUDENT[task])
    folder = place_of(args, task, f'{method}_{layers}', seed)
    if method == 'alone':
        start = place_of(args, task, f'start_{layers}', seed)
        if not start.exists():
            checkpoint = open_checkpoint(args.model)
            chosen = choose_layers(
                DistillationOptions(num_layers=layers), checkpoint.config.num_layers
            )
            write_checkpoint(take_layers(checkpoint, chosen), start, 'huggingface')
        return gb.finetune(task, start, output_dir=folder, **options)
    more = {'alpha': 0.0}
    if method == 'distilled':
        more = {**DISTILLED[task], **unlabelled_of(args, task)}
    return gb.distill(
        teacher.folder, task=task, num_layers=layers, output_dir=folder, **options, **more
    )


def unlabelled_of(args, task):
    """The texts behind the labelled ones, as a file, where only the first have labels."""
    count = NUM_LABELLED.get(task)
    if count is None:
        return {}
    path = args.work / f'{task}_unlabelled.txt'
    if not path.is_file():
        row = gb.data.get_task(task)
        folder = args.data_dir / task if args.data_dir else gb.data.glue_folder(row)
        rest = gb.data.read_task(row, folder, 'train').examples[count:][: args.max_examples]
        path.write_text(''.join(f'{one.text.strip()}\n' for one in rest), encoding='utf-8')
    return {'unlabelled': [path]} if path.stat().st_size else {}


def speeds(trained, teacher, args, task, rounds=3):
    """Sequences per second of processor time, and as a multiple of the teacher's."""
    row = gb.data.get_task(task)
    folder = args.data_dir / task if args.data_dir else gb.data.glue_folder(row)
    examples = gb.data.read_task(row, folder, 'dev').examples
    inputs = [one.text if one.pair is None else (one.text, one.pair) for one in examples]
    pipelines = gb.load_pipeline(trained.folder), gb.load_pipeline(teacher.folder)
    features = pipelines[0].features(inputs)
    predictors = [gb.Predictor(pipeline.trained) for pipeline in pipelines]
    best = [float('inf')] * 2
    for _ in range(rounds):
        for number, predictor in enumerate(predictors):
            begin = time.process_time()
            for _ in predictor.batches(features):
                pass
            best[number] = min(best[number], time.process_time() - begin)
    return len(features) / best[0], best[1] / best[0]


def say(text):
    print(text, file=sys.stderr, flush=True)


if __name__ == '__main__':
    main()
