"""Plots of attention, vectors, training runs, confusion matrices, answers and entities.

Every function that draws takes the ``path`` of the picture, PNG, SVG or PDF by its suffix, and
writes it atomically; it needs no display. All pictures have the same style: colours that people
with any colour vision can distinguish, a white background, sizes for a page. The font is DejaVu
Sans, which comes with Matplotlib. For characters that it lacks, the font file ``font``, if given,
and the installed fonts are searched; a warning names characters that no font has.
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
