"""Stages of measure_shards.py: a function of lines, and a tiny network."""

import zlib

import numpy as np

from gluon_bert import BertConfig, SentenceEncoder
from gluon_bert.batch import EmbedStage, Stage
from gluon_bert.checkpoint.names import encoder_shapes
from gluon_bert.checkpoint.schema import Checkpoint
from gluon_bert.data import BertTokenizer
from gluon_bert.data.classification.lines import read_lines
from gluon_bert.data.tokenizers.vocabulary import Vocabulary
from gluon_bert.data.tokenizers.vocabulary_ids import BERT_TOKENS
from gluon_bert.inference.trained import TrainedNetwork

WORDS = 'the cat sleeps on a mat while shares fell and trains leave for town at noon'.split()


class LineStage(Stage):
    """The number of each line, its words and a checksum."""

    name, forms = 'lines', ('tsv',)

    def describe(self):
        return {}

    def write(self, part, target, form):
        number = part.first_line - 1
        with open(target, 'wb') as file:
            for number, line in read_lines(part):
                file.write(line_row(number, line))
        return number + 1 - part.first_line, 0


def line_row(number, line):
    """What the stage writes of a line."""
    return b'%d\t%d\t%08x\n' % (number, line.count(' ') + 1, zlib.crc32(line.encode()))


def embed_stage():
    """The vectors of a network of one layer of 16 units with random parameters."""
    tokens = [*BERT_TOKENS.values(), *WORDS, *(f'##{digit}' for digit in range(10)), *'0123456789']
    sizes = dict(units=16, num_layers=1, num_heads=2, hidden_size=32, max_length=64)
    others = dict(dropout=0.1, layer_norm_eps=1e-12, activation='gelu', pooler_activation='tanh')
    config = BertConfig(vocab_size=len(tokens), num_token_types=2, **sizes, **others)
    random = np.random.RandomState(1)
    arrays = {
        name: random.normal(0, 0.3, shape).astype('float32')
        for name, shape in encoder_shapes(config).items()
    }
    network = TrainedNetwork(Checkpoint(arrays, config), 'encoder')
    return EmbedStage(SentenceEncoder(network, BertTokenizer(Vocabulary(tokens, BERT_TOKENS))))


# Name -> function that makes the stage, ending of its results.
STAGES = {'lines': (LineStage, 'tsv'), 'embed': (embed_stage, 'npy')}
