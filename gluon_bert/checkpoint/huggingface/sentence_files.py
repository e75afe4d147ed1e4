"""The files of sentence-transformers around a folder of transformers, in and out.

modules.json lists the modules: the network, pooling, and what follows. Versions 0 to 5 are read.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ..._internal.json import read_json, read_object
from ..._internal.suggestions import did_you_mean
from ..sentence import POOLING_MODES, SentenceSettings
from ..tensor_file import printable
from .cross_encoder import SETTINGS_FILE, is_cross_encoder
from .safetensors_file import write_safetensors
from .sentence_modules import MODULE_READERS, module_config, read_flag

logger = logging.getLogger(__name__)

MODULES_FILE = 'modules.json'
TRANSFORMER_FILES = tuple(
    f'sentence_{kind}_config.json'
    for kind in ('bert', 'roberta', 'distilbert', 'camembert', 'albert', 'xlm-roberta', 'xlnet')
)
_PACKAGE = 'sentence_transformers'
_PACKAGES = (_PACKAGE, 'pylate')
_NETWORK_FOLDER = '0_Transformer'
_NETWORKS = (
    *('Transformer', 'BERT', 'RoBERTa', 'DistilBERT', 'CamemBERT', 'XLMRoBERTa', 'ALBERT'),
    'MLMTransformer',
)
_WITHOUT_EFFECT = ('Dropout',)
_SPARSE = 'SpladePooling'
_OF_TOKENS = ('Dense', 'Normalize')
# Way of pooling -> its key in the files of versions 0 to 5.3, its name in later ones.
_POOLING_KEYS = {
    'cls': ('pooling_mode_cls_token', 'cls'),
    'max': ('pooling_mode_max_tokens', 'max'),
    'mean': ('pooling_mode_mean_tokens', 'mean'),
    'mean_sqrt_len': ('pooling_mode_mean_sqrt_len_tokens', 'mean_sqrt_len_tokens'),
    'weightedmean': ('pooling_mode_weightedmean_tokens', 'weightedmean'),
    'lasttoken': ('pooling_mode_lasttoken', 'lasttoken'),
}
# Of the network's module: what changes no vector, or is read elsewhere.
_HARMLESS = ('max_seq_length', 'do_lower_case', 'modality_config', 'unpad_inputs')


class ModuleEntry(NamedTuple):
    """An entry of modules.json: the class without its package, and the subfolder."""

    kind: str
    path: str


def transformer_folder(folder: Path) -> Path:
    """Return the folder of the network: the subfolder that modules.json names, or itself.

    Without modules.json it is 0_Transformer, if there is one and no config.json.
    """
    if (folder / MODULES_FILE).is_file():
        return folder / read_modules(folder)[0].path
    network = folder / _NETWORK_FOLDER
    if network.is_dir() and not (folder / 'config.json').is_file():
        return network
    return folder


def model_folder(folder: Path) -> Optional[Path]:
    """Return the folder with modules.json: this one, or the one whose subfolder this is.

    None if the network is no part of a sentence model.
    """
    if (folder / MODULES_FILE).is_file():
        return folder
    parent = folder.absolute().parent
    if folder.name.startswith('0_') and (parent / MODULES_FILE).is_file():
        return parent if read_modules(parent)[0].path == folder.absolute().name else None
    return None


def read_modules(folder: Path) -> List[ModuleEntry]:
    """Read modules.json.

    Raises
    ------
    ValueError
        If it is damaged, names a place outside the folder, or does not begin with a network.
    """
    file = folder / MODULES_FILE
    content = read_json(file)
    if not isinstance(content, list) or not content:
        raise ValueError(f'{file}: expected a list of modules')
    entries = [_entry(file, number, value) for number, value in enumerate(content)]
    if entries[0].kind not in _NETWORKS:
        raise _refused(folder, entries[0].kind, 'a model that begins with it')
    return entries


def is_sparse(entries: List[ModuleEntry]) -> bool:
    """Tell if modules make sparse vectors."""
    return any(entry.kind == _SPARSE for entry in entries)


def makes_token_vectors(entries: List[ModuleEntry]) -> bool:
    """Tell if modules make vectors of tokens: Dense layers without pooling."""
    kinds = [entry.kind for entry in entries[1:]]
    return 'Dense' in kinds and all(kind in _OF_TOKENS for kind in kinds)


def read_sentence_settings(folder: Path, units: int, longest: int) -> Optional[SentenceSettings]:
    """Read what a folder of sentence-transformers says about its vectors.

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
    SentenceSettings or None
        None if there is no modules.json.

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is absent or damaged, or a module is one that this package does not have.
    """
    root = model_folder(folder)
    if root is None:
        if folder.name == _NETWORK_FOLDER:
            logger.warning(
                '%s: has no %s beside it: only the network is read', folder, MODULES_FILE
            )
        return None
    if is_cross_encoder(root):
        return None
    entries = read_modules(root)
    if is_sparse(entries) or makes_token_vectors(entries):
        return None
    modules = entries[1:]
    if not modules:
        raise ValueError(f'{root / MODULES_FILE}: has no Pooling, so there are no sentence vectors')
    if modules[0].kind != 'Pooling':
        raise _refused(root, modules[0].kind, 'it between the network and the pooling')
    modes, include_prompt = _read_pooling(root / modules[0].path / 'config.json', units)
    options = {
        **read_network_settings(root / entries[0].path, longest),
        **read_model_settings(root),
    }
    settings = SentenceSettings(
        modes,
        tuple(
            MODULE_READERS[entry.kind](root / entry.path)
            if entry.kind in MODULE_READERS
            else _raise(_refused(root, entry.kind, 'it'))
            for entry in modules[1:]
            if entry.kind not in _WITHOUT_EFFECT
        ),
        include_prompt=include_prompt,
        **options,
    )
    try:
        settings.output_units(units)
    except ValueError as error:
        raise ValueError(f'{root / MODULES_FILE}: {error}') from None
    return settings


def write_sentence_files(settings: SentenceSettings, folder: Path, units: int) -> None:
    """Write the files that :func:`read_sentence_settings` reads into a folder of transformers.

    Parameters
    ----------
    settings : SentenceSettings
    folder : Path
    units : int
        Width C of the network.
    """
    kinds = ['Transformer', 'Pooling', *(type(module).__name__ for module in settings.modules)]
    names = ['', *(f'{number}_{kind}' for number, kind in enumerate(kinds) if number)]
    modules = [
        {'idx': number, 'name': str(number), 'path': name, 'type': f'{_PACKAGE}.models.{kind}'}
        for number, (kind, name) in enumerate(zip(kinds, names))
    ]
    write_json(folder / MODULES_FILE, modules)
    write_json(
        folder / TRANSFORMER_FILES[0],
        {'max_seq_length': settings.max_length, 'do_lower_case': settings.lower},
    )
    write_json(
        folder / SETTINGS_FILE,
        {
            '__version__': {},
            'prompts': dict(settings.prompts),
            'default_prompt_name': settings.default_prompt,
            'similarity_fn_name': settings.similarity,
        },
    )
    _write_pooling(settings, folder / names[1], units)
    for module, name in zip(settings.modules, names[2:]):
        (folder / name).mkdir()
        write_json(folder / name / 'config.json', module_config(module))
        if module.arrays():
            write_safetensors(folder / name / 'model.safetensors', module.arrays())


def _entry(file, number, value):
    kind, path = (
        (value.get(key) for key in ('type', 'path')) if isinstance(value, dict) else ('',) * 2
    )
    if not isinstance(kind, str) or not isinstance(path, str):
        raise ValueError(f'{file}: module {number}: expected an object with type and path')
    path = path.rstrip('/')
    if path and (not path.isprintable() or path in ('.', '..') or set(path) & set('/\\:')):
        raise ValueError(
            f'{file}: module {number}: path is {printable(path)}: expected a subfolder'
        )
    package, _, _ = kind.partition('.')
    if package not in _PACKAGES:
        raise _refused(file.parent, kind, 'code of its own')
    return ModuleEntry(kind.rpartition('.')[2], path)


def _refused(folder, kind, what):
    return ValueError(
        f'{folder / MODULES_FILE}: has the module {printable(str(kind))}; {what} is not supported. '
        f'Remove {MODULES_FILE} from a copy of the folder to read the network alone'
    )


def _raise(error):
    raise error


def _read_pooling(path, units) -> Tuple[Tuple[str, ...], bool]:
    values = read_object(path)
    width = values.get('embedding_dimension', values.get('word_embedding_dimension', units))
    if width != units:
        raise ValueError(f'{path}: pools encodings of {width!r} units, the network has {units}')
    include = read_flag(path, values, 'include_prompt', True)
    if values.get('pooling_mode') is not None:
        given = values['pooling_mode']
        given = given if isinstance(given, list) else [given]
        known = {theirs: mode for mode, (_, theirs) in _POOLING_KEYS.items()}
        for mode in given:
            if not isinstance(mode, str) or mode not in known:
                raise ValueError(f'{path}: pooling_mode is {mode!r}{did_you_mean(mode, known)}')
        modes = [known[mode] for mode in given]
    else:
        keys = {key for key, _ in _POOLING_KEYS.values()}
        for key in values:
            if key.startswith('pooling_mode') and key not in keys and values[key]:
                raise ValueError(f'{path}: {printable(key)} is not supported')
        modes = [
            mode
            for mode in POOLING_MODES
            if read_flag(path, values, _POOLING_KEYS[mode][0], mode == 'mean')
        ]
    if not modes or len(set(modes)) < len(modes):
        raise ValueError(f'{path}: expected one or several different ways of pooling, got {modes}')
    return tuple(modes), include


def read_network_settings(
    folder: Path, longest: int, task: str = 'feature-extraction'
) -> Dict[str, Any]:
    """Read how the network of a model reads texts: the fields max_length and lower."""
    path = next((folder / name for name in TRANSFORMER_FILES if (folder / name).is_file()), None)
    if path is None:
        return {'max_length': longest}
    values = read_object(path)
    length = values.get('max_seq_length')
    if length is not None and (type(length) is not int or length < 3):
        raise ValueError(f'{path}: max_seq_length is {length!r}: expected a whole number from 3')
    if values.get('transformer_task') not in (None, task):
        raise ValueError(
            f'{path}: transformer_task is {values["transformer_task"]!r}: not supported'
        )
    others = [
        name
        for name, value in values.items()
        if value and name not in (*_HARMLESS, 'transformer_task', 'module_output_name')
    ]
    if others:
        logger.warning('%s: not read: %s', path, ', '.join(map(printable, others)))
    if length is not None and length > longest:
        logger.warning(
            '%s: max_seq_length is %d; the network takes %d, which is used', path, length, longest
        )
    lower = read_flag(path, values, 'do_lower_case', False)
    return {'max_length': min(length or longest, longest), 'lower': lower}


def read_model_settings(
    folder: Path, kind: str = 'SentenceTransformer', similarity: str = 'cosine'
) -> Dict[str, Any]:
    """Read the prompts and the similarity of a model of a kind."""
    path = folder / SETTINGS_FILE
    if not path.is_file():
        return {}
    values = read_object(path)
    if values.get('model_type') not in (None, kind):
        raise ValueError(f'{path}: model_type is {values["model_type"]!r}: expected {kind}')
    prompts = values.get('prompts') or {}
    if not isinstance(prompts, dict) or not all(isinstance(text, str) for text in prompts.values()):
        raise ValueError(f'{path}: prompts: expected texts by name')
    options: Dict[str, Any] = {
        'prompts': prompts,
        'default_prompt': values.get('default_prompt_name'),
        'similarity': values.get('similarity_fn_name') or similarity,
    }
    try:
        SentenceSettings(**options)
    except (TypeError, ValueError) as error:
        raise ValueError(f'{path}: {error}') from None
    return options


def _write_pooling(settings, folder, units):
    folder.mkdir()
    if list(settings.modes) == [mode for mode in POOLING_MODES if mode in settings.modes]:
        pooling = {'word_embedding_dimension': units}
        pooling.update({key: mode in settings.modes for mode, (key, _) in _POOLING_KEYS.items()})
    else:  # in an order that only version 5.4 can say
        names = [_POOLING_KEYS[mode][1] for mode in settings.modes]
        pooling = {'embedding_dimension': units, 'pooling_mode': names}
    write_json(folder / 'config.json', {**pooling, 'include_prompt': settings.include_prompt})


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file as sentence-transformers does."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + '\n', encoding='utf-8')
