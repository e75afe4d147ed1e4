"""Google's way to make pre-training data, once more: on words, with its own tokenizer.

Written from its description to compare with; nothing here is shared with the package.
"""

import random
import unicodedata


def tokenize(text, vocab, lower):
    """Basic and WordPiece tokenizer."""
    pieces = []
    for word in words_of(text, lower):
        start, found = 0, []
        while start < len(word) <= 200:
            for end in range(len(word), start, -1):
                piece = ('##' if start else '') + word[start:end]
                if piece in vocab:
                    break
            else:
                break
            found.append(piece)
            start = end
        pieces += found if start == len(word) else ['[UNK]']
    return pieces


def words_of(text, lower):
    text = ''.join(
        ' ' if char in ' \t\n\r' or unicodedata.category(char) == 'Zs' else char
        for char in text
        if char not in '\0\ufffd'
        and (char in '\t\n\r' or unicodedata.category(char) not in ('Cc', 'Cf'))
    )
    text = ''.join(f' {char} ' if is_chinese(ord(char)) else char for char in text)
    words = []
    for word in text.split():
        if lower:
            word = unicodedata.normalize('NFD', word.lower())
            word = ''.join(char for char in word if unicodedata.category(char) != 'Mn')
        spaced = ''.join(f' {char} ' if is_punctuation(char) else char for char in word)
        words += spaced.split()
    return words


def is_chinese(code):
    return any(
        low <= code <= high
        for low, high in (
            (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
            (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
        )
    )  # fmt: skip


def is_punctuation(char):
    code = ord(char)
    is_ascii = 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126
    return is_ascii or unicodedata.category(char).startswith('P')


def instances(texts, vocab, lower, options):
    """All instances as dicts of lists, in the order of Google's files.

    Options: random_seed, dupe_factor, max_seq_length, short_seq_prob, masked_lm_prob,
    max_predictions_per_seq, do_whole_word_mask.
    """
    rng = random.Random(options['random_seed'])
    documents = [[]]
    for text in texts:
        for line in text.split('\n'):
            line = line.strip()
            if not line:
                documents.append([])
            pieces = tokenize(line, vocab, lower)
            if pieces:
                documents[-1].append(pieces)
    documents = [document for document in documents if document]
    rng.shuffle(documents)
    made = []
    for _ in range(options['dupe_factor']):
        for number in range(len(documents)):
            made += of_document(documents, number, vocab, rng, options)
    rng.shuffle(made)
    return made


def of_document(documents, number, vocab, rng, options):
    document, most = documents[number], options['max_seq_length'] - 3
    target = most
    if rng.random() < options['short_seq_prob']:
        target = rng.randint(2, most)
    made, chunk, i = [], [], 0
    while i < len(document):
        chunk.append(document[i])
        if i == len(document) - 1 or sum(map(len, chunk)) >= target:
            end = 1
            if len(chunk) >= 2:
                end = rng.randint(1, len(chunk) - 1)
            a, b = [piece for row in chunk[:end] for piece in row], []
            is_random = len(chunk) == 1 or rng.random() < 0.5
            if is_random:
                for _ in range(10):
                    other = rng.randint(0, len(documents) - 1)
                    if other != number:
                        break
                for row in documents[other][rng.randint(0, len(documents[other]) - 1) :]:
                    b += row
                    if len(b) >= target - len(a):
                        break
                i -= len(chunk) - end
            else:
                b = [piece for row in chunk[end:] for piece in row]
            truncate(a, b, most, rng)
            pieces = ['[CLS]', *a, '[SEP]', *b, '[SEP]']
            types = [0] * (len(a) + 2) + [1] * (len(b) + 1)
            made.append(masked(pieces, types, is_random, vocab, rng, options))
            chunk = []
        i += 1
    return made


def truncate(a, b, most, rng):
    while len(a) + len(b) > most:
        longer = a if len(a) > len(b) else b
        del longer[0 if rng.random() < 0.5 else -1]


def masked(pieces, types, is_random, vocab, rng, options):
    groups = []
    for i, piece in enumerate(pieces):
        if piece in ('[CLS]', '[SEP]'):
            continue
        if options['do_whole_word_mask'] and groups and piece.startswith('##'):
            groups[-1].append(i)
        else:
            groups.append([i])
    rng.shuffle(groups)
    most = min(
        options['max_predictions_per_seq'], max(1, round(len(pieces) * options['masked_lm_prob']))
    )
    names, after, chosen = list(vocab), list(pieces), []
    for group in groups:
        if len(chosen) >= most:
            break
        if len(chosen) + len(group) > most:
            continue
        for i in group:
            if rng.random() < 0.8:
                after[i] = '[MASK]'
            elif rng.random() >= 0.5:
                after[i] = names[rng.randint(0, len(names) - 1)]
            chosen.append(i)
    chosen.sort()
    return {
        'token_ids': [vocab[piece] for piece in after],
        'token_types': types,
        'masked_positions': chosen,
        'masked_ids': [vocab[pieces[i]] for i in chosen],
        'masked_weights': [1.0] * len(chosen),
        'next_sentence': int(is_random),
    }
