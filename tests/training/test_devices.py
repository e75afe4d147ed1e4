"""Several devices, here CPUs side by side: the parameters that one device comes to."""

import json
import os
import subprocess
import sys
from collections import namedtuple

import finetune_classifier
import finetune_ner
import finetune_squad
import mxnet as mx
import numpy as np
import pytest
from script_runs import undisturbed  # noqa: F401 (a fixture)
from test_bert import parameters_of
from test_examples import EXAMPLES, expect_failure
from test_training import BrokenOff, Stop, accuracy, rows, toy_data

from common import cli
from gluon_bert import BertClassifier, BertCrfTagger, BertForQA, BertModel, BertTagger, kernels
from gluon_bert.config import BertConfig
from gluon_bert.data import SequenceData
from gluon_bert.inference.devices import devices_of
from gluon_bert.training.data_parallel import split_batch
from gluon_bert.training.loop import Plan, fit, predict
from gluon_bert.training.objectives import cross_entropy, span_loss, squared_error, tag_loss

Task = namedtuple('Task', 'network labels loss')


def spans(features):
    return np.array([[1, feature.valid_length - 1] for feature in features])


def tags(features):
    return [np.where(feature.inputs == 7, 2, feature.inputs % 2) for feature in features]


TASKS = {
    'classes': Task(BertClassifier, None, cross_entropy),
    'scores': Task(lambda bert, **options: BertClassifier(bert, 1, **options), None, squared_error),
    'questions': Task(lambda bert, dropout: BertForQA(bert), spans, span_loss),
    'tags': Task(lambda bert, **options: BertTagger(bert, 3, **options), tags, tag_loss),
    'CRF': Task(lambda bert, **options: BertCrfTagger(bert, 3, **options), tags, None),
}


@pytest.fixture(params=['native', 'MXNet'])
def operators(request, monkeypatch):
    """With the kernels and without."""
    monkeypatch.setenv('GLUON_BERT_KERNELS', '1' if request.param == 'native' else '0')
    if request.param == 'native' and not kernels.is_available():
        pytest.skip('native kernels are not built: python -m gluon_bert.kernels')


def cpus(num):
    return [mx.cpu(number) for number in range(num)]


def make_network(task, config, num_devices, dropout=0.0):
    config = BertConfig(**{**vars(config), 'dropout': dropout})
    mx.random.seed(3)
    network = task.network(BertModel(config, use_pooler=task.labels is None), dropout=dropout)
    network.initialize(ctx=cpus(num_devices))
    network.hybridize(static_alloc=True)
    return network


def make_data(task, num=40, batch_size=8):
    data = toy_data(num, batch_size)
    features = data._features
    labels = data.labels if task.labels is None else task.labels(features)
    return SequenceData(features, labels, 0, batch_size, seed=3)


def train(task, config, folder, num_devices, plan, **options):
    """The parameters that training on some devices comes to."""
    network = make_network(task, config, num_devices)
    folder = folder / str(num_devices)
    folder.mkdir()
    fit(network, make_data(task, **options), task.loss or network.loss, plan, folder)
    copies = [
        [parameter.data(device).asnumpy() for parameter in network.collect_params().values()]
        for device in cpus(num_devices)
    ]
    for copy in copies[1:]:
        assert all(np.array_equal(*pair) for pair in zip(copy, copies[0]))
    return parameters_of(network), rows(folder)


def assert_equal(found, expected):
    for name, array in expected[0].items():
        np.testing.assert_allclose(found[0][name], array, rtol=0, atol=1e-6, err_msg=name)
    for row, other in zip(found[1], expected[1]):
        assert row['loss'] == pytest.approx(other['loss'], rel=1e-5)
        assert row['gradient_norm'] == pytest.approx(other['gradient_norm'], rel=1e-4)


@pytest.mark.usefixtures('operators')
@pytest.mark.parametrize('name', TASKS)
def test_two_devices_come_to_the_parameters_of_one(name, tiny_config, tmp_path):
    plan = Plan(epochs=2, learning_rate=1e-4, log_interval=1, max_grad_norm=0.1)
    one, two = (train(TASKS[name], tiny_config, tmp_path, num, plan) for num in (1, 2))
    assert len(one[1]) == 10
    assert_equal(two, one)


@pytest.mark.parametrize('optimizer', ['adam', 'adamw'])
def test_optimizers_with_bias_correction_count_steps_on_each_device(
    optimizer, tiny_config, tmp_path
):
    # A large epsilon keeps gradients that are but rounding from making whole steps.
    plan = Plan(epochs=1, optimizer=optimizer, learning_rate=1e-3, epsilon=1e-3, log_interval=1)
    one, two = (train(TASKS['classes'], tiny_config, tmp_path, num, plan) for num in (1, 2))
    assert_equal(two, one)


@pytest.mark.parametrize(
    'num_devices, num, batch_size, accumulate',
    [(3, 40, 8, 1), (2, 17, 5, 1), (4, 13, 6, 1), (3, 33, 4, 3), (2, 9, 2, 5)],
)
def test_shares_may_be_uneven_and_gradients_added_up(
    tiny_config, tmp_path, num_devices, num, batch_size, accumulate
):
    plan = Plan(epochs=2, learning_rate=1e-4, log_interval=1, accumulate=accumulate)
    one, several = (
        train(TASKS['classes'], tiny_config, tmp_path, number, plan, num=num, batch_size=batch_size)
        for number in (1, num_devices)
    )
    assert_equal(several, one)


@pytest.mark.parametrize(
    'size, num, expected',
    [(4, 2, [2, 2]), (5, 2, [3, 2]), (7, 3, [3, 2, 2]), (2, 4, [1, 1, 0, 0]), (1, 1, [1])],
)
def test_shares_are_the_batch_in_parts_as_equal_as_can_be(size, num, expected):
    batch = [mx.nd.arange(10, 10 + size), mx.nd.arange(2 * size).reshape((size, 2))]
    shares = split_batch(batch, cpus(num))
    assert [len(share[0]) * counts for share, counts in shares] == expected
    assert [share[1].context for share, _ in shares] == cpus(num)
    assert all(len(share[0]) for share, _ in shares)
    for number, array in enumerate(batch):
        counted = [share[number].asnumpy() for share, counts in shares if counts]
        assert np.array_equal(np.concatenate(counted), array.asnumpy())


@pytest.mark.parametrize('accumulate', [1, 2])
@pytest.mark.parametrize('loads', [3, 8, 13])
def test_resumed_run_is_bit_equal_to_an_unbroken_one(tiny_config, tmp_path, loads, accumulate):
    plan = Plan(
        epochs=3,
        learning_rate=3e-3,
        log_interval=1,
        checkpoint_interval=2,
        optimizer='adamw',
        accumulate=accumulate,
    )
    finals = []
    for name, remaining in (('unbroken', None), ('broken', loads)):
        folder, task = tmp_path / name, TASKS['classes']
        folder.mkdir()
        dev = toy_data(seed=5)
        if remaining is not None:
            data = make_data(task)
            data.__class__, data.remaining = BrokenOff, remaining
            with pytest.raises(Stop):
                fit(
                    make_network(task, tiny_config, 2, 0.1),
                    data,
                    task.loss,
                    plan,
                    folder,
                    evaluate=accuracy(dev),
                )
        network = make_network(task, tiny_config, 2, 0.1)
        fit(network, make_data(task), task.loss, plan, folder, evaluate=accuracy(dev), resume=True)
        finals.append(
            (parameters_of(network), [row['loss'] for row in rows(folder) if 'loss' in row])
        )
    assert finals[0][1] == finals[1][1]
    assert all(np.array_equal(array, finals[1][0][name]) for name, array in finals[0][0].items())


def test_state_of_two_devices_is_not_gone_on_with_on_one(tiny_config, tmp_path):
    task = TASKS['classes']
    data = make_data(task)
    data.__class__, data.remaining = BrokenOff, 9
    plan = Plan(epochs=2, checkpoint_interval=1)
    with pytest.raises(Stop):
        fit(make_network(task, tiny_config, 2), data, task.loss, plan, tmp_path)
    with pytest.raises(ValueError, match='devices: 2 then, 1 now'):
        fit(
            make_network(task, tiny_config, 1),
            make_data(task),
            task.loss,
            plan,
            tmp_path,
            resume=True,
        )


def test_devices_draw_dropouts_of_their_own(tiny_config, tmp_path):
    task, losses = TASKS['classes'], []
    data = SequenceData(toy_data(1)._features * 2, np.array([0, 0]), 0, batch_size=2)

    def recorded(scores, labels):
        loss = task.loss(scores, labels)
        losses.append(loss)
        return loss

    fit(make_network(task, tiny_config, 2, 0.5), data, recorded, Plan(training_steps=1), tmp_path)
    assert losses[0].asscalar() != losses[1].asscalar()


def test_more_devices_than_sequences_in_any_batch_are_refused(tiny_config, tmp_path):
    task = TASKS['classes']
    with pytest.raises(
        ValueError, match='3 devices share each batch, but no batch has more than 2 sequences'
    ):
        fit(
            make_network(task, tiny_config, 3),
            make_data(task, batch_size=2),
            task.loss,
            Plan(),
            tmp_path,
        )


def test_parameters_must_lie_on_the_same_devices(tiny_config):
    network = make_network(TASKS['classes'], tiny_config, 2)
    assert devices_of(network) == cpus(2)
    network.classifier.collect_params().reset_ctx(mx.cpu(1))
    with pytest.raises(ValueError, match=r'weight lies on cpu\(1\), but .* on cpu\(0\), cpu\(1\)'):
        devices_of(network)


@pytest.mark.parametrize('name', ['classes', 'tags'])
def test_prediction_is_bit_equal_on_any_number_of_devices(name, tiny_config):
    task, found = TASKS[name], []
    for num in (1, 2, 3):
        network = make_network(task, tiny_config, num)
        found.append(
            predict(network, make_data(task, num=21, batch_size=4), per_token=name == 'tags')
        )
    for other in found[1:]:
        assert all(np.array_equal(*pair) for pair in zip(other, found[0]))


def test_result_of_a_finished_run_loads_on_all_devices(tiny_config, tmp_path):
    task = TASKS['classes']
    plan = Plan(epochs=1, learning_rate=1e-3)
    first = make_network(task, tiny_config, 2)
    result = fit(first, make_data(task), task.loss, plan, tmp_path)
    second = make_network(task, tiny_config, 3)
    assert fit(second, make_data(task), task.loss, plan, tmp_path, resume=True) == result
    assert json.loads((tmp_path / 'result.json').read_text())['steps'] == result.steps
    for device in cpus(3):
        for one, other in zip(first.collect_params().values(), second.collect_params().values()):
            assert np.array_equal(one.data(mx.cpu(0)).asnumpy(), other.data(device).asnumpy())


CONTEXT = 'Ada lives in Rome. '


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    """A script on tiny files: module, further arguments -> exit code, standard error."""
    monkeypatch.setenv('MXNET_CPU_TEMP_COPY', 'kept')
    words = '[PAD] [UNK] [CLS] [SEP] [MASK] ada lives in rome where ? .'.split()
    tagged = 'Ada B-person\nlives O\nin O\nRome B-place\n\nRome B-place\n\n' * 5
    paragraphs = [
        {
            'context': CONTEXT * number,
            'qas': [
                {
                    'id': str(number),
                    'question': 'Where?',
                    'answers': [{'text': 'Rome', 'answer_start': CONTEXT.index('Rome')}],
                }
            ],
        }
        for number in range(1, 6)
    ]
    for name, text in (
        ('vocab.txt', '\n'.join(words)),
        ('tags', tagged),
        ('table.csv', 'text,label\n' + 'ada lives,1\nrome,0\n' * 5),
        (
            'squad',
            json.dumps({'version': '1.1', 'data': [{'title': 'Ada', 'paragraphs': paragraphs}]}),
        ),
    ):
        (tmp_path / name).write_text(text)
    files = {
        finetune_classifier: ('--train_file', 'table.csv', '--dev_file', 'table.csv'),
        finetune_ner: ('--train_path', 'tags', '--dev_path', 'tags'),
        finetune_squad: ('--train_file', 'squad', '--predict_file', 'squad'),
    }
    monkeypatch.chdir(tmp_path)

    def call(script, *arguments):
        argv = [
            *files[script],
            '--bert_model',
            'bert_2_128_2',
            '--from_scratch',
            '--vocab_file',
            'vocab.txt',
            '--batch_size',
            '4',
            '--training_steps',
            '3',
            '--log_interval',
            '1',
            '--output_dir',
            'out',
            *arguments,
        ]
        try:
            code = cli.run(script.main, argv)
        except SystemExit as error:
            code = error.code
        return code, capsys.readouterr().err

    return call


@pytest.mark.parametrize(
    'script, options',
    [
        (finetune_classifier, ()),
        (finetune_ner, ('--crf',)),
        (finetune_squad, ('--accumulate', '2', '--doc_stride', '8', '--max_seq_length', '20')),
    ],
    ids=lambda value: getattr(value, '__name__', None),
)
def test_scripts_train_on_several_cpu_workers(run, tmp_path, script, options):
    code, log = run(script, *options, '--cpu_workers', '2')
    assert code == 0, log
    assert 'devices: cpu(0), cpu(1)' in log
    assert [row['step'] for row in rows(tmp_path / 'out') if 'loss' in row] == [1, 2, 3]
    assert list((tmp_path / 'out').glob('*.params'))


@pytest.mark.parametrize(
    'options, message',
    [
        ('--gpu 0,1', '--gpu 0: no such GPU, this MXNet is built without CUDA'),
        ('--gpu 1,1', '1,1: expected the index of a GPU, or several different ones'),
        ('--gpu 0,x', '0,x: expected the index of a GPU, or several different ones'),
        ('--gpu 0 --cpu_workers 2', '--cpu_workers: not allowed with argument --gpu'),
        ('--cpu_workers 0', '--cpu_workers: 0: expected 1 or more'),
        ('--cpu_workers 5', '--batch_size 4: is shared by 5 devices'),
    ],
)
def test_devices_that_cannot_be_are_told(run, options, message):
    expect_failure(*run(finetune_classifier, *options.split()), message)


def test_gpus_are_understood():
    parse = finetune_classifier.make_parser().parse_args
    assert [parse(argv.split()).gpu for argv in ('', '--gpu', '--gpu 2', '--gpu 0,3')] == [
        None,
        0,
        2,
        (0, 3),
    ]


@pytest.mark.parametrize(
    'argv, threads, copies',
    [
        ([], 6, None),
        (['--cpu_workers', '2'], 3, '256'),
        (['--cpu-workers=4'], 1, '256'),
        (['--cpu_workers', '9'], 1, '256'),
        (['--cpu_workers', 'x'], 6, None),
    ],
)
def test_workers_share_the_cores(argv, threads, copies):
    code = (
        'import os, sys; from gluon_bert._internal import engine\n'
        'engine.physical_cores = lambda: 6\n'
        'engine.prepare_engine(sys.argv[1:])\n'
        'print(os.environ["OMP_NUM_THREADS"], os.environ.get("MXNET_CPU_TEMP_COPY"))'
    )
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ('OMP_NUM_THREADS', 'MXNET_CPU_TEMP_COPY')
    }
    result = subprocess.run(
        [sys.executable, '-c', code, *argv],
        cwd=EXAMPLES,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.stdout == f'{threads} {copies}\n', result.stderr
