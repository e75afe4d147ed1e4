"""Train sentence vectors on pairs, triplets, scored pairs or lines of your own, and use them.

    python3 train_sentences.py pairs.tsv dev.tsv output_dir

A table has the columns ``anchor``, ``positive`` and ``negative``, or two of texts such as
``sentence1`` and ``sentence2``, and ``score`` where there is one; a .txt has a text a line. The dev
table has scored pairs, or pairs to be found. The folder that is written opens in
``gluon_bert.SentenceEncoder``, ``gluon-bert embed`` and sentence-transformers.
"""

import sys

import gluon_bert as gb


def main(argv=None):
    train, dev, folder, *options = sys.argv[1:] if argv is None else argv
    done = gb.finetune(
        'sentence-similarity',
        options[0] if options else '/'.join(gb.zoo.OFFLINE_DEFAULT),
        train=train,
        dev=dev,
        output_dir=folder,
        epochs=1,
        learning_rate=2e-5,
    )
    print('dev', *(f'{name} {value:.4f}' for name, value in done.metrics['dev'].items()))
    encoder = gb.SentenceEncoder(done.folder)
    print(encoder.similarity(['A cat sleeps.'], ['The cat is asleep.', 'Shares fell.']))


if __name__ == '__main__':
    main()
