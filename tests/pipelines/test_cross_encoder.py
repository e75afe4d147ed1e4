"""Cross-encoders: their calls, and the folders of sentence-transformers in both directions."""

import json
import shutil

import numpy as np
import pytest
from script_runs import tiny_folder, tiny_pipeline, tokenizer  # noqa: F401 (fixtures)
from task_folders import AWKWARD, save_fine_tuned

import gluon_bert as gb
from gluon_bert.checkpoint import read_checkpoint, write_checkpoint
from gluon_bert.cli import main

QUERY, DOCUMENTS = 'the cat', ['a dog barks', 'the cat sleeps here', 'the moon', 'the sun']
PAIRS = [(QUERY, text) for text in DOCUMENTS]
CLASSES = 'torch.nn.modules.activation.Sigmoid', 'torch.nn.modules.linear.Identity'


@pytest.fixture
def folder(tokenizer, tmp_path):  # noqa: F811
    save_fine_tuned(tmp_path / 'ours', 'text-ranking', tokenizer, max_len=20)
    return tmp_path / 'ours'


def test_ranking_by_scores(folder):
    model = gb.CrossEncoder(folder)
    values = model.predict(PAIRS, activation='identity')
    assert values.std() > 0.01
    scores = model.predict(PAIRS)
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-values.astype('float64'))), rtol=1e-6)
    assert scores.dtype == np.float32
    assert model.predict(PAIRS[0]) == scores[0]
    assert model.predict([list(pair) for pair in PAIRS]).tolist() == scores.tolist()
    ranked = model.rank(QUERY, DOCUMENTS, top_k=3, return_documents=True)
    order = sorted(range(4), key=lambda i: -scores[i])[:3]
    assert ranked == [
        {'corpus_id': i, 'score': float(scores[i]), 'text': DOCUMENTS[i]} for i in order
    ]
    (result,) = gb.load_pipeline(folder)([PAIRS[2]])
    assert result == (pytest.approx(float(scores[2])), pytest.approx(float(values[2])))
    row = gb.load_pipeline(folder)({'query': QUERY, 'document': DOCUMENTS[2]})
    assert row == result


@pytest.mark.parametrize(
    'call, error, message',
    [
        (lambda model: model.rank(QUERY, []), ValueError, 'one text or more, got none'),
        (lambda model: model.rank(QUERY, 'a dog'), TypeError, r'write \[text\]'),
        (lambda model: model.rank(3, DOCUMENTS), TypeError, 'query must be str, got int'),
        (lambda model: model.rank(QUERY, DOCUMENTS, top_k=0), ValueError, 'top_k=0'),
        (lambda model: model.predict(PAIRS, 'sigmod'), ValueError, "did you mean 'sigmoid'"),
    ],
)
def test_bad_calls(folder, call, error, message):
    with pytest.raises(error, match=message):
        call(gb.CrossEncoder(folder))


def test_models_that_give_no_score_are_refused(tiny_pipeline, tiny_folder, tmp_path):  # noqa: F811
    classes = tiny_pipeline('text-classification', folder=tmp_path / 'classes')
    single = tiny_pipeline('text-regression', pair=False)
    with pytest.raises(ValueError, match='is for text-classification: expected one score'):
        gb.CrossEncoder(tmp_path / 'classes')
    with pytest.raises(ValueError, match='is for text-classification'):
        gb.CrossEncoder(classes)
    with pytest.raises(ValueError, match='reads single texts'):
        gb.CrossEncoder(single)
    with pytest.raises(ValueError, match='has no head to predict with'):
        gb.CrossEncoder(tiny_folder()[0])


def test_a_regression_of_pairs_ranks_too(tiny_pipeline):  # noqa: F811
    pipeline = tiny_pipeline('text-regression', pair=True, range=[0.0, 5.0])
    scores = gb.CrossEncoder(pipeline).predict(PAIRS)
    assert scores.tolist() == [pytest.approx(row.value) for row in pipeline(PAIRS)]


def converted(folder, target):
    assert main(['convert', str(folder), str(target)]) == 0
    (target / 'task.json').unlink()  # as another maker's
    return target


def test_layouts_of_all_versions(folder, tmp_path):
    theirs, expected = (
        converted(folder, tmp_path / 'theirs'),
        gb.CrossEncoder(folder).predict(PAIRS),
    )
    config = json.loads((theirs / 'config.json').read_text())
    old, new = 'sbert_ce_default_activation_function', 'sentence_transformers'
    assert config[old] == config[new]['activation_fn'] == CLASSES[0]
    assert config['architectures'] == ['BertForSequenceClassification']
    np.testing.assert_allclose(gb.CrossEncoder(theirs).predict(PAIRS), expected, rtol=1e-6)
    values = gb.CrossEncoder(folder).predict(PAIRS, 'identity')

    def read(**changes):
        kept = {name: value for name, value in config.items() if name not in (old, new)}
        (theirs / 'config.json').write_text(json.dumps({**kept, **changes}))
        return gb.load_pipeline(theirs), gb.CrossEncoder(theirs).predict(PAIRS)

    pipeline, scores = read(**{old: CLASSES[1]})
    assert pipeline.task == 'text-ranking' and pipeline.activation == 'identity'
    np.testing.assert_allclose(scores, values, rtol=1e-6)
    pipeline, scores = read(**{old: None})
    assert pipeline.task == 'text-ranking' and pipeline.activation == 'sigmoid'
    # Without any mark it is what it was: a regression, but a cross-encoder where that is asked for.
    pipeline, scores = read()
    assert pipeline.task == 'text-regression'
    np.testing.assert_allclose(scores, expected, rtol=1e-6)
    assert gb.load_pipeline(theirs, task='text-ranking').task == 'text-ranking'
    # Version 5.4: files of their own.
    module = {'idx': 0, 'name': '0', 'path': '', 'type': 'sentence_transformers.models.Transformer'}
    (theirs / 'modules.json').write_text(json.dumps([module]))
    settings = {'model_type': 'CrossEncoder', 'activation_fn': CLASSES[1], 'prompts': {}}
    (theirs / 'config_sentence_transformers.json').write_text(json.dumps(settings))
    pipeline, scores = read(**{old: CLASSES[0]})
    assert pipeline.activation == 'identity'
    np.testing.assert_allclose(scores, values, rtol=1e-6)
    settings['activation_fn'] = 'os.system'
    (theirs / 'config_sentence_transformers.json').write_text(json.dumps(settings))
    with pytest.raises(ValueError, match='activation of the score is os.system: expected one of'):
        read()


@pytest.mark.parametrize('format', ['gluonnlp', 'huggingface'])
def test_conversion_of_another_makers_keeps_that_it_ranks(folder, tmp_path, format):
    theirs = converted(folder, tmp_path / 'theirs')
    checkpoint = read_checkpoint(theirs)
    assert checkpoint.task is None and checkpoint.score_activation == 'sigmoid'
    target = tmp_path / ('again.params' if format == 'gluonnlp' else 'again')
    write_checkpoint(checkpoint, target, format)
    pipeline = gb.load_pipeline(target)
    assert pipeline.task == 'text-ranking' and pipeline.activation == 'sigmoid'


def test_sentence_transformers_scores_alike(folder, tmp_path):
    reason = 'sentence-transformers is not installed'
    package = pytest.importorskip('sentence_transformers', reason=reason)
    theirs = converted(folder, tmp_path / 'theirs')
    (theirs / 'tokenizer_config.json').write_text(
        json.dumps({'tokenizer_class': 'BertTokenizer', 'do_lower_case': True})
    )
    model = package.CrossEncoder(str(theirs), max_length=20, local_files_only=True)
    expected = gb.CrossEncoder(folder).predict(PAIRS)
    np.testing.assert_allclose(model.predict(PAIRS), expected, atol=1e-5)
    ranked = model.rank(QUERY, DOCUMENTS)
    ours = gb.CrossEncoder(folder).rank(QUERY, DOCUMENTS)
    assert [row['corpus_id'] for row in ranked] == [row['corpus_id'] for row in ours]
    model.save_pretrained(str(tmp_path / 'saved'))
    shutil.rmtree(theirs)
    back = gb.CrossEncoder(tmp_path / 'saved')
    assert back.pipeline.task == 'text-ranking' and back.activation == 'sigmoid'
    np.testing.assert_allclose(back.predict(PAIRS), expected, atol=1e-5)
    assert AWKWARD.units == back.pipeline.trained.config.units
