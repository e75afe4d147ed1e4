"""The streams of pre-training: of records, or of texts that are made records first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..._internal.errors import ArgumentError
from ...data.pretraining.masking import Masker, Masking
from ...data.pretraining.stream import PretrainingStream, StreamOptions
from .network import PretrainingModel, check_length
from .objectives import PRETRAINING_OBJECTIVES
from .options import PretrainingData

TEXT_LENGTH = 128  # tokens of a sequence of texts, by default


def open_stream(
    model: PretrainingModel, data: PretrainingData, folder: Path, seed: int, ctx: list
) -> PretrainingStream:
    """Open the records of a phase, shuffled.

    Parameters
    ----------
    model : PretrainingModel
    data : PretrainingData
        Of the phase.
    folder : Path
        Gets the records that are made of texts.
    seed : int
        Of the order, and of the masks.
    ctx : list of mxnet.Context

    Returns
    -------
    PretrainingStream

    Raises
    ------
    FileNotFoundError, ValueError
        If there are no such files, or no records in them.
    """
    paths = data.data if data.data else make_records(model, data, data.texts, folder, seed)
    masker = None
    if data.dynamic_masking or data.texts:
        masker = Masker(model.tokenizer, _masking(data))
    options = _stream_options(model, data, data.batch_size, seed, data.shuffle_buffer)
    return PretrainingStream(paths, options, masker, ctx)


def open_held_out(
    model: PretrainingModel, data: PretrainingData, folder: Path, seed: int, ctx: list
) -> Any:
    """Open the held-out records, in their order; None without any."""
    if not data.eval_data and not data.eval_texts:
        return None
    paths = data.eval_data or make_records(model, data, data.eval_texts, folder, seed)
    options = _stream_options(model, data, data.eval_batch_size, seed, 0)
    return PretrainingStream(paths, options, None, ctx)


def _stream_options(model, data, batch_size, seed, buffer_size):
    vocabulary = model.tokenizer.vocabulary
    check_length(data.max_seq_length, model.config)
    return StreamOptions(
        batch_size=batch_size,
        seed=seed,
        buffer_size=buffer_size,
        pad_id=vocabulary[vocabulary.padding_token],
        next_sentence=PRETRAINING_OBJECTIVES[data.objective].labels_pairs,
        vocab_size=len(vocabulary),
        max_length=data.max_seq_length or model.config.max_length,
    )


def _masking(data):
    strategy = 'whole_words' if data.whole_word_mask else 'tokens'
    length = data.max_seq_length or TEXT_LENGTH
    most = data.max_predictions_per_seq or max(1, round(length * data.masked_lm_prob))
    return Masking(strategy, data.masked_lm_prob, most)


def make_records(
    model: PretrainingModel, data: PretrainingData, texts: Any, folder: Path, seed: int
) -> list[Path]:
    """Make records of texts, or find those that were made of the same before."""
    raise ArgumentError('texts', 'make records of them first')
