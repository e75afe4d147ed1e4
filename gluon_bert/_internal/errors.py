"""Give errors the names that a user knows: of an argument, or of a file."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator

from .types import PathLike

_NAME = re.compile(r'\{(\w+)\}')


class ArgumentError(ValueError):
    """An argument that is wrong by itself or together with others.

    Parameters
    ----------
    name : str
        Name of the argument, such as 'max_len'.
    reason : str
        Why it is wrong and what is allowed; ``{other}`` stands for another argument's name.
    value : optional
        The wrong value.
    """

    def __init__(self, name: str, reason: str, value: object = None) -> None:
        self.name, self.reason, self.value = name, reason, value
        super().__init__(self.message_with(lambda other: other, '='))

    def message_with(self, spell: Callable[[str], str], equals: str = ' ') -> str:
        """Write the message with the names as a user gave them.

        Parameters
        ----------
        spell : callable
            Converts the name of an argument to the user's spelling, such as '--max_len'.
        equals : str
            Text between name and value.

        Returns
        -------
        str
        """
        value = '' if self.value is None else f'{equals}{self.value}'
        reason = _NAME.sub(lambda match: spell(match[1]), self.reason)
        return f'{spell(self.name)}{value}: {reason}'


@contextlib.contextmanager
def named_errors(path: PathLike) -> Iterator[None]:
    """Give errors of the system, such as a full disk, the name of the file if they have none."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise
