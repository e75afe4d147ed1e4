# ruff: noqa: F811 (fixtures are imported)
"""model_zoo/export_sizes.py records the bytes of the files that hold a network."""

import csv
import sys
from pathlib import Path

import pytest
from script_runs import tiny_folder, tokenizer  # noqa: F401 (fixtures)

sys.path.insert(0, str(Path(__file__).parents[2] / 'model_zoo'))
import export_sizes

from gluon_bert.export import EXPORTS


def test_every_format_that_can_be_written_has_a_row(tiny_folder, tmp_path, monkeypatch, capsys):
    folder, network = tiny_folder()
    for name in ('onnx', 'openvino', 'ctranslate2'):
        monkeypatch.setitem(sys.modules, name, None)
    rows = tmp_path / 'rows.csv'
    export_sizes.main(['--model', str(folder), '--output', str(rows)])
    assert 'need the package onnx' in capsys.readouterr().out
    with open(rows, newline='') as file:
        found = {(row['format'], row['options']): row for row in csv.DictReader(file)}
    assert list(found) == [('huggingface', ''), ('symbol', '')]
    size = sum(array.nbytes for array in network.checkpoint_arrays().values()) / 1e6
    for row in found.values():
        assert float(row['megabytes']) == pytest.approx(size, abs=0.1)


def test_variants_name_formats_and_their_options():
    assert {to for to, _ in export_sizes.VARIANTS} == {*EXPORTS}
    for to, options in export_sizes.VARIANTS:
        assert {*options} <= {*EXPORTS[to].options}
