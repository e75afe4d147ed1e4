"""The vectors of a real sentence model in OpenVINO, CTranslate2 and sentence-transformers."""

import warnings

import numpy as np
import pytest
from tokenizers import Tokenizer

import gluon_bert as gb
from gluon_bert.export import export
from gluon_bert.zoo import open_checkpoint

pytestmark = pytest.mark.weights
TEXTS = ['A cat sleeps on the sofa.', 'The train to Basel leaves at noon.', 'Naïve cafés, 2024!']


@pytest.fixture
def exported(real_folder, tmp_path):
    """Export the model: format, options -> folder, the encoded texts."""

    def write(to, **options):
        export(open_checkpoint(real_folder), tmp_path / to, to, options)
        reader = Tokenizer.from_file(str(tmp_path / to / 'tokenizer.json'))
        reader.no_truncation()
        reader.no_padding()
        return tmp_path / to, reader.encode_batch(TEXTS)

    return write


@pytest.fixture
def vectors(real_model):
    return gb.SentenceEncoder('all_minilm_l6_v2').encode(TEXTS)


@pytest.mark.parametrize('dtype, tolerance', [('float32', 1e-6), ('float16', 1e-3)])
def test_openvino(exported, vectors, dtype, tolerance):
    pytest.importorskip('onnx', reason='needs onnx')
    openvino = pytest.importorskip('openvino', reason='needs openvino')
    folder, texts = exported('openvino', dtype=dtype)
    model = openvino.Core().compile_model(
        str(folder / 'openvino_model.xml'), 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'}
    )
    for text, expected in zip(texts, vectors):
        given = {
            'input_ids': text.ids,
            'attention_mask': text.attention_mask,
            'token_type_ids': text.type_ids,
        }
        found = model({name: np.array([values], 'int64') for name, values in given.items()})
        np.testing.assert_allclose(found['sentence_embedding'][0], expected, atol=tolerance)


@pytest.mark.parametrize('quantization, tolerance', [(None, 1e-6), ('float16', 1e-3)])
def test_ctranslate2(exported, vectors, quantization, tolerance):
    ctranslate2 = pytest.importorskip('ctranslate2', reason='needs ctranslate2')
    options = {'quantization': quantization} if quantization else {}
    folder, texts = exported('ctranslate2', **options)
    encoder = ctranslate2.Encoder(str(folder), compute_type='float32')
    found = encoder.forward_batch([text.ids for text in texts])
    for text, row, expected in zip(texts, np.array(found.last_hidden_state), vectors):
        mean = row[: len(text.ids)].mean(axis=0)
        np.testing.assert_allclose(mean / np.linalg.norm(mean), expected, atol=tolerance)


def test_sentence_transformers(exported, vectors):
    with warnings.catch_warnings():  # of packages while they are imported
        warnings.simplefilter('ignore')
        library = pytest.importorskip('sentence_transformers', reason='needs it')
    folder, _ = exported('huggingface')
    model = library.SentenceTransformer(str(folder), device='cpu')
    np.testing.assert_allclose(model.encode(TEXTS), vectors, atol=1e-6)
