"""ONNX models: onnxruntime gives the outputs of the network, in every family, head and version."""

import json

import numpy as np
import pytest
from conftest import TINY
from export_networks import initialized
from script_runs import tiny_folder, tokenizer  # noqa: F401 (fixtures)

import gluon_bert as gb
from gluon_bert.checkpoint import Checkpoint
from gluon_bert.checkpoint.sentence import Dense, SentenceSettings
from gluon_bert.cli import main
from gluon_bert.export import onnx as export_onnx
from gluon_bert.export.onnx import build_onnx, write_onnx
from gluon_bert.modeling.tagging import BertCrfTagger

onnx = pytest.importorskip('onnx', reason="needs onnx: pip install '.[onnx]'")
onnxruntime = pytest.importorskip('onnxruntime', reason='needs onnxruntime')

LENGTHS = [7, 1, 4]
# Changes of the configuration as the families have them.
FAMILIES = {
    'bert': {},
    'roberta': {'num_token_types': 0, 'layer_norm_eps': 1e-5},
    'distilbert': {'num_token_types': 0, 'pooler_activation': 'relu'},
    'electra': {'embedding_units': 10, 'pooler_activation': 'gelu'},
    'albert': {'embedding_units': 10, 'share_layers': True, 'activation': 'gelu_tanh'},
    'relu': {'activation': 'relu', 'layer_norm_eps': 1e-3},
}


def head_of(name, bert):
    make = {
        'classifier': lambda: gb.BertClassifier(bert, 3),
        'span': lambda: gb.BertForQA(bert),
        'tagger': lambda: gb.BertTagger(bert, 5),
        'pretraining': lambda: gb.BertForPretraining(bert),
    }[name]
    return initialized(make())


def checkpoint_of(network, **fields):
    return Checkpoint(network.checkpoint_arrays(), network.config, **fields)


def run(model, batch):
    """Run a model, or the file of one: name of the output -> array."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    source = str(model) if not hasattr(model, 'graph') else model.SerializeToString()
    session = onnxruntime.InferenceSession(source, options)
    given = {
        'input_ids': batch.inputs,
        'attention_mask': np.arange(batch.inputs.shape[1]) < batch.lengths[:, None],
        'token_type_ids': batch.token_types,
    }
    inputs = {put.name: given[put.name].astype('int64') for put in session.get_inputs()}
    outputs = session.run(None, inputs)
    return dict(zip((put.name for put in session.get_outputs()), outputs))


def valid(batch):
    return np.arange(batch.inputs.shape[1]) < batch.lengths[:, None]


@pytest.mark.parametrize('opset', [13, 14, 17, 18, 21])
@pytest.mark.parametrize('family', FAMILIES)
def test_encoder(family, opset, make_model, ragged):
    network = make_model(**FAMILIES[family])
    batch = ragged(network.config, LENGTHS)
    model = build_onnx(checkpoint_of(network), opset=opset)
    assert model.opset_import[0].version == opset
    found, expected = run(model, batch), network(*batch.arrays())
    assert list(found) == ['last_hidden_state', 'pooler_output']
    hidden = found['last_hidden_state'][valid(batch)]
    assert hidden == pytest.approx(expected.sequence.asnumpy()[valid(batch)], abs=1e-5)
    assert found['pooler_output'] == pytest.approx(expected.pooled.asnumpy(), abs=1e-5)


@pytest.mark.parametrize('family', FAMILIES)
@pytest.mark.parametrize('name', ['classifier', 'span', 'tagger'])
def test_fine_tuned_heads(name, family, make_model, ragged):
    network = head_of(name, make_model(**FAMILIES[family]))
    batch = ragged(network.config, LENGTHS)
    found = run(build_onnx(checkpoint_of(network)), batch)
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

    network = head_of('pretraining', make_model(**FAMILIES[family]))
    batch, checkpoint = ragged(network.config, LENGTHS), checkpoint_of(network)
    everywhere = mx.nd.array(np.tile(np.arange(max(LENGTHS)), (len(LENGTHS), 1)))
    expected = network(*batch.arrays(), everywhere)
    words = run(build_onnx(checkpoint, head='masked_lm'), batch)['logits']
    assert words[valid(batch)] == pytest.approx(
        expected.masked_lm.asnumpy()[valid(batch)], abs=1e-5
    )
    pairs = run(build_onnx(checkpoint, head='next_sentence'), batch)['logits']
    assert pairs == pytest.approx(expected.next_sentence.asnumpy(), abs=1e-5)
    assert 'last_hidden_state' in run(build_onnx(checkpoint), batch)


@pytest.mark.parametrize('normalize', [True, False])
@pytest.mark.parametrize('pooling', ['mean', 'cls'])
def test_sentence_vectors(pooling, normalize, make_model, ragged):
    network = make_model()
    batch = ragged(network.config, LENGTHS)
    model = build_onnx(checkpoint_of(network), pooling=pooling, normalize=normalize, opset=18)
    sequence = network(*batch.arrays()).sequence.asnumpy()
    expected = sequence[:, 0]
    if pooling == 'mean':
        expected = np.stack([row[:n].mean(axis=0) for row, n in zip(sequence, batch.lengths)])
    if normalize:
        expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    assert run(model, batch)['sentence_embedding'] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    'modes, modules, asked, message',
    [
        (('cls',), (), 'mean', "pooling='mean': this model makes its vectors by cls"),
        (('mean', 'max'), (), 'mean', 'by mean.max'),
        (('mean',), (Dense(np.eye(24, dtype='float32')),), 'mean', 'by mean and Dense'),
    ],
)
def test_vectors_are_those_of_the_model(modes, modules, asked, message, make_model, caplog):
    checkpoint = checkpoint_of(make_model(), sentence=SentenceSettings(modes, modules))
    with pytest.raises(ValueError, match=message):
        build_onnx(checkpoint, pooling=asked)
    build_onnx(checkpoint)
    assert 'the graph has no sentence vectors' in caplog.text


def test_padding_and_other_sequences_change_nothing(make_model, ragged):
    network = make_model()
    model = build_onnx(checkpoint_of(network))
    batch, wide = ragged(network.config, LENGTHS), ragged(network.config, LENGTHS, width=30)
    wide.inputs[:, : max(LENGTHS)] = batch.inputs
    wide.token_types[:, : max(LENGTHS)] = batch.token_types
    narrow, padded = run(model, batch), run(model, wide)
    assert padded['pooler_output'] == pytest.approx(narrow['pooler_output'], abs=1e-5)


def test_float16_halves_the_file(make_model, ragged):
    network = make_model()
    batch, checkpoint = ragged(network.config, LENGTHS), checkpoint_of(network)
    whole, half = build_onnx(checkpoint), build_onnx(checkpoint, dtype='float16')
    sizes = [sum(len(w.raw_data) for w in model.graph.initializer) for model in (whole, half)]
    assert sizes[1] < 0.52 * sizes[0]
    rounded = {name: a.astype('float16').astype('float32') for name, a in checkpoint.arrays.items()}
    expected = run(build_onnx(Checkpoint(rounded, network.config)), batch)['pooler_output']
    assert run(half, batch)['pooler_output'] == pytest.approx(expected, abs=1e-5)


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
    scores = run(tmp_path / 'out' / 'onnx' / 'model.onnx', batch)['logits']
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
    assert run(file, batch)['pooler_output'] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    'options, message',
    [
        ({'opset': 12}, 'opset=12: expected 13 to 21'),
        ({'opset': 22}, 'opset=22: expected 13 to 21'),
        ({'opset': 14.0}, 'opset=14.0: expected'),
        ({'dtype': 'int4'}, "dtype='int4': expected one of"),
        ({'head': 'spam'}, "head='spam'.*: this network has none"),
        ({'head': 'span'}, "head='span'.*: this network has none"),
        ({'pooling': 'max'}, "pooling='max': expected one of"),
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


@pytest.mark.weights
def test_real_sentence_vectors(real_folder, tmp_path):
    from gluon_bert.zoo import open_checkpoint

    checkpoint = open_checkpoint('bert_6_384_12/all_minilm_l6_v2')
    texts = ['A cat sleeps on the sofa.', 'The train leaves.']
    model, _ = gb.get_model('bert_6_384_12', 'all_minilm_l6_v2')
    expected = gb.SentenceEncoder(model, checkpoint.tokenizer).encode(texts)
    write_onnx(checkpoint, tmp_path / 'out', pooling='mean')
    from tokenizers import Tokenizer

    reader = Tokenizer.from_file(str(tmp_path / 'out' / 'tokenizer.json'))
    reader.no_truncation()
    reader.enable_padding()
    encoded = reader.encode_batch(texts)
    session = onnxruntime.InferenceSession(str(tmp_path / 'out' / 'onnx' / 'model.onnx'))
    inputs = {
        'input_ids': [one.ids for one in encoded],
        'attention_mask': [one.attention_mask for one in encoded],
        'token_type_ids': [one.type_ids for one in encoded],
    }
    found = session.run(['sentence_embedding'], {k: np.array(v) for k, v in inputs.items()})[0]
    assert found == pytest.approx(expected, abs=1e-5)
