"""What finetune_squad.py tells about a network: its answers, and how good they are."""

import json

import gluon_bert as gb
from common import cli

logger = cli.logger

# The official layout of nbest_predictions.json.
CANDIDATE = ('text', 'probability', 'start_logit', 'end_logit')


def predict(pipeline, questions, windows):
    """The answers to questions."""
    with cli.progress('answers', len(questions)) as bar:
        pipeline.progress = bar.update
        return pipeline.predictions(questions, windows)


def evaluate(args, questions, answers):
    """All figures of the official evaluation, thresholds included."""
    if not args.version_2:
        texts = {question.id: answer.text for question, answer in zip(questions, answers)}
        return gb.squad_metrics.evaluate_squad(questions, texts, characters=args.character_f1)
    # With the threshold applied here, the best one can be found among all: a question that was
    # given up already could not be answered again.
    return gb.squad_metrics.evaluate_squad(
        questions,
        {question.id: answer.best_text for question, answer in zip(questions, answers)},
        version_2=True,
        characters=args.character_f1,
        null_odds={question.id: answer.null_odds for question, answer in zip(questions, answers)},
        null_threshold=args.null_score_diff_threshold,
    )


def scores_of(metrics):
    """The figures of which more is better, to choose an epoch and to draw."""
    return {
        name: value
        for name, value in metrics.items()
        if name.endswith(('f1', 'exact', 'exact_match'))
    }


def write(args, pipeline, name, split, windows):
    """Write the answers, and what they are worth where the file has the right ones.

    Gives what the model card tells of the split; of that for training nothing is written.
    """
    questions = split.questions
    told = gb.model_card.Split(name, split.path, len(questions))
    if name == 'train':
        return told
    answers = predict(pipeline, questions, windows)
    files = {
        'predictions.json': {
            question.id: answer.text for question, answer in zip(questions, answers)
        },
        'nbest_predictions.json': {
            question.id: [
                {key: getattr(candidate, key) for key in CANDIDATE}
                for candidate in answer.candidates
            ]
            for question, answer in zip(questions, answers)
        },
    }
    if args.version_2:
        files['null_odds.json'] = {
            question.id: answer.null_odds for question, answer in zip(questions, answers)
        }
    if split.has_answers:
        metrics = evaluate(args, questions, answers)
        files['evaluation.json'] = metrics
        told = told._replace(metrics=metrics)
        logger.info(
            '%s: %s',
            name,
            ' '.join(
                f'{metric}={value:.4f}' if isinstance(value, float) else f'{metric}={value}'
                for metric, value in metrics.items()
            ),
        )
    else:
        logger.info('%s has no answers: predicted, not evaluated', split.path)
    for file, content in files.items():
        # Half a character, from an escape in the file, becomes that escape again.
        (args.output_dir / file).write_text(
            json.dumps(content, indent=1, ensure_ascii=False) + '\n',
            encoding='utf-8',
            errors='backslashreplace',
        )
    logger.info('answers: %s', args.output_dir / 'predictions.json')
    return told
