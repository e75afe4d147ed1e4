"""Fine-tuning from a checkpoint that is in no row of the zoo."""

import json

import finetune_classifier
import pytest
from script_runs import undisturbed  # noqa: F401 (a fixture)
from test_examples import SAMPLE

import gluon_bert as gb
from common import cli
from gluon_bert.checkpoint import Checkpoint, write_checkpoint
from gluon_bert.checkpoint.arrays import with_names
from gluon_bert.data import BertTokenizer, read_vocab


@pytest.fixture
def checkpoint(make_model, tmp_path):
    """A tiny network with a vocabulary of letters, which every word can be cut into."""
    letters = 'abcdefghijklmnopqrstuvwxyz0123456789.,'
    tokens = [
        '[PAD]',
        '[UNK]',
        '[CLS]',
        '[SEP]',
        '[MASK]',
        *letters,
        *(f'##{letter}' for letter in letters),
    ]
    (tmp_path / 'vocab.txt').write_text(''.join(f'{token}\n' for token in tokens))

    def make(use_pooler=True):
        model = make_model(use_pooler=use_pooler, vocab_size=len(tokens), max_length=64)
        arrays = model.checkpoint_arrays()
        return Checkpoint(
            with_names(arrays, {name: name for name in arrays}),
            model.config,
            tokenizer=BertTokenizer(read_vocab(tmp_path / 'vocab.txt')),
        )

    return make


@pytest.mark.parametrize('format', ['huggingface', 'tensorflow'])
@pytest.mark.parametrize('use_pooler', [True, False])
def test_a_folder_is_started_from(checkpoint, tmp_path, capsys, format, use_pooler):
    write_checkpoint(checkpoint(use_pooler), tmp_path / 'own', format)
    code = cli.run(
        finetune_classifier.main,
        [
            '--data_dir',
            str(SAMPLE),
            '--task_name',
            'MRPC',
            '--epochs',
            '1',
            '--max_len',
            '64',
            '--max_train_examples',
            '8',
            '--batch_size',
            '4',
            '--output_dir',
            str(tmp_path / 'out'),
            '--pretrained_bert_parameters',
            str(tmp_path / 'own'),
        ],
    )
    log = capsys.readouterr().err
    assert code == 0, log
    assert ('has no pooler: it is randomly initialised' in log) == (not use_pooler)
    saved = gb.checkpoint.read_checkpoint(
        next((tmp_path / 'out').glob('*.params')), config=checkpoint().config
    )
    assert saved.heads == ('pooler', 'classifier')
    assert json.loads((tmp_path / 'out' / 'result.json').read_text())['steps'] == 2


@pytest.mark.parametrize(
    'source',
    [
        lambda folder: ['--pretrained_bert_parameters', str(folder / 'own')],
        lambda folder: [
            '--from_scratch',
            '--bert_model',
            'bert_2_128_2',
            '--vocab_file',
            str(folder / 'vocab.txt'),
        ],
    ],
    ids=['folder', 'from scratch'],
)
def test_what_was_trained_is_used_with_its_own_vocabulary(checkpoint, tmp_path, capsys, source):
    write_checkpoint(checkpoint(), tmp_path / 'own')
    common = ['--data_dir', str(SAMPLE), '--task_name', 'MRPC', '--max_len', '64']
    out, again = tmp_path / 'out', tmp_path / 'again'
    assert (
        cli.run(
            finetune_classifier.main,
            [
                *common,
                '--epochs',
                '1',
                '--max_train_examples',
                '8',
                '--batch_size',
                '4',
                '--output_dir',
                str(out),
                *source(tmp_path),
            ],
        )
        == 0
    ), capsys.readouterr().err
    (parameters,) = out.glob('*.params')
    assert (
        cli.run(
            finetune_classifier.main,
            [
                *common,
                '--only_inference',
                '--model_parameters',
                str(parameters),
                '--output_dir',
                str(again),
            ],
        )
        == 0
    ), capsys.readouterr().err
    for name in ('MRPC_dev_probabilities.tsv', 'MRPC_probabilities.tsv'):
        assert (out / name).read_text() == (again / name).read_text()


def test_a_folder_without_a_vocabulary_is_told(checkpoint, tmp_path, capsys):
    write_checkpoint(checkpoint(), tmp_path / 'own')
    for path in (tmp_path / 'own').iterdir():
        if path.name not in ('config.json', 'model.safetensors'):
            path.unlink()
    code = cli.run(
        finetune_classifier.main,
        [
            '--data_dir',
            str(SAMPLE),
            '--output_dir',
            str(tmp_path / 'out'),
            '--pretrained_bert_parameters',
            str(tmp_path / 'own'),
        ],
    )
    assert code == 2
    assert 'own: has no vocabulary beside it' in capsys.readouterr().err
