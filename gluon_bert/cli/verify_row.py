"""Verify a file against its row in the zoo."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .._internal.files import digests_of
from .._internal.json import read_object
from ..modeling.counts import count_parameters, title_of
from ..zoo import VOCABULARIES, WEIGHTS, ModelName, family_of, get_config, list_models
from ..zoo.fetch.local_files import RECORD, digests, files_of, find_files, mismatch, plain_files
from ..zoo.fetch.sources import url_of
from ..zoo.schema import GluonFile
from .cache_contents import cached_row
from .models import read_model
from .output import note, say

if TYPE_CHECKING:
    from .models import Model


_WORDS = {True: 'ok', False: 'FAIL', None: '-'}


def verify_row(model: Model, args: Namespace) -> int:
    """Check a model of the cache, or files elsewhere, against its row.

    Parameters
    ----------
    model : Model
    args : argparse.Namespace
        With ``root`` and ``row``.

    Returns
    -------
    int
        0, or 1 if a check failed.

    Raises
    ------
    ValueError, FileNotFoundError
        If there are no files, or their row cannot be determined.
    """
    given = read_model([args.row]).key if args.row else None
    if args.row and given is None:
        raise ValueError(f'--row {args.row}: expected NAME/DATASET')
    paths = _paths_of_row(model.key, args.root) if model.key else _paths_of_folder(model.folder())
    computed = {path: digests_of(path, ('sha256', 'sha1')) for path in plain_files(paths)}
    key = given or model.key or _find_row(paths, computed)
    note(f'{paths[0]}, as {key.name} on {key.dataset_name}')
    good = True
    vocabulary = _vocabulary_files(model, key, args.root)
    for check, files in (
        (_check_digests, computed),
        (_check_arrays, ()),
        (_check_vocabulary, vocabulary),
    ):
        try:
            results = list(check(key, paths, files))
        except ValueError as error:
            results = [(False, str(error))]
        for passed, text in results:
            say(f'{_WORDS[passed]:4}  {text}')
            good = good and passed is not False
    return 0 if good else 1


def _paths_of_row(key, root):
    cached = cached_row(*key, root)
    located = find_files(cached.entry.folder, cached.entry.row)
    if located:
        return located[0]
    in_root = tuple(path for path, _ in cached.files if path.parent == cached.entry.root)
    if not (in_root or cached.installed):
        raise FileNotFoundError(
            f'{key.name} on {key.dataset_name}: not in the cache, '
            f'{cached.entry.root}; fetch it with gluon-bert fetch'
        )
    return in_root or (cached.installed,)


def _paths_of_folder(path):
    if path.is_dir():
        located = find_files(path, next(iter(WEIGHTS.values())))
        if not located:
            raise FileNotFoundError(f'{path}: has no parameters')
        return located[0]
    if path.is_file() and path.suffix != '.index':
        return (path,)
    prefix = path.name[: -len('.index')] if path.suffix == '.index' else path.name
    return (path.with_name(f'{prefix}.index'), *sorted(path.parent.glob(f'{prefix}.data-*')))


def _published(row):
    """Yield (algorithm, digest or None, file) for each file of a row."""
    for file in (file for source in row.sources for file in files_of(source)):
        if isinstance(file, GluonFile):
            yield 'sha1', file.sha1, file
        else:
            yield 'sha256', file.sha256, file


def _find_row(paths, computed):
    """Find the row that files belong to, by digest or by the names of file and folder."""
    for key in list_models():
        known = {digest for _, digest, _ in _published(WEIGHTS[key])}
        if any(known & {*digest.values()} for digest in computed.values()):
            return ModelName(*key)
    names = [Path(paths[0]).absolute().parent.name, Path(paths[0]).name]
    for key in sorted(list_models(), key=lambda key: -len(key.dataset_name)):
        stem = f'{key.name}_{key.dataset_name}'
        if names[0] == stem or names[1] == stem or names[1].startswith((f'{stem}-', f'{stem}.')):
            return key
    raise ValueError(
        f'{paths[0]}: no row has a file with this name or digest; pass --row NAME/DATASET'
    )


def _check_digests(key, paths, files):
    """Yield (passed, text) for each file with a known digest, and one for the others."""
    published = list(_published(WEIGHTS[key]))
    record = (paths[0] if paths[0].is_dir() else paths[0].parent) / RECORD
    record = read_object(record) if record.is_file() else {}
    recorded = record['sha256'] if isinstance(record.get('sha256'), dict) else {}
    unknown = []
    for path, actual in files.items():
        origin = next(
            (url_of(file) for algorithm, digest, file in published if digest == actual[algorithm]),
            None,
        )
        of_kind = [digest for _, digest, file in published if _suffix(file) == path.suffix]
        sha256 = actual['sha256']
        if origin:
            yield True, f'{path.name}: sha256 {sha256}, as published: {origin}'
        elif path.name in recorded:
            yield (
                sha256 == recorded[path.name],
                f'{path.name}: sha256 {sha256}, recorded when fetched {recorded[path.name]}: '
                f'{record.get("source")}',
            )
        elif of_kind and all(of_kind):
            yield (
                False,
                (
                    f'{path.name}: sha256 {sha256}, sha1 {actual["sha1"]}, published '
                    f'{" or ".join(of_kind)}'
                ),
            )
        else:
            unknown.append(path.name)
    if unknown:
        yield None, f'no known digest for {", ".join(unknown)}'


def _suffix(file):
    return file.suffix if isinstance(file, GluonFile) else Path(getattr(file, 'path', '')).suffix


def _check_arrays(key, paths, _):
    """Yield (passed, text) for names, shapes, heads and numbers."""
    from ..checkpoint.arrays import shape_of
    from ..checkpoint.names import check_shapes
    from ..checkpoint.schema import Checkpoint

    row = WEIGHTS[key]
    arrays = _open(Path(paths[0]), family_of(key.name))
    if 'word_embed.0.weight' not in arrays:
        raise ValueError('has no word embedding')
    config = get_config(key.name, shape_of(arrays, 'word_embed.0.weight')[0])
    check_shapes(arrays, config)
    yield True, f'{len(arrays)} arrays, those of {key.name} with {config.vocab_size} words'
    heads = Checkpoint(arrays, config, family_of(key.name)).heads
    counts = count_parameters(config, heads)
    total = sum(int(np.prod(shape_of(arrays, name))) for name in arrays)
    yield (
        total == sum(counts.values()),
        f'{total:,} parameters, {", ".join(map(title_of, heads)) or "no heads"}: '
        f'{sum(counts.values()):,} expected',
    )
    pooled = [head for head in heads if head == 'pooler']
    number = sum(count_parameters(config, pooled).values())
    yield (
        number == row.num_params,
        (f'{number:,} of them in the encoder, the row has {row.num_params:,}'),
    )
    lacking = [head for head in row.heads if head not in heads]
    known = [source for source in row.sources if {*lacking} <= {*getattr(source, 'lacks', ())}]
    yield (
        not lacking or (None if known else False),
        f'heads of the row: {"all present" if not lacking else "missing "}'
        f'{", ".join(map(title_of, lacking))}',
    )
    bad = [name for name in arrays if not np.isfinite(arrays[name]).all()]
    yield not bad, f'numbers: {"all finite" if not bad else f"not finite in {bad[0]}"}'


def _vocabulary_files(model, key, root):
    """Find the vocabulary's files in the cache, or in the folder given."""
    cached = cached_row(None, key.dataset_name, root)
    folder = cached.entry.folder if model.key else model.folder()
    located = find_files(folder, cached.entry.row) if folder.is_dir() else None
    in_root = [path for path, _ in cached.files if path.parent == cached.entry.root]
    return located[0] if located else in_root if model.key else ()


def _check_vocabulary(key, _, files):
    """Yield (passed, text) for each file of the vocabulary."""
    row = VOCABULARIES[key.dataset_name]
    for path in files:
        known = digests(row, path.name)
        known += [('sha1', digest) for digest in row.gluonnlp_sha1s if path.suffix == '.vocab']
        problem = mismatch(path, known)
        if not known:
            yield None, f'{path.name}: no known digest for this vocabulary'
        else:
            yield (
                problem is None,
                f'{path.name}: {problem or f"the vocabulary of {key.dataset_name}"}',
            )


def _open(path, family):
    """Open arrays by common names, from parameters that need no configuration."""
    from ..checkpoint.gluonnlp.names import common_arrays
    from ..checkpoint.gluonnlp.params_file import read_params
    from ..checkpoint.huggingface.folder import huggingface_arrays
    from ..checkpoint.huggingface.safetensors_file import open_tensors
    from ..checkpoint.tensorflow.folder import read_tensorflow

    if path.is_dir() or path.suffix == '.index':
        return read_tensorflow(path, tokenizer=False).arrays
    if path.suffix == '.params':
        return common_arrays(read_params(path))
    return huggingface_arrays(open_tensors(path), family)
