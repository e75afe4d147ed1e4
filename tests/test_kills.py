"""Some kills at random moments; ``kill_nine.py`` does as many as are asked for."""

import random

import kill_nine


def test_nothing_is_lost_or_left_over_after_a_kill(tmp_path, seed):
    counts = kill_nine.run(tmp_path, 4, random.Random(seed))
    assert sum(count['kills'] for count in counts.values()) >= 4
    assert all(count['rounds'] for count in counts.values())
