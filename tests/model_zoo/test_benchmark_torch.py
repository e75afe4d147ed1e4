"""The benchmark's torch.compile: code for each shape, then for any; and who takes part."""

import pytest
from benchmark_systems import SYSTEMS, reason_to_skip


@pytest.fixture
def benchmark_torch(monkeypatch):
    torch = pytest.importorskip('torch', reason='needs PyTorch')
    pytest.importorskip('transformers', reason='needs transformers')
    import benchmark_torch

    def compile_for(network, backend, dynamic):
        return lambda input_ids: (network, backend, 'any' if dynamic else tuple(input_ids.shape))

    monkeypatch.setattr(torch, 'compile', compile_for)
    monkeypatch.setattr(benchmark_torch, 'MOST_SHAPES', 2)
    return benchmark_torch


def test_many_shapes_share_code(benchmark_torch):
    torch = benchmark_torch.torch
    compiled = benchmark_torch.Compiled('network', 'a')
    shapes = [(1, 4), (2, 4), (1, 4), (3, 4), (2, 4)]
    assert [compiled(input_ids=torch.zeros(shape)) for shape in shapes] == [
        ('network', 'a', shape if shape != (3, 4) else 'any') for shape in shapes
    ]


def test_who_needs_zentorch(monkeypatch):
    monkeypatch.setattr('benchmark_systems.version', lambda name: '' if name == 'zentorch' else '1')
    assert reason_to_skip(SYSTEMS['torch_zentorch'], 'grid', set()) == 'zentorch not installed'
    assert reason_to_skip(SYSTEMS['torch_compile'], 'grid', set()) == ''
    assert reason_to_skip(SYSTEMS['torch_compile'], 'train', set()) == ''
