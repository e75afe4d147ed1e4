"""Types of the rows in the zoo's tables: literals only, read without MXNet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple, Union


@dataclass(frozen=True)
class InstalledFile:
    """A file inside an installed Python distribution.

    Parameters
    ----------
    distribution : str
        Its name on the package index; installed with ``pip install --no-deps``.
    path : str
        Of the file, relative to site-packages.
    sha256 : str
    size : int
        Bytes.
    """

    distribution: str
    path: str
    sha256: str
    size: int


@dataclass(frozen=True)
class GluonFile:
    """A file of GluonNLP's store, or of a mirror of it (``MXNET_GLUON_REPO``).

    The store has it as ``gluon/models/<stem>-<sha1[:8]>.zip`` (parameters) or
    ``gluon/dataset/vocab/<stem>-<sha1[:8]>.zip`` (vocabularies), a cache as
    ``<root>/<stem>-<sha1[:8]><suffix>``.

    Parameters
    ----------
    stem : str
    sha1 : str
        Of the unpacked file.
    suffix : str
        '.params', '.vocab', '.spiece' or '.json' (the ranks of the byte-level merges).
    lacks : tuple of str
        Heads of the row that this file does not have.
    """

    stem: str
    sha1: str
    suffix: str
    lacks: Tuple[str, ...] = ()


@dataclass(frozen=True)
class HubFile:
    """A file of a repository on the Hugging Face hub.

    Parameters
    ----------
    repository : str
        Such as 'google-bert/bert-base-uncased'.
    path : str
        'model.safetensors', 'pytorch_model.bin', 'onnx/model.onnx', 'vocab.txt', ...
    sha256 : str, optional
        If known; otherwise the digest that the hub states is checked.
    size : int, optional
        Bytes.
    revision : str
        Branch, tag or commit.
    lacks : tuple of str
        Heads of the row that this file does not have.
    """

    repository: str
    path: str
    sha256: Optional[str] = None
    size: Optional[int] = None
    revision: str = 'main'
    lacks: Tuple[str, ...] = ()


@dataclass(frozen=True)
class ZipArchive:
    """A zip with a TensorFlow checkpoint: ``*.ckpt.*``, ``bert_config.json``, ``vocab.txt``.

    Parameters
    ----------
    url : str
    sha256 : str, optional
        If known; otherwise the checksums inside the archive and the checkpoint are checked.
    size : int, optional
        Bytes.
    """

    url: str
    sha256: Optional[str] = None
    size: Optional[int] = None


File = Union[InstalledFile, GluonFile, HubFile, ZipArchive]
Source = Union[File, Tuple[File, ...]]


@dataclass(frozen=True)
class VocabularyRow:
    """The vocabulary of one data set.

    Parameters
    ----------
    kind : str
        'wordpiece' (vocab.txt), 'sentencepiece' (tokenizer.model) or 'byte_pair' (vocab.json and
        merges.txt).
    size : int
        Number of tokens, and of the rows of the word embedding; further rows of a checkpoint
        belong to no token.
    lowercase : bool
        Whether text is lower-cased and loses its accents before it is split.
    swapped : bool
        Whether the ids are in the order of GluonNLP's converter of 2018 (special tokens first)
        instead of the published file's.
    sources : tuple
        Sources, tried in order after the local folder; each a file, or a tuple of files that
        belong together (vocab.json and merges.txt).
    sha256 : str, optional
        Of the published vocab.txt, if known.
    gluonnlp_sha1s : tuple of str
        Of GluonNLP's files of this vocabulary, the newest first.
    language : str
        Of its text: an ISO 639-1 code, or 'multi' for many.
    """

    kind: str
    size: int
    lowercase: bool
    swapped: bool
    sources: Tuple[Source, ...]
    sha256: Optional[str] = None
    gluonnlp_sha1s: Tuple[str, ...] = ()
    language: str = 'en'


@dataclass(frozen=True)
class Weights:
    """One set of trained parameters.

    Parameters
    ----------
    num_params : int
        Parameters of the encoder, with the pooler if it has one.
    heads : tuple of str
        Trained heads, of 'pooler', 'next_sentence', 'masked_lm'. A source without some of them
        lists these in ``lacks``; further heads of a source are untrained.
    description : str
        Training data and recommended use.
    licence : str
        SPDX identifier, or 'not stated'.
    source : str
        Page of the original release.
    citation : str
    sources : tuple
        Sources, tried in order after the local folder.
    sentence_tokens : int, optional
        Of a sentence model: tokens of the longest text that it makes a vector of, special tokens
        included. Its pooling is the mean.
    sentence_normalized : bool
        Of a sentence model: whether its vectors have length 1.
    """

    num_params: int
    heads: Tuple[str, ...]
    description: str
    licence: str
    source: str
    citation: str
    sources: Tuple[Source, ...]
    sentence_tokens: Optional[int] = None
    sentence_normalized: bool = True
