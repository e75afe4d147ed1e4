"""A student made of layers of its teacher."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional

from ..._internal.errors import ArgumentError
from ...checkpoint import Checkpoint
from ..start import Contexts, Start, load_checkpoint
from .options import DistillationOptions

logger = logging.getLogger(__name__)

_LAYER = re.compile(r'(encoder\.transformer_cells\.)(\d+)(\..+)')


def choose_layers(options: DistillationOptions, num_layers: int) -> tuple[int, ...]:
    """Choose the layers of a teacher that make its student.

    Parameters
    ----------
    options : DistillationOptions
    num_layers : int
        Of the teacher.

    Returns
    -------
    tuple of int
        From 0.

    Raises
    ------
    ValueError
        If the teacher has not as many layers, or not these.

    Examples
    --------
    >>> choose_layers(DistillationOptions(num_layers=3), 6)
    (0, 2, 5)
    """
    if options.student_layers is not None:
        chosen = tuple(options.student_layers)
        if not chosen or len(set(chosen)) < len(chosen) or max(chosen) >= num_layers:
            raise ArgumentError(
                'student_layers',
                f'expected different layers of the teacher, 0 to {num_layers - 1}',
                ' '.join(map(str, chosen)),
            )
        return chosen
    count = options.num_layers or num_layers
    if count > num_layers:
        raise ArgumentError('num_layers', f'the teacher has {num_layers} layers', count)
    if count == 1:
        return (0,)
    return tuple(number * (num_layers - 1) // (count - 1) for number in range(count))


def take_layers(checkpoint: Checkpoint, layers: Sequence[int]) -> Checkpoint:
    """Make the checkpoint of a network with some layers of another one, and its heads.

    Parameters
    ----------
    checkpoint : Checkpoint
    layers : sequence of int
        From 0.

    Returns
    -------
    Checkpoint
    """
    arrays, numbers = {}, {str(layer): number for number, layer in enumerate(layers)}
    config = replace(checkpoint.config, num_layers=len(layers))
    for name in checkpoint.arrays:
        match = None if config.share_layers else _LAYER.fullmatch(name)
        if match is None:
            arrays[name] = checkpoint.arrays[name]
        elif match[2] in numbers:
            arrays[f'{match[1]}{numbers[match[2]]}{match[3]}'] = checkpoint.arrays[name]
    return replace(checkpoint, arrays=arrays, config=config)


@dataclass
class TeacherLayers(Start):
    """A start from layers of the teacher.

    Parameters
    ----------
    checkpoint : Checkpoint
        Of those layers.
    teacher_base : list of str, optional
        The model of the zoo that the teacher was made from.
    """

    checkpoint: Any = None
    teacher_base: Optional[list[str]] = None

    @property
    def base(self) -> Optional[list[str]]:
        """The model of the zoo that the teacher was made from, or None."""
        return self.teacher_base

    def choose_model(self) -> None:
        """Do nothing: the model is chosen."""

    def load_bert(self, ctx: Contexts, seed: int, use_pooler: bool) -> tuple[Any, Any]:
        """Load the BERT and its tokenizer; see the base class."""
        return load_checkpoint(self.checkpoint, ctx, use_pooler)
