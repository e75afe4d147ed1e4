"""Plot attention, sentence vectors, answers, entities and training runs.

The suffix of the output file says whether it is a PNG, SVG or PDF picture.

examples:
  gluon-bert plot attention NAME/DATASET 'The cat sat on the mat.' --output attention.png
  gluon-bert plot attention NAME/DATASET 'Who sat?' 'The cat sat.' --layer 2 --head 5 \
--output head.svg
  gluon-bert plot map NAME/DATASET --input sentences.tsv --color_column topic --output map.png
  gluon-bert plot similarity NAME/DATASET 'It rains.' 'It pours.' 'We won.' --output matrix.png
  gluon-bert plot training output/a output/b --output runs.svg
  gluon-bert plot confusion predictions.tsv --gold_file dev.tsv --output confusion.png
  gluon-bert plot answer output_dir --question 'Who sat?' --context 'The cat sat.' \
--output answer.png
  gluon-bert plot entities output_dir 'Ada Lovelace lived in London.' --output entities.svg
"""

from __future__ import annotations

import argparse
import warnings
from argparse import ArgumentParser, Namespace
from pathlib import Path

from .output import note

_MODEL = 'a model, see gluon-bert --help'


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    kinds = parser.add_subparsers(dest='kind', required=True, metavar='KIND')
    for name, (summary, declare) in _KINDS.items():
        kind = kinds.add_parser(name, help=summary, description=f'Draw {summary}.')
        declare(kind)
        group = kind.add_argument_group('picture')
        group.add_argument(
            '--output',
            type=Path,
            required=True,
            metavar='FILE',
            help='the .png, .svg or .pdf file to write',
        )
        group.add_argument('--title', default='', help='title above the picture')
        group.add_argument(
            '--font',
            type=Path,
            metavar='FILE',
            help='a font file for characters that installed fonts lack',
        )
        group.add_argument(
            '--traceback',
            action='store_true',
            default=argparse.SUPPRESS,
            help='show the traceback of an error',
        )


def run(args: Namespace) -> int:
    """Run the subcommand."""
    from ..plots.style import checked_path

    checked_path(args.output)  # before slow steps
    from . import plot_kinds

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('ignore')
        warnings.simplefilter('always', UserWarning)
        getattr(plot_kinds, args.kind)(args, dict(title=args.title, font=args.font))
    for warning in caught:
        note(f'warning: {warning.message}')
    note(f'drawn: {args.output}')
    return 0


def _add_attention(parser):
    parser.add_argument(
        'words',
        nargs='+',
        metavar='MODEL TEXT',
        help=f'{_MODEL}, or a fine-tuned folder; a text, optionally a second one',
    )
    parser.add_argument('--layer', type=int, help='draw only this layer, from 0; -1 is the last')
    parser.add_argument('--head', type=int, help='draw only this head, from 0; -1 is the last')
    parser.add_argument('--max_length', type=int, metavar='N', help='cut the texts to N tokens')
    _add_root(parser)


def _add_texts(parser):
    parser.add_argument(
        'words',
        nargs='+',
        metavar='MODEL [TEXT ...]',
        help=f'{_MODEL}; the texts, unless in a file',
    )
    group = parser.add_argument_group('texts')
    group.add_argument(
        '--input', type=Path, metavar='FILE', help='lines of text; or a .tsv, .csv or .jsonl table'
    )
    group.add_argument('--text_column', metavar='NAME', help='column of the text in a table')
    group.add_argument(
        '--color_column',
        '--group_column',
        metavar='NAME',
        help='column of the group in a table, shown as colour',
    )
    group.add_argument(
        '--groups', metavar='NAMES', help='groups of the texts given as arguments, comma-separated'
    )
    group.add_argument(
        '--pooling', help='such as mean, cls, max or pooler (default: as the model says, else mean)'
    )
    group.add_argument('--max_length', type=int, metavar='N', help='cut the texts to N tokens')
    _add_root(parser)


def _add_map(parser):
    _add_texts(parser)
    parser.add_argument(
        '--method',
        choices=('pca', 'tsne'),
        default='pca',
        help='principal components, or t-SNE, which keeps neighbours together',
    )
    parser.add_argument('--seed', type=int, default=0, help='seed of t-SNE')


def _add_similarity(parser):
    _add_texts(parser)
    parser.add_argument(
        '--keep_order',
        action='store_true',
        help='keep the order of the texts instead of placing similar ones side by side',
    )


def _add_training(parser):
    parser.add_argument(
        'runs',
        nargs='+',
        type=Path,
        metavar='RUN_FOLDER',
        help='an output folder, or its metrics.jsonl; several are compared',
    )
    parser.add_argument(
        '--names', help='names of the runs, comma-separated (default: their folders)'
    )


def _add_confusion(parser):
    parser.add_argument(
        'source',
        type=Path,
        metavar='PREDICTIONS_OR_FOLDER',
        help='a .tsv, .csv or .jsonl table of predictions; or the folder of a '
        'fine-tuned classifier, with --data',
    )
    parser.add_argument(
        '--data', type=Path, metavar='FILE', help='texts with their classes, for the classifier'
    )
    parser.add_argument(
        '--gold_file',
        type=Path,
        metavar='FILE',
        help='file of the true classes, line by line, if the predictions lack them',
    )
    parser.add_argument(
        '--gold_column', default='label', metavar='NAME', help='column of the true class'
    )
    parser.add_argument(
        '--predicted_column',
        default='prediction',
        metavar='NAME',
        help='column of the predicted class',
    )
    parser.add_argument('--text_column', metavar='NAME', help='column of the text in --data')
    parser.add_argument('--pair_column', metavar='NAME', help='column of the second text')
    parser.add_argument(
        '--values', choices=('both', 'counts', 'shares'), default='both', help='values in the cells'
    )


def _add_answer(parser):
    parser.add_argument(
        'source',
        type=Path,
        metavar='FOLDER_OR_NBEST',
        help='the folder of a network fine-tuned for question answering; or an '
        'nbest_predictions.json file, with --data',
    )
    parser.add_argument('--question', metavar='TEXT')
    parser.add_argument('--context', metavar='TEXT', help='the paragraph')
    parser.add_argument('--context_file', type=Path, metavar='FILE', help='the same from a file')
    parser.add_argument(
        '--data', type=Path, metavar='FILE', help="a file in SQuAD's layout that has the question"
    )
    parser.add_argument('--question_id', metavar='ID', help='id of the question in --data')
    parser.add_argument(
        '--num_listed', type=int, default=5, metavar='N', help='number of candidates to list'
    )
    parser.add_argument(
        '--without_tokens', action='store_true', help='leave out the probabilities of begin and end'
    )


def _add_entities(parser):
    parser.add_argument(
        'source', type=Path, metavar='FOLDER', help='folder of a network fine-tuned for entities'
    )
    parser.add_argument('text', nargs='?', metavar='TEXT')
    parser.add_argument('--input', type=Path, metavar='FILE', help='the text, UTF-8')


def _add_root(parser):
    parser.add_argument('--root', help='folder of the cache (default: $MXNET_HOME/models)')


_KINDS = {
    'attention': ('attention maps of all layers and heads, or of one of them', _add_attention),
    'map': ('sentence vectors as a map, similar texts near each other', _add_map),
    'similarity': ('the cosine similarity between each two texts', _add_similarity),
    'training': ('loss, learning rate and evaluations of training runs', _add_training),
    'confusion': ('a confusion matrix of the classes', _add_confusion),
    'answer': ('a paragraph with the answers to a question shaded', _add_answer),
    'entities': ('a text with its entities shaded by type', _add_entities),
}
