"""What finetune_classifier.py tells about a network: metrics, predictions, errors by class."""
import argparse
import json
from pathlib import Path

import cli
import numpy as np

import gluon_bert as gb

DESCRIPTION_FILE = 'classifier.json'
TOKENIZER_FOLDER = 'tokenizer'    # of a network that is in no row of the zoo

logger = cli.logger


def read_description(parameters):
    """What was kept beside a parameter file, and the path of that file."""
    path = Path(parameters).parent / DESCRIPTION_FILE
    try:
        description = json.loads(path.read_text(encoding='utf-8'))
    except (ValueError, RecursionError):
        description = None
    if not isinstance(description, dict):
        raise ValueError(f'{path}: is not a description of {parameters}')
    return description, path


def recall_model(args):
    """Take the model's names from beside --model_parameters, unless they are given."""
    if (args.model_parameters is None or args.bert_model or args.bert_dataset
            or not (args.model_parameters.parent / DESCRIPTION_FILE).is_file()):
        return
    description, path = read_description(args.model_parameters)
    if 'config' in description:
        return
    try:
        args.bert_model = cli.one_of('model', gb.zoo.ARCHITECTURES)(description['bert_model'])
        args.bert_dataset = cli.one_of('data set', gb.zoo.VOCABULARIES)(
            description['bert_dataset'])
    except (KeyError, TypeError, argparse.ArgumentTypeError) as error:
        raise ValueError(f'{path}: does not name a model of the zoo ({error})') from None


def recall_bert(args):
    """The network described beside --model_parameters with its tokenizer; None if of the zoo."""
    folder = args.model_parameters and args.model_parameters.parent
    if not folder or not (folder / DESCRIPTION_FILE).is_file():
        return None
    description, path = read_description(args.model_parameters)
    if 'config' not in description:
        return None
    try:
        config = gb.BertConfig(**description['config'])
    except (TypeError, ValueError) as error:
        raise ValueError(f'{path}: "config" is not that of a BERT ({error})') from None
    tokenizer = gb.data.read_tokenizer(folder / TOKENIZER_FOLDER)
    if tokenizer is None:
        raise FileNotFoundError(f'{folder / TOKENIZER_FOLDER}: has no vocabulary')
    return gb.BertModel(config), tokenizer


def read_labels(parameters):
    """The class names that were kept beside a parameter file."""
    description, path = read_description(parameters)
    labels = description.get('labels')
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ValueError(f'{path}: "labels" must be a list of names')
    return tuple(labels)


def predictions(task, scores):
    """Class numbers, or values within the range of the task: (N, K) -> (N,)."""
    if not task.is_regression:
        return scores.argmax(axis=1)
    low, high = task.label_range or (-np.inf, np.inf)
    return scores[:, 0].clip(low, high)


def probabilities(scores):
    """Softmax: (N, K) -> (N, K)."""
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def evaluate(task, network, split, data):
    """The task's metrics on a split; those of a second dev split carry its name."""
    scores = gb.training.predict(network, data, desc=split)
    metrics = gb.metrics.evaluate_metrics(task.metrics, data.labels, predictions(task, scores))
    prefix = '' if split in ('dev', 'dev_matched') else f'{split}_'
    return {prefix + name: value for name, value in metrics.items()}


def write(folder, task, network, splits, data):
    """Evaluate the dev splits and predict the test splits into files of ``folder``."""
    for split in splits:
        if split == 'train':
            continue
        scores = gb.training.predict(network, data[split], desc=split)
        if data[split].labels is not None:
            report_split(folder, task, split, data[split].labels, scores)
        name = task.submissions.get(split, f'{task.name}_{split}.tsv')
        write_predictions(folder, name, task, splits[split].examples, scores)


def report_split(folder, task, split, labels, scores):
    """Log the metrics; for classes write the report and draw the confusion matrix."""
    predicted = predictions(task, scores)
    metrics = gb.metrics.evaluate_metrics(task.metrics, labels, predicted)
    logger.info('%s: %s', split, ' '.join(f'{name}={value:.4f}'
                                          for name, value in metrics.items()))
    if task.is_regression:
        return
    numbers = range(len(task.labels))
    matrix = gb.metrics.confusion_matrix(labels, predicted, len(numbers))
    report = gb.metrics.format_report(gb.metrics.class_report(labels, predicted, task.labels))
    (folder / f'{split}_report.txt').write_text(report + '\n', encoding='utf-8')
    gb.plots.plot_confusion(matrix, list(task.labels), folder / f'{split}_confusion.png')
    logger.info('%s by class:\n%s', split, report)


def write_predictions(folder, name, task, examples, scores):
    """The GLUE server's layout, and beside it one with the probability of every class."""
    predicted = predictions(task, scores)
    texts = ([f'{value:.3f}' for value in predicted] if task.is_regression
             else [task.labels[number] for number in predicted])
    lines = [f'{example.index}\t{text}\n' for example, text in zip(examples, texts)]
    path = folder / name
    path.write_text('index\tprediction\n' + ''.join(lines), encoding='utf-8')
    logger.info('predictions: %s', path)
    if not task.is_regression:
        lines = ['\t'.join(['index', 'prediction', *task.labels]) + '\n']
        for example, text, row in zip(examples, texts, probabilities(scores)):
            lines.append('\t'.join([example.index, text, *(f'{p:.6f}' for p in row)]) + '\n')
        (folder / f'{path.stem}_probabilities.tsv').write_text(''.join(lines), encoding='utf-8')
