# ruff: noqa: F811 (fixtures are imported)
"""Folders of sentence-transformers: what they say about their vectors is done, or refused."""

import json
import math
import pickle

import mxnet as mx
import numpy as np
import pytest
from safetensors.numpy import save_file
from script_runs import WORDS, tokenizer  # noqa: F401 (fixtures)

import gluon_bert as gb
from gluon_bert.checkpoint import read_checkpoint, write_checkpoint
from gluon_bert.checkpoint.schema import Checkpoint
from gluon_bert.config import BertConfig
from gluon_bert.zoo import load_model

TEXTS = ['The cat sleeps here', 'a DOG barks loudly , without the moon !', 'sun', 'the dogs']
UNITS = 8
KEYS = {
    'cls': 'pooling_mode_cls_token',
    'max': 'pooling_mode_max_tokens',
    'mean': 'pooling_mode_mean_tokens',
    'mean_sqrt_len': 'pooling_mode_mean_sqrt_len_tokens',
    'weightedmean': 'pooling_mode_weightedmean_tokens',
    'lasttoken': 'pooling_mode_lasttoken',
}
OLD, NEW = 'sentence_transformers.models.', 'sentence_transformers.sentence_transformer.modules.'


@pytest.fixture(params=['native', 'gluon'])
def backend(request, monkeypatch):
    if request.param == 'gluon':
        monkeypatch.setattr('gluon_bert.kernels.encoder.accepts', lambda bert: False)
    elif not gb.kernels.load():
        pytest.skip('native kernels are not built')


@pytest.fixture
def write(tokenizer, tmp_path):
    """Write a folder by hand; gives it with its network."""

    def call(modules, old_layout=False, types=OLD, name='folder', **network_settings):
        config = BertConfig(len(WORDS) + 3, UNITS, 16, 1, 2, 30, 2, 0.1, 1e-12, 'gelu', 'tanh')
        bert = gb.BertModel(config)
        bert.initialize(mx.init.Normal(0.3))
        bert(mx.nd.array([[1, 2]]))
        folder = tmp_path / name
        network = folder / '0_Transformer' if old_layout else folder
        checkpoint = Checkpoint(bert.checkpoint_arrays(), config, tokenizer=tokenizer)
        write_checkpoint(checkpoint, network, 'huggingface')
        entries = [{'idx': 0, 'path': '0_Transformer' if old_layout else '', 'type': 'Transformer'}]
        for number, (kind, values, arrays) in enumerate(modules, 1):
            path = f'{number}_{kind.rpartition(".")[2]}'
            entries.append({'idx': number, 'path': path, 'type': kind})
            (folder / path).mkdir()
            (folder / path / 'config.json').write_text(json.dumps(values))
            if arrays:
                save_file(arrays, str(folder / path / 'model.safetensors'))
        for entry in entries:
            entry.update(name=str(entry['idx']))
            if '.' not in entry['type']:
                entry['type'] = types + entry['type']
        (folder / 'modules.json').write_text(json.dumps(entries))
        if network_settings:
            (network / 'sentence_bert_config.json').write_text(json.dumps(network_settings))
        return folder, bert

    return call


def pooling(*modes, **more):
    flags = {key: mode in modes for mode, key in KEYS.items()}
    return 'Pooling', {'word_embedding_dimension': UNITS, **flags, **more}, {}


def encodings(bert, tokenizer, text, longest=30):
    """Encodings of a text's tokens, (T, C), by the network alone."""
    ids = tokenizer.convert_tokens_to_ids(['[CLS]', *tokenizer(text)[: longest - 2], '[SEP]'])
    return bert(mx.nd.array([ids])).sequence.asnumpy()[0]


def pooled(rows, mode, skipped=0):
    """One way of pooling, written out."""
    kept = rows[skipped:]
    if mode in ('cls', 'lasttoken'):
        return rows[0 if mode == 'cls' else -1]
    if mode == 'max':
        return kept.max(axis=0)
    weights = [1.0] * len(kept)
    if mode == 'weightedmean':
        weights = [position + 1.0 for position in range(len(rows))][skipped:]
    total = sum(weight * row for weight, row in zip(weights, kept))
    return total / (len(kept) ** 0.5 if mode == 'mean_sqrt_len' else sum(weights))


def reference(bert, tokenizer, modes=('mean',), texts=TEXTS, skipped=0, longest=30):
    vectors = []
    for text in texts:
        rows = encodings(bert, tokenizer, text, longest)
        vectors.append(np.concatenate([pooled(rows, mode, skipped) for mode in modes]))
    return np.stack(vectors)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize('types', [OLD, NEW])
@pytest.mark.parametrize('old_layout', [False, True])
@pytest.mark.parametrize('modes', [*((mode,) for mode in KEYS), ('cls', 'mean'), tuple(KEYS)])
def test_every_pooling(write, tokenizer, backend, modes, old_layout, types):
    folder, bert = write([pooling(*modes)], old_layout, types)
    expected = reference(bert, tokenizer, modes)
    encoder = gb.SentenceEncoder(*load_model(folder))
    assert encoder.units == expected.shape[1]
    np.testing.assert_allclose(encoder.encode(TEXTS), unit(expected), atol=1e-5)
    np.testing.assert_allclose(encoder.encode(TEXTS, normalize=False), expected, atol=1e-5)
    named = gb.SentenceEncoder(folder)
    np.testing.assert_array_equal(named.encode(TEXTS), encoder.encode(TEXTS))
    again = pickle.loads(pickle.dumps(encoder))
    np.testing.assert_array_equal(again.encode(TEXTS), encoder.encode(TEXTS))


@pytest.mark.parametrize('given', ['mean', ['lasttoken', 'cls'], ['mean_sqrt_len_tokens']])
def test_pooling_as_version_5_writes_it(write, tokenizer, given):
    values = {'embedding_dimension': UNITS, 'pooling_mode': given, 'include_prompt': True}
    folder, bert = write([(NEW + 'pooling.Pooling', values, {})])
    modes = [mode.replace('_tokens', '') for mode in ([given] if isinstance(given, str) else given)]
    expected = unit(reference(bert, tokenizer, modes))
    np.testing.assert_allclose(gb.SentenceEncoder(folder).encode(TEXTS), expected, atol=1e-5)


ACTIVATIONS = {
    'activation.Tanh': np.tanh,
    'linear.Identity': lambda x: x,
    'activation.ReLU': lambda x: x * (x > 0),
    'activation.Sigmoid': lambda x: 1 / (1 + np.exp(-x)),
    'activation.GELU': lambda x: x * np.vectorize(lambda v: 0.5 * (1 + math.erf(v / 2**0.5)))(x),
}


def dense(made, bias=True, read=UNITS, activation='activation.Tanh'):
    arrays = {'linear.weight': np.random.randn(made, read).astype('float32')}
    if bias:
        arrays['linear.bias'] = np.random.randn(made).astype('float32')
    values = {
        'in_features': read, 'out_features': made, 'bias': bias,
        'activation_function': 'torch.nn.modules.' + activation,
    }  # fmt: skip
    return 'Dense', values, arrays


@pytest.mark.parametrize('bias', [True, False])
@pytest.mark.parametrize('activation', ACTIVATIONS)
def test_dense(write, tokenizer, activation, bias):
    module = dense(4, bias, activation=activation)
    folder, bert = write([pooling('mean'), module, ('Normalize', {}, {})])
    expected = reference(bert, tokenizer) @ module[2]['linear.weight'].T
    expected = ACTIVATIONS[activation](expected + module[2].get('linear.bias', 0))
    encoder = gb.SentenceEncoder(folder)
    assert encoder.units == 4
    np.testing.assert_allclose(encoder.encode(TEXTS), unit(expected), atol=1e-5)
    np.testing.assert_allclose(encoder.encode(TEXTS, normalize=False), expected, atol=1e-5)


def test_layer_norm_and_several_modules_in_their_order(write, tokenizer):
    gamma, beta = np.random.randn(2, 6).astype('float32')
    first, last = dense(6, read=2 * UNITS), dense(3, read=6)
    norm = ('LayerNorm', {'dimension': 6}, {'norm.weight': gamma, 'norm.bias': beta})
    modules = [pooling('max', 'mean'), first, ('Dropout', {'dropout': 0.5}, {}), norm]
    folder, bert = write([*modules, ('Normalize', {}, {}), last])
    (folder / 'config_sentence_transformers.json').write_text('{"similarity_fn_name": "dot"}')
    x = reference(bert, tokenizer, ('max', 'mean'))
    x = np.tanh(x @ first[2]['linear.weight'].T + first[2]['linear.bias'])
    x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5) * gamma + beta
    x = np.tanh(unit(x) @ last[2]['linear.weight'].T + last[2]['linear.bias'])
    encoder = gb.SentenceEncoder(folder)
    np.testing.assert_allclose(encoder.encode(TEXTS), x, atol=1e-5)
    np.testing.assert_allclose(encoder.similarity(TEXTS, TEXTS[:2]), x @ x[:2].T, atol=1e-5)


def test_length_and_lower_casing(write, tokenizer):
    folder, bert = write([pooling('mean')], True, max_seq_length=5, do_lower_case=True)
    cased = tokenizer.with_lower(False)
    cased.save(folder / '0_Transformer')
    expected = unit(reference(bert, cased, texts=[text.lower() for text in TEXTS], longest=5))
    encoder = gb.SentenceEncoder(folder)
    assert encoder.max_length == 5
    with pytest.warns(UserWarning, match='3 of 4 texts|2 of 4 texts'):
        np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=1e-5)
    assert gb.SentenceEncoder(*load_model(folder), max_length=9).max_length == 9
    assert gb.SentenceEncoder(folder / '0_Transformer').max_length == 5


@pytest.mark.parametrize('include', [True, False])
@pytest.mark.parametrize('mode', KEYS)
def test_prompts(write, tokenizer, backend, mode, include):
    folder, bert = write([pooling(mode, include_prompt=include)])
    settings = {'prompts': {'query': 'the moon ', 'document': ''}, 'default_prompt_name': 'query'}
    (folder / 'config_sentence_transformers.json').write_text(json.dumps(settings))
    encoder = gb.SentenceEncoder(folder)
    spoken = ['the moon ' + text for text in TEXTS]
    skipped = 0 if include else 3  # [CLS] the moon
    expected = unit(reference(bert, tokenizer, (mode,), spoken, skipped))
    np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=1e-5)
    plain = unit(reference(bert, tokenizer, (mode,)))
    np.testing.assert_allclose(encoder.encode(TEXTS, prompt_name='document'), plain, atol=1e-5)
    np.testing.assert_allclose(encoder.encode(TEXTS, prompt='the moon '), expected, atol=1e-5)
    scores = encoder.search(TEXTS[:1], TEXTS, k=4)[1][0]
    np.testing.assert_allclose(scores, np.sort(plain @ expected[0])[::-1], atol=1e-5)
    with pytest.raises(ValueError, match="'queri'.*'query'"):
        encoder.encode(TEXTS, prompt_name='queri')


REFUSED = {
    'a CNN': ([('CNN', {}, {}), pooling('mean')], 'CNN'),
    'an LSTM': ([('LSTM', {}, {}), pooling('mean')], 'LSTM'),
    'a router': ([pooling('mean'), ('Router', {}, {})], 'Router'),
    'layers': ([('WeightedLayerPooling', {}, {}), pooling('mean')], 'WeightedLayerPooling'),
    'code': ([pooling('mean'), ('custom_module.Thing', {}, {})], 'custom_module.Thing'),
    'no pooling': ([], 'no Pooling'),
    'pooling unknown': ([pooling('mean', pooling_mode_best=True)], 'pooling_mode_best'),
    'new unknown': ([pooling(pooling_mode='meen')], "'meen'.*mean"),
    'no way of pooling': ([pooling()], 'ways of pooling'),
    'another width': ([pooling('mean', word_embedding_dimension=9)], '9 units'),
    'activation': ([pooling('mean'), dense(4, activation='activation.Mish')], 'Mish'),
    'Dense for others': ([pooling('mean'), dense(4, read=7)], '7 units, not of 8'),
    'lost arrays': ([pooling('mean'), (*dense(4)[:2], {})], 'neither model.safetensors'),
    'strange arrays': (
        [pooling('mean'), (*dense(4)[:2], {'weight': np.zeros((4, 8), 'float32')})],
        'expected linear.bias, linear.weight',
    ),
}


@pytest.mark.parametrize('case', REFUSED)
def test_what_cannot_be_done_is_refused_by_its_name(write, case):
    modules, message = REFUSED[case]
    folder, _ = write(modules)
    for opened in (load_model, gb.SentenceEncoder):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            opened(folder)


@pytest.mark.parametrize(
    'content, message',
    [
        ('{}', 'expected a list'),
        ('[]', 'expected a list'),
        ('[{"path": ""}]', 'module 0: expected an object with type'),
        ('[{"path": "../x", "type": "sentence_transformers.models.Transformer"}]', 'a subfolder'),
        ('[{"path": "/etc", "type": "sentence_transformers.models.Transformer"}]', 'a subfolder'),
        ('[{"path": "", "type": "sentence_transformers.models.BoW"}]', 'BoW'),
        ('[{"path": "", "type": "sentence_transformers.models.CLIPModel"}]', 'CLIPModel'),
        ('[{"path": "", "type": "sentence_transformers.models.WordEmbeddings"}]', 'WordEmbeddings'),
        ('[{"path": "", "type": "sentence_transformers.models.Asym"}]', 'Asym'),
    ],
)
def test_a_damaged_list_of_modules_is_refused(write, content, message):
    folder, _ = write([pooling('mean')])
    (folder / 'modules.json').write_text(content)
    with pytest.raises(ValueError, match=f'modules.json: .*{message}'):
        load_model(folder)


def test_a_folder_without_modules(write, caplog):
    folder, _ = write([pooling('cls')], old_layout=True)
    (folder / 'modules.json').unlink()
    network, tokens = load_model(folder)
    assert [row.message.count('has no modules.json') for row in caplog.records] == [1]
    assert network.sentence is None and gb.SentenceEncoder(network, tokens).units == UNITS


@pytest.mark.parametrize('modes', [('cls',), ('mean', 'max'), ('lasttoken', 'weightedmean')])
def test_a_model_is_saved_and_converted_with_its_settings(write, modes, tmp_path, caplog):
    flags = pooling(include_prompt=False, pooling_mode=[*modes])
    width = UNITS * len(modes)
    norm = {'norm.weight': np.ones(4, 'float32'), 'norm.bias': np.zeros(4, 'float32')}
    modules = [flags, dense(4, read=width), ('LayerNorm', {'dimension': 4}, norm)]
    folder, _ = write([*modules, ('Normalize', {}, {})], True, max_seq_length=7)
    settings = {'prompts': {'q': 'the '}, 'similarity_fn_name': 'euclidean'}
    (folder / 'config_sentence_transformers.json').write_text(json.dumps(settings))
    first = gb.SentenceEncoder(folder)
    expected = first.encode(TEXTS[2:], prompt_name='q')
    first.save(tmp_path / 'saved')
    write_checkpoint(read_checkpoint(folder), tmp_path / 'converted')
    for path in ('saved', 'converted'):
        again = gb.SentenceEncoder(tmp_path / path)
        assert again.settings == first.settings and again.max_length == 7
        np.testing.assert_array_equal(again.encode(TEXTS[2:], prompt_name='q'), expected)
    with pytest.raises(FileExistsError):
        first.save(tmp_path / 'saved')
    assert not caplog.records
    write_checkpoint(read_checkpoint(folder), tmp_path / 'out.params')
    assert 'left out: pooling' in caplog.text


def test_the_model_of_the_zoo(real_model):
    encoder = gb.SentenceEncoder('all_minilm_l6_v2')
    assert encoder.max_length == 256 and encoder.units == 384
    text = ' '.join(['A cat sleeps on the warm sofa.'] * 50)
    tokens = gb.get_tokenizer('bert_6_384_12', 'all_minilm_l6_v2')
    others = [
        gb.SentenceEncoder(real_model[0], tokens),
        gb.SentenceEncoder(real_model[0], tokens, max_length=256),
        gb.SentenceEncoder('bert_6_384_12/all_minilm_l6_v2'),
    ]
    with pytest.warns(UserWarning, match='max_length=256'):
        first, *vectors = (other.encode([text]) for other in [encoder, *others])
    for other in vectors:
        np.testing.assert_allclose(other, first, atol=1e-6)
    assert gb.SentenceEncoder('all_minilm_l6_v2', max_length=512).max_length == 512
    indices, scores = encoder.search(
        ['a kitten'], ['Shares fell.', 'A cat sleeps.', 'It rains.'], k=2
    )
    assert indices[0, 0] == 1 and scores.shape == (1, 2)


def test_errors_of_users(write):
    encoder = gb.SentenceEncoder(write([pooling('mean')])[0])
    assert encoder.encode([]).shape == (0, UNITS)
    for call in (
        lambda: encoder.encode('a text'),
        lambda: encoder.search('a text', TEXTS),
        lambda: encoder.search(TEXTS, 'a text'),
        lambda: encoder.similarity('a text', TEXTS),
    ):
        with pytest.raises(TypeError, match='list of str, got one text'):
            call()
    for call, message in (
        (lambda: encoder.search([], TEXTS, k=1), 'one text or more'),
        (lambda: encoder.search(TEXTS, []), 'one text or more'),
        (lambda: encoder.search(TEXTS, TEXTS, k=5), 'k=5: expected 1 to 4'),
        (lambda: encoder.search(TEXTS, TEXTS, k=0), 'k=0: expected 1 to 4'),
        (lambda: encoder.search(np.zeros((1, 3)), TEXTS), r'\(1, 3\)'),
        (lambda: encoder.encode(TEXTS, batch_size=0), 'batch_size=0'),
        (lambda: encoder.encode(TEXTS, prompt='x', prompt_name='y'), 'not both'),
        (lambda: gb.SentenceEncoder('book_corpus_wiki_en_uncased'), 'bert_12_768_12/'),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(FileNotFoundError):
        gb.SentenceEncoder('no_such_model')
