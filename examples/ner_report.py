"""What finetune_ner.py tells about a tagger: its scores by type of entity, its predictions."""
import json
from typing import NamedTuple

import cli

import gluon_bert as gb

logger = cli.logger


class Split(NamedTuple):
    """One file as the network reads it; ``gold`` are its tags in the scheme of the network."""

    file: object
    windows: list
    data: object
    gold: list


def prepare(args, tagger, name, file, ctx):
    """The windows of a file, and its labels."""
    windows = tagger.windows([row.words for row in file.sentences])
    if not windows:
        raise cli.Failure(f'{file.path}: has no words')
    num_long = len({window.sentence for window in windows if window.begin})
    if num_long:
        logger.info('%s: %d of %d sentences have more than %d tokens and are read in windows', name,
                    num_long, len(file.sentences), tagger.settings['max_len'])
    gold = labels = None
    if file.has_tags:
        gold = [gb.data.convert_tags(row.tags, file.scheme, tagger.settings['scheme'])
                for row in file.sentences]
        numbers = {tag: number for number, tag in enumerate(tagger.tags)}
        labels = gb.data.window_labels(windows, [[numbers[tag] for tag in row] for row in gold])
    data = tagger.data(windows, labels, seed=args.seed, round_to=args.round_to, ctx=ctx,
                       batch_size=args.batch_size if name == 'train' else args.dev_batch_size)
    return Split(file, windows, data, gold)


def predicted_tags(tagger, split):
    """The tags of each sentence, in the network's scheme."""
    return tagger.raw_tags([row.words for row in split.file.sentences], split.windows, split.data)


def report_of(args, tagger, split, predicted):
    """The scores of predictions for a file with tags."""
    return gb.entity_metrics.entity_report(
        split.gold, predicted, tagger.settings['scheme'] if args.strict else None)


def metrics(args, tagger, split):
    """The scores of a file with tags; the first decides which epoch is best."""
    return numbers_of(report_of(args, tagger, split, predicted_tags(tagger, split)).overall)


def numbers_of(row):
    """F1, precision and recall of a row of a report."""
    return {'f1': row.f1, 'precision': row.precision, 'recall': row.recall}


def write(args, tagger, name, split):
    """Predict for a file into files of the output folder, and evaluate where it has tags."""
    predicted = predicted_tags(tagger, split)
    folder, file = args.output_dir, split.file
    if file.has_tags:
        report = report_of(args, tagger, split, predicted)
        text = gb.entity_metrics.format_entity_report(report)
        (folder / f'{name}_report.txt').write_text(text + '\n', encoding='utf-8')
        scores = {**numbers_of(report.overall), 'macro_f1': report.macro_f1,
                  'accuracy': report.accuracy, 'strict': args.strict,
                  'by_type': {row.name: {**row._asdict(), **numbers_of(row)}
                              for row in report.by_type}}
        (folder / f'{name}_metrics.json').write_text(
            json.dumps(scores, indent=1, ensure_ascii=False) + '\n', encoding='utf-8')
        logger.info('%s: f1=%.4f\n%s', name, report.overall.f1, text)
    # What conlleval finds in the predictions, as valid tags of the file's own scheme.
    scheme = file.scheme or tagger.settings['file_scheme']
    written = [gb.data.repair_tags(row, scheme) for row in predicted]
    path = folder / f'{name}_predictions{".json" if file.layout == "json" else ".conll"}'
    gb.data.write_tagged(path, file, written)
    logger.info('%s: predictions: %s', name, path)
