# Short names for dev.py, which needs no make.
.PHONY: setup sample test lint docs clean

setup sample test lint docs:
	python3 dev.py $@

clean:
	rm -rf .venv docs/_build docs/models docs/model_zoo build output/sample *.egg-info
