# ruff: noqa: F811 (fixtures are imported)
"""Lower precisions: the layers that must stay in float32, what is kept of them, the command."""

import json
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from command_fixtures import run  # noqa: F401 (fixtures)
from script_runs import tiny_pipeline, tokenizer, valid_tags  # noqa: F401 (fixtures)
from tiny_zoo import error_of

import gluon_bert as gb
from gluon_bert import kernels
from gluon_bert.data import Features
from gluon_bert.inference.precision import calibrate, choose_precision, layer_errors
from gluon_bert.inference.precision_file import (
    PRECISION_FILE,
    LowPrecision,
    has_precision,
    read_precision,
    write_precision,
)
from gluon_bert.inference.predictor import Predictor
from gluon_bert.kernels.encoder import dense_layers, layer_widths
from gluon_bert.tasks.evaluation import read_dev

BAD = '1.expand'
SAMPLE = Path(__file__).parents[2] / 'examples' / 'sample' / 'train.tsv'


@pytest.fixture
def native():
    if not kernels.load():
        pytest.skip('native kernels are not built: python -m gluon_bert.kernels')


@pytest.fixture
def features(tiny_config, seed):
    """Calibration texts of mixed lengths."""
    rng = np.random.RandomState(seed)
    return [
        Features(
            rng.randint(0, tiny_config.vocab_size, length).astype('int32'),
            np.zeros(length, 'int32'),
            length,
        )
        for length in (3, 30, 11, 40, 1, 22)
    ]


def spoil(bert):
    """Give a layer huge weights of two equal inputs, which cancel: its others round to nothing."""
    layer = bert.layers[1]
    for parameter, value in ((layer.attention_norm.gamma, 0), (layer.attention_norm.beta, 1)):
        values = parameter.data().copy()
        values[:2] = value
        parameter.set_data(values)
    weight = layer.expand.weight.data().copy()
    weight[:, 0], weight[:, 1] = 65536, -65536
    layer.expand.weight.set_data(weight)
    return bert


def outputs(predictor, features):
    arrays = [mx.nd.array(part) for part in gb.data.pad_batch(features, 0)]
    return predictor(*arrays).pooled.asnumpy()


@pytest.mark.parametrize('by_score', [False, True])
def test_a_layer_that_suffers_is_found_and_kept(native, make_model, features, by_score):
    model = spoil(make_model())
    exact, tried = outputs(Predictor(model), features), []

    def score(predictor):
        return 1 - abs(outputs(predictor, features) - exact).mean()

    found = choose_precision(
        model,
        'int8',
        features,
        score if by_score else None,
        0.15,
        tell=lambda *trial: tried.append(trial),
    )
    assert found.keep == (BAD,) and next(iter(found.errors)) == BAD
    assert (found.measure, found.precision) == ('score' if by_score else 'error', 'int8')
    values = {len(keep): value for keep, value in tried}
    assert (values[8], values[0], values[1]) == (found.float32, found.whole, found.chosen)
    assert abs(found.whole - found.float32) > 0.15 > abs(found.chosen - found.float32)
    assert len(tried) <= 2 + 3  # bisection of eight layers


def test_as_few_layers_are_kept_as_will_do(native, make_model, features):
    model = make_model()
    sizes = calibrate(model, features)
    errors = layer_errors(model, LowPrecision('int8', sizes=sizes), features)
    whole = choose_precision(model, 'int8', features, tolerance=9)
    assert (whole.keep, whole.errors, whole.chosen) == ((), None, whole.whole)
    found = choose_precision(model, 'int8', features, tolerance=0.7 * whole.whole)
    assert found.sizes == whole.sizes == sizes
    assert list(errors) == list(found.errors)
    assert found.keep == tuple(errors)[: len(found.keep)] and 0 < len(found.keep) < 8
    assert (
        found.chosen
        <= 0.7 * whole.whole
        < choose_precision(model, 'int8', features, tolerance=found.chosen * 1.0001).whole
    )
    assert set(choose_precision(model, 'int8', features, tolerance=0).keep) == {*dense_layers(2)}


@pytest.mark.parametrize(
    'sizes, message',
    [
        ({}, 'expected 24 finite numbers from 0 for 0.query_key_value'),
        ({'0.query_key_value': [np.nan] * 24}, 'finite numbers'),
        ({'0.query_key_value': [1] * 23}, r'shape \(23,\)'),
    ],
)
def test_sizes_for_another_network_are_refused(native, make_model, tiny_config, sizes, message):
    assert tiny_config.units == 24
    with pytest.raises(ValueError, match=message):
        Predictor(make_model(), precision=LowPrecision('int8', sizes=sizes))
    with pytest.raises(ValueError, match='sizes of inputs are for int8'):
        Predictor(make_model(), precision=LowPrecision('bfloat16', sizes=sizes))
    with pytest.raises(ValueError, match='float32_layers is for a precision by its name'):
        Predictor(make_model(), precision=LowPrecision('int8'), keep=['0.expand'])


@pytest.mark.parametrize(
    'arguments, message',
    [
        ({'precision': 'float32'}, "precision='float32': expected one of bfloat16, int8"),
        ({'features': []}, 'expected one or more calibration texts'),
        ({'tolerance': -1}, 'tolerance=-1: expected'),
        ({'tolerance': np.nan}, 'tolerance=nan'),
        ({'score': lambda predictor: np.nan}, 'in float32 the score is nan'),
    ],
)
def test_wrong_arguments_are_told(native, make_model, features, arguments, message):
    with pytest.raises(ValueError, match=message):
        choose_precision(make_model(), **{'precision': 'int8', 'features': features, **arguments})


CONFIG = gb.BertConfig(
    vocab_size=30,
    units=4,
    hidden_size=6,
    num_layers=2,
    num_heads=2,
    max_length=9,
    num_token_types=2,
    dropout=0.1,
    layer_norm_eps=1e-12,
    activation='gelu',
    pooler_activation='tanh',
)
SIZES = {
    name: tuple(np.linspace(0, 1.5, width).tolist()) for name, width in layer_widths(CONFIG).items()
}


def test_calibration_makes_int8_more_exact(native, real_model):
    model, vocab = real_model
    texts = [line.split('\t')[3] for line in SAMPLE.read_text().splitlines()[1:129]]
    features, _ = gb.data.SentenceTransform(gb.data.BertTokenizer(vocab), 64).transform_batch(texts)
    features, others = features[:64], features[64:]

    def error(precision):
        found, exact = (
            np.concatenate([row.ravel() for row in predictor.batch(others).sequence])
            for predictor in (Predictor(model, precision=precision), Predictor(model))
        )
        return np.sqrt(np.mean((found - exact) ** 2) / np.mean(exact**2))

    flat = {name: (1.0,) * width for name, width in layer_widths(model.config).items()}
    own, random, none = (
        error(LowPrecision('int8', sizes=sizes))
        for sizes in (calibrate(model, features), None, flat)
    )
    assert own < 0.95 * random < 0.9 * none and own < 0.08


FOUND = LowPrecision(
    'int8',
    ('1.expand', '0.output'),
    0.005,
    'f1',
    0.9,
    0.8,
    0.899,
    {'1.expand': 0.5, '0.output': 0.25},
    SIZES,
    'MRPC/dev.tsv',
    'texts.txt',
)


@pytest.mark.parametrize('found', [FOUND, LowPrecision('bfloat16')], ids=['all', 'least'])
def test_what_was_found_is_kept_and_read(tmp_path, found):
    write_precision(tmp_path, found)
    assert read_precision(tmp_path, CONFIG) == found


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'precision': 'int4'}, 'precision is .*bfloat16 or int8'),
        ({'precision': [1]}, 'precision is'),
        ({'float32_layers': ['2.expand']}, "float32_layers is .*to '1.contract'"),
        ({'float32_layers': '0.expand'}, 'float32_layers is'),
        ({'float32_layers': ['0.expand', '0.expand']}, 'float32_layers is'),
        ({'float32_layers': ['00.expand']}, 'float32_layers is'),
        ({'float32_layers': ['\u0660.expand']}, 'float32_layers is'),
        ({'float32_layers': [[]]}, 'float32_layers is'),
        ({'float32_layers': ['0.expand\n']}, 'float32_layers is'),
        ({'errors': {'0.expand': -1}}, 'errors is'),
        ({'errors': {'x': 1}}, 'errors is'),
        ({'errors': []}, 'errors is'),
        ({'tolerance': True}, 'tolerance is'),
        ({'tolerance': 1e999}, 'not JSON|tolerance'),
        ({'activation_scales': {**SIZES, '0.expand': SIZES['0.contract']}}, 'activation_scales is'),
        ({'activation_scales': {**SIZES, '0.expand': [-1, 0, 0, 0]}}, 'activation_scales is'),
        ({'activation_scales': {}}, 'activation_scales is'),
        ({'activation_scales': {**SIZES, '0.expand': 4}}, 'activation_scales is'),
        ({'float32': '0.9'}, 'float32 is'),
        ({'data': 'a\x1b[2J'}, 'data is'),
        ({'data': 'a' * 1001}, 'data is'),
        ({'weights': 1}, "'weights' is unknown"),
    ],
)
def test_file_that_was_altered_is_refused(tmp_path, changes, message):
    write_precision(tmp_path, FOUND)
    path = tmp_path / PRECISION_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(ValueError, match=message) as refused:
        read_precision(tmp_path, CONFIG)
    assert str(path) in str(refused.value) and len(str(refused.value)) < 400


@pytest.mark.parametrize(
    'content, message',
    [
        ('[]', 'expected a JSON object'),
        ('{}', "has no 'precision'"),
        ('{"keep": [', 'not JSON'),
        ('{"precision": "' + 'a' * (5 << 20) + '"}', 'larger than'),
    ],
)
def test_damaged_file_is_refused(tmp_path, content, message):
    (tmp_path / PRECISION_FILE).write_text(content)
    with pytest.raises(ValueError, match=message):
        read_precision(tmp_path, CONFIG)


def test_names_of_0_1_still_serve(native, make_model, features, tmp_path):
    former = {'keep': 'float32_layers', 'whole': 'score_all_low'}
    former.update(chosen='score_chosen', sizes='activation_scales')
    write_precision(tmp_path, FOUND)
    path = tmp_path / PRECISION_FILE
    content = json.loads(path.read_text())
    assert set(former.values()) <= set(content)
    old = {
        next((k for k, v in former.items() if v == name), name): content[name] for name in content
    }
    path.write_text(json.dumps(old))
    assert read_precision(tmp_path, CONFIG) == FOUND
    for name, present in former.items():
        assert getattr(FOUND, name) == getattr(FOUND, present)
    assert LowPrecision('int8', keep=(BAD,)) == LowPrecision('int8', (BAD,))
    assert FOUND._replace(whole=0.5) == FOUND._replace(score_all_low=0.5) != FOUND
    path.write_text(json.dumps({**old, 'float32_layers': []}))
    with pytest.raises(ValueError, match="'keep' is the former name of 'float32_layers'"):
        read_precision(tmp_path, CONFIG)
    path.write_text(json.dumps({**old, 'keep': ['2.expand']}))
    with pytest.raises(ValueError, match="keep is .*to '1.contract'"):
        read_precision(tmp_path, CONFIG)
    model = make_model()
    one, other = (
        Predictor(model, precision='bfloat16', **{name: [BAD]})
        for name in ('keep', 'float32_layers')
    )
    np.testing.assert_array_equal(outputs(one, features), outputs(other, features))


SUFFIXES = {'classification': 'tsv', 'regression': 'tsv', 'questions': 'json', 'entities': 'conll'}
TEXTS = ['the cat', 'a dog barks loudly !', 'sun', 'the moon , the sun ! a cat sleeps out here .']
# Neither punctuation nor articles, which a measure of answers leaves out.
CONTEXT = 'cat sleeps here dog barks out loud without moon sun loudly'


def write_dev(path, task, kept):
    """A small dev set of a task; what the network gives in float32 is right."""
    pipeline = gb.load_pipeline(kept)
    if task == 'questions':
        answers = pipeline(TEXTS, CONTEXT)
        path.write_text(
            json.dumps(
                {
                    'version': '1.1',
                    'data': [
                        {
                            'title': '',
                            'paragraphs': [
                                {
                                    'context': CONTEXT,
                                    'qas': [
                                        {
                                            'id': text,
                                            'question': text,
                                            'answers': [
                                                {'text': answer.text, 'answer_start': answer.start}
                                            ],
                                        }
                                        for text, answer in zip(TEXTS, answers)
                                    ],
                                }
                            ],
                        }
                    ],
                }
            )
        )
    elif task == 'entities':
        sentences = [text.split() for text in TEXTS]
        path.write_text(
            '\n'.join(
                ''.join(f'{word} {tag}\n' for word, tag in zip(words, tags))
                for words, tags in zip(sentences, valid_tags(pipeline, sentences))
            )
        )
    else:
        path.write_text(
            'text\tlabel\n'
            + ''.join(f'{text}\t{result[0]}\n' for text, result in zip(TEXTS, pipeline(TEXTS)))
        )
    return path


@pytest.fixture
def folder(tiny_pipeline, tmp_path):
    """Write a tiny network with a layer that suffers: task -> its folder, inputs, dev set.

    It is drawn anew until what it gives can be measured: all answers have a word, some tag is no O.
    """

    def make(task):
        pipeline = tiny_pipeline(task, folder=tmp_path / 'kept')
        network, dev = pipeline.network, tmp_path / f'dev.{SUFFIXES[task]}'
        for _ in range(20):
            for parameter in network.collect_params().values():
                parameter.set_data(mx.nd.random.normal(scale=0.4, shape=parameter.shape))
            spoil(network.bert)
            network.save_parameters(tmp_path / 'kept' / 'tiny.params')
            write_dev(dev, task, tmp_path / 'kept')
            if read_dev(pipeline, dev).score(pipeline) == 1:
                break
        inputs = [(text, CONTEXT) if task == 'questions' else text for text in TEXTS]
        return tmp_path / 'kept', inputs, dev

    return make


@pytest.mark.parametrize('task', SUFFIXES)
def test_command_finds_a_precision_for_every_task(native, run, folder, task):
    kept, inputs, dev = folder(task)
    status, out, err = run('quantize', kept, '--dev', dev, '--tolerance', '0.02')
    assert status == 0, err
    lines, found = out.splitlines(), read_precision(kept, gb.load_pipeline(kept).network.config)
    assert lines[0].split()[:2] == [found.measure, 'seconds']
    assert lines[1].split()[:2] == ['float32', '1.0000']
    assert lines[2].split()[:2] == ['int8', f'{found.whole:.4f}']
    assert (found.precision, found.tolerance) == ('int8', 0.02)
    assert found.data.endswith(dev.name) and found.chosen >= 0.98
    assert (found.whole < 0.98) == bool(found.keep) == (BAD in found.keep)
    exact = gb.load_pipeline(kept)
    expected = exact.freeze(Predictor(exact.network, precision=found))(inputs)
    assert gb.load_pipeline(kept, precision='saved')(inputs) == expected
    assert gb.load_pipeline(kept, precision='int8')(inputs) == expected


def test_without_a_dev_set_the_error_decides(native, run, folder, tmp_path):
    mx.random.seed(1)  # a network in which one layer suffers far more than the others
    kept, _, _ = folder('classification')
    (kept / 'README.md').write_text('# Name\n\n## Use\n\nCode.\n')
    (tmp_path / 'texts.txt').write_text('\n'.join(TEXTS))
    for target in ('copy', 'copy of copy'):
        before = sorted(path.name for path in kept.iterdir())
        status, out, err = run(
            'quantize',
            kept,
            '--calibrate',
            tmp_path / 'texts.txt',
            '--tolerance',
            '0.2',
            '--output',
            tmp_path / target,
        )
        assert status == 0, err
        assert out.splitlines()[-1].split()[-4:] == ['1', 'of', '8:', BAD]
        assert sorted(path.name for path in kept.iterdir()) == before
        kept = tmp_path / target
        found = read_precision(kept, gb.load_pipeline(kept).network.config)
        card = (kept / 'README.md').read_text()
        assert (found.keep, found.measure, found.data) == ((BAD,), 'error', None)
        assert card.count('## Precision') == card.count('## Use') == 1
        assert card.index('1 dense layer left in float32') < card.index('## Use')


def test_precision_is_chosen_on_loading(native, run, folder):
    kept, inputs, _ = folder('regression')
    exact = gb.load_pipeline(kept)(inputs)
    assert gb.load_pipeline(kept, precision='float32')(inputs) == exact
    with pytest.raises(FileNotFoundError, match='gluon-bert quantize'):
        gb.load_pipeline(kept, precision='saved')
    with pytest.raises(ValueError, match="precision='int4': expected one of float32"):
        gb.load_pipeline(kept, precision='int4')
    whole = gb.load_pipeline(kept, precision='int8')(inputs)
    write_precision(kept, LowPrecision('bfloat16', tuple(dense_layers(2))))
    assert gb.load_pipeline(kept)(inputs) == exact  # only when it is asked for
    assert gb.load_pipeline(kept, precision='saved')(inputs) == exact
    assert gb.load_pipeline(kept, precision='int8')(inputs) == whole != exact
    for precision, expected in (('saved', exact), ('int8', whole)):
        status, out, err = run('predict', kept, *inputs, '--precision', precision)
        assert status == 0, err
        assert [json.loads(line)['value'] for line in out.splitlines()] == [
            row.value for row in expected
        ]


@pytest.mark.parametrize('card', [b'\xff', b'a' * (5 << 20), None], ids=['bytes', 'long', 'none'])
def test_card_that_cannot_be_read_is_left_alone(tmp_path, card):
    path = tmp_path / 'README.md'
    if card is not None:
        path.write_bytes(card)
    gb.model_card.tell_precision(tmp_path, FOUND)
    assert (path.read_bytes() if path.exists() else None) == card


def test_other_parameters_forget_the_precision(folder):
    kept, _, _ = folder('regression')
    write_precision(kept, FOUND)
    gb.task_folder.save_task(kept, gb.task_folder.load_task(kept), 'tiny.params')
    assert not has_precision(kept)


@pytest.mark.parametrize(
    'arguments, parts',
    [
        ([], ['no task of GLUE', 'must be named']),
        (['--dev', 'none.tsv'], ['--dev none.tsv', 'no such file']),
        (['--dev', 'bare.tsv'], ["column 'label' is unknown"]),
        (['--calibrate', 'empty.txt'], ['empty.txt', 'empty']),
        (['--calibrate', 'none'], ['--calibrate none', 'no such file']),
        (['--dev', 'bare.tsv', '--output', 'kept'], ['--output kept: is there already']),
        (['--dev', 'bare.tsv', '--tolerance', '-1'], ['--tolerance -1']),
        (['--dev', 'bare.tsv', '--batch_size', '0'], ['--batch_size 0']),
    ],
)
def test_what_is_wrong_is_told(native, run, folder, tmp_path, monkeypatch, arguments, parts):
    kept, _, _ = folder('classification')
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('GLUE_DIR', raising=False)
    (tmp_path / 'bare.tsv').write_text('text\nthe cat\n')
    (tmp_path / 'empty.txt').write_text('')
    error = error_of(run, 'quantize', 'kept', *arguments)
    for part in parts:
        assert part in error
    assert not has_precision(kept)


def test_without_the_kernels_it_is_told_how_to_get_them(run, folder, monkeypatch):
    kept, _, _ = folder('classification')
    monkeypatch.setattr(kernels, 'is_available', lambda: False)
    monkeypatch.delenv('GLUON_BERT_KERNELS', raising=False)
    assert 'python -m gluon_bert.kernels' in error_of(run, 'quantize', kept)
    with pytest.raises(ValueError, match='python -m gluon_bert.kernels'):
        gb.load_pipeline(kept, precision='int8')
