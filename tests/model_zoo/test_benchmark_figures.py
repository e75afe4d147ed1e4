"""The benchmark's ceilings, growing work and pictures, on made-up rows and one tiny run."""

import argparse
import importlib
import math
from pathlib import Path
from typing import ClassVar

import benchmark
import benchmark_errors
import benchmark_gemm
import benchmark_growth
import benchmark_plot
import benchmark_report as report
import benchmark_rounds
import benchmark_systems
import benchmark_work
import numpy as np
import pytest
from benchmark_systems import SYSTEMS, ceilings, reason_to_skip
from test_benchmark import Pretended

from common import cli
from gluon_bert import kernels
from gluon_bert.zoo import get_config

CONFIG = get_config('bert_2_128_2', 100)


class Fake(benchmark_gemm.Products):
    """Its products take what ``seconds`` says; one form fails."""

    forms: ClassVar[dict] = {
        'fp32': ('plain',),
        'int8': ('broken', 'slow', 'fast'),
        'bf16': ('broken',),
        'int4': ('emulated',),
    }

    def _time(self, form, rows, columns, inner):
        if form == 'broken':
            raise RuntimeError('cannot\nmultiply')
        return {'plain': 2.0, 'slow': 3.0, 'fast': 1.0, 'emulated': 5.0}[form]


def test_a_ceiling_takes_the_fastest_form_and_refuses_an_emulated_one():
    assert Fake(None, 1).time([(1, 2, 3)]) == [2.0]
    assert Fake(None, 1, 'int8').time([(1, 2, 3)]) == [1.0]
    with pytest.raises(ValueError, match='int4 is emulated here: it takes 2.5 times as long'):
        Fake(None, 1, 'int4')
    with pytest.raises(ValueError, match='broken: cannot$'):
        Fake(None, 1, 'bf16')


@pytest.mark.parametrize(
    'kind', [benchmark_gemm.MxnetProducts, benchmark_gemm.TorchProducts, benchmark_gemm.OurProducts]
)
def test_products_of_int8_and_of_float32(kind):
    if kind is benchmark_gemm.TorchProducts:
        pytest.importorskip('torch', reason='needs PyTorch')
    if kind is benchmark_gemm.OurProducts and not kernels.load():
        pytest.skip('the native kernels are not built')
    products = kind(None, 1)
    inputs, weights = (np.ones((rows, 32), 'float32') for rows in (17, 16))
    for form in [*kind.forms['fp32'], *kind.forms['int8']]:
        getattr(products, form)(inputs, weights)()
    assert [seconds > 0 for seconds in products.time([(4, 8, 16)])] == [True]


def test_ceilings_of_the_precisions_that_are_measured(monkeypatch):
    monkeypatch.setattr(benchmark_systems, 'version', lambda name: '1')
    assert ceilings(['gluon_bert'], set()) == ['gemm_mxnet', 'gemm_torch']
    assert ceilings(['torch_int8'], set()) == [
        'gemm_mxnet_int8',
        'gemm_torch_int8',
        'gemm_gluon_bert_int8',
    ]
    assert ceilings(['torch_bf16'], {'avx2'}) == []
    assert len(ceilings(['torch_bf16'], {'avx512_bf16'})) == 3


def team(tmp_path, **seconds):
    made = benchmark_rounds.Team([], [], tmp_path, 'grid', 1, tmp_path)
    for name, value in seconds.items():
        part = made.processes if name in SYSTEMS else made.ceilings
        part[name] = Pretended(1.0, value)
    return made


def test_the_share_is_of_the_ceiling_of_the_own_precision(tmp_path):
    (cell,) = benchmark_work.grid(CONFIG, [2], [5], 1)
    made = team(
        tmp_path,
        gluon_bert=0.1,
        gluon_bert_int8=0.1,
        torch_bf16=0.1,
        gemm_mxnet=4e-3,
        gemm_torch_int8=2e-3,
        gemm_gluon_bert_int8=1e-3,
    )
    rows = {row['precision']: row for row in made.measure(cell, CONFIG, 1, 0.1)}
    assert {name: row['ceiling_precision'] for name, row in rows.items()} == {
        'fp32': 'fp32',
        'int8': 'int8',
        'bf16': '',
    }
    assert rows['fp32']['share_of_ceiling'] == pytest.approx(4 * rows['int8']['share_of_ceiling'])
    assert math.isnan(rows['bf16']['share_of_ceiling'])
    assert '%' not in report.table([rows['bf16']])[1]


@pytest.mark.parametrize('cell_seconds,rounds', [(math.inf, 5), (0.9, 2), (0.01, 1)])
def test_a_long_cell_has_fewer_rounds(tmp_path, cell_seconds, rounds):
    (cell,) = benchmark_work.grid(CONFIG, [2], [5], 1)
    (row,) = team(tmp_path, gluon_bert=0.1).measure(cell, CONFIG, 5, 0.35, cell_seconds)
    assert (row['rounds'], len(row['rounds_seconds']), row['calls']) == (rounds, rounds, 3)


def test_ways_to_train_that_the_plan_does_not_have(monkeypatch):
    ways = [SYSTEMS['gluon_bert_recompute'], SYSTEMS['gluon_bert_bf16']]
    assert reason_to_skip(ways[0], 'grid', set()) == 'it only trains'
    monkeypatch.setattr(benchmark_systems, '_plan_fields', set)
    assert [reason_to_skip(way, 'train', {'avx512_bf16'}) for way in ways] == [
        'gluon_bert.training.Plan has no recompute',
        'gluon_bert.training.Plan has no dtype',
    ]
    monkeypatch.setattr(benchmark_systems, '_plan_fields', lambda: {'dtype', 'recompute'})
    assert [reason_to_skip(way, 'train', {'avx512_bf16'}) for way in ways] == ['', '']


@pytest.mark.parametrize('version', range(len(report.NEWER)))
def test_an_earlier_file_is_read_and_added_to(version, tmp_path):
    path = tmp_path / 'a.csv'
    newer = {name for columns in report.NEWER[version:] for name in columns}
    earlier = [name for name in report.FIELDS if name not in newer]
    values = {'mode': 'grid', 'system': 'gluon_bert_int8', 'share_of_ceiling': '1.5'}
    path.write_text(
        ','.join(earlier) + '\n' + ','.join(values.get(name, '') for name in earlier) + '\n'
    )
    (row,) = report.read_rows(path)
    ceiling = '' if version else 'fp32'
    assert (row['ceiling_precision'], row['sequences'], row['isa']) == (ceiling, '', '')
    report.append_rows(path, [{'mode': 'grid', 'system': 'gluon_bert', 'sequences': 8}])
    rows = report.read_rows(path)
    assert [row['ceiling_precision'] for row in rows] == [ceiling, '']
    assert [row['system'] for row in rows] == ['gluon_bert_int8', 'gluon_bert']
    assert rows[0]['share_of_ceiling'] == '1.5'
    assert path.read_text().splitlines()[0] == ','.join(report.FIELDS)


def test_cells_that_grow():
    at = [2, 8]
    cells = benchmark_work.growth(CONFIG, [1, 2, 4], [4, 8, 16], at, 1)
    assert [(cell.batch, cell.length) for cell in cells] == [
        (1, 8),
        (2, 4),
        (2, 8),
        (2, 16),
        (4, 8),
    ]  # by the number of tokens
    args = argparse.Namespace(mode='growth', threads=[1, 2], at=at)
    assert benchmark_work.cells_for(args, cells, 2) == cells
    assert [(cell.batch, cell.length) for cell in benchmark_work.cells_for(args, cells, 1)] == [
        (2, 8)
    ]


def made_up(system, size, speed=100.0, **changed):
    return {
        'mode': 'growth',
        'model': 'm',
        'weights': 'w',
        'data': '',
        'batch': 8,
        'length': 128,
        'threads': 2,
        'system': system,
        'precision': SYSTEMS[system].precision,
        'status': 'ok',
        'sequences': 8,
        'tokens_per_second': speed * size,
        **changed,
    }


@pytest.fixture
def rows(tmp_path):
    """Rows of two systems in four chains, and what is to be left out, as a file has them."""
    found = []
    for system in ('gluon_bert', 'onnxruntime'):
        found += [made_up(system, size, batch=size) for size in (1, 4, 8)]
        found += [made_up(system, size, length=size) for size in (32, 64)]
        found += [made_up(system, size, threads=size) for size in (1, 2)]
        found += [
            made_up(system, size, data=f'A/train{name}', batch=32, length=None, sequences=size)
            for size, name in ((10, ' first 10'), (100, ' first 100'), (150, ''))
        ]
    found += [made_up('torch_eager', size, batch=size, status='disagrees') for size in (1, 4, 8)]
    found += [made_up('gluon_bert_int8', 1)]
    report.append_rows(tmp_path / 'b.csv', found)
    return report.latest(report.read_rows(tmp_path / 'b.csv'))


def test_panels_show_what_grows_while_the_rest_stays(rows):
    found = {panel.axis: panel for panel in benchmark_growth.panels(rows, 'fp32')}
    assert {axis: panel.title for axis, panel in found.items()} == {
        'batch': 'length 128, 2 threads',
        'length': 'batch 8, 2 threads',
        'threads': 'batch 8, length 128',
        'sequences': 'A/train, batch 32, 2 threads',
    }
    assert [size for size, _ in found['batch'].lines['gluon_bert']] == [1, 4, 8]
    assert found['sequences'].lines['onnxruntime'] == [(10, 1000), (100, 10000), (150, 15000)]
    assert {name for panel in found.values() for name in panel.lines} == {
        'gluon_bert',
        'onnxruntime',
    }
    assert benchmark_growth.panels(rows, 'int8') == []


def test_pictures_of_growth(rows, tmp_path, capsys):
    assert benchmark_plot.main([str(tmp_path / 'b.csv')]) is None
    target = tmp_path / 'b_growth_m_sizes.png'
    assert str(target) in capsys.readouterr().out
    assert target.read_bytes()[:4] == b'\x89PNG'
    svg = tmp_path / 'a.svg'
    assert benchmark_growth.plot_growth(rows, 'speed', svg)
    text = svg.read_text(encoding='utf-8')
    for label in (
        *benchmark_growth.AXES.values(),
        'gluon_bert',
        'onnxruntime',
        'A/train, batch 32, 2 threads',
        'fp32: tokens a second',
    ):
        assert f'<!-- {label} -->' in text
    assert 'torch_eager' not in text
    assert not benchmark_growth.plot_growth(rows[:1], 'speed', tmp_path / 'none.png')
    assert not (tmp_path / 'none.png').exists()


def test_errors_against_speed(tmp_path):
    times = {'gluon_bert': (4, 9), 'gluon_bert_int8': (1, 1), 'torch_int8': (2, 3)}
    rows = [
        made_up(system, 1, mode='grid', batch=n, seconds=seconds[n], difference_rms=0.1 * n)
        for system, seconds in times.items()
        for n in (0, 1)
    ]
    rows.append(made_up('openvino_int8', 1, mode='grid', batch=0, seconds=1, status='disagrees'))
    report.append_rows(tmp_path / 'e.csv', rows)
    rows = report.read_rows(tmp_path / 'e.csv')
    found = benchmark_errors.speeds_and_errors(rows)
    assert found == {
        'gluon_bert_int8': (pytest.approx(6), pytest.approx(0.05)),
        'torch_int8': (pytest.approx(math.sqrt(6)), pytest.approx(0.05)),
    }
    assert benchmark_errors.plot_errors(rows, 'errors', tmp_path / 'e.svg')
    text = (tmp_path / 'e.svg').read_text(encoding='utf-8')
    assert '<!-- gluon_bert_int8 -->' in text and 'openvino_int8' not in text
    assert not benchmark_errors.plot_errors(rows[:2], 'errors', tmp_path / 'none.png')


def test_growth_is_measured_and_resumed(tmp_path, capsys):
    (tmp_path / 'vocab.txt').write_text('[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n')
    (tmp_path / 'texts.txt').write_text('a b\nb\na a b\n')
    output = tmp_path / 'o.csv'
    arguments = [
        '--mode',
        'growth',
        '--bert_model',
        'bert_2_128_2',
        '--systems',
        'gluon_bert_block',
        '--batches',
        '1',
        '2',
        '--lengths',
        '4',
        '6',
        '--at',
        '2',
        '4',
        '--sizes',
        '2',
        '9',
        '--data',
        tmp_path / 'texts.txt',
        '--vocab_file',
        tmp_path / 'vocab.txt',
        '--rounds',
        '1',
        '--turn_seconds',
        '0',
        '--work_folder',
        tmp_path / 'w',
        '--output',
        output,
        '--resume',
        '--no_plot',
    ]
    for _ in range(2):
        assert cli.run(benchmark.main, list(map(str, arguments))) == 0, capsys.readouterr().err
        rows = report.read_rows(output)
        assert [
            (row['data'].partition('/')[2], row['batch'], row['length'], row['sequences'])
            for row in rows
        ] == [
            ('', '1', '4', '1'),
            ('', '2', '4', '2'),
            ('', '2', '6', '2'),
            ('texts first 2', '32', '', '2'),
            ('texts', '32', '', '3'),
        ]
    assert {row['mode'] for row in rows} == {'growth'}


def test_the_manual_tells_which_cells_were_lost(tmp_path, monkeypatch):
    pytest.importorskip('sphinx', reason='needs Sphinx: python3 dev.py setup')
    monkeypatch.syspath_prepend(str(Path(benchmark.__file__).parents[2] / 'docs' / '_ext'))
    tables = importlib.import_module('benchmark_tables')
    path = tmp_path / 'b.csv'
    report.append_rows(
        path,
        [
            made_up(
                'gluon_bert',
                1,
                batch=batch,
                best_peer='openvino',
                speed_to_best_peer=ratio,
                seconds=1,
                seconds_q1=1,
                seconds_q3=1,
                share_of_ceiling=0.5,
                ceiling_precision=ceiling,
            )
            for batch, ratio, ceiling in ((1, 0.5, 'fp32'), (2, 1.0, 'int8'), (4, 4.0, ''))
        ],
    )
    rows = report.read_rows(path)
    assert tables.standing_table(rows)[1] == [
        ['``gluon_bert``', 'fp32', '3', '1.26', '0.50', '4.00', '1: 1x128, threads 2 (0.500)']
    ]
    assert [row[9] for row in tables.benchmark_table(rows)[1]] == ['50%', '50% of int8', '50%']
    for ending in ('', '_sizes', '_others'):
        (tmp_path / f'b_growth_m{ending}.png').touch()
    lines = list(tables.benchmark_lines(path))
    assert sum(line.strip().startswith('.. image::') for line in lines) == 2


def test_a_row_does_not_tell_where_files_are_kept():
    argv = [
        '--mode',
        'ragged',
        '--data',
        '/home/me/glue/MRPC/dev.tsv',
        'MRPC/dev.tsv',
        '--vocab_file=/home/me/words/vocab.txt',
        '--work_folder',
        '/tmp/x',
        '--resume',
    ]
    assert benchmark.without_paths(argv) == [
        '--mode',
        'ragged',
        '--data',
        'MRPC/dev.tsv',
        'MRPC/dev.tsv',
        '--vocab_file=words/vocab.txt',
        '--resume',
    ]
