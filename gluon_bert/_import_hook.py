"""Let MXNet and GluonNLP be imported before gluon_bert.

``setup.py`` installs this text as a ``.pth`` file, which each Python of the environment runs when
it starts. It only registers a finder: gluon_bert is imported when one of the two is.
``GLUON_BERT_IMPORT_HOOK=0`` switches it off.
"""

import os
import sys


class MXNetImportHook:
    """Pass the import of MXNet or GluonNLP to ``gluon_bert._compat``."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name not in ('mxnet', 'gluonnlp'):
            return None
        try:
            from gluon_bert._compat import FINDER
        except ModuleNotFoundError as error:
            if error.name != 'gluon_bert':
                raise
            return None  # the folder of a development installation is gone
        return FINDER.find_spec(name, path, target)


def _register():
    names = {getattr(finder, '__name__', '') for finder in sys.meta_path}
    # Some Pythons run the file twice; an imported gluon_bert has a finder of its own.
    if 'MXNetImportHook' in names or 'gluon_bert' in sys.modules:
        return
    if os.environ.get('GLUON_BERT_IMPORT_HOOK') != '0':
        sys.meta_path.insert(0, MXNetImportHook)


_register()
