"""From files of text to batches of arrays."""
from gluonnlp.data import BERTSentenceTransform

from .batches import SequenceData, label_array
from .byte_pair import BytePairTokenizer, read_merges
from .glue import TASKS, Task, get_task, read_task, task_folder
from .ner import TaggedFile, TaggedSentence, check_kinds, read_tagged, write_tagged
from .ner_windows import Window, join_windows, make_windows, window_labels
from .rows import Columns, Example, Split
from .sentencepiece import SentencePieceTokenizer, read_sentencepiece_vocab
from .squad import Answer, Question, QuestionSet, read_squad
from .squad_cache import cached_windows
from .squad_windows import Windows, build_windows
from .tables import discover_labels, iterate_texts, read_table
from .tag_schemes import (
    Span,
    TagProblem,
    TagScheme,
    convert_tags,
    detect_scheme,
    get_scheme,
    repair_tags,
    spans_to_tags,
    split_tag,
    tag_problems,
    tag_spans,
)
from .tag_transitions import Transitions, tag_names, valid_transitions
from .tokenizer import BERTTokenizer, BertTokenizer
from .tokenizer_base import Encoded, SubwordTokenizer
from .tokenizer_folder import read_max_tokens, read_tokenizer
from .transform import (
    Features,
    SentenceTransform,
    bucketed_batches,
    pad_batch,
    sequential_batches,
    truncated_lengths,
)
from .vocabulary import read_vocab
from .vocabulary_ids import gluonnlp_order, looks_lowercase
from .vocabulary_json import gluonnlp_json, unswapped, write_vocab_json

__all__ = [
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
    'Transitions',
    'Window',
    'Windows',
    'bucketed_batches',
    'build_windows',
    'cached_windows',
    'check_kinds',
    'convert_tags',
    'detect_scheme',
    'discover_labels',
    'get_scheme',
    'get_task',
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
    'repair_tags',
    'sequential_batches',
    'spans_to_tags',
    'split_tag',
    'tag_names',
    'tag_problems',
    'tag_spans',
    'task_folder',
    'truncated_lengths',
    'unswapped',
    'valid_transitions',
    'window_labels',
    'write_tagged',
    'write_vocab_json',
]
