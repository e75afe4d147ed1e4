"""Equal to transformers on PyTorch: outputs, and the losses of training on real data."""

import json

import mxnet as mx
import numpy as np
import pytest
from peers import huggingface_config, huggingface_inputs, huggingface_model, state_dict, torch
from peers import transformers as hf

import gluon_bert as gb
from gluon_bert.data import SentenceTransform, SequenceData, label_array, pad_batch, read_task
from gluon_bert.training.loop import Plan, fit
from gluon_bert.training.objectives import cross_entropy
from gluon_bert.training.optimizer import linear_schedule

CONFIGURATIONS = [
    {},
    {'activation': 'gelu_tanh'},
    {'activation': 'relu'},
    {'num_token_types': 1},
    {'layer_norm_eps': 1e-5},
    {'layer_norm_eps': 1e-2, 'num_token_types': 1},
    {'num_layers': 1, 'num_heads': 1},
    {'num_layers': 5, 'units': 32, 'num_heads': 8},
    {'units': 6, 'hidden_size': 5, 'num_heads': 2, 'activation': 'gelu_tanh'},
    {'layer_norm_eps': 1e-7, 'activation': 'gelu_tanh', 'num_token_types': 1},
]


@pytest.mark.parametrize('changes', CONFIGURATIONS, ids=str)
@pytest.mark.parametrize('hybridized', [False, True])
def test_random_configurations(make_model, ragged, changes, hybridized):
    model = make_model(**changes)
    if hybridized:
        model.hybridize()
    batch = ragged(model.config, [9, 1, 12, 5])
    with torch.no_grad():
        expected = huggingface_model(model)(
            **huggingface_inputs(batch.inputs, batch.token_types, batch.lengths)
        )
    together = model(*batch.arrays())
    np.testing.assert_allclose(together.pooled.asnumpy(), expected.pooler_output, atol=2e-5)
    for row, length in enumerate(batch.lengths):
        reference = expected.last_hidden_state[row, :length]
        alone = model(
            mx.nd.array(batch.inputs[row : row + 1, :length]),
            mx.nd.array(batch.token_types[row : row + 1, :length]),
        )
        np.testing.assert_allclose(together.sequence[row, :length].asnumpy(), reference, atol=2e-5)
        np.testing.assert_allclose(alone.sequence[0].asnumpy(), reference, atol=2e-5)


@pytest.fixture(scope='module')
def real_features(shared_data, real_model):
    """200 real sentences of mixed lengths, and pairs among them."""
    tokenizer = gb.data.BertTokenizer(real_model[1], lower=True)
    transform = SentenceTransform(tokenizer, 128)
    glue = shared_data / 'glue_data'
    pairs = read_task('MRPC', glue / 'MRPC', 'dev').examples[:100]
    singles = read_task('SST-2', glue / 'SST-2', 'dev').examples[:100]
    return [transform(example.text, example.pair) for example in pairs + singles]


@pytest.mark.data
@pytest.mark.weights
@pytest.mark.parametrize('hybridized', [False, True])
@pytest.mark.parametrize('batch_size', [1, 20])
def test_real_weights_on_real_sentences(
    real_model, real_folder, real_features, hybridized, batch_size
):
    model, _ = real_model
    model.hybridize(active=hybridized)
    reference = hf.BertModel.from_pretrained(real_folder).eval()
    for start in range(0, len(real_features), batch_size):
        arrays = pad_batch(real_features[start : start + batch_size], 0)
        ours = model(*map(mx.nd.array, arrays))
        with torch.no_grad():
            expected = reference(**huggingface_inputs(*arrays))
        valid = np.arange(arrays[0].shape[1])[None] < arrays[2][:, None]
        np.testing.assert_allclose(
            ours.sequence.asnumpy()[valid], expected.last_hidden_state.numpy()[valid], atol=2e-5
        )
        np.testing.assert_allclose(ours.pooled.asnumpy(), expected.pooler_output, atol=2e-5)


STEPS = 50


def torch_losses(bert, head, data, plan, classes=2):
    """A plain loop: the same batches, clipping, schedule; torch's Adam, or BERT's transcribed."""
    config = huggingface_config(
        bert.config, num_labels=classes, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    model = hf.BertForSequenceClassification(config).train()
    model.load_state_dict(
        {
            **state_dict(bert, 'bert.'),
            'classifier.weight': torch.tensor(head.weight.data().asnumpy()),
            'classifier.bias': torch.tensor(head.bias.data().asnumpy()),
        }
    )
    named = dict(model.named_parameters())
    adam = torch.optim.Adam(named.values(), eps=plan.epsilon)
    moments = {name: (torch.zeros_like(p), torch.zeros_like(p)) for name, p in named.items()}
    batches = [batch for epoch in range(9) for batch in data.training_batches(epoch)]
    losses = []
    for step in range(STEPS):
        group = batches[step * plan.accumulate : (step + 1) * plan.accumulate]
        total, loss = sum(map(len, group)), 0.0
        for batch in group:
            inputs, labels = data.load(batch)
            scores = model(**huggingface_inputs(*(part.asnumpy() for part in inputs))).logits
            part = (
                torch.nn.functional.cross_entropy(
                    scores, torch.tensor(labels.asnumpy()).long(), reduction='sum'
                )
                / total
            )
            part.backward()
            loss += part.item()
        losses.append(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), plan.max_grad_norm)
        rate = linear_schedule(step + 1, STEPS, int(STEPS * plan.warmup_ratio), plan.learning_rate)
        if plan.optimizer == 'adam':
            adam.param_groups[0]['lr'] = rate
            adam.step()
        else:
            bertadam_step(named, moments, rate, plan.epsilon)
        model.zero_grad()
    return losses


def bertadam_step(named, moments, rate, epsilon):
    """google-research/bert, optimization.py: the update as its comments describe it."""
    with torch.no_grad():
        for name, p in named.items():
            m, v = moments[name]
            m.copy_(0.9 * m + 0.1 * p.grad)
            v.copy_(0.999 * v + 0.001 * p.grad**2)
            update = m / (v.sqrt() + epsilon)
            if 'LayerNorm' not in name and 'bias' not in name:
                update = update + 0.01 * p
            p -= rate * update


@pytest.fixture(scope='module')
def mrpc_features(shared_data, real_model):
    tokenizer = gb.data.BertTokenizer(real_model[1], lower=True)
    examples = read_task('MRPC', shared_data / 'glue_data' / 'MRPC', 'train').examples[:400]
    features, _ = SentenceTransform(tokenizer, 40).transform_batch(
        [example.text for example in examples], [example.pair for example in examples]
    )
    return features, label_array(examples)


def our_losses(bert, data, plan, folder):
    classifier = gb.BertClassifier(bert, dropout=0.0)
    mx.random.seed(4)
    classifier.classifier.initialize()
    classifier.hybridize()
    expected = torch_losses(bert, classifier.classifier, data, plan)
    fit(classifier, data, cross_entropy, plan, folder)
    lines = (folder / 'metrics.jsonl').read_text().splitlines()
    return [json.loads(line)['loss'] for line in lines], expected


@pytest.mark.data
@pytest.mark.weights
@pytest.mark.parametrize('optimizer', ['adam', 'bertadam'])
@pytest.mark.parametrize('accumulate', [1, 2])
@pytest.mark.parametrize('fixed_length', [None, 48], ids=['to longest', 'fixed'])
def test_losses_of_a_small_network_on_mrpc(
    make_model, mrpc_features, tmp_path, optimizer, accumulate, fixed_length
):
    bert = make_model(
        wide=0.04, vocab_size=30522, max_length=48, dropout=0.0, units=48, hidden_size=96
    )
    data = SequenceData(*mrpc_features, 0, batch_size=8, seed=1, fixed_length=fixed_length)
    plan = Plan(
        training_steps=STEPS,
        optimizer=optimizer,
        learning_rate=5e-4,
        log_interval=1,
        accumulate=accumulate,
    )
    ours, expected = our_losses(bert, data, plan, tmp_path)
    assert len(ours) == STEPS
    np.testing.assert_allclose(ours, expected, rtol=1e-4)


@pytest.mark.data
@pytest.mark.weights
@pytest.mark.parametrize(
    'optimizer, accumulate, fixed_length', [('adam', 1, 48), ('bertadam', 2, None)]
)
def test_losses_of_the_real_network_on_mrpc(
    real_folder, mrpc_features, tmp_path, optimizer, accumulate, fixed_length
):
    bert, _ = gb.get_model('bert_6_384_12', 'all_minilm_l6_v2', dropout=0.0)
    features, labels = mrpc_features
    kept = np.array([feature.valid_length <= 40 for feature in features])
    data = SequenceData(
        [feature for feature, keep in zip(features, kept) if keep],
        labels[kept],
        0,
        batch_size=4,
        seed=1,
        fixed_length=fixed_length,
    )
    plan = Plan(
        training_steps=STEPS,
        optimizer=optimizer,
        learning_rate=2e-5,
        log_interval=1,
        accumulate=accumulate,
    )
    ours, expected = our_losses(bert, data, plan, tmp_path)
    np.testing.assert_allclose(ours, expected, rtol=1e-4)


@pytest.mark.data
@pytest.mark.weights
def test_sentence_vectors_give_the_published_correlation(shared_data, real_model):
    """Spearman's rank correlation with the ratings of STS-B dev, nothing fine-tuned: 0.867."""
    model, vocab = real_model
    model.hybridize()
    examples = read_task('STS-B', shared_data / 'glue_data' / 'STS-B', 'dev').examples
    transform = SentenceTransform(gb.data.BertTokenizer(vocab, lower=True), 128)
    vectors = []
    for texts in ([example.text for example in examples], [example.pair for example in examples]):
        features, _ = transform.transform_batch(texts)
        data = SequenceData(features, None, 0, batch_size=64)
        result = np.zeros((len(features), 384))
        lengths = [feature.valid_length for feature in data.features]
        for batch in gb.data.sequential_batches(lengths, data.batch_size):
            inputs, _ = data.load(batch)
            result[batch] = gb.mean_pool(model(*inputs).sequence, inputs[2]).asnumpy()
        vectors.append(result)
    cosine = (vectors[0] * vectors[1]).sum(axis=1)
    score = gb.metrics.evaluate_metrics(['spearman'], label_array(examples), cosine)['spearman']
    assert round(score, 3) == 0.867
