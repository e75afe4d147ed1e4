"""finetune_ner.py as a user runs it: results, files, errors in one line."""

import json

import finetune_ner
import pytest
from script_runs import run_script, runs_of, undisturbed, valid_tags  # noqa: F401 (fixtures)
from test_examples import expect_failure

from common.training import fields_of
from gluon_bert import load_pipeline, training
from gluon_bert.checkpoint.gluonnlp.params_file import read_params
from gluon_bert.data import read_tagged, tag_problems
from gluon_bert.metrics.entities import entity_report
from gluon_bert.tasks.start import Start

MODEL = ['--bert_model', 'bert_6_384_12', '--bert_dataset', 'all_minilm_l6_v2']
SHORT = ['--batch_size', '4', '--epochs', '1', '--training_steps', '4', '--log_interval', '1']
CHINESE = ['--bert_model', 'bert_2_128_2', '--from_scratch', '--seq_len', '40']
DEV = 'Ada\tB-person\nLovelace\tI-person\nlives\tO\nin\tO\nRome\tB-place\n\nRome\tB-place\n\n'
TRAIN = DEV * 6


run = runs_of(finetune_ner)


@pytest.fixture
def small(tmp_path):
    """A vocabulary and training, dev and test files: split -> path, arguments for a run on them."""

    class Small:
        def __init__(self):
            self.vocab = tmp_path / 'vocab.txt'
            self.arguments = [
                '--bert_model',
                'bert_2_128_2',
                '--from_scratch',
                '--vocab_file',
                self.vocab,
                *SHORT,
            ]
            self.vocab.write_text(
                '\n'.join(
                    [
                        '[PAD]',
                        '[UNK]',
                        '[CLS]',
                        '[SEP]',
                        '[MASK]',
                        'ada',
                        'lives',
                        'in',
                        'rome',
                        'love',
                        '##lace',
                    ]
                )
                + '\n'
            )
            for split in ('train', 'dev', 'test'):
                setattr(self, split, tmp_path / f'{split}.conll')
                getattr(self, split).write_text(TRAIN if split == 'train' else DEV)
                self.arguments = [*self.arguments, f'--{split}_path', getattr(self, split)]

    return Small()


@pytest.mark.parametrize(
    'options',
    [[], ['--crf'], ['--model_scheme', 'BIOES', '--strict']],
    ids=['plain', 'crf', 'BIOES, strict'],
)
def test_trained_folder_alone_repeats_scores_and_predictions(run, small, tmp_path, options):
    code, log = run(
        *small.arguments, *options, '--training_steps', '40', '--epochs', '20', '--lr', '2e-3'
    )
    assert code == 0, log
    out = tmp_path / 'out'
    assert {path.name for path in out.iterdir() if path.suffix != '.params'} == {
        'arguments.json',
        'task.json',
        'README.md',
        'tokenizer',
        'log_ner.txt',
        'metrics.jsonl',
        'result.json',
        'training_curve.png',
        *(
            f'{split}_{name}'
            for split in ('dev', 'test')
            for name in ('report.txt', 'metrics.json', 'predictions.conll')
        ),
    }
    scores = json.loads((out / 'dev_metrics.json').read_text())
    assert scores['f1'] == json.loads((out / 'result.json').read_text())['best_metrics']['f1']
    assert scores['f1'] > 0.9
    small.vocab.unlink()
    small.train.unlink()
    moved = tmp_path / 'moved'
    out.rename(moved)
    code, log = run(
        '--load-checkpoint-prefix',
        moved,
        *options[2:],
        '--dev-path',
        small.dev,
        '--test-path',
        small.test,
        output_dir=tmp_path / 'again',
    )
    assert code == 0, log
    pipeline = load_pipeline(moved)
    sentences = [row.words for row in read_tagged(small.dev).sentences]
    written = read_tagged(moved / 'dev_predictions.conll').sentences
    assert valid_tags(pipeline, [*sentences, []]) == [*(row.tags for row in written), []]
    for path in moved.glob('*_*.*'):
        if path.stem.startswith(('dev', 'test')):
            assert (tmp_path / 'again' / path.name).read_text() == path.read_text()


@pytest.mark.weights
@pytest.mark.data
def test_wnut_slices_run_and_are_scored(run, shared_data, real_folder, tmp_path):
    files = {
        'train': 'wnut17train.conll',
        'dev': 'emerging.dev.conll',
        'test': 'emerging.test.annotated',
    }
    arguments = []
    for split, name in files.items():
        lines = (shared_data / 'ner' / 'wnut17' / name).read_text('utf-8').split('\n')[:150]
        (tmp_path / name).write_text('\n'.join(lines) + '\n')
        arguments += [f'--{split}-path', tmp_path / name]
    code, log = run(*arguments, *MODEL, *SHORT, '--seq-len', '24', '--crf')
    assert code == 0, log
    assert 'are read in windows' in log
    gold = read_tagged(tmp_path / files['test'])
    found = read_tagged(tmp_path / 'out' / 'test_predictions.conll')
    assert [row.words for row in found.sentences] == [row.words for row in gold.sentences]
    report = entity_report(
        [row.tags for row in gold.sentences], [row.tags for row in found.sentences]
    )
    scores = json.loads((tmp_path / 'out' / 'test_metrics.json').read_text())
    assert report.overall.f1 == scores['f1']
    assert report.overall.num_gold == sum(row['num_gold'] for row in scores['by_type'].values())
    for row in found.sentences:
        assert not tag_problems(row.tags, 'IOB2')


@pytest.mark.data
@pytest.mark.parametrize(
    'folder, names, counts',
    [
        ('cluener2020', ['train.json', 'dev.json', 'test.json'], (200, 10)),
        (
            'weibo',
            [f'weiboNER_2nd_conll.{split}' for split in ('train', 'dev', 'test')],
            (20000, 300),
        ),
        ('resume_cner', [f'{split}.char.bmes' for split in ('train', 'dev', 'test')], (7000, 300)),
    ],
)
def test_chinese_entities_from_a_random_model(run, shared_data, tmp_path, folder, names, counts):
    arguments = []
    for split, name in zip(('train', 'dev', 'test'), names):
        lines = (shared_data / 'ner' / folder / name).read_text('utf-8').split('\n')
        lines = lines[: counts[split != 'train']]
        (tmp_path / name).write_text('\n'.join(lines) + '\n', encoding='utf-8')
        arguments += [f'--{split}_path', tmp_path / name]
    code, log = run(
        *arguments,
        *CHINESE,
        *SHORT,
        '--vocab_file',
        shared_data / 'vocab' / 'chinese' / 'vocab.txt',
        '--repair',
    )
    assert code == 0, log
    layout = 'json' if folder == 'cluener2020' else 'conll'
    for split, name in zip(('dev', 'test'), names[1:]):
        source = read_tagged(tmp_path / name, repair=True)
        found = read_tagged(tmp_path / 'out' / f'{split}_predictions.{layout}')
        assert len(found.sentences) == len(source.sentences)
        assert (tmp_path / 'out' / f'{split}_report.txt').is_file() == source.has_tags
        if layout == 'json':
            assert [row.words for row in found.sentences] == [row.words for row in source.sentences]


def test_other_schemes_and_untagged_files_are_predicted_in_their_layout(run, small, tmp_path):
    small.train.write_text(TRAIN.replace('B-', 'I-').replace('\t', ' x '))
    small.dev.write_text('Ada x I-person\nRome x I-place\n')
    small.test.write_text('Ada x\nRome y\n')
    code, log = run(
        *small.arguments,
        '--untagged_test',
        '--scheme',
        'IOB1',
        '--lr',
        '2e-3',
        '--training_steps',
        '40',
        '--epochs',
        '20',
    )
    assert code == 0, log
    assert '"scheme": "IOB2"' in (tmp_path / 'out' / 'task.json').read_text()
    assert (tmp_path / 'out' / 'test_predictions.conll').read_text() == (
        'Ada x I-person\nRome y I-place\n'
    )
    assert not (tmp_path / 'out' / 'test_report.txt').exists()


def test_debug_is_short(run, small, tmp_path):
    """Few sentences, for as many epochs as are asked for."""
    small.train.write_text(TRAIN * 40)
    arguments = small.arguments[:-2]
    place = arguments.index('--training_steps')
    del arguments[place : place + 2]
    for number, (epochs, steps) in enumerate([(1, 2), (3, 6)]):
        code, log = run(
            *arguments, '--debug', '--epochs', epochs, '--batch_size', 16,
            output_dir=tmp_path / str(number),
        )  # fmt: skip
        assert code == 0, log
        assert json.loads((tmp_path / str(number) / 'result.json').read_text())['steps'] == steps


def test_complete_run_is_resumed_to_the_same_result(run, small, tmp_path):
    run(*small.arguments, '--crf')
    before = (tmp_path / 'out' / 'dev_metrics.json').read_text()
    code, log = run(*small.arguments, '--crf', '--resume')
    assert code == 0, log
    assert 'is complete' in log
    assert (tmp_path / 'out' / 'dev_metrics.json').read_text() == before


@pytest.mark.parametrize('options', [[], ['--crf']])
def test_broken_off_run_is_resumed_to_the_same_parameters(
    run, small, tmp_path, options, monkeypatch
):
    arguments = [
        *small.arguments,
        *options,
        '--checkpoint_interval',
        '2',
        '--training_steps',
        '8',
        '--epochs',
        '4',
    ]
    step = training.TrainingRun.step

    def broken_step(self, batches):
        result = step(self, batches)
        if self.progress.step == 5:
            raise KeyboardInterrupt
        return result

    with monkeypatch.context() as patch:
        patch.setattr(training.TrainingRun, 'step', broken_step)
        assert run(*arguments)[0] == 130
    assert not (tmp_path / 'out' / 'result.json').exists()
    assert run(*arguments, '--resume')[0] == 0
    assert run(*arguments, output_dir=tmp_path / 'unbroken')[0] == 0
    best = json.loads((tmp_path / 'unbroken' / 'result.json').read_text())['best_path']
    first, second = (read_params(tmp_path / folder / best) for folder in ('out', 'unbroken'))
    assert set(first) == set(second)
    assert all((first[name] == second[name]).all() for name in first)


@pytest.mark.parametrize(
    'split, text, options, parts',
    [
        ('dev', 'Ada\tB-person\nRome\tB-city\n', [], ['dev.conll:2:', "'city'", 'train.conll']),
        ('dev', '', [], ['dev.conll', 'has no sentences']),
        ('dev', 'Ada\nRome\n', [], ['--dev_path', 'has no tags']),
        ('dev', 'Ada\tO\nRome\tI-place\n', [], ['dev.conll:2:', "'I-place' after 'O'", 'repair']),
        ('train', 'Ada\tO\n', [], ['--train_path', 'has no entities']),
        ('train', TRAIN + 'Ada\tperson\n', [], ['train.conll:49:', "'person' is not a tag"]),
        ('test', '{"text": "Ada"}\n{"text": \n', [], ['test.conll:2:', 'not JSON']),
        ('test', 'Ada\tO\n', ['--seq_len', '600'], ['--seq_len 600', '512']),
        ('test', 'Ada\tO\n', ['--overlap', '178'], ['overlap=178']),
        ('test', 'Ada\tO\n', ['--scheme', 'BIOX'], ["'BIOX'", 'did you mean']),
        ('test', 'Ada\tO\n', ['--cased', 'perhaps'], ['--cased', 'True or False']),
    ],
    ids=[
        'unknown type',
        'empty',
        'no tags',
        'broken',
        'no entities',
        'no tag',
        'JSON',
        'length',
        'overlap',
        'scheme',
        'cased',
    ],
)
def test_bad_input_is_told(run, small, split, text, options, parts):
    getattr(small, split).write_text(text)
    expect_failure(*run(*small.arguments, *options), *parts)


def test_broken_tags_are_repaired_on_request(run, small):
    small.dev.write_text('Ada\tO\nRome\tI-place\n')
    code, log = run(*small.arguments, '--repair')
    assert code == 0, log
    assert 'dev: 1 places repaired, the first: ' in log
    assert 'dev.conll:2' in log


@pytest.mark.parametrize(
    'arguments, parts',
    [
        ([], ['--train_path']),
        (['--only_predict', '--test_path', 'x'], ['--load_checkpoint_prefix']),
        (['--only_predict', '--model_parameters', 'x'], ['--dev_path or --test_path']),
        (['--load_checkpoint_prefix', 'x', '--train_path', 'y'], ['without --train_path']),
        (
            ['--load_checkpoint_prefix', 'nowhere', '--test_path', 'x'],
            ['task.json', 'no fine-tuned'],
        ),
    ],
)
def test_arguments_that_do_not_go_together_are_told(run, arguments, parts):
    expect_failure(*run(*arguments), *parts)


@pytest.mark.parametrize(
    'text, part',
    [
        ('{', 'not JSON'),
        ('[]', 'expected a JSON object'),
        ('{"task": "tags"}', 'parameters is None: expected the name of a file'),
        (None, 'expected the name of a file'),
    ],
)
def test_damaged_folder_is_told(run, small, tmp_path, text, part):
    assert run(*small.arguments)[0] == 0
    path = tmp_path / 'out' / 'task.json'
    path.write_text(text or path.read_text().replace('"model_ner', '"../model_ner'))
    expect_failure(
        *run(
            '--load_checkpoint_prefix',
            tmp_path / 'out',
            '--test_path',
            small.test,
            output_dir=tmp_path / 'again',
        ),
        'task.json',
        part,
    )


def test_vocabulary_without_from_scratch_is_told(run, small):
    small.arguments.remove('--from_scratch')
    expect_failure(*run(*small.arguments), '--vocab_file', '--from_scratch')


def test_flags_of_gluonnlp_are_understood():
    def parse(argv):
        return finetune_ner.parse(argv)[0]

    args = parse(
        [
            '--train-path',
            'a',
            '--dev-path',
            'b',
            '--test-path',
            'c',
            '--gpu',
            '0',
            '--learning-rate',
            '1e-5',
            '--warmup-ratio',
            '0',
            '--batch-size',
            '8',
            '--num-epochs',
            '5',
            '--bert-model',
            'bert_24_1024_16',
            '--seq-len',
            '200',
            '--save-checkpoint-prefix',
            'large/bert',
            '--cased',
            'true',
            '--dropout-prob',
            '0.2',
            '--seed',
            '7',
            '--optimizer',
            'bertadam',
        ]
    )
    assert [str(path) for path in (args.train_path, args.dev_path, args.test_path)] == [*'abc']
    assert (
        args.gpu,
        args.lr,
        args.warmup_ratio,
        args.batch_size,
        args.epochs,
        args.bert_model,
        args.seq_len,
        str(args.output_dir),
        args.cased,
        args.dropout_prob,
        args.seed,
    ) == (0, 1e-5, 0, 8, 5, 'bert_24_1024_16', 200, 'large', True, 0.2, 7)
    args = parse(['--train_path', 'a'])
    assert (args.lr, args.epochs, args.seed, args.batch_size, str(args.output_dir)) == (
        5e-5,
        4,
        13531,
        32,
        'output_dir',
    )
    args = parse(
        [
            '--load-checkpoint-prefix',
            'p',
            '--test-path',
            't',
            '--seq-len',
            '200',
            '--batch-size',
            '32',
            '--gpu',
            '0',
        ]
    )
    assert args.only_predict


@pytest.mark.parametrize(
    'arguments, expected',
    [
        (['--bert-model', 'bert_24_1024_16'], ('bert_24_1024_16', 'book_corpus_wiki_en_cased')),
        (
            ['--bert-model', 'bert_12_768_12', '--cased', 'False'],
            ('bert_12_768_12', 'book_corpus_wiki_en_uncased'),
        ),
        (['--bert_dataset', 'all_minilm_l6_v2'], ('bert_6_384_12', 'all_minilm_l6_v2')),
        (['--bert-model', 'bert_6_384_12'], ('bert_6_384_12', 'all_minilm_l6_v2')),
    ],
)
def test_default_data_set_is_the_cased_one(arguments, expected):
    args, _ = finetune_ner.parse(['--train_path', 'a', *arguments])
    finetune_ner.choose_dataset(args)
    start = fields_of(Start, args)
    start.choose_model()
    assert (start.bert_model, start.bert_dataset) == expected


def test_every_flag_has_help():
    for action in finetune_ner.make_parser()._actions:
        assert action.help
