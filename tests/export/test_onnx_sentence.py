"""Sentence vectors of ONNX models: onnxruntime gives those of SentenceEncoder."""

import json

import numpy as np
import pytest
from export_networks import checkpoint_of, head_of, run_onnx
from script_runs import tokenizer  # noqa: F401 (fixture)

import gluon_bert as gb
from gluon_bert.checkpoint import read_checkpoint
from gluon_bert.checkpoint.sentence import (
    ACTIVATIONS,
    POOLING_MODES,
    Dense,
    LayerNorm,
    Normalize,
    SentenceSettings,
)
from gluon_bert.export import export
from gluon_bert.export.onnx import build_onnx, write_onnx

onnx = pytest.importorskip('onnx', reason="needs onnx: pip install '.[onnx]'")
onnxruntime = pytest.importorskip('onnxruntime', reason='needs onnxruntime')

TEXTS = [
    'the cat sleeps',
    'sun',
    'a dog barks loudly , the cat sleeps here without the sun .',
    'moon !',
]
UNITS = 24  # of the tiny network


def arrays_of(*shapes):
    rng = np.random.RandomState(3)
    return [rng.standard_normal(shape).astype('float32') for shape in shapes]


class Batch:
    """Texts as a padded batch of a tokenizer."""

    def __init__(self, tokenizer, texts, width=None):  # noqa: F811
        features = [gb.data.SentenceTransform(tokenizer, 40)(text) for text in texts]
        self.lengths = np.array([feature.valid_length for feature in features])
        shape = (len(texts), width or self.lengths.max())
        self.inputs, self.token_types = np.zeros(shape, int), np.zeros(shape, int)
        for row, feature in zip(self.inputs, features):
            row[: feature.valid_length] = feature.inputs


@pytest.fixture
def sentence_model(make_model, tokenizer):  # noqa: F811
    """Make a tiny sentence model: settings -> network, checkpoint."""

    def make(**settings):
        network = make_model(vocab_size=len(tokenizer.vocab))
        network.sentence = SentenceSettings(**settings) if settings else None
        return network, checkpoint_of(network, tokenizer=tokenizer, sentence=network.sentence)

    return make


def embed(checkpoint, tokenizer, **options):  # noqa: F811
    model = build_onnx(checkpoint, **options)
    return run_onnx(model, Batch(tokenizer, TEXTS, width=30))['sentence_embedding']


@pytest.mark.parametrize('opset', [13, 18])
@pytest.mark.parametrize('modes', [*((mode,) for mode in POOLING_MODES), ('max', 'cls', 'mean')])
@pytest.mark.parametrize('normalize', [None, False])
def test_each_pooling_of_a_sentence_model(modes, opset, normalize, sentence_model, tokenizer):  # noqa: F811
    network, checkpoint = sentence_model(modes=modes, modules=(Normalize(),))
    expected = gb.SentenceEncoder(network, tokenizer, normalize=normalize).encode(TEXTS)
    vectors = embed(checkpoint, tokenizer, opset=opset, normalize=normalize)
    assert vectors.shape == (len(TEXTS), UNITS * len(modes))
    assert vectors == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize('normalize', [None, True, False])
@pytest.mark.parametrize('pooling', [*POOLING_MODES, 'cls+mean', 'pooler'])
def test_pooling_of_another_encoder(pooling, normalize, sentence_model, tokenizer):  # noqa: F811
    network, checkpoint = sentence_model()
    encoder = gb.SentenceEncoder(network, tokenizer, pooling, normalize=normalize)
    vectors = embed(checkpoint, tokenizer, pooling=pooling, normalize=normalize)
    assert vectors == pytest.approx(encoder.encode(TEXTS), abs=1e-5)
    plain = build_onnx(checkpoint)
    assert 'sentence_embedding' not in [output.name for output in plain.graph.output]


@pytest.mark.parametrize('activation', ACTIVATIONS)
@pytest.mark.parametrize('similarity', ['cosine', 'dot'])
def test_modules(activation, similarity, sentence_model, tokenizer):  # noqa: F811
    weight, bias, gamma, beta, second = arrays_of((10, 2 * UNITS), 10, 10, 10, (7, 10))
    modules = (
        Dense(weight, bias, activation),
        LayerNorm(gamma, beta),
        Normalize(),
        Dense(second, None, activation),
    )
    network, checkpoint = sentence_model(
        modes=('mean', 'cls'), modules=modules, similarity=similarity
    )
    expected = gb.SentenceEncoder(network, tokenizer).encode(TEXTS)
    vectors = embed(checkpoint, tokenizer)
    assert vectors.shape == (len(TEXTS), 7)
    assert vectors == pytest.approx(expected, abs=1e-5)
    is_scaled = np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert is_scaled == (similarity == 'cosine')


def test_names_of_the_outputs(sentence_model):
    _, checkpoint = sentence_model(modes=('max',))
    names = [output.name for output in build_onnx(checkpoint).graph.output]
    assert names == ['last_hidden_state', 'pooler_output', 'sentence_embedding']


def test_vectors_are_those_of_the_model(sentence_model):
    _, checkpoint = sentence_model(modes=('mean', 'max'))
    with pytest.raises(ValueError, match=r"pooling='mean': this model .* by mean\+max: leave"):
        build_onnx(checkpoint, pooling='mean')
    build_onnx(checkpoint, pooling='mean+max')


def test_vectors_need_the_encoder_alone(make_model):
    checkpoint = checkpoint_of(head_of('pretraining', make_model()))
    with pytest.raises(ValueError, match="pooling='mean': .* need head='none', got 'masked_lm'"):
        build_onnx(checkpoint, head='masked_lm', pooling='mean')


def test_pooler_must_be_there(make_model):
    checkpoint = checkpoint_of(make_model(use_pooler=False))
    with pytest.raises(ValueError, match="pooling='pooler': the network has no pooler"):
        build_onnx(checkpoint, pooling='pooler')


def test_what_a_graph_of_tokens_cannot_do_is_said(sentence_model, caplog):
    _, checkpoint = sentence_model(prompts={'query': 'find: '}, include_prompt=False, lower=True)
    build_onnx(checkpoint)
    assert "leaves out those of a prompt ('query')" in caplog.text
    assert 'wants texts in lower case' in caplog.text


def test_what_a_graph_leaves_out_is_named(sentence_model, tmp_path):
    _, checkpoint = sentence_model(prompts={'query': 'find: '}, include_prompt=False, lower=True)
    limits = {limit.part: limit.place for limit in export(checkpoint, tmp_path / 'out', 'onnx')}
    assert limits == {
        'the prompts': 'config_sentence_transformers.json',
        'that the tokens of a prompt are left out of the pooling': '1_Pooling/config.json',
        'the lower-casing of texts before the tokenizer': 'sentence_bert_config.json',
    }
    card = (tmp_path / 'out' / 'README.md').read_text()
    assert all(part in card for part in limits)


def test_files_of_sentence_transformers_are_beside_the_graph(
    sentence_model,
    tokenizer,  # noqa: F811
    tmp_path,
):
    (weight,) = arrays_of((7, UNITS))
    modules = (Dense(weight, None), Normalize())
    network, checkpoint = sentence_model(modes=('max',), modules=modules, max_length=12)
    write_onnx(checkpoint, tmp_path / 'out')
    config = json.loads((tmp_path / 'out' / 'tokenizer_config.json').read_text())
    assert config['model_max_length'] == 12
    # With the network's weights beside them the same files are those of the sentence model.
    gb.SentenceEncoder(network, tokenizer).save(tmp_path / 'whole')
    (tmp_path / 'whole' / 'model.safetensors').rename(tmp_path / 'out' / 'model.safetensors')
    assert read_checkpoint(tmp_path / 'out').sentence == network.sentence


@pytest.mark.parametrize('dtype, file', [('float32', None), ('int8', 'model_quantized.onnx')])
def test_sentence_transformers_finds_the_graph(dtype, file, sentence_model, tmp_path):
    utils = pytest.importorskip(
        'sentence_transformers.backend.utils', reason='needs sentence-transformers'
    )
    _, checkpoint = sentence_model(modes=('mean',))
    write_onnx(checkpoint, tmp_path / 'out', dtype)
    options = {'file_name': file} if file else {}
    is_exported, options = utils.backend_should_export(
        tmp_path / 'out', True, options, 'model.onnx', '*.onnx', 'ONNX'
    )
    assert not is_exported
    assert (tmp_path / 'out' / options['subfolder'] / options['file_name']).is_file()


@pytest.mark.weights
def test_real_sentence_vectors(real_folder, tmp_path):
    from tokenizers import Tokenizer

    from gluon_bert.zoo import open_checkpoint

    checkpoint = open_checkpoint('bert_6_384_12/all_minilm_l6_v2')
    texts = ['A cat sleeps on the sofa.', 'The train leaves.']
    model, _ = gb.get_model('bert_6_384_12', 'all_minilm_l6_v2')
    expected = gb.SentenceEncoder(model, checkpoint.tokenizer).encode(texts)
    write_onnx(checkpoint, tmp_path / 'out')
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
