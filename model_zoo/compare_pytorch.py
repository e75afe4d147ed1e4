"""Fine-tune the same weights on the same GLUE task here and in a plain PyTorch loop, side by side.

    GLUE_DIR=glue_data python model_zoo/compare_pytorch.py --task_name MRPC --seeds 1 2 3 \\
        --output model_zoo/results/compare_pytorch.csv

Each run is a process of its own, one framework after the other, seed by seed, so that both see the
same machine. The PyTorch side is transformers' BertForSequenceClassification with AdamW, linear
warm-up and decay, clipping and random batches, padded to their longest sequence or, with
--torch_pad, all to max_len. The time of an epoch is that of its training steps alone, evaluation
left out. Needs PyTorch and transformers: python3 dev.py setup --peers.
"""
import argparse
import csv
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gluon_bert.zoo import OFFLINE_DEFAULT

EXAMPLES = Path(__file__).resolve().parents[1] / 'examples'
MODEL, DATASET = OFFLINE_DEFAULT
FIELDS = ['framework', 'task', 'seed', 'score', 'metric', 'seconds_per_epoch', 'padding',
          'batch_size', 'epochs', 'lr', 'max_len', 'threads', 'hardware', 'commit']


def make_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--task_name', default='MRPC')
    parser.add_argument('--seeds', type=int, nargs='+', default=[1, 2, 3])
    parser.add_argument('--batch_size', type=int, default=32)
    parser.add_argument('--epochs', type=int, default=3)
    parser.add_argument('--lr', type=float, default=5e-5)
    parser.add_argument('--max_len', type=int, default=128)
    parser.add_argument('--optimizer', default='adam', help='of our side')
    parser.add_argument('--threads', type=int, default=os.cpu_count())
    parser.add_argument('--torch_pad', action='store_true', help='pad to max_len in PyTorch')
    parser.add_argument('--frameworks', nargs='+', default=['gluon_bert', 'pytorch'],
                        choices=['gluon_bert', 'pytorch'])
    parser.add_argument('--output', type=Path, help='CSV to append to')
    parser.add_argument('--child', help=argparse.SUPPRESS)
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    if args.child:
        return run_pytorch(args)
    rows = []
    for seed in args.seeds:
        for framework in args.frameworks:
            row = (run_gluon if framework == 'gluon_bert' else spawn_pytorch)(args, seed)
            rows.append(row)
            print(json.dumps(row), flush=True)
            if args.output:
                append(args.output, row)
    for framework in args.frameworks:
        own = [row for row in rows if row['framework'] == framework]
        print(f'{framework}: mean {own[0]["metric"]} '
              f'{statistics.mean(row["score"] for row in own):.4f}, median seconds an epoch '
              f'{statistics.median(row["seconds_per_epoch"] for row in own):.1f}')


def describe(args, framework, seed, metrics, seconds, padding):
    name, score = next(iter(metrics.items()))
    commit = subprocess.run(['git', 'rev-parse', '--short', 'HEAD'], capture_output=True,
                            text=True, cwd=EXAMPLES).stdout.strip()
    return {'framework': framework, 'task': args.task_name, 'seed': seed, 'score': round(score, 4),
            'metric': name, 'seconds_per_epoch': round(seconds, 1), 'padding': padding,
            'batch_size': args.batch_size, 'epochs': args.epochs, 'lr': args.lr,
            'max_len': args.max_len, 'threads': args.threads, 'hardware': hardware(),
            'commit': commit}


def run_gluon(args, seed):
    """One run of the example script; its metrics.jsonl tells scores and times."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(EXAMPLES / 'finetune_classifier.py'), '--task_name',
                   args.task_name, '--bert_model', MODEL, '--bert_dataset', DATASET,
                   '--batch_size', args.batch_size, '--epochs', args.epochs, '--lr', args.lr,
                   '--optimizer', args.optimizer, '--max_len', args.max_len, '--seed', seed,
                   '--log_interval', '1', '--dev_batch_size', '32', '--output_dir', folder]
        subprocess.run(list(map(str, command)), check=True, env=environment(args),
                       stderr=subprocess.DEVNULL)
        rows = [json.loads(line)
                for line in (Path(folder) / 'metrics.jsonl').read_text().splitlines()]
    # From the end of the first step, when everything is loaded and warm, to that of the last.
    seconds = []
    for epoch in range(args.epochs):
        times = [row['seconds'] for row in rows if row['epoch'] == epoch and 'loss' in row]
        seconds.append((times[-1] - times[0]) * len(times) / (len(times) - 1))
    metrics = [row['metrics'] for row in rows if 'metrics' in row][-1]
    return describe(args, 'gluon_bert', seed, metrics, statistics.median(seconds),
                    'batches of like lengths')


def spawn_pytorch(args, seed):
    command = [sys.executable, __file__, '--child', str(seed), *sys.argv[1:]]
    result = subprocess.run(command, check=True, env=environment(args), stdout=subprocess.PIPE)
    metrics, seconds = json.loads(result.stdout.splitlines()[-1])
    return describe(args, 'pytorch', seed, metrics, seconds,
                    'to max_len' if args.torch_pad else 'to the longest of the batch')


def load_data(args):
    """The task, its features and labels by split: the same for both frameworks."""
    import gluon_bert as gb
    task = gb.data.get_task(args.task_name)
    transform = gb.data.SentenceTransform(gb.get_tokenizer(MODEL, DATASET), args.max_len)
    splits = {split: gb.data.read_task(task, gb.data.task_folder(task), split).examples
              for split in ('train', 'dev')}
    features = {split: transform.transform_batch(
        [example.text for example in examples],
        [example.pair for example in examples] if task.is_pair else None)[0]
        for split, examples in splits.items()}
    labels = {split: gb.data.label_array(examples) for split, examples in splits.items()}
    return task, features, labels


def run_pytorch(args):
    """The plain loop, in its own process; prints metrics and the seconds of an epoch."""
    import torch
    import transformers

    import gluon_bert as gb
    seed = int(args.child)
    random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(args.threads)
    folder = str(gb.zoo.store.find_file(gb.zoo.WEIGHTS[MODEL, DATASET], Path('')).parent)
    task, features, labels = load_data(args)
    model = transformers.BertForSequenceClassification.from_pretrained(
        folder, num_labels=task.num_classes)
    decays = [p for name, p in model.named_parameters()
              if not ('bias' in name or 'LayerNorm' in name)]
    others = [p for name, p in model.named_parameters() if 'bias' in name or 'LayerNorm' in name]
    optimizer = torch.optim.AdamW([{'params': decays, 'weight_decay': 0.01},
                                   {'params': others, 'weight_decay': 0.0}], lr=args.lr, eps=1e-6)
    steps = args.epochs * -(-len(features['train']) // args.batch_size)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, steps // 10, steps)

    def forward(split, indices):
        inputs, types, lengths = gb.data.pad_batch(
            [features[split][i] for i in indices], 0,
            round_to=args.max_len if args.torch_pad else None)
        mask = torch.arange(inputs.shape[1])[None] < torch.tensor(lengths)[:, None]
        return model(torch.tensor(inputs).long(), attention_mask=mask.long(),
                     token_type_ids=torch.tensor(types).long()).logits

    seconds = []
    for _ in range(args.epochs):
        model.train()
        order = list(range(len(features['train'])))
        random.shuffle(order)
        times = []
        for start in range(0, len(order), args.batch_size):
            batch = order[start:start + args.batch_size]
            target = torch.tensor(labels['train'][batch])
            scores = forward('train', batch)
            loss = (torch.nn.functional.mse_loss(scores[:, 0], target.float())
                    if task.is_regression else torch.nn.functional.cross_entropy(scores, target))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            loss.item()
            times.append(time.perf_counter())
        seconds.append((times[-1] - times[0]) * len(times) / (len(times) - 1))
    model.eval()
    with torch.no_grad():
        scores = torch.cat([forward('dev', range(start, min(start + 32, len(labels['dev']))))
                            for start in range(0, len(labels['dev']), 32)]).numpy()
    predicted = scores[:, 0] if task.is_regression else scores.argmax(1)
    metrics = gb.metrics.evaluate_metrics(task.metrics, labels['dev'], predicted)
    print(json.dumps([metrics, statistics.median(seconds)]))


def environment(args):
    return {**os.environ, 'OMP_NUM_THREADS': str(args.threads)}


def hardware():
    """The processor's name and count."""
    info = Path('/proc/cpuinfo')
    names = [line.split(':')[1].strip() for line in info.read_text().splitlines()
             if line.startswith('model name')] if info.is_file() else []
    return f'{os.cpu_count()} x {names[0] if names else platform.processor()}'


def append(path, row):
    """Add a line to a CSV file, with a header if it is new."""
    is_new = not path.is_file()
    with open(path, 'a', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, FIELDS)
        if is_new:
            writer.writeheader()
        writer.writerow(row)


if __name__ == '__main__':
    sys.exit(main())
