"""Train a small student by the scores of a fine-tuned teacher, and compare the two.

    python3 distill.py teacher train.csv dev.csv student

``teacher`` is a fine-tuned folder, such as ``train_on_csv.py`` writes; the student is made of half
its layers. Further arguments are files of texts without labels: lines of a .txt, or tables.
"""

import sys

import gluon_bert as gb


def main(argv=None):
    teacher, train, dev, folder, *unlabelled = sys.argv[1:] if argv is None else argv
    pipeline = gb.load_pipeline(teacher)
    num_layers = pipeline.trained.config.num_layers // 2
    done = gb.distill(
        teacher,
        num_layers=num_layers,
        train=train,
        dev=dev,
        unlabelled=unlabelled,
        output_dir=folder,
    )
    scores = ' '.join(f'{name} {value:.4f}' for name, value in done.metrics['dev'].items())
    print(f'student of {num_layers} layers: dev {scores}')
    for text in ('An example.', 'Another one.'):
        print(text, pipeline(text).label, done.pipeline(text).label, sep='\t')


if __name__ == '__main__':
    main()
