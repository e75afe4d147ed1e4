"""Google's BERT checkpoints, without TensorFlow."""

from .folder import read_tensorflow, write_tensorflow

__all__ = ['read_tensorflow', 'write_tensorflow']
