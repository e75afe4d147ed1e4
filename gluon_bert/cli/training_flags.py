"""Flags that the commands that train share: the start, the options of training, the run."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .._internal.engine import devices, gpu_indices
from .._internal.errors import ArgumentError
from .output import note

MODEL_HELP = (
    'what to start from: NAME/DATASET or NAME of the zoo, a fine-tuned folder, a '
    "checkpoint's path, hf://owner/name; by default GluonNLP's where it can be fetched, else "
    'the one that needs no download'
)
# Fields whose flag has another name.
_FLAGS = {'pretrained_bert_parameters': 'model'}
# Field of TrainingOptions -> (type, help); a flag without a type takes no value.
OPTIONS = {
    'epochs': (int, 'passes over the data'),
    'training_steps': (int, 'stop after this number of steps instead'),
    'hours': (float, 'stop after this time instead; the learning rate follows it'),
    'evaluate_every': (int, 'steps between evaluations; by default at the end of each epoch'),
    'accumulate': (int, 'batches whose gradients make one step'),
    'accumulate_from': (int, 'batches of the first step; they grow to --accumulate'),
    'ramp_ratio': (float, 'fraction of the run in which they grow'),
    'optimizer': (str, 'bertadam, adam, adamw or lamb'),
    'learning_rate': (float, 'peak learning rate'),
    'epsilon': (float, 'epsilon of the optimizer'),
    'weight_decay': (float, 'weight decay (default: 0.01, for adam 0)'),
    'bias_correction': (None, 'correct the bias of the moments in bertadam; the others always do'),
    'layer_decay': (float, 'factor of the learning rate from each layer to the one below it'),
    'schedule': (str, 'of the learning rate: linear, constant, cosine or polynomial'),
    'warmup_ratio': (float, 'fraction of the steps used for warm-up'),
    'max_grad_norm': (float, 'clip gradients to this norm'),
    'early_stop': (int, 'stop after this many evaluations without a better score'),
    'seed': (int, 'seed of the head, the order of batches and dropout'),
    'log_interval': (int, 'steps between lines of the log'),
    'checkpoint_interval': (int, 'steps between saved states'),
    'dtype': (str, 'precision of the dense layers: float32 or bfloat16'),
    'recompute': (None, 'recompute activations: less memory, more time'),
}
START = {
    'bert_dataset': (str, 'data set of the zoo model, if --model is only a name'),
    'root': (str, 'folder of local weights (default: $MXNET_HOME/models)'),
    'model_parameters': (Path, 'start from this .params file of the whole fine-tuned network'),
    'from_scratch': (None, 'start from random parameters'),
    'reinit_layers': (int, 'draw this number of top layers, and the pooler, anew'),
    'vocab_file': (Path, 'vocabulary for --from_scratch, or of a TensorFlow checkpoint'),
    'bert_config_file': (Path, 'configuration of a TensorFlow checkpoint (default: beside it)'),
}
# Argument of connect -> (type, help).
COMM = {
    'comm_backend': (
        str,
        'what adds up over processes that gluon-bert launch or torchrun has started; device is one '
        'process',
    ),
    'comm_timeout': (float, 'seconds to wait for the other processes at the start'),
    'bucket_mb': (float, 'size of the messages that gradients are gathered in, in MiB'),
    'bucket_dtype': (str, 'in what gradients are sent: float32, or bfloat16; sums are in float32'),
}
HEAD = {
    'freeze_encoder': (None, 'compute the vectors of all texts once, fit a linear head on them'),
    'few_shot': (
        int,
        'learn from this number of examples of each class: the encoder from pairs of them, then a '
        'linear head',
    ),
    'few_shot_pairs': (int, 'pairs of one class, and of two classes, of each example'),
    'head_c': (
        float,
        "inverse strength of the linear head's regularisation (default: by cross-validation; with "
        '--few_shot 1)',
    ),
}
_SHORT = {'learning_rate': ('lr',), 'weight_decay': ('wd',)}


def add_start_flags(group: Any, without: Sequence[str] = ()) -> None:
    """Declare the flags that say what training starts from, but for some."""
    for name, (type, help) in START.items():
        if name not in without:
            add_flag(group, (name,), type, help, None)


def add_fields(group: Any, kind: type, flags: dict[str, tuple[Any, str]], **defaults: Any) -> None:
    """Declare flags for fields of a dataclass: name -> type and help."""
    defaults = {**{row.name: row.default for row in dataclasses.fields(kind)}, **defaults}
    for name, (type, help) in flags.items():
        add_flag(group, (name, *_SHORT.get(name, ())), type, help, defaults[name])


def add_run_flags(group: Any) -> None:
    """Declare where a run writes, whether it goes on, and the devices."""
    group.add_argument(
        '--output_dir',
        type=Path,
        default=Path('output_dir'),
        metavar='FOLDER',
        help='output folder',
    )
    add_flag(
        group, ('resume',), None, 'resume the run in the output folder, or give its result', False
    )
    add_flag(group, ('overwrite',), None, 'replace the run in the output folder', False)
    place = group.add_mutually_exclusive_group()
    place.add_argument(
        '--gpu',
        nargs='?',
        type=gpu_indices,
        const=0,
        metavar='INDEX,...',
        help='run on a GPU, the first one when no index is given, or on several that share each '
        'batch',
    )
    place.add_argument(
        '--cpu_workers',
        type=int,
        metavar='N',
        help='share each batch among this many workers on the CPU',
    )
    add_comm_flags(group)


def add_comm_flags(group: Any) -> None:
    """Declare how the processes of a run are connected; see :func:`pop_reduction`."""
    from ..training.distributed.connect import BUCKET_MB, TIMEOUT

    defaults = {
        'comm_backend': 'device',
        'comm_timeout': TIMEOUT,
        'bucket_mb': BUCKET_MB,
        'bucket_dtype': 'float32',
    }
    for name, (type, help) in COMM.items():
        group.add_argument(f'--{name}', type=type, default=defaults[name], help=help)


def pop_reduction(options: dict[str, Any]) -> Any:
    """Take the flags of :func:`add_comm_flags` out of the options, and connect the processes.

    Returns
    -------
    Reduction
        To be used as a context.

    Raises
    ------
    ValueError, OSError
        As :func:`.connect`.
    """
    from ..training.distributed.connect import connect

    return connect(*(options.pop(name) for name in COMM))


def add_flag(group: Any, names: Sequence[str], type: Any, help: str, default: Any) -> None:
    """Declare a flag; without a type it takes no value. The default is left to the library."""
    spellings = [f'--{name}' for name in names]
    if default not in (None, False):
        help = f'{help} (default: {default})'
    if type is None:
        group.add_argument(*spellings, dest=names[0], action='store_true', help=help)
    else:
        group.add_argument(*spellings, dest=names[0], type=type, help=help)


def add_data_flags(
    group: Any, kind: type, preset: Sequence[str] = (), takes: Sequence[str] = ()
) -> None:
    """Declare flags for the fields of data options, but for those that are ``preset``.

    Of those that only some tasks have, the help leaves out what is not in ``takes``; they are
    refused by name.
    """
    for row in dataclasses.fields(kind):
        if row.name not in preset:
            names = (row.name, *row.metadata.get('names', ()))
            hidden = row.metadata.get('by_row') and row.name not in takes
            help = argparse.SUPPRESS if hidden else row.metadata['help']
            add_flag(group, names, row.metadata['type'], help, None if hidden else row.default)


def pop_devices(options: dict[str, Any]) -> list:
    """Take the flags of the devices out of the options, and give the devices."""
    place = argparse.Namespace(
        gpu=options.pop('gpu', None),
        cpu_workers=options.pop('cpu_workers', None),
        batch_size=options.get('batch_size', 32),
    )
    return devices(place)


def carry_out(train: Callable[[], str], command: Sequence[str]) -> int:
    """Train with the log on standard error, and write the text that ``train`` returns.

    Parameters
    ----------
    train : callable
    command : list of str
        Of this process.

    Returns
    -------
    int
        The exit status, 130 if the run was interrupted.

    Raises
    ------
    ValueError
        If an argument is wrong, by its flag; or the loss is not finite.
    """
    from ..training import Interrupted

    logging.basicConfig(
        level=logging.INFO, format='%(asctime)s %(message)s', datefmt='%H:%M:%S', force=True
    )
    try:
        text = train()
    except ArgumentError as error:
        raise ValueError(error.message_with(lambda name: f'--{_FLAGS.get(name, name)}')) from None
    except FloatingPointError as error:
        raise ValueError(str(error)) from None
    except Interrupted as error:
        again = [item for item in command if item not in ('--resume', '--overwrite')]
        note(f'{error}; everything is saved. Go on with:\n  {shlex.join([*again, "--resume"])}')
        return 130
    sys.stdout.write(text)
    return 0
