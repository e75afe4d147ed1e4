"""The machine of benchmark.py: its processor and the versions of packages."""

from __future__ import annotations

import importlib.metadata
import platform
from pathlib import Path

# Further flags in the rows of results.
REPORTED_FLAGS = (
    'avx2',
    'fma',
    'avx512f',
    'avx512_vnni',
    'avx_vnni',
    'avx512_bf16',
    'amx_bf16',
    'amx_int8',
    'asimd',
    'asimddp',
    'i8mm',
    'bf16',
)
VERSIONS = (
    'mxnet',
    'gluonnlp',
    'torch',
    'zentorch',
    'transformers',
    'onnxruntime',
    'openvino',
    'ctranslate2',
    'numpy',
    'tokenizers',
)


def version(name):
    """Get the version of an installed distribution, or ''."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ''


def versions():
    """Format the versions of Python and the relevant packages."""
    found = [f'{name} {number}' for name in VERSIONS if (number := version(name))]
    return '; '.join([f'python {platform.python_version()}', *found])


def processor(path='/proc/cpuinfo'):
    """Read the processor's name, and its flags as a set."""
    values = {}
    if Path(path).is_file():
        for line in Path(path).read_text(encoding='utf-8').splitlines():
            key, _, value = line.partition(':')
            values.setdefault(key.strip(), value.strip())
    flags = set(f'{values.get("flags", "")} {values.get("Features", "")}'.split())
    return values.get('model name') or platform.processor() or platform.machine(), flags
