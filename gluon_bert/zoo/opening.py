"""Open a checkpoint, whatever names it: a model of the zoo, the hub, a folder or a file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Callable, NamedTuple, Optional, Union

from .._internal.memory import no_garbage_collection
from .._internal.types import PathLike
from ..checkpoint import Checkpoint, find_format, read_checkpoint
from ..config import BertConfig
from .tables.architectures import ARCHITECTURES

logger = logging.getLogger(__name__)


class _Row(NamedTuple):
    """A row that a file was found to belong to; ``dataset_name`` is None if only named like it."""

    name: str
    dataset_name: Optional[str] = None


@no_garbage_collection()
def open_checkpoint(
    source: PathLike,
    root: Optional[PathLike] = None,
    config: Optional[Union[BertConfig, PathLike]] = None,
    num_heads: Optional[int] = None,
    meanwhile: Optional[Callable[[Checkpoint], object]] = None,
) -> Checkpoint:
    """Open a checkpoint with everything that its files say about it.

    Parameters
    ----------
    source : str or Path
        A fine-tuned folder; a folder or file of :func:`.read_checkpoint`; 'hf://owner/name', a
        repository of the Hugging Face hub, optionally followed by '@revision'; or a model of the
        zoo, 'name/data_set' or its name on the hub, unless a file or folder has this name.
    root : str or Path, optional
        Folder of the zoo's cache.
    config : BertConfig, str or Path, optional
        Configuration, or a file with one, of a .params file without a file beside it that states
        it. Such a file that belongs to a row of the zoo by its digest or its name needs none.
    num_heads : int, optional
        Number of attention heads for such a file, instead of a configuration.
    meanwhile : callable, optional
        As for :func:`.read_checkpoint`, where the source is a folder or a file.

    Returns
    -------
    Checkpoint

    Raises
    ------
    FileNotFoundError
        If there is no such source.
    ValueError
        If it is damaged, or does not determine the network; or if it does, and ``config`` or
        ``num_heads`` is given too.
    """
    # The tables of the zoo are not read for a file or a folder.
    if str(source).partition('/')[0] in ARCHITECTURES or not Path(source).exists():
        from .checkpoints import fetch_repository, zoo_checkpoint
        from .fetch.hub import is_hub_url, parse_hub_url
        from .rows import find_model

        key = find_model(str(source))
        if key is not None:
            _refuse_options(source, config, num_heads)
            return zoo_checkpoint(*key, root=root)
        if is_hub_url(source):
            source = fetch_repository(*parse_hub_url(str(source)))
        elif str(source) in ARCHITECTURES and not Path(source).exists():
            raise ValueError(
                f'{source}: is an architecture; expected NAME/DATASET, as gluon-bert list --name '
                f'{source} lists them'
            )
    if find_format(source) != 'gluonnlp':
        _refuse_options(source, config, num_heads)
        return read_checkpoint(source, meanwhile)
    from ..checkpoint.gluonnlp.description import MissingHyperParameters, read_description

    options: dict[str, Any] = {'num_heads': num_heads}
    if isinstance(config, BertConfig):
        options['config'] = config
    elif config is not None:
        described = read_description(config)
        options.update(config=described.config, family=described.family)
    try:
        return read_checkpoint(source, meanwhile, **options)
    except MissingHyperParameters as error:
        return _open_by_row(_params_file(source), root, error)


def _refuse_options(source, config, num_heads):
    for option, value in (('config', config), ('num_heads', num_heads)):
        if value is not None:
            raise ValueError(
                f'--{option}: {source} has a configuration; expected a .params file without one'
            )


def _params_file(source):
    path = Path(source)
    return path if path.is_file() else next(iter(sorted(path.glob('*.params'))))


def _open_by_row(path, root, error):
    """Open a .params file whose row of the zoo states what it does not; else raise the error."""
    from ..checkpoint.gluonnlp.description import MissingHyperParameters, sizes_of
    from ..checkpoint.gluonnlp.names import common_arrays
    from ..checkpoint.gluonnlp.params_file import read_params
    from .checkpoints import row_checkpoint
    from .fetch.local_files import LocalFiles
    from .rows import ModelName, family_of, get_config

    row = _find_row(path)
    if row is not None and row.dataset_name is not None:
        files = LocalFiles((path,), 'params', None, str(path))
        logger.warning('%s: is the file of %s on %s', path, *row)
        return row_checkpoint(ModelName(*row), files, root or path.parent)
    sizes = sizes_of(common_arrays(read_params(path)))
    if row is None:
        like = [name for name in ARCHITECTURES if _has_sizes(name, sizes)]
        hint = f'; it has the shapes of {" and ".join(like)}' if like else ''
        raise MissingHyperParameters(f'{error}{hint}') from None
    if not _has_sizes(row.name, sizes):
        raise MissingHyperParameters(f'{error}; it has other shapes than {row.name}') from None
    logger.warning(
        '%s: states no configuration; that of %s is taken, which its name begins with',
        path,
        row.name,
    )
    config = get_config(row.name, sizes['vocab_size'])
    return read_checkpoint(path, config=config, family=family_of(row.name))


def _find_row(path):
    """Find the row of a .params file by its digest, or by the name of the file or its folder."""
    import re

    from .._internal.files import digests_of
    from .fetch.local_files import files_of
    from .rows import list_models
    from .schema import GluonFile
    from .tables.weights import WEIGHTS

    sha1 = digests_of(path, ['sha1'])['sha1']
    for key in list_models():
        for source in WEIGHTS[key].sources:
            if any(isinstance(file, GluonFile) and file.sha1 == sha1 for file in files_of(source)):
                return _Row(*key)
    for text in (path.name, path.absolute().parent.name):
        for name in sorted(ARCHITECTURES, key=len, reverse=True):
            if re.match(f'{re.escape(name)}(?![0-9A-Za-z])', text):
                return _Row(name)
    return None


def _has_sizes(name, sizes):
    from .rows import get_config

    config = get_config(name, sizes['vocab_size'])
    return all(getattr(config, field) == value for field, value in sizes.items())
