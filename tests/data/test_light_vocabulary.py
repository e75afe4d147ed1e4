"""The vocabulary that needs no GluonNLP."""

import copy
import json
import pickle
import subprocess
import sys

import pytest
from gluonnlp.data import count_tokens
from gluonnlp.vocab import BERTVocab
from test_tokenizer import SPECIAL, make_vocab
from test_vocabulary import facts_of

from gluon_bert.data import (
    BertTokenizer,
    Vocabulary,
    looks_lowercase,
    read_vocab,
    read_vocabulary,
    write_vocab_json,
)
from gluon_bert.data.tokenizers.vocabulary_ids import BERT_TOKENS, ROBERTA_TOKENS

TOKENS = [*SPECIAL, 'the', '##s', '', 'é']
LETTERS = ['<s>', '<pad>', '</s>', '<unk>', 'a', 'b', '<mask>']
RESERVED = Vocabulary(TOKENS, BERT_TOKENS, ['the', '##s'])
EQUAL = {
    'BERT': (Vocabulary(TOKENS, BERT_TOKENS), {}),
    'RoBERTa': (Vocabulary(LETTERS, ROBERTA_TOKENS), ROBERTA_TOKENS),
    'reserved': (RESERVED, {'reserved_tokens': ['the', '##s']}),
    'few roles': (
        Vocabulary(['x', 'a'], {'unknown_token': 'x'}),
        {'unknown_token': 'x', **dict.fromkeys(list(BERT_TOKENS)[1:])},
    ),
}


@pytest.mark.parametrize('name', EQUAL)
def test_it_is_equal_to_that_of_gluonnlp(name):
    mine, options = EQUAL[name]
    ids = {token: number for number, token in enumerate(mine.idx_to_token)}
    theirs = BERTVocab(count_tokens([*ids]), token_to_idx=ids, **options)
    assert mine.to_json() == theirs.to_json()
    assert facts_of(mine) == facts_of(theirs) == facts_of(mine.to_gluonnlp())
    assert mine.to_json() == theirs.to_json() == mine.to_gluonnlp().to_json()
    assert Vocabulary.of(theirs) == mine and type(mine.to_gluonnlp()) is BERTVocab
    for tokens in ('a', 'absent', ['[PAD]', 'a', 'absent'], ('é', ''), []):
        assert mine[tokens] == mine(tokens) == mine.to_indices(tokens) == theirs[tokens]
    assert mine.to_tokens([1, 0]) == theirs.to_tokens([1, 0]) and mine.to_tokens(
        1
    ) == theirs.to_tokens(1)
    assert 'a' in mine if 'a' in theirs else 'a' not in mine
    assert len(mine) == len(theirs)


def test_a_token_with_two_ids_is_written_as_gluonnlp_wrote_it(tmp_path):
    tokens = ['[UNK]', '[PAD]', '</s>', '</s>', '[CLS]', '[SEP]', '[MASK]', 'a']
    content = {
        'idx_to_token': tokens,
        'token_to_idx': {token: number for number, token in enumerate(tokens)},
        'reserved_tokens': ['</s>'],
        'unknown_token': '[UNK]',
    }
    path = tmp_path / 'old.vocab'
    path.write_text(json.dumps(content))
    mine = read_vocabulary(path)
    assert facts_of(mine) == facts_of(read_vocab(path))
    assert mine['</s>'] == 3 and mine.idx_to_token[2] == '</s>'
    assert json.loads(mine.to_json())['token_to_idx']['</s>'] == 3
    assert mine.to_json() == read_vocab(path).to_json()


def test_vocabularies_are_compared_copied_and_pickled():
    mine = Vocabulary(TOKENS, BERT_TOKENS)
    assert mine != Vocabulary(TOKENS[:-1], BERT_TOKENS) and mine != RESERVED and mine != TOKENS
    mine.to_gluonnlp()
    data = pickle.dumps(mine)
    assert pickle.loads(data) == copy.deepcopy(mine) == mine
    assert b'gluonnlp.vocab' not in data  # its class would import MXNet
    assert repr(mine).startswith("Vocabulary(9 tokens, unknown_token='[UNK]'")


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ((['a', 'b', 'a'], {}), "'a' occurs twice"),
        ((['a'], {'unknown_token': 'b'}), "unknown_token 'b' is not among the tokens"),
        ((['a'], {'unknown': 'a'}), "'unknown' is no role"),
    ],
)
def test_what_is_no_vocabulary_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary(*arguments)


def test_ids_and_tokens_that_are_not_there_are_refused():
    mine = Vocabulary(['a'], {})
    with pytest.raises(KeyError):
        mine['absent']
    for number in (1, -1, 0.0):
        with pytest.raises(ValueError, match='expected an int from 0 to 0'):
            mine.to_tokens(number)


def test_a_tokenizer_gives_the_vocabulary_that_it_was_made_of():
    theirs = make_vocab()
    tokenizer = BertTokenizer(theirs)
    assert tokenizer.vocab is theirs and tokenizer.vocabulary == Vocabulary.of(theirs)
    assert tokenizer.with_lower(False).vocab is theirs
    light = BertTokenizer(tokenizer.vocabulary)
    assert light.is_like(tokenizer) and light.vocabulary is tokenizer.vocabulary
    assert facts_of(pickle.loads(pickle.dumps(tokenizer)).vocab) == facts_of(theirs)


def test_either_class_is_written_and_looked_at(tmp_path):
    mine = Vocabulary(TOKENS[:7], BERT_TOKENS)
    theirs = BERTVocab(count_tokens(['##s', 'the', 'the']), token_to_idx=mine.token_to_idx)
    assert Vocabulary.of(theirs).to_json() == theirs.to_json() != mine.to_json()
    for number, vocab in enumerate((mine, Vocabulary(TOKENS[:7], BERT_TOKENS).to_gluonnlp())):
        write_vocab_json(tmp_path / f'{number}.vocab', vocab)
        assert looks_lowercase(vocab)
    assert (tmp_path / '0.vocab').read_bytes() == (tmp_path / '1.vocab').read_bytes()
    assert read_vocabulary(tmp_path / '0.vocab') == mine
    assert BERTVocab.from_json((tmp_path / '0.vocab').read_text()).to_json() == mine.to_json()


def test_gluonnlp_is_imported_when_its_class_is_asked_for(tmp_path):
    (tmp_path / 'vocab.txt').write_text('\n'.join([*SPECIAL, 'the']) + '\n')
    program = (
        'import sys, gluon_bert.data.tokenizers.folder as folder\n'
        f'tokenizer = folder.read_tokenizer({str(tmp_path)!r}, lower=True)\n'
        'vocab = tokenizer.vocab\n'
        'print(type(vocab).__module__, vocab is tokenizer.vocab, vocab["the"])'
    )
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ('gluonnlp.vocab.bert True 5\n', '')
