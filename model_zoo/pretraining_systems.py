"""The systems of compare_pretraining_pytorch.py: each trains from the same parameters.

``SYSTEMS`` has functions of the options, the folder of the first parameters, the seed, the number
of steps, and the streams of the records for training and held out. They give the mean training
loss of each 50th of the steps, the evaluations, each with its step, and the time of the steps.
"""

import contextlib
import functools
import json
import time

import gluon_bert as gb
from gluon_bert.training.schedule import linear_schedule

WARMUP_RATIO, MAX_NORM, DECAY, EPSILON = 0.1, 1.0, 0.01, 1e-6


def arrays_of(stream):
    """Read the batches of all epochs, without end."""
    batches = stream.batches()
    while True:
        yield from batches.arrays()


class Clock:
    """Processor and wall time in seconds, that of evaluations left out."""

    def __init__(self):
        self._since = self._now()

    @staticmethod
    def _now():
        return time.process_time(), time.perf_counter()

    @contextlib.contextmanager
    def paused(self):
        before = self._now()
        yield
        spans = zip(self._since, before, self._now())
        self._since = tuple(since + end - begin for since, begin, end in spans)

    def read(self):
        cpu, wall = (now - since for now, since in zip(self._now(), self._since))
        return {'cpu_seconds': cpu, 'wall_seconds': wall}


def train_gluon(args, start, seed, steps, stream, held_out):
    """Train by ``fit``."""
    import mxnet as mx

    from gluon_bert.tasks.pretraining.evaluation import evaluate, make_encoder
    from gluon_bert.tasks.pretraining.network import make_network
    from gluon_bert.tasks.pretraining.objectives import PRETRAINING_OBJECTIVES
    from gluon_bert.tasks.pretraining.options import PretrainingData
    from gluon_bert.tasks.start import Start

    row = PRETRAINING_OBJECTIVES['pretraining']
    origin = Start(pretrained_bert_parameters=str(start))
    network = make_network(origin, PretrainingData(), [mx.cpu()], seed).network
    encoder = make_encoder(network, row)
    options = gb.training.TrainingOptions(
        training_steps=steps,
        optimizer='adamw',
        learning_rate=args.lr,
        epsilon=EPSILON,
        weight_decay=DECAY,
        warmup_ratio=WARMUP_RATIO,
        max_grad_norm=MAX_NORM,
        seed=seed,
        log_interval=interval(steps, 50),
        evaluate_every=interval(steps, args.evaluations),
        checkpoint_interval=steps,
    )
    clock = Clock()

    def evaluate_held_out(network):
        with clock.paused():
            return evaluate(network, row, held_out.batches(), encoder)

    output = start.with_name(f'run_{seed}_{steps}')
    gb.training.fit(
        network, stream, 'pretraining', options, output, evaluate=evaluate_held_out, overwrite=True
    )
    result = clock.read()
    rows = [json.loads(line) for line in (output / 'metrics.jsonl').read_text().splitlines()]
    logged = [row for row in rows if 'loss' in row]
    first, last = logged[0], logged[-1]
    passed = max(1, last['step'] - first['step'])
    return {
        **result,
        'steps': steps,
        'seconds_per_step': (last['seconds'] - first['seconds']) / passed,
        'losses': [row['loss'] for row in logged],
        'curve': [(row['step'], row['metrics']) for row in rows if 'metrics' in row],
    }


def interval(steps, count):
    return max(1, steps // count)


def train_pytorch(args, start, seed, steps, stream, held_out, gathers=True):
    """Train in a plain loop."""
    import torch
    import transformers

    torch.manual_seed(seed)
    torch.set_num_threads(args.threads)
    network = transformers.BertForPreTraining.from_pretrained(start).train()
    # [PAD] may be a random word in the place of a masked one, and learns here; there it would not.
    network.bert.embeddings.word_embeddings.padding_idx = None
    loss_of = loss_of_masked if gathers else loss_of_all
    groups = {True: [], False: []}
    for name, parameter in network.named_parameters():
        groups['bias' not in name and 'LayerNorm' not in name].append(parameter)
    optimizer = torch.optim.AdamW(
        [{'params': groups[decays], 'weight_decay': DECAY * decays} for decays in groups],
        eps=EPSILON,
    )
    last = steps if gathers else min(steps, args.default_steps)
    clock, losses, curve, recent = Clock(), [], [], []
    for step, arrays in zip(range(1, last + 1), arrays_of(stream)):
        for group in optimizer.param_groups:
            group['lr'] = linear_schedule(step, steps, int(steps * WARMUP_RATIO), args.lr)
        loss = loss_of(network, arrays)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), MAX_NORM)
        optimizer.step()
        optimizer.zero_grad()
        recent.append(loss.item())
        if step % interval(steps, 50) == 0 or step == last:
            losses.append(sum(recent) / len(recent))
            recent = []
        if step % interval(steps, args.evaluations) == 0 or step == last:
            with clock.paused():
                curve.append((step, evaluate_pytorch(network, held_out)))
    return {**clock.read(), 'steps': last, 'losses': losses, 'curve': curve}


def scores_of(network, arrays):
    """Compute scores of words at the masked positions, and of pairs, each with its labels."""
    import torch

    rows, places = arrays.masked_weights.nonzero()
    encoded = network.bert(**inputs_of(arrays))
    masked = encoded.last_hidden_state[rows, arrays.masked_positions[rows, places]]
    words, pairs = network.cls(masked, encoded.pooler_output)
    ids = torch.tensor(arrays.masked_ids[rows, places]).long()
    return (words, ids), (pairs, torch.tensor(arrays.next_sentence).long())


def inputs_of(arrays):
    import torch

    ids, lengths = torch.tensor(arrays.token_ids).long(), torch.tensor(arrays.valid_length)
    return {
        'input_ids': ids,
        'token_type_ids': torch.tensor(arrays.token_types).long(),
        'attention_mask': (torch.arange(ids.shape[1])[None] < lengths[:, None]).long(),
    }


def loss_of_masked(network, arrays):
    from torch.nn.functional import cross_entropy

    return sum(cross_entropy(*scores) for scores in scores_of(network, arrays))


def loss_of_all(network, arrays):
    import torch

    rows, places = arrays.masked_weights.nonzero()
    labels = torch.full(arrays.token_ids.shape, -100)
    masked = arrays.masked_ids[rows, places]
    labels[rows, arrays.masked_positions[rows, places]] = torch.tensor(masked).long()
    follows = torch.tensor(arrays.next_sentence).long()
    return network(**inputs_of(arrays), labels=labels, next_sentence_label=follows).loss


def evaluate_pytorch(network, held_out):
    """Average over the held-out records: the metrics of gluon_bert's evaluation."""
    import torch

    totals = {name: [0.0, 0.0, 0] for name in ('masked_lm', 'next_sentence')}
    network.eval()
    with torch.no_grad():
        for arrays in held_out.batches().arrays():
            for total, (scores, labels) in zip(totals.values(), scores_of(network, arrays)):
                loss = torch.nn.functional.cross_entropy(scores, labels, reduction='sum')
                hits = (scores.argmax(1) == labels).sum()
                total[:] = total[0] + loss.item(), total[1] + hits.item(), total[2] + len(labels)
    network.train()
    metrics = {}
    for name, (loss, hits, count) in totals.items():
        metrics[f'{name}_loss'], metrics[f'{name}_accuracy'] = loss / count, hits / count
    return metrics


SYSTEMS = {
    'gluon_bert': train_gluon,
    'pytorch, masked positions': train_pytorch,
    'pytorch, all positions': functools.partial(train_pytorch, gathers=False),
}
