"""How processes find each other: what is wrong is refused in one line."""

import socket

import pytest

from gluon_bert.training.distributed.connect import connect
from gluon_bert.training.distributed.rendezvous import read_place

PLACE = {'RANK': '1', 'WORLD_SIZE': '2', 'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': '29500'}


@pytest.fixture
def place(monkeypatch):
    """Set the variables of a launcher, but for changes; None removes one."""

    def set_variables(**changes):
        for name, value in {**PLACE, **changes}.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)

    return set_variables


def test_an_unknown_backend_is_refused_with_the_list():
    with pytest.raises(ValueError, match=r"comm_backend=glo: expected one of device, gloo.*'gloo'"):
        connect('glo')


def test_one_process_is_refused_where_several_were_started(place):
    place(WORLD_SIZE='1')
    assert connect('device').size == 1
    place(WORLD_SIZE='2')
    with pytest.raises(ValueError, match='WORLD_SIZE=2 in the environment'):
        connect('device')


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'RANK': None}, 'comm_backend=gloo: RANK not set; start the processes with gluon-bert'),
        ({'RANK': None, 'MASTER_PORT': ''}, 'RANK and MASTER_PORT not set'),
        ({'RANK': '2'}, 'RANK=2: expected 0 to 1, as WORLD_SIZE is 2'),
        ({'RANK': '-1'}, "RANK='-1': expected a number, 0 or more"),
        ({'WORLD_SIZE': 'two'}, "WORLD_SIZE='two': expected a number, 1 or more"),
        ({'MASTER_PORT': '65536'}, "MASTER_PORT='65536': expected a number, 1 to 65535"),
    ],
)
def test_variables_of_the_launcher_are_checked(place, changes, message):
    place()
    assert read_place('gloo') == (1, 2, '127.0.0.1', 29500)
    place(**changes)
    with pytest.raises(ValueError, match=message):
        read_place('gloo')


@pytest.fixture
def port():
    """A port at which nobody accepts connections yet."""
    with socket.socket() as other:
        other.bind(('127.0.0.1', 0))
        yield other


def test_who_is_missing_is_named(place, port):
    pytest.importorskip('torch', reason='gloo is that of PyTorch')
    number = str(port.getsockname()[1])
    place(MASTER_PORT=number)
    with pytest.raises(ConnectionError, match=f'rank 1: rank 0 .* 127.0.0.1:{number} .*0.2 s'):
        connect('gloo', 0.2)
    place(RANK='0', MASTER_PORT=number)
    with pytest.raises(ConnectionError, match=rf'rank 0: port {number} \(MASTER_PORT\) is in use'):
        connect('gloo', 0.2)
    port.close()
    place(RANK='0', MASTER_PORT=number, WORLD_SIZE='4')
    with pytest.raises(TimeoutError, match='rank 0: after 0.2 s rank 1, 2, 3 of 4 is missing at'):
        connect('gloo', 0.2)
    place(MASTER_ADDR='nohost.invalid')
    with pytest.raises(ConnectionError, match='nohost.invalid:29500 .* not known'):
        connect('gloo', 0.2)
