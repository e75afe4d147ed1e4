"""The benchmark: its figures, who is ranked, what is left out; real runs of a tiny network."""

import math
from pathlib import Path

import benchmark
import benchmark_report as report
import benchmark_rounds
import benchmark_work
import numpy as np
import pytest
from benchmark_machine import processor
from benchmark_process import order, processors_for
from benchmark_systems import SYSTEMS, reason_to_skip

from common import cli
from gluon_bert import kernels
from gluon_bert.zoo import get_config

OURS = ['gluon_bert', 'gluon_bert_block']
TINY = ['--bert_model', 'bert_2_128_2', '--rounds', '2', '--turn_seconds', '0.001']


@pytest.fixture(scope='session')
def networks(tmp_path_factory):
    """Where the files of networks are, for all runs."""
    return tmp_path_factory.mktemp('networks')


@pytest.fixture
def run(networks, tmp_path, capsys):
    """Run the benchmark: arguments -> exit code, rows of the file, standard output and error."""

    def call(*arguments):
        output = tmp_path / 'results.csv'
        try:
            code = cli.run(
                benchmark.main,
                [
                    *TINY,
                    '--work_folder',
                    str(networks),
                    '--output',
                    str(output),
                    *map(str, arguments),
                ],
            )
        except SystemExit as error:
            code = error.code
        return code, report.read_rows(output), capsys.readouterr()

    return call


def test_operations_are_those_of_the_formula():
    config = get_config('bert_12_768_12', 30522)
    pooler = 2 * 768**2
    assert report.forward_flop(config, [128]) - pooler == 128 * (
        12 * 2 * (4 * 768**2 + 2 * 768 * 3072) + 12 * 4 * 128 * 768
    )
    assert report.forward_flop(config, [3, 5]) == (
        report.forward_flop(config, [3]) + report.forward_flop(config, [5])
    )
    dense = 2 * sum(map(math.prod, report.products(config, 128))) * config.num_layers
    assert dense == pytest.approx(128 * 169.9e6, rel=1e-3)


def test_the_ceiling_takes_the_faster_library_for_each_shape():
    shapes = [(1, 2, 3), (4, 5, 6)]
    measured = {'one': [[1.0, 8.0], [3.0, 8.0], [2.0, 8.0]], 'other': [[5.0, 4.0]], 'none': []}
    assert report.ceiling(shapes, measured) == 2 * (6 + 120) / (2 + 4)
    assert math.isnan(report.ceiling(shapes, {'none': []}))


def test_median_and_quartiles():
    assert report.quartiles([5, 1, 2, 3, 4]) == (3, 2, 4)
    assert report.geometric_mean([0.5, 2, 8]) == pytest.approx(2)


@pytest.mark.parametrize(
    'found,largest,rms',
    [
        ([1, -2], 0, 0),
        ([1, -1], 0.5, math.sqrt(0.5 / 2.5)),
        ([1, math.nan], math.inf, math.inf),
        ([1], math.inf, math.inf),
    ],
)
def test_difference_of_outputs(found, largest, rms):
    ours = {'sequence_0': np.array([1.0, -2.0])}
    assert report.difference(ours, {'sequence_0': np.array(found, 'float64')}) == pytest.approx(
        (largest, rms)
    )
    assert report.difference(ours, {}) == (math.inf, math.inf)


def row(system, seconds, status='ok'):
    return {**benchmark_rounds.system_row(system), 'status': status, 'rounds_seconds': seconds}


def test_ranks_are_within_a_precision_and_round_by_round():
    rows = [
        row('gluon_bert', [1, 10, 4]),
        row('torch_sdpa', [2, 15, 4]),
        row('onnxruntime', [3, 16, 5]),
        row('ctranslate2', [0.1] * 3, 'disagrees'),
        row('ctranslate2_int8', [0.1] * 3),
    ]
    report.rank(rows)
    assert [found.get('best_peer') for found in rows] == [
        'torch_sdpa',
        'torch_sdpa',
        'torch_sdpa',
        None,
        'ctranslate2_int8',
    ]
    assert rows[0]['speed_to_best_peer'] == 1.5  # of 2, 1.5 and 1
    assert rows[2]['speed_to_best_peer'] == 4 / 5


def test_order_of_rounds():
    rounds = [order('abcd', number) for number in range(4)]
    assert all(sorted(names) == list('abcd') for names in rounds)
    assert rounds[0] != rounds[1] != rounds[2] != rounds[3]
    assert order([], 3) == []


def test_a_system_has_as_many_processors_as_threads():
    assert len(processors_for(1)) == 1
    assert processors_for(10**6) == processors_for(10**6 + 1)


def test_rows_are_read_again_and_a_cell_that_is_there_is_not_missing(tmp_path):
    path = tmp_path / 'a.csv'
    keys = {
        'mode': 'grid',
        'model': 'm',
        'weights': 'w',
        'data': '',
        'batch': 8,
        'length': None,
        'threads': 1,
        'isa': '',
    }
    report.append_rows(path, [{**keys, 'system': 'gluon_bert', 'seconds': 0.5, 'commit': 'c'}])
    report.append_rows(path, [{**keys, 'system': 'gluon_bert', 'seconds': 0.25, 'commit': 'c'}])
    rows = report.read_rows(path)
    assert [row['seconds'] for row in rows] == ['0.5', '0.25']
    assert [row['seconds'] for row in report.latest(rows)] == ['0.25']
    done = {report.key_of(row) for row in rows}
    assert report.missing(done, keys, ['gluon_bert', 'torch_sdpa']) == ['torch_sdpa']
    assert report.missing(done, {**keys, 'batch': 9}, ['gluon_bert']) == ['gluon_bert']
    path.write_text('task,score\nMRPC,1\n')
    with pytest.raises(ValueError, match=r'a\.csv: is no file of this benchmark'):
        report.read_rows(path)


@pytest.mark.parametrize(
    'system,mode,flags,reason',
    [
        ('gluon_bert', 'grid', set(), ''),
        ('gluon_bert', 'train', set(), ''),
        ('gluon_bert_block', 'train', set(), 'it does not train'),
    ],
)
def test_who_takes_part(system, mode, flags, reason):
    assert reason_to_skip(SYSTEMS[system], mode, flags) == reason


def test_absent_packages_and_precisions_are_told(monkeypatch, tmp_path):
    monkeypatch.setattr('benchmark_systems.version', lambda name: '' if name == 'torch' else '1')
    assert reason_to_skip(SYSTEMS['torch_sdpa'], 'grid', set()) == 'torch not installed'
    monkeypatch.setattr('benchmark_systems.version', lambda name: '1')
    assert 'no bf16 arithmetic' in reason_to_skip(SYSTEMS['torch_bf16'], 'grid', {'avx2'})
    assert reason_to_skip(SYSTEMS['torch_bf16'], 'grid', {'avx512_bf16'}) == ''
    info = tmp_path / 'cpuinfo'
    info.write_text('model name\t: Some CPU\nflags\t\t: fpu avx2 avx512_bf16\n')
    assert processor(info) == ('Some CPU', {'fpu', 'avx2', 'avx512_bf16'})


class Pretended:
    """A process whose outputs are all ``value``, and each call of which takes ``seconds``."""

    def __init__(self, value, seconds):
        self.value, self.seconds, self.start_seconds = value, seconds, 1.0
        self.loading = {'import_seconds': 0.5, 'load_seconds': 0.25}

    def ask(self, do, output=None, calls=1, shapes=(), **others):
        if do == 'check':
            np.savez(output, sequence_0=np.full(3, self.value))
        if do == 'products':
            return {'seconds': [self.seconds] * len(shapes)}
        return {
            'seconds': self.seconds if do == 'check' else [self.seconds] * calls,
            'peak_bytes': 5_000_000,
        }


def test_a_system_with_other_outputs_is_reported_and_not_ranked(tmp_path):
    team = benchmark_rounds.Team([], [], tmp_path, 'grid', 1, tmp_path)
    team.processes = {
        'gluon_bert': Pretended(1.0, 0.1),
        'torch_sdpa': Pretended(1.0, 0.2),
        'onnxruntime': Pretended(1.01, 0.01),
        'onnxruntime_int8': Pretended(1.01, 0.04),
    }
    team.ceilings = {'gemm_torch': Pretended(0, 1e-3)}
    config = get_config('bert_2_128_2', 100)
    (cell,) = benchmark_work.grid(config, [2], [5], 1)
    rows = {row['system']: row for row in team.measure(cell, config, 3, 0.3)}
    assert {name: row['status'] for name, row in rows.items()} == {
        'gluon_bert': 'ok',
        'torch_sdpa': 'ok',
        'onnxruntime': 'disagrees',
        'onnxruntime_int8': 'ok',
    }
    assert rows['gluon_bert']['best_peer'] == 'torch_sdpa'
    assert rows['gluon_bert']['speed_to_best_peer'] == pytest.approx(2)
    assert 'best_peer' not in rows['onnxruntime']
    assert rows['gluon_bert']['tokens_per_second'] == pytest.approx(100)
    assert rows['gluon_bert']['peak_memory_mb'] == 5
    limit = 2 * sum(map(math.prod, report.products(config, 10))) / 4e-3
    assert rows['gluon_bert']['share_of_ceiling'] == pytest.approx(
        report.forward_flop(config, [5, 5]) / 0.1 / limit
    )


@pytest.mark.parametrize(
    'arguments,message',
    [
        (['--mode', 'ragged'], '--mode ragged needs --data'),
        (['--data', 'a.txt'], '--data: not allowed with --mode grid'),
        (['--systems', 'torch_eagre'], "did you mean 'torch_eager'"),
        (['--threads', '4096'], 'this process may use'),
        (['--lengths', '513'], '--lengths 513: bert_2_128_2 takes 512'),
        (['--output', 'nowhere/a.csv'], 'folder nowhere not found'),
    ],
)
def test_wrong_arguments_are_told_in_one_line(run, arguments, message):
    code, rows, printed = run(*arguments)
    assert code == 2
    assert message in printed.err
    assert rows == []


@pytest.mark.parametrize(
    'name,content,message',
    [
        ('a.txt', '\n \n', 'has no texts'),
        ('a.csv', 'a', 'expected .tsv of a GLUE task'),
        ('a.tsv', 'a', 'its folder names no task'),
        ('MRPC/nodev.tsv', 'a', 'MRPC has train.tsv'),
    ],
)
def test_files_of_texts_that_are_none(tmp_path, name, content, message):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        benchmark_work.read_texts(path)
    with pytest.raises(FileNotFoundError):
        benchmark_work.read_texts(tmp_path / 'absent.txt')


def test_pairs_of_a_task(tmp_path):
    path = tmp_path / 'MRPC' / 'dev.tsv'
    path.parent.mkdir()
    path.write_text('Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t1\t2\ta\tb\n0\t3\t4\tc\td\n')
    assert benchmark_work.read_texts(path) == ((['a', 'c'], ['b', 'd']), 'MRPC/dev')
    assert benchmark_work.read_texts(path, one_by_one=True, limit=3) == (
        (['a', 'b', 'c'], None),
        'MRPC/dev one by one first 3',
    )


def test_our_systems_in_their_processes(run, tmp_path):
    code, rows, printed = run('--systems', *OURS, '--batches', '2', '--lengths', '7', '4')
    assert code == 0, printed.err
    assert [(row['system'], row['length'], row['status']) for row in rows] == [
        (system, length, 'ok') for length in ('4', '7') for system in OURS
    ]
    for found in rows:
        assert float(found['seconds_q1']) <= float(found['seconds']) <= float(found['seconds_q3'])
        assert float(found['difference']) < 1e-5
        assert float(found['valid_tokens']) == 2 * int(found['length'])
        assert float(found['peak_memory_mb']) > 50
        assert float(found['share_of_ceiling']) > 0
        assert found['processor'] and 'mxnet 1.9.1' in found['versions']
    assert (tmp_path / 'results_grid_bert_2_128_2.png').stat().st_size > 1000
    # Resumed, only what is new is measured.
    code, again, printed = run(
        '--systems', *OURS, '--batches', '2', '--lengths', '7', '3', '--resume', '--no_plot'
    )
    assert code == 0, printed.err
    assert [row['length'] for row in again[len(rows) :]] == ['3', '3']


@pytest.mark.skipif(not kernels.load(), reason='the native kernels are not built')
def test_our_int8_is_ranked_apart(run):
    code, rows, printed = run(
        '--systems',
        'gluon_bert',
        'gluon_bert_int8',
        '--batches',
        '2',
        '--lengths',
        '7',
        '--no_plot',
    )
    assert code == 0, printed.err
    assert [(row['precision'], row['status']) for row in rows] == [('fp32', 'ok'), ('int8', 'ok')]
    assert 1e-5 < float(rows[1]['difference_rms']) < float(rows[1]['tolerance'])


def test_texts_in_batches_and_as_a_data_set(run, tmp_path):
    vocab = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'a', 'b', 'c']
    (tmp_path / 'vocab.txt').write_text('\n'.join(vocab) + '\n')
    (tmp_path / 'texts.txt').write_text('a b c\nb\n\nc c c c c\na\na b\n')
    for mode in ('ragged', 'dataset'):
        code, rows, printed = run(
            '--systems',
            *OURS,
            '--mode',
            mode,
            '--data',
            tmp_path / 'texts.txt',
            '--batches',
            '2',
            '--vocab_file',
            tmp_path / 'vocab.txt',
            '--no_plot',
        )
        assert code == 0, printed.err
    assert [row['status'] for row in rows] == ['ok'] * 4
    assert {row['valid_tokens'] for row in rows} == {'22'}
    # (5 3) (7 3) (4) in their order, (7 5) (4 3) (3) by length
    assert [float(row['fill']) for row in rows[::2]] == pytest.approx([22 / 28, 22 / 25], 1e-4)


def test_training_steps_and_loading(run):
    code, rows, printed = run(
        '--systems',
        'gluon_bert',
        'gluonnlp',
        '--mode',
        'train',
        '--batches',
        '2',
        '--lengths',
        '6',
        '--no_plot',
    )
    assert code == 0, printed.err
    assert [row['status'] for row in rows] == ['ok', 'ok'], printed.out
    assert rows[0]['best_peer'] == 'gluonnlp'
    code, rows, printed = run(
        '--systems', 'gluon_bert', '--mode', 'load', '--rounds', '1', '--no_plot'
    )
    assert code == 0, printed.err
    loaded = rows[-1]
    assert float(loaded['seconds']) > float(loaded['load_seconds']) > 0
    assert float(loaded['bare_import_seconds']) > 0
    assert loaded['packages'] == 'gluon_bert numpy tokenizers'


def test_peers_agree(run):
    """Of those that are installed; the others and the precisions are named."""
    code, rows, printed = run('--batches', '2', '--lengths', '9', '--no_plot')
    assert code == 0, printed.err
    statuses = {row['system']: row['status'] for row in rows}
    skipped = {line.split(':')[0] for line in printed.err.splitlines() if ': skipped, ' in line}
    assert {*statuses, *skipped} == set(SYSTEMS)
    assert {*OURS, 'gluonnlp'} <= set(statuses)
    assert set(statuses.values()) == {'ok'}, printed.out
    assert len({row['commit'] for row in rows}) == 1


def test_the_manual_shows_what_was_measured(tmp_path, monkeypatch):
    pytest.importorskip('sphinx', reason='needs Sphinx: python3 dev.py setup')
    monkeypatch.syspath_prepend(str(Path(benchmark.__file__).parents[2] / 'docs' / '_ext'))
    import benchmark_tables

    keys = {
        'mode': 'grid',
        'model': 'm',
        'weights': 'w',
        'batch': 8,
        'length': 32,
        'threads': 1,
        'status': 'ok',
        'seconds_q1': 0.4,
        'seconds_q3': 0.6,
        'peak_memory_mb': 7,
    }
    path = tmp_path / 'benchmark.csv'
    report.append_rows(
        path,
        [
            {
                **keys,
                'system': 'gluon_bert',
                'seconds': 0.5,
                'best_peer': 'torch_sdpa',
                'speed_to_best_peer': 1.2,
                'tokens_per_second': 512.0,
                'share_of_ceiling': 0.91,
            },
            {**keys, 'system': 'torch_sdpa', 'seconds': 0.6},
            {**keys, 'system': 'openvino', 'status': 'disagrees', 'seconds': 0.1},
            {**keys, 'system': 'gluon_bert_block', 'status': 'failed: no memory'},
        ],
    )
    _, rows = benchmark_tables.benchmark_table(report.read_rows(path))
    assert rows[0] == [
        '8x32',
        '1',
        '``gluon_bert``',
        '500',
        '400 to 600',
        '512',
        '``torch_sdpa``',
        '600',
        '1.20',
        '91%',
        '7',
        '7',
    ]
    assert rows[1][:4] == ['8x32', '1', '``gluon_bert_block``', 'failed: no memory']
    text = '\n'.join(benchmark_tables.benchmark_lines(path))
    assert '.. dropdown:: grid, m' in text and '``openvino``: disagrees' in text


def test_rows_do_not_tell_where_a_machine_keeps_its_files():
    assert benchmark.without_paths(
        [
            '--mode',
            'grid',
            '--work_folder',
            'here',
            '--rounds',
            '3',
            '--output',
            'there.csv',
            '--resume',
            '--output=x',
        ]
    ) == ['--mode', 'grid', '--rounds', '3', '--resume']
