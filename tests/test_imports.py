"""Reading needs neither MXNet nor GluonNLP, and no room imports what only some calls need."""

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from gluonnlp.vocab import BERTVocab
from test_tokenizer_families import train_sentencepiece

import gluon_bert
from gluon_bert.data import BertTokenizer, BytePairTokenizer, SentencePieceTokenizer, Vocabulary
from gluon_bert.data.tokenizers.vocabulary_ids import BERT_TOKENS, ROBERTA_TOKENS

HEAVY = (
    *('mxnet', 'gluonnlp', 'scipy', 'sklearn', 'pandas', 'matplotlib', 'graphviz', 'torch'),
    *('requests', 'huggingface_hub', 'tqdm'),
)
ROOT = Path(gluon_bert.__file__).parent
MODULES = [
    'gluon_bert',
    *('gluon_bert.config', 'gluon_bert.families', 'gluon_bert.metrics', 'gluon_bert.cli'),
    *(
        '.'.join(path.relative_to(ROOT.parent).with_suffix('').parts).replace('.__init__', '')
        for room in ('_internal', 'data', 'checkpoint', 'zoo')
        for path in sorted((ROOT / room).rglob('*.py'))
        if path.name != 'models.py' and path.name != 'engine.py'
    ),
    *(f'gluon_bert.cli.{name}' for name in ('cache', 'fetch', 'completion', 'listing', 'output')),
    *(f'gluon_bert.cli.{name}' for name in ('convert', 'models', 'texts', 'embed', 'vocab')),
]
TOKENS = [*BERT_TOKENS.values(), 'a', '##b']
LETTERS = [*dict.fromkeys(ROBERTA_TOKENS.values()), 'a', 'b', 'ab']


def imported_after(program, *arguments):
    """List the heavy modules that a program in a process of its own imports."""
    program += f'\nimport sys\nprint([name for name in {HEAVY} if name in sys.modules])'
    done = subprocess.run(
        [sys.executable, '-c', program, *map(str, arguments)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return ast.literal_eval(done.stdout.splitlines()[-1])


def test_the_program_sees_what_is_imported():
    assert imported_after('import gluon_bert, gluonnlp')[:2] == ['mxnet', 'gluonnlp']


def test_modules_that_read_import_nothing_heavy():
    assert len(MODULES) > 100
    program = f'import importlib\nfor name in {MODULES}: importlib.import_module(name)'
    assert imported_after(program) == []


def test_a_row_of_the_zoo_is_opened_with_its_tokenizer():
    program = """
from gluon_bert.zoo.opening import open_checkpoint
checkpoint = open_checkpoint('bert_6_384_12/all_minilm_l6_v2')
assert checkpoint.tokenizer.vocabulary['[CLS]'] == 101
assert checkpoint.arrays['word_embed.0.weight'].shape == (30522, 384)
assert checkpoint.tokenizer.encode_ids(['hello']) == [[7592]]
"""
    assert imported_after(program) == []


@pytest.mark.parametrize('kind', ['words', 'pairs', 'pieces', 'tokenizer.json', '.vocab'])
def test_a_tokenizer_of_each_kind_is_read(tmp_path, kind):
    folder = tmp_path / 'tokenizer'
    if kind == 'pairs':
        vocabulary = Vocabulary(LETTERS, ROBERTA_TOKENS)
        BytePairTokenizer(vocabulary, [('a', 'b')]).save(folder)
    elif kind == 'pieces':
        model = tmp_path / 'tokenizer.model'
        model.write_bytes(
            train_sentencepiece(['the quick brown fox', 'a lazy dog'] * 40, vocab_size=40)
        )
        SentencePieceTokenizer(model).save(folder)
    else:
        BertTokenizer(Vocabulary(TOKENS, BERT_TOKENS)).save(folder)
    if kind == 'tokenizer.json':
        (folder / 'vocab.txt').unlink()
    if kind == '.vocab':
        text = (folder / 'vocab.txt').read_text().split('\n')[:-1]
        (folder / 'vocab.txt').unlink()
        (folder / 'a.vocab').write_text(Vocabulary(text, BERT_TOKENS).to_json())
    program = """
import sys
from gluon_bert.data import read_tokenizer
tokenizer = read_tokenizer(sys.argv[1])
assert tokenizer.encode('ab').ids and tokenizer.batch(['ab']).inputs.shape[0] == 1
"""
    assert imported_after(program, folder) == []


def test_a_folder_is_opened_with_its_tokenizer(tmp_path):
    program = """
import sys
from gluon_bert.checkpoint import write_checkpoint
from gluon_bert.zoo.opening import open_checkpoint
checkpoint = open_checkpoint('bert_6_384_12/all_minilm_l6_v2')
write_checkpoint(checkpoint, sys.argv[1])
copy = open_checkpoint(sys.argv[1])
assert copy.tokenizer.is_like(checkpoint.tokenizer) and copy.config == checkpoint.config
write_checkpoint(checkpoint, sys.argv[1] + '.params')
assert open_checkpoint(sys.argv[1] + '.params').tokenizer.is_like(checkpoint.tokenizer)
"""
    assert imported_after(program, tmp_path / 'copy') == []
    stored = json.loads((tmp_path / 'copy.vocab').read_text())
    assert stored['idx_to_token'] == BERTVocab.from_json(json.dumps(stored)).idx_to_token


def test_a_command_imports_its_own_module():
    program = """
import contextlib, io, sys
from gluon_bert.cli import main
with contextlib.redirect_stdout(io.StringIO()):
    assert main(['list', '--name', 'bert_12_768_12']) == 0
commands = {name for name in sys.modules if name.startswith('gluon_bert.cli.')}
assert {name.split('.')[2] for name in commands} == {'listing', 'output', 'cache_contents'}
assert main([]) == 0
assert 'gluon_bert.cli.predict' not in sys.modules
"""
    assert imported_after(program) == []


@pytest.mark.parametrize('room', ['data', 'zoo'])
def test_names_for_type_checkers_are_those_that_are_imported_on_use(room):
    module = importlib.import_module(f'gluon_bert.{room}')
    tree = ast.parse(Path(module.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    homes = {name.name: node.module for node in block.body for name in node.names}
    assert homes == module._HOMES
    for name, home in homes.items():
        theirs = importlib.import_module(f'gluon_bert.{room}.{home}')
        assert getattr(module, name) is getattr(theirs, name) and name in dir(module)
