"""Vocabulary files: one token a line."""
from __future__ import annotations

from gluonnlp.data import count_tokens
from gluonnlp.vocab import BERTVocab

from .rows import read_lines

MAX_BYTES = 64 << 20
SPECIAL_TOKENS = ('[UNK]', '[PAD]', '[CLS]', '[SEP]', '[MASK]')    # GluonNLP's ids 0 to 4


def read_vocab(path, swap=False):
    r"""Read a ``vocab.txt`` of a published BERT.

    The id of a token is its line number, from 0. Lines are stripped as Google's reader does,
    except that a token of white space stays what it is: the Chinese and the multilingual files
    hold U+2028.

    Parameters
    ----------
    path : str or Path
    swap : bool
        Give the tokens the ids of GluonNLP 0.5 and 0.6, see :func:`gluonnlp_order`.

    Returns
    -------
    gluonnlp.vocab.BERTVocab

    Raises
    ------
    FileNotFoundError
    ValueError
        If the file is larger than 64 MiB or not UTF-8, a line is empty, a token stands twice, or
        one of [UNK], [PAD], [CLS], [SEP] and [MASK] is missing.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, 'vocab.txt')
    >>> _ = path.write_text('[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\n')
    >>> read_vocab(path)['[PAD]', 'hello', 'absent']
    [0, 5, 1]
    >>> read_vocab(path, swap=True)['[PAD]', 'hello', 'absent']
    [1, 5, 0]
    >>> folder.cleanup()
    """
    lines = {}    # of each token
    for number, line in read_lines(path, MAX_BYTES):
        token = line.strip() or line
        if not token:
            raise ValueError(f'{path}:{number}: the line is empty, one token a line is needed')
        if token in lines:
            raise ValueError(f'{path}:{number}: token {token!r} stands in line {lines[token]} too')
        lines[token] = number
    tokens = list(lines)
    for token in SPECIAL_TOKENS:
        if token not in lines:
            raise ValueError(f'{path}: special token {token!r} is missing in {len(tokens)} lines')
    if swap:
        tokens = [tokens[file_id] for file_id in gluonnlp_order(tokens)]
    return BERTVocab(count_tokens(tokens),
                     token_to_idx={token: number for number, token in enumerate(tokens)})


def gluonnlp_order(tokens):
    """The order that the converters of GluonNLP 0.5 and 0.6 gave a vocabulary.

    [UNK], [PAD], [CLS], [SEP] and [MASK] get the ids 0 to 4, each by changing places with the
    token that stands there.

    Parameters
    ----------
    tokens : list of str
        In file order.

    Returns
    -------
    list of int
        The id in the file for each id of GluonNLP: a permutation, so that
        ``weight[gluonnlp_order(tokens)]`` has the rows of an embedding in GluonNLP's order.

    Raises
    ------
    ValueError
        If a special token is missing.

    Examples
    --------
    >>> gluonnlp_order(['[PAD]', 'a', '[UNK]', '[CLS]', '[SEP]', '[MASK]'])
    [2, 0, 3, 4, 5, 1]
    """
    order = list(range(len(tokens)))
    position = {token: number for number, token in enumerate(tokens)}
    for new, token in enumerate(SPECIAL_TOKENS):
        if token not in position:
            raise ValueError(f'special token {token!r} is missing among the {len(tokens)} tokens')
        old = position[token]
        ousted = tokens[order[new]]
        order[new], order[old] = order[old], order[new]
        position[token], position[ousted] = new, old
    return order
