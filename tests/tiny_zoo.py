"""What the tests of the console script share beside their fixtures."""

from conftest import TINY
from gluonnlp.data import count_tokens
from gluonnlp.vocab import BERTVocab

from gluon_bert.data import BertTokenizer

TOKENS = [
    '[PAD]',
    '[UNK]',
    '[CLS]',
    '[SEP]',
    '[MASK]',
    *(f'word{i}' for i in range(TINY.vocab_size - 5)),
]
KEY = 'bert_2_24_3', 'tiny_texts'


def tokenizer(tokens=TOKENS):
    return BertTokenizer(
        BERTVocab(
            count_tokens(tokens),
            token_to_idx={token: number for number, token in enumerate(tokens)},
        )
    )


def error_of(run, *argv):
    """The one line that a command with wrong input writes."""
    status, out, err = run(*argv)
    assert (status, out) == (2, '')
    assert err.startswith(f'gluon-bert {argv[0]}: error: ') and err.count('\n') == 1
    return err
