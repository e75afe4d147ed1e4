# Short names for dev.py, which needs no make.
.PHONY: setup sample test lint docs clean

setup sample test lint docs:
	python3 dev.py $@

clean:
	rm -rf .venv docs/_build build output *.egg-info
