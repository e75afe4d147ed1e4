"""Vectors of sentences and words: their values, order, memory; search; and their scripts."""

# ruff: noqa: F811 (fixtures are imported)
import json
import subprocess
import sys
from pathlib import Path

import embed_sentences
import embedding
import mxnet as mx
import numpy as np
import pytest
from gluonnlp.vocab import BERTVocab
from script_runs import REAL, WORDS, run_script, tiny_folder, tokenizer, undisturbed  # noqa: F401 (fixtures)

import gluon_bert as gb
from common import vector_files
from gluon_bert.inference.search import cosine_search, open_vectors
from gluon_bert.inference.sentence_encoder import _LOOK_AHEAD

EXAMPLES = Path(embed_sentences.__file__).parent
TEXTS = ['the cat sleeps', 'a dog barks loudly , here !', 'sun', '', 'the moon without the dogs .']


@pytest.fixture
def model(make_model):
    return make_model(vocab_size=len(WORDS))


def sequences(model, tokenizer, texts, layer=-1):
    """What a layer gives for the tokens of each text, one text at a time."""
    transform = gb.data.SentenceTransform(tokenizer, model.config.max_length)
    for text in texts:
        features = transform(*([text] if isinstance(text, str) else text))
        ids, types = (mx.nd.array(part[None]) for part in features[:2])
        yield model.layer_outputs(ids, types).encodings[layer][0].asnumpy()


POOLED = {
    'mean': (-1, lambda rows: rows.mean(axis=0)),
    'cls': (-1, lambda rows: rows[0]),
    'max': (-1, lambda rows: rows.max(axis=0)),
    'mean_of_layer:-2': (-2, lambda rows: rows.mean(axis=0)),
    'mean_of_layer:1': (2, lambda rows: rows.mean(axis=0)),
}


@pytest.mark.parametrize('pooling', POOLED)
@pytest.mark.parametrize('normalize', [False, True])
def test_each_text_has_its_pooled_vector_whatever_stands_beside_it(
    model, tokenizer, pooling, normalize
):
    model.hybridize()
    layer, pool = POOLED[pooling]
    texts = [*TEXTS, ('the cat', 'a dog sleeps'), ('sun', '')] * 20  # several blocks of batches
    expected = np.stack([pool(rows) for rows in sequences(model, tokenizer, texts, layer)])
    if normalize:
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    vectors = gb.SentenceEncoder(model, tokenizer, pooling, normalize, batch_size=2).encode(texts)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, atol=2e-5)


def test_a_predictor_in_place_of_a_model(model, tokenizer):
    expected = gb.SentenceEncoder(model, tokenizer, 'mean_of_layer:0').encode(TEXTS)
    encoder = gb.SentenceEncoder(gb.Predictor(model, num_layers=1), tokenizer)
    np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=1e-5)
    transform = gb.data.SentenceTransform(tokenizer, encoder.max_length)
    features, _ = transform.transform_batch(TEXTS, None)
    assert encoder.num_tokens == sum(feature.valid_length for feature in features)
    with pytest.raises(ValueError, match=r'Predictor\(model, num_layers=2\) and pooling'):
        gb.SentenceEncoder(gb.Predictor(model), tokenizer, 'mean_of_layer:-1')


def test_pooler_and_networks_around_a_bert(model, tokenizer):
    classifier = gb.BertClassifier(model)
    vectors = gb.SentenceEncoder(classifier, tokenizer, 'pooler', normalize=False).encode(['sun'])
    ids = mx.nd.array([tokenizer.convert_tokens_to_ids(['[CLS]', 'sun', '[SEP]'])])
    np.testing.assert_allclose(vectors, model(ids).pooled.asnumpy(), atol=1e-5)


def test_long_texts_are_cut_with_a_warning_or_averaged_over_windows(model, tokenizer):
    words = ('the cat sleeps here , a dog barks with the sun . ' * 3).split()[:17]
    texts = ['sun', ' '.join(words), ('cat ' * 5, 'dog ' * 5)]
    cut = gb.SentenceEncoder(model, tokenizer, max_length=10)
    with pytest.warns(UserWarning, match='2 of 3 texts were longer than max_length=10'):
        vectors = cut.encode(texts)
    np.testing.assert_allclose(vectors[1], cut.encode([' '.join(words[:8])])[0], atol=1e-5)
    windows = gb.SentenceEncoder(model, tokenizer, max_length=10, long='windows', normalize=False)
    parts = [' '.join(words[:6]), ' '.join(words[6:12]), ' '.join(words[12:])]
    expected = windows.encode(parts).mean(axis=0)
    with pytest.warns(UserWarning, match='1 of 3'):  # pairs have no windows
        vectors = windows.encode(texts)
    np.testing.assert_allclose(vectors[1], expected, atol=1e-5)
    np.testing.assert_allclose(vectors[0], windows.encode(['sun'])[0], atol=1e-5)


def test_a_stream_is_read_as_it_is_needed(model, tokenizer):
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield TEXTS[len(taken) % len(TEXTS)]

    encoder = gb.SentenceEncoder(model, tokenizer, batch_size=1)
    stream = encoder.encode_stream(endless())
    assert len(next(stream)) == _LOOK_AHEAD
    assert len(taken) == 2 * _LOOK_AHEAD  # the next block is prepared meanwhile
    assert encoder.encode([]).shape == (0, model.config.units)


@pytest.mark.parametrize(
    'arguments, message',
    [
        ({'pooling': 'sum'}, "pooling='sum'"),
        ({'pooling': 'mean_of_layer:2'}, 'layers 0 to 1'),
        ({'pooling': 'mean_of_layer:x'}, 'a whole number'),
        ({'max_length': 41}, 'expected 3 to 40'),
        ({'batch_size': 0}, 'batch_size=0'),
        ({'long': 'wrap'}, "long='wrap'"),
    ],
)
def test_wrong_arguments_are_told(model, tokenizer, arguments, message):
    with pytest.raises(ValueError, match=message):
        gb.SentenceEncoder(model, tokenizer, **arguments)


def test_wrong_inputs_are_told(model, make_model, tokenizer):
    encoder = gb.SentenceEncoder(model, tokenizer)
    with pytest.raises(TypeError, match='got one text'):
        encoder.encode('sun')
    for wrong in (b'sun', ('a', 'b', 'c'), ('a', 3), None):
        with pytest.raises(TypeError, match=r'texts\[1\] must be a str or a pair'):
            encoder.encode(['sun', wrong])
    with pytest.raises(ValueError, match='has no pooler'):
        gb.SentenceEncoder(make_model(use_pooler=False), tokenizer, 'pooler')
    with pytest.raises(ValueError, match='do not belong together'):
        gb.SentenceEncoder(make_model(vocab_size=9), tokenizer)
    with pytest.raises(ValueError, match='without a vocabulary'):
        gb.SentenceEncoder(model, None)


@pytest.mark.parametrize(
    'way, merge',
    [
        ('avg', lambda rows: rows.mean(axis=0)),
        ('sum', lambda rows: rows.sum(axis=0)),
        ('last', lambda rows: rows[-1]),
    ],
)
def test_pieces_of_a_word_are_merged(model, tokenizer, way, merge):
    texts = ['LOUDLY, the [MASK]s sleeps without cats', '', 'sun']
    results = gb.WordVectors(model, tokenizer, way, batch_size=2).encode(texts)
    assert results[0].words == ['LOUDLY', ',', 'the', '[MASK]', 's', 'sleeps', 'without', 'cats']
    assert results[0].num_pieces == [2, 1, 1, 1, 1, 1, 2, 2]
    assert results[1].words == [] and results[1].vectors.shape == (0, 24)
    for result, rows in zip(results, sequences(model, tokenizer, texts)):
        ends = np.cumsum(result.num_pieces, dtype=int)
        expected = [
            merge(rows[1:-1][end - count : end]) for end, count in zip(ends, result.num_pieces)
        ]
        np.testing.assert_allclose(result.vectors, np.reshape(expected, (-1, 24)), atol=1e-5)


def test_pieces_by_themselves_and_other_layers(model, tokenizer):
    vectors = gb.WordVectors(model, tokenizer, None, max_length=5, layer=-2)
    (result,) = vectors.encode(['loudly without cats'])
    assert result.words == ['loud', '##ly', 'with'] and vectors.num_cut == 1
    (rows,) = sequences(model, tokenizer, ['loudly with'], -2)
    assert result.vectors.shape == (3, 24)
    np.testing.assert_allclose(
        gb.WordVectors(model, tokenizer, None, layer=-2).encode(['loudly with'])[0].vectors,
        rows[1:-1],
        atol=1e-5,
    )
    with pytest.raises(ValueError, match="oov_way='first'"):
        gb.WordVectors(model, tokenizer, 'first')


def test_words_of_byte_pairs_begin_at_spaces(make_model):
    tokens = '<s> <pad> </s> <unk> <mask> a b Ġ ab Ġab'.split()
    ids = {token: number for number, token in enumerate(tokens)}
    vocab = BERTVocab(
        ids,
        unknown_token='<unk>',
        padding_token='<pad>',
        cls_token='<s>',
        sep_token='</s>',
        mask_token='<mask>',
        token_to_idx=ids,
    )
    pairs = gb.data.BytePairTokenizer(vocab, [('a', 'b'), ('Ġ', 'ab')])
    model = make_model(vocab_size=len(tokens), num_token_types=0)
    (result,) = gb.WordVectors(model, pairs).encode(['abb aba <mask> ab'])
    assert result.words == ['abb', 'aba', '<mask>', 'ab']
    assert result.num_pieces == [2, 2, 1, 1]


def test_layers_of_tokens(model, tokenizer):
    texts = [('the cat', 'sun'), *TEXTS * 5]
    results = list(gb.layer_features(model, tokenizer, iter(texts), [0, -1], 40, batch_size=2))
    assert results[0].tokens == ['[CLS]', 'the', 'cat', '[SEP]', 'sun', '[SEP]']
    for layer, place in ((1, 0), (-1, 1)):
        for result, rows in zip(results, sequences(model, tokenizer, texts, layer)):
            np.testing.assert_allclose(result.values[place], rows, atol=1e-5)
    with pytest.raises(ValueError, match='layer 2 is not in the model'):
        gb.layer_features(model, tokenizer, TEXTS, [2], 40)


@pytest.mark.parametrize('block', [3, 7, 1000])
def test_search_finds_what_comparing_all_finds(monkeypatch, tmp_path, block):
    monkeypatch.setattr('gluon_bert.inference.search._BLOCK', block)
    vectors = np.random.randn(50, 4).astype('float32')
    vectors[30:40] = vectors[10:20]  # equals
    vectors[7] = 0
    queries = np.random.randn(3, 4)
    queries[1] = vectors[12]
    np.save(tmp_path / 'v.npy', vectors)
    indices, cosines = cosine_search(queries, open_vectors(tmp_path / 'v.npy'), k=6)
    for query, found, values in zip(queries, indices, cosines):
        norms = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
        expected = np.divide(vectors @ query, norms, where=norms > 0, out=np.zeros(50))
        np.testing.assert_allclose(values, np.sort(expected)[::-1][:6], atol=1e-6)
        np.testing.assert_allclose(expected[found], values, atol=1e-6)
    assert indices[1][:2].tolist() == [12, 32]
    assert cosine_search(queries, vectors, k=99)[0].shape == (3, 50)
    for wrong, k, message in ((vectors, 0, 'k=0'), (vectors[:, :3], 1, 'same units')):
        with pytest.raises(ValueError, match=message):
            cosine_search(queries, wrong, k)


@pytest.mark.parametrize(
    'content, message',
    [
        (b'', 'not a complete'),
        (b'\x93NUMPY\x01\x00\xff', 'not a complete'),
        (None, 'not a complete'),
        (np.zeros(3), 'shape'),
        (np.zeros((2, 2), int), 'int64'),
        (np.array([{}], object), 'not a complete'),
    ],
)
def test_files_that_are_no_vectors_are_refused(tmp_path, content, message):
    path = tmp_path / 'v.npy'
    if isinstance(content, np.ndarray):
        np.save(path, content, allow_pickle=True)
    elif content is None:  # a header that promises far more than there is
        file = vector_files.ArrayFile(path, (384,))
        file.num_rows = 10**12
        file.close()
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        open_vectors(path)
    assert str(path) in str(caught.value)


def test_a_growing_array_is_whole_or_not_there(tmp_path):
    with vector_files.array_writer(tmp_path / 'a.npy', (2, 3)) as file:
        file.write(np.ones((4, 2, 3)))
        file.write(np.zeros((1, 2, 3)))
    assert np.load(tmp_path / 'a.npy').sum(axis=(1, 2)).tolist() == [6, 6, 6, 6, 0]
    with (
        pytest.raises(OSError, match='full'),
        vector_files.array_writer(tmp_path / 'b.npy', (1,)) as file,
    ):
        raise OSError('full')
    assert [path.name for path in tmp_path.iterdir()] == ['a.npy']


@pytest.fixture
def lines(tmp_path):
    path = tmp_path / 'lines.txt'
    path.write_text('\n'.join(['A cat is asleep.', '', 'Shares fell today.', 'Dogs bark.']) + '\n')
    return path


@pytest.mark.weights
def test_embed_sentences_writes_all_formats_and_searches(run_script, real_folder, lines, tmp_path):
    encoder = gb.SentenceEncoder(gb.get_model(*REAL[1::2])[0], gb.get_tokenizer(*REAL[1::2]))
    expected = encoder.encode(lines.read_text().split('\n')[:-1])
    for suffix in ('npy', 'npz', 'jsonl', 'tsv'):
        out = tmp_path / f'v.{suffix}'
        code, _, log = run_script(embed_sentences, lines, '--output', out, *REAL)
        assert code == 0, log
        found = (
            np.load(out)
            if suffix == 'npy'
            else np.load(out)['vectors']
            if suffix == 'npz'
            else np.loadtxt(out, delimiter='\t')
            if suffix == 'tsv'
            else [json.loads(line)['vector'] for line in out.read_text().splitlines()]
        )
        np.testing.assert_allclose(found, expected, atol=1e-6)
    # The model is taken from beside the file.
    code, out, log = run_script(
        embed_sentences,
        lines,
        '--search',
        tmp_path / 'v.npy',
        '--query',
        'A feline sleeps',
        'Stocks went down today',
        '-k',
        '1',
    )
    assert code == 0, log
    rows = out.splitlines()
    assert rows[0] == '# A feline sleeps' and rows[1].split('\t')[1:] == ['1', 'A cat is asleep.']
    assert rows[2].startswith('# Stocks') and rows[3].split('\t')[1:] == ['3', 'Shares fell today.']
    other = tmp_path / 'other.txt'
    other.write_text('one line\n')
    code, _, log = run_script(
        embed_sentences, other, '--search', tmp_path / 'v.npy', '--query', 'x'
    )
    assert code == 2 and '1 lines, but' in log


def test_embed_sentences_compares_pairs(run_script, tiny_folder, tokenizer, tmp_path):
    folder, model = tiny_folder()
    (tmp_path / 'pairs.tsv').write_text('the cat\ta dog\nsun\tsun\n')
    code, out, log = run_script(
        embed_sentences,
        tmp_path / 'pairs.tsv',
        '--pairs',
        '--params_path',
        folder,
        '--pooling',
        'max',
    )
    assert code == 0, log
    first, second = gb.SentenceEncoder(model, tokenizer, 'max').encode(['the cat', 'a dog'])
    np.testing.assert_allclose(np.array(out.split(), float), [first @ second, 1], atol=2e-6)


@pytest.mark.parametrize(
    'content, arguments, message',
    [
        (b'', [], 'no lines'),
        (b'sun\n\xff\n', [], 'in.txt:2: not UTF-8'),
        (b'a\tb\nc\n', ['--pairs'], 'in.txt:2: has 0 TABs'),
        (b'sun\n', ['--pooling', 'most'], "pooling='most'"),
        (b'sun\n', ['--output', 'nowhere/v.npy'], 'no folder nowhere'),
        (b'sun\n', ['--output', 'v.bin'], '--format must be given'),
        (b'sun\n', ['--query', 'x'], '--search and --query go together'),
        (b'sun\n', ['--search', 'v.npy', '--query', 'x'], 'v.npy'),
    ],
)
def test_embed_sentences_tells_what_is_wrong(
    run_script, tiny_folder, tmp_path, monkeypatch, content, arguments, message
):
    monkeypatch.chdir(tmp_path)
    folder, _ = tiny_folder()
    (tmp_path / 'in.txt').write_bytes(content)
    if '--output' not in arguments:
        arguments = [*arguments, '--output', 'out.npy']
    code, _, log = run_script(embed_sentences, 'in.txt', '--params_path', folder, *arguments)
    assert code == 2 and message in log
    assert sorted(path.name for path in tmp_path.iterdir()) == ['in.txt', 'tiny_huggingface']


MEASURED = """
import re, sys
sys.path.insert(0, {examples!r})
import embed_sentences
from common import cli
code = cli.run(embed_sentences.main, sys.argv[1:])
print(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1])
sys.exit(code)
"""


def test_memory_does_not_grow_with_the_stream_and_order_is_kept(tiny_folder, tokenizer, tmp_path):
    folder, model = tiny_folder(units=480, num_layers=1)
    peaks = []
    unit = [f'{text}{" " * 1000}cat' for text in TEXTS]  # long lines of few tokens
    for times in (60, 1200):
        out = tmp_path / 'v.npy'
        process = subprocess.run(
            [
                sys.executable,
                '-c',
                MEASURED.format(examples=str(EXAMPLES)),
                '--output',
                out,
                '--params_path',
                folder,
                '--batch_size',
                '4',
            ],
            input=''.join(f'{line}\n' for line in unit * times),
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 0, process.stderr
        peaks.append(int(process.stdout) / 1024)
        vectors = np.load(out, mmap_mode='r')
        assert len(vectors) == 5 * times
        expected = gb.SentenceEncoder(model, tokenizer).encode(unit)
        np.testing.assert_allclose(vectors[-5:], expected, atol=1e-5)
        np.testing.assert_allclose(vectors[250:255], expected, atol=1e-5)
    assert peaks[1] - peaks[0] < 8, peaks  # all lines and vectors would be 17 MB


def test_embedding_runs_gluonnlps_command(run_script, tiny_folder, tokenizer, tmp_path):
    folder, model = tiny_folder()
    common = [
        '--params_path',
        folder,
        '--max_seq_length',
        '40',
        '--batch_size',
        '256',
        '--model',
        'bert_12_768_12',
        '--dataset_name',
        'book_corpus_wiki_en_uncased',
        '--oov_way',
        'sum',
        '--dtype',
        'float32',
        '--verbose',
    ]
    code, out, log = run_script(embedding, '--sentences', 'the cat', 'sun', *common)
    assert code == 0, log
    assert out.startswith('Text: the cat\nTokens embedding: [array([') and 'Text: sun\n' in out
    (tmp_path / 'in.txt').write_text('loudly the cats\nsun\n')
    expected = gb.WordVectors(model, tokenizer, 'sum').encode(['loudly the cats', 'sun'])
    for suffix in ('jsonl', 'npz'):
        path = tmp_path / f'out.{suffix}'
        code, _, log = run_script(
            embedding, '--file', tmp_path / 'in.txt', '--output', path, *common
        )
        assert code == 0, log
        if suffix == 'npz':
            found = np.load(path)
            assert found['words'].tolist() == ['loudly', 'the', 'cats', 'sun']
            assert found['line_starts'].tolist() == [0, 3, 4]
            rows = found['vectors']
        else:
            rows = np.concatenate(
                [json.loads(line)['vectors'] for line in path.read_text().splitlines()]
            )
        np.testing.assert_allclose(
            rows, np.concatenate([item.vectors for item in expected]), atol=2e-5
        )
