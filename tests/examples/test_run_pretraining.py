# ruff: noqa: F811 (fixtures are imported)
"""The script run_pretraining.py: the published commands of GluonNLP and Google, and errors."""

import json

import create_pretraining_data
import pytest
import run_pretraining
from pretraining_files import SIZES, draw_records
from script_runs import run_script, tiny_folder, tokenizer, undisturbed  # noqa: F401 (fixtures)

import gluon_bert as gb
from gluon_bert.data.pretraining.records import write_records
from gluon_bert.training import run as training_run

LONG = {'max_position_embeddings': 128}


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    monkeypatch.setattr(training_run, 'plot_training', lambda *arguments: None)


@pytest.fixture
def bert(tiny_folder, tmp_path, monkeypatch):
    """A TensorFlow checkpoint, and records of its vocabulary in the working folder."""
    folder, _ = tiny_folder('tensorflow')
    monkeypatch.chdir(tmp_path)
    for name in ('tf_examples.tfrecord', 'dev.npz'):
        write_records(name, draw_records(12, vocab_size=23), max_length=20, max_predictions=2)
    return folder


def rows_of(folder):
    return [json.loads(line) for line in (folder / 'metrics.jsonl').read_text().splitlines()]


def test_the_command_of_googles_readme(bert, run_script, tmp_path):
    words = (
        '--input_file=tf_examples.tfrecord --output_dir=out --do_train=True --do_eval=True '
        f'--bert_config_file={bert}/bert_config.json --init_checkpoint={bert}/bert_model.ckpt '
        '--train_batch_size=4 --max_seq_length=32 --max_predictions_per_seq=20 '
        '--num_train_steps=20 --num_warmup_steps=10 --learning_rate=2e-5 --eval_batch_size=8 '
        '--save_checkpoints_steps=5 --iterations_per_loop=1000 --max_eval_steps=2 --use_tpu=False'
    ).split()
    code, out, log = run_script(run_pretraining, *words, '--log_interval', 1)
    assert code == 0, log
    rows = rows_of(tmp_path / 'out')
    rates = [row['learning_rate'] for row in rows if 'loss' in row]
    assert len(rates) == 20 and max(rates) == rates[9] == pytest.approx(2e-5)
    assert [row['step'] for row in rows if 'metrics' in row] == [0, 20]
    assert 'masked_lm_accuracy = ' in log and 'next_sentence_loss = ' in log
    network, tokenizer = gb.load_model(out.strip(), task='pretraining')
    assert len(tokenizer.vocabulary) == 23 == network.config.vocab_size


def test_the_sample_text_of_google_from_text_to_evaluation(
    shared_data, run_script, tmp_path, monkeypatch
):
    """Google's README: sample_text.txt to records, 20 steps, evaluation; on a tiny network."""
    monkeypatch.chdir(tmp_path)
    vocabulary = shared_data / 'vocab' / 'uncased_english' / 'vocab.txt'
    (tmp_path / 'bert_config.json').write_text(json.dumps({**SIZES, 'vocab_size': 30522, **LONG}))
    words = [
        f'--input_file={shared_data}/corpus/sample_text.txt',
        '--output_file=tf_examples.tfrecord',
        f'--vocab_file={vocabulary}',
        *'--do_lower_case=True --max_seq_length=128 --max_predictions_per_seq=20'.split(),
        *'--masked_lm_prob=0.15 --random_seed=12345 --dupe_factor=5'.split(),
    ]
    code, _, log = run_script(create_pretraining_data, *words)
    assert code == 0, log
    words = [
        *'--input_file=tf_examples.tfrecord --output_dir=out --do_train=True'.split(),
        *f'--do_eval=True --bert_config_file=bert_config.json --vocab_file={vocabulary}'.split(),
        *'--train_batch_size=32 --max_seq_length=128 --max_predictions_per_seq=20'.split(),
        *'--num_train_steps=20 --num_warmup_steps=10 --learning_rate=2e-3'.split(),
    ]
    code, _, log = run_script(run_pretraining, *words)
    assert code == 0, log
    (metrics,) = [row['metrics'] for row in rows_of(tmp_path / 'out') if 'metrics' in row]
    assert list(metrics)[::2] == ['masked_lm_accuracy', 'next_sentence_accuracy']
    assert metrics['masked_lm_loss'] < 10.0  # of random scores: 10.3


def test_the_flags_of_gluonnlp(bert, run_script, tmp_path):
    words = (
        f'--data *.tfrecord --data_eval dev.npz --eval_use_npz --total_batch_size 8 --accumulate 2 '
        '--num_steps 6 --optimizer lamb --lr 1e-3 --warmup_ratio 0.5 --log_interval 2 '
        '--ckpt_interval 2 --eval_interval 3 --total_batch_size_eval 4 --no_compute_acc '
        f'--num_buckets 1 --keep_checkpoints 2 --bert_config_file {bert}/bert_config.json'
    ).split()
    code, _, log = run_script(run_pretraining, *words)
    assert code == 0, log
    folder = tmp_path / 'ckpt_dir'
    rows = rows_of(folder)
    assert [row['step'] for row in rows if 'metrics' in row] == [3, 6]
    assert not any('masked_lm_accuracy' in row for row in rows)
    assert sorted(path.name for path in (folder / 'checkpoints').iterdir()) == [
        '0000004.params',
        '0000006.params',
    ]
    assert '[step 2]\tmlm_loss=' in log


@pytest.mark.parametrize(
    'flags, message',
    [
        (['--total_batch_size', '9', '--accumulate', '2'], '--total_batch_size: expected a multi'),
        (['--phase2'], '--phase2: both phases are one run here'),
        (['--start_step', '5'], 'give --resume'),
        (['--max_seq_length', '500'], '--max_seq_length 500: the model takes 40 tokens at most'),
        (['--comm_backend', 'byteps'], '--comm_backend byteps: expected one of device, gloo'),
        (['--dtype', 'float16'], "'float16' is not supported here"),
        (['--num_steps', '2', '--optimizer', 'sgd'], "optimizer 'sgd'"),
        (['--do_train=False', '--do_eval'], '--do_train: False: this script trains, and --do_eval'),
    ],
)
def test_errors_are_one_line(bert, run_script, flags, message):
    words = ['--data', 'dev.npz', '--bert_config_file', bert / 'bert_config.json']
    code, _, log = run_script(run_pretraining, *words, *flags)
    assert code == 2 and message in log.splitlines()[-1]
