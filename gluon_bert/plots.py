"""Pictures of a training run, drawn without a display."""
from __future__ import annotations

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ._files import atomic_path


def plot_training(rows, path):
    """Draw loss and learning rate over the steps, and the metrics of each evaluation.

    Parameters
    ----------
    rows : list of dict
        Of metrics.jsonl: 'step' with 'loss' and 'learning_rate', or with 'metrics'.
    path : str or Path
        PNG file to write.
    """
    figure = Figure(figsize=(10, 4), layout='constrained')
    left, right = figure.subplots(1, 2)
    training = [row for row in rows if 'loss' in row]
    steps = [row['step'] for row in training]
    left.plot(steps, [row['loss'] for row in training], color='tab:blue')
    left.set(xlabel='step', ylabel='training loss')
    rate = left.twinx()
    rate.plot(steps, [row['learning_rate'] for row in training], color='tab:gray', linestyle=':')
    rate.set_ylabel('learning rate')
    evaluations = [row for row in rows if 'metrics' in row]
    for name in evaluations[-1]['metrics'] if evaluations else ():
        right.plot([row['epoch'] + 1 for row in evaluations],
                   [row['metrics'][name] for row in evaluations], marker='o', label=name)
    if evaluations:
        right.legend()
    right.set(xlabel='epoch', ylabel='evaluation')
    right.xaxis.get_major_locator().set_params(integer=True)
    _save(figure, path)


def plot_confusion(matrix, labels, path):
    """Draw a confusion matrix.

    Parameters
    ----------
    matrix : numpy.ndarray, shape (K, K)
        Counts; rows are the true classes, columns the predicted ones.
    labels : list of str
        Names of the K classes.
    path : str or Path
        PNG file to write.
    """
    side = max(4.0, 0.5 * len(labels) + 2)
    figure = Figure(figsize=(side, side), layout='constrained')
    axes = figure.subplots()
    shares = matrix / matrix.sum(axis=1, keepdims=True).clip(min=1)
    axes.imshow(shares, cmap='Blues', vmin=0, vmax=1)
    ticks = range(len(labels))
    axes.set_xticks(ticks, labels=labels, rotation=45, ha='right')
    axes.set_yticks(ticks, labels=labels)
    axes.set(xlabel='predicted', ylabel='true')
    for row in ticks:
        for column in ticks:
            axes.text(column, row, f'{matrix[row, column]}', ha='center', va='center',
                      color='white' if shares[row, column] > 0.5 else 'black')
    _save(figure, path)


def _save(figure, path):
    FigureCanvasAgg(figure)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format='png', dpi=100)
