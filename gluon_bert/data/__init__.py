"""Read text files and turn them into batches of arrays.

A module is imported when a name of it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from .._gluonnlp import MODULES, forward

if TYPE_CHECKING:
    from .classification.glue import TASKS, Task, get_task, glue_folder, read_task, task_folder
    from .classification.rows import Columns, Example, Split
    from .classification.tables import discover_labels, iterate_texts, read_table
    from .dataset import SequenceData, label_array
    from .features import (
        Features,
        SentenceTransform,
        bucketed_batches,
        pad_batch,
        sequential_batches,
        truncated_lengths,
    )
    from .ner.detection import detect_scheme
    from .ner.files import (
        TaggedFile,
        TaggedSentence,
        check_entity_types,
        check_kinds,
        read_tagged,
        write_tagged,
    )
    from .ner.schemes import (
        Span,
        TagProblem,
        TagScheme,
        convert_tags,
        get_scheme,
        reading_of,
        repair_tags,
        spans_to_tags,
        split_tag,
        tag_problems,
        tag_spans,
    )
    from .ner.transitions import Transitions, tag_names, valid_transitions
    from .ner.windows import Window, join_windows, make_windows, window_labels
    from .pairs.dataset import GroupData
    from .pairs.groups import TextGroups, read_text_groups
    from .pretraining.create import PretrainingDataOptions, create_pretraining_data
    from .pretraining.masking import Masker, Masking
    from .pretraining.records import Record, read_records, write_records
    from .pretraining.stream import PretrainingStream, StreamOptions
    from .squad.cache import cached_windows
    from .squad.files import Answer, Question, QuestionSet, read_squad
    from .squad.windows import AnswersWithoutTokens, Windows, build_windows
    from .tokenizers.base import SubwordTokenizer
    from .tokenizers.batch import TextBatch
    from .tokenizers.byte_pair import BytePairTokenizer, read_merges
    from .tokenizers.calls import TokenizerCalls
    from .tokenizers.casing import looks_lowercase
    from .tokenizers.encoding import Encoded
    from .tokenizers.folder import read_max_tokens, read_tokenizer
    from .tokenizers.learning import learn_wordpiece
    from .tokenizers.sentencepiece import SentencePieceTokenizer, read_sentencepiece_vocab
    from .tokenizers.sentencepiece_learning import learn_sentencepiece
    from .tokenizers.vocabulary import Vocabulary
    from .tokenizers.vocabulary_files import read_vocab, read_vocabulary
    from .tokenizers.vocabulary_ids import gluonnlp_order
    from .tokenizers.vocabulary_json import (
        gluonnlp_json,
        to_published_order,
        unswapped,
        write_vocab_json,
    )
    from .tokenizers.wordpiece import BERTTokenizer, BertTokenizer

# Module -> its public names, as above.
_NAMES = {
    'classification.glue': 'TASKS Task get_task glue_folder read_task task_folder',
    'classification.rows': 'Columns Example Split',
    'classification.tables': 'discover_labels iterate_texts read_table',
    'dataset': 'SequenceData label_array',
    'features': (
        'Features SentenceTransform bucketed_batches pad_batch sequential_batches truncated_lengths'
    ),
    'ner.detection': 'detect_scheme',
    'ner.files': (
        'TaggedFile TaggedSentence check_entity_types check_kinds read_tagged write_tagged'
    ),
    'ner.schemes': (
        'Span TagProblem TagScheme convert_tags get_scheme reading_of repair_tags spans_to_tags '
        'split_tag tag_problems tag_spans'
    ),
    'ner.transitions': 'Transitions tag_names valid_transitions',
    'ner.windows': 'Window join_windows make_windows window_labels',
    'pairs.dataset': 'GroupData',
    'pairs.groups': 'TextGroups read_text_groups',
    'pretraining.create': 'PretrainingDataOptions create_pretraining_data',
    'pretraining.masking': 'Masker Masking',
    'pretraining.records': 'Record read_records write_records',
    'pretraining.stream': 'PretrainingStream StreamOptions',
    'squad.cache': 'cached_windows',
    'squad.files': 'Answer Question QuestionSet read_squad',
    'squad.windows': 'AnswersWithoutTokens Windows build_windows',
    'tokenizers.base': 'SubwordTokenizer',
    'tokenizers.batch': 'TextBatch',
    'tokenizers.byte_pair': 'BytePairTokenizer read_merges',
    'tokenizers.calls': 'TokenizerCalls',
    'tokenizers.casing': 'looks_lowercase',
    'tokenizers.encoding': 'Encoded',
    'tokenizers.folder': 'read_max_tokens read_tokenizer',
    'tokenizers.learning': 'learn_wordpiece',
    'tokenizers.sentencepiece': 'SentencePieceTokenizer read_sentencepiece_vocab',
    'tokenizers.sentencepiece_learning': 'learn_sentencepiece',
    'tokenizers.vocabulary': 'Vocabulary',
    'tokenizers.vocabulary_files': 'read_vocab read_vocabulary',
    'tokenizers.vocabulary_ids': 'gluonnlp_order',
    'tokenizers.vocabulary_json': 'gluonnlp_json to_published_order unswapped write_vocab_json',
    'tokenizers.wordpiece': 'BERTTokenizer BertTokenizer',
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f'.{_HOMES[name]}', __name__), name)
    elif name in {module.partition('.')[0] for module in _NAMES}:
        return importlib.import_module(f'.{name}', __name__)
    elif f'data.{name}' in MODULES:  # batchify, TSVDataset, FixedBucketSampler, ...
        value = importlib.import_module(MODULES[f'data.{name}'])
    else:
        value = forward('data', name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
