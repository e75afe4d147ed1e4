"""Train a classifier on a table of your own, and use it.

    python3 train_on_csv.py train.csv dev.csv output_dir

The tables have a column ``text`` and a column ``label``. The folder gets all that is needed to use
the network: ``gluon_bert.load_pipeline`` and ``gluon-bert predict`` open it.
"""

import sys

import gluon_bert as gb


def main(argv=None):
    train, dev, folder, *options = sys.argv[1:] if argv is None else argv
    done = gb.finetune(
        'text-classification',
        options[0] if options else '/'.join(gb.zoo.OFFLINE_DEFAULT),
        train=train,
        dev=dev,
        output_dir=folder,
        epochs=3,
        learning_rate=5e-5,
    )
    print('dev', *(f'{name} {value:.4f}' for name, value in done.metrics['dev'].items()))
    print(done.pipeline('An example.').label)


if __name__ == '__main__':
    main()
