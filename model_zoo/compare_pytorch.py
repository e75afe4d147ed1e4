"""Compare fine-tuning on a GLUE task with a plain PyTorch loop, from the same weights.

    GLUE_DIR=glue_data python model_zoo/compare_pytorch.py --task_name MRPC --seeds 1 2 3 \\
        --output model_zoo/results/compare_pytorch.csv

Each run is a separate process. The frameworks run one after the other for each seed, so that
conditions are the same. The PyTorch side is transformers' BertForSequenceClassification with AdamW,
linear warm-up and decay, clipping and random batches, padded to their longest sequence or, with
--torch_pad, all to max_len. The time of an epoch is that of its training steps, without evaluation.
PyTorch and transformers are required: python3 dev.py setup --peers.
"""

import sys

import comparing


def make_parser():
    parser = comparing.make_parser(
        __doc__, seeds=[1, 2, 3], batch_size=32, epochs=3, lr=5e-5, length='--max_len', longest=128
    )
    parser.add_argument('--task_name', default='MRPC')
    parser.add_argument('--torch_pad', action='store_true', help='pad to max_len in PyTorch')
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    return comparing.compare(
        args,
        __file__,
        run_gluon,
        run_pytorch,
        lambda metrics: {'task': args.task_name},
        'to max_len' if args.torch_pad else None,
    )


def run_gluon(args, seed):
    """Run the example script once."""
    return comparing.run_script(
        args,
        'finetune_classifier.py',
        '--task_name',
        args.task_name,
        '--max_len',
        args.max_len,
        '--seed',
        seed,
        '--dev_batch_size',
        '32',
    )


def load_data(args):
    """Load the task and, for each split, features and labels, which both frameworks use."""
    import gluon_bert as gb

    task = gb.data.get_task(args.task_name)
    transform = gb.data.SentenceTransform(
        gb.get_tokenizer(comparing.MODEL, comparing.DATASET), args.max_len
    )
    splits = {
        split: gb.data.read_task(task, gb.data.glue_folder(task), split).examples
        for split in ('train', 'dev')
    }
    features = {
        split: transform.transform_batch(
            [example.text for example in examples],
            [example.pair for example in examples] if task.is_pair else None,
        )[0]
        for split, examples in splits.items()
    }
    labels = {split: gb.data.label_array(examples) for split, examples in splits.items()}
    return task, features, labels


def run_pytorch(args):
    """Run the PyTorch side, in its own process; return metrics and the seconds of an epoch."""
    import torch
    import transformers

    import gluon_bert as gb

    task, features, labels = load_data(args)
    model = transformers.BertForSequenceClassification.from_pretrained(
        comparing.weights_folder(), num_labels=task.num_classes
    )

    def forward(split, indices):
        batch = comparing.padded(
            [features[split][i] for i in indices], args.max_len if args.torch_pad else None
        )
        return model(**batch).logits

    def loss_of(batch):
        target, scores = torch.tensor(labels['train'][batch]), forward('train', batch)
        return (
            torch.nn.functional.mse_loss(scores[:, 0], target.float())
            if task.is_regression
            else torch.nn.functional.cross_entropy(scores, target)
        )

    lengths = [feature.valid_length for feature in features['train']]
    seconds = comparing.train_pytorch(args, model, lengths, loss_of)
    with torch.no_grad():
        scores = torch.cat(
            [
                forward('dev', range(start, min(start + 32, len(labels['dev']))))
                for start in range(0, len(labels['dev']), 32)
            ]
        ).numpy()
    predicted = scores[:, 0] if task.is_regression else scores.argmax(1)
    return gb.metrics.evaluate_metrics(task.metrics, labels['dev'], predicted), seconds


if __name__ == '__main__':
    sys.exit(main())
