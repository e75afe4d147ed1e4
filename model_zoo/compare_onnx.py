"""Score fine-tuned networks exported to ONNX, in each type of stored weights, by onnxruntime.

    GLUE_DIR=glue_data python model_zoo/compare_onnx.py output/mrpc \\
        --calibrate glue_data/MRPC/train.tsv --output model_zoo/results/onnx.csv

Ranges for int8-static are measured on 128 of the sequences of --calibrate, of all lengths. The
batches are those of the pipeline, of sequences of like lengths.
"""

import argparse
import tempfile
from pathlib import Path

import comparing
import numpy as np
import onnxruntime

import gluon_bert as gb
from gluon_bert.cli.calibration import calibration_features
from gluon_bert.cli.texts import add_format_arguments
from gluon_bert.export.onnx import DTYPES, write_onnx
from gluon_bert.tasks.evaluation import read_dev
from gluon_bert.zoo import open_checkpoint


def make_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folders', type=Path, nargs='+', help='fine-tuned for a task of GLUE')
    parser.add_argument('--calibrate', type=Path, required=True, help='a file of the task')
    add_format_arguments(parser, '--calibrate')
    parser.add_argument('--seed', help='of the training, for the row')
    comparing.add_output_arguments(parser)
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    for folder in args.folders:
        for row in compare(args, folder):
            comparing.record(args, row)


def compare(args, folder):
    """Yield the row of each type."""
    pipeline, checkpoint = gb.load_pipeline(folder), open_checkpoint(folder)
    dev = read_dev(pipeline)
    calibration = calibration_features(args, args.calibrate, checkpoint)
    scores = {}
    for dtype, storage in DTYPES.items():
        with tempfile.TemporaryDirectory() as place:
            write_onnx(
                checkpoint,
                Path(place) / 'out',
                dtype,
                calibration=calibration if storage.is_calibrated else None,
            )
            path = Path(place) / 'out' / 'onnx' / storage.file
            size = path.stat().st_size
            pipeline.freeze(OnnxPredictor(path, args.threads))
            scores[dtype] = dev.score(pipeline)
        yield {
            'task': pipeline.settings.get('name', ''),
            'seed': args.seed or '',
            'dtype': dtype,
            'texts': len(dev.inputs),
            'metric': dev.metric,
            'score': round(scores[dtype], 4),
            'lost': round(next(iter(scores.values())) - scores[dtype], 4),
            'megabytes': round(size / 1e6, 1),
            'calibration_texts': len(calibration) if storage.is_calibrated else '',
            'onnxruntime': onnxruntime.__version__,
            **comparing.origin(),
        }


class OnnxPredictor:
    """A model of onnxruntime as a pipeline calls a Predictor."""

    def __init__(self, path, num_threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads
        self._session = onnxruntime.InferenceSession(str(path), options)
        self._names = [value.name for value in self._session.get_inputs()]

    def batches(self, features, batch_size=32):
        """Yield the indices and the scores of batches of like lengths."""
        order = np.argsort([feature.valid_length for feature in features], kind='stable')
        for begin in range(0, len(order), batch_size or 32):
            indices = order[begin : begin + (batch_size or 32)]
            ids, types, lengths = gb.data.pad_batch([features[index] for index in indices], 0)
            mask = np.arange(ids.shape[1]) < np.array(lengths)[:, None]
            given = {'input_ids': ids, 'attention_mask': mask, 'token_type_ids': types}
            inputs = {name: given[name].astype('int64') for name in self._names}
            yield indices, self._session.run(['logits'], inputs)[0]


if __name__ == '__main__':
    main()
