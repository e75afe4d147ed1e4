"""Write the folders of models for retrieval that were trained here."""

from __future__ import annotations

import dataclasses
from typing import Any, Optional, Union

from .._internal.types import PathLike
from ..checkpoint import Checkpoint
from ..checkpoint.huggingface import write_huggingface
from ..checkpoint.retrieval import TokenVectorSettings
from ..checkpoint.sentence import Dense
from ..checkpoint.task_file import likely_family
from ..data.tokenizers.base import SubwordTokenizer
from ..modeling.retrieval_networks import SparseEmbedder, TokenEmbedder


def write_retrieval_model(
    network: Union[SparseEmbedder, TokenEmbedder],
    tokenizer: SubwordTokenizer,
    folder: PathLike,
    settings: Optional[TokenVectorSettings] = None,
) -> None:
    """Write a folder that :class:`.SparseEncoder` or :class:`.MultiVectorEncoder` opens.

    Parameters
    ----------
    network : SparseEmbedder or TokenEmbedder
    tokenizer : SubwordTokenizer
    folder : str or Path
        Made here; it appears when it is whole.
    settings : TokenVectorSettings, optional
        Lengths and prefixes of a TokenEmbedder; its own projection becomes their ``modules``.

    Raises
    ------
    FileExistsError
        If the folder is there already and not empty.
    ValueError
        If ``settings`` has modules, or the network is not of these classes.
    """
    options: dict[str, Any] = {}
    if isinstance(network, SparseEmbedder):
        arrays, options['sparse'] = network.network.checkpoint_arrays(), network.settings
        if settings is not None:
            raise ValueError('settings: a SparseEmbedder has its own')
    elif isinstance(network, TokenEmbedder):
        arrays = network.bert.checkpoint_arrays()
        options['token_vectors'] = _with_projection(settings or TokenVectorSettings(), network)
    else:
        raise ValueError(
            f'network: expected a SparseEmbedder or TokenEmbedder, got {type(network).__name__}'
        )
    family = likely_family(network.config, tokenizer)
    checkpoint = Checkpoint(
        arrays, network.config, family, tokenizer, source='the network', **options
    )
    write_huggingface(checkpoint, folder)


def _with_projection(settings, network):
    if settings.modules:
        raise ValueError('settings: its modules are the projection of the network; leave them out')
    weight = network.projection.weight
    array = weight.data(weight.list_ctx()[0]).asnumpy()
    return dataclasses.replace(settings, modules=(Dense(array, None, 'identity'),))
