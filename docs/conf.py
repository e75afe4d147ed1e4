"""Sphinx configuration; ``python3 dev.py docs`` builds the pages."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [
    str(HERE / '_ext'),
    str(HERE.parent / 'examples'),
    str(HERE.parent / 'model_zoo' / 'benchmark'),
    str(HERE.parent),
]

from gluon_bert import __version__  # noqa: E402

project = 'gluon_bert'
author = 'the gluon_bert contributors'
copyright = author
version = release = __version__

extensions = [
    'sphinx.ext.autodoc',
    'sphinx.ext.mathjax',
    'sphinx.ext.napoleon',
    'sphinx.ext.viewcode',
    'zoo',
    'benchmark_tables',
]
exclude_patterns = ['_build']
highlight_language = 'none'
pygments_style = 'friendly'
smartquotes_action = 'q'  # flags keep their dashes

html_theme = 'furo'
html_title = f'gluon_bert {version}'
html_static_path = ['_static']
html_css_files = ['zoo.css']

autodoc_default_options = {'members': True, 'show-inheritance': True}
autodoc_inherit_docstrings = False
autodoc_member_order = 'bysource'
autodoc_typehints = 'none'

napoleon_google_docstring = False
napoleon_custom_sections = [('Inputs', 'params_style'), ('Outputs', 'params_style')]

# Types in docstrings are prose. Names with a capital and more than one letter, such as BertConfig,
# must lead somewhere; these need not: words, numbers, shapes, names of other projects.
nitpick_ignore_regex = [
    ('py:class', r'[^A-Z].*|[A-Z]+\)?|[A-Z] \* [A-Z]|None|Path|NDArray|HybridBlock|NamedTuple'),
    ('py:.*', r'(mxnet|gluonnlp|numpy)\..*'),
]


def skip_tuple_fields(app, what, name, obj, skip, options):
    """Leave out the fields of named tuples: the class's docstring tells them."""
    return True if type(obj).__name__ == '_tuplegetter' else None


def resolve_short_name(app, env, node, content):
    """Link a name without its module, such as :class:`BertModel`, if there is only one of it."""
    if node.get('refdomain') != 'py':
        return None
    domain = env.get_domain('py')
    full = [name for name in domain.objects if name.endswith('.' + node['reftarget'])]
    if len(full) != 1:
        return None
    return domain.resolve_xref(
        env, node['refdoc'], app.builder, node['reftype'], full[0], node, content
    )


def import_mxnet(app):
    """Before autodoc does, so that it has the NumPy names it needs, and without its warnings.

    The tables and the pages of the models are written without it.
    """
    from gluon_bert import BertModel  # noqa: F401


def setup(app):
    app.connect('builder-inited', import_mxnet, priority=900)
    app.connect('autodoc-skip-member', skip_tuple_fields)
    app.connect('missing-reference', resolve_short_name)
