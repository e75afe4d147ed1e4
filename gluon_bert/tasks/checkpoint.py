"""A fine-tuned checkpoint of another maker: its task, and how texts are read for it.

It says less than a folder of :mod:`gluon_bert.tasks.folder`; what it leaves open is as usual.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import mxnet as mx
import numpy as np

from ..checkpoint.arrays import changed, shape_of
from ..data import detect_scheme, split_tag, tag_names
from ..inference.batches import bert_of
from ..modeling.crf import FORBIDDEN
from .folder import make_network, task_model

# Head -> its array that has a row for each output.
_HEADS = {
    'classifier': 'classifier.1.weight',
    'span': 'span_classifier.weight',
    'tagger': 'tag_classifier.weight',
}
_LONGEST_WINDOW = 384  # of questions; Devlin et al. (2019) have it, and transformers


def task_of(checkpoint):
    """What a checkpoint was fine-tuned for.

    Parameters
    ----------
    checkpoint : Checkpoint

    Returns
    -------
    str or None
        'classification', 'regression', 'questions' or 'entities'; None if it has no such head.
    """
    head = next((head for head in _HEADS if head in checkpoint.heads), None)
    if head == 'classifier':
        single = shape_of(checkpoint.arrays, _HEADS[head])[:1] == (1,)
        is_score = checkpoint.problem_type == 'regression' or (
            single and checkpoint.problem_type != 'multi_label_classification'
        )
        return 'regression' if is_score else 'classification'
    return {'span': 'questions', 'tagger': 'entities'}.get(head)


def checkpoint_task(checkpoint, ctx=None):
    """The network of a fine-tuned checkpoint, with what it takes to use it.

    Parameters
    ----------
    checkpoint : Checkpoint
        With a tokenizer and a head for which :func:`task_of` has a name.
    ctx : mxnet.Context, optional
        By default the CPU.

    Returns
    -------
    TaskModel
        Hybridized. Sequences are as long as the tokenizer is set to and the network takes, for
        questions 384 tokens at most. Classes without names are LABEL_0, LABEL_1 and so on. The
        tags of entities are put in the order of :func:`.tag_names`; labels that are no tags, such
        as 'NOUN', are types of entity.

    Raises
    ------
    ValueError
        If its labels are not as many as its classes, or not to be told apart, a score has several
        outputs, sequences would be too short, or there is no tokenizer.
    """
    task = task_of(checkpoint)
    try:
        if task is None:
            raise ValueError(
                f'has no head of a task (it has: {", ".join(checkpoint.heads) or "none"})'
            )
        settings, checkpoint = _SETTINGS[task](checkpoint, _longest(checkpoint))
        model = task_model(task, None, checkpoint.tokenizer, settings)
        network = make_network(task, checkpoint.config, settings)
        bert_of(network, checkpoint.tokenizer)
    except ValueError as error:
        raise ValueError(f'{checkpoint.source}: {error}') from None
    network.load_checkpoint(checkpoint, ctx=mx.cpu() if ctx is None else ctx)
    network.hybridize(static_alloc=True)
    return model._replace(network=network)


def _longest(checkpoint):
    limits = checkpoint.max_tokens or checkpoint.config.max_length, checkpoint.config.max_length
    if min(limits) < 3:
        raise ValueError(f'sequences of {min(limits)} tokens: expected 3 or more')
    return min(limits)


def _classes(checkpoint, longest):
    multi_label = checkpoint.problem_type == 'multi_label_classification'
    settings = {
        'labels': list(_labels(checkpoint, 'classifier')),
        'max_len': longest,
        'dropout': checkpoint.config.dropout,
        'multi_label': multi_label or None,
    }
    return settings, checkpoint


def _score(checkpoint, longest):
    count = _num_outputs(checkpoint, 'classifier')
    if count != 1:
        raise ValueError(f'a regression with {count} outputs: only one is supported')
    return {'max_len': longest, 'dropout': checkpoint.config.dropout}, checkpoint


def _questions(checkpoint, longest):
    length = min(longest, _LONGEST_WINDOW)
    return {
        'max_seq_length': length,
        'doc_stride': min(128, max(1, length // 3)),
        'max_query_length': min(64, max(1, length // 3)),
        'n_best_size': 20,
        'max_answer_length': 30,
        'version_2': False,
        'null_score_diff_threshold': 0.0,
    }, checkpoint


def _entities(checkpoint, longest):
    tags = [_tag(label) for label in _labels(checkpoint, 'tagger')]
    kinds = list(dict.fromkeys(kind for _, kind in map(split_tag, tags) if kind))
    tag, times = Counter(tags).most_common(1)[0]
    if not kinds or times > 1:
        raise ValueError(
            'the labels of its tokens name '
            + (f'{tag[:80]!r} {times} times' if times > 1 else 'no entity')
        )
    # One tag for each letter will do, each a sentence of its own.
    scheme = detect_scheme([[tag] for tag in {tag[0]: tag for tag in tags}.values()])
    numbers = {tag: number for number, tag in enumerate(tags)}
    rows = np.array([numbers.get(tag, -1) for tag in tag_names(kinds, scheme)])
    arrays, units = checkpoint.arrays, checkpoint.config.units

    def weight():
        return np.where(rows[:, None] < 0, 0, arrays['tag_classifier.weight'][rows])

    def bias():
        # A tag that the network does not know gets no share in any probability.
        return np.where(rows < 0, FORBIDDEN, arrays['tag_classifier.bias'][rows])

    ordered = changed(
        arrays,
        {
            'tag_classifier.weight': ((len(rows), units), weight),
            'tag_classifier.bias': ((len(rows),), bias),
        },
    )
    settings = {
        'kinds': kinds,
        'scheme': scheme,
        'file_scheme': scheme,
        'crf': False,
        'dropout': checkpoint.config.dropout,
        'max_len': longest,
        'characters': False,
    }
    return settings, replace(checkpoint, arrays=ordered)


_SETTINGS = {
    'classification': _classes,
    'regression': _score,
    'questions': _questions,
    'entities': _entities,
}


def _tag(label):
    """A label as a tag; one that is none becomes a type of entity."""
    is_tag = label == 'O' or (label[1:2] == '-' and label[0] in 'BIMELSU' and len(label) > 2)
    return label if is_tag else f'I-{label}'


def _labels(checkpoint, head):
    count = _num_outputs(checkpoint, head)
    labels = checkpoint.labels or tuple(f'LABEL_{number}' for number in range(count))
    if len(labels) != count:
        raise ValueError(f'has {len(labels)} labels for {count} classes')
    return labels


def _num_outputs(checkpoint, head):
    name, units = _HEADS[head], checkpoint.config.units
    shape = shape_of(checkpoint.arrays, name)
    bias = name.replace('weight', 'bias')
    if (
        len(shape) != 2
        or not shape[0]
        or shape[1] != units
        or bias not in checkpoint.arrays
        or (shape_of(checkpoint.arrays, bias) != shape[:1])
    ):
        raise ValueError(
            f'{name} has shape {shape}: expected (classes, {units}), and {bias} beside it'
        )
    return shape[0]
