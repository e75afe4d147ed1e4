"""The zoo's tables: consistent with themselves, with GluonNLP's lists and with the real files."""

import ast
import hashlib
import re
from math import prod
from pathlib import Path

import pytest

import gluon_bert as gb
from gluon_bert.config import BertConfig
from gluon_bert.zoo.schema import (
    GluonFile,
    HubFile,
    InstalledFile,
    VocabularyRow,
    Weights,
    ZipArchive,
)
from gluon_bert.zoo.tables.architectures import ARCHITECTURES, FAMILIES
from gluon_bert.zoo.tables.names import DATASET_ALIASES, DEFAULT, OFFLINE_DEFAULT
from gluon_bert.zoo.tables.vocabularies import VOCABULARIES
from gluon_bert.zoo.tables.weights import WEIGHTS

PACKAGE = Path(gb.__file__).parent
TABLES = sorted(
    path
    for path in (PACKAGE / 'zoo' / 'tables').glob('*.py')
    if re.match(r'architectures|names|vocabularies|weights', path.name)
)
ORDER = (InstalledFile, HubFile, ZipArchive, GluonFile)
SUFFIXES = {
    'weights': ('model.safetensors', 'pytorch_model.bin', '.onnx', '.params'),
    'wordpiece': ('vocab.txt', '.vocab'),
    'sentencepiece': ('spiece.model', '.spiece'),
    'byte_pair': ('vocab.json', 'merges.txt', '.vocab', '.json'),
}


def files_of(row):
    return [
        file
        for source in row.sources
        for file in (source if isinstance(source, tuple) else (source,))
    ]


def in_order(row):
    ranks = [ORDER.index(type(file)) for file in files_of(row)]
    return ranks == sorted(ranks)


def array_sizes(config, pooler):
    """Numbers of values, of every array of an encoder."""
    units, hidden = config.units, config.hidden_size
    layer = [(units, units), (units,)] * 4 + [(hidden, units), (hidden,), (units, hidden), (units,)]
    shapes = [
        (config.vocab_size, units),
        (config.num_token_types, units),
        (config.max_length, units),
        *[(units,)] * 2,
        *(layer + [(units,)] * 4) * config.num_layers,
        *[(units, units), (units,)] * pooler,
    ]
    return [prod(shape) for shape in shapes]


@pytest.mark.parametrize('name', ARCHITECTURES)
def test_an_architecture_is_what_its_name_says(name):
    config = BertConfig(vocab_size=5, **ARCHITECTURES[name])
    family, *numbers = name.split('_')
    assert [config.num_layers, config.units, config.num_heads] == [int(part) for part in numbers]
    assert config.hidden_size == 4 * config.units
    assert FAMILIES.get(name, 'bert') == family


@pytest.mark.parametrize('key', WEIGHTS, ids='-'.join)
def test_a_row_of_weights_holds_together(key):
    row, (architecture, dataset) = WEIGHTS[key], key
    assert isinstance(row, Weights)
    config = BertConfig(vocab_size=VOCABULARIES[dataset].size, **ARCHITECTURES[architecture])
    assert row.num_params == sum(array_sizes(config, 'pooler' in row.heads))
    assert [head for head in ('pooler', 'next_sentence', 'masked_lm') if head in row.heads] == [
        *row.heads
    ]
    assert row.licence in ('Apache-2.0', 'MIT', 'not stated')
    assert row.source.startswith('https://')
    assert re.match(r'[^()]+ \(20\d\d\), \w', row.citation)
    assert row.description.endswith('.')
    assert any(not getattr(file, 'lacks', ()) for file in files_of(row))
    for file in files_of(row):
        assert set(getattr(file, 'lacks', ())) <= set(row.heads)
        if isinstance(file, GluonFile):
            assert file.stem == f'{architecture}_{dataset}'
        for numbers in re.findall(r'L-(\d+)_H-(\d+)_A-(\d+)', f'{file}'):
            assert '_'.join(numbers) == architecture.partition('_')[2]


@pytest.mark.parametrize('name', VOCABULARIES)
def test_a_row_of_vocabularies_holds_together(name):
    row = VOCABULARIES[name]
    assert isinstance(row, VocabularyRow)
    assert row.lowercase == ('_cased' not in name)
    digests = {
        file.sha256 for file in files_of(row) if getattr(file, 'path', '').endswith('vocab.txt')
    }
    assert digests <= {row.sha256}
    assert [file.sha1 for file in files_of(row) if getattr(file, 'stem', '') == name] == [
        *row.gluonnlp_sha1s[:1]
    ]
    assert any(dataset == name for _, dataset in WEIGHTS)


@pytest.mark.parametrize('key', [*WEIGHTS, *VOCABULARIES], ids=str)
def test_sources_can_be_asked_and_checked(key):
    row = WEIGHTS[key] if key in WEIGHTS else VOCABULARIES[key]
    files = files_of(row)
    assert files
    assert in_order(row)
    assert len(set(files)) == len(files)
    suffixes = SUFFIXES['weights' if key in WEIGHTS else row.kind]
    for file in files:
        if isinstance(file, ZipArchive):
            assert re.fullmatch(r'https://[\w./-]+\.zip', file.url)
        elif isinstance(file, GluonFile):
            assert re.fullmatch(r'[0-9a-f]{40}', file.sha1)
            assert file.suffix in suffixes
        else:
            assert file.path.endswith(suffixes)
        if isinstance(file, HubFile):
            assert re.fullmatch(r'[\w-]+/[\w.-]+', file.repository)
        digest, size = getattr(file, 'sha256', None), getattr(file, 'size', None)
        assert digest is None or re.fullmatch(r'[0-9a-f]{64}', digest)
        assert size is None or size > 0


def test_a_file_of_weights_belongs_to_one_row():
    files = [
        (getattr(file, 'repository', None) or getattr(file, 'url', None) or file)
        for row in WEIGHTS.values()
        for file in files_of(row)
    ]
    assert len(set(files)) == len(files)


@pytest.mark.parametrize('path', TABLES, ids=lambda path: path.stem)
def test_tables_hold_literals_only(path):
    tree = ast.parse(path.read_text())
    assert {type(node) for node in tree.body} <= {ast.Expr, ast.ImportFrom, ast.Assign}
    calls = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert calls <= {'dict', 'VocabularyRow', 'Weights', *(kind.__name__ for kind in ORDER)}
    assert not any(
        isinstance(node, (ast.ListComp, ast.DictComp, ast.GeneratorExp, ast.Lambda, ast.IfExp))
        for node in ast.walk(tree)
    )


def test_every_bert_of_gluonnlp_is_there_with_its_hash():
    import gluonnlp.model.bert  # noqa: F401, adds its models to the store's list
    from mxnet.gluon.model_zoo import model_store

    published = {
        name: sha1
        for name, sha1 in model_store._model_sha1.items()
        if name.startswith(('bert_', 'roberta_', 'distilbert_', 'ernie_'))
    }
    assert len(published) == 22
    assert {
        file.stem: file.sha1
        for row in WEIGHTS.values()
        for file in files_of(row)
        if isinstance(file, GluonFile)
    } == published


def test_vocabularies_of_gluonnlp_have_its_hashes():
    from gluonnlp.data.transforms import GPT2BPETokenizer
    from gluonnlp.data.utils import _vocab_sha1

    files = {
        file
        for row in VOCABULARIES.values()
        for file in files_of(row)
        if isinstance(file, GluonFile)
    }
    ranks = {file for file in files if file.suffix == '.json'}
    assert {(f'{file.stem}-{file.sha1[:8]}.json', file.sha1) for file in ranks} == {
        GPT2BPETokenizer.bpe_ranks_file_hash
    }
    for file in files - ranks:
        assert _vocab_sha1[file.stem][:2] == [file.sha1, file.suffix]


def test_every_model_of_google_is_there():
    zips = {
        file.url.rpartition('bert_models/')[2]
        for row in WEIGHTS.values()
        for file in files_of(row)
        if isinstance(file, ZipArchive)
    }
    small = {
        f'2020_02_20/uncased_L-{layers}_H-{units}_A-{units // 64}.zip'
        for layers in (2, 4, 6, 8, 10, 12)
        for units in (128, 256, 512, 768)
    }
    assert zips - small == {
        *(
            f'2018_10_18/{case}_{size}.zip'
            for case in ('uncased', 'cased')
            for size in ('L-12_H-768_A-12', 'L-24_H-1024_A-16')
        ),
        '2018_11_03/multilingual_L-12_H-768_A-12.zip',
        '2018_11_03/chinese_L-12_H-768_A-12.zip',
        '2018_11_23/multi_cased_L-12_H-768_A-12.zip',
        '2019_05_30/wwm_uncased_L-24_H-1024_A-16.zip',
        '2019_05_30/wwm_cased_L-24_H-1024_A-16.zip',
    }
    assert small <= zips


def test_aliases_and_defaults_lead_to_rows():
    assert not set(DATASET_ALIASES) & set(VOCABULARIES)
    assert set(DATASET_ALIASES.values()) <= set(VOCABULARIES)
    assert {DEFAULT, OFFLINE_DEFAULT} <= set(WEIGHTS)
    assert isinstance(WEIGHTS[OFFLINE_DEFAULT].sources[0], InstalledFile)
    assert isinstance(VOCABULARIES[OFFLINE_DEFAULT[1]].sources[0], InstalledFile)


@pytest.fixture(scope='module')
def published(shared_data):
    """SHA-256 -> content, of Google's five vocab.txt."""
    files = [path.read_bytes() for path in (shared_data / 'vocab').glob('*/vocab.txt')]
    return {hashlib.sha256(content).hexdigest(): content for content in files}


@pytest.mark.data
def test_published_vocabularies_have_the_rows_hash_and_size(published):
    rows = [row for row in VOCABULARIES.values() if row.sha256]
    assert {row.sha256 for row in rows} == set(published)
    for row in rows:
        assert row.size == published[row.sha256].count(b'\n')
        assert {file.size for file in files_of(row) if getattr(file, 'sha256', None)} <= {
            len(published[row.sha256])
        }


# GluonNLP's files of these were written by a Python that ordered the keys by their hash.
KEYS_IN_NO_ORDER = {name for name, row in VOCABULARIES.items() if row.swapped} - {
    'wiki_cn_cased',
    'wiki_multilingual_cased',
}


@pytest.mark.data
@pytest.mark.parametrize(
    'name',
    [
        name
        for name, row in VOCABULARIES.items()
        if row.sha256 and row.gluonnlp_sha1s and name not in KEYS_IN_NO_ORDER
    ],
)
def test_gluonnlps_vocabulary_comes_out_with_its_hash(published, name):
    from gluon_bert.data.tokenizers.vocabulary_json import gluonnlp_json

    row = VOCABULARIES[name]
    tokens = published[row.sha256].decode().split('\n')[:-1]
    for form, sha1 in zip(('old', '0.5') if row.swapped else ('current',), row.gluonnlp_sha1s):
        assert hashlib.sha1(gluonnlp_json(tokens, form)).hexdigest() == sha1


@pytest.mark.data
def test_one_whose_keys_have_no_order_is_as_long_as_the_published(published):
    from gluon_bert.data.tokenizers.vocabulary_json import gluonnlp_json

    tokens = published[VOCABULARIES[DEFAULT[1]].sha256].decode().split('\n')[:-1]
    assert len(gluonnlp_json(tokens, 'old')) == 861574


def code_strings(path):
    """The strings of a file that are not docstrings, whose examples may name a data set."""
    tree = ast.parse(path.read_text())
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in docstrings
    ]


def test_names_of_data_sets_stand_in_the_tables_only():
    root = PACKAGE.parent
    paths = {*root.glob('*.py')}.union(
        *(
            (root / folder).rglob('*.py')
            for folder in ('gluon_bert', 'examples', 'model_zoo', 'docs')
        )
    ) - set(TABLES)
    elsewhere = {
        (str(path.relative_to(root)), name)
        for path in paths
        for text in code_strings(path)
        for name in VOCABULARIES
        if name in text
    }
    assert elsewhere == set()
