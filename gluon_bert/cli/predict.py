"""Labels, scores, answers or entities by a fine-tuned model; words for masks by a pre-trained one.

Each input makes one line of JSON, or a row of --output. Inputs are the texts given, the lines of a
file or of standard input; of a .tsv, .csv or .jsonl file the text columns; of SQuAD's .json the
questions; for entities CoNLL columns or CLUENER's .json; for choices SWAG's columns. The two
texts of a pair, a question and its context, a context and its choices, are parted by ||| or a tab.

examples:
  gluon-bert predict output_dir "A fine film." "A waste of time."
  gluon-bert predict output_dir --input dev.tsv --output predictions.jsonl
  gluon-bert predict choices_dir "It rained. ||| She got wet. ||| She sang."
  gluon-bert predict hf://owner/name "A fine film."
  gluon-bert predict all-MiniLM-L6-v2 "Shares fell." --candidate_labels "sport,business"
  gluon-bert predict bert-base-uncased "The capital of France is [MASK]." --top_k 3
"""

from __future__ import annotations

import argparse
import contextlib
import sys

from .._internal.engine import device
from ..pipelines.inputs import STANDARD_INPUT, predict_items, read_items
from ..pipelines.result_files import check_output, result_writer
from ..pipelines.zero_shot import TASK as ZERO_SHOT
from ..pipelines.zero_shot import TEMPERATURE
from .batch import add_batch_arguments, check_files, is_batch, run_files
from .models import add_config_arguments, read_model, split_model
from .output import note
from .texts import add_format_arguments, existing, input_source

_ZERO_SHOT_OPTIONS = (
    'hypothesis_template',
    'multi_label',
    'entailment',
    'contradiction',
    'temperature',
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        'model',
        metavar='MODEL',
        help='a folder that a fine-tuning script wrote; a checkpoint of '
        'another maker, fine-tuned or pre-trained: its path or '
        'hf://owner/name; or a model of the zoo: NAME DATASET, NAME/DATASET or its name on the hub',
    )
    parser.add_argument(
        'texts',
        nargs='*',
        metavar='TEXT',
        help='what to predict for (default: --input, else standard input)',
    )
    parser.add_argument(
        '--input',
        metavar='FILE',
        help='read inputs from this file; several, or patterns, have commas between them',
    )
    add_format_arguments(parser, '--input')
    parser.add_argument(
        '--output',
        metavar='FILE',
        help='write here, whole or not at all: a name in .jsonl, .json, .csv or .tsv, or a folder '
        'for the results of several files (default: standard output)',
    )
    parser.add_argument(
        '--task',
        choices=('fill-mask', 'next-sentence', ZERO_SHOT),
        help=f'of a pre-trained model (default: fill-mask, if it can); {ZERO_SHOT} of a classifier '
        'of natural-language inference or a sentence model',
    )
    _add_zero_shot_arguments(parser)
    parser.add_argument(
        '--top_k',
        type=int,
        metavar='N',
        help='words for a mask (default: 5), classes (default: all), or answers '
        '(default: the best)',
    )
    _add_run_arguments(parser)


def _add_run_arguments(parser):
    parser.add_argument(
        '--batch_size',
        type=int,
        metavar='N',
        help='sequences computed at once (default: as in the evaluations of the training, else 32)',
    )
    parser.add_argument(
        '--precision',
        choices=('float32', 'bfloat16', 'int8', 'saved'),
        help='of the dense layers, on the CPU; saved: as gluon-bert quantize found '
        'it for the folder (default: float32)',
    )
    parser.add_argument(
        '--gpu',
        nargs='?',
        type=int,
        const=0,
        metavar='INDEX',
        help='run on a GPU, the first one when no index is given',
    )
    parser.add_argument('--root', help='folder of the cache (default: $MXNET_HOME/models)')
    add_config_arguments(parser)
    add_batch_arguments(parser)


def _add_zero_shot_arguments(parser):
    group = parser.add_argument_group('zero-shot classification')
    group.add_argument(
        '--candidate_labels',
        metavar='LABELS',
        help='labels that the model was not trained for, separated by commas; the model is a '
        'classifier of natural-language inference, or a sentence model',
    )
    group.add_argument(
        '--hypothesis_template',
        metavar='TEXT',
        help='with {} once, where the label stands (default: "This example is {}.", for a sentence '
        'model the label alone)',
    )
    group.add_argument(
        '--multi_label', action='store_true', default=None, help='several labels may be true'
    )
    group.add_argument(
        '--entailment',
        metavar='CLASS',
        help='of the network (default: the one whose name begins so)',
    )
    group.add_argument('--contradiction', metavar='CLASS', help='of the network, in the same way')
    group.add_argument(
        '--temperature',
        type=float,
        metavar='NUMBER',
        help=f'of the cosines of a sentence model (default: {TEMPERATURE})',
    )


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    words, args.texts = split_model([args.model, *args.texts])
    if args.texts and args.input:
        raise ValueError('give texts or --input, not both')
    if args.top_k is not None and args.top_k < 1:
        raise ValueError(f'--top_k {args.top_k}: expected 1 or more')
    if is_batch(args):
        return _predict_files(args, words)
    args.input = existing(args.input) if args.input else None
    check_output(args.output, args.input)
    pipeline = _pipeline(args, words)
    if args.top_k is not None:
        _limit(pipeline, args.top_k)
    if not args.texts and args.input is None:
        # Answers come as soon as there is a batch; at a terminal, with each line.
        pipeline.look_ahead = 1
        if sys.stdin.isatty():
            pipeline.batch_size = 1
            note('one text a line; Ctrl-D ends')
    # The file of the inputs is closed where one of them is refused, too.
    with (
        result_writer(args.output) as write,
        contextlib.closing(read_items(input_source(args), pipeline)) as items,
    ):
        _predict(items, pipeline, args, write)
    if pipeline.num_cut:
        note(f'{pipeline.num_cut} inputs were longer than the model reads and were cut')
    return 0


def _predict_files(args, words):
    from ..batch import PredictStage

    check_files(args)
    if args.gpu is not None:
        raise ValueError('--gpu: goes with one process; workers run on processors')
    pipeline = _pipeline(args, words)
    if args.top_k is not None:
        _limit(pipeline, args.top_k)
    columns = args.format, args.text_column, args.pair_column
    return run_files(args, PredictStage(pipeline, args.top_k, *columns))


def _pipeline(args, words):
    from ..pipelines import load_pipeline

    if args.batch_size is not None and args.batch_size < 1:
        raise ValueError(f'--batch_size {args.batch_size}: expected 1 or more')
    options = {name: getattr(args, name) for name in _ZERO_SHOT_OPTIONS}
    options = {name: value for name, value in options.items() if value is not None}
    has_labels = args.candidate_labels is not None
    if has_labels and args.task not in (None, ZERO_SHOT):
        raise ValueError(f'--candidate_labels: is for {ZERO_SHOT}, --task is {args.task}')
    if not has_labels and (options or args.task == ZERO_SHOT):
        given = f'--{next(iter(options))}' if options else f'--task {ZERO_SHOT}'
        raise ValueError(f'{given}: needs --candidate_labels')
    pipeline = load_pipeline(
        read_model(words).source,
        None if args.gpu is None else device(args.gpu),
        args.batch_size,
        ZERO_SHOT if has_labels else args.task,
        args.root,
        args.precision,
        args.config,
        args.num_heads,
    )
    return _with_labels(pipeline, args.candidate_labels, options) if has_labels else pipeline


def _with_labels(pipeline, labels, options):
    wrong = next((name for name in options if name not in pipeline.settings), None)
    if wrong is not None:
        kind = 'sentence model' if 'temperature' in pipeline.settings else 'classifier'
        raise ValueError(f'--{wrong}: is not for a {kind}')
    return pipeline.with_labels(labels, **options)


def _limit(pipeline, top_k):
    from ..tasks.registry import TASKS

    if pipeline.task == 'fill-mask':
        if top_k > len(pipeline.tokenizer.vocabulary):
            raise ValueError(
                f'--top_k {top_k}: the vocabulary has {len(pipeline.tokenizer.vocabulary)} tokens'
            )
        pipeline.top_k = top_k
    elif pipeline.task != ZERO_SHOT and (
        pipeline.task not in TASKS or not TASKS[pipeline.task].has_classes
    ):
        raise ValueError(
            f'--top_k: goes with masks, classes and answers, this model is for {pipeline.task}'
        )


def _bar():
    from tqdm import tqdm

    return tqdm(unit=' texts', leave=False)


def _predict(items, pipeline, args, write):
    """Write the line of each item in turn."""
    shown = sys.stderr.isatty() and not (args.output is None and sys.stdout.isatty())
    bar = _bar() if shown else None
    try:
        num_results, _ = predict_items(
            items, pipeline, write, args.top_k, None if bar is None else bar.update
        )
    finally:
        if bar is not None:
            bar.close()
    if not num_results:
        raise ValueError(f'{args.input or STANDARD_INPUT}: is empty')
