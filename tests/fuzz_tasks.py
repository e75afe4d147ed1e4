"""Folders of fine-tuned networks for :mod:`fuzz_seeds`, read by the pipelines."""

import contextlib
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

from fuzz_seeds import TEXT, Reader, tiny_checkpoint, written


def fine_tuned():
    """Folders of fine-tuned networks: of this package, and of transformers."""
    own, hub = 'task.json', 'config.json'
    entities = {
        'kinds': ['x', 'y'],
        'scheme': 'IOB2',
        'file_scheme': 'IOB1',
        'crf': False,
        'max_len': 7,
        'characters': False,
        'dropout': 0.1,
    }
    questions = {
        'max_seq_length': 7,
        'doc_stride': 2,
        'max_query_length': 2,
        'n_best_size': 3,
        'max_answer_length': 3,
        'version_2': True,
        'null_score_diff_threshold': 0.0,
    }
    folders = {
        'classes': (
            'classifier.1',
            3,
            'multi-label-classification',
            {
                'labels': ['a', 'b', 'c'],
                'thresholds': [0.5, 0.25, 0.75],
                'max_len': 7,
                'dropout': 0.1,
                'pair': False,
                'batch_size': 2,
            },
        ),
        'questions': ('span_classifier', 2, 'questions', questions),
        'entities': ('tag_classifier', 5, 'entities', entities),
    }
    readers = {}
    for name, (head, rows, task, settings) in folders.items():
        checkpoint = _with_head(head, rows)
        readers[f'task_{name}'] = Reader(
            written(partial(_save_task, checkpoint, task, settings)),
            (own, own, 'tiny.params'),
            _use_pipeline,
        )
        if checkpoint.labels:
            readers[f'hub_{name}'] = Reader(
                _hub_folder(checkpoint), (hub, hub, 'tokenizer_config.json'), _use_pipeline
            )
    return readers


def _with_head(head, rows):
    """The tiny BERT with the head of a task instead of those of its pre-training."""
    import numpy as np

    checkpoint = tiny_checkpoint()
    arrays = {
        name: array
        for name, array in checkpoint.arrays.items()
        if not name.startswith(('decoder', 'classifier'))
        and (head == 'classifier.1' or not name.startswith('pooler'))
    }
    arrays.update(
        {f'{head}.weight': np.ones((rows, 6), 'float32'), f'{head}.bias': np.ones(rows, 'float32')}
    )
    labels = ('O', 'B-x', 'I-x', 'y', 'LABEL_4')[:rows] if head != 'span_classifier' else ()
    return replace(
        checkpoint,
        arrays=arrays,
        labels=labels,
        max_tokens=6,
        problem_type='multi_label_classification' if rows == 3 else '',
    )


def _hub_folder(checkpoint):
    from gluon_bert.checkpoint import write_checkpoint

    return written(lambda path: write_checkpoint(checkpoint, path))


def _save_task(checkpoint, task, settings, folder):
    from gluon_bert.checkpoint.gluonnlp.names import to_file_names
    from gluon_bert.checkpoint.gluonnlp.params_file import write_params
    from gluon_bert.tasks.folder import TaskModel, save_task, save_tokenizer

    names = to_file_names(checkpoint.arrays, 'model')
    write_params(
        folder / 'tiny.params', {names[name]: array for name, array in checkpoint.arrays.items()}
    )
    save_tokenizer(folder, checkpoint.tokenizer)
    save_task(
        folder,
        TaskModel(task, SimpleNamespace(config=checkpoint.config), None, settings),
        'tiny.params',
    )


def _use_pipeline(folder):
    """What was accepted works; an input may still be too long for it."""
    from gluon_bert import load_pipeline

    pipeline = load_pipeline(folder)
    text = ('hello', TEXT) if pipeline.task == 'question-answering' else TEXT
    with contextlib.suppress(ValueError):
        next(pipeline.stream([text]))
