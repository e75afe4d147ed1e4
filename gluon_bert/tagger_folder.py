"""A trained tagger with all that is needed to use it, and the folder it is kept in."""
from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from ._files import write_text
from ._json import read_object
from .bert import BertModel
from .config import BertConfig
from .data import (
    SequenceData,
    make_windows,
    read_tokenizer,
    repair_tags,
    tag_names,
    valid_transitions,
)
from .heads import BertTagger
from .tagging import BertCrfTagger, best_tags, word_scores

DESCRIPTION_FILE = 'tagger.json'
TOKENIZER_FOLDER = 'tokenizer'

_NEEDED = {'kinds': list, 'scheme': str, 'file_scheme': str, 'crf': bool, 'dropout': (int, float),
           'max_len': int, 'overlap': (int, type(None)), 'parameters': str, 'config': dict}


class Tagger(NamedTuple):
    """A network with its tokenizer and its settings.

    ``settings``: 'kinds', the types of entity; 'scheme' of its tags and 'file_scheme' of the files
    it learned from; 'crf'; 'dropout'; 'max_len' and 'overlap' of its windows.
    """

    network: object
    tokenizer: object
    settings: dict

    @property
    def tags(self):
        """The names of the tags, in the order of their numbers."""
        return tag_names(self.settings['kinds'], self.settings['scheme'])

    def windows(self, sentences):
        """The windows of sentences of words, see :func:`.make_windows`."""
        return make_windows(self.tokenizer, sentences, self.settings['max_len'],
                            self.settings['overlap'])

    def data(self, windows, labels=None, **options):
        """Windows as :class:`.SequenceData` with its ``options``."""
        padding = self.tokenizer.convert_tokens_to_ids(self.tokenizer.vocab.padding_token)
        return SequenceData([window.features for window in windows], labels, padding, **options)

    def raw_tags(self, sentences, windows, data):
        """The network's own tags, which without a CRF may be no valid sequence."""
        scores = word_scores(self.network, data, windows, [len(words) for words in sentences])
        names = self.tags
        return [[names[number] for number in row] for row in best_tags(self.network, scores)]

    def predict(self, sentences, batch_size=32, scheme=None, ctx=None):
        """The tags of sentences.

        Parameters
        ----------
        sentences : list of list of str
            Words; for Chinese, characters.
        batch_size : int
            Windows computed at once.
        scheme : str, optional
            Of the tags given; by default that of the files the tagger learned from.
        ctx : mxnet.Context, optional
            Where the network is; by default the current context.

        Returns
        -------
        list of list of str
            Valid sequences, with the entities that conlleval finds in the network's tags.
        """
        windows = self.windows(sentences)
        if not windows:
            return [[] for _ in sentences]
        data = self.data(windows, batch_size=batch_size, ctx=ctx)
        scheme = scheme or self.settings['file_scheme']
        return [repair_tags(row, scheme) for row in self.raw_tags(sentences, windows, data)]


def make_tagger_network(config, settings):
    """A network for the tags of ``settings``, without parameters.

    Parameters
    ----------
    config : BertConfig
    settings : dict
        See :class:`Tagger`.

    Returns
    -------
    BertTagger or BertCrfTagger
    """
    # Without the pooler, which tags do not need and which would get no gradient.
    bert = BertModel(config, use_pooler=False)
    names = tag_names(settings['kinds'], settings['scheme'])
    if not settings['crf']:
        return BertTagger(bert, len(names), dropout=settings['dropout'])
    return BertCrfTagger(bert, len(names), valid_transitions(names, settings['scheme']),
                         dropout=settings['dropout'])


def save_tagger(folder, tagger, parameters):
    """Write what belongs to a parameter file: settings, tags, configuration, tokenizer.

    Parameters
    ----------
    folder : str or Path
        That of the parameter file.
    tagger : Tagger
    parameters : str
        The file's name.
    """
    folder = Path(folder)
    tagger.tokenizer.save(folder / TOKENIZER_FOLDER)
    description = {'task': 'entities', **tagger.settings, 'tags': tagger.tags,
                   'parameters': parameters, 'config': asdict(tagger.network.config)}
    write_text(folder / DESCRIPTION_FILE,
               json.dumps(description, indent=1, ensure_ascii=False) + '\n')


def load_tagger(source, ctx=None):
    """The tagger that :func:`save_tagger` wrote.

    Parameters
    ----------
    source : str or Path
        The folder; or a parameter file in it, or any other name there, for which the parameter
        file of the description is taken.
    ctx : mxnet.Context, optional
        Where the parameters go.

    Returns
    -------
    Tagger
        Hybridized.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no tagger, or it is damaged.
    """
    source = Path(source)
    folder = source if source.is_dir() else source.parent
    path = folder / DESCRIPTION_FILE
    if not path.is_file():
        raise FileNotFoundError(f'{path}: there is no trained tagger in this folder')
    settings = read_object(path)
    try:
        for name, kind in _NEEDED.items():
            if not isinstance(settings[name], kind):
                raise ValueError(f'{name!r} is of the wrong type')
        if Path(settings['parameters']).name != settings['parameters']:
            raise ValueError("'parameters' must be the name of a file beside it")
        if not settings['kinds'] or not all(isinstance(kind, str) for kind in settings['kinds']):
            raise ValueError("'kinds' must be names")
        network = make_tagger_network(BertConfig(**settings['config']), settings)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{path}: is not the description of a tagger ({error})') from None
    tokenizer = read_tokenizer(folder / TOKENIZER_FOLDER)
    if tokenizer is None:
        raise ValueError(f'{folder / TOKENIZER_FOLDER}: holds no tokenizer')
    network.load_parameters(source if source.is_file() else folder / settings['parameters'],
                            ctx=ctx)
    network.hybridize(static_alloc=True)
    return Tagger(network, tokenizer, settings)
