"""The server of gluon_bert with onnxruntime in the place of its kernels, for load.py.

    python model_zoo/load/load_onnxruntime.py model.onnx NAME=FOLDER --port 3000 --threads 2

All else is the same code: HTTP, tokens, queue, batches, answers. A batch is padded, as the
runtime needs it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from gluon_bert.cli import main as command
from gluon_bert.serving import server


class OnnxPredictor:
    """The pooled rows of batches by onnxruntime, as :class:`gluon_bert.Predictor` gives them.

    Sequences are padded to the longest of a batch of like lengths, the longest first.
    """

    def __init__(self, path, threads, config):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        self.config = config
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=['CPUExecutionProvider']
        )

    def batches(self, features, batch_size=32, pooling=None):
        """Compute the mean of each sequence's encodings, batch by batch."""
        if pooling.modes != ('mean',) or pooling.num_skipped:
            raise ValueError(f'{pooling}: expected the mean of all tokens')
        lengths = np.array([feature.valid_length for feature in features])
        order = np.argsort(-lengths, kind='stable')
        for begin in range(0, len(order), batch_size):
            indices = order[begin : begin + batch_size]
            yield indices, self._pooled([features[i] for i in indices], lengths[indices])

    def _pooled(self, features, lengths):
        ids = np.zeros((len(features), lengths.max()), 'int64')
        for row, feature in zip(ids, features):
            row[: feature.valid_length] = feature.inputs
        mask = (np.arange(ids.shape[1]) < lengths[:, None]).astype('int64')
        inputs = {'input_ids': ids, 'attention_mask': mask, 'token_type_ids': np.zeros_like(ids)}
        (encodings,) = self._session.run(['last_hidden_state'], inputs)
        return np.einsum('ntc,nt->nc', encodings, mask.astype('float32')) / lengths[:, None]


def main(argv=None):
    """Serve as ``gluon-bert serve`` does."""
    path, *arguments = sys.argv[1:] if argv is None else argv
    threads = int(arguments[arguments.index('--threads') + 1])
    open_models = server.open_models

    def open_with_onnx(sources):
        models = open_models(sources)
        for model in models:
            predictor = OnnxPredictor(path, threads, model.config)
            model.encoder.steps.predictor = model.encoder._predictor = predictor
            model.warm_up()
        return models

    server.open_models = open_with_onnx
    return command(['serve', *arguments])


if __name__ == '__main__':
    sys.exit(main())
