# ruff: noqa: F811 (fixtures are imported)
"""Pipelines that several threads call at once, and streams read in turns."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import mxnet as mx
import numpy as np
import pytest
from script_runs import WORDS, tiny_pipeline, tokenizer  # noqa: F401 (fixtures)
from sharing import CALLS, THREADS, backend, in_threads  # noqa: F401 (fixtures)

import gluon_bert as gb
from gluon_bert.data import SequenceData
from gluon_bert.pipelines import FillMaskPipeline, NextSentencePipeline
from gluon_bert.training.loop import fit
from gluon_bert.training.objectives import cross_entropy
from gluon_bert.training.options import Plan

TEXTS = ['the cat', 'a dog barks loudly !', 'sun', ' '.join(WORDS[5:]), 'moon , sun', 'here .']
CONTEXT = 'the cat sleeps here . a dog barks out loud , without the moon'


KINDS = {
    'classification': TEXTS,
    'regression': TEXTS,
    'questions': [(text, CONTEXT) for text in TEXTS],
    'entities': [*TEXTS, ['the', 'cat']],
    'crf': [*TEXTS, ['the', 'cat']],
    'fill-mask': [f'[MASK] {text}' for text in TEXTS[:3]] + ['a [MASK] here [MASK]'],
    'next-sentence': [(text, 'the sun') for text in TEXTS],
}


@pytest.fixture(params=KINDS)
def kind(request):
    """The kind of a pipeline."""
    return request.param


@pytest.fixture
def make_pipeline(tiny_pipeline, make_model, tokenizer):
    """Build a pipeline of a kind over a tiny hybridized network."""

    def make(kind, batch_size=2):
        if kind in ('fill-mask', 'next-sentence'):
            network = gb.BertForPretraining(make_model(vocab_size=len(WORDS)))
            for parameter in network.collect_params().values():
                if parameter._data is None:
                    parameter.initialize(mx.init.Normal(0.3))
            build = FillMaskPipeline if kind == 'fill-mask' else NextSentencePipeline
            pipeline = build(network, tokenizer, batch_size)
        elif kind == 'crf':
            pipeline = tiny_pipeline('entities', batch_size, crf=True)
        else:
            pipeline = tiny_pipeline(kind, batch_size)
        pipeline.network.hybridize(static_alloc=True)
        return pipeline

    return make


@pytest.mark.parametrize('frozen', [True, False], ids=['frozen', 'thawed'])
def test_threads_get_the_results_of_single_calls(backend, make_pipeline, kind, frozen):
    pipeline, inputs = make_pipeline(kind), KINDS[kind]
    if frozen:
        pipeline.freeze()
    expected = [pipeline([item])[0] for item in inputs]
    calls = CALLS if frozen else CALLS // 10

    def run(number):
        order = [(number + i) % len(inputs) for i in range(calls)]
        return [i for i in order if pipeline([inputs[i]])[0] != expected[i]]

    assert in_threads(run) == [[]] * THREADS


def test_streams_read_in_turns(backend, make_pipeline, kind):
    pipeline = make_pipeline(kind)
    pipeline.look_ahead = 2
    first, second = KINDS[kind] * 3, KINDS[kind][::-1] * 3
    expected = list(pipeline.stream(first)), list(pipeline.stream(second))
    told = [], []
    streams = [pipeline.stream(inputs, told[n].append) for n, inputs in enumerate((first, second))]
    turns = list(zip(*streams))
    assert tuple(map(list, zip(*turns))) == expected
    assert [sum(counts) for counts in told] == [len(first), len(second)]


def test_what_was_cut_is_counted_for_each_call(make_pipeline):
    pipeline = make_pipeline('classification').freeze()
    long = ' '.join(['cat'] * 40)
    streams = pipeline.stream([long, 'a cat', long]), pipeline.stream([long, 'the dog', 'sun'])
    for _ in zip(*streams):
        pass
    assert [stream.num_cut for stream in streams] == [2, 1] and pipeline.num_cut == 3

    def run(number):
        stream = pipeline.stream([long] * (number + 1) + ['sun'])
        list(stream)
        return stream.num_cut

    assert in_threads(run) == list(range(1, THREADS + 1))
    assert pipeline.num_cut == 3 + sum(range(1, THREADS + 1))


def test_progress_of_a_call_goes_before_that_of_the_pipeline(make_pipeline):
    pipeline, shared, own = make_pipeline('regression'), [], []
    pipeline.progress = shared.append
    pipeline(TEXTS)
    assert sum(shared) == len(TEXTS)
    pipeline(TEXTS, progress=own.append)
    assert sum(shared) == sum(own) == len(TEXTS)


def test_progress_of_whole_files(make_pipeline):
    tagger, told = make_pipeline('entities'), []
    tagger.raw_tags([['the', 'cat']] * 5, progress=told.append)
    assert sum(told) == 5
    pipeline, told = make_pipeline('questions'), []
    questions = [gb.data.Question(str(n), text, CONTEXT, (), False) for n, text in enumerate(TEXTS)]
    pipeline.predictions(questions, progress=told.append)
    assert sum(told) == len(TEXTS)


@pytest.mark.parametrize('kind', ['classification', 'crf', 'questions'])
def test_predictions_while_the_network_is_trained(backend, make_pipeline, tmp_path, kind):
    pipeline = make_pipeline(kind)
    network, done = pipeline.network, threading.Event()
    features = pipeline.features(KINDS[kind][:6] * 10)
    labels = np.arange(len(features)) % 2

    def loss(scores, labels):
        if kind == 'crf':
            return network.loss(
                scores, mx.nd.broadcast_like(labels.expand_dims(1), scores[:, :, 0])
            )
        return cross_entropy(scores if scores.ndim == 2 else scores.mean(axis=1), labels)

    def train():
        try:
            data = SequenceData(features, labels, 0, 4)
            plan = Plan(epochs=4, learning_rate=1e-3)
            return fit(network, data, loss, plan, tmp_path).steps
        finally:
            done.set()

    def predict():
        count = 0
        while not done.is_set() or not count:
            results = pipeline(KINDS[kind])
            assert len(results) == len(KINDS[kind])
            count += 1
        return count

    with ThreadPoolExecutor(3) as pool:
        training = pool.submit(train)
        counts = [pool.submit(predict) for _ in range(2)]
        assert training.result() >= len(features)
        assert all(count.result() > 0 for count in counts)
    assert pipeline.freeze()(KINDS[kind]) == pipeline(KINDS[kind])


def test_streams_close_what_they_read_ahead(make_pipeline):
    pipeline, before = make_pipeline('regression'), {*threading.enumerate()}
    stream = pipeline.stream(itertools.repeat('the cat'))
    first = next(stream)
    stream.close()
    assert list(stream) == [] and first == pipeline('the cat')
    started = {*threading.enumerate()} - before
    assert not [row for row in started if 'ThreadPoolExecutor' in row.name]
