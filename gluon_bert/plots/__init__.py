"""Plots of attention, vectors, training runs, confusion matrices, answers and entities.

All are written as PNG, SVG or PDF, by the file's suffix, whole or not at all, and look alike:
colours that people with any colour vision can tell apart, a white ground, sizes for a page. The
font is DejaVu Sans, which comes with Matplotlib; for characters that it lacks, installed fonts are
searched, and a warning says which have none.
"""

from .answers import (
    AnswerSpan,
    TokenProbabilities,
    answers_of_file,
    plot_answer,
    token_probabilities,
)
from .attention import Attention, attention_of, plot_attention
from .confusion import plot_confusion
from .curves import plot_runs, plot_training, read_metrics
from .entities import plot_entities
from .similarity import plot_similarity
from .style import SUFFIXES
from .vectors import Projection, plot_map, project

__all__ = [
    'SUFFIXES',
    'AnswerSpan',
    'Attention',
    'Projection',
    'TokenProbabilities',
    'answers_of_file',
    'attention_of',
    'plot_answer',
    'plot_attention',
    'plot_confusion',
    'plot_entities',
    'plot_map',
    'plot_runs',
    'plot_similarity',
    'plot_training',
    'project',
    'read_metrics',
    'token_probabilities',
]
