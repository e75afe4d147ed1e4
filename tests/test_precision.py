# ruff: noqa: F811 (fixtures are imported)
"""Lower precisions: the layers that must stay in float32, what is kept of them, the command."""
import json

import mxnet as mx
import numpy as np
import pytest
from command_fixtures import run  # noqa: F401 (fixtures)
from script_runs import tiny_pipeline, tokenizer  # noqa: F401 (fixtures)
from tiny_zoo import error_of

import gluon_bert as gb
from gluon_bert import kernels
from gluon_bert.data import Features
from gluon_bert.inference import Predictor
from gluon_bert.kernels.encoder import dense_layers
from gluon_bert.precision import choose_precision, layer_errors
from gluon_bert.precision_file import (
    PRECISION_FILE,
    LowPrecision,
    has_precision,
    read_precision,
    write_precision,
)

BAD = '1.expand'


@pytest.fixture
def native():
    if not kernels.load():
        pytest.skip('native kernels are not built: python -m gluon_bert.kernels')


@pytest.fixture
def features(tiny_config, seed):
    """Calibration texts of mixed lengths."""
    rng = np.random.RandomState(seed)
    return [Features(rng.randint(0, tiny_config.vocab_size, length).astype('int32'),
                     np.zeros(length, 'int32'), length) for length in (3, 30, 11, 40, 1, 22)]


def spoil(bert):
    """Give one layer huge weights of an input that is always 0: its others round to nothing."""
    layer = bert.layers[1]
    for parameter in (layer.attention_norm.gamma, layer.attention_norm.beta):
        values = parameter.data().copy()
        values[0] = 0
        parameter.set_data(values)
    weight = layer.expand.weight.data().copy()
    weight[:, 0] = 1e4
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
    found = choose_precision(model, 'int8', features, score if by_score else None, 0.15,
                             tell=lambda *trial: tried.append(trial))
    assert found.keep == (BAD,) and next(iter(found.errors)) == BAD
    assert (found.measure, found.precision) == ('score' if by_score else 'error', 'int8')
    values = {len(keep): value for keep, value in tried}
    assert (values[8], values[0], values[1]) == (found.float32, found.whole, found.chosen)
    assert abs(found.whole - found.float32) > 0.15 > abs(found.chosen - found.float32)
    assert len(tried) <= 2 + 3      # bisection of eight layers


def test_as_few_layers_are_kept_as_will_do(native, make_model, features):
    model = make_model()
    errors = layer_errors(model, 'int8', features)
    whole = choose_precision(model, 'int8', features, tolerance=9)
    assert (whole.keep, whole.errors, whole.chosen) == ((), None, whole.whole)
    found = choose_precision(model, 'int8', features, tolerance=0.7 * whole.whole)
    assert list(errors) == list(found.errors)
    assert found.keep == tuple(errors)[:len(found.keep)] and 0 < len(found.keep) < 8
    assert found.chosen <= 0.7 * whole.whole < choose_precision(
        model, 'int8', features, tolerance=found.chosen * 1.0001).whole
    assert set(choose_precision(model, 'int8', features, tolerance=0).keep) == {*dense_layers(2)}


@pytest.mark.parametrize('arguments, message', [
    ({'precision': 'float32'}, "precision='float32': expected one of bfloat16, int8"),
    ({'features': []}, 'expected one or more calibration texts'),
    ({'tolerance': -1}, 'tolerance=-1: expected'), ({'tolerance': np.nan}, 'tolerance=nan'),
    ({'score': lambda predictor: np.nan}, 'in float32 the score is nan')])
def test_wrong_arguments_are_told(native, make_model, features, arguments, message):
    with pytest.raises(ValueError, match=message):
        choose_precision(make_model(), **{'precision': 'int8', 'features': features, **arguments})


FOUND = LowPrecision('int8', ('1.expand', '0.output'), 0.005, 'f1', 0.9, 0.8, 0.899,
                     {'1.expand': 0.5, '0.output': 0.25}, 'MRPC/dev.tsv', 'texts.txt')


@pytest.mark.parametrize('found', [FOUND, LowPrecision('bfloat16')], ids=['all', 'least'])
def test_what_was_found_is_kept_and_read(tmp_path, found):
    write_precision(tmp_path, found)
    assert read_precision(tmp_path, 2) == found


@pytest.mark.parametrize('changes, message', [
    ({'precision': 'int4'}, 'precision is .*bfloat16 or int8'),
    ({'precision': [1]}, 'precision is'),
    ({'keep': ['2.expand']}, "keep is .*to '1.contract'"), ({'keep': '0.expand'}, 'keep is'),
    ({'keep': ['0.expand', '0.expand']}, 'keep is'), ({'keep': ['00.expand']}, 'keep is'),
    ({'keep': ['\u0660.expand']}, 'keep is'), ({'keep': [[]]}, 'keep is'),
    ({'keep': ['0.expand\n']}, 'keep is'), ({'errors': {'0.expand': -1}}, 'errors is'),
    ({'errors': {'x': 1}}, 'errors is'), ({'errors': []}, 'errors is'),
    ({'tolerance': True}, 'tolerance is'), ({'tolerance': 1e999}, 'not JSON|tolerance'),
    ({'float32': '0.9'}, 'float32 is'), ({'data': 'a\x1b[2J'}, 'data is'),
    ({'data': 'a' * 1001}, 'data is'), ({'weights': 1}, "'weights' is unknown")])
def test_file_that_was_altered_is_refused(tmp_path, changes, message):
    write_precision(tmp_path, FOUND)
    path = tmp_path / PRECISION_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(ValueError, match=message) as refused:
        read_precision(tmp_path, 2)
    assert str(path) in str(refused.value) and len(str(refused.value)) < 400


@pytest.mark.parametrize('content, message', [
    ('[]', 'expected a JSON object'), ('{}', "has no 'precision'"), ('{"keep": [', 'not JSON'),
    ('{"precision": "' + 'a' * (5 << 20) + '"}', 'larger than')])
def test_damaged_file_is_refused(tmp_path, content, message):
    (tmp_path / PRECISION_FILE).write_text(content)
    with pytest.raises(ValueError, match=message):
        read_precision(tmp_path, 2)


TEXTS = ['the cat', 'a dog barks loudly !', 'sun', 'the moon , the sun ! a cat sleeps out here .']
CONTEXT = 'the cat sleeps here . a dog barks out loud , without the moon'


def write_dev(path, task, kept):
    """A small dev set of a task; what the network gives in float32 is right."""
    pipeline = gb.load_pipeline(kept)
    if task == 'questions':
        answers = pipeline(TEXTS, CONTEXT)
        path.write_text(json.dumps({'version': '1.1', 'data': [{'title': '', 'paragraphs': [{
            'context': CONTEXT, 'qas': [
                {'id': text, 'question': text, 'answers': [
                    {'text': answer.text, 'answer_start': answer.start}]}
                for text, answer in zip(TEXTS, answers)]}]}]}))
    elif task == 'entities':
        sentences = [text.split() for text in TEXTS]
        path.write_text('\n'.join(
            ''.join(f'{word} {tag}\n' for word, tag in zip(words, tags))
            for words, tags in zip(sentences, pipeline.predict_tags(sentences))))
    else:
        path.write_text('text\tlabel\n' + ''.join(
            f'{text}\t{result[0]}\n' for text, result in zip(TEXTS, pipeline(TEXTS))))
    return path


@pytest.fixture
def folder(tiny_pipeline, tmp_path):
    """Write the folder of a tiny network with a layer that suffers: task -> folder, its inputs."""
    def make(task):
        pipeline = tiny_pipeline(task, folder=tmp_path / 'kept')
        network = pipeline.network
        for parameter in network.collect_params().values():
            parameter.set_data(mx.nd.random.normal(scale=0.4, shape=parameter.shape))
        spoil(network.bert)
        network.save_parameters(tmp_path / 'kept' / 'tiny.params')
        inputs = [(text, CONTEXT) if task == 'questions' else text for text in TEXTS]
        return tmp_path / 'kept', inputs
    return make


@pytest.mark.parametrize('task, suffix', [('classification', 'tsv'), ('regression', 'tsv'),
                                          ('questions', 'json'), ('entities', 'conll')])
def test_command_finds_a_precision_for_every_task(native, run, folder, tmp_path, task, suffix):
    kept, inputs = folder(task)
    dev = write_dev(tmp_path / f'dev.{suffix}', task, kept)
    status, out, err = run('quantize', kept, '--dev', dev, '--tolerance', '0.02')
    assert status == 0, err
    lines, found = out.splitlines(), read_precision(kept, 2)
    assert lines[0].split()[:2] == [found.measure, 'seconds']
    assert lines[1].split()[:2] == ['float32', '1.0000']
    assert lines[2].split()[:2] == ['int8', f'{found.whole:.4f}']
    assert (found.precision, found.tolerance) == ('int8', 0.02)
    assert found.data.endswith(dev.name) and found.chosen >= 0.98
    assert (found.whole < 0.98) == bool(found.keep) == (BAD in found.keep)
    exact = gb.load_pipeline(kept)
    expected = exact.freeze(Predictor(exact.network, None, 'int8', found.keep))(inputs)
    assert gb.load_pipeline(kept, precision='saved')(inputs) == expected
    assert gb.load_pipeline(kept, precision='int8')(inputs) == expected


def test_without_a_dev_set_the_error_decides(native, run, folder, tmp_path):
    kept, _ = folder('classification')
    (kept / 'README.md').write_text('# Name\n\n## Use\n\nCode.\n')
    (tmp_path / 'texts.txt').write_text('\n'.join(TEXTS))
    for target in ('copy', 'copy of copy'):
        before = sorted(path.name for path in kept.iterdir())
        status, out, err = run('quantize', kept, '--calibrate', tmp_path / 'texts.txt',
                               '--tolerance', '0.2', '--output', tmp_path / target)
        assert status == 0, err
        assert out.splitlines()[-1].split()[-4:] == ['1', 'of', '8:', BAD]
        assert sorted(path.name for path in kept.iterdir()) == before
        kept = tmp_path / target
        found, card = read_precision(kept, 2), (kept / 'README.md').read_text()
        assert (found.keep, found.measure, found.data) == ((BAD,), 'error', None)
        assert card.count('## Precision') == card.count('## Use') == 1
        assert card.index('1 dense layer left in float32') < card.index('## Use')


def test_precision_is_chosen_on_loading(native, run, folder):
    kept, inputs = folder('regression')
    exact = gb.load_pipeline(kept)(inputs)
    assert gb.load_pipeline(kept, precision='float32')(inputs) == exact
    with pytest.raises(FileNotFoundError, match='gluon-bert quantize'):
        gb.load_pipeline(kept, precision='saved')
    with pytest.raises(ValueError, match="precision='int4': expected one of float32"):
        gb.load_pipeline(kept, precision='int4')
    whole = gb.load_pipeline(kept, precision='int8')(inputs)
    write_precision(kept, LowPrecision('bfloat16', tuple(dense_layers(2))))
    assert gb.load_pipeline(kept)(inputs) == exact              # only when it is asked for
    assert gb.load_pipeline(kept, precision='saved')(inputs) == exact
    assert gb.load_pipeline(kept, precision='int8')(inputs) == whole != exact
    for precision, expected in (('saved', exact), ('int8', whole)):
        status, out, err = run('predict', kept, *inputs, '--precision', precision)
        assert status == 0, err
        assert [json.loads(line)['value'] for line in out.splitlines()] == [
            row.value for row in expected]


@pytest.mark.parametrize('card', [b'\xff', b'a' * (5 << 20), None], ids=['bytes', 'long', 'none'])
def test_card_that_cannot_be_read_is_left_alone(tmp_path, card):
    path = tmp_path / 'README.md'
    if card is not None:
        path.write_bytes(card)
    gb.model_card.tell_precision(tmp_path, FOUND)
    assert (path.read_bytes() if path.exists() else None) == card


def test_other_parameters_forget_the_precision(folder):
    kept, _ = folder('regression')
    write_precision(kept, FOUND)
    gb.task_folder.save_task(kept, gb.task_folder.load_task(kept), 'tiny.params')
    assert not has_precision(kept)


@pytest.mark.parametrize('arguments, parts', [
    ([], ['no task of GLUE', 'must be named']),
    (['--dev', 'none.tsv'], ['--dev none.tsv', 'no such file']),
    (['--dev', 'bare.tsv'], ["column 'label' is unknown"]),
    (['--calibrate', 'empty.txt'], ['empty.txt', 'empty']),
    (['--calibrate', 'none'], ['--calibrate none', 'no such file']),
    (['--dev', 'bare.tsv', '--output', 'kept'], ['--output kept: is there already']),
    (['--dev', 'bare.tsv', '--tolerance', '-1'], ['--tolerance -1']),
    (['--dev', 'bare.tsv', '--batch_size', '0'], ['--batch_size 0'])])
def test_what_is_wrong_is_told(native, run, folder, tmp_path, monkeypatch, arguments, parts):
    kept, _ = folder('classification')
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('GLUE_DIR', raising=False)
    (tmp_path / 'bare.tsv').write_text('text\nthe cat\n')
    (tmp_path / 'empty.txt').write_text('')
    error = error_of(run, 'quantize', 'kept', *arguments)
    for part in parts:
        assert part in error
    assert not has_precision(kept)


def test_without_the_kernels_it_is_told_how_to_get_them(run, folder, monkeypatch):
    kept, _ = folder('classification')
    monkeypatch.setattr(kernels, 'load', lambda: False)
    monkeypatch.delenv('GLUON_BERT_KERNELS', raising=False)
    assert 'python -m gluon_bert.kernels' in error_of(run, 'quantize', kept)
    with pytest.raises(ValueError, match='python -m gluon_bert.kernels'):
        gb.load_pipeline(kept, precision='int8')
