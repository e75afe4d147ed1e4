"""The README.md of a fine-tuned folder: a model card as the Hugging Face hub has it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

from .._internal.files import portable_path, write_text
from ..zoo.rows import resolve
from ..zoo.schema import HubFile
from ..zoo.tables.weights import WEIGHTS

CARD_FILE = 'README.md'

_PRECISION, _PROBABILITIES = '## Precision', '## Probabilities'
_MAX_CARD = 4 << 20  # bytes
_PAIR_CALL = "pipeline(('A text.', 'Another.'))"


class SplitReport(NamedTuple):
    """A data file as the card tells of it.

    Its name, such as 'dev', its path, how many examples it has; the metrics of the network on it by
    name and a report as text, where it has the right answers.
    """

    name: str
    path: str
    num_examples: int
    metrics: Optional[dict] = None
    report: Optional[str] = None


def write_card(
    folder: str | Path,
    model: Any,
    splits: list[SplitReport],
    command: list[str] | str,
    further: Sequence[str] = (),
) -> None:
    """Write README.md into the folder of a fine-tuned network; whole or not at all.

    Parameters
    ----------
    folder : str or Path
        Pictures there, those of the task's row and ``training_curve.png``, are shown.
    model : TaskModel
    splits : list of SplitReport
    command : list of str, or str
        The command line of the training, or the call as text. Paths in it and in ``splits`` are
        written without the folders of this machine.
    further : sequence of str
        Sections that follow that of the training.
    """
    folder = Path(folder)
    row = _row_of(model)
    parts = [
        _header(model, splits, row),
        _title(model, row),
        _data(splits),
        '## Training\n\n' + _code(_command_text(command)),
    ]
    if (folder / 'training_curve.png').is_file():
        parts[-1] += '\n\n![loss, learning rate and metrics](training_curve.png)'
    parts += further
    for split in splits:
        if split.metrics:
            parts.append(_scores(folder, split, model.spec.pictures))
    parts += [_probabilities(model.settings), _use(folder, model)]
    parts.append(_licence(row))
    write_text(folder / CARD_FILE, '\n\n'.join(filter(None, parts)) + '\n')


def tell_precision(folder: str | Path, found: Any) -> None:
    """Note in the README.md of a folder which lower precision it may run in.

    Parameters
    ----------
    folder : str or Path
        Without a README.md, or with one that is no text of a reasonable size, nothing is done.
    found : LowPrecision
    """
    _replace_section(Path(folder) / CARD_FILE, _PRECISION, _precision(found))


def tell_temperature(
    folder: str | Path, settings: dict[str, Any], measured: dict[str, Any], picture: str
) -> None:
    """Note in the README.md of a folder the temperature of its probabilities.

    Parameters
    ----------
    folder : str or Path
        As for :func:`tell_precision`.
    settings : dict
        With the temperature.
    measured : dict
        See :class:`.TemperatureFit`.
    picture : str
        Name of the reliability diagram.
    """
    rows = ['| | Examples | ECE | calibrated | NLL | calibrated |', '|---|---|---|---|---|---|']
    for name, (before, after, count) in measured.items():
        figures = (before.ece, after.ece, before.nll, after.nll)
        rows.append(f'| {name} | {count} | {" | ".join(f"{value:.4f}" for value in figures)} |')
    parts = [_probabilities(settings), '\n'.join(rows), f'![reliability diagram]({picture})']
    _replace_section(Path(folder) / CARD_FILE, _PROBABILITIES, '\n\n'.join(parts))


def _replace_section(path, title, section):
    """Put a section before that of the use, in place of an earlier one of its title."""
    if not path.is_file() or path.stat().st_size > _MAX_CARD:
        return
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError:
        return
    # Code is indented in a card, so that no other line begins so.
    text = re.sub(rf'^{title}\n.*?(?=^## |\Z)', '', text, count=1, flags=re.M | re.S)
    head, use, tail = text.partition('\n## Use\n')
    write_text(path, f'{head.rstrip()}\n\n{section}\n{use}{tail}')


def _probabilities(settings):
    """The section about a temperature and a threshold; empty without them."""
    parts = []
    if 'temperature' in settings:
        parts.append(
            f'Scores are divided by a temperature of {settings["temperature"]:.4f}, fitted on the '
            f'dev set (Guo et al., 2017), before they become probabilities. ECE is the expected '
            f'calibration error with 15 bins; on what the temperature was fitted on it is too '
            f'small.'
        )
    if 'threshold' in settings:
        first, second = map(plain_text, settings['labels'])
        parts.append(
            f'A text is of class {second} from a probability of {settings["threshold"]:.4f} on, '
            f'chosen on the dev set; else of class {first}.'
        )
    return '\n\n'.join([_PROBABILITIES, *parts]) if parts else ''


def _precision(found):
    """The section about a precision."""
    number = len(found.keep)
    kept = f' with {number} dense layer{"s" * (number > 1)} left in float32' if number else ''
    rows = [('float32', found.float32), (f'{found.precision}, no layer kept', found.whole)]
    if found.keep:
        rows.append((f'{found.precision}{kept}', found.chosen))
    rows = [f'| {name} | {value:.4f} |' for name, value in rows if value is not None]
    parts = [
        _PRECISION,
        f'`precision.json` names {found.precision}{kept}. '
        f"`load_pipeline(folder, precision='saved')` and `gluon-bert predict --precision "
        f'saved` use it.',
    ]
    if found.measure and rows:
        measured = 'relative error of the outputs' if found.measure == 'error' else found.measure
        on = found.data or found.calibration
        parts.append(
            '\n'.join(
                [
                    f'| | {plain_text(measured)}{f" on {plain_text(on)}" if on else ""} |',
                    '|---|---|',
                    *rows,
                ]
            )
        )
    if found.tolerance is not None:
        parts.append(f'Tolerance: {found.tolerance:g}.')
    return '\n\n'.join(parts)


def _row_of(model):
    """The row of the zoo that a network was made from, or None."""
    base = model.settings.get('base')
    try:
        return base and WEIGHTS[resolve(*base)]
    except ValueError:
        return None


def _header(model, splits, row):
    """Front matter; JSON's scalars are YAML's."""
    settings = model.settings
    lines = ['library_name: gluon_bert', f'pipeline_tag: {model.spec.tag}']
    language = _language(settings.get('base'))
    if language:
        lines.append(f'language: {language}')
    if row is not None and row.licence != 'not stated':
        lines.append(f'license: {row.licence.lower()}')
    repository = row and next(
        (source.repository for source in row.sources if isinstance(source, HubFile)), None
    )
    if repository:
        lines.append(f'base_model: {repository}')
    lines += ['tags:', *(f'- {tag}' for tag in ('bert', 'mxnet', 'gluon', model.task))]
    scored = [split for split in splits if split.metrics]
    if scored:
        lines += [
            'metrics:',
            *(f'- {json.dumps(name)}' for name in scored[0].metrics),
            'model-index:',
            f'- name: {json.dumps(_name(settings))}',
            '  results:',
        ]
    for split in scored:
        lines += [
            '  - task:',
            f'      type: {model.spec.tag}',
            '    dataset:',
            f'      name: {json.dumps(Path(split.path).name)}',
            f'      type: {json.dumps(_name(settings))}',
            f'      split: {json.dumps(split.name)}',
            '    metrics:',
        ]
        for name, value in split.metrics.items():
            lines += [f'    - type: {json.dumps(name)}', f'      value: {json.dumps(value)}']
    return '\n'.join(['---', *lines, '---'])


def _language(base):
    """The language of a data set of the zoo, where its name tells it."""
    parts = base[1].split('_') if base else ()
    return 'zh' if 'cn' in parts else 'en' if 'en' in parts else None


def _name(settings):
    return settings.get('name') or 'texts'


def _title(model, row):
    base = model.settings.get('base')
    config = model.network.config
    made = (
        f'It was fine-tuned from `{base[0]}` on `{base[1]}`.'
        if base
        else 'It was fine-tuned from a model that is not of the zoo, or from random parameters.'
    )
    lines = [
        f'# {model.spec.title}: {plain_text(_name(model.settings))}',
        '',
        f'A BERT with {config.num_layers} layers of {config.units} units for '
        f'gluon_bert (Apache MXNet). {made}',
    ]
    if row is not None:
        lines += ['', row.description]
    if 'windows' in model.settings:
        lines += [
            '',
            f'Longer texts are read in windows of {model.settings["max_len"]} tokens, one every '
            f'{model.settings["window_stride"]}; the {model.settings["windows"]} of their scores '
            f'counts.',
        ]
    for name, title in model.spec.listed.items():
        if any(model.settings.get(name, ())):
            lines += ['', f'{title}: {", ".join(map(plain_text, model.settings[name]))}.']
    return '\n'.join(lines)


def _data(splits):
    rows = [
        f'| {split.name} | {plain_text(portable_path(split.path))} | {split.num_examples} |'
        for split in splits
    ]
    return '\n'.join(['## Data', '', '| | File | Examples |', '|---|---|---|', *rows])


def _scores(folder, split, pictures):
    rows = [
        f'| {plain_text(name)} | {value:.4f} |'
        if isinstance(value, float)
        else f'| {plain_text(name)} | {value} |'
        for name, value in split.metrics.items()
    ]
    parts = ['\n'.join([f'## Scores: {split.name}', '', '| Metric | Value |', '|---|---|', *rows])]
    if split.report:
        parts.append(_code(split.report))
    for suffix, meaning in pictures.items():
        picture = f'{split.name}_{suffix}.png'
        if (folder / picture).is_file():
            parts.append(f'![{meaning}]({picture})')
    return '\n\n'.join(parts)


def _use(folder, model):
    code, command = (
        (text.format(folder=folder.name) for text in model.spec.usage)
        if model.spec.usage
        else _pipeline_use(folder, model)
    )
    return (
        '## Use\n\nThe folder is all that is needed; its name here stands for its path.\n\n'
        f'```python\n{code}\n```\n\n```\n{command}\n```'
    )


def _pipeline_use(folder, model):
    """Code and command of a folder that load_pipeline opens."""
    call, argument, fields = model.spec.example
    if model.settings.get('pair'):
        call, argument = _PAIR_CALL, 'A text. ||| Another.'
    code = (
        f'import gluon_bert as gb\n'
        f'pipeline = gb.load_pipeline({folder.name!r})\n'
        f'{call}    # {fields}'
    )
    command = (
        f'gluon-bert predict {shlex.quote(folder.name)} "{argument}"\n'
        f'gluon-bert predict {shlex.quote(folder.name)} --input FILE --output FILE'
    )
    return code, command


def _licence(row):
    if row is None:
        return ''
    return (
        f'## Licence\n\nThe weights it was made from are published under: {row.licence} '
        f'(<{row.source}>). {row.citation}'
    )


def _command_text(command):
    return command if isinstance(command, str) else shlex.join(map(_argument, command))


def _argument(text):
    """An argument of a command line; a path in it is portable."""
    name, equals, value = text.partition('=')
    if equals and name.startswith('--'):
        return f'{name}={portable_path(value)}'
    return portable_path(text)


def _code(text):
    """A block of code, whatever the text holds."""
    return '\n'.join(f'    {line}'.rstrip() for line in text.split('\n'))


def plain_text(text: object) -> str:
    """Quote text so that no mark-up is read from it, and put it into one line."""
    text = ' '.join(str(text).split())
    return ''.join(
        f'\\{character}' if character in '\\`*_[]<>|#' else character for character in text
    )
