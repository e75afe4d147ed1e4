"""Changes to files, at random but with an eye to their formats."""

import contextlib
import copy
import json
import struct
import warnings
import zipfile
from io import BytesIO

NUMBERS = (
    0,
    1,
    2,
    127,
    128,
    255,
    2**15,
    2**16 - 1,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**40,
    2**60,
    2**62,
    2**63 - 1,
    2**63,
    2**64 - 1,
)
WORDS = (
    b'\xff' * 9 + b'\1',
    b'\x80\2',
    b'cos\nsystem\n',
    b'X\xff\xff\xff\x7f',
    b'R',
    b'}',
    b'(',
    b'PK\1\2',
    b'PK\5\6',
    b'\n',
    b'\r\n',
    b'\0',
    b' ',
    b'\xef\xbb\xbf',
    b'\xed\xa0\x80',
    '\u2028\x1b[31m'.encode(),
    '\U0001f600'.encode(),
    b'[PAD]',
    b'[UNK]',
    b'<s>',
    b'##',
    b'NaN',
    b'1e999',
    b'"',
    b'{',
    b'[',
    b',',
    b'../',
    b'\x12\xff\xff\xff\xff\x0f',
)
DEEP = 'as deep as possible'
VALUES = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    7,
    64,
    10**9,
    2**31,
    2**63,
    2**64,
    10**18,
    10**400,
    0.5,
    -0.0,
    1e308,
    float('nan'),
    float('inf'),
    '',
    'a',
    '0',
    '1',
    '[PAD]',
    '[UNK]',
    '<s>',
    'a b',
    'a b c',
    '\0',
    '\ud800',
    '\u2028',
    '\x1b[31m',
    '../../etc/passwd',
    '/etc/passwd',
    'C:a',
    'x' * 5000,
    '\U0001f600',
    'hello',
    'bert',
    'roberta',
    'distilbert',
    'F64',
    'BF16',
    'BOOL',
    'U8',
    'F8_E4M3',
    [],
    {},
    [[]],
    [None],
    {'a': 1},
    [0] * 300,
    DEEP,
)


def altered(rng, name, data, others):
    """The content of a file, altered; None to take the file away.

    Parameters
    ----------
    rng : random.Random
    name : str
        Of the file; it tells the format.
    data : bytes
        Its valid content.
    others : list of bytes
        Files of which parts may be put in.
    """
    if rng.random() < 0.005:
        return None
    kind = rng.random()
    if name.endswith(('.json', '.vocab')) and kind < 0.6:
        return alter_json(rng, data)
    if name.endswith('.safetensors') and kind < 0.5 and len(data) > 8:
        length = int.from_bytes(data[:8], 'little')
        header = alter_json(rng, data[8 : 8 + length])
        return struct.pack('<Q', len(header)) + header + data[8 + length :]
    if name.endswith('.index') and kind < 0.6:
        return alter_table(rng, data, others)
    if name.endswith(('.zip', '.bin')) and data.startswith(b'PK') and kind < 0.5:
        return alter_zip(rng, data, others)
    return alter_bytes(rng, data, others)


def alter_bytes(rng, data, others):
    """Bytes with some changed, put in, taken out, moved or said to be more."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 8))):
        begin = rng.randrange(len(data) + 1)
        end = min(len(data), begin + rng.choice((1, 1, 2, 4, 8, 30, 300)))
        action = rng.randrange(10)
        if action == 0 and data:
            data[begin % len(data)] ^= 1 << rng.randrange(8)
        elif action == 1:
            data[begin:end] = bytes([rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))]) * (
                end - begin
            )
        elif action == 2:
            data[begin:end] = bytes(rng.randrange(256) for _ in range(end - begin))
        elif action == 3:
            del data[begin:end]
        elif action == 4:
            del data[begin:]
        elif action == 5:
            data[begin:begin] = rng.choice(WORDS)
        elif action == 6:
            data[begin:begin] = data[begin:end] * rng.choice((1, 1, 2, 100))
        elif action == 7:
            other = rng.choice(others)
            place = rng.randrange(len(other) + 1)
            data[begin:end] = other[place : place + rng.choice((4, 30, 300))]
        else:
            size = rng.choice((1, 2, 4, 8, 8))
            number = rng.choice((*NUMBERS, len(data), len(data) + 1, begin, rng.randrange(2**16)))
            order = rng.choice(('little', 'little', 'big'))
            data[begin : begin + size] = (number % 256**size).to_bytes(size, order)
    return bytes(data)


def alter_json(rng, data):
    """JSON with values or keys changed, taken out, doubled or nested."""
    content = json.loads(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        parents = list(containers(content))
        parent, other = rng.choice(parents), rng.choice(parents)
        keys = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
        if not keys:
            continue
        key, action = rng.choice(keys), rng.randrange(7)
        if action < 3:
            parent[key] = copy.deepcopy(rng.choice(VALUES))
        elif action == 3:
            del parent[key]
        elif action == 4:
            parent[key] = [parent[key]] if rng.random() < 0.5 else {'content': parent[key]}
        elif action == 5 and other:
            taken = rng.choice(list(other.values() if isinstance(other, dict) else other))
            parent[key] = json.loads(json.dumps(taken))
        elif isinstance(parent, dict):
            parent[str(rng.choice((*VALUES, *keys)))] = parent.pop(key)
    text = json.dumps(content)
    if rng.random() < 0.1:
        keys = [key for parent in containers(content) if isinstance(parent, dict) for key in parent]
        key = json.dumps(rng.choice(keys or ['a']))
        text = text.replace(f'{key}: ', f'{key}: {json.dumps(rng.choice(VALUES))}, {key}: ', 1)
    depth = rng.choice((100, 900, 960, 975, 985, 990, 995, 100_000))
    return text.replace(json.dumps(DEEP), '[' * depth + ']' * depth).encode()


def containers(value):
    """The objects and lists in a JSON value."""
    if isinstance(value, (dict, list)):
        yield value
        for inner in list(value.values() if isinstance(value, dict) else value):
            yield from containers(inner)


def alter_table(rng, data, others):
    """A bundle's index with entries changed, and all checksums right."""
    from gluon_bert.checkpoint.tensorflow.sorted_table import encode_table, read_table

    pairs = [list(pair) for pair in read_table(data)]
    for _ in range(rng.choice((1, 1, 2, 5))):
        pair, action = rng.choice(pairs), rng.randrange(6)
        if action == 0:
            pair[0] = alter_bytes(rng, pair[0], others)
        elif action < 4:
            pair[1] = alter_bytes(rng, pair[1], others)
        elif action == 4:
            pair[1] = rng.choice(pairs)[1]
        elif len(pairs) > 1:
            pairs.remove(pair)
    return encode_table(sorted(pairs) if rng.random() < 0.8 else pairs)


def alter_zip(rng, data, others):
    """A zip of altered members, whose checksums are right where its directory is not altered."""
    source, file = zipfile.ZipFile(BytesIO(data)), BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, 'w') as archive:
        warnings.simplefilter('ignore')  # of names that are there twice
        for member in source.infolist():
            name, content = member.filename, source.read(member)
            if rng.random() < 0.2:
                name = rng.choice(
                    (
                        f'../{name}',
                        f'/{name}',
                        f'a/{name}',
                        'a/model.params',
                        f'{"x" * 300}{name}',
                        f'\x1b[31m{name}',
                        f'{name}/',
                        'é.params',
                    )
                )
            if rng.random() < 0.3 or name.endswith('.pkl'):
                content = alter_bytes(rng, content, others)
            archive.writestr(zipfile.ZipInfo(name), content, member.compress_type)
        for entry in archive.filelist:
            field = rng.choice(
                (
                    'file_size',
                    'compress_size',
                    'header_offset',
                    'CRC',
                    'flag_bits',
                    'external_attr',
                    'compress_type',
                    None,
                    None,
                    None,
                    None,
                )
            )
            with contextlib.suppress(TypeError):
                setattr(
                    entry,
                    field,
                    rng.choice(NUMBERS)
                    % (65536 if field in ('flag_bits', 'compress_type') else 2**32),
                )
    return file.getvalue()
