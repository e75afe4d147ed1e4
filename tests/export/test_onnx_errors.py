# ruff: noqa: F811 (fixtures are imported)
"""Exports to ONNX that fail: one line that says why, and nothing left behind."""

import errno
import os

import pytest
from script_runs import tiny_folder, tiny_pipeline, tokenizer  # noqa: F401 (fixtures)

from gluon_bert.cli import main
from gluon_bert.export import onnx as export_onnx
from gluon_bert.inference.precision_file import PRECISION_FILE

resource = pytest.importorskip('resource', reason='needs POSIX')
onnx = pytest.importorskip('onnx', reason="needs onnx: pip install '.[onnx]'")


@pytest.fixture
def export(tmp_path, capsys):
    """Run an export that fails: model, options -> its message."""

    def run(model, *options):
        place = tmp_path / 'place'
        place.mkdir(exist_ok=True)
        before = sorted(place.rglob('*'))
        argv = ['export', str(model), '--to', 'onnx', str(place / 'out'), *options]
        try:
            status = main(argv)
        except SystemExit as error:
            status = error.code
        assert status == 2
        assert sorted(place.rglob('*')) == before
        (line,) = capsys.readouterr().err.splitlines()
        return line.partition('gluon-bert export: error: ')[2]

    return run


@pytest.mark.parametrize(
    'options, message',
    [
        (['--head', 'spam'], "head='spam': this network has none"),
        (['--head', 'masked_lm'], "head='masked_lm': this network has none"),
        (['--opset', '12'], 'opset=12: expected 13 to 21'),
        (['--opset', '22', '--dtype', 'int8'], 'opset=22: expected 13 to 21'),
        (['--dtype', 'int4'], "dtype 'int4' is unknown; did you mean 'int8'?"),
        (['--dtype', 'int8-static'], 'int8-static needs calibration texts (--calibrate FILE), or'),
        (['--dtype', 'int8', '--calibrate', '{texts}'], "dtype='int8': needs no calibration"),
        (['--calibrate', 'no_such.txt'], '--calibrate no_such.txt: no such file'),
        (['--format', 'text'], '--format is for --calibrate FILE, which is not given'),
        (['--calibrate', '{texts}.bin'], '.bin: its name does not tell what it is, pass --format'),
        (['--pooling', 'sum'], "pooling='sum': expected one of"),
        (['--pooling', 'mean_of_layer:-2'], "pooling='mean_of_layer:-2': expected one of"),
        (['--no_normalize'], 'normalize is for sentence vectors: give pooling, too'),
        (['--quantization', 'int8'], 'quantization is no option of onnx'),
    ],
)
def test_wrong_options(options, message, tiny_folder, tmp_path, export):
    folder, _ = tiny_folder()
    texts = tmp_path / 'texts.txt'
    for path in (texts, texts.with_suffix('.txt.bin')):
        path.write_text('the cat\n')
    assert message in export(folder, *(word.format(texts=texts) for word in options))


def test_folder_that_is_there(tiny_folder, tmp_path, export):
    folder, _ = tiny_folder()
    (tmp_path / 'place' / 'out').mkdir(parents=True)
    (tmp_path / 'place' / 'out' / 'mine.txt').write_text('mine')
    assert 'out: is there already' in export(folder)


def _cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    'damage, message',
    [
        (lambda folder: _cut(folder / 'model.safetensors'), 'model.safetensors'),
        (lambda folder: (folder / 'model.safetensors').unlink(), 'holds no checkpoint'),
        (lambda folder: (folder / 'config.json').unlink(), 'config.json'),
        (lambda folder: _cut(folder / 'config.json'), 'config.json'),
        (lambda folder: _cut(folder / 'tokenizer.json'), 'tokenizer.json'),
        (lambda folder: (folder / PRECISION_FILE).write_text('{"precision": '), PRECISION_FILE),
    ],
)
def test_half_written_models(damage, message, tiny_folder, export):
    folder, _ = tiny_folder()
    damage(folder)
    assert message in export(folder, '--dtype', 'int8')


@pytest.mark.parametrize('damaged', ['tiny.params', 'task.json', 'tokenizer/vocab.txt'])
def test_half_written_fine_tuned_folders(damaged, tiny_pipeline, tmp_path, export):
    folder = tmp_path / 'tuned'
    tiny_pipeline('text-classification', folder=folder)
    _cut(folder / damaged)
    assert str(folder) in export(folder)


def test_model_without_a_tokenizer(tiny_folder, tmp_path, caplog):
    folder, _ = tiny_folder()
    for name in ('tokenizer.json', 'vocab.txt'):
        (folder / name).unlink()
    assert main(['export', str(folder), '--to', 'onnx', str(tmp_path / 'out')]) == 0
    assert 'no tokenizer, so none is written' in caplog.text
    assert not (tmp_path / 'out' / 'tokenizer.json').exists()


@pytest.fixture(params=[None, 1000], ids=['one file', 'external data'])
def largest(request, monkeypatch):
    """Weights in the graph's file, and in one of their own."""
    if request.param is not None:
        monkeypatch.setattr(export_onnx, '_LARGEST', request.param)


@pytest.mark.parametrize('dtype', ['float32', 'int8'])
def test_limit_on_the_size_of_files(dtype, largest, tiny_folder, export):
    folder, _ = tiny_folder(hidden_size=400)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, limits[1]))
    try:
        line = export(folder, '--dtype', dtype)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert f'{os.strerror(errno.EFBIG)}: more space is needed, ' in line


def test_full_disk(largest, tiny_folder, export, monkeypatch):
    folder, _ = tiny_folder()

    def save(model, path, **options):
        path.write_bytes(b'half')
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(onnx, 'save_model', save)
    assert f'{os.strerror(errno.ENOSPC)}: more space is needed, ' in export(folder)
