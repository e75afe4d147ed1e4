"""finetune_squad.py as a user runs it: files, figures, and errors in one line."""

import json
import signal
import subprocess
import sys

import finetune_squad
import numpy as np
import pytest
from script_runs import run_script, runs_of, undisturbed, wait_for_steps  # noqa: F401 (fixtures)
from test_examples import EXAMPLES, MODEL, expect_failure

from gluon_bert.checkpoint.gluonnlp.params_file import read_params

SHORT = [
    *MODEL,
    '--batch_size',
    '4',
    '--epochs',
    '1',
    '--max_seq_length',
    '48',
    '--doc_stride',
    '16',
    '--max_query_length',
    '12',
    '--log_interval',
    '1',
    '--lr',
    '1e-4',
]
SPECIAL = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']
SCRATCH = [
    '--bert_model',
    'bert_2_128_2',
    '--lr',
    '1e-3',
    '--optimizer',
    'adam',
    '--from_scratch',
    '--vocab_file',
]
PLACES = ['Bergen', 'Turku', 'Visby', 'Ribe', 'Tartu', 'Lund']


def questions(version_2=False, with_answers=True, wrong=None):
    """A file of twelve questions about six paragraphs, each in several windows."""
    articles = []
    for number, place in enumerate(PLACES):
        context = (
            f'The museum was founded in {1801 + number} by a merchant who had returned. It '
            f'stands in {place}, close to the harbour. ' + 'It rains. ' * 12
        )
        entries = []
        for kind, question, text in (
            ('where', 'Where does the museum stand?', place),
            ('when', 'When was it founded?', str(1801 + number)),
        ):
            entry = {'id': f'{kind}{number}', 'question': question}
            is_impossible = version_2 and number % 3 == 0 and kind == 'when'
            if with_answers:
                entry['answers'] = (
                    []
                    if is_impossible
                    else [{'text': text, 'answer_start': context.index(text)}] * 2
                )
            if version_2:
                entry['is_impossible'] = is_impossible
            entries.append(entry)
        articles.append({'title': place, 'paragraphs': [{'context': context, 'qas': entries}]})
    if wrong:
        articles[0]['paragraphs'][0]['qas'][0]['answers'][0].update(wrong)
    return {'version': '2.0' if version_2 else '1.1', 'data': articles}


@pytest.fixture
def file(tmp_path):
    def write(name='squad.json', **options):
        path = tmp_path / name
        path.write_text(json.dumps(questions(**options)))
        return path

    return write


run = runs_of(finetune_squad)


def read(path):
    return json.loads(path.read_text(encoding='utf-8'))


@pytest.mark.weights
def test_fine_tuning_writes_what_it_promises(run, real_folder, file, tmp_path, monkeypatch):
    monkeypatch.setattr('gluon_bert.tasks.question_answering.DEBUG_QUESTIONS', 6)
    path = file()
    code, log = run('--train_file', path, '--predict_file', path, *SHORT, '--debug')
    assert code == 0, log
    out = tmp_path / 'out'
    names = {item.name for item in out.iterdir()}
    assert len({name for name in names if name.startswith('windows-')}) == 2
    assert {name for name in names if not name.startswith('windows-')} == {
        'arguments.json',
        'task.json',
        'tokenizer',
        'README.md',
        'log_squad.txt',
        'metrics.jsonl',
        'result.json',
        'training_curve.png',
        'model_bert_squad_0.params',
        'predictions.json',
        'nbest_predictions.json',
        'evaluation.json',
    }
    predictions, best = read(out / 'predictions.json'), read(out / 'nbest_predictions.json')
    for article in questions()['data'][:3]:
        for paragraph in article['paragraphs']:
            for entry in paragraph['qas']:
                assert predictions.pop(entry['id']) in paragraph['context']
                candidates = best.pop(entry['id'])
                assert list(candidates[0]) == ['text', 'probability', 'start_logit', 'end_logit']
                assert sum(c['probability'] for c in candidates) == pytest.approx(1)
                assert all(c['text'] in paragraph['context'] for c in candidates)
    assert not predictions and not best
    metrics = read(out / 'evaluation.json')
    last = json.loads((out / 'metrics.jsonl').read_text().splitlines()[-1])['metrics']
    assert last == {name: metrics[name] for name in ('f1', 'exact_match')}
    assert metrics['total'] == 6


@pytest.mark.weights
def test_only_predict_reproduces_the_dev_scores_from_the_folder(run, real_folder, file, tmp_path):
    path, out = file(version_2=True), tmp_path / 'out'
    code, log = run(
        '--train_file',
        path,
        '--predict_file',
        path,
        *SHORT,
        '--version_2',
        '--null_score_diff_threshold',
        '-0.5',
    )
    assert code == 0, log
    metrics = read(out / 'evaluation.json')
    assert {'HasAns_exact', 'NoAns_exact', 'best_f1', 'best_f1_thresh'} <= set(metrics)
    assert metrics['best_f1'] >= metrics['f1']
    odds, predictions = read(out / 'null_odds.json'), read(out / 'predictions.json')
    assert {key: odds[key] > -0.5 for key in odds} == {
        key: not text for key, text in predictions.items()
    }
    # In a new process, with nothing but the folder: its settings are remembered.
    result = subprocess.run(
        [
            sys.executable,
            str(EXAMPLES / 'finetune_squad.py'),
            '--only_predict',
            '--predict_file',
            str(path),
            '--model_parameters',
            str(out / 'model_bert_squad_0.params'),
            '--output_dir',
            str(tmp_path / 'again'),
        ],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    for name in ('evaluation.json', 'predictions.json', 'null_odds.json', 'nbest_predictions.json'):
        assert (tmp_path / 'again' / name).read_text() == (out / name).read_text()
    assert not (tmp_path / 'again' / 'metrics.jsonl').exists()
    # What is given counts, and a file without answers is answered, not evaluated.
    code, log = run(
        '--only_predict',
        '--predict_file',
        file('test.json', with_answers=False),
        '--null_score_diff_threshold',
        1e9,
        '--model_parameters',
        out / 'model_bert_squad_0.params',
        output_dir=tmp_path / 'test',
    )
    assert code == 0, log
    assert 'has no answers' in log and not (tmp_path / 'test' / 'evaluation.json').exists()
    assert '' not in read(tmp_path / 'test' / 'predictions.json').values()
    (out / 'task.json').write_text('{"task": "questions", "max_seq_length": []}')
    expect_failure(
        *run(
            '--only_predict',
            '--predict_file',
            path,
            '--model_parameters',
            out / 'model_bert_squad_0.params',
        ),
        'task.json',
    )


def test_broken_off_run_resumes_to_the_same_answers(file, tmp_path):
    path, vocabulary = str(file()), tmp_path / 'vocab.txt'
    vocabulary.write_text('\n'.join([*SPECIAL, *'the museum was founded in by stands'.split()]))
    command = [
        sys.executable,
        str(EXAMPLES / 'finetune_squad.py'),
        '--train_file',
        path,
        '--predict_file',
        path,
        *SHORT,
        *SCRATCH,
        str(vocabulary),
        '--epochs',
        '2',
        '--checkpoint_interval',
        '2',
        '--output_dir',
    ]

    def start(folder, *options):
        return subprocess.Popen(
            [*command, str(tmp_path / folder), *options], stderr=subprocess.PIPE, text=True
        )

    broken = start('broken')
    wait_for_steps(tmp_path / 'broken')
    broken.send_signal(signal.SIGKILL)
    broken.communicate(timeout=120)
    assert not (tmp_path / 'broken' / 'result.json').exists()
    for folder, options in (('broken', ['--resume']), ('unbroken', [])):
        process = start(folder, *options)
        log = process.communicate(timeout=300)[1]
        assert process.returncode == 0, log
    best = read(tmp_path / 'unbroken' / 'result.json')['best_path']
    first, second = (read_params(tmp_path / folder / best) for folder in ('unbroken', 'broken'))
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert (tmp_path / 'broken' / 'nbest_predictions.json').read_text() == (
        tmp_path / 'unbroken' / 'nbest_predictions.json'
    ).read_text()


def test_chinese_from_random_parameters(run, tmp_path):
    context, answer = '诺曼人在公元10世纪得名，他们住在法国北部的诺曼底。', '公元10世纪'
    path, vocabulary, out = tmp_path / 'cmrc.json', tmp_path / 'vocab.txt', tmp_path / 'out'
    path.write_text(
        json.dumps(
            {
                'version': 'v1.0',
                'data': [
                    {
                        'id': 'DEV_0',
                        'paragraphs': [
                            {
                                'id': 'DEV_0',
                                'context': context,
                                'qas': [
                                    {
                                        'id': 'DEV_0_QUERY_0',
                                        'question': '诺曼人何时得名？',
                                        'answers': [
                                            {'text': answer, 'answer_start': context.index(answer)}
                                        ],
                                    }
                                ],
                            }
                        ],
                    }
                ],
            }
        ),
        'utf-8',
    )
    vocabulary.write_text('\n'.join([*SPECIAL, '10', *sorted(set(context) - {*'10'})]), 'utf-8')
    code, log = run(
        '--train_file',
        path,
        '--predict_file',
        path,
        *SCRATCH,
        vocabulary,
        '--character_f1',
        '--epochs',
        '8',
    )
    assert code == 0, log
    assert answer in (out / 'predictions.json').read_text('utf-8')
    assert read(out / 'evaluation.json')['f1'] == 100
    vocabulary.unlink()
    (parameters,) = out.glob('*.params')
    code, log = run(
        '--only_predict',
        '--predict_file',
        path,
        '--model_parameters',
        parameters,
        output_dir=tmp_path / 'again',
    )
    assert code == 0, log
    for name in ('evaluation.json', 'nbest_predictions.json'):
        assert (tmp_path / 'again' / name).read_text() == (out / name).read_text()


@pytest.mark.weights
def test_without_answers_to_evaluate_with_the_last_epoch_is_kept(run, real_folder, file, tmp_path):
    code, log = run(
        '--train_file',
        file(wrong={'answer_start': 0}),
        *SHORT,
        '--skip_bad',
        '--feature_cache',
        tmp_path / 'kept',
    )
    assert code == 0, log
    assert '11 questions' in log and '1 bad ones left out' in log
    assert 'the last epoch will be kept' in log
    assert not (tmp_path / 'out' / 'predictions.json').exists()
    assert len(list((tmp_path / 'kept').iterdir())) == 1


@pytest.mark.parametrize(
    'options, arguments, parts',
    [
        (
            {'wrong': {'answer_start': 1}},
            [],
            ['squad.json: data[0].paragraphs[0].qas[0].answers[0]', "'Bergen'", 'answer_start 1'],
        ),
        ({'version_2': True}, [], ['2 questions have no answer', "'when0'", '--version_2']),
        ({'with_answers': False}, [], ['squad.json: data[0]', 'no answer']),
        ({}, ['--max_seq_length', '9'], ['max_seq_length=9', "'where0'", 'no room']),
        ({}, ['--max_seq_length', '513'], ['--max_seq_length 513', '512']),
        ({}, ['--predict_file', 'none.json'], ['none.json: there is no such file', 'SQUAD_DIR']),
        ({}, ['--uncased', '--bert_dataset', 'all_minilm_l6'], ["did you mean 'all_minilm_l6_v2'"]),
        ({}, ['--dtype', 'float16'], ['--dtype', "'float16'", 'float32']),
        ({}, ['--custom_passes', 'MyPass'], ['--custom_passes', 'not supported']),
        ({}, ['--doc_stride', '0'], ['--doc_stride', '1 or more']),
        ({}, ['--only_predict'], ['--model_parameters']),
        ({}, ['--model_parameters', 'none.params'], ['none.params']),
        ({}, ['--gpu', '9'], ['--gpu', 'no such GPU']),
    ],
    ids=lambda value: ' '.join(value) if isinstance(value, list) else '',
)
@pytest.mark.weights
def test_bad_input_is_told_in_one_line(run, real_folder, file, options, arguments, parts):
    expect_failure(*run('--train_file', file(**options), *SHORT, *arguments), *parts)


@pytest.mark.parametrize(
    'content, part',
    [(b'', 'the file is empty'), (b'{"data": [1, }', 'byte 13'), (b'{"data": []}', 'no questions')],
)
def test_file_that_is_none_is_told(run, tmp_path, content, part):
    path = tmp_path / 'bad.json'
    path.write_bytes(content)
    expect_failure(*run('--train_file', path, *SHORT), 'bad.json', part)


def test_official_files_are_looked_for_in_their_folder(run, tmp_path, monkeypatch):
    monkeypatch.setenv('SQUAD_DIR', str(tmp_path))
    expect_failure(*run(*SHORT), str(tmp_path / 'train-v1.1.json'))
    monkeypatch.delenv('SQUAD_DIR')
    monkeypatch.setenv('MXNET_HOME', str(tmp_path / 'home'))
    expect_failure(
        *run(*SHORT, '--version_2'),
        str(tmp_path / 'home' / 'datasets' / 'squad' / 'train-v2.0.json'),
    )


@pytest.mark.parametrize(
    'command, expected',
    [
        (
            '--optimizer adam --accumulate 2 --batch_size 6 --lr 3e-5 --epochs 2 --gpu',
            dict(accumulate=2, batch_size=6, gpu=0, version_2=False, test_batch_size=24, lr=3e-5),
        ),
        (
            '--bert_model bert_24_1024_16 --optimizer adam --accumulate 8 --batch_size 4 --lr 3e-5 '
            '--epochs 2 --gpu --null_score_diff_threshold -2.0 --version_2',
            dict(bert_model='bert_24_1024_16', null_score_diff_threshold=-2.0, version_2=True),
        ),
        (
            '--uncased --sentencepiece spm.model --round_to 128 --training_steps 9 --debug --gpu 1',
            dict(sentencepiece='spm.model', round_to=128, training_steps=9, debug=True, gpu=1),
        ),
        (
            '',
            dict(
                lr=5e-5,
                log_interval=50,
                max_seq_length=384,
                doc_stride=128,
                max_query_length=64,
                n_best_size=20,
                max_answer_length=30,
                epochs=3,
                batch_size=32,
                warmup_ratio=0.1,
            ),
        ),
    ],
)
def test_published_commands_are_understood(command, expected):
    args = vars(finetune_squad.make_parser().parse_args(command.split()))
    assert {name: args[name] for name in expected} == expected


def test_help_names_every_flag():
    result = subprocess.run(
        [sys.executable, 'finetune_squad.py', '--help'],
        cwd=EXAMPLES,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0
    for action in finetune_squad.make_parser()._actions:
        assert action.option_strings[0] in result.stdout and action.help
