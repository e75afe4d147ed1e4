"""What finetune_classifier.py tells about a network: metrics, predictions, errors by class."""

import json

import numpy as np

import gluon_bert as gb
from common import cli

logger = cli.logger


def predict(pipeline, name, split):
    """The results for the examples of a split."""
    inputs = [
        example.text if example.pair is None else (example.text, example.pair)
        for example in split.examples
    ]
    with cli.progress(name, len(inputs)) as bar:
        pipeline.progress = bar.update
        return pipeline(inputs)


def predictions(task, results):
    """Class numbers, or scores."""
    if task.is_regression:
        return np.array([result.value for result in results])
    numbers = {label: number for number, label in enumerate(task.labels)}
    return np.array([numbers[result.label] for result in results])


def evaluate(task, pipeline, name, split):
    """The task's metrics on a split; those of a second dev split carry its name."""
    metrics = metrics_of(task, split, predict(pipeline, name, split))
    prefix = '' if name in ('dev', 'dev_matched') else f'{name}_'
    return {prefix + metric: value for metric, value in metrics.items()}


def metrics_of(task, split, results):
    """The task's metrics of results."""
    return gb.metrics.evaluate_metrics(
        task.metrics, gb.data.label_array(split.examples), predictions(task, results)
    )


def tell_cut(name, num_cut, total, max_len):
    """Log how many sequences of a split were cut."""
    if num_cut:
        logger.warning(
            '%s: %d of %d sequences were longer than --max_len %d tokens and were cut',
            name,
            num_cut,
            total,
            max_len,
        )


def write(folder, task, pipeline, splits):
    """Evaluate the dev splits and predict the test splits into files of ``folder``.

    Gives what the model card tells of all splits.
    """
    told = []
    for name, split in splits.items():
        metrics = report = None
        if name != 'train':
            before = pipeline.num_cut
            results = predict(pipeline, name, split)
            tell_cut(name, pipeline.num_cut - before, len(results), pipeline.settings['max_len'])
            if gb.data.label_array(split.examples) is not None:
                metrics, report = report_split(folder, task, name, split, results)
            file = task.submissions.get(name, f'{task.name}_{name}.tsv')
            write_predictions(folder, file, task, split.examples, results)
        told.append(gb.model_card.Split(name, split.path, len(split.examples), metrics, report))
    return told


def report_split(folder, task, name, split, results):
    """Log the metrics; for classes write the report and draw the confusion matrix."""
    metrics = metrics_of(task, split, results)
    logger.info(
        '%s: %s', name, ' '.join(f'{metric}={value:.4f}' for metric, value in metrics.items())
    )
    if task.is_regression:
        return metrics, None
    labels, predicted = gb.data.label_array(split.examples), predictions(task, results)
    matrix = gb.metrics.confusion_matrix(labels, predicted, len(task.labels))
    report = gb.metrics.format_report(gb.metrics.class_report(labels, predicted, task.labels))
    (folder / f'{name}_report.txt').write_text(report + '\n', encoding='utf-8')
    gb.plots.plot_confusion(matrix, list(task.labels), folder / f'{name}_confusion.png')
    logger.info('%s by class:\n%s', name, report)
    return metrics, report


def write_predictions(folder, name, task, examples, results):
    """The benchmark's layout, and beside it one with the probability of every class."""
    texts = [f'{result.value:.3f}' if task.is_regression else result.label for result in results]
    path = folder / name
    if path.suffix == '.json':
        lines = [
            json.dumps({'id': json.loads(example.index), 'label': text}) + '\n'
            for example, text in zip(examples, texts)
        ]
    else:
        lines = ['index\tprediction\n'] + [
            f'{example.index}\t{text}\n' for example, text in zip(examples, texts)
        ]
    path.write_text(''.join(lines), encoding='utf-8')
    logger.info('predictions: %s', path)
    if not task.is_regression:
        lines = ['\t'.join(['index', 'prediction', *task.labels]) + '\n']
        for example, result in zip(examples, results):
            row = [f'{share:.6f}' for share in result.probabilities.values()]
            lines.append('\t'.join([example.index, result.label, *row]) + '\n')
        (folder / f'{path.stem}_probabilities.tsv').write_text(''.join(lines), encoding='utf-8')
