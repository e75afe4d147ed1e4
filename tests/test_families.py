"""The families' rows: complete, and read instead of names in conditions."""

import ast
from dataclasses import MISSING, fields, replace
from pathlib import Path

import pytest

import gluon_bert as gb
from gluon_bert.checkpoint.gluonnlp.names import LAYOUTS
from gluon_bert.checkpoint.huggingface.name_maps import NAME_MAPS
from gluon_bert.families import DEFAULT_FAMILY, FAMILIES, family_by_prefix, family_like

PACKAGE = Path(gb.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob('*.py') if path != PACKAGE / 'families.py')


def literals(node):
    return {
        part.value
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    }


def conditions(tree):
    """What decides on a value: comparisons, memberships, cases, beginnings and ends of text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            yield node, literals(node)
        elif type(node).__name__ == 'match_case':
            yield node.pattern, literals(node.pattern)
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ('startswith', 'endswith')
        ):
            yield node, {text.strip('._-') for text in literals(node)} - {'bert'}


@pytest.mark.parametrize('path', MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_condition_names_a_family(path):
    for node, texts in conditions(ast.parse(path.read_text())):
        assert not texts & {*FAMILIES}, f'{path}:{node.lineno}: read a field of the row instead'


def test_conditions_are_seen():
    for code in (
        "family == 'roberta'",
        "family not in ('roberta', 'distilbert')",
        "name.startswith('roberta.')",
    ):
        (found,) = [texts for _, texts in conditions(ast.parse(code))]
        assert found & {*FAMILIES}, code


@pytest.mark.parametrize('family', FAMILIES)
def test_row_is_complete(family):
    row = FAMILIES[family]
    assert family in NAME_MAPS
    assert row.gluonnlp_classifier in LAYOUTS
    known = {field.name for field in fields(gb.BertConfig)}
    said = {*row.keys, *row.fixed, 'pooler_activation'}
    needed = {field.name for field in fields(gb.BertConfig) if field.default is MISSING}
    assert needed <= said <= known
    assert not {*row.keys} & {*row.fixed}
    assert row.pooler_activation in gb.config.POOLER_ACTIVATIONS
    assert {'gluonnlp', 'huggingface'} <= {*row.formats} <= {*gb.checkpoint.FORMATS}


def test_names_tell_the_family():
    assert family_by_prefix(['roberta.word_embed.0.weight']) == 'roberta'
    assert family_by_prefix(['bert.word_embed.0.weight', 'classifier.1.bias']) == DEFAULT_FAMILY
    assert family_by_prefix(['word_embed.0.weight']) == DEFAULT_FAMILY


def test_family_is_like_a_configuration(tiny_config):
    for family, changes in (
        ('bert', {}),
        ('roberta', {'num_token_types': 0}),
        ('distilbert', {'num_token_types': 0, 'pooler_activation': 'relu'}),
        ('bert', {'pooler_activation': 'relu'}),
    ):
        assert family_like(replace(tiny_config, **changes)) is FAMILIES[family]
