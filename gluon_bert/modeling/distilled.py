"""A student in training, with projections to the width of its teacher."""

from __future__ import annotations

from typing import Any

from ..checkpoint.names import Names, with_prefix
from .bert import BertBlock
from .layers import dense


class DistilledNetwork(BertBlock):
    """A network with the projections that its training by a teacher of another width needs.

    The projections are trained, and left behind: its file is that of the network alone.

    Parameters
    ----------
    student : BertBlock
        The network of a task.
    teacher_units : int
        Width of the teacher's encodings.
    hidden : bool
        Project the encodings of layers, see :meth:`project`, if the teacher has another width.
    vectors : bool
        Project the network's outputs, vectors of texts, if the teacher has another width.

    Inputs
    ------
    As for the student.

    Outputs
    -------
    scores
        As of the student; projected vectors have shape (N, teacher_units).
    """

    def __init__(
        self,
        student: Any,
        teacher_units: int,
        hidden: bool = False,
        vectors: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.config = student.config
        units = student.config.units
        differs = units != teacher_units
        with self.name_scope():
            self.student = student
            self.projection = dense(teacher_units, units) if hidden and differs else None
            self.vector_projection = dense(teacher_units, units) if vectors and differs else None

    @property
    def bert(self) -> Any:
        """The student's BERT."""
        return self.student.bert

    def hybrid_forward(
        self, F: Any, inputs: Any, token_types: Any, valid_length: Any, encoder: Any = None
    ) -> Any:
        scores = self.student.hybrid_forward(F, inputs, token_types, valid_length, encoder=encoder)
        return scores if self.vector_projection is None else self.vector_projection(scores)

    def project(self, hidden: Any) -> Any:
        """Bring encodings, (N, T, C), to the width of the teacher's."""
        return hidden if self.projection is None else self.projection(hidden)

    def new_parameters(self) -> list:
        """List the parameters of the projections."""
        layers = [self.projection, self.vector_projection]
        return [
            value for layer in layers if layer is not None for value in (layer.weight, layer.bias)
        ]

    def checkpoint_names(self) -> Names:
        return with_prefix(self.student.checkpoint_names(), 'student.')

    def save_parameters(self, filename: Any, deduplicate: bool = False) -> None:
        """Write the file of the student; see its class."""
        self.student.save_parameters(filename, deduplicate)

    def load_parameters(  # type: ignore[override]
        self, filename: Any, ctx: Any = None, **options: Any
    ) -> None:
        """Load the file of a student; the projections keep their values."""
        self.student.load_parameters(filename, ctx, **options)
