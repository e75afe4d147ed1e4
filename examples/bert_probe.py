"""Train a small classifier on frozen sentence vectors, and on a bag of words to compare.

    GLUE_DIR=glue_data python3 bert_probe.py --task_name SST-2

    python3 bert_probe.py --train_file my.csv --dev_file dev.csv --text_column review

Both see the same rows: the vectors of a BERT that is not trained further, and TF-IDF weights of
words and pairs of words. On either goes a logistic regression, for scores a ridge regression. Of
pairs of texts, the classifier sees both vectors u and v, their |u - v| and their product.

The output folder gets result.json, report.txt, predictions of both, and for classes the confusion
matrix of the BERT.
"""

import json
import sys
from pathlib import Path

import numpy as np

import gluon_bert as gb
from common import cli, task_arguments, vector_files

logger = cli.logger

SYSTEMS = ('bert', 'bag_of_words', 'most_common')
STRENGTHS = (1000.0, 100.0, 10.0, 1.0, 0.1)


def make_parser():
    parser = cli.make_parser(__doc__)
    group = parser.add_argument_group('data')
    task_arguments.add_task_arguments(group, 'SST-2')
    group.add_argument(
        '--dev_file', type=Path, help='evaluate on this table (default: on a part of --train_file)'
    )
    group.add_argument(
        '--dev_fraction',
        type=cli.fraction,
        default=0.2,
        help='rows of --train_file to evaluate on where there is no --dev_file',
    )
    group.add_argument(
        '--max_train_examples', type=cli.positive, help='train on so many rows, drawn by --seed'
    )
    group = parser.add_argument_group('classifier')
    group.add_argument(
        '--pooling', default='mean', help='mean, cls, max, pooler or mean_of_layer:-2'
    )
    group.add_argument('--batch_size', type=cli.positive, default=32, help='texts in a batch')
    group.add_argument(
        '--strength',
        type=float,
        help='of the regularisation of both classifiers; more holds them back '
        '(default: the best of some on a fifth of the training rows)',
    )
    group.add_argument('--seed', type=int, default=2, help='of the rows drawn')
    vector_files.add_model_arguments(parser)
    vector_files.add_run_arguments(parser)
    parser.add_argument(
        '--output_dir', default='./output_dir', type=Path, help='gets everything the run writes'
    )
    return parser


def main(argv=None):
    parser = make_parser()
    args = parser.parse_args(argv)
    if args.dev_file and not args.train_file:
        parser.error('--dev_file goes with --train_file')
    if args.strength is not None and not args.strength > 0:
        parser.error(f'--strength {args.strength}: expected a number above 0')
    cli.log_to()
    cli.prepare_engine()
    cli.make_output_dir(args.output_dir)
    task, splits = read_data(args)
    labels = {
        name: np.array([example.label for example in examples]) for name, examples in splits.items()
    }
    if len(set(labels['train'].tolist())) < 2:
        raise cli.Failure(f'the {len(labels["train"])} training rows all have the same label')
    logger.info(
        '%s: %s',
        task.name,
        ', '.join(f'{len(examples)} {name} rows' for name, examples in splits.items()),
    )
    bert, words = bert_features(args, splits), word_features(splits)
    predicted, strengths = {}, {}
    for system, features in (('bert', bert), ('bag_of_words', words)):
        predicted[system], strengths[system] = probe(
            args, task, labels['train'], features, scale=system == 'bert'
        )
    predicted['most_common'] = most_common(task, labels)
    report(args, task, labels, predicted, strengths)


def read_data(args):
    """The task, and the examples of its training and dev splits."""
    options = {
        'text': args.text_column,
        'pair': args.pair_column,
        'label': args.label_column,
        'regression': args.regression,
        'skip_malformed': args.skip_malformed,
    }
    if args.train_file:
        labels = (
            None
            if args.regression
            else args.labels
            or gb.data.discover_labels(
                args.train_file, label=args.label_column, skip_malformed=args.skip_malformed
            )
        )
        files = {'train': args.train_file, 'dev': args.dev_file}
        splits = {
            split: gb.data.read_table(path, labels=labels, **options).examples
            for split, path in files.items()
            if path
        }
        task = gb.data.Task(
            args.train_file.stem,
            '',
            gb.data.Columns(args.text_column),
            labels,
            ('pearson', 'spearman') if args.regression else ('accuracy', 'macro_f1'),
        )
    else:
        task = gb.data.get_task(args.task_name)
        if 'train' not in task.files:
            raise cli.Failure(f'--task_name {task.name}: has no training data')
        folder = args.data_dir or gb.data.glue_folder(task)
        splits = {
            split: gb.data.read_task(
                task, folder, split, skip_malformed=args.skip_malformed or None
            ).examples
            for split in task.files
            if not split.startswith('test')
        }
    order = np.random.RandomState(args.seed).permutation(len(splits['train']))
    train = [splits['train'][number] for number in order]
    if len(splits) == 1:
        count = max(1, round(args.dev_fraction * len(train)))
        if count >= len(train):
            raise cli.Failure(
                f'{args.train_file}: {len(train)} rows are too few to hold out '
                f'{args.dev_fraction:g} of them; give --dev_file'
            )
        splits['dev'], train = train[:count], train[count:]
    splits['train'] = train[: args.max_train_examples]
    if args.debug:
        splits = {split: part[: task_arguments.DEBUG_ROWS] for split, part in splits.items()}
    return task, splits


def bert_features(args, splits):
    """The frozen vectors of each split: (n, C), of pairs (n, 4 C)."""
    bert, tokenizer = vector_files.load(args)
    encoder = gb.SentenceEncoder(
        bert, tokenizer, args.pooling, max_length=args.max_len, batch_size=args.batch_size
    )

    def encode(texts, split):
        with cli.progress(f'{split}: vectors', len(texts)) as bar:
            blocks = []
            for block in encoder.encode_stream(texts):
                blocks.append(block)
                bar.update(len(block))
        return np.concatenate(blocks)

    return {
        split: paired(
            examples, lambda texts, split=split: encode(texts, split), np.hstack, np.multiply
        )
        for split, examples in splits.items()
    }


def word_features(splits):
    """The TF-IDF weights of each split, sparse."""
    from scipy import sparse
    from sklearn.feature_extraction.text import TfidfVectorizer

    train = splits['train']
    # Single characters are words too: in Chinese they mean something.
    words = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, token_pattern=r'[\u4e00-\u9fff]|[^\W\u4e00-\u9fff]+'
    )
    try:
        words.fit(
            [text for example in train for text in (example.text, example.pair) if text is not None]
        )
    except ValueError:
        raise cli.Failure('the training texts hold no words') from None
    return {
        split: paired(
            examples,
            words.transform,
            lambda parts: sparse.hstack(parts, format='csr'),
            lambda one, other: one.multiply(other),
        )
        for split, examples in splits.items()
    }


def paired(examples, encode, stack, multiply):
    """The features of texts; of pairs of them u, v, |u - v| and u v."""
    first = encode([example.text for example in examples])
    if examples[0].pair is None:
        return first
    second = encode([example.pair or '' for example in examples])
    return stack([first, second, abs(first - second), multiply(first, second)])


def probe(args, task, labels, features, scale=False):
    """What a classifier trained on the training split predicts for the others."""

    def fitted(strength, begin):
        return classifier(args, task, strength, scale).fit(
            features['train'][begin:], labels[begin:]
        )

    strength, held = args.strength or 1.0, len(labels) // 5
    if args.strength is None and held and len(set(labels[held:].tolist())) > 1:
        # The rows are in random order.
        scores = [
            gb.metrics.evaluate_metrics(
                task.metrics[:1],
                labels[:held],
                fitted(strength, held).predict(features['train'][:held]),
            )[task.metrics[0]]
            for strength in STRENGTHS
        ]
        strength = STRENGTHS[int(np.argmax(scores))]
    model = fitted(strength, 0)
    predicted = {split: model.predict(part) for split, part in features.items() if split != 'train'}
    if task.is_regression and task.label_range:
        predicted = {split: part.clip(*task.label_range) for split, part in predicted.items()}
    return predicted, strength


def classifier(args, task, strength, scale):
    """A logistic regression, or a ridge regression for scores."""
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if task.is_regression:
        model = Ridge(alpha=strength, random_state=args.seed)
    else:
        model = LogisticRegression(C=1 / strength, max_iter=5000, random_state=args.seed)
    # Pooled vectors are long in few directions; the regularisation expects none.
    return make_pipeline(StandardScaler(), model) if scale else model


def most_common(task, labels):
    """The same answer for all: the most common class, or the mean score."""
    train = labels['train']
    answer = train.mean() if task.is_regression else np.bincount(train).argmax()
    return {split: np.full(len(part), answer) for split, part in labels.items() if split != 'train'}


def report(args, task, labels, predicted, strengths):
    """Write the metrics, the report by class and the predictions of each split."""
    results, lines = {}, []
    for split in list(labels)[1:]:
        results[split] = {
            system: gb.metrics.evaluate_metrics(
                task.metrics, labels[split], predicted[system][split]
            )
            for system in SYSTEMS
        }
        lines += table(task, split, len(labels[split]), results[split])
        rows = ['\t'.join(['label', *SYSTEMS[:2]])]
        columns = [labels[split], *(predicted[system][split] for system in SYSTEMS[:2])]
        for values in zip(*columns):
            rows.append(
                '\t'.join(
                    f'{value:.3f}' if task.is_regression else task.labels[value] for value in values
                )
            )
        (args.output_dir / f'{split}_predictions.tsv').write_text(
            '\n'.join(rows) + '\n', encoding='utf-8'
        )
        if not task.is_regression:
            chosen = predicted['bert'][split]
            lines += [
                '',
                gb.metrics.format_report(
                    gb.metrics.class_report(labels[split], chosen, task.labels)
                ),
                '',
            ]
            gb.plots.plot_confusion(
                gb.metrics.confusion_matrix(labels[split], chosen, len(task.labels)),
                list(task.labels),
                args.output_dir / f'{split}_confusion.png',
            )
    text = '\n'.join(lines).rstrip() + '\n'
    (args.output_dir / 'report.txt').write_text(text, encoding='utf-8')
    content = {
        'task': task.name,
        'bert_model': args.bert_model,
        'bert_dataset': args.bert_dataset,
        'pooling': args.pooling,
        'strength': strengths,
        'seed': args.seed,
        'rows': {split: len(part) for split, part in labels.items()},
        'metrics': results,
    }
    (args.output_dir / 'result.json').write_text(
        json.dumps(content, indent=1) + '\n', encoding='utf-8'
    )
    print(text, end='')


def table(task, split, count, results):
    """The lines of a table: a row for each system, a column for each metric."""
    lines = [f'{split}, {count} rows'.ljust(20) + ''.join(f'{name:>12}' for name in task.metrics)]
    for system, metrics in results.items():
        lines.append(system.ljust(20) + ''.join(f'{value:12.4f}' for value in metrics.values()))
    return lines


if __name__ == '__main__':
    sys.exit(cli.run(main))
