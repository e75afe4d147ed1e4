"""GluonNLP 0.10 in benchmark.py: its classes, parameters and optimizer."""

from __future__ import annotations

import json
import warnings

import gluon_bert  # noqa: F401 (before MXNet, which needs names of NumPy that it restores)

with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    import gluonnlp
    import mxnet as mx
    from benchmark_gluon import gradients_without_dropout
    from gluonnlp.model.bert import BERTClassifier, BERTEncoder, BERTModel
    from mxnet import autograd, gluon, nd


def make_bert(folder):
    """Make GluonNLP's network from the values of transformers' config.json."""
    config = json.loads((folder / 'huggingface' / 'config.json').read_text(encoding='utf-8'))
    units, dropout = config['hidden_size'], config['hidden_dropout_prob']
    encoder = BERTEncoder(
        num_layers=config['num_hidden_layers'],
        units=units,
        dropout=dropout,
        hidden_size=config['intermediate_size'],
        num_heads=config['num_attention_heads'],
        max_length=config['max_position_embeddings'],
        layer_norm_eps=config['layer_norm_eps'],
    )
    return BERTModel(
        encoder,
        config['vocab_size'],
        units=units,
        embed_size=units,
        token_type_vocab_size=config['type_vocab_size'],
        use_decoder=False,
        use_classifier=False,
    )


class Encoder:
    """The hybridized network."""

    def __init__(self, folder, threads):
        self.network = make_bert(folder)
        self.network.load_parameters(str(folder / 'gluonnlp.params'))
        self.network.hybridize(static_alloc=True)

    def __call__(self, *arrays):
        """Compute encodings (N, T, C) and pooled (N, C) from ids, types (N, T) and lengths (N,)."""
        outputs = self.network(*(nd.array(array, dtype='float32') for array in arrays))
        return tuple(output.asnumpy() for output in outputs)


class Trainer:
    """A step as in GluonNLP's finetune_classifier.py."""

    def __init__(self, folder, threads):
        self.network = BERTClassifier(make_bert(folder), num_classes=2, dropout=0.1)
        self.network.load_parameters(str(folder / 'gluonnlp_classifier.params'))
        self.network.hybridize(static_alloc=True)
        self._loss = gluon.loss.SoftmaxCELoss()
        self._trainer = gluon.Trainer(
            self.network.collect_params(),
            'bertadam',
            {'learning_rate': 5e-5, 'wd': 0.01},
            update_on_kvstore=False,
        )
        self._clipped = [
            parameter
            for parameter in self.network.collect_params().values()
            if parameter.grad_req != 'null'
        ]
        for _, parameter in self.network.collect_params('.*beta|.*gamma|.*bias').items():
            parameter.wd_mult = 0.0

    def check(self, *arrays):
        """Compute scores, loss and the norm of the gradients, without dropout."""
        return gradients_without_dropout(self.network, self._loss, *arrays)

    def step(self, *arrays):
        """Run a step on ids, types (N, T), lengths and labels (N,)."""
        *inputs, labels = (nd.array(array, dtype='float32') for array in arrays)
        with autograd.record():
            loss = self._loss(self.network(*inputs), labels).mean()
        loss.backward()
        self._trainer.allreduce_grads()
        gluonnlp.utils.clip_grad_global_norm(self._clipped, 1)
        self._trainer.update(1)
        loss.asscalar()
        mx.nd.waitall()
