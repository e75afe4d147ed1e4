"""Records and a vocabulary for runs of pre-training; used by tests and their processes."""

import numpy as np

from gluon_bert.data.pretraining.records import Record, write_records

SPECIAL = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']
SIZES = {
    'attention_probs_dropout_prob': 0.1,
    'hidden_act': 'gelu',
    'hidden_dropout_prob': 0.1,
    'hidden_size': 24,
    'initializer_range': 0.02,
    'intermediate_size': 48,
    'max_position_embeddings': 40,
    'num_attention_heads': 2,
    'num_hidden_layers': 2,
    'type_vocab_size': 2,
    'vocab_size': 97,
}


def write_vocabulary(path, size=97):
    words = [f'w{number}' for number in range(size - len(SPECIAL))]
    path.write_text('\n'.join([*SPECIAL, *words]) + '\n')


def draw_records(count, seed=1, longest=20, vocab_size=97):
    """Records in which each second word is the one before it plus 1."""
    rng = np.random.RandomState(seed)
    for _ in range(count):
        length = 2 * rng.randint(4, longest // 2)
        ids = np.repeat(rng.randint(5, vocab_size - 1, length // 2), 2)
        ids[1::2] += 1
        ids[0], ids[-1] = 2, 3
        positions = np.sort(rng.choice(np.arange(1, length - 1), 2, replace=False))
        words = ids[positions].copy()
        ids[positions] = 4
        types = (np.arange(length) >= length // 2).astype(int)
        yield Record(ids, types, positions, words, np.ones(2), int(rng.randint(2)))


def write_files(folder):
    """Write records for training and evaluation, a vocabulary and a configuration."""
    import json

    folder.mkdir(exist_ok=True)
    write_records(folder / 'train.npz', draw_records(24))
    write_records(folder / 'dev.npz', draw_records(10, seed=2))
    write_vocabulary(folder / 'vocab.txt')
    (folder / 'bert_config.json').write_text(json.dumps(SIZES))


def from_scratch(folder):
    """The options of a run from these files."""
    return {
        'data': folder / 'train.npz',
        'from_scratch': True,
        'vocab_file': folder / 'vocab.txt',
        'bert_config_file': folder / 'bert_config.json',
        'do_lower_case': True,
        'batch_size': 8,
        'seed': 3,
    }
