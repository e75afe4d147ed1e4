"""Batches of records: order, shares of processes, and any position to go on from."""

import itertools
import json

import numpy as np
import pytest
from test_masking import tokenizer

from gluon_bert._internal.files import expand_paths
from gluon_bert.data.pretraining.masking import Masker
from gluon_bert.data.pretraining.records import Record, write_records
from gluon_bert.data.pretraining.stream import PretrainingStream, StreamOptions

NUM = 47


def record(number):
    """A record that says its number."""
    length = 4 + number % 5
    masked = 1 + number % 3
    return Record(
        np.array([2, *[5 + number % 8] * (length - 2), 3], 'int32'),
        np.array([0] * (length - 2) + [1] * 2, 'int32'),
        np.arange(1, 1 + masked, dtype='int32'),
        np.full(masked, 1000 + number, 'int32'),
        np.ones(masked, 'float32'),
        number % 2,
    )


@pytest.fixture
def folder(tmp_path):
    numbers = iter(range(NUM))
    for name, count in (('a.tfrecord', 20), ('b.npz', 17), ('c.tfrecord', 10), ('d.npz', 0)):
        rows = [record(number) for number in itertools.islice(numbers, count)]
        write_records(tmp_path / name, rows, max_length=16, max_predictions=4)
    return tmp_path


def stream(folder, masker=None, **options):
    return PretrainingStream(f'{folder}/*', StreamOptions(**{'batch_size': 4, **options}), masker)


def numbers(batch):
    return [] if batch is None else (batch.masked_ids[:, 0] - 1000).tolist()


def read(batches, count=None):
    return [numbers(batch) for batch in itertools.islice(batches.arrays(), count)]


@pytest.mark.parametrize('buffer_size', [0, 3, 8, 100])
def test_each_epoch_has_each_record_once(folder, buffer_size):
    batches = stream(folder, buffer_size=buffer_size).batches()
    assert batches.num_batches == 12 and len(stream(folder)) == NUM
    epochs = [read(batches) for _ in range(3)]
    assert batches.epoch == 3
    for epoch in epochs:
        assert [len(batch) for batch in epoch] == [4] * 11 + [3]
        assert sorted(itertools.chain(*epoch)) == [*range(NUM)]
    if buffer_size == 0:
        assert epochs[0] == epochs[1] and [*itertools.chain(*epochs[0])] == [*range(NUM)]
    else:
        assert epochs[0] != epochs[1] != epochs[2]
        assert read(stream(folder, buffer_size=buffer_size, seed=1).batches()) != epochs[0]
        assert read(stream(folder, buffer_size=buffer_size).batches()) == epochs[0]


@pytest.mark.parametrize('buffer_size', [0, 12, 100])
@pytest.mark.parametrize('size', [1, 3])
def test_goes_on_from_every_position(folder, buffer_size, size):
    data = stream(folder, buffer_size=buffer_size)
    for rank in range(size):
        whole = data.batches(rank, size)
        expected = read(whole) + read(whole)
        for count in range(rank, len(expected) + 1, size + 1):
            first, second = data.batches(rank, size), data.batches(rank, size)
            seen = read(first, count)
            if len(seen) < count:
                seen += read(first, count - len(seen))
            second.load_state_dict(json.loads(json.dumps(first.state_dict())))
            rest = read(second)
            while len(seen) + len(rest) < len(expected):
                rest += read(second)
            assert seen + rest == expected


def test_processes_share_the_batches(folder):
    data = stream(folder, buffer_size=12)
    whole = read(data.batches())
    for size in (2, 3, 5):
        shares = [read(data.batches(rank, size)) for rank in range(size)]
        assert [[*itertools.chain(*parts)] for parts in zip(*shares)] == whole
        assert all(len(parts[0]) - len(parts[-1]) <= 1 for parts in zip(*shares))


def test_states_are_the_same_in_all_processes(folder):
    data = stream(folder)
    made = [data.batches(rank, 2) for rank in range(2)]
    for batches in made:
        read(batches, 3)
    assert made[0].state_dict() == made[1].state_dict() == {'epoch': 0, 'position': 3}


def test_batches_are_padded(folder):
    batch = next(stream(folder, buffer_size=0, batch_size=5, pad_id=9).batches().arrays())
    assert batch.token_ids.shape == (5, 8) and batch.masked_ids.shape == (5, 3)
    assert batch.valid_length.tolist() == [4, 5, 6, 7, 8]
    assert batch.token_ids[0].tolist() == [2, 5, 5, 3, 9, 9, 9, 9]
    assert batch.token_types[0].tolist() == [0, 0, 1, 1, 0, 0, 0, 0]
    assert batch.masked_weights.tolist()[:2] == [[1, 0, 0], [1, 1, 0]]
    assert batch.masked_positions.tolist()[1] == [1, 2, 0]
    assert batch.next_sentence.tolist() == [0, 1, 0, 1, 0]
    short = next(stream(folder, buffer_size=0, batch_size=2, round_to=1).batches().arrays())
    assert short.token_ids.shape == (2, 5)


def test_ndarrays_for_training(folder):
    batches = stream(folder, buffer_size=0).batches()
    (inputs, labels), *rest = list(batches)
    assert batches.epoch == 1 and len(rest) == 11
    assert [array.shape for array in inputs] == [(4, 8), (4, 8), (4,), (4, 3)]
    assert [array.shape for array in labels] == [(4, 3), (4, 3), (4,)]
    assert {array.dtype for array in (*inputs, *labels)} == {np.float32}
    assert labels[0].asnumpy()[:, 0].tolist() == [1000, 1001, 1002, 1003]
    without = next(iter(stream(folder, next_sentence=False).batches()))
    assert len(without[1]) == 2


def test_masks_change_with_the_epoch_alone(folder):
    data = stream(folder, Masker(tokenizer()), buffer_size=8)
    batches, again = data.batches(), data.batches()
    first, second = list(batches.arrays()), list(batches.arrays())
    for one, two in zip(first, again.arrays()):
        assert all(np.array_equal(a, b) for a, b in zip(one, two))

    def tokens(epoch):
        return {
            (*row[row > 4], position)
            for batch in epoch
            for row, position in zip(batch.token_ids, batch.masked_positions[:, 0])
        }  # fmt: skip

    assert tokens(first) != tokens(second)
    moved = data.batches()
    moved.load_state_dict({'epoch': 1, 'position': 5})
    for one, two in zip(second[5:], moved.arrays()):
        assert all(np.array_equal(a, b) for a, b in zip(one, two))


def test_wrong_data_are_refused_with_their_place(folder):
    with pytest.raises(ValueError, match=r'a\.tfrecord: record 1: masked_ids has 1000'):
        list(stream(folder, buffer_size=0, vocab_size=1000).batches().arrays())
    with pytest.raises(ValueError, match=r'a\.tfrecord: record 4: it has 7 tokens, at most 6'):
        list(stream(folder, buffer_size=0, max_length=6).batches().arrays())
    write_records(folder / 'e.npz', [record(0)._replace(next_sentence=None)])
    with pytest.raises(ValueError, match=r'e\.npz: record 1: has no label of the next sentence'):
        list(stream(folder, buffer_size=0).batches().arrays())
    with pytest.raises(FileNotFoundError, match='no such file'):
        PretrainingStream(folder / 'none')
    with pytest.raises(ValueError, match=r'd\.npz: there are no records'):
        PretrainingStream(folder / 'd.npz')
    with pytest.raises(ValueError, match='batch_size'):
        StreamOptions(batch_size=0)


def test_the_fingerprint_tells_files_and_options(folder):
    first = stream(folder).fingerprint()
    assert json.loads(json.dumps(first)) == first == stream(folder).fingerprint()
    assert stream(folder, seed=1).fingerprint() != first
    assert stream(folder, Masker(tokenizer())).fingerprint() != first
    write_records(folder / 'd.npz', [record(1)])
    assert stream(folder).fingerprint() != first


def test_paths_with_commas_and_patterns(folder):
    names = [path.rpartition('/')[2] for path in expand_paths(f'{folder}/b*,{folder}/*.tfrecord')]
    assert names == ['b.npz', 'a.tfrecord', 'c.tfrecord']
    assert expand_paths([folder / 'a.tfrecord']) == [folder / 'a.tfrecord']
    for none in ('', [], f'{folder}/x*'):
        with pytest.raises(FileNotFoundError):
            expand_paths(none)
