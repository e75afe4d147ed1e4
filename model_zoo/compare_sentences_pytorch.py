"""Compare training sentence vectors with sentence-transformers, from the same weights.

    python model_zoo/compare_sentences_pytorch.py --data glue_data/STS-B --loss cosent \\
        --output model_zoo/results/sentences.csv
    python model_zoo/compare_sentences_pytorch.py --data glue_data/STS-B --loss simcse \\
        --reinit_layers 3 --max_examples 2000 --batch_size 64 --lr 5e-5 \\
        --output model_zoo/results/sentences.csv

The data are those of STS-B; SimCSE reads the texts of its training pairs as lines, without scores.
--reinit_layers gives the upper layers random weights first: a weak start, which both systems share.
Each run is a separate process, and the systems take turns for each seed. The other side is
sentence-transformers' model and loss in a plain loop: AdamW, linear warm-up and decay, clipping,
random batches. Processor time is that of tokenization and training steps, without the loading of
packages and weights and without evaluation. sentence-transformers is required: python3 dev.py setup
--peers.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import comparing
import numpy as np

import gluon_bert as gb
from gluon_bert.tasks.sentence_data import measure

SYSTEMS = ('gluon_bert', 'sentence_transformers')


def make_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data', type=Path, required=True, help='folder of STS-B')
    parser.add_argument('--loss', choices=('cosent', 'simcse'), default='cosent')
    parser.add_argument('--seeds', type=int, nargs='+', default=[1, 2, 3])
    parser.add_argument('--systems', nargs='+', choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument('--epochs', type=int, default=1)
    parser.add_argument('--batch_size', type=int, default=16)
    parser.add_argument('--lr', type=float, default=2e-5)
    parser.add_argument('--max_len', type=int, default=64)
    parser.add_argument('--reinit_layers', type=int, default=0, help='upper layers made random')
    parser.add_argument('--max_examples', type=int, help='train on the first ones')
    parser.add_argument('--child', nargs=3, help='used by the script itself')
    comparing.add_output_arguments(parser)
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    if args.child:
        system, seed, start = args.child
        return print(json.dumps(RUNS[system](args, int(seed), start)))
    with tempfile.TemporaryDirectory() as folder:
        start = str(Path(folder, 'start'))
        make_start(args, start)
        for seed in args.seeds:
            for system in args.systems:
                load = os.getloadavg()[0]
                result = run_child(args, system, seed, start)
                comparing.record(args, describe(args, system, seed, load, result))


def make_start(args, folder):
    """Write the folder that both systems start from."""
    import mxnet as mx

    bert, _ = gb.get_model(
        comparing.MODEL, dataset_name=comparing.DATASET, pretrained=True, use_pooler=False
    )
    mx.random.seed(args.seeds[0])
    for layer in list(bert.layers)[len(bert.layers) - args.reinit_layers :]:
        for parameter in layer.collect_params().values():
            parameter.initialize(default_init=mx.init.Normal(0.02), force_reinit=True)
    tokenizer = gb.get_tokenizer(comparing.MODEL, comparing.DATASET)
    gb.SentenceEncoder(bert, tokenizer, max_length=args.max_len).save(folder)


def run_child(args, system, seed, start):
    """Run one system in a process of its own; return what it prints."""
    command = [sys.executable, __file__, *sys.argv[1:], '--child', system, str(seed), start]
    result = subprocess.run(
        command, check=True, env=comparing.environment(args), stdout=subprocess.PIPE
    )
    return json.loads(result.stdout.splitlines()[-1])


def describe(args, system, seed, load, result):
    """Make a row of the CSV file."""
    return {
        'system': system,
        'loss': args.loss,
        'seed': seed,
        **result,
        'examples': args.max_examples or 'all',
        'reinit_layers': args.reinit_layers,
        'batch_size': args.batch_size,
        'epochs': args.epochs,
        'lr': args.lr,
        'max_len': args.max_len,
        'threads': args.threads,
        'load': round(load, 1),
        **comparing.origin(),
    }


def read(args):
    """Read the examples to train on, and the dev set."""
    train, dev = (
        gb.data.read_text_groups(
            args.data / f'{split}.tsv', columns=('sentence1', 'sentence2'), score='score'
        )
        for split in ('train', 'dev')
    )
    if args.loss == 'simcse':
        lines = sorted({text for pair in train.texts for text in pair})
        random.Random(0).shuffle(lines)
        train = train._replace(texts=[(line,) for line in lines], scores=None)
    if args.max_examples:
        scores = train.scores and train.scores[: args.max_examples]
        train = train._replace(texts=train.texts[: args.max_examples], scores=scores)
    return train, dev


def run_gluon(args, seed, start):
    """Train and evaluate here."""
    from gluon_bert.modeling.embedder import BertEmbedder
    from gluon_bert.tasks.sentence_data import number_texts
    from gluon_bert.training import TrainingOptions, fit, make_sentence_objective, set_seed

    train, dev = read(args)
    tokenizer = gb.get_tokenizer(comparing.MODEL, comparing.DATASET)
    encoder = gb.SentenceEncoder(start)
    before = measure(dev, encoder.encode)[0]['spearman']
    network = BertEmbedder(encoder.bert)
    network.hybridize(static_alloc=True)
    set_seed(seed)
    begin = time.process_time()
    transform = gb.data.SentenceTransform(tokenizer, args.max_len)
    numbers, texts = number_texts(train.texts)
    repeats = 3 - numbers.shape[1]
    data = gb.data.GroupData(
        transform.transform_batch(texts, None)[0],
        numbers,
        train.scores,
        tokenizer.vocabulary[tokenizer.vocabulary.padding_token],
        args.batch_size,
        seed,
        distinct=args.loss == 'simcse',
        repeats=repeats,
        least=2,
    )
    options = TrainingOptions(
        epochs=args.epochs, learning_rate=args.lr, optimizer='adamw', seed=seed, log_interval=100
    )
    with tempfile.TemporaryDirectory() as folder:
        fit(network, data, make_sentence_objective(args.loss), options, folder)
    seconds = time.process_time() - begin
    trained = gb.SentenceEncoder(network.bert, tokenizer, max_length=args.max_len)
    return result_of(before, measure(dev, trained.encode)[0]['spearman'], seconds)


def run_pytorch(args, seed, start):
    """Train and evaluate by sentence-transformers."""
    import torch
    import transformers
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import losses

    torch.set_num_threads(args.threads)
    random.seed(seed)
    torch.manual_seed(seed)
    train, dev = read(args)
    model = SentenceTransformer(start, device='cpu')
    before = measure(dev, model.encode)[0]['spearman']
    loss_of = {'cosent': losses.CoSENTLoss, 'simcse': losses.MultipleNegativesRankingLoss}[
        args.loss
    ](model)
    begin = time.process_time()
    optimizer = torch.optim.AdamW(parameter_groups(model), lr=args.lr, eps=1e-6)
    steps = args.epochs * -(-len(train.texts) // args.batch_size)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, steps // 10, steps)
    model.train()
    for _ in range(args.epochs):
        for batch in batches_of(args, len(train.texts)):
            columns = list(zip(*(train.texts[i] for i in batch)))
            columns = columns if len(columns) > 1 else columns * 2
            labels = torch.tensor([train.scores[i] for i in batch]) if train.scores else None
            loss = loss_of([model.preprocess(list(column)) for column in columns], labels)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    seconds = time.process_time() - begin
    model.eval()
    return result_of(before, measure(dev, model.encode)[0]['spearman'], seconds)


def parameter_groups(model):
    """Split the parameters by whether their weights decay."""
    named = [(name, value) for name, value in model.named_parameters() if 'pooler' not in name]
    flat = [value for name, value in named if 'bias' in name or 'LayerNorm' in name]
    decays = [value for name, value in named if not ('bias' in name or 'LayerNorm' in name)]
    return [{'params': decays, 'weight_decay': 0.01}, {'params': flat, 'weight_decay': 0.0}]


def batches_of(args, count):
    """Draw the examples of each batch at random."""
    order = np.arange(count).tolist()
    random.shuffle(order)
    return [order[i : i + args.batch_size] for i in range(0, count, args.batch_size)]


def result_of(before, after, seconds):
    return {
        'spearman_before': round(before, 4),
        'spearman': round(after, 4),
        'cpu_seconds': round(seconds, 1),
    }


RUNS = {'gluon_bert': run_gluon, 'sentence_transformers': run_pytorch}

if __name__ == '__main__':
    sys.exit(main())
