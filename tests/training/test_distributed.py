"""Processes that add up by gloo come to what one process does with the same batches."""

import json
import os
import re

import numpy as np
import pytest
from distributed_run import do, finish, start
from pretraining_files import SIZES, from_scratch, write_files, write_vocabulary

from gluon_bert.checkpoint.gluonnlp.params_file import read_params

pytest.importorskip('torch', reason='gloo is that of PyTorch')
FAST = {'learning_rate': 1e-3, 'epsilon': 1e-3, 'log_interval': 5}
SHORT = {**FAST, 'training_steps': 4, 'log_interval': 1}
CONTEXT = 'w1 w2 w3 w4 w5 w6'


def write_data(folder):
    """Write data of every task; 9 examples, so that the last batch of 4 has but one."""
    write_files(folder)
    rows = ''.join(f'w{number} w{number % 2} w7,{number % 2}\n' for number in range(9))
    (folder / 'train.csv').write_text(f'text,label\n{rows}')
    (folder / 'other.csv').write_text(f'text,label\n{rows}w8,1\n')
    tagged = [f'w{number}\tO\nw9\tB-x\nw{2 * number}\tO\n' for number in range(9)]
    (folder / 'train.conll').write_text('\n'.join(tagged))
    questions = [
        {
            'id': str(number),
            'question': f'w{number}',
            'answers': [{'text': 'w3', 'answer_start': CONTEXT.index('w3')}],
        }
        for number in range(9)
    ]
    content = {'version': '1', 'data': [{'paragraphs': [{'context': CONTEXT, 'qas': questions}]}]}
    (folder / 'train.json').write_text(json.dumps(content))
    pairs = ''.join(f'w{number} w1,w{2 * number},{number / 9}\n' for number in range(9))
    (folder / 'train.pairs.csv').write_text(f'sentence1,sentence2,score\n{pairs}')
    listed = ''.join(f'w{number // 3},w{number} w2,{number % 3 / 2}\n' for number in range(9))
    (folder / 'train.lists.csv').write_text(f'query,document,label\n{listed}')
    (folder / 'texts.txt').write_text('w1 w2 w3 w4 w5.\nw6 w7 w8.\n\nw9 w10 w11 w12.\n' * 6)
    config = {**SIZES, 'hidden_dropout_prob': 0.0, 'attention_probs_dropout_prob': 0.0}
    (folder / 'bert_config.json').write_text(json.dumps(config))
    write_vocabulary(folder / 'other.txt')
    (folder / 'other.txt').write_text((folder / 'vocab.txt').read_text().replace('w91', 'x91'))


def jobs_of(folder):
    """The runs that are compared, by name."""
    scratch = {name: value for name, value in from_scratch(folder).items() if name != 'data'}
    tasks = {
        'entities': ('token-classification', 'conll', {'max_len': 12, 'dropout': 0.0}),
        'questions': ('question-answering', 'json', {'max_seq_length': 16, 'doc_stride': 6}),
        'similarity': ('sentence-similarity', 'pairs.csv', {'loss': 'cosine', 'max_len': 12}),
        'ranking': ('text-ranking', 'lists.csv', {'loss': 'listwise', 'max_len': 12}),
    }
    jobs = {
        name: dict(
            **{'kind': 'finetune', 'task': task, **scratch, **SHORT, **options, 'batch_size': 4},
            train=folder / f'train.{ending}',
            dev=folder / f'train.{ending}',
        )
        for name, (task, ending, options) in tasks.items()
    }
    jobs['pretrain'] = {
        **{'kind': 'pretrain', **scratch, **SHORT, 'batch_size': 5, 'dropout': 0.0},
        'data': folder / 'train.npz',
        'eval_data': folder / 'dev.npz',
        'dynamic_masking': True,
    }
    jobs['texts'] = {
        **{'kind': 'pretrain', **scratch, **SHORT, 'batch_size': 5, 'dropout': 0.0},
        'texts': folder / 'texts.txt',
        'objective': 'masked_words',
    }
    return {
        'classifier': dict(kind='fit', task='classes', options={**FAST, 'epochs': 4}),
        'masked': dict(kind='fit', task='pretraining', options={**FAST, 'training_steps': 20}),
        **jobs,
    }


# What is wrong with process 1, and what all say of it.
REFUSED = {
    'options': ({'learning_rate': 0.5}, 'rank 1 has learning_rate=0.5, rank 0 learning_rate=0.001'),
    'seed': ({'seed': 4}, 'rank 1 has .*seed=4, rank 0 seed=3'),
    'log_interval': ({'log_interval': 2}, 'rank 1 has log_interval=2, rank 0 log_interval=1'),
    'data': ({'train': 'other.csv'}, 'rank 1 has .*data sequences=10, rank 0 data sequences=9'),
    'vocabulary': ({'vocab_file': 'other.txt'}, "rank 1 has .*tokenizer='.*', rank 0 tokenizer='"),
    'version': ({'version': '9.9'}, "rank 1 has version of gluon_bert='9.9', rank 0"),
    'steps': ({'training_steps': 5}, 'rank 1 has training_steps=5, rank 0 training_steps=4'),
}


def refused_jobs(folder):
    jobs = jobs_of(folder)
    jobs['small buckets'] = {**jobs['masked'], 'buckets': (1e-3, 'float32')}
    jobs['bfloat16'] = {**jobs['masked'], 'buckets': (1e-2, 'bfloat16')}
    base = {**jobs['entities'], 'task': 'text-classification', 'train': folder / 'train.csv'}
    del base['dev'], base['dropout']
    for name, (changes, _) in REFUSED.items():
        changes = {
            key: folder / value if key in ('train', 'vocab_file') else value
            for key, value in changes.items()
        }
        jobs[f'refused {name}'] = {**base, 'rank1': changes}
    return jobs


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    """Do all jobs in two processes; folder, jobs, and the notes of both."""
    folder = tmp_path_factory.mktemp('distributed')
    write_data(folder)
    jobs = refused_jobs(folder)
    jobs['broken'] = {**jobs['pretrain'], 'training_steps': 9, 'stop': 4}
    del jobs['broken']['eval_data']
    rows = [{**job, 'out': folder / 'two' / name} for name, job in jobs.items()]
    (folder / 'two').mkdir()
    codes, errors, notes = finish(folder, start(folder, rows))
    assert codes == [0, 0], errors
    return folder, jobs, [dict(zip(jobs, rank)) for rank in notes]


def parameters(path, kind):
    if kind == 'fit':
        return dict(np.load(f'{path}.npz'))
    (file,) = path.glob('*.params')
    return read_params(file)


def log_of(path):
    rows = map(json.loads, (path / 'metrics.jsonl').read_text().splitlines())
    timed = ('seconds', 'interval_seconds', 'tokens_per_second', 'seconds_per_step')
    return [{name: row[name] for name in row if name not in timed} for row in rows]


@pytest.mark.parametrize(
    'name',
    ['classifier', 'masked', 'entities', 'questions', 'similarity', 'ranking', 'pretrain', 'texts'],
)
def test_two_processes_come_to_what_one_does(runs, name):
    folder, jobs, (first, second) = runs
    assert first[name] == second[name], 'the processes differ'
    do(None, **jobs[name], out=folder / 'one' / name)
    kind = jobs[name]['kind']
    expected = parameters(folder / 'one' / name, kind)
    found = parameters(folder / 'two' / name, kind)
    assert found.keys() == expected.keys()
    for key, array in expected.items():
        np.testing.assert_allclose(found[key], array, rtol=0, atol=1e-6, err_msg=key)
    rows, others = log_of(folder / 'two' / name), log_of(folder / 'one' / name)
    assert len(rows) == len(others)
    for row, other in zip(rows, others):
        assert row == pytest.approx(other, rel=1e-4) if 'metrics' not in row else row.keys()


def test_sizes_and_types_of_buckets(runs):
    folder, _, (first, second) = runs
    assert first['small buckets'] == first['masked'] != first['bfloat16'] == second['bfloat16']
    low, expected = (parameters(folder / 'two' / name, 'fit') for name in ('bfloat16', 'masked'))
    for key, array in expected.items():  # a bfloat16 has 8 bits of precision
        np.testing.assert_allclose(low[key], array, rtol=0, atol=2e-3, err_msg=key)


def test_a_run_goes_on_with_any_number_of_processes(runs):
    """Begun by two processes, gone on with by one, ended by two, the last of which then fails."""
    folder, jobs, notes = runs
    out = folder / 'two' / 'broken'
    assert [note['broken'] for note in notes] == ['Interrupted: stopped after step 4 of 9'] * 2
    # Step 5 ends the epoch, which the second look for batches finds.
    job = {**jobs['broken'], 'resume': True, 'stop': 3}
    assert do(None, **job, out=out) == 'Interrupted: stopped after step 6 of 9'
    del job['stop']
    failing = {'kind': 'fail', 'out': folder, 'reason': '', 'rank1': {'reason': 'the disk is full'}}
    folder_of_pair = folder / 'resumed'
    pair = start(folder_of_pair, [{**job, 'out': out}, failing])
    codes, errors, resumed = finish(folder_of_pair, pair)
    assert [notes for (notes,) in resumed] == [[9, {}]] * 2
    assert 0 not in codes
    assert 'ProcessFailed: rank 0 ends: rank 1: RuntimeError: the disk is full' in errors[0]
    del job['resume']
    do(None, **job, out=folder / 'one' / 'broken')
    found, expected = (parameters(folder / name / 'broken', 'pretrain') for name in ('two', 'one'))
    for key, array in expected.items():
        np.testing.assert_allclose(found[key], array, rtol=0, atol=1e-6, err_msg=key)


def test_one_process_writes_and_the_other_has_a_log(runs):
    folder, _, _ = runs
    for name, log in (('entities', 'log_ner.txt.1'), ('pretrain', 'phase1_log.1')):
        two, one = (set(os.listdir(folder / where / name)) for where in ('two', 'one'))
        assert two - one == {log}
    assert '[step 4]\tmlm_loss=' in (folder / 'two' / 'pretrain' / 'phase1_log.1').read_text()


@pytest.mark.parametrize('name', REFUSED)
def test_processes_that_differ_are_refused_by_name(runs, name):
    folder, _, notes = runs
    pattern = f'^ValueError: the processes do not train the same: {REFUSED[name][1]}'
    for note in notes:
        assert re.search(pattern, note[f'refused {name}'])
    assert not list((folder / 'two' / f'refused {name}').glob('*.*'))
