"""Settings of a sentence model: pooling of the encodings of a text, and the modules after it.

N vectors of C units. The modules are those of sentence-transformers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

import numpy as np

from .._internal.numerics import sigmoid

# The order in which sentence-transformers puts several ways of pooling side by side.
POOLING_MODES = ('cls', 'max', 'mean', 'mean_sqrt_len', 'weightedmean', 'lasttoken')
SIMILARITIES = ('cosine', 'dot', 'euclidean', 'manhattan')
NORM_EPS = 1e-12


def _gelu(values):
    erf = np.vectorize(math.erf, otypes=['float64'])
    return values * (0.5 * (1 + erf(values / math.sqrt(2))))


ACTIVATIONS: Dict[str, Callable[[np.ndarray], np.ndarray]] = {
    'identity': lambda values: values,
    'tanh': np.tanh,
    'relu': lambda values: np.maximum(values, 0),
    'gelu': _gelu,
    'sigmoid': sigmoid,
}


class SentenceModule:
    """A step from vectors to vectors; its options and its arrays are all that it is."""

    def options(self) -> Dict[str, Any]:
        """Return what is not an array, by name."""
        return {}

    def arrays(self) -> Dict[str, np.ndarray]:
        """Return the arrays, by sentence-transformers' names."""
        return {}

    def output_units(self, units: int) -> int:
        """Return the width of its outputs; raise ValueError if it cannot read ``units``."""
        return units

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Compute float32 of shape (N, C) from float32 of shape (N, C')."""
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SentenceModule):
            return NotImplemented
        ours, theirs = self.arrays(), other.arrays()
        return (
            type(self) is type(other)
            and self.options() == other.options()
            and ours.keys() == theirs.keys()
            and all(np.array_equal(ours[name], theirs[name], equal_nan=True) for name in ours)
        )

    __hash__ = None  # type: ignore[assignment]


@dataclass(eq=False)
class Dense(SentenceModule):
    """A dense layer: weight (C, C'), bias (C,) or None, and one of ``ACTIVATIONS``."""

    weight: np.ndarray
    bias: Optional[np.ndarray] = None
    activation: str = 'tanh'

    def options(self) -> Dict[str, Any]:
        """Return the activation."""
        return {'activation': self.activation}

    def arrays(self) -> Dict[str, np.ndarray]:
        """Return linear.weight, and linear.bias if there is one."""
        bias = {} if self.bias is None else {'linear.bias': self.bias}
        return {'linear.weight': self.weight, **bias}

    def output_units(self, units: int) -> int:
        """Return C; raise ValueError if ``units`` is not C'."""
        if units != self.weight.shape[1]:
            raise ValueError(f'Dense reads vectors of {self.weight.shape[1]} units, not of {units}')
        return self.weight.shape[0]

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Compute the layer."""
        outputs = vectors @ self.weight.T.astype('float32')
        if self.bias is not None:
            outputs = outputs + self.bias
        return ACTIVATIONS[self.activation](outputs).astype('float32', copy=False)


@dataclass(eq=False)
class LayerNorm(SentenceModule):
    """Layer normalisation of the vector, with epsilon 1e-5."""

    weight: np.ndarray
    bias: np.ndarray

    def arrays(self) -> Dict[str, np.ndarray]:
        """Return norm.weight and norm.bias."""
        return {'norm.weight': self.weight, 'norm.bias': self.bias}

    def output_units(self, units: int) -> int:
        """Return C; raise ValueError if ``units`` is another."""
        if units != len(self.weight):
            raise ValueError(f'LayerNorm reads vectors of {len(self.weight)} units, not of {units}')
        return units

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Compute the normalised vectors."""
        centred = vectors - vectors.mean(axis=1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(axis=1, keepdims=True) + np.float32(1e-5))
        return (centred / deviation * self.weight + self.bias).astype('float32', copy=False)


class Normalize(SentenceModule):
    """Scaling of each vector to Euclidean length 1."""

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Compute the scaled vectors; a zero vector stays zero."""
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(NORM_EPS)


@dataclass(frozen=True)
class SentenceSettings:
    """Settings of the vectors of a sentence model.

    Parameters
    ----------
    modes : tuple of str
        Ways of pooling, of ``POOLING_MODES``; several are put side by side.
    modules : tuple of SentenceModule
        Steps after pooling, in order.
    max_length : int, optional
        Tokens of the longest sequence, special tokens included; None for the model's longest.
    lower : bool
        Lower-case texts before the tokenizer reads them.
    include_prompt : bool
        Pool over the tokens of a prompt, too.
    prompts : mapping of str to str
        What is put in front of a text, by a name.
    default_prompt : str, optional
        The name of the prompt of texts for which none is asked.
    similarity : str
        Of ``SIMILARITIES``: how two vectors are compared.

    Raises
    ------
    ValueError
        If a field is none of these.
    """

    modes: Tuple[str, ...] = ('mean',)
    modules: Tuple[SentenceModule, ...] = ()
    max_length: Optional[int] = None
    lower: bool = False
    include_prompt: bool = True
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt: Optional[str] = None
    similarity: str = 'cosine'

    def __post_init__(self):
        unknown = [mode for mode in self.modes if mode not in POOLING_MODES]
        if unknown or not self.modes or len(set(self.modes)) < len(self.modes):
            raise ValueError(f'pooling {self.modes}: expected different ones of {POOLING_MODES}')
        if self.similarity not in SIMILARITIES:
            raise ValueError(f'similarity {self.similarity!r}: expected one of {SIMILARITIES}')
        if self.default_prompt is not None and self.default_prompt not in self.prompts:
            raise ValueError(
                f'default prompt {self.default_prompt!r}: expected one of '
                f'{", ".join(map(repr, self.prompts)) or "none, for there are no prompts"}'
            )

    def output_units(self, units: int) -> int:
        """Return the width of the vectors of a model with encodings of width ``units``.

        Raises
        ------
        ValueError
            If the modules do not fit each other or the model.
        """
        width = units * len(self.modes)
        for module in self.modules:
            width = module.output_units(width)
        return width
