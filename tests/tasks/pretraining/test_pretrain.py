# ruff: noqa: F811 (fixtures are imported)
"""Pre-training from files: what a run writes, goes on from, and refuses."""

import json
import logging
import resource
from dataclasses import replace

import numpy as np
import pytest
from pretraining_files import SIZES, draw_records, from_scratch, write_files, write_vocabulary
from script_runs import byte_pair_tokenizer, tiny_pipeline, tokenizer  # noqa: F401 (fixtures)

import gluon_bert as gb
from gluon_bert.cli.output import error_text
from gluon_bert.data.pretraining.records import write_records
from gluon_bert.tasks.pretrain import PretrainingPhase, PretrainingPlan, pretrain
from gluon_bert.tasks.pretraining import options as pretraining_options
from gluon_bert.tasks.pretraining.run import PretrainingRun
from gluon_bert.training import run as training_run
from gluon_bert.zoo import tables


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    monkeypatch.setattr(training_run, 'plot_training', lambda *arguments: None)


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp('files')
    write_files(folder)
    return folder


def run(files, folder, **options):
    options = {'training_steps': 6, 'log_interval': 2, **from_scratch(files), **options}
    return pretrain(output_dir=folder, **options)


def rows_of(folder):
    return [json.loads(line) for line in (folder / 'metrics.jsonl').read_text().splitlines()]


def test_the_result_is_a_model(files, tmp_path):
    done = run(files, tmp_path / 'run')
    network, tokenizer = gb.load_model(done.model, task='pretraining')
    assert (len(tokenizer.vocabulary), network.config.num_layers) == (97, 2)
    assert network.config.dropout == 0.1
    saved = gb.checkpoint.read_checkpoint(done.model)
    trained = gb.BertForPretraining(gb.BertModel(saved.config))
    trained.load_parameters(done.result.best_path)
    for name, array in trained.checkpoint_arrays().items():
        np.testing.assert_array_equal(array, saved.arrays[name])
    assert json.loads((done.model / 'config.json').read_text())['architectures'] == [
        'BertForPreTraining'
    ]


def test_lines_and_metrics_have_the_names_of_gluonnlp_and_google(files, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    run(files, tmp_path, eval_data=files / 'dev.npz', evaluate_every=3)
    lines = [line for line in caplog.messages if line.startswith('[step')]
    assert len(lines) == 3
    fields = [part.split('=')[0] for part in lines[0].split('\t')]
    assert fields[1:5] == ['mlm_loss', 'mlm_acc', 'nsp_loss', 'nsp_acc']
    assert lines[0].startswith('[step 2]\tmlm_loss=4.')
    assert 'K tks/s\tlr=0.0000667 time=' in lines[0] and 'ms/step' in lines[0]
    evaluations = [row for row in rows_of(tmp_path) if 'metrics' in row]
    assert [row['step'] for row in evaluations] == [3, 6]
    assert list(evaluations[0]['metrics']) == [
        'masked_lm_accuracy',
        'masked_lm_loss',
        'next_sentence_accuracy',
        'next_sentence_loss',
    ]
    losses = [row for row in rows_of(tmp_path) if 'loss' in row]
    assert all(0 <= row['masked_lm_accuracy'] <= 1 for row in losses)
    assert all(row['tokens_per_second'] > 0 for row in losses)
    assert 'masked_lm_accuracy = ' in (tmp_path / 'pretraining.log').read_text()


def test_the_card_says_what_the_model_is(files, tmp_path):
    done = run(files, tmp_path / 'a', eval_data=files / 'dev.npz')
    card = (done.model / 'README.md').read_text()
    assert card.startswith('---\nlibrary_name: transformers\npipeline_tag: fill-mask\n')
    assert '* Started from: random parameters\n* Steps: 6\n' in card
    assert '| masked_lm_loss | 4.' in card and 'Vocabulary: 97 tokens, lower-cased text' in card
    options = {'data': files / 'train.npz', 'training_steps': 1, 'objective': 'replaced_tokens'}
    second = pretrain(done.model, output_dir=tmp_path / 'b', generator_size=0.5, **options)
    card = (second.model / 'README.md').read_text()
    assert 'fill-mask' not in card and '* Started from: model' in card
    assert str(tmp_path) not in card


def test_it_learns_and_evaluation_is_that_of_numpy(files, tmp_path):
    done = run(
        files,
        tmp_path,
        eval_data=files / 'dev.npz',
        training_steps=30,
        learning_rate=1e-2,
        evaluate_every=30,
        eval_batch_size=4,
    )
    (metrics,) = [row['metrics'] for row in rows_of(tmp_path) if 'metrics' in row]
    network, _ = gb.load_model(done.model, task='pretraining')
    losses, hits, follow_losses, follow_hits = [], [], [], []
    for record in draw_records(10, seed=2):
        arrays = [
            record.token_ids,
            record.token_types,
            len(record.token_ids),
            record.masked_positions,
        ]
        outputs = network(*(gb.training.batches.mx.nd.array(np.array([a])) for a in arrays))
        for target, scores, lost, right in (
            (record.masked_ids, outputs.masked_lm.asnumpy()[0], losses, hits),
            (
                np.array([record.next_sentence]),
                outputs.next_sentence.asnumpy(),
                follow_losses,
                follow_hits,
            ),
        ):
            scores = scores - scores.max(axis=1, keepdims=True)
            scores = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
            lost += (-scores[np.arange(len(target)), target]).tolist()
            right += (scores.argmax(axis=1) == target).tolist()
    expected = {
        'masked_lm_accuracy': np.mean(hits),
        'masked_lm_loss': np.mean(losses),
        'next_sentence_accuracy': np.mean(follow_hits),
        'next_sentence_loss': np.mean(follow_losses),
    }
    assert metrics == pytest.approx(expected, rel=1e-4)
    losses = [row['loss'] for row in rows_of(tmp_path) if 'loss' in row]
    assert losses[-1] < losses[0] - 1


PLAN = PretrainingPlan(
    (
        PretrainingPhase(training_steps=4, batch_size=8, learning_rate=3e-3),
        PretrainingPhase(training_steps=3, batch_size=4, learning_rate=1e-3, accumulate=2),
    )
)


class Killed(BaseException):
    pass


@pytest.mark.parametrize(
    'step, options',
    [
        (2, {}),
        (4, {'dynamic_masking': True}),
        (5, {'dynamic_masking': True, 'optimizer': 'lamb'}),
        (6, {'objective': 'replaced_tokens', 'generator_size': 0.5}),
    ],
)
def test_killed_in_any_phase_it_ends_bit_equal(files, tmp_path, monkeypatch, step, options):
    options = {
        **options,
        'plan': PLAN,
        'training_steps': None,
        'checkpoint_interval': 1,
        'keep_checkpoints': 2,
    }
    expected = run(files, tmp_path / 'unbroken', **options)
    after_step = PretrainingRun._after_step

    def dies(this, stop):
        after_step(this, stop)
        if this.progress.step == step:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(PretrainingRun, '_after_step', dies)
        with pytest.raises(Killed):
            run(files, tmp_path / 'broken', **options)
    done = run(files, tmp_path / 'broken', **options, resume=True)
    assert done.result.steps == 7
    for name in ('bert_2.params', 'model/model.safetensors', 'checkpoints/0000006.params'):
        path = name if name != 'bert_2.params' else done.result.best_path.name
        unbroken, broken = expected.folder / path, done.folder / path
        assert unbroken.read_bytes() == broken.read_bytes(), name
    assert [row['loss'] for row in rows_of(tmp_path / 'broken') if 'loss' in row] == [
        row['loss'] for row in rows_of(tmp_path / 'unbroken') if 'loss' in row
    ]


def test_checkpoints_rotate_and_belong_to_gluonnlp(files, tmp_path):
    run(files, tmp_path, checkpoint_interval=2, keep_checkpoints=2)
    folder = tmp_path / 'checkpoints'
    assert sorted(path.name for path in folder.iterdir()) == ['0000004.params', '0000006.params']
    run(files, tmp_path, checkpoint_interval=5, keep_checkpoints=2, overwrite=True)
    assert [path.name for path in folder.iterdir()] == ['0000005.params']


def test_the_printed_rows_make_a_model_of_the_zoo(files, tmp_path, monkeypatch):
    done = run(files, tmp_path, zoo_name='tiny_words_uncased')
    assert done.zoo_rows == (tmp_path / 'zoo' / 'rows.py').read_text()
    scope = vars(gb.zoo.schema).copy()
    exec(done.zoo_rows, scope)
    (key,) = scope['WEIGHTS']
    assert key == ('bert_2_24_2', 'tiny_words_uncased')
    for name, table in (
        ('ARCHITECTURES', tables.architectures.ARCHITECTURES),
        ('VOCABULARIES', tables.vocabularies.VOCABULARIES),
        ('WEIGHTS', tables.weights.WEIGHTS),
    ):
        for row, value in scope[name].items():
            monkeypatch.setitem(table, row, value)
    network, vocab = gb.get_model(
        *key, root=tmp_path / 'zoo', use_decoder=True, use_classifier=True
    )
    trained, _ = gb.load_model(done.model, task='pretraining')
    for name, array in trained.checkpoint_arrays().items():
        np.testing.assert_array_equal(network.checkpoint_arrays()[name], array)
    assert len(vocab) == 97 and vocab.mask_token == '[MASK]'
    parameters = network.bert.collect_params().values()
    assert scope['WEIGHTS'][key].num_params == sum(p.data().size for p in parameters)


def test_training_goes_on_from_a_model(files, tmp_path, caplog):
    first = run(files, tmp_path / 'first', training_steps=20, learning_rate=1e-2)
    options = {'data': files / 'train.npz', 'training_steps': 2, 'log_interval': 1, 'batch_size': 8}
    second = pretrain(first.model, output_dir=tmp_path / 'second', **options, dropout=0.0)
    began = rows_of(tmp_path / 'second')[0]['masked_words_loss']
    ended = rows_of(tmp_path / 'first')[-1]['masked_words_loss']
    assert began < ended + 0.3 < np.log(97)
    assert not any('randomly initialised' in line for line in caplog.messages)
    assert gb.load_model(second.model)[0].config.dropout == 0.1


def test_a_trained_model_is_evaluated_before_and_after(files, tmp_path, monkeypatch):
    held_out = {'eval_data': files / 'dev.npz'}
    first = run(files, tmp_path / 'first', training_steps=20, learning_rate=1e-2, **held_out)
    assert next(row['step'] for row in rows_of(tmp_path / 'first') if 'metrics' in row) > 0
    options = {
        'data': files / 'train.npz', 'training_steps': 3, 'batch_size': 8, **held_out,
        'learning_rate': 1e-2, 'output_dir': tmp_path / 'second',
    }  # fmt: skip

    def dies(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(PretrainingRun, 'step', dies)
        with pytest.raises(Killed):
            pretrain(first.model, **options)
    second = pretrain(first.model, **options, resume=True)
    before, after = [row for row in rows_of(tmp_path / 'second') if 'metrics' in row]
    assert (before['step'], after['step']) == (0, 3)
    assert before['metrics'] == pytest.approx(first.result.best_metrics, rel=1e-5)
    assert second.result.best_metrics == after['metrics'] != before['metrics']


def test_a_pooler_that_no_loss_reads_stays(files, tmp_path):
    first = run(files, tmp_path / 'first', training_steps=2)
    second = pretrain(
        first.model,
        output_dir=tmp_path / 'second',
        data=files / 'train.npz',
        training_steps=2,
        objective='masked_words',
    )
    before, after = map(gb.checkpoint.read_checkpoint, (first.model, second.model))
    assert after.heads == ('pooler', 'masked_lm')
    np.testing.assert_array_equal(before.arrays['pooler.weight'], after.arrays['pooler.weight'])
    changed = 'encoder.position_weight'
    assert not np.array_equal(before.arrays[changed], after.arrays[changed])


def test_heads_that_are_missing_are_drawn_and_said(files, tmp_path, caplog, monkeypatch):
    first = run(files, tmp_path / 'first', training_steps=1, objective='masked_words')
    pretrain(
        first.model, output_dir=tmp_path / 'second', data=files / 'train.npz', training_steps=1
    )
    text = [line for line in caplog.messages if 'randomly initialised' in line]
    assert len(text) == 1 and 'has no pooler and no next_sentence' in text[0]


@pytest.mark.parametrize('objective', ['sentence_order', 'replaced_tokens'])
def test_other_objectives_give_models_too(files, tmp_path, caplog, objective):
    done = run(files, tmp_path, objective=objective, generator_size=0.5, training_steps=2)
    network, _ = gb.load_model(done.model)
    assert network.config.units == 24
    assert f'{objective}_loss' in rows_of(tmp_path)[-1]
    said = [line for line in caplog.messages if 'label of a record is taken to be 1 where' in line]
    assert len(said) == (objective == 'sentence_order')


def test_a_finished_run_gives_its_result(files, tmp_path):
    first = run(files, tmp_path)
    before = (tmp_path / 'model' / 'model.safetensors').read_bytes()
    with pytest.raises(ValueError, match='there is a finished run; resume or overwrite it'):
        run(files, tmp_path)
    again = run(files, tmp_path, resume=True)
    assert again.result == first.result
    assert (tmp_path / 'model' / 'model.safetensors').read_bytes() == before


@pytest.mark.parametrize(
    'options, message',
    [
        ({'data': None}, 'data: is needed: records, or texts'),
        ({'texts': 'some.txt'}, 'texts: does not go with data'),
        ({'objective': 'masked_word'}, "objective 'masked_word'"),
        ({'max_seq_length': 64}, 'max_seq_length=64: the model takes 40 tokens at most'),
        ({'max_seq_length': 8}, r'train\.npz: record \d+: it has \d+ tokens, at most 8 are'),
        ({'evaluate_every': 5}, 'evaluate_every: needs eval_data or eval_texts'),
        ({'early_stop': 5}, 'early_stop: the last parameters are taken'),
        ({'whole_word_mask': True}, 'whole_word_mask: goes with texts or dynamic_masking'),
        ({'masked_lm_prob': 0.3}, 'masked_lm_prob: goes with texts or dynamic_masking'),
        ({'short_seq_prob': 0.3}, 'short_seq_prob: goes with texts or eval_texts'),
        ({'max_predictions_per_seq': 1}, 'max_predictions_per_seq=1: a record has 2 masked'),
        ({'zoo_name': 'a/b'}, "zoo_name='a/b': expected letters, digits and _"),
        ({'generator_size': 0.0, 'objective': 'replaced_tokens'}, 'generator_size=0.0: expected'),
        ({'hours': 1.0}, 'hours=1.0: does not go with training_steps'),
        ({'data': 'nowhere/*.npz'}, r'nowhere/\*\.npz: no such file'),
    ],
)
def test_wrong_options_are_refused_and_nothing_is_written(files, tmp_path, options, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        run(files, tmp_path / 'run', **options)
    assert not (tmp_path / 'run').exists() or {*options} & {*NAMED_BY_RECORDS}


def test_records_of_another_vocabulary_are_refused(files, tmp_path):
    write_records(tmp_path / 'other.npz', draw_records(8, vocab_size=300))
    with pytest.raises(ValueError, match=r'other\.npz: record \d: .* expected from 0 to 96'):
        run(files, tmp_path / 'run', data=tmp_path / 'other.npz')
    with pytest.raises(ValueError, match=r'other\.npz: record \d: .* expected from 0 to 96'):
        run(files, tmp_path / 'run', eval_data=tmp_path / 'other.npz')
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('name', ['.params', 'training_state.safetensors'])
def test_a_full_disk_is_named_and_the_run_goes_on_later(files, tmp_path, name):
    expected = run(files, tmp_path / 'unbroken')
    size = expected.result.best_path.stat().st_size  # a third of the state's after a step
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = size - 1 if name == '.params' else 2 * size
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(OSError) as caught:
            run(files, tmp_path / 'run', checkpoint_interval=100 if name == '.params' else 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    message = error_text(caught.value)
    assert message.startswith(str(tmp_path / 'run')) and name in message
    assert 'File too large' in message and '\n' not in message
    assert not list((tmp_path / 'run').glob('.*'))
    done = run(files, tmp_path / 'run', resume=True)
    assert done.result.best_path.read_bytes() == expected.result.best_path.read_bytes()


@pytest.mark.parametrize('token', ['[MASK]', '[PAD]'])
def test_vocabularies_without_the_tokens_are_refused(files, tmp_path, token):
    write_vocabulary(tmp_path / 'vocab.txt')
    text = (tmp_path / 'vocab.txt').read_text().replace(token, 'other')
    (tmp_path / 'vocab.txt').write_text(text)
    with pytest.raises(ValueError, match=r'the vocabulary has no \w+ token|\[\w+\]'):
        run(files, tmp_path / 'run', vocab_file=tmp_path / 'vocab.txt')


def test_a_configuration_of_another_vocabulary_is_refused(files, tmp_path):
    (tmp_path / 'c.json').write_text(json.dumps({**SIZES, 'vocab_size': 98}))
    with pytest.raises(ValueError, match='has vocab_size 98, but the vocabulary has 97 tokens'):
        run(files, tmp_path / 'run', bert_config_file=tmp_path / 'c.json')


NAMED_BY_RECORDS = ('max_seq_length', 'max_predictions_per_seq')  # found while they are read


@pytest.mark.parametrize('name', ['model', 'zoo'])
@pytest.mark.parametrize('overwrite', [False, True])
def test_folders_that_are_of_no_run_stay(files, tmp_path, name, overwrite):
    (tmp_path / name).mkdir()
    (tmp_path / name / 'precious').write_text('of the user')
    with pytest.raises(ValueError, match='is there, and is not of a run of pre-training'):
        run(files, tmp_path, overwrite=overwrite)
    assert [path.name for path in tmp_path.rglob('*')] == [name, 'precious']


def test_a_new_run_removes_the_model_of_the_earlier_one(files, tmp_path, monkeypatch):
    run(files, tmp_path, zoo_name='tiny_uncased')
    monkeypatch.setattr(PretrainingRun, 'train', lambda this, stop: [].pop())
    with pytest.raises(IndexError):
        run(files, tmp_path, overwrite=True)
    assert not (tmp_path / 'model').exists() and not (tmp_path / 'zoo').exists()


def test_what_cannot_be_written_is_refused_before_the_training(files, tmp_path, monkeypatch):
    """transformers' DistilBERT has no head for the next sentence."""
    config = {
        'model_type': 'distilbert',
        'dim': 24,
        'hidden_dim': 48,
        'n_layers': 2,
        'n_heads': 2,
        'vocab_size': 97,
        'max_position_embeddings': 40,
    }
    (tmp_path / 'c.json').write_text(json.dumps(config))
    options = {'bert_config_file': tmp_path / 'c.json'}
    with pytest.raises(ValueError, match='objective=pretraining: there is no place for its heads'):
        run(files, tmp_path / 'run', **options)
    assert not (tmp_path / 'run').exists()
    done = run(files, tmp_path / 'run', **options, objective='masked_words', training_steps=1)
    assert gb.checkpoint.read_checkpoint(done.model).family == 'distilbert'


def test_the_bert_of_a_fine_tuned_folder_goes_on(files, tmp_path, tiny_pipeline):
    tiny_pipeline('text-classification', folder=tmp_path / 'tuned')
    write_records(tmp_path / 'a.npz', draw_records(8, vocab_size=23))
    done = pretrain(
        tmp_path / 'tuned',
        output_dir=tmp_path / 'run',
        data=tmp_path / 'a.npz',
        training_steps=1,
        learning_rate=1e-9,
    )
    before, after = map(gb.checkpoint.read_checkpoint, (tmp_path / 'tuned', done.model))
    name = 'encoder.position_weight'
    np.testing.assert_allclose(before.arrays[name], after.arrays[name], atol=1e-6)
    assert after.heads == ('pooler', 'next_sentence', 'masked_lm')


def test_byte_pairs_and_a_roberta(tmp_path):
    tokens = byte_pair_tokenizer(tmp_path)
    config = {
        'model_type': 'roberta',
        **SIZES,
        'vocab_size': len(tokens.vocabulary),
        'type_vocab_size': 1,
        'pad_token_id': 1,
        'max_position_embeddings': 42,
    }
    (tmp_path / 'config.json').write_text(json.dumps(config))
    (tmp_path / 'my.txt').write_text('the cat sleeps\na dog barks\n\nthe sun\n' * 9)
    done = pretrain(
        output_dir=tmp_path / 'run',
        texts=tmp_path / 'my.txt',
        from_scratch=True,
        vocab_file=tmp_path,
        bert_config_file=tmp_path / 'config.json',
        objective='masked_words',
        max_seq_length=16,
        training_steps=2,
    )
    saved = gb.checkpoint.read_checkpoint(done.model)
    assert (saved.family, saved.heads) == ('roberta', ('masked_lm',))
    with pytest.raises(ValueError, match='zoo_name.*no place for a BytePairTokenizer'):
        pretrain(
            done.model,
            output_dir=tmp_path / 'b',
            texts=tmp_path / 'my.txt',
            objective='masked_words',
            zoo_name='x',
        )


def test_unknown_options_name_the_nearest(files, tmp_path):
    with pytest.raises(TypeError, match='is no option of pretrain; did you mean .*objective'):
        run(files, tmp_path, objectiv='masked_words')


def test_plans_are_read_from_text():
    plan = PretrainingPlan.parse(['training_steps=3,learning_rate=1e-3', 'hours=0.5, data=a.npz'])
    assert plan.phases == (
        PretrainingPhase(training_steps=3, learning_rate=1e-3),
        PretrainingPhase(hours=0.5, data='a.npz'),
    )
    for text, message in (
        ('training_step=3', 'did you mean .*training_steps'),
        ('training_steps', 'expected NAME=VALUE'),
        ('training_steps=three', 'training_steps is no number'),
    ):
        with pytest.raises(ValueError, match=message):
            PretrainingPlan.parse([text])


def test_phases_change_what_they_name():
    data = pretraining_options.PretrainingData(data='a', batch_size=4)
    options = gb.training.TrainingOptions(training_steps=5)
    plan = PretrainingPlan((PretrainingPhase(hours=2.0, texts='b'), PretrainingPhase()))
    first, second = plan.apply(data, options)
    assert first == (
        replace(data, data=None, texts='b'),
        replace(options, training_steps=None, hours=2.0),
    )
    assert second == (data, options)
