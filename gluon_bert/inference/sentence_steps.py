"""Steps of a sentence encoder: texts to sequences, sequences to pooled rows, rows to vectors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Optional

import numpy as np

from ..checkpoint.sentence import SentenceSettings
from ..data.features import Features
from ..data.streams import Texts, chunk_texts
from .pooling import Pooling
from .predictor import Predictor
from .sentence_options import Prompt, prepared, prompt_text, with_normalize
from .sentence_texts import TextReader


class SentenceBatch(NamedTuple):
    """Texts of a sentence encoder as the sequences that its network reads.

    ``counts`` has the number of sequences of each text, ``num_cut`` is the number of texts that
    were cut, and ``pooling`` is how the encodings of a sequence become one row.
    """

    features: list[Features]
    counts: list[int]
    num_cut: int
    pooling: Pooling


class SentenceSteps:
    """The steps of :meth:`.SentenceEncoder.encode`, for those who batch sequences themselves.

    Parameters
    ----------
    predictor : Predictor
    tokenizer : SubwordTokenizer
    settings : SentenceSettings
    pooling : Pooling
    max_length : int
    long : str
        'cut' or 'windows'.
    strip : bool
        Strip white space from texts, as a sentence model does.
    normalize : bool
        Scale vectors to length 1 where no call says otherwise.

    Examples
    --------
    >>> from gluon_bert import SentenceEncoder
    >>> steps = SentenceEncoder('all_minilm_l6_v2').steps
    >>> batch = steps.prepare(['A cat sleeps.', 'Shares fell.'])
    >>> steps.vectors(batch, steps.pool(batch.features, batch.pooling)).shape
    (2, 384)
    """

    def __init__(
        self,
        predictor: Predictor,
        tokenizer: Any,
        settings: SentenceSettings,
        pooling: Pooling,
        max_length: int,
        long: str,
        strip: bool,
        normalize: bool,
    ) -> None:
        self.predictor, self.tokenizer, self.settings = predictor, tokenizer, settings
        self.max_length, self.long, self._strip = max_length, long, strip
        self.pooling, self.normalize = pooling, normalize
        self._read_texts = TextReader(tokenizer, max_length, long)

    def prompt(self, prompt: Optional[str] = None, name: Optional[str] = None) -> Prompt:
        """Look up what is put in front of texts; ValueError if the model has no such prompt."""
        spoken = Prompt(self.settings, prompt_text(self.settings, prompt, name), self.tokenizer)
        if spoken.num_skipped and self.long != 'cut':
            raise ValueError("long='windows': the model leaves the prompt out of the pooling")
        if spoken.num_skipped >= self.max_length:
            raise ValueError(
                f'the prompt has {spoken.num_skipped} tokens, all that a text may have'
            )
        return spoken

    def blocks(
        self, texts: Texts, prompt: Prompt, size: int
    ) -> Iterator[tuple[list[str], Optional[list]]]:
        """Cut texts, with the prompt in front, into blocks as :func:`.chunk_texts` does."""
        return chunk_texts(prepared(texts, prompt, self.settings, self._strip), size)

    def read(self, texts: list[str], pairs: Optional[list], prompt: Prompt) -> SentenceBatch:
        """Make the sequences of a block of texts."""
        pooling = self.pooling._replace(num_skipped=prompt.num_skipped)
        return SentenceBatch(*self._read_texts(texts, pairs), pooling)

    def prepare(self, texts: Sequence[Any], prompt_name: Optional[str] = None) -> SentenceBatch:
        """Make the sequences of a list of texts and pairs.

        Parameters
        ----------
        texts : sequence of str or of (str, str)
        prompt_name : str, optional
            As for :meth:`.SentenceEncoder.encode`.

        Returns
        -------
        SentenceBatch
        """
        prompt = self.prompt(name=prompt_name)
        batch = SentenceBatch([], [], 0, self.pooling)
        for block in self.blocks(texts, prompt, max(1, len(texts))):
            more = self.read(*block, prompt)
            batch = SentenceBatch(
                batch.features + more.features,
                batch.counts + more.counts,
                batch.num_cut + more.num_cut,
                more.pooling,
            )
        return batch

    def pool(
        self, features: Sequence[Features], pooling: Pooling, batch_size: int = 32
    ) -> np.ndarray:
        """Compute the row of each sequence, (N, C) for each way to pool."""
        width = self.predictor.config.units * len(pooling.modes)
        rows = np.empty((len(features), width), 'float32')
        for indices, pooled in self.predictor.batches(features, batch_size, pooling):
            rows[indices] = pooled
        return rows

    def vectors(
        self, batch: SentenceBatch, rows: np.ndarray, normalize: Optional[bool] = None
    ) -> np.ndarray:
        """Compute the vector of each text from the rows of its sequences, (texts, units)."""
        if len(batch.counts) < len(rows):  # several windows of one text
            begins = np.cumsum([0, *batch.counts[:-1]])
            counts = np.array(batch.counts, 'float32')
            rows = np.add.reduceat(rows, begins) / counts[:, None]
        modules: Iterable = self.settings.modules
        if normalize is not None or self.normalize:
            modules = with_normalize(self.settings.modules, normalize is not False)
        for module in modules:
            rows = module(rows)
        return rows
