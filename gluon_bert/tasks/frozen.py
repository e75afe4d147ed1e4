"""Train a linear head on vectors that a frozen encoder, or one made for few examples, gives."""

from __future__ import annotations

import logging
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
from mxnet import nd

from .._internal.checks import check_positive, check_positive_number, check_range
from .._internal.errors import ArgumentError
from .._internal.progress import progress_bar
from ..checkpoint.sentence import Normalize
from ..inference.predictor import Predictor
from ..modeling.vector_classifier import POOLINGS
from ..plots.regularization import plot_regularization
from ..training import FitResult
from ..training.files import CURVE_FILE, METRICS_FILE, RunFiles
from .few_shot import choose_examples, train_contrastive
from .linear import DEFAULT_C, LINEAR_HEADS, best_regularization, search_regularization

logger = logging.getLogger(__name__)

DEFAULT_PAIRS = 10
PICTURE = 'regularization.png'
CONTRASTIVE = 'contrastive'  # folder of the training of the encoder, until the head is there
# Of the training of the encoder on pairs; SetFit's rate is 2e-5, with which little changes in the
# few steps that there are.
FEW_SHOT_DEFAULTS = {'epochs': 1, 'learning_rate': 1e-4, 'batch_size': 16, 'optimizer': 'adamw'}
_OF_THE_HEAD = ('seed',)  # options of training that count for a frozen encoder, too
_WITHOUT_DEV = ('early_stop', 'evaluate_every')


@dataclass(frozen=True)
class HeadOptions:
    """Options of training a linear head on vectors instead of the whole network.

    Parameters
    ----------
    freeze_encoder : bool
        Compute the vectors of all texts once, and fit a linear head on them.
    few_shot : int, optional
        Learn from this number of examples of each class, which the seed chooses: first the encoder,
        from pairs of texts of one class or of two; then a linear head (Tunstall et al., 2022). With
        ``freeze_encoder`` the head alone.
    few_shot_pairs : int
        Pairs of one class, and of two classes, of each example.
    head_c : float, optional
        Inverse strength of the head's regularisation; by default chosen by cross-validation, with
        ``few_shot`` 1.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    freeze_encoder: bool = False
    few_shot: Optional[int] = None
    few_shot_pairs: int = DEFAULT_PAIRS
    head_c: Optional[float] = None

    def __post_init__(self) -> None:
        check_positive(few_shot_pairs=self.few_shot_pairs)
        if self.few_shot is not None:
            check_range(2, 2**31 - 1, few_shot=self.few_shot)
        if self.head_c is not None:
            check_positive_number(head_c=self.head_c)
        if self.head_c is not None and not self.is_used:
            raise ArgumentError('head_c', 'goes with {few_shot} or {freeze_encoder}', self.head_c)
        if self.few_shot_pairs != DEFAULT_PAIRS and (self.few_shot is None or self.freeze_encoder):
            reason = 'goes with {few_shot}, without {freeze_encoder}'
            raise ArgumentError('few_shot_pairs', reason, self.few_shot_pairs)

    @property
    def is_used(self) -> bool:
        """True if a linear head is trained."""
        return self.freeze_encoder or self.few_shot is not None


def check_head_options(head: HeadOptions, spec: Any, given: Any, saved: Any) -> None:
    """Raise ValueError if options do not go with a linear head.

    Parameters
    ----------
    head : HeadOptions
    spec : TaskSpec
    given : collection of str
        The options of training that the caller has given.
    saved : TaskFolder or None
        That the run starts from.
    """
    if not head.is_used:
        return
    name = 'few_shot' if head.few_shot is not None else 'freeze_encoder'
    row = LINEAR_HEADS.get(spec.linear_head)
    if row is None or (head.few_shot is not None and not row.has_classes):
        raise ArgumentError(name, f'is not for {spec.name}', head.few_shot)
    if saved is not None:
        raise ArgumentError(
            name, 'starts from a pre-trained model, not from a fine-tuned one', head.few_shot
        )
    for option in given:
        if head.freeze_encoder and option not in _OF_THE_HEAD:
            raise ArgumentError(option, 'is for training the encoder, not for {freeze_encoder}')
        if option in _WITHOUT_DEV:
            raise ArgumentError(option, 'is not for {few_shot}, which evaluates in the end')


def vector_settings(bert: Any) -> dict[str, Any]:
    """Return the settings of a classifier of a BERT's vectors: those of a sentence model.

    Raises
    ------
    ValueError
        If it is a sentence model with other steps than pooling and normalisation.
    """
    sentence = bert.sentence
    if sentence is None:
        return {'pooling': POOLINGS[0], 'normalize': True, 'dropout': 0.0}
    modules = [type(module).__name__ for module in sentence.modules]
    if sentence.modes not in [(pooling,) for pooling in POOLINGS] or modules not in (
        [],
        [Normalize.__name__],
    ):
        raise ValueError(
            f'a linear head reads vectors pooled by {" or ".join(POOLINGS)} and normalised: this '
            f'model has {", ".join([*sentence.modes, *modules])}'
        )
    return {'pooling': sentence.modes[0], 'normalize': bool(modules), 'dropout': 0.0}


def prepare_head(run: Any) -> None:
    """Choose the few examples, and see that there is something to learn; nothing is written.

    Raises
    ------
    ValueError
        If there is one class, or a class has fewer examples than asked for.
    """
    job, head, files = run.job, run.head, RunFiles(Path(run.output_dir))
    if run.resume and files.result.is_file():
        raise ArgumentError(
            'resume', 'the run in the folder is finished; {overwrite} it, or use it'
        )
    if run.reduction.size > 1:
        raise ValueError(f'a linear head is trained in one process, not in {run.reduction.size}')
    if len(run.ctx) > 1 and not head.freeze_encoder:
        reason = f'runs on one device, not on {len(run.ctx)}'
        raise ArgumentError('few_shot', reason, head.few_shot)
    if not LINEAR_HEADS[job.spec.linear_head].has_classes:
        return
    train = job.splits['train']
    labels = [example.label for example in train.examples]
    if len(set(labels)) < 2:
        name = job.task.labels[labels[0]]
        raise ValueError(f'{train.path}: all examples are of one class, {name!r}: expected two')
    if head.few_shot is not None:
        try:
            chosen = choose_examples(labels, job.task.labels, head.few_shot, run.options.seed)
        except ValueError as error:
            raise ValueError(f'{train.path}: {error}') from None
        job.splits['train'] = train._replace(examples=[train.examples[i] for i in chosen])
        logger.info('train: %d examples of each of %d classes', head.few_shot, len(set(labels)))


def train_head(run: Any, model: Any, pipeline: Any) -> FitResult:
    """Train a linear head, after the encoder's training on pairs where that was asked for.

    Parameters
    ----------
    run : Run
    model : TaskModel
        Its network, a VectorClassifier, gets the parameters.
    pipeline : Pipeline
        Of the model.

    Returns
    -------
    FitResult
    """
    job, head, folder = run.job, run.head, Path(run.output_dir)
    files, network = RunFiles(folder, run.stem or job.stem), model.network
    data = job.training_data(model, pipeline, run.options.seed, run.ctx)
    if not head.freeze_encoder:
        train_contrastive(
            network,
            data,
            run.options,
            folder / CONTRASTIVE,
            pairs=head.few_shot_pairs,
            resume=run.resume,
            overwrite=run.overwrite,
        )
    for path in (files.result, files.state, files.metrics, files.curve, folder / PICTURE):
        path.unlink(missing_ok=True)
    c, rows = _fit(run, model, data, pipeline)
    metrics = job.evaluate(pipeline) if job.can_evaluate else {}
    name = files.parameters_name(0)
    network.save_parameters(folder / name)
    files.clean(files.stale(name))
    if (folder / CONTRASTIVE).is_dir():
        for log in (METRICS_FILE, CURVE_FILE):
            (folder / CONTRASTIVE / log).replace(folder / log)
        shutil.rmtree(folder / CONTRASTIVE)
    record = {'best_epoch': 0, 'best_metrics': metrics, 'best_path': name, 'steps': 0}
    found = {'c': c, 'scores': [row._asdict() for row in rows]}
    options = {'loss': 'linear head', 'seed': run.options.seed, **asdict(head)}
    identity = {'options': options, 'data': data.fingerprint()}
    files.write_result({**record, 'head': found, 'identity': identity, 'trained': {}, 'final': ''})
    return files.fit_result(record)


def _fit(run, model, data, pipeline):
    """Fit the head; return its regularisation and the scores by which it was chosen."""
    job, network, row = run.job, model.network, LINEAR_HEADS[model.spec.linear_head]
    size, labels = model.spec.size(model.settings), np.asarray(data.labels)
    vectors = compute_vectors(network, data.features, 'train')
    metric = model.settings['metrics'][0]
    c, rows = run.head.head_c, []
    if c is None and run.head.few_shot is None:
        rows = search_regularization(row, vectors, labels, size, metric, run.options.seed)
    if rows:
        c = best_regularization(rows)
        logger.info(
            'regularisation: C=%g by cross-validation (%s %.4f)',
            c,
            metric,
            max(rows, key=lambda one: one.mean).mean,
        )
        dev = job.splits.get('dev')
        right = None if dev is None else job.label_array(dev)
        if dev is not None and right is not None:
            features = pipeline.features(job.inputs(dev))
            dev_vectors = compute_vectors(network, features, 'dev')
            rows = [
                one._replace(
                    dev=row.score(row.fit(vectors, labels, size, one.c), dev_vectors, right, metric)
                )
                for one in rows
            ]
        plot_regularization(rows, c, metric, Path(run.output_dir) / PICTURE)
    elif c is None:
        c = DEFAULT_C
    weight, bias = row.fit(vectors, labels, size, c)
    network.classifier.weight.set_data(nd.array(weight))
    network.classifier.bias.set_data(nd.array(bias))
    return c, rows


def compute_vectors(network: Any, features: list, name: str) -> np.ndarray:
    """Compute the vectors of texts as a classifier reads them.

    Parameters
    ----------
    network : VectorClassifier
    features : list of Features
    name : str
        Beside the progress bar.

    Returns
    -------
    numpy.ndarray, shape (N, C)
    """
    vectors = np.empty((len(features), network.config.units), 'float32')
    with progress_bar(f'{name}: vectors', len(features)) as bar:
        for indices, rows in Predictor(network).batches(features, 32, network.pooling):
            vectors[indices] = rows
            bar.update(len(indices))
    return Normalize()(vectors) if network.normalize else vectors
