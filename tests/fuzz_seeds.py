"""Small valid files of every format that the package reads, and what reads each of them whole."""

import importlib.util
import io
import json
import pickle
import re
import struct
import tempfile
import zipfile
import zlib
from functools import partial
from pathlib import Path
from typing import Callable, NamedTuple

TEXT = 'Hello, wörld ab\u0301 [MASK] 中文 <mask> \U0001f600 hello'
TOKENS = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'hello', 'wor', '##ld', ',', '中', 'a']
MERGES = [('a', 'b'), ('Ġ', 'ab'), ('Ġab', 'ab')]
PAIR_TOKENS = ['<s>', '<pad>', '</s>', '<unk>', '<mask>', *'abc', 'Ġ', 'ab', 'Ġab', 'Ġabab']
# Text, score and type; control and unknown pieces are the special ones.
PIECES = [
    ('[UNK]', 0, 2),
    ('[PAD]', 0, 3),
    ('[CLS]', 0, 4),
    ('[SEP]', 0, 4),
    ('[MASK]', 0, 4),
    ('▁', -1, 1),
    ('▁hello', -2, 1),
    ('he', -3, 1),
    ('l', -4, 1),
    ('o', -4.5, 1),
]


class Reader(NamedTuple):
    """A folder of valid files, those of them to be altered, and how the folder is read whole."""

    files: dict  # name, within the folder -> bytes
    altered: tuple
    read: Callable  # of the folder


def make_readers():
    """All readers by name."""
    from fuzz_tasks import fine_tuned

    return {
        **_networks(),
        **(_onnx_files() if importlib.util.find_spec('onnx') else {}),
        **_torch_files(),
        **_vocabularies(),
        **_tokenizers(),
        **fine_tuned(),
        **_zoo(),
    }


def read_network(folder, file=None):
    """Every array of a checkpoint, and its tokenizer."""
    from gluon_bert.checkpoint import read_checkpoint

    checkpoint = read_checkpoint(folder if file is None else folder / file)
    read_arrays(checkpoint.arrays)
    use(checkpoint.tokenizer)


def read_arrays(arrays):
    from gluon_bert.checkpoint.arrays import shape_of

    for name in arrays:
        array = arrays[name]
        assert array.shape == shape_of(arrays, name)
        zlib.crc32(array)  # touches every byte


def use(tokenizer):
    """A tokenizer that was accepted must work."""
    if tokenizer is not None:
        tokens, ids, offsets = tokenizer.encode(TEXT)
        assert len(tokens) == len(ids) == len(offsets)
        assert all(0 <= number < len(tokenizer.vocab) for number in ids)


def peak_memory():
    """KiB that this process has had at once; what its parent had does not count."""
    return int(re.search(r'VmHWM:\s*(\d+)', Path('/proc/self/status').read_text())[1])


def written(write):
    """The files that a function writes into a folder."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in Path(folder).rglob('*')
            if path.is_file()
        }


def put(files, folder):
    """Write the files of a reader."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def only(files, *names):
    return {name: files[name] for name in names}


def tiny_checkpoint():
    """A BERT of one layer with its pre-training heads and its tokenizer."""
    import numpy as np

    from gluon_bert.checkpoint import Checkpoint
    from gluon_bert.checkpoint.names import encoder_shapes
    from gluon_bert.config import BertConfig
    from gluon_bert.data import BertTokenizer
    from gluon_bert.data.tokenizers.vocabulary import Vocabulary
    from gluon_bert.data.tokenizers.vocabulary_ids import BERT_TOKENS

    config = BertConfig(
        vocab_size=len(TOKENS),
        units=6,
        hidden_size=5,
        num_layers=1,
        num_heads=2,
        max_length=7,
        num_token_types=2,
        dropout=0.1,
        layer_norm_eps=1e-12,
        activation='gelu',
        pooler_activation='tanh',
    )
    shapes = {
        **encoder_shapes(config),
        'pooler.weight': (6, 6),
        'pooler.bias': (6,),
        'classifier.weight': (2, 6),
        'classifier.bias': (2,),
        'decoder.0.weight': (6, 6),
        'decoder.0.bias': (6,),
        'decoder.2.gamma': (6,),
        'decoder.2.beta': (6,),
        'decoder.3.bias': (len(TOKENS),),
    }
    rng = np.random.RandomState(3)
    arrays = {name: rng.standard_normal(shape).astype('float32') for name, shape in shapes.items()}
    return Checkpoint(
        arrays, config, tokenizer=BertTokenizer(Vocabulary(TOKENS, BERT_TOKENS), lower=True)
    )


def _networks():
    from gluon_bert.checkpoint import write_checkpoint

    checkpoint = tiny_checkpoint()
    hub = written(lambda path: write_checkpoint(checkpoint, path))
    google = written(lambda path: write_checkpoint(checkpoint, path, 'tensorflow'))
    gluon = written(lambda path: write_checkpoint(checkpoint, path / 'tiny.params'))
    whole, index = 'model.safetensors', 'bert_model.ckpt.index'
    sharded, shards = _sharded(checkpoint)
    alone = only(gluon, 'tiny.params', 'tiny.json')
    read_params = partial(read_network, file='tiny.params')
    return {
        'safetensors': Reader(only(hub, 'config.json', whole), (whole,), read_network),
        'shards': Reader(
            dict(only(hub, 'config.json'), **sharded), (*shards, shards[0]), read_network
        ),
        'config': Reader(only(hub, 'config.json', whole), ('config.json',), read_network),
        'tensorflow': Reader(
            google,
            (index, index, index, 'bert_model.ckpt.data-00000-of-00001', 'checkpoint'),
            read_network,
        ),
        'bert_config': Reader(google, ('bert_config.json',), read_network),
        'params': Reader(alone, ('tiny.params',), read_params),
        'exported_params': Reader(
            {**alone, 'tiny.params': _exported(checkpoint)}, ('tiny.params',), read_params
        ),
        'params_json': Reader(gluon, ('tiny.json',), read_params),
        'config_file': Reader(only(gluon, 'tiny.json'), ('tiny.json',), _read_config_file),
    }


def _onnx_files():
    from gluon_bert.export.onnx import write_onnx

    file = 'onnx/model.onnx'
    files = written(lambda path: write_onnx(tiny_checkpoint(), path / 'out'))
    files = {name.partition('/')[2]: data for name, data in files.items()}
    reader = Reader(only(files, 'config.json', file), (file,), partial(read_network, file=file))
    return {'onnx': reader}


def _sharded(checkpoint):
    """The files of a sharded model, and their names, the index first."""
    from gluon_bert.checkpoint.huggingface.names import huggingface_names
    from gluon_bert.checkpoint.huggingface.safetensors_file import write_safetensors

    names = huggingface_names('bert', 1, ['masked_lm', 'next_sentence'])
    shards = {
        theirs: f'part-{number % 2}.safetensors' for number, theirs in enumerate(names.values())
    }

    def write(folder):
        for shard in set(shards.values()):
            write_safetensors(
                folder / shard,
                {
                    theirs: checkpoint.arrays[name]
                    for name, theirs in names.items()
                    if shards[theirs] == shard
                },
            )

    index = 'model.safetensors.index.json'
    files = {index: json.dumps({'metadata': {}, 'weight_map': shards}).encode(), **written(write)}
    return files, (index, *sorted(set(shards.values())))


def _exported(checkpoint):
    """The parameters as MXNet's export names them."""
    from gluon_bert.checkpoint.gluonnlp.params_file import write_params

    cell = 'bertencoder0_transformer0_'
    spelled = (
        (
            'encoder.transformer_cells.0.attention_cell.proj_',
            f'{cell}dotproductselfattentioncell0_',
        ),
        ('encoder.transformer_cells.0.ffn.layer_norm', f'{cell}positionwiseffn0_layernorm0'),
        ('encoder.transformer_cells.0.ffn.', f'{cell}positionwiseffn0_'),
        ('encoder.transformer_cells.0.layer_norm', f'{cell}layernorm0'),
        ('encoder.transformer_cells.0.', cell),
        ('encoder.layer_norm', 'bertencoder0_layernorm0'),
        ('encoder.', 'bertencoder0_'),
        ('word_embed.0', 'bertmodel0_word_embed_embedding0'),
        ('token_type_embed.0', 'bertmodel0_token_type_embed_embedding0'),
        ('pooler', 'bertmodel0_pooler'),
        ('classifier', 'bertmodel0_cls'),
        ('decoder.0', 'bertmodel0_dense0'),
        ('decoder.2', 'bertmodel0_layernorm0'),
        ('decoder.3', 'bertmodel0_word_embed_embedding0'),
    )

    def name_of(name):
        begin, theirs = next(pair for pair in spelled if name.startswith(pair[0]))
        return f'arg:{theirs}{name[len(begin) :]}'.replace('.', '_')

    return written(
        lambda folder: write_params(
            folder / 'a', {name_of(name): array for name, array in checkpoint.arrays.items()}
        )
    )['a']


def _torch_files():
    from gluon_bert.checkpoint import write_checkpoint
    from gluon_bert.checkpoint.huggingface.names import huggingface_names

    checkpoint, name = tiny_checkpoint(), 'pytorch_model.bin'
    config = only(written(lambda path: write_checkpoint(checkpoint, path)), 'config.json')
    arrays = {
        theirs: checkpoint.arrays[common]
        for common, theirs in huggingface_names('bert', 1, ['masked_lm', 'next_sentence']).items()
    }
    return {
        f'torch_{kind}': Reader({**config, name: write(arrays)}, (name,), read_network)
        for kind, write in (('zip', torch_zip), ('stream', torch_stream))
    }


def torch_zip(arrays):
    """The bytes that torch.save gives since 1.6, for float32."""
    return zipped(
        {
            'a/data.pkl': torch_pickle(arrays),
            'a/byteorder': b'little',
            **{f'a/data/{number}': array.tobytes() for number, array in enumerate(arrays.values())},
        },
        zipfile.ZIP_STORED,
    )


def torch_stream(arrays):
    """The bytes that torch.save gave before 1.6, for float32."""
    start = (0x1950A86A20F9469CFC6C, 1001, {'protocol_version': 1001, 'little_endian': True})
    keys = [str(number) for number in range(len(arrays))]
    return b''.join(
        [
            *(pickle.dumps(part, 2) for part in start),
            torch_pickle(arrays),
            pickle.dumps(keys, 2),
            *(struct.pack('<q', array.size) + array.tobytes() for array in arrays.values()),
        ]
    )


def torch_pickle(arrays):
    """A state dict of which tensor i has all of storage i."""
    parts = [b'\x80\2ccollections\nOrderedDict\n)R(']
    for key, (name, array) in enumerate(arrays.items()):
        strides = [stride // array.itemsize for stride in array.strides]
        parts += [
            _text(name),
            b'ctorch._utils\n_rebuild_tensor_v2\n((',
            _text('storage'),
            b'ctorch\nFloatStorage\n',
            _text(str(key)),
            _text('cpu'),
            _number(array.size),
            b'tQK\0',
            torch_tuple(array.shape),
            torch_tuple(strides),
            b'\x89ccollections\nOrderedDict\n)RtR',
        ]
    return b''.join([*parts, b'u}', _text('_metadata'), b'}sb.'])


def _text(value):
    return b'X' + struct.pack('<I', len(value)) + value.encode()


def _number(value):
    return b'J' + struct.pack('<i', value)


def torch_tuple(values):
    return b'(' + b''.join(map(_number, values)) + b't'


def zipped(members, method=zipfile.ZIP_DEFLATED):
    """A zip as bytes, of data by name or ZipInfo."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w', method) as archive:
        for name, data in members.items():
            entry = name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name)
            archive.writestr(entry, data, method)
    return file.getvalue()


def _vocabularies():
    from gluon_bert.data import gluonnlp_json

    forms = {
        'vocab.txt': '\n'.join([*TOKENS, '']).encode(),
        'ids.json': _ids(TOKENS),
        **{f'{form}.vocab': gluonnlp_json(TOKENS, form) for form in ('current', 'old')},
    }
    return {
        f'vocabulary_{Path(name).stem}': Reader(
            {name: data}, (name,), partial(_read_vocabulary, name=name)
        )
        for name, data in forms.items()
    }


def _ids(tokens):
    return json.dumps({token: number for number, token in enumerate(tokens)}).encode()


def _read_vocabulary(folder, name):
    from gluon_bert.data import BertTokenizer, read_vocab

    for swap in (False, True):
        use(BertTokenizer(read_vocab(folder / name, swap=swap)))


def _tokenizers():
    from gluon_bert.data import BytePairTokenizer

    settings = ('tokenizer_config.json', 'special_tokens_map.json')
    whole = 'tokenizer.json'
    words = written(tiny_checkpoint().tokenizer.save)
    given = {
        'vocab.json': _ids(PAIR_TOKENS),
        'merges.txt': '\n'.join(map(' '.join, MERGES)).encode(),
    }

    def save(folder):
        for name, data in given.items():
            (folder / name).write_bytes(data)
        BytePairTokenizer.from_files(*map(folder.__truediv__, given)).save(folder)

    pairs = written(save)
    readers = {
        'word_piece': Reader(words, ('vocab.txt', whole, *settings), _read_folder),
        'word_piece_whole': Reader(only(words, whole), (whole,), _read_folder),
        'byte_pair': Reader(pairs, (*given, *settings), _read_folder),
        'byte_pair_whole': Reader(only(pairs, whole), (whole,), _read_folder),
    }
    if importlib.util.find_spec('sentencepiece'):
        model = 'tokenizer.model'
        readers['sentencepiece'] = Reader({model: sentencepiece_model()}, (model,), _read_folder)
    return readers


def _read_folder(folder):
    from gluon_bert.data import read_tokenizer

    use(read_tokenizer(folder))


def sentencepiece_model():
    """A unigram model: a protocol buffer of pieces, and that nothing is cleaned."""

    def field(number, content):
        return bytes([number << 3 | 2, len(content)]) + content

    pieces = (
        field(1, text.encode()) + b'\x15' + struct.pack('<f', score) + bytes([0x18, kind])
        for text, score, kind in PIECES
    )
    trainer = bytes([3 << 3, 1])
    return b''.join(
        [
            *(field(1, piece) for piece in pieces),
            field(2, trainer),
            field(3, field(1, b'identity') + bytes([3 << 3, 1, 4 << 3, 1])),
        ]
    )


def _zoo():
    import hashlib

    from gluon_bert.zoo import WEIGHTS
    from gluon_bert.zoo.fetch.local_files import RECORD, find_verified

    row = next(iter(WEIGHTS.values()))
    shard, index = 'part-1.safetensors', 'model.safetensors.index.json'
    files = {shard: b'tensors', index: json.dumps({'weight_map': {'a': shard}}).encode()}
    files[RECORD] = json.dumps(
        {
            'source': 'somewhere',
            'sha256': {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        }
    ).encode()
    archive = zipped(
        {'a/': b'', 'a/model.params': b'0' * 400, 'b.params': bytes(range(256)), 'readme': b'x'}
    )
    return {
        'archive': Reader({'model.zip': archive}, ('model.zip',), _unpack),
        'record': Reader(files, (RECORD, RECORD, index), lambda folder: find_verified(folder, row)),
    }


def _unpack(folder):
    from gluon_bert.zoo.fetch.archives import extract

    target = folder / 'unpacked'
    target.mkdir(exist_ok=True)
    try:
        paths = extract(folder / 'model.zip', target, lambda name: name.endswith('.params'))
        assert sorted(paths) == sorted(target.iterdir())
        for path in paths:
            path.unlink()
    finally:
        left = [path for path in folder.rglob('*') if path not in (target, folder / 'model.zip')]
        assert not left, f'left behind: {left}'


def _read_config_file(folder):
    from gluon_bert.checkpoint.gluonnlp.description import read_description

    read_description(folder / 'tiny.json')
