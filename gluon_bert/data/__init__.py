"""From files of text to batches of arrays."""
from gluonnlp.data import BERTSentenceTransform

from .batches import SequenceData, label_array
from .glue import TASKS, Task, get_task, read_task, task_folder
from .rows import Columns, Example, Split
from .tables import discover_labels, read_table
from .tokenizer import BERTTokenizer, BertTokenizer, Encoded
from .transform import (
    Features,
    SentenceTransform,
    bucketed_batches,
    pad_batch,
    sequential_batches,
    truncated_lengths,
)
from .vocabulary import gluonnlp_order, read_vocab

__all__ = [
    'TASKS',
    'BERTSentenceTransform',
    'BERTTokenizer',
    'BertTokenizer',
    'Columns',
    'Encoded',
    'Example',
    'Features',
    'SentenceTransform',
    'SequenceData',
    'Split',
    'Task',
    'bucketed_batches',
    'discover_labels',
    'get_task',
    'gluonnlp_order',
    'label_array',
    'pad_batch',
    'read_table',
    'read_task',
    'read_vocab',
    'sequential_batches',
    'task_folder',
    'truncated_lengths',
]
