"""Files made to do harm: each is refused with a reason, quickly and in little memory.

They are read in a process of its own, ``python test_hostile.py FOLDER``, which says how each fared.
"""

import functools
import json
import os
import pickle
import re
import resource
import stat
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from fuzz_seeds import (
    TOKENS,
    peak_memory,
    read_arrays,
    read_network,
    tiny_checkpoint,
    torch_tuple,
    torch_zip,
    written,
    zipped,
)

MEMORY = 500 << 10  # KiB
SECONDS = 2  # of a case
HUGE = 2 << 30  # bytes of a file that takes none on the disk
ESCAPE = '\x1b[2J'  # clears a terminal
ESCAPED = r"'\\x1b\[2J"
DEEP = '[' * 100_000
VALUES = 2_500_000  # of a tensor of 10 MB


@functools.lru_cache(None)
def valid(form):
    """The files of a tiny model."""
    from gluon_bert.checkpoint import write_checkpoint

    name = 'a.params' if form == 'gluonnlp' else ''
    return written(lambda folder: write_checkpoint(tiny_checkpoint(), folder / name, form))


def hub(**changes):
    return {
        **valid('huggingface'),
        **{name.replace('__', '.'): data for name, data in changes.items()},
    }


def with_layers(form, name, key):
    """A model whose configuration claims a billion layers."""
    text = re.sub(f'"{key}": 1', f'"{key}": 1000000000', valid(form)[name].decode())
    return {**valid(form), name: text.encode()}


def with_length(header, data=b''):
    """A safetensors file."""
    return struct.pack('<Q', len(header)) + header + data


def of_unknown_type():
    data = valid('huggingface')['model.safetensors']
    end = 8 + int.from_bytes(data[:8], 'little')
    return with_length(data[8:end].replace(b'"F32"', json.dumps(ESCAPE).encode()), data[end:])


class RunsCode:
    def __reduce__(self):
        return os.system, ('touch ran',)


def code(protocol=2):
    return pickle.dumps({'w': RunsCode()}, protocol)


def code_in_stream():
    start = (0x1950A86A20F9469CFC6C, 1001, {'little_endian': True})
    return b''.join([*(pickle.dumps(part, 2) for part in start), code(), pickle.dumps([], 2)])


def expanded():
    """A PyTorch file of 10 MB that claims 64 times as much: all rows are the same."""
    data = torch_zip({'w': np.zeros((1, VALUES), 'float32')})
    return data.replace(torch_tuple((1, VALUES)), torch_tuple((64, VALUES))).replace(
        torch_tuple((VALUES, 1)), torch_tuple((0, 1))
    )


def params(*shapes, names=None, count=None):
    """A .params file with a value for each array, whatever the shapes claim."""
    names = [str(number) for number in range(len(shapes))] if names is None else names
    return b''.join(
        [
            struct.pack('<QQQ', 0x112, 0, len(shapes) if count is None else count),
            *(
                struct.pack(
                    f'<IiI{len(shape)}qiiif', 0xF993FAC9, 0, len(shape), *shape, 1, 0, 0, 0.5
                )
                for shape in shapes
            ),
            struct.pack('<Q', len(names)),
            *(struct.pack('<Q', len(name)) + name.encode() for name in names),
        ]
    )


def link():
    entry = zipfile.ZipInfo('a.params')
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return zipped({entry: b'/etc/passwd'})


def ids(**changes):
    vocabulary = {token: number for number, token in enumerate(TOKENS)}
    return json.dumps(
        {
            'idx_to_token': TOKENS,
            'token_to_idx': vocabulary,
            'reserved_tokens': [],
            'unknown_token': '[UNK]',
            **changes,
        }
    ).encode()


def word_piece(**changes):
    return {
        'vocab.txt': '\n'.join(TOKENS).encode(),
        'tokenizer_config.json': json.dumps(changes).encode(),
    }


def byte_pairs(merges):
    tokens = ['<s>', '<pad>', '</s>', '<unk>', '<mask>', 'a']
    return {
        'tokenizer.json': json.dumps(
            {
                'pre_tokenizer': {'type': 'ByteLevel'},
                'model': {
                    'type': 'BPE',
                    'merges': merges,
                    'vocab': {token: i for i, token in enumerate(tokens)},
                },
            }
        ).encode()
    }


# Case: what is read, its files (bytes, or first bytes and the size of a file with a hole), reason.
CASES = {
    'zip outside its folder': ('zip', lambda: zipped({'../a.params': b'x'}), 'is named'),
    'zip bomb': (
        'zip',
        lambda: zipped({'a.params': bytes(200 << 20)}),
        'would unpack to 209715200',
    ),
    'zip with a link': ('zip', link, 'is a link'),
    'zip with a long name': ('zip', lambda: zipped({f'{"x" * 300}.params': b''}), 'is named'),
    'zip with an escape': (
        'zip',
        lambda: zipped({f'{folder}/{ESCAPE}.params': b'' for folder in 'ab'}),
        f'{ESCAPED}.*twice',
    ),
    'bin that runs code': (
        'network',
        lambda: hub(
            model__safetensors=None,
            pytorch_model__bin=zipped({'a/data.pkl': code()}, zipfile.ZIP_STORED),
        ),
        r"'posix\.system'.*would run code",
    ),
    'old bin that runs code': (
        'network',
        lambda: hub(model__safetensors=None, pytorch_model__bin=code_in_stream()),
        'would run code',
    ),
    'bin larger than it is': (
        'network',
        lambda: hub(model__safetensors=None, pytorch_model__bin=expanded()),
        'many times larger',
    ),
    'safetensors header': (
        'network',
        lambda: hub(model__safetensors=struct.pack('<Q', 2**60) + b'{}'),
        r'1152921504606846976 bytes does not fit',
    ),
    'safetensors nested': (
        'network',
        lambda: hub(model__safetensors=with_length(b'{"a":' + DEEP.encode())),
        'nested',
    ),
    'safetensors type': ('network', lambda: hub(model__safetensors=of_unknown_type()), ESCAPED),
    'index outside its folder': (
        'network',
        lambda: hub(
            model__safetensors=None,
            **{'model__safetensors__index__json': b'{"weight_map": {"w": "../../../etc/passwd"}}'},
        ),
        "'../../../etc/passwd': expected a file name in the same folder",
    ),
    'index with a long name': (
        'network',
        lambda: hub(
            model__safetensors=None,
            **{'model__safetensors__index__json': b'{"weight_map": {"w": "%s"}}' % (b'x' * 300)},
        ),
        'expected a file name in the same folder',
    ),
    'params with a negative shape': ('params', lambda: params((-2, -3)), r'shape \(-2, -3\)'),
    'params with 2^40 arrays': ('params', lambda: params((1,), count=2**40), 'claims 1099511627'),
    'params with 2^60 values': ('params', lambda: params((2**30, 2**30)), 'shorter than'),
    'params with an escape': (
        'params',
        lambda: params((1,), (1,), names=[ESCAPE] * 2),
        f'{ESCAPED}.*twice',
    ),
    'params with 2000 arrays': ('params', lambda: params(*[(1,)] * 2000), None),
    'bundle cut off': (
        'network',
        lambda: {
            **valid('tensorflow'),
            'bert_model.ckpt.index': valid('tensorflow')['bert_model.ckpt.index'][:-20],
        },
        'not a whole TensorFlow',
    ),
    'layers of config.json': (
        'network',
        lambda: with_layers('huggingface', 'config.json', 'num_hidden_layers'),
        'too few for 1000000000 layers',
    ),
    'layers of bert_config.json': (
        'network',
        lambda: with_layers('tensorflow', 'bert_config.json', 'num_hidden_layers'),
        'too few for 1000000000 layers',
    ),
    'layers beside params': (
        'network',
        lambda: with_layers('gluonnlp', 'a.json', 'num_layers'),
        'too few for 1000000000 layers',
    ),
    'config nested': ('network', lambda: hub(config__json=b'{"a":' + DEEP.encode()), 'nested'),
    'config of 2 GB': ('network', lambda: hub(config__json=(b'{', HUGE)), 'larger than'),
    'config of many values': (
        'network',
        lambda: hub(config__json=b'{"a":[' + b'{},' * 1_200_000),
        'more than 1200000 values',
    ),
    'vocabulary with duplicates': (
        'vocabulary',
        lambda: {'vocab.txt': '\n'.join([*TOKENS, TOKENS[5]]).encode()},
        r"txt:12: token 'hello' also occurs in line 6",
    ),
    'ids with duplicates': (
        'vocabulary',
        lambda: {'a.json': b'{"[UNK]": 0, "[UNK]": 1}'},
        r"'\[UNK\]' occurs twice",
    ),
    'list with duplicates': (
        'vocabulary',
        lambda: {'a.vocab': ids(idx_to_token=[*TOKENS, 'hello'])},
        "'hello' occurs twice",
    ),
    'ids of duplicates': (
        'vocabulary',
        lambda: {'a.json': b'{"[UNK]": 0, "a": 0}'},
        'both have the id 0',
    ),
    'vocabulary of 2 GB': ('vocabulary', lambda: {'vocab.txt': (b'[PAD]\n', HUGE)}, 'longer than'),
    'ids of 2 GB': ('vocabulary', lambda: {'a.json': (b'{', HUGE)}, 'larger than'),
    'model of 2 GB': ('vocabulary', lambda: {'a.spiece': (b'\x0a', HUGE)}, 'larger than'),
    'vocabulary of many lines': ('vocabulary', lambda: {'vocab.txt': b'a\n' * 700_000}, '600000'),
    'vocabulary of long lines': (
        'vocabulary',
        lambda: {'vocab.txt': b''.join(b'%0100d\n' % i for i in range(200_000))},
        'larger than',
    ),
    'ids nested': ('vocabulary', lambda: {'a.json': f'{{"a":{DEEP}'.encode()}, 'nested'),
    'merges of one line': (
        'tokenizer',
        lambda: {
            'vocab.json': b'{"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 4}',
            'merges.txt': b'a ' * (1 << 20),
        },
        r'txt:1: the line is longer than',
    ),
    'merges of spaces': ('tokenizer', lambda: byte_pairs([' ' * 20_000_000]), 'not a list of'),
    'merges of nothing known': ('tokenizer', lambda: byte_pairs([[ESCAPE, 'a']]), ESCAPED),
    'settings nested': (
        'tokenizer',
        lambda: {
            **word_piece(),
            'tokenizer_config.json': (b'{"cls_token": %s}' % (b'[' * 900 + b']' * 900)),
        },
        'cls_token is',
    ),
    'settings with an escape': ('tokenizer', lambda: word_piece(cls_token=ESCAPE), ESCAPED),
}
FILES = {'zip': 'a.zip', 'params': 'a.params'}  # of cases that have one


def read(kind, folder):
    """Read what is in a folder as a user would."""
    from gluon_bert.checkpoint.gluonnlp.params_file import read_params
    from gluon_bert.data import read_tokenizer, read_vocab
    from gluon_bert.zoo.fetch.archives import extract

    if kind == 'network':
        read_network(folder)
    elif kind == 'params':
        arrays = dict(read_params(folder / FILES[kind]))
        read_arrays(arrays)
    elif kind == 'tokenizer':
        read_tokenizer(folder)
    elif kind == 'vocabulary':
        read_vocab(*folder.iterdir())
    elif kind == 'zip':
        (folder / 'unpacked').mkdir()
        extract(folder / FILES[kind], folder / 'unpacked', lambda name: name.endswith('.params'))


def attempt(kind, folder):
    """How the reading of one case ended."""
    begin, error, message = time.perf_counter(), None, ''
    try:
        read(kind, folder)
    except BaseException as caught:
        error, message = type(caught).__name__, str(caught)
    return {
        'error': error,
        'message': message,
        'peak': peak_memory(),
        'seconds': time.perf_counter() - begin,
    }


def main(folder):
    import gluon_bert

    _ = gluon_bert.checkpoint, gluon_bert.data, gluon_bert.zoo
    # What a user may have open at once.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, most))
    report = {'start': peak_memory()}
    for name, (kind, _, _) in CASES.items():
        report[name] = attempt(kind, Path(folder, name))
    json.dump(report, sys.stdout)


def write(folder, files):
    folder.mkdir()
    for name, data in files.items():
        if data is not None:
            data, size = data if isinstance(data, tuple) else (data, len(data))
            (folder / name).write_bytes(data)
            os.truncate(folder / name, size)


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    return tmp_path_factory.mktemp('hostile')


@pytest.fixture(scope='module')
def report(place):
    for name, (kind, make, _) in CASES.items():
        made = make()
        write(place / name, made if isinstance(made, dict) else {FILES[kind]: made})
    root = Path(__file__).resolve().parents[2]
    path = os.pathsep.join([str(root), str(root / 'tests'), os.environ.get('PYTHONPATH', '')])
    result = subprocess.run(
        [sys.executable, __file__, str(place)],
        cwd=place,
        env={**os.environ, 'PYTHONPATH': path},
        stdout=subprocess.PIPE,
        timeout=60 + SECONDS * len(CASES),
        check=True,
    )
    return json.loads(result.stdout)


@pytest.mark.parametrize('case', CASES)
def test_refused_with_a_reason_and_in_little_memory(case, report):
    result, reason = report[case], CASES[case][2]
    assert result['peak'] - report['start'] < MEMORY
    if reason is None:
        assert result['error'] is None, result['message']
        return
    assert result['error'] in ('ValueError', 'FileNotFoundError'), result
    assert re.search(reason, result['message']), result['message']
    assert result['message'].isprintable() and len(result['message']) < 2000


def test_no_code_was_run_and_nothing_written(place, report, tmp_path, monkeypatch):
    assert {path.name for path in place.iterdir()} == {*CASES}
    assert not list(place.rglob('unpacked/*'))
    monkeypatch.chdir(tmp_path)
    pickle.loads(code())  # the trap does work
    assert Path('ran').exists()


if __name__ == '__main__':
    main(sys.argv[1])
