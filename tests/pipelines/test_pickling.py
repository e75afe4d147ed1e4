# ruff: noqa: F811 (fixtures are imported)
"""Pipelines that are copied, pickled, and sent to another process."""

import copy
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import mxnet as mx
import pytest
from script_runs import tiny_pipeline, tokenizer  # noqa: F401 (fixtures)
from sharing import backend, copied  # noqa: F401 (fixtures)
from test_concurrency import KINDS, kind, make_pipeline  # noqa: F401 (fixtures)

from gluon_bert import kernels
from gluon_bert.inference.precision import calibrate
from gluon_bert.inference.precision_file import LowPrecision
from gluon_bert.inference.predictor import Predictor


@pytest.mark.parametrize('frozen', [True, False], ids=['frozen', 'thawed'])
def test_copies_give_the_same_results(backend, make_pipeline, kind, frozen, copied):
    pipeline, inputs = make_pipeline(kind), KINDS[kind]
    if frozen:
        pipeline.freeze()
    expected = pipeline(inputs)
    again = copied(pipeline)
    assert type(again) is type(pipeline) and (again.predictor is not None) == frozen
    assert again(inputs) == expected
    # They share nothing: the copy keeps its weights.
    for parameter in pipeline.network.collect_params().values():
        parameter.set_data(mx.nd.zeros_like(parameter.data()))
    assert again(inputs) == copied(again)(inputs) == expected


def test_counts_and_settings_travel_but_progress_does_not(make_pipeline, copied):
    pipeline = make_pipeline('classification')
    pipeline.look_ahead, pipeline.progress = 3, lambda count: None
    pipeline('cat ' * 40)
    again = copied(pipeline)
    assert (again.num_cut, again.look_ahead, again.batch_size) == (1, 3, pipeline.batch_size)
    assert again.settings == pipeline.settings and again.progress is None
    again('cat ' * 40)
    assert (again.num_cut, pipeline.num_cut) == (2, 1)


@pytest.mark.parametrize('precision', ['bfloat16', 'int8'])
def test_frozen_pipelines_keep_their_precision(make_pipeline, copied, precision):
    if not kernels.load():
        pytest.skip('native kernels are not built: python -m gluon_bert.kernels')
    pipeline = make_pipeline('classification')
    sizes = None
    if precision == 'int8':
        sizes = calibrate(pipeline.network, pipeline.features(KINDS['classification'][:3]))
    low = LowPrecision(precision, ('0.expand',), sizes=sizes)
    pipeline.freeze(Predictor(pipeline.network, 1, low))
    expected = pipeline(KINDS['classification'])
    assert expected != make_copy_in_float32(pipeline)(KINDS['classification'])
    again = copied(pipeline)
    assert again(KINDS['classification']) == expected
    assert again.predictor.network is again.network


def make_copy_in_float32(pipeline):
    return copy.deepcopy(pipeline).freeze(Predictor(pipeline.network))


def test_a_child_process_gives_the_same_results(make_pipeline):
    pipelines = [make_pipeline(kind).freeze() for kind in KINDS]
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        for pipeline, inputs in zip(pipelines, KINDS.values()):
            assert pool.submit(pipeline, inputs).result() == pipeline(inputs)
