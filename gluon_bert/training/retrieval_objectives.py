"""Objectives of vectors for retrieval. A batch is that of :mod:`.sentence_objectives`."""

from __future__ import annotations

from .._internal.checks import check_not_negative, check_positive_number, check_range
from .retrieval_losses import flops, late_interaction_loss, sparse_ranking_loss
from .sentence_objectives import MAX_COLUMNS, divide_columns
from .terms import LossTerm, Objective


def make_sparse_objective(
    columns: int = 2, scale: float = 1.0, query_weight: float = 5e-5, document_weight: float = 3e-5
) -> Objective:
    """Make the objective of a :class:`.SparseEmbedder`.

    Parameters
    ----------
    columns : int
        Texts of an example: a query, its document, and hard negatives.
    scale : float
        Factor of the scores, see :func:`.sparse_ranking_loss`.
    query_weight, document_weight : float
        Of the regularizer :func:`.flops` of the queries and of all documents of a batch.

    Returns
    -------
    Objective
        With the terms 'loss', 'query_flops' and 'document_flops'; those without weight are left
        out.

    Raises
    ------
    ValueError
        If a number is out of range.
    """
    check_not_negative(query_weight=query_weight, document_weight=document_weight)
    terms = {'loss': _ranking_term(sparse_ranking_loss, columns, scale)}
    if query_weight:
        terms['query_flops'] = LossTerm(
            lambda vectors: flops(vectors[: len(vectors) // columns]), _count_batch, query_weight
        )
    if document_weight:
        terms['document_flops'] = LossTerm(
            lambda vectors: flops(vectors[len(vectors) // columns :]), _count_batch, document_weight
        )
    name = f'sparse_ranking(scale={scale}, query={query_weight}, document={document_weight})'
    return Objective(name, terms, compares=True)


def make_late_interaction_objective(columns: int = 2, scale: float = 1.0) -> Objective:
    """Make the objective of a :class:`.TokenEmbedder`.

    Parameters
    ----------
    columns : int
        Texts of an example: a query, its document, and hard negatives.
    scale : float
        Factor of the scores, see :func:`.late_interaction_loss`.

    Returns
    -------
    Objective

    Raises
    ------
    ValueError
        If a number is out of range.
    """
    terms = {'loss': _ranking_term(late_interaction_loss, columns, scale)}
    return Objective(f'late_interaction(scale={scale})', terms, compares=True)


def _ranking_term(loss, columns, scale):
    check_range(2, MAX_COLUMNS, columns=columns)
    check_positive_number(scale=scale)
    return LossTerm(
        lambda vectors: loss(*divide_columns(vectors, columns), scale=scale),
        lambda inputs, labels: len(inputs[0]) // columns,
    )


def _count_batch(inputs, labels):
    return 1
