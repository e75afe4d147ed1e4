"""Files of records: written and read in each format, by foreign readers, and damaged ones."""

import contextlib
import io
import json
import os
import pickle
import subprocess
import zipfile

import numpy as np
import pytest

from gluon_bert.data.pretraining import npz, tfrecord
from gluon_bert.data.pretraining.records import (
    FORMATS,
    Record,
    detect_format,
    format_of,
    read_records,
    write_records,
)

PYTHON_VARIABLE = 'GLUON_BERT_TENSORFLOW_PYTHON'


def record(length=9, masked=2, label=1, seed=0):
    rng = np.random.RandomState((length, masked, seed))
    return Record(
        rng.randint(0, 30522, length).astype('int32'),
        np.sort(rng.randint(0, 2, length)).astype('int32'),
        np.sort(rng.choice(length, masked, replace=False)).astype('int32'),
        rng.randint(0, 30522, masked).astype('int32'),
        np.ones(masked, 'float32'),
        label,
    )


RECORDS = [record(9, 2, 1), record(5, 1, 0), record(9, 2, 0, seed=1), record(16, 4, 1)]
SIZES = {'max_length': 16, 'max_predictions': 4}


def same(first, second):
    return (
        len(first) == len(second)
        and all(
            np.array_equal(a, b) and a.dtype == b.dtype
            for one, two in zip(first, second)
            for a, b in zip(one[:5], two[:5])
        )
        and [one.next_sentence for one in first] == [two.next_sentence for two in second]
    )


def error_or_records(path):
    """The message of the error that a file gives, one line that names it; or its records."""
    try:
        return None, list(read_records(path))
    except ValueError as error:
        message = str(error)
    assert str(path) in message and '\n' not in message
    return message, None


@pytest.fixture(params=FORMATS)
def form(request):
    if request.param == 'parquet':
        pytest.importorskip('pyarrow', reason='Parquet needs pyarrow')
    return FORMATS[request.param]


def test_round_trip(form, tmp_path):
    path = tmp_path / f'a{form.suffixes[0]}'
    assert write_records(path, iter(RECORDS), **SIZES) == 4
    assert detect_format(path) is form
    assert same(list(read_records(path)), RECORDS)
    assert same(list(read_records([path, path])), RECORDS * 2)
    assert form.load().count(path) == 4
    assert os.listdir(tmp_path) == [path.name]


def test_records_of_equal_lengths(form, tmp_path):
    records = [record(6, 2, 0, seed) for seed in range(3)]
    path = tmp_path / f'a{form.suffixes[0]}'
    write_records(path, records, **SIZES)
    assert same(list(read_records(path)), records)


def test_records_without_labels_and_without_masked_tokens(form, tmp_path):
    records = [record(6, 0, None, seed) for seed in range(3)]
    path = tmp_path / f'a{form.suffixes[0]}'
    write_records(path, records, **SIZES)
    assert same(list(read_records(path)), records)


def test_no_records(form, tmp_path):
    path = tmp_path / f'a{form.suffixes[0]}'
    assert write_records(path, [], **SIZES) == 0
    assert list(read_records(path)) == []


def test_larger_records_are_refused_and_nothing_is_left(form, tmp_path):
    for sizes, reason in (
        (dict(max_length=15, max_predictions=4), '16 tokens, at most 15'),
        (dict(max_length=16, max_predictions=3), '4 masked positions, at most 3'),
    ):
        with pytest.raises(ValueError, match=reason):
            write_records(tmp_path / f'a{form.suffixes[0]}', RECORDS, **sizes)
    assert os.listdir(tmp_path) == []


def test_a_truncated_file_is_refused(form, tmp_path):
    path = tmp_path / f'a{form.suffixes[0]}'
    write_records(path, RECORDS, **SIZES)
    whole = path.read_bytes()
    for size in [*range(1, len(whole), max(1, len(whole) // 40)), len(whole) - 1]:
        path.write_bytes(whole[:size])
        error, found = error_or_records(path)
        if error is None:  # it ends between two records
            assert form.name == 'tfrecord' and same(found, RECORDS[: len(found)])
            assert size % (len(whole) // 4) == 0


@pytest.mark.parametrize('name', ['tfrecord', 'npz'])
def test_an_altered_file_is_refused(name, tmp_path):
    path = tmp_path / f'a.{name}'
    write_records(path, RECORDS, **SIZES)
    whole = path.read_bytes()
    rng = np.random.RandomState(0)
    for place in rng.choice(len(whole), 60, replace=False):
        data = bytearray(whole)
        data[place] ^= 1 << rng.randint(8)
        path.write_bytes(data)
        error, found = error_or_records(path)
        if error is None:  # what says nothing in a zip: times, kinds of systems
            assert name == 'npz' and same(found, RECORDS)
        elif name == 'tfrecord':
            assert f'record {place * 4 // len(whole) + 1}: the ' in error


def test_the_checksum_names_file_and_record(tmp_path):
    path = tmp_path / 'a.tfrecord'
    write_records(path, RECORDS, **SIZES)
    data = bytearray(path.read_bytes())
    data[-10] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r'a\.tfrecord: record 4: the checksum of its content'):
        list(read_records(path))
    data = data[: len(data) // 4] + b'\1' + data[len(data) // 4 + 1 :]
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r'a\.tfrecord: record 2: the checksum of its length'):
        list(read_records(path))


def test_ids_of_another_vocabulary_and_lengths_are_refused(form, tmp_path):
    path = tmp_path / f'a{form.suffixes[0]}'
    bad = RECORDS[3]._replace(token_ids=np.full(16, 99, 'int32'))
    write_records(path, [record(4, 0), bad], **SIZES)
    with pytest.raises(ValueError, match=r'record 1: token_ids has \d+, expected from 0 to 98'):
        list(read_records(path, vocab_size=99))
    with pytest.raises(ValueError, match='record 2: it has 16 tokens, at most 15'):
        list(read_records(path, max_length=15))


@pytest.mark.parametrize(
    'change, reason',
    [
        (dict(token_types=np.zeros(3)), '16 tokens, but 3 token types'),
        (dict(masked_ids=np.zeros(3)), '4 masked positions, 3 masked ids and 4 weights'),
        (dict(masked_positions=np.array([0, 1, 2, 16])), 'masked_positions has 16'),
        (dict(masked_ids=np.array([0, -1, 2, 3])), 'masked_ids has -1, expected 0 or more'),
        (dict(token_ids=np.zeros(0)), 'valid_lengths is 0'),
        (dict(masked_weights=np.array([1, 1, 1, np.nan])), 'a weight is not finite'),
        (dict(next_sentence=2), 'next_sentence is 2'),
    ],
)
def test_records_that_contradict_themselves_are_refused(tmp_path, change, reason):
    path = tmp_path / 'a.npz'
    write_records(path, [RECORDS[3]._replace(**change)])
    with pytest.raises(ValueError, match=rf'a\.npz: record 1: .*{reason}'):
        list(read_records(path))


def test_names_choose_the_format(tmp_path):
    assert format_of('a.TFRecord').name == 'tfrecord'
    assert format_of('a', 'npz').name == 'npz'
    with pytest.raises(ValueError, match="format 'nzp' is unknown; did you mean 'npz'"):
        format_of('a', 'nzp')
    with pytest.raises(ValueError, match=r'a\.txt: .*\.tfrecord, \.npz, \.parquet'):
        format_of('a.txt')
    with pytest.raises(ValueError, match='TFRecords are padded: max_length'):
        write_records(tmp_path / 'a.tfrecord', RECORDS)
    (tmp_path / 'a.txt').write_text('hello, this is text')
    with pytest.raises(ValueError, match=r'a\.txt: holds no records'):
        list(read_records(tmp_path / 'a.txt'))
    write_records(tmp_path / 'unnamed', RECORDS, 'tfrecord', **SIZES)
    assert same(list(read_records(str(tmp_path / 'unnamed'))), RECORDS)


def test_numbers_of_all_sizes():
    values = np.array([0, 1, 127, 128, 16383, 16384, 2**21 - 1, 2**21, 2**31 - 1])
    data = tfrecord.encode_varints(values)
    assert data[:4] == b'\0\1\x7f\x80' and len(data) == 1 + 1 + 1 + 2 + 2 + 3 + 3 + 4 + 5
    assert tfrecord.decode_varints(data).tolist() == values.tolist()
    assert tfrecord.decode_varints(b'\xff' * 9 + b'\1').tolist() == [-1]
    for bad in (b'\x80', b'\1\x80', b'\x80' * 10 + b'\1'):
        with pytest.raises(ValueError, match='number'):
            tfrecord.decode_varints(bad)


# --- npz


class _Evil:
    def __reduce__(self):
        return os.mkdir, ('evil',)


def archive_with(tmp_path, array):
    """An archive whose tokens are other ones."""
    path = tmp_path / 'a.npz'
    write_records(path, RECORDS[:2])
    arrays = dict(np.load(path, allow_pickle=True))
    np.savez(path, **{**arrays, 'input_ids': array})
    return path


def test_pickles_run_no_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = np.empty(2, object)
    for evil in (_Evil(), [_Evil()], np.array([_Evil()]), pickle.Pickler, slice(3)):
        rows[:] = [evil, evil]
        with pytest.raises(ValueError, match=r'a\.npz: not a whole archive of records'):
            list(read_records(archive_with(tmp_path, rows)))
    assert not (tmp_path / 'evil').exists()


def test_rows_may_be_lists_numbers_or_a_matrix(tmp_path):
    ids = [record.token_ids for record in RECORDS[:2]]
    lists, matrix = np.empty(2, object), np.zeros((2, 9), object)
    lists[:] = [row.tolist() for row in ids]
    for row, values in zip(matrix, ids):
        row[: len(values)] = values.tolist()
    for rows in (lists, matrix, matrix.astype('int64'), matrix.astype('>i4')):
        assert same(list(read_records(archive_with(tmp_path, rows))), RECORDS[:2])
    scalars = np.zeros((2, 9), object)
    for row, values in zip(scalars, ids):
        row[: len(values)] = list(values)
    assert same(list(read_records(archive_with(tmp_path, scalars))), RECORDS[:2])


def test_an_archive_of_something_else_is_refused(tmp_path):
    with pytest.raises(ValueError, match='input_ids is not a row of numbers'):
        list(read_records(archive_with(tmp_path, np.zeros((2, 9)))))
    with pytest.raises(ValueError, match='input_ids has 3 rows, valid_lengths has 2'):
        list(read_records(archive_with(tmp_path, np.zeros((3, 9), int))))
    np.savez(tmp_path / 'b.npz', input_ids=np.zeros((2, 3), int))
    with pytest.raises(ValueError, match='it has no segment_ids'):
        list(read_records(tmp_path / 'b.npz'))
    with zipfile.ZipFile(tmp_path / 'c.npz', 'w') as archive:
        archive.writestr('input_ids.npy', b'\x93NUMPY\1\0\xff')
    with pytest.raises(ValueError, match=r'c\.npz: not a whole archive'):
        list(read_records(tmp_path / 'c.npz'))


def test_gluonnlp_reads_the_archive(tmp_path):
    from gluon_bert.data import NumpyDataset

    path = tmp_path / 'a.npz'
    write_records(path, RECORDS)
    data = NumpyDataset(str(path), allow_pickle=True)
    assert len(data) == 4 and {*data.keys} == {*npz._RAGGED, npz._NEXT, npz._LENGTHS}
    for values, expected in zip(data, RECORDS):
        row = dict(zip(data.keys, values))
        for name, array in zip(npz._RAGGED, expected):
            assert row[name].dtype == array.dtype and np.array_equal(row[name], array)
        assert row[npz._NEXT] == expected.next_sentence
        assert row[npz._LENGTHS] == len(expected.token_ids)


def test_labels_of_some_records_only_are_refused(tmp_path):
    with pytest.raises(ValueError, match='for all records, or for none'):
        write_records(tmp_path / 'a.npz', [record(label=1), record(label=None)])
    assert os.listdir(tmp_path) == []


# --- TensorFlow

_READ = """
import json, sys
import tensorflow as tf
sizes = {'input_ids': 16, 'input_mask': 16, 'segment_ids': 16, 'masked_lm_positions': 4,
         'masked_lm_ids': 4, 'next_sentence_labels': 1}
features = {name: tf.io.FixedLenFeature([size], tf.int64) for name, size in sizes.items()}
features['masked_lm_weights'] = tf.io.FixedLenFeature([4], tf.float32)
rows = [tf.io.parse_single_example(raw, features) for raw in tf.data.TFRecordDataset(sys.argv[1])]
print(json.dumps([{name: value.numpy().tolist() for name, value in row.items()} for row in rows]))
with tf.io.TFRecordWriter(sys.argv[1] + '.copy') as writer:
    for row in rows:
        writer.write(tf.train.Example(features=tf.train.Features(feature={
            name: tf.train.Feature(float_list=tf.train.FloatList(value=value.numpy()))
            if name == 'masked_lm_weights'
            else tf.train.Feature(int64_list=tf.train.Int64List(value=value.numpy()))
            for name, value in row.items()})).SerializeToString())
"""


def test_tensorflow_reads_what_is_written_and_the_other_way(tmp_path):
    python = os.environ.get(PYTHON_VARIABLE)
    if not python:
        pytest.skip(f'needs TensorFlow: set {PYTHON_VARIABLE} to a Python that has it')
    path = tmp_path / 'a.tfrecord'
    write_records(path, RECORDS, **SIZES)
    done = subprocess.run([python, '-c', _READ, path], capture_output=True, text=True, check=True)
    rows = json.loads(done.stdout.splitlines()[-1])
    for row, expected in zip(rows, RECORDS):
        length, masked = len(expected.token_ids), len(expected.masked_ids)
        assert row['input_ids'] == [*expected.token_ids, *[0] * (16 - length)]
        assert row['input_mask'] == [1] * length + [0] * (16 - length)
        assert row['segment_ids'] == [*expected.token_types, *[0] * (16 - length)]
        assert row['masked_lm_positions'] == [*expected.masked_positions, *[0] * (4 - masked)]
        assert row['masked_lm_ids'] == [*expected.masked_ids, *[0] * (4 - masked)]
        assert row['masked_lm_weights'] == [1] * masked + [0] * (4 - masked)
        assert row['next_sentence_labels'] == [expected.next_sentence]
    assert len(rows) == 4
    assert same(list(read_records(f'{path}.copy')), RECORDS)


def test_features_of_another_kind_are_refused():
    good = tfrecord.encode_example(RECORDS[0], 16, 4)
    assert same([tfrecord.decode(good)._replace()], [tfrecord.decode(good)])
    for before, after, reason in (
        (b'input_ids', b'input_idz', "feature 'input_idz' is none of a pre-training record"),
        (b'masked_lm_weights', b'masked_lm_positio', 'none of a pre-training'),
        (b'segment_ids', b'input_mask\0', 'none of a pre-training'),
    ):
        assert good.count(before) == 1
        with pytest.raises(ValueError, match=reason):
            tfrecord.decode(good.replace(before, after))
    with pytest.raises(ValueError, match='no feature input_ids'):
        tfrecord.decode(b'')
    with pytest.raises(ValueError, match='input_mask'):
        tfrecord.decode(
            good.replace(
                b'\x0a' + bytes([16]) + b'\1' * 9, b'\x0a' + bytes([16]) + b'\0' + b'\1' * 8
            )
        )


def test_random_bytes_raise_value_errors_alone():
    good = tfrecord.encode_example(RECORDS[0], 16, 4)
    rng = np.random.RandomState(1)
    for _ in range(300):
        data = bytearray(good)
        for place in rng.randint(0, len(data), 3):
            data[place] = rng.randint(256)
        with contextlib.suppress(ValueError):
            tfrecord.decode(bytes(data))


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    class Full(io.RawIOBase):
        def write(self, data):
            raise OSError(28, 'No space left on device')

    monkeypatch.setattr(tfrecord, 'open', lambda *args: Full(), raising=False)
    with pytest.raises(OSError, match='No space left'):
        write_records(tmp_path / 'a.tfrecord', RECORDS, **SIZES)
    assert os.listdir(tmp_path) == []
