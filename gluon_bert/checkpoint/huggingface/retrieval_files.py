"""Files of sentence-transformers' SparseEncoder, and of PyLate's ColBERT, in and out.

modules.json has a network and SpladePooling; or a network and Dense layers over the encodings of
its tokens, without pooling.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from ..._internal.json import read_object
from ..retrieval import SparseSettings, TokenVectorSettings
from ..tensor_file import printable
from .cross_encoder import SETTINGS_FILE
from .safetensors_file import write_safetensors
from .sentence_files import (
    MODULES_FILE,
    TRANSFORMER_FILES,
    ModuleEntry,
    is_sparse,
    makes_token_vectors,
    model_folder,
    read_model_settings,
    read_modules,
    read_network_settings,
    write_json,
)
from .sentence_modules import module_config, read_flag, read_token_dense

_SPLADE = 'SpladePooling'
_POOLING_KEYS = ('pooling_strategy', 'activation_function')


def _find_entries(folder: Path) -> Tuple[Optional[Path], List[ModuleEntry]]:
    """Return the folder of modules.json, None if there is none, and its entries."""
    root = model_folder(folder)
    return root, [] if root is None else read_modules(root)


def read_sparse_settings(folder: Path, longest: int) -> Optional[SparseSettings]:
    """Read what a folder of a SparseEncoder says about its vectors.

    Parameters
    ----------
    folder : Path
        With modules.json, or the subfolder with the network.
    longest : int
        Tokens of the longest sequence that the network and its tokenizer take.

    Returns
    -------
    SparseSettings or None
        None if it is no such folder.

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is absent or damaged, or a module is one that this package does not have.
    """
    root, entries = _find_entries(folder)
    if root is None or not is_sparse(entries):
        return None
    if [entry.kind for entry in entries[1:]] != [_SPLADE]:
        names = ', '.join(printable(entry.kind) for entry in entries)
        raise ValueError(f'{root / MODULES_FILE}: has {names}: expected a network and {_SPLADE}')
    path = root / entries[1].path / 'config.json'
    values = read_object(path)
    pooling, activation = (
        values.get(key, default) for key, default in zip(_POOLING_KEYS, ('max', 'relu'))
    )
    options = {
        **read_network_settings(root / entries[0].path, longest, 'fill-mask'),
        **read_model_settings(root, 'SparseEncoder', 'dot'),
    }
    try:
        return SparseSettings(str(pooling), str(activation), **options)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None


def write_sparse_files(settings: SparseSettings, folder: Path, vocab_size: int) -> None:
    """Write the files that :func:`read_sparse_settings` reads into a folder of transformers.

    Parameters
    ----------
    settings : SparseSettings
    folder : Path
    vocab_size : int
    """
    _write_modules(
        folder,
        ('', 'sentence_transformers.sparse_encoder.models.MLMTransformer'),
        (f'1_{_SPLADE}', f'sentence_transformers.sparse_encoder.models.{_SPLADE}'),
    )
    write_json(
        folder / TRANSFORMER_FILES[0],
        {'max_seq_length': settings.max_length, 'do_lower_case': settings.lower},
    )
    write_json(
        folder / SETTINGS_FILE,
        {
            'model_type': 'SparseEncoder',
            '__version__': {},
            'prompts': dict(settings.prompts),
            'default_prompt_name': settings.default_prompt,
            'similarity_fn_name': settings.similarity,
        },
    )
    (folder / f'1_{_SPLADE}').mkdir()
    write_json(
        folder / f'1_{_SPLADE}' / 'config.json',
        {
            'pooling_strategy': settings.pooling,
            'activation_function': settings.activation,
            'word_embedding_dimension': vocab_size,
        },
    )


def read_token_settings(folder: Path, units: int, longest: int) -> Optional[TokenVectorSettings]:
    """Read what a folder of a ColBERT says about the vectors of its tokens.

    Parameters
    ----------
    folder : Path
        With modules.json, or the subfolder with the network.
    units : int
        Width C of the network.
    longest : int
        Tokens of the longest sequence that the network and its tokenizer take.

    Returns
    -------
    TokenVectorSettings or None
        None if it is no such folder.

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is absent or damaged, or an option is one that this package does not have.
    """
    root, entries = _find_entries(folder)
    if root is None or not makes_token_vectors(entries):
        return None
    modules = tuple(
        read_token_dense(root / entry.path) for entry in entries[1:] if entry.kind == 'Dense'
    )
    network = read_network_settings(root / entries[0].path, longest)
    path = root / SETTINGS_FILE
    values = read_object(path) if path.is_file() else {}
    if values.get('similarity_fn_name') not in (None, 'MaxSim', 'cosine', 'dot'):
        raise ValueError(f'{path}: similarity_fn_name is {values["similarity_fn_name"]!r}')
    options: Dict[str, Any] = {
        f'{name}_length': _length(path, values, f'{name}_length', longest)
        for name in ('query', 'document')
    }
    for name in ('query_prefix', 'document_prefix'):
        options[name] = values.get(name) or ''
        if not isinstance(options[name], str):
            raise ValueError(f'{path}: {name} is {values[name]!r}: expected text')
    words = values.get('skiplist_words') or []
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError(f'{path}: skiplist_words: expected a list of texts')
    # A folder with prefixes is PyLate's, which expands queries unless it says otherwise.
    expands = 'query_length' in values
    settings = TokenVectorSettings(
        modules,
        **options,
        expand_queries=read_flag(path, values, 'do_query_expansion', expands),
        attend_to_expansion=read_flag(path, values, 'attend_to_expansion_tokens', False),
        skip_words=tuple(words),
        lower=network.get('lower', False),
    )
    try:
        settings.output_units(units)
    except ValueError as error:
        raise ValueError(f'{root / MODULES_FILE}: {error}') from None
    return settings


def write_token_files(settings: TokenVectorSettings, folder: Path) -> None:
    """Write the files that :func:`read_token_settings` reads into a folder of transformers."""
    names = [f'{number}_Dense' for number, _ in enumerate(settings.modules, 1)]
    _write_modules(
        folder,
        ('', 'sentence_transformers.models.Transformer'),
        *((name, 'pylate.models.Dense.Dense') for name in names),
    )
    write_json(
        folder / TRANSFORMER_FILES[0],
        {'max_seq_length': settings.document_length, 'do_lower_case': settings.lower},
    )
    content: Dict[str, Any] = {
        '__version__': {},
        'prompts': {},
        'default_prompt_name': None,
        'similarity_fn_name': 'MaxSim',
        'query_prefix': settings.query_prefix,
        'document_prefix': settings.document_prefix,
        'query_length': settings.query_length,
        'document_length': settings.document_length,
        'attend_to_expansion_tokens': settings.attend_to_expansion,
        'skiplist_words': list(settings.skip_words),
        'do_query_expansion': settings.expand_queries,
    }
    write_json(folder / SETTINGS_FILE, content)
    for module, name in zip(settings.modules, names):
        (folder / name).mkdir()
        values = {**module_config(module), 'module_input_name': 'token_embeddings'}
        write_json(folder / name / 'config.json', values)
        write_safetensors(folder / name / 'model.safetensors', module.arrays())


def _write_modules(folder, *rows):
    modules = [
        {'idx': number, 'name': str(number), 'path': path, 'type': kind}
        for number, (path, kind) in enumerate(rows)
    ]
    write_json(folder / MODULES_FILE, modules)


def _length(path, values, key, most) -> int:
    value = values.get(key)
    if value is None:
        return most
    if type(value) is not int or not 3 <= value <= most:
        raise ValueError(f'{path}: {key} is {json.dumps(value)[:80]}: expected 3 to {most}')
    return value
