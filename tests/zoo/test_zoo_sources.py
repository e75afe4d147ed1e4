"""One tiny row of the zoo from every kind of source: the same model, cached in one form."""

import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest

import gluon_bert as gb
from gluon_bert._internal.files import sha256_of
from gluon_bert.checkpoint import Checkpoint, write_checkpoint
from gluon_bert.checkpoint.arrays import with_names
from gluon_bert.checkpoint.gluonnlp.params_file import read_params, write_params
from gluon_bert.data import BertTokenizer, gluonnlp_json, gluonnlp_order, read_vocab
from gluon_bert.zoo import rows
from gluon_bert.zoo.schema import GluonFile, VocabularyRow, Weights

NAME, DATASET = 'bert_2_128_2', 'tiny_words'
TOKENS = [
    '[PAD]',
    *(f'[unused{i}]' for i in range(9)),
    '[UNK]',
    '[CLS]',
    '[SEP]',
    '[MASK]',
    'the',
    'cat',
    'sat',
    '##s',
    'on',
    'mat',
]


def sha1_of(path):
    import hashlib

    return hashlib.sha1(path.read_bytes()).hexdigest()


@pytest.fixture
def published(tmp_path, seed):
    """The trained network as its makers published it, in their order of ids."""
    path = tmp_path / 'vocab.txt'
    path.write_text(''.join(f'{token}\n' for token in TOKENS))
    config = gb.zoo.get_config(NAME, len(TOKENS))
    model = gb.BertForPretraining(gb.BertModel(config))
    model.initialize(mx.init.Normal(0.2))
    for parameter in model.collect_params().values():
        parameter.set_data(parameter.data() + mx.nd.random.normal(scale=0.1, shape=parameter.shape))
    arrays = model.checkpoint_arrays()
    return Checkpoint(
        with_names(arrays, {name: name for name in arrays}),
        config,
        'bert',
        BertTokenizer(read_vocab(path), lower=True),
        source='published',
    )


@pytest.fixture
def store(published, tmp_path):
    """A folder with GluonNLP's files of it: swapped ids, and the decoder's bias left as it was."""
    folder = tmp_path / 'store'
    (folder / 'gluon' / 'models').mkdir(parents=True)
    (folder / 'gluon' / 'dataset' / 'vocab').mkdir(parents=True)
    order = gluonnlp_order(TOKENS)
    arrays = {name: published.arrays[name] for name in published.arrays}
    arrays['word_embed.0.weight'] = arrays['word_embed.0.weight'][order]
    arrays['decoder.3.weight'] = arrays['word_embed.0.weight']
    write_params(tmp_path / 'a.params', arrays)
    (tmp_path / 'a.vocab').write_bytes(gluonnlp_json(TOKENS, form='old'))
    files = {}
    for kind, place, stem in (
        ('params', 'models', f'{NAME}_{DATASET}'),
        ('vocab', 'dataset/vocab', DATASET),
    ):
        source = tmp_path / f'a.{kind}'
        sha1 = sha1_of(source)
        name = f'{stem}-{sha1[:8]}'
        with zipfile.ZipFile(folder / 'gluon' / place / f'{name}.zip', 'w') as archive:
            archive.write(source, f'{name}.{kind}')
        files[kind] = GluonFile(stem, sha1, f'.{kind}')
    return folder, files


@pytest.fixture
def root(published, store, tmp_path, monkeypatch):
    """An empty root, and the row in the tables."""
    _, files = store
    vocabulary = VocabularyRow(
        kind='wordpiece',
        size=len(TOKENS),
        lowercase=True,
        swapped=True,
        sources=(files['vocab'],),
        sha256=sha256_of(tmp_path / 'vocab.txt'),
        gluonnlp_sha1s=(files['vocab'].sha1,),
    )
    weights = Weights(
        num_params=0,
        heads=('pooler', 'next_sentence', 'masked_lm'),
        description='',
        licence='',
        source='',
        citation='',
        sources=(files['params'],),
    )
    monkeypatch.setitem(rows.VOCABULARIES, DATASET, vocabulary)
    monkeypatch.setitem(rows.WEIGHTS, (NAME, DATASET), weights)
    monkeypatch.delenv('MXNET_GLUON_REPO', raising=False)
    (tmp_path / 'root').mkdir()
    return tmp_path / 'root'


def outputs(published, root):
    """What the zoo's model gives, and what the published one does, for the same text."""
    model, vocab = gb.get_model(NAME, DATASET, root=root, use_decoder=True, use_classifier=True)
    tokens = ['[CLS]', 'the', 'cat', '[MASK]', 'on', '[UNK]', '[SEP]', '[PAD]']
    given = model(mx.nd.array([vocab[tokens]]), None, mx.nd.array([7]), mx.nd.array([[3, 1]]))
    theirs = gb.networks.build_network(published, 'pretraining')
    expected = theirs(
        mx.nd.array([published.tokenizer.vocab[tokens]]),
        None,
        mx.nd.array([7]),
        mx.nd.array([[3, 1]]),
    )
    order = [published.tokenizer.vocab[token] for token in vocab.idx_to_token]
    return given, (*expected[:3], expected.masked_lm.take(mx.nd.array(order), axis=2)), vocab


def assert_same_model(published, root):
    given, expected, vocab = outputs(published, root)
    for one, other in zip(given, expected):
        np.testing.assert_allclose(one.asnumpy(), other.asnumpy(), atol=1e-6)
    assert vocab['[UNK]', '[PAD]', '[CLS]', '[SEP]', '[MASK]'] == [0, 1, 2, 3, 4]


def test_a_mirror_of_the_store(published, store, root, monkeypatch):
    monkeypatch.setenv('MXNET_GLUON_REPO', store[0].as_uri())
    assert_same_model(published, root)
    monkeypatch.delenv('MXNET_GLUON_REPO')
    shutil.rmtree(store[0])
    assert_same_model(published, root)  # now from root
    assert {path.name for path in (root / f'{NAME}_{DATASET}').iterdir()} >= {
        'config.json',
        'model.safetensors',
        'source.json',
    }
    assert (root / DATASET / 'vocab.txt').read_text() == ''.join(f'{t}\n' for t in TOKENS)


def test_a_cache_of_gluonnlp_as_it_lies(published, store, root):
    for path in store[0].rglob('*.zip'):
        zipfile.ZipFile(path).extractall(root)
    before = {path.name for path in root.iterdir()}
    assert_same_model(published, root)
    assert {path.name for path in root.iterdir()} == before


@pytest.mark.parametrize('format', ['huggingface', 'tensorflow', 'gluonnlp'])
def test_a_folder_the_user_put_there(published, root, format):
    folder = root / f'{NAME}_{DATASET}'
    if format == 'gluonnlp':
        # A file of one's own is whole in GluonNLP's order, the decoder's bias too.
        order = gluonnlp_order(TOKENS)
        arrays = {
            name: array[order] if name in ('word_embed.0.weight', 'decoder.3.bias') else array
            for name, array in published.arrays.items()
        }
        folder.mkdir()
        write_params(folder / 'own.params', arrays)
        (folder / 'vocab.txt').write_text(''.join(f'{token}\n' for token in TOKENS))
    else:
        write_checkpoint(published, folder, format)
    assert_same_model(published, root)


def test_the_cached_form_is_opened_as_it_is(published, store, root, monkeypatch):
    monkeypatch.setenv('MXNET_GLUON_REPO', str(store[0]))
    gb.zoo.fetch_model(NAME, DATASET, root=root)
    checkpoint = gb.checkpoint.read_checkpoint(root / f'{NAME}_{DATASET}')
    assert checkpoint.config == published.config
    for name in published.arrays:
        np.testing.assert_array_equal(checkpoint.arrays[name], published.arrays[name])


def test_wrong_architecture_in_a_folder_is_told(published, root):
    small = replace(published, config=replace(published.config, max_length=512))
    write_checkpoint(small, root / f'{NAME}_{DATASET}', 'huggingface')
    path = root / f'bert_4_128_2_{DATASET}'
    shutil.move(root / f'{NAME}_{DATASET}', path)
    rows.WEIGHTS['bert_4_128_2', DATASET] = rows.WEIGHTS[NAME, DATASET]
    try:
        with pytest.raises(ValueError, match=r'has no encoder\.transformer_cells\.2'):
            gb.get_model('bert_4_128_2', DATASET, root=root)
    finally:
        del rows.WEIGHTS['bert_4_128_2', DATASET]


def test_official_file_with_its_defect_is_read_by_its_name_only(published, store, root):
    """The decoder's bias of a renamed file cannot be told from a right one: it is taken as such."""
    for path in store[0].rglob('*.zip'):
        zipfile.ZipFile(path).extractall(root)
    folder = root / f'{NAME}_{DATASET}'
    folder.mkdir()
    official = next(Path(root).glob('*.params'))
    shutil.move(official, folder / 'renamed.params')
    given, expected, _ = outputs(published, root)
    np.testing.assert_allclose(given.sequence.asnumpy(), expected[0].asnumpy(), atol=1e-6)
    assert np.abs(given.masked_lm.asnumpy() - expected[3].asnumpy()).max() > 1e-3
    assert set(read_params(folder / 'renamed.params'))
