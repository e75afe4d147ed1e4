# ruff: noqa: F811 (fixtures are imported)
"""model_zoo/compare_onnx.py scores a network in every type of ONNX's weights."""

import csv
import sys
from pathlib import Path

import pytest
from script_runs import tiny_pipeline, tokenizer  # noqa: F401 (fixtures)

pytest.importorskip('onnx', reason="needs onnx: pip install '.[onnx]'")
pytest.importorskip('onnxruntime', reason='needs onnxruntime')
sys.path.insert(0, str(Path(__file__).parents[2] / 'model_zoo'))
import compare_onnx


def test_every_type_has_a_row(tiny_pipeline, tmp_path, monkeypatch):
    pipeline = tiny_pipeline(
        'classification', folder=tmp_path / 'kept', labels=['0', '1'], name='SST-2'
    )
    (tmp_path / 'SST-2').mkdir()
    dev = tmp_path / 'SST-2' / 'dev.tsv'
    dev.write_text(
        'sentence\tlabel\n'
        + ''.join(f'{"the cat " * (number % 5 + 1)}\t{number % 2}\n' for number in range(9))
    )
    monkeypatch.setenv('GLUE_DIR', str(tmp_path))
    rows = tmp_path / 'rows.csv'
    arguments = ['--calibrate', str(dev), '--threads', '1', '--output', str(rows)]
    compare_onnx.main([str(tmp_path / 'kept'), *arguments])
    with open(rows, newline='') as file:
        found = {row['dtype']: row for row in csv.DictReader(file)}
    assert list(found) == ['float32', 'float16', 'int8', 'int8-static']
    from gluon_bert.tasks.evaluation import read_dev

    assert float(found['float32']['score']) == pytest.approx(
        read_dev(pipeline).score(pipeline), abs=1e-4
    )
    assert found['int8-static']['calibration_texts'] == '9'
    assert {row['lost'] for row in found.values()} >= {'0.0'}
