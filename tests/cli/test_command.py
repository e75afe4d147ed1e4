"""The console script: list, info, convert, and what all commands share."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
from conftest import TINY
from tiny_zoo import TOKENS, error_of

from gluon_bert import kernels
from gluon_bert.checkpoint import read_checkpoint, write_checkpoint
from gluon_bert.checkpoint.schema import Checkpoint
from gluon_bert.cli import COMMANDS, main, make_parser
from gluon_bert.modeling.heads import BertClassifier, BertTagger
from gluon_bert.zoo import VOCABULARIES, WEIGHTS, list_models

pytest_plugins = ['command_fixtures']


# list


INSTALLED = ('bert_3_384_12', 'bert_6_384_12')


def test_list_has_every_row(run):
    status, out, err = run('list', '--format', 'json')
    models = json.loads(out)
    assert (status, err) == (0, '')
    assert [(model['name'], model['dataset_name']) for model in models] == list_models()
    assert all(
        model['parameters'] == WEIGHTS[key].num_params for model, key in zip(models, list_models())
    )


@pytest.mark.parametrize(
    'filters, wanted',
    [
        (('--name', 'bert_12_*'), lambda key, row: key.name.startswith('bert_12_')),
        (('--dataset', '*_uncased'), lambda key, row: key.dataset_name.endswith('_uncased')),
        (('--family', 'roberta'), lambda key, row: key.name.startswith('roberta')),
        (('--head', 'next_sentence'), lambda key, row: 'next_sentence' in row.heads),
        (('--max-params', '30M'), lambda key, row: row.num_params <= 30_000_000),
        (
            ('--language', 'zh'),
            lambda key, row: key.dataset_name in ('wiki_cn_cased', 'baidu_ernie_uncased'),
        ),
        (('--source', 'installed'), lambda key, row: key.name in INSTALLED),
    ],
)
def test_list_filters(filters, wanted, run):
    _, out, _ = run('list', '--format', 'tsv', *filters)
    found = [tuple(line.split('\t')[:2]) for line in out.splitlines()[1:]]
    assert found == [key for key in list_models() if wanted(key, WEIGHTS[key])] and found


def test_list_sorts_by_size_and_says_when_there_is_nothing(run):
    _, out, _ = run('list', '--format', 'json', '--sort', 'params')
    numbers = [model['parameters'] for model in json.loads(out)]
    assert numbers == sorted(numbers)
    status, out, err = run('list', '--name', 'nothing', '--format', 'json')
    assert (status, json.loads(out), err) == (0, [], 'no model matches\n')


def test_list_as_a_process_needs_no_mxnet():
    code = (
        'import runpy, sys; sys.argv[:] = ["gluon-bert", "list"]\n'
        'try: runpy.run_module("gluon_bert", run_name="__main__")\n'
        'finally: assert "mxnet" not in sys.modules'
    )
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, '')
    assert len(result.stdout.splitlines()) == len(WEIGHTS) + 1


def test_module_runs(tmp_path):
    result = subprocess.run(
        [sys.executable, '-m', 'gluon_bert', 'list', '--root', tmp_path],
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stderr) == (0, '')
    assert result.stdout.splitlines()[0].split() == [
        'model',
        'data',
        'set',
        'language',
        'params',
        'size',
        'cached',
    ]


# info


@pytest.mark.parametrize('key', list_models()[::7], ids='/'.join)
def test_info_of_a_row(key, run):
    status, out, _ = run('info', '/'.join(key), '--json')
    facts = json.loads(out)
    assert status == 0 and facts['config']['vocab_size'] == VOCABULARIES[key.dataset_name].size
    assert sum(facts['parameters'].values()) == facts['total'] >= WEIGHTS[key].num_params
    assert {source['address'] for source in facts['sources']}


# Matplotlib for Python 3.9 calls old names of a newer pyparsing.
def test_info_of_a_checkpoint_and_its_drawing(folder, checkpoint, tmp_path, run):
    status, out, _ = run('info', folder, '--json', '--draw', tmp_path / 'a.svg')
    facts = json.loads(out)
    assert (status, facts['config'], facts['labels']) == (0, asdict(TINY), [])
    assert facts['total'] == sum(array.size for array in checkpoint.arrays.values())
    assert facts['file_bytes'] == (folder / 'model.safetensors').stat().st_size
    assert facts['vocabulary']['size'] == len(TOKENS)
    assert (tmp_path / 'a.svg').read_bytes().startswith(b'<?xml')
    status, out, _ = run('info', folder)
    assert status == 0 and f'{facts["total"]:,}' in out and 'masked words' in out
    assert out.splitlines()[-1] == f'kernels: {kernels.state()}'


@pytest.mark.parametrize('setting, words', [('0', "MXNet's own operators"), ('1', '')])
def test_info_says_which_kernels_are_used(folder, run, monkeypatch, setting, words):
    monkeypatch.setenv('GLUON_BERT_KERNELS', setting)
    last = run('info', folder)[1].splitlines()[-1]
    assert words in last
    if setting == '1' and kernels.load():
        assert last == f'kernels: native, for {kernels.processor()}'


def test_info_knows_the_classes(make_model, tmp_path, run):
    network = BertClassifier(make_model(), 3)
    network.classifier.initialize()
    network.save_parameters(tmp_path / 'a.params')
    (tmp_path / 'a.json').write_text(
        json.dumps({'config': asdict(TINY), 'family': 'bert', 'labels': ['a', 'b', 'c']})
    )
    facts = json.loads(run('info', tmp_path / 'a.params', '--json')[1])
    assert facts['labels'] == ['a', 'b', 'c'] and 'other' not in facts['parameters']
    assert facts['parameters']['classifier'] == 3 * TINY.units + 3


@pytest.mark.parametrize(
    'words, message',
    [
        (['bert_12_768_13'], "did you mean 'bert_12_768_12'?"),
        (['bert_12_768_12'], 'give a data set: NAME DATASET'),
        (['bert_12_768_12', 'nothing'], "data set 'nothing' is unknown"),
        (
            ['bert_6_384_12', list_models()[0].dataset_name],
            'no trained parameters of bert_6_384_12',
        ),
        (['no/such.params'], 'no/such.params: no such file or folder'),
    ],
)
def test_wrong_models_are_one_line(words, message, run):
    assert message in error_of(run, 'info', *words)


# convert


@pytest.mark.parametrize(
    'to, target', [('gluonnlp', 'a.params'), ('huggingface', 'a'), ('tensorflow', 'a')]
)
@pytest.mark.parametrize('dtype', ['float32', 'float16'])
def test_convert_and_back(to, target, dtype, folder, checkpoint, tmp_path, run):
    target = tmp_path / 'out' / target
    status, out, err = run('convert', folder, target, '--to', to, '--dtype', dtype)
    assert (status, err) == (0, '') and out.endswith('read back: equal bit by bit\n')
    again = read_checkpoint(target)
    assert again.config == TINY and set(again.arrays) == set(checkpoint.arrays)
    assert all(
        np.array_equal(again.arrays[name], array.astype(dtype))
        for name, array in checkpoint.arrays.items()
    )
    assert not [path for path in target.parent.iterdir() if path.name.startswith('.')]


def test_convert_tells_what_a_format_has_no_place_for(make_model, tmp_path, run):
    network = BertTagger(make_model(), 3)
    network.tagger.initialize()
    tagger = Checkpoint(network.checkpoint_arrays(), TINY, labels=('a', 'b', 'c'))
    write_checkpoint(tagger, tmp_path / 'a')
    status, _, err = run('convert', tmp_path / 'a', tmp_path / 'b', '--to', 'tensorflow')
    assert status == 0 and 'not written: the labels' in err and 'names of a classifier' in err
    assert np.array_equal(
        read_checkpoint(tmp_path / 'b').arrays['classifier.1.weight'],
        tagger.arrays['tag_classifier.weight'],
    )


def test_the_one_token_type_of_a_roberta_goes_to_the_positions(make_model, tmp_path, run):
    model = make_model(num_token_types=1)
    write_checkpoint(Checkpoint(model.checkpoint_arrays(), model.config, 'roberta'), tmp_path / 'a')
    status, out, _ = run('convert', tmp_path / 'a', tmp_path / 'b.params')
    assert status == 0 and 'equal bit by bit' in out
    assert run('verify', tmp_path / 'a', tmp_path / 'b.params')[0] == 0


def test_convert_does_not_replace_unasked(folder, tmp_path, run):
    for target in (tmp_path / 'a.params', tmp_path / 'a'):
        assert run('convert', folder, target)[0] == 0
        assert 'already exists; pass --overwrite' in error_of(run, 'convert', folder, target)
        assert run('convert', folder, target, '--overwrite', '--cased')[0] == 0
        assert not read_checkpoint(target).tokenizer.lower
    (tmp_path / 'a' / 'thesis.tex').write_text('mine')
    assert 'thesis.tex' in error_of(run, 'convert', folder, tmp_path / 'a', '--overwrite')
    assert (tmp_path / 'a' / 'thesis.tex').read_text() == 'mine'


def test_convert_replaces_a_folder_with_itself(folder, checkpoint, run):
    assert run('convert', folder, folder, '--overwrite', '--dtype', 'float16')[0] == 0
    assert read_checkpoint(folder).arrays['pooler.weight'].dtype == 'float16'


def test_convert_takes_hyper_parameters_from_a_file(folder, checkpoint, tmp_path, run):
    write_checkpoint(checkpoint, tmp_path / 'a.params')
    os.rename(tmp_path / 'a.json', tmp_path / 'elsewhere.json')
    assert 'the number of attention heads is not in the file' in error_of(
        run, 'info', tmp_path / 'a.params'
    )
    for number, config in enumerate((tmp_path / 'elsewhere.json', folder / 'config.json')):
        target = tmp_path / f'out{number}'
        assert run('convert', tmp_path / 'a.params', target, '--config', config)[0] == 0
        assert read_checkpoint(target).config == TINY


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['out.params', '--to', 'tensorflow'], '--to gluonnlp needs a name that ends in .params'),
        (['out', '--config', 'config.json'], 'has a configuration; expected a .params file'),
    ],
)
def test_convert_refuses(arguments, message, folder, tmp_path, monkeypatch, run):
    monkeypatch.chdir(tmp_path)
    assert message in error_of(run, 'convert', folder, *arguments)
    assert not (tmp_path / 'out').exists()


def test_convert_refuses_what_float16_cannot_hold(checkpoint, tmp_path, run):
    arrays = {**checkpoint.arrays, 'pooler.bias': np.full(TINY.units, 1e5, 'float32')}
    write_checkpoint(replace(checkpoint, arrays=arrays), tmp_path / 'a')
    assert 'pooler.bias: has values that float16 cannot hold' in error_of(
        run, 'convert', tmp_path / 'a', tmp_path / 'b', '--dtype', 'float16'
    )
    assert [path.name for path in tmp_path.iterdir()] == ['a']


# all


def test_wrong_arguments_are_one_line(capsys):
    with pytest.raises(SystemExit) as info:
        main(['list', '--head', 'nothing'])
    captured = capsys.readouterr()
    assert (info.value.code, captured.out) == (2, '')
    assert captured.err.startswith('gluon-bert list: error: ') and captured.err.count('\n') == 1


@pytest.mark.parametrize('command', COMMANDS)
def test_help_has_an_example(command, capsys):
    with pytest.raises(SystemExit) as info:
        make_parser().parse_args([command, '--help'])
    assert info.value.code == 0 and f'gluon-bert {command}' in capsys.readouterr().out


def test_an_interrupt_is_status_130(monkeypatch, run):
    def interrupt(root=None):
        raise KeyboardInterrupt

    monkeypatch.setattr('gluon_bert.cli.cache.cache_contents', interrupt)
    assert run('cache') == (130, '', '')


def test_traceback_on_request(run):
    with pytest.raises(FileNotFoundError):
        run('info', 'no/such', '--traceback')
