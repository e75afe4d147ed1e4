"""Fine-tuned folders of every task, made without training."""

import mxnet as mx
from script_runs import WORDS

import gluon_bert as gb
from gluon_bert.config import BertConfig

# Nothing is as a guess would have it: heads of 8, not 64; epsilon, activations, types, length.
AWKWARD = BertConfig(
    vocab_size=len(WORDS) + 3,
    units=64,
    hidden_size=24,
    num_layers=2,
    num_heads=8,
    max_length=40,
    num_token_types=3,
    dropout=0.25,
    layer_norm_eps=1e-5,
    activation='gelu_tanh',
    pooler_activation='tanh',
)
TEXTS = ['The cat sleeps here', 'a DOG barks loudly , without the moon !', 'sun', 'the dogs']
QUESTION = ('the cat', 'a dog barks loudly without the moon ! the cat sleeps here . the sun')
CHOICES = ('the cat', ['sleeps here .', 'barks loudly', 'the moon !'])
ONE = {'question-answering': QUESTION, 'multiple-choice': CHOICES}  # the others: a text
TASKS = {
    'text-classification': {'labels': ['low', '', 'high'], 'max_len': 9, 'dropout': 0.5},
    'text-regression': {'max_len': 9, 'dropout': 0.0, 'range': [0.0, 5.0]},
    'text-ranking': {'max_len': 9, 'dropout': 0.0, 'activation': 'sigmoid'},
    'multi-label-classification': {
        'labels': ['low', 'mid', 'high'],
        'thresholds': [0.25, 0.5, 0.6],
        'max_len': 9,
        'dropout': 0.5,
    },
    'multiple-choice': {'max_len': 9, 'dropout': 0.5},
    'question-answering': {
        'max_seq_length': 20,
        'doc_stride': 5,
        'max_query_length': 7,
        'n_best_size': 4,
        'max_answer_length': 3,
        'version_2': True,
        'null_score_diff_threshold': -0.5,
    },
    'token-classification': {
        'kinds': ['y', 'x'],
        'scheme': 'IOBES',
        'file_scheme': 'IOB1',
        'crf': False,
        'dropout': 0.5,
        'max_len': 9,
        'characters': False,
    },
}


def drawn(network):
    """The network with parameters wide enough that wrong maths shows."""
    for parameter in network.collect_params().values():
        if parameter._data is None:
            parameter.initialize()
    for parameter in network.collect_params().values():
        centre = 1 if parameter.name.endswith('gamma') else 0
        parameter.set_data(centre + mx.nd.random.normal(scale=0.3, shape=parameter.shape))
    return network


def save_fine_tuned(folder, task, tokenizer, config=AWKWARD, **settings):
    """Write a fine-tuned folder as a training does; gives the settings."""
    settings = {**TASKS[task], **settings}
    network = drawn(gb.task_folder.make_network(task, config, settings))
    folder.mkdir()
    network.save_parameters(folder / 'model_3.params')
    drawn(network).save_parameters(folder / 'model_1.params')  # another epoch, the best
    gb.task_folder.save_tokenizer(folder, tokenizer)
    model = gb.task_folder.TaskModel(task, network, tokenizer, settings)
    gb.task_folder.save_task(folder, model, 'model_1.params')
    return settings


def as_line(item):
    """An input as the command line takes it."""
    if isinstance(item, str):
        return item
    first, second = item
    return ' ||| '.join([first, second] if isinstance(second, str) else [first, *second])


def predictions(pipeline):
    inputs = [ONE[pipeline.task]] if pipeline.task in ONE else TEXTS
    return [pipeline.as_json(row, None, None) for row in pipeline(inputs)]
