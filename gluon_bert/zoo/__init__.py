"""The model zoo: look up a row, build the network, load its parameters.

The tables are read without MXNet; it is imported when a model is built.
"""
from __future__ import annotations

import difflib
from pathlib import Path
from typing import NamedTuple

from ..config import BertConfig
from .architectures import ARCHITECTURES
from .store import default_root, find_file
from .vocabularies import VOCABULARIES
from .weights import WEIGHTS

__all__ = ['ARCHITECTURES', 'VOCABULARIES', 'WEIGHTS', 'ModelName', 'get_config', 'get_model',
           'get_tokenizer', 'get_vocab', 'list_models']


class ModelName(NamedTuple):
    """What names a trained model: an architecture and the data set it was trained on."""

    name: str
    dataset_name: str


def list_models():
    """The trained models of the zoo, as (name, dataset_name), sorted.

    Examples
    --------
    >>> ('bert_6_384_12', 'all_minilm_l6_v2') in list_models()
    True
    """
    return [ModelName(*key) for key in sorted(WEIGHTS)]


def get_config(name, vocab_size, dropout=None):
    """The configuration of an architecture.

    Parameters
    ----------
    name : str
        Such as 'bert_12_768_12'.
    vocab_size : int
    dropout : float, optional
        Instead of the architecture's own.

    Returns
    -------
    BertConfig

    Raises
    ------
    ValueError
        If there is no such architecture; the message names the nearest.
    """
    hyper_parameters = dict(_look_up(ARCHITECTURES, name, 'model'))
    if dropout is not None:
        hyper_parameters['dropout'] = dropout
    return BertConfig(vocab_size=vocab_size, **hyper_parameters)


def get_vocab(dataset_name, root=None):
    """The vocabulary of a data set.

    Parameters
    ----------
    dataset_name : str
    root : str or Path, optional
        Folder of local files, see :func:`get_model`.

    Returns
    -------
    gluonnlp.vocab.BERTVocab

    Raises
    ------
    ValueError, FileNotFoundError
        If there is no such data set, its file is not at hand, or not the published one.
    """
    from ..data import read_vocab  # needs MXNet
    row = _look_up(VOCABULARIES, dataset_name, 'data set')
    return read_vocab(find_file(row, _folder(root, dataset_name)), swap=row.swapped)


def get_tokenizer(name, dataset_name, root=None):
    """The tokenizer that belongs to a model.

    Parameters
    ----------
    name, dataset_name : str
        As for :func:`get_model`.
    root : str or Path, optional

    Returns
    -------
    BertTokenizer
        It lower-cases if the data set's vocabulary was made so.
    """
    from ..data import BertTokenizer  # needs MXNet
    _look_up(ARCHITECTURES, name, 'model')
    lowercase = _look_up(VOCABULARIES, dataset_name, 'data set').lowercase
    return BertTokenizer(get_vocab(dataset_name, root), lower=lowercase)


def get_model(name, dataset_name=None, vocab=None, pretrained=True, ctx=None, root=None, *,
              use_pooler=True, use_decoder=False, use_classifier=False,
              pretrained_allow_missing=False, dropout=None):
    """A BERT of the zoo with its vocabulary.

    Parameters
    ----------
    name : str
        The architecture, such as 'bert_12_768_12': layers, units, heads.
    dataset_name : str, optional
        The data set it was trained on, such as 'book_corpus_wiki_en_uncased'.
    vocab : gluonnlp.vocab.BERTVocab, optional
        Instead of the data set's, with ``pretrained=False``.
    pretrained : bool
        Load the trained parameters; else they are as initialised: normal, width 0.02.
    ctx : mxnet.Context or list of them, optional
        Where the parameters go; by default the CPU.
    root : str or Path, optional
        Folder of local files: ``<root>/<name>_<dataset_name>/`` for parameters,
        ``<root>/<dataset_name>/`` for the vocabulary. By default ``$MXNET_HOME/models``.
    use_pooler : bool
        Give the pooled vector too.
    use_decoder : bool
        Give masked-word scores too; the model then takes masked positions as fourth input.
    use_classifier : bool
        Give next-sentence scores too.
    pretrained_allow_missing : bool
        Accept a head that is not in the trained file; it is then as initialised.
    dropout : float, optional
        Instead of the architecture's own.

    Returns
    -------
    model : BertModel or BertForPretraining
        Hybridized. Gives sequence, pooled, next-sentence and masked-word scores, in this order,
        as far as asked for.
    vocab : gluonnlp.vocab.BERTVocab

    Raises
    ------
    ValueError
        If a name is unknown (the nearest is named) or the arguments do not go together.
    FileNotFoundError
        If the trained file is not at hand; the message says how to get it.

    Examples
    --------
    >>> import mxnet as mx
    >>> model, vocab = get_model('bert_6_384_12', dataset_name='all_minilm_l6_v2')
    >>> sequence, pooled = model(mx.nd.array([vocab[['[CLS]', 'hello', '[SEP]']]]))
    >>> sequence.shape, pooled.shape
    ((1, 3, 384), (1, 384))
    """
    _check_arguments(name, dataset_name, vocab, pretrained, use_pooler,
                     use_decoder or use_classifier)
    import mxnet as mx

    from ..bert import BertModel
    from ..heads import BertForPretraining
    ctx = mx.cpu() if ctx is None else ctx
    row = WEIGHTS.get((name, dataset_name)) if pretrained else None
    arrays = _read_weights(row, _folder(root, f'{name}_{dataset_name}')) if row else None
    if vocab is None:
        vocab = get_vocab(dataset_name, root)
    model = BertModel(get_config(name, len(vocab), dropout), use_pooler=use_pooler)
    if use_decoder or use_classifier:
        model = BertForPretraining(model, use_classifier=use_classifier, use_decoder=use_decoder)
    if arrays is not None:
        model.load_arrays(arrays, source=f'{name} on {dataset_name}', ctx=ctx,
                          allow_missing=pretrained_allow_missing, ignore_extra=True)
    if arrays is None or pretrained_allow_missing:
        for parameter in model.collect_params().values():
            if parameter._data is None:
                parameter.initialize(ctx=ctx)
    model.hybridize()
    return model, vocab


def _check_arguments(name, dataset_name, vocab, pretrained, use_pooler, use_heads):
    _look_up(ARCHITECTURES, name, 'model')
    if dataset_name is None and vocab is None:
        raise ValueError('give dataset_name (one of '
                         f'{", ".join(sorted(VOCABULARIES))}), or a vocab with pretrained=False')
    if dataset_name is not None:
        _look_up(VOCABULARIES, dataset_name, 'data set')
    if use_heads and not use_pooler:
        raise ValueError('use_decoder and use_classifier need use_pooler=True')
    if pretrained and vocab is not None:
        raise ValueError('trained parameters come with the vocabulary of their data set: leave '
                         'vocab out, or pass pretrained=False')
    if pretrained and (name, dataset_name) not in WEIGHTS:
        models = '; '.join(f'{architecture} on {data}' for architecture, data in sorted(WEIGHTS))
        raise ValueError(f'no trained parameters of {name} on {dataset_name} are listed; there '
                         f'are: {models}. Pass pretrained=False for an initialised model')


def _look_up(table, name, kind):
    if name in table:
        return table[name]
    near = difflib.get_close_matches(str(name), table, n=1, cutoff=0.4)
    hint = f'; did you mean {near[0]!r}?' if near else ''
    raise ValueError(f'unknown {kind} {name!r}{hint} (there are: {", ".join(sorted(table))})')


def _folder(root, name):
    return Path(root or default_root()).expanduser() / name


def _read_weights(row, folder):
    from ..checkpoint.huggingface import read_safetensors
    return read_safetensors(find_file(row, folder))
