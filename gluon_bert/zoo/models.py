"""Build the networks of the zoo and load their parameters."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Optional, Union

import mxnet as mx

from .._internal.engine import check_context
from .._internal.suggestions import did_you_mean
from .._internal.types import Context, PathLike
from ..config import BertConfig
from ..families import FAMILIES
from ..modeling.bert import BertModel
from ..modeling.build import build_network
from ..modeling.heads import BertForPretraining
from .checkpoints import read_tokenizer_of, zoo_checkpoint
from .opening import open_checkpoint
from .rows import expand_name, family_of, get_config, look_up, resolve, resolve_dataset
from .tables.architectures import ARCHITECTURES
from .tables.vocabularies import VOCABULARIES
from .tables.weights import WEIGHTS

if TYPE_CHECKING:
    from gluonnlp.vocab import BERTVocab

    from ..data.tokenizers.base import SubwordTokenizer

# Arguments of GluonNLP's get_model -> what to use instead.
_REMOVED = {
    'allow_missing': "its name here is GluonNLP's, pretrained_allow_missing",
    'output_all_encodings': 'use model.layer_outputs(...).encodings',
    'output_attention': 'use model.layer_outputs(...).attentions',
    'use_token_type_embed': 'the architecture decides',
    'ignore_extra': 'heads that are not asked for are left out',
    'hparam_allow_override': 'only dropout can be given; for others build a BertConfig',
    'model_name': 'it is called name',
}


def get_model(
    name: str,
    dataset_name: Optional[str] = None,
    vocab: Optional[BERTVocab] = None,
    pretrained: bool = True,
    ctx: Optional[Context] = None,
    root: Optional[PathLike] = None,
    *,
    use_pooler: Optional[bool] = None,
    use_decoder: bool = False,
    use_classifier: bool = False,
    pretrained_allow_missing: bool = False,
    dropout: Optional[float] = None,
    **unknown: Any,
) -> tuple[Any, BERTVocab]:
    """Build a BERT of the zoo and read its vocabulary.

    Parameters
    ----------
    name : str
        The architecture, such as 'bert_12_768_12': layers, units, heads. Or the model's name on the
        Hugging Face hub, such as 'bert-base-uncased', which stands for both.
    dataset_name : str, optional
        The data set it was trained on, such as 'book_corpus_wiki_en_uncased'.
    vocab : gluonnlp.vocab.BERTVocab, optional
        Used instead of the data set's vocabulary, with ``pretrained=False``.
    pretrained : bool
        Load the trained parameters; otherwise they are drawn: normal, standard deviation 0.02.
    ctx : mxnet.Context or list of them, optional
        Device of the parameters; by default the CPU.
    root : str or Path, optional
        Folder of local files and downloads; by default ``$MXNET_HOME/models``.
    use_pooler : bool, optional
        Return the pooled vector, too. By default if the trained model has a pooler: every BERT
        does, RoBERTa and DistilBERT do not.
    use_decoder : bool
        Return masked-word scores, too; the model then takes masked positions as last input.
    use_classifier : bool
        Return next-sentence scores, too.
    pretrained_allow_missing : bool
        Accept a head that is missing in the trained file; it is then initialised.
    dropout : float, optional
        Used instead of the architecture's value.

    Returns
    -------
    model : BertModel or BertForPretraining
        Hybridized. Returns the requested ones of sequence, pooled vector, next-sentence scores
        and masked-word scores, in this order.
    vocab : gluonnlp.vocab.BERTVocab

    Raises
    ------
    ValueError
        If a name is unknown (the message names the nearest) or the arguments conflict.
    FileNotFoundError
        If no source has the trained file; the message says which file is needed, and in which
        folder.

    Examples
    --------
    >>> import mxnet as mx
    >>> model, vocab = get_model('bert_6_384_12', dataset_name='all_minilm_l6_v2')
    >>> sequence, pooled = model(mx.nd.array([vocab[['[CLS]', 'hello', '[SEP]']]]))
    >>> sequence.shape, pooled.shape
    ((1, 3, 384), (1, 384))
    """
    _refuse_arguments(unknown)
    check_context(ctx)
    name, dataset_name = expand_name(name, dataset_name if vocab is None or pretrained else None)
    dataset_name = _check_arguments(name, dataset_name, vocab, pretrained)
    row = WEIGHTS.get((name, dataset_name))
    if use_pooler is None:
        use_pooler = 'pooler' in row.heads if row else FAMILIES[family_of(name)].has_pooler
    if use_classifier and not use_pooler:
        raise ValueError('use_classifier needs use_pooler=True')
    heads = tuple(
        head
        for head, used in (('masked_lm', use_decoder), ('next_sentence', use_classifier))
        if used
    )
    checkpoint = zoo_checkpoint(name, dataset_name, root, heads=heads) if pretrained else None
    if checkpoint is not None:
        tokenizer: Any = checkpoint.tokenizer
        vocab, vocab_size = tokenizer.vocab, checkpoint.config.vocab_size
    else:
        vocab_size = len(vocab) if vocab is not None else VOCABULARIES[dataset_name].size
        vocab = vocab if vocab is not None else get_vocab(dataset_name, root)
    model = BertModel(
        get_config(name, vocab_size, dropout),
        use_pooler=use_pooler,
        sentence=checkpoint.sentence if checkpoint is not None else None,
    )
    if use_decoder or use_classifier:
        model = BertForPretraining(model, use_classifier=use_classifier, use_decoder=use_decoder)
    _set_parameters(model, checkpoint, mx.cpu() if ctx is None else ctx, pretrained_allow_missing)
    model.hybridize()
    return model, vocab


def get_vocab(dataset_name: str, root: Optional[PathLike] = None) -> BERTVocab:
    """Read the vocabulary of a data set.

    Parameters
    ----------
    dataset_name : str
    root : str or Path, optional
        Folder of local files and downloads, see :func:`get_model`.

    Returns
    -------
    gluonnlp.vocab.BERTVocab

    Raises
    ------
    ValueError, FileNotFoundError
        If there is no such data set, or no source has its file.
    """
    return read_tokenizer_of(resolve_dataset(dataset_name), root).vocab


def get_tokenizer(
    name: str, dataset_name: Optional[str] = None, root: Optional[PathLike] = None
) -> SubwordTokenizer:
    """Read the tokenizer that belongs to a model.

    Parameters
    ----------
    name, dataset_name : str
        As for :func:`get_model`.
    root : str or Path, optional

    Returns
    -------
    BertTokenizer, BytePairTokenizer or SentencePieceTokenizer
        It lower-cases text if the vocabulary was made from lower-cased text.
    """
    name, dataset_name = expand_name(name, dataset_name)
    look_up(ARCHITECTURES, name, 'model')
    if dataset_name is None:
        raise ValueError(f'give dataset_name (one of {", ".join(sorted(VOCABULARIES))})')
    return read_tokenizer_of(resolve_dataset(dataset_name), root)


def load_model(
    source: PathLike,
    task: Optional[str] = None,
    ctx: Optional[Context] = None,
    *,
    config: Optional[Union[BertConfig, PathLike]] = None,
    num_heads: Optional[int] = None,
) -> tuple[Any, Optional[SubwordTokenizer]]:
    """Build a network and its tokenizer from a checkpoint outside the zoo.

    Parameters
    ----------
    source : str or Path
        A fine-tuned folder; a folder or file of :func:`.read_checkpoint`; ``'hf://owner/name'``, a
        repository of the Hugging Face hub, optionally followed by ``@revision``; or a model of the
        zoo, 'name/data_set' or its name on the hub, such as 'bert-base-uncased', unless a file or
        folder has this name.
    task : str, optional
        See :func:`.build_network`.
    ctx : mxnet.Context or list of them, optional
        By default the CPU.
    config, num_heads
        Of a .params file beside which no file states them; see :func:`.open_checkpoint`.

    Returns
    -------
    model : BertBlock
        Hybridized.
    tokenizer : BertTokenizer, BytePairTokenizer or SentencePieceTokenizer
        None if the checkpoint has no tokenizer files.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such checkpoint, or it is damaged or of an unknown kind.
    """
    checkpoint = open_checkpoint(source, config=config, num_heads=num_heads)
    tokenizer: Any = checkpoint.tokenizer
    return build_network(checkpoint, task, ctx), tokenizer


def _check_arguments(name, dataset_name, vocab, pretrained):
    """Check the arguments of get_model; return the data set's name in the tables, or None."""
    look_up(ARCHITECTURES, name, 'model')
    if dataset_name is None and vocab is None:
        raise ValueError(
            'give dataset_name (one of '
            f'{", ".join(sorted(VOCABULARIES))}), or a vocab with pretrained=False'
        )
    if pretrained and vocab is not None:
        raise ValueError(
            'trained parameters come with the vocabulary of their data set: leave '
            'vocab out, or pass pretrained=False'
        )
    if dataset_name is None:
        return None
    dataset_name = resolve_dataset(dataset_name)
    if pretrained:
        try:
            resolve(name, dataset_name)
        except ValueError as error:
            raise ValueError(f'{error}. Pass pretrained=False for an initialised model') from None
    return dataset_name


def _refuse_arguments(unknown):
    """Raise TypeError for an argument that get_model does not take, with what to use instead."""
    for name in unknown:
        taken = [other for other in inspect.signature(get_model).parameters if other != 'unknown']
        cure = _REMOVED.get(name)
        cure = f'; {cure}' if cure else did_you_mean(name, taken)
        raise TypeError(f'get_model has no argument {name!r}{cure} (there are: {", ".join(taken)})')


def _set_parameters(model, checkpoint, ctx, allow_missing):
    if checkpoint is not None:
        try:
            model.load_checkpoint(checkpoint, ctx=ctx, allow_missing=allow_missing)
        except ValueError as error:
            # The name of the argument of get_model.
            text = str(error).replace('pass allow_missing', 'pass pretrained_allow_missing')
            raise ValueError(text) from None
    for parameter in model.collect_params().values():
        if parameter._data is None:
            parameter.initialize(ctx=ctx)
