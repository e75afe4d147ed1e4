"""``python -m gluon_bert`` is the console script ``gluon-bert``."""

import sys

from .cli import main

if __name__ == '__main__':
    sys.exit(main())
