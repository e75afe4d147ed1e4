# ruff: noqa: F811 (fixtures are imported)
"""Multiple choice: trained end to end; no example is divided, no absent choice scored."""

import json

import mxnet as mx
import numpy as np
import pytest
from script_runs import tiny_folder, tiny_pipeline, tokenizer  # noqa: F401 (fixtures)
from sklearn import metrics as sklearn_metrics

import gluon_bert as gb
from gluon_bert.cli import main
from gluon_bert.data import Features
from gluon_bert.data.choices.dataset import ChoiceData
from gluon_bert.data.choices.examples import ChoiceExample
from gluon_bert.pipelines.multiple_choice import MultipleChoicePipeline
from gluon_bert.tasks.evaluation import read_dev
from gluon_bert.training import OBJECTIVES
from gluon_bert.training.batches import Batch, IndexedBatches
from gluon_bert.training.data_parallel import add_gradients, devices_of

WORDS = ('sleeps', 'barks', 'sun', 'moon')
RIGHT = {'cat': 'sleeps', 'dog': 'barks'}


def write_jsonl(path, rng, count):
    """Contexts with 2 to 4 choices, in any order; the animal tells the right one."""
    lines = []
    for _ in range(count):
        animal = rng.choice([*RIGHT])
        others = [word for word in WORDS if word != RIGHT[animal]]
        choices = [RIGHT[animal], *rng.permutation(others)[: rng.randint(1, 4)]]
        choices = list(rng.permutation(choices))
        row = {'context': f'the {animal}', 'question': 'here', 'choices': choices}
        lines.append(json.dumps({**row, 'label': choices.index(RIGHT[animal])}))
    path.write_text('\n'.join(lines) + '\n')


def write_swag(path, rng, count):
    """The same in SWAG's layout, whose first column has no name."""
    lines = [',video-id,startphrase,sent1,sent2,gold-source,ending0,ending1,ending2,ending3,label']
    for number in range(count):
        animal = rng.choice([*RIGHT])
        choices = list(rng.permutation(WORDS))
        label = choices.index(RIGHT[animal])
        cells = [number, 'v', 'x', f'the {animal}', 'here', 'gold', *choices, label]
        lines.append(','.join(map(str, cells)))
    path.write_text('\n'.join(lines) + '\n')


@pytest.fixture
def files(tmp_path, seed):
    rng = np.random.RandomState(seed)
    write_jsonl(tmp_path / 'train.jsonl', rng, 96)
    write_swag(tmp_path / 'dev.csv', rng, 24)
    return tmp_path


@pytest.fixture
def trained(tiny_folder, files):
    source, _ = tiny_folder(dropout=0.0)
    return gb.finetune(
        'multiple-choice',
        source,
        train=files / 'train.jsonl',
        dev=files / 'dev.csv',
        output_dir=files / 'out',
        epochs=8,
        batch_size=8,
        learning_rate=5e-3,
        optimizer='adamw',
        max_len=16,
    )


def test_it_learns_and_its_folder_is_complete(trained, files, capsys):
    pipeline = gb.load_pipeline(files / 'out')
    assert type(pipeline) is MultipleChoicePipeline
    split = read_dev(pipeline, files / 'dev.csv')
    results = pipeline(split.inputs)
    given = [row.number for row in results]
    accuracy = sklearn_metrics.accuracy_score(split.answers, given)
    assert trained.metrics['dev'] == {'accuracy': pytest.approx(accuracy)}
    assert accuracy > 0.9  # of guesses it is 0.25
    assert split.score(pipeline) == accuracy
    rows = (files / 'out' / 'train_dev.tsv').read_text().splitlines()
    assert rows[1:] == [f'{index}\t{number}' for index, number in enumerate(given)]
    shares = (files / 'out' / 'train_dev_probabilities.tsv').read_text().splitlines()
    assert shares[0].split('\t') == ['index', 'prediction', *(f'choice{i}' for i in range(4))]
    card = (files / 'out' / 'README.md').read_text()
    assert 'pipeline_tag: multiple-choice' in card and '- "accuracy"' in card
    assert main(['predict', str(files / 'out'), '--input', str(files / 'dev.csv')]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line['number'] for line in lines] == given
    assert lines[0]['context'] in ('the cat', 'the dog') and lines[0]['question'] == 'here'


def test_the_command_trains_on_the_sample(tiny_folder, tmp_path, capsys):
    source, _ = tiny_folder()
    out = tmp_path / 'out'
    arguments = ['--train_file', 'examples/sample/choices_train.jsonl', '--epochs', '1']
    arguments += ['--dev_file', 'examples/sample/choices_dev.csv', '--output_dir', str(out)]
    assert main(['train', 'multiple-choice', '--model', str(source), *arguments]) == 0
    capsys.readouterr()
    line = 'The kettle whistles. ||| She makes tea. ||| She folds it.'
    assert main(['predict', str(out), line]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row['choices'] == ['She makes tea.', 'She folds it.']
    assert row['choice'] == row['choices'][row['number']]


def test_probabilities_are_the_softmax_over_the_choices_of_an_example(tiny_pipeline):
    pipeline = tiny_pipeline('multiple-choice')
    inputs = [
        ('the cat', ['sleeps here', 'barks loudly !']),
        {'context': 'the cat', 'question': 'the dog', 'choices': ['sleeps', 'barks', 'moon']},
        {'question': 'the cat', 'choices': ('sleeps here', 'barks loudly !')},
    ]
    results = pipeline(inputs)
    for (context, seconds), result in zip(
        (inputs[0], ('the cat', ['the dog sleeps', 'the dog barks', 'the dog moon'])), results
    ):
        transform = gb.data.SentenceTransform(pipeline.tokenizer, 16)
        batch = transform.transform_batch([context] * len(seconds), seconds)[0]
        arrays = map(mx.nd.array, gb.data.pad_batch(batch, 0))
        scores = pipeline.network(*arrays).asnumpy()[:, 0].astype('float64')
        shares = np.exp(scores) / np.exp(scores).sum()
        np.testing.assert_allclose(result.probabilities, shares, rtol=1e-5)
        assert result.number == int(shares.argmax())
        assert result.probability == pytest.approx(shares.max(), rel=1e-5)
    assert results[2] == results[0] == pipeline(inputs[0])
    assert list(pipeline.stream(iter(inputs))) == results


# Batches


def random_examples(config, seed, count=11):
    rng = np.random.RandomState(seed)

    def sequence():
        length = rng.randint(2, 9)
        ids = rng.randint(5, config.vocab_size, length).astype('int32')
        return Features(ids, np.zeros(length, 'int32'), length)

    features = [[sequence() for _ in range(rng.randint(2, 5))] for _ in range(count)]
    return features, [rng.randint(len(choices)) for choices in features]


@pytest.fixture
def make_network(make_model):
    def make(num_devices=1):
        mx.random.seed(4)
        ctx = [mx.cpu(i) for i in range(num_devices)]
        network = gb.BertForMultipleChoice(make_model(dropout=0.0), dropout=0.0)
        network.choice.initialize(mx.init.Normal(0.3))
        network.collect_params().reset_ctx(ctx)
        return network

    return make


def test_absent_choices_are_not_scored(make_network, seed):
    network = make_network()
    features, labels = random_examples(network.config, seed)
    data = ChoiceData(features, labels, 0, batch_size=11)
    inputs, targets = data.load(range(11))
    scores = network(*inputs).asnumpy()
    lengths = inputs[2].asnumpy()
    assert scores.shape == lengths.shape == (11, 4) and (lengths == 0).any()
    assert (scores[lengths == 0] == -1e30).all()
    losses = OBJECTIVES['cross_entropy'].terms['loss'].loss(network(*inputs), targets).asnumpy()
    for row, (choices, label) in enumerate(zip(features, labels)):
        flat = map(mx.nd.array, gb.data.pad_batch(choices, 0))
        alone = network(*flat).asnumpy()[:, 0].astype('float64')
        np.testing.assert_allclose(scores[row, : len(choices)], alone, rtol=1e-5, atol=1e-6)
        expected = np.log(np.exp(alone).sum()) - alone[label]
        np.testing.assert_allclose(losses[row], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('devices, size, processes', [(2, 5, 1), (1, 2, 1), (3, 2, 1), (2, 5, 3)])
def test_gradients_do_not_depend_on_how_batches_are_cut(
    devices, size, processes, make_network, seed
):
    def gradients(num_devices, batch_size, num_processes):
        network = make_network(num_devices)
        data = ChoiceData(*random_examples(network.config, seed), 0, batch_size=batch_size)
        parameters = network.collect_params()
        parameters.setattr('grad_req', 'add')
        parameters.zero_grad()
        loss = 0.0
        for rank in range(num_processes):
            batches = IndexedBatches(data, rank, num_processes)
            shares = [batches.split(Batch(inputs, (labels,))) for inputs, labels in batches]
            shares = [share for share in shares if share is not None]
            totals, ctx = {'loss': float(len(data))}, devices_of(network)
            means = add_gradients(
                network, OBJECTIVES['cross_entropy'], shares, totals, ctx, [0, 0, rank]
            )
            loss += means['loss']
        sums = {
            name: sum(array.asnumpy() for array in row.list_grad())
            for name, row in network._collect_params_with_prefix().items()
        }
        return loss, sums

    loss, whole = gradients(1, 11, 1)
    cut_loss, cut = gradients(devices, size, processes)
    assert cut_loss == pytest.approx(loss, rel=1e-5)
    for name, array in whole.items():
        np.testing.assert_allclose(cut[name], array, rtol=1e-4, atol=1e-6, err_msg=name)
    assert max(abs(array).max() for array in whole.values()) > 1e-3


# What is refused

ROWS = {
    'one choice': ({'context': 'a', 'choices': ['b'], 'label': 0}, 'expected two choices or more'),
    'none': ({'context': 'a', 'choices': [], 'label': 0}, 'expected two choices or more, got none'),
    'empty': ({'context': 'a', 'choices': ['b', ' '], 'label': 0}, 'choice 1 is empty'),
    'number': ({'context': 'a', 'choices': ['b', 3], 'label': 0}, 'choice 1 must be a string'),
    'text': ({'context': 'a', 'choices': 'bc', 'label': 0}, "'choices' must be a list"),
    'label': ({'context': 'a', 'choices': ['b', 'c'], 'label': 2}, 'the label is 2: expected .* 0'),
    'letter': ({'context': 'a', 'choices': ['b', 'c'], 'label': 'B'}, "the label is 'B'"),
    'flag': ({'context': 'a', 'choices': ['b', 'c'], 'label': True}, 'the label is True'),
    'no label': ({'context': 'a', 'choices': ['b', 'c']}, 'row 1 has no label'),
    'no context': ({'choices': ['b', 'c'], 'label': 0}, 'has no context or question'),
    'no choices': ({'context': 'a', 'label': 0}, 'has no choices'),
    'context': ({'context': 3, 'choices': ['b', 'c'], 'label': 0}, "'context' must be a string"),
}


@pytest.mark.parametrize('name', ROWS)
def test_rows_that_cannot_be_learned_from_are_refused(name, tiny_folder, tmp_path, capsys):
    row, reason = ROWS[name]
    good = {'context': 'a', 'choices': ['b', 'c'], 'label': 0}
    path = tmp_path / 'train.jsonl'
    path.write_text(f'{json.dumps(good)}\n{json.dumps(row)}\n')
    source, _ = tiny_folder()
    arguments = ['--train_file', str(path), '--output_dir', str(tmp_path / 'out')]
    assert main(['train', 'multiple-choice', '--model', str(source), *arguments]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    with pytest.raises(ValueError, match=reason):
        raise ValueError(error)
    assert f'{path}:2: ' in error or name == 'no label'
    if name != 'no label':
        assert main(['train', 'multiple-choice', '--model', str(source), *arguments,
                     '--skip_malformed', '--epochs', '1']) == 0  # fmt: skip


HEADERS = {
    'sent1,sent2,label\na,b,0': 'train.csv:1: has no choices: expected ending0',
    'sent1,choices,label\na,b,0': 'train.csv:1: has no choices: expected ending0',
    'sent1,ending0,label\na,b,0': 'ending0 is the only column of choices',
    'sent1,ending0,ending2,label\na,b,c,0': 'the columns of choices are ending0, ending2',
    'ending0,ending1,label\na,b,0': 'has no context or question: expected one of sent1',
    'sent1,ending0,ending1,sent1,label\na,b,c,d,0': "the header names 'sent1' twice",
    'sent1,ending0,ending1\na,b,c': 'row 0 has no label',
    'sent1,ending0,ending1,label\na,b,,0': 'train.csv:2: choice 1 is empty',
    'sent1,ending0,ending1,label\na,b,c': 'train.csv:2: the row has 3 columns, expected 4',
}


@pytest.mark.parametrize('text', HEADERS)
def test_tables_without_what_is_needed_are_refused(text, tiny_folder, tmp_path):
    (tmp_path / 'train.csv').write_text(text + '\n')
    source, _ = tiny_folder()
    with pytest.raises(ValueError, match=HEADERS[text]):
        gb.finetune(
            'multiple-choice', source, train=tmp_path / 'train.csv', output_dir=tmp_path / 'out'
        )


def test_inputs_of_other_forms_are_refused(tiny_pipeline):
    pipeline = tiny_pipeline('multiple-choice')
    for item, reason in (
        ('a text', 'input 0: expected a tuple of a context'),
        (('a', ['b']), 'input 0: expected two choices or more, got one'),
        (('a', ['b', '']), 'input 0: choice 1 is empty'),
        (ChoiceExample('a', None, ('b',)), 'input 0: expected two choices or more, got one'),
        (('a', 'bc'), 'choices must be a list of strings, got str'),
        ((3, ['b', 'c']), 'context must be a string, got int'),
        ({'context': 'a'}, "has no 'choices'"),
        ({'choices': ['b', 'c']}, "has no 'context'"),
        ({'context': 'a', 'choices': ['b', 'c'], 'x': 1}, "unknown key 'x'"),
    ):
        with pytest.raises(ValueError, match=reason):
            pipeline([item])


# transformers


def test_a_network_of_transformers_gives_the_same(tokenizer, tmp_path, seed):
    torch = pytest.importorskip('torch', reason='needs PyTorch: python3 dev.py setup --peers')
    from peers import random_network

    theirs = random_network('BertForMultipleChoice', seed, vocab_size=len(tokenizer.vocabulary))
    theirs.save_pretrained(tmp_path / 'theirs')
    tokenizer.save(tmp_path / 'theirs')
    pipeline = gb.load_pipeline(tmp_path / 'theirs')
    assert pipeline.task == 'multiple-choice'
    context, choices = 'the cat', ['sleeps here', 'barks', 'the sun !']
    batch = tokenizer.batch([context] * 3, choices)
    arrays = [array[None] for array in (batch.inputs, batch.token_types)]
    mask = np.arange(batch.inputs.shape[1]) < batch.valid_length[:, None]
    given = dict(zip(('input_ids', 'token_type_ids', 'attention_mask'), (*arrays, mask[None])))
    given = {name: torch.tensor(array.astype('int64')) for name, array in given.items()}
    found = theirs(**given, labels=torch.tensor([2]))
    found.loss.backward()
    expected = torch.softmax(found.logits, 1)[0].tolist()
    assert pipeline((context, choices)).probabilities == pytest.approx(expected, abs=1e-5)
    inputs = [mx.nd.array(array) for array in (*arrays, batch.valid_length[None])]
    network = pipeline.network
    network.collect_params().setattr('grad_req', 'write')
    with mx.autograd.record(train_mode=False):
        loss = OBJECTIVES['cross_entropy'].terms['loss'].loss(network(*inputs), mx.nd.array([2]))
    loss.backward()
    assert loss.asscalar() == pytest.approx(found.loss.item(), abs=1e-5)
    gradient = network.choice.weight.grad().asnumpy()
    np.testing.assert_allclose(gradient, theirs.classifier.weight.grad.numpy(), atol=1e-5)


def test_it_is_no_teacher(tiny_pipeline, tmp_path):
    tiny_pipeline('multiple-choice', folder=tmp_path / 'teacher')
    with pytest.raises(ValueError, match='was trained for multiple-choice, which has no students'):
        gb.distill(tmp_path / 'teacher', num_layers=1, output_dir=tmp_path / 'out')
