"""The job of a student whose vectors of texts, and layers, are to be like those of its teacher."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Optional

from ..._internal.errors import ArgumentError
from ...config import BertConfig
from ...data import SentenceTransform
from ...inference.pooling import SEPARATOR
from .. import sentence_data
from ..folder import TaskModel
from ..options import DEBUG_ROWS
from ..sentence_similarity import SentenceJob
from .texts import read_unlabelled

logger = logging.getLogger(__name__)


@dataclass
class StudentVectorsJob(SentenceJob):
    """Vectors of texts, learned from a teacher; each text of the training file is one to learn."""

    not_asked: ClassVar[tuple[str, ...]] = (
        'loss', 'scale', 'symmetric', 'distance', 'margin', 'matryoshka',
        'cache_size', 'pooling', 'normalize',
    )  # fmt: skip

    def read(self) -> None:
        data = self.data
        for name in self.not_asked:
            value = getattr(data, name)
            if value not in (None, False, ()):
                reason = 'is not for a student, which learns the vectors of its teacher'
                raise ArgumentError(name, reason, value)
        self.splits = sentence_data.read_splits(data, needs_train=False)
        limit = DEBUG_ROWS if data.debug else None
        for name, groups in self.splits.items():
            count = data.max_train_examples if name == 'train' and limit is None else limit
            scores = groups.scores and groups.scores[:count]
            groups = groups._replace(texts=groups.texts[:count], scores=scores)
            groups = sentence_data.scaled(groups, data.score_range)
            self.splits[name] = groups
            logger.info('%s: %d examples from %s', name, len(groups.texts), groups.path)
            if name != 'train':
                sentence_data.check_evaluation(groups)

    def settings(self, config: BertConfig, base: Optional[list[str]]) -> dict[str, Any]:
        taught = self.teacher.settings
        self.data.pooling = SEPARATOR.join(taught['pooling'])
        self.data.normalize = taught['normalize']
        return super().settings(config, base)

    def training_data(self, model: TaskModel, pipeline: Any, seed: int, ctx: Any) -> Any:
        _, texts = sentence_data.number_texts(self.splits['train'].texts)
        return self.sequence_data(model, self._features(model, texts), None, seed, ctx)

    def unlabelled_data(
        self, paths: list[Path], model: TaskModel, pipeline: Any
    ) -> tuple[list, Optional[list]]:
        items = read_unlabelled(paths, *(*(self.data.columns or ()), None, None)[:2])
        texts = [text for item in items for text in ((item,) if isinstance(item, str) else item)]
        lower = self.sentence.lower
        texts = [(text.lower() if lower else text).strip() for text in texts]
        return self._features(model, list(dict.fromkeys(texts))), None

    def _features(self, model, texts):
        transform = SentenceTransform(model.tokenizer, self.data.max_len)
        features, num_cut = transform.transform_batch(texts, None)
        if num_cut:
            logger.warning(
                'train: %d of %d texts were longer than --max_len %d tokens and were cut',
                num_cut,
                len(texts),
                self.data.max_len,
            )
        return features
