"""Symbols: SymbolBlock and a C program give the outputs of the network."""

import json
import shutil
import subprocess
import warnings
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from export_networks import initialized
from script_runs import tiny_folder, tokenizer  # noqa: F401 (fixtures)

import gluon_bert as gb
from gluon_bert.checkpoint import Checkpoint
from gluon_bert.cli import main
from gluon_bert.export.symbol import write_symbol

HEADS = {
    'encoder': lambda bert: bert,
    'classifier': lambda bert: gb.BertClassifier(bert, 3),
    'span': gb.BertForQA,
    'tagger': lambda bert: gb.BertTagger(bert, 5),
    'crf': lambda bert: gb.BertCrfTagger(bert, 5),
}


def network_of(head, bert):
    return initialized(HEADS[head](bert))


def written(network, folder, probabilities=False, **fields):
    checkpoint = Checkpoint(network.checkpoint_arrays(), network.config, **fields)
    write_symbol(checkpoint, folder, probabilities)
    return [str(folder / name) for name in ('bert-symbol.json', 'bert-0000.params')]


def imported(files):
    """The block that MXNet makes of the files."""
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', 'Cannot decide type for the following arguments')
        return mx.gluon.SymbolBlock.imports(files[0], ['data0', 'data1', 'data2'], files[1])


def first(outputs):
    return (outputs[0] if isinstance(outputs, (tuple, list)) else outputs).asnumpy()


@pytest.mark.parametrize('token_types', [0, 2])
@pytest.mark.parametrize('head', HEADS)
def test_symbol_block_gives_the_same_bits(head, token_types, make_model, ragged, tmp_path):
    pooled = head in ('encoder', 'classifier')
    network = network_of(head, make_model(num_token_types=token_types, use_pooler=pooled))
    network.hybridize()
    files = written(network, tmp_path / 'out')
    block = imported(files)
    for lengths in ([7, 1, 4], [12]):
        batch = ragged(network.config, lengths).arrays()
        assert np.array_equal(first(block(*batch)), first(network(*batch)))


@pytest.mark.parametrize('problem_type', ['single_label', 'multi_label'])
def test_probabilities(problem_type, make_model, ragged, tmp_path):
    network = network_of('classifier', make_model())
    files = written(network, tmp_path / 'out', True, problem_type=f'{problem_type}_classification')
    block = imported(files)
    batch = ragged(network.config, [7, 1, 4]).arrays()
    scores = network(*batch).asnumpy().astype('float64')
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    if problem_type == 'multi_label':
        expected = 1 / (1 + np.exp(-scores))
    assert block(*batch).asnumpy() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    'head, fields', [('span', {}), ('classifier', {'problem_type': 'regression'})]
)
def test_probabilities_are_of_classes(head, fields, make_model, tmp_path):
    with pytest.raises(ValueError, match='no classifier of texts'):
        written(network_of(head, make_model()), tmp_path / 'out', True, **fields)
    assert not list(tmp_path.iterdir())


def test_vocabulary_of_djl(tiny_folder, tokenizer, tmp_path, capsys):  # noqa: F811
    folder, _ = tiny_folder()
    out = tmp_path / 'symbol'
    assert main(['export', str(folder), '--to', 'symbol', str(out)]) == 0
    vocabulary = json.loads((out / 'vocab.json').read_text())
    assert vocabulary['idx_to_token'] == tokenizer.vocab.idx_to_token
    assert all(
        vocabulary['idx_to_token'][number] == token
        for token, number in vocabulary['token_to_idx'].items()
    )


def test_c_program(make_model, ragged, tmp_path):
    compiler = shutil.which('cc') or shutil.which('gcc')
    if compiler is None:
        pytest.skip('needs a C compiler')
    library = Path(mx.libinfo.find_lib_path()[0])
    program = tmp_path / 'predict'
    subprocess.run(
        [compiler, '-o', program, Path(__file__).with_name('predict.c'),
         f'-I{Path(mx.__file__).parent / "include"}', library, f'-Wl,-rpath,{library.parent}'],
        check=True,
    )  # fmt: skip
    network = network_of('classifier', make_model())
    files = written(network, tmp_path / 'out')
    batch = ragged(network.config, [7, 1, 4])
    inputs = b''.join(
        array.astype('float32').tobytes()
        for array in (batch.inputs, batch.token_types, batch.lengths)
    )
    done = subprocess.run(
        [program, *files, '3', '7'], input=inputs, capture_output=True, check=True
    )
    scores = np.frombuffer(done.stdout, 'float32').reshape(3, 3)
    assert scores == pytest.approx(network(*batch.arrays()).asnumpy(), abs=1e-6)
