"""What a pre-trained BERT was trained for: words for masks, and whether a text follows another."""
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from mxnet import nd

from .data import Features, SentenceTransform, pad_batch
from .text_batches import bert_of


class Candidate(NamedTuple):
    """A token for a mask: as the vocabulary has it, its id, its probability, and as text."""

    token: str
    token_id: int
    probability: float
    text: str


class FillMask:
    """Tokens for the masks of a text, and next-sentence probabilities.

    Parameters
    ----------
    model : BertForPretraining
        With the head that is asked for later: ``use_decoder`` for masks, ``use_classifier`` for
        :meth:`next_sentence`.
    tokenizer : BertTokenizer, BytePairTokenizer or SentencePieceTokenizer
    batch_size : int
        Texts in a batch.

    Raises
    ------
    ValueError
        If the model has neither head, or the tokenizer is not for it.

    Examples
    --------
    >>> from gluonnlp.data import count_tokens
    >>> from gluonnlp.vocab import BERTVocab
    >>> import gluon_bert as gb
    >>> tokenizer = gb.data.BertTokenizer(BERTVocab(count_tokens(['hello', 'world'])))
    >>> model, _ = gb.get_model('bert_2_128_2', vocab=tokenizer.vocab, pretrained=False,
    ...                         use_decoder=True)
    >>> words, = FillMask(model, tokenizer)('hello [MASK]', top_k=3)
    >>> len(words)
    3
    """

    def __init__(self, model, tokenizer, batch_size=32):
        if not (hasattr(model, 'masked_lm') or hasattr(model, 'next_sentence')):
            raise ValueError(f'{type(model).__name__} has neither a masked-word nor a '
                             f"next-sentence head; load it with task='pretraining', or "
                             f'use_decoder=True')
        if batch_size < 1:
            raise ValueError(f'batch_size={batch_size}: expected 1 or more')
        self._model, self._tokenizer, self._batch_size = model, tokenizer, batch_size
        self._bert = bert_of(model, tokenizer)
        self._transform = SentenceTransform(tokenizer, self._bert.config.max_length)

    def __call__(self, text, top_k=5):
        """The most probable tokens for each mask.

        Parameters
        ----------
        text : str or list of str
            With one or more of the tokenizer's mask token, such as ``[MASK]``.
        top_k : int
            How many tokens for each mask.

        Returns
        -------
        list of list of Candidate
            For each mask in turn, the most probable first. For a list of texts, a list of these.

        Raises
        ------
        TypeError
            If a text is no text.
        ValueError
            If the model has no head for this, a text has no mask, or is too long for the model.
        """
        if not hasattr(self._model, 'masked_lm'):
            raise ValueError('the model has no masked-word head')
        vocab_size = len(self._tokenizer.vocab)
        if not 1 <= top_k <= vocab_size:
            raise ValueError(f'top_k={top_k}: expected 1 to {vocab_size}, the tokens there are')
        texts = [text] if isinstance(text, str) else text
        features, positions = self._masked(texts)
        results = []
        for begin in range(0, len(features), self._batch_size):
            chosen = positions[begin:begin + self._batch_size]
            scores = self._run(features[begin:begin + self._batch_size], chosen, 'masked_lm')
            # A model may have rows beyond the vocabulary; no token belongs to them.
            results += [[self._best(row, vocab_size, top_k) for row in scores[number, :len(found)]]
                        for number, found in enumerate(chosen)]
        return results[0] if isinstance(text, str) else results

    def next_sentence(self, first, second):
        """How probable it is that one text follows another.

        Parameters
        ----------
        first, second : str
            Too long a pair is cut.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If the model has no head for this.
        """
        if not hasattr(self._model, 'next_sentence'):
            raise ValueError('the model has no next-sentence head')
        features = [self._transform(first, second)]
        return float(softmax(self._run(features, [[0]], 'next_sentence'))[0, 0])

    def _masked(self, texts):
        """The sequences of texts, and where the masks stand in each."""
        vocab = self._tokenizer.vocab
        if getattr(vocab, 'mask_token', None) is None:
            raise ValueError('the vocabulary has no mask token')
        begin, end, mask = vocab[[vocab.cls_token, vocab.sep_token, vocab.mask_token]]
        longest = self._bert.config.max_length
        features, positions = [], []
        for number, ids in enumerate(self._tokenizer.encode_ids(texts)):
            if mask not in ids:
                raise ValueError(f'texts[{number}] has no {vocab.mask_token}: put one where a '
                                 f'word is wanted')
            if len(ids) + 2 > longest:
                raise ValueError(f'texts[{number}] has {len(ids)} tokens, the model takes at most '
                                 f'{longest - 2}')
            ids = np.array([begin, *ids, end], 'int32')
            features.append(Features(ids, np.zeros_like(ids), len(ids)))
            positions.append(np.flatnonzero(ids == mask).tolist())
        return features, positions

    def _run(self, features, positions, head):
        """The scores of one head, in double precision."""
        ctx = self._bert.embeddings.word.weight.list_ctx()[0]
        arrays = list(pad_batch(features, self._tokenizer.vocab[
            self._tokenizer.vocab.padding_token]))
        if hasattr(self._model, 'masked_lm'):
            padded = np.zeros((len(positions), max(map(len, positions))), 'float32')
            for row, found in zip(padded, positions):
                row[:len(found)] = found
            arrays.append(padded)
        output = self._model(*(nd.array(array, dtype='float32', ctx=ctx) for array in arrays))
        return getattr(output, head).asnumpy().astype('float64')

    def _best(self, scores, vocab_size, top_k):
        probabilities = softmax(scores)
        best = np.argsort(-probabilities[:vocab_size], kind='stable')[:top_k]
        tokens = self._tokenizer.convert_ids_to_tokens(best)
        return [Candidate(token, int(number), float(probabilities[number]), self._spell(token))
                for token, number in zip(tokens, best)]

    def _spell(self, token):
        decoder = getattr(getattr(self._tokenizer, '_tokenizer', None), 'decoder', None)
        return token.replace('▁', ' ') if decoder is None else decoder.decode([token])


def softmax(scores):
    """Probabilities along the last axis."""
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)
