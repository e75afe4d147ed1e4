# ruff: noqa: F811 (fixtures are imported)
"""Folders for CTranslate2: its encoder gives the vectors of the network."""

import sys

import numpy as np
import pytest
from export_networks import FAMILY_CONFIGS, HEADS, checkpoint_of, initialized
from safetensors.numpy import load_file
from script_runs import WORDS, tiny_folder, tokenizer  # noqa: F401 (fixtures)

from gluon_bert.cli import main
from gluon_bert.export.ctranslate2 import write_ctranslate2

LENGTHS = [7, 1, 4]
PROJECTED = [name for name, config in FAMILY_CONFIGS.items() if 'embedding_units' in config]


@pytest.fixture
def ctranslate2():
    return pytest.importorskip(
        'ctranslate2', reason="needs ctranslate2: pip install '.[ctranslate2]'"
    )


def run(ctranslate2, folder, batch, has_types=True):
    """Encode the sequences of a batch: encodings, pooled vectors or None."""
    encoder = ctranslate2.Encoder(str(folder))
    ids, types = (
        [row[:length].tolist() for row, length in zip(array, batch.lengths)]
        for array in (batch.inputs, batch.token_types)
    )
    found = encoder.forward_batch(ids, **({'token_type_ids': types} if has_types else {}))
    pooled = found.pooler_output
    return np.array(found.last_hidden_state), None if pooled is None else np.array(pooled)


def assert_same_encodings(found, network, batch, tolerance=1e-5):
    expected = network(*batch.arrays())
    where = np.arange(max(batch.lengths)) < batch.lengths[:, None]
    np.testing.assert_allclose(found[0][where], expected.sequence.asnumpy()[where], atol=tolerance)
    np.testing.assert_allclose(found[1], expected.pooled.asnumpy(), atol=tolerance)


@pytest.mark.parametrize('family', [name for name in FAMILY_CONFIGS if name not in PROJECTED])
def test_encoder_and_pooler(ctranslate2, family, make_model, ragged, tmp_path):
    network = make_model(**FAMILY_CONFIGS[family])
    write_ctranslate2(checkpoint_of(network, family=family), tmp_path / 'out')
    has_types = network.config.num_token_types > 0
    for lengths in (LENGTHS, [12]):
        batch = ragged(network.config, lengths)
        found = run(ctranslate2, tmp_path / 'out', batch, has_types)
        assert_same_encodings(found, network, batch)


def test_shared_layers_are_written_once(ctranslate2, make_model, ragged, tmp_path):
    network = make_model(share_layers=True, num_layers=4, pooler_activation='gelu')
    single = make_model(num_layers=1)
    for name, one in (('shared', network), ('single', single)):
        write_ctranslate2(checkpoint_of(one), tmp_path / name)
    sizes = [(tmp_path / name / 'model.bin').stat().st_size for name in ('shared', 'single')]
    assert sizes[0] < sizes[1] + 4000
    batch = ragged(network.config, LENGTHS)
    assert_same_encodings(run(ctranslate2, tmp_path / 'shared', batch), network, batch)


@pytest.mark.parametrize('family', PROJECTED)
def test_projected_embeddings_are_refused(ctranslate2, family, make_model, tmp_path):
    network = make_model(**FAMILY_CONFIGS[family])
    with pytest.raises(ValueError, match='10 units and are projected to 24; CTranslate2 has no'):
        write_ctranslate2(checkpoint_of(network, family=family), tmp_path / 'out')
    assert not list(tmp_path.iterdir())


def test_no_pooler(ctranslate2, make_model, ragged, tmp_path):
    network = make_model(use_pooler=False)
    write_ctranslate2(checkpoint_of(network), tmp_path / 'out')
    batch = ragged(network.config, [5])
    found, pooled = run(ctranslate2, tmp_path / 'out', batch)
    assert pooled is None
    np.testing.assert_allclose(found, network(*batch.arrays()).asnumpy(), atol=1e-5)


@pytest.mark.parametrize('quantization, tolerance', [('float16', 0.03), ('int8', 0.3)])
def test_quantization_is_its_own(
    ctranslate2, quantization, tolerance, make_model, ragged, tmp_path
):
    checkpoint = checkpoint_of(make_model())
    write_ctranslate2(checkpoint, tmp_path / 'whole')
    write_ctranslate2(checkpoint, tmp_path / 'small', quantization)
    whole, small = (tmp_path / name / 'model.bin' for name in ('whole', 'small'))
    assert small.stat().st_size < 0.6 * whole.stat().st_size
    batch = ragged(checkpoint.config, LENGTHS)
    pooled = [run(ctranslate2, file.parent, batch)[1] for file in (whole, small)]
    np.testing.assert_allclose(*pooled, atol=tolerance)
    assert not np.array_equal(*pooled)


@pytest.mark.parametrize('head', ['classifier', 'span', 'tagger', 'pretraining'])
def test_heads_stand_beside_it(ctranslate2, head, make_model, ragged, tmp_path):
    network = initialized(HEADS[head](make_model()))
    write_ctranslate2(checkpoint_of(network), tmp_path / 'out')
    arrays, kept = network.checkpoint_arrays(), load_file(tmp_path / 'out' / 'head.safetensors')
    encoder = make_model().checkpoint_arrays()
    assert set(kept) == set(arrays) - set(encoder) - {'decoder.3.weight'}
    assert all(np.array_equal(kept[name], arrays[name]) for name in kept)


def test_classifier_by_hand(ctranslate2, make_model, ragged, tmp_path):
    network = initialized(HEADS['classifier'](make_model()))
    write_ctranslate2(checkpoint_of(network), tmp_path / 'out')
    head, batch = load_file(tmp_path / 'out' / 'head.safetensors'), ragged(network.config, LENGTHS)
    pooled = run(ctranslate2, tmp_path / 'out', batch)[1]
    scores = pooled @ head['classifier.1.weight'].T + head['classifier.1.bias']
    np.testing.assert_allclose(scores, network(*batch.arrays()).asnumpy(), atol=1e-5)


def test_command(ctranslate2, tiny_folder, tmp_path, capsys):
    folder, _ = tiny_folder()
    out = tmp_path / 'out'
    assert main(['export', str(folder), '--to', 'ctranslate2', str(out)]) == 0
    assert f'{out}/model.bin: ' in capsys.readouterr().out
    encoder, text = ctranslate2.Encoder(str(out)), ['[CLS]', 'the', 'cat', '[SEP]']
    ids = [[WORDS.index(token) for token in text]]
    by_token, by_id = (encoder.forward_batch(given) for given in ([text], ids))
    assert np.array_equal(*(np.array(found.pooler_output) for found in (by_token, by_id)))
    argv = ['export', str(folder), '--to', 'ctranslate2', str(tmp_path / 'b')]
    assert main([*argv, '--quantization', 'int9']) == 2
    assert "quantization 'int9' is unknown; did you mean 'int8'?" in capsys.readouterr().err
    assert main([*argv, '--opset', '17']) == 2
    assert 'opset is no option of ctranslate2' in capsys.readouterr().err
    assert not (tmp_path / 'b').exists()


@pytest.mark.parametrize(
    'missing, options, message',
    [
        ('ctranslate2', [], "need the package ctranslate2: pip install 'gluon_bert[ctranslate2]'"),
        ('torch', ['--quantization', 'int8_bfloat16'], 'the package torch: pip install torch'),
    ],
)
def test_without_the_package_one_line_says_how_to_get_it(
    missing, options, message, tiny_folder, tmp_path, capsys, monkeypatch
):
    if missing != 'ctranslate2':
        pytest.importorskip('ctranslate2', reason='needs ctranslate2')
    monkeypatch.setitem(sys.modules, missing, None)
    folder, _ = tiny_folder()
    argv = ['export', str(folder), '--to', 'ctranslate2', str(tmp_path / 'out'), *options]
    assert main(argv) == 2
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1
    assert not (tmp_path / 'out').exists()
