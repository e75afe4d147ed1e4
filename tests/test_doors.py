# ruff: noqa: F811 (fixtures are imported)
"""Every door over every kind of folder: one configuration, one tokenizer, one set of outputs."""

import json
import shutil
from dataclasses import asdict, replace

import numpy as np
import pytest
from script_runs import WORDS, tokenizer  # noqa: F401 (fixtures)
from task_folders import AWKWARD, ONE, TASKS, TEXTS, as_line, drawn, predictions, save_fine_tuned

import gluon_bert as gb
from gluon_bert import kernels
from gluon_bert.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from gluon_bert.checkpoint.sentence import Dense, Normalize, SentenceSettings
from gluon_bert.data import valid_transitions
from gluon_bert.families import FAMILIES
from gluon_bert.inference.precision_file import LowPrecision, write_precision
from gluon_bert.inference.sentence_encoder import SentenceEncoder
from gluon_bert.modeling.bert import BertModel
from gluon_bert.modeling.heads import BertForPretraining
from gluon_bert.modeling.tagging import BertCrfTagger
from gluon_bert.tasks.folder import load_task, read_task
from gluon_bert.zoo import load_model, open_checkpoint

pytest_plugins = ['command_fixtures']

FORMS = {'folder': None, 'params': 'out.params', 'huggingface': 'out', 'tensorflow': 'out'}


def odd(tokenizer):
    """A tokenizer whose settings no vocabulary tells."""
    return type(tokenizer)(
        tokenizer.vocab, lower=True, strip_accents=False, max_input_chars_per_word=5
    )


def converted(folder, form, tmp_path, run):
    """Convert a folder to a form; gives the path."""
    if FORMS[form] is None:
        return folder
    target = tmp_path / 'forms' / f'{form}_{FORMS[form]}'
    status, out, err = run('convert', folder, target, '--to', form.replace('params', 'gluonnlp'))
    assert status == 0, err
    assert out.endswith('read back: equal bit by bit\n')
    return target


def outputs_of(checkpoint_or_network, tokenizer):
    """Encodings of the texts."""
    encoder = SentenceEncoder(checkpoint_or_network, tokenizer, pooling='cls')
    return encoder.encode(TEXTS)


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('task', TASKS)
def test_every_door_opens_a_fine_tuned_network_alike(task, form, tokenizer, tmp_path, run):
    settings = save_fine_tuned(tmp_path / 'first', task, odd(tokenizer))
    expected = gb.load_pipeline(tmp_path / 'first')
    path = converted(tmp_path / 'first', form, tmp_path, run)

    pipeline = gb.load_pipeline(path)
    assert (pipeline.task, pipeline.settings) == (task, settings)
    assert pipeline.network.config == AWKWARD
    assert predictions(pipeline) == predictions(expected)

    status, out, _ = run('info', path, '--json')
    facts = json.loads(out)
    assert status == 0 and facts['config'] == asdict(AWKWARD)
    assert facts['labels'] == list(open_checkpoint(tmp_path / 'first').labels)
    assert facts['task'] == {'task': task, **settings}

    network, tokens = load_model(path)
    assert network.config == AWKWARD and tokens.is_like(expected.tokenizer)
    np.testing.assert_array_equal(outputs_of(network, tokens), outputs_of(expected.network, tokens))
    status, out, _ = run('verify', tmp_path / 'first', path, '--tolerance', '0')
    assert status == 0 and 'configuration' not in out and 'same: ' in out

    one = ONE.get(task, TEXTS[1])
    status, out, err = run('predict', path, as_line(one))
    assert status == 0, err
    row = json.loads(json.dumps(expected.as_json(expected([one])[0], None, None)))
    line = json.loads(out)
    assert {key: line[key] for key in row} == row

    attention = [*('plot', 'attention', path, 'the cat', '--output', tmp_path / 'a.svg')]
    assert run(*attention)[0] == 0


@pytest.mark.parametrize('form', FORMS)
def test_quantize_opens_every_folder(form, tokenizer, tmp_path, run):
    if not kernels.is_available():
        pytest.skip('needs the native kernels')
    save_fine_tuned(tmp_path / 'first', 'text-classification', tokenizer)
    path = converted(tmp_path / 'first', form, tmp_path, run)
    (tmp_path / 'texts.txt').write_text('\n'.join(TEXTS) + '\n')
    quantize = ('quantize', path, '--calibrate', tmp_path / 'texts.txt')
    status, _, err = run(*quantize, '--tolerance', '9', '--output', tmp_path / 'small')
    if form == 'params':
        assert status == 2 and 'is a file; expected a folder' in err
        return
    assert status == 0, err
    saved = gb.load_pipeline(tmp_path / 'small', precision='saved')
    low = gb.load_pipeline(path, precision='int8')
    assert [row.label for row in saved(TEXTS)] == [row.label for row in low(TEXTS)]
    assert predictions(gb.load_pipeline(tmp_path / 'small')) == predictions(gb.load_pipeline(path))


@pytest.mark.parametrize('task', TASKS)
def test_a_task_comes_back_from_every_form(task, tokenizer, tmp_path, run):
    save_fine_tuned(tmp_path / 'first', task, odd(tokenizer))
    path = tmp_path / 'first'
    for number, form in enumerate(('huggingface', 'params', 'tensorflow', 'params')):
        (tmp_path / str(number)).mkdir()
        path = converted(path, form, tmp_path / str(number), run)
    first, last = gb.load_pipeline(tmp_path / 'first'), gb.load_pipeline(path)
    assert last.settings == first.settings and last.tokenizer.is_like(first.tokenizer)
    assert predictions(last) == predictions(first)


def test_a_crf_goes_where_there_is_a_place_for_it(tokenizer, tmp_path, run):
    save_fine_tuned(tmp_path / 'first', 'token-classification', tokenizer, crf=True)
    path = converted(tmp_path / 'first', 'params', tmp_path, run)
    first, second = gb.load_pipeline(tmp_path / 'first'), gb.load_pipeline(path)
    assert predictions(second) == predictions(first)
    network, _ = load_model(path)
    assert isinstance(network, BertCrfTagger)
    wanted = valid_transitions(open_checkpoint(path).labels, 'IOBES').between
    scores = network.crf.transitions.data().asnumpy()
    np.testing.assert_array_equal(scores, first.network.crf.transitions.data().asnumpy())
    assert wanted.shape == scores.shape
    for form in ('huggingface', 'tensorflow'):
        status, _, err = run('convert', path, tmp_path / 'no', '--to', form)
        assert status == 2 and 'crf.' in err and not (tmp_path / 'no').exists()


# Pre-trained networks


@pytest.fixture
def pretrained(tokenizer, make_model):
    """A pre-trained network with awkward shapes and its tokenizer, as a checkpoint."""

    def make(**changes):
        config = replace(AWKWARD, **changes)
        network = drawn(BertForPretraining(BertModel(config)))
        return Checkpoint(network.checkpoint_arrays(), config, tokenizer=odd(tokenizer))

    return make


def assert_alike(run, tmp_path, paths, config, *options):
    """Open paths through every door; each gives the configuration and the outputs of the first."""
    first = open_checkpoint(paths[0])
    expected = outputs_of(load_model(paths[0], task='encoder')[0], first.tokenizer)
    words = gb.load_pipeline(paths[0], task='fill-mask')('the [MASK] barks')
    for path in paths:
        given = options if str(path).endswith('bare.params') else ()
        facts = json.loads(run('info', path, '--json', *given)[1])
        assert facts['config'] == asdict(config)
        keywords = {'num_heads': config.num_heads} if given else {}
        network, tokens = load_model(path, task='encoder', **keywords)
        assert network.config == config and tokens.is_like(first.tokenizer)
        np.testing.assert_array_equal(outputs_of(network, tokens), expected)
        pipeline = gb.load_pipeline(path, task='fill-mask', **keywords)
        assert pipeline('the [MASK] barks') == words
        status, out, _ = run('predict', path, 'the [MASK] barks', *given)
        row, line = json.loads(json.dumps(pipeline.as_json(words, None))), json.loads(out)
        assert status == 0 and {key: line[key] for key in row} == row
        status, out, _ = run('verify', paths[0], path, '--tolerance', '0', *given)
        assert status == 0 and 'configuration' not in out
        picture = ('plot', 'map', path, 'the cat', 'a dog', '--output', tmp_path / 'map.svg')
        assert given or run(*picture)[0] == 0


def test_every_door_opens_a_pretrained_network_alike(pretrained, tmp_path, run):
    checkpoint = pretrained()
    for name, form in (('hf', 'huggingface'), ('tf', 'tensorflow'), ('a.params', 'gluonnlp')):
        write_checkpoint(checkpoint, tmp_path / name, form)
    # A file without a description of its own, beside a configuration of transformers or Google.
    for source, name in (('hf', 'config.json'), ('tf', 'bert_config.json')):
        folder = tmp_path / f'beside_{source}'
        folder.mkdir()
        shutil.copy(tmp_path / 'a.params', folder / 'net.params')
        shutil.copy(tmp_path / source / name, folder / name)
        for file in ('vocab.txt', 'tokenizer.json', 'tokenizer_config.json'):
            shutil.copy(tmp_path / 'hf' / file, folder / file)
    paths = ['hf', 'tf', 'a.params', 'beside_hf', 'beside_tf', 'beside_tf/net.params']
    assert_alike(run, tmp_path, [tmp_path / path for path in paths], checkpoint.config)


def test_a_bare_file_is_opened_with_its_number_of_heads(pretrained, tmp_path, run, caplog):
    checkpoint = pretrained(layer_norm_eps=1e-12, activation='gelu', dropout=0.1)
    write_checkpoint(checkpoint, tmp_path / 'a.params')
    (tmp_path / 'bare').mkdir()
    bare = tmp_path / 'bare' / 'bare.params'
    shutil.copy(tmp_path / 'a.params', bare)
    shutil.copytree(tmp_path / 'a.tokenizer', tmp_path / 'bare' / 'bare.tokenizer')
    caplog.clear()
    assert_alike(
        run, tmp_path, [tmp_path / 'a.params', bare], checkpoint.config, '--num_heads', '8'
    )
    assert 'says nothing of activation, epsilon and dropout: gelu, 1e-12 and 0.1' in caplog.text
    for door in (open_checkpoint, load_model, gb.load_pipeline, read_checkpoint):
        with pytest.raises(ValueError, match=r'bare\.params: the number of attention heads is not'):
            door(bare)
    for command in (('info',), ('predict', 'x'), ('convert', tmp_path / 'out'), ('verify', bare)):
        status, _, err = run(command[0], bare, *command[1:])
        assert status == 2 and 'give num_heads (--num_heads), or a configuration' in err
    assert not (tmp_path / 'out').exists()
    # What states it does not take an argument for it, and one that contradicts is refused.
    assert '--num_heads' in run('info', tmp_path / 'a.params', '--num_heads', '8')[2].replace(
        'num_heads=8', '--num_heads'
    )
    with pytest.raises(ValueError, match=r'a\.json has another'):
        read_checkpoint(tmp_path / 'a.params', config=replace(checkpoint.config, num_heads=4))


def test_the_name_of_a_file_states_its_heads(pretrained, tmp_path, monkeypatch, caplog):
    from gluon_bert.zoo import ARCHITECTURES

    checkpoint = pretrained(num_token_types=2)
    values = asdict(checkpoint.config)
    values.pop('vocab_size')
    monkeypatch.setitem(ARCHITECTURES, 'bert_2_64_8', values)
    write_checkpoint(checkpoint, tmp_path / 'bert_2_64_8_of_mine.params')
    (tmp_path / 'bert_2_64_8_of_mine.json').unlink()
    again = open_checkpoint(tmp_path / 'bert_2_64_8_of_mine.params')
    assert again.config == checkpoint.config
    assert 'that of bert_2_64_8 is taken, which its name begins with' in caplog.text
    shutil.copy(tmp_path / 'bert_2_64_8_of_mine.params', tmp_path / 'mine.params')
    with pytest.raises(ValueError, match='it has the shapes of bert_2_64_8'):
        open_checkpoint(tmp_path / 'mine.params')
    monkeypatch.setitem(ARCHITECTURES, 'bert_2_64_8', {**values, 'hidden_size': 25})
    with pytest.raises(ValueError, match='it has other shapes than bert_2_64_8'):
        open_checkpoint(tmp_path / 'bert_2_64_8_of_mine.params')


def test_a_file_of_the_zoo_is_known_by_its_digest(tiny_zoo, tmp_path, run, caplog):
    name = 'bert_2_24_3/tiny_texts'
    row = open_checkpoint(name)
    copy = tmp_path / 'elsewhere' / 'copy.params'
    copy.parent.mkdir()
    (official,) = (tmp_path / 'mirror').glob('*.params')
    shutil.copy(official, copy)
    again = open_checkpoint(copy, root=tiny_zoo)
    assert (again.config, again.family) == (row.config, row.family)
    assert again.tokenizer.is_like(row.tokenizer)
    assert 'copy.params: is the file of bert_2_24_3 on tiny_texts' in caplog.text
    network, _ = gb.get_model('bert_2_24_3', 'tiny_texts', use_decoder=True, use_classifier=True)
    arrays = network.checkpoint_arrays()
    assert all((array == again.arrays[key]).all() for key, array in arrays.items())


def test_every_door_opens_a_row_of_the_zoo_alike(real_model, run):
    network, vocab = real_model
    name = 'bert_6_384_12/all_minilm_l6_v2'
    checkpoint = open_checkpoint(name)
    assert checkpoint.config == network.config
    assert checkpoint.tokenizer.vocab.idx_to_token == vocab.idx_to_token
    assert json.loads(run('info', name, '--json')[1])['config'] == asdict(network.config)
    ours, tokens = load_model(name)
    texts = ['A cat sleeps.', 'Shares fell.']
    np.testing.assert_array_equal(
        SentenceEncoder(ours, tokens).encode(texts),
        SentenceEncoder(network, checkpoint.tokenizer).encode(texts),
    )


@pytest.mark.parametrize('family', ['roberta', 'distilbert', 'electra', 'albert', 'ernie'])
def test_a_fine_tuned_network_of_each_family_comes_back(family, tokenizer, tmp_path, run):
    row = FAMILIES[family]
    config = replace(
        AWKWARD,
        layer_norm_eps=row.fixed.get('layer_norm_eps', 1e-5),
        pooler_activation=row.pooler_activation,
        num_token_types=3 if row.gluonnlp_token_types else 0,
        embedding_units=24 if 'embedding_units' in row.keys else None,
        share_layers=row.fixed.get('share_layers', False),
    )
    tokens = tokenizer if config.num_token_types else tokenizer.without_token_types()
    settings = save_fine_tuned(tmp_path / 'first', 'text-classification', tokens, config)
    first = gb.load_pipeline(tmp_path / 'first')
    path = converted(tmp_path / 'first', 'huggingface', tmp_path, run)
    # BERT and ERNIE are one network by two names.
    written = json.loads((path / 'config.json').read_text())['model_type']
    assert written == {'ernie': 'bert'}.get(family, family)
    for place in (path, converted(path, 'params', tmp_path / 'again', run)):
        second = gb.load_pipeline(place)
        assert second.settings == settings and second.network.config == config
        assert predictions(second) == predictions(first)


@pytest.mark.parametrize('modes', [('cls',), ('max',), ('mean', 'lasttoken')])
def test_every_door_opens_a_sentence_model_alike(modes, tokenizer, tmp_path, run):
    network = drawn(BertModel(AWKWARD))
    weight = np.random.RandomState(5).normal(size=(6, len(modes) * AWKWARD.units))
    modules = Dense(weight.astype('float32')), Normalize()
    checkpoint = Checkpoint(
        network.checkpoint_arrays(),
        AWKWARD,
        tokenizer=tokenizer,
        sentence=SentenceSettings(modes, modules, max_length=17),
    )
    first, again, saved = tmp_path / 'first', tmp_path / 'again', tmp_path / 'saved'
    write_checkpoint(checkpoint, first)
    assert run('convert', first, again)[0] == 0
    SentenceEncoder(again).save(saved)
    expected = SentenceEncoder(*load_model(first)).encode(TEXTS)
    assert expected.shape == (4, 6)
    for path in (first, again, saved):
        assert json.loads(run('info', path, '--json')[1])['config'] == asdict(AWKWARD)
        encoder = SentenceEncoder(path)
        assert encoder.settings == checkpoint.sentence and encoder.max_length == 17
        np.testing.assert_array_equal(encoder.encode(TEXTS), expected)
        output = path.with_suffix('.npy')
        assert run('embed', path, *TEXTS, '--output', output)[0] == 0
        np.testing.assert_array_equal(np.load(output), expected)
        assert run('verify', first, path, '--tolerance', '0')[0] == 0
        picture = tmp_path / 'similarity.svg'
        assert run('plot', 'similarity', path, *TEXTS, '--output', picture)[0] == 0


def test_a_folder_of_sentence_transformers_is_its_row_of_the_zoo(real_folder):
    row, theirs = open_checkpoint('bert_6_384_12/all_minilm_l6_v2'), open_checkpoint(real_folder)
    assert theirs.config == row.config
    for text in [*TEXTS, 'Naïve cafés, 2024!']:
        assert theirs.tokenizer.encode(text) == row.tokenizer.encode(text)
    assert all((theirs.arrays[name] == row.arrays[name]).all() for name in row.arrays)


# What contradicts itself


@pytest.mark.parametrize(
    'file, changes, message',
    [
        ('config.json', {'num_attention_heads': 4}, 'num_heads is 8, but 4 by the configuration'),
        ('config.json', {'layer_norm_eps': 1e-6}, 'layer_norm_eps is 1e-05, but 1e-06'),
        ('task.json', {'labels': ['x', 'y', 'z']}, 'names the classes'),
        ('task.json', {'parameters': 'other.bin'}, 'other.bin: no such'),
        ('task.json', {'task': 'sorting'}, "'sorting'"),
        ('task.json', {'max_len': 41}, 'sequences of 41 tokens: expected 3 to 40'),
        ('task.json', {'colour': 1}, "'colour' is unknown"),
    ],
)
def test_files_that_contradict_each_other_are_refused(
    file, changes, message, tokenizer, tmp_path, run
):
    save_fine_tuned(tmp_path / 'first', 'text-classification', tokenizer)
    path = converted(tmp_path / 'first', 'huggingface', tmp_path, run)
    (path / file).write_text(json.dumps({**json.loads((path / file).read_text()), **changes}))
    with pytest.raises((ValueError, FileNotFoundError), match=message) as caught:
        gb.load_pipeline(path)
    assert str(path) in str(caught.value)
    assert run('convert', path, tmp_path / 'out')[0] == 2
    assert not (tmp_path / 'out').exists()


def test_a_precision_lies_beside_the_files_of_any_format(tokenizer, tmp_path, run):
    if not kernels.is_available():
        pytest.skip('needs the native kernels')
    save_fine_tuned(tmp_path / 'first', 'text-classification', tokenizer)
    path = converted(tmp_path / 'first', 'tensorflow', tmp_path, run)
    write_precision(path, LowPrecision('bfloat16', float32_layers=('0.expand',)))
    low = gb.load_pipeline(tmp_path / 'first', precision='bfloat16')(TEXTS)
    assert gb.load_pipeline(path, precision='saved')(TEXTS) != low


def test_the_reader_of_tasks_opens_converted_folders(tokenizer, tmp_path, run):
    save_fine_tuned(tmp_path / 'first', 'token-classification', tokenizer)
    path = converted(tmp_path / 'first', 'huggingface', tmp_path, run)
    folder, model = read_task(path), load_task(path)
    assert folder.parameters == path / 'model.safetensors'
    assert model.settings == folder.settings == TASKS['token-classification']
    assert model.tokenizer.is_like(folder.tokenizer)
