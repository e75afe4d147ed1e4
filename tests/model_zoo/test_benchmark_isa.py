"""The benchmark's --isa: what holds a system to an instruction set, and who is left out."""

import os
import subprocess
import sys

import benchmark
import benchmark_isa
import benchmark_plot
import benchmark_process
import benchmark_report as report
import pytest
from benchmark_loading import start
from benchmark_systems import SYSTEMS
from test_benchmark_figures import made_up

from common import cli

NEW = {'fma', 'avx2', 'avx512f', 'avx512_bf16', 'avx_vnni', 'amx_int8'}
SHOW = 'import json, os; print(json.dumps(dict(os.environ)), flush=True)'


def test_flags_that_an_instruction_set_leaves():
    assert benchmark_isa.flags_within(NEW, 'avx2') == {'fma', 'avx2'}
    assert benchmark_isa.flags_within(NEW, '') == NEW


def test_a_system_without_a_setting_is_left_out_where_it_would_use_more():
    def reasons(flags, isa):
        found = {n: benchmark_isa.reason_not_held(s, isa, flags) for n, s in SYSTEMS.items()}
        return {name: reason for name, reason in found.items() if reason}

    assert set(reasons(NEW, 'avx2')) == {
        'onnxruntime',
        'onnxruntime_fused',
        'onnxruntime_int8',
        'openvino',
    }
    assert reasons(NEW, 'avx2')['onnxruntime'] == (
        'it cannot be held to avx2: onnxruntime has no setting for the instruction set'
    )
    # A processor with AVX2 only holds all systems, and without --isa none is held.
    assert reasons({'fma', 'avx2'}, 'avx2') == reasons(NEW, '') == {}


@pytest.fixture
def worker(tmp_path, monkeypatch):
    """A process that answers with its environment, in place of a system's."""
    path = tmp_path / 'worker.py'
    path.write_text(SHOW + '\nimport time\ntime.sleep(60)\n')
    monkeypatch.setattr(benchmark_process, 'WORKER', path)
    return tmp_path


@pytest.mark.parametrize('isa', ['', 'avx2'])
def test_the_process_of_a_system_gets_the_settings_of_its_libraries(worker, isa, monkeypatch):
    monkeypatch.delenv('GLUON_BERT_KERNELS', raising=False)
    process = benchmark_process.Process('a', worker, 'grid', 1, worker / 'log', isa)
    found = process.loading
    process.close()
    assert {name: found.get(name) for name in benchmark_isa.variables('avx2')} == {
        name: value if isa else os.environ.get(name)
        for name, value in benchmark_isa.variables('avx2').items()
    }


def test_the_kernels_obey(monkeypatch):
    code = 'from gluon_bert import kernels; print(kernels.describe())'
    environment = benchmark_process.environment(1, 'avx2')
    printed = subprocess.run(
        [sys.executable, '-c', code], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert 'avx512' not in printed


def test_starts_are_held_too(tmp_path, monkeypatch):
    path = tmp_path / 'starter.py'
    path.write_text(SHOW.replace('dict(os.environ)', "{'isa': os.environ['CT2_FORCE_CPU_ISA']}"))
    monkeypatch.setattr('benchmark_loading.STARTER', path)
    assert start('numpy and tokenizers', tmp_path, 1, None, 'avx2')['isa'] == 'AVX2'


def test_rows_tell_the_instruction_set_and_are_kept_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, 'processor', lambda: ('Some CPU', NEW))
    assert benchmark.origin('avx2')['flags'] == 'avx2 fma'
    assert 'avx512_bf16' in benchmark.origin('')['flags']
    path = tmp_path / 'b.csv'
    rows = [
        made_up(system, 1, mode='grid', best_peer='torch_sdpa', speed_to_best_peer=2, isa=isa)
        for isa in ('', 'avx2')
        for system in ('gluon_bert', 'torch_sdpa')
    ]
    report.append_rows(path, rows)
    assert len(report.latest(report.read_rows(path))) == 4
    assert [drawn.name for drawn in benchmark_plot.plot_file(path)] == [
        'b_grid_m.png',
        'b_grid_m_avx2.png',
    ]


def test_a_run_names_who_is_left_out(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, 'processor', lambda: ('Some CPU', NEW))
    monkeypatch.setattr('benchmark_systems.version', lambda name: '1')
    arguments = ['--isa', 'avx2', '--systems', 'onnxruntime', 'torch_bf16', '--bert_model']
    arguments += ['bert_2_128_2', '--work_folder', str(tmp_path), '--output']
    assert cli.run(benchmark.main, [*arguments, str(tmp_path / 'o.csv')]) == 2
    printed = capsys.readouterr().err
    assert 'onnxruntime: skipped, it cannot be held to avx2' in printed
    assert 'torch_bf16: skipped, the processor has no bf16 arithmetic' in printed
    assert 'none of them can run here' in printed
    assert not (tmp_path / 'o.csv').exists()
