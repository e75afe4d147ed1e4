"""Measure one step of pre-training, with and without the kernel for masked words, and in PyTorch.

    python3 model_zoo/compare_pretraining_step.py --output model_zoo/results/pretraining_step.csv

Networks have random weights. A step is forward, backward, clipping and the update, on 32 sequences
of 128 tokens with 20 masked words each. Where MXNet's operators compute the loss, the encoder is
native all the same. In PyTorch the network is that of transformers; it computes scores at the
masked positions alone, or, as its own loss has it, at all. Each system runs in a process of its
own, of which processor time and memory are taken.
"""

import argparse
import dataclasses
import functools
import json
import resource
import shlex
import statistics
import subprocess
import sys
import time

import comparing
import numpy as np

import gluon_bert as gb

MODELS = [(2, 128, 2, 30522), (2, 128, 2, 8192), (4, 256, 4, 30522)]
LEARNING_RATE = 1e-4


def make_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    comparing.add_output_arguments(parser)
    parser.add_argument('--systems', nargs='+', default=list(SYSTEMS), choices=SYSTEMS)
    parser.add_argument(
        '--models',
        nargs='+',
        default=MODELS,
        type=lambda text: tuple(map(int, text.split(','))),
        help='layers,units,heads,vocabulary',
    )
    parser.add_argument(
        '--shape', nargs=3, type=int, default=[32, 128, 20], metavar=('N', 'T', 'M')
    )
    parser.add_argument('--steps', type=int, default=8, help='the first is not counted')
    parser.add_argument('--child', nargs=2, help='used by the script itself')
    return parser


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    args = make_parser().parse_args(argv)
    if args.child:
        system, model = args.child
        print(json.dumps(measure(SYSTEMS[system], json.loads(model), args)))
        return
    command = shlex.join(['python3', 'model_zoo/compare_pretraining_step.py', *argv])
    for model in args.models:
        for system in args.systems:
            child = ['--child', system, json.dumps(model)]
            result = subprocess.run(
                [sys.executable, '-W', 'ignore', __file__, *argv, *child],
                env=comparing.environment(args),
                check=True,
                stdout=subprocess.PIPE,
            )
            layers, units, _, vocab_size = model
            about = {'system': system, 'layers': layers, 'units': units, 'vocab_size': vocab_size}
            row = {**about, **json.loads(result.stdout), 'threads': args.threads}
            comparing.record(args, {**row, **comparing.origin(), 'command': command})


def measure(make_step, model, args):
    """Run the steps of a system: median processor time, peak memory, loss of the last step."""
    step, times = make_step(model, make_batch(model[3], *args.shape)), []
    for number in range(args.steps):
        start = time.process_time()
        loss = step(number)
        times.append(time.process_time() - start)
    return {
        'cpu_ms': round(1000 * statistics.median(times[1:])),
        'peak_mb': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        'loss': round(loss, 4),
    }


def make_batch(vocab_size, size, length, num_masked):
    """Draw ids, positions, words and labels of the next sentence."""
    rng = np.random.RandomState(0)
    positions = [np.sort(rng.permutation(length)[:num_masked]) for _ in range(size)]
    return (
        rng.randint(0, vocab_size, (size, length)),
        np.array(positions),
        rng.randint(0, vocab_size, (size, num_masked)),
        rng.randint(0, 2, size),
    )


def make_gluon_step(model, batch, is_native=True, dtype='float32', reduction=None):
    import mxnet as mx

    from gluon_bert.training.batches import Batch
    from gluon_bert.training.options import TrainingOptions
    from gluon_bert.training.step import TrainingStep

    layers, units, heads, vocab_size = model
    ids, positions, words, follows = map(mx.nd.array, batch)
    config = gb.BertConfig(
        vocab_size=vocab_size,
        units=units,
        hidden_size=4 * units,
        num_layers=layers,
        num_heads=heads,
        max_length=max(512, ids.shape[1]),
        num_token_types=2,
        dropout=0.1,
        layer_norm_eps=1e-12,
        activation='gelu',
        pooler_activation='tanh',
    )
    mx.random.seed(0)
    network = gb.BertForPretraining(gb.BertModel(config))
    network.initialize(mx.init.Normal(0.02))
    network.hybridize()
    objective = gb.training.objectives.OBJECTIVES['pretraining']
    step = TrainingStep(
        network,
        dataclasses.replace(objective, lazy_scores=is_native),
        TrainingOptions(learning_rate=LEARNING_RATE, dtype=dtype),
        1000,
        reduction,
    )
    lengths = mx.nd.full(len(ids), ids.shape[1])
    inputs = (ids, mx.nd.zeros_like(ids), lengths, positions)
    data = Batch(inputs, (words, mx.nd.ones_like(words), follows))

    def run(number):
        loss = step([data], number).loss
        mx.nd.waitall()
        return loss

    run.training_step = step
    return run


def make_pytorch_step(model, batch, gathers=True):
    import torch
    import transformers

    layers, units, heads, vocab_size = model
    ids, positions, words, follows = map(torch.tensor, batch)
    config = transformers.BertConfig(
        vocab_size=vocab_size,
        hidden_size=units,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * units,
        max_position_embeddings=max(512, ids.shape[1]),
    )
    torch.manual_seed(0)
    network = transformers.BertForPreTraining(config).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE)
    labels = torch.full_like(ids, -100).scatter(1, positions, words)
    cross_entropy = torch.nn.functional.cross_entropy

    def loss_of_masked():
        encoded = network.bert(ids, attention_mask=torch.ones_like(ids))
        chosen = positions[:, :, None].expand(-1, -1, units)
        scores = network.cls.predictions(encoded.last_hidden_state.gather(1, chosen))
        follows_scores = network.cls.seq_relationship(encoded.pooler_output)
        return cross_entropy(scores.flatten(0, 1), words.flatten()) + cross_entropy(
            follows_scores, follows
        )

    def run(number):
        optimizer.zero_grad()
        if gathers:
            loss = loss_of_masked()
        else:
            loss = network(ids, labels=labels, next_sentence_label=follows).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return run


SYSTEMS = {
    'gluon_bert': make_gluon_step,
    'gluon_bert bfloat16': functools.partial(make_gluon_step, dtype='bfloat16'),
    'gluon_bert, loss by operators': functools.partial(make_gluon_step, is_native=False),
    'pytorch, masked positions': make_pytorch_step,
    'pytorch, all positions': functools.partial(make_pytorch_step, gathers=False),
}


if __name__ == '__main__':
    main()
