"""Search the lines of a file by meaning.

    python3 embed_and_search.py lines.txt "a kitten on the couch"

Each line and each query becomes a sentence vector; the three lines with the largest cosine
similarity to a query are printed. The model is the one whose weights come from the package
registry.
"""

import sys
from pathlib import Path

import gluon_bert as gb
from gluon_bert.zoo import OFFLINE_DEFAULT


def main(argv=None):
    file, *queries = sys.argv[1:] if argv is None else argv
    lines = [line for line in Path(file).read_text(encoding='utf-8').split('\n') if line.strip()]
    encoder = gb.SentenceEncoder(OFFLINE_DEFAULT[1])
    matches, scores = encoder.search(queries, lines, min(3, len(lines)))
    for query, numbers, shares in zip(queries, matches, scores):
        print(query)
        for number, share in zip(numbers, shares):
            print(f'  {share:.3f}  {lines[number]}')


if __name__ == '__main__':
    main()
