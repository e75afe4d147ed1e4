"""Values of the environment variable GLUON_BERT_KERNELS, which tests of the kernels run with."""

import platform

_LESSER = {'x86_64': ['avx512', 'avx2'], 'aarch64': ['neon_dotprod', 'neon']}
# '1' is for the best kernels that this processor runs.
ALL = ['1', *_LESSER.get(platform.machine(), []), 'generic']
