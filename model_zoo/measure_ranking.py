"""Train a cross-encoder on questions and passages, and measure what it adds to vectors.

    python model_zoo/measure_ranking.py glue_data/QNLI/dev.tsv --folder ranking \\
        --output model_zoo/results/ranking.csv

The file is of QNLI, or a .json of SQuAD's layout: questions, each with the sentence or paragraph
that answers it. Some questions are kept for the test. For each of the others its passage is
relevant; some of those whose vectors are most similar to it are not. The test questions are
searched among all passages: by vectors alone, and with the cross-encoder over the best of them. A
row has MRR and nDCG at 10, and the share of questions whose passage was found.
"""

import argparse
import json
import random
import time
from pathlib import Path

import comparing
import numpy as np

import gluon_bert as gb
from gluon_bert.data import get_task, read_squad, read_task
from gluon_bert.metrics.retrieval import evaluate_rankings
from gluon_bert.zoo import OFFLINE_DEFAULT

METRICS = ['mrr@10', 'ndcg@10']


def make_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('file', type=Path)
    parser.add_argument('--folder', type=Path, required=True, help='for the data and the network')
    parser.add_argument('--model', default='/'.join(OFFLINE_DEFAULT))
    parser.add_argument('--questions', type=int, default=2000, help='to train on')
    parser.add_argument('--test_questions', type=int, default=300)
    parser.add_argument('--negatives', type=int, default=3, help='paragraphs of a question')
    parser.add_argument('--candidates', type=int, default=20)
    parser.add_argument('--loss', default='binary_cross_entropy')
    parser.add_argument('--epochs', type=int, default=1)
    parser.add_argument('--lr', type=float, default=5e-5)
    parser.add_argument('--batch_size', type=int, default=32)
    parser.add_argument('--max_len', type=int, default=96)
    parser.add_argument('--seed', type=int, default=0)
    comparing.add_output_arguments(parser)
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    pairs, passages = read_pairs(args.file)
    encoder = gb.SentenceEncoder(args.model)
    vectors = encoder.encode(passages)
    random.Random(args.seed).shuffle(pairs)
    tested, trained = pairs[: args.test_questions], pairs[args.test_questions :][: args.questions]
    args.folder.mkdir(parents=True, exist_ok=True)
    table = args.folder / 'train.jsonl'
    write_lists(table, trained, passages, encoder, vectors, args.negatives, args.seed)
    begun = time.process_time()
    done = gb.finetune(
        'text-ranking',
        args.model,
        train=table,
        output_dir=args.folder / 'out',
        overwrite=True,
        loss=args.loss,
        epochs=args.epochs,
        learning_rate=args.lr,
        batch_size=args.batch_size,
        max_len=args.max_len,
        seed=args.seed,
    )
    seconds = time.process_time() - begun
    reranker = gb.CrossEncoder(done.pipeline)
    for name, model in (('vectors', None), ('vectors, then cross-encoder', reranker)):
        figures = evaluate(args, tested, passages, encoder, vectors, model)
        trained_by = {'loss': args.loss, 'train_cpu_seconds': round(seconds, 1)}
        row = {
            'search': name,
            'loss': '',
            'train_cpu_seconds': '',
            **(trained_by if model else {}),
            **figures,
            'passages': len(passages),
            'questions': len(tested),
            'candidates': args.candidates,
            'train_questions': len(trained),
            'negatives': args.negatives,
            'epochs': args.epochs,
            'lr': args.lr,
            'batch_size': args.batch_size,
            'max_len': args.max_len,
            'seed': args.seed,
        }
        comparing.record(args, {**row, **comparing.origin()})


def read_pairs(path):
    """Read a file: pairs of a question and the number of its passage; all passages."""
    if path.suffix == '.json':
        rows = [(row.question, row.context, True) for row in read_squad(path).questions]
    else:
        examples = read_task(get_task('QNLI'), path.parent, path.stem).examples
        rows = [(row.text, row.pair, row.label == 0) for row in examples]  # entailment
    numbers = {}
    pairs = [
        (question, numbers.setdefault(passage, len(numbers)), fits)
        for question, passage, fits in rows
    ]
    return [pair[:2] for pair in pairs if pair[2]], list(numbers)


def write_lists(path, questions, passages, encoder, vectors, negatives, seed):
    """Write a list for each question: its paragraph, and some that are near."""
    size = min(8 * negatives + 1, len(passages))
    indices, _ = encoder.search([question for question, _ in questions], vectors, size)
    draw = random.Random(seed)
    with open(path, 'w', encoding='utf-8') as file:
        for (question, right), near in zip(questions, indices.tolist()):
            near = [number for number in near if number != right]
            chosen = [right, *draw.sample(near, negatives)]
            lines = {
                'query': question,
                'documents': [passages[number] for number in chosen],
                'labels': [1] + [0] * negatives,
            }
            file.write(json.dumps(lines) + '\n')


def evaluate(args, questions, passages, encoder, vectors, reranker):
    """Search the paragraph of each question; metrics and seconds of a question."""
    retriever = gb.Retriever(encoder, passages, vectors, reranker)
    begun, size = time.process_time(), args.candidates
    k = size if reranker is None else 10
    found = retriever.search([question for question, _ in questions], k, size)
    seconds = (time.process_time() - begun) / len(questions)
    # The one relevant paragraph counts as behind all others where it was not found.
    rankings = []
    for (_, right), hits in zip(questions, found):
        ranking = [float(hit.number == right) for hit in hits]
        rankings.append(np.array([*ranking, float(not any(ranking))]))
    names = [*METRICS, f'recall@{k}']
    padded = [np.insert(row, len(row) - 1, np.zeros(size)) for row in rankings]
    figures = evaluate_rankings(names, padded)
    return {
        'mrr@10': round(figures['mrr@10'], 4),
        'ndcg@10': round(figures['ndcg@10'], 4),
        'found': round(figures[names[-1]], 4),
        'cpu_seconds_per_question': round(seconds, 4),
    }


if __name__ == '__main__':
    main()
