"""The ways in which families use a SentencePiece model, one row each."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from tokenizers import normalizers

from ..._internal.types import PathLike
from .vocabulary import ROLES, Vocabulary
from .vocabulary_ids import BERT_TOKENS, ROBERTA_TOKENS, check_names, check_unknown


class Style(NamedTuple):
    """The properties of one family's SentencePiece tokenizers.

    Parameters
    ----------
    model_file : str
        Name of the model's file in a folder of transformers.
    tokenizer_class : str
        transformers' class.
    clean : callable
        (lower, strip_accents) -> the normalizer of the ``tokenizers`` library that comes before
        the model; ``strip_accents`` may be None.
    replaced : tuple of str
        The model's first pieces, instead of which the vocabulary begins with ``first``: fairseq
        has ids of its own for the special tokens.
    first, last : tuple of str
        Tokens in front of the model's other pieces, and after them.
    special_tokens : dict of str to str, optional
        By their names in GluonNLP; None: BERT's, or those that the model names.
    pair_separators : int
        How many separators stand between the two texts of a pair.
    uses_token_types : bool
        Whether the second text of a pair has token types 1.
    lower : bool
        Whether text is lower-cased where no file says it.
    library_cleans : bool
        Whether transformers cleans the text with the same normalizer.
    avoid : callable, optional
        Piece -> whether the model is to take it only where nothing else can be.
    """

    model_file: str
    tokenizer_class: str
    clean: Callable[[bool, Optional[bool]], normalizers.Normalizer]
    replaced: Tuple[str, ...] = ()
    first: Tuple[str, ...] = ()
    last: Tuple[str, ...] = ()
    special_tokens: Optional[Dict[str, str]] = None
    pair_separators: int = 1
    uses_token_types: bool = True
    lower: bool = False
    library_cleans: bool = False
    avoid: Optional[Callable[[str], object]] = None

    def tokens(self, pieces: List[str]) -> List[str]:
        """List the tokens by id from a model's pieces; ValueError if it is no such model."""
        begin = len(self.replaced)
        if tuple(pieces[:begin]) != self.replaced:
            raise ValueError(
                f'the pieces begin with {pieces[:begin]}: expected {list(self.replaced)}, as in '
                f'a model for {self.tokenizer_class}'
            )
        return [*self.first, *pieces[begin:], *self.last]


def _clean_as_bert(lower, strip_accents):
    return normalizers.BertNormalizer(
        clean_text=False,
        handle_chinese_chars=False,
        lowercase=bool(lower),
        strip_accents=bool(lower if strip_accents is None else strip_accents),
    )


def _clean_as_albert(lower, strip_accents):
    steps = [normalizers.Replace(quotes, '"') for quotes in ('``', "''")]
    if strip_accents is not False:
        steps += [normalizers.NFKD(), normalizers.StripAccents()]
    if lower:
        steps.append(normalizers.Lowercase())
    return normalizers.Sequence(steps)


_NUMBER_AND_COMMA = re.compile(r'\d,$')  # Google's ALBERT splits such pieces

STYLES = {
    'plain': Style('tokenizer.model', 'PreTrainedTokenizerFast', _clean_as_bert),
    'xlm-roberta': Style(
        'sentencepiece.bpe.model',
        'XLMRobertaTokenizer',
        _clean_as_bert,
        replaced=('<unk>', '<s>', '</s>'),
        first=('<s>', '<pad>', '</s>', '<unk>'),
        last=('<mask>',),
        special_tokens=ROBERTA_TOKENS,
        pair_separators=2,
        uses_token_types=False,
    ),
    'albert': Style(
        'spiece.model',
        'AlbertTokenizer',
        _clean_as_albert,
        lower=True,
        library_cleans=True,
        avoid=_NUMBER_AND_COMMA.search,
    ),
}
"""Style -> its row; 'plain' has the model's own ids, as KoBERT."""

# transformers' classes that say nothing of the ids.
_GENERIC = ('', 'PreTrainedTokenizer', 'TokenizersBackend')


def find_style(model_file: str, *tokenizer_classes: str) -> str:
    """Tell the style of a model from its file's name, and from what names transformers' class.

    Parameters
    ----------
    model_file : str
    *tokenizer_classes : str
        The surest first, 'Fast' at the end or not; others than those of the styles may be there.

    Returns
    -------
    str
        Key of ``STYLES``.

    Raises
    ------
    ValueError
        If the file's name is that of a style and its class another.
    """
    by_class = {row.tokenizer_class: style for style, row in STYLES.items() if style != 'plain'}
    for name in tokenizer_classes:
        if name.removesuffix('Fast') in by_class:
            return by_class[name.removesuffix('Fast')]
    for style, row in STYLES.items():
        if model_file == row.model_file and row.replaced:
            other = next((name for name in tokenizer_classes if name), '')
            if other.removesuffix('Fast') not in _GENERIC:
                raise ValueError(
                    f'tokenizer_class is {other[:80]!r}: {model_file} is read for '
                    f'{row.tokenizer_class}'
                )
            return style
    return 'plain'


def vocabulary_of(
    processor: Any, given: Dict[str, str], source: PathLike, style: str = 'plain'
) -> Vocabulary:
    """Make the vocabulary of a model, as GluonNLP does, with the ids of a style.

    Parameters
    ----------
    processor : sentencepiece.SentencePieceProcessor
    given : dict of str to str
        Special tokens, by their names in GluonNLP.
    source : str or Path
        For the messages.
    style : str

    Returns
    -------
    Vocabulary

    Raises
    ------
    ValueError
        If a token stands twice, or a special token is another in the model.
    """
    check_names(given)
    row = STYLES[style]
    try:
        tokens = row.tokens([processor.id_to_piece(number) for number in range(len(processor))])
    except ValueError as error:
        raise ValueError(f'{source}: {error}') from None
    ids = {token: number for number, token in enumerate(tokens)}
    for number, token in enumerate(tokens):
        if ids[token] != number:
            raise ValueError(
                f'{source}: token {token[:80]!r} occurs twice, with the ids {number} '
                f'and {ids[token]}'
            )
    if row.special_tokens is not None:
        named = {**row.special_tokens, **given}
    else:
        named = _special_tokens(processor, tokens, given, source)
    check_unknown(named, source)
    return Vocabulary(_with_missing(tokens, named), named)


def _with_missing(tokens, named):
    """Append the special tokens that a model lacks, in the order that GluonNLP gives them.

    It lists the special tokens first, then the model's by their names, and swaps each token of the
    model with the one that has its id.
    """
    first = [named.get(role) for role in ('unknown_token', *ROLES)]
    if set(tokens).issuperset(filter(None, first)):
        return tokens
    order = list(dict.fromkeys([*filter(None, first), *sorted(tokens)]))
    ids = {token: number for number, token in enumerate(order)}
    for new, token in enumerate(tokens):
        old, other = ids[token], order[new]
        order[new], order[old] = token, other
        ids[token], ids[other] = new, old
    return order


def _special_tokens(processor, tokens, given, source):
    """Those of the model, which must be the given ones."""
    named = {**BERT_TOKENS, **given}
    for name, number in (
        ('unknown_token', processor.unk_id()),
        ('bos_token', processor.bos_id()),
        ('eos_token', processor.eos_id()),
        ('padding_token', processor.pad_id()),
    ):
        if number < 0:
            continue
        if given.get(name, tokens[number]) != tokens[number]:
            raise ValueError(
                f'{source}: {name} is {tokens[number][:80]!r} in the model, '
                f'not {given[name][:80]!r}'
            )
        named[name] = tokens[number]
    return named
