"""Parts of a sentence encoder: source, pooling, modules, prompts."""

from __future__ import annotations

import dataclasses
import reprlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Optional

from .._internal.progress import progress_bar
from .._internal.suggestions import did_you_mean
from .._internal.types import PathLike
from ..checkpoint.huggingface import write_huggingface
from ..checkpoint.schema import Checkpoint
from ..checkpoint.sentence import Normalize, SentenceModule, SentenceSettings
from ..checkpoint.task_file import likely_family
from ..data.streams import Texts
from ..data.tokenizers.base import SubwordTokenizer
from .checks import layer_number
from .pooling import SEPARATOR, Pooling, parse_pooling
from .trained import open_network

LONG = ('cut', 'windows')
LAYER_POOLING = 'mean_of_layer:'
# Field of a checkpoint, what it makes, and the class for it.
_OTHER_VECTORS = (
    ('sparse', 'sparse vectors', 'SparseEncoder'),
    ('token_vectors', 'vectors of tokens', 'MultiVectorEncoder'),
)
# What a text is -> names of the prompt for it, as sentence-transformers looks them up.
_ROLE_PROMPTS = {'query': ('query',), 'document': ('document', 'passage', 'corpus')}


def open_source(model: Any, tokenizer: Optional[SubwordTokenizer]) -> tuple[Any, Any]:
    """Open the model that a name or a folder stands for; return a network as it is.

    Parameters
    ----------
    model : str, Path, BertBlock or Predictor
    tokenizer : SubwordTokenizer, optional

    Returns
    -------
    network, tokenizer

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such model, or a tokenizer is given although the model has its own.
    """
    if not isinstance(model, (str, Path)):
        return model, tokenizer
    if tokenizer is not None:
        raise ValueError(
            f'tokenizer: {model} has its own; leave it out, or give the network of load_model'
        )
    network = open_network(source_of(model), 'encoder')
    tokenizer = network.checkpoint.tokenizer
    if tokenizer is None:
        raise ValueError(f'{model}: has no tokenizer files')
    return network, tokenizer


def source_of(name: PathLike) -> str:
    """Name a model as :func:`.open_checkpoint` takes it, given that or its data set alone.

    Raises
    ------
    ValueError
        If several models were trained on the data set.
    """
    from ..zoo.rows import list_models

    text = str(name)
    keys = [key for key in list_models() if key.dataset_name == text]
    if not keys or Path(text).exists():
        return text
    if len(keys) > 1:
        raise ValueError(
            f'{text}: names the data set of {len(keys)} models; expected one of '
            f'{", ".join("/".join(key) for key in keys)}'
        )
    return '/'.join(keys[0])


def parse_sentence_pooling(bert: Any, pooling: Optional[str]) -> tuple[Pooling, Optional[int]]:
    """Parse the pooling of a sentence encoder, by default that of the model, else the mean.

    Returns
    -------
    pooling : Pooling
    num_layers : int or None
        The layers after which it pools; None for all.
    """
    if pooling is None:
        pooling = SEPARATOR.join((bert.sentence or SentenceSettings()).modes)
    if isinstance(pooling, str) and pooling.startswith(LAYER_POOLING):
        try:
            layer = int(pooling[len(LAYER_POOLING) :])
        except ValueError:
            raise ValueError(
                f'pooling={pooling!r}: expected a whole number after {LAYER_POOLING!r}'
            ) from None
        return Pooling(('mean',)), layer_number(bert, layer) + 1
    try:
        way: Any = parse_pooling(pooling)
    except ValueError as error:
        raise ValueError(f'{error}, or {LAYER_POOLING + "-2"!r}') from None
    if way.reads_pooler and not bert.use_pooler:
        raise ValueError("pooling='pooler': the model has no pooler")
    return way, None


def check_makes_vectors(bert: Any) -> None:
    """Raise ValueError if a model says that it makes other vectors than one for each text."""
    checkpoint: Any = getattr(bert, 'checkpoint', None)
    for field, kind, name in _OTHER_VECTORS:
        if getattr(checkpoint, field, None) is not None:
            raise ValueError(
                f'{checkpoint.source}: makes {kind}: use {name}, or give pooling for others'
            )


def choose_settings(bert: Any, pooling: Pooling, normalize: Optional[bool]) -> SentenceSettings:
    """Return what a model says about its vectors, with what was asked for instead.

    Raises
    ------
    ValueError
        If the model's modules cannot read vectors of that pooling.
    """
    settings = bert.sentence or SentenceSettings(modules=(Normalize(),))
    modules = settings.modules
    if normalize is not None:
        modules = with_normalize(modules, normalize)
    width = bert.config.units * len(pooling.modes)
    for module in modules:
        try:
            width = module.output_units(width)
        except ValueError as error:
            raise ValueError(f'pooling={SEPARATOR.join(pooling.modes)!r}: {error}') from None
    # Of the pooled vector, which is no way to pool tokens, as wide as 'cls'.
    modes = ('cls',) if pooling.reads_pooler else pooling.modes
    return dataclasses.replace(settings, modes=modes, modules=modules)


def with_normalize(
    modules: tuple[SentenceModule, ...], normalize: bool
) -> tuple[SentenceModule, ...]:
    """Return modules that end in a normalisation, or do not."""
    while modules and isinstance(modules[-1], Normalize):
        modules = modules[:-1]
    return (*modules, Normalize()) if normalize else modules


def prompt_text(settings: SentenceSettings, prompt: Optional[str], name: Optional[str]) -> str:
    """Return what is put in front of texts.

    Raises
    ------
    TypeError, ValueError
        If both are given, or there is no prompt of that name.
    """
    if prompt is not None and name is not None:
        raise ValueError('give prompt or prompt_name, not both')
    if prompt is not None:
        if not isinstance(prompt, str):
            raise TypeError(f'prompt must be str, got {type(prompt).__name__}')
        return prompt
    name = settings.default_prompt if name is None else name
    if name is None:
        return ''
    if name not in settings.prompts:
        hint = did_you_mean(name, settings.prompts)
        names = ', '.join(map(repr, settings.prompts)) or 'none'
        raise ValueError(
            f'prompt_name={reprlib.repr(name)}{hint}: the prompts of the model are {names}'
        )
    return settings.prompts[name]


def role_prompt(settings: SentenceSettings, role: Optional[str]) -> Optional[str]:
    """Return the name of the prompt for queries or documents; None if there is none."""
    return next(
        (name for name in _ROLE_PROMPTS.get(role or '', ()) if name in settings.prompts), None
    )


class Prompt:
    """A text in front of others, and the number of its tokens that pooling leaves out.

    Parameters
    ----------
    settings : SentenceSettings
    text : str
    tokenizer : SubwordTokenizer
    """

    def __init__(self, settings: SentenceSettings, text: str, tokenizer: SubwordTokenizer) -> None:
        self.text, self.num_skipped = text, 0
        if text and not settings.include_prompt:
            text = text.strip().lower() if settings.lower else text.strip()
            (ids,) = tokenizer.encode_ids([text])
            self.num_skipped = len(ids) + 1  # with [CLS]


def prepared(
    texts: Texts, prompt: Prompt, settings: SentenceSettings, strip: bool
) -> Iterator[Any]:
    """Yield texts and pairs with the prompt in front, as the sentence model reads them."""

    def changed(text):
        text = text.strip() if strip else text
        return text.lower() if settings.lower else text

    for item in texts:
        if isinstance(item, str):
            yield changed(prompt.text + item)
        elif prompt.text:
            raise TypeError(f'a prompt goes with texts, got {type(item).__name__}')
        elif isinstance(item, (tuple, list)):
            yield tuple(changed(part) if isinstance(part, str) else part for part in item)
        else:
            yield item


def write_folder(
    bert: Any,
    tokenizer: SubwordTokenizer,
    settings: SentenceSettings,
    max_length: int,
    folder: PathLike,
) -> None:
    """Write a network with its tokenizer and settings as a folder of sentence-transformers."""
    checkpoint = Checkpoint(
        bert.checkpoint_arrays(),
        bert.config,
        likely_family(bert.config, tokenizer),
        tokenizer,
        sentence=dataclasses.replace(settings, max_length=max_length),
    )
    write_huggingface(checkpoint, folder)


def with_progress(stream: Iterable, total: Optional[int]) -> Iterator[Any]:
    """Yield blocks of vectors, and show how many there are on a terminal."""
    with progress_bar('texts', total) as bar:
        for block in stream:
            yield block
            bar.update(len(block))
