"""A small training run in a process of its own: FOLDER [--resume]. Used by test_training.py."""

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / 'modeling')]

from conftest import TINY
from test_training import toy_data

import gluon_bert
from gluon_bert.training.loop import Plan, fit, set_seed
from gluon_bert.training.objectives import cross_entropy

if __name__ == '__main__':
    set_seed(5)
    model = gluon_bert.BertClassifier(gluon_bert.BertModel(TINY))
    model.initialize()
    model.hybridize()
    fit(
        model,
        toy_data(),
        cross_entropy,
        Plan(epochs=3, log_interval=1, checkpoint_interval=3),
        sys.argv[1],
        resume='--resume' in sys.argv,
    )
