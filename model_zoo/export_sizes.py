"""Write a model in every format of gluon-bert export, and record the size of the network's files.

    python3 model_zoo/export_sizes.py --output model_zoo/results/export_sizes.csv

Formats whose packages are not installed are named and skipped.
"""

import argparse
import tempfile
from pathlib import Path

import comparing

from gluon_bert.export import export
from gluon_bert.zoo import open_checkpoint

# Format and options, as gluon-bert export takes them.
VARIANTS = (
    ('huggingface', {}),
    ('symbol', {}),
    ('onnx', {}),
    ('onnx', {'dtype': 'float16'}),
    ('onnx', {'dtype': 'int8'}),
    ('openvino', {}),
    ('openvino', {'dtype': 'float16'}),
    ('ctranslate2', {}),
    ('ctranslate2', {'quantization': 'float16'}),
    ('ctranslate2', {'quantization': 'int8'}),
)
# The files of the network, without the tokenizer and what describes them.
NETWORK = ('*.safetensors', '*.params', '*-symbol.json', '*.onnx*', '*.xml', '*.bin')


def make_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--model', default='/'.join((comparing.MODEL, comparing.DATASET)))
    comparing.add_output_arguments(parser)
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    checkpoint = open_checkpoint(args.model)
    for to, options in VARIANTS:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / 'out'
            try:
                export(checkpoint, folder, to, options)
            except ImportError as error:
                print(error)
                continue
            files = {path for pattern in NETWORK for path in folder.rglob(pattern)}
            size = sum(path.stat().st_size for path in files)
        row = {
            'checkpoint': args.model,
            'format': to,
            'options': ' '.join(f'--{name} {value}' for name, value in options.items()),
            'megabytes': round(size / 1e6, 1),
            'commit': comparing.origin()['commit'],
        }
        comparing.record(args, row)


if __name__ == '__main__':
    main()
