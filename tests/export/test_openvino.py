# ruff: noqa: F811 (fixtures are imported)
"""Folders for OpenVINO: it gives the outputs of the network, in every family and head."""

import json
import sys

import mxnet as mx
import numpy as np
import pytest
from export_networks import (
    FAMILY_CONFIGS,
    HEADS,
    WITHOUT_POOLER,
    checkpoint_of,
    graph_inputs,
    initialized,
    rounded,
    valid,
)
from script_runs import tiny_folder, tokenizer  # noqa: F401 (fixtures)

from gluon_bert.cli import main
from gluon_bert.export.openvino import write_openvino
from gluon_bert.modeling.build import build_network

LENGTHS = [7, 1, 4]


@pytest.fixture
def openvino():
    pytest.importorskip('onnx', reason="needs onnx: pip install '.[openvino]'")
    return pytest.importorskip('openvino', reason="needs openvino: pip install '.[openvino]'")


def run(openvino, folder, batch):
    """Run the model of a folder: name of the output -> array."""
    model = openvino.Core().compile_model(
        str(folder / 'openvino_model.xml'), 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'}
    )
    given = graph_inputs(batch)
    found = model({put.any_name: given[put.any_name] for put in model.inputs})
    return {put.any_name: found[put] for put in model.outputs}


def assert_same_encodings(found, network, batch):
    expected = network(*batch.arrays())
    expected = expected if isinstance(expected, tuple) else (expected,)
    assert list(found) == ['last_hidden_state', 'pooler_output'][: len(expected)]
    hidden, where = found['last_hidden_state'], valid(batch)
    np.testing.assert_allclose(hidden[where], expected[0].asnumpy()[where], atol=1e-5)
    for pooled in expected[1:]:
        np.testing.assert_allclose(found['pooler_output'], pooled.asnumpy(), atol=1e-5)


@pytest.mark.parametrize('family', FAMILY_CONFIGS)
def test_encoder(openvino, family, make_model, ragged, tmp_path):
    network = make_model(family not in WITHOUT_POOLER, **FAMILY_CONFIGS[family])
    write_openvino(checkpoint_of(network, family=family), tmp_path / 'out')
    for lengths in (LENGTHS, [12]):
        batch = ragged(network.config, lengths)
        assert_same_encodings(run(openvino, tmp_path / 'out', batch), network, batch)


@pytest.mark.parametrize('head', ['classifier', 'span', 'tagger'])
def test_fine_tuned_heads(openvino, head, make_model, ragged, tmp_path):
    network = initialized(HEADS[head](make_model()))
    batch = ragged(network.config, LENGTHS)
    write_openvino(checkpoint_of(network), tmp_path / 'out')
    found, expected = run(openvino, tmp_path / 'out', batch), network(*batch.arrays()).asnumpy()
    scores = found.get('logits')
    if head == 'span':
        scores = np.stack([found['start_logits'], found['end_logits']], axis=2)
    where = valid(batch) if scores.ndim == 3 else slice(None)
    np.testing.assert_allclose(scores[where], expected[where], atol=1e-5)


def test_masked_words_and_sentence_vectors(openvino, make_model, ragged, tmp_path):
    network = initialized(HEADS['pretraining'](make_model()))
    batch, checkpoint = ragged(network.config, LENGTHS), checkpoint_of(network)
    write_openvino(checkpoint, tmp_path / 'words', head='masked_lm')
    everywhere = np.tile(np.arange(max(LENGTHS)), (len(LENGTHS), 1))
    arrays = batch.arrays()
    expected = network(*arrays, mx.nd.array(everywhere)).masked_lm.asnumpy()
    words = run(openvino, tmp_path / 'words', batch)['logits']
    np.testing.assert_allclose(words[valid(batch)], expected[valid(batch)], atol=1e-5)
    write_openvino(checkpoint, tmp_path / 'vectors', pooling='mean')
    vectors = run(openvino, tmp_path / 'vectors', batch)['sentence_embedding']
    sequence = network.bert(*arrays).sequence.asnumpy()
    means = np.stack([row[:n].mean(axis=0) for row, n in zip(sequence, batch.lengths)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, means, atol=1e-5)


def test_float16_halves_the_file(openvino, make_model, ragged, tmp_path):
    checkpoint = checkpoint_of(make_model())
    for dtype in ('float32', 'float16'):
        write_openvino(checkpoint, tmp_path / dtype, dtype=dtype)
    sizes = [
        (tmp_path / dtype / 'openvino_model.bin').stat().st_size for dtype in ('float32', 'float16')
    ]
    assert sizes[1] < 0.52 * sizes[0]
    network = build_network(rounded(checkpoint))
    batch = ragged(network.config, LENGTHS)
    assert_same_encodings(run(openvino, tmp_path / 'float16', batch), network, batch)


def test_command_writes_the_layout_of_optimum(openvino, tiny_folder, tmp_path, capsys):
    folder, _ = tiny_folder()
    out = tmp_path / 'out'
    assert main(['export', str(folder), '--to', 'openvino', str(out), '--dtype', 'float16']) == 0
    assert f'{out}/openvino_model.bin: ' in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} >= {
        'openvino_model.xml', 'openvino_model.bin', 'config.json', 'tokenizer.json',
        'tokenizer_config.json',
    }  # fmt: skip
    assert json.loads((out / 'config.json').read_text())['model_type'] == 'bert'
    # The folder in which it was made is not in the file.
    assert str(tmp_path) not in (out / 'openvino_model.xml').read_text()


def test_nothing_is_told_to_a_server(openvino, make_model, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError('it would start a process that sends what was converted')

    monkeypatch.setattr(openvino, 'convert_model', fail)
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))
    write_openvino(checkpoint_of(make_model()), tmp_path / 'out')
    assert not (tmp_path / 'home').exists()


def test_a_file_that_is_not_whole_is_no_export(openvino, make_model, tmp_path, monkeypatch):
    save = openvino.save_model

    def cut(model, path, **options):
        save(model, path, **options)
        with open(path, 'r+b') as file:
            file.truncate(1000)

    monkeypatch.setattr(openvino, 'save_model', cut)
    with pytest.raises(OSError, match='openvino_model.xml: OpenVINO did not write it whole'):
        write_openvino(checkpoint_of(make_model()), tmp_path / 'out')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('dtype', ['int8', 'int8-static', 'bfloat16'])
def test_other_types_are_refused(openvino, dtype, make_model, tmp_path):
    with pytest.raises(ValueError, match=f"dtype='{dtype}': expected one of .'float32', 'float16'"):
        write_openvino(checkpoint_of(make_model()), tmp_path / 'out', dtype=dtype)
    assert not list(tmp_path.iterdir())


def test_without_the_package_one_line_says_how_to_get_it(
    tiny_folder, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, 'openvino', None)
    folder, _ = tiny_folder()
    argv = ['export', str(folder), '--to', 'openvino', str(tmp_path / 'out')]
    assert main(argv) == 2
    assert capsys.readouterr().err == (
        'gluon-bert export: error: files of OpenVINO need the package openvino: '
        "pip install 'gluon_bert[openvino]'\n"
    )
    assert not (tmp_path / 'out').exists()
