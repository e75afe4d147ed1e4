"""Pre-train the same network here and with transformers in PyTorch; compare losses and cost.

    GLUON_BERT_DATA=data python3 model_zoo/compare_pretraining_pytorch.py --minutes 60 \\
        --seeds 1 2 3 --output model_zoo/results/pretraining_pytorch.csv

The texts, by default those of GLUON_BERT_DATA/corpus, are cut into documents at blank lines. Every
tenth is held out. The vocabulary is learned from the others, and records with masked words and
pairs of segments are made of them. For each seed, random parameters are written in transformers'
layout; each system reads them in a process of its own, and trains on the same batches in the same
order with AdamW, the same rates, decay and clipping. Dropout is as each system draws it. Here the
loop is ``fit``. In PyTorch it is a plain one, on transformers' BertForPreTraining: it computes
scores at the masked positions alone, or, as the network's own loss has it, at all; the latter makes
the first --default_steps steps only. transformers does not train the embedding of [PAD]; as it may
take the place of a masked word, it is trained in both. With --dropout 0 the losses are the same.

Processor and wall time are those of the steps, without evaluations; here, they include the saved
states. Memory is the peak of the process. PyTorch and transformers are required:
python3 dev.py setup --peers.
"""

import argparse
import csv
import itertools
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import comparing
from pretraining_systems import SYSTEMS, arrays_of

import gluon_bert as gb

DOCUMENT = 4000  # characters at least
TIMED_STEPS = 30  # to find how many fit into --minutes
METRICS = ('masked_lm_loss', 'masked_lm_accuracy', 'next_sentence_accuracy')


def make_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('files', nargs='*', type=Path, help='texts')
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument('--steps', type=int)
    budget.add_argument('--minutes', type=float, help='of gluon_bert; the others make its steps')
    parser.add_argument('--systems', nargs='+', default=list(SYSTEMS), choices=SYSTEMS)
    parser.add_argument('--seeds', type=int, nargs='+', default=[1, 2, 3])
    parser.add_argument('--layers', type=int, default=4)
    parser.add_argument('--units', type=int, default=256)
    parser.add_argument('--vocab_size', type=int, default=8192)
    parser.add_argument('--batch_size', type=int, default=32)
    parser.add_argument('--lr', type=float, default=5e-4)
    parser.add_argument('--dropout', type=float, default=0.1)
    parser.add_argument('--max_seq_length', type=int, default=128)
    parser.add_argument('--max_predictions_per_seq', type=int, default=20)
    parser.add_argument('--dupe_factor', type=int, default=10)
    parser.add_argument('--evaluations', type=int, default=10, help='on the held-out records')
    parser.add_argument('--default_steps', type=int, default=20)
    parser.add_argument('--child', type=json.loads, help='used by the script itself')
    comparing.add_output_arguments(parser)
    return parser


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    parser = make_parser()
    args = parser.parse_args(argv)
    if args.child:
        return print(json.dumps(measure(args, **args.child)))
    if not args.files and 'GLUON_BERT_DATA' in os.environ:
        args.files = sorted(Path(os.environ['GLUON_BERT_DATA'], 'corpus').glob('*.txt'))
    if not args.files:
        parser.error('expected texts, or GLUON_BERT_DATA with corpus/*.txt')
    command = shlex.join(['python3', 'model_zoo/compare_pretraining_pytorch.py', *argv])
    with tempfile.TemporaryDirectory() as folder:
        tokenizer, counts = make_data(args, Path(folder))
        for seed in args.seeds:
            write_start(args, tokenizer, Path(folder), seed)
        steps = args.steps or count_steps(args, argv, folder)
        for seed, system in itertools.product(args.seeds, args.systems):
            result = run_child(args, argv, folder, system, seed, steps)
            row = describe(args, system, seed, {**counts, **result})
            comparing.record(args, {**row, **comparing.origin(), 'command': command})
    if args.output:
        draw(args.output, args.output.with_suffix('.png'))
    return None


def make_data(args, folder):
    """Learn the vocabulary, and write the records; return the tokenizer and the counts."""
    documents = [part for path in args.files for part in split_documents(path.read_text('utf-8'))]
    parts = {
        'train': [text for number, text in enumerate(documents) if number % 10 != 9],
        'held_out': documents[9::10],
    }
    tokenizer = gb.data.learn_wordpiece(parts['train'], args.vocab_size)
    counts = {'vocab_size': len(tokenizer.vocabulary)}
    for name, texts in parts.items():
        (folder / f'{name}.txt').write_text('\n\n'.join(texts) + '\n', encoding='utf-8')
        options = gb.data.PretrainingDataOptions(
            masking=gb.data.Masking(max_predictions=args.max_predictions_per_seq),
            max_seq_length=args.max_seq_length,
            dupe_factor=args.dupe_factor if name == 'train' else 1,
            input_format='text',
        )
        summary = gb.data.create_pretraining_data(
            folder / f'{name}.txt', folder / f'{name}.tfrecord', tokenizer, options
        )
        counts[f'{name}_records'] = summary.num_records
    return tokenizer, counts


def split_documents(text):
    """Join paragraphs, a line each, until a document has DOCUMENT characters."""
    documents, lines = [], []
    for block in re.split(r'\n\s*\n', text):
        lines += [' '.join(block.split())] if block.strip() else []
        if sum(map(len, lines)) >= DOCUMENT:
            documents.append('\n'.join(lines))
            lines = []
    return documents + ['\n'.join(lines)] * bool(lines)


def write_start(args, tokenizer, folder, seed):
    """Write random parameters in a folder that both frameworks read."""
    import mxnet as mx

    config = gb.BertConfig(
        vocab_size=len(tokenizer.vocabulary),
        units=args.units,
        hidden_size=4 * args.units,
        num_layers=args.layers,
        num_heads=max(1, args.units // 64),
        max_length=args.max_seq_length,
        num_token_types=2,
        dropout=args.dropout,
        layer_norm_eps=1e-12,
        activation='gelu',
        pooler_activation='tanh',
    )
    gb.training.set_seed(seed)
    network = gb.BertForPretraining(gb.BertModel(config))
    network.initialize(mx.init.Normal(0.02))
    checkpoint = gb.checkpoint.Checkpoint(network.checkpoint_arrays(), config, tokenizer=tokenizer)
    gb.checkpoint.write_checkpoint(checkpoint, folder / f'start_{seed}', 'huggingface')


def count_steps(args, argv, folder):
    """Count the steps that gluon_bert makes in --minutes, by a few of them."""
    argv = [*argv, '--evaluations', '1']
    result = run_child(args, argv, folder, 'gluon_bert', args.seeds[0], TIMED_STEPS)
    return max(1, int(60 * args.minutes / result['seconds_per_step']))


def run_child(args, argv, folder, system, seed, steps):
    child = {'system': system, 'seed': seed, 'folder': str(folder), 'steps': steps}
    result = subprocess.run(
        [sys.executable, '-W', 'ignore', __file__, *argv, '--child', json.dumps(child)],
        env=comparing.environment(args),
        check=True,
        stdout=subprocess.PIPE,
    )
    return json.loads(result.stdout.splitlines()[-1])


def measure(args, system, seed, folder, steps):
    """Train in this process: losses, evaluations, time, memory, tokens."""
    stream, held_out = (
        gb.data.PretrainingStream(
            Path(folder, f'{name}.tfrecord'),
            gb.data.StreamOptions(args.batch_size, seed, buffer_size),
        )
        for name, buffer_size in (('train', 16384), ('held_out', 0))
    )
    start = Path(folder, f'start_{seed}')
    result = SYSTEMS[system](args, start, seed, steps, stream, held_out)
    result['peak_mb'] = comparing.memory('VmHWM') >> 20
    batches = itertools.islice(arrays_of(stream), result['steps'])
    result['tokens'] = sum(int(arrays.valid_length.sum()) for arrays in batches)
    return result


def describe(args, system, seed, result):
    """Make a row of the CSV file; the metrics are those of the last evaluation."""
    options = ('layers', 'units', 'batch_size', 'lr', 'dropout', 'threads')
    curve = [f'{step}:{metrics["masked_lm_loss"]:.4f}' for step, metrics in result['curve']]
    return {
        'system': system,
        'seed': seed,
        'steps': result['steps'],
        **{name: round(result['curve'][-1][1][name], 4) for name in METRICS},
        'cpu_seconds': round(result['cpu_seconds'], 2),
        'wall_seconds': round(result['wall_seconds'], 2),
        'peak_mb': result['peak_mb'],
        'tokens_per_cpu_second': round(result['tokens'] / result['cpu_seconds']),
        'held_out_curve': ' '.join(curve),
        'training_losses': ' '.join(f'{loss:.6f}' for loss in result['losses']),
        **{name: result[name] for name in ('train_records', 'held_out_records', 'vocab_size')},
        **{name: getattr(args, name) for name in options},
    }


def draw(path, target):
    """Plot the held-out loss of masked words over the steps, a line to a run of the file."""
    from gluon_bert.plots import style

    with open(path, newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    with style.picture(target, (5.2, 2.9)) as (figure, _):
        axes = figure.subplots()
        for number, system in enumerate(SYSTEMS):
            own = [row for row in rows if row['system'] == system]
            for row, label in zip(own, itertools.chain([system], itertools.repeat(None))):
                points = [point.split(':') for point in row['held_out_curve'].split()]
                axes.plot(
                    [int(step) for step, _ in points],
                    [float(loss) for _, loss in points],
                    label=label,
                    color=style.PALETTE[number],
                    linestyle=style.DASHES[number],
                    marker=style.MARKERS[number],
                    markersize=3,
                )
        axes.set_xlabel('steps')
        axes.set_ylabel('held-out loss of masked words')
        axes.grid(True)
        axes.legend(loc='upper right')


if __name__ == '__main__':
    main()
