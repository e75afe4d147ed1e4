"""Hugging Face folders that are refused: unlike their description, or unlike what we have."""

from dataclasses import replace

import numpy as np
import pytest
from peers import change_config, random_network
from safetensors.numpy import load_file, save_file

from gluon_bert.checkpoint.huggingface.folder import read_huggingface, write_huggingface
from gluon_bert.checkpoint.schema import Checkpoint


@pytest.fixture
def folder(tmp_path, seed):
    """A folder of BertForPreTraining."""
    random_network('BertForPreTraining', seed).save_pretrained(tmp_path / 'folder')
    return tmp_path / 'folder'


def change_arrays(folder, **changes):
    tensors = {
        **load_file(folder / 'model.safetensors'),
        **{name.replace('__', '.'): array for name, array in changes.items()},
    }
    save_file(
        {name: array for name, array in tensors.items() if array is not None},
        folder / 'model.safetensors',
    )


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'model_type': 'roberta-prelayernorm'}, "expected .*the nearest is 'roberta'"),
        ({'model_type': ['bert']}, 'model_type is'),
        ({'position_embedding_type': 'relative_key'}, 'only absolute positions'),
        ({'is_decoder': True}, 'only encoders'),
        ({'model_type': 'ernie', 'use_task_id': True}, 'ERNIE 2.0 and 3.0'),
        ({'quantization_config': {'bits': 4}}, 'quantised'),
        ({'embedding_size': 12}, 'embedding_size is 12'),
        ({'hidden_act': 'silu'}, "hidden_act is 'silu': expected one of gelu"),
        ({'hidden_act': ['gelu']}, 'hidden_act is'),
        ({'hidden_size': '24'}, "hidden_size is '24': expected a whole number"),
        ({'hidden_size': 24.0}, 'hidden_size is 24.0'),
        ({'hidden_size': None}, 'hidden_size is None'),
        ({'num_attention_heads': True}, 'num_attention_heads is True'),
        ({'num_attention_heads': 5}, 'not a multiple of the 5 attention heads'),
        ({'num_hidden_layers': 0}, 'num_hidden_layers is 0'),
        ({'num_hidden_layers': 10**9}, 'too few for 1000000000 layers'),
        ({'num_hidden_layers': 3}, r'has no bert\.encoder\.layer\.2\.'),
        ({'vocab_size': 'absent'}, r'word_embeddings\.weight has shape .* needs \(30522, 24\)'),
        ({'vocab_size': 10**15}, 'word_embeddings'),
        ({'layer_norm_eps': 0}, 'layer_norm_eps is 0'),
        ({'hidden_dropout_prob': float('nan')}, 'NaN is not a number'),
        ({'architectures': 'BertModel'}, 'architectures is'),
        ({'id2label': {'1': 'a'}}, 'id2label is'),
        ({'id2label': {'0': 'a', '1': ['b']}}, 'id2label is'),
        ({'id2label': {'0': 'a'}, 'num_labels': 2}, 'num_labels is 2'),
        ({'model_type': 'roberta', 'pad_token_id': 19}, 'max_position_embeddings is 20'),
    ],
)
def test_config_that_does_not_fit_is_refused(folder, changes, message):
    change_config(folder, **changes)
    with pytest.raises(ValueError, match=message) as caught:
        read_huggingface(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize(
    'text, message',
    [
        ('', 'not JSON'),
        ('[]', 'expected a JSON object, got list'),
        ('[' * 10**6, 'too deeply'),
        ('{"vocab_size": ' + '9' * 10**6 + '}', 'a number of 1000000 digits'),
        ('{"a": "' + 'a' * 2**25 + '"}', 'larger than'),
        ('\xff', 'not UTF-8'),
    ],
    ids=['empty', 'list', 'deep', 'digits', 'large', 'latin-1'],
)
def test_config_that_is_none_is_refused(folder, text, message):
    (folder / 'config.json').write_text(text, encoding='latin-1')
    with pytest.raises(ValueError, match=rf'config\.json: .*{message}'):
        read_huggingface(folder)


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'bert__pooler__dense__bias': None}, r'has no bert\.pooler\.dense\.bias'),
        ({'cls__predictions__bias': None}, r'has no cls\.predictions\.bias'),
        ({'cls__predictions__bias': np.zeros(3, 'f')}, r'cls\.predictions\.bias has shape \(3,\)'),
        ({'bert__embeddings__position_embeddings__weight': np.zeros((), 'f')}, r'has shape \(\)'),
        ({'cls__seq_relationship__weight': np.zeros((3, 24), 'f')}, r'needs \(2, 24\)'),
        ({'cls__predictions__decoder__weight': np.zeros((50, 24), 'f')}, 'decoder.*of its own'),
        ({'cls__predictions__decoder__bias': np.zeros(50, 'f')}, 'decoder.*of its own'),
        (
            {
                'cls__predictions__decoder__bias': np.zeros((), 'f'),
                'cls__predictions__bias': np.zeros((), 'f'),
            },
            r'has shape \(\)',
        ),
        ({'bert__pooler__dense__bias': np.zeros(24, 'int8')}, 'is of type I8: expected'),
        ({'pooler__dense__bias': np.zeros(24, 'f')}, 'are the same array'),
    ],
)
def test_arrays_that_do_not_fit_are_refused(folder, changes, message):
    change_arrays(folder, **changes)
    with pytest.raises(ValueError, match=message) as caught:
        read_huggingface(folder)
    assert 'model.safetensors' in str(caught.value)


def test_arrays_without_a_place_are_named(folder, caplog):
    change_config(folder, num_hidden_layers=1)
    change_arrays(folder, adapter=np.zeros(3, 'f'))
    checkpoint = read_huggingface(folder)
    assert 'adapter' in caplog.text and 'left out: layers [1]' in caplog.text
    assert not any('cells.1.' in name for name in checkpoint.arrays)


@pytest.mark.parametrize('absent', ['config.json', 'model.safetensors'])
def test_absent_files_are_named(folder, absent):
    (folder / absent).unlink()
    with pytest.raises(FileNotFoundError, match=absent):
        read_huggingface(folder)
    with pytest.raises(FileNotFoundError, match='nowhere'):
        read_huggingface(folder / 'nowhere')


def test_tokenizer_with_more_tokens_than_the_network_is_refused(tmp_path, seed):
    random_network('BertModel', seed, vocab_size=7).save_pretrained(tmp_path / 'x')
    tokens = [*'abcdefgh', '[UNK]', '[PAD]', '[CLS]', '[SEP]', '[MASK]']
    (tmp_path / 'x' / 'vocab.txt').write_text('\n'.join(tokens))
    with pytest.raises(ValueError, match='has 13 tokens, the word embedding 7 rows'):
        read_huggingface(tmp_path / 'x')


def bare(make_model, family='bert', **changes):
    model = make_model(**changes)
    return Checkpoint(model.checkpoint_arrays(), model.config, family)


@pytest.mark.parametrize(
    'family, changes, message',
    [
        ('distilbert', {}, 'num_token_types is 2'),
        ('distilbert', {'num_token_types': 0, 'layer_norm_eps': 1e-5}, 'layer_norm_eps is 1e-05'),
        ('distilbert', {'num_token_types': 0, 'pooler_activation': 'relu'}, 'has pooler.weight'),
        ('bert', {'pooler_activation': 'relu'}, "pooler_activation is 'relu'"),
    ],
)
def test_network_that_transformers_does_not_have_is_not_written(
    make_model, tmp_path, family, changes, message
):
    with pytest.raises(ValueError, match=message):
        write_huggingface(bare(make_model, family, **changes), tmp_path / 'x')
    assert not list(tmp_path.iterdir())


def test_folder_is_written_whole_or_not_at_all(make_model, tmp_path):
    checkpoint = bare(make_model)

    class Failing(dict):
        def __getitem__(self, name):
            if name == 'pooler.bias':
                raise OSError('disk full')
            return super().__getitem__(name)

    failing = replace(checkpoint, arrays=Failing(checkpoint.arrays))
    with pytest.raises(OSError, match='disk full'):
        write_huggingface(failing, tmp_path / 'x')
    assert not list(tmp_path.iterdir())
    (tmp_path / 'x').mkdir()
    write_huggingface(checkpoint, tmp_path / 'x')
    before = sorted(path.name for path in tmp_path.rglob('*'))
    with pytest.raises(FileExistsError, match='is there already'):
        write_huggingface(checkpoint, tmp_path / 'x')
    assert sorted(path.name for path in tmp_path.rglob('*')) == before


@pytest.mark.parametrize(
    'family, changes, message',
    [
        ('bert', {'embedding_units': 8}, 'embedding_units is 8, every Bert has None'),
        ('electra', {'embedding_units': 24}, "embedding_units is 24, transformers' electra"),
        ('electra', {'activation': 'relu'}, None),
        ('albert', {'share_layers': True}, "embedding_units is None, transformers' albert"),
        ('albert', {'embedding_units': 7}, 'share_layers is False, every Albert has True'),
        ('bert', {'share_layers': True}, 'share_layers is True, every Bert has False'),
    ],
)
def test_width_of_the_embeddings_must_have_a_place(make_model, tmp_path, family, changes, message):
    checkpoint = bare(make_model, family, use_pooler=family != 'electra', **changes)
    if message is None:
        write_huggingface(checkpoint, tmp_path / 'x')
        return
    with pytest.raises(ValueError, match=message):
        write_huggingface(checkpoint, tmp_path / 'x')


def test_discriminator_of_electra_is_left_out(tmp_path, seed, caplog):
    random_network('ElectraForPreTraining', seed).save_pretrained(tmp_path)
    checkpoint = read_huggingface(tmp_path)
    assert checkpoint.heads == () and 'discriminator_predictions.dense' in caplog.text


@pytest.mark.parametrize('key', ['num_hidden_groups', 'inner_group_num'])
def test_several_groups_of_layers_are_refused(tmp_path, seed, key):
    random_network('AlbertModel', seed, **{key: 2}).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=f'{key} is 2: only layers that are all one'):
        read_huggingface(tmp_path)


def test_another_summary_of_electra_is_refused(tmp_path, seed):
    random_network('ElectraForMultipleChoice', seed).save_pretrained(tmp_path)
    change_config(tmp_path, summary_type='mean')
    with pytest.raises(ValueError, match="summary_type is 'mean': only the first token"):
        read_huggingface(tmp_path)
