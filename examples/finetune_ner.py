"""Fine-tune a BERT to find entities, and predict them.

    python3 finetune_ner.py --train-path train.txt --dev-path dev.txt --test-path test.txt \\
        --bert-model bert_12_768_12 --learning-rate 5e-5 --num-epochs 4 --gpu 0

    python3 finetune_ner.py --load-checkpoint-prefix output_dir --test-path new.txt

Files are CoNLL columns (tags in IOB1, IOB2, BMES, BIOES or BILOU) or CLUENER's JSON lines.
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
from common import cli, fine_tuned, ner_report, peer_flags

logger = cli.logger

DEBUG_SENTENCES, DEBUG_STEPS = 32, 4
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
        help=f'the first {DEBUG_SENTENCES} sentences of each file and '
        f'{DEBUG_STEPS} steps, to try out',
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
    args, kept = parse(argv)
    if args.only_predict and kept is None:  # the error tells what is missing
        kept = gb.task_folder.read_task(args.load_checkpoint_prefix or args.model_parameters)
    ctx = cli.devices(args)
    cli.make_output_dir(args.output_dir)
    choose_model(args, kept)
    files = read_files(args, kept)
    model = build(args, kept, files, ctx)
    cli.log_to(args.output_dir / 'log_ner.txt')
    cli.write_arguments(args)
    pipeline = gb.pipelines.task_pipeline(model)
    splits = {name: ner_report.prepare(args, pipeline, name, file) for name, file in files.items()}
    if not args.only_predict:
        train(args, pipeline, model, splits, ctx)
    told = [ner_report.write(args, pipeline, name, split) for name, split in splits.items()]
    if not args.only_predict:
        fine_tuned.write_card(args, model, told)


def parse(argv=None):
    """The arguments, checked together, and what is kept of a trained tagger, or None."""
    parser = make_parser()
    args, kept = fine_tuned.recall(
        parser,
        argv,
        ('entities',),
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
    if args.debug:
        args.training_steps = min(args.training_steps or DEBUG_STEPS, DEBUG_STEPS)
    return args, kept


def choose_model(args, kept):
    """Fill in the model's names: GluonNLP's script begins from the cased BERT."""
    if kept is not None:
        return fine_tuned.choose_model(args, kept)
    own = args.from_scratch or args.pretrained_bert_parameters or args.model_parameters
    if args.bert_dataset is None and not (own and args.cased is None):
        wanted = (args.bert_model or cli.DEFAULT_MODEL[0], CASED[args.cased is not False])
        if args.cased is not None or (args.bert_model and wanted in gb.zoo.WEIGHTS):
            args.bert_model, args.bert_dataset = wanted
        elif args.bert_model is None:
            try:
                gb.zoo.fetch_model(*wanted, root=args.root)
                args.bert_model, args.bert_dataset = wanted
            except FileNotFoundError as error:
                logger.debug('%s', error)
    return cli.choose_model(args)


def check_length(max_len, config):
    if not 3 <= max_len <= config.max_length:
        raise cli.Failure(
            f'--seq_len {max_len}: expected 3 to {config.max_length}, the longest '
            f'sequence of the model'
        )


def read_files(args, kept):
    """The files by split; types of entity that were not learned are an error."""
    paths = {'train': args.train_path, 'dev': args.dev_path, 'test': args.test_path}
    scheme, kinds, source = args.scheme, None, None
    if args.only_predict:
        paths['train'] = None
    if kept is not None:
        scheme, source = scheme or kept.settings['file_scheme'], 'training'
        kinds = kept.settings['kinds']
    files = {}
    for split, path in paths.items():
        if path is None:
            continue
        file = gb.data.read_tagged(
            path,
            scheme=scheme,
            repair=args.repair,
            word_column=args.word_column,
            tag_column=None if split == 'test' and args.untagged_test else args.column,
        )
        if split != 'test' and not file.has_tags:
            raise cli.Failure(f'--{split}_path {path}: has no tags')
        if kinds is None:
            kinds, source, scheme = file.kinds(), path, file.scheme
            if not kinds:
                raise cli.Failure(f'--train_path {path}: has no entities')
        gb.data.check_kinds(file, kinds, source)
        tell(split, file)
        if args.debug:
            file = file._replace(sentences=file.sentences[:DEBUG_SENTENCES])
        files[split] = file
    return files


def tell(split, file):
    """Log what a file holds and what was mended in it."""
    tags = f', {file.num_entities()} entities in {file.scheme}' if file.has_tags else ', no tags'
    logger.info(
        '%s: %d sentences, %d words%s from %s',
        split,
        len(file.sentences),
        sum(len(sentence.words) for sentence in file.sentences),
        tags,
        file.path,
    )
    if file.repairs:
        logger.warning(
            '%s: %d places repaired, the first: %s', split, len(file.repairs), file.repairs[0]
        )


def build(args, kept, files, ctx):
    """The network with its tokenizer, and how it reads and tags."""
    bert = None
    if kept is not None:
        config, tokenizer, settings = kept.config, kept.tokenizer, dict(kept.settings)
    else:
        bert, tokenizer = cli.load_bert(args, ctx)
        config, settings = bert.config, settings_of(args, files['train'])
    settings.update(
        max_len=args.seq_len or min(180, config.max_length),
        overlap=args.overlap,
        batch_size=args.dev_batch_size,
    )
    check_length(settings['max_len'], config)
    settings = {name: value for name, value in settings.items() if value is not None}
    network = gb.task_folder.make_network('entities', config, settings)
    gb.training.set_seed(args.seed)
    head = network.tagger.tagger if settings['crf'] else network.tagger
    head.initialize(ctx=ctx)
    if settings['crf']:
        network.crf.initialize(ctx=ctx)
        for parameter in network.crf.collect_params().values():
            parameter.lr_mult = args.crf_lr / args.lr
    if kept is not None or args.model_parameters:
        network.load_parameters(args.model_parameters or kept.parameters, ctx=ctx)
    else:
        network.bert.load_arrays(
            bert.checkpoint_arrays(), args.bert_model, ctx=ctx, ignore_extra=True
        )
    network.hybridize(static_alloc=True)
    return gb.task_folder.task_model('entities', network, tokenizer, settings)


def settings_of(args, file):
    """What a new tagger learns."""
    scheme = args.model_scheme or ('IOB2' if file.scheme == 'IOB1' else file.scheme)
    lengths = [len(word) for sentence in file.sentences for word in sentence.words]
    return {
        'name': file.path.rsplit('/', 1)[-1],
        'kinds': file.kinds(),
        'scheme': gb.data.get_scheme(scheme).name,
        'file_scheme': file.scheme,
        'crf': args.crf,
        'strict': args.strict,
        'dropout': args.dropout_prob,
        # Where nearly all words are of one character, the characters are the words.
        'characters': lengths.count(1) > 0.99 * len(lengths),
        'base': fine_tuned.base_of(args, None),
    }


def train(args, pipeline, model, splits, ctx):
    """Fine-tune; the network ends with the parameters of the best epoch."""

    def evaluate(network):
        return ner_report.metrics(args, pipeline, splits['dev']) if 'dev' in splits else {}

    if 'dev' not in splits:
        logger.warning('no data to evaluate on: the last epoch will be kept')
    prefix, loss = args.save_checkpoint_prefix, gb.losses.tag_loss
    gb.task_folder.save_tokenizer(args.output_dir, model.tokenizer)
    result = gb.training.fit(
        model.network,
        ner_report.training_data(args, pipeline, splits['train'], ctx),
        model.network.loss if model.settings['crf'] else loss,
        cli.make_plan(args),
        args.output_dir,
        name=prefix.name if prefix else 'model_ner',
        evaluate=evaluate,
        resume=args.resume,
        overwrite=args.overwrite,
    )
    fine_tuned.save(args, model, result)


if __name__ == '__main__':
    sys.exit(cli.run(main))
