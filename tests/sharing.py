"""What tests of concurrent calls and of copies share."""

import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from gluon_bert import kernels

THREADS, CALLS = 8, 200


def in_threads(run, count=THREADS):
    """Run a function of the thread's number in threads that begin together; their results."""
    barrier = threading.Barrier(count)

    def call(number):
        barrier.wait()
        return run(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(call, range(count)))


@pytest.fixture(params=['native', 'gluon'])
def backend(request, monkeypatch):
    """With and without the kernels."""
    if request.param == 'gluon':
        monkeypatch.setenv('GLUON_BERT_KERNELS', '0')
    elif not kernels.load():
        pytest.skip('native kernels are not built: python -m gluon_bert.kernels')
    return request.param


COPIES = {'pickle': lambda item: pickle.loads(pickle.dumps(item)), 'deepcopy': copy.deepcopy}


@pytest.fixture(params=COPIES)
def copied(request):
    """A function that copies."""
    return COPIES[request.param]
