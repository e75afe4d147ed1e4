"""GluonNLP's .params files, of any of its BERT classes from 0.5 to 0.10."""

from .files import read_gluonnlp, without_single_token_type, write_gluonnlp

__all__ = ['read_gluonnlp', 'without_single_token_type', 'write_gluonnlp']
