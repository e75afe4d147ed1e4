"""Types that annotations of the whole package share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable, Union

import numpy as np

PathLike = Union[str, Path]
Numbers = Union[Sequence[float], np.ndarray]
Integers = Union[Sequence[int], np.ndarray]
Progress = Callable[[int], Any]  # is given the number of items done since its last call
Context = Any  # mxnet.Context or a list of them; MXNet has no types
