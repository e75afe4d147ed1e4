"""One system of benchmark.py --mode load: a new process up to the vector of one text.

python3 benchmark_start.py '{"module": "benchmark_torch", "class": "Encoder", "options": {},
"folder": "...", "threads": 1, "text": "...", "max_length": 128}'

It imports nothing that the system does not, prints one line of JSON and ends. Without a module it
imports NumPy and tokenizers alone.
"""

import time

BEGUN = time.perf_counter()

import importlib
import json
import sys
from pathlib import Path


def main():
    given = json.loads(sys.argv[1])
    if given['module'] is None:
        import numpy  # noqa: F401
        import tokenizers  # noqa: F401

        print('{}', flush=True)
        return
    module = importlib.import_module(given['module'])
    imported = time.perf_counter()
    folder = Path(given['folder'])
    system = getattr(module, given['class'])(folder, given['threads'], **given['options'])
    tokenizer = None
    if given['text'] is not None and not hasattr(system, 'encode_texts'):
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(folder / 'huggingface' / 'tokenizer.json'))
    loaded = time.perf_counter()
    answer = {
        'vector': run(system, tokenizer, given).tolist(),
        'import_seconds': imported - BEGUN,
        'load_seconds': loaded - imported,
    }
    print(json.dumps(answer), flush=True)
    # The parent has stopped its clock.
    roots = {name.partition('.')[0] for name in sys.modules} - {*sys.stdlib_module_names}
    status = Path('/proc/self/status').read_text(encoding='utf-8')
    ours = ('_', 'benchmark_', 'cython_runtime')
    known = {name for name in roots if not name.startswith(ours)}
    print(json.dumps({
        'packages': sorted(known),
        'modules': len(sys.modules),
        'peak_bytes': int(status.split('VmHWM:')[1].split()[0]) * 1024,
        'resident_bytes': int(status.split('VmRSS:')[1].split()[0]) * 1024,
    }), flush=True)  # fmt: skip


def run(system, tokenizer, given):
    """Compute the pooled vector of the text, or of the ids where the network has no tokenizer."""
    if hasattr(system, 'encode_texts') and given['text'] is not None:
        return system.encode_texts([given['text']], None, 1, given['max_length'])[0][0]
    import numpy as np

    ids = given['ids'] if tokenizer is None else tokenizer.encode(given['text']).ids
    ids = np.array([ids], 'int32')
    _, pooled = system(ids, np.zeros_like(ids), np.array([ids.shape[1]], 'int32'))
    return np.asarray(pooled)[0]


if __name__ == '__main__':
    main()
