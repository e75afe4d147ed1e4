# ruff: noqa: F811 (fixtures are imported)
"""ONNX models in int8: near the network in every family and head; what stays in float32 does."""

import collections
import json

import numpy as np
import pytest
from export_networks import (
    FAMILY_CONFIGS,
    HEADS,
    checkpoint_of,
    graph_inputs,
    head_of,
    run_onnx,
    valid,
)
from script_runs import tiny_folder, tiny_pipeline, tokenizer  # noqa: F401 (fixtures)

from gluon_bert.cli import main
from gluon_bert.data import Features
from gluon_bert.export.calibration import Range, measure_ranges, saved_ranges
from gluon_bert.export.onnx import build_onnx, write_onnx
from gluon_bert.inference.precision_file import LowPrecision, write_precision
from gluon_bert.kernels.encoder import dense_layers, layer_widths
from gluon_bert.zoo import open_checkpoint

onnx = pytest.importorskip('onnx', reason="needs onnx: pip install '.[onnx]'")
onnxruntime = pytest.importorskip('onnxruntime', reason='needs onnxruntime')

LENGTHS = [7, 1, 4]
INT8 = ('int8', 'int8-static')
# The smallest seen is 0.987, on random weights, which spread more than trained ones.
COSINE = 0.98


def features_of(batch):
    return [
        Features(ids[:length].astype('int32'), types[:length].astype('int32'), length)
        for ids, types, length in zip(batch.inputs, batch.token_types, batch.lengths)
    ]


def options_of(dtype, batch):
    """The options of a type; texts to calibrate on are those that come."""
    return {'dtype': dtype, 'calibration': features_of(batch) if dtype == 'int8-static' else None}


def cosine(found, expected):
    found, expected = np.ravel(found), np.ravel(expected)
    return found @ expected / np.linalg.norm(found) / np.linalg.norm(expected)


def operators(model):
    return collections.Counter(node.op_type for node in model.graph.node)


@pytest.mark.parametrize('dtype', INT8)
@pytest.mark.parametrize('family', FAMILY_CONFIGS)
@pytest.mark.parametrize('name', HEADS)
def test_near_float32_in_every_family_and_head(name, family, dtype, make_model, ragged):
    network = head_of(name, make_model(**FAMILY_CONFIGS[family]))
    batch, checkpoint = ragged(network.config, LENGTHS), checkpoint_of(network)
    head = 'masked_lm' if name == 'pretraining' else None
    exact = run_onnx(build_onnx(checkpoint, head), batch)
    found = run_onnx(build_onnx(checkpoint, head, **options_of(dtype, batch)), batch)
    assert found.keys() == exact.keys()
    for output, expected in exact.items():
        where = valid(batch) if expected.shape[:2] == batch.inputs.shape else slice(None)
        assert cosine(found[output][where], expected[where]) > COSINE, output
        assert not np.array_equal(found[output], expected)


@pytest.mark.parametrize('dtype', INT8)
@pytest.mark.parametrize('opset', [13, 18, 21])
def test_every_opset_holds_int8(opset, dtype, make_model, ragged):
    network = make_model()
    batch = ragged(network.config, LENGTHS)
    model = build_onnx(checkpoint_of(network), opset=opset, **options_of(dtype, batch))
    found = run_onnx(model, batch)['pooler_output']
    assert cosine(found, network(*batch.arrays()).pooled.asnumpy()) > COSINE


@pytest.mark.parametrize('dtype', INT8)
def test_weights_have_seven_bits_and_a_scale_for_each_output(dtype, make_model, ragged):
    network = make_model()
    batch, checkpoint = ragged(network.config, LENGTHS), checkpoint_of(network)
    model = build_onnx(checkpoint, **options_of(dtype, batch))
    stored = {w.name: onnx.numpy_helper.to_array(w) for w in model.graph.initializer}
    name = 'encoder.transformer_cells.1.ffn.ffn_1.weight'
    values, scales = stored[f'{name}.T.int8'], stored[f'{name}.T.scale']
    assert values.dtype == 'int8' and values.shape == (24, 52) and scales.shape == (52,)
    # With weights of 8 bits, sums of two products would not fit in 16 on processors without VNNI.
    assert np.abs(values.astype(int)).max(axis=0).tolist() == [64] * 52
    exact = checkpoint.arrays[name].T
    assert (np.abs(values * scales - exact) <= scales / 2 + 1e-7).all()
    words = stored['word_embed.0.weight.int8'] * stored['word_embed.0.weight.scale']
    assert words == pytest.approx(checkpoint.arrays['word_embed.0.weight'], abs=0.01)
    assert not [name for name in stored if name.startswith('word') and stored[name].size > 97 * 24]
    assert f'{name}.T' not in stored and name not in stored


def test_operators(make_model, ragged):
    network = make_model()
    batch, checkpoint = ragged(network.config, LENGTHS), checkpoint_of(network)
    dynamic = operators(build_onnx(checkpoint, dtype='int8'))
    # Query, key and value have one input.
    assert (dynamic['DynamicQuantizeLinear'], dynamic['MatMulInteger']) == (2 * 4, 2 * 6)
    static = operators(build_onnx(checkpoint, **options_of('int8-static', batch)))
    assert (static['QuantizeLinear'], static['DequantizeLinear']) == (2 * 4, 2 * 4 + 2 * 6)
    assert not static['MatMulInteger'] and not dynamic['QuantizeLinear']


@pytest.mark.parametrize('dtype', INT8)
def test_layers_of_precision_json_stay_in_float32(dtype, tiny_folder, ragged):
    folder, network = tiny_folder()
    batch = ragged(network.config, LENGTHS)
    names = dense_layers(2)
    write_precision(folder, LowPrecision('int8', float32_layers=('0.expand', '1.output')))
    model = build_onnx(open_checkpoint(folder), **options_of(dtype, batch))
    stored = {weight.name for weight in model.graph.initializer}
    cell = 'encoder.transformer_cells.'
    for name in (f'{cell}0.ffn.ffn_1.weight.T', f'{cell}1.proj.weight.T'):
        assert name in stored and f'{name}.int8' not in stored
    assert f'{cell}1.ffn.ffn_1.weight.T.int8' in stored
    # With all of them only the word embedding is rounded.
    write_precision(folder, LowPrecision('int8', float32_layers=tuple(names)))
    model = build_onnx(open_checkpoint(folder), **options_of(dtype, batch))
    assert not operators(model)['MatMulInteger'] and not operators(model)['QuantizeLinear']
    found = run_onnx(model, batch)['pooler_output']
    assert found == pytest.approx(network(*batch.arrays()).pooled.asnumpy(), abs=0.05)


def test_static_results_do_not_depend_on_the_batch(make_model, ragged):
    network = make_model()
    batch, wide = ragged(network.config, LENGTHS), ragged(network.config, LENGTHS, width=30)
    for name in ('inputs', 'token_types'):
        getattr(wide, name)[:, : max(LENGTHS)] = getattr(batch, name)
    for name in ('inputs', 'token_types', 'lengths'):
        setattr(wide, name, getattr(wide, name)[::-1])
    model = build_onnx(checkpoint_of(network), **options_of('int8-static', batch))
    alone, among = (run_onnx(model, given)['pooler_output'] for given in (batch, wide))
    assert among[::-1] == pytest.approx(alone, abs=1e-5)


def test_layers_for_bfloat16_are_not_those_for_int8(tiny_folder):
    folder, _ = tiny_folder()
    write_precision(folder, LowPrecision('bfloat16', float32_layers=('0.expand',)))
    model = build_onnx(open_checkpoint(folder), dtype='int8')
    assert operators(model)['MatMulInteger'] == 2 * 6


@pytest.mark.parametrize('family', ['bert', 'albert'])
def test_ranges_are_those_of_the_inputs(family, make_model, ragged):
    network = make_model(**FAMILY_CONFIGS[family])
    batch = ragged(network.config, LENGTHS)
    ranges = measure_ranges(checkpoint_of(network), features_of(batch))
    assert [*ranges] == dense_layers(2)
    outputs = network.layer_outputs(*batch.arrays()).encodings
    for number in range(2):
        hidden = outputs[number].asnumpy()[valid(batch)]
        expected = (hidden.min(), hidden.max())
        assert ranges[f'{number}.query_key_value'] == pytest.approx(expected, abs=1e-5)
    if family == 'bert':  # whose GELU has this minimum
        assert ranges['0.contract'].lowest >= -0.17


def test_ranges_from_saved_scales(tiny_folder, ragged, caplog):
    folder, network = tiny_folder()
    batch = ragged(network.config, LENGTHS)
    scales = {name: (0.5,) * width for name, width in layer_widths(network.config).items()}
    write_precision(folder, LowPrecision('int8', activation_scales=scales))
    checkpoint = open_checkpoint(folder)
    assert saved_ranges(checkpoint) == {name: Range(-2, 2) for name in dense_layers(2)}
    build_onnx(checkpoint, dtype='int8-static')
    assert 'the ranges of int8 are estimated from the scales of precision.json' in caplog.text
    # Texts go before the saved scales.
    model = build_onnx(checkpoint, **options_of('int8-static', batch))
    found = run_onnx(model, batch)['pooler_output']
    assert cosine(found, network(*batch.arrays()).pooled.asnumpy()) > COSINE


def test_a_range_without_zero_and_one_without_width(make_model, ragged, monkeypatch):
    from gluon_bert.export import onnx_int8

    ranges = dict.fromkeys(dense_layers(2), Range(3.0, 5.0))
    ranges['1.expand'] = Range(0.0, 0.0)
    monkeypatch.setattr(onnx_int8, 'measure_ranges', lambda *_: ranges)
    network = make_model()
    batch = ragged(network.config, LENGTHS)
    found = run_onnx(build_onnx(checkpoint_of(network), **options_of('int8-static', batch)), batch)
    assert np.isfinite(found['pooler_output']).all()


@pytest.mark.parametrize(
    'dtype, calibration, message',
    [
        ('int8-static', None, 'int8-static needs calibration texts .--calibrate FILE., or'),
        ('int8-static', [], 'calibration: expected one text or more'),
        ('int8', [], "dtype='int8': needs no calibration texts; int8-static does"),
        ('float32', [], "dtype='float32': needs no calibration texts"),
    ],
)
def test_calibration_is_checked(dtype, calibration, message, make_model, tmp_path):
    checkpoint = checkpoint_of(make_model())
    with pytest.raises(ValueError, match=message):
        write_onnx(checkpoint, tmp_path / 'out', dtype=dtype, calibration=calibration)
    assert not list(tmp_path.iterdir())


def test_a_network_that_computes_no_numbers(make_model, ragged, tmp_path):
    network = make_model()
    checkpoint = checkpoint_of(network)
    checkpoint.arrays['encoder.transformer_cells.0.proj.bias'][:] = np.nan
    batch = ragged(network.config, LENGTHS)
    with pytest.raises(ValueError, match='the inputs of 0.expand are not finite'):
        write_onnx(checkpoint, tmp_path / 'out', **options_of('int8-static', batch))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    'dtype, file, js_name',
    [
        ('float32', 'model.onnx', 'fp32'),
        ('float16', 'model_fp16.onnx', 'fp16'),
        ('int8', 'model_quantized.onnx', 'q8'),
        ('int8-static', 'model_int8.onnx', 'int8'),
    ],
)
def test_files_have_the_names_of_transformers_js(
    dtype, file, js_name, make_model, ragged, tmp_path
):
    network = make_model()
    batch = ragged(network.config, LENGTHS)
    write_onnx(checkpoint_of(network), tmp_path / 'out', **options_of(dtype, batch))
    assert [path.name for path in (tmp_path / 'out' / 'onnx').iterdir()] == [file]
    config = json.loads((tmp_path / 'out' / 'config.json').read_text())
    assert config['transformers.js_config']['dtype'] == js_name


TEXTS = 'the cat sleeps here\na dog barks\nsun , moon\n'
CONLL = 'the O\ncat B-x\n\na O\ndog B-y\nbarks O\n'
SQUAD = {
    'data': [
        {'paragraphs': [{'context': 'the cat sleeps here without the sun',
                         'qas': [{'id': '1', 'question': 'cat', 'answers': []}]}]}
    ]
}  # fmt: skip


@pytest.mark.parametrize(
    'task, name, content',
    [
        ('text-classification', 'texts.txt', TEXTS),
        ('text-regression', 'texts.csv', 'text,pair\nthe cat,a dog\nsun,moon\n'),
        ('token-classification', 'tagged.conll', CONLL),
        ('question-answering', 'squad.json', json.dumps(SQUAD)),
    ],
)
def test_command_calibrates_on_files_of_the_task(
    task, name, content, tiny_pipeline, tmp_path, capsys
):
    tiny_pipeline(task, folder=tmp_path / 'tuned')
    (tmp_path / name).write_text(content)
    out, file = str(tmp_path / 'out'), str(tmp_path / name)
    argv = ['export', str(tmp_path / 'tuned'), '--to', 'onnx', out, '--dtype', 'int8-static']
    assert main(argv) == 2
    assert 'needs calibration texts' in capsys.readouterr().err
    assert main([*argv, '--calibrate', file]) == 0
    assert 'model_int8.onnx: ' in capsys.readouterr().out


def test_command_calibrates_an_encoder(tiny_folder, tmp_path, capsys):
    folder, _ = tiny_folder()
    (tmp_path / 'texts.txt').write_text(TEXTS)
    (tmp_path / 'empty.txt').write_text('')
    argv = ['export', str(folder), '--to', 'onnx', str(tmp_path / 'out'), '--dtype', 'int8-static']
    assert main([*argv, '--calibrate', str(tmp_path / 'empty.txt')]) == 2
    assert 'empty.txt: is empty' in capsys.readouterr().err
    assert main([*argv, '--calibrate', str(tmp_path / 'none.txt')]) == 2
    assert '--calibrate' in capsys.readouterr().err
    assert main([*argv, '--calibrate', str(tmp_path / 'texts.txt')]) == 0


@pytest.mark.parametrize('dtype', ['float32', *INT8])
@pytest.mark.parametrize('family', ['bert', 'electra', 'albert'])
def test_openvino_reads_it(family, dtype, make_model, ragged):
    openvino = pytest.importorskip('openvino', reason='needs openvino')
    network = make_model(**FAMILY_CONFIGS[family])
    batch, checkpoint = ragged(network.config, LENGTHS), checkpoint_of(network)
    model = build_onnx(checkpoint, pooling='mean', **options_of(dtype, batch))
    expected = run_onnx(build_onnx(checkpoint, pooling='mean'), batch)
    core = openvino.Core()
    graph = core.read_model(model.SerializeToString())
    compiled = core.compile_model(graph, 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})
    given = graph_inputs(batch)
    found = compiled({put.any_name: given[put.any_name] for put in compiled.inputs})
    vectors = found[compiled.output('sentence_embedding')]
    if dtype == 'float32':
        assert vectors == pytest.approx(expected['sentence_embedding'], abs=1e-5)
    assert cosine(vectors, expected['sentence_embedding']) > COSINE


@pytest.mark.weights
@pytest.mark.data
@pytest.mark.parametrize('dtype', INT8)
def test_real_vectors_rank_pairs_as_in_float32(dtype, shared_data, real_folder):
    """Rank the similarities of STS-B's pairs; int8 may cost half a point."""
    from scipy.stats import spearmanr

    from gluon_bert.data import SentenceTransform, pad_batch

    path = shared_data / 'glue_data' / 'STS-B' / 'dev.tsv'
    if not path.is_file():
        pytest.skip(f'needs {path}')
    lines = path.read_text(encoding='utf-8').splitlines()[1:601:3]
    rows = [line.split('\t') for line in lines]
    checkpoint = open_checkpoint('bert_6_384_12/all_minilm_l6_v2')
    transform = SentenceTransform(checkpoint.tokenizer, 64)
    texts = [transform(row[column]) for column in (7, 8) for row in rows]
    calibration = texts[:64] if dtype == 'int8-static' else None

    def correlation(**options):
        model = build_onnx(checkpoint, **options)
        session = onnxruntime.InferenceSession(model.SerializeToString())
        vectors = []
        for begin in range(0, len(texts), 40):
            ids, types, lengths = pad_batch(texts[begin : begin + 40], 0)
            mask = np.arange(ids.shape[1]) < np.array(lengths)[:, None]
            given = {'input_ids': ids, 'attention_mask': mask, 'token_type_ids': types}
            inputs = {name: array.astype('int64') for name, array in given.items()}
            vectors.append(session.run(['sentence_embedding'], inputs)[0])
        first, second = np.split(np.concatenate(vectors), 2)
        return spearmanr((first * second).sum(axis=1), [float(row[9]) for row in rows])[0]

    exact = correlation()
    assert exact > 0.8
    assert correlation(dtype=dtype, calibration=calibration) == pytest.approx(exact, abs=0.005)
