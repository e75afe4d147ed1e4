# ruff: noqa: F811 (fixtures are imported)
"""Folders for transformers and sentence-transformers: both give what this package gives."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
from conftest import TINY
from export_networks import FAMILY_CONFIGS, WITHOUT_POOLER, checkpoint_of, initialized
from script_runs import WORDS, byte_pair_tokenizer, tokenizer  # noqa: F401 (fixtures)

import gluon_bert as gb
from gluon_bert.checkpoint.sentence import Dense, LayerNorm, Normalize, SentenceSettings
from gluon_bert.checkpoint.task_file import with_task
from gluon_bert.export import export
from gluon_bert.modeling.bert import BertModel
from gluon_bert.tasks.registry import TASKS, get_spec
from gluon_bert.zoo import open_checkpoint

TEXTS = ['The cat sleeps here', 'a dog barks loudly , without the moon !', 'sun', 'the dogs']
SETTINGS = {
    'text-classification': {'labels': ['low', 'mid', 'high'], 'max_len': 40, 'dropout': 0.5},
    'text-regression': {'max_len': 40, 'dropout': 0.0, 'range': [0.0, 5.0]},
    'multi-label-classification': {
        'labels': ['low', 'mid', 'high'],
        'thresholds': [0.25, 0.5, 0.6],
        'max_len': 40,
        'dropout': 0.1,
    },
    'question-answering': {
        'max_seq_length': 30,
        'doc_stride': 5,
        'max_query_length': 7,
        'n_best_size': 4,
        'max_answer_length': 3,
        'version_2': True,
        'null_score_diff_threshold': -0.5,
    },
    'token-classification': {
        'kinds': ['y', 'x'],
        'scheme': 'IOB2',
        'file_scheme': 'IOB1',
        'crf': False,
        'dropout': 0.1,
        'max_len': 40,
        'characters': False,
    },
}
assert {*SETTINGS} <= {*TASKS}
AUTO = {
    'text-classification': 'AutoModelForSequenceClassification',
    'text-regression': 'AutoModelForSequenceClassification',
    'multi-label-classification': 'AutoModelForSequenceClassification',
    'question-answering': 'AutoModelForQuestionAnswering',
    'token-classification': 'AutoModelForTokenClassification',
}
FAMILIES = ['bert', 'roberta', 'distilbert', 'electra', 'albert']


@pytest.fixture
def fine_tuned(tokenizer, tmp_path):
    """Make the checkpoint of a fine-tuned network: task, family -> checkpoint."""

    def make(task, family='bert', **changes):
        tokens = tokenizer_of(family, tokenizer, tmp_path)
        config = replace(TINY, vocab_size=len(tokens.vocab), **FAMILY_CONFIGS[family])
        settings = {**SETTINGS[task], **changes}
        head = get_spec(task).head
        bert = BertModel(config, use_pooler=head.pooled)
        network = initialized(get_spec(task).make_network(bert, settings))
        checkpoint = checkpoint_of(network, family=family, tokenizer=tokens)
        return with_task(checkpoint, {'task': task, **settings}, 'here')

    return make


def tokenizer_of(family, tokenizer, folder):
    if family == 'roberta':
        (folder / 'tokens').mkdir()
        tokenizer = byte_pair_tokenizer(folder / 'tokens')
    has_types = FAMILY_CONFIGS[family].get('num_token_types', 2)
    return tokenizer if has_types else tokenizer.without_token_types()


@pytest.fixture
def transformers():
    pytest.importorskip('torch', reason='needs PyTorch: python3 dev.py setup --peers')
    return pytest.importorskip('transformers', reason='needs transformers')


@pytest.fixture
def sentence_transformers():
    with warnings.catch_warnings():  # of packages while they are imported
        warnings.simplefilter('ignore')
        return pytest.importorskip(
            'sentence_transformers', reason='needs sentence-transformers: dev.py setup --peers'
        )


def assert_same(again, checkpoint):
    """Two checkpoints are one, bit for bit."""
    assert {*again.arrays} == {*checkpoint.arrays}
    for name in checkpoint.arrays:
        first, second = checkpoint.arrays[name], again.arrays[name]
        assert first.dtype == second.dtype and np.array_equal(first, second), name
    for field in ('config', 'family', 'labels', 'problem_type', 'sentence', 'task'):
        assert getattr(again, field) == getattr(checkpoint, field), field
    assert again.tokenizer.is_like(checkpoint.tokenizer)


# The way back


@pytest.mark.parametrize('family', FAMILIES)
@pytest.mark.parametrize('task', SETTINGS)
def test_a_fine_tuned_network_comes_back(task, family, fine_tuned, tmp_path):
    checkpoint = fine_tuned(task, family)
    limits = export(checkpoint, tmp_path / 'out', 'huggingface')
    assert {limit.place for limit in limits} <= {'task.json'}
    assert_same(open_checkpoint(tmp_path / 'out'), checkpoint)


@pytest.mark.parametrize('family', FAMILY_CONFIGS)
def test_an_encoder_comes_back(family, make_model, tokenizer, tmp_path):
    tokens = tokenizer_of('bert' if family == 'xlm-roberta' else family, tokenizer, tmp_path)
    changes = {'vocab_size': len(tokens.vocab), **FAMILY_CONFIGS[family]}
    network = make_model(family not in WITHOUT_POOLER, **changes)
    if not network.config.num_token_types:
        tokens = tokens.without_token_types()
    checkpoint = checkpoint_of(network, family=family, tokenizer=tokens)
    export(checkpoint, tmp_path / 'out', 'huggingface')
    assert_same(open_checkpoint(tmp_path / 'out'), checkpoint)


@pytest.mark.parametrize('heads', [(True, True), (True, False), (False, True)])
def test_heads_of_pretraining_come_back(heads, make_model, tokenizer, tmp_path):
    bert = make_model(heads[0], vocab_size=len(tokenizer.vocab))
    network = initialized(gb.BertForPretraining(bert, *heads))
    checkpoint = checkpoint_of(network, tokenizer=tokenizer)
    assert export(checkpoint, tmp_path / 'out', 'huggingface') == []
    assert_same(open_checkpoint(tmp_path / 'out'), checkpoint)


def test_a_tagger_comes_back_without_its_crf(fine_tuned, tmp_path):
    checkpoint = fine_tuned('token-classification', crf=True)
    export(checkpoint, tmp_path / 'out', 'huggingface')
    again = open_checkpoint(tmp_path / 'out')
    kept = {name: array for name, array in checkpoint.arrays.items() if 'crf' not in name}
    assert_same(again, replace(checkpoint, arrays=kept, task={**checkpoint.task, 'crf': False}))
    settings = json.loads((tmp_path / 'out' / 'settings.json').read_text())
    for name in ('crf.transitions', 'crf.begin', 'crf.end'):
        assert np.array_equal(np.array(settings[name], 'float32'), checkpoint.arrays[name])
    assert settings['crf'] is True
    assert len(gb.load_pipeline(tmp_path / 'out')(TEXTS)) == 4


# transformers


@pytest.mark.parametrize('family', FAMILIES)
@pytest.mark.parametrize('task', SETTINGS)
def test_the_automatic_class_gives_our_scores(task, family, transformers, fine_tuned, tmp_path):
    import torch

    checkpoint, out = fine_tuned(task, family), tmp_path / 'out'
    export(checkpoint, out, 'huggingface')
    theirs, report = getattr(transformers, AUTO[task]).from_pretrained(
        out, output_loading_info=True
    )
    assert not any(report.values()), report
    assert type(theirs).__name__ in json.loads((out / 'config.json').read_text())['architectures']
    if checkpoint.labels:
        assert theirs.config.id2label == dict(enumerate(checkpoint.labels))
        assert theirs.config.label2id == {name: i for i, name in enumerate(checkpoint.labels)}
    assert (theirs.config.problem_type or '') == checkpoint.problem_type
    tokens = transformers.AutoTokenizer.from_pretrained(out)
    assert tokens.model_max_length == checkpoint.max_tokens
    batch = tokens(TEXTS, ['the moon', 'sun', 'a cat', 'here'], padding=True, return_tensors='pt')
    with torch.no_grad():
        found = theirs.eval()(**batch)
    network, _ = gb.zoo.load_model(out)
    mask = batch['attention_mask'].numpy().astype(bool)
    types = batch['token_type_ids'].numpy() if 'token_type_ids' in batch else 0 * mask
    import mxnet as mx

    arrays = (batch['input_ids'].numpy(), types, mask.sum(axis=1))
    expected = network(*map(mx.nd.array, arrays)).asnumpy()
    if 'start_logits' in found:
        scores = np.stack([found.start_logits.numpy(), found.end_logits.numpy()], axis=2)
    else:
        scores = found.logits.numpy()
    where = mask if scores.ndim == 3 else slice(None)
    np.testing.assert_allclose(scores[where], expected[where], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('family', ['bert', 'roberta', 'distilbert'])
@pytest.mark.parametrize('task', ['text-classification', 'multi-label-classification'])
def test_pipelines_give_our_labels_and_scores(task, family, transformers, fine_tuned, tmp_path):
    out = tmp_path / 'out'
    export(fine_tuned(task, family), out, 'huggingface')
    theirs = transformers.pipeline('text-classification', model=str(out), device='cpu', top_k=None)
    inputs = [*TEXTS, ('the cat', 'barks')]
    for text, result in zip(inputs, gb.load_pipeline(out)(inputs)):
        given = {'text': text[0], 'text_pair': text[1]} if isinstance(text, tuple) else text
        expected = {row['label']: row['score'] for row in theirs([given])[0]}
        assert result.probabilities == pytest.approx(expected, abs=1e-5)
        assert result.label == max(expected, key=expected.get)


def test_values_are_those_of_a_pipeline(transformers, fine_tuned, tmp_path):
    out = tmp_path / 'out'
    export(fine_tuned('text-regression', range=None), out, 'huggingface')
    theirs = transformers.pipeline(
        'text-classification', model=str(out), device='cpu', function_to_apply='none'
    )
    found = [row.value for row in gb.load_pipeline(out)(TEXTS)]
    assert found == pytest.approx([row['score'] for row in theirs(TEXTS)], abs=1e-5)


@pytest.mark.parametrize('family', ['bert', 'roberta', 'distilbert'])
def test_tags_are_those_of_a_pipeline(family, transformers, fine_tuned, tmp_path):
    out = tmp_path / 'out'
    export(fine_tuned('token-classification', family), out, 'huggingface')
    tag = transformers.pipeline('token-classification', model=str(out), device='cpu')
    sentences = [text.split() for text in TEXTS]
    for words, tags in zip(sentences, gb.load_pipeline(out).raw_tags(sentences)):
        text, firsts = ' '.join(words), {}
        ends = np.cumsum([len(word) + 1 for word in words])
        for row in tag(text, ignore_labels=[]):
            firsts.setdefault(int(np.searchsorted(ends, row['end'] - 1, 'right')), row['entity'])
        assert list(firsts.values()) == list(tags)


def test_words_are_those_of_a_pipeline(transformers, make_model, tokenizer, tmp_path):
    network = initialized(gb.BertForPretraining(make_model(vocab_size=len(WORDS))))
    out = tmp_path / 'out'
    export(checkpoint_of(network, tokenizer=tokenizer), out, 'huggingface')
    text = 'the [MASK] barks'
    theirs = transformers.pipeline('fill-mask', model=str(out), device='cpu', top_k=5)(text)
    ours = gb.load_pipeline(out, task='fill-mask')(text)[0]
    assert [row.text for row in ours] == [row['token_str'] for row in theirs]
    assert [row.probability for row in ours] == pytest.approx(
        [row['score'] for row in theirs], abs=1e-5
    )


# sentence-transformers


def modules(width, seed):
    draw = np.random.RandomState(seed)
    dense = Dense(draw.normal(size=(6, width)).astype('float32'), None, 'gelu')
    norm = LayerNorm(*(draw.normal(size=6).astype('float32') for _ in range(2)))
    return {'none': (), 'normalize': (Normalize(),), 'all': (dense, norm, Normalize())}


@pytest.mark.parametrize('family', ['bert', 'roberta'])
@pytest.mark.parametrize('last', ['none', 'normalize', 'all'])
@pytest.mark.parametrize(
    'modes', [('mean',), ('cls',), ('max',), ('weightedmean',), ('mean', 'lasttoken')]
)
@pytest.mark.filterwarnings('ignore:. of 4 texts were longer than max_length=8')
def test_sentence_vectors(
    modes, last, family, sentence_transformers, make_model, tokenizer, tmp_path, seed
):
    tokens = tokenizer_of(family, tokenizer, tmp_path)
    network = make_model(vocab_size=len(tokens.vocab), **FAMILY_CONFIGS[family])
    settings = SentenceSettings(
        modes,
        modules(24 * len(modes), seed)[last],
        max_length=8,
        lower=True,
        prompts={'query': 'the cat ', 'text': ''},
    )
    checkpoint = checkpoint_of(network, family=family, tokenizer=tokens, sentence=settings)
    limits = export(checkpoint, tmp_path / 'out', 'huggingface')
    assert limits == []
    assert_same(open_checkpoint(tmp_path / 'out'), replace(checkpoint, sentence=settings))
    ours = gb.SentenceEncoder(tmp_path / 'out')
    theirs = sentence_transformers.SentenceTransformer(str(tmp_path / 'out'), device='cpu')
    for options in ({}, {'prompt_name': 'query'}):
        expected = theirs.encode(TEXTS, **options)
        found = ours.encode(TEXTS, normalize=last != 'none', **options)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert theirs.max_seq_length == 8
    assert theirs.prompts.items() >= settings.prompts.items()
