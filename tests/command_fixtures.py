"""Fixtures: a tiny checkpoint, a row of the zoo for it, the console script."""

import hashlib
import os
from dataclasses import asdict

import pytest
from conftest import TINY
from tiny_zoo import KEY, tokenizer

from gluon_bert.checkpoint import write_checkpoint
from gluon_bert.checkpoint.schema import Checkpoint
from gluon_bert.cli import main
from gluon_bert.modeling.heads import BertForPretraining
from gluon_bert.zoo import ARCHITECTURES, VOCABULARIES, WEIGHTS
from gluon_bert.zoo.schema import GluonFile, VocabularyRow, Weights


@pytest.fixture
def checkpoint(make_model):
    """A tiny pre-trained network with its tokenizer."""
    network = BertForPretraining(make_model())
    for part in (network.next_sentence, network.masked_lm):
        for parameter in part.collect_params().values():
            if parameter._data is None:
                parameter.initialize()
    return Checkpoint(network.checkpoint_arrays(), TINY, tokenizer=tokenizer(), source='tiny')


@pytest.fixture
def folder(checkpoint, tmp_path):
    write_checkpoint(checkpoint, tmp_path / 'theirs')
    return tmp_path / 'theirs'


@pytest.fixture
def tiny_zoo(checkpoint, tmp_path, monkeypatch):
    """A row of the zoo, its files in a mirror of GluonNLP's layout; gives the cache's folder."""
    mirror = tmp_path / 'mirror'
    mirror.mkdir()
    write_checkpoint(checkpoint, mirror / 'a.params')
    files = {}
    for suffix, stem in (('.params', '_'.join(KEY)), ('.vocab', KEY[1])):
        sha1 = hashlib.sha1((mirror / f'a{suffix}').read_bytes()).hexdigest()
        os.rename(mirror / f'a{suffix}', mirror / f'{stem}-{sha1[:8]}{suffix}')
        files[suffix] = GluonFile(stem, sha1, suffix)
    hyper_parameters = asdict(TINY)
    size = hyper_parameters.pop('vocab_size')
    arrays = checkpoint.arrays
    monkeypatch.setitem(ARCHITECTURES, KEY[0], hyper_parameters)
    monkeypatch.setitem(
        VOCABULARIES,
        KEY[1],
        VocabularyRow(
            'wordpiece',
            size,
            True,
            False,
            (files['.vocab'],),
            gluonnlp_sha1s=(files['.vocab'].sha1,),
        ),
    )
    monkeypatch.setitem(
        WEIGHTS,
        KEY,
        Weights(
            sum(
                array.size
                for name, array in arrays.items()
                if not name.startswith(('decoder', 'classifier'))
            ),
            ('pooler', 'next_sentence', 'masked_lm'),
            'Tiny.',
            'CC0-1.0',
            'https://example.org',
            'None',
            (files['.params'],),
        ),
    )
    monkeypatch.setenv('MXNET_GLUON_REPO', mirror.as_uri())
    monkeypatch.setenv('MXNET_HOME', str(tmp_path / 'home'))
    return tmp_path / 'home' / 'models'


@pytest.fixture
def run(capsys):
    """Run a command line; gives its exit status, standard output and standard error."""

    def run_it(*argv):
        capsys.readouterr()
        status = main([str(word) for word in argv])
        return (status, *capsys.readouterr())

    return run_it
