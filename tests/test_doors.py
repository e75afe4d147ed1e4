# ruff: noqa: F811 (fixtures are imported)
"""Every door over every kind of folder: one configuration, one tokenizer, one set of outputs."""

import json
from dataclasses import asdict

import mxnet as mx
import numpy as np
import pytest
from script_runs import WORDS, tokenizer  # noqa: F401 (fixtures)

import gluon_bert as gb
from gluon_bert import kernels
from gluon_bert.config import BertConfig
from gluon_bert.data import valid_transitions
from gluon_bert.inference.sentence_encoder import SentenceEncoder
from gluon_bert.modeling.tagging import BertCrfTagger
from gluon_bert.zoo import load_model, open_checkpoint

pytest_plugins = ['command_fixtures']

# Nothing is as a guess would have it: heads of 8, not 64; epsilon, activations, types, length.
AWKWARD = BertConfig(
    vocab_size=len(WORDS) + 3,
    units=64,
    hidden_size=24,
    num_layers=2,
    num_heads=8,
    max_length=40,
    num_token_types=3,
    dropout=0.25,
    layer_norm_eps=1e-5,
    activation='gelu_tanh',
    pooler_activation='tanh',
)
TEXTS = ['The cat sleeps here', 'a DOG barks loudly , without the moon !', 'sun', 'the dogs']
QUESTION = ('the cat', 'a dog barks loudly without the moon ! the cat sleeps here . the sun')
TASKS = {
    'text-classification': {'labels': ['low', '', 'high'], 'max_len': 9, 'dropout': 0.5},
    'text-regression': {'max_len': 9, 'dropout': 0.0, 'range': [0.0, 5.0]},
    'multi-label-classification': {
        'labels': ['low', 'mid', 'high'],
        'thresholds': [0.25, 0.5, 0.6],
        'max_len': 9,
        'dropout': 0.5,
    },
    'question-answering': {
        'max_seq_length': 20,
        'doc_stride': 5,
        'max_query_length': 7,
        'n_best_size': 4,
        'max_answer_length': 3,
        'version_2': True,
        'null_score_diff_threshold': -0.5,
    },
    'token-classification': {
        'kinds': ['y', 'x'],
        'scheme': 'IOBES',
        'file_scheme': 'IOB1',
        'crf': False,
        'dropout': 0.5,
        'max_len': 9,
        'characters': False,
    },
}
FORMS = {'folder': None, 'params': 'out.params', 'huggingface': 'out', 'tensorflow': 'out'}


def drawn(network):
    """The network with parameters wide enough that wrong maths shows."""
    for parameter in network.collect_params().values():
        if parameter._data is None:
            parameter.initialize()
    for parameter in network.collect_params().values():
        centre = 1 if parameter.name.endswith('gamma') else 0
        parameter.set_data(centre + mx.nd.random.normal(scale=0.3, shape=parameter.shape))
    return network


def save_fine_tuned(folder, task, tokenizer, config=AWKWARD, **settings):
    """Write a fine-tuned folder as a training does; gives the settings."""
    settings = {**TASKS[task], **settings}
    network = drawn(gb.task_folder.make_network(task, config, settings))
    folder.mkdir()
    network.save_parameters(folder / 'model_3.params')
    drawn(network).save_parameters(folder / 'model_1.params')  # another epoch, the best
    gb.task_folder.save_tokenizer(folder, tokenizer)
    model = gb.task_folder.TaskModel(task, network, tokenizer, settings)
    gb.task_folder.save_task(folder, model, 'model_1.params')
    return settings


def odd(tokenizer):
    """A tokenizer whose settings no vocabulary tells."""
    return type(tokenizer)(
        tokenizer.vocab, lower=True, strip_accents=False, max_input_chars_per_word=5
    )


def predictions(pipeline):
    inputs = [QUESTION] if pipeline.task == 'question-answering' else TEXTS
    return [pipeline.as_json(row, None, None) for row in pipeline(inputs)]


def converted(folder, form, tmp_path, run):
    """Convert a folder to a form; gives the path."""
    if FORMS[form] is None:
        return folder
    target = tmp_path / 'forms' / f'{form}_{FORMS[form]}'
    status, out, err = run('convert', folder, target, '--to', form.replace('params', 'gluonnlp'))
    assert status == 0, err
    assert out.endswith('read back: equal bit by bit\n')
    return target


def outputs_of(checkpoint_or_network, tokenizer):
    """Encodings of the texts."""
    encoder = SentenceEncoder(checkpoint_or_network, tokenizer, pooling='cls')
    return encoder.encode(TEXTS)


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('task', TASKS)
def test_every_door_opens_a_fine_tuned_network_alike(task, form, tokenizer, tmp_path, run):
    settings = save_fine_tuned(tmp_path / 'first', task, odd(tokenizer))
    expected = gb.load_pipeline(tmp_path / 'first')
    path = converted(tmp_path / 'first', form, tmp_path, run)

    pipeline = gb.load_pipeline(path)
    assert (pipeline.task, pipeline.settings) == (task, settings)
    assert pipeline.network.config == AWKWARD
    assert predictions(pipeline) == predictions(expected)

    status, out, _ = run('info', path, '--json')
    facts = json.loads(out)
    assert status == 0 and facts['config'] == asdict(AWKWARD)
    assert facts['labels'] == list(open_checkpoint(tmp_path / 'first').labels)
    assert facts['task'] == {'task': task, **settings}

    network, tokens = load_model(path)
    assert network.config == AWKWARD and tokens.is_like(expected.tokenizer)
    np.testing.assert_array_equal(outputs_of(network, tokens), outputs_of(expected.network, tokens))
    status, out, _ = run('verify', tmp_path / 'first', path, '--tolerance', '0')
    assert status == 0 and 'configuration' not in out and 'same: ' in out

    one = QUESTION if task == 'question-answering' else TEXTS[1]
    status, out, err = run('predict', path, ' ||| '.join(QUESTION) if one is QUESTION else one)
    assert status == 0, err
    row = json.loads(json.dumps(expected.as_json(expected([one])[0], None, None)))
    line = json.loads(out)
    assert {key: line[key] for key in row} == row

    attention = [*('plot', 'attention', path, 'the cat', '--output', tmp_path / 'a.svg')]
    assert run(*attention)[0] == 0


@pytest.mark.parametrize('form', FORMS)
def test_quantize_opens_every_folder(form, tokenizer, tmp_path, run):
    if not kernels.is_available():
        pytest.skip('needs the native kernels')
    save_fine_tuned(tmp_path / 'first', 'text-classification', tokenizer)
    path = converted(tmp_path / 'first', form, tmp_path, run)
    (tmp_path / 'texts.txt').write_text('\n'.join(TEXTS) + '\n')
    quantize = ('quantize', path, '--calibrate', tmp_path / 'texts.txt')
    status, _, err = run(*quantize, '--tolerance', '9', '--output', tmp_path / 'small')
    if form == 'params':
        assert status == 2 and 'is a file; expected a folder' in err
        return
    assert status == 0, err
    saved = gb.load_pipeline(tmp_path / 'small', precision='saved')
    low = gb.load_pipeline(path, precision='int8')
    assert [row.label for row in saved(TEXTS)] == [row.label for row in low(TEXTS)]
    assert predictions(gb.load_pipeline(tmp_path / 'small')) == predictions(gb.load_pipeline(path))


@pytest.mark.parametrize('task', TASKS)
def test_a_task_comes_back_from_every_form(task, tokenizer, tmp_path, run):
    save_fine_tuned(tmp_path / 'first', task, odd(tokenizer))
    path = tmp_path / 'first'
    for number, form in enumerate(('huggingface', 'params', 'tensorflow', 'params')):
        (tmp_path / str(number)).mkdir()
        path = converted(path, form, tmp_path / str(number), run)
    first, last = gb.load_pipeline(tmp_path / 'first'), gb.load_pipeline(path)
    assert last.settings == first.settings and last.tokenizer.is_like(first.tokenizer)
    assert predictions(last) == predictions(first)


def test_a_crf_goes_where_there_is_a_place_for_it(tokenizer, tmp_path, run):
    save_fine_tuned(tmp_path / 'first', 'token-classification', tokenizer, crf=True)
    path = converted(tmp_path / 'first', 'params', tmp_path, run)
    first, second = gb.load_pipeline(tmp_path / 'first'), gb.load_pipeline(path)
    assert predictions(second) == predictions(first)
    network, _ = load_model(path)
    assert isinstance(network, BertCrfTagger)
    wanted = valid_transitions(open_checkpoint(path).labels, 'IOBES').between
    scores = network.crf.transitions.data().asnumpy()
    np.testing.assert_array_equal(scores, first.network.crf.transitions.data().asnumpy())
    assert wanted.shape == scores.shape
    for form in ('huggingface', 'tensorflow'):
        status, _, err = run('convert', path, tmp_path / 'no', '--to', form)
        assert status == 2 and 'crf.' in err and not (tmp_path / 'no').exists()
