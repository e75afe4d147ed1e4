"""Parts of files: together they have the lines of the file, with their numbers."""

import random

import pytest

from gluon_bert.data import iterate_texts
from gluon_bert.data.classification.lines import checked_lines, drop_trailing_blanks, read_lines
from gluon_bert.data.classification.parts import FilePart, cut_file

BOM = b'\xef\xbb\xbf'


def lines_of(path):
    return list(drop_trailing_blanks(read_lines(path), path))


def test_parts_have_the_lines_of_the_file(tmp_path, seed):
    rng, path = random.Random(seed), tmp_path / 'a.txt'
    for trial in range(200):
        ends = rng.choice([[b'\n'], [b'\r\n'], [b'\r'], [b'\n', b'\r\n', b'\r']])
        words = [b'', b'', b'a', b'bc def', 'é\u2028'.encode(), b'x' * 30]
        count = rng.randrange(12)
        content = b''.join(rng.choice(words) + rng.choice(ends) for _ in range(count))
        content = BOM * (trial % 3 == 0) + content + rng.choice(words)
        path.write_bytes(content)
        parts = cut_file(path, rng.choice([1, 2, 3, 7, 20, 1000]))
        assert [row for part in parts for row in lines_of(part)] == lines_of(path), content
        bounds = [(part.start, part.end) for part in parts]
        assert [start for start, _ in bounds[1:]] == [end for _, end in bounds[:-1]]
        assert all(lines_of(part) for part in parts)


def test_parts_of_tables_have_its_header(tmp_path):
    tsv, jsonl = tmp_path / 'a.tsv', tmp_path / 'a.jsonl'
    tsv.write_bytes(BOM + b'sentence\tother\r\n' + 'ein Täxt\tx\r\n'.encode() * 9)
    # The first row of the file names the columns, not that of a part.
    jsonl.write_text('{"sentence": "s", "text": "t"}\n\n{"text": "u", "sentence": "v"}\n' * 3)
    for path in (tsv, jsonl):
        parts = cut_file(path, 10, path == tsv)
        assert len(parts) > 4
        expected = list(iterate_texts(path))
        assert [row for part in parts for row in iterate_texts(part)] == expected
    assert expected[1] == (3, 'v', None)


def test_an_error_in_a_part_has_the_numbers_of_the_file(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_bytes(b'abc\n' * 5 + b'\xff\n' + b'abc\n' * 5)
    (part,) = (part for part in cut_file(path, 8) if part.start <= 20 < part.end)
    with pytest.raises(ValueError, match=r'a\.txt:6: not UTF-8: byte 0xff at offset 20 of the'):
        lines_of(part)
    path = tmp_path / 'a.tsv'
    path.write_text('a\tb\n' * 8 + 'a\n' + 'a\tb\n')
    with pytest.raises(ValueError, match=r'a\.tsv:9: the row has 1 column, expected 2'):
        [list(iterate_texts(part, text='a')) for part in cut_file(path, 8, True)]


def test_files_without_lines_have_no_parts(tmp_path):
    path = tmp_path / 'a.txt'
    for content in (b'', b'\n', b'\r\n\n' * 70000, BOM, BOM + b'\n'):
        path.write_bytes(content)
        assert cut_file(path, 5) == lines_of(path) == []
    path.write_bytes(b'\n\na\n' + b'\n' * 200000)
    assert [lines_of(part) for part in cut_file(path, 1)] == [[(1, ''), (2, '')], [(3, 'a')]]


def test_lines_that_are_too_long_are_named(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_bytes(b'a\n\r\nb\n' + b'x' * (10 << 20) + b'\nc\n')
    with pytest.raises(ValueError, match=r'a\.txt:4: the line is longer than 1048576 bytes'):
        cut_file(path, 1 << 10)
    for part in cut_file(path, 11 << 20):
        found = list(checked_lines(part))
        assert [number for number, _ in found] == [1, 2, 3, 4, 5]
        assert 'longer than' in str(found[3][1]) and found[4] == (5, 'c\n')


def test_a_file_that_became_shorter_is_refused(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('abc\n' * 5)
    part = cut_file(path, 100)[0]
    assert part == FilePart(str(path), 0, 20, 1) and part.suffix == '.txt'
    path.write_text('abc\n')
    with pytest.raises(ValueError, match='has become shorter'):
        lines_of(part)
