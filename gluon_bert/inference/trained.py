"""Trained networks as their arrays, which run without MXNet."""

from __future__ import annotations

import functools
import logging
import reprlib
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Optional

import numpy as np

from .._internal.cpu import default_threads
from .._internal.types import PathLike
from ..checkpoint.arrays import shape_of
from ..checkpoint.encoder_arrays import check_arrays, encoder_arrays
from ..checkpoint.names import CRF, HEADS, encoder_shapes, head_shapes
from ..checkpoint.schema import Checkpoint
from ..checkpoint.sentence import POOLING_MODES
from ..kernels import describe, encoder
from ..kernels.encoder import EncoderArrays, NativeEncoder
from ..modeling.chain import ChainScores, penalties, transitions_of
from ..modeling.kinds import KINDS, find_kind

logger = logging.getLogger(__name__)

_READ_POOLED = {'classifier', 'choice', 'next_sentence'}  # heads


class TrainedNetwork:
    """A trained network as the arrays of its checkpoint.

    A :class:`.Predictor` runs it on the native kernels, without importing MXNet; the arrays stay in
    the file until they are read, and those that need no other layout are read where they lie.

    Parameters
    ----------
    checkpoint : Checkpoint
    task : str, optional
        As for :func:`.build_network`.
    transitions : Transitions, optional
        Of a tagger with a CRF: which tags may follow each other; by default those that the
        checkpoint's own task says.

    Raises
    ------
    ValueError
        If the checkpoint has no head for the task.
    """

    def __init__(
        self, checkpoint: Checkpoint, task: Optional[str] = None, transitions: Any = None
    ) -> None:
        self.kind = find_kind(checkpoint, task)
        """A key of :data:`.KINDS`."""
        self.checkpoint, self.config = checkpoint, checkpoint.config
        self.sentence = checkpoint.sentence
        self.use_pooler = 'pooler' in checkpoint.heads
        reading = sorted({*KINDS[self.kind].heads} & {*checkpoint.heads} & _READ_POOLED)
        self.pooling, self.normalize = _vector_settings(checkpoint)
        if reading and not self.use_pooler and KINDS[self.kind].reads != 'vectors':
            raise ValueError(f'{checkpoint.source}: has no pooler, whose vector {reading[0]} reads')
        self.early: Optional[EarlyEncoder] = None
        self.crf = _chain_scores(checkpoint, transitions) if self.kind == 'tagger' else None

    def make_encoder(self, *options: Any) -> NativeEncoder:
        """Make the native encoder; the arguments are those of the class after the network.

        One that is being made, see :class:`EarlyEncoder`, is taken if it has the same options.
        """
        early, self.early = self.early, None
        if early is not None and early.options == options[:-1]:
            return early.result()
        return NativeEncoder(self, *options)

    @functools.cached_property
    def gluon(self) -> Any:
        """The Gluon network with the same parameters, on the CPU; making it imports MXNet."""
        from ..modeling.build import build_network

        return build_network(self.checkpoint, self.kind)

    def is_native(self) -> bool:
        """Tell if the kernels can read its parameters: always."""
        return True

    def encoder_arrays(self) -> EncoderArrays:
        """Read the arrays of the encoder, without a copy of those in float32."""
        try:
            return encoder_arrays(self.checkpoint.arrays, self.config, self.use_pooler)
        except ValueError as error:
            raise ValueError(f'{self.checkpoint.source}: {error}') from None

    def head_arrays(self) -> Mapping[str, np.ndarray]:
        """Read the arrays of its heads by their common names."""
        arrays = self.checkpoint.arrays
        shapes = {}
        for head in KINDS[self.kind].heads:
            if head in self.checkpoint.heads:
                rows = shape_of(arrays, HEADS[head])[0]
                shapes.update(head_shapes(self.config, head, rows))
        try:
            check_arrays(arrays, shapes)
        except ValueError as error:
            raise ValueError(f'{self.checkpoint.source}: {error}') from None
        return {name: arrays[name] for name in shapes}

    def checkpoint_arrays(self) -> dict[str, np.ndarray]:
        """Give the parameters by common names, as the Gluon network does; other heads are left
        out.
        """
        arrays, heads = self.checkpoint.arrays, ('pooler', *KINDS[self.kind].heads)
        names = [*encoder_shapes(self.config)]
        for head in heads:
            if head in self.checkpoint.heads:
                names += head_shapes(self.config, head)
        if self.crf is not None:
            names += [name for name, _ in CRF]
        return {name: arrays[name] for name in names}

    def __reduce__(self) -> tuple:
        # The arrays travel, not the files.
        arrays = {name: np.array(array) for name, array in self.checkpoint_arrays().items()}
        checkpoint = replace(self.checkpoint, arrays=arrays, tokenizer=None)
        return _restore, (checkpoint, self.kind, self.crf)


def _restore(checkpoint, kind, crf):
    network = TrainedNetwork(checkpoint, kind)
    network.crf = crf
    return network


class EarlyEncoder:
    """A native encoder that a thread makes while the tokenizer of its checkpoint is read.

    Parameters
    ----------
    network : TrainedNetwork
        Of its arrays and configuration.
    num_threads : int
    """

    def __init__(self, network: TrainedNetwork, num_threads: int) -> None:
        self.options = ('float32', (), None, None)  # with any number of threads
        self._num_threads = num_threads
        self._network = network
        self._made: Any = None
        # In the thread each read of a file would wait for its turn with Python.
        arrays = network.encoder_arrays()
        self._thread = threading.Thread(target=self._make, args=(arrays,))
        self._thread.start()

    def _make(self, arrays):
        try:
            self._made = NativeEncoder(self._network, *self.options, self._num_threads, arrays)
        except Exception as error:  # raised in the thread that asks for the encoder
            self._made = error

    def result(self) -> NativeEncoder:
        """Wait for the encoder; errors are those of its class."""
        self._thread.join()
        if isinstance(self._made, Exception):
            raise self._made
        return self._made


def open_network(
    source: PathLike, task: Optional[str] = None, early: bool = True
) -> TrainedNetwork:
    """Open a checkpoint, a folder or a model of the zoo as a :class:`TrainedNetwork`.

    Parameters
    ----------
    source : str or Path
        As for :func:`.open_checkpoint`.
    task : str, optional
        As for :func:`.build_network`.
    early : bool
        Begin to lay out the weights in float32 before all of it is read, where the kernels compute
        the network.

    Returns
    -------
    TrainedNetwork
    """
    from ..zoo.opening import open_checkpoint

    started: list = []

    def start(checkpoint):
        network = TrainedNetwork(checkpoint, 'encoder')
        if encoder.accepts(network):
            # One thread fewer than there may be, for that of the caller works, too.
            started.append(EarlyEncoder(network, max(1, default_threads() - 1)))

    checkpoint = open_checkpoint(source, meanwhile=start if early else None)
    network = TrainedNetwork(checkpoint, task)
    network.early = started[0] if started else None
    return network


def runnable(network: Any) -> Any:
    """Return a network as it can be run here: a trained one the kernels cannot run as Gluon's.

    Parameters
    ----------
    network : BertBlock or TrainedNetwork

    Returns
    -------
    BertBlock or TrainedNetwork
    """
    if not isinstance(network, TrainedNetwork) or encoder.accepts(network):
        return network
    reason = describe()
    if reason.startswith('native'):
        reason = 'the native kernels do not compute a network of its configuration'
    logger.warning('%s: MXNet runs it: %s', network.checkpoint.source, reason)
    return network.gluon


def gluon_network(network: Any) -> Any:
    """Return the Gluon network of a trained one, or the network itself."""
    return network.gluon if isinstance(network, TrainedNetwork) else network


def _vector_settings(checkpoint):
    """The pooling and normalisation of a classifier of pooled encodings; None and False without."""
    task = checkpoint.task or {}
    pooling = task.get('pooling')
    if pooling is not None and pooling not in POOLING_MODES:
        raise ValueError(
            f'{checkpoint.source}: pooling is {reprlib.repr(pooling)}: expected one of '
            f'{POOLING_MODES}'
        )
    return pooling, task.get('normalize') is True


def _chain_scores(checkpoint, transitions) -> Optional[ChainScores]:
    """The scores of a tagger's CRF; None without one."""
    arrays = checkpoint.arrays
    if 'crf.transitions' not in arrays:
        return None
    if transitions is None:
        transitions = transitions_of(checkpoint)
    scores = [np.asarray(arrays[f'crf.{part}'], 'float32') for part in ChainScores._fields]
    size = len(scores[1])
    if [score.shape for score in scores] != [(size, size), (size,), (size,)]:
        raise ValueError(f'{checkpoint.source}: the arrays of its CRF do not belong together')
    return penalties(size, transitions).add(*scores)
