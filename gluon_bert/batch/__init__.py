"""Inference over files, in shards: in processes or on a cluster, resumed after a restart."""

from .._internal.workers import Workers
from .job import BatchSummary, ShardedJob, run_batch
from .shards import Shard, ShardCounts, ShardWork
from .stages import EmbedStage, FeatureStage, PredictStage, Stage

__all__ = [
    'ShardedJob',
    'BatchSummary',
    'EmbedStage',
    'FeatureStage',
    'PredictStage',
    'Shard',
    'ShardCounts',
    'ShardWork',
    'Stage',
    'Workers',
    'run_batch',
]
