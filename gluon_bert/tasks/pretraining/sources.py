"""The streams of pre-training: of records, or of texts that are made records first."""

from __future__ import annotations

import logging
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..._internal.files import (
    digest_of_rows,
    expand_paths,
    made_folder,
    remove_leftovers,
    sha256_of,
)
from ...data.pretraining.create import PretrainingDataOptions, create_pretraining_data
from ...data.pretraining.masking import Masker, Masking
from ...data.pretraining.stream import PretrainingStream, StreamOptions
from .network import PretrainingModel, check_length
from .objectives import PRETRAINING_OBJECTIVES
from .options import PretrainingData

logger = logging.getLogger(__name__)

TEXT_LENGTH = 128  # tokens of a sequence of texts, by default
RECORDS_FOLDER = 'records'  # in that of the run


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
    check_length(data.max_seq_length, model.config)
    paths = data.data if data.data else make_records(model, data, data.texts, folder, seed)
    masker = None
    if data.dynamic_masking or data.texts:
        length = TEXT_LENGTH if data.texts else model.config.max_length
        masker = Masker(model.tokenizer, _masking(data, length))
    options = _stream_options(model, data, data.batch_size, seed, data.shuffle_buffer)
    return _checked(PretrainingStream(paths, options, masker, ctx))


def open_held_out(
    model: PretrainingModel, data: PretrainingData, folder: Path, seed: int, ctx: list
) -> Any:
    """Open the held-out records, in their order; None without any."""
    if not data.eval_data and not data.eval_texts:
        return None
    paths = data.eval_data or make_records(model, data, data.eval_texts, folder, seed)
    options = _stream_options(model, data, data.eval_batch_size, seed, 0)
    return _checked(PretrainingStream(paths, options, None, ctx))


def _checked(stream):
    """A stream whose first batch can be read."""
    stream.check()
    return stream


def _stream_options(model, data, batch_size, seed, buffer_size):
    vocabulary = model.tokenizer.vocabulary
    return StreamOptions(
        batch_size=batch_size,
        seed=seed,
        buffer_size=buffer_size,
        pad_id=vocabulary[vocabulary.padding_token],
        next_sentence=PRETRAINING_OBJECTIVES[data.objective].labels_pairs,
        vocab_size=len(vocabulary),
        max_length=data.max_seq_length or model.config.max_length,
    )


def _masking(data, length):
    """How much of sequences of a length, unless another is given, is masked."""
    strategy = 'whole_words' if data.whole_word_mask else 'tokens'
    length = data.max_seq_length or length
    most = data.max_predictions_per_seq or max(1, round(length * data.masked_lm_prob))
    return Masking(strategy, data.masked_lm_prob, most)


def make_records(
    model: PretrainingModel, data: PretrainingData, texts: Any, folder: Path, seed: int
) -> Path:
    """Make records of texts in a folder of the run, or take those made of the same texts before.

    Parameters
    ----------
    model : PretrainingModel
    data : PretrainingData
    texts : str, Path or list of them
    folder : Path
        Of the run.
    seed : int

    Returns
    -------
    Path

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`.create_pretraining_data`.
    """
    files = expand_paths(texts)
    options = PretrainingDataOptions(
        pairing=PRETRAINING_OBJECTIVES[data.objective].pairing,
        masking=_masking(data, TEXT_LENGTH),
        max_seq_length=data.max_seq_length or min(TEXT_LENGTH, model.config.max_length),
        short_seq_prob=data.short_seq_prob,
        dupe_factor=1,
        random_seed=seed,
        input_format=data.text_format,
    )
    path = folder / RECORDS_FOLDER / f'{_digest(model, options, files)}.tfrecord'
    if path.exists():  # it is complete; of an interrupted call the folder of work may be left
        shutil.rmtree(f'{path}.work', ignore_errors=True)
        remove_leftovers(path.parent)
        return path
    with made_folder(path.parent):
        counts = create_pretraining_data(files, path, model.tokenizer, options)
    logger.info(
        '%d documents, %d tokens: %d records in %s',
        counts.num_documents,
        counts.num_tokens,
        counts.num_records,
        path,
    )
    return path


def _digest(model, options, files):
    """A name for the records of these files, so that others are not taken for them."""
    rows = [(name, str(value)) for name, value in asdict(options).items()]
    rows += [(str(name), str(value)) for name, value in model.tokenizer.contents().items()]
    rows += [(Path(path).name, sha256_of(path)) for path in files]
    return digest_of_rows(rows)[:16]
