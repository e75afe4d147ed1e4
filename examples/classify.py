"""Classify texts with a fine-tuned folder.

    python3 classify.py output_dir "A fine film." "A waste of time."

The folder is what ``gluon-bert train text-classification`` or a script here wrote, or a checkpoint
of transformers with a classifier. The most probable class of each text is printed first.
"""

import sys

import gluon_bert as gb


def main(argv=None):
    folder, *texts = sys.argv[1:] if argv is None else argv
    pipeline = gb.load_pipeline(folder)
    for text, result in zip(texts, pipeline(texts)):
        shares = sorted(result.probabilities.items(), key=lambda pair: -pair[1])
        print(text, *(f'{label} {share:.3f}' for label, share in shares), sep='\t')


if __name__ == '__main__':
    main()
