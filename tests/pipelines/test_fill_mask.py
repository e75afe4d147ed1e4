# ruff: noqa: F811 (fixtures are imported)
"""Words for masks and next sentences, against transformers; what is refused."""

import pytest
from peers import random_network, torch, transformers
from script_runs import WORDS, tokenizer  # noqa: F401 (fixtures)
from tokenizers import ByteLevelBPETokenizer

import gluon_bert as gb

TEXTS = ['The [MASK] sleeps.', '[MASK] dogs [MASK] loudly, without the [MASK]!', 'a cat [MASK]']


@pytest.fixture(params=['BertForPreTraining', 'RobertaForMaskedLM'])
def peer_folder(request, tokenizer, seed, tmp_path):
    """A network of transformers with its tokenizer, and texts for it."""
    if request.param == 'BertForPreTraining':
        network = random_network(
            request.param, seed, vocab_size=len(WORDS), max_position_embeddings=40
        )
        tokenizer.save(tmp_path)
        texts = TEXTS
    else:
        words = ByteLevelBPETokenizer()
        words.train_from_iterator(
            [' '.join(WORDS[5:])] * 3,
            vocab_size=290,
            show_progress=False,
            special_tokens=['<s>', '<pad>', '</s>', '<unk>', '<mask>'],
        )
        words.save_model(str(tmp_path))
        pairs = gb.data.BytePairTokenizer.from_files(
            tmp_path / 'vocab.json',
            tmp_path / 'merges.txt',
            {
                name: f'<{token}>'
                for name, token in (
                    ('unknown_token', 'unk'),
                    ('padding_token', 'pad'),
                    ('cls_token', 's'),
                    ('sep_token', '/s'),
                    ('mask_token', 'mask'),
                )
            },
        )
        pairs.save(tmp_path)
        network = random_network(
            request.param,
            seed,
            vocab_size=len(pairs.vocab),
            max_position_embeddings=40,
            type_vocab_size=1,
        )
        texts = [text.replace('[MASK]', '<mask>') for text in TEXTS]
    network.save_pretrained(tmp_path)
    return tmp_path, texts


def test_top_words_are_those_of_transformers(peer_folder):
    folder, texts = peer_folder
    fill = gb.load_pipeline(folder, batch_size=2)
    pipeline = transformers.pipeline(
        'fill-mask',
        model=transformers.AutoModelForMaskedLM.from_pretrained(folder),
        tokenizer=transformers.AutoTokenizer.from_pretrained(folder),
    )
    results = fill(texts)
    assert [len(result) for result in results] == [1, 3, 1]
    for text, result in zip(texts, results):
        expected = pipeline(text, top_k=5)
        expected = expected if isinstance(expected[0], list) else [expected]
        for ours, theirs in zip(result, expected):
            assert [word.token_id for word in ours] == [word['token'] for word in theirs]
            assert [word.text for word in ours] == [word['token_str'] for word in theirs]
            assert [word.probability for word in ours] == pytest.approx(
                [word['score'] for word in theirs], abs=1e-5
            )
    fill.top_k = 3
    (single,) = fill(texts[0])
    assert [word.token for word in single] == [word.token for word in results[0][0][:3]]


def test_next_sentence_is_that_of_transformers(tokenizer, seed, tmp_path):
    network = random_network('BertForPreTraining', seed, vocab_size=len(WORDS))
    network.save_pretrained(tmp_path)
    tokenizer.save(tmp_path)
    follows = gb.load_pipeline(tmp_path, task='next-sentence')
    inputs = transformers.AutoTokenizer.from_pretrained(tmp_path)(
        'the cat', 'a dog barks', return_tensors='pt'
    )
    with torch.no_grad():
        expected = network(**inputs).seq_relationship_logits.softmax(dim=1)[0, 0]
    result = follows(('the cat', 'a dog barks'))
    assert result.probability == pytest.approx(float(expected), abs=1e-6)
    assert result.follows == (expected > 0.5)


def with_heads(bert, *heads):
    model = gb.BertForPretraining(bert, *heads)
    for parameter in model.collect_params().values():
        if parameter._data is None:
            parameter.initialize()
    return model


@pytest.mark.parametrize(
    'text, top_k, message',
    [
        (['[MASK]', 'no mask'], 5, r'input 1: has no \[MASK\]'),
        ('[MASK]' + ' cat' * 38, 5, 'has 39 tokens, the model takes at most 38'),
        (('[MASK]', 'cat'), 5, 'input 0: a pair'),
        ('[MASK]', 0, 'top_k=0'),
    ],
)
def test_what_cannot_be_filled_is_told(make_model, tokenizer, text, top_k, message):
    model = with_heads(make_model(vocab_size=len(WORDS)), False)
    with pytest.raises(ValueError, match=message):
        gb.pipelines.FillMaskPipeline(model, tokenizer, top_k=top_k)(text)


def test_networks_without_the_head_are_refused(make_model, tokenizer):
    bert = make_model(vocab_size=len(WORDS))
    with pytest.raises(ValueError, match='has no masked_lm head'):
        gb.pipelines.FillMaskPipeline(with_heads(bert, True, False), tokenizer)
    with pytest.raises(ValueError, match='has no next_sentence head'):
        gb.pipelines.NextSentencePipeline(bert, tokenizer)
    with pytest.raises(ValueError, match='one text, expected a pair'):
        gb.pipelines.NextSentencePipeline(with_heads(bert, True, False), tokenizer)('a cat')


def test_rows_beyond_the_vocabulary_are_no_words(make_model, tokenizer):
    model = with_heads(make_model(vocab_size=len(WORDS) + 30), False)
    (words,) = gb.pipelines.FillMaskPipeline(model, tokenizer, top_k=len(WORDS))('[MASK]')
    assert sorted(word.token_id for word in words) == list(range(len(WORDS)))


def test_words_are_the_same_without_kernels(make_model, tokenizer, monkeypatch):
    model = with_heads(make_model(vocab_size=len(WORDS), wide=0.3), False)
    fill = gb.pipelines.FillMaskPipeline(model, tokenizer, top_k=len(WORDS))
    results = {}
    for setting in ('1', '0'):
        monkeypatch.setenv('GLUON_BERT_KERNELS', setting)
        results[setting] = fill(TEXTS)
    for native, plain in zip(results['1'], results['0']):
        assert len(native) == len(plain)
        for words, others in zip(native, plain):
            assert sum(word.probability for word in words) == pytest.approx(1, abs=1e-6)
            by_id = {word.token_id: word for word in others}
            assert by_id.keys() == {word.token_id for word in words}
            for word in words:
                other = by_id[word.token_id]
                assert word.probability == pytest.approx(other.probability, abs=1e-6)
                assert word[::3] == other[::3]
            assert words == sorted(words, key=lambda word: -word.probability)


def test_results_with_another_top_k(make_model, tokenizer):
    model = with_heads(make_model(vocab_size=len(WORDS)), False)
    fill = gb.pipelines.FillMaskPipeline(model, tokenizer, top_k=2)
    fill.most_words = 4
    prepared = fill.prepare(TEXTS)
    outputs = fill.outputs(prepared.features, prepared.positions)
    assert [words.ids.shape for words in outputs] == [(1, 4), (3, 4), (1, 4)]
    for fill.top_k in (2, 4):
        assert fill.results(prepared, outputs) == fill(TEXTS)
    fill.top_k = 5
    with pytest.raises(ValueError, match='top_k=5: the outputs have the best 4 words'):
        fill.results(prepared, outputs)


def test_a_predictor_finds_words_at_positions_alone(make_model, tokenizer):
    features = gb.data.SentenceTransform(tokenizer, 20).transform_batch(['the cat', 'a dog barks'])[
        0
    ]
    model = make_model(vocab_size=len(WORDS))
    predictor = gb.Predictor(with_heads(model, False))
    best = predictor.top_words(features, [[2, 1], []], 3)
    scores = predictor.batch(features, [[2, 1], []]).masked_lm
    assert [words.ids.tolist() for words in best] == [
        (-rows).argsort(axis=1)[:, :3].tolist() for rows in scores
    ]
    with pytest.raises(ValueError, match='are not all in a sequence of 4 tokens'):
        predictor.top_words(features, [[4], []], 3)
    with pytest.raises(ValueError, match='has no decoder of masked words'):
        gb.Predictor(model).top_words(features, [[1], []], 3)
