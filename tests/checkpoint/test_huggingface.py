"""Hugging Face folders: what transformers writes we read, and the way back."""

import json
from dataclasses import replace

import numpy as np
import pytest
from peers import (
    change_config,
    compare,
    make_inputs,
    our_network,
    our_outputs,
    random_network,
    torch,
    torch_outputs,
    transformers,
)
from safetensors.numpy import load_file
from tokenizers import ByteLevelBPETokenizer

from gluon_bert.checkpoint.huggingface.folder import (
    huggingface_arrays,
    read_huggingface,
    write_huggingface,
)
from gluon_bert.checkpoint.huggingface.name_maps import NAME_MAPS
from gluon_bert.checkpoint.schema import Checkpoint

# Class of transformers, changes of its configuration, heads.
NETWORKS = [
    ('BertModel', {}, 'pooler'),
    ('BertForPreTraining', {}, 'pooler next_sentence masked_lm'),
    (
        'BertForPreTraining',
        {'hidden_act': 'gelu_new', 'layer_norm_eps': 1e-3},
        'pooler next_sentence masked_lm',
    ),
    ('BertForMaskedLM', {'hidden_act': 'relu', 'type_vocab_size': 1}, 'masked_lm'),
    ('BertForNextSentencePrediction', {}, 'pooler next_sentence'),
    ('BertForSequenceClassification', {'num_labels': 3}, 'pooler classifier'),
    ('BertForSequenceClassification', {'num_labels': 1}, 'pooler classifier'),
    ('BertForMultipleChoice', {}, 'pooler choice'),
    ('BertForQuestionAnswering', {}, 'span'),
    ('BertForTokenClassification', {'num_labels': 5}, 'tagger'),
    ('RobertaModel', {}, 'pooler'),
    ('RobertaModel', {'pad_token_id': 3, 'type_vocab_size': 1}, 'pooler'),
    ('RobertaForMaskedLM', {'type_vocab_size': 1, 'layer_norm_eps': 1e-5}, 'masked_lm'),
    ('RobertaForSequenceClassification', {'num_labels': 3}, 'pooler classifier'),
    ('RobertaForMultipleChoice', {'type_vocab_size': 1}, 'pooler choice'),
    ('RobertaForTokenClassification', {'num_labels': 4}, 'tagger'),
    ('DistilBertModel', {}, ''),
    ('DistilBertForMaskedLM', {}, 'masked_lm'),
    ('DistilBertForMaskedLM', {'activation': 'relu'}, 'masked_lm'),
    ('DistilBertForSequenceClassification', {}, 'pooler classifier'),
    ('DistilBertForMultipleChoice', {'seq_classif_dropout': 0.3}, 'pooler choice'),
    ('DistilBertForTokenClassification', {'num_labels': 3}, 'tagger'),
    ('DistilBertForQuestionAnswering', {}, 'span'),
    (
        'ErnieForPreTraining',
        {'hidden_act': 'relu', 'layer_norm_eps': 1e-5},
        'pooler next_sentence masked_lm',
    ),
    ('ErnieForMultipleChoice', {}, 'pooler choice'),
    ('ErnieForTokenClassification', {}, 'tagger'),
    ('XLMRobertaModel', {'type_vocab_size': 1}, 'pooler'),
    ('XLMRobertaForMaskedLM', {'type_vocab_size': 1, 'layer_norm_eps': 1e-5}, 'masked_lm'),
    ('XLMRobertaForSequenceClassification', {'num_labels': 3}, 'pooler classifier'),
    ('XLMRobertaForTokenClassification', {'num_labels': 4, 'type_vocab_size': 1}, 'tagger'),
    ('XLMRobertaForQuestionAnswering', {'pad_token_id': 3}, 'span'),
    ('ElectraModel', {'embedding_size': 24}, ''),
    ('ElectraModel', {'embedding_size': 16}, ''),
    ('ElectraForMaskedLM', {'embedding_size': 16}, 'masked_lm'),
    ('ElectraForMaskedLM', {'embedding_size': 24, 'type_vocab_size': 1}, 'masked_lm'),
    (
        'ElectraForSequenceClassification',
        {'num_labels': 3, 'embedding_size': 40},
        'pooler classifier',
    ),
    ('ElectraForMultipleChoice', {'embedding_size': 16}, 'pooler choice'),
    ('ElectraForTokenClassification', {'num_labels': 4, 'embedding_size': 16}, 'tagger'),
    ('ElectraForQuestionAnswering', {'embedding_size': 16, 'hidden_act': 'relu'}, 'span'),
    ('AlbertModel', {'embedding_size': 16}, 'pooler'),
    ('AlbertModel', {'embedding_size': 24}, 'pooler'),
    ('AlbertForPreTraining', {'embedding_size': 16}, 'pooler next_sentence masked_lm'),
    ('AlbertForMaskedLM', {'embedding_size': 40, 'hidden_act': 'gelu'}, 'masked_lm'),
    (
        'AlbertForSequenceClassification',
        {'num_labels': 3, 'embedding_size': 16},
        'pooler classifier',
    ),
    ('AlbertForMultipleChoice', {'embedding_size': 16, 'num_labels': 3}, 'pooler choice'),
    ('AlbertForTokenClassification', {'num_labels': 4, 'embedding_size': 16}, 'tagger'),
    ('AlbertForQuestionAnswering', {'embedding_size': 16}, 'span'),
]
LENGTHS = [9, 1, 12, 5]


def arrays_of(checkpoint):
    return {name: checkpoint.arrays[name] for name in checkpoint.arrays}


def assert_same_arrays(first, second):
    assert first.keys() == second.keys()
    for name, array in first.items():
        assert array.dtype == second[name].dtype
        np.testing.assert_array_equal(array, second[name], err_msg=name)


@pytest.fixture(params=NETWORKS, ids=lambda case: f'{case[0]}-{case[1]}')
def written(request, tmp_path, seed):
    """A network of transformers, the folder it wrote, and the heads it has."""
    name, changes, heads = request.param
    network = random_network(name, seed, **changes)
    network.save_pretrained(tmp_path / 'theirs')
    return network, tmp_path / 'theirs', set(heads.split())


def test_outputs_are_those_of_transformers(written, seed):
    network, folder, heads = written
    checkpoint = read_huggingface(folder)
    assert set(checkpoint.heads) == heads
    inputs = make_inputs(network.config, LENGTHS, seed)
    compare(our_outputs(our_network(checkpoint), inputs), torch_outputs(network, inputs), LENGTHS)


def test_transformers_opens_what_we_write(written, tmp_path, seed):
    network, folder, _ = written
    checkpoint = read_huggingface(folder)
    write_huggingface(checkpoint, tmp_path / 'ours')
    again, report = type(network).from_pretrained(tmp_path / 'ours', output_loading_info=True)
    assert not any(report.values()), report
    assert type(again).__name__ in again.config.architectures
    inputs = make_inputs(network.config, LENGTHS, seed)
    compare(torch_outputs(again.eval(), inputs), torch_outputs(network, inputs), LENGTHS)
    reread = read_huggingface(tmp_path / 'ours')
    assert_same_arrays(arrays_of(reread), arrays_of(checkpoint))
    assert (reread.config, reread.family, reread.heads, reread.labels) == (
        checkpoint.config,
        checkpoint.family,
        checkpoint.heads,
        checkpoint.labels,
    )


@pytest.mark.parametrize(
    'auto, name',
    [
        ('AutoModel', 'BertModel'),
        ('AutoModelForPreTraining', 'ErnieForPreTraining'),
        ('AutoModelForMaskedLM', 'RobertaForMaskedLM'),
        ('AutoModelForSequenceClassification', 'DistilBertForSequenceClassification'),
        ('AutoModelForQuestionAnswering', 'BertForQuestionAnswering'),
        ('AutoModelForTokenClassification', 'RobertaForTokenClassification'),
        ('AutoModelForMaskedLM', 'XLMRobertaForMaskedLM'),
        ('AutoModelForSequenceClassification', 'ElectraForSequenceClassification'),
        ('AutoModelForPreTraining', 'AlbertForPreTraining'),
    ],
)
def test_automatic_classes_find_the_network(auto, name, tmp_path, seed):
    random_network(name, seed).save_pretrained(tmp_path / 'theirs')
    write_huggingface(read_huggingface(tmp_path / 'theirs'), tmp_path / 'ours')
    network, report = getattr(transformers, auto).from_pretrained(
        tmp_path / 'ours', output_loading_info=True
    )
    assert type(network).__name__ == name
    assert not any(report.values()), report


def shards(tensors):
    names = sorted(tensors)
    return {
        f'pytorch_model-{i + 1:05}-of-00003.bin': {name: tensors[name] for name in names[i::3]}
        for i in range(3)
    }


def save_as(form, network, folder):
    """Write a network in one of the forms of the years."""
    network.config.architectures = [type(network).__name__]
    network.config.save_pretrained(folder)
    tensors = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    if form == 'safetensors in shards':
        network.save_pretrained(folder, max_shard_size='10KB')
        assert len(list(folder.glob('*.safetensors'))) > 2
    elif form == 'bin in shards':
        for name, part in shards(tensors).items():
            torch.save(part, folder / name)
        (folder / 'pytorch_model.bin.index.json').write_text(
            json.dumps(
                {
                    'weight_map': {
                        key: name for name, part in shards(tensors).items() for key in part
                    }
                }
            )
        )
    else:
        if form == 'bin of 2018':
            tensors = {
                name.replace('LayerNorm.weight', 'LayerNorm.gamma').replace(
                    'LayerNorm.bias', 'LayerNorm.beta'
                ): tensor
                for name, tensor in tensors.items()
            }
            tensors[f'{network.base_model_prefix}.embeddings.position_ids'] = torch.arange(20)[None]
        torch.save(
            tensors, folder / 'pytorch_model.bin', _use_new_zipfile_serialization=form == 'bin'
        )


@pytest.mark.parametrize('form', ['safetensors in shards', 'bin', 'bin in shards', 'bin of 2018'])
@pytest.mark.parametrize(
    'name', ['BertForPreTraining', 'RobertaForMaskedLM', 'DistilBertForMaskedLM']
)
def test_other_forms_hold_the_same(form, name, tmp_path, seed, caplog):
    network = random_network(name, seed)
    network.save_pretrained(tmp_path / 'whole')
    save_as(form, network, tmp_path / 'other')
    assert_same_arrays(
        arrays_of(read_huggingface(tmp_path / 'other')),
        arrays_of(read_huggingface(tmp_path / 'whole')),
    )
    assert not caplog.records


def test_safetensors_goes_before_bin_and_a_file_can_be_named(tmp_path, seed):
    random_network('BertModel', seed).save_pretrained(tmp_path)
    other = random_network('BertModel', seed + 1).state_dict()
    torch.save(other, tmp_path / 'pytorch_model.bin')
    pooler = {
        path: read_huggingface(path).arrays['pooler.bias'].tolist()
        for path in (tmp_path, tmp_path / 'model.safetensors', tmp_path / 'pytorch_model.bin')
    }
    assert pooler[tmp_path] == pooler[tmp_path / 'model.safetensors']
    assert pooler[tmp_path / 'pytorch_model.bin'] == other['pooler.dense.bias'].tolist()


def test_row_of_zeros_is_no_token_type(tmp_path, seed):
    network = random_network('RobertaForMaskedLM', seed, type_vocab_size=1)
    torch.nn.init.zeros_(network.roberta.embeddings.token_type_embeddings.weight)
    network.save_pretrained(tmp_path / 'theirs')
    checkpoint = read_huggingface(tmp_path / 'theirs')
    assert checkpoint.config.num_token_types == 0
    assert 'token_type_embed.0.weight' not in checkpoint.arrays
    inputs = make_inputs(network.config, LENGTHS, seed)
    expected = torch_outputs(network, inputs)
    compare(our_outputs(our_network(checkpoint), inputs), expected, LENGTHS)
    write_huggingface(checkpoint, tmp_path / 'ours')
    again = transformers.RobertaForMaskedLM.from_pretrained(tmp_path / 'ours').eval()
    compare(torch_outputs(again, inputs), expected, LENGTHS)


@pytest.mark.parametrize('family', NAME_MAPS)
def test_network_made_here_opens_in_transformers(family, make_model, tmp_path, seed):
    types = 0 if family in ('roberta', 'distilbert', 'xlm-roberta') else 2
    pooled = family not in ('distilbert', 'electra')
    changes = {'share_layers': True, 'embedding_units': 7} if family == 'albert' else {}
    model = make_model(use_pooler=pooled, num_token_types=types, **changes)
    write_huggingface(Checkpoint(model.checkpoint_arrays(), model.config, family), tmp_path / 'x')
    network, report = transformers.AutoModel.from_pretrained(
        tmp_path / 'x', output_loading_info=True
    )
    assert not any(report.values()), report
    inputs = make_inputs(network.config, LENGTHS, seed)
    compare(our_outputs(model, inputs), torch_outputs(network.eval(), inputs), LENGTHS)


def test_labels_go_both_ways(tmp_path, seed):
    labels = ('O', 'B-PER', 'Ünïcode')
    network = random_network('BertForTokenClassification', seed, id2label=dict(enumerate(labels)))
    network.save_pretrained(tmp_path / 'theirs')
    checkpoint = read_huggingface(tmp_path / 'theirs')
    assert checkpoint.labels == labels
    write_huggingface(checkpoint, tmp_path / 'ours')
    config = transformers.AutoConfig.from_pretrained(tmp_path / 'ours')
    assert config.id2label == dict(enumerate(labels))
    assert config.label2id['B-PER'] == 1


TEXTS = ['The cats sat!', 'on a mat .']
PIECES = '[PAD] [UNK] [CLS] [SEP] [MASK] the cat ##s sat on mat a ##t . !'.split()


def make_tokenizer(name, folder):
    """A tokenizer of transformers with a tiny vocabulary."""
    folder.mkdir()
    if name == 'RobertaTokenizer':
        library = ByteLevelBPETokenizer()
        library.train_from_iterator(
            TEXTS,
            vocab_size=280,
            min_frequency=1,
            show_progress=False,
            special_tokens=['<s>', '<pad>', '</s>', '<unk>', '<mask>'],
        )
        library.save_model(str(folder))
    else:
        (folder / 'vocab.txt').write_text('\n'.join(PIECES) + '\n')
    return getattr(transformers, name).from_pretrained(folder)


@pytest.mark.parametrize(
    'network, name',
    [
        ('BertForPreTraining', 'BertTokenizer'),
        ('DistilBertModel', 'DistilBertTokenizer'),
        ('ErnieForPreTraining', 'BertTokenizer'),
        ('RobertaModel', 'RobertaTokenizer'),
    ],
)
def test_tokenizer_goes_both_ways(network, name, tmp_path, seed):
    theirs = make_tokenizer(name, tmp_path / 'vocabulary')
    random_network(network, seed, vocab_size=len(theirs)).save_pretrained(tmp_path / 'theirs')
    theirs.save_pretrained(tmp_path / 'theirs')
    checkpoint = read_huggingface(tmp_path / 'theirs')
    for text in TEXTS:
        assert checkpoint.tokenizer.encode(text).ids == theirs.encode(
            text, add_special_tokens=False
        )
    write_huggingface(checkpoint, tmp_path / 'ours')
    again = transformers.AutoTokenizer.from_pretrained(tmp_path / 'ours')
    encoded = again(*TEXTS, return_tensors='pt')
    assert encoded['input_ids'].tolist() == theirs(*TEXTS, return_tensors='pt').input_ids.tolist()
    assert ('token_type_ids' in encoded) == (name == 'BertTokenizer')
    opened = transformers.AutoModel.from_pretrained(tmp_path / 'ours')
    assert opened.config.pad_token_id == theirs.pad_token_id
    assert again.model_max_length == checkpoint.config.max_length
    assert torch.isfinite(opened(**encoded).last_hidden_state).all()


@pytest.mark.parametrize('name', ['BertForMaskedLM', 'RobertaForMaskedLM', 'DistilBertForMaskedLM'])
def test_arrays_alone_need_no_config(name, tmp_path, seed):
    random_network(name, seed).save_pretrained(tmp_path)
    checkpoint = read_huggingface(tmp_path)
    arrays = huggingface_arrays(load_file(tmp_path / 'model.safetensors'), checkpoint.family)
    assert_same_arrays(dict(arrays), arrays_of(checkpoint))


@pytest.mark.parametrize(
    'name',
    [
        'BertForSequenceClassification',
        'BertForTokenClassification',
        'RobertaForTokenClassification',
        'DistilBertForSequenceClassification',
        'AlbertForSequenceClassification',
        'AlbertForTokenClassification',
    ],
)
def test_old_config_says_neither_family_nor_class(name, tmp_path, seed):
    random_network(name, seed).save_pretrained(tmp_path)
    expected = read_huggingface(tmp_path)
    change_config(tmp_path, model_type='absent', architectures='absent')
    checkpoint = read_huggingface(tmp_path)
    assert (checkpoint.family, checkpoint.heads) == (expected.family, expected.heads)


@pytest.mark.weights
def test_real_folder_is_rewritten_tensor_by_tensor(real_folder, tmp_path):
    checkpoint = read_huggingface(real_folder)
    assert checkpoint.config == replace(
        checkpoint.config, units=384, num_layers=6, num_heads=12, hidden_size=1536
    )
    write_huggingface(checkpoint, tmp_path / 'x')
    theirs = load_file(real_folder / 'model.safetensors')
    theirs.pop('embeddings.position_ids')
    assert_same_arrays(load_file(tmp_path / 'x' / 'model.safetensors'), theirs)
