"""Networks as a user calls them: texts in, labels, values, answers, entities or words out."""

from .base import InputError, Pipeline, TaskPipeline
from .classification import Classification, ClassificationPipeline, Regression, RegressionPipeline
from .entities import Entity, EntityPipeline, split_words
from .loading import PRETRAINED, checkpoint_pipeline, load_pipeline, task_pipeline
from .multiple_choice import Choice, MultipleChoicePipeline
from .pretraining import FillMaskPipeline, NextSentence, NextSentencePipeline, Word
from .questions import Answer, QuestionPipeline
from .ranking import CrossEncoder, RankingPipeline, Relevance
from .retrieval import Hit, Retriever
from .sparse import SparsePipeline, SparseVector
from .sparse_encoder import SparseEncoder
from .zero_shot import EntailmentPipeline, SimilarityZeroShotPipeline, ZeroShot, ZeroShotPipeline

__all__ = [
    'PRETRAINED',
    'Answer',
    'Choice',
    'Classification',
    'ClassificationPipeline',
    'CrossEncoder',
    'EntailmentPipeline',
    'Entity',
    'EntityPipeline',
    'FillMaskPipeline',
    'Hit',
    'InputError',
    'MultipleChoicePipeline',
    'NextSentence',
    'NextSentencePipeline',
    'Pipeline',
    'QuestionPipeline',
    'RankingPipeline',
    'Regression',
    'RegressionPipeline',
    'Relevance',
    'Retriever',
    'SimilarityZeroShotPipeline',
    'SparseEncoder',
    'SparsePipeline',
    'SparseVector',
    'TaskPipeline',
    'Word',
    'ZeroShot',
    'ZeroShotPipeline',
    'checkpoint_pipeline',
    'load_pipeline',
    'split_words',
    'task_pipeline',
]
