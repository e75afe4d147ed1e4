"""Networks in OpenVINO's format, which OpenVINO itself makes of our ONNX graph."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .._internal.files import new_folder
from .._internal.packages import import_package
from .._internal.types import PathLike
from ..checkpoint.schema import Checkpoint
from .beside import write_description
from .onnx import write_onnx

MODEL_FILE = 'openvino_model.xml'
DTYPES = ('float32', 'float16')


def write_openvino(
    checkpoint: Checkpoint, folder: PathLike, dtype: str = 'float32', **options: Any
) -> None:
    """Write a network for OpenVINO, in the layout of optimum-intel.

    ``openvino_model.xml`` with its weights in ``openvino_model.bin``; ``config.json`` and the
    tokenizer's files as transformers writes them; ``settings.json``. Inputs and outputs are those
    of :func:`.build_onnx`.

    Parameters
    ----------
    checkpoint : Checkpoint
    folder : str or Path
        Made here; it appears when it is whole.
    dtype : str
        Of the stored weights: 'float32', or 'float16' for a file of half the size.
    options
        head, pooling and normalize, see :func:`.build_onnx`.

    Raises
    ------
    FileExistsError
        If the folder is there already and not empty.
    ImportError
        If ``openvino`` or ``onnx`` is not installed.
    ValueError
        As :func:`.write_onnx`.
    """
    openvino = import_package('openvino', 'files of OpenVINO')
    if dtype not in DTYPES:
        raise ValueError(f'dtype={dtype!r}: expected one of {DTYPES}')
    with new_folder(folder) as whole:
        with TemporaryDirectory(dir=whole.parent) as temporary:
            write_onnx(checkpoint, Path(temporary) / 'made', **options)
            (graph,) = Path(temporary).rglob('*.onnx')
            _convert(openvino, graph, whole / MODEL_FILE, dtype)
        write_description(checkpoint, whole)


def _convert(openvino, graph, file, dtype):
    """Convert a graph; OSError if the file is not written whole.

    :func:`openvino.convert_model` reads ONNX in the same way, but also tells a server about it,
    from a process that it forks, and writes into the user's home.
    """
    model = openvino.Core().read_model(str(graph))
    for result in model.get_results():
        name, node = result.output(0).any_name, result.input_value(0).get_node()
        # The node that only names an output would give it two names in the compiled model.
        if node.get_type_name() == 'Identity':
            source = node.input_value(0)
            node.output(0).replace(source)
            source.get_node().set_friendly_name(name)
            source.get_tensor().set_names({name})
    try:
        openvino.save_model(model, str(file), compress_to_fp16=dtype == 'float16')
        openvino.Core().read_model(str(file))
    except RuntimeError as error:
        line = str(error).strip().splitlines()[-1]
        raise OSError(f'{file.name}: OpenVINO did not write it whole: {line}') from None
