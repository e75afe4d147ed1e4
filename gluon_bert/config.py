"""The hyper-parameters of a BERT network, as data, and as they are saved."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Optional

ACTIVATIONS = ('gelu', 'gelu_tanh', 'relu')
POOLER_ACTIVATIONS = ('tanh', 'relu', 'gelu')

VERSION = 1
"""Version of a saved configuration; files before it have no version, and the same fields."""

_MAX_SHARED = 1000  # layers, which no file bounds where they have one set of parameters
_MAX_MESSAGE = 300  # characters; the values are out of a file


@dataclass(frozen=True)
class BertConfig:
    """The hyper-parameters of a BERT encoder (Devlin et al., 2019, section 3).

    Those of BERT have no default.

    Parameters
    ----------
    vocab_size : int
        Rows V of the word embedding.
    units : int
        Width C of the model; Google and Hugging Face call it ``hidden_size``.
    hidden_size : int
        Width of the feed-forward layer; Google and Hugging Face call it ``intermediate_size``.
    num_layers : int
        Number of encoder layers.
    num_heads : int
        Number H of attention heads; each has D = C / H features.
    max_length : int
        Longest sequence in tokens, special tokens included.
    num_token_types : int
        Rows of the token type (segment) embedding; 0 for a network without one (RoBERTa,
        DistilBERT).
    dropout : float
        Probability of dropping a value, in [0, 1): embeddings, attention weights, layer outputs.
    layer_norm_eps : float
        Added to the variance in layer normalisation.
    activation : str
        Of the feed-forward layer: 'gelu' (exact, with erf), 'gelu_tanh' (the approximation of
        Hendrycks and Gimpel, 2016) or 'relu'.
    pooler_activation : str
        Of the dense layer on the first token: 'tanh'; 'relu' as in DistilBERT's classifier, or
        'gelu' as in ELECTRA's.
    embedding_units : int, optional
        Width E of the embeddings, which a dense layer then brings to the width C of the model
        (Lan et al., 2020, section 3.1); None: they have that width themselves.
    share_layers : bool
        Whether all layers have the parameters of one (Lan et al., 2020, section 3.1).

    Raises
    ------
    ValueError
        If a value is out of its range; the message names the field.

    Examples
    --------
    >>> config = BertConfig(vocab_size=100, units=8, hidden_size=32, num_layers=2, num_heads=2,
    ...                     max_length=16, num_token_types=2, dropout=0.1, layer_norm_eps=1e-12,
    ...                     activation='gelu', pooler_activation='tanh')
    >>> config.units // config.num_heads
    4
    """

    vocab_size: int
    units: int
    hidden_size: int
    num_layers: int
    num_heads: int
    max_length: int
    num_token_types: int
    dropout: float
    layer_norm_eps: float
    activation: str
    pooler_activation: str
    embedding_units: Optional[int] = None
    share_layers: bool = False

    @property
    def embedding_width(self) -> int:
        """Width E of the embeddings, that of the model where nothing else is said."""
        return self.units if self.embedding_units is None else self.embedding_units

    def is_within(self, supported: Mapping[str, Optional[tuple]]) -> bool:
        """Tell if what computes a network supports all of its configuration.

        Parameters
        ----------
        supported : mapping of str to tuple or None
            Field -> the values that are computed; None: all that the field can have. A field that
            it lacks is one of a later network: with another value than its default it is declined.

        Returns
        -------
        bool
        """
        for field in fields(self):
            values = supported.get(field.name, (field.default,))
            if values is not None and getattr(self, field.name) not in values:
                return False
        return True

    def to_dict(self) -> dict:
        """Make the object that is saved: the fields, and the version of their meaning.

        Returns
        -------
        dict
            Of text, numbers and None; :meth:`from_dict` reads it.
        """
        return {'version': VERSION, **asdict(self)}

    @classmethod
    def from_dict(cls, values: object) -> BertConfig:
        """Read what :meth:`to_dict` made, in this version or an older one.

        Parameters
        ----------
        values : dict
            As it stands in a file: anything else is refused. A field that it lacks takes its
            default.

        Returns
        -------
        BertConfig

        Raises
        ------
        ValueError
            If it is no such object, was written by a newer version, lacks a field without a
            default, has one that is unknown, or a value is out of range.
        """
        names = [field.name for field in fields(cls)]
        if not isinstance(values, dict):
            raise ValueError(
                f'the configuration is {reprlib.repr(values)}: expected an object of '
                f'{", ".join(names)}'
            )
        values = dict(values)
        _check_version(values.pop('version', VERSION))
        for name in values:
            if name not in names:
                raise ValueError(_unknown_field(name, names))
        missing = [
            field.name
            for field in fields(cls)
            if field.default is MISSING and field.name not in values
        ]
        if missing:
            raise ValueError(
                f'the configuration is {reprlib.repr(values)}: it has no {", ".join(missing)}'
            )
        if any(isinstance(value, (dict, list)) for value in values.values()):
            raise ValueError('the configuration has a value that is neither text nor a number')
        try:
            return cls(**values)
        except (ValueError, TypeError) as error:
            raise ValueError(str(error)[:_MAX_MESSAGE]) from None

    def __post_init__(self):
        for name, least in (
            ('vocab_size', 1),
            ('units', 1),
            ('hidden_size', 1),
            ('num_layers', 1),
            ('num_heads', 1),
            ('max_length', 1),
            ('num_token_types', 0),
            ('embedding_units', 1),
        ):
            value = getattr(self, name)
            if value is None and name == 'embedding_units':
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f'{name}={value!r}: expected a whole number from {least}')
        _check_sharing(self.share_layers, self.num_layers)
        if self.units % self.num_heads:
            raise ValueError(f'units={self.units} is not a multiple of num_heads={self.num_heads}')
        if not 0 <= self.dropout < 1:
            raise ValueError(f'dropout={self.dropout!r}: expected a number in [0, 1)')
        if not 0 < self.layer_norm_eps < 1:
            raise ValueError(f'layer_norm_eps={self.layer_norm_eps!r}: expected a number in (0, 1)')
        if self.activation not in ACTIVATIONS:
            raise ValueError(f'activation={self.activation!r}: expected one of {ACTIVATIONS}')
        if self.pooler_activation not in POOLER_ACTIVATIONS:
            raise ValueError(
                f'pooler_activation={self.pooler_activation!r}: expected one of '
                f'{POOLER_ACTIVATIONS}'
            )


def _check_sharing(share_layers, num_layers):
    if not isinstance(share_layers, bool):
        raise ValueError(f'share_layers={share_layers!r}: expected True or False')
    if share_layers and num_layers > _MAX_SHARED:
        raise ValueError(
            f'num_layers={num_layers}: expected at most {_MAX_SHARED} with share_layers'
        )


def _check_version(version):
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ValueError(
            f'the version of the configuration is {reprlib.repr(version)}: expected a whole '
            f'number from 1 to {VERSION}'
        )
    if version > VERSION:
        raise ValueError(
            f'the configuration has version {reprlib.repr(version)}, this gluon_bert reads up to '
            f'{VERSION}: a newer gluon_bert wrote it'
        )


def _unknown_field(name, names):
    import difflib

    near = difflib.get_close_matches(str(name)[:100], names, n=1)
    hint = f'; the nearest is {near[0]!r}' if near else ''
    return (
        f'the configuration has an unknown field {reprlib.repr(name)}: expected '
        f'{", ".join(names)}{hint}'
    )
