# ruff: noqa: F811 (fixtures are imported)
"""Taggers of single words and of entities without a type: trained, saved, used, checked."""

import json
import logging

import mxnet as mx
import pytest
from script_runs import tiny_folder, tiny_pipeline, tokenizer  # noqa: F401 (fixtures)

import gluon_bert as gb
from gluon_bert.checkpoint import read_checkpoint, write_checkpoint
from gluon_bert.cli import main
from gluon_bert.tasks.base import DevSource
from gluon_bert.tasks.finetune import finetune
from gluon_bert.tasks.token_classification import TokenClassificationJob

POS = 'the DET\ncat NOUN\nsleeps VERB\n\na DET\ndog NOUN\nbarks VERB\nloudly ADV\n\n'
CHUNKS = 'the B\ncat I\nsleeps O\n\na B\ndog I\nbarks O\n\n'
FAST = {'batch_size': 4, 'log_interval': 100, 'max_len': 12}


@pytest.fixture
def train(tiny_folder, tmp_path):
    """Fine-tune a tiny network: text of the files, options -> what finetune returns."""

    def run(text, dev=None, folder='out', **options):
        source, _ = tiny_folder()
        for name, content in (('train', text * 6), ('dev', dev or text)):
            (tmp_path / f'{name}.conll').write_text(content)
        return finetune(
            'token-classification',
            source,
            train=tmp_path / 'train.conll',
            dev=tmp_path / 'dev.conll',
            output_dir=tmp_path / folder,
            **{**FAST, 'epochs': 1, **options},
        )

    return run


def columns(path):
    """The lines of a file of columns, by sentence."""
    blocks = path.read_text().rstrip().split('\n\n')
    return [[line.split(' ') for line in block.split('\n')] for block in blocks]


def predicted(folder, path, capsys):
    """What gluon-bert predict prints for a file of columns."""
    assert main(['predict', str(folder), '--input', str(path)]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize('crf', [False, True])
def test_parts_of_speech_from_files_to_predictions(train, tmp_path, capsys, crf):
    done, out = train(POS, epochs=20, learning_rate=5e-3, crf=crf), tmp_path / 'out'
    task = json.loads((out / 'task.json').read_text())
    assert task['kinds'] == ['ADV', 'DET', 'NOUN', 'VERB']
    assert task['scheme'] == task['file_scheme'] == 'PLAIN'
    sentences = columns(out / 'dev_predictions.conll')
    pairs = [(gold, guess) for rows in sentences for _, gold, guess in rows]
    accuracy = sum(gold == guess for gold, guess in pairs) / 7
    assert len(pairs) == 7 and accuracy > 0.4
    assert list(done.metrics['dev']) == ['accuracy', 'macro_f1']
    assert done.metrics['dev']['accuracy'] == accuracy
    result = json.loads((out / 'result.json').read_text())
    assert result['best_metrics']['accuracy'] == accuracy
    noun = json.loads((out / 'dev_metrics.json').read_text())['by_type']['NOUN']
    assert noun['num_gold'] == 2
    assert noun['num_correct'] == pairs.count(('NOUN', 'NOUN'))
    assert 'words' in (out / 'dev_report.txt').read_text().split('\n')[0]
    assert 'Types of entity or word: ADV, DET' in (out / 'README.md').read_text()
    loaded = gb.load_pipeline(out)
    tags = [[row[2] for row in rows] for rows in sentences]
    assert [row[:4] for row in loaded('the cat sleeps')] == [
        ('the', tags[0][0], 0, 3), ('cat', tags[0][1], 4, 7), ('sleeps', tags[0][2], 8, 14),
    ]  # fmt: skip
    words = [[row[0] for row in rows] for rows in sentences]
    assert list(loaded(words)) == list(done.pipeline(words))
    lines = predicted(out, tmp_path / 'dev.conll', capsys)
    assert [line['tags'] for line in lines] == tags
    assert [[row['type'] for row in line['entities']] for line in lines] == tags


def test_entities_without_type_from_files_to_predictions(train, tmp_path, capsys):
    done, out = train(CHUNKS, epochs=20, learning_rate=5e-3), tmp_path / 'out'
    assert list(done.metrics['dev']) == ['f1', 'precision', 'recall']
    task = json.loads((out / 'task.json').read_text())
    assert (task['kinds'], task['scheme']) == ([''], 'IOB2')
    assert 'Types of entity' not in (out / 'README.md').read_text()
    tags = [[row[2] for row in rows] for rows in columns(out / 'dev_predictions.conll')]
    assert {tag for row in tags for tag in row} <= {'B', 'I', 'O'}
    lines = predicted(out, tmp_path / 'dev.conll', capsys)
    assert [line['tags'] for line in lines] == tags
    found = [row for line in lines for row in line['entities']]
    assert len(found) == sum(row.count('B') for row in tags)
    assert all(row['type'] == '' for row in found)
    report = json.loads((out / 'dev_metrics.json').read_text())['by_type']
    assert sum(row['num_predicted'] for row in report.values()) == len(found)


@pytest.mark.parametrize(
    'text, once, dev',
    [
        (POS, 'each is a class of its own', 'dev: 2 sentences, 7 words, 4 tags in PLAIN'),
        (CHUNKS, 'its tags have no type', 'dev: 2 sentences, 6 words, 2 entities in IOB2'),
    ],
)
def test_the_log_tells_once_what_the_tags_are(train, tmp_path, text, once, dev):
    train(text)
    log = (tmp_path / 'out' / 'log_ner.txt').read_text()
    assert log.count(once) == 1 and dev in log


@pytest.mark.parametrize(
    'text, dev, options, message',
    [
        (POS, 'the X\n', {}, r"dev\.conll:1: tag 'X' is unknown.*not occur in .*train\.conll"),
        (POS, CHUNKS, {}, r"dev\.conll:1: tag 'B' is unknown"),
        (CHUNKS, POS, {}, r"dev\.conll:1: 'DET' is not a tag"),
        (CHUNKS, 'a B-x\n', {}, r"dev\.conll:1: type of entity 'x' is unknown"),
        ('the DET\na DET\n', None, {}, r"train_file.*: each word has the tag 'DET'"),
        (POS, None, {'strict': True}, 'strict.*: is for entities, but the scheme PLAIN has none'),
        (POS, None, {'model_scheme': 'BIOES'}, 'model_scheme.*: tags of the scheme PLAIN cannot'),
        (CHUNKS, None, {'model_scheme': 'plain'}, 'model_scheme.*: tags of the scheme IOB2 cannot'),
    ],
)
def test_files_and_options_that_do_not_go_together_are_told(train, text, dev, options, message):
    with pytest.raises(ValueError, match=message):
        train(text, dev, **options)


def test_a_folder_is_trained_further_and_evaluated(train, tmp_path):
    train(POS)
    done = finetune(
        'token-classification', tmp_path / 'out', train=tmp_path / 'train.conll',
        dev=tmp_path / 'dev.conll', output_dir=tmp_path / 'next', epochs=1, **FAST,
    )  # fmt: skip
    assert done.pipeline.settings['kinds'] == ['ADV', 'DET', 'NOUN', 'VERB']
    dev = gb.load_pipeline(tmp_path / 'next')
    measured = TokenClassificationJob.dev_set(dev, DevSource(path=tmp_path / 'dev.conll'))
    assert measured.metric == 'accuracy'
    assert measured.score(dev) == done.metrics['dev']['accuracy']


@pytest.mark.parametrize(
    'labels, kinds, scheme',
    [
        (['NOUN', 'VERB', 'ADJ'], ['NOUN', 'VERB', 'ADJ'], 'PLAIN'),
        (['B', 'I', 'O'], [''], 'IOB2'),
        (['O', 'PER', 'LOC'], ['PER', 'LOC'], 'IOB1'),
        (['I-x', 'O', 'B-x'], ['x'], 'IOB2'),
        (['S', 'V', 'B'], ['S', 'V', 'B'], 'PLAIN'),
        (['B', 'O', 'B-x'], ['B', 'x'], 'IOB2'),
    ],
)
def test_labels_of_transformers_are_read_as_what_they_are(
    tiny_pipeline, tmp_path, labels, kinds, scheme
):
    """A folder with the labels in id2label alone, whose rows are told apart by their biases."""
    path = hub_folder(tiny_pipeline, tmp_path, labels)
    pipeline = gb.load_pipeline(path)
    assert (pipeline.settings['kinds'], pipeline.settings['scheme']) == (kinds, scheme)
    scores = dict(zip(pipeline.tags, pipeline.network.tagger.bias.data().asnumpy().tolist()))
    for number, label in enumerate(labels):
        assert scores[label if label in scores else f'I-{label}'] == number


@pytest.mark.parametrize(
    'labels, message',
    [
        (['O', 'PER', 'PER'], "classes 1 and 2 have one name, 'PER'"),
        (['NOUN', 'VERB', 'NOUN'], "classes 0 and 2 have one name, 'NOUN'"),
        (['O', 'PER', 'I-PER'], "classes 1 and 2, 'PER' and 'I-PER', are one tag, 'I-PER'"),
        (['O', 'PER', ''], 'class 2 has an empty name: give it a name in id2label'),
        (['', 'NOUN', 'VERB'], 'class 0 has an empty name'),
        (['L', 'E', 'O'], 'no scheme has all'),
    ],
)
def test_labels_that_cannot_be_told_apart_are_refused(tiny_pipeline, tmp_path, labels, message):
    path = hub_folder(tiny_pipeline, tmp_path, labels)
    with pytest.raises(ValueError, match=message) as caught:
        gb.load_pipeline(path)
    assert str(path) in str(caught.value)


def hub_folder(tiny_pipeline, tmp_path, labels):
    """Write a tagger as a folder of transformers, without settings of this package."""
    pipeline = tiny_pipeline(
        'entities', kinds=[f'x{n}' for n in range(len(labels))], scheme='PLAIN',
        file_scheme='PLAIN', folder=tmp_path / 'own',
    )  # fmt: skip
    pipeline.network.tagger.bias.set_data(mx.nd.arange(len(labels)))
    pipeline.network.save_parameters(str(tmp_path / 'own' / 'tiny.params'))
    path = tmp_path / 'hub'
    write_checkpoint(read_checkpoint(tmp_path / 'own'), path, 'huggingface')
    for name in ('task.json', 'gluon_bert.json'):
        (path / name).unlink(missing_ok=True)
    file = path / 'config.json'
    config = json.loads(file.read_text())
    config['id2label'] = {str(number): label for number, label in enumerate(labels)}
    config.pop('label2id', None)
    file.write_text(json.dumps(config))
    return path


@pytest.mark.parametrize('kinds, allowed', [([''], True), (['', 'x'], False), ([], False)])
def test_an_empty_type_stands_alone(tiny_pipeline, tmp_path, kinds, allowed):
    tiny_pipeline('entities', kinds=['x'], folder=tmp_path / 'own')
    path = tmp_path / 'own' / 'task.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), 'kinds': kinds}))
    if allowed:
        assert gb.load_pipeline(tmp_path / 'own').tags == ['O', 'B', 'I']
        return
    with pytest.raises(ValueError, match='kinds'):
        gb.load_pipeline(tmp_path / 'own')


@pytest.mark.parametrize('kinds, scheme', [(['NOUN', 'VERB'], 'PLAIN'), ([''], 'BMES')])
@pytest.mark.parametrize('form', ['huggingface', 'tensorflow'])
def test_other_forms_keep_the_tags(tiny_pipeline, tmp_path, form, kinds, scheme):
    first = tiny_pipeline(
        'entities', kinds=kinds, scheme=scheme, file_scheme=scheme, folder=tmp_path / 'own'
    )
    write_checkpoint(read_checkpoint(tmp_path / 'own'), tmp_path / form, form)
    second = gb.load_pipeline(tmp_path / form)
    assert second.tags == first.tags
    assert second('the cat sleeps') == first('the cat sleeps')


def test_the_log_is_quiet_about_tags_with_types(train, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        train(CHUNKS.replace(' B', ' B-x').replace(' I', ' I-x'))
    assert 'type' not in (tmp_path / 'out' / 'log_ner.txt').read_text().split('train:')[0]
