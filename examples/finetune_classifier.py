"""Fine-tune a BERT on a GLUE task, or on your own table, to classify or rate texts.

    GLUE_DIR=glue_data MXNET_GPU_MEM_POOL_TYPE=Round python3 finetune_classifier.py \\
        --task_name MRPC --batch_size 32 --optimizer bertadam --epochs 3 --lr 2e-5 --gpu

    python3 finetune_classifier.py --train_file my.csv --dev_file dev.csv \\
        --text_column review --label_column stars

GLUE tasks are read from $GLUE_DIR/<task>/ in their official layouts. A table of your own (.tsv,
.csv, .jsonl) needs named columns; its labels are found in the training file.

The output folder gets the best epoch's parameters, metrics.jsonl, a training curve, predictions,
a report by class and a confusion matrix.
"""
import json
import sys
from dataclasses import asdict
from pathlib import Path

import classifier_report
import cli

import gluon_bert as gb

logger = cli.logger


def make_parser():
    parser = cli.make_parser(__doc__)
    group = parser.add_argument_group('data')
    group.add_argument('--task_name', default='MRPC',
                       help='CoLA, SST-2, MRPC, STS-B, QQP, MNLI, QNLI, RTE, WNLI, AX, XNLI, '
                            'ChnSentiCorp or LCQMC')
    group.add_argument('--data_dir', type=Path,
                       help="the task's folder (default: the one in $GLUE_DIR)")
    group.add_argument('--train_file', type=Path, help='train on this table instead of a task')
    group.add_argument('--dev_file', type=Path, help='evaluate on this table after each epoch')
    group.add_argument('--test_file', type=Path, help='predict for this table in the end')
    group.add_argument('--text_column', help='of the tables (default: sentence, text, ...)')
    group.add_argument('--pair_column', help='of the second text, where there is one')
    group.add_argument('--label_column', default='label', help='of the label or score')
    group.add_argument('--regression', action='store_true', help='the label column holds scores')
    group.add_argument('--skip_malformed', action='store_true',
                       help='leave bad rows out and say how many, instead of stopping')
    group.add_argument('--max_train_examples', type=cli.positive,
                       help='train on the first rows only')
    group.add_argument('--max_len', type=cli.positive, default=128,
                       help='tokens of a sequence, special tokens included; longer ones are cut')
    group.add_argument('--round_to', type=cli.positive,
                       help='pad lengths to a multiple of this')
    group.add_argument('--pad', action='store_true', help='pad all sequences to max_len')
    group.add_argument('--dev_batch_size', '--test_batch_size', type=cli.positive, default=8,
                       help='sequences in a batch of evaluation')
    group.add_argument('--only_inference', action='store_true',
                       help='evaluate and predict with --model_parameters, train nothing')
    cli.add_model_arguments(parser)
    cli.add_training_arguments(parser)
    cli.add_run_arguments(parser)
    return parser


def main(argv=None):
    parser = make_parser()
    args = parser.parse_args(argv)
    if args.only_inference and not args.model_parameters:
        parser.error('--only_inference needs --model_parameters')
    if args.dev_file and not (args.train_file or args.only_inference):
        parser.error('--dev_file goes with --train_file or --only_inference')
    cli.log_to()
    cli.prepare_engine()
    ctx = cli.device(args.gpu)
    cli.make_output_dir(args.output_dir)
    classifier_report.recall_model(args)
    cli.choose_model(args)
    task, splits = read_data(args)
    cli.log_to(args.output_dir / f'log_{task.name}.txt')
    cli.write_arguments(args)
    network, tokenizer, data = build(args, task, splits, ctx)
    if not args.only_inference:
        train(args, task, network, data)
        write_description(args, task, network, tokenizer)
    classifier_report.write(args.output_dir, task, network, splits, data)


def read_data(args):
    """The task, and its examples by split."""
    if args.train_file or args.dev_file or args.test_file:
        task, splits = read_tables(args)
    else:
        task = gb.data.get_task(args.task_name)
        splits = read_task(args, task)
    for split, content in splits.items():
        skipped = f', {content.num_skipped} malformed rows left out' * bool(content.num_skipped)
        logger.info('%s: %d examples from %s%s', split, len(content.examples), content.path,
                    skipped)
    if args.max_train_examples and 'train' in splits:
        kept = splits['train'].examples[:args.max_train_examples]
        splits['train'] = splits['train']._replace(examples=kept)
    return task, splits


def read_task(args, task):
    """The splits of a task; a test file that is not there is left out."""
    folder = args.data_dir or gb.data.task_folder(task)
    if 'train' not in task.files and not args.only_inference:
        raise cli.Failure(f'--task_name {task.name}: has no training data; train on MNLI and use '
                          f'--only_inference --model_parameters')
    splits = [split for split in task.files if not (args.only_inference and split == 'train')]
    if len(splits) > 1:
        splits = [split for split in splits if not split.startswith('test')
                  or (folder / task.files[split]).is_file()]
    return {split: gb.data.read_task(task, folder, split,
                                     skip_malformed=args.skip_malformed or None)
            for split in splits}


def read_tables(args):
    """The user's own tables, and the task they make."""
    files = {'train': args.train_file, 'dev': args.dev_file, 'test': args.test_file}
    files = {split: path for split, path in files.items() if path and not (
        args.only_inference and split == 'train')}
    options = {'text': args.text_column, 'pair': args.pair_column,
               'regression': args.regression, 'skip_malformed': args.skip_malformed}
    labels = None
    if not args.regression:
        labels = (classifier_report.read_labels(args.model_parameters) if args.only_inference
                  else gb.data.discover_labels(args.train_file, label=args.label_column,
                                               skip_malformed=args.skip_malformed))
    splits = {split: gb.data.read_table(
        path, labels=labels, label=None if split == 'test' else args.label_column, **options)
        for split, path in files.items()}
    task = gb.data.Task(
        name=(args.train_file or args.model_parameters).stem, folder='', labels=labels,
        columns=gb.data.Columns(args.text_column, args.pair_column, args.label_column),
        metrics=('pearson', 'spearman') if args.regression else ('accuracy', 'macro_f1'))
    return task, splits


def build(args, task, splits, ctx):
    """The network, its tokenizer and the data as it reads them."""
    bert, tokenizer = classifier_report.recall_bert(args) or cli.load_bert(args, ctx)
    if not 5 <= args.max_len <= bert.config.max_length:
        raise cli.Failure(f'--max_len {args.max_len}: expected 5 to {bert.config.max_length}, the '
                          f'longest sequence of {args.bert_model}')
    network = gb.BertClassifier(bert, task.num_classes)
    gb.training.set_seed(args.seed)
    network.classifier.initialize(ctx=ctx)
    if args.model_parameters:
        network.load_parameters(args.model_parameters, ctx=ctx)
    network.hybridize(static_alloc=True)
    transform = gb.data.SentenceTransform(tokenizer, args.max_len)
    data = {}
    for split, (examples, *_) in splits.items():
        pairs = [example.pair for example in examples] if task.is_pair else None
        with cli.progress(f'{split}: tokens', len(examples)) as bar:
            features, num_cut = transform.transform_batch(
                [example.text for example in examples], pairs, progress=bar.update)
        if num_cut:
            logger.warning('%s: %d of %d sequences were longer than --max_len %d tokens and were '
                           'cut', split, num_cut, len(features), args.max_len)
        data[split] = gb.data.SequenceData(
            features, gb.data.label_array(examples), tokenizer.convert_tokens_to_ids(
                tokenizer.vocab.padding_token),
            batch_size=args.batch_size if split == 'train' else args.dev_batch_size,
            seed=args.seed, round_to=args.round_to,
            fixed_length=args.max_len if args.pad else None, ctx=ctx)
    return network, tokenizer, data


def train(args, task, network, data):
    """Fine-tune; the network ends with the parameters of the best epoch."""
    def evaluate(network):
        metrics = {}
        for split in data:
            if split.startswith('dev'):
                metrics.update(classifier_report.evaluate(task, network, split, data[split]))
        return metrics

    if 'dev' not in ''.join(data):
        logger.warning('no data to evaluate on: the last epoch will be kept')
    result = gb.training.fit(
        network, data['train'],
        gb.losses.squared_error if task.is_regression else gb.losses.cross_entropy,
        cli.make_plan(args), args.output_dir, name=f'model_bert_{task.name}', evaluate=evaluate,
        resume=args.resume, overwrite=args.overwrite)
    logger.info('best epoch %d of %s: %s', result.best_epoch + 1, args.bert_model,
                result.best_path)


def write_description(args, task, network, tokenizer):
    """What else is needed to use the parameter file: the model, its labels, its vocabulary."""
    source = args.pretrained_bert_parameters
    own = args.from_scratch or (source and not source.endswith('.params'))
    description = {
        'task': task.name, 'labels': task.labels, 'metrics': task.metrics,
        **({'config': asdict(network.config)} if own else {
            'bert_model': args.bert_model, 'bert_dataset': args.bert_dataset}),
        'max_len': args.max_len}
    (args.output_dir / classifier_report.DESCRIPTION_FILE).write_text(
        json.dumps(description, indent=1, ensure_ascii=False) + '\n', encoding='utf-8')
    (args.output_dir / 'vocab.json').write_text(tokenizer.vocab.to_json(), encoding='utf-8')
    if own:
        tokenizer.save(args.output_dir / classifier_report.TOKENIZER_FOLDER)


if __name__ == '__main__':
    sys.exit(cli.run(main))
