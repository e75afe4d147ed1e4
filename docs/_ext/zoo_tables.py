"""Tables made from the rows of the zoo, without MXNet and without running Sphinx.

Functions whose names end in ``_table`` return a header and rows of cells in reStructuredText.
"""

from __future__ import annotations

from collections import Counter

from zoo_markup import link, literal, literals, plain

import gluon_bert
from gluon_bert.modeling.counts import count_parameters
from gluon_bert.zoo import (
    ARCHITECTURES,
    DATASET_ALIASES,
    VOCABULARIES,
    WEIGHTS,
    family_of,
    get_config,
    list_models,
)
from gluon_bert.zoo.schema import GluonFile, HubFile, InstalledFile, ZipArchive
from gluon_bert.zoo.tables import weights_google, weights_google_small, weights_science

HUB = 'https://huggingface.co'
YES, NO = '✓', 'x'
KINDS = {
    'wordpiece': 'WordPiece',
    'sentencepiece': 'SentencePiece',
    'byte_pair': 'byte-level byte pairs',
}
_SIZES = ('num_layers', 'units', 'hidden_size', 'num_heads')
_MODULES = {'google': weights_google, 'small': weights_google_small, 'science': weights_science}


def groups():
    """Group the models by the tables of the zoo page.

    Returns
    -------
    dict of str to list
        'google', 'small', 'science', and the families of all other models. Every row of WEIGHTS is
        in exactly one group.
    """
    keys = {}
    for key in WEIGHTS:
        name = next(
            (name for name, module in _MODULES.items() if key in module.WEIGHTS), family_of(key[0])
        )
        keys.setdefault(name, []).append(key)
    return keys


def page(key, text=''):
    """Link to the page of a model."""
    return f':doc:`{text or "/".join(key)} </models/{key[0]}/{key[1]}>`'


def zoo_table(group):
    """Show which data sets have trained parameters of which architecture."""
    keys = groups()[group]
    if group == 'small':
        return _small_table(keys)
    # Tables of BERT models also have the columns of Google's base and large models.
    google = groups()['google'] if family_of(keys[0][0]) == 'bert' else []
    names = [name for name in ARCHITECTURES if name in {key[0] for key in [*keys, *google]}]
    datasets = list(dict.fromkeys(key[1] for key in keys))
    rows = [
        [
            literal(dataset),
            *(page((name, dataset), YES) if (name, dataset) in keys else NO for name in names),
        ]
        for dataset in datasets
    ]
    return ['', *map(literal, names)], rows


def _small_table(keys):
    """Show the models by layers and units; names are bert_<layers>_<units>_<heads>."""
    keys_by_size = {
        (ARCHITECTURES[key[0]]['num_layers'], ARCHITECTURES[key[0]]['units']): key for key in keys
    }
    layers, units = (sorted(set(numbers)) for numbers in zip(*keys_by_size))

    def cell(size):
        key = keys_by_size.get(size)
        return f'{page(key, YES)} {millions(WEIGHTS[key].num_params)}' if key else NO

    return (
        ['', *(f'{width} units' for width in units)],
        [[f'{depth} layers', *(cell((depth, width)) for width in units)] for depth in layers],
    )


def datasets_of(group):
    """Make lines that list the data sets of a group and their models."""
    models = {}
    for name, dataset in groups()[group]:
        models.setdefault(dataset, []).append(name)
    parts = [
        f'{literal(dataset)} ({literal(names[0]) if len(names) == 1 else f"{len(names)} of them"})'
        for dataset, names in models.items()
    ]
    return [f'Data sets: {", ".join(parts)}.', '']


def models_table():
    """List all models with size, heads and licence."""
    header = ['Model, data set', 'Parameters', 'Size', 'Trained heads', 'Licence']
    rows = []
    for key in list_models():
        row = WEIGHTS[key]
        rows.append(
            [
                f'| {literal(key.name)}\n| {page(key, key.dataset_name)}',
                millions(row.num_params),
                size_of(key),
                plain(', '.join(row.heads)),
                plain(row.licence),
            ]
        )
    return header, rows


def architecture_table():
    """List the hyper-parameters of each architecture, without those that most of them share."""
    shared, rows = shared_fields(), []
    for name, row in ARCHITECTURES.items():
        others = [
            f'{literal(field)} {plain(row[field])}'
            for field, value in shared.items()
            if row[field] != value
        ]
        rows.append([literal(name), *(str(row[field]) for field in _SIZES), ', '.join(others)])
    return ['Architecture', *map(literal, _SIZES), 'Otherwise'], rows


def shared_fields():
    """Map fields to the values that most architectures have."""
    fields = [field for field in next(iter(ARCHITECTURES.values())) if field not in _SIZES]
    return {
        field: Counter(row[field] for row in ARCHITECTURES.values()).most_common(1)[0][0]
        for field in fields
    }


def shared_line():
    """Make a line with the hyper-parameters that most architectures share."""
    shared = ', '.join(
        f'{literal(field)} {plain(value)}' for field, value in shared_fields().items()
    )
    return [f'Other hyper-parameters, unless the table gives them: {shared}.', '']


def vocabulary_table():
    """List the vocabularies."""
    header = ['Data set', 'Tokens', 'Kind', 'Case', 'Order of ids']
    rows = [
        [literal(name), f'{row.size}', KINDS[row.kind], case_of(row), order_of(row)]
        for name, row in VOCABULARIES.items()
    ]
    return header, rows


def alias_table():
    """List the names that data sets had in versions of GluonNLP or in its documentation."""
    return ['GluonNLP', 'Here'], [
        [literal(alias), literal(name)] for alias, name in DATASET_ALIASES.items()
    ]


def moved_table():
    """List the modules of 0.1 that have moved, with their names of today."""
    return ['Module of 0.1', 'Now'], [
        [literal(f'gluon_bert.{former}'), literal(f'gluon_bert.{now}')]
        for former, now in gluon_bert._MOVED.items()
    ]


def file_table(kind):
    """List the files of a kind of source, and give the widths of the columns."""
    files = {}
    for folder, row in all_rows():
        for file in files_of(row):
            if isinstance(file, kind):
                files.setdefault(file, (row, []))[1].append(folder)
    rows = [
        [
            literals(folders),
            '\n'.join(f'| {part}' for part in (_source_name(file), digest_of(file, row)) if part),
            megabytes(file),
        ]
        for file, (row, folders) in files.items()
    ]
    header = ['For', 'File, SHA-1 of its content' if kind is GluonFile else 'File, SHA-256']
    if any(row[2] for row in rows):
        return [*header, 'Size'], rows, '35 53 12'
    return header, [row[:2] for row in rows], '40 60'


def _source_name(file):
    """Name a file as its source does."""
    if isinstance(file, GluonFile):
        return literal(f'{store_folder(file)}/{file.stem}-{file.sha1[:8]}.zip')
    if isinstance(file, HubFile):
        return link(hub_page(file), f'{file.repository}/{file.path}')
    if isinstance(file, ZipArchive):
        return link(file.url, file.url.split('bert_models/')[-1])
    return literal(f'{file.distribution}: {file.path}')


def all_rows():
    """List (folder under root, row) of all weights and vocabularies."""
    return [
        *((f'{key.name}_{key.dataset_name}', WEIGHTS[key]) for key in list_models()),
        *VOCABULARIES.items(),
    ]


def files_of(row):
    """List the files of a row's sources."""
    return [
        file
        for source in row.sources
        for file in (source if isinstance(source, tuple) else (source,))
    ]


def store_folder(file):
    """Name the folder of a file in GluonNLP's store."""
    return 'gluon/models' if file.suffix == '.params' else 'gluon/dataset/vocab'


def hub_page(file):
    """Make the address of a file's page on the hub."""
    return f'{HUB}/{file.repository}/blob/{file.revision}/{file.path}'


def digest_of(file, row):
    """Format the published digest of a file; empty if there is none."""
    if isinstance(file, GluonFile):
        return literal(file.sha1)
    if file.sha256:
        return literal(file.sha256)
    published = getattr(row, 'sha256', None)
    return literal(published) if published and getattr(file, 'path', '') == 'vocab.txt' else ''


def megabytes(file):
    """Format the size of a file; empty if it is unknown."""
    size = getattr(file, 'size', None)
    return f'{size / 1e6:.1f} MB' if size else ''


def size_of(key):
    """Format the size of a model's file; an estimate if it is unknown."""
    known = next(filter(None, map(megabytes, files_of(WEIGHTS[key]))), '')
    total = sum(count_parameters(config_of(key), WEIGHTS[key].heads).values())
    return known or f'~ {4 * total / 1e6:.0f} MB'


def config_of(key):
    """Make the configuration of a model."""
    return get_config(key[0], VOCABULARIES[key[1]].size)


def millions(number):
    """Format a number of parameters in millions."""
    return f'{number / 1e6:.1f} M'


def case_of(row):
    """Name the case of a vocabulary."""
    return 'lower' if row.lowercase else 'kept'


def order_of(row):
    """Name the order of a vocabulary's ids."""
    return 'GluonNLP 0.5' if row.swapped else 'published'


def aliases_of(dataset):
    """List the other names of a data set."""
    return [alias for alias, name in DATASET_ALIASES.items() if name == dataset]


SOURCE_KINDS = {'installed': InstalledFile, 'hub': HubFile, 'zip': ZipArchive, 'store': GluonFile}
