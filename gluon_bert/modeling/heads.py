"""Networks around a BERT: classification and regression, questions, entities, pre-training."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np
from mxnet import nd
from mxnet.gluon import HybridBlock, nn

from ..checkpoint.names import (
    CLASSIFIER,
    MASKED_LM,
    NEXT_SENTENCE,
    SPAN,
    TAGGER,
    Names,
    with_prefix,
)
from ..config import BertConfig
from ..families import family_like
from .bert import BertBlock, BertModel
from .layers import Activation, dense
from .outputs import pretraining_output


class BertHead(BertBlock):
    """A network of one task around a BERT.

    A subclass says in ``kind`` which row of :data:`.KINDS` it is, names its own parameters in
    ``head_names``, says in ``reads`` whether it reads the
    encodings of the tokens, 'sequence', or the pooled vector, 'pooled', and makes :meth:`scores` of
    them.

    Parameters
    ----------
    bert : BertModel
    """

    head_names: tuple = ()
    reads = 'sequence'

    def __init__(self, bert: BertModel, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        _check_bert(bert)
        self.config = bert.config
        with self.name_scope():
            self.bert = bert

    def hybrid_forward(
        self, F: Any, inputs: Any, token_types: Any, valid_length: Any, encoder: Any = None
    ) -> Any:
        encode = getattr(self.bert, self.reads)
        return self.scores(encode(F, inputs, token_types, valid_length, encoder))

    def scores(self, encodings: Any) -> Any:
        """The scores from encodings, (N, T, C) or (M, C), or from pooled vectors, (N, C).

        Abstract.
        """
        raise NotImplementedError

    def head_arrays(self) -> Dict[str, np.ndarray]:
        """Copy the parameters of its own, by the common names of a checkpoint."""
        parameters = self._collect_params_with_prefix()
        return {
            common: parameters[name].data(parameters[name].list_ctx()[0]).asnumpy()
            for name, (common,) in self.head_names
        }

    def checkpoint_names(self) -> Names:
        return with_prefix(self.bert.checkpoint_names(), 'bert.') + self.head_names


def _check_bert(bert):
    """Raise TypeError unless a head is put on a BertModel."""
    if isinstance(bert, BertModel):
        return
    cure = 'build one first: bert, vocab = gluon_bert.get_model(...)'
    if isinstance(bert, str):
        cure = f'build it first: bert, vocab = gluon_bert.get_model({bert!r}, ...)'
    elif isinstance(bert, tuple):
        cure = 'get_model returns the model and its vocabulary; give the model alone'
    elif isinstance(bert, BertHead):
        cure = 'it has a head already; give its .bert'
    raise TypeError(f'bert must be a BertModel, got {type(bert).__name__}; {cure}')


class BertClassifier(BertHead):
    """Scores of a text or a pair of texts (Devlin et al., 2019, section 4.1).

    Parameters
    ----------
    bert : BertModel
        With its pooler.
    num_classes : int
        Number K of classes; 1 for regression.
    dropout : float
        On the pooled vector, in [0, 1).

    Inputs
    ------
    inputs, token_types, valid_length
        As for :class:`.BertModel`.

    Outputs
    -------
    scores : float, shape (N, K)
        Logits; for regression the value itself.
    """

    kind = 'classifier'
    head_names = CLASSIFIER
    reads = 'pooled'

    def __init__(
        self, bert: BertModel, num_classes: int = 2, dropout: float = 0.1, **kwargs: Any
    ) -> None:
        super().__init__(bert, **kwargs)
        if num_classes < 1:
            raise ValueError(f'num_classes={num_classes}: expected 1 (regression) or more')
        if not bert.use_pooler:
            raise ValueError(
                'a classifier reads the pooled vector: bert must have its pooler (use_pooler=True)'
            )
        self._dropout = dropout
        with self.name_scope():
            self.dropout = nn.Dropout(dropout)
            self.classifier = dense(num_classes, bert.config.units)

    def scores(self, encodings: Any) -> Any:
        return self.classifier(self.dropout(encodings))  # (N, K)

    @property
    def file_layout(self) -> str:  # type: ignore[override]
        """Layout of GluonNLP's like class; RoBERTa's has two dense layers, no pooler."""
        name = family_like(self.config).gluonnlp_classifier
        return name if self._dropout else f'{name}_without_dropout'


class BertForQA(BertHead):
    """Scores of the begin and the end of an answer (Devlin et al., 2019, section 4.2).

    Parameters
    ----------
    bert : BertModel

    Inputs
    ------
    inputs, token_types, valid_length
        As for :class:`.BertModel`; the question is the first text.

    Outputs
    -------
    scores : float, shape (N, T, 2)
        Logits of the begin, [..., 0], and of the end, [..., 1]. Those of padding mean nothing.
    """

    file_layout = 'questions'
    kind = 'span'
    head_names = SPAN

    def __init__(self, bert: BertModel, **kwargs: Any) -> None:
        super().__init__(bert, **kwargs)
        with self.name_scope():
            self.span = dense(2, bert.config.units)

    def scores(self, encodings: Any) -> Any:
        return self.span(encodings)  # (N, T, 2)


class BertTagger(BertHead):
    """A tag for every token (Devlin et al., 2019, section 5.3).

    Parameters
    ----------
    bert : BertModel
    num_tags : int
        Number K of tags.
    dropout : float
        On the encodings, in [0, 1).

    Inputs
    ------
    inputs, token_types, valid_length
        As for :class:`.BertModel`.

    Outputs
    -------
    scores : float, shape (N, T, K)
        Logits. Those of padding mean nothing.
    """

    file_layout = 'tagger'
    kind = 'tagger'
    head_names = TAGGER

    def __init__(self, bert: BertModel, num_tags: int, dropout: float = 0.1, **kwargs: Any) -> None:
        super().__init__(bert, **kwargs)
        if num_tags < 1:
            raise ValueError(f'num_tags={num_tags}: expected 1 or more')
        with self.name_scope():
            self.dropout = nn.Dropout(dropout)
            self.tagger = dense(num_tags, bert.config.units)

    def scores(self, encodings: Any) -> Any:
        return self.tagger(self.dropout(encodings))  # (N, T, K)


class MaskedLanguageModel(HybridBlock):
    """Scores of all words at chosen positions (Devlin et al., 2019, section 3.1, task 1).

    Parameters
    ----------
    config : BertConfig
    word : mxnet.gluon.nn.Embedding
        The word embedding; its weight is the decoder's.

    Inputs
    ------
    sequence : float, shape (N, T, C)
    masked_positions : int32 or float32, shape (N, M)

    Outputs
    -------
    scores : float, shape (N, M, V)
    """

    def __init__(self, config: BertConfig, word: nn.Embedding, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        width = word.weight.shape[1]
        with self.name_scope():
            self.dense = dense(width, config.units)
            self.activation = Activation(config.activation)
            self.norm = nn.LayerNorm(epsilon=config.layer_norm_eps, in_channels=width)
            self.decoder = nn.Dense(
                config.vocab_size, in_units=width, flatten=False, params=word.params
            )

    def hybrid_forward(self, F: Any, sequence: Any, masked_positions: Any) -> Any:
        return self.decoder(self.hidden(F, sequence, masked_positions))  # (N, M, V)

    def hidden(self, F: Any, sequence: Any, masked_positions: Any) -> Any:
        """Compute the input of the decoder at the masked positions, (N, M, C)."""
        rows = F.contrib.arange_like(masked_positions, axis=0)  # (N,)
        rows = F.broadcast_like(F.expand_dims(rows, axis=1), masked_positions)  # (N, M)
        positions = F.stack(rows, F.cast(masked_positions, dtype='float32'), axis=0)
        return self.transform(F.gather_nd(sequence, positions))  # (N, M, C)

    def transform(self, encodings: Any) -> Any:
        """Compute the input of the decoder from encodings, (N, M, C), of the words wanted."""
        return self.norm(self.activation(self.dense(encodings)))

    def lazy_scores(self, encoder: Any, sequence: Any, masked_positions: Any) -> Any:
        """Leave the scores to the loss: a :class:`~gluon_bert.kernels.masked_words.MaskedScores`.

        ``encoder`` is a :class:`~gluon_bert.kernels.training.NativeTrainer`, the other arguments
        are NDArrays.
        """
        hidden = self.hidden(nd, sequence, masked_positions)
        return encoder.masked_scores(hidden, self.decoder.weight.data(), self.decoder.bias.data())


class BertForPretraining(BertHead):
    """A BERT with its pre-training heads (Devlin et al., 2019, section 3.1).

    Parameters
    ----------
    bert : BertModel
    use_classifier : bool
        Next-sentence scores, from the pooled vector, which ``bert`` must then give.
    use_decoder : bool
        Masked-word scores, at the positions given as fourth input.

    Inputs
    ------
    inputs, token_types, valid_length
        As for :class:`.BertModel`.
    masked_positions : int32 or float32, shape (N, M)
        Only with the decoder.

    Outputs
    -------
    sequence : float, shape (N, T, C)
    pooled : float, shape (N, C)
        If ``bert`` has a pooler.
    next_sentence : float, shape (N, 2)
        Logits; index 0 means that the second text follows the first. With ``use_classifier``.
    masked_lm : float, shape (N, M, V)
        Logits. With ``use_decoder``. A :class:`~gluon_bert.kernels.masked_words.MaskedScores` with
        an encoder whose ``lazy_scores`` is set.
    """

    kind = 'pretraining'

    def __init__(
        self, bert: BertModel, use_classifier: bool = True, use_decoder: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(bert, **kwargs)
        if use_classifier and not bert.use_pooler:
            raise ValueError(
                'use_classifier=True: next-sentence scores need a bert with its pooler'
            )
        self._use_classifier, self._use_decoder = use_classifier, use_decoder
        self.output_type = pretraining_output(bert.use_pooler, use_classifier, use_decoder)
        self.head_names = (NEXT_SENTENCE if use_classifier else ()) + (
            MASKED_LM if use_decoder else ()
        )
        with self.name_scope():
            if use_classifier:
                self.next_sentence = dense(2, bert.config.units)
            if use_decoder:
                self.masked_lm = MaskedLanguageModel(bert.config, bert.embeddings.word)

    def __call__(  # type: ignore[override]
        self,
        inputs: Any,
        token_types: Any = None,
        valid_length: Any = None,
        *masked_positions: Any,
        encoder: Any = None,
    ) -> Any:
        arguments = self.arguments(inputs, token_types, valid_length, *masked_positions)
        if len(arguments) != 3 + self._use_decoder:
            raise ValueError(
                'masked_positions, shape (sequences, positions), is the last input '
                'if and only if use_decoder is set'
            )
        return self.output_type(*super().__call__(*arguments, encoder=encoder))

    def hybrid_forward(
        self,
        F: Any,
        inputs: Any,
        token_types: Any,
        valid_length: Any,
        *masked_positions: Any,
        encoder: Any = None,
    ) -> Any:
        encoded = self.bert(inputs, token_types, valid_length, encoder=encoder)
        outputs = list(encoded) if self.bert.use_pooler else [encoded]
        lazy_encoder = encoder if getattr(encoder, 'lazy_scores', False) else None
        return tuple(outputs + self.scores(outputs, *masked_positions, lazy_encoder=lazy_encoder))

    def scores(self, encodings: Any, *masked_positions: Any, lazy_encoder: Any = None) -> List[Any]:
        """The heads' scores from [sequence, pooled] or [sequence]."""
        outputs = []
        if self._use_classifier:
            outputs.append(self.next_sentence(encodings[1]))  # (N, 2)
        if self._use_decoder:
            inputs = (encodings[0], *masked_positions)
            if lazy_encoder is None:
                outputs.append(self.masked_lm(*inputs))  # (N, M, V)
            else:
                outputs.append(self.masked_lm.lazy_scores(lazy_encoder, *inputs))
        return outputs
