"""The activation of a cross-encoder in the files of sentence-transformers, in and out.

Versions 0 to 3 have the activation of the score in config.json, versions 4 to 5.3 there too, in an
object of their own; from 5.4 on it is in config_sentence_transformers.json.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Optional

from ..._internal.json import read_object
from ..._internal.types import PathLike
from ..tensor_file import printable

SETTINGS_FILE = 'config_sentence_transformers.json'
ACTIVATION_CLASSES = {
    'tanh': 'torch.nn.modules.activation.Tanh',
    'identity': 'torch.nn.modules.linear.Identity',
    'relu': 'torch.nn.modules.activation.ReLU',
    'gelu': 'torch.nn.modules.activation.GELU',
    'sigmoid': 'torch.nn.modules.activation.Sigmoid',
}
_KEY, _OLD_KEY = 'sentence_transformers', 'sbert_ce_default_activation_function'
_DEFAULT = 'sigmoid'  # of one score, as sentence-transformers has it


def is_cross_encoder(folder: Path) -> bool:
    """Tell if a folder with modules.json is one of a cross-encoder."""
    path = folder / SETTINGS_FILE
    return path.is_file() and read_object(path).get('model_type') == 'CrossEncoder'


def read_score_activation(path: PathLike) -> Optional[str]:
    """Read what a cross-encoder does to its score.

    Parameters
    ----------
    path : str or Path
        Its config.json, beside which config_sentence_transformers.json may be.

    Returns
    -------
    str or None
        Of ``ACTIVATIONS``; None if the files are not of a cross-encoder.

    Raises
    ------
    ValueError
        If it is another function.
    """
    path = Path(path)
    values, place, given = read_object(path), path, None
    if is_cross_encoder(path.parent):
        place = path.parent / SETTINGS_FILE
        given = read_object(place).get('activation_fn', ACTIVATION_CLASSES[_DEFAULT])
    elif isinstance(values.get(_KEY), dict):
        given = values[_KEY].get('activation_fn')
    elif _OLD_KEY in values:
        given = values[_OLD_KEY] or ACTIVATION_CLASSES[_DEFAULT]
    if given is None:
        return None
    return parse_activation(given, place, 'the activation of the score')


def parse_activation(given: object, place: object, what: str) -> str:
    """Return the name of an activation by its class in PyTorch; ValueError if it is another."""
    name = str(given).rpartition('.')[2].lower()
    if name not in ACTIVATION_CLASSES or not str(given).startswith('torch.nn.'):
        raise ValueError(
            f'{place}: {what} is {printable(str(given))}: expected one of '
            f'{", ".join(ACTIVATION_CLASSES.values())}'
        )
    return name


def score_values(activation: str) -> Dict[str, Any]:
    """Make the entries of config.json by which all versions know a cross-encoder."""
    name = ACTIVATION_CLASSES[activation]
    return {_OLD_KEY: name, _KEY: {'activation_fn': name}}
