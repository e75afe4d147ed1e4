"""Texts of load.py, the formats of the model, and the vectors that all servers must give."""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from gluon_bert import SentenceEncoder
from gluon_bert._internal.files import new_folder
from gluon_bert.inference.predictor import Predictor
from gluon_bert.inference.trained import open_network
from gluon_bert.zoo import OFFLINE_DEFAULT

MODEL = '/'.join(OFFLINE_DEFAULT)
PATH = '/v1/embeddings'
NUM_CHECKED = 8  # texts of a kind whose vectors are compared
TOLERANCE = 1e-4
_SEED, _MOST = 1, 2000


def data_folder():
    """Find the folder of the real data; ValueError without one."""
    folder = os.environ.get('GLUON_BERT_DATA')
    if not folder:
        raise ValueError('GLUON_BERT_DATA names no folder with glue_data/STS-B and squad')
    return Path(folder)


def read_sentences():
    """Read the sentences of STS-B's development set, each once."""
    lines = (data_folder() / 'glue_data/STS-B/dev.tsv').read_text(encoding='utf-8').splitlines()
    return list(dict.fromkeys(text for line in lines[1:] for text in line.split('\t')[7:9]))


def read_paragraphs():
    """Read the paragraphs of SQuAD 1.1's development set, each once."""
    content = json.loads((data_folder() / 'squad/dev-v1.1.json').read_text(encoding='utf-8'))
    return list(
        dict.fromkeys(
            paragraph['context']
            for article in content['data']
            for paragraph in article['paragraphs']
        )
    )


KINDS = {'sentences': read_sentences, 'paragraphs': read_paragraphs}


class Library:
    """The library's own call on the same weights, in this process."""

    def __init__(self, folder, threads):
        network = open_network(folder, 'encoder')
        predictor = Predictor(network, threads)
        self.encoder = SentenceEncoder(predictor, network.checkpoint.tokenizer)

    def fitting(self, texts):
        """List the texts that the model reads without a cut, in a random order, with the tokens."""
        features, _ = self.encoder.steps.prepare(texts)[::2]
        longest = self.encoder.max_length
        kept = [
            (text, feature.valid_length)
            for text, feature in zip(texts, features)
            if feature.valid_length < longest
        ]
        random.Random(_SEED).shuffle(kept)
        return kept[:_MOST]

    def times(self, texts, seconds):
        """Call on one text after the other; return the seconds of each call, in rising order."""
        self.encoder.encode(texts[:1])
        times, end = [], time.perf_counter() + seconds
        for text in itertools.cycle(texts):
            begun = time.perf_counter()
            self.encoder.encode([text])
            now = time.perf_counter()
            times.append(now - begun)
            if now >= end:
                return sorted(times)


def body_of(text, name):
    """Write the body of a request for the vector of a text."""
    return json.dumps({'model': name, 'input': [text]}, ensure_ascii=False).encode()


def largest_difference(bodies, vectors):
    """Compare answers with vectors; return the largest difference of a number."""
    rows = [json.loads(body)['data'][0]['embedding'] for body in bodies]
    return float(np.abs(np.array(rows, 'float32') - vectors).max())


def make_formats(folder, with_onnx=True):
    """Write the model for all servers, unless it was written before.

    Parameters
    ----------
    folder : Path
        Gets ``model``, a folder of sentence-transformers, and ``onnx`` with ``model.onnx`` of
        the same weights, with the fusions of onnxruntime's optimizer for transformers.
    with_onnx : bool
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / 'model').exists():
        SentenceEncoder(MODEL).save(folder / 'model')
    if with_onnx and not (folder / 'onnx').exists():
        from onnxruntime.transformers.optimizer import optimize_model

        exported = folder / 'exported'
        if not exported.exists():
            subprocess.run(
                [
                    sys.executable,
                    '-m',
                    'gluon_bert',
                    'export',
                    '--to',
                    'onnx',
                    folder / 'model',
                    exported,
                ],
                check=True,
                stdout=subprocess.DEVNULL,
            )
        with new_folder(folder / 'onnx') as target:
            for path in exported.glob('*.*'):
                if path.is_file():
                    (target / path.name).write_bytes(path.read_bytes())
            source = str(exported / 'onnx' / 'model.onnx')
            optimize_model(
                source, model_type='bert', num_heads=12, hidden_size=384
            ).save_model_to_file(str(target / 'model.onnx'))
