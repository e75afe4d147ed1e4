# ruff: noqa: F811 (fixtures are imported)
"""extract_features.py: its three formats, against transformers; Google's command; errors."""

import json
import sys
from pathlib import Path

import extract_features
import numpy as np
import pytest
from script_runs import REAL, run_script, tiny_folder, tokenizer, undisturbed  # noqa: F401 (fixtures)

import gluon_bert as gb

SAMPLE = Path(extract_features.__file__).parent / 'sample' / 'dev.tsv'
LAYERS = [-1, -2, 0]


@pytest.fixture(scope='module')
def lines():
    """50 lines, every other one a pair."""
    rows = [line.split('\t')[3:5] for line in SAMPLE.read_text().splitlines()[1:51]]
    return [' ||| '.join(row[: 1 + number % 2]) for number, row in enumerate(rows)]


def jsonl_content(path):
    """The tokens of each line, and its values (tokens, layers, units)."""
    for number, line in enumerate(path.read_text().splitlines()):
        content = json.loads(line)
        assert list(content) == ['linex_index', 'features'] and content['linex_index'] == number
        for feature in content['features']:
            assert [layer['index'] for layer in feature['layers']] == LAYERS
        yield (
            [feature['token'] for feature in content['features']],
            np.array(
                [
                    [layer['values'] for layer in feature['layers']]
                    for feature in content['features']
                ]
            ),
        )


@pytest.mark.weights
def test_layers_are_those_of_transformers(run_script, real_folder, lines, tmp_path):
    from peers import torch, transformers

    path = tmp_path / 'in.txt'
    path.write_text('\n'.join(lines) + '\n')
    for suffix in ('jsonl', 'npz'):
        code, _, log = run_script(
            extract_features,
            '--input_file',
            path,
            '--output_file',
            tmp_path / f'out.{suffix}',
            '--layers',
            ','.join(map(str, LAYERS)),
            '--batch_size',
            '8',
            *REAL,
        )
        assert code == 0, log
    found = np.load(tmp_path / 'out.npz')
    model = transformers.AutoModel.from_pretrained(real_folder).eval()
    split = transformers.AutoTokenizer.from_pretrained(real_folder)
    assert len(found['line_starts']) == 51 and found['layers'].tolist() == LAYERS
    rounded = list(jsonl_content(tmp_path / 'out.jsonl'))
    for number, line in enumerate(lines):
        begin, end = found['line_starts'][number : number + 2]
        inputs = split(*line.split(' ||| '), return_tensors='pt')
        with torch.no_grad():
            states = model(**inputs, output_hidden_states=True).hidden_states[1:]
        expected = np.stack([states[layer][0].numpy() for layer in LAYERS], axis=1)
        tokens = split.convert_ids_to_tokens(inputs['input_ids'][0])
        assert found['tokens'][begin:end].tolist() == rounded[number][0] == tokens
        np.testing.assert_allclose(found['values'][begin:end], expected, rtol=0, atol=2e-5)
        np.testing.assert_allclose(
            rounded[number][1], found['values'][begin:end], rtol=0, atol=5.1e-7
        )


@pytest.mark.parametrize('apart', [False, True])
def test_googles_command_runs_on_googles_files(run_script, tiny_folder, tokenizer, tmp_path, apart):
    folder, model = tiny_folder('tensorflow')
    config, vocab = folder / 'bert_config.json', folder / 'vocab.txt'
    if apart:
        config, vocab = config.rename(tmp_path / 'c.json'), vocab.rename(tmp_path / 'v.txt')
    (tmp_path / 'in.txt').write_text(' The cat ||| sleeps here \n\nSUN \n')
    code, _, log = run_script(
        extract_features,
        f'--input_file={tmp_path}/in.txt',
        f'--output_file={tmp_path}/out.json',
        f'--vocab_file={vocab}',
        f'--bert_config_file={config}',
        f'--init_checkpoint={folder}/bert_model.ckpt',
        '--layers=-1,-2,0',
        '--max_seq_length=32',
        '--batch_size=8',
        '--do_lower_case=True',
        '--use_tpu=False',
    )
    assert code == 0, log
    texts = [('the cat', 'sleeps here'), '', 'sun']
    expected = gb.layer_features(model, tokenizer, texts, LAYERS, 32)
    for (tokens, values), item in zip(jsonl_content(tmp_path / 'out.json'), expected):
        assert tokens == item.tokens
        np.testing.assert_allclose(values, item.values.transpose(1, 0, 2), atol=2e-6)


def test_parquet_has_a_row_for_each_token(run_script, tiny_folder, tokenizer, tmp_path):
    parquet = pytest.importorskip('pyarrow.parquet', exc_type=ImportError)
    folder, model = tiny_folder()
    texts = ['the cat sleeps', 'sun'] * 70
    (tmp_path / 'in.txt').write_text('\n'.join(texts))
    out = tmp_path / 'out.parquet'
    code, _, log = run_script(
        extract_features,
        '--input_file',
        tmp_path / 'in.txt',
        '--output_file',
        out,
        '--layers=-1,0',
        '--max_seq_length',
        '40',
        '--params_path',
        folder,
    )
    assert code == 0, log
    table = parquet.read_table(out)
    items = list(gb.layer_features(model, tokenizer, texts, [-1, 0], 40))
    assert table['token'].to_pylist() == [token for item in items for token in item.tokens]
    assert table['line'].to_pylist() == [
        line for line, item in enumerate(items) for _ in item.tokens
    ]
    assert table['position'].to_pylist()[:6] == [0, 1, 2, 3, 4, 0]
    for number, name in enumerate(('layer_-1', 'layer_0')):
        np.testing.assert_allclose(
            np.array(table[name].to_pylist()),
            np.concatenate([item.values[number] for item in items]),
            atol=1e-5,
        )


def test_without_pyarrow_the_error_says_what_to_install(
    monkeypatch, run_script, tiny_folder, tmp_path
):
    monkeypatch.setitem(sys.modules, 'pyarrow', None)
    with (
        pytest.raises(ImportError, match='needs the package pyarrow'),
        extract_features.parquet_writer(tmp_path / 'out.parquet', [-1], 4),
    ):
        pass
    folder, _ = tiny_folder()
    (tmp_path / 'in.txt').write_text('sun\n')
    code, _, log = run_script(
        extract_features,
        '--input_file',
        tmp_path / 'in.txt',
        '--output_file',
        tmp_path / 'out.parquet',
        '--max_seq_length',
        '40',
        '--layers=-1',
        '--params_path',
        folder,
    )
    assert code == 2 and "pip install 'gluon_bert[parquet]'" in log


@pytest.mark.parametrize(
    'content, arguments, message',
    [
        (b'', [], 'in.txt: the file has no lines'),
        (b'sun\n\xe9\n', [], 'in.txt:2: not UTF-8'),
        (b'sun\n', ['--layers=-3'], 'layer -3 is not in the model'),
        (b'sun\n', ['--layers', 'x'], 'expected whole numbers'),
        (b'sun\n', ['--max_seq_length', '41'], 'expected 3 to 40'),
        (b'sun\n', ['--output_file', 'nowhere/out.npz'], 'no folder nowhere'),
        (b'sun\n', ['--vocab_file', 'v.txt'], 'go with --init_checkpoint'),
        (b'sun\n', ['--init_checkpoint', 'none/bert_model.ckpt'], 'none'),
        (b'sun\n', ['--input_file', 'absent.txt'], 'absent.txt: No such file'),
    ],
)
def test_what_is_wrong_is_told_and_nothing_written(
    run_script, tiny_folder, tmp_path, monkeypatch, content, arguments, message
):
    monkeypatch.chdir(tmp_path)
    folder, _ = tiny_folder()
    (tmp_path / 'in.txt').write_bytes(content)
    code, _, log = run_script(
        extract_features,
        '--input_file',
        'in.txt',
        '--output_file',
        'out.npz',
        '--layers=-1',
        '--max_seq_length',
        '40',
        '--params_path',
        folder,
        *arguments,
    )
    assert code == 2 and message in log
    assert sorted(path.name for path in tmp_path.iterdir()) == ['in.txt', 'tiny_huggingface']
