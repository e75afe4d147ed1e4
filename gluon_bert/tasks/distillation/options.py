"""The options of a distillation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

from ..._internal.checks import (
    check_fraction,
    check_not_negative,
    check_positive,
    check_positive_number,
    check_range,
)
from ..._internal.errors import ArgumentError

NO_CACHE = 'none'
ALPHA, TEMPERATURE = 0.5, 2.0


@dataclass(frozen=True)
class DistillationOptions:
    """Options of a distillation.

    Parameters
    ----------
    alpha : float, optional
        Weight of the teacher's scores; the labels have what is left to 1. By default 0.5 where
        there are labels, else 1.
    temperature : float, optional
        By which the scores are divided before their softmax, see :func:`.soft_cross_entropy`; by
        default 2.
    num_layers : int, optional
        The student is this number of layers of the teacher, evenly spread.
    student_layers : sequence of int, optional
        The student is these layers of the teacher, from 0.
    relation_weight, hidden_weight : float
        Of :func:`.relation_loss` and :func:`.hidden_loss`; 0 leaves them out.
    relation_heads : int, optional
        Number of relation heads; by default the teacher's number of attention heads.
    teacher_layer : int, optional
        The layer, from 0, whose relations the last layer of the student learns; by default the
        last one.
    unlabelled : sequence of str or Path
        Files of texts without labels: the lines of a .txt, or tables.
    teacher_cache : str or Path, optional
        Folder that keeps the outputs of the teacher; by default the output folder. 'none' computes
        them for each batch.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    alpha: Optional[float] = None
    temperature: Optional[float] = None
    num_layers: Optional[int] = None
    student_layers: Optional[Sequence[int]] = None
    relation_weight: float = 0.0
    relation_heads: Optional[int] = None
    teacher_layer: Optional[int] = None
    hidden_weight: float = 0.0
    unlabelled: Sequence[Union[str, Path]] = ()
    teacher_cache: Optional[Union[str, Path]] = None

    def __post_init__(self) -> None:
        if self.alpha is not None:
            check_fraction(alpha=self.alpha)
        if self.temperature is not None:
            check_positive_number(temperature=self.temperature)
        check_positive(num_layers=self.num_layers, relation_heads=self.relation_heads)
        check_not_negative(relation_weight=self.relation_weight, hidden_weight=self.hidden_weight)
        for layer in self.student_layers or ():
            check_range(0, 2**31 - 1, student_layers=layer)
        if self.student_layers is not None and self.num_layers not in (
            None,
            len(self.student_layers),
        ):
            raise ArgumentError(
                'num_layers',
                f'{{student_layers}} names {len(self.student_layers)}',
                self.num_layers,
            )
        for name in ('relation_heads', 'teacher_layer'):
            if getattr(self, name) is not None and not self.relation_weight:
                raise ArgumentError(name, 'goes with {relation_weight}', getattr(self, name))

    @property
    def takes_layers(self) -> bool:
        """True if the student is made of layers of the teacher."""
        return self.num_layers is not None or self.student_layers is not None

    def files(self) -> list[Path]:
        """List the files of unlabelled texts."""
        names: Any = self.unlabelled
        return [Path(names)] if isinstance(names, (str, Path)) else [Path(name) for name in names]
