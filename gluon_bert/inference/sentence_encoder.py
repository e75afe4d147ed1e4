"""Vectors of sentences: the encodings of a BERT, pooled, for any number of texts."""

from __future__ import annotations

import logging
import warnings
from typing import Any, Optional, Union

import numpy as np

from .._internal.checks import check_positive
from .._internal.counter import Counter
from .._internal.types import PathLike
from ..checkpoint.sentence import SentenceSettings
from ..data.streams import Call, ResultStream, Texts, heap_trimmer, prefetch
from ..data.tokenizers.base import SubwordTokenizer
from .checks import bert_of, checked_length, inner_bert
from .corpus_vectors import CorpusVectors
from .predictor import Predictor
from .search import similarity_matrix, similarity_search
from .search_indexes import ApproximateIndex
from .sentence_options import (
    LONG,
    check_makes_vectors,
    choose_settings,
    open_source,
    parse_sentence_pooling,
    role_prompt,
    with_progress,
    write_folder,
)
from .sentence_steps import SentenceSteps

_LOOK_AHEAD = 64  # batches that are sorted by length together

logger = logging.getLogger(__name__)

Inputs = Union[Texts, np.ndarray]


class SentenceEncoder:
    """One vector for each text or pair of texts.

    Texts are sorted by length within blocks of a bounded size, so that batches need little
    padding; the results are in the order of the texts. Several threads may use one encoder at once;
    it can be copied and pickled.

    A sentence model, such as a folder of sentence-transformers, says itself how it pools, which
    modules follow and how long a text may be. That is done unless an argument says otherwise.

    Parameters
    ----------
    model : str, Path, BertModel, a network around one, TrainedNetwork, or a Predictor of one
        A folder, 'hf://owner/name', or a model of the zoo: 'name/data_set', or its data set alone
        if one model was trained on it, such as 'all_minilm_l6_v2'. Of a network with heads, the
        BERT in it is used. A :class:`.Predictor` says with how many threads and in what precision
        it computes. Make a new encoder after parameters change.
    tokenizer : BertTokenizer, BytePairTokenizer or SentencePieceTokenizer, optional
        None if ``model`` is a name or a folder, whose own is used.
    pooling : str, optional
        'mean' over all tokens, special ones included (Reimers and Gurevych, 2019, section 3);
        'cls', the first token; 'max' of each unit over all tokens; 'mean_sqrt_len', the sum divided
        by the square root of the length; 'weightedmean', by weights that grow with the position;
        'lasttoken'; several of these, such as 'cls+mean', side by side; 'pooler', the pooled
        vector; or 'mean_of_layer:-2', the mean of another layer, numbered as in
        :func:`.layer_features`. By default that of the sentence model, else 'mean'.
    normalize : bool, optional
        Scale each vector to Euclidean length 1. By default True, but for a sentence model that
        compares vectors by another similarity than the cosine as its modules do. False gives the
        lengths that the modules before a normalisation make.
    max_length : int, optional
        The longest sequence in tokens, special tokens included; by default that of the sentence
        model (256 for all_minilm_l6_v2), else the longest that the network takes, which is the
        most that may be given.
    batch_size : int
        Sequences in a batch, where batches are padded; texts are read in blocks of 64 times as
        many.
    long : str
        Treatment of a longer text: 'cut' at its end, or 'windows', the mean over the vectors of
        parts of like lengths. Pairs are always cut.

    Raises
    ------
    FileNotFoundError
        If there is no such model.
    TypeError, ValueError
        If an argument is not as above, or the tokenizer has more tokens than the model.

    Examples
    --------
    >>> encoder = SentenceEncoder('all_minilm_l6_v2')
    >>> near, far, base = encoder.encode(['A cat sleeps.', 'Shares fell.', 'The cat is asleep.'])
    >>> bool(near @ base > 0.8 > 0.2 > far @ base)
    True
    >>> indices, scores = encoder.search(['a kitten'], ['Shares fell.', 'A cat sleeps.'], k=1)
    >>> indices.tolist()
    [[1]]
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Optional[SubwordTokenizer] = None,
        pooling: Optional[str] = None,
        normalize: Optional[bool] = None,
        max_length: Optional[int] = None,
        batch_size: int = 32,
        long: str = 'cut',
    ) -> None:
        network: Any
        network, tokenizer = open_source(model, tokenizer)
        predictor = network if isinstance(network, Predictor) else None
        network = network if predictor is None else predictor.trained
        self._bert = bert = bert_of(network, tokenizer)
        check_positive(batch_size=batch_size)
        if long not in LONG:
            raise ValueError(f'long={long!r}: expected one of {LONG}')
        if pooling is None:
            check_makes_vectors(bert)
        self._pooling, num_layers = parse_sentence_pooling(bert, pooling)
        self._settings = choose_settings(bert, self._pooling, normalize)
        if predictor is not None and num_layers is not None:
            raise ValueError(
                f'pooling={pooling!r}: expected the model itself, not a Predictor; or '
                f"Predictor(model, num_layers={num_layers}) and pooling='mean'"
            )
        self._predictor = predictor or Predictor(bert, num_layers=num_layers)
        self._batch_size, self._long = batch_size, long
        self._tokenizer: Any = tokenizer
        if max_length is None:
            max_length = self._settings.max_length
        self._max_length = checked_length(bert, max_length)
        self.steps = SentenceSteps(
            self._predictor,
            self._tokenizer,
            self._settings,
            self._pooling,
            self._max_length,
            long,
            strip=bert.sentence is not None,
            normalize=normalize is None and self._settings.similarity == 'cosine',
        )
        """The steps of :meth:`encode`, for those who batch sequences themselves."""
        self._num_cut, self._num_tokens = Counter(), Counter()

    @property
    def num_cut(self) -> int:
        """The number of texts cut so far in all calls."""
        return self._num_cut.value

    @property
    def num_tokens(self) -> int:
        """The number of tokens encoded so far in all calls."""
        return self._num_tokens.value

    @property
    def bert(self) -> Any:
        """The BertModel whose encodings are pooled; of files it is made when first asked for."""
        return inner_bert(self._predictor.network)

    @property
    def units(self) -> int:
        """The length of a vector."""
        return self._settings.output_units(self._bert.config.units)

    @property
    def max_length(self) -> int:
        """The longest sequence in tokens, special tokens included."""
        return self._max_length

    @property
    def settings(self) -> SentenceSettings:
        """The settings of the model, changed by the arguments."""
        return self._settings

    def encode(
        self,
        texts: Texts,
        batch_size: Optional[int] = None,
        normalize: Optional[bool] = None,
        progress: bool = False,
        prompt: Optional[str] = None,
        prompt_name: Optional[str] = None,
    ) -> np.ndarray:
        """Compute the vectors of a list of texts.

        Parameters
        ----------
        texts : iterable of str or of (str, str)
        batch_size, normalize
            Instead of those of the encoder.
        progress : bool
            Show a progress bar on a terminal.
        prompt : str, optional
            Put in front of each text.
        prompt_name : str, optional
            The name of a prompt of the model instead; by default the model's default prompt.

        Returns
        -------
        numpy.ndarray, float32, shape (texts, C)
            In the order of ``texts``. A warning says how many texts were cut.

        Raises
        ------
        TypeError
            If ``texts`` is one text, or one of them is neither a text nor a pair of texts.
        ValueError
            If the model has no such prompt.
        """
        stream = self.encode_stream(texts, batch_size, normalize, prompt, prompt_name)
        total = len(texts) if isinstance(texts, (list, tuple)) else None
        blocks = list(with_progress(stream, total) if progress else stream)
        if stream.num_cut:
            warnings.warn(
                f'{stream.num_cut} of {sum(map(len, blocks))} texts were longer '
                f'than max_length={self._max_length} tokens and were cut; '
                f"long='windows' reads all of them",
                stacklevel=2,
            )
        return np.concatenate(blocks) if blocks else np.zeros((0, self.units), 'float32')

    def encode_stream(
        self,
        texts: Texts,
        batch_size: Optional[int] = None,
        normalize: Optional[bool] = None,
        prompt: Optional[str] = None,
        prompt_name: Optional[str] = None,
    ) -> ResultStream:
        """Compute the vectors of any number of texts, a block at a time, in bounded memory.

        One block more than was returned is read, so that its tokens are made while the network
        computes. The parameters and errors are those of :meth:`encode`.

        Returns
        -------
        ResultStream
            An iterator of numpy.ndarray, float32, shape (n, C): the vectors of the next n texts.
            Its ``num_cut`` is how many of these texts were cut so far.
        """
        check_positive(batch_size=batch_size)
        if isinstance(texts, (str, bytes)):
            raise TypeError('texts must be a list of str, got one text: write [text]')
        call, spoken = Call(), self.steps.prompt(prompt, prompt_name)
        size = batch_size or self._batch_size
        blocks = self.steps.blocks(texts, spoken, size * _LOOK_AHEAD)
        return ResultStream(self._computed(blocks, call, size, normalize, spoken), call)

    def similarity(self, first: Inputs, second: Inputs) -> np.ndarray:
        """Compare each of some texts with each of others.

        Parameters
        ----------
        first, second : list of str, or numpy.ndarray of vectors

        Returns
        -------
        numpy.ndarray, float32, shape (first, second)
            The cosine, or what the model's own similarity function is: 'dot', or minus the
            Euclidean or Manhattan distance.
        """
        return similarity_matrix(
            self._vectors(first), self._vectors(second), self._settings.similarity
        )

    def search(
        self, queries: Inputs, corpus: Inputs, k: Optional[int] = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the texts of a corpus that are most similar to each query.

        Parameters
        ----------
        queries, corpus : list of str, or numpy.ndarray of vectors
            The prompts 'query' and 'document' of the model are used, if it has them. The corpus may
            be :class:`.CorpusVectors`, or an index of them.
        k : int, optional
            Texts to find for a query; by default 10, or all if there are fewer.

        Returns
        -------
        indices : numpy.ndarray, int64, shape (queries, k)
            Into the corpus, the most similar first.
        scores : numpy.ndarray, float32, shape (queries, k)

        Raises
        ------
        TypeError, ValueError
            If the queries or the corpus are one text or empty, or the corpus has fewer than ``k``.
        """
        found = self._vectors(queries, 'query')
        if isinstance(corpus, (CorpusVectors, ApproximateIndex)):
            return self._search_stored(found, corpus, k)
        vectors = self._vectors(corpus, 'document')
        k = min(10, len(vectors)) if k is None else k
        if not 1 <= k <= len(vectors):
            raise ValueError(f'k={k}: expected 1 to {len(vectors)}, the texts of the corpus')
        return similarity_search(found, vectors, k, self._settings.similarity)

    def _search_stored(self, found, corpus, k):
        k = min(10, len(corpus)) if k is None else k
        if not 1 <= k <= len(corpus):
            raise ValueError(f'k={k}: expected 1 to {len(corpus)}, the texts of the corpus')
        return corpus.search(found, k)

    def save(self, folder: PathLike) -> None:
        """Write a folder that sentence-transformers and this class open, with the same vectors.

        Parameters
        ----------
        folder : str or Path
            Made here; it appears when it is whole.

        Raises
        ------
        FileExistsError
            If the folder is there already and not empty.
        ValueError
            If sentence-transformers has no such pooling.
        """
        if self._pooling.reads_pooler or self._predictor.num_layers is not None:
            raise ValueError(
                'sentence-transformers has no such pooling; expected one of all layers'
            )
        if self._long != 'cut':
            logger.warning('%s: not written: long=%r', folder, self._long)
        write_folder(self._bert, self._tokenizer, self._settings, self.max_length, folder)

    def _vectors(self, inputs, role=None):
        """Vectors as they are, those of texts computed."""
        if isinstance(inputs, np.ndarray) and inputs.dtype.kind in 'fiu':
            if inputs.ndim != 2 or inputs.shape[1] != self.units:
                raise ValueError(
                    f'vectors of shape {inputs.shape}: expected (texts, {self.units}), as encode '
                    f'returns them'
                )
            vectors = inputs
        else:
            vectors = self.encode(inputs, prompt_name=role_prompt(self._settings, role))
        if not len(vectors):
            raise ValueError('expected one text or more, got none')
        return vectors

    def _computed(self, blocks, call, batch_size, normalize, spoken):
        trim = heap_trimmer()
        for batch in prefetch(lambda *block: self.steps.read(*block, spoken), blocks):
            call.num_cut += batch.num_cut
            self._num_cut.add(batch.num_cut)
            self._num_tokens.add(sum(feature.valid_length for feature in batch.features))
            rows = self.steps.pool(batch.features, batch.pooling, batch_size)
            trim()
            yield self.steps.vectors(batch, rows, normalize)
