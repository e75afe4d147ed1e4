"""Parse MODEL arguments of the command line."""

from __future__ import annotations

import functools
from argparse import ArgumentParser
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from .._internal.suggestions import did_you_mean
from .._internal.types import PathLike
from ..zoo import ARCHITECTURES, ModelName, find_model, hub_names, resolve
from ..zoo.fetch.hub import is_hub_url, parse_hub_url
from .output import note

if TYPE_CHECKING:
    from ..checkpoint.schema import Checkpoint


@dataclass(frozen=True)
class Model:
    """A model named on the command line.

    Parameters
    ----------
    text : str
        As typed.
    key : ModelName, optional
        Key of its row in the zoo.
    path : Path, optional
        Path of a checkpoint.
    """

    text: str
    key: Optional[ModelName] = None
    path: Optional[Path] = None

    @property
    def source(self) -> str:
        """Name it in one word, as :func:`.open_checkpoint` takes it."""
        if self.key is not None:
            return '/'.join(self.key)
        path = self.folder()
        # Absolute where a path looks like a name of the zoo.
        return str(path.absolute() if path.parts[:1] and path.parts[0] in ARCHITECTURES else path)

    def checkpoint(
        self,
        root: Optional[PathLike] = None,
        config: Optional[PathLike] = None,
        num_heads: Optional[int] = None,
    ) -> Checkpoint:
        """Open its :class:`.Checkpoint`, fetching it if need be.

        Parameters
        ----------
        root : str or Path, optional
            Folder of the zoo's cache.
        config : str or Path, optional
            File of hyper-parameters for a .params file without a configuration.
        num_heads : int, optional
            Its number of attention heads instead.
        """
        from ..zoo import open_checkpoint

        return open_checkpoint(self.source, root, config, num_heads)

    def folder(self) -> Path:
        """Return the path of a model outside the zoo; a repository of the hub is fetched."""
        return self.path if self.path is not None else _fetched(self.text)


def add_config_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments for a .params file without a configuration."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        '--config',
        metavar='FILE',
        help='hyper-parameters of a .params file without a configuration',
    )
    group.add_argument(
        '--num_heads',
        type=int,
        metavar='N',
        help="attention heads of such a file; activation and epsilon are then GluonNLP's",
    )


def read_models(words: Iterable[str]) -> list[Model]:
    """Parse the words of the command line into models, see :class:`Model`.

    Parameters
    ----------
    words : list of str

    Returns
    -------
    list of Model

    Raises
    ------
    ValueError, FileNotFoundError
        If a word is neither a name of the zoo nor an existing path.
    """
    words, models = list(words), []
    while words:
        word = words.pop(0)
        name = word.partition('/')[0]
        if is_hub_url(word):
            models.append(Model(word))
        elif word in ARCHITECTURES:
            if not words:
                raise ValueError(
                    f'{name}: give a data set: NAME DATASET; gluon-bert list --name {name} '
                    f'lists them'
                )
            models.append(Model(f'{word} {words[0]}', key=resolve(name, words.pop(0))))
        else:
            key = find_model(word)
            if key is not None and name not in ARCHITECTURES:
                note(f'{word} is {key.name} {key.dataset_name}')
            path = None if key is not None else _existing(word)
            models.append(Model(word, key=key, path=path))
    return models


def read_model(words: Iterable[str]) -> Model:
    """Parse words that name one model; ValueError if they name several."""
    models = read_models(words)
    if len(models) != 1:
        raise ValueError(f'expected one model, got {", ".join(model.text for model in models)}')
    return models[0]


def split_model(words: list[str]) -> tuple[list[str], list[str]]:
    """Split words into those of the first model and the others.

    Parameters
    ----------
    words : list of str

    Returns
    -------
    model, others : list of str
    """
    size = 2 if words[0] in ARCHITECTURES else 1
    return list(words[:size]), list(words[size:])


@functools.cache
def _fetched(text):
    from ..zoo import fetch_repository

    return fetch_repository(*parse_hub_url(text))


def _existing(word):
    path = Path(word).expanduser()
    if path.exists() or path.with_name(path.name + '.index').is_file():
        return path
    hint = did_you_mean(word.split('/')[0], ARCHITECTURES, 0.7) or did_you_mean(
        word, hub_names(), 0.7
    )
    raise FileNotFoundError(f'{word}: no such file or folder, and no model of the zoo{hint}')
