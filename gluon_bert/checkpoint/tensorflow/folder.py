"""Google's BERT checkpoints: TensorFlow variables, ``bert_config.json`` and ``vocab.txt``."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..._internal.files import write_text
from ..._internal.types import PathLike
from ...families import FAMILIES
from .. import names as common_names
from ..arrays import Arrays, shape_of, with_names
from ..schema import Checkpoint, check_pooler
from ..task_file import TASK_FILE, join_task, write_task_file
from ..tensor_file import join_names, printable
from .config import CONFIG, VOCAB, config_values, read_config, read_tokenizer
from .names import HEADS, WRITTEN_AS_CLASSIFIER, encoder_variables, head_variables
from .tensor_bundle import TensorBundle, write_bundle

_PREFIX = 'bert_model.ckpt'
_LATEST = 'checkpoint'  # TensorFlow's note of the newest checkpoint of a folder
_HEADS_OF_TASKS = {'multiple-choice': 'choice'}  # read from a classifier's names
_MAX_NOTE = 64 << 10  # bytes

_WORD_EMBEDDING = 'bert/embeddings/word_embeddings'
_OBJECT_GRAPH = '_CHECKPOINTABLE_OBJECT_GRAPH'
_SLOTS = ('adam_m', 'adam_v', 'Adam', 'Adam_1')
_FLOATS = ('float32', 'float16', 'bfloat16', 'float64')


def read_tensorflow(path: PathLike, tokenizer: bool = True) -> Checkpoint:
    """Read a checkpoint of Google's BERT, without TensorFlow.

    A variable is read from the data file, and its checksum verified, when it is asked for. Those
    of the optimiser, and others outside of the network, are left out.

    Parameters
    ----------
    path : str or Path
        The folder, or the checkpoint in it: ``<prefix>`` or ``<prefix>.index``. In a folder
        ``bert_model.ckpt`` is preferred, then the newest by TensorFlow's note ``checkpoint``.
    tokenizer : bool
        Read ``vocab.txt`` too, if it is there. Whether text is lower-cased is taken from
        ``do_lower_case`` in ``tokenizer_config.json`` or ``bert_config.json``, else from the
        folder's name, else from the vocabulary.

    Returns
    -------
    Checkpoint
        A head named ``output_weights`` is a classifier, also if it was trained to find entities or
        to score choices, unless a ``task.json`` of this package says so.

    Raises
    ------
    FileNotFoundError
        If there is no checkpoint, or no ``bert_config.json`` beside it.
    ValueError
        If a file is damaged, the folder has several checkpoints, or the variables are not those of
        a BERT of this configuration.
    """
    prefix = _find_prefix(Path(path))
    bundle = TensorBundle(prefix)
    config = read_config(prefix.parent)
    try:
        variables = _find_variables(bundle, config)
    except ValueError as error:
        raise ValueError(f'{prefix}.index: {error}') from None
    arrays = Arrays(
        {
            variable.common: (variable.common_shape, _reader(bundle, stored, variable))
            for variable, stored in variables
        }
    )
    checkpoint = Checkpoint(
        arrays,
        config,
        source=str(prefix),
        tokenizer=read_tokenizer(prefix.parent, config) if tokenizer else None,
    )
    return _with_head_of_task(join_task(checkpoint, prefix))


def write_tensorflow(checkpoint: Checkpoint, folder: PathLike) -> None:
    """Write a checkpoint as Google's BERT, which TensorFlow reads.

    Parameters
    ----------
    checkpoint : Checkpoint
        Of the family 'bert'. A tagger, or a head of choices, is written under the names of a
        classifier, as the usual scripts do. The names of the classes have no place in this format.
    folder : str or Path
        Made if it is not there. It gets ``bert_model.ckpt.index`` and
        ``bert_model.ckpt.data-00000-of-00001``, TensorFlow's note ``checkpoint``,
        ``bert_config.json`` and the tokenizer's files, ``vocab.txt`` among them.

    Raises
    ------
    ValueError
        If the network is not one of Google's, or one of the files is there already.
    """
    folder = Path(folder)
    try:
        values = config_values(checkpoint.config)
        variables = _written_variables(checkpoint)
    except ValueError as error:
        raise ValueError(
            f'{checkpoint.source or "checkpoint"}: cannot be written for TensorFlow: {error}'
        ) from None
    for name in (f'{_PREFIX}.index', CONFIG, VOCAB, _LATEST, TASK_FILE):
        if (folder / name).exists():
            raise ValueError(f'{folder / name}: is there already; give another folder')
    folder.mkdir(parents=True, exist_ok=True)
    if checkpoint.tokenizer is not None:
        checkpoint.tokenizer.save(folder)
    write_bundle(
        folder / _PREFIX,
        Arrays(
            {
                variable.name: (variable.shape, _writer(checkpoint.arrays, variable))
                for variable in variables
            }
        ),
    )
    write_text(folder / CONFIG, json.dumps(values, indent=2, sort_keys=True) + '\n')
    if checkpoint.task is not None:
        write_task_file(folder, checkpoint.task, checkpoint.config, _PREFIX)
    write_text(
        folder / _LATEST,
        f'model_checkpoint_path: "{_PREFIX}"\nall_model_checkpoint_paths: "{_PREFIX}"\n',
    )


def _with_head_of_task(checkpoint):
    """The same checkpoint, its classifier renamed where its task has another head."""
    task = checkpoint.task or {}
    head = 'tagger' if 'kinds' in task else _HEADS_OF_TASKS.get(task.get('task'))
    if head is None:
        return checkpoint
    array = common_names.HEADS[head].replace('.weight', '.')
    names = {name.replace('classifier.1.', array): name for name in checkpoint.arrays}
    return replace(checkpoint, arrays=with_names(checkpoint.arrays, names), problem_type='')


def _reader(bundle, stored, variable):
    def read():
        array = bundle[stored]
        return np.ascontiguousarray(array.T) if variable.transposed else array

    return read


def _writer(arrays, variable):
    def read():
        array = arrays[variable.common]
        return array.T if variable.transposed else array

    return read


def _find_prefix(path):
    if not path.is_dir():
        return path.with_suffix('') if path.suffix == '.index' else path
    names = sorted(file.name[: -len('.index')] for file in path.glob('*.ckpt*.index'))
    if not names:
        raise FileNotFoundError(f'{path}: has no TensorFlow checkpoint (*.ckpt*.index)')
    for name in (_PREFIX, names[0] if len(names) == 1 else None, _latest(path)):
        if name in names:
            return path / name
    raise ValueError(
        f'{path}: has {len(names)} checkpoints, give the path of one: {join_names(names, 10)}'
    )


def _latest(folder):
    """The checkpoint that TensorFlow's note names as the newest, or None."""
    path = folder / _LATEST
    if not path.is_file():
        return None
    with open(path, 'rb') as file:
        text = file.read(_MAX_NOTE).decode('utf-8', 'replace')
    match = re.search(r'^model_checkpoint_path:\s*"(?:[^"\n]*[/\\])?([^"\n]*)"', text, re.M)
    return match[1] if match else None


def _find_variables(bundle, config):
    """Pairs (Variable, its name in the bundle) of the network and of the heads that are there."""
    shapes, dtypes = bundle.shapes, bundle.dtypes
    if config.num_layers > len(shapes):
        raise ValueError(f'has {len(shapes)} variables, too few for {config.num_layers} layers')
    scope = _find_scope(shapes)
    # What lies under a variable is a slot of an optimiser.
    names = [
        name
        for name in shapes
        if name.rpartition('/')[0] not in shapes and name.rpartition('/')[2] not in _SLOTS
    ]
    variable_names = {name: name for name in names}
    variable_names.update((name[len(scope) :], name) for name in names if name.startswith(scope))
    wanted = encoder_variables(config)
    output = shapes.get(variable_names.get('output_weights')) or (1,)
    for head in HEADS:
        variables = head_variables(config, head, num_classes=output[0])
        if any(variable.name in variable_names for variable in variables):
            wanted += variables
    _check_names(variable_names, [variable.name for variable in wanted], config)
    for variable in wanted:
        stored = variable_names[variable.name]
        if shapes[stored] != variable.shape or dtypes[stored] not in _FLOATS:
            raise ValueError(
                f'{printable(stored)} is {dtypes[stored]} of shape {shapes[stored]}, '
                f'{CONFIG} calls for floats of shape {variable.shape}'
            )
    return [(variable, variable_names[variable.name]) for variable in wanted]


def _check_names(variable_names, wanted, config):
    missing = [name for name in wanted if name not in variable_names]
    if missing:
        raise ValueError(f'has no variable {join_names(missing)}')
    unknown = {name for name in variable_names if name.startswith('bert/')} - {*wanted}
    if unknown:
        raise ValueError(
            f'has {join_names(sorted(unknown))}, which a BERT of {config.num_layers} '
            f'layers does not have'
        )


def _find_scope(names):
    """What stands in front of 'bert/': '', or names with a slash at their end."""
    if _WORD_EMBEDDING in names:
        return ''
    scopes = [
        name[: -len(_WORD_EMBEDDING)] for name in names if name.endswith('/' + _WORD_EMBEDDING)
    ]
    if len(scopes) == 1:
        return scopes[0]
    if scopes:
        raise ValueError(f'has several networks, in {join_names(scopes)}; only one can be read')
    kind = (
        'an object-based checkpoint of TensorFlow 2'
        if _OBJECT_GRAPH in names
        else f'its variables are {join_names(sorted(names)) or "none"}'
    )
    raise ValueError(f"has no variable {_WORD_EMBEDDING}: not Google's BERT ({kind})")


def _written_variables(checkpoint):
    """The variables for the arrays of a checkpoint."""
    arrays, heads = checkpoint.arrays, checkpoint.heads
    check_pooler(checkpoint)
    if 'tensorflow' not in FAMILIES[checkpoint.family].formats:
        families = [name for name, row in FAMILIES.items() if 'tensorflow' in row.formats]
        raise ValueError(f'family={checkpoint.family!r}: expected {" or ".join(families)}')
    alike = [head for head in ('classifier', *WRITTEN_AS_CLASSIFIER) if head in heads]
    if len(alike) > 1:
        raise ValueError(f'its heads {" and ".join(alike)} have the same names')
    variables = encoder_variables(checkpoint.config)
    for head in heads:
        num_classes = shape_of(arrays, common_names.HEADS[head])[0]
        variables += head_variables(checkpoint.config, head, num_classes)
    for variable in variables:
        if variable.common not in arrays:
            raise ValueError(f'it has no {variable.common}')
        shape = shape_of(arrays, variable.common)
        if shape != variable.common_shape:
            raise ValueError(
                f'{variable.common} has shape {shape}, its configuration calls for '
                f'{variable.common_shape}'
            )
    unknown = sorted(set(arrays) - {variable.common for variable in variables})
    if unknown:
        raise ValueError(f'{join_names(unknown)} has no name there')
    return variables
