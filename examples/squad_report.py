"""What finetune_squad.py tells about a network: its answers, and how good they are."""
import argparse
import json
from pathlib import Path

import cli

import gluon_bert as gb

DESCRIPTION_FILE = 'questions.json'

logger = cli.logger

# What a folder says about its network, so that it need not be given again.
KEPT = {'bert_model': str, 'bert_dataset': str, 'pretrained_bert_parameters': str,
        'sentencepiece': str, 'max_seq_length': int, 'doc_stride': int, 'max_query_length': int,
        'n_best_size': int, 'max_answer_length': int, 'null_score_diff_threshold': float,
        'version_2': bool, 'character_f1': bool, 'from_scratch': bool}


def write_description(args, vocab):
    """What else is needed to use the parameter file: the model, its settings, its vocabulary."""
    description = {name: value for name in KEPT if (value := getattr(args, name)) is not None}
    (args.output_dir / DESCRIPTION_FILE).write_text(
        json.dumps({'task': 'questions', **description}, indent=1, ensure_ascii=False) + '\n',
        encoding='utf-8')
    (args.output_dir / 'vocab.json').write_text(vocab.to_json(), encoding='utf-8')


def recalled_arguments(parameters):
    """What was kept beside a parameter file, as arguments of the command line.

    Raises
    ------
    ValueError
        If the file beside it is damaged.
    """
    path = Path(parameters).parent / DESCRIPTION_FILE
    if not path.is_file():
        return []
    try:
        description = json.loads(path.read_text(encoding='utf-8'))
        found = {name: description[name] for name in KEPT if name in description}
        if not all(type(value) is KEPT[name] for name, value in found.items()):
            raise ValueError('a value is of the wrong type')
        cli.one_of('model', gb.zoo.ARCHITECTURES)(found['bert_model'])
        cli.one_of('data set', gb.zoo.VOCABULARIES)(found['bert_dataset'])
    except (ValueError, KeyError, TypeError, RecursionError, argparse.ArgumentTypeError) as error:
        raise ValueError(f'{path}: is not a description of {parameters} ({error})') from None
    # A model of the zoo has its vocabulary from there.
    vocabulary = [f'--vocab_file={path.parent / "vocab.json"}'] * found.get('from_scratch', False)
    return vocabulary + [f'--{name}' if value is True else f'--{name}={value}'
                         for name, value in found.items() if value is not False]


def predict(args, network, questions, windows, data):
    """The answers to questions."""
    scores = gb.training.predict(network, data, desc='answers', per_token=True)
    return gb.squad_answers.find_answers(
        questions, windows, scores, n_best_size=args.n_best_size,
        max_answer_length=args.max_answer_length, version_2=args.version_2,
        null_score_diff_threshold=args.null_score_diff_threshold)


def evaluate(args, questions, answers):
    """All figures of the official evaluation, thresholds included."""
    if not args.version_2:
        texts = {question.id: answer.text for question, answer in zip(questions, answers)}
        return gb.squad_metrics.evaluate_squad(questions, texts, characters=args.character_f1)
    # With the threshold applied here, the best one can be found among all: a question that was
    # given up already could not be answered again.
    return gb.squad_metrics.evaluate_squad(
        questions, {question.id: answer.best_text
                    for question, answer in zip(questions, answers)},
        version_2=True, characters=args.character_f1,
        null_odds={question.id: answer.null_odds
                   for question, answer in zip(questions, answers)},
        null_threshold=args.null_score_diff_threshold)


def scores_of(metrics):
    """The figures of which more is better, to choose an epoch and to draw."""
    return {name: value for name, value in metrics.items()
            if name.endswith(('f1', 'exact', 'exact_match'))}


def write(args, network, split, windows, data):
    """Write the answers, and what they are worth where the file has the right ones."""
    questions = split.questions
    answers = predict(args, network, questions, windows, data)
    files = {
        'predictions.json': {question.id: answer.text
                             for question, answer in zip(questions, answers)},
        'nbest_predictions.json': {
            question.id: [candidate._asdict() for candidate in answer.candidates]
            for question, answer in zip(questions, answers)}}
    if args.version_2:
        files['null_odds.json'] = {question.id: answer.null_odds
                                   for question, answer in zip(questions, answers)}
    if split.has_answers:
        metrics = evaluate(args, questions, answers)
        files['evaluation.json'] = metrics
        logger.info('dev: %s', ' '.join(f'{name}={value:.4f}' if isinstance(value, float)
                                        else f'{name}={value}'
                                        for name, value in metrics.items()))
    else:
        logger.info('%s has no answers: predicted, not evaluated', split.path)
    for name, content in files.items():
        # Half a character, from an escape in the file, becomes that escape again.
        (args.output_dir / name).write_text(
            json.dumps(content, indent=1, ensure_ascii=False) + '\n', encoding='utf-8',
            errors='backslashreplace')
    logger.info('answers: %s', args.output_dir / 'predictions.json')
