"""A classifier of sentence vectors: pooled encodings, as a sentence model makes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from ..checkpoint.names import CLASSIFIER
from ..families import family_like
from .bert import BertModel
from .heads import BertHead
from .layers import dense

POOLINGS = ('mean', 'cls')
_SQUARED_EPS = 1e-24


class VectorClassifier(BertHead):
    """Scores of a text, from the vector that a sentence model makes of it.

    Parameters
    ----------
    bert : BertModel
    num_classes : int
        Number K of classes; 1 for regression.
    pooling : str
        'mean' of the encodings of all tokens, or 'cls', that of the first.
    normalize : bool
        Scale each vector to Euclidean length 1.

    Inputs
    ------
    inputs, token_types, valid_length
        As for :class:`.BertModel`.

    Outputs
    -------
    scores : float, shape (N, K)
        Logits; for regression the value itself.
    """

    kind = 'vector_classifier'
    head_names = CLASSIFIER

    def __init__(
        self,
        bert: BertModel,
        num_classes: int = 2,
        pooling: str = 'mean',
        normalize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(bert, **kwargs)
        if num_classes < 1:
            raise ValueError(f'num_classes={num_classes}: expected 1 (regression) or more')
        if pooling not in POOLINGS:
            raise ValueError(f'pooling={pooling!r}: expected one of {POOLINGS}')
        self.pooling, self.normalize = pooling, normalize
        with self.name_scope():
            self.classifier = dense(num_classes, bert.config.units)

    @property
    def file_layout(self) -> str:  # type: ignore[override]
        """Layout of GluonNLP's classifier of the family, without the pooler."""
        return family_like(self.config).gluonnlp_classifier

    def hybrid_forward(
        self, F: Any, inputs: Any, token_types: Any, valid_length: Any, encoder: Any = None
    ) -> Any:
        sequence = self.bert.sequence(F, inputs, token_types, valid_length, encoder)  # (N, T, C)
        if self.pooling == 'cls':
            vectors = F.squeeze(F.slice_axis(sequence, axis=1, begin=0, end=1), axis=1)
        else:
            lengths = F.expand_dims(F.cast(valid_length, dtype='float32'), axis=1)
            vectors = F.broadcast_div(F.sum(sequence, axis=1), lengths)  # (N, C)
        if self.normalize:
            vectors = F.L2Normalization(vectors, eps=_SQUARED_EPS)
        return self.scores(vectors)

    def scores(self, encodings: Any) -> Any:
        return self.classifier(encodings)  # (N, K)


def vector_options(task: Optional[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the pooling and the normalisation that the settings of a task state."""
    settings = task or {}
    return {
        'pooling': settings.get('pooling', 'mean'),
        'normalize': settings.get('normalize', False),
    }
