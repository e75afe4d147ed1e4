# ruff: noqa: F811 (fixtures are imported)
"""Zero-shot classification: transformers' scores, cosines of sentence vectors, and refusals."""

import json
import pickle

import numpy as np
import pytest
from export_networks import checkpoint_of, initialized
from script_runs import tiny_pipeline, tokenizer  # noqa: F401 (fixtures)

import gluon_bert as gb
from gluon_bert.checkpoint import write_checkpoint
from gluon_bert.checkpoint.sentence import SentenceSettings
from gluon_bert.cli import main
from gluon_bert.pipelines import EntailmentPipeline, SimilarityZeroShotPipeline

TASK = 'zero-shot-classification'
INFERENCE = ['contradiction', 'neutral', 'entailment']
TEXTS = ['the cat sleeps here', 'a dog barks loudly , without the moon !', 'sun']
LABELS = ['cat', 'dog', 'the moon !']


@pytest.fixture
def folder(tiny_pipeline, tmp_path):
    tiny_pipeline('text-classification', folder=tmp_path / 'nli', labels=INFERENCE, max_len=30)
    return tmp_path / 'nli'


@pytest.fixture
def sentence_folder(make_model, tokenizer, tmp_path):
    network = initialized(make_model(vocab_size=len(tokenizer.vocab)))
    sentence = SentenceSettings(modes=('mean',))
    write_checkpoint(
        checkpoint_of(network, tokenizer=tokenizer, sentence=sentence), tmp_path / 'sentences'
    )
    return tmp_path / 'sentences'


# transformers takes the first class, or the last, for contradiction: in these orders it is.
@pytest.mark.parametrize('classes', [INFERENCE, INFERENCE[::-1], ['Entailment', 'not_entailment']])
@pytest.mark.parametrize('multi_label', [False, True])
def test_scores_are_those_of_transformers(multi_label, classes, tokenizer, tmp_path, seed):
    pytest.importorskip('torch', reason='needs PyTorch: python3 dev.py setup --peers')
    transformers = pytest.importorskip('transformers', reason='needs transformers')
    from peers import random_network

    names = {
        'id2label': dict(enumerate(classes)),
        'label2id': {x: i for i, x in enumerate(classes)},
    }
    network = random_network(
        'BertForSequenceClassification',
        seed,
        vocab_size=len(tokenizer.vocab),
        max_position_embeddings=40,
        **names,
    )
    network.save_pretrained(tmp_path / 'theirs')
    tokenizer.save(tmp_path / 'theirs')
    theirs = transformers.pipeline(TASK, model=str(tmp_path / 'theirs'), device='cpu')
    ours = gb.load_pipeline(tmp_path / 'theirs', task=TASK)
    for labels in (LABELS, ['cat'], 'sun, moon'):
        for template in ('This example is {}.', 'the {} sleeps'):
            options = {'hypothesis_template': template, 'multi_label': multi_label}
            for row, result in zip(
                theirs(TEXTS, labels, **options), ours(TEXTS, labels, **options)
            ):
                expected = dict(zip(row['labels'], row['scores']))
                assert result.probabilities == pytest.approx(expected, abs=1e-5)
                assert result.probability == max(result.probabilities.values())


def test_labels_are_of_the_call(folder):
    pipeline = gb.load_pipeline(folder, task=TASK)
    assert type(pipeline) is EntailmentPipeline
    named = pipeline.with_labels(LABELS)
    expected = pipeline(TEXTS, LABELS)
    assert named(TEXTS) == expected == list(named.stream(iter(TEXTS)))
    assert pipeline(TEXTS[0], LABELS) == expected[0]
    assert list(expected[0].probabilities) == LABELS
    assert sum(expected[0].probabilities.values()) == pytest.approx(1)
    other = pipeline(TEXTS, ['sun'], entailment='neutral')
    assert other != pipeline(TEXTS, ['sun'])
    with pytest.raises(ValueError, match='candidate_labels: expected one label or more, got none'):
        pipeline(TEXTS)
    assert pickle.loads(pickle.dumps(named))(TEXTS) == expected
    prepared = named.prepare(TEXTS)
    assert named.results(prepared, named.outputs(prepared.features)) == expected


def test_sentence_vectors_choose_the_nearest_label(sentence_folder):
    pipeline = gb.load_pipeline(sentence_folder, task=TASK)
    assert type(pipeline) is SimilarityZeroShotPipeline
    encoder = gb.SentenceEncoder(sentence_folder)
    for options, texts, temperature in (
        ({}, LABELS, 0.05),
        (
            {'hypothesis_template': 'the {} here', 'temperature': 0.5},
            [f'the {label} here' for label in LABELS],
            0.5,
        ),
    ):
        scores = encoder.similarity(TEXTS, texts).astype('float64') / temperature
        shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        results = pipeline(TEXTS, LABELS, **options)
        for row, result in zip(shares, results):
            np.testing.assert_allclose([*result.probabilities.values()], row, atol=1e-5)
            assert result.label == LABELS[int(row.argmax())]
    named = pipeline.with_labels(LABELS)
    prepared = named.prepare(TEXTS)
    assert named.results(prepared, named.outputs(prepared.features)) == pipeline(TEXTS, LABELS)
    with pytest.raises(TypeError, match='multi_label is no option; there are: candidate_labels'):
        pipeline(TEXTS, LABELS, multi_label=True)


def test_the_command_names_labels(folder, sentence_folder, tmp_path, capsys):
    (tmp_path / 'texts.txt').write_text('\n'.join(TEXTS) + '\n')
    for path in (folder, sentence_folder):
        expected = gb.load_pipeline(path, task=TASK)(TEXTS, LABELS)
        arguments = ['--input', str(tmp_path / 'texts.txt'), '--candidate_labels', ','.join(LABELS)]
        assert main(['predict', str(path), *arguments, '--top_k', '2']) == 0
        for line, result in zip(capsys.readouterr().out.splitlines(), expected):
            row = json.loads(line)
            assert (row['label'], row['probability']) == (result.label, result.probability)
            assert (
                list(row['probabilities'])
                == sorted(result.probabilities, key=lambda label: -result.probabilities[label])[:2]
            )


REFUSED = {
    '--candidate_labels ,': 'candidate_labels: expected one label or more, got none',
    '--candidate_labels a,,b': 'candidate_labels: label 1 is empty',
    '--candidate_labels a,b,a': "candidate_labels: 'a' is given twice",
    '--candidate_labels a --hypothesis_template label': 'expected {} once',
    '--candidate_labels a --hypothesis_template {}{}': 'expected {} once',
    '--candidate_labels a --hypothesis_template {0}{}': 'expected {} once',
    '--candidate_labels a --temperature 1': '--temperature: is not for a classifier',
    '--candidate_labels a --entailment yes': "entailment='yes': the classes are contradiction",
    '--candidate_labels a --task fill-mask': 'is for zero-shot-classification',
    '--multi_label': '--multi_label: needs --candidate_labels',
    '--task zero-shot-classification': 'needs --candidate_labels',
}


@pytest.mark.parametrize('flags', REFUSED)
def test_arguments_that_are_wrong_are_refused(flags, folder, capsys):
    assert main(['predict', str(folder), 'the cat', *flags.split()]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert REFUSED[flags] in line


def test_a_model_without_entailment_is_refused(tiny_pipeline, tmp_path, capsys):
    tiny_pipeline('text-classification', folder=tmp_path / 'mood')
    assert main(['predict', str(tmp_path / 'mood'), 'sun', '--candidate_labels', 'a,b']) == 2
    assert 'no class whose name begins with entail' in capsys.readouterr().err
    flags = ['--candidate_labels', 'a,b', '--entailment', 'high']
    assert main(['predict', str(tmp_path / 'mood'), 'sun', *flags]) == 0
    capsys.readouterr()
    assert main(['predict', str(tmp_path / 'mood'), 'sun', *flags, '--multi_label']) == 2
    error = capsys.readouterr().err
    assert 'begins with contradict or notentail' in error and 'low, mid, high' in error
    tiny_pipeline('text-regression', folder=tmp_path / 'stars')
    assert main(['predict', str(tmp_path / 'stars'), 'sun', '--candidate_labels', 'a,b']) == 2
    assert 'was fine-tuned for text-regression' in capsys.readouterr().err
    with pytest.raises(ValueError, match='input 0: a pair of texts, expected one text'):
        gb.load_pipeline(tmp_path / 'mood', task=TASK)([('a', 'b')], ['x', 'y'], entailment='low')
