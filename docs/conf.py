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
    'sphinx.ext.napoleon',
    'sphinx.ext.viewcode',
    'sphinx_copybutton',
    'sphinx_design',
    'mathml',
    'zoo',
    'benchmark_tables',
    'summaries',
    'ways_tables',
]
exclude_patterns = ['_build']
highlight_language = 'none'
pygments_style = 'friendly'
smartquotes_action = 'q'  # flags keep their dashes

html_theme = 'furo'
html_title = f'gluon_bert {version}'
html_static_path = ['_static']
html_css_files = ['zoo.css']
html_math_renderer = 'mathml'

# Of code with prompts, the button copies the code alone.
copybutton_prompt_text = r'>>> |\.\.\. |\$ '
copybutton_prompt_is_regexp = True

autodoc_default_options = {'members': True, 'show-inheritance': True}
autodoc_inherit_docstrings = False
autodoc_member_order = 'bysource'
autodoc_typehints = 'none'

napoleon_google_docstring = False
napoleon_custom_sections = [('Inputs', 'params_style'), ('Outputs', 'params_style')]

# Types in docstrings are prose. Capitalised names of several letters, such as BertConfig, must be
# documented. Words, numbers, shapes and names of other projects need not be.
nitpick_ignore_regex = [
    ('py:class', r'[^A-Z].*|[A-Z]+\)?|[A-Z] \* [A-Z]|None|Path|NDArray|HybridBlock|NamedTuple'),
    ('py:.*', r'(mxnet|gluonnlp|numpy)\..*'),
]


def skip_tuple_fields(app, what, name, obj, skip, options):
    """Skip the fields of named tuples, which the docstring of the class describes."""
    return True if type(obj).__name__ == '_tuplegetter' else None


def resolve_short_name(app, env, node, content):
    """Link a name without its module, such as :class:`BertModel`, if it is unique."""
    if node.get('refdomain') != 'py':
        return None
    domain = env.get_domain('py')
    names = [name for name in domain.objects if name.endswith('.' + node['reftarget'])]
    if len(names) != 1:
        return None
    return domain.resolve_xref(
        env, node['refdoc'], app.builder, node['reftype'], names[0], node, content
    )


def import_mxnet(app):
    """Import MXNet before autodoc does, with the NumPy names it needs and without its warnings.

    The tables and the pages of the models are written before, without MXNet.
    """
    from gluon_bert import BertModel  # noqa: F401


def setup(app):
    """Register the handlers of this file."""
    app.connect('builder-inited', import_mxnet, priority=900)
    app.connect('autodoc-skip-member', skip_tuple_fields)
    app.connect('missing-reference', resolve_short_name)
