"""A run of fine-tuning in a folder that has one: nothing of another run is rewritten."""

import json
from pathlib import Path

import pytest
from script_runs import tiny_folder, tokenizer  # noqa: F401 (fixtures)
from test_finetune import CONTEXT, FAST, ROWS, files, table

import gluon_bert as gb
from gluon_bert.checkpoint import Checkpoint, write_checkpoint
from gluon_bert.tasks.finetune import finetune

OTHER = [('the cat sleeps', 'alpha'), ('the dog barks', 'beta'), ('a cat', 'alpha')]


def content(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob('*')) if path.is_file()}


@pytest.fixture
def run(tiny_folder, tmp_path):  # noqa: F811
    """Fine-tune into one folder: the changed arguments of a run -> FineTuned."""
    source, _ = tiny_folder()
    train = table(tmp_path / 'train.csv', ROWS * 2)
    arguments = {'model': source, 'train': train, 'dev': train, 'max_len': 16, **FAST}

    def call(task='text-classification', **changes):
        return finetune(task, output_dir=tmp_path / 'out', **{**arguments, **changes})

    return call


def other_vocabulary(tmp_path, make_model, tokenizer):  # noqa: F811
    words = list(tokenizer.vocab.idx_to_token)
    words[-1], words[-2] = words[-2], words[-1]
    ids = {word: number for number, word in enumerate(words)}
    vocab = gb.data.BertTokenizer(
        type(tokenizer.vocab)(ids, padding_token='[PAD]', unknown_token='[UNK]', token_to_idx=ids)
    )
    source = gb.zoo.open_checkpoint(tmp_path / 'tiny_huggingface')
    folder = tmp_path / 'other_vocabulary'
    write_checkpoint(Checkpoint(source.arrays, source.config, tokenizer=vocab), folder)
    return folder


def test_a_finished_run_is_not_relabelled(run, make_model, tokenizer, tmp_path):  # noqa: F811
    run(arguments={'epochs': 1})
    before = content(tmp_path / 'out')
    other_dev = table(tmp_path / 'dev.csv', ROWS[:3])
    for changes, messages in (
        (
            {'train': table(tmp_path / 'other.csv', OTHER * 2), 'dev': None},
            ["labels: ['cat', 'dog'] then, ['alpha', 'beta'] now", 'data labels: ', 'dev data: '],
        ),
        ({'train': table(tmp_path / 'b.csv', ROWS[::-1] * 2)}, ['data tokens: ']),
        ({'dev': other_dev}, ["dev data: {'dev': "]),
        ({'epochs': 5}, ['epochs: 1 then, 5 now', 'begin a new run']),
        ({'max_len': 20}, ['max_len: 16 then, 20 now']),
        ({'batch_size': 2}, ['data batch_size: 4 then, 2 now']),
        ({'seed': 7}, ['seed: 2 then, 7 now', 'data seed: 2 then, 7 now']),
        ({'model': other_vocabulary(tmp_path, make_model, tokenizer)}, ['tokenizer: ']),
    ):
        with pytest.raises(ValueError, match='result.json: belongs to a run with other') as caught:
            run(**changes, resume=True, arguments={'epochs': 9})
        assert all(message in str(caught.value) for message in messages), changes
        assert content(tmp_path / 'out') == before
    with pytest.raises(ValueError, match='there is a finished run; resume or overwrite it'):
        run()
    assert content(tmp_path / 'out') == before


def test_the_same_run_gives_its_result_and_predicts_for_a_new_file(run, tmp_path):
    first = run()
    test = table(tmp_path / 'test.csv', [(text,) for text, _ in ROWS], 'text')
    again = run(test=test, resume=True, log_interval=5, dev_batch_size=2)
    assert again.result == first.result and again.metrics == first.metrics
    assert (tmp_path / 'out' / 'train_test.tsv').read_text().count('\n') == 5


def test_overwrite_leaves_nothing_of_the_earlier_network(run, tmp_path):
    run(epochs=2)
    train = table(tmp_path / 'other.csv', OTHER * 2)
    done = run(train=train, dev=train, overwrite=True)
    assert gb.load_pipeline(tmp_path / 'out').labels == ['alpha', 'beta']
    assert list((tmp_path / 'out').glob('*.params')) == [done.result.best_path]
    assert '8 examples' not in (tmp_path / 'out' / 'log_other.txt').read_text()


def test_a_network_without_a_run_is_not_replaced_unasked(run, tmp_path):
    run()
    (tmp_path / 'out' / 'result.json').unlink()
    before = content(tmp_path / 'out')
    for resume in (False, True):
        with pytest.raises(ValueError, match='without the result of its run; overwrite it'):
            run(resume=resume)
    assert content(tmp_path / 'out') == before


@pytest.mark.parametrize('task', ['question-answering', 'token-classification'])
def test_other_tasks_write_nothing_either(run, tmp_path, task):
    train, options, _ = files(task, tmp_path)
    arguments = {'train': train, 'dev': train, 'output_dir': tmp_path / 'out', **FAST, **options}
    source = tmp_path / 'tiny_huggingface'
    finetune(task, source, **arguments)
    before = content(tmp_path / 'out')
    text = train.read_text()
    other = tmp_path / f'other{train.suffix}'
    if task == 'question-answering':
        other.write_text(text.replace(CONTEXT, CONTEXT + ' !'))
    else:
        other.write_text(text.replace('B-x', 'B-DRUG').replace('B-y', 'B-GENE'))
    with pytest.raises(ValueError, match='belongs to a run with other settings') as caught:
        finetune(task, source, **{**arguments, 'train': other, 'dev': other}, resume=True)
    expected = 'data tokens: ' if task == 'question-answering' else "kinds: ['x', 'y'] then, "
    assert expected in str(caught.value)
    assert content(tmp_path / 'out') == before


def test_the_folder_names_no_place_of_this_machine(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path / 'tiny_huggingface')
    run(arguments={'train_file': tmp_path / 'train.csv', 'epochs': 1})
    place = str(tmp_path.parent)
    for name in ('README.md', 'arguments.json', 'task.json'):
        text = (tmp_path / 'out' / name).read_text()
        assert place not in text, name
    assert "train_file='train.csv'" in (tmp_path / 'out' / 'README.md').read_text()
    assert json.loads((tmp_path / 'out' / 'arguments.json').read_text())['epochs'] == 1


def test_the_log_shortens_paths(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run()
    text = (tmp_path / 'out' / 'log_train.txt').read_text()
    assert str(tmp_path) not in text and '8 examples from train.csv' in text


def test_early_stop_needs_data_to_evaluate_on(run, tmp_path):
    with pytest.raises(ValueError, match='early_stop=2: needs data to evaluate on'):
        run(dev=None, early_stop=2)
    assert not any(Path(tmp_path / 'out').iterdir())


@pytest.mark.parametrize(
    'task, option, value',
    [
        ('text-classification', 'batch_size', 0),
        ('text-classification', 'dev_batch_size', -1),
        ('text-classification', 'max_train_examples', -1),
        ('text-classification', 'round_to', 0),
        ('text-classification', 'max_len', 2.5),
        ('multi-label-classification', 'batch_size', 0),
        ('question-answering', 'doc_stride', 0),
        ('question-answering', 'n_best_size', 0),
        ('token-classification', 'dropout', 1.5),
        ('token-classification', 'crf_lr', 0.0),
        ('token-classification', 'overlap', -1),
        ('text-classification', 'optimizer', 'bertadm'),
        ('text-classification', 'learning_rate', -1.0),
    ],
)
def test_impossible_options_are_refused_before_anything_is_read(tmp_path, task, option, value):
    with pytest.raises(ValueError, match=f'^{option}[= ]'):
        finetune(task, train='none', output_dir=tmp_path / 'out', **{option: value})
    assert not (tmp_path / 'out').exists()
