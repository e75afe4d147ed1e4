"""Read hyper-parameters from a file of their own."""

from __future__ import annotations

from pathlib import Path

from .._internal.json import read_object
from .._internal.types import PathLike
from ..config import BertConfig


def read_config_file(path: PathLike) -> BertConfig:
    """Read hyper-parameters.

    Parameters
    ----------
    path : str or Path
        The .json that this package writes next to a .params file, an object of BertConfig's
        fields, transformers' config.json, or Google's bert_config.json.

    Returns
    -------
    BertConfig

    Raises
    ------
    FileNotFoundError, ValueError
        If it is missing or none of these.
    """
    from ..checkpoint.huggingface.config import read_config

    path = Path(path)
    values = read_object(path)
    ours = values.get('config', values)
    if not isinstance(ours, dict) or 'units' not in ours:
        # Google's has no model_type; its keys are those of transformers' BERT.
        return read_config(path, array_names=('bert.embeddings',)).config
    try:
        return BertConfig.from_dict(ours)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
