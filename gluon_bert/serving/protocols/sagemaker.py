"""Amazon SageMaker's route for a container; its /ping is among the others."""

from __future__ import annotations

from ..replies import Reply
from ..service import ServiceCall
from .base import Endpoint
from .huggingface import HUGGING_FACE, answer_task, fields_of


async def answer_invocations(call: ServiceCall) -> Reply:
    """Answer as the task of the model does."""
    return await answer_task(call)


ENDPOINTS = (
    Endpoint(
        '/invocations',
        answer_invocations,
        HUGGING_FACE,
        "SageMaker's route: what the task of the model gives",
        example={'inputs': 'A cat sleeps.'},
        fields_of=fields_of,
    ),
)
