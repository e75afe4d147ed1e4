"""Build the kernels: python -m gluon_bert.kernels."""

import sys

from . import build, is_available


def main() -> str:
    """Build the kernels; return why they are not built, if they are not."""
    try:
        path = build()
    except (FileNotFoundError, RuntimeError, OSError) as error:
        return f"native kernels: not built, MXNet's own operators are used ({error})"
    sys.stdout.write(f'native kernels: {path} {"loads" if is_available() else "does not load"}\n')
    return ''


if __name__ == '__main__':
    message = main()
    if message:
        sys.stderr.write(message + '\n')
