"""model_zoo/measure_shards.py: its text, its stages, its figures of memory, its plot."""

import measure_shards
import numpy as np
import shard_stages

from gluon_bert.batch import run_batch


def test_results_of_the_stages_are_checked(tmp_path):
    text = tmp_path / 'a.txt'
    count = measure_shards.write_text(text, 50_000)
    assert 50_000 <= text.stat().st_size < 51_000
    for name, (make, ending) in shard_stages.STAGES.items():
        output = tmp_path / f'o.{ending}'
        args = measure_shards.make_parser().parse_args(['--stage', name])
        assert run_batch(make(), text, output, shard_size=9000).num_results == count
        assert measure_shards.is_equal(args, text, output)
        content = output.read_bytes()
        changed = content[:-2] + bytes([content[-2] ^ 1]) + content[-1:]
        for wrong in (changed, content[: len(content) // 2], content + content[-20:]):
            output.write_bytes(wrong)
            assert not measure_shards.is_equal(args, text, output)
    assert np.load(tmp_path / 'one.npy').shape == (count, 16)


def test_growth_is_that_of_the_last_quarter(tmp_path):
    watch = measure_shards.Watch(0.0)
    watch.points = [(float(n), 'actor 1', 100.0 + 2 * (n >= 30)) for n in range(40)]
    watch.points += [(float(n), 'driver 1', 50.0 + n) for n in range(40)]
    assert watch.growth('actor') == 2 and watch.growth('driver') == 20
    measure_shards.draw(watch.points, {'text_mb': 1.5}, tmp_path / 'a.png')
    assert (tmp_path / 'a.png').read_bytes().startswith(b'\x89PNG')


def test_only_shards_that_are_complete_are_counted(tmp_path):
    output = tmp_path / 'o.tsv'
    assert measure_shards.count_complete(output) == 0
    (tmp_path / 'o.tsv.work').mkdir()
    for name in ('shard-1', 'done-1', 'done-2', 'options.json'):
        (tmp_path / 'o.tsv.work' / name).touch()
    assert measure_shards.count_complete(output) == 2
