"""Show progress bars on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Optional


def progress_bar(
    desc: str, total: Optional[int] = None, items: Optional[Iterable] = None, **more: Any
) -> Any:
    """Show a progress bar, hidden if standard error is not a terminal.

    Parameters
    ----------
    desc : str
        Label of the bar.
    total : int, optional
    items : iterable, optional
        What the bar iterates over.
    **more
        Passed on to tqdm.

    Returns
    -------
    tqdm.tqdm
    """
    from tqdm import tqdm

    return tqdm(items, desc=desc, total=total, disable=not sys.stderr.isatty(), leave=False, **more)
