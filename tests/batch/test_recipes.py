# ruff: noqa: F811 (fixtures are imported)
"""The recipes of the manual for Dask and Spark, run as programs where these are installed."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from batch_files import write_text
from script_runs import tiny_pipeline, tokenizer  # noqa: F401 (fixtures)

import gluon_bert as gb
from gluon_bert.batch import PredictStage, run_batch

ROOT = Path(gb.__file__).parents[1]
PAGE = (ROOT / 'docs' / 'batch.rst').read_text(encoding='utf-8')
FOUND = re.findall(r'code-block:: python\n    :name: recipe-(\w+)\n\n((?:    .*\n|\n)+)', PAGE)
RECIPES = {name: textwrap.dedent(code) for name, code in FOUND}


@pytest.fixture
def run(tiny_pipeline, tmp_path):
    """Run a recipe beside the model and the text that it names; its folder."""
    tiny_pipeline('text-classification', folder=tmp_path / 'reviews')
    (tmp_path / 'output').mkdir()
    (tmp_path / 'reviews').rename(tmp_path / 'output' / 'reviews')
    write_text(tmp_path / 'reviews.txt', 300)

    def run_recipe(name, after=''):
        program = tmp_path / 'recipe.py'
        program.write_text(RECIPES[name] + after)
        env = {**os.environ, 'PYTHONPATH': str(ROOT), 'SPARK_LOCAL_IP': '127.0.0.1'}
        env['PYSPARK_PYTHON'] = sys.executable
        done = subprocess.run(
            [sys.executable, program], cwd=tmp_path, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return run_recipe


def is_predicted(folder):
    stage = PredictStage(gb.load_pipeline(folder / 'output' / 'reviews'))
    run_batch(stage, folder / 'reviews.txt', folder / 'one.jsonl')
    left = {path.name for path in folder.iterdir()}
    assert not any('.work' in name or '.part' in name for name in left)
    return (folder / 'one.jsonl').read_bytes() == (folder / 'predictions.jsonl').read_bytes()


def test_recipes_are_found():
    assert set(RECIPES) == {'ray', 'dask', 'spark', 'table'}


def test_dask(run, tmp_path):
    if importlib.util.find_spec('distributed') is None:
        pytest.skip('needs dask[distributed]: python3 dev.py setup --peers')
    run('dask')
    assert is_predicted(tmp_path)


def test_spark(run, tmp_path):
    if importlib.util.find_spec('pyspark') is None or shutil.which('java') is None:
        pytest.skip('needs pyspark and Java 17, which --peers does not install: 500 MB')
    run('spark')
    assert is_predicted(tmp_path)
    out = run('table', '\nprint([(row.id, row.text, row.label) for row in rows])\n')
    found = eval(out.strip().splitlines()[-1])
    pipeline = gb.load_pipeline(tmp_path / 'output' / 'reviews')
    texts = {7: 'A fine film.', 9: 'A bad one.'}
    assert sorted(found) == [(n, text, pipeline(text).label) for n, text in texts.items()]
