"""bert_config.json and vocab.txt beside TensorFlow's variables."""

import json
from dataclasses import replace

import pytest

from gluon_bert.checkpoint.tensorflow.config import config_values, read_config, read_tokenizer

SPECIAL = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']


def set_json(path, **changes):
    values = {**(json.loads(path.read_text()) if path.is_file() else {}), **changes}
    path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))


@pytest.fixture
def folder(tmp_path, tiny_config):
    set_json(tmp_path / 'bert_config.json', **config_values(tiny_config))
    return tmp_path


@pytest.mark.parametrize(
    'changes',
    [{}, dict(activation='gelu_tanh', dropout=0.0), dict(activation='relu', layer_norm_eps=1e-5)],
)
def test_what_is_written_is_read(tiny_config, tmp_path, changes):
    config = replace(tiny_config, **changes)
    set_json(tmp_path / 'bert_config.json', **config_values(config))
    assert read_config(tmp_path) == config


@pytest.mark.parametrize(
    'written, activation',
    [('gelu', 'gelu'), ('gelu_new', 'gelu_tanh'), ('gelu_tanh', 'gelu_tanh'), ('relu', 'relu')],
)
def test_what_google_writes_is_read(folder, tiny_config, written, activation):
    set_json(
        folder / 'bert_config.json',
        hidden_act=written,
        layer_norm_eps=None,
        directionality='bidi',
        pooler_num_fc_layers=3,
        initializer_range=0.02,
    )
    assert read_config(folder) == replace(tiny_config, activation=activation)


@pytest.mark.parametrize(
    'change, reason',
    [
        (dict(hidden_size=None), 'has no hidden_size'),
        (dict(hidden_size='24'), "hidden_size='24'"),
        (dict(vocab_size=True), 'vocab_size=True'),
        (dict(num_attention_heads=2.5), '=2.5'),
        (dict(num_attention_heads=7), 'not a multiple of num_heads=7'),
        (dict(hidden_act='swish'), "hidden_act='swish': expected one of gelu"),
        (dict(hidden_dropout_prob=[]), r'hidden_dropout_prob=\[\]'),
        (dict(layer_norm_eps=0), 'layer_norm_eps=0'),
    ],
)
def test_configuration_that_cannot_be(folder, change, reason):
    set_json(folder / 'bert_config.json', **change)
    with pytest.raises(ValueError, match=rf'bert_config\.json: .*{reason}'):
        read_config(folder)


@pytest.mark.parametrize('text', ['', '[1]', '{"a": ' + '9' * 5000 + '}', '[' * 60000, '\xff'])
def test_configuration_that_is_no_object(tmp_path, text):
    (tmp_path / 'bert_config.json').write_bytes(text.encode('latin-1'))
    with pytest.raises(ValueError, match=r'bert_config\.json: .'):
        read_config(tmp_path)


def test_no_configuration(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'bert_config\.json: no such file'):
        read_config(tmp_path)


@pytest.mark.parametrize(
    'name, word, said, expected',
    [
        ('x', 'Word', {}, False),
        ('x', 'word', {}, True),
        ('x', '##ℝ', {}, True),
        ('x', '<S>', {}, True),
        ('uncased_L-2', 'Word', {}, True),
        ('wwm_cased_L-2', 'word', {}, False),
        ('multi_cased_L-2', 'word', {}, False),
        ('multilingual_L-12', 'Word', {}, True),
        ('chinese_L-12', 'Word', {}, True),
        ('showcased', 'word', {}, True),
        ('uncased_L-2', 'word', {'bert_config.json': False}, False),
        ('cased_L-2', 'word', {'bert_config.json': False, 'tokenizer_config.json': True}, True),
    ],
)
def test_whether_text_is_lower_cased(tiny_config, tmp_path, name, word, said, expected):
    folder = tmp_path / name
    folder.mkdir()
    assert read_tokenizer(folder, tiny_config) is None
    (folder / 'vocab.txt').write_text('\n'.join([*SPECIAL, word]))
    for file, lower in said.items():
        set_json(folder / file, do_lower_case=lower)
    assert read_tokenizer(folder, tiny_config).lower is expected


def test_ill_typed_case_is_refused(folder, tiny_config):
    (folder / 'vocab.txt').write_text('\n'.join(SPECIAL))
    set_json(folder / 'bert_config.json', do_lower_case='no')
    with pytest.raises(ValueError, match=r"bert_config\.json: do_lower_case='no'"):
        read_tokenizer(folder, tiny_config)


@pytest.mark.data
@pytest.mark.parametrize(
    'name, lower',
    [
        ('uncased_english', True),
        ('cased_english', False),
        ('chinese', True),
        ('multilingual_uncased', True),
        ('multilingual_cased', False),
    ],
)
def test_published_vocabularies_tell_their_case(shared_data, tiny_config, tmp_path, name, lower):
    vocab = (shared_data / 'vocab' / name / 'vocab.txt').read_bytes()
    (tmp_path / 'vocab.txt').write_bytes(vocab)
    assert read_tokenizer(tmp_path, replace(tiny_config, vocab_size=120_000)).lower is lower
    with pytest.raises(ValueError, match='tokens, the word embedding 97 rows'):
        read_tokenizer(tmp_path, tiny_config)
