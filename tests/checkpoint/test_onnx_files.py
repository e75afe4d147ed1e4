"""ONNX files of a BERT: arrays by their places in the graph; what is none is refused."""

import json

import numpy as np
import pytest
from script_runs import tiny_folder, tokenizer  # noqa: F401 (fixtures)

import gluon_bert as gb
from gluon_bert.checkpoint import find_format, read_checkpoint
from gluon_bert.checkpoint.onnx.files import read_onnx, read_onnx_arrays
from gluon_bert.cli import main
from gluon_bert.export.onnx import write_onnx

onnx = pytest.importorskip('onnx', reason="needs onnx: pip install '.[onnx]'")


@pytest.fixture
def exported(tiny_folder, tmp_path):  # noqa: F811 (a fixture)
    """Export a tiny network: options -> the checkpoint, the file."""

    def make(**options):
        folder, _ = tiny_folder()
        checkpoint = read_checkpoint(folder)
        write_onnx(checkpoint, tmp_path / 'out', **options)
        return checkpoint, tmp_path / 'out' / 'onnx' / 'model.onnx'

    return make


@pytest.fixture
def altered(exported):
    """Write the file again after a change of its graph; give the file."""

    def make(change):
        _, path = exported()
        model = onnx.load(str(path))
        change(model)
        path.write_bytes(model.SerializeToString())
        return path

    return make


def assert_same(arrays, others):
    assert {*arrays} == {*others}
    for name in arrays:
        assert np.array_equal(arrays[name], others[name]), name
        assert arrays[name].dtype == 'float32' and arrays.shape(name) == arrays[name].shape


@pytest.mark.parametrize('opset', [13, 17])  # layer normalisation in six nodes, and in one
def test_what_was_exported_is_read_back(exported, opset):
    checkpoint, path = exported(opset=opset)
    again = read_checkpoint(path)
    assert find_format(path) == find_format(path.parent) == 'onnx'
    assert_same(again.arrays, checkpoint.arrays)
    assert (again.config, again.family) == (checkpoint.config, checkpoint.family)
    assert again.tokenizer.contents() == checkpoint.tokenizer.contents()


def test_names_are_not_needed(altered):
    def rename(model):
        names = {tensor.name: f'onnx::{i}' for i, tensor in enumerate(model.graph.initializer)}
        for tensor in model.graph.initializer:
            tensor.name = names[tensor.name]
        for node in model.graph.node:
            node.input[:] = [names.get(name, name) for name in node.input]

    path = altered(rename)
    assert_same(
        read_onnx(path).arrays, read_checkpoint(path.parents[2] / 'tiny_huggingface').arrays
    )


def test_query_key_and_value_are_told_by_what_they_do(altered):
    def reorder(model):
        """Put the nodes of each layer's key before those of its query."""
        nodes = list(model.graph.node)
        stored = {tensor.name for tensor in model.graph.initializer}
        dense = [
            i
            for i, node in enumerate(nodes)
            if node.op_type == 'MatMul' and node.input[1] in stored
        ]
        for query, key, value in (dense[:3], dense[6:9]):
            nodes[query:value] = nodes[key:value] + nodes[query:key]
        del model.graph.node[:]
        model.graph.node.extend(nodes)

    path = altered(reorder)
    onnx.checker.check_model(onnx.load(str(path)))
    assert_same(
        read_onnx(path).arrays, read_checkpoint(path.parents[2] / 'tiny_huggingface').arrays
    )


@pytest.mark.parametrize('attention', ['eager', 'sdpa'])
def test_exports_of_torch(attention, tmp_path, tiny_config):
    torch = pytest.importorskip('torch', reason='needs torch')
    transformers = pytest.importorskip('transformers', reason='needs transformers')
    torch.manual_seed(3)
    config = transformers.BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=40,
        max_position_embeddings=32,
        attn_implementation=attention,
    )
    model = transformers.BertModel(config).eval()
    for parameter in model.parameters():
        parameter.data.normal_()
    model.save_pretrained(tmp_path)

    class Outputs(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, ids, mask, types):
            outputs = self.model(input_ids=ids, attention_mask=mask, token_type_ids=types)
            return outputs.last_hidden_state, outputs.pooler_output

    ids = torch.ones(2, 7, dtype=torch.long)
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of the exporter itself
        torch.onnx.export(
            Outputs(),
            (ids, ids, ids),
            str(tmp_path / 'model.onnx'),
            input_names=['input_ids', 'attention_mask', 'token_type_ids'],
            dynamo=False,
            opset_version=17,
        )
    assert find_format(tmp_path) == 'huggingface'  # the export beside it is left alone
    assert_same(read_onnx(tmp_path / 'model.onnx').arrays, read_checkpoint(tmp_path).arrays)


def initializer(model, dims):
    return next(tensor for tensor in model.graph.initializer if list(tensor.dims) == dims)


def lie(model):
    initializer(model, [24, 52]).raw_data = b'1234'


def point_outside(model):
    tensor = initializer(model, [24, 52])
    tensor.ClearField('raw_data')
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key='location', value='../../../../etc/passwd')


def make_double(model):
    tensor = initializer(model, [24, 52])
    tensor.CopyFrom(onnx.numpy_helper.from_array(np.zeros((24, 52)), tensor.name))


def cut_layer(model):
    del model.graph.node[-len(model.graph.node) // 2 :]


def fuse(model):
    cut_layer(model)
    model.graph.node.add(op_type='Attention', domain='com.microsoft')


def quantize(model):
    for node in model.graph.node:
        if node.op_type == 'MatMul':
            node.op_type = 'MatMulInteger'


def remove_attention(model):
    for node in model.graph.node:
        if node.op_type == 'Softmax':
            node.op_type = 'Relu'


def widen(model):
    words = next(tensor for tensor in model.graph.initializer if tensor.dims[:1] == [40])
    words.dims[0] = 39


@pytest.mark.parametrize(
    'change, message',
    [
        (lie, r'holds 1 values, its shape \(24, 52\) has 1248'),
        (point_outside, 'is in another file: save the model with its weights inside'),
        (make_double, 'is of data type 11: expected float32 or float16'),
        (cut_layer, r'has \d dense layers in float32 or float16, 2 layers of BERT have 12$'),
        (fuse, r'it has fused nodes \(com.microsoft.Attention\): export without fusion'),
        (quantize, 'it is quantised: give the file in float32'),
        (remove_attention, 'layer 0 has no attention from query, key and value to a softmax'),
        (widen, r'has 0 tables of shape \(40, 24\) for encoder.position_weight, expected one'),
        (lambda model: model.graph.ClearField('node'), 'is no ONNX file: it has no graph'),
        (lambda model: model.functions.add(name='f'), 'its graph calls functions'),
    ],
)
def test_other_graphs_are_refused(altered, change, message):
    path = altered(change)
    with pytest.raises(ValueError, match=message) as error:
        read_onnx(path)
    assert str(error.value).startswith(str(path)) and '\n' not in str(error.value)


def test_damaged_files_and_lonely_ones(exported, tmp_path, capsys):
    _, path = exported()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match='is no ONNX file, or is damaged'):
        read_onnx(path)
    path.write_bytes(content)
    (tmp_path / 'out' / 'config.json').unlink()
    with pytest.raises(FileNotFoundError, match='has no config.json beside it or in the folder'):
        read_onnx(path)
    (path.parent / 'other.onnx').write_bytes(content)
    with pytest.raises(ValueError, match='expected one file .*other.onnx.*name it'):
        read_onnx(path.parent)
    assert main(['info', str(path)]) == 2
    assert 'has no config.json' in capsys.readouterr().err


def test_a_configuration_of_another_network_is_refused(exported, tmp_path):
    _, path = exported()
    config = json.loads((tmp_path / 'out' / 'config.json').read_text())
    config.update(intermediate_size=50)
    (tmp_path / 'out' / 'config.json').write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r'in the place of .*ffn_1.weight has shape \(52, 24\)'):
        read_onnx(path)


def test_the_row_from_an_onnx_file_equals_onnxruntime():
    onnxruntime = pytest.importorskip('onnxruntime', reason='needs onnxruntime')
    from gluon_bert.zoo.opening import open_checkpoint

    key = ('bert_3_384_12', 'paraphrase_minilm_l3_v2')
    try:
        checkpoint = open_checkpoint('/'.join(key))
    except FileNotFoundError as error:
        pytest.skip(f'needs real weights: {error}')
    if not checkpoint.source.endswith('.onnx'):
        pytest.skip('its weights are here in another format')
    arrays = read_onnx_arrays(checkpoint.source, checkpoint.config)
    assert sum(array.size for array in arrays.values()) == 17241984
    encoder, tokens = gb.SentenceEncoder('/'.join(key)), gb.get_tokenizer(*key)
    assert encoder.max_length == 128
    session = onnxruntime.InferenceSession(checkpoint.source)
    for text in ('A cat sits on the mat.', 'Rivers rise in the mountains!', 'no'):
        ids = np.array([tokens.vocab[['[CLS]', *tokens(text), '[SEP]']]])
        (expected,) = session.run(['461'], {'input_ids': ids, 'attention_mask': np.ones_like(ids)})
        vector = encoder.encode([text], normalize=False)
        assert np.abs(vector - expected).max() < 1e-5
        assert np.linalg.norm(vector) > 2
