# ruff: noqa: F811 (fixtures are imported)
"""Exported ONNX folders in transformers.js: its pipelines give what those of this package give."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from export_networks import FAMILY_CONFIGS, checkpoint_of, head_of
from script_runs import WORDS, tiny_pipeline, tokenizer  # noqa: F401 (fixtures)
from test_tokenizer_families import byte_pair, byte_pair_folder, spiece  # noqa: F401 (fixtures)

import gluon_bert as gb
from gluon_bert.checkpoint.sentence import Dense, Normalize, SentenceSettings
from gluon_bert.export import export
from gluon_bert.export import onnx as export_onnx
from gluon_bert.export.onnx import write_onnx
from gluon_bert.zoo import open_checkpoint

pytest.importorskip('onnx', reason="needs onnx: pip install '.[onnx]'")

VARIABLE = 'GLUON_BERT_NODE_MODULES'
SCRIPT = Path(__file__).with_name('transformers_js.mjs')
TEXTS = ['the cat sleeps', 'a dog barks loudly , the cat sleeps here', 'Sun']


@pytest.fixture(scope='module')
def run_js():
    """Run jobs in Node: list of dicts -> list of results."""
    modules, node = os.environ.get(VARIABLE, ''), shutil.which('node')
    if node is None:
        pytest.skip('needs node')
    if not (Path(modules) / '@huggingface' / 'transformers').is_dir():
        pytest.skip(f'needs {VARIABLE}, a folder with @huggingface/transformers')

    def run(*jobs):
        done = subprocess.run(
            [node, str(SCRIPT)], input=json.dumps(jobs), capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture
def exported(tiny_pipeline, tmp_path):
    """Export a tiny network of a task: task, settings -> pipeline, folder."""

    def make(task, dtype='float32', **settings):
        pipeline = tiny_pipeline(task, folder=tmp_path / task, **settings)
        folder = tmp_path / f'{task}_onnx'
        export(open_checkpoint(tmp_path / task), folder, 'onnx', {'dtype': dtype})
        return pipeline, str(folder)

    return make


@pytest.fixture
def sentence_model(make_model, tokenizer, tmp_path):
    """Export a tiny sentence model: settings -> encoder, folder."""

    def make(dtype='float32', **settings):
        network = make_model(vocab_size=len(WORDS))
        network.sentence = SentenceSettings(**settings)
        checkpoint = checkpoint_of(network, tokenizer=tokenizer, sentence=network.sentence)
        folder = tmp_path / f'vectors_{dtype}'
        write_onnx(checkpoint, folder, dtype)
        return gb.SentenceEncoder(network, tokenizer), str(folder)

    return make


def test_vectors(run_js, sentence_model):
    encoder, folder = sentence_model(modules=(Normalize(),))
    pooling = {'pooling': 'mean', 'normalize': True}
    expected = encoder.encode(TEXTS)
    extracted, vectors = run_js(
        {'task': 'feature-extraction', 'folder': folder, 'inputs': [TEXTS], 'options': pooling},
        {'task': 'sentence_embedding', 'folder': folder, 'inputs': [TEXTS]},
    )
    assert np.array(extracted) == pytest.approx(expected, abs=1e-6)
    assert np.array(vectors) == pytest.approx(expected, abs=1e-6)


def test_vectors_that_its_pipeline_does_not_make(run_js, sentence_model):
    weight = np.random.RandomState(0).standard_normal((7, 48)).astype('float32') / 7
    modules = (Dense(weight, None), Normalize())
    encoder, folder = sentence_model(modes=('max', 'lasttoken'), modules=modules)
    (vectors,) = run_js({'task': 'sentence_embedding', 'folder': folder, 'inputs': [TEXTS]})
    assert np.array(vectors) == pytest.approx(encoder.encode(TEXTS), abs=1e-6)


@pytest.mark.parametrize('dtype, name', [('float16', 'fp16'), ('int8', 'q8')])
def test_each_type_is_found_with_its_name_and_without(dtype, name, run_js, sentence_model):
    encoder, folder = sentence_model(dtype, modules=(Normalize(),))
    job = {'task': 'sentence_embedding', 'folder': folder, 'inputs': [TEXTS]}
    named, unnamed = run_js({**job, 'load': {'dtype': name}}, job)
    assert named == unnamed
    cosines = (np.array(named) * encoder.encode(TEXTS)).sum(axis=1)
    assert (cosines > 0.98).all() and not np.allclose(named, encoder.encode(TEXTS), atol=1e-6)


def test_weights_in_a_file_of_their_own(run_js, sentence_model, monkeypatch):
    monkeypatch.setattr(export_onnx, '_LARGEST', 1000)
    encoder, folder = sentence_model(modules=(Normalize(),))
    assert (Path(folder) / 'onnx' / 'model.onnx_data').is_file()
    (vectors,) = run_js({'task': 'sentence_embedding', 'folder': folder, 'inputs': [TEXTS]})
    assert np.array(vectors) == pytest.approx(encoder.encode(TEXTS), abs=1e-6)


@pytest.mark.parametrize('task', ['text-classification', 'multi-label-classification'])
def test_text_classification(task, run_js, exported):
    pipeline, folder = exported(task)
    (found,) = run_js(
        {
            'task': 'text-classification',
            'folder': folder,
            'inputs': [TEXTS],
            'options': {'top_k': 3},
        }
    )
    for row, expected in zip(found, pipeline(TEXTS)):
        scores = {one['label']: one['score'] for one in row}
        assert scores == pytest.approx(dict(expected.probabilities), abs=1e-5)
    assert len(found) == len(TEXTS)


def test_token_classification(run_js, exported):
    pipeline, folder = exported('token-classification')
    text = 'the cat sleeps here without sun'
    (found,) = run_js(
        {
            'task': 'token-classification',
            'folder': folder,
            'inputs': [text],
            'options': {'ignore_labels': []},
        }
    )
    # A word is a token here, but for 'without', which is two.
    tags = [one['entity'] for one in found if not one['word'].startswith('##')]
    assert tags == pipeline.raw_tags([text.split()])[0]


def test_question_answering(run_js, exported):
    pipeline, folder = exported('question-answering', max_answer_length=20)
    question, context = 'the cat', 'a dog barks here without the sun'
    (found,) = run_js(
        {'task': 'question-answering', 'folder': folder, 'inputs': [question, context]}
    )
    assert found['answer'] == pipeline([(question, context)])[0].text


def test_fill_mask(run_js, make_model, tokenizer, tmp_path):
    from gluon_bert.pipelines.loading import checkpoint_pipeline

    network = head_of('pretraining', make_model(vocab_size=len(WORDS)))
    checkpoint = checkpoint_of(network, tokenizer=tokenizer)
    write_onnx(checkpoint, tmp_path / 'words', head='masked_lm')
    text = 'the [MASK] sleeps here'
    job = {'task': 'fill-mask', 'inputs': [text], 'options': {'top_k': 3}}
    (found,) = run_js({**job, 'folder': str(tmp_path / 'words')})
    ((expected,),) = checkpoint_pipeline(checkpoint)([text])
    scores = [(one['token_str'], one['token']) for one in found]
    assert scores == [(word.token, word.token_id) for word in expected[:3]]
    assert [one['score'] for one in found] == pytest.approx(
        [word.probability for word in expected[:3]], abs=1e-5
    )


@pytest.mark.parametrize('family', ['roberta', 'xlm-roberta', 'albert'])
def test_vectors_with_other_tokenizers(family, run_js, make_model, request, tmp_path):
    if family == 'roberta':
        tokenizer = request.getfixturevalue('byte_pair')
    else:
        tokenizer = gb.data.SentencePieceTokenizer(request.getfixturevalue('spiece'))
    network = make_model(vocab_size=len(tokenizer.vocab), **FAMILY_CONFIGS[family])
    if not network.config.num_token_types:
        tokenizer = tokenizer.without_token_types()
    write_onnx(checkpoint_of(network, family=family, tokenizer=tokenizer), tmp_path / 'out')
    texts = ['The cat sleeps.', 'Hello,  world! Ünder 12', '']
    job = {'task': 'feature-extraction', 'folder': str(tmp_path / 'out'), 'inputs': [texts]}
    (found,) = run_js({**job, 'options': {'pooling': 'mean', 'normalize': True}})
    expected = gb.SentenceEncoder(network, tokenizer).encode(texts)
    assert np.array(found) == pytest.approx(expected, abs=1e-6)


def test_long_texts_are_cut_at_the_length_of_the_model(run_js, sentence_model):
    _, folder = sentence_model(modules=(Normalize(),), max_length=8)
    job = {'task': 'feature-extraction', 'folder': folder}
    long, cut = run_js(
        {**job, 'inputs': ['the cat ' * 9]}, {**job, 'inputs': ['the cat the cat the cat the']}
    )
    assert np.shape(long) == (1, 8, 24)
    # The last token of the cut text is its ninth, [SEP], which goes too.
    assert np.array(long) == pytest.approx(np.array(cut), abs=1e-6)


@pytest.mark.weights
def test_real_sentence_vectors(run_js, real_folder, tmp_path):
    encoder = gb.SentenceEncoder('all_minilm_l6_v2')
    texts = ['A cat sleeps on the sofa.', 'The train leaves, as few had thought it would.']
    write_onnx(open_checkpoint('bert_6_384_12/all_minilm_l6_v2'), tmp_path / 'out')
    job = {'folder': str(tmp_path / 'out'), 'inputs': [texts]}
    pooling = {'pooling': 'mean', 'normalize': True}
    extracted, vectors = run_js(
        {**job, 'task': 'feature-extraction', 'options': pooling},
        {**job, 'task': 'sentence_embedding'},
    )
    expected = encoder.encode(texts)
    assert np.array(extracted) == pytest.approx(expected, abs=1e-6)
    assert np.array(vectors) == pytest.approx(expected, abs=1e-6)
