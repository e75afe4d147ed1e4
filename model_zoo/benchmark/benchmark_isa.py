"""Hold the systems of benchmark.py to an instruction set below that of the processor."""

from __future__ import annotations

ISAS = ('avx2',)
# Flags of the processor that begin so are of instructions beyond AVX2.
_BEYOND = ('avx512', 'avx_vnni', 'avx10', 'avx_ifma', 'avx_ne_convert', 'amx')
# What holds each library to AVX2.
_AVX2 = {
    'GLUON_BERT_KERNELS': 'avx2',
    'ONEDNN_MAX_CPU_ISA': 'AVX2',  # OpenVINO, CTranslate2, PyTorch
    'DNNL_MAX_CPU_ISA': 'AVX2',  # the older oneDNN of MXNet
    'MKL_ENABLE_INSTRUCTIONS': 'AVX2',  # PyTorch, CTranslate2
    'ATEN_CPU_CAPABILITY': 'avx2',  # PyTorch's own loops
    'FBGEMM_ENABLE_INSTRUCTIONS': 'AVX2',  # PyTorch's int8
    'CT2_FORCE_CPU_ISA': 'AVX2',
    'OPENBLAS_CORETYPE': 'Haswell',  # NumPy
    # memcpy and the like
    'GLIBC_TUNABLES': 'glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX512DQ,-AVX512CD',
}


def flags_within(flags, isa):
    """Select the flags of the processor that an instruction set leaves.

    Parameters
    ----------
    flags : set of str
    isa : str
        Of ``ISAS``, or '' for all.
    """
    return {flag for flag in flags if not (isa and flag.startswith(_BEYOND))}


def variables(isa):
    """Get the environment variables that hold the systems to an instruction set, or none."""
    return dict(_AVX2) if isa else {}


def reason_not_held(system, isa, flags):
    """Explain why a system cannot be held to an instruction set; '' if it can, or need not.

    Parameters
    ----------
    system : benchmark_systems.System
    isa : str
        Of ``ISAS``, or ''.
    flags : set of str
        Of the processor. One that has no more than the instruction set holds all systems to it.
    """
    exceeds = flags != flags_within(flags, isa)
    return f'it cannot be held to {isa}: {system.unheld}' if exceeds and system.unheld else ''
