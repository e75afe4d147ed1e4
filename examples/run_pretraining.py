"""Pre-train a BERT on records, from random parameters or from a trained model.

    python3 run_pretraining.py --model bert_12_768_12 --data 'records/*.npz' --data_eval dev.npz \\
        --total_batch_size 256 --num_steps 1000000 --lr 1e-4 --ckpt_dir ckpt_dir

    python3 run_pretraining.py --input_file=tf_examples.tfrecord --output_dir=pretraining_output \\
        --do_train=True --do_eval=True --bert_config_file=$BERT_BASE_DIR/bert_config.json \\
        --init_checkpoint=$BERT_BASE_DIR/bert_model.ckpt --train_batch_size=32 \\
        --max_seq_length=128 --max_predictions_per_seq=20 --num_train_steps=20 \\
        --num_warmup_steps=10 --learning_rate=2e-5

The flags are those of GluonNLP's script of this name; those of Google's are accepted, too. The
model is in the folder model/ of the output, which every command and script takes. The command
``gluon-bert pretrain`` does the same with more options.
"""

import sys
from pathlib import Path

from common import cli
from gluon_bert.cli.training_flags import add_comm_flags, pop_devices, pop_reduction
from gluon_bert.tasks.pretraining.options import PretrainingPlan, paths

# Flag -> name of the option, where they differ.
NAMES = {
    'ckpt_interval': 'checkpoint_interval',
    'no_compute_acc': 'no_accuracy',
    'eval_interval': 'evaluate_every',
    'data_eval': 'eval_data',
    'total_batch_size_eval': 'eval_batch_size',
    'num_steps': 'training_steps',
    'lr': 'learning_rate',
}


def make_parser():
    parser = cli.make_parser(__doc__)
    group = parser.add_argument_group('data')
    group.add_argument('--data', type=paths, required=True, help='records: names or patterns')
    group.add_argument('--data_eval', type=paths, help='held-out records')
    group.add_argument('--do_train', type=cli.peer_flags.training, nargs='?', help="Google's")
    group.add_argument(
        '--do_eval', type=cli.peer_flags.truth, nargs='?', const=True, help="Google's: evaluate"
    )
    group.add_argument('--eval_steps', type=cli.positive, help='batches of an evaluation at most')
    group.add_argument('--raw', action='store_true', help='the data are texts, not records')
    group.add_argument('--max_seq_length', type=cli.positive, help='longer records are refused')
    group.add_argument('--max_predictions_per_seq', type=cli.positive, help='masked tokens')
    group.add_argument('--masked_lm_prob', type=cli.fraction, help='of --raw (default: 0.15)')
    group.add_argument('--short_seq_prob', type=cli.fraction, help='of --raw (default: 0)')
    group.add_argument('--whole_word_mask', action='store_true', help='of --raw')
    group = parser.add_argument_group('model')
    group.add_argument('--model', default=cli.DEFAULT_MODEL[0], help='architecture')
    group.add_argument('--dataset_name', default=cli.DEFAULT_MODEL[1], help='vocabulary')
    group.add_argument('--pretrained', action='store_true', help='start from its trained weights')
    group.add_argument('--pretrained_bert_parameters', metavar='PATH', help='start from this')
    group.add_argument('--bert_config_file', type=Path, help='sizes, instead of --model')
    group.add_argument('--vocab_file', type=Path, help='by default beside the configuration')
    group.add_argument('--sentencepiece', help='tokenize with this SentencePiece model')
    group.add_argument('--objective', default='pretraining', help='see gluon-bert pretrain')
    add_training_arguments(parser.add_argument_group('training'))
    group = parser.add_argument_group('run')
    group.add_argument('--ckpt_dir', type=Path, default=Path('ckpt_dir'), help='the output')
    group.add_argument('--keep_checkpoints', type=int, default=0, help='number of %%07d.params')
    group.add_argument('--resume', action='store_true', help='go on with the run in --ckpt_dir')
    group.add_argument('--overwrite', action='store_true', help='replace it')
    group.add_argument('--gpus', type=cli.gpu_indices, dest='gpu', help='such as 0,1')
    add_comm_flags(group)
    group.add_argument('--traceback', action='store_true', help='show where an error came from')
    return parser


def add_training_arguments(group):
    group.add_argument('--total_batch_size', type=cli.positive, default=256, help='of a step')
    group.add_argument('--accumulate', type=cli.positive, default=1, help='parts of a step')
    group.add_argument('--total_batch_size_eval', type=cli.positive, default=256, help='sequences')
    group.add_argument('--num_steps', type=cli.positive, default=20, help='steps')
    group.add_argument('--phase', action='append', default=[], help='see gluon-bert pretrain')
    group.add_argument('--optimizer', default='bertadam', help='bertadam, adam, adamw or lamb')
    group.add_argument('--schedule', default='linear', help='see gluon-bert pretrain')
    group.add_argument('--lr', type=float, default=1e-4, help='peak learning rate')
    group.add_argument('--warmup_ratio', type=cli.fraction, default=0.01, help='of the steps')
    group.add_argument('--num_warmup_steps', type=int, help="Google's: instead of the ratio")
    group.add_argument(
        '--dtype',
        default='float32',
        type=cli.peer_flags.one_dtype('float32', 'bfloat16'),
        help='of the products of dense layers',
    )
    group.add_argument('--seed', type=int, default=2, help='of parameters, order and dropout')
    group.add_argument('--log_interval', type=cli.positive, default=250, help='steps')
    group.add_argument('--ckpt_interval', type=cli.positive, default=25000, help='steps')
    group.add_argument('--eval_interval', type=cli.positive, default=50000, help='steps')
    group.add_argument('--no_compute_acc', action='store_true', help='no accuracy in the log')


def main(argv=None):
    cli.log_to()
    cli.prepare_engine(argv)
    args = make_parser().parse_args(argv)
    from gluon_bert.tasks.pretrain import make_job, run_pretraining

    with cli.spelled({option: flag for flag, option in NAMES.items()}):
        options = options_of(args)
        plan, model = PretrainingPlan.parse(options.pop('phase')), options.pop('model')
        with pop_reduction(options) as options['reduction']:
            done = run_pretraining(make_job(model, args.ckpt_dir, plan, options))
    print(done.model)


def options_of(args):
    """The options of the library that the flags stand for."""
    given = vars(args)
    options = {NAMES.get(flag, flag): value for flag, value in given.items() if value is not None}
    if args.total_batch_size % args.accumulate:
        raise cli.Failure('--total_batch_size: expected a multiple of --accumulate')
    options['batch_size'] = options.pop('total_batch_size') // args.accumulate
    warmup_steps = options.pop('num_warmup_steps', None)
    if warmup_steps is not None:
        options['warmup_ratio'] = warmup_steps / args.num_steps
    if options.pop('do_eval', False):
        options.setdefault('eval_data', args.data)
    if options.pop('raw'):
        options['texts'] = options.pop('data')
        options.setdefault('short_seq_prob', 0.0)
        if 'eval_data' in options:
            options['eval_texts'] = options.pop('eval_data')
    if 'eval_data' not in options and 'eval_texts' not in options:
        del options['evaluate_every']
    choose_start(args, options)
    for flag in ('pretrained', 'ckpt_dir', 'traceback', 'dataset_name', 'do_train'):
        options.pop(flag, None)
    options['ctx'] = pop_devices(options)
    return options


def choose_start(args, options):
    """Name what the run starts from: a checkpoint, a model of the zoo, or random parameters."""
    if args.pretrained_bert_parameters:
        options['model'] = None
    elif args.pretrained:
        options['model'] = f'{args.model}/{args.dataset_name}'
    else:
        options.update(from_scratch=True, bert_dataset=args.dataset_name)
        if args.bert_config_file and not args.vocab_file:
            options['vocab_file'] = args.bert_config_file.parent / 'vocab.txt'


if __name__ == '__main__':
    sys.exit(cli.run(main))
