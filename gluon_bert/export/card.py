"""The README.md of an export: a model card as the Hugging Face hub has it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence

from .. import __version__
from .._internal.files import portable_path
from ..checkpoint.schema import Checkpoint
from ..tasks.model_card import CARD_FILE, plain_text
from ..zoo.rows import find_model
from ..zoo.tables.weights import WEIGHTS
from . import Export
from .interfaces import Interface, Value, hub_tag
from .limits import Limit

# Keys of a card's front matter that are as true of an export.
_KEPT = ('license', 'license_name', 'license_link', 'language', 'datasets', 'base_model')
_MAX_CARD = 4 << 20  # bytes
_SECTIONS = ('licence', 'license')


class SourceCard(NamedTuple):
    """Parts of a card that an export of the model keeps.

    Lines of its front matter by key, the text between its title and its first section, and the
    section on its licence; each may be empty.
    """

    front: Dict[str, str]
    text: str
    licence: str


def write_card(
    folder: Path,
    checkpoint: Checkpoint,
    name: str,
    row: Export,
    interface: Interface,
    limits: Sequence[Limit],
) -> None:
    """Write README.md into the folder of an export.

    Parameters
    ----------
    folder : Path
    checkpoint : Checkpoint
        Its source is named, and the card beside it is read.
    name : str
        Of the folder to be.
    row : Export
        Of the format.
    interface : Interface
    limits : list of Limit
    """
    known = read_source_card(checkpoint.source)
    parts = [
        _header(checkpoint, row.library, interface, known),
        f'# {plain_text(name)}: {row.title}',
        _origin(checkpoint, row.title),
        known.text,
        _files(folder),
        _values('Inputs', interface.inputs),
        _values('Outputs', interface.outputs),
        _code(name, interface.code),
        _limits(row.title, limits),
        known.licence,
    ]
    text = '\n\n'.join(filter(None, parts)) + '\n'
    (folder / CARD_FILE).write_text(text, encoding='utf-8')


def read_source_card(source: str) -> SourceCard:
    """Read what a card tells of a model, whatever its format.

    Parameters
    ----------
    source : str
        A folder with README.md, a file beside one, or a model of the zoo, whose row is the card.

    Returns
    -------
    SourceCard
        Empty where there is none, or none of a reasonable size.
    """
    path = Path(source)
    key = find_model(source) if source and not path.exists() else None
    if key is not None:
        row = WEIGHTS[key]
        stated = row.licence != 'not stated'
        licence = f'## Licence\n\n{row.licence} (<{row.source}>). {row.citation}'
        stated_line = {'license': f'license: {row.licence.lower()}'} if stated else {}
        return SourceCard(stated_line, row.description, licence)
    path = (path if path.is_dir() else path.parent) / CARD_FILE
    if not source or not path.is_file() or path.stat().st_size > _MAX_CARD:
        return SourceCard({}, '', '')
    text = path.read_text(encoding='utf-8', errors='replace')
    front: Dict[str, str] = {}
    body = text
    matter = re.match(r'---\n(.*?)\n---\n', text, re.S)
    if matter:
        body = text[matter.end() :]
        # A key in the first column, with the lines that belong to it.
        for block in re.split(r'\n(?=\S)(?!-)', matter[1]):
            front[block.partition(':')[0]] = block
    sections = re.split(r'^(?=##? )', body, flags=re.M)
    titled = [part.partition('\n') for part in sections if part.startswith('# ')]
    licences = [part for part in sections if _heading(part) in _SECTIONS]
    return SourceCard(
        {key: block for key, block in front.items() if key in _KEPT},
        titled[0][2].strip() if titled else '',
        licences[0].strip() if licences else '',
    )


def _heading(section: str) -> str:
    first = section.partition('\n')[0]
    return first[2:].strip().lower() if first.startswith('## ') else ''


def _header(checkpoint, library, interface, known):
    """Front matter."""
    head = next(iter(interface.heads), None)
    lines = [f'library_name: {library}', f'pipeline_tag: {hub_tag(checkpoint, head)}']
    lines += [known.front[key] for key in _KEPT if key in known.front]
    lines += ['tags:', *(f'- {tag}' for tag in dict.fromkeys((checkpoint.family, library)))]
    return '\n'.join(['---', *lines, '---'])


def _origin(checkpoint, title):
    config = checkpoint.config
    source = f' from `{portable_path(checkpoint.source)}`' if checkpoint.source else ''
    lines = [
        f'A network of the {checkpoint.family} family with {config.num_layers} layers of '
        f'{config.units} units, in the format of {title}. gluon_bert {__version__} exported it'
        f'{source}.'
    ]
    if checkpoint.labels:
        lines += ['', f'Classes: {", ".join(map(plain_text, checkpoint.labels))}.']
    return '\n'.join(lines)


def _files(folder):
    paths = sorted(path for path in folder.rglob('*') if path.is_file())
    rows = [
        f'| `{path.relative_to(folder).as_posix()}` | {path.stat().st_size} |' for path in paths
    ]
    return '\n'.join(['## Files', '', '| File | Bytes |', '|---|---|', *rows])


def _values(title: str, values: List[Value]) -> str:
    if not values:
        return ''
    rows = [
        f'| `{value.name}` | {value.dtype} | {value.shape} | {value.meaning} |' for value in values
    ]
    return '\n'.join([f'## {title}', '', '| Name | Type | Shape | |', '|---|---|---|---|', *rows])


def _code(name, code):
    if not code:
        return ''
    return (
        "## Use\n\nThe folder's name stands for its path.\n\n"
        f'```python\n{code.replace("FOLDER", name)}```'
    )


def _limits(title, limits):
    if not limits:
        return ''
    rows = [
        f'| {limit.part} | {f"`{limit.place}`" if limit.has_file else limit.place} |'
        for limit in limits
    ]
    return '\n'.join(
        [
            f'## What {title} does not hold',
            '',
            'A reader that leaves these out can give other results than the model.',
            '',
            '| | Where it is |',
            '|---|---|',
            *rows,
        ]
    )
