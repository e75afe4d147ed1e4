# ruff: noqa: F811 (fixtures are imported)
"""Wrong input of exports: one line, and nothing is left behind, whatever the format."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from export_networks import checkpoint_of
from script_runs import tiny_folder, tiny_pipeline, tokenizer  # noqa: F401 (fixtures)

import gluon_bert as gb
from gluon_bert.cli import main
from gluon_bert.export import EXPORTS, export

NEEDED = {'onnx': ['onnx'], 'openvino': ['onnx', 'openvino'], 'ctranslate2': ['ctranslate2']}


@pytest.fixture(params=EXPORTS)
def to(request):
    """A format whose packages are installed."""
    for name in NEEDED.get(request.param, ()):
        pytest.importorskip(name, reason=f'needs {name}: python3 dev.py setup --peers')
    return request.param


@pytest.fixture
def refused(capsys, tmp_path):
    """Run an export that fails; gives its one line."""

    def run(*argv):
        before = everything(tmp_path)
        capsys.readouterr()
        try:
            status = main(['export', *map(str, argv)])
        except SystemExit as error:  # of the parser
            status = error.code
        out, err = capsys.readouterr()
        assert (status, out) == (2, '') and err.count('\n') == 1, err
        assert err.startswith('gluon-bert export: error: ')
        assert everything(tmp_path) == before
        return err

    return run


def everything(folder):
    return sorted(folder.rglob('*'))


def test_unknown_formats_and_options(refused, tiny_folder, tmp_path):
    folder, out = tiny_folder()[0], tmp_path / 'out'
    assert "'onxx' is unknown; did you mean onnx?" in refused(folder, '--to', 'onxx', out)
    assert 'unknown flag --opsett; did you mean --opset?' in refused(
        folder, '--to', 'onnx', out, '--opsett', '14'
    )
    with pytest.raises(ValueError, match="format 'simbol' is unknown; did you mean 'symbol'"):
        export(gb.zoo.open_checkpoint(folder), out, 'simbol')
    with pytest.raises(ValueError, match="hed is no option of symbol; did you mean 'head'"):
        export(gb.zoo.open_checkpoint(folder), out, 'symbol', {'hed': 'none'})


def test_options_of_other_formats(refused, tiny_folder, tmp_path, to):
    given = {'opset': '14', 'quantization': 'int8', 'dtype': 'float16', 'pooling': 'mean'}
    folder, _ = tiny_folder()
    for name, value in given.items():
        if name not in EXPORTS[to].options:
            error = refused(folder, '--to', to, tmp_path / 'out', f'--{name}', value)
            assert f'{name} is no option of {to}' in error


def test_unknown_heads(refused, tiny_folder, tmp_path, to):
    folder, _ = tiny_folder()
    error = refused(folder, '--to', to, tmp_path / 'out', '--head', 'masked_ml')
    known = 'head' in EXPORTS[to].options
    assert ('this network has none' if known else f'head is no option of {to}') in error


def test_output_that_is_there(refused, tiny_folder, tmp_path, to):
    folder, out = tiny_folder()[0], tmp_path / 'out'
    out.mkdir()
    (out / 'mine.txt').write_text('kept')
    assert f'{out}: is there already' in refused(folder, '--to', to, out)
    assert 'is there already' in refused(folder, '--to', to, out / 'mine.txt')
    assert (out / 'mine.txt').read_text() == 'kept'


def test_output_in_the_folder_of_the_model(refused, tiny_folder, tiny_pipeline, tmp_path, to):
    folder, _ = tiny_folder()
    tiny_pipeline('text-classification', folder=tmp_path / 'mine')
    for source in (folder, tmp_path / 'mine'):
        for out in (
            source,
            source / 'deep' / 'out',
            source.parent / 'x' / '..' / source.name / 'o',
        ):
            error = refused(source, '--to', to, out)
            assert 'the folder of the model; name one outside it' in error
    (tmp_path / 'link').symlink_to(folder)
    assert 'name one outside it' in refused(folder, '--to', to, tmp_path / 'link' / 'out')
    with pytest.raises(ValueError, match='name one outside it'):
        export(gb.zoo.open_checkpoint(tmp_path / 'mine'), tmp_path / 'mine' / 'out', to)


def test_target_that_cannot_be_written(refused, tiny_folder, tmp_path, to):
    folder, _ = tiny_folder()
    (tmp_path / 'file').write_text('')
    error = refused(folder, '--to', to, tmp_path / 'file' / 'out')
    assert f'{tmp_path / "file"} is a file, there can be no folder in it' in error
    assert '/proc/' in refused(folder, '--to', to, '/proc/nowhere/out')


@pytest.mark.parametrize(
    'damage, message',
    [
        ('cut', 'model.safetensors'),
        ('no arrays', 'has none of model.safetensors'),
        ('no config', 'config.json'),
        ('no json', 'config.json'),
        ('other parameters', 'absent.params: no such parameter file, which task.json names'),
        ('no tokenizer', 'tokenizer'),
    ],
)
def test_models_that_are_half_written(
    damage, message, refused, tiny_folder, tiny_pipeline, tmp_path, to
):
    folder, _ = tiny_folder()
    if damage == 'cut':
        data = (folder / 'model.safetensors').read_bytes()
        (folder / 'model.safetensors').write_bytes(data[: len(data) // 2])
    elif damage == 'no arrays':
        (folder / 'model.safetensors').unlink()
        (folder / 'model.bin.tmp').write_text('')
        message = 'holds no checkpoint'
    elif damage == 'no config':
        (folder / 'config.json').unlink()
    elif damage == 'no json':
        (folder / 'config.json').write_text('{"model_type": "bert"')
    else:
        folder = tmp_path / 'mine'
        tiny_pipeline('text-classification', folder=folder)
        task = json.loads((folder / 'task.json').read_text())
        if damage == 'other parameters':
            (folder / 'task.json').write_text(json.dumps({**task, 'parameters': 'absent.params'}))
        else:
            for path in (folder / 'tokenizer').iterdir():
                path.unlink()
    assert message in refused(folder, '--to', to, tmp_path / 'out')


def test_damaged_settings_of_a_task(refused, tiny_pipeline, tmp_path, to):
    folder = tmp_path / 'mine'
    tiny_pipeline('multi-label-classification', folder=folder)
    task = json.loads((folder / 'task.json').read_text())
    (folder / 'task.json').write_text(json.dumps({**task, 'thresholds': [0.5, 7]}))
    error = refused(folder, '--to', to, tmp_path / 'out')
    assert 'thresholds' in error and 'task.json' in error


@pytest.mark.parametrize(
    'error', [OSError(errno.ENOSPC, 'No space left on device'), KeyboardInterrupt]
)
@pytest.mark.parametrize('moment', ['settings', 'card'])
def test_a_full_disk_and_an_interrupt_leave_nothing(
    moment, error, tiny_pipeline, tmp_path, to, capsys, monkeypatch
):
    folder = tmp_path / 'mine'
    tiny_pipeline('text-classification', folder=folder)
    before = everything(tmp_path)
    written = {'settings': 'config.json', 'card': 'README.md'}[moment]
    if moment == 'settings' and to in ('symbol', 'ctranslate2'):
        written = 'settings.json'
    write = Path.write_text

    def fail(self, *args, **kwargs):
        if self.name == written:
            raise error
        return write(self, *args, **kwargs)

    monkeypatch.setattr(Path, 'write_text', fail)
    status = main(['export', str(folder), '--to', to, str(tmp_path / 'new' / 'deep' / 'out')])
    assert status == (130 if error is KeyboardInterrupt else 2)
    text = capsys.readouterr().err
    assert text.count('\n') == (0 if error is KeyboardInterrupt else 1)
    assert ('No space left on device' in text) == (error is not KeyboardInterrupt)
    assert everything(tmp_path) == before


_LIMITED = """
import resource, signal, sys
import gluon_bert.cli
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write fails, as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
sys.exit(gluon_bert.cli.main(sys.argv[1:]))
"""


@pytest.mark.parametrize('limit', [100, 30_000])
def test_weights_that_do_not_fit_on_the_disk(limit, tiny_folder, tmp_path, to):
    folder, _ = tiny_folder()
    before = everything(tmp_path)
    argv = ['export', str(folder), '--to', to, str(tmp_path / 'out')]
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', _LIMITED.format(limit=limit), *argv],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert done.stderr.count('\n') == 1 and 'gluon-bert export: error: ' in done.stderr
    assert everything(tmp_path) == before


def test_ctrl_c_in_the_middle(tiny_folder, tmp_path):
    folder, _ = tiny_folder()
    before = everything(tmp_path)
    code = (
        'import gc, sys, time\n'
        'from gluon_bert.export import card\n'
        'import gluon_bert.cli\n'
        # Python ignores an interruption within __del__.
        'def wait(*args):\n    gc.disable()\n    print("written", flush=True)\n    time.sleep(60)\n'
        'card.write_card = wait\n'
        'sys.exit(gluon_bert.cli.main(sys.argv[1:]))\n'
    )
    argv = ['export', str(folder), '--to', 'symbol', str(tmp_path / 'out')]
    process = subprocess.Popen(
        [sys.executable, '-W', 'ignore', '-c', code, *argv],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == 'written\n'
    assert everything(tmp_path) != before
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, '')
    assert everything(tmp_path) == before


def test_a_leftover_of_a_killed_export_is_no_hindrance(make_model, tmp_path):
    (tmp_path / '.out.abcd1234.part').mkdir()
    (tmp_path / '.out.abcd1234.part' / 'half').write_text('')
    export(checkpoint_of(make_model()), tmp_path / 'out', 'symbol')
    assert [path.name for path in tmp_path.iterdir()] == ['out']
