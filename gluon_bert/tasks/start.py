"""Starting points of training: a model of the zoo, a checkpoint, parameters, or nothing."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional, Union

import mxnet as mx

from .._internal.errors import ArgumentError
from ..checkpoint import Checkpoint, read_checkpoint
from ..checkpoint.gluonnlp.description import MissingHyperParameters, is_described, read_description
from ..config import BertConfig
from ..data import (
    BertTokenizer,
    SentencePieceTokenizer,
    looks_lowercase,
    read_tokenizer,
    read_vocabulary,
)
from ..families import DEFAULT_FAMILY
from ..modeling.bert import BertModel
from ..zoo import (
    DEFAULT,
    OFFLINE_DEFAULT,
    WEIGHTS,
    expand_name,
    family_of,
    fetch_model,
    get_config,
    get_tokenizer,
    open_checkpoint,
    zoo_checkpoint,
)
from .reinit import reinitialize

logger = logging.getLogger(__name__)

Contexts = Union[mx.Context, list]


@dataclass
class Start:
    """The BERT that training starts from.

    Parameters
    ----------
    bert_model, bert_dataset : str, optional
        Architecture and data set of a model of the zoo, or its name on the hub alone. Without
        either GluonNLP's default where its weights can be fetched, else the model that needs no
        download.
    root : str or Path, optional
        Folder of local weights.
    pretrained_bert_parameters : str, optional
        Start from this BERT instead: a .params file, a folder of Hugging Face or TensorFlow, or
        'hf://owner/name'. A .params file is one of ``bert_model``, unless a file beside it, its
        digest or its name tells which network it is.
    model_parameters : Path, optional
        Start from this .params file of the whole fine-tuned network.
    from_scratch : bool
        Start from random parameters.
    vocab_file : Path, optional
        Vocabulary for training from scratch, by default that of ``bert_dataset``: a file such as
        vocab.txt, or the folder of a tokenizer; or that of a TensorFlow checkpoint, by default
        beside it.
    bert_config_file : Path, optional
        Configuration of a TensorFlow checkpoint, by default beside it; or, with ``vocab_file``, of
        a network trained from scratch, instead of ``bert_model``.
    do_lower_case : bool, optional
        Casing of the text for a folder or a TensorFlow checkpoint, by default as it was trained; or
        with ``vocab_file``, by default as that says or looks.
    uncased : bool
        Refuse a model that does not lower-case its text.
    sentencepiece : str, optional
        Tokenize with this SentencePiece model.
    reinit_layers : int
        Number of top layers to draw anew, see :func:`.reinitialize`.
    """

    bert_model: Optional[str] = None
    bert_dataset: Optional[str] = None
    root: Optional[Union[str, Path]] = None
    pretrained_bert_parameters: Optional[str] = None
    model_parameters: Optional[Path] = None
    from_scratch: bool = False
    vocab_file: Optional[Path] = None
    bert_config_file: Optional[Path] = None
    do_lower_case: Optional[bool] = None
    uncased: bool = False
    sentencepiece: Optional[str] = None
    reinit_layers: int = 0

    @property
    def base(self) -> Optional[list[str]]:
        """The names of the model of the zoo, or None if training starts elsewhere."""
        if self.from_scratch or self.pretrained_bert_parameters or self.model_parameters:
            return None
        return [str(self.bert_model), str(self.bert_dataset)]

    def choose_model(self) -> None:
        """Fill in the model's names where they were not given."""
        if self.bert_model is not None:
            self.bert_model, self.bert_dataset = expand_name(self.bert_model, self.bert_dataset)
        if self.bert_model is None and self.bert_dataset is None:
            if self._is_params_file():
                return
            self.bert_model, self.bert_dataset = DEFAULT
            if self.base is not None:
                self._fall_back()
        elif self.bert_dataset is None:
            trained = [data for model, data in WEIGHTS if model == self.bert_model]
            self.bert_dataset = trained[0] if trained else DEFAULT[1]
        elif self.bert_model is None:
            trained = [model for model, data in WEIGHTS if data == self.bert_dataset]
            self.bert_model = trained[0] if trained else DEFAULT[0]

    def _fall_back(self):
        try:
            fetch_model(*DEFAULT, root=self.root)
        except FileNotFoundError as error:
            logger.debug('%s', error)
            self.bert_model, self.bert_dataset = OFFLINE_DEFAULT
            logger.warning(
                '%s on %s could not be fetched: training starts from %s on %s instead; name the '
                'model you want to see the reason',
                *DEFAULT,
                *OFFLINE_DEFAULT,
            )

    def load_bert(self, ctx: Contexts, seed: int, use_pooler: bool) -> tuple[BertModel, Any]:
        """Load the BERT and its tokenizer.

        Parameters
        ----------
        ctx : mxnet.Context or list of them
        seed : int
            Seed of random parameters.
        use_pooler : bool

        Returns
        -------
        bert : BertModel
        tokenizer : BertTokenizer, BytePairTokenizer or SentencePieceTokenizer

        Raises
        ------
        FileNotFoundError, ValueError
            If there is no such model, it is damaged, or arguments conflict.
        """
        self._check()
        bert, tokenizer = self._load(ctx, seed, use_pooler)
        if self.uncased and not tokenizer.lower:
            raise ArgumentError(
                'uncased',
                f'{self.pretrained_bert_parameters or self.bert_dataset} is cased: its model was '
                f'trained on text that is not lower-cased',
            )
        if self.sentencepiece:
            tokenizer = SentencePieceTokenizer(
                self.sentencepiece, tokenizer.vocabulary, lower=tokenizer.lower
            )
        reinitialize(bert, self.reinit_layers, ctx, seed)
        return bert, tokenizer

    def _load(self, ctx, seed, use_pooler):
        if self.from_scratch or (self.model_parameters and not self.pretrained_bert_parameters):
            return self._random(ctx, seed, use_pooler)
        with self.open() as checkpoint:
            return load_checkpoint(checkpoint, ctx, use_pooler)

    @contextlib.contextmanager
    def open(self) -> Iterator[Checkpoint]:
        """Open the trained checkpoint, with its tokenizer, for as long as the block runs.

        Raises
        ------
        FileNotFoundError, ValueError
            As :meth:`load_bert`.
        """
        self._check()
        source = self.pretrained_bert_parameters
        if self._is_params_file():
            yield self._params_checkpoint(source)
        elif not source:
            yield zoo_checkpoint(str(self.bert_model), str(self.bert_dataset), self.root)
        else:
            with gathered(source, self.bert_config_file, self.vocab_file) as path:
                checkpoint = open_checkpoint(path)
                tokenizer = checkpoint.tokenizer
                if tokenizer is not None:
                    tokenizer = with_casing(tokenizer, self.do_lower_case)
                yield replace(checkpoint, tokenizer=tokenizer)

    def describe_random(self) -> tuple[BertConfig, str, Any]:
        """Give the configuration, family and tokenizer of a network with random parameters.

        Raises
        ------
        FileNotFoundError, ValueError
            If a file is not there or not what it must be, or the two do not fit together.
        """
        self._check()
        tokenizer = self._new_tokenizer()
        size, file = len(tokenizer.vocabulary), self.bert_config_file
        if file is None:
            name = str(self.bert_model)
            return get_config(name, size), family_of(name), tokenizer
        described = read_description(file)
        assert described.config is not None
        if described.config.vocab_size != size:
            raise ArgumentError(
                'bert_config_file',
                f'has vocab_size {described.config.vocab_size}, but the vocabulary has {size} '
                f'tokens',
                file,
            )
        return described.config, described.family or DEFAULT_FAMILY, tokenizer

    def _new_tokenizer(self):
        if not self.vocab_file:
            return get_tokenizer(self.bert_model, self.bert_dataset, self.root)
        if not Path(self.vocab_file).is_dir():
            vocab = read_vocabulary(self.vocab_file)
            lower = self.do_lower_case
            return BertTokenizer(vocab, lower=looks_lowercase(vocab) if lower is None else lower)
        tokenizer = read_tokenizer(self.vocab_file, self.do_lower_case)
        if tokenizer is None:
            raise ArgumentError('vocab_file', 'there is no vocabulary in it', self.vocab_file)
        return tokenizer

    def _is_params_file(self):
        return str(self.pretrained_bert_parameters or '').endswith('.params')

    def _params_checkpoint(self, source):
        """Read a .params file as the files beside it or the model's names describe it."""
        if self.bert_model is None or is_described(source):
            try:
                checkpoint = open_checkpoint(source, self.root)
            except MissingHyperParameters as error:
                reason = (
                    f'is needed: {str(error).partition(":")[0]} does not tell which network it is'
                )
                raise ArgumentError('bert_model', reason) from None
            if checkpoint.tokenizer is not None or self.bert_dataset is None:
                return checkpoint
            return replace(checkpoint, tokenizer=get_tokenizer(*self._names, self.root))
        tokenizer = get_tokenizer(*self._names, self.root)
        config = get_config(self.bert_model, len(tokenizer.vocabulary))
        checkpoint = read_checkpoint(source, config=config, family=family_of(self.bert_model))
        return replace(checkpoint, tokenizer=tokenizer)

    @property
    def _names(self):
        return str(self.bert_model or DEFAULT[0]), str(self.bert_dataset)

    def _check(self):
        if self.reinit_layers and (self.from_scratch or self.model_parameters):
            reason = 'goes with a pre-trained model, not with {from_scratch} or {model_parameters}'
            raise ArgumentError('reinit_layers', reason, self.reinit_layers)
        source = self.pretrained_bert_parameters
        is_local = source and not source.endswith('.params') and not source.startswith('hf://')
        if self.vocab_file and not (self.from_scratch or is_local):
            raise ArgumentError(
                'vocab_file',
                'goes with {from_scratch} or a TensorFlow checkpoint, other trained models have '
                'their own',
            )
        for name in ('bert_config_file', 'do_lower_case'):
            goes = is_local or (self.from_scratch and self.vocab_file)
            if getattr(self, name) is not None and not goes:
                raise ArgumentError(
                    name,
                    'goes with the folder or TensorFlow checkpoint of '
                    '{pretrained_bert_parameters}, or with {from_scratch} and {vocab_file}',
                )
        if self.from_scratch and source:
            raise ArgumentError('from_scratch', 'does not go with {pretrained_bert_parameters}')

    def _random(self, ctx, seed, use_pooler):
        """A BERT with random parameters, and a tokenizer."""
        config, _, tokenizer = self.describe_random()
        mx.random.seed(seed)
        bert = BertModel(config, use_pooler=use_pooler)
        for parameter in bert.collect_params().values():
            parameter.initialize(ctx=ctx)
        return bert, tokenizer


def load_checkpoint(
    checkpoint: Checkpoint, ctx: Contexts, use_pooler: bool
) -> tuple[BertModel, Any]:
    """Load the BERT of a checkpoint, and its tokenizer.

    If the checkpoint has no pooler, it is randomly initialised, with a warning.

    Raises
    ------
    ValueError
        If there is no vocabulary, or the arrays do not fit.
    """
    if checkpoint.tokenizer is None:
        raise ValueError(f'{checkpoint.source}: has no vocabulary beside it')
    bert = BertModel(checkpoint.config, use_pooler=use_pooler, sentence=checkpoint.sentence)
    bert.load_checkpoint(checkpoint, ctx=ctx, allow_missing=True)
    absent = [parameter for parameter in bert.collect_params().values() if parameter._data is None]
    if absent:
        logger.warning('%s has no pooler: it is randomly initialised', checkpoint.source)
    for parameter in absent:
        parameter.initialize(ctx=ctx)
    return bert, checkpoint.tokenizer


@contextlib.contextmanager
def gathered(
    source: str, config_file: Optional[Path] = None, vocab_file: Optional[Path] = None
) -> Iterator[Union[str, Path]]:
    """Give the path of a checkpoint with its configuration and vocabulary beside it.

    If they are elsewhere, the path is in a temporary folder of symbolic links.
    """
    if not (config_file or vocab_file):
        yield source
        return
    path = Path(source)
    folder = path if path.is_dir() else path.parent
    named = {
        name: Path(file)
        for name, file in (('bert_config.json', config_file), ('vocab.txt', vocab_file))
        if file
    }
    for file in named.values():
        if not file.is_file():
            raise FileNotFoundError(f'{file}: no such file')
    if all(file.resolve() == (folder / name).resolve() for name, file in named.items()):
        yield path
        return
    with tempfile.TemporaryDirectory() as temporary:
        # Its name may say whether the text is lower-cased.
        links = Path(temporary) / folder.resolve().name
        links.mkdir()
        for file in folder.iterdir():
            if file.name not in named:
                (links / file.name).symlink_to(file.resolve())
        for name, file in named.items():
            (links / name).symlink_to(file.resolve())
        yield links if path.is_dir() else links / path.name


def with_casing(tokenizer: Any, lower: Optional[bool]) -> Any:
    """Give a tokenizer that lower-cases or not; None leaves it as it is."""
    if lower in (None, tokenizer.lower):
        return tokenizer
    if not isinstance(tokenizer, BertTokenizer):
        raise ArgumentError('do_lower_case', 'this model has no WordPiece vocabulary')
    return tokenizer.with_lower(lower)
