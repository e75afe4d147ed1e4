"""Pre-training on texts: records are made of them once, and masked anew in each epoch."""

import json

import numpy as np
import pytest
from pretraining_files import from_scratch, write_files

import gluon_bert as gb
from gluon_bert.data.pretraining.records import read_records
from gluon_bert.tasks.pretrain import pretrain
from gluon_bert.training import run as training_run


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    monkeypatch.setattr(training_run, 'plot_training', lambda *arguments: None)


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp('files')
    write_files(folder)
    for name, seed in (('texts', 1), ('held_out', 2)):
        rng = np.random.RandomState(seed)
        documents = (
            '\n'.join(
                ' '.join(f'w{number}' for number in rng.randint(0, 92, rng.randint(3, 9)))
                for _ in range(rng.randint(4, 9))
            )
            for _ in range(12)
        )
        (folder / f'{name}.txt').write_text('\n\n'.join(documents) + '\n')
    return folder


def run(files, folder, **options):
    start = {**from_scratch(files), 'data': None, 'texts': files / 'texts.txt'}
    options = {'max_seq_length': 24, 'training_steps': 20, 'log_interval': 5, **options}
    return pretrain(output_dir=folder, **{**start, **options})


def rows_of(folder):
    return [json.loads(line) for line in (folder / 'metrics.jsonl').read_text().splitlines()]


@pytest.mark.parametrize('objective', ['pretraining', 'masked_words', 'sentence_order'])
def test_records_are_made_for_the_objective(files, tmp_path, objective):
    done = run(
        files, tmp_path, objective=objective, eval_texts=files / 'held_out.txt', evaluate_every=10
    )
    names = sorted(path.name for path in (tmp_path / 'records').iterdir())
    assert len(names) == 2 and all(name.endswith('.tfrecord') for name in names)
    metrics = [row['metrics'] for row in rows_of(tmp_path) if 'metrics' in row]
    assert len(metrics) == 2 and metrics[-1]['masked_lm_loss'] < 4.7
    labels = {
        record.next_sentence
        for name in names
        for record in read_records(tmp_path / 'records' / name, 97, 24)
    }
    assert labels >= {0, 1} if objective != 'masked_words' else True
    assert gb.load_model(done.model)[0].config.vocab_size == 97


def test_a_resumed_run_takes_the_same_records(files, tmp_path):
    whole = run(files, tmp_path / 'whole')
    records = tmp_path / 'whole' / 'records'
    (path,) = records.iterdir()
    before = path.stat().st_mtime_ns
    (records / f'{path.name}.work').mkdir()  # as a kill leaves it
    again = run(files, tmp_path / 'whole', resume=True)
    assert again.result == whole.result and path.stat().st_mtime_ns == before
    assert list(records.iterdir()) == [path]
    other = run(files, tmp_path / 'whole', overwrite=True, short_seq_prob=0.5)
    assert len(list(records.iterdir())) == 2 and other.result.steps == 20


def test_masks_differ_from_epoch_to_epoch(files, tmp_path):
    done = run(files, tmp_path, epochs=2, training_steps=None, log_interval=1)
    again = run(files, tmp_path / 'again', epochs=2, training_steps=None, log_interval=1)
    assert done.result.steps == again.result.steps
    assert done.result.best_path.read_bytes() == again.result.best_path.read_bytes()


@pytest.mark.parametrize(
    'text, message',
    [
        (b'', 'there is no text in it'),
        (b'w1 w2 w3\nw4 w5\n', 'is one document'),
        (b'w1 \xff\n\nw2\n', 'not UTF-8'),
    ],
)
def test_texts_that_are_none_are_refused(files, tmp_path, text, message):
    (tmp_path / 'bad.txt').write_bytes(text)
    with pytest.raises(ValueError, match=message) as caught:
        run(files, tmp_path / 'out', texts=tmp_path / 'bad.txt')
    assert 'bad.txt' in str(caught.value)
    assert not (tmp_path / 'out').exists()


def test_whole_words_and_more_masks(files, tmp_path):
    run(files, tmp_path, whole_word_mask=True, masked_lm_prob=0.4, training_steps=1)
    (path,) = (tmp_path / 'records').iterdir()
    counts = [(len(record.masked_ids), len(record.token_ids)) for record in read_records(path)]
    assert np.mean([masked / tokens for masked, tokens in counts]) > 0.3


def test_a_model_goes_on_with_texts_in_one_call(files, tmp_path, real_folder):
    """all-MiniLM has no head for masked words: it is drawn, and learned."""
    text = 'The cat sleeps on the mat.\nIt is warm there.\n\n' * 6
    (tmp_path / 'my.txt').write_text(text)
    done = pretrain(
        'bert_6_384_12/all_minilm_l6_v2',
        texts=tmp_path / 'my.txt',
        output_dir=tmp_path / 'out',
        training_steps=1,
        batch_size=2,
        objective='masked_words',
    )
    network, tokenizer = gb.load_model(done.model, task='pretraining')
    assert network.config.units == 384 and tokenizer.lower
