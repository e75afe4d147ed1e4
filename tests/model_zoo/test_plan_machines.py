"""The plan on paper: its formulas by hand, and its files are those of its inputs."""

import plan_machines
import pytest

MEASURED = plan_machines.read_steps(plan_machines.HERE / 'results' / 'benchmark.csv')


def plan(**changes):
    options = {'cores': 2, 'dtype': 'fp32', 'bandwidth': 10, 'nodes': 4, 'latency': 0, 'price': 1}
    return plan_machines.plan(MEASURED, **{**options, **changes})


def test_the_fit_goes_through_the_measured_steps():
    for (dtype, _), (gflop, seconds, _) in MEASURED.items():
        processor = plan_machines.processors(MEASURED)[dtype]
        assert processor.fixed + gflop / processor.rate == pytest.approx(seconds)
        assert 0 < processor.fixed < 0.2 * seconds


def test_operations_are_those_of_the_benchmark_and_of_the_word_scores():
    for length in (128, 384):
        gflop, _, batch = MEASURED['fp32', length]
        assert plan_machines.operations(MEASURED, length, 0) == pytest.approx(gflop / batch)
    scores = plan_machines.operations(MEASURED, 128, 20) - plan_machines.operations(
        MEASURED, 128, 0
    )
    assert scores == pytest.approx(3 * 2 * 20 * (768 * 768 + 768 * 30522) / 1e9)
    # BERT-base: 2 x 85 million weights of the layers, forward and twice backward.
    assert plan_machines.operations(MEASURED, 128, 0) == pytest.approx(
        3 * 2 * 85e6 * 128 / 1e9, 0.1
    )


def test_messages_are_twice_the_gradients_at_the_bandwidth():
    size = 109_482_240 + 768 * 768 + 3 * 768 + 30522 + 2 * 768 + 2
    row = plan()
    assert row['megabytes_sent'] == pytest.approx(2 * 3 / 4 * 4 * size / 1e6, abs=0.1)
    assert row['message_seconds'] == pytest.approx(2 * 3 / 4 * 4 * size * 8 / 10e9, abs=1e-4)
    half = plan(dtype='bf16')
    assert half['megabytes_sent'] == pytest.approx(row['megabytes_sent'] / 2, abs=0.1)
    late = plan(latency=0.01)['message_seconds'] - row['message_seconds']
    assert late == pytest.approx(2 * 3 * 0.01, abs=1e-3)


def test_one_machine_waits_for_nobody_and_many_for_the_network():
    alone = plan(nodes=1)
    assert (alone['message_seconds'], alone['efficiency']) == (0, 1)
    assert alone['days'] == alone['days_not_hidden']
    assert alone['dollars'] == alone['core_hours'] == pytest.approx(alone['days'] * 48, 0.01)
    many = plan(nodes=256, bandwidth=1)
    assert many['efficiency'] < 0.1
    # The network alone takes that long.
    assert many['days'] >= many['message_seconds'] * 1e6 / 86400 * 0.95


def test_the_files_are_those_of_the_script(tmp_path):
    plan_machines.main(['--output', str(tmp_path / 'machines.csv')])
    for name in ('machines.csv', 'machines_days.csv'):
        made, kept = (
            (folder / name).read_text() for folder in (tmp_path, plan_machines.HERE / 'results')
        )
        assert made == kept, name
    assert (tmp_path / 'machines.png').stat().st_size > 10_000
