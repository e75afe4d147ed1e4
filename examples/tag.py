"""Mark the entities of texts.

    python3 tag.py output_dir "Ada Lovelace lived in London."

The folder is what ``gluon-bert train token-classification`` wrote, or a checkpoint of transformers
that classifies tokens. Every entity is printed in its text, in brackets, with its type.
"""

import sys

import gluon_bert as gb


def main(argv=None):
    folder, *texts = sys.argv[1:] if argv is None else argv
    pipeline = gb.load_pipeline(folder)
    for text, entities in zip(texts, pipeline(texts)):
        parts, last = [], 0
        for entity in entities:
            parts += [text[last : entity.start], f'[{entity.text}]({entity.type})']
            last = entity.end
        print(''.join([*parts, text[last:]]))


if __name__ == '__main__':
    main()
