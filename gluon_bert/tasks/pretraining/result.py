"""Write the model that pre-training leaves, as a folder that opens, and as a row of the zoo."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from ..._internal.errors import ArgumentError
from ..._internal.files import digests_of, new_folder, staging_folder, write_text
from ...checkpoint import Checkpoint, write_checkpoint
from ...checkpoint.huggingface.folder import describe_huggingface
from ...data import BertTokenizer, SentencePieceTokenizer
from ...families import DEFAULT_FAMILY
from ...modeling.counts import count_parameters
from ...zoo import ARCHITECTURES, family_of
from ...zoo.schema import GluonFile, VocabularyRow, Weights
from .network import PretrainingModel

MODEL_FOLDER, ZOO_FOLDER, ROW_FILE = 'model', 'zoo', 'rows.py'


def make_checkpoint(model: PretrainingModel) -> Checkpoint:
    """Make the checkpoint of a pre-trained network."""
    arrays = {**model.network.checkpoint_arrays(), **model.untrained}
    return Checkpoint(arrays, model.config, model.family, model.tokenizer, source='the network')


def write_model(model: PretrainingModel, folder: Path) -> Path:
    """Write the folder of the model, in transformers' layout; one that is there is replaced.

    Returns
    -------
    Path
    """
    target = folder / MODEL_FOLDER
    with _replaced(target):
        write_checkpoint(make_checkpoint(model), target, 'huggingface')
    return target


def check_writable(model: PretrainingModel, objective: str, folder: Path, has_run: bool) -> None:
    """Refuse before the training what could not be written after it.

    Parameters
    ----------
    model : PretrainingModel
    objective : str
        For the message.
    folder : Path
        Of the run.
    has_run : bool
        Whether a run has begun there: its results are replaced, other folders are not.

    Raises
    ------
    ValueError
        If transformers has no such network, or a folder is in the way.
    """
    for name in (MODEL_FOLDER, ZOO_FOLDER):
        if (folder / name).exists() and not has_run:
            raise ValueError(
                f'{folder / name}: is there, and is not of a run of pre-training; choose another '
                f'folder'
            )
    with tempfile.TemporaryDirectory() as temporary:
        try:
            describe_huggingface(make_checkpoint(model), temporary)
        except ValueError as error:
            reason = f'there is no place for its heads in the model that is written ({error})'
            raise ArgumentError('objective', reason, objective) from None


def remove_results(folder: Path) -> None:
    """Remove the results of an earlier run, which another replaces."""
    for name in (MODEL_FOLDER, ZOO_FOLDER):
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)


def check_zoo_name(model: PretrainingModel, name: str) -> None:
    """Refuse a data set's name that cannot be one, or a tokenizer without a file in the zoo.

    Raises
    ------
    ValueError
    """
    if not name.replace('_', '').replace('.', '').isalnum() or not name.isascii():
        reason = 'expected letters, digits and _, such as my_corpus_uncased'
        raise ArgumentError('zoo_name', reason, repr(name))
    if not isinstance(model.tokenizer, (BertTokenizer, SentencePieceTokenizer)):
        kind = type(model.tokenizer).__name__
        raise ArgumentError('zoo_name', f"the zoo's files have no place for a {kind}", name)


def write_zoo_files(model: PretrainingModel, folder: Path, name: str) -> str:
    """Write the files of a model of the zoo, named by their digests, and its rows.

    ``gluon_bert.get_model(architecture, name, root=...)`` reads them from the folder ``zoo`` once
    the rows are in the zoo's tables.

    Parameters
    ----------
    model : PretrainingModel
    folder : Path
        Of the run.
    name : str
        Of the data set.

    Returns
    -------
    str
        The rows, as Python literals.
    """
    target, checkpoint = folder / ZOO_FOLDER, make_checkpoint(model)
    architecture = _architecture(model)
    with _replaced(target), new_folder(target) as made, staging_folder(made / 'x') as staging:
        write_checkpoint(checkpoint, staging / 'model.params', 'gluonnlp')
        files = {}
        for stem, suffix in (
            (f'{architecture}_{name}', '.params'),
            (name, _vocabulary_suffix(model)),
        ):
            source = staging / f'model{suffix}'
            if suffix == '.spiece':
                source = next((staging / 'model.tokenizer').glob('*.model'))
            sha1 = digests_of(source, ['sha1'])['sha1']
            shutil.move(source, made / f'{stem}-{sha1[:8]}{suffix}')
            files[suffix] = GluonFile(stem, sha1, suffix)
        rows = _rows(model, checkpoint, architecture, name, files)
        write_text(made / ROW_FILE, rows)
    return rows


def _vocabulary_suffix(model):
    return '.vocab' if isinstance(model.tokenizer, BertTokenizer) else '.spiece'


def _architecture(model):
    """The name of the network's architecture in the zoo, or a new one of its sizes."""
    config = asdict(model.config)
    for name, row in ARCHITECTURES.items():
        if family_of(name) == model.family and all(config[key] == row[key] for key in row):
            return name
    return f'{model.family}_{config["num_layers"]}_{config["units"]}_{config["num_heads"]}'


def _rows(model, checkpoint, architecture, name, files):
    """The rows as text, each behind the table it belongs to."""
    parameters = files['.params']
    suffix = _vocabulary_suffix(model)
    vocabulary = VocabularyRow(
        kind='wordpiece' if suffix == '.vocab' else 'sentencepiece',
        size=len(model.tokenizer.vocabulary),
        lowercase=model.tokenizer.lower,
        swapped=False,
        sources=(files[suffix],),
        gluonnlp_sha1s=(files[suffix].sha1,),
    )
    encoder = [head for head in checkpoint.heads if head == 'pooler']
    weights = Weights(
        num_params=sum(count_parameters(model.config, encoder).values()),
        heads=checkpoint.heads,
        description='TODO: training data and recommended use',
        licence='not stated',
        source='TODO: page of the release',
        citation='TODO',
        sources=(parameters,),
    )
    lines = []
    if architecture not in ARCHITECTURES:
        values = {key: value for key, value in asdict(model.config).items() if key != 'vocab_size'}
        lines += [
            '# gluon_bert/zoo/tables/architectures.py: ARCHITECTURES',
            f'ARCHITECTURES = {{{architecture!r}: {values!r}}}',
        ]
        if model.family != DEFAULT_FAMILY:
            lines.append(f'FAMILIES = {{{architecture!r}: {model.family!r}}}')
    lines += [
        '# gluon_bert/zoo/tables/vocabularies.py: VOCABULARIES',
        f'VOCABULARIES = {{{name!r}: {_literal(vocabulary)}}}',
        '# gluon_bert/zoo/tables/weights.py: WEIGHTS',
        f'WEIGHTS = {{({architecture!r}, {name!r}): {_literal(weights)}}}',
    ]
    return '\n'.join(lines) + '\n'


def _literal(row: Any) -> str:
    """A row as its constructor's call, without the fields that have their defaults."""
    given = {field.name: getattr(row, field.name) for field in fields(row)}
    defaults = {field.name: field.default for field in fields(row)}
    items = [f'    {key}={value!r},' for key, value in given.items() if value != defaults[key]]
    return '\n'.join([f'{type(row).__name__}(', *items, ')'])


@contextlib.contextmanager
def _replaced(target):
    """Let a folder be written in the place of an earlier one."""
    if target.is_dir():
        shutil.rmtree(target)
    yield
