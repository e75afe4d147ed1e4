"""Folders of transformers, in and out."""

from .folder import huggingface_arrays, read_huggingface, write_huggingface

__all__ = ['huggingface_arrays', 'read_huggingface', 'write_huggingface']
