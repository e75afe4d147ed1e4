"""Fine-tune a BERT to find the answers to questions in a paragraph: SQuAD 1.1, 2.0 and the like.

    SQUAD_DIR=squad MXNET_GPU_MEM_POOL_TYPE=Round python3 finetune_squad.py \\
        --optimizer adam --accumulate 2 --batch_size 6 --lr 3e-5 --epochs 2 --gpu

    python3 finetune_squad.py --train_file train.json --predict_file dev.json --version_2

    python3 finetune_squad.py --only_predict --predict_file test.json \\
        --model_parameters output_dir/model_bert_squad_1.params

Without --train_file and --predict_file, train-v1.1.json and dev-v1.1.json, or with --version_2
train-v2.0.json and dev-v2.0.json, are read from $SQUAD_DIR, else $MXNET_HOME/datasets/squad. Other
files need SQuAD's layout.

The output folder gets the best epoch's parameters with all that is needed to use them,
metrics.jsonl, a training curve, predictions.json, nbest_predictions.json, evaluation.json, for
SQuAD 2.0 null_odds.json, and a model card. ``gluon-bert predict`` and ``gluon_bert.load_pipeline``
use it. With --model_parameters, settings that are not given are those kept beside that file.
"""

import os
import sys
from functools import partial
from pathlib import Path

import gluon_bert as gb
from common import cli, fine_tuned, squad_report

logger = cli.logger

DEBUG_QUESTIONS = 24
SETTINGS = (
    'max_seq_length',
    'doc_stride',
    'max_query_length',
    'n_best_size',
    'max_answer_length',
    'version_2',
    'null_score_diff_threshold',
    'character_f1',
)


def make_parser():
    parser = cli.make_parser(__doc__)
    add_data_arguments(parser.add_argument_group('data'))
    add_answer_arguments(parser.add_argument_group('answers'))
    cli.add_model_arguments(parser)
    cli.add_training_arguments(parser)
    cli.add_run_arguments(parser)
    parser.add_argument(
        '--uncased', action='store_true', help='see that the model reads lower-cased text'
    )
    parser.add_argument(
        '--sentencepiece', metavar='FILE', help='cut words with this SentencePiece model'
    )
    parser.set_defaults(lr=5e-5, log_interval=50)
    return parser


def add_data_arguments(group):
    group.add_argument('--train_file', type=Path, help='questions to learn from')
    group.add_argument(
        '--predict_file',
        type=Path,
        help='questions to answer; if it has the answers, evaluated each epoch',
    )
    group.add_argument(
        '--skip_bad',
        action='store_true',
        help='leave training questions out whose answer is not where the file '
        'says, and say how many, instead of stopping',
    )
    group.add_argument(
        '--max_seq_length',
        type=cli.positive,
        default=384,
        help='tokens of a sequence, special tokens included',
    )
    group.add_argument(
        '--doc_stride',
        type=cli.positive,
        default=128,
        help='tokens from one window of a long paragraph to the next',
    )
    group.add_argument(
        '--max_query_length',
        type=cli.positive,
        default=64,
        help='tokens of a question; longer ones are cut',
    )
    group.add_argument('--round_to', type=cli.positive, help='pad lengths to a multiple of this')
    group.add_argument(
        '--feature_cache',
        type=Path,
        metavar='DIR',
        help='keep the windows here (default: in output_dir)',
    )
    group.add_argument(
        '--test_batch_size',
        '--predict_batch_size',
        type=cli.positive,
        default=24,
        help='sequences in a batch of evaluation',
    )
    group.add_argument(
        '--debug',
        action='store_true',
        help=f'use the first {DEBUG_QUESTIONS} questions of each file, to try out',
    )


def add_answer_arguments(group):
    group.add_argument(
        '--version_2',
        '--version_2_with_negative',
        action='store_true',
        help='as SQuAD 2.0: a question may have no answer',
    )
    group.add_argument(
        '--null_score_diff_threshold',
        type=float,
        default=0.0,
        help='null odds above which no answer is given',
    )
    group.add_argument(
        '--n_best_size', type=cli.positive, default=20, help='candidates for an answer'
    )
    group.add_argument(
        '--max_answer_length', type=cli.positive, default=30, help='tokens of an answer'
    )
    group.add_argument(
        '--character_f1', action='store_true', help='evaluate Chinese by characters, as CMRC 2018'
    )
    group.add_argument(
        '--only_predict', action='store_true', help='answer with --model_parameters, train nothing'
    )


def main(argv=None):
    cli.log_to()
    cli.prepare_engine(argv)
    args, kept = parse(argv)
    ctx = cli.devices(args)
    cli.make_output_dir(args.output_dir)
    fine_tuned.choose_model(args, kept)
    splits = read_data(args)
    cli.log_to(args.output_dir / 'log_squad.txt')
    cli.write_arguments(args)
    model = build(args, kept, ctx)
    pipeline = gb.pipelines.task_pipeline(model)
    windows = {
        name: build_windows(args, pipeline, name, split.questions) for name, split in splits.items()
    }
    if not args.only_predict:
        train(args, pipeline, splits, windows, model, ctx)
    told = [
        squad_report.write(args, pipeline, name, split, windows[name])
        for name, split in splits.items()
    ]
    if not args.only_predict:
        fine_tuned.write_card(args, model, told)


def parse(argv):
    """The arguments, and what is kept beside --model_parameters, or None."""
    parser = make_parser()
    args, kept = fine_tuned.recall(
        parser,
        argv,
        ('questions',),
        {**{name: name for name in SETTINGS}, 'batch_size': 'test_batch_size'},
    )
    if args.only_predict and not args.model_parameters:
        parser.error('--only_predict needs --model_parameters')
    return args, kept


def read_data(args):
    """The questions to learn from and those to answer."""
    version = '2.0' if args.version_2 else '1.1'
    # A file of one's own goes with another of one's own.
    default = None if args.train_file or args.predict_file else squad_folder()
    files = {
        'train': args.train_file or (default and default / f'train-v{version}.json'),
        'dev': args.predict_file or (default and default / f'dev-v{version}.json'),
    }
    if args.only_predict:
        del files['train']
    elif not files['train']:
        raise cli.Failure('--predict_file: goes with --train_file or --only_predict')
    splits = {}
    for split, path in files.items():
        if path is None:
            continue
        if not path.is_file():
            raise FileNotFoundError(
                f'{path}: there is no such file; give --train_file and '
                f'--predict_file, or set SQUAD_DIR to their folder'
            )
        content = gb.data.read_squad(path, training=split == 'train', skip_bad=args.skip_bad)
        skipped = f', {content.num_skipped} bad ones left out' * bool(content.num_skipped)
        logger.info('%s: %d questions from %s%s', split, len(content.questions), path, skipped)
        if args.debug:
            content = content._replace(questions=content.questions[:DEBUG_QUESTIONS])
        splits[split] = content
    impossible = (
        []
        if args.only_predict or args.version_2
        else [question.id for question in splits['train'].questions if question.is_impossible]
    )
    if impossible:
        raise cli.Failure(
            f'{files["train"]}: {len(impossible)} questions have no answer, the '
            f'first is {impossible[0]!r}; use --version_2'
        )
    return splits


def squad_folder():
    """Where the official files are looked for."""
    folder = os.environ.get('SQUAD_DIR')
    if folder:
        return Path(folder)
    return gb.zoo.fetch.store.default_root().parent / 'datasets' / 'squad'


def build(args, kept, ctx):
    """The network with its tokenizer, and how it reads and answers."""
    # Without the pooler, which answers do not need and which would get no gradient.
    bert, tokenizer = fine_tuned.load_bert(args, kept, ctx, use_pooler=False)
    if not args.max_seq_length <= bert.config.max_length:
        raise cli.Failure(
            f'--max_seq_length {args.max_seq_length}: expected at most '
            f'{bert.config.max_length}, the longest sequence of '
            f'{args.bert_model or "the model"}'
        )
    if args.uncased and not tokenizer.lower:
        raise cli.Failure(
            f'--uncased: {args.bert_dataset} is cased, its model was trained on '
            f'text that is not lower-cased'
        )
    if args.sentencepiece:
        tokenizer = gb.data.SentencePieceTokenizer(
            args.sentencepiece, tokenizer.vocab, lower=tokenizer.lower
        )
    network = gb.BertForQA(bert)
    gb.training.set_seed(args.seed)
    network.span.initialize(ctx=ctx)
    if args.model_parameters:
        network.load_parameters(args.model_parameters, ctx=ctx)
    network.hybridize(static_alloc=True)
    return gb.task_folder.task_model(
        'questions',
        network,
        tokenizer,
        {
            'name': 'SQuAD 2.0' if args.version_2 else 'SQuAD 1.1',
            **{name: getattr(args, name) for name in SETTINGS},
            'batch_size': args.test_batch_size,
            'base': fine_tuned.base_of(args, kept),
        },
    )


def build_windows(args, pipeline, name, questions):
    """The windows of a split."""
    folder = args.feature_cache or args.output_dir
    folder.mkdir(parents=True, exist_ok=True)
    texts = len(questions) + len({question.context for question in questions})
    with cli.progress(f'{name}: tokens', texts) as bar:
        windows = pipeline.windows(
            questions,
            partial(gb.data.cached_windows, folder),
            progress=bar.update,
            with_spans=name == 'train',
        )
    logger.info('%s: %d windows', name, len(windows))
    return windows


def train(args, pipeline, splits, windows, model, ctx):
    """Fine-tune; the network ends with the parameters of the best epoch."""

    def evaluate(network):
        questions = splits['dev'].questions
        answers = squad_report.predict(pipeline, questions, windows['dev'])
        return squad_report.scores_of(squad_report.evaluate(args, questions, answers))

    vocab, own = model.tokenizer.vocab, windows['train']
    data = gb.data.SequenceData(
        own.features(),
        own.span,
        vocab[vocab.padding_token],
        batch_size=args.batch_size,
        seed=args.seed,
        round_to=args.round_to,
        ctx=ctx,
    )
    can_evaluate = 'dev' in splits and splits['dev'].has_answers
    if not can_evaluate:
        logger.warning('no answers to evaluate with: the last epoch will be kept')
    gb.task_folder.save_tokenizer(args.output_dir, model.tokenizer)
    result = gb.training.fit(
        model.network,
        data,
        gb.losses.span_loss,
        cli.make_plan(args),
        args.output_dir,
        name='model_bert_squad',
        evaluate=evaluate if can_evaluate else None,
        resume=args.resume,
        overwrite=args.overwrite,
    )
    fine_tuned.save(args, model, result)


if __name__ == '__main__':
    sys.exit(cli.run(main))
