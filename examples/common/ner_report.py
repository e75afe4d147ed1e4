"""What finetune_ner.py tells about a tagger: its scores by type of entity, its predictions."""

import json
from typing import NamedTuple

import gluon_bert as gb
from common import cli

logger = cli.logger


class Split(NamedTuple):
    """One file as the network reads it; ``gold`` are its tags in the scheme of the network."""

    file: object
    windows: list
    gold: list


def prepare(args, pipeline, name, file):
    """The windows of a file, and its tags."""
    windows = pipeline.windows([row.words for row in file.sentences])
    if not windows:
        raise cli.Failure(f'{file.path}: has no words')
    num_long = len({window.sentence for window in windows if window.begin})
    if num_long:
        logger.info(
            '%s: %d of %d sentences have more than %d tokens and are read in windows',
            name,
            num_long,
            len(file.sentences),
            pipeline.settings['max_len'],
        )
    gold = (
        [
            gb.data.convert_tags(row.tags, file.scheme, pipeline.settings['scheme'])
            for row in file.sentences
        ]
        if file.has_tags
        else None
    )
    return Split(file, windows, gold)


def training_data(args, pipeline, split, ctx):
    """The training file as the network reads it."""
    numbers = {tag: number for number, tag in enumerate(pipeline.tags)}
    labels = gb.data.window_labels(
        split.windows, [[numbers[tag] for tag in row] for row in split.gold]
    )
    vocab = pipeline.tokenizer.vocab
    return gb.data.SequenceData(
        [window.features for window in split.windows],
        labels,
        vocab[vocab.padding_token],
        batch_size=args.batch_size,
        seed=args.seed,
        round_to=args.round_to,
        ctx=ctx,
    )


def predicted_tags(pipeline, split):
    """The tags of each sentence, in the network's scheme."""
    sentences = [row.words for row in split.file.sentences]
    with cli.progress('sentences', len(sentences)) as bar:
        pipeline.progress = bar.update
        return pipeline.raw_tags(sentences)


def report_of(args, pipeline, split, predicted):
    """The scores of predictions for a file with tags."""
    return gb.entity_metrics.entity_report(
        split.gold, predicted, pipeline.settings['scheme'] if args.strict else None
    )


def metrics(args, pipeline, split):
    """The scores of a file with tags; the first decides which epoch is best."""
    return numbers_of(report_of(args, pipeline, split, predicted_tags(pipeline, split)).overall)


def numbers_of(row):
    """F1, precision and recall of a row of a report."""
    return {'f1': row.f1, 'precision': row.precision, 'recall': row.recall}


def write(args, pipeline, name, split):
    """Predict for a file into files of the output folder, and evaluate where it has tags.

    Gives what the model card tells of the file; of that for training nothing is written.
    """
    folder, file = args.output_dir, split.file
    told = gb.model_card.Split(name, file.path, len(file.sentences))
    if name == 'train':
        return told
    predicted = predicted_tags(pipeline, split)
    if file.has_tags:
        report = report_of(args, pipeline, split, predicted)
        text = gb.entity_metrics.format_entity_report(report)
        (folder / f'{name}_report.txt').write_text(text + '\n', encoding='utf-8')
        scores = {
            **numbers_of(report.overall),
            'macro_f1': report.macro_f1,
            'accuracy': report.accuracy,
            'strict': args.strict,
            'by_type': {row.name: {**row._asdict(), **numbers_of(row)} for row in report.by_type},
        }
        (folder / f'{name}_metrics.json').write_text(
            json.dumps(scores, indent=1, ensure_ascii=False) + '\n', encoding='utf-8'
        )
        told = told._replace(metrics=numbers_of(report.overall), report=text)
        logger.info('%s: f1=%.4f\n%s', name, report.overall.f1, text)
    # What conlleval finds in the predictions, as valid tags of the file's own scheme.
    scheme = file.scheme or pipeline.settings['file_scheme']
    written = [gb.data.repair_tags(row, scheme) for row in predicted]
    path = folder / f'{name}_predictions{".json" if file.layout == "json" else ".conll"}'
    gb.data.write_tagged(path, file, written)
    logger.info('%s: predictions: %s', name, path)
    return told
