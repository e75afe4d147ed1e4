"""GluonNLP's .params files, of any of its BERT classes from 0.5 to 0.10."""

from .files import (
    check_shapes,
    encoder_shapes,
    read_gluonnlp,
    without_single_token_type,
    write_gluonnlp,
)

__all__ = [
    'check_shapes',
    'encoder_shapes',
    'read_gluonnlp',
    'without_single_token_type',
    'write_gluonnlp',
]
