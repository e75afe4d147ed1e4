"""The systems that benchmark.py compares, as a table, and which of them can run."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from benchmark_machine import version

PRECISIONS = ('fp32', 'bf16', 'int8')

# A processor supports a precision if it has one of these flags.
FLAGS = {'bf16': ('avx512_bf16', 'amx_bf16', 'bf16')}


@dataclass(frozen=True)
class System:
    """One system: its code and its requirements.

    Parameters
    ----------
    name : str
    module : str
        In this folder; imported only in the process of the system.
    encoder : str
        Class of ``module``: (folder, threads, **options), then (ids, types, lengths) to arrays;
        '' if it only trains.
    precision : str
        One of ``PRECISIONS``. Systems of one precision are ranked together.
    packages : tuple of str
        Distributions it needs.
    forms : tuple of str
        Formats of the network that it reads, see ``benchmark_weights.FORMS``.
    options : dict
    trainer : str
        Class that trains, if it does: (folder, threads, **training).
    trainer_module : str
        Where it is, if not in ``module``.
    training : dict
        For gluon_bert, fields of :class:`gluon_bert.training.Plan`.
    is_ours : bool
    unheld : str
        Why ``--isa`` cannot hold it to an instruction set; '' if it can.
    """

    name: str
    module: str
    encoder: str
    precision: str
    packages: tuple
    forms: tuple = ('huggingface',)
    options: dict = field(default_factory=dict)
    trainer: str = ''
    trainer_module: str = ''
    training: dict = field(default_factory=dict)
    is_ours: bool = False
    unheld: str = ''


_MXNET, _TORCH = ('mxnet',), ('torch', 'transformers')
# PyTorch is needed to make the ONNX file.
_ONNX = ('onnxruntime', 'onnx', *_TORCH)
_UNHELD = {'unheld': 'onnxruntime has no setting for the instruction set'}
_OPENVINO, _CTRANSLATE2 = ('openvino', 'onnx', *_TORCH), ('ctranslate2',)

_ROWS = (
    System(
        'gluon_bert',
        'benchmark_ours',
        'Fast',
        'fp32',
        _MXNET,
        trainer='Trainer',
        trainer_module='benchmark_ours_gluon',
        is_ours=True,
    ),
    System(
        'gluon_bert_bf16',
        'benchmark_ours',
        'Fast',
        'bf16',
        _MXNET,
        options={'precision': 'bfloat16'},
        trainer='Trainer',
        trainer_module='benchmark_ours_gluon',
        training={'dtype': 'bfloat16'},
        is_ours=True,
    ),
    System(
        'gluon_bert_int8',
        'benchmark_ours',
        'Fast',
        'int8',
        _MXNET,
        options={'precision': 'int8'},
        is_ours=True,
    ),
    System('gluon_bert_block', 'benchmark_ours_gluon', 'Plain', 'fp32', _MXNET, is_ours=True),
    System(
        'gluon_bert_recompute',
        'benchmark_ours_gluon',
        '',
        'fp32',
        _MXNET,
        trainer='Trainer',
        training={'recompute': True},
        is_ours=True,
    ),
    System(
        'gluonnlp',
        'benchmark_gluonnlp',
        'Encoder',
        'fp32',
        ('mxnet', 'gluonnlp'),
        ('huggingface', 'gluonnlp'),
        trainer='Trainer',
    ),
    System(
        'torch_eager', 'benchmark_torch', 'Encoder', 'fp32', _TORCH, options={'attention': 'eager'}
    ),
    System('torch_sdpa', 'benchmark_torch', 'Encoder', 'fp32', _TORCH, trainer='Trainer'),
    System(
        'torch_bf16',
        'benchmark_torch',
        'Encoder',
        'bf16',
        _TORCH,
        options={'autocast': True},
        trainer='Trainer',
        training={'autocast': True},
    ),
    System(
        'torch_compile',
        'benchmark_torch',
        'Encoder',
        'fp32',
        _TORCH,
        options={'backend': 'inductor'},
        trainer='Trainer',
        training={'compiled': True},
    ),
    System(
        'torch_compile_bf16',
        'benchmark_torch',
        'Encoder',
        'bf16',
        _TORCH,
        options={'backend': 'inductor', 'autocast': True},
        trainer='Trainer',
        training={'compiled': True, 'autocast': True},
    ),
    System(
        'torch_zentorch',
        'benchmark_torch',
        'Encoder',
        'fp32',
        (*_TORCH, 'zentorch'),
        options={'backend': 'zentorch'},
    ),
    System('torch_int8', 'benchmark_torch', 'Encoder', 'int8', _TORCH, options={'quantized': True}),
    System(
        'onnxruntime',
        'benchmark_runtimes',
        'OnnxRuntime',
        'fp32',
        _ONNX,
        ('onnx',),
        {'file': 'model.onnx'},
        **_UNHELD,
    ),
    System(
        'onnxruntime_fused',
        'benchmark_runtimes',
        'OnnxRuntime',
        'fp32',
        _ONNX,
        ('onnx_fused',),
        {'file': 'fused.onnx'},
        **_UNHELD,
    ),
    System(
        'onnxruntime_int8',
        'benchmark_runtimes',
        'OnnxRuntime',
        'int8',
        _ONNX,
        ('onnx_int8',),
        {'file': 'dynamic_int8.onnx'},
        **_UNHELD,
    ),
    System(
        'openvino',
        'benchmark_runtimes',
        'OpenVino',
        'fp32',
        _OPENVINO,
        ('onnx',),
        {'file': 'model.onnx', 'hint': 'f32'},
        unheld='its products in float32, of MLAS, have no setting for the instruction set',
    ),
    System(
        'openvino_bf16',
        'benchmark_runtimes',
        'OpenVino',
        'bf16',
        _OPENVINO,
        ('onnx',),
        {'file': 'model.onnx', 'hint': 'bf16'},
    ),
    System(
        'openvino_int8',
        'benchmark_runtimes',
        'OpenVino',
        'int8',
        _OPENVINO,
        ('openvino_int8',),
        {'file': 'openvino_int8/model.xml', 'hint': 'f32'},
    ),
    System(
        'ctranslate2',
        'benchmark_runtimes',
        'CTranslate2',
        'fp32',
        _CTRANSLATE2,
        ('ctranslate2',),
        {'compute_type': 'float32'},
    ),
    System(
        'ctranslate2_int8',
        'benchmark_runtimes',
        'CTranslate2',
        'int8',
        _CTRANSLATE2,
        ('ctranslate2',),
        {'compute_type': 'int8_float32'},
    ),
)
SYSTEMS = {system.name: system for system in _ROWS}


def _ceiling(name, products, precision, packages):
    return System(
        name, 'benchmark_gemm', products, precision, packages, (), {'precision': precision}
    )


# Measured in turn with the systems: general matrix products of the network's shapes.
CEILINGS = {
    system.name: system
    for system in (
        _ceiling('gemm_mxnet', 'MxnetProducts', 'fp32', _MXNET),
        _ceiling('gemm_torch', 'TorchProducts', 'fp32', ('torch',)),
        _ceiling('gemm_mxnet_bf16', 'MxnetProducts', 'bf16', _MXNET),
        _ceiling('gemm_torch_bf16', 'TorchProducts', 'bf16', ('torch',)),
        _ceiling('gemm_gluon_bert_bf16', 'OurProducts', 'bf16', _MXNET),
        _ceiling('gemm_mxnet_int8', 'MxnetProducts', 'int8', _MXNET),
        _ceiling('gemm_torch_int8', 'TorchProducts', 'int8', ('torch',)),
        _ceiling('gemm_gluon_bert_int8', 'OurProducts', 'int8', _MXNET),
    )
}


def reason_to_skip(system, mode, flags):
    """Explain why a system cannot take part; '' if it can.

    Parameters
    ----------
    system : System
    mode : str
        Of ``benchmark_arguments.MODES``.
    flags : set of str
        Of the processor, see :func:`processor`.
    """
    absent = [name for name in system.packages if not version(name)]
    if absent:
        return f'{", ".join(absent)} not installed'
    if mode == 'train' and not system.trainer:
        return 'it does not train'
    if mode != 'train' and not system.encoder:
        return 'it only trains'
    unknown = set(system.training) - _plan_fields() if mode == 'train' and system.is_ours else ()
    if unknown:
        return f'gluon_bert.training.Plan has no {", ".join(sorted(unknown))}'
    needed = FLAGS.get(system.precision, ())
    if needed and not flags & set(needed):
        return (
            f'the processor has no {system.precision} arithmetic (none of the flags '
            f'{", ".join(needed)})'
        )
    return ''


def ceilings(systems, flags):
    """List the ceilings of the systems' precisions that this processor supports.

    Parameters
    ----------
    systems : list of str
        Of ``SYSTEMS``.
    flags : set of str
    """
    precisions = {SYSTEMS[name].precision for name in systems}
    return [
        name
        for name, row in CEILINGS.items()
        if row.precision in precisions and not reason_to_skip(row, 'grid', flags)
    ]


def _plan_fields():
    from gluon_bert.training.options import Plan

    return {field.name for field in fields(Plan)}
