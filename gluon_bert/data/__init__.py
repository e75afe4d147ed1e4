"""Read text files and turn them into batches of arrays."""

import importlib
from typing import Any

from gluonnlp.data import BERTSentenceTransform

from .._gluonnlp import MODULES, forward
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
from .tokenizers.sentencepiece import SentencePieceTokenizer, read_sentencepiece_vocab
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

__all__ = [
    'AnswersWithoutTokens',
    'TASKS',
    'Answer',
    'BERTSentenceTransform',
    'BERTTokenizer',
    'BertTokenizer',
    'BytePairTokenizer',
    'Columns',
    'Encoded',
    'Example',
    'Features',
    'Question',
    'QuestionSet',
    'SentencePieceTokenizer',
    'SentenceTransform',
    'SequenceData',
    'Span',
    'TagProblem',
    'TagScheme',
    'Split',
    'SubwordTokenizer',
    'TaggedFile',
    'TaggedSentence',
    'Task',
    'TextBatch',
    'TokenizerCalls',
    'Transitions',
    'Vocabulary',
    'Window',
    'Windows',
    'bucketed_batches',
    'build_windows',
    'cached_windows',
    'check_entity_types',
    'check_kinds',
    'convert_tags',
    'detect_scheme',
    'discover_labels',
    'get_scheme',
    'get_task',
    'glue_folder',
    'gluonnlp_json',
    'gluonnlp_order',
    'iterate_texts',
    'join_windows',
    'label_array',
    'looks_lowercase',
    'make_windows',
    'pad_batch',
    'read_max_tokens',
    'read_merges',
    'read_sentencepiece_vocab',
    'read_squad',
    'read_table',
    'read_tagged',
    'read_task',
    'read_tokenizer',
    'read_vocab',
    'read_vocabulary',
    'reading_of',
    'repair_tags',
    'sequential_batches',
    'spans_to_tags',
    'split_tag',
    'tag_names',
    'tag_problems',
    'tag_spans',
    'task_folder',
    'truncated_lengths',
    'to_published_order',
    'unswapped',
    'valid_transitions',
    'window_labels',
    'write_tagged',
    'write_vocab_json',
]


def __getattr__(name: str) -> Any:
    # batchify, TSVDataset, FixedBucketSampler, ...
    if f'data.{name}' in MODULES:
        return importlib.import_module(MODULES[f'data.{name}'])
    return forward('data', name)
