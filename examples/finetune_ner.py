"""Fine-tune a BERT to find entities, and predict them.

    python3 finetune_ner.py --train-path train.txt --dev-path dev.txt --test-path test.txt \\
        --bert-model bert_12_768_12 --learning-rate 5e-5 --num-epochs 4 --gpu 0

    python3 finetune_ner.py --load-checkpoint-prefix output_dir --test-path new.txt

Files are CoNLL columns (tags in IOB1, IOB2, BMES, BIOES or BILOU, or parts of speech and the like)
or CLUENER's JSON lines.
Sentences of more than --seq_len tokens are read in windows that overlap. A small network for a
language without a model can begin from nothing:

    python3 finetune_ner.py --bert_model bert_4_256_4 --from_scratch --vocab_file vocab.txt ...

The output folder gets the best epoch's parameters with all that is needed to use them, metrics by
type of entity, predictions in the layout of the files and a model card; ``gluon-bert predict`` and
``gluon_bert.load_pipeline`` use it. Flags can be written with - or _.
"""

import argparse
import sys
from pathlib import Path

import gluon_bert as gb
from common import cli, peer_flags, training
from gluon_bert.tasks.options import DEBUG_SENTENCES

# Fields of the library -> flags with other names.
FLAGS = {
    'train_file': 'train_path',
    'dev_file': 'dev_path',
    'test_file': 'test_path',
    'tag_column': 'column',
    'max_len': 'seq_len',
    'dropout': 'dropout_prob',
}
CASED = {True: gb.zoo.DEFAULT_CASED[1], False: gb.zoo.DEFAULT[1]}


def make_parser():
    parser = cli.make_parser(__doc__)
    add_data_arguments(parser.add_argument_group('data'))
    add_tagger_arguments(parser.add_argument_group('entities'))
    cli.add_model_arguments(parser)
    parser.add_argument(
        '--cased',
        type=peer_flags.truth,
        metavar='BOOL',
        help=f'without --bert_dataset: {CASED[True]} or {CASED[False]} (default: '
        f'True where its weights can be had)',
    )
    cli.add_training_arguments(parser)
    cli.add_run_arguments(parser)
    parser.add_argument(
        '--num_epochs',
        dest='epochs',
        type=cli.positive,
        default=argparse.SUPPRESS,
        metavar='N',
        help="GluonNLP's name of --epochs",
    )
    parser.add_argument(
        '--learning_rate',
        dest='lr',
        type=float,
        default=argparse.SUPPRESS,
        metavar='RATE',
        help="GluonNLP's name of --lr",
    )
    parser.set_defaults(seed=13531, epochs=4, lr=5e-5)
    accept_dashes(parser)
    return parser


def add_data_arguments(group):
    for split, what in (
        ('train', 'learn from these sentences'),
        ('dev', 'evaluate on these after each epoch'),
        ('test', 'predict for these in the end; evaluate if they have tags'),
    ):
        group.add_argument(
            f'--{split}_path', f'--{split}_file', type=Path, metavar='FILE', help=what
        )
    group.add_argument(
        '--scheme',
        help='of the tags: IOB1, IOB2, BMES, BIOES or BILOU (default: '
        'found out from the training file)',
    )
    group.add_argument(
        '--word_column',
        type=int,
        default=0,
        metavar='N',
        help='column of the word, from 0; -1 is the last',
    )
    group.add_argument(
        '--column', '--tag_column', type=int, default=-1, metavar='N', help='column of the tag'
    )
    group.add_argument(
        '--untagged_test', action='store_true', help='no column of the test file is a tag'
    )
    group.add_argument(
        '--repair',
        action='store_true',
        help='mend broken sequences of tags as conlleval understands them, and say '
        'how many, instead of stopping',
    )
    group.add_argument(
        '--seq_len',
        '--max_len',
        type=cli.positive,
        metavar='N',
        help='tokens of a window, special tokens included (default: 180, or as trained)',
    )
    group.add_argument(
        '--overlap',
        type=int,
        metavar='N',
        help='tokens that windows share at most (default: a quarter of --seq_len)',
    )
    group.add_argument('--round_to', type=cli.positive, help='pad lengths to a multiple of this')
    group.add_argument(
        '--dev_batch_size',
        '--test_batch_size',
        type=cli.positive,
        default=32,
        help='windows in a batch of evaluation',
    )
    group.add_argument(
        '--debug',
        action='store_true',
        help=f'the first {DEBUG_SENTENCES} sentences of each file, to try out',
    )


def add_tagger_arguments(group):
    group.add_argument(
        '--crf', action='store_true', help='decode with a CRF, which gives valid sequences only'
    )
    group.add_argument(
        '--crf_lr', type=float, default=1e-3, help="learning rate of the CRF's transitions"
    )
    group.add_argument(
        '--model_scheme',
        help='in which the network tags (default: that of the files; IOB2 for IOB1)',
    )
    group.add_argument(
        '--dropout_prob', type=cli.fraction, default=0.1, help='dropout on the encodings'
    )
    group.add_argument(
        '--strict',
        action='store_true',
        help="count only entities tagged as the scheme has it: seqeval's strict "
        'mode; without it as conlleval',
    )
    group.add_argument(
        '--only_predict',
        action='store_true',
        help='evaluate and predict with a trained tagger, train nothing',
    )
    group.add_argument(
        '--save_checkpoint_prefix',
        metavar='PREFIX',
        type=Path,
        help='name of the parameter files; a folder in it is the --output_dir',
    )
    group.add_argument(
        '--load_checkpoint_prefix',
        metavar='PREFIX',
        type=Path,
        help='predict with the tagger in this folder',
    )


def accept_dashes(parser):
    """Take --train-path for --train_path, and so on: GluonNLP's scripts have both styles."""
    options = parser._option_string_actions
    options.update(
        {
            option[:2] + option[2:].replace('_', '-'): action
            for option, action in list(options.items())
            if '_' in option
        }
    )


def main(argv=None):
    cli.log_to()
    cli.prepare_engine(argv)
    args, saved = parse(argv)
    if args.only_predict and saved is None:  # the error tells what is missing
        saved = gb.task_folder.read_task(args.load_checkpoint_prefix or args.model_parameters)
    if saved is None:
        choose_dataset(args)
    prefix = args.save_checkpoint_prefix
    training.run(
        args,
        'token-classification',
        saved,
        FLAGS,
        trains=not args.only_predict,
        stem=prefix.name if prefix else None,
    )


def parse(argv=None):
    """Parse the arguments, check them together, and read what stands beside a trained tagger."""
    parser = make_parser()
    args, saved = training.recall(
        parser,
        argv,
        ('token-classification',),
        {
            'max_len': 'seq_len',
            'overlap': 'overlap',
            'crf': 'crf',
            'dropout': 'dropout_prob',
            'scheme': 'model_scheme',
            'batch_size': 'dev_batch_size',
            'strict': 'strict',
        },
    )
    if args.load_checkpoint_prefix and args.train_path:
        parser.error(
            '--load_checkpoint_prefix predicts with a trained tagger, without '
            '--train_path; to train on from one, give its file as --model_parameters'
        )
    args.only_predict = args.only_predict or args.load_checkpoint_prefix is not None
    if args.only_predict and not (args.load_checkpoint_prefix or args.model_parameters):
        parser.error('--only_predict needs --load_checkpoint_prefix or --model_parameters')
    if args.only_predict and not (args.dev_path or args.test_path):
        parser.error('--only_predict needs --dev_path or --test_path')
    if not args.only_predict and not args.train_path:
        parser.error('--train_path is needed, or --only_predict')
    prefix = args.save_checkpoint_prefix
    default = Path(parser.get_default('output_dir'))
    if prefix and prefix.parent != Path() and args.output_dir == default:
        args.output_dir = prefix.parent
    return args, saved


def choose_dataset(args):
    """Begin from the cased BERT, as GluonNLP's script does, where its weights can be had."""
    if args.bert_model is not None:
        args.bert_model, args.bert_dataset = gb.zoo.expand_name(args.bert_model, args.bert_dataset)
    own = args.from_scratch or args.pretrained_bert_parameters or args.model_parameters
    if args.bert_dataset is not None or (own and args.cased is None):
        return
    wanted = (args.bert_model or cli.DEFAULT_MODEL[0], CASED[args.cased is not False])
    if args.cased is not None or (args.bert_model and wanted in gb.zoo.WEIGHTS):
        args.bert_model, args.bert_dataset = wanted
    elif args.bert_model is None:
        try:
            gb.zoo.fetch_model(*wanted, root=args.root)
            args.bert_model, args.bert_dataset = wanted
        except FileNotFoundError as error:
            cli.logger.debug('%s', error)


if __name__ == '__main__':
    sys.exit(cli.run(main))
