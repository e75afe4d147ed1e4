"""Losses of sparse vectors and of the vectors of tokens.

N examples of a batch; V words; T tokens, D units. The first documents are the positives of the
queries in the same rows, the others hard negatives; all of them are candidates of every query.
"""

from __future__ import annotations

from mxnet import nd

from .sentence_losses import in_batch_loss

_FAR = 1e30  # taken from the scores of padding


def sparse_ranking_loss(
    queries: nd.NDArray, *documents: nd.NDArray, scale: float = 1.0
) -> nd.NDArray:
    """Compute the cross-entropy of finding each query's document by the dot product.

    Formal et al. (2021), equation 3.

    Parameters
    ----------
    queries : NDArray, shape (N, V)
    *documents : NDArray, shape (N, V)
    scale : float
        Factor of the scores.

    Returns
    -------
    NDArray, shape (N,)
    """
    return in_batch_loss(nd.dot(queries, nd.concat(*documents, dim=0), transpose_b=True) * scale)


def flops(vectors: nd.NDArray) -> nd.NDArray:
    r"""Compute the regularizer of Paria et al. (2020), equation 4, which makes vectors sparse.

    .. math:: \sum_j \left(\frac{1}{N} \sum_i w_{ij}\right)^2

    Parameters
    ----------
    vectors : NDArray, shape (N, V)
        0 or more.

    Returns
    -------
    NDArray, shape (1,)
        About the multiplications that a score of two vectors takes, where weights are 0 and 1.
    """
    return nd.square(vectors.mean(axis=0)).sum()


def maxsim_matrix(queries: nd.NDArray, documents: nd.NDArray) -> nd.NDArray:
    """Compute ColBERT's score of each query and each document, as :func:`.maxsim` does.

    Khattab and Zaharia (2020), section 3.3.

    Parameters
    ----------
    queries : NDArray, shape (N, T, D)
        Vectors of length 1; those of 0 are padding.
    documents : NDArray, shape (M, T, D)
        The same.

    Returns
    -------
    NDArray, shape (N, M)
    """
    rows, columns = (array.reshape((-3, 0)) for array in (queries, documents))
    products = nd.dot(rows, columns, transpose_b=True).reshape(
        (len(queries), queries.shape[1], len(documents), documents.shape[1])
    )
    padding = (nd.square(documents).sum(axis=2) == 0).expand_dims(0).expand_dims(0)  # (1, 1, M, T)
    best = nd.broadcast_sub(products, padding * _FAR).max(axis=3)  # (N, T, M)
    valid = (nd.square(queries).sum(axis=2) > 0).expand_dims(2)  # (N, T, 1)
    return nd.broadcast_mul(best, valid).sum(axis=1)


def late_interaction_loss(
    queries: nd.NDArray, *documents: nd.NDArray, scale: float = 1.0
) -> nd.NDArray:
    """Compute the cross-entropy of finding each query's document by :func:`maxsim_matrix`.

    Parameters
    ----------
    queries : NDArray, shape (N, T, D)
    *documents : NDArray, shape (N, T, D)
    scale : float
        Factor of the scores.

    Returns
    -------
    NDArray, shape (N,)
    """
    return in_batch_loss(maxsim_matrix(queries, nd.concat(*documents, dim=0)) * scale)
