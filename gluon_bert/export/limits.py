"""The parts of a model that a format has no place for, and the files beside it that have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Iterable, List, Mapping, NamedTuple, Tuple

from ..checkpoint.huggingface.sentence_files import MODULES_FILE, TRANSFORMER_FILES
from ..checkpoint.huggingface.sentence_files import SETTINGS_FILE as SENTENCE_FILE
from ..checkpoint.schema import Checkpoint
from ..checkpoint.task_file import TASK_FILE
from .beside import SETTINGS_FILE
from .ctranslate2 import HEAD_FILE
from .heads import HEADS
from .interfaces import Interface

_SETTINGS = (TASK_FILE, SETTINGS_FILE)
_COSINE = 'cosine'  # what readers assume


class Part(NamedTuple):
    """A part of a model that is not in its scores.

    Parameters
    ----------
    name : str
        In a sentence.
    is_in : callable
        Checkpoint -> whether it has the part.
    files : tuple of str
        Of those in a folder the first has the part.
    output : str
        Of a graph: with this output it has the part.
    """

    name: str
    is_in: Callable[[Checkpoint], bool]
    files: Tuple[str, ...] = _SETTINGS
    output: str = ''


class Limit(NamedTuple):
    """A part that a reader of a format does not get from it, and the file that has it.

    Without such a file, ``place`` says what became of it, and ``has_file`` is False.
    """

    part: str
    place: str
    has_file: bool = True


def _setting(*names: str) -> Callable[[Checkpoint], bool]:
    def is_in(checkpoint: Checkpoint) -> bool:
        task = checkpoint.task or {}
        return any(task.get(name) is not None and task[name] is not False for name in names)

    return is_in


def _sentence(has: Callable[[Any], bool]) -> Callable[[Checkpoint], bool]:
    return lambda checkpoint: checkpoint.sentence is not None and has(checkpoint.sentence)


PARTS: Mapping[str, Part] = {
    'labels': Part('the names of the classes', lambda checkpoint: bool(checkpoint.labels)),
    'scheme': Part('the scheme by which tags make entities', _setting('scheme')),
    'crf': Part(
        'the transitions of the CRF',
        lambda checkpoint: 'crf.transitions' in checkpoint.arrays,
        (SETTINGS_FILE,),
    ),
    'windows': Part('the windows of long texts', _setting('doc_stride', 'overlap', 'windows')),
    'answers': Part('the choice of an answer, or of none', _setting('n_best_size')),
    'thresholds': Part('the thresholds of the classes', _setting('thresholds', 'threshold')),
    'temperature': Part('the temperature of the probabilities', _setting('temperature')),
    'range': Part('the range of the values', _setting('range')),
    'pairs': Part('that an input is a pair of texts', _setting('pair')),
    'length': Part('the length of sequences', _setting('max_len', 'max_seq_length')),
    'tokenizer': Part(
        'the rules of the tokenizer, such as its casing',
        lambda checkpoint: checkpoint.tokenizer is not None,
        ('tokenizer.json',),
    ),
    'pooling': Part(
        'the pooling of sentence vectors and the modules after it',
        lambda checkpoint: checkpoint.sentence is not None,
        (MODULES_FILE,),
        'sentence_embedding',
    ),
    'prompts': Part('the prompts', _sentence(lambda one: bool(one.prompts)), (SENTENCE_FILE,)),
    'prompt_tokens': Part(
        'that the tokens of a prompt are left out of the pooling',
        _sentence(lambda one: bool(one.prompts) and not one.include_prompt),
        ('1_Pooling/config.json',),
    ),
    'similarity': Part(
        'how two vectors are compared',
        _sentence(lambda one: one.similarity != _COSINE),
        (SENTENCE_FILE,),
    ),
    'lower': Part(
        'the lower-casing of texts before the tokenizer',
        _sentence(lambda one: one.lower),
        TRANSFORMER_FILES[:1],
    ),
}
"""Part -> what it is; :data:`gluon_bert.export.EXPORTS` says which of them a format lacks."""


def limits_of(
    checkpoint: Checkpoint, folder: Path, lacks: Iterable[str], interface: Interface
) -> List[Limit]:
    """List what a reader of an export does not get from it.

    Parameters
    ----------
    checkpoint : Checkpoint
    folder : Path
        The export.
    lacks : iterable of str
        Of ``PARTS``: what the format has no place for.
    interface : Interface
        The export's outputs and heads.

    Returns
    -------
    list of Limit
    """
    outputs = [output.name for output in interface.outputs]
    limits = [
        _limit(row.title, folder, (HEAD_FILE,), f'left out; --head {head} exports it')
        for head, row in HEADS.items()
        if head in checkpoint.heads and head not in interface.heads
    ]
    for name in lacks:
        part = PARTS[name]
        if part.is_in(checkpoint) and part.output not in outputs:
            limits.append(_limit(part.name, folder, part.files))
    return limits


def _limit(part, folder, files, otherwise='left out'):
    file = next((name for name in files if (folder / name).is_file()), None)
    return Limit(part, otherwise, False) if file is None else Limit(part, file)
