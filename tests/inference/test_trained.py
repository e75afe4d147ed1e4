# ruff: noqa: F811 (fixtures are imported)
"""Trained networks without MXNet: outputs of the Gluon network, and nothing of MXNet imported."""

import json
import logging
import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from export_networks import FAMILY_CONFIGS, HEADS, checkpoint_of, initialized
from script_runs import tokenizer  # noqa: F401 (a fixture)
from sharing import copied, in_threads  # noqa: F401 (a fixture)
from task_folders import AWKWARD, ONE, TASKS, TEXTS, as_line, predictions, save_fine_tuned

import gluon_bert as gb
from gluon_bert import kernels
from gluon_bert.checkpoint import Checkpoint, write_checkpoint
from gluon_bert.data import Features
from gluon_bert.inference.trained import EarlyEncoder, TrainedNetwork, open_network
from gluon_bert.kernels.support import supports

needs_kernels = pytest.mark.skipif(not kernels.is_available(), reason='needs the native kernels')
PRECISIONS = ('float32', 'bfloat16', 'int8')
# What must not be imported to run a trained network.
FORBIDDEN = ('mxnet', 'gluonnlp', 'scipy', 'sklearn', 'matplotlib', 'graphviz', 'pandas', 'torch')


def some_features(config, seed, count=5):
    rng = np.random.RandomState(seed)
    lengths = rng.randint(1, config.max_length, count).tolist()
    return [
        Features(
            rng.randint(0, config.vocab_size, length).astype('int32'),
            rng.randint(0, max(1, config.num_token_types), length).astype('int32'),
            length,
        )
        for length in lengths
    ]


def outputs_of(predictor, features):
    """The outputs of a batch as a flat list of arrays."""
    positions = None
    if getattr(predictor.network, 'masked_lm', None) is not None:
        positions = [[0, feature.valid_length - 1] for feature in features]
    found = predictor.batch(features, positions)
    parts = found if type(found) is not list and isinstance(found, tuple) else [found]
    return [row for part in parts for row in part]


@needs_kernels
@pytest.mark.parametrize('precision', PRECISIONS)
@pytest.mark.parametrize('kind', HEADS)
@pytest.mark.parametrize('family', FAMILY_CONFIGS)
def test_outputs_are_those_of_the_gluon_network(family, kind, precision, make_model, seed):
    bert = make_model(**FAMILY_CONFIGS[family])
    if not supports(bert.config):
        pytest.skip('the kernels decline the family')
    network = initialized(HEADS[kind](bert))
    trained = TrainedNetwork(checkpoint_of(network, family=family), network.kind)
    features = some_features(bert.config, seed)
    found = outputs_of(gb.Predictor(trained, precision=precision), features)
    expected = outputs_of(gb.Predictor(network, precision=precision), features)
    for row, other in zip(found, expected):
        np.testing.assert_array_equal(row, other)
    if precision == 'float32':
        gluon = outputs_of(gluon_predictor(network), features)
        scale = max(np.abs(row).max() for row in gluon)
        for row, other in zip(found, gluon):
            np.testing.assert_allclose(row, other, atol=2e-5 * scale)


def gluon_predictor(network):
    """A Predictor that runs the network itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('GLUON_BERT_KERNELS', '0')
        return gb.Predictor(network)


@needs_kernels
@pytest.mark.parametrize('dtype', ['float16', 'float64'])
def test_weights_of_other_types_are_cast_as_gluon_casts_them(dtype, make_model, seed):
    network = initialized(gb.BertClassifier(make_model(), 3))
    checkpoint = checkpoint_of(network)
    checkpoint = replace(
        checkpoint, arrays={name: array.astype(dtype) for name, array in checkpoint.arrays.items()}
    )
    trained, features = TrainedNetwork(checkpoint), some_features(network.config, seed)
    np.testing.assert_array_equal(
        gb.Predictor(trained).batch(features), gb.Predictor(trained.gluon).batch(features)
    )


@pytest.mark.parametrize('task', TASKS)
def test_pipelines_give_what_the_gluon_network_gives(task, tokenizer, tmp_path):
    crf = {'crf': True} if task == 'token-classification' else {}
    save_fine_tuned(tmp_path / 'first', task, tokenizer, **crf)
    pipeline = gb.load_pipeline(tmp_path / 'first')
    network = pipeline.network  # Gluon's
    frozen = type(pipeline)(pipeline_model(pipeline, network))
    frozen.freeze(gluon_predictor(network))
    assert round_numbers(predictions(pipeline)) == round_numbers(predictions(frozen))


def pipeline_model(pipeline, network):
    return gb.task_folder.TaskModel(pipeline.task, network, pipeline.tokenizer, pipeline.settings)


def round_numbers(value):
    """Numbers to 4 digits, that those of two orders of sums are equal."""
    if isinstance(value, float):
        return float(f'{value:.3g}') if abs(value) > 1e-4 else 0.0
    if isinstance(value, dict):
        return {key: round_numbers(item) for key, item in value.items()}
    return [round_numbers(item) for item in value] if isinstance(value, (list, tuple)) else value


def run_and_list_modules(*arguments):
    """Run gluon-bert in a new process: its output, and the modules that it imported."""
    code = (
        'import json, sys\n'
        'from gluon_bert.cli import main\n'
        'status = main(sys.argv[1:])\n'
        'print(json.dumps(sorted(sys.modules)), file=sys.stderr)\n'
        'sys.exit(status)\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, 'GLUON_BERT_IMPORT_HOOK': '0'},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(done.stderr.splitlines()[-1])


def roots(modules):
    return {name.partition('.')[0] for name in modules}


@needs_kernels
@pytest.mark.parametrize('task', TASKS)
def test_predict_imports_nothing_that_it_does_not_need(task, tokenizer, tmp_path):
    save_fine_tuned(tmp_path / 'first', task, tokenizer)
    text = as_line(ONE.get(task, TEXTS[1]))
    output, modules = run_and_list_modules('predict', tmp_path / 'first', text)
    assert json.loads(output)
    assert roots(modules) & {*FORBIDDEN} == set()
    # All that is not of Python itself: a new name here makes every start slower.
    third_party = roots(modules) - {*sys.stdlib_module_names} - {'__main__', '__mp_main__'}
    assert {name for name in third_party if not name.startswith('_')} <= {
        'gluon_bert',
        'numpy',
        'cython_runtime',  # of NumPy
        'tokenizers',
    }


@needs_kernels
def test_sentence_commands_import_nothing_that_they_do_not_need(tokenizer, tmp_path, make_model):
    bert = make_model(vocab_size=len(tokenizer.vocabulary))
    checkpoint = Checkpoint(bert.checkpoint_arrays(), bert.config, tokenizer=tokenizer)
    write_checkpoint(checkpoint, tmp_path / 'model')
    (tmp_path / 'lines.txt').write_text('the cat\na dog\n')
    _, modules = run_and_list_modules('embed', tmp_path / 'model', 'the sun', '--format', 'tsv')
    assert roots(modules) & {*FORBIDDEN} == set()
    _, modules = run_and_list_modules(
        'search', tmp_path / 'model', tmp_path / 'lines.txt', 'a dog', '-k', '1'
    )
    assert roots(modules) & {*FORBIDDEN} == set()


def test_without_the_kernels_it_is_said_that_mxnet_runs(tokenizer, tmp_path, monkeypatch, caplog):
    save_fine_tuned(tmp_path / 'first', 'text-classification', tokenizer)
    expected = predictions(gb.load_pipeline(tmp_path / 'first'))
    monkeypatch.setenv('GLUON_BERT_KERNELS', '0')
    with caplog.at_level(logging.WARNING):
        pipeline = gb.load_pipeline(tmp_path / 'first')
    (message,) = [record.getMessage() for record in caplog.records]
    assert 'MXNet runs it' in message and 'switched off by GLUON_BERT_KERNELS=0' in message
    assert round_numbers(predictions(pipeline)) == round_numbers(expected)


def test_a_family_that_the_kernels_decline_is_said_to_be_run_by_mxnet(
    tokenizer, tmp_path, make_model, caplog
):
    bert = make_model(
        False, vocab_size=len(tokenizer.vocabulary), embedding_units=10, pooler_activation='gelu'
    )
    checkpoint = Checkpoint(bert.checkpoint_arrays(), bert.config, 'electra', tokenizer)
    write_checkpoint(checkpoint, tmp_path / 'model')
    with caplog.at_level(logging.WARNING):
        found = gb.SentenceEncoder(tmp_path / 'model').encode(TEXTS)
    messages = [record.getMessage() for record in caplog.records]
    assert any('MXNet runs it: the native kernels do not compute' in line for line in messages)
    expected = gb.SentenceEncoder(bert, tokenizer).encode(TEXTS)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@needs_kernels
def test_copies_need_no_files(tokenizer, tmp_path, copied):
    save_fine_tuned(tmp_path / 'first', 'token-classification', tokenizer, crf=True)
    pipeline = gb.load_pipeline(tmp_path / 'first')
    expected = predictions(pipeline)
    copy = copied(pipeline)
    shutil.rmtree(tmp_path / 'first')
    assert predictions(copy) == expected


@needs_kernels
def test_threads_share_a_trained_network(tokenizer, tmp_path):
    save_fine_tuned(tmp_path / 'first', 'text-classification', tokenizer)
    pipeline = gb.load_pipeline(tmp_path / 'first')
    expected = [pipeline(text) for text in TEXTS]
    found = in_threads(lambda number: [pipeline(text) for text in TEXTS])
    assert found == [expected] * len(found)


@needs_kernels
def test_a_score_does_not_depend_on_the_texts_beside_it(tokenizer, tmp_path):
    save_fine_tuned(tmp_path / 'first', 'text-classification', tokenizer)
    pipeline = gb.load_pipeline(tmp_path / 'first')
    assert pipeline(TEXTS) == [pipeline(text) for text in TEXTS]


@pytest.mark.parametrize(
    ('name', 'change', 'message'),
    [
        ('pooler.weight', None, 'has no pooler, whose vector classifier reads'),
        ('classifier.1.bias', lambda array: array[:1], r'classifier.1.bias has shape \(1,\)'),
        ('word_embed.0.weight', lambda array: array[:, :4], 'word_embed.0.weight has shape'),
        (
            'encoder.transformer_cells.1.attention_cell.proj_key.weight',
            lambda array: array[:5],
            r'proj_key.weight has shape \(5, 24\), the model needs \(24, 24\)',
        ),
        ('encoder.transformer_cells.1.ffn.ffn_2.bias', None, 'has no .*ffn.ffn_2.bias'),
    ],
)
@needs_kernels
def test_arrays_that_do_not_fit_are_refused(name, change, message, make_model):
    network = initialized(gb.BertClassifier(make_model(), 3))
    arrays = dict(network.checkpoint_arrays())
    if change is None:
        del arrays[name]
    else:
        arrays[name] = change(arrays[name])
    checkpoint = Checkpoint(arrays, network.config, source='here')
    with pytest.raises(ValueError, match=f'^here: .*{message}'):
        gb.Predictor(TrainedNetwork(checkpoint, 'classifier'))


def test_a_predictor_opens_a_folder(tokenizer, tmp_path):
    save_fine_tuned(tmp_path / 'first', 'text-classification', tokenizer)
    predictor = gb.Predictor(tmp_path / 'first')
    assert predictor.config == AWKWARD
    network = open_network(tmp_path / 'first')
    assert (network.kind, predictor.trained.kind) == ('classifier', 'classifier')
    features = some_features(AWKWARD, 1)
    np.testing.assert_array_equal(predictor.batch(features), gb.Predictor(network).batch(features))
    with pytest.raises(FileNotFoundError):
        gb.Predictor(tmp_path / 'nowhere')
    assert pickle.loads(pickle.dumps(predictor)).config == AWKWARD


@needs_kernels
def test_weights_laid_out_early_are_taken_once_and_for_the_same_options(tokenizer, tmp_path):
    save_fine_tuned(tmp_path / 'first', 'text-classification', tokenizer)
    write_checkpoint(gb.zoo.open_checkpoint(tmp_path / 'first'), tmp_path / 'theirs')
    features = some_features(AWKWARD, 2)
    expected = gb.Predictor(TrainedNetwork(gb.zoo.open_checkpoint(tmp_path / 'first')))
    for precision in ('float32', 'int8'):
        network = open_network(tmp_path / 'theirs')
        early = network.early
        found = gb.Predictor(network, precision=precision)
        assert network.early is None
        assert (found._backend._encoder is early.result()) == (precision == 'float32')
        again = gb.Predictor(network, precision=precision)
        np.testing.assert_array_equal(found.batch(features), again.batch(features))
        if precision == 'float32':
            np.testing.assert_array_equal(found.batch(features), expected.batch(features))


@needs_kernels
def test_what_fails_early_is_raised(make_model):
    arrays = dict(make_model().checkpoint_arrays())
    arrays['pooler.bias'] = arrays['pooler.bias'][:1]
    with pytest.raises(ValueError, match=r'^here: pooler.bias has shape \(1,\)'):
        EarlyEncoder(TrainedNetwork(Checkpoint(arrays, make_model().config, source='here')), 1)
    whole = Checkpoint(make_model().checkpoint_arrays(), make_model().config)
    early = EarlyEncoder(TrainedNetwork(whole), 1)
    early.result()
    early._made = MemoryError('no memory for the weights of the native encoder')
    with pytest.raises(MemoryError, match='no memory'):
        early.result()


@pytest.mark.parametrize('format', ['gluonnlp', 'huggingface', 'tensorflow'])
def test_readers_show_the_arrays_before_the_rest(format, tokenizer, tmp_path, make_model):
    bert = make_model(vocab_size=len(tokenizer.vocabulary))
    path = tmp_path / ('model.params' if format == 'gluonnlp' else 'model')
    checkpoint = Checkpoint(bert.checkpoint_arrays(), bert.config, tokenizer=tokenizer)
    write_checkpoint(checkpoint, path, format)
    seen = []
    read = gb.zoo.open_checkpoint(path, meanwhile=seen.append)
    (shown,) = seen
    assert shown.config == read.config and [*shown.arrays] == [*read.arrays]
    assert (shown.tokenizer is None) == (format == 'huggingface')
