"""Fine-tune a BERT on a GLUE task, or on your own table, to classify or rate texts.

    GLUE_DIR=glue_data MXNET_GPU_MEM_POOL_TYPE=Round python3 finetune_classifier.py \\
        --task_name MRPC --batch_size 32 --optimizer bertadam --epochs 3 --lr 2e-5 --gpu

    python3 finetune_classifier.py --train_file my.csv --dev_file dev.csv \\
        --text_column review --label_column stars

GLUE tasks are read from $GLUE_DIR/<task>/ in their official layouts. A table of your own (.tsv,
.csv, .jsonl) needs named columns; its labels are found in the training file.

The output folder gets the best epoch's parameters with all that is needed to use them,
metrics.jsonl, a training curve, predictions, a report by class, a confusion matrix and a model
card. ``gluon-bert predict`` and ``gluon_bert.load_pipeline`` use it.
"""

import sys
from pathlib import Path

import gluon_bert as gb
from common import classifier_report, cli, fine_tuned, task_arguments

logger = cli.logger


def make_parser():
    parser = cli.make_parser(__doc__)
    group = parser.add_argument_group('data')
    task_arguments.add_task_arguments(group, 'MRPC')
    group.add_argument('--dev_file', type=Path, help='evaluate on this table after each epoch')
    group.add_argument('--test_file', type=Path, help='predict for this table in the end')
    group.add_argument(
        '--max_train_examples', type=cli.positive, help='train on the first rows only'
    )
    group.add_argument('--round_to', type=cli.positive, help='pad lengths to a multiple of this')
    group.add_argument('--pad', action='store_true', help='pad all sequences to max_len')
    group.add_argument(
        '--dev_batch_size',
        '--test_batch_size',
        type=cli.positive,
        default=8,
        help='sequences in a batch of evaluation',
    )
    group.add_argument(
        '--only_inference',
        action='store_true',
        help='evaluate and predict with --model_parameters, train nothing',
    )
    cli.add_model_arguments(parser)
    cli.add_training_arguments(parser)
    cli.add_run_arguments(parser)
    return parser


def main(argv=None):
    cli.log_to()
    cli.prepare_engine(argv)
    args, kept = parse(argv)
    ctx = cli.devices(args)
    cli.make_output_dir(args.output_dir)
    fine_tuned.choose_model(args, kept)
    task, splits = read_data(args, kept)
    cli.log_to(args.output_dir / f'log_{task.name}.txt')
    cli.write_arguments(args)
    model = build(args, kept, task, splits, ctx)
    pipeline = gb.pipelines.task_pipeline(model)
    if not args.only_inference:
        data = training_data(args, model, splits['train'], ctx)
        train(args, task, pipeline, splits, model, data)
    told = classifier_report.write(args.output_dir, task, pipeline, splits)
    if not args.only_inference:
        fine_tuned.write_card(args, model, told)


def parse(argv):
    """The arguments, and what is kept beside --model_parameters, or None."""
    parser = make_parser()
    args, kept = fine_tuned.recall(
        parser,
        argv,
        ('classification', 'regression'),
        {'max_len': 'max_len', 'batch_size': 'dev_batch_size'},
    )
    if args.only_inference and not args.model_parameters:
        parser.error('--only_inference needs --model_parameters')
    if args.dev_file and not (args.train_file or args.only_inference):
        parser.error('--dev_file goes with --train_file or --only_inference')
    return args, kept


def read_data(args, kept):
    """The task, and its examples by split."""
    if args.train_file or args.dev_file or args.test_file:
        task, splits = read_tables(args, kept)
    else:
        task = gb.data.get_task(args.task_name)
        splits = read_task(args, task)
    for split, content in splits.items():
        skipped = f', {content.num_skipped} malformed rows left out' * bool(content.num_skipped)
        logger.info(
            '%s: %d examples from %s%s', split, len(content.examples), content.path, skipped
        )
    if args.debug:
        splits = {
            split: content._replace(examples=content.examples[: task_arguments.DEBUG_ROWS])
            for split, content in splits.items()
        }
    if args.max_train_examples and 'train' in splits:
        kept = splits['train'].examples[: args.max_train_examples]
        splits['train'] = splits['train']._replace(examples=kept)
    return task, splits


def read_task(args, task):
    """The splits of a task; a test file that is not there is left out."""
    folder = args.data_dir or gb.data.task_folder(task)
    if 'train' not in task.files and not args.only_inference:
        raise cli.Failure(
            f'--task_name {task.name}: has no training data; train on MNLI and use '
            f'--only_inference --model_parameters'
        )
    splits = [split for split in task.files if not (args.only_inference and split == 'train')]
    if len(splits) > 1:
        splits = [
            split
            for split in splits
            if not split.startswith('test') or (folder / task.files[split]).is_file()
        ]
    return {
        split: gb.data.read_task(task, folder, split, skip_malformed=args.skip_malformed or None)
        for split in splits
    }


def read_tables(args, kept):
    """The user's own tables, and the task they make."""
    files = {'train': args.train_file, 'dev': args.dev_file, 'test': args.test_file}
    files = {
        split: path
        for split, path in files.items()
        if path and not (args.only_inference and split == 'train')
    }
    regression = args.regression or (kept is not None and kept.task == 'regression')
    options = {
        'text': args.text_column,
        'pair': args.pair_column,
        'regression': regression,
        'skip_malformed': args.skip_malformed,
    }
    labels = None
    if not regression and kept is not None:
        labels = tuple(kept.settings['labels'])
    elif not regression and args.only_inference:
        raise cli.Failure(
            f'--model_parameters {args.model_parameters}: its classes are not known, '
            f'there is no {gb.task_folder.TASK_FILE} beside it'
        )
    elif not regression:
        labels = gb.data.discover_labels(
            args.train_file, label=args.label_column, skip_malformed=args.skip_malformed
        )
    splits = {
        split: gb.data.read_table(
            path, labels=labels, label=None if split == 'test' else args.label_column, **options
        )
        for split, path in files.items()
    }
    task = gb.data.Task(
        name=(args.train_file or args.model_parameters).stem,
        folder='',
        labels=labels,
        columns=gb.data.Columns(args.text_column, args.pair_column, args.label_column),
        metrics=('pearson', 'spearman') if regression else ('accuracy', 'macro_f1'),
    )
    return task, splits


def build(args, kept, task, splits, ctx):
    """The network with its tokenizer, and how it reads texts."""
    if kept is not None and kept.settings.get('labels') != (task.labels and list(task.labels)):
        raise cli.Failure(
            f'--model_parameters {args.model_parameters}: was trained for other '
            f'classes than those of {task.name}'
        )
    bert, tokenizer = fine_tuned.load_bert(args, kept, ctx)
    if not 5 <= args.max_len <= bert.config.max_length:
        raise cli.Failure(
            f'--max_len {args.max_len}: expected 5 to {bert.config.max_length}, the '
            f'longest sequence of {args.bert_model or "the model"}'
        )
    network = gb.BertClassifier(bert, task.num_classes)
    gb.training.set_seed(args.seed)
    network.classifier.initialize(ctx=ctx)
    if args.model_parameters:
        network.load_parameters(args.model_parameters, ctx=ctx)
    network.hybridize(static_alloc=True)
    columns = task.columns if isinstance(task.columns.text, int) or task.columns.text else None
    return gb.task_folder.task_model(
        'regression' if task.is_regression else 'classification',
        network,
        tokenizer,
        {
            'name': task.name,
            'labels': task.labels and list(task.labels),
            'metrics': list(task.metrics),
            'range': task.label_range and list(task.label_range),
            'pair': next(iter(splits.values())).examples[0].pair is not None,
            'columns': columns and {'text': columns.text, 'pair': columns.pair},
            'max_len': args.max_len,
            'dropout': 0.1,
            'batch_size': args.dev_batch_size,
            'base': fine_tuned.base_of(args, kept),
        },
    )


def training_data(args, model, split, ctx):
    """The training split as the network reads it."""
    transform, examples = gb.data.SentenceTransform(model.tokenizer, args.max_len), split.examples
    pairs = [example.pair for example in examples] if model.settings['pair'] else None
    with cli.progress('train: tokens', len(examples)) as bar:
        features, num_cut = transform.transform_batch(
            [example.text for example in examples], pairs, progress=bar.update
        )
    classifier_report.tell_cut('train', num_cut, len(features), args.max_len)
    vocab = model.tokenizer.vocab
    return gb.data.SequenceData(
        features,
        gb.data.label_array(examples),
        vocab[vocab.padding_token],
        batch_size=args.batch_size,
        seed=args.seed,
        round_to=args.round_to,
        fixed_length=args.max_len if args.pad else None,
        ctx=ctx,
    )


def train(args, task, pipeline, splits, model, data):
    """Fine-tune; the network ends with the parameters of the best epoch."""

    def evaluate(network):
        metrics = {}
        for name, split in splits.items():
            if name.startswith('dev'):
                metrics.update(classifier_report.evaluate(task, pipeline, name, split))
        return metrics

    if 'dev' not in ''.join(splits):
        logger.warning('no data to evaluate on: the last epoch will be kept')
    gb.task_folder.save_tokenizer(args.output_dir, model.tokenizer)
    result = gb.training.fit(
        model.network,
        data,
        gb.losses.squared_error if task.is_regression else gb.losses.cross_entropy,
        cli.make_plan(args),
        args.output_dir,
        name=f'model_bert_{task.name}',
        evaluate=evaluate,
        resume=args.resume,
        overwrite=args.overwrite,
    )
    fine_tuned.save(args, model, result)


if __name__ == '__main__':
    sys.exit(cli.run(main))
