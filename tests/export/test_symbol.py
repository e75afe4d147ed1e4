"""Symbols: SymbolBlock and a C program give the outputs of the network."""

import json
import os
import shutil
import subprocess
import warnings
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from export_networks import FAMILY_CONFIGS, HEADS, checkpoint_of, initialized, valid
from script_runs import tiny_folder, tokenizer  # noqa: F401 (fixtures)

import gluon_bert as gb
from gluon_bert.cli import main
from gluon_bert.export.symbol import write_symbol

TAGGERS = {**HEADS, 'crf': lambda bert: gb.BertCrfTagger(bert, 5)}


def network_of(head, bert):
    return initialized(TAGGERS[head](bert))


def written(network, folder, probabilities=False, head=None, **fields):
    write_symbol(checkpoint_of(network, **fields), folder, head, probabilities)
    return [str(folder / name) for name in ('bert-symbol.json', 'bert-0000.params')]


def imported(files):
    """The block that MXNet makes of the files."""
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', 'Cannot decide type for the following arguments')
        return mx.gluon.SymbolBlock.imports(files[0], ['data0', 'data1', 'data2'], files[1])


def outputs_of(given):
    return [one.asnumpy() for one in (given if isinstance(given, (tuple, list)) else [given])]


@pytest.mark.parametrize('token_types', [0, 2])
@pytest.mark.parametrize('pooler', [True, False])
@pytest.mark.parametrize('head', ['encoder', 'classifier', 'span', 'tagger', 'crf'])
def test_symbol_block_gives_the_same_bits(head, pooler, token_types, make_model, ragged, tmp_path):
    pooler = pooler or head == 'classifier'
    network = network_of(head, make_model(num_token_types=token_types, use_pooler=pooler))
    if head in ('encoder', 'classifier') or not pooler:  # MXNet warns of a pooler without use
        network.hybridize()
    block = imported(written(network, tmp_path / 'out'))
    for lengths in ([7, 1, 4], [12]):
        batch = ragged(network.config, lengths).arrays()
        found, expected = outputs_of(block(*batch)), outputs_of(network(*batch))
        assert len(found) == len(expected) == 1 + (pooler and head == 'encoder')
        assert all(np.array_equal(*pair) for pair in zip(found, expected))


@pytest.mark.parametrize('family', FAMILY_CONFIGS)
def test_every_family(family, make_model, ragged, tmp_path):
    network = network_of('encoder', make_model(**FAMILY_CONFIGS[family]))
    network.hybridize()
    block = imported(written(network, tmp_path / 'out', family=family))
    batch = ragged(network.config, [7, 1, 4]).arrays()
    assert all(
        np.array_equal(*pair)
        for pair in zip(outputs_of(block(*batch)), outputs_of(network(*batch)))
    )


@pytest.mark.parametrize('family', ['bert', 'electra', 'albert'])
@pytest.mark.parametrize('head', ['masked_lm', 'next_sentence', 'none', None])
def test_heads_of_pretraining(head, family, make_model, ragged, tmp_path):
    network = network_of('pretraining', make_model(**FAMILY_CONFIGS[family]))
    network.hybridize()
    block = imported(written(network, tmp_path / 'out', head=head, family=family))
    for lengths in ([7, 1, 4], [12]):
        batch = ragged(network.config, lengths).arrays()
        positions = mx.nd.array(np.tile(np.arange(max(lengths)), (len(lengths), 1)))
        outputs = network(*batch, positions)
        part = 'sequence' if head in ('none', None) else head
        expected = getattr(outputs, part).asnumpy()
        assert np.array_equal(outputs_of(block(*batch))[0], expected)


def softmax(scores, axis=-1):
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


@pytest.mark.parametrize(
    'problem_type, operator',
    [
        ('', softmax),
        ('single_label_classification', softmax),
        ('multi_label_classification', lambda scores: 1 / (1 + np.exp(-scores))),
    ],
)
def test_probabilities_of_classes(problem_type, operator, make_model, ragged, tmp_path):
    network = network_of('classifier', make_model())
    block = imported(written(network, tmp_path / 'out', True, problem_type=problem_type))
    batch = ragged(network.config, [7, 1, 4]).arrays()
    expected = operator(network(*batch).asnumpy().astype('float64'))
    assert block(*batch).asnumpy() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize('head', ['tagger', 'next_sentence', 'masked_lm'])
def test_probabilities_of_tags_pairs_and_words(head, make_model, ragged, tmp_path):
    kind = 'tagger' if head == 'tagger' else 'pretraining'
    network = network_of(kind, make_model())
    batch = ragged(network.config, [7, 1, 4])
    block = imported(written(network, tmp_path / 'out', True, head))
    positions = [] if kind == 'tagger' else [mx.nd.array(np.tile(np.arange(7), (3, 1)))]
    scores = network(*batch.arrays(), *positions)
    scores = (scores if kind == 'tagger' else getattr(scores, head)).asnumpy()
    found = block(*batch.arrays()).asnumpy()
    where = valid(batch) if found.ndim == 3 else slice(None)
    assert found[where] == pytest.approx(softmax(scores)[where], abs=1e-6)


def test_probabilities_of_answers_are_those_of_tokens(make_model, ragged, tmp_path):
    network = network_of('span', make_model())
    batch = ragged(network.config, [7, 1, 4])
    found = imported(written(network, tmp_path / 'out', True))(*batch.arrays()).asnumpy()
    scores = network(*batch.arrays()).asnumpy()
    for row, expected, length in zip(found, scores, batch.lengths):
        assert row[:length] == pytest.approx(softmax(expected[:length], axis=0), abs=1e-6)
        assert not row[length:].any()


@pytest.mark.parametrize(
    'head, fields', [('encoder', {}), ('classifier', {'problem_type': 'regression'})]
)
def test_probabilities_are_of_classes(head, fields, make_model, tmp_path):
    with pytest.raises(ValueError, match='probabilities are those of classes'):
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


@pytest.fixture(scope='module')
def c_program(tmp_path_factory):
    """The program of predict.c."""
    compiler = shutil.which('cc') or shutil.which('gcc')
    if compiler is None:
        pytest.skip('needs a C compiler')
    library = Path(mx.libinfo.find_lib_path()[0])
    program = tmp_path_factory.mktemp('program') / 'predict'
    subprocess.run(
        [compiler, '-o', program, Path(__file__).with_name('predict.c'),
         f'-I{Path(mx.__file__).parent / "include"}', library, f'-Wl,-rpath,{library.parent}'],
        check=True,
    )  # fmt: skip
    return program


@pytest.mark.parametrize('head', ['encoder', 'classifier', 'span', 'tagger', 'masked_lm'])
def test_c_program(head, c_program, make_model, ragged, tmp_path):
    network = network_of(head if head in HEADS else 'pretraining', make_model())
    files = written(network, tmp_path / 'out', head=head if head == 'masked_lm' else None)
    batch = ragged(network.config, [7, 1, 4])
    inputs = b''.join(
        array.astype('float32').tobytes()
        for array in (batch.inputs, batch.token_types, batch.lengths)
    )
    # The wheel's threaded engine now and then aborts in its oneDNN subgraphs ('vector::reserve').
    done = subprocess.run(
        [c_program, *files, '3', '7'],
        input=inputs,
        capture_output=True,
        check=True,
        env={**os.environ, 'MXNET_ENGINE_TYPE': 'NaiveEngine'},
    )
    arguments = [*batch.arrays()]
    if head == 'masked_lm':
        arguments.append(mx.nd.array(np.tile(np.arange(7), (3, 1))))
    outputs = network(*arguments)
    expected = outputs.masked_lm if head == 'masked_lm' else outputs
    expected = outputs_of(expected)[0]
    found = np.frombuffer(done.stdout, 'float32').reshape(expected.shape)
    where = valid(batch) if found.ndim == 3 else slice(None)
    np.testing.assert_allclose(found[where], expected[where], rtol=2e-6, atol=5e-6)
