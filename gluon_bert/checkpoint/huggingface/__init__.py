"""Folders of transformers, in and out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .folder import huggingface_arrays, read_huggingface, write_huggingface

__all__ = ['huggingface_arrays', 'read_huggingface', 'write_huggingface']


def __getattr__(name: str) -> Any:
    """Import the readers when they are used: the zoo's tables need neither them nor MXNet."""
    if name not in __all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from . import folder

    return getattr(folder, name)
