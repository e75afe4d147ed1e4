"""Losses of sentence vectors, as sentence-transformers has them.

N examples of C units: each loss reads matrices of vectors, row i of each of them for example i.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mxnet import nd

from .labels import FINITE, check_labels

_SQUARED_EPS = 1e-24  # a vector of zeros stays one
_DISTANCE_EPS = 1e-6  # PyTorch's pairwise_distance adds it to each difference
_FAR = 1e12  # taken from what does not count, so that its exponential is 0


def cosine_matrix(first: nd.NDArray, second: nd.NDArray) -> nd.NDArray:
    """Compute the cosine of each of some vectors with each of others.

    Parameters
    ----------
    first : NDArray, shape (N, C)
    second : NDArray, shape (M, C)

    Returns
    -------
    NDArray, shape (N, M)
    """
    return nd.dot(_unit(first), _unit(second), transpose_b=True)


def cosines(first: nd.NDArray, second: nd.NDArray) -> nd.NDArray:
    """Compute the cosine of each vector with that in the same row: twice (N, C) -> (N,)."""
    return (_unit(first) * _unit(second)).sum(axis=1)


def multiple_negatives_ranking_loss(
    anchors: nd.NDArray, *candidates: nd.NDArray, scale: float = 20.0, symmetric: bool = False
) -> nd.NDArray:
    """Compute the cross-entropy of finding each anchor's positive among all candidates.

    Henderson et al. (2017), section 4.4; with one text and two draws of dropout it is the loss of
    SimCSE (Gao et al., 2021, equation 1).

    Parameters
    ----------
    anchors : NDArray, shape (N, C)
    *candidates : NDArray, shape (N, C)
        The positives; then any number of hard negatives of each anchor.
    scale : float
        Factor of the cosines, the inverse of the temperature.
    symmetric : bool
        Average with the loss of finding each positive's anchor.

    Returns
    -------
    NDArray, shape (N,)
    """
    losses = in_batch_loss(cosine_matrix(anchors, nd.concat(*candidates, dim=0)) * scale)
    if not symmetric:
        return losses
    return (losses + in_batch_loss(cosine_matrix(candidates[0], anchors) * scale)) / 2


def in_batch_loss(scores: nd.NDArray) -> nd.NDArray:
    """Compute the cross-entropy of finding for each row the candidate in the column of its number.

    Parameters
    ----------
    scores : NDArray, shape (N, candidates)

    Returns
    -------
    NDArray, shape (N,)
    """
    return -nd.pick(nd.log_softmax(scores), nd.arange(len(scores), ctx=scores.context))


def cosent_loss(
    first: nd.NDArray, second: nd.NDArray, scores: nd.NDArray, scale: float = 20.0
) -> nd.NDArray:
    """Compute the CoSENT loss: pairs with a higher score are to have a higher cosine.

    Su (2022), https://kexue.fm/archives/8847. Scores matter by their order alone.

    Parameters
    ----------
    first, second : NDArray, shape (N, C)
    scores : NDArray, shape (N,)
    scale : float
        Factor of the cosines.

    Returns
    -------
    NDArray, shape (1,)
        One value for the batch.
    """
    check_labels(scores, FINITE)
    cosine = cosines(first, second) * scale
    gaps = nd.broadcast_sub(cosine.expand_dims(1), cosine.expand_dims(0))  # (N, N)
    counts = nd.broadcast_lesser(scores.expand_dims(1), scores.expand_dims(0))
    gaps = (gaps - (1 - counts) * _FAR).reshape((1, -1))
    # log(1 + the sum of exponentials) is how improbable the 0 is beside the gaps.
    terms = nd.concat(nd.zeros((1, 1), ctx=gaps.context), gaps, dim=1)
    return -nd.log_softmax(terms).slice_axis(axis=1, begin=0, end=1).reshape((1,))


def cosine_loss(first: nd.NDArray, second: nd.NDArray, scores: nd.NDArray) -> nd.NDArray:
    """Compute the squared difference of cosine and score (Reimers and Gurevych, 2019, section 3).

    Parameters
    ----------
    first, second : NDArray, shape (N, C)
    scores : NDArray, shape (N,)
        In [-1, 1], as cosines are.

    Returns
    -------
    NDArray, shape (N,)
    """
    check_labels(scores, FINITE)
    return nd.square(cosines(first, second) - scores)


def _euclidean(first, second):
    return nd.norm(first - second + _DISTANCE_EPS, axis=1)


#: Distances of vectors by name.
DISTANCES: Mapping[str, Callable[[nd.NDArray, nd.NDArray], nd.NDArray]] = {
    'euclidean': _euclidean,
    'cosine': lambda first, second: 1 - cosines(first, second),
    'manhattan': lambda first, second: nd.abs(first - second + _DISTANCE_EPS).sum(axis=1),
}


def triplet_loss(
    anchors: nd.NDArray,
    positives: nd.NDArray,
    negatives: nd.NDArray,
    distance: str = 'euclidean',
    margin: float = 5.0,
) -> nd.NDArray:
    """Compute by how much negatives are not further than positives by a margin.

    Reimers and Gurevych (2019), section 3.

    Parameters
    ----------
    anchors, positives, negatives : NDArray, shape (N, C)
    distance : str
        Of :data:`DISTANCES`.
    margin : float

    Returns
    -------
    NDArray, shape (N,)
    """
    measure = DISTANCES[distance]
    return nd.relu(measure(anchors, positives) - measure(anchors, negatives) + margin)


def shorten(vectors: nd.NDArray, units: int) -> nd.NDArray:
    """Keep the first units of vectors, scaled to length 1: (N, C) -> (N, units).

    Kusupati et al. (2022), section 3.
    """
    return _unit(vectors.slice_axis(axis=1, begin=0, end=units))


def _unit(vectors):
    return nd.L2Normalization(vectors, eps=_SQUARED_EPS)
