"""Export a model to the format of another runtime.

MODEL is a fine-tuned folder, a checkpoint or a model of the zoo. onnx writes a folder in the layout
of optimum and transformers.js; openvino one in that of optimum-intel; ctranslate2 an encoder of
CTranslate2; symbol MXNet's symbol and parameters; huggingface a folder that transformers opens.
What a format has no place for, such as windows, thresholds and the transitions of a CRF, is written
to settings.json beside it and named; README.md is a model card with code that opens the folder.

examples:
  gluon-bert export output/sample --to onnx sample_onnx
  gluon-bert export bert_6_384_12/all_minilm_l6_v2 --to onnx vectors
  gluon-bert export output/sample --to onnx sample_int8 --dtype int8
  gluon-bert export output/sample --to symbol sample_symbol --probabilities
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

from ..export import EXPORTS, export
from .calibration import calibration_features
from .models import add_config_arguments, read_model
from .output import note, say, size_text
from .texts import add_format_arguments, existing


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument('model', metavar='MODEL', help='a folder, a checkpoint or NAME/DATASET')
    parser.add_argument('out', metavar='OUT', type=Path, help='a folder that is not there yet')
    parser.add_argument(
        '--to',
        required=True,
        choices=EXPORTS,
        help='; '.join(f'{name}: {row.meaning}' for name, row in EXPORTS.items()),
    )
    parser.add_argument('--root', help="folder of the zoo's cache")
    add_config_arguments(parser)
    onnx = parser.add_argument_group('onnx and openvino')
    onnx.add_argument(
        '--head', help='masked_lm, next_sentence, or none for the encoder alone (also for symbol)'
    )
    onnx.add_argument('--opset', type=int, help='version of the operators (onnx; default: 14)')
    onnx.add_argument(
        '--dtype',
        help='of the stored weights: float32, float16; onnx also int8, int8-static '
        '(default: float32)',
    )
    onnx.add_argument(
        '--calibrate',
        metavar='FILE',
        help='texts for int8-static, of all lengths that will come, as gluon-bert predict reads '
        'them (default: the scales that gluon-bert quantize saved)',
    )
    add_format_arguments(onnx, '--calibrate')
    onnx.add_argument(
        '--pooling',
        help='also give a vector for each text: mean, cls, max, cls+mean, ... (a sentence model '
        'gives its own)',
    )
    onnx.add_argument(
        '--no_normalize',
        dest='normalize',
        action='store_false',
        default=None,
        help='do not scale vectors of texts to length 1',
    )
    ctranslate2 = parser.add_argument_group('ctranslate2')
    ctranslate2.add_argument(
        '--quantization', metavar='TYPE', help='of the stored weights: int8, float16 or another'
    )
    symbol = parser.add_argument_group('symbol')
    symbol.add_argument(
        '--probabilities',
        action='store_true',
        default=None,
        help='give probabilities instead of scores',
    )


def run(args: Namespace) -> int:
    """Run the subcommand."""
    _check_calibration(args)
    target = args.out.expanduser()
    names = {name for row in EXPORTS.values() for name in row.options}
    options = {
        name: getattr(args, name) for name in sorted(names) if getattr(args, name, None) is not None
    }
    model = read_model([args.model])
    checkpoint = model.checkpoint(args.root, args.config, args.num_heads)
    checkpoint = replace(checkpoint, source=model.source)
    if args.calibrate:
        path = existing(args.calibrate, '--calibrate')
        options['calibration'] = calibration_features(args, path, checkpoint)
    try:
        limits = export(checkpoint, target, args.to, options)
    except ImportError as error:
        raise ValueError(str(error)) from None
    for path in sorted(path for path in target.rglob('*') if path.is_file()):
        say(f'{path}: {size_text(path.stat().st_size)}')
    for limit in limits:
        where = f'see {limit.place}' if limit.has_file else limit.place
        note(f'not in {EXPORTS[args.to].title}: {limit.part} ({where})')
    return 0


def _check_calibration(args):
    """Raise ValueError where the format of calibration texts is given without them."""
    for name in ('format', 'text_column', 'pair_column'):
        if getattr(args, name) is not None and not args.calibrate:
            raise ValueError(f'--{name} is for --calibrate FILE, which is not given')
