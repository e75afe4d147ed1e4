"""Objectives of pre-training against transformers on PyTorch: gradients, and losses of runs."""

import json
from dataclasses import replace

import mxnet as mx
import numpy as np
import pytest
from conftest import TINY

from gluon_bert import BertForPretraining, BertModel
from gluon_bert.checkpoint import Checkpoint, write_checkpoint
from gluon_bert.data.pretraining.records import Record, write_records
from gluon_bert.data.pretraining.stream import PretrainingStream, StreamOptions
from gluon_bert.modeling.replaced_tokens import BertForReplacedTokens
from gluon_bert.training import OBJECTIVES, TrainingOptions, TrainingRun
from gluon_bert.training.files import RunFiles

torch = pytest.importorskip('torch', reason='the reference is transformers on PyTorch')
transformers = pytest.importorskip('transformers', reason='the reference is transformers')

CONFIG = replace(TINY, dropout=0.0, num_heads=4)
STEPS, BATCH = 50, 4


def draw_records(count, seed=3, longest=14):
    rng = np.random.RandomState(seed)
    for _ in range(count):
        length = rng.randint(6, longest)
        ids = rng.randint(5, 97, length)
        positions = np.sort(rng.choice(np.arange(1, length - 1), rng.randint(1, 4), replace=False))
        words = rng.randint(5, 97, len(positions))
        types = (np.arange(length) > length // 2).astype(int)
        yield Record(ids, types, positions, words, np.ones(len(words)), int(rng.randint(2)))


@pytest.fixture
def stream(tmp_path):
    write_records(tmp_path / 'records.npz', draw_records(20))
    options = StreamOptions(batch_size=BATCH, seed=5)
    return PretrainingStream(tmp_path / 'records.npz', options)


def initialized(network):
    mx.random.seed(7)
    network.initialize(mx.init.Normal(0.2))
    return network


def as_transformers(kind, folder, config, arrays, family):
    """The model of transformers with these arrays."""
    write_checkpoint(Checkpoint(arrays, config, family), folder, 'huggingface')
    return kind.from_pretrained(folder, attn_implementation='eager').eval()


def tensors_of(arrays):
    ids, types, lengths, positions, words, weights, labels = arrays
    mask = np.arange(ids.shape[1]) < lengths[:, None]
    targets = np.full(ids.shape, -100)
    for row in range(len(ids)):
        used = weights[row] > 0
        targets[row, positions[row, used]] = words[row, used]
    tensors = (ids, types, mask, targets, labels)
    return [torch.tensor(tensor.astype('int64')) for tensor in tensors]


def descend(network):
    """Subtract each gradient from its parameter."""
    for parameter in {id(p): p for p in network.collect_params().values()}.values():
        parameter.set_data(parameter.data() - parameter.grad())


def compare(model, folder, config, arrays, family):
    """After the same step of descent, both have the same parameters."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter -= parameter.grad
    expected = model.state_dict()
    found = as_transformers(type(model), folder, config, arrays, family).state_dict()
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        np.testing.assert_allclose(
            tensor.numpy(), expected[name].numpy(), atol=2e-5, rtol=2e-4, err_msg=name
        )


@pytest.mark.parametrize('native', [False, True])
@pytest.mark.parametrize('embedding_units', [None, 12])
def test_replaced_tokens_have_the_gradients_of_electra(stream, tmp_path, native, embedding_units):
    from gluon_bert.kernels.training import make_trainer

    config = replace(CONFIG, embedding_units=embedding_units, pooler_activation='gelu')
    network = initialized(BertForReplacedTokens(BertModel(config, use_pooler=False), 0.5))
    if not native:
        network.hybridize()
    encoder = make_trainer(network) if native else None
    if native and encoder is None:
        pytest.skip('the kernels do not run this network')
    arrays = next(iter(stream.batches().arrays()))
    inputs, labels = stream.to_ndarrays(arrays)

    generator_config = network.generator_config
    of_generator = network.generator.checkpoint_arrays()
    generator = as_transformers(
        transformers.ElectraForMaskedLM, tmp_path / 'g', generator_config, of_generator, 'electra'
    )
    discriminator = as_transformers(
        transformers.ElectraForPreTraining,
        tmp_path / 'd',
        config,
        network.checkpoint_arrays(),
        'electra',
    )
    copy_head(network.discriminator, discriminator.discriminator_predictions)
    discriminator.electra.embeddings = generator.electra.embeddings

    objective = OBJECTIVES['replaced_tokens']
    with mx.autograd.record():
        outputs = network(*inputs, encoder=encoder)
        counts = objective.counts(inputs, labels)
        terms = {
            name: term.loss(outputs, *labels).sum() / counts[name]
            for name, term in objective.terms.items()
        }
        loss = objective.weighted(terms)
    loss.backward()

    ids, types, mask, targets, _ = tensors_of(arrays)
    theirs = generator(ids, mask, types, labels=targets).loss
    samples = torch.tensor(outputs.samples.asnumpy().astype('int64'))
    corrupted, is_replaced = ids.clone(), torch.zeros_like(ids)
    for row in range(BATCH):
        for column, weight in enumerate(arrays.masked_weights[row]):
            position = int(arrays.masked_positions[row, column])
            if weight:
                sample = samples[row, column]
                corrupted[row, position] = sample
                is_replaced[row, position] = sample != targets[row, position]
    detection = discriminator(corrupted, mask, types, labels=is_replaced).loss
    assert 0 < is_replaced.sum() < mask.sum()
    np.testing.assert_allclose(terms['masked_words'].asscalar(), theirs.item(), rtol=1e-5)
    np.testing.assert_allclose(terms['replaced_tokens'].asscalar(), detection.item(), rtol=1e-5)
    (theirs + 50 * detection).backward()

    descend(network)
    compare(
        generator,
        tmp_path / 'g2',
        generator_config,
        network.generator.checkpoint_arrays(),
        'electra',
    )
    head = discriminator.discriminator_predictions
    for ours, theirs in zip(head_parameters(network.discriminator), head.parameters()):
        expected = (theirs - theirs.grad).detach().numpy()
        np.testing.assert_allclose(ours.data().asnumpy(), expected, atol=2e-5, rtol=2e-4)
    discriminator.electra.embeddings = type(discriminator.electra.embeddings)(
        discriminator.config
    )  # compared above
    compare_encoders(discriminator, network, tmp_path / 'd2', config)


def head_parameters(head):
    return head.dense.weight, head.dense.bias, head.score.weight, head.score.bias


def copy_head(ours, theirs):
    with torch.no_grad():
        for source, target in zip(head_parameters(ours), theirs.parameters()):
            target.copy_(torch.tensor(source.data().asnumpy()))


def compare_encoders(discriminator, network, folder, config):
    arrays = network.checkpoint_arrays()
    found = as_transformers(
        transformers.ElectraForPreTraining, folder, config, arrays, 'electra'
    ).state_dict()
    count = 0
    for name, parameter in discriminator.named_parameters():
        if '.encoder.' in name or 'embeddings_project' in name:
            expected = (parameter - parameter.grad).detach().numpy()
            np.testing.assert_allclose(
                found[name].numpy(), expected, atol=2e-5, rtol=2e-4, err_msg=name
            )
            count += 1
    assert count >= 32


@pytest.mark.parametrize('family', ['albert', 'bert'])
def test_pairs_have_the_gradients_of_transformers(stream, tmp_path, family):
    config, kind, label, name = CONFIG, transformers.BertForPreTraining, 'next_sentence', ''
    if family == 'albert':
        kind, label, name = transformers.AlbertForPreTraining, 'sentence_order', '_'
        config = replace(config, embedding_units=12, share_layers=True)
    network = initialized(BertForPretraining(BertModel(config)))
    model = as_transformers(kind, tmp_path / 'm', config, network.checkpoint_arrays(), family)
    arrays = next(iter(stream.batches().arrays()))
    inputs, labels = stream.to_ndarrays(arrays)
    objective = OBJECTIVES['sentence_order' if name else 'pretraining']
    with mx.autograd.record():
        terms = objective(network, inputs, labels)
        loss = sum(term.sum / term.count for term in terms.values())
    loss.backward()
    ids, types, mask, targets, order = tensors_of(arrays)
    theirs = model(ids, mask, types, labels=targets, **{f'{label}_label': order}).loss
    np.testing.assert_allclose(loss.asscalar(), theirs.item(), rtol=1e-5)
    theirs.backward()
    descend(network)
    compare(model, tmp_path / 'm2', config, network.checkpoint_arrays(), family)


def lamb_step(model, states, rate, step, decay=0.01, eps=1e-6):
    """You et al. (2020), algorithm 2; without decay and scaling of norms and biases."""
    for name, parameter in model.named_parameters():
        mean, variance = states.setdefault(name, [0.0, 0.0])
        gradient = parameter.grad
        mean, variance = 0.9 * mean + 0.1 * gradient, 0.999 * variance + 0.001 * gradient**2
        states[name] = [mean, variance]
        update = mean / (1 - 0.9**step) / ((variance / (1 - 0.999**step)) ** 0.5 + eps)
        ratio = 1.0
        if decays(name):
            update = update + decay * parameter
            ratio = parameter.norm() / update.norm()
        with torch.no_grad():
            parameter -= rate * ratio * update


def decays(name):
    return not (name.endswith('bias') or 'LayerNorm' in name)


@pytest.mark.parametrize('optimizer', ['adamw', 'lamb'])
def test_the_first_50_losses_are_those_of_transformers(stream, tmp_path, optimizer):
    network = initialized(BertForPretraining(BertModel(CONFIG)))
    model = as_transformers(
        transformers.BertForPreTraining, tmp_path / 'm', CONFIG, network.checkpoint_arrays(), 'bert'
    )
    options = TrainingOptions(
        training_steps=STEPS, optimizer=optimizer, learning_rate=5e-3, log_interval=1
    )
    run = TrainingRun(network, stream, 'pretraining', options, RunFiles(tmp_path / 'run'))
    run.fit()
    rows = map(json.loads, (tmp_path / 'run' / 'metrics.jsonl').read_text().splitlines())
    ours = [row['loss'] for row in rows]

    groups = [
        {'params': [p for n, p in model.named_parameters() if decays(n) == flag], 'weight_decay': d}
        for flag, d in ((True, 0.01), (False, 0.0))
    ]
    adamw = torch.optim.AdamW(groups, lr=1.0, eps=1e-6)
    batches, losses, states = stream.batches(), [], {}
    passes = iter(())
    for step in range(1, STEPS + 1):
        arrays = next(passes, None)
        if arrays is None:
            passes = batches.arrays()
            arrays = next(passes)
        ids, types, mask, targets, follows = tensors_of(arrays)
        loss = model(ids, mask, types, labels=targets, next_sentence_label=follows).loss
        model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        rate = 5e-3 * (step / 5 if step < 5 else (STEPS - step) / 45)
        if optimizer == 'lamb':
            lamb_step(model, states, rate, step)
        else:
            for group in adamw.param_groups:
                group['lr'] = rate
            adamw.step()
        losses.append(loss.item())
    np.testing.assert_allclose(ours, losses, atol=1e-4)
    assert losses[-1] < losses[0] - 0.3
