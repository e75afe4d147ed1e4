"""model_zoo/compare_vocabulary.py counts pieces and unknown tokens of lines that were held out."""

import csv
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / 'model_zoo'))
import compare_vocabulary


@pytest.mark.weights
def test_rows(tmp_path, real_model):
    pytest.importorskip('sentencepiece', reason='needs sentencepiece')
    lines = ['held žout low', '', *['low lower lowest'] * 9, 'lower held', 'new newer newest']
    (tmp_path / 'a.txt').write_text('\n'.join(lines), encoding='utf-8')
    argv = [str(tmp_path / 'a.txt'), '--sizes', '40', '--output', str(tmp_path / 'rows.csv')]
    compare_vocabulary.main(argv)
    with open(tmp_path / 'rows.csv', newline='') as file:
        rows = {row['vocabulary']: row for row in csv.DictReader(file)}
    assert list(rows) == ['book_corpus_wiki_en_uncased', 'wordpiece', 'sentencepiece']
    # Held out: held žout low, lower held. Without accents, Google has z, ##out and the other words.
    google, ours = rows['book_corpus_wiki_en_uncased'], rows['wordpiece']
    assert (google['tokens'], google['words']) == ('30522', '5')
    assert (google['pieces_per_word'], google['unknown_percent']) == ('1.2', '0.0')
    # Ours has low and lower, and no h, u or z.
    assert (ours['pieces_per_word'], ours['unknown_percent']) == ('1.0', '60.0')
    assert float(ours['cpu_seconds']) >= 0 and ours['command'].endswith('a.txt')
