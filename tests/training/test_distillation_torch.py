"""Gradients of a student through its layers, against PyTorch and transformers."""

from dataclasses import replace

import mxnet as mx
import numpy as np
import pytest
from conftest import TINY, Ragged

from gluon_bert import BertClassifier
from gluon_bert.checkpoint import Checkpoint, write_checkpoint
from gluon_bert.modeling.distilled import DistilledNetwork
from gluon_bert.training.distillation_objective import (
    LayerPairs,
    Lesson,
    LossWeights,
    make_distillation_objective,
)
from gluon_bert.training.objectives import OBJECTIVES

torch = pytest.importorskip('torch', reason='the reference is PyTorch')
transformers = pytest.importorskip('transformers', reason='the reference is transformers')

STUDENT = replace(TINY, dropout=0.0, num_layers=2, num_heads=4)
TEACHER = replace(TINY, dropout=0.0, num_layers=4, num_heads=2, units=36, hidden_size=20)
LAYERS = LayerPairs(36, ((0, 0), (1, 2), (2, 4)), (2, 3), 6)
WEIGHTS = LossWeights(0.25, 2.0, relations=0.7, hidden=0.3)
CLASSES = 3


def as_transformers(folder, bert):
    write_checkpoint(Checkpoint(bert.checkpoint_arrays(), bert.config), folder, 'huggingface')
    return transformers.BertModel.from_pretrained(folder, attn_implementation='eager').eval()


def run(model, ids, types, mask):
    """Hidden states by layer, the pooled vector, and queries, keys and values by layer."""
    vectors = []
    hooks = [
        getattr(layer.attention.self, name).register_forward_hook(
            lambda module, inputs, output: vectors.append(output)
        )
        for layer in model.encoder.layer
        for name in ('query', 'key', 'value')
    ]
    output = model(ids, mask, types, output_hidden_states=True)
    for hook in hooks:
        hook.remove()
    rows = [vectors[3 * number : 3 * number + 3] for number in range(len(vectors) // 3)]
    return output.hidden_states, output.pooler_output, rows


def relation(vectors, mask, heads):
    size, length, units = vectors.shape
    parts = vectors.view(size, length, heads, units // heads).transpose(1, 2)
    scores = parts @ parts.transpose(2, 3) / (units // heads) ** 0.5
    return scores.masked_fill(~mask[:, None, None].bool(), -1e9).log_softmax(-1)


def loss_of(student, teacher, projection, scores, labels, mask):
    hidden, _, rows = student
    right, taught, right_rows = teacher
    lengths = mask.sum(1)
    total = 0.75 * torch.nn.functional.cross_entropy(scores, labels)
    soft = -(taught / 2).softmax(-1) * (scores / 2).log_softmax(-1)
    total = total + 0.25 * 4 * soft.sum(1).mean()
    for ours, theirs in zip(rows[1], right_rows[2]):
        log_s, log_t = relation(ours, mask, 6), relation(theirs, mask, 6)
        divergence = torch.nn.functional.kl_div(log_s, log_t, reduction='none', log_target=True)
        each = (divergence.sum(-1) * mask[:, None]).sum((1, 2)) / (6 * lengths)
        total = total + 0.7 * each.mean()
    for ours, theirs in ((0, 0), (1, 2), (2, 4)):
        errors = (projection(hidden[ours]) - right[theirs]).square().mean(-1) * mask
        total = total + 0.3 * (errors.sum(1) / lengths).mean()
    return total


@pytest.fixture
def networks(make_model):
    changes = {name: getattr(TEACHER, name) for name in vars(TEACHER)}
    teacher = make_model(**changes)
    bert = make_model(**{name: getattr(STUDENT, name) for name in vars(STUDENT)})
    classifier = BertClassifier(bert, CLASSES, dropout=0.0)
    network = DistilledNetwork(classifier, 36, hidden=True)
    for parameter in [*network.new_parameters(), *classifier.classifier.collect_params().values()]:
        parameter.initialize(mx.init.Normal(0.3))
    return teacher, network


def test_all_terms_through_both_networks(networks, tmp_path):
    teacher, network = networks
    batch = Ragged(STUDENT, [5, 3, 4], seed=2)
    inputs = [mx.nd.array(array) for array in (batch.inputs, batch.token_types, batch.lengths)]
    mask = (np.arange(5) < batch.lengths[:, None]).astype('float32')
    tap = LAYERS.teacher_tap(teacher)
    tap(*inputs)
    states = mx.nd.concat(*(tap.hidden[layer] for layer in (0, 2, 4)), *tap.query_key_value, dim=2)
    taught = np.random.RandomState(4).normal(size=(3, CLASSES)).astype('float32')
    labels = np.array([0, 2, 1])
    lesson = Lesson(
        *(mx.nd.array(array) for array in (labels, np.ones(3), mask, mask, taught)), states
    )
    objective = make_distillation_objective('classes', WEIGHTS, OBJECTIVES['cross_entropy'], LAYERS)
    totals = objective.counts(inputs, lesson)
    terms = objective.gradients(network, inputs, lesson, totals)
    found = float(objective.weighted(terms).asscalar())

    ids, types = (torch.tensor(array).long() for array in (batch.inputs, batch.token_types))
    ours = as_transformers(tmp_path / 'student', network.bert)
    theirs = as_transformers(tmp_path / 'teacher', teacher)
    weight, bias = (
        torch.tensor(value.data().asnumpy(), requires_grad=True)
        for value in network.new_parameters()
    )
    head = network.student.classifier
    head_weight, head_bias = (
        torch.tensor(value.data().asnumpy()) for value in (head.weight, head.bias)
    )
    flags = torch.tensor(mask)
    with torch.no_grad():
        right = run(theirs, ids, types, flags)
    student = run(ours, ids, types, flags)
    expected = loss_of(
        student,
        (right[0], torch.tensor(taught), right[2]),
        lambda hidden: hidden @ weight.T + bias,
        student[1] @ head_weight.T + head_bias,
        torch.tensor(labels),
        flags,
    )
    expected.backward()
    assert found == pytest.approx(float(expected.detach()), rel=1e-5)
    layers = network.bert.layers
    pairs = [
        (network.projection.weight, weight.grad),
        (layers[0].expand.weight, ours.encoder.layer[0].intermediate.dense.weight.grad),
        (network.bert.embeddings.word.weight, ours.embeddings.word_embeddings.weight.grad),
        (network.bert.pooler.weight, ours.pooler.dense.weight.grad),
    ]
    for parameter, gradient in pairs:
        np.testing.assert_allclose(
            parameter.grad().asnumpy(), gradient.numpy(), rtol=1e-4, atol=1e-5
        )
    joint = layers[1].attention.query_key_value.weight.grad().asnumpy()
    joint = joint.reshape(STUDENT.num_heads, 3, -1, STUDENT.units)
    for number, name in enumerate(('query', 'key', 'value')):
        gradient = getattr(ours.encoder.layer[1].attention.self, name).weight.grad.numpy()
        np.testing.assert_allclose(
            joint[:, number].reshape(gradient.shape), gradient, rtol=1e-4, atol=1e-5
        )
