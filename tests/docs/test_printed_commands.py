"""Every command that README, the manual and the help texts print is understood, and runs.

Commands of a page run in their order, in one folder with small files of the names that the pages
use. Training starts from a tiny network instead of the published one.
"""

import importlib
import importlib.util
import os
import re
import shlex
import shutil
from itertools import chain
from pathlib import Path

import pytest
from script_runs import run_script, tiny_folder, tokenizer, undisturbed  # noqa: F401 (fixtures)

from gluon_bert.cli import distill, main, make_parser, train, tune
from gluon_bert.tasks import finetune
from gluon_bert.tasks.registry import TASKS

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / 'README.rst', *sorted((ROOT / 'docs').glob('*.rst')), *ROOT.glob('*/README.rst')]
PROGRAM = r'((?:[A-Z_]+=\S+ )*(?:gluon-bert|python3? (?:examples|model_zoo)/\S+\.py)(?: [^`\n]*)?)'
REAL = 'bert_6_384_12', 'all_minilm_l6_v2'

# Words that stand for something of the reader's.
STANDS_FOR = {
    'NAME': [REAL[0]],
    'DATASET': [REAL[1]],
    'NAME/DATASET': ['/'.join(REAL)],
    'MODEL': ['/'.join(REAL)],
    'FILE': ['out.params'],
    'TASK': ['text-classification'],
    'hf://owner/name': ['folder/of/transformers'],
}
# Commands whose flags are those of a task.
BY_TASK = {'train': train, 'tune': tune}
# What a command cannot do in a test -> words that tell.
NOT_RUN = {
    'needs a network': (' fetch ',),
    'serves until it is stopped; see tests/serving': (' serve ',),
    'needs the other systems, and hours': ('model_zoo/benchmark/',),
    'needs trained networks of the gallery': ('output/questions', 'output/entities', 'output/lr_'),
    'needs the output of dev.py sample': ('output/sample/',),
    'needs a trained cross-encoder': ('output/ranker',),
    'needs the files of another machine': ('folder/with/the/other',),
    'needs Optuna, and many trials; see tests/tasks/test_tune.py': (' tune ',),
    'needs BERT-base from the hub; see tests/training/test_launch.py': (
        ' --comm_backend dist_sync examples/finetune_classifier.py',
    ),
    'needs other hosts; see tests/training/test_launch_hosts.py': (' --hosts ', ' --node_rank '),
    'needs a large file, or a cluster; see tests/batch': ('reviews --input reviews.txt', ' ray '),
}


def blocks_of(path):
    """The commands that a page prints as blocks, in their order; each in one line."""
    text = re.sub(r'\\\n\s*', '', path.read_text(encoding='utf-8'))
    lines = re.findall(rf'^ {{3,}}{PROGRAM}$', text, re.M)
    return [re.sub(r'\s+#.*', '', line) for line in lines if '``' not in line]


def inline_of(path):
    """The commands with arguments within sentences and tables of a page."""
    text = re.sub(r'\s+', ' ', path.read_text(encoding='utf-8'))
    found = re.findall(rf'``{PROGRAM}``', text)
    return [command for command in found if ' ' in command and not command.endswith('--help')]


def help_of():
    """The examples in the help texts of the commands."""
    (choices,) = (action.choices for action in make_parser()._actions if action.dest == 'command')
    texts = [parser.description for parser in choices.values()]
    return re.findall(r'^ +(gluon-bert .+)$', '\n'.join(texts), re.M)


def words_of(command):
    words = [word for word in shlex.split(command) if not re.match(r'[A-Z_]+=', word)]
    return list(chain.from_iterable(STANDS_FOR.get(word, [word]) for word in words))


def parse(words):
    """Parse a command as its program does; SystemExit if it is not understood."""
    if words[0] != 'gluon-bert':
        importlib.import_module(Path(words[1]).stem).make_parser().parse_args(words[2:])
    elif words[1] in BY_TASK and len(words) > 2:
        spec, preset = finetune.find_spec(words[2], {})
        BY_TASK[words[1]].make_parser(spec, preset).parse_args(words[3:])
    elif words[1] == 'distill':
        task = 'sentence-similarity' if 'MiniLM' in words[2] else 'text-classification'
        distill.make_parser(TASKS[task], {}).parse_args(words[3:])
    elif len(words) > 2 or words[1] not in (*BY_TASK, 'plot', 'cache'):
        make_parser().parse_args(words[1:])


PRINTED = {path.relative_to(ROOT).as_posix(): blocks_of(path) for path in PAGES}
PRINTED = {name: commands for name, commands in PRINTED.items() if commands}
ALL = sorted({*chain(*PRINTED.values(), *map(inline_of, PAGES)), *help_of()})


@pytest.mark.parametrize('command', ALL)
def test_is_understood(command, capsys):
    words = words_of(command)
    if words[0] == 'gluon-bert' and len(words) == 2:
        (choices,) = (a.choices for a in make_parser()._actions if a.dest == 'command')
        assert words[1] in choices
        return
    try:
        parse(words)
    except SystemExit:
        pytest.fail(capsys.readouterr().err)


def test_commands_are_found():
    assert len(ALL) > 40
    assert {'README.rst', 'docs/finetuning.rst', 'docs/gallery.rst'} <= set(PRINTED)


@pytest.fixture
def stage(tiny_folder, tmp_path, monkeypatch):  # noqa: F811
    """A folder with what the pages name, as the working folder; the tiny network in it."""
    folder = tmp_path / 'work'
    for name in ('glue_data/MRPC', 'glue_data/RTE', 'tnews', 'swag', 'folder/of', 'folder/with'):
        (folder / name).mkdir(parents=True)
    for name in ('examples', 'docs'):
        (folder / name).symlink_to(ROOT / name)
    for format in ('huggingface', 'tensorflow'):
        written, _ = tiny_folder(format, max_length=400)
        name = {'huggingface': 'transformers'}.get(format, format)
        shutil.copytree(written, folder / 'folder' / 'of' / name)
    tiny = folder / 'folder' / 'of' / 'transformers'
    shutil.copytree(tiny, folder / 'folder' / 'with' / 'it')
    shutil.copytree(tiny, folder / 'folder' / 'of' / 'my_bert')
    _write_data(folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv('GLUE_DIR', 'glue_data')
    monkeypatch.setenv('BERT_BASE_DIR', 'folder/of/tensorflow')
    return folder


def _write_data(folder):
    table = 'text,label,review,stars\n' + 'the cat,good,the dog,1\na dog,bad,a cat,2\n' * 8
    for name in ('train.csv', 'dev.csv'):
        (folder / name).write_text(table)
    choices = 'sent1,sent2,ending0,ending1,label\nthe cat,a,sleeps,sun,0\na dog,the,moon,barks,1\n'
    for name in ('train.csv', 'val.csv'):
        (folder / 'swag' / name).write_text(choices)
    (folder / 'unseen.csv').write_text('review\nthe cat sleeps\n')
    line = '{"sentence": "the cat", "keywords": "sun", "label": "%d", "label_desc": "d"}\n'
    for name in ('train', 'dev'):
        (folder / 'tnews' / f'{name}.json').write_text(line % 100 + line % 101)
        (folder / f'{name}.jsonl').write_text(
            '{"query": "the cat", "documents": ["a cat", "a dog"], "labels": [1, 0]}\n' * 2
        )
        tags = 'the O\ncat B-PER\n\na O\ndog B-PER\n'
        (folder / f'{name}.conll').write_text(tags)
        (folder / f'{name}.json').write_text(
            '{"version": "1.1", "data": [{"title": "t", "paragraphs": [{"context": "the cat '
            'sleeps", "qas": [{"id": "1", "question": "a cat ?", "answers": [{"text": "cat", '
            '"answer_start": 4}]}]}]}]}'
        )
        for split in ('MRPC', 'RTE'):
            shutil.copy(ROOT / 'examples' / 'sample' / f'{name}.tsv', folder / 'glue_data' / split)
        rows = 'index\tsentence1\tsentence2\tlabel\n0\tthe cat\ta dog\tentailment\n'
        (folder / 'glue_data' / 'RTE' / f'{name}.tsv').write_text(
            rows + '1\tthe sun\ta moon\tnot_entailment\n'
        )
    pairs = 'sentence1,sentence2,score\nthe cat sleeps,a cat sleeps,5\nthe sun,a dog barks,1\n'
    for name in ('scored.csv', 'rated.csv', 'rated_dev.csv'):
        (folder / name).write_text(pairs)
    (folder / 'pairs.csv').write_text('query,answer\nthe cat,a cat\nthe sun,sun here !\n')
    (folder / 'glue_data' / 'STS-B').mkdir()
    for name in ('train', 'dev'):
        rows = ''.join(f'{n},{row}\n' for n, row in enumerate(pairs.splitlines()[1:]))
        (folder / 'glue_data' / 'STS-B' / f'{name}.tsv').write_text(
            ('index,' + pairs.splitlines()[0] + '\n' + rows).replace(',', '\t')
        )
    (folder / 'lines.txt').write_text('A cat sleeps.\nShares fell.\nIt rains.\n')
    (folder / 'corpus.txt').write_text('the cat sleeps\na dog barks\nthe sun\n')
    (folder / 'articles.txt').write_text('the cat sleeps\na dog barks\n\nthe sun\n' * 3)
    (folder / 'held_out.txt').write_text('a cat barks\n\na moon\n' * 3)
    (folder / 'unseen.tsv').write_text('#1 String\t#2 String\nthe cat\ta dog\n')


def _tiny(words):
    """Start from the tiny network, and train for an epoch only."""
    kept = []
    for number, word in enumerate(words):
        if not {word, words[number - 1]} & {'--bert_model', '--bert_dataset', '--vocab_file'}:
            kept.append(word)
    published = any(word.startswith('--init_checkpoint') for word in words)
    flag = '--model' if words[0] == 'gluon-bert' else '--pretrained_bert_parameters'
    epochs = '--num_train_epochs' if published else '--epochs'
    start = [] if published else [flag, 'folder/of/transformers']
    # A page's commands are alternatives: those that name no folder have the same one.
    again = [] if any(word.startswith('--output_dir') for word in words) else ['--overwrite']
    return [*kept, *start, epochs, '1', *again]


@pytest.mark.weights
@pytest.mark.parametrize('page', PRINTED)
def test_runs(page, stage, run_script, capsys):  # noqa: F811
    for command in PRINTED[page]:
        if any(word in command for words in NOT_RUN.values() for word in words):
            continue
        if '--to onnx' in command and importlib.util.find_spec('onnx') is None:
            continue
        words = [os.path.expandvars(word) for word in words_of(command)]
        is_training = words[1] == 'train' or 'finetune_' in words[1]
        if is_training and '--only_inference' not in words:
            words = _tiny(words)
        if words[0] == 'gluon-bert':
            code = main(words[1:])
            captured = capsys.readouterr()
            log = captured.err
        else:
            code, _, log = run_script(importlib.import_module(Path(words[1]).stem), *words[2:])
        assert code == 0, f'{command}\n{log}'
