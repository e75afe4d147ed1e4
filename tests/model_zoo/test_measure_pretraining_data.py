"""model_zoo/measure_pretraining_data.py measures the command that it runs."""

import csv

import measure_pretraining_data
from test_google_records import made_text
from test_masking import TOKENS


def test_a_row_and_a_plot(tmp_path):
    (tmp_path / 'vocab.txt').write_text('\n'.join(TOKENS), encoding='utf-8')
    (tmp_path / 'text.txt').write_text(made_text(1, 5), encoding='utf-8')
    path = tmp_path / 'out.csv'
    measure_pretraining_data.main(
        [
            str(tmp_path / 'text.txt'), '--vocab_file', str(tmp_path / 'vocab.txt'), '--megabytes',
            '0.01', '0.02', '--output', str(path), '--num_shards', '2',
        ]
    )  # fmt: skip
    with open(path, newline='') as file:
        first, second = csv.DictReader(file)
    assert 5 < int(first['documents']) < int(second['documents'])
    assert 3 * int(first['records']) < 2 * int(second['records'])
    for row in (first, second):
        rate = 1e6 * float(row['cpu_seconds']) / int(row['tokens'])
        assert abs(float(row['cpu_seconds_per_million_tokens']) - rate) < 1e6 * 0.06 / 2000
        assert 20 < float(row['worker_peak_mb']) < 500 and 20 < float(row['main_peak_mb']) < 500
    assert path.with_suffix('.png').read_bytes().startswith(b'\x89PNG')


def test_text_is_repeated_up_to_a_size(tmp_path):
    (tmp_path / 'a').write_text('aé\n', encoding='utf-8')
    for size, expected in (
        (4, 'aé\n'),
        (6, 'aé\n\n\n'),
        (8, 'aé\n\n\na'),
        (13, 'aé\n\n\naé\n\n\na'),
    ):
        measure_pretraining_data.repeat([tmp_path / 'a'], tmp_path / 'b', size)
        assert (tmp_path / 'b').read_text('utf-8') == expected
