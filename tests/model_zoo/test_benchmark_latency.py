"""The benchmark's mode latency: its texts, percentiles and table; a run of a tiny network."""

import importlib
from pathlib import Path

import benchmark
import benchmark_latency
import benchmark_plot
import benchmark_report as report
import benchmark_rounds
import benchmark_work
import numpy as np
import pytest
from test_benchmark_figures import CONFIG, made_up

from common import cli
from gluon_bert.data import BertTokenizer, SentenceTransform, read_vocab

VOCAB = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'a', 'b', '##c', 'dog', '7', 'A']


@pytest.fixture
def vocab_file(tmp_path):
    path = tmp_path / 'vocab.txt'
    path.write_text('\n'.join(VOCAB) + '\n')
    return path


def test_a_query_has_as_many_tokens_as_its_cell(vocab_file):
    tokenizer = BertTokenizer(read_vocab(vocab_file))
    transform = SentenceTransform(tokenizer, 64)
    for length in (3, 4, 32):
        texts = benchmark_latency.make_texts(tokenizer, length, 1)
        assert len(texts) == benchmark_latency.NUM_TEXTS
        assert [transform(text).valid_length for text in texts] == [length] * len(texts)
        assert texts == benchmark_latency.make_texts(tokenizer, length, 1)
        assert {word for text in texts for word in text.split()} <= {'a', 'b', 'dog'}


class Server:
    """A process each query of which takes the next of some times."""

    start_seconds, loading = 1.0, {'import_seconds': 0.5, 'load_seconds': 0.25}

    def __init__(self):
        self.times = iter(np.tile([0.001] * 98 + [0.005] * 2, 100).tolist())

    def ask(self, do, output=None, calls=1, **others):
        if do == 'check':
            np.savez(output, pooled_0=np.ones(3))
            return {'seconds': 0.02}
        assert do == 'queries'
        return {'seconds': [next(self.times) for _ in range(calls)], 'peak_bytes': 10**6}


def test_percentiles_are_of_all_queries_of_all_rounds(tmp_path):
    team = benchmark_rounds.Team([], [], tmp_path, 'latency', 1, tmp_path)
    team.processes = {'gluon_bert': Server(), 'torch_sdpa': Server()}
    content = {'texts': ['a'], 'pairs': None, 'batch_size': 1, 'max_length': 8}
    cell = benchmark_work.Cell(1, 3, '', np.array([3]), 3, 3, content=content)
    rows = team.measure(cell, CONFIG, 4, 0.5)
    assert [row['calls'] for row in rows] == [500, 500]
    for row in rows:
        assert row['seconds'] == row['seconds_p50'] == 0.001
        # One call in the check of the outputs; 40 of 2000 took longer.
        assert row['seconds_p99'] == 0.005
    assert rows[0]['best_peer'] == 'torch_sdpa' and rows[0]['speed_to_best_peer'] == 1
    assert 'p99 5.00 ms' in report.table(rows)[1]


def test_the_table_has_the_fastest_first(tmp_path, monkeypatch):
    path = tmp_path / 'b.csv'
    changed = {'mode': 'latency', 'batch': 1, 'threads': 1}
    rows = [
        made_up(system, 1, **changed, length=length, seconds_p50=p50, seconds_p99=0.01)
        for length in (16, 4)
        for system, p50 in (('torch_sdpa', 0.004), ('gluon_bert', 0.002), ('torch_int8', 0.001))
    ]
    rows.append(made_up('openvino', 1, **changed, length=4, status='disagrees'))
    report.append_rows(path, rows)
    rows = report.read_rows(path)
    _, table = benchmark_latency.latency_table(rows)
    assert [(row[0], row[2], row[3]) for row in table] == [
        (precision, tokens, f'``{name}``')
        for precision, tokens, name in (
            ('fp32', '4', 'gluon_bert'),
            ('fp32', '4', 'torch_sdpa'),
            ('fp32', '16', 'gluon_bert'),
            ('fp32', '16', 'torch_sdpa'),
            ('int8', '4', 'torch_int8'),
            ('int8', '16', 'torch_int8'),
        )
    ]
    assert table[0][4:] == ['2', '10']
    assert benchmark_plot.plot_file(path) == [
        tmp_path / f'b_latency_m{ending}.png' for ending in ('', '_sizes')
    ]
    pytest.importorskip('sphinx', reason='needs Sphinx: python3 dev.py setup')
    monkeypatch.syspath_prepend(str(Path(benchmark.__file__).parents[2] / 'docs' / '_ext'))
    lines = '\n'.join(importlib.import_module('benchmark_tables').benchmark_lines(path))
    assert 'p99, ms' in lines and '``openvino``: disagrees' in lines


def test_queries_are_measured_one_by_one(vocab_file, tmp_path, capsys):
    arguments = ['--mode', 'latency', '--bert_model', 'bert_2_128_2', '--lengths', '4', '8']
    arguments += ['--systems', 'gluon_bert', 'gluon_bert_block', '--rounds', '2', '--no_plot']
    arguments += ['--turn_seconds', '0.02', '--work_folder', tmp_path / 'w']
    arguments += ['--output', tmp_path / 'o.csv']
    arguments += ['--vocab_file', vocab_file]
    assert cli.run(benchmark.main, list(map(str, arguments))) == 0, capsys.readouterr().err
    rows = report.read_rows(tmp_path / 'o.csv')
    assert [(row['system'], row['length'], row['status']) for row in rows] == [
        (system, length, 'ok')
        for length in ('4', '8')
        for system in ('gluon_bert', 'gluon_bert_block')
    ]
    for row in rows:
        assert 0 < float(row['seconds_p50']) <= float(row['seconds_p99'])
        assert row['valid_tokens'] == row['length'] and not row['share_of_ceiling']


@pytest.mark.parametrize('flag', [['--batches', '2'], ['--lengths', '2']])
def test_other_queries_are_refused(flag, capsys):
    with pytest.raises(SystemExit):
        cli.run(benchmark.main, ['--mode', 'latency', *flag])
    assert 'one query at a time, of 3 tokens or more' in capsys.readouterr().err
