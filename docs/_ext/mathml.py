"""Formulas as MathML, which browsers show without a script."""

from __future__ import annotations

from docutils.writers._html_base import HTMLTranslator


def visit_formula(translator, node):
    """Write a formula, in a line or as a block, with the converter of docutils."""
    translator.math_output, translator.math_options = 'mathml', ''
    HTMLTranslator.visit_math(translator, node)


def setup(app):
    """Register the renderer, which conf.py chooses."""
    app.add_html_math_renderer('mathml', (visit_formula, None), (visit_formula, None))
    return {'version': '1', 'parallel_read_safe': True}
