"""Answer questions about a text file.

    python3 answer.py output_dir article.txt "Who wrote it?" "When?"

The folder is what ``gluon-bert train question-answering`` wrote, or a checkpoint of transformers
that answers questions. Long texts are read in windows; the answer is cut from the text as it is
written, with the place where it stands.
"""

import sys
from pathlib import Path

import gluon_bert as gb


def main(argv=None):
    folder, file, *questions = sys.argv[1:] if argv is None else argv
    context = Path(file).read_text(encoding='utf-8')
    pipeline = gb.load_pipeline(folder)
    for question, answer in zip(questions, pipeline(questions, context)):
        place = f'characters {answer.start} to {answer.end}' if answer.text else 'no answer'
        print(question, answer.text, f'{answer.probability:.3f}', place, sep='\t')


if __name__ == '__main__':
    main()
