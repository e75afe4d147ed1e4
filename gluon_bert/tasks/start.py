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
from ..checkpoint.gluonnlp.description import MissingHyperParameters, is_described
from ..data import BertTokenizer, SentencePieceTokenizer, looks_lowercase, read_vocabulary
from ..modeling.bert import BertModel
from ..zoo import (
    DEFAULT,
    OFFLINE_DEFAULT,
    WEIGHTS,
    expand_name,
    family_of,
    fetch_model,
    get_config,
    get_model,
    get_tokenizer,
    open_checkpoint,
    zoo_checkpoint,
)

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
        Vocabulary for training from scratch, by default that of ``bert_dataset``; or that of a
        TensorFlow checkpoint, by default beside it.
    bert_config_file : Path, optional
        Configuration of a TensorFlow checkpoint, by default beside it.
    do_lower_case : bool, optional
        Casing of the text for a folder or a TensorFlow checkpoint; by default as it was trained.
    uncased : bool
        Refuse a model that does not lower-case its text.
    sentencepiece : str, optional
        Tokenize with this SentencePiece model.
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
        return bert, tokenizer

    def _load(self, ctx, seed, use_pooler):
        source = self.pretrained_bert_parameters
        if self.from_scratch or (self.model_parameters and not source):
            return self._random(ctx, seed, use_pooler)
        if self._is_params_file():
            return load_checkpoint(self._params_checkpoint(source), ctx, use_pooler)
        if not source:
            checkpoint = zoo_checkpoint(self.bert_model, self.bert_dataset, self.root)
            return load_checkpoint(checkpoint, ctx, use_pooler)
        with gathered(source, self.bert_config_file, self.vocab_file) as path:
            bert, tokenizer = load_checkpoint(open_checkpoint(path), ctx, use_pooler)
        return bert, with_casing(tokenizer, self.do_lower_case)

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
        source = self.pretrained_bert_parameters
        is_local = source and not source.endswith('.params') and not source.startswith('hf://')
        if self.vocab_file and not (self.from_scratch or is_local):
            raise ArgumentError(
                'vocab_file',
                'goes with {from_scratch} or a TensorFlow checkpoint, other trained models have '
                'their own',
            )
        for name in ('bert_config_file', 'do_lower_case'):
            if getattr(self, name) is not None and not is_local:
                raise ArgumentError(
                    name,
                    'goes with the folder or TensorFlow checkpoint of {pretrained_bert_parameters}',
                )
        if self.from_scratch and source:
            raise ArgumentError('from_scratch', 'does not go with {pretrained_bert_parameters}')

    def _random(self, ctx, seed, use_pooler):
        """A BERT with random parameters, and a tokenizer."""
        if self.vocab_file:
            vocab = read_vocabulary(self.vocab_file)
            tokenizer = BertTokenizer(vocab, lower=looks_lowercase(vocab))
        else:
            tokenizer = get_tokenizer(self.bert_model, self.bert_dataset, self.root)
        mx.random.seed(seed)
        bert, _ = get_model(
            self.bert_model, vocab=tokenizer.vocab, pretrained=False, ctx=ctx, use_pooler=use_pooler
        )
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
    bert = BertModel(checkpoint.config, use_pooler=use_pooler)
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
