"""Classes that a network was not trained for: zero-shot classification."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple, Optional, Union

import numpy as np

from .._internal.numerics import softmax
from ..data.features import Features, SentenceTransform
from ..inference.sentence_encoder import SentenceEncoder
from ..tasks.folder import TaskModel
from .base import Pipeline, TaskPipeline
from .candidates import TEMPLATE, check_candidates, check_template
from .steps import ComputedOutputs, Progress

TASK = 'zero-shot-classification'
TEMPERATURE = 0.05  # of cosines; sentence-transformers trains with its inverse, the scale 20


class ZeroShot(NamedTuple):
    """The most probable label, its probability, and the probability of every label by name.

    The labels are in the order in which they were given. Their probabilities sum to 1, unless
    several labels of a text may be true.
    """

    label: str
    probability: float
    probabilities: dict[str, float]


class ZeroShotPipeline(Pipeline):
    """The probabilities of labels that the call names.

    Called on a text it returns a :class:`ZeroShot`; see :class:`Pipeline` for lists and iterators.
    """

    task = TASK
    settings: dict[str, Any]

    def __call__(  # type: ignore[override]
        self,
        inputs: Any,
        candidate_labels: Union[str, Sequence[str], None] = None,
        progress: Progress = None,
        **options: Any,
    ) -> Any:
        """Compute the results of one text, of a list, or of an iterable of texts.

        Parameters
        ----------
        inputs : str, list or iterable
        candidate_labels : list of str, or str with commas between them, optional
            By default those that :meth:`with_labels` set.
        progress : callable, optional
            As for :meth:`.Pipeline.stream`.
        **options
            Further ones of :meth:`with_labels`.

        Returns
        -------
        ZeroShot, list or ResultStream
        """
        if candidate_labels is None and not options:
            return super().__call__(inputs, progress)
        labels = self.settings['candidate_labels'] if candidate_labels is None else candidate_labels
        return self.with_labels(labels, **options)(inputs, progress=progress)

    def with_labels(
        self, candidate_labels: Union[str, Sequence[str]], **options: Any
    ) -> ZeroShotPipeline:
        """Make the pipeline of some labels; this one stays as it is.

        Parameters
        ----------
        candidate_labels : list of str, or str with commas between them
        **options
            Settings of the class by their names, such as ``hypothesis_template``.

        Returns
        -------
        ZeroShotPipeline

        Raises
        ------
        TypeError
            If an option is unknown.
        ValueError
            If there are no labels, one is empty or given twice, or an option is not as it must be.
        """
        unknown = next((name for name in options if name not in self.settings), None)
        if unknown is not None:
            raise TypeError(f'{unknown} is no option; there are: {", ".join(self.settings)}')
        made = copy.copy(self)
        labels = check_candidates(candidate_labels)
        made.settings = {**self.settings, **options, 'candidate_labels': labels}
        made._check()
        return made

    @property
    def labels(self) -> list[str]:
        """The labels that are asked about.

        Raises
        ------
        ValueError
            If none were given yet.
        """
        labels = self.settings['candidate_labels']
        if not labels:
            raise ValueError('candidate_labels: expected one label or more, got none')
        return labels

    def as_json(
        self, result: Any, top_k: Optional[int] = None, words: Optional[list] = None
    ) -> dict[str, Any]:
        best = sorted(result.probabilities.items(), key=lambda pair: -pair[1])
        return {**result._asdict(), 'probabilities': dict(best[:top_k])}

    @abstractmethod
    def _check(self) -> None:
        """Check the settings, and compute what the labels need once."""

    def _only_texts(self, pairs):
        number = next((i for i, pair in enumerate(pairs or ()) if pair is not None), None)
        if number is not None:
            self._fail(number, 'a pair of texts, expected one text: labels are its pairs')

    def _named(self, shares):
        """Results of probabilities, (N, L)."""
        labels = self.labels
        return [
            ZeroShot(labels[number], row[number], dict(zip(labels, row)))
            for number, row in zip(shares.argmax(axis=1).tolist(), shares.tolist())
        ]


class EntailmentPipeline(ZeroShotPipeline, TaskPipeline):
    """Zero-shot classification by a classifier of natural-language inference (Yin et al., 2019).

    Each label makes a hypothesis; a text is of the label whose hypothesis it entails most. The
    results are those of transformers' pipeline of this name. A temperature that was chosen for the
    classes of the network is not applied.

    Parameters
    ----------
    model : TaskModel
        Of the task 'text-classification', trained on premises with hypotheses.
    batch_size : int, optional
        As for :class:`TaskPipeline`; sequences, of which a text has one for each label.
    candidate_labels : list of str, or str with commas between them
        See :meth:`with_labels`.
    hypothesis_template : str
        With ``{}`` once, where the label stands.
    multi_label : bool
        Whether several labels of a text, or none, may be true: each has a probability of its own,
        of entailment against contradiction.
    entailment, contradiction : str, optional
        Classes of the network; by default those whose names begin with 'entail', and with
        'contradict' or 'not entail'.

    Raises
    ------
    ValueError
        If an argument is not as above, or, with labels, the network has no such classes.
    """

    reads = 'text-classification'
    """The task of the network."""

    def __init__(
        self,
        model: TaskModel,
        batch_size: Optional[int] = None,
        candidate_labels: Union[str, Sequence[str]] = (),
        hypothesis_template: str = TEMPLATE,
        multi_label: bool = False,
        entailment: Optional[str] = None,
        contradiction: Optional[str] = None,
    ) -> None:
        TaskPipeline.__init__(self, model, batch_size)
        self.classes: list[str] = model.settings['labels']
        """The classes of the network."""
        self.max_length: int = model.settings['max_len']
        """The longest sequence in tokens."""
        self._transform = SentenceTransform(model.tokenizer, self.max_length)
        self.settings = {
            'candidate_labels': check_candidates(candidate_labels) if candidate_labels else [],
            'hypothesis_template': hypothesis_template,
            'multi_label': multi_label,
            'entailment': entailment,
            'contradiction': contradiction,
        }
        self._check()

    def _check(self):
        check_template(self.settings['hypothesis_template'])
        count = len(self.settings['candidate_labels'])
        if count:
            self._entailment = self._find('entailment', ('entail',))
        if count == 1 or (count and self.settings['multi_label']):
            self._contradiction = self._find('contradiction', ('contradict', 'notentail'))

    def _find(self, name, beginnings):
        """The number of a class of the network, by its name."""
        given = self.settings[name]
        if given is not None:
            if given not in self.classes:
                raise ValueError(f'{name}={given!r}: the classes are {", ".join(self.classes)}')
            return self.classes.index(given)
        plain = [''.join(filter(str.isalpha, label.lower())) for label in self.classes]
        found = [number for number, label in enumerate(plain) if label.startswith(beginnings)]
        if len(found) != 1:
            raise ValueError(
                f'the network has {"several classes" if found else "no class"} whose name begins '
                f'with {" or ".join(beginnings)}: name the class of {name} with {name}=, one of '
                f'{", ".join(self.classes)}'
            )
        return found[0]

    def _prepare(self, texts, pairs):
        self._only_texts(pairs)
        template = self.settings['hypothesis_template']
        hypotheses = [template.format(label) for label in self.labels]
        features, num_cut = [], 0
        for text in texts:
            rows, cut = self._transform.transform_batch([text] * len(hypotheses), hypotheses)
            features += rows
            num_cut += cut > 0
        return features, len(texts), num_cut

    def _features(self, features, count, num_cut):
        return features

    def _sequences(self, features, count, num_cut):
        return features, None, num_cut

    def _results(self, call, features, count, num_cut):
        self._count_cut(call, num_cut)
        scores = np.stack(self._outputs(call, features)).reshape((count, len(self.labels), -1))
        call.advance(count)
        if self.settings['multi_label'] or len(self.labels) == 1:
            both = scores[..., [self._contradiction, self._entailment]]
            return self._named(softmax(both)[..., 1])
        return self._named(softmax(scores[..., self._entailment]))


class SimilarityZeroShotPipeline(ZeroShotPipeline):
    """Zero-shot classification by sentence vectors: the label whose vector is nearest.

    The probabilities are the softmax of the cosines, divided by a temperature.

    Parameters
    ----------
    encoder : SentenceEncoder
    batch_size : int
        Texts computed at once, where batches are padded.
    candidate_labels : list of str, or str with commas between them
        See :meth:`with_labels`.
    hypothesis_template : str
        With ``{}`` once, where the label stands; by default the label alone.
    temperature : float
        Above 0; the smaller, the more probable is the nearest label.

    Raises
    ------
    ValueError
        If an argument is not as above.
    """

    def __init__(
        self,
        encoder: SentenceEncoder,
        batch_size: int = 32,
        candidate_labels: Union[str, Sequence[str]] = (),
        hypothesis_template: str = '{}',
        temperature: float = TEMPERATURE,
    ) -> None:
        steps = encoder.steps
        super().__init__(steps.predictor.trained, steps.tokenizer, batch_size)
        self.encoder, self.predictor = encoder, steps.predictor
        self.settings = {
            'candidate_labels': check_candidates(candidate_labels) if candidate_labels else [],
            'hypothesis_template': hypothesis_template,
            'temperature': temperature,
        }
        self._check()

    def _check(self):
        check_template(self.settings['hypothesis_template'])
        temperature = self.settings['temperature']
        if not 0 < temperature < np.inf:
            raise ValueError(f'temperature={temperature}: expected a number above 0')
        template, labels = self.settings['hypothesis_template'], self.settings['candidate_labels']
        texts = [template.format(label) for label in labels]
        self._vectors = self.encoder.encode(texts, normalize=True) if texts else None  # (L, C)

    def outputs(
        self, features: Sequence[Features], positions: Optional[Sequence[Sequence[int]]] = None
    ) -> list[np.ndarray]:
        """Compute the pooled row of each sequence; ``positions`` are not used."""
        steps = self.encoder.steps
        return list(steps.pool(features, steps.pooling, self.batch_size))

    def _prepare(self, texts, pairs):
        self._only_texts(pairs)
        return (self.encoder.steps.prepare(texts),)

    def _sequences(self, batch):
        return batch.features, None, batch.num_cut

    def _results(self, call, batch):
        self._count_cut(call, batch.num_cut)
        labels = self.labels
        if isinstance(call.predictor, ComputedOutputs):
            rows = [row for _, part in call.predictor.batches(batch.features) for row in part]
        else:
            rows = self.outputs(batch.features)
        rows = np.stack(rows)
        vectors = self.encoder.steps.vectors(batch, rows, True)  # (N, C)
        call.advance(len(batch.counts))
        cosines = (vectors @ self._vectors.T).reshape((-1, len(labels)))
        return self._named(softmax(cosines / np.float32(self.settings['temperature'])))
