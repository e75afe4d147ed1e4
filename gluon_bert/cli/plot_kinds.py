"""Draw each kind of picture of ``gluon-bert plot`` from its arguments."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from .. import plots
from ..inference.trained import TrainedNetwork
from ..metrics import confusion_matrix
from .models import read_model, split_model

_MAX_BYTES = 1 << 20
_MAX_LINES = 20_000


def attention(args: Namespace, look: dict[str, Any]) -> None:
    """Draw attention maps."""
    words, texts = split_model(args.words)
    if not 1 <= len(texts) <= 2:
        raise ValueError(f'expected one or two texts after the model, got {len(texts)}')
    checkpoint = _checkpoint(words, args.root)
    network, pair = TrainedNetwork(checkpoint, 'encoder'), texts[1] if len(texts) == 2 else None
    maps = plots.attention_of(network, checkpoint.tokenizer, texts[0], pair, args.max_length)
    plots.plot_attention(maps, args.output, args.layer, args.head, **look)


def map(args: Namespace, look: dict[str, Any]) -> None:
    """Draw a map of sentence vectors."""
    vectors, texts, groups = _vectors(args, 'a map')
    plots.plot_map(vectors, texts, args.output, groups, args.method, seed=args.seed, **look)


def similarity(args: Namespace, look: dict[str, Any]) -> None:
    """Draw a matrix of similarities."""
    vectors, texts, groups = _vectors(args, 'a similarity matrix')
    plots.plot_similarity(vectors, texts, args.output, groups, not args.keep_order, **look)


def training(args: Namespace, look: dict[str, Any]) -> None:
    """Draw training curves."""
    names = [path.name if path.is_dir() else path.parent.name for path in args.runs]
    if len(set(names)) < len(names):
        names = [str(path) for path in args.runs]
    if args.names is not None:
        names = args.names.split(',')
    if len(set(names)) != len(args.runs) or len(names) != len(args.runs):
        raise ValueError(
            f'expected a different name for each of {len(args.runs)} runs, got {", ".join(names)}'
        )
    runs = {name: plots.read_metrics(path) for name, path in zip(names, args.runs)}
    plots.plot_runs(runs, args.output, **look)


def confusion(args: Namespace, look: dict[str, Any]) -> None:
    """Draw a confusion matrix."""
    from ..data import read_table

    if args.source.is_dir():
        if args.data is None:
            raise ValueError(f'{args.source}: is a folder; give the texts to classify as --data')
        split = read_table(
            args.data, text=args.text_column, pair=args.pair_column, label=args.gold_column
        )
        pipeline = _pipeline(args.source, 'text-classification')
        predicted = [
            result.label
            for result in pipeline(
                [row.text if row.pair is None else (row.text, row.pair) for row in split.examples]
            )
        ]
        gold = _class_names(split)
        labels = list(pipeline.labels)
    else:
        file, labels = args.gold_file or args.source, []
        gold, predicted = (
            [row.text for row in read_table(path, text=column).examples]
            for path, column in ((file, args.gold_column), (args.source, args.predicted_column))
        )
        if len(gold) != len(predicted):
            raise ValueError(
                f'{args.source}: has {len(predicted)} predictions for the '
                f'{len(gold)} rows of {file}'
            )
    labels += sorted({*gold, *predicted} - {*labels}, key=_by_value)
    number = {label: place for place, label in enumerate(labels)}
    matrix = confusion_matrix(
        [number[label] for label in gold], [number[label] for label in predicted], len(labels)
    )
    plots.plot_confusion(matrix, labels, args.output, args.values, **look)


def _class_names(split: Any) -> list[str]:
    """List the name of each example's class."""
    return [split.labels[row.label] for row in split.examples]


def _by_value(label):
    """Sort numbers by value, before names."""
    try:
        return 0, float(label), label
    except ValueError:
        return 1, 0.0, label


def answer(args: Namespace, look: dict[str, Any]) -> None:
    """Draw an answer in its paragraph."""
    from ..data import Question, read_squad

    if (args.data is None) != (args.question_id is None):
        raise ValueError('--data and --question_id must be given together')
    if args.data is not None:
        question = next(
            (row for row in read_squad(args.data).questions if row.id == args.question_id), None
        )
        if question is None:
            raise ValueError(f'{args.data}: has no question with the id {args.question_id!r}')
    elif args.question and (args.context is None) != (args.context_file is None):
        context = args.context if args.context_file is None else _read_text(args.context_file)
        question = Question('0', args.question, context.strip(), (), False)
    else:
        raise ValueError(
            'expected --question with --context or --context_file, or --data with --question_id'
        )
    tokens = None
    if args.source.is_file():
        if args.data is None:
            raise ValueError(f'{args.source}: predictions need --data and --question_id')
        answers = plots.answers_of_file(args.source, question)
    else:
        answers, tokens = _answers(args.source, question)
    plots.plot_answer(
        question.question,
        question.context,
        answers,
        args.output,
        None if args.without_tokens else tokens,
        args.num_listed,
        **look,
    )


def entities(args: Namespace, look: dict[str, Any]) -> None:
    """Draw entities in their text."""
    if (args.text is None) == (args.input is None):
        raise ValueError('expected a text, or --input with a file')
    text = args.text if args.input is None else _read_text(args.input).strip()
    spans = _pipeline(args.source, 'token-classification')(text)
    plots.plot_entities(
        text, [(row.start, row.end, row.type) for row in spans], args.output, **look
    )


def _checkpoint(words, root):
    """Open the checkpoint of a model, which must have a tokenizer."""
    model = read_model(words)
    checkpoint = model.checkpoint(root)
    if checkpoint.tokenizer is None:
        raise ValueError(f'{model.text}: has no vocabulary')
    return checkpoint


def _network(words, root):
    """Load the network of a model and its tokenizer."""
    from ..modeling.build import build_network

    checkpoint = _checkpoint(words, root)
    return build_network(checkpoint, 'encoder'), checkpoint.tokenizer


def _pipeline(folder, task):
    """Load the pipeline of a folder that was fine-tuned for a task."""
    from ..pipelines import load_pipeline

    pipeline = load_pipeline(read_model([str(folder)]).source)
    if pipeline.task != task:
        raise ValueError(f'{folder}: is for {pipeline.task}; expected a network for {task}')
    return pipeline


def _vectors(args, what):
    """Compute sentence vectors; return them with the texts and their groups."""
    from ..inference.sentence_encoder import SentenceEncoder

    words, texts = split_model(args.words)
    if bool(texts) == (args.input is not None):
        raise ValueError('expected texts after the model, or --input with a file of them')
    groups = args.groups.split(',') if args.groups is not None else None
    if args.input is not None:
        texts, groups = _read_texts(args)
    if len(texts) < 2:
        raise ValueError(f'{what} needs 2 texts or more, got {len(texts)}')
    if groups is not None and len(groups) != len(texts):
        raise ValueError(f'--groups names {len(groups)} groups for {len(texts)} texts')
    encoder = SentenceEncoder(
        *_network(words, args.root), pooling=args.pooling, max_length=args.max_length
    )
    return encoder.encode(texts), texts, groups


def _read_texts(args):
    """Read the texts of a file and their groups."""
    if args.groups is not None:
        raise ValueError('--groups needs texts as arguments; use --color_column for a file')
    if args.input.suffix.lower() in ('.tsv', '.csv', '.jsonl', '.json'):
        from ..data import read_table

        split = read_table(args.input, text=args.text_column, label=args.color_column)
        texts = [row.text for row in split.examples]
        groups = _class_names(split) if split.labels else None
        # The default column 'label' may have more classes than there are colours.
        too_many = groups is not None and args.color_column is None and len(split.labels) > 7
        return texts, None if too_many else groups
    if args.text_column or args.color_column:
        raise ValueError(f'{args.input}: only .tsv, .csv and .jsonl files have columns')
    lines = [line.strip() for line in _read_text(args.input).split('\n')]
    texts = [line for line in lines if line]
    if len(texts) > _MAX_LINES:
        raise ValueError(f'{args.input}: has {len(texts)} texts; at most {_MAX_LINES} are drawn')
    return texts, None


def _read_text(path):
    with open(path, 'rb') as file:
        raw = file.read(_MAX_BYTES * 8 + 1)
    if len(raw) > _MAX_BYTES * 8:
        raise ValueError(f'{path}: the file is larger than {_MAX_BYTES * 8} bytes')
    try:
        return raw.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise ValueError(
            f'{path}: not UTF-8: byte 0x{raw[error.start]:02x} at offset {error.start}'
        ) from None


def _answers(folder, question):
    """Compute the candidate answers and the probabilities of the tokens."""
    pipeline = _pipeline(folder, 'question-answering')
    windows = pipeline.windows([question])
    scores = pipeline.scores([question], windows)
    (prediction,) = pipeline.predictions([question], windows)
    answers = [
        plots.AnswerSpan(row.start, row.end, row.probability) for row in prediction.candidates
    ]
    if not answers:
        raise ValueError('the network finds no candidate for an answer in the context')
    # The chosen one first: with a threshold it may differ from the most probable.
    answers.sort(key=lambda row: question.context[row.start : row.end] != prediction.text)
    return answers, plots.token_probabilities(windows, scores)
