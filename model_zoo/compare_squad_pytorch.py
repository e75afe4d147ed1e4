"""Compare fine-tuning for question answering with a plain PyTorch loop, from the same weights.

    python model_zoo/compare_squad_pytorch.py --train_file train40-v1.1.json \\
        --predict_file dev8-v1.1.json --seeds 1 2 --output model_zoo/results/squad.csv

Each run is a separate process. The frameworks run one after the other for each seed, so that
conditions are the same. The PyTorch side is transformers' BertForQuestionAnswering with AdamW,
linear warm-up and decay, clipping and random batches, padded to their longest sequence. Both use
the same code for windows, the choice of answers and the evaluation, which is tested against
Google's rules and official figures. The score is that of the last epoch, and the time of an epoch
is that of its training steps. PyTorch and transformers are required: python3 dev.py setup --peers.
"""

import sys
from pathlib import Path

import comparing


def make_parser():
    parser = comparing.make_parser(
        __doc__,
        seeds=[1, 2],
        batch_size=12,
        epochs=2,
        lr=5e-5,
        length='--max_seq_length',
        longest=384,
    )
    parser.add_argument('--train_file', type=Path, required=True)
    parser.add_argument('--predict_file', type=Path, required=True)
    parser.add_argument('--version_2', action='store_true')
    parser.add_argument('--doc_stride', type=int, default=128)
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    return comparing.compare(
        args,
        __file__,
        run_gluon,
        run_pytorch,
        lambda metrics: {
            'train_file': args.train_file.name,
            'predict_file': args.predict_file.name,
            'exact_match': round(metrics['exact' if args.version_2 else 'exact_match'], 4),
        },
    )


def run_gluon(args, seed):
    """Run the example script once."""
    return comparing.run_script(
        args,
        'finetune_squad.py',
        '--train_file',
        args.train_file,
        '--predict_file',
        args.predict_file,
        '--max_seq_length',
        args.max_len,
        '--doc_stride',
        args.doc_stride,
        '--seed',
        seed,
        *['--version_2'] * args.version_2,
    )


def load_data(args):
    """Load the questions and windows of each split, which both frameworks use."""
    import gluon_bert as gb

    tokenizer = gb.get_tokenizer(comparing.MODEL, comparing.DATASET)
    questions, windows = {}, {}
    for split, path in (('train', args.train_file), ('dev', args.predict_file)):
        training = split == 'train'
        questions[split] = gb.data.read_squad(path, training=training).questions
        windows[split] = gb.data.build_windows(
            questions[split], tokenizer, args.max_len, args.doc_stride, with_spans=training
        )
    return questions, windows


def run_pytorch(args):
    """Run the PyTorch side, in its own process; return metrics and the seconds of an epoch."""
    import torch
    import transformers

    questions, windows = load_data(args)
    features = {split: windows[split].features() for split in windows}
    spans = torch.tensor(windows['train'].span).long()
    model = transformers.BertForQuestionAnswering.from_pretrained(comparing.weights_folder())

    def loss_of(batch):
        return model(
            **comparing.padded([features['train'][i] for i in batch]),
            start_positions=spans[batch, 0],
            end_positions=spans[batch, 1],
        ).loss

    lengths = [feature.valid_length for feature in features['train']]
    seconds = comparing.train_pytorch(args, model, lengths, loss_of)
    scores = []
    with torch.no_grad():
        for feature in features['dev']:
            output = model(**comparing.padded([feature]))
            scores.append(torch.stack([output.start_logits[0], output.end_logits[0]], 1).numpy())
    return evaluate(args, questions['dev'], windows['dev'], scores), seconds


def evaluate(args, questions, windows, scores):
    import gluon_bert as gb

    answers = gb.squad_answers.find_answers(questions, windows, scores, version_2=args.version_2)
    return gb.squad_metrics.evaluate_squad(
        questions,
        {question.id: answer.text for question, answer in zip(questions, answers)},
        version_2=args.version_2,
    )


if __name__ == '__main__':
    sys.exit(main())
