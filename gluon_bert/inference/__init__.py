"""Trained networks at work: the Predictor, sentence and word vectors, search, precision."""

from .checks import head_of, unwrap_head
from .predictor import Predictor, default_threads

__all__ = ['Predictor', 'default_threads', 'head_of', 'unwrap_head']
