"""The folder of a fine-tuned network: parameters with all that is needed to use them.

``task.json`` beside the parameter file says what the network does and how texts are read for it;
``tokenizer/`` has its vocabulary. Nothing outside the folder is needed. A converted folder has
``task.json``, too, beside the files of its format.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from ..checkpoint import Checkpoint, read_checkpoint
from ..checkpoint.schema import check_vocab_size
from ..checkpoint.task_file import (
    TASK_FILE,
    TOKENIZER_FOLDER,
    VERSION,
    find_folder_tokenizer,
    read_task_file,
    write_task_file,
)
from ..checkpoint.task_file import has_task as has_task
from ..config import BertConfig
from ..data import get_scheme, read_tokenizer
from ..inference.checks import bert_of
from ..inference.precision_file import forget_precision
from ..inference.trained import TrainedNetwork
from .head import check_head, network_kind, reads_pooler
from .registry import TaskSpec, get_spec
from .settings import OPTIONAL, check_settings, tag_transitions

if TYPE_CHECKING:
    import mxnet as mx

    from ..modeling.block import BertBlock

__all__ = [
    'TASK_FILE',
    'TOKENIZER_FOLDER',
    'VERSION',
    'TaskFolder',
    'TaskModel',
    'build_task',
    'load_task',
    'make_network',
    'num_outputs',
    'read_settings',
    'read_task',
    'save_task',
    'save_tokenizer',
    'task_model',
]


class TaskModel(NamedTuple):
    """A fine-tuned network with what it takes to use it.

    ``task`` is a key of ``TASKS``; ``settings`` has the entries of its row, and may have those of
    ``settings.OPTIONAL``.
    """

    task: str
    network: Any
    tokenizer: Any
    settings: dict[str, Any]

    @property
    def spec(self) -> TaskSpec:
        """The row of the task."""
        return get_spec(self.task)


class TaskFolder(NamedTuple):
    """The content of a folder: ``parameters`` is the path of the file, ``settings`` are checked."""

    task: str
    settings: dict[str, Any]
    config: BertConfig
    tokenizer: Any
    parameters: Path

    @property
    def spec(self) -> TaskSpec:
        """The row of the task."""
        return get_spec(self.task)


def task_model(
    task: str, network: Optional[BertBlock], tokenizer: Any, settings: dict[str, Any]
) -> TaskModel:
    """Join a network in training with what it takes to use it.

    Parameters
    ----------
    task : str
        A key of ``TASKS``, or an alias.
    network : BertBlock
    tokenizer : BertTokenizer, BytePairTokenizer or SentencePieceTokenizer
    settings : dict
        Those that are None are left out.

    Returns
    -------
    TaskModel

    Raises
    ------
    ValueError
        If a setting is not as it must be.
    """
    spec = get_spec(task)
    settings = {name: value for name, value in settings.items() if value is not None}
    _check(spec, settings, 'settings')
    return TaskModel(spec.name, network, tokenizer, settings)


def num_outputs(task: str, settings: dict[str, Any]) -> int:
    """Count the scores that the network of a task gives, for a text or for a token."""
    return get_spec(task).size(settings)


def make_network(task: str, config: BertConfig, settings: dict[str, Any]) -> BertBlock:
    """Make the network of a task, without parameters.

    Parameters
    ----------
    task : str
        A key of ``TASKS``, or an alias.
    config : BertConfig
    settings : dict
        See :class:`TaskModel`.

    Returns
    -------
    BertClassifier, BertForQA, BertTagger or BertCrfTagger
    """
    from ..modeling.bert import BertModel

    spec = get_spec(task)
    return spec.make_network(BertModel(config, use_pooler=reads_pooler(spec, settings)), settings)


def save_tokenizer(folder: str | Path, tokenizer: Any) -> None:
    """Write the tokenizer of a folder, before training, so that a bad one fails early.

    Parameters
    ----------
    folder : str or Path
    tokenizer : BertTokenizer, BytePairTokenizer or SentencePieceTokenizer

    Raises
    ------
    ValueError
        If its files cannot hold it.
    """
    folder = Path(folder) / TOKENIZER_FOLDER
    tokenizer.save(folder)
    saved: Any = read_tokenizer(folder)
    tokens = tokenizer.vocabulary.idx_to_token
    if saved.vocabulary.idx_to_token != tokens or saved.lower != tokenizer.lower:
        raise ValueError(
            f'{folder}: another vocabulary would be read from there: this tokenizer cannot be saved'
        )


def save_task(folder: str | Path, model: TaskModel, parameters: str) -> None:
    """Write ``task.json`` for a parameter file; whole or not at all.

    ``precision.json``, which was found for other parameters there, is removed.

    Parameters
    ----------
    folder : str or Path
        That of the parameter file, where :func:`save_tokenizer` has been.
    model : TaskModel
    parameters : str
        The file's name.

    Raises
    ------
    ValueError
        If a setting is not as it must be.
    """
    path = Path(folder) / TASK_FILE
    _check(model.spec, model.settings, path)
    forget_precision(folder)
    task = {'task': model.spec.name, **model.settings}
    write_task_file(folder, task, model.network.config, parameters)


def read_task(source: str | Path) -> TaskFolder:
    """Read what :func:`save_task` wrote, checked; the arrays are not read yet.

    Parameters
    ----------
    source : str or Path
        The folder; or a parameter file in it, or any other name there, for which the parameter
        file of the description is taken.

    Returns
    -------
    TaskFolder

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such folder, or it is damaged.
    """
    path, task, config, parameters = read_task_file(source)
    spec, settings = read_settings(task, config, path)
    places = [find_folder_tokenizer(path), None if parameters.suffix == '.params' else path.parent]
    tokenizer = None
    for place in filter(None, places):
        tokenizer = tokenizer or read_tokenizer(place)
    if tokenizer is None:
        raise FileNotFoundError(f'{path.parent / TOKENIZER_FOLDER}: there is no tokenizer')
    check_vocab_size(tokenizer, config.vocab_size, path.parent)
    if config.num_token_types < 2:
        tokenizer = tokenizer.without_token_types()
    return TaskFolder(spec.name, settings, config, tokenizer, parameters)


def read_settings(
    task: Mapping[str, Any], config: BertConfig, place: str | Path
) -> tuple[TaskSpec, dict[str, Any]]:
    """Check the settings of a fine-tuned network as a file has them.

    Parameters
    ----------
    task : mapping of str to object
        See ``task`` of :class:`.Checkpoint`.
    config : BertConfig
    place : str or Path
        Where they stand, for messages.

    Returns
    -------
    spec : TaskSpec
    settings : dict

    Raises
    ------
    ValueError
        If the task is unknown, or a setting is not as it must be.
    """
    settings = {name: value for name, value in task.items() if value is not None}
    try:
        spec = get_spec(settings.pop('task', None))
    except ValueError as error:
        raise ValueError(f'{place}: {error}') from None
    # 0.1 had the labels of multi-label texts as a flag of classification.
    if settings.pop('multi_label', False) is True and 'labels' in settings:
        spec = get_spec('multi-label')
        settings.setdefault('thresholds', [0.5] * len(settings['labels']))
    _check(spec, settings, place)
    length = settings[spec.max_length]
    if not 3 <= length <= config.max_length:
        raise ValueError(
            f'{place}: sequences of {length} tokens: expected 3 to '
            f'{config.max_length}, the longest that the network takes'
        )
    return spec, settings


def load_task(
    source: str | Path | TaskFolder, ctx: Optional[mx.Context] = None, gluon: bool = True
) -> TaskModel:
    """Load the network of a folder.

    Parameters
    ----------
    source : str, Path or TaskFolder
        See :func:`read_task`.
    ctx : mxnet.Context, optional
        Where the parameters go; by default the current context.
    gluon : bool
        As for :func:`build_task`.

    Returns
    -------
    TaskModel

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such folder, it is damaged, or its files do not belong together.
    """
    folder = source if isinstance(source, TaskFolder) else read_task(source)
    # Before a network is built, the reader has bounded what is claimed by what the file holds.
    checkpoint = read_checkpoint(folder.parameters)
    return build_task(checkpoint, folder.spec, folder.settings, folder.tokenizer, ctx, gluon)


def build_task(
    checkpoint: Checkpoint,
    spec: TaskSpec,
    settings: dict[str, Any],
    tokenizer: Any,
    ctx: Optional[mx.Context] = None,
    gluon: bool = True,
) -> TaskModel:
    """Build the network of a task with the parameters of a checkpoint.

    Parameters
    ----------
    checkpoint : Checkpoint
    spec : TaskSpec
    settings : dict
        Checked.
    tokenizer : BertTokenizer, BytePairTokenizer or SentencePieceTokenizer
    ctx : mxnet.Context, optional
        Where the parameters go; by default the current context.
    gluon : bool
        Build the Gluon network, hybridized. Otherwise the network is a :class:`.TrainedNetwork`, to
        be run without MXNet.

    Returns
    -------
    TaskModel

    Raises
    ------
    ValueError
        If the checkpoint has no head for the settings, or the tokenizer is another network's.
    """
    try:
        check_head(checkpoint, spec, settings)
        network: Any
        if gluon:
            network = make_network(spec.name, checkpoint.config, settings)
        else:
            network = TrainedNetwork(
                checkpoint, network_kind(spec, settings), tag_transitions(settings)
            )
        bert_of(network, tokenizer)
    except ValueError as error:
        raise ValueError(f'{checkpoint.source}: {error}') from None
    if gluon:
        network.load_checkpoint(checkpoint, ctx=ctx)
        network.hybridize(static_alloc=True)
    return TaskModel(spec.name, network, tokenizer, settings)


def _check(spec, settings, path):
    check_settings(settings, spec.settings, path, spec.name, {**OPTIONAL, **spec.optional})
    for name in ('scheme', 'file_scheme'):
        if name in spec.settings:
            try:
                get_scheme(settings[name])
            except ValueError as error:
                raise ValueError(f'{path}: {name}: {error}') from None
    for name in spec.per_output:
        if len(settings[name]) != spec.size(settings):
            raise ValueError(
                f'{path}: {name} has {len(settings[name])} entries: expected one for each of '
                f'{spec.size(settings)} outputs'
            )
