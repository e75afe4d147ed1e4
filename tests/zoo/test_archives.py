"""Files out of zips that are not trusted: whole, or refused with a reason."""

import io
import random
import stat
import struct
import zipfile

import pytest
from zoo_server import zipped

from gluon_bert.zoo.fetch import archives

DATA = random.Random(1).randbytes(1_000_000)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def unpack(folder, data, outside):
    (outside / 'model.zip').write_bytes(data)
    return archives.extract(outside / 'model.zip', folder, lambda name: name.endswith('.params'))


def altered(**changes):
    """A zip with a small file whose entry in the directory is changed."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('good.params', DATA[:5000])
        archive.writestr('model.params', bytes(5000))
        for name, value in changes.items():
            setattr(archive.filelist[1], name, value)
    return file.getvalue()


WHOLE = zipped({'good.params': DATA[:5000], 'model.params': DATA})
HOSTILE = {
    'outside its folder': (
        lambda: zipped({'good.params': b'1', '../model.params': DATA}),
        "a member is named '../model.params'",
    ),
    'absolute': (lambda: zipped({'good.params': b'1', '/etc/model.params': DATA}), 'is named'),
    'drive': (lambda: zipped({'good.params': b'1', 'C:model.params': DATA}), 'is named'),
    'backslash': (lambda: zipped({'a\\..\\..\\model.params': DATA}), 'is named'),
    'symbolic link': (lambda: altered(external_attr=(stat.S_IFLNK | 0o777) << 16), 'is a link'),
    'encrypted': (lambda: altered(flag_bits=1), 'is encrypted'),
    'bomb': (lambda: altered(file_size=3 << 30), 'bytes would unpack to 3221230472'),
    'larger than any model': (lambda: altered(file_size=9 << 30), 'would unpack to'),
    'smaller than it says': (lambda: altered(file_size=6000), 'refused'),
    'larger than it says': (lambda: altered(file_size=4000), 'Bad CRC-32'),
    'overlapping': (lambda: altered(compress_size=len(DATA)), 'overlap'),
    'packed by LZMA': (lambda: altered(compress_type=zipfile.ZIP_LZMA), 'packed by method 14'),
    'too many members': (
        lambda: zipped({f'{i}.params': b'' for i in range(1001)}),
        'it has 1001 members',
    ),
    'twice the same': (lambda: zipped({'a/model.params': b'1', 'b/model.params': b'2'}), 'twice'),
    'nothing wanted': (
        lambda: zipped({'a/b/model.params': b'1', 'readme': b'2'}),
        'has none of the files sought',
    ),
    'truncated': (lambda: WHOLE[:-50], 'not a zip file'),
    'emptied': (lambda: WHOLE[:10000] + bytes(50000) + WHOLE[60000:], 'refused'),
    'without its head': (lambda: WHOLE[100_000:], 'refused'),
    'huge directory': (
        lambda: (
            (b'PK\1\2' + bytes(42)) * 100_000
            + struct.pack('<4s4H2LH', b'PK\5\6', 0, 0, 1, 1, 4_600_000, 0, 0)
        ),
        'its directory is too large',
    ),
    'not a zip': (lambda: DATA, 'not a zip file'),
    'empty': (lambda: b'', 'not a zip file'),
}


@pytest.mark.parametrize('case', HOSTILE)
def test_hostile_archives_leave_nothing(case, tmp_path):
    make, reason = HOSTILE[case]
    folder = tmp_path / 'deep' / 'folder'
    folder.mkdir(parents=True)
    with pytest.raises(ValueError, match=reason) as error:
        unpack(folder, make(), tmp_path)
    assert 'model.zip: refused as an archive' in str(error.value)
    assert names(folder) == []
    assert names(tmp_path) == ['deep', 'model.zip']
    assert names(tmp_path / 'deep') == ['folder']


def test_wanted_files_are_unpacked_out_of_one_sub_folder(tmp_path):
    folder = tmp_path / 'folder'
    folder.mkdir()
    paths = unpack(
        folder,
        zipped(
            {'a/': b'', 'a/model.params': DATA, 'a/readme': b'x', '__MACOSX/a/._model.params': b'x'}
        ),
        tmp_path,
    )
    assert paths == [folder / 'model.params']
    assert paths[0].read_bytes() == DATA
    assert names(folder) == ['model.params']


def test_damaged_archives_are_refused_whatever_the_damage(tmp_path, seed):
    folder = tmp_path / 'folder'
    folder.mkdir()
    data = zipped({'a/model.params': DATA[:300], 'b.params': b'0' * 500})
    refused = 0
    for _ in range(500):
        changed = bytearray(data)
        for _ in range(random.randint(1, 4)):
            changed[random.randrange(len(changed))] = random.choice((0, 1, 127, 128, 255))
        try:
            for path in unpack(folder, bytes(changed), tmp_path):
                path.unlink()
        except ValueError:
            refused += 1
        assert names(folder) == []
    assert refused > 300
