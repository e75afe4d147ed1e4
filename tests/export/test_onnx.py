"""ONNX models: onnxruntime gives the outputs of the network, in every family, head and version."""

import json

import numpy as np
import pytest
from conftest import TINY
from export_networks import FAMILY_CONFIGS, checkpoint_of, head_of, initialized, run_onnx, valid
from script_runs import tiny_folder, tokenizer  # noqa: F401 (fixtures)

from gluon_bert.checkpoint import Checkpoint
from gluon_bert.cli import main
from gluon_bert.export import onnx as export_onnx
from gluon_bert.export.onnx import build_onnx, write_onnx
from gluon_bert.modeling.tagging import BertCrfTagger

onnx = pytest.importorskip('onnx', reason="needs onnx: pip install '.[onnx]'")
onnxruntime = pytest.importorskip('onnxruntime', reason='needs onnxruntime')

LENGTHS = [7, 1, 4]


@pytest.mark.parametrize('opset', [13, 14, 17, 18, 21])
@pytest.mark.parametrize('family', FAMILY_CONFIGS)
def test_encoder(family, opset, make_model, ragged):
    network = make_model(**FAMILY_CONFIGS[family])
    batch = ragged(network.config, LENGTHS)
    model = build_onnx(checkpoint_of(network), opset=opset)
    assert model.opset_import[0].version == opset
    found, expected = run_onnx(model, batch), network(*batch.arrays())
    assert list(found) == ['last_hidden_state', 'pooler_output']
    hidden = found['last_hidden_state'][valid(batch)]
    assert hidden == pytest.approx(expected.sequence.asnumpy()[valid(batch)], abs=1e-5)
    assert found['pooler_output'] == pytest.approx(expected.pooled.asnumpy(), abs=1e-5)


@pytest.mark.parametrize('family', FAMILY_CONFIGS)
@pytest.mark.parametrize('name', ['classifier', 'span', 'tagger'])
def test_fine_tuned_heads(name, family, make_model, ragged):
    network = head_of(name, make_model(**FAMILY_CONFIGS[family]))
    batch = ragged(network.config, LENGTHS)
    found = run_onnx(build_onnx(checkpoint_of(network)), batch)
    expected = network(*batch.arrays()).asnumpy()
    if name == 'span':
        found = {'logits': np.stack([found['start_logits'], found['end_logits']], axis=2)}
    scores = found['logits']
    where = valid(batch) if scores.ndim == 3 else slice(None)
    assert scores.shape == expected.shape
    assert scores[where] == pytest.approx(expected[where], abs=1e-5)


@pytest.mark.parametrize('family', ['bert', 'electra', 'albert'])
def test_pretraining_heads(family, make_model, ragged):
    import mxnet as mx

    network = head_of('pretraining', make_model(**FAMILY_CONFIGS[family]))
    batch, checkpoint = ragged(network.config, LENGTHS), checkpoint_of(network)
    everywhere = mx.nd.array(np.tile(np.arange(max(LENGTHS)), (len(LENGTHS), 1)))
    expected = network(*batch.arrays(), everywhere)
    words = run_onnx(build_onnx(checkpoint, head='masked_lm'), batch)['logits']
    assert words[valid(batch)] == pytest.approx(
        expected.masked_lm.asnumpy()[valid(batch)], abs=1e-5
    )
    pairs = run_onnx(build_onnx(checkpoint, head='next_sentence'), batch)['logits']
    assert pairs == pytest.approx(expected.next_sentence.asnumpy(), abs=1e-5)
    assert 'last_hidden_state' in run_onnx(build_onnx(checkpoint), batch)


@pytest.mark.parametrize('opset', [14, 17])
def test_operators_are_those_that_onnxruntime_fuses(opset, make_model, tmp_path):
    model = build_onnx(checkpoint_of(make_model()), opset=opset)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / 'fused.onnx')
    onnxruntime.InferenceSession(model.SerializeToString(), options)
    fused = [node.op_type for node in onnx.load(tmp_path / 'fused.onnx').graph.node]
    assert fused.count('LayerNormalization') == 1 + 2 * TINY.num_layers
    assert fused.count('BiasGelu') == TINY.num_layers
    assert not {'Erf', 'ReduceMean', 'Pow'} & {*fused}


def test_padding_and_other_sequences_change_nothing(make_model, ragged):
    network = make_model()
    model = build_onnx(checkpoint_of(network))
    batch, wide = ragged(network.config, LENGTHS), ragged(network.config, LENGTHS, width=30)
    wide.inputs[:, : max(LENGTHS)] = batch.inputs
    wide.token_types[:, : max(LENGTHS)] = batch.token_types
    narrow, padded = run_onnx(model, batch), run_onnx(model, wide)
    assert padded['pooler_output'] == pytest.approx(narrow['pooler_output'], abs=1e-5)


def test_float16_halves_the_file(make_model, ragged):
    network = make_model()
    batch, checkpoint = ragged(network.config, LENGTHS), checkpoint_of(network)
    whole, half = build_onnx(checkpoint), build_onnx(checkpoint, dtype='float16')
    sizes = [sum(len(w.raw_data) for w in model.graph.initializer) for model in (whole, half)]
    assert sizes[1] < 0.52 * sizes[0]
    rounded = {name: a.astype('float16').astype('float32') for name, a in checkpoint.arrays.items()}
    expected = run_onnx(build_onnx(Checkpoint(rounded, network.config)), batch)['pooler_output']
    assert run_onnx(half, batch)['pooler_output'] == pytest.approx(expected, abs=1e-5)


def test_folder_is_complete(make_model, tokenizer, tmp_path, ragged):  # noqa: F811
    network = initialized(BertCrfTagger(make_model(vocab_size=len(tokenizer.vocab)), 3))
    task = {'task': 'token-classification', 'kinds': ['x'], 'scheme': 'IOB2', 'max_len': 12}
    checkpoint = checkpoint_of(network, tokenizer=tokenizer, labels=('O', 'B-x', 'I-x'), task=task)
    write_onnx(checkpoint, tmp_path / 'out')
    assert {path.name for path in (tmp_path / 'out').iterdir()} >= {
        'config.json', 'onnx', 'settings.json', 'tokenizer.json', 'tokenizer_config.json'
    }  # fmt: skip
    settings = json.loads((tmp_path / 'out' / 'settings.json').read_text())
    assert settings['max_len'] == 12 and settings['labels'] == ['O', 'B-x', 'I-x']
    assert np.shape(settings['crf.transitions']) == (3, 3)
    config = json.loads((tmp_path / 'out' / 'config.json').read_text())
    assert config['id2label']['1'] == 'B-x' and config['num_attention_heads'] == TINY.num_heads
    batch = ragged(network.config, LENGTHS)
    scores = run_onnx(tmp_path / 'out' / 'onnx' / 'model.onnx', batch)['logits']
    expected = network(*batch.arrays()).asnumpy()
    assert scores[valid(batch)] == pytest.approx(expected[valid(batch)], abs=1e-5)


def test_large_weights_stand_beside_the_graph(make_model, ragged, tmp_path, monkeypatch):
    network = make_model()
    monkeypatch.setattr(export_onnx, '_LARGEST', 1000)
    write_onnx(checkpoint_of(network), tmp_path / 'out')
    file, data = (tmp_path / 'out' / 'onnx' / name for name in ('model.onnx', 'model.onnx_data'))
    assert data.stat().st_size > file.stat().st_size
    batch = ragged(network.config, LENGTHS)
    expected = network(*batch.arrays()).pooled.asnumpy()
    assert run_onnx(file, batch)['pooler_output'] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    'options, message',
    [
        ({'opset': 12}, 'opset=12: expected 13 to 21'),
        ({'opset': 22}, 'opset=22: expected 13 to 21'),
        ({'opset': 14.0}, 'opset=14.0: expected'),
        ({'dtype': 'int4'}, "dtype 'int4' is unknown; did you mean 'int8'"),
        ({'head': 'spam'}, "head='spam'.*: this network has none"),
        ({'head': 'span'}, "head='span'.*: this network has none"),
        ({'pooling': 'spam'}, "pooling='spam': expected one of"),
        ({'normalize': False}, 'normalize is for sentence vectors'),
    ],
)
def test_what_cannot_be_is_refused(options, message, make_model, tmp_path):
    with pytest.raises(ValueError, match=message):
        write_onnx(checkpoint_of(make_model()), tmp_path / 'out', **options)
    assert not list(tmp_path.iterdir())


def test_command(tiny_folder, tmp_path, capsys):  # noqa: F811
    folder, _ = tiny_folder()
    out = tmp_path / 'exported'
    assert main(['export', str(folder), '--to', 'onnx', str(out), '--pooling', 'mean']) == 0
    assert f'{out}/onnx/model.onnx: ' in capsys.readouterr().out
    assert main(['export', str(folder), '--to', 'onnx', str(out)]) == 2
    assert 'is there already' in capsys.readouterr().err
    argv = ['export', str(folder), '--to', 'onnx', str(tmp_path / 'b'), '--probabilities']
    assert main(argv) == 2
    assert 'probabilities is no option of onnx' in capsys.readouterr().err
    assert not (tmp_path / 'b').exists()
