"""Tokenize text with SentencePiece models, as KoBERT and XLM-R do."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Optional, Union

from tokenizers import PreTokenizedString, Regex
from tokenizers.pre_tokenizers import BertPreTokenizer, Split

from ..._internal.types import PathLike
from .added_tokens import AnyAdded, splitter_of
from .base import SubwordTokenizer
from .encoding import Encoded, checked_texts
from .sentencepiece_file import library_tokenizer, load, pieces_of, read_model, with_avoided
from .sentencepiece_styles import STYLES, find_style, vocabulary_of
from .wordpiece import normalizer_of

if TYPE_CHECKING:
    from gluonnlp.vocab import BERTVocab

    from .vocabulary import Vocabulary

SPACE = '▁'  # how a model spells the space before a word
MAX_BEST = 512  # the library's limit


class SentencePieceTokenizer(SubwordTokenizer):
    """Tokenizer with a SentencePiece model, such as those of KoBERT and XLM-R.

    Kudo and Richardson (2018). Special tokens in the text are not split.

    Parameters
    ----------
    path : str, Path or bytes
        The model file, or its content.
    vocab : Vocabulary or gluonnlp.vocab.BERTVocab, optional
        By default :func:`read_sentencepiece_vocab` of the model.
    lower : bool
        Lower-case the text first.
    strip_accents : bool, optional
        Remove accents first. By default exactly if ``lower``.
    split_words : bool
        Clean the text, split it at punctuation and Chinese characters as :class:`BertTokenizer`
        does, and pass each word to the model separately, as GluonNLP's BERTSPTokenizer did. By
        default the model gets the unchanged text, as in GluonNLP's ``get_tokenizer`` for KoBERT
        and in KoBERT's own code.
    num_best, alpha : int, float
        Sample segmentations, to vary training data, among the ``num_best`` most probable ones, or
        all if -1, with probabilities to the power of ``alpha``. With 0 or 1 the most probable is
        always taken. The library's seed is ``sentencepiece.set_random_generator_seed``.
    uses_token_types : bool, optional
        Give the second text of a pair token types 1. By default as the style has it.
    added_tokens : iterable of str or tokenizers.AddedToken, optional
        Tokens of the vocabulary, after those of the model, that are found in the text before the
        model gets it.
    style : str
        How the family uses the model: 'plain' has the model's ids; 'xlm-roberta' those of
        fairseq, with <s>, <pad>, </s> and <unk> first and <mask> last; 'albert' the model's,
        with ALBERT's clean-up, and numbers split from commas.

    Raises
    ------
    ImportError
        If the package ``sentencepiece`` is not installed.
    FileNotFoundError
    ValueError
        If the file is not a SentencePiece model, or none of this style, or ``num_best`` is out of
        range.
    """

    def __init__(
        self,
        path: Union[PathLike, bytes],
        vocab: Optional[Union[Vocabulary, BERTVocab]] = None,
        lower: bool = False,
        *,
        strip_accents: Optional[bool] = None,
        split_words: bool = False,
        num_best: int = 0,
        alpha: float = 1.0,
        uses_token_types: Optional[bool] = None,
        added_tokens: Optional[Iterable[AnyAdded]] = None,
        style: str = 'plain',
    ) -> None:
        if style not in STYLES:
            raise ValueError(f'style={style!r}: expected one of {", ".join(STYLES)}')
        self._style = STYLES[style]
        self.pair_separators = self._style.pair_separators
        self._model = path if isinstance(path, bytes) else read_model(path)
        source = 'the model' if isinstance(path, bytes) else path
        self._segmenter = self._model
        if self._style.avoid is not None:
            self._segmenter = with_avoided(self._model, self._style.avoid)
        self._processor = load(self._segmenter, source)
        if not -1 <= num_best <= MAX_BEST:
            raise ValueError(f'num_best must be from -1 to {MAX_BEST}, got {num_best}')
        super().__init__(
            vocabulary_of(self._processor, {}, source, style) if vocab is None else vocab,
            lower=bool(lower),
            strip_accents=strip_accents,
            split_words=bool(split_words),
            num_best=num_best,
            alpha=alpha,
            uses_token_types=bool(
                self._style.uses_token_types if uses_token_types is None else uses_token_types
            ),
            added_tokens=added_tokens,
            style=style,
        )
        self._sampling = (
            {}
            if num_best in (0, 1)
            else {'enable_sampling': True, 'nbest_size': num_best, 'alpha': alpha}
        )
        self._normalizer = (
            normalizer_of(lower, strip_accents)
            if split_words
            else self._style.clean(lower, strip_accents)
        )
        self._split = splitter_of(self._vocab, self._added, self._normalizer)

    def encode_ids(self, texts: Iterable[str]) -> list[list[int]]:
        """Compute only the ids of many texts, faster than :meth:`encode_batch`.

        Parameters
        ----------
        texts : iterable of str

        Returns
        -------
        list of list of int
        """
        return [self._vocab[self._tokenize(text)] for text in checked_texts(texts)]

    @staticmethod
    def is_first_subword(token: str) -> bool:
        """Tell if a token starts a word.

        Examples
        --------
        >>> [SentencePieceTokenizer.is_first_subword(token) for token in ('▁한국', '어')]
        [True, False]
        """
        return token.startswith(SPACE)

    def _arguments(self):
        return self._model, self._vocab

    def _tokenize(self, text):
        tokens = []
        for token, begin, end in self._split(text):
            if token is not None:
                tokens.append(token)
                continue
            for word, _, _ in self._prepared(text[begin:end]).get_splits():
                tokens += self._processor.encode(word, out_type=str, **self._sampling)
        return tokens

    def _join(self, tokens):
        parts = []
        for is_whole, part in itertools.groupby(tokens, set(self._whole.values()).__contains__):
            pieces = list(part)
            text = ''.join(pieces) if is_whole else self._processor.decode(pieces)
            # The library leaves out the space before the first piece.
            spaced = parts and not is_whole and pieces[0].startswith(SPACE)
            parts.append(f' {text}' if spaced else text)
        return ''.join(parts)

    def _run_one(self, text):
        tokens, offsets = [], []
        for token, start, stop in self._split(text):
            if token is not None:
                tokens.append(token)
                offsets.append((start, stop))
                continue
            for piece, (begin, end) in self._placed(text[start:stop]):
                tokens.append(piece)
                offsets.append((start + begin, start + end))
        return Encoded(tokens, self._vocab[tokens], offsets)

    def _prepared(self, text):
        prepared = PreTokenizedString(text)
        prepared.normalize(self._normalizer.normalize)
        if self._options['split_words']:
            BertPreTokenizer().pre_tokenize(prepared)
        return prepared

    def _placed(self, text):
        """Yield the tokens of a text with their positions in it."""
        prepared = self._prepared(text)
        words = prepared.get_splits()
        Split(Regex(r'[\s\S]'), 'isolated').pre_tokenize(prepared)
        places = iter(place for _, place, _ in prepared.get_splits('original', 'char'))
        for word, _, _ in words:
            spans = [next(places) for _ in word]  # of each character
            # The library counts bytes.
            chars = [number for number, char in enumerate(word) for _ in char.encode()]
            chars.append(len(word))
            encoded = self._processor.encode(word, out_type='serialized_proto', **self._sampling)
            for piece, begin, end in pieces_of(encoded):
                first, last = chars[begin], chars[end]
                while first < last and word[last - 1].isspace():
                    last -= 1
                if SPACE not in piece[1:]:  # of white space and what the model takes for it
                    first += max(
                        (n for n, char in enumerate(word[first:last], 1) if char.isspace()),
                        default=0,
                    )
                while first < last and word[first].isspace():
                    first += 1
                if first < last:
                    yield piece, (spans[first][0], spans[last - 1][1])
                else:
                    place = spans[first][0] if first < len(spans) else spans[-1][1]
                    yield piece, (place, place)

    def _config(self):
        options = self._options
        config = {
            'tokenizer_class': self._style.tokenizer_class,
            'do_lower_case': options['lower'],
            'strip_accents': options['strip_accents'],
            'do_basic_tokenize': options['split_words'],
        }
        if self._style.library_cleans:  # as ALBERT's files say it
            config['keep_accents'] = options['strip_accents'] is False
        return config

    def _files(self):
        files = {self._style.model_file: self._model}
        options = self._options
        cleaning = self._normalizer if self._style.library_cleans else None
        # The tokenizers library recomposes fewer accents, and cleans before it splits.
        differs = options['split_words'] or (
            cleaning is None and (options['lower'] or options['strip_accents'])
        )
        if not differs:
            tokenizer = library_tokenizer(
                self._segmenter, self._vocab, self._style, cleaning, self._added
            )
            if tokenizer is not None:
                files['tokenizer.json'] = tokenizer.to_str(pretty=True)
        return files


def read_sentencepiece_vocab(
    path: PathLike, special_tokens: Optional[dict[str, str]] = None, style: Optional[str] = None
) -> BERTVocab:
    """Read the vocabulary of a SentencePiece model, as GluonNLP builds it.

    Parameters
    ----------
    path : str or Path
    special_tokens : dict of str to str, optional
        See :func:`gluon_bert.data.read_vocab`. Special tokens that the model lacks get the ids
        after its pieces.
    style : str, optional
        See :class:`SentencePieceTokenizer`; by default according to the file's name.

    Returns
    -------
    gluonnlp.vocab.BERTVocab

    Raises
    ------
    ImportError
        If the package ``sentencepiece`` is not installed.
    FileNotFoundError
    ValueError
        If the file is not a SentencePiece model, or has other special tokens.
    """
    return read_sentencepiece_vocabulary(path, special_tokens, style).to_gluonnlp()


def read_sentencepiece_vocabulary(
    path: PathLike, special_tokens: Optional[dict[str, str]] = None, style: Optional[str] = None
) -> Vocabulary:
    """Read what :func:`read_sentencepiece_vocab` reads, without GluonNLP."""
    path = Path(path)
    style = find_style(path.name) if style is None else style
    return vocabulary_of(load(read_model(path), path), special_tokens or {}, path, style)
