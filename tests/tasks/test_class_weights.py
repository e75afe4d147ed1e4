"""Label smoothing and class weights from options to the loss that is trained."""

import json

import numpy as np
import pytest
from script_runs import tiny_folder, tokenizer  # noqa: F401 (fixtures)
from test_finetune import FAST, ROWS, files, table

from gluon_bert.cli import main
from gluon_bert.tasks.class_weights import read_weights
from gluon_bert.tasks.finetune import finetune
from gluon_bert.tasks.token_classification import count_types


@pytest.mark.parametrize(
    'given, weights',
    [
        ('balanced', None),
        (' cat=1, dog=2.5', {'cat': 1.0, 'dog': 2.5}),
        ('"a,b"=3', {'a,b': 3.0}),
        ('x=y=2', {'x=y': 2.0}),
        ({'cat': 2}, {'cat': 2.0}),
    ],
)
def test_weights_are_read(given, weights):
    assert read_weights(given) == weights


WRONG = ['', 'cat', 'cat=', 'cat=0', 'cat=-1', 'cat=nan', 'a=1,a=2', 'balance', {'cat': True}, 3]


@pytest.mark.parametrize('given', WRONG)
def test_wrong_weights_are_refused(given):
    with pytest.raises(ValueError, match='class_weights=.*: expected balanced, or positive'):
        read_weights(given)


def loss_of(folder):
    return json.loads((folder / 'result.json').read_text())['identity']['options']['loss']


@pytest.mark.parametrize(
    'task, options, loss',
    [
        (
            'text-classification',
            {'label_smoothing': 0.1, 'class_weights': 'balanced'},
            'cross_entropy(label_smoothing=0.1, class_weights=0.666667 2)',
        ),
        (
            'multi-label-classification',
            {'class_weights': 'dog=3'},
            'multi_label(class_weights=1 3 1)',
        ),
        # Of 5 words three are of no type; B-y and I-y have the weight of y.
        (
            'token-classification',
            {'class_weights': {'y': 4}, 'label_smoothing': 0.2},
            'tags(label_smoothing=0.2, class_weights=1 1 1 4 4)',
        ),
    ],
)
def test_options_reach_the_loss(tiny_folder, tmp_path, task, options, loss):  # noqa: F811
    source, _ = tiny_folder()
    train, more, _ = files(task, tmp_path)
    if task == 'text-classification':
        train = table(tmp_path / 'train.csv', [ROWS[0], ROWS[2], ROWS[0], ROWS[1]] * 2)
    finetune(task, source, train=train, output_dir=tmp_path / 'out', **FAST, **more, **options)
    assert loss_of(tmp_path / 'out') == loss
    # The weights are part of what a run is.
    with pytest.raises(ValueError, match='loss: '):
        finetune(
            task, source, train=train, output_dir=tmp_path / 'out', resume=True, **FAST, **more
        )


def test_words_are_counted_by_type():
    settings = {'kinds': ['x', 'y'], 'scheme': 'IOB2'}
    counts = count_types([['O', 'B-x', 'I-x'], ['B-y', 'O']], settings)
    assert counts.names == ['O', 'x', 'y'] and counts.outputs == [0, 1, 1, 2, 2]
    np.testing.assert_array_equal(counts.counts, [2, 2, 1])
    assert count_types([['B', 'O']], {'kinds': [''], 'scheme': 'IOB2'}).names == ['O', '']
    plain = count_types([['NOUN', 'VERB']], {'kinds': ['VERB', 'NOUN'], 'scheme': 'PLAIN'})
    assert (plain.names, plain.outputs, plain.total) == (['VERB', 'NOUN'], [0, 1], 2)


@pytest.mark.parametrize(
    'task, options, message',
    [
        ('text-classification', {'label_smoothing': 1.5}, r'label_smoothing=1.5: expected a fract'),
        ('text-classification', {'class_weights': 'cta=2'}, "'cta' is no class; did you m"),
        ('text-regression', {'label_smoothing': 0.1}, 'label_smoothing=0.1: is not for text-regr'),
        ('multi-label-classification', {'label_smoothing': 0.1}, 'is not for multi-label-class'),
        ('text-ranking', {'class_weights': 'balanced'}, 'is not for text-ranking'),
        ('token-classification', {'class_weights': 'balanced', 'crf': True}, 'is not for crf'),
        (
            'text-classification',
            {'class_weights': 'balanced', 'freeze_encoder': True, 'epochs': None},
            'class_weights=balanced: is for training the whole network, not with freeze_encoder',
        ),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(tiny_folder, tmp_path, task, options, message):  # noqa: F811
    source, _ = tiny_folder()
    train, more, _ = files(task, tmp_path)
    fast = {} if options.pop('epochs', 1) is None else FAST
    with pytest.raises(ValueError, match=message):
        finetune(task, source, train=train, output_dir=tmp_path / 'out', **fast, **more, **options)
    assert not list((tmp_path / 'out').glob('*'))


def test_a_glue_task_of_scores_has_no_smoothing(tiny_folder, tmp_path):  # noqa: F811
    source, _ = tiny_folder()
    rows = 'index\tsentence1\tsentence2\tscore\n0\ta cat\ta dog\t1.0\n'
    for name in ('train', 'dev'):
        (tmp_path / f'{name}.tsv').write_text(rows)
    with pytest.raises(ValueError, match='label_smoothing=0.1: is not for text-regression'):
        finetune(
            'text-classification', source, task_name='STS-B', data_dir=tmp_path,
            output_dir=tmp_path / 'out', label_smoothing=0.1,
        )  # fmt: skip


def test_the_command_hides_and_refuses_what_a_task_lacks(tmp_path, capsys):
    def shown(task):
        with pytest.raises(SystemExit):
            main(['train', task, '--help'])
        return capsys.readouterr().out

    assert '--label_smoothing' in shown('text-classification')
    assert '--label_smoothing' not in shown('text-regression')
    train = table(tmp_path / 'train.csv', ROWS)
    arguments = ['--train_file', str(train), '--output_dir', str(tmp_path / 'out')]
    assert main(['train', 'text-regression', '--label_smoothing', '0.1', *arguments]) == 2
    assert 'error: --label_smoothing 0.1: is not for text-regression' in capsys.readouterr().err
