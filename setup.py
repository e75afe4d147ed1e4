"""Packaging; all version limits of the project are here, but for MXNet's in _platform.py."""

import re
import runpy
import sys
from pathlib import Path

from setuptools import Distribution, find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
VERSION = re.search(
    r"^__version__ = '(.+)'$",
    (HERE / 'gluon_bert' / '__init__.py').read_text(encoding='utf-8'),
    re.M,
)[1]
PLATFORM = runpy.run_path(str(HERE / 'gluon_bert' / '_platform.py'))
HOOK = HERE / 'gluon_bert' / '_import_hook.py'


class Build(build_py):
    """Add the import hook and the native kernels.

    The kernels are compiled where a compiler is found; the package does without them. The hook is
    a file of site-packages, so that pip removes it with the package.
    """

    def run(self):
        super().run()
        if getattr(self, 'editable_mode', False):
            # python -m gluon_bert.kernels builds them in place
            self.add_hook(self.get_finalized_command('install').install_lib)
            return
        self.add_hook(self.build_lib)
        self.add_kernels()

    def add_hook(self, folder):
        # Python runs a line of such a file if it begins with 'import'.
        code = HOOK.read_text(encoding='ascii')
        line = f"import sys; exec({code!r}, {{'__name__': 'gluon_bert._import_hook'}})\n"
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / 'gluon_bert_import_hook.pth').write_text(line, encoding='ascii')

    def add_kernels(self):
        kernels = HERE / 'gluon_bert' / 'kernels'
        try:
            runpy.run_path(str(kernels / 'compiling.py'))['build'](
                Path(self.build_lib) / 'gluon_bert' / 'kernels'
            )
        except (OSError, RuntimeError) as error:
            self.warn(f'the native kernels are not built: {error}')


class BinaryDistribution(Distribution):
    """What is built is for one kind of machine."""

    def has_ext_modules(self):
        return True


if PLATFORM['describe_obstacle']() and 'sdist' not in sys.argv:
    sys.exit(PLATFORM['describe_obstacle']())

SERVER = [
    'starlette>=0.40,<2',
    'uvicorn>=0.30,<1',
    # The server runs without these, and answers fewer requests a second.
    'httptools>=0.6,<1',
    'uvloop>=0.19,<1; sys_platform != "win32"',
    'orjson>=3.9,<4',
]

setup(
    cmdclass={'build_py': Build},
    distclass=BinaryDistribution,
    name='gluon_bert',
    version=VERSION,
    description='BERT for Apache MXNet/Gluon: a model zoo with an example suite',
    long_description=(HERE / 'README.rst').read_text(encoding='utf-8'),
    long_description_content_type='text/x-rst',
    license='Apache-2.0',
    packages=find_packages(include=['gluon_bert', 'gluon_bert.*']),
    package_data={
        'gluon_bert': ['py.typed'],
        'gluon_bert.kernels': ['src/*.cc', 'src/*.h'],
        'gluon_bert.serving': ['page/*'],
    },
    # Newer Pythons are tried, with a warning.
    python_requires='>=3.9',
    install_requires=[
        # Its metadata exclude NumPy 2, without which there is no Python 3.13: there it is installed
        # with PLATFORM['INSTALL_MXNET'], and its requirements are those below.
        f'{PLATFORM["MXNET"]}; python_version < "3.13"',
        'graphviz>=0.8.1,<0.9',
        'gluonnlp==0.10.0',
        'numpy>=1.22,<3',
        'numpy>=2.1; python_version >= "3.13"',
        'setuptools; python_version >= "3.12"',
        'tokenizers>=0.15,<1',
        'safetensors>=0.4,<1',
        'google-crc32c>=1.5,<2',
        'huggingface_hub>=0.23,<3',
        'filelock>=3.12,<5',
        'requests>=2.28,<3',
        'scikit-learn>=1.2,<2',
        'scipy>=1.9,<2',
        'matplotlib>=3.7,<4',
        'tqdm>=4.60,<5',
    ],
    entry_points={'console_scripts': ['gluon-bert = gluon_bert.cli:main']},
    extras_require={
        'onnx': ['onnx>=1.15,<2'],
        'openvino': ['onnx>=1.15,<2', 'openvino>=2024.4,<2027'],
        'ctranslate2': ['ctranslate2>=4.4,<5'],
        'serve': SERVER,
        'zmq': [*SERVER, 'pyzmq>=25,<28'],
        'ray': [*SERVER, 'ray[data,serve]>=2.47,<3', 'pyarrow>=14,<20'],
        'faiss': ['faiss-cpu>=1.7.4,<2'],
        'usearch': ['usearch>=2.12,<3'],
        'tune': ['optuna>=3.5,<6'],
        'parquet': ['pyarrow>=14,<20'],
        'distributed': ['torch>=2.4,<3'],
        'sentencepiece': ['sentencepiece>=0.2.2,<1'],
        'test': [
            'pytest>=8.2,<10',
            'setuptools>=70.1',
            'pytest-xdist>=3.6,<4',
            'pytest-cov>=5,<8',
            'ruff>=0.6,<1',
            'mypy>=1.11,<3',
            'vulture>=2.11,<3',
            'sentencepiece>=0.2.2,<1',
        ],
        'docs': [
            'sphinx>=7,<10',
            'furo>=2024.1',
            'sphinx-design>=0.6,<1',
            'sphinx-copybutton>=0.5.2,<1',
        ],
        'tensorflow': ['tensorflow-cpu>=2.14,<2.18'],  # in an environment of its own
        'peers': [
            'torch>=2.2,<3',
            'transformers>=4.40,<6',
            'sentence-transformers>=3.0,<6',
            'onnx>=1.15,<2',
            'onnxruntime>=1.17,<2',
            'openvino>=2024.4,<2027',
            'ctranslate2>=4.4,<5',
            'starlette>=0.40,<2',
            'uvicorn>=0.30,<1',
            'httpx>=0.27,<1; python_version < "3.11"',
            'httpx2>=2,<3; python_version >= "3.11"',
            'openai>=1.40,<4',
            'pyzmq>=25,<28',
            'bert-serving-client==1.10.0',
            'ray[data,serve]>=2.47,<3',
            'pyarrow>=14,<20',
            'dask[distributed]>=2024.8',
            'prometheus-client>=0.20,<1',
            'optuna>=3.5,<6',
        ],
        'bench': [
            'torch>=2.2,<3',
            'transformers>=4.40,<6',
            'onnx>=1.15,<2',
            'onnxruntime>=1.17,<2',
            'openvino>=2024.4,<2027',
            'ctranslate2>=4.4,<5',
        ],
    },
    classifiers=[
        'License :: OSI Approved :: Apache Software License',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
)
