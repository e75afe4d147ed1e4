"""The interface of a task's job: data in, settings, labels, scores and reports out."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Optional

from .._internal.errors import ArgumentError
from .._internal.files import remove_leftovers
from ..config import BertConfig
from ..data import SequenceData
from ..training.files import RunFiles
from .folder import (
    TASK_FILE,
    TOKENIZER_FOLDER,
    TaskFolder,
    TaskModel,
    has_task,
    save_task,
    save_tokenizer,
)
from .loss import ClassCounts, task_objective
from .model_card import CARD_FILE, SplitReport
from .registry import TaskSpec

logger = logging.getLogger(__name__)


class DevSource(NamedTuple):
    """The place of a dev set: a file, or the folder of a GLUE task; and the columns of a table."""

    path: Optional[str | Path] = None
    data_dir: Optional[str | Path] = None
    text: Optional[str] = None
    pair: Optional[str] = None
    label: str = 'label'


class DevSet(NamedTuple):
    """Data with right answers.

    ``inputs`` are as the pipeline takes them, ``answers`` belong to them in order;
    ``measure(pipeline, inputs, answers)`` gives the figure ``metric``, 1 at best, the first of the
    task's metrics.
    """

    path: str
    inputs: list
    answers: list
    metric: str
    measure: Callable[[Any, list, list], float]

    def score(self, pipeline: Any) -> float:
        """Measure a pipeline of the same task."""
        return self.measure(pipeline, self.inputs, self.answers)

    def part(self, indices: Any) -> DevSet:
        """Choose some of the examples."""
        return self._replace(
            inputs=[self.inputs[i] for i in indices], answers=[self.answers[i] for i in indices]
        )


@dataclass
class Job(ABC):
    """The data of one run of fine-tuning or prediction.

    Parameters
    ----------
    spec : TaskSpec
        Of the task that was asked for; :meth:`read` may find that it is a sibling, such as scores
        in place of classes.
    data : dataclass
        An instance of the class's own ``Data``: files, and how they are read.
    saved : TaskFolder, optional
        What stands beside the parameters that the run starts from.
    trains : bool
        False to evaluate and predict only.
    teacher : Teacher, optional
        Whose labels the network learns.
    """

    spec: TaskSpec
    data: Any
    saved: Optional[TaskFolder] = None
    trains: bool = True
    splits: dict[str, Any] = field(default_factory=dict)
    teacher: Any = None

    Data: ClassVar[type]
    not_asked: ClassVar[tuple[str, ...]] = ()
    """Data options that it has no use for, and refuses."""

    @property
    def known(self) -> Any:
        """The fine-tuned network whose labels are taken over, with its settings; or None."""
        return self.teacher if self.saved is None else self.saved

    @property
    @abstractmethod
    def stem(self) -> str:
        """The stem of the parameter files."""

    @property
    @abstractmethod
    def log_file(self) -> str:
        """The name of the log."""

    @abstractmethod
    def read(self) -> None:
        """Read the files into ``splits``, by the names 'train', 'dev...' and 'test...'."""

    def start_from(self, bert: Any) -> None:  # noqa: B027 (most need nothing)
        """Take over what the model that training starts from says of itself."""

    @abstractmethod
    def settings(self, config: BertConfig, base: Optional[list[str]]) -> dict[str, Any]:
        """Collect the settings of the network: those of the row, and further ones.

        Parameters
        ----------
        config : BertConfig
        base : list of str, optional
            Architecture and data set of the model of the zoo that training starts from.

        Returns
        -------
        dict
        """

    def prepare(self, pipeline: Any, folder: Path) -> None:  # noqa: B027 (most need none)
        """Make windows and the like of the splits, where the task needs them; write nothing."""

    def keep_prepared(self) -> None:  # noqa: B027 (most need none)
        """Write what :meth:`prepare` made and a second run can use."""

    @abstractmethod
    def examples(self, split: Any) -> list:
        """List the examples of a split, tuples."""

    def inputs(self, split: Any) -> list:
        """Give the examples of a split as the pipeline takes them."""
        raise NotImplementedError

    def label_array(self, split: Any) -> Any:
        """Give the right answers of a split as an array; None if it has none."""
        raise NotImplementedError

    def dev_examples(self) -> dict[str, list]:
        """List the examples by which the best epoch is chosen, by split."""
        if not self.can_evaluate:
            return {}
        return {
            name: self.examples(split)
            for name, split in self.splits.items()
            if name.startswith('dev')
        }

    @abstractmethod
    def training_data(self, model: TaskModel, pipeline: Any, seed: int, ctx: Any) -> Any:
        """Make the training split what the loop reads."""

    def sequence_data(
        self, model: TaskModel, features: list, labels: Any, seed: int, ctx: Any
    ) -> SequenceData:
        """Make sequences and their labels what the loop reads, by the data options."""
        data, vocab = self.data, model.tokenizer.vocabulary
        return SequenceData(
            features,
            labels,
            vocab[vocab.padding_token],
            batch_size=data.batch_size,
            seed=seed,
            round_to=data.round_to,
            fixed_length=data.max_len if getattr(data, 'pad', False) else None,
            ctx=ctx,
        )

    def unlabelled_data(
        self, paths: list[Path], model: TaskModel, pipeline: Any
    ) -> tuple[list, Optional[list]]:
        """Read texts without labels, from which a student of a teacher learns.

        Returns
        -------
        features : list of Features
        labels : list or None
            Of tokens, where that is what labels are: negative for those that do not count.
        """
        raise ArgumentError('unlabelled', f'is not for {self.spec.name}')

    def objective(self, model: TaskModel) -> Any:
        """Give the loss to train with."""
        return task_objective(self, model)

    def class_counts(self, model: TaskModel) -> ClassCounts:
        """Count the training examples of each class that can have a weight in the loss."""
        raise NotImplementedError

    def before_training(self, model: TaskModel, learning_rate: float) -> None:  # noqa: B027
        """Adjust the network before it is trained."""

    @property
    def can_evaluate(self) -> bool:
        """True if a split has right answers to choose the epoch by."""
        return any(name.startswith('dev') for name in self.splits)

    @abstractmethod
    def evaluate(self, pipeline: Any) -> dict[str, float]:
        """Measure a network in training on the dev splits; the first metric chooses the epoch."""

    def after_training(self, pipeline: Any) -> dict[str, Any]:
        """Choose settings by the dev split, once the parameters are final; by default none."""
        return {}

    @abstractmethod
    def write(self, pipeline: Any, folder: Path) -> list[SplitReport]:
        """Write predictions and reports of the splits.

        Returns
        -------
        list of SplitReport
            For the model card, the training split among them.
        """

    def result_folder(self, folder: Path) -> Path:
        """Name the folder of the trained model: that of the run, or one in it."""
        return folder

    def refuse_unasked(self, folder: Path, overwrite: bool) -> None:
        """Refuse to replace a model in the folder that is not of a run there."""
        if has_task(folder) and not RunFiles(folder).has_run and not overwrite:
            raise ValueError(
                f'{folder / TASK_FILE}: there is a fine-tuned network without the result of its '
                f'run; overwrite it, or choose another folder'
            )

    def clear(self, folder: Path) -> None:
        """Remove what tells of an earlier run's model."""
        for name in (TASK_FILE, CARD_FILE):
            (folder / name).unlink(missing_ok=True)
        remove_leftovers(folder / TOKENIZER_FOLDER)

    def save_first(self, folder: Path, model: TaskModel) -> None:
        """Write, or try to write, before training what might fail after it."""
        save_tokenizer(folder, model.tokenizer)

    def save(self, folder: Path, model: TaskModel, parameters: str) -> None:
        """Write the trained model, whose best parameters are in a file of that name."""
        save_task(folder, model, parameters)

    @staticmethod
    @abstractmethod
    def dev_set(pipeline: Any, source: DevSource) -> DevSet:
        """Read the dev set of a fine-tuned pipeline; see :func:`.read_dev`."""
