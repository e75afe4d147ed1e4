"""Make the records that a BERT is pre-trained on from text files.

A line of the text is a sentence, or a paragraph with --input_format text; a blank line ends a
document. The flags of google-research/bert's create_pretraining_data.py have their names here.
--compatible google makes its very records, by one process that holds all of them in memory. By
default memory is constant, and the records do not depend on the number of processes. An interrupted
command is resumed by the same command.

examples:
  gluon-bert pretraining-data --input_file a.txt --vocab_file vocab.txt --output_file a.tfrecord
  gluon-bert pretraining-data --input_file 'b/*' --vocab_file model --output_file b.npz
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

from .._internal.errors import ArgumentError
from ..data.pretraining.create import (
    COMPATIBLE,
    INPUT_FORMATS,
    PretrainingDataOptions,
    create_pretraining_data,
    shard_names,
)
from ..data.pretraining.masking import STRATEGIES, Masking
from ..data.pretraining.pairing import PAIRINGS
from ..data.pretraining.records import FORMATS, describe_formats
from .output import note, say
from .workers import add_worker_arguments, workers_of

# Argument of the library -> flag.
_FLAGS = {
    'max_predictions': 'max_predictions_per_seq',
    'strategy': 'masking',
    'input_files': 'input_file',
    'output_files': 'output_file',
    'words': 'words_file',
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    files = parser.add_argument_group('files')
    files.add_argument(
        '--input_file',
        required=True,
        metavar='FILES',
        help='text, UTF-8: names or patterns with commas between them',
    )
    files.add_argument(
        '--output_file', required=True, metavar='FILES', help='records: names with commas'
    )
    files.add_argument(
        '--num_shards', type=int, default=1, metavar='N', help='parts to make of one output file'
    )
    files.add_argument(
        '--format', choices=tuple(FORMATS), help=f'{describe_formats()} (default: as the names end)'
    )
    files.add_argument('--overwrite', action='store_true', help='replace output files')
    files.add_argument(
        '--vocab_file',
        required=True,
        metavar='FILE',
        help='WordPiece vocabulary, one token a line; or a folder with a tokenizer',
    )
    _add_flag(
        files,
        '--do_lower_case',
        'of the text (default: with --compatible google yes, else as the vocabulary looks)',
    )
    files.add_argument(
        '--nodo_lower_case',
        dest='do_lower_case',
        action='store_false',
        default=None,
        help='the same as --do_lower_case=False',
    )
    _add_text_arguments(parser.add_argument_group('sequences'))
    run = parser.add_argument_group('run')
    run.add_argument(
        '--compatible', choices=COMPATIBLE, default='none', help='whose records (default: none)'
    )
    add_worker_arguments(run, limit=', at most one for each output file')


def _add_text_arguments(group):
    group.add_argument(
        '--input_format',
        choices=INPUT_FORMATS,
        default='lines',
        help='a line is a sentence (lines, the default) or a paragraph (text)',
    )
    group.add_argument(
        '--pairing',
        choices=tuple(PAIRINGS),
        default='next_sentence',
        help='the second segment follows or is random (next_sentence, the default), or is swapped '
        "with the first or not (sentence_order, ALBERT's); or there is one (full_sentences, "
        "RoBERTa's)",
    )
    group.add_argument(
        '--masking',
        choices=tuple(STRATEGIES),
        default='tokens',
        help='what is masked together (default: tokens)',
    )
    _add_flag(group, '--do_whole_word_mask', 'the same as --masking whole_words')
    group.add_argument(
        '--words_file',
        metavar='FILE',
        help='a word a line, such as Chinese words, to mask as a whole',
    )
    defaults, masking = PretrainingDataOptions(), Masking()
    for name, default, help in (
        ('max_seq_length', defaults.max_seq_length, 'tokens of a sequence'),
        ('max_predictions_per_seq', masking.max_predictions, 'masked tokens of a sequence'),
        ('masked_lm_prob', masking.masked_lm_prob, 'fraction of the tokens that are masked'),
        ('short_seq_prob', defaults.short_seq_prob, 'fraction of shorter sequences'),
        ('dupe_factor', defaults.dupe_factor, 'passes over the text, each with other masks'),
        ('random_seed', defaults.random_seed, 'seed of all random numbers'),
    ):
        help = f'{help} (default: {default})'
        group.add_argument(f'--{name}', type=type(default), default=default, metavar='N', help=help)


def _add_flag(group, name, help):
    """Add a flag that may have a value, such as --do_lower_case=False."""
    group.add_argument(name, type=_truth, nargs='?', const=True, metavar='True|False', help=help)


def _truth(text):
    values = {'true': True, '1': True, 'false': False, '0': False}
    if text.lower() not in values:
        raise argparse.ArgumentTypeError(f'{text}: expected True or False')
    return values[text.lower()]


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    logging.basicConfig(level=logging.INFO, format='%(message)s', force=True)
    try:
        summary = create_pretraining_data(
            args.input_file,
            _outputs(args),
            _tokenizer(args),
            _options(args),
            words=_words(args.words_file),
            format=_format(args),
            num_workers=workers_of(args),
            overwrite=args.overwrite,
        )
    except ImportError as error:
        raise ValueError(str(error)) from None
    except ArgumentError as error:
        raise ValueError(error.message_with(lambda name: f'--{_FLAGS.get(name, name)}')) from None
    note(
        f'{summary.num_records} records of {summary.num_documents} documents with '
        f'{summary.num_tokens} tokens'
    )
    for path in _outputs(args):
        say(path)
    return 0


def _outputs(args):
    names = args.output_file.split(',')
    if args.num_shards > 1 and len(names) > 1:
        raise ArgumentError('num_shards', 'takes one {output_files}', args.num_shards)
    return names if len(names) > 1 else shard_names(names[0], args.num_shards)


def _options(args):
    strategy = args.masking
    if args.do_whole_word_mask:
        if strategy == 'spans':
            raise ArgumentError('masking', 'contradicts {do_whole_word_mask}', strategy)
        strategy = 'whole_words'
    return PretrainingDataOptions(
        pairing=args.pairing,
        masking=Masking(strategy, args.masked_lm_prob, args.max_predictions_per_seq),
        max_seq_length=args.max_seq_length,
        short_seq_prob=args.short_seq_prob,
        dupe_factor=args.dupe_factor,
        random_seed=args.random_seed,
        input_format=args.input_format,
        compatible=args.compatible,
    )


def _format(args):
    """The format; with --compatible google any name will do for TFRecords."""
    suffixes = [suffix for row in FORMATS.values() for suffix in row.suffixes]
    has_suffix = Path(args.output_file).suffix.lower() in suffixes
    if args.format is None and args.compatible == 'google' and not has_suffix:
        return 'tfrecord'
    return args.format


def _words(path):
    if path is None:
        return ()
    from ..data.classification.lines import read_lines

    return [line.strip() for _, line in read_lines(path) if line.strip()]


def _tokenizer(args) -> Any:
    from ..data import BertTokenizer, read_tokenizer, read_vocabulary
    from ..data.tokenizers.casing import looks_lowercase

    path = Path(args.vocab_file)
    if path.is_dir():
        tokenizer = read_tokenizer(path, args.do_lower_case)
        if tokenizer is None:
            raise ValueError(f'--vocab_file {path}: there is no tokenizer in this folder')
        return tokenizer
    vocabulary = read_vocabulary(path)
    lower = args.do_lower_case
    if lower is None:
        lower = args.compatible == 'google' or looks_lowercase(vocabulary)
    return BertTokenizer(vocabulary, lower=lower)
