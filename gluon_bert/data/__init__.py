"""From files of text to batches of arrays."""
from gluonnlp.data import BERTSentenceTransform

from .batches import SequenceData, label_array
from .byte_pair import BytePairTokenizer, read_merges
from .glue import TASKS, Task, get_task, read_task, task_folder
from .rows import Columns, Example, Split
from .sentencepiece import SentencePieceTokenizer, read_sentencepiece_vocab
from .tables import discover_labels, read_table
from .tokenizer import BERTTokenizer, BertTokenizer
from .tokenizer_base import Encoded, SubwordTokenizer
from .tokenizer_folder import read_tokenizer
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
    'BERTSentenceTransform',
    'BERTTokenizer',
    'BertTokenizer',
    'BytePairTokenizer',
    'Columns',
    'Encoded',
    'Example',
    'Features',
    'SentencePieceTokenizer',
    'SentenceTransform',
    'SequenceData',
    'Split',
    'SubwordTokenizer',
    'Task',
    'bucketed_batches',
    'discover_labels',
    'get_task',
    'gluonnlp_json',
    'gluonnlp_order',
    'label_array',
    'looks_lowercase',
    'pad_batch',
    'read_merges',
    'read_sentencepiece_vocab',
    'read_table',
    'read_task',
    'read_tokenizer',
    'read_vocab',
    'sequential_batches',
    'task_folder',
    'truncated_lengths',
    'unswapped',
    'write_vocab_json',
]
