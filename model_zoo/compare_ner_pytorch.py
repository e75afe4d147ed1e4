"""Compare fine-tuning for entities with a plain PyTorch loop, from the same weights.

    python model_zoo/compare_ner_pytorch.py --train_file wnut17train.conll \\
        --eval_file emerging.test.annotated --seeds 1 2 3 --output model_zoo/results/ner.csv

Each run is a separate process. The frameworks run one after the other for each seed, so that
conditions are the same. The PyTorch side is transformers' BertForTokenClassification with AdamW,
linear warm-up and decay, clipping and random batches, padded to their longest window. Its loss is
the mean over the words of a batch; here it is the mean over the words of a window, and then over
windows. Both use the same code for windows, labels and the metrics, which are tested against
seqeval. The score is the F1 of the last epoch, so that no epoch is chosen by the evaluation file.
The time of an epoch is that of its training steps. PyTorch and transformers are required: python3
dev.py setup --peers.
"""

import sys
from pathlib import Path

import comparing


def make_parser():
    parser = comparing.make_parser(
        __doc__, seeds=[1, 2, 3], batch_size=16, epochs=4, lr=2e-4, length='--seq_len', longest=128
    )
    parser.add_argument('--train_file', type=Path, required=True)
    parser.add_argument('--eval_file', type=Path, required=True)
    parser.add_argument('--repair', action='store_true', help='repair invalid sequences of tags')
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    return comparing.compare(
        args,
        __file__,
        run_gluon,
        run_pytorch,
        lambda metrics: {'train_file': args.train_file.name, 'eval_file': args.eval_file.name},
    )


def run_gluon(args, seed):
    """Run the example script once."""
    return comparing.run_script(
        args,
        'finetune_ner.py',
        '--train_path',
        args.train_file,
        '--dev_path',
        args.eval_file,
        '--seq_len',
        args.max_len,
        '--seed',
        seed,
        *['--repair'] * args.repair,
    )


def load_data(args):
    """Load the tag names and, for each split, the windows, their labels and the true tags."""
    import gluon_bert as gb

    tokenizer = gb.get_tokenizer(comparing.MODEL, comparing.DATASET)
    names, splits = None, {}
    for split, path in (('train', args.train_file), ('eval', args.eval_file)):
        file = gb.data.read_tagged(path, repair=args.repair)
        names = names or gb.data.tag_names(file.entity_types(), file.scheme)
        gold = [row.tags for row in file.sentences]
        windows = gb.data.make_windows(
            tokenizer, [row.words for row in file.sentences], args.max_len
        )
        labels = gb.data.window_labels(
            windows, [[names.index(tag) for tag in tags] for tags in gold]
        )
        splits[split] = windows, labels, gold
    return names, splits


def run_pytorch(args):
    """Run the PyTorch side, in its own process; return metrics and the seconds of an epoch."""
    import torch
    import transformers

    names, splits = load_data(args)
    windows, labels, _ = splits['train']
    model = transformers.BertForTokenClassification.from_pretrained(
        comparing.weights_folder(), num_labels=len(names)
    )

    def loss_of(batch):
        scores = model(**comparing.padded([windows[i].features for i in batch])).logits
        target = torch.nn.utils.rnn.pad_sequence(
            [torch.tensor(labels[i]) for i in batch], batch_first=True, padding_value=-1
        )
        return torch.nn.functional.cross_entropy(
            scores.flatten(0, 1), target.flatten(), ignore_index=-1
        )

    lengths = [window.features.valid_length for window in windows]
    seconds = comparing.train_pytorch(args, model, lengths, loss_of)
    return evaluate(model, names, *splits['eval']), seconds


def evaluate(model, names, windows, labels, gold):
    import torch

    import gluon_bert as gb

    outputs = []
    with torch.no_grad():
        for window in windows:
            scores = model(**comparing.padded([window.features])).logits[0].numpy()
            outputs.append(scores[window.firsts])
    scores = gb.data.join_windows(windows, outputs, [len(tags) for tags in gold])
    predicted = [[names[number] for number in row.argmax(1)] for row in scores]
    return {'f1': gb.entity_metrics.entity_report(gold, predicted).overall.f1}


if __name__ == '__main__':
    sys.exit(main())
