"""Hugging Face's task form: ``{"inputs": ..., "parameters": {...}}``, as InferenceClient sends it.

One route answers for every task; a row of ``FORMS`` says what its model's task reads.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from ..errors import invalid, too_large
from ..fields import (
    INPUTS_OR_PAIRS,
    ONE_OR_TEXTS,
    TEXT,
    TEXTS,
    TOP_K,
    TRUNCATE,
    Field,
    choice,
    object_field,
    read_fields,
    schema_of,
    texts,
)
from ..limits import MAX_CHARACTERS
from ..models import EMBEDDING, SPARSE
from ..operations import CLASSIFIERS, check_count, predict
from ..replies import Reply, json_reply
from ..service import ServiceCall
from .base import PLAIN_SCHEMA, Endpoint, Protocol, plain_error
from .tei import label_rows, pair_items
from .tei_vectors import (
    EMBED_FIELDS,
    SIMILARITY_FIELDS,
    answer_embed,
    answer_embed_sparse,
    answer_similarity,
)

HUGGING_FACE = Protocol('huggingface', "Hugging Face's task form", plain_error, PLAIN_SCHEMA)


_MOST_WORDS = 100  # for a mask
# What makes scores of a network's outputs.
_FUNCTIONS = {'text-classification': 'softmax', 'text-regression': 'none'}


async def _classify(call: ServiceCall) -> Reply:
    inputs, parameters = call.body['inputs'], call.body['parameters']
    function = _FUNCTIONS.get(call.model.task) or call.model.settings.get('activation', 'sigmoid')
    function = 'none' if function == 'identity' else function
    if parameters['function_to_apply'] not in (None, function):
        raise invalid(f'parameters.function_to_apply: the model has {function}')
    items, _ = pair_items(call, inputs)
    results = await predict(call, items, parameters['truncate'])
    rows = [label_rows(call, result)[: parameters['top_k']] for result in results]
    return json_reply(rows)  # a list of lists for one text, too


async def _embed_sparse(call: ServiceCall) -> Reply:
    call.body['truncate'] = call.body['parameters']['truncate']
    return await answer_embed_sparse(call)


async def _find_entities(call: ServiceCall) -> Reply:
    inputs = call.body['inputs']
    ignored = set(call.body['parameters']['ignore_labels'])
    # Windows cut nothing but words that are longer than one, which changes no text.
    results = await predict(call, [inputs] if isinstance(inputs, str) else inputs, truncate=True)
    rows = [
        [
            {
                'entity_group': entity.type,
                'score': entity.probability,
                'word': entity.text,
                'start': entity.start,
                'end': entity.end,
            }
            for entity in entities
            if entity.type not in ignored
        ]
        for entities in results
    ]
    answer = rows[0] if isinstance(inputs, str) else rows
    return await call.service.work(call.tokens, json_reply, answer)


async def _answer_questions(call: ServiceCall) -> Reply:
    inputs, parameters = call.body['inputs'], call.body['parameters']
    questions = [inputs] if isinstance(inputs, dict) else inputs
    pairs = [(row['question'], row['context']) for row in questions]
    results = await predict(call, pairs, parameters['truncate'])
    size, rows = parameters['top_k'] or 1, []
    for result in results:
        candidates = [row for row in result.candidates if row.text or result.null_odds is not None]
        best = {'answer': result.text, 'score': result.probability}
        best |= {'start': result.start, 'end': result.end}
        others = [
            {'answer': row.text, 'score': row.probability, 'start': row.start, 'end': row.end}
            for row in candidates
            if row.text != result.text
        ]
        rows.append(best if size == 1 else [best, *others][:size])
    return json_reply(rows[0] if isinstance(inputs, dict) else rows)


async def _choose(call: ServiceCall) -> Reply:
    inputs = call.body['inputs']
    given = [inputs] if isinstance(inputs, dict) else inputs
    check_count(call, [choice for row in given for choice in row['choices']])
    try:
        examples = [call.model.pipeline.as_example(row) for row in given]
    except ValueError as error:
        raise invalid(f'inputs: {error}') from None
    results = await predict(call, examples, call.body['parameters']['truncate'])
    rows = [
        [
            {'label': choice, 'score': share}
            for choice, share in zip(example.choices, result.probabilities)
        ]
        for example, result in zip(examples, results)
    ]
    return json_reply(rows[0] if isinstance(inputs, dict) else rows)


async def _fill_masks(call: ServiceCall) -> Reply:
    inputs = call.body['inputs']
    given = [inputs] if isinstance(inputs, str) else inputs
    check_count(call, given)
    vocabulary = call.model.tokenizer.vocabulary
    size, most = call.body['parameters']['top_k'], min(_MOST_WORDS, len(vocabulary))
    if size is not None and size > most:
        raise invalid(f'parameters.top_k: expected 1 to {most}, got {size}')
    mask, rows = vocabulary.mask_token, []
    # Each word comes with the whole text.
    repeated = sum(len(text) * text.count(mask) for text in given)
    characters = repeated * (size or call.model.pipeline.top_k)
    if characters > MAX_CHARACTERS:
        raise too_large(f'the answer would have {characters} characters, at most {MAX_CHARACTERS}')
    results = await predict(call, given, top_k=size)
    for text, masks in zip(given, results):
        filled = [
            [
                {
                    'score': word.probability,
                    'token': word.token_id,
                    'token_str': word.text,
                    'sequence': _filled(text, mask, number, word.text),
                }
                for word in words
            ]
            for number, words in enumerate(masks)
        ]
        rows.append(filled[0] if len(filled) == 1 else filled)
    return json_reply(rows[0] if isinstance(inputs, str) else rows)


def _filled(text, mask, number, word):
    """A text with a word in place of one of its masks."""
    parts = text.split(mask)
    before, after = mask.join(parts[: number + 1]), mask.join(parts[number + 1 :])
    return before + word.strip() + after


async def _embed_or_compare(call: ServiceCall) -> Reply:
    # Parameters stand beside the inputs or within an object of their own.
    parameters = call.body['parameters']
    for name in parameters:
        if call.body[name] is not None:
            parameters = {**parameters, name: call.body[name]}
    call.body = {**call.body, **parameters, 'parameters': parameters}
    is_comparison = isinstance(call.body['inputs'], dict)
    return await (answer_similarity if is_comparison else answer_embed)(call)


def _one_or_objects(fields: Mapping[str, Field]) -> Callable[[Any], Any]:
    """Make the check of an object with these fields, or of a list of such objects."""

    def check(value: Any) -> Any:
        if isinstance(value, list) and value:
            return [read_fields(row, fields, f'inputs[{i}].') for i, row in enumerate(value)]
        return read_fields(value, fields, 'inputs.')

    return check


def _inputs_of_vectors(value: Any) -> Any:
    fields = SIMILARITY_FIELDS if isinstance(value, dict) else EMBED_FIELDS
    return fields['inputs'].check(value)


class TaskForm(NamedTuple):
    """The form of requests for models of some tasks.

    Parameters
    ----------
    answer : callable
    inputs : Field
    parameters : mapping of str to Field
    beside : mapping of str to Field
        That may stand beside ``inputs``, too.
    """

    answer: Callable[[ServiceCall], Awaitable[Reply]]
    inputs: Field
    parameters: Mapping[str, Field]
    beside: Mapping[str, Field] = MappingProxyType({})

    @property
    def fields(self) -> dict[str, Field]:
        """The fields of a body."""
        about = 'of the task'
        parameters = object_field('parameters', self.parameters, about)
        return {'inputs': self.inputs, 'parameters': parameters, **self.beside}


_PARAMETERS = {
    name: row if row.default is None else row.but(default=None)
    for name, row in EMBED_FIELDS.items()
    if name != 'inputs'
}
_CLASSIFY = TaskForm(
    _classify,
    INPUTS_OR_PAIRS,
    {
        'top_k': TOP_K,
        'function_to_apply': Field(
            choice('softmax', 'sigmoid', 'none'),
            {'enum': ['softmax', 'sigmoid', 'none']},
            "only the model's own",
            None,
        ),
        'truncate': TRUNCATE,
    },
)
_QUESTION = {'question': TEXT, 'context': TEXT}
_CHOICES = {'context': TEXT, 'question': TEXT.but(default=None), 'choices': TEXTS}
FORMS: Mapping[str, TaskForm] = {
    **dict.fromkeys((*CLASSIFIERS, 'next-sentence'), _CLASSIFY),
    'token-classification': TaskForm(
        _find_entities,
        ONE_OR_TEXTS,
        {
            'aggregation_strategy': Field(
                choice('simple', 'first'),
                {'enum': ['simple', 'first']},
                'tokens are always joined to entities; a word has the tag of its first token',
                'simple',
            ),
            'ignore_labels': Field(texts, {'type': 'array'}, 'types to leave out', ()),
        },
    ),
    'question-answering': TaskForm(
        _answer_questions,
        Field(
            _one_or_objects(_QUESTION),
            schema_of(_QUESTION),
            'an object with question and context, or several',
        ),
        {'top_k': TOP_K, 'truncate': TRUNCATE.but(about='cut longer questions')},
    ),
    'multiple-choice': TaskForm(
        _choose,
        Field(
            _one_or_objects(_CHOICES),
            schema_of(_CHOICES),
            'an object with context, choices and, in front of each of them, question; or several',
        ),
        {'truncate': TRUNCATE},
    ),
    'fill-mask': TaskForm(_fill_masks, ONE_OR_TEXTS, {'top_k': TOP_K}),
    SPARSE: TaskForm(_embed_sparse, ONE_OR_TEXTS, {'truncate': TRUNCATE}),
    EMBEDDING: TaskForm(
        _embed_or_compare,
        Field(
            _inputs_of_vectors,
            {'oneOf': [EMBED_FIELDS['inputs'].schema, SIMILARITY_FIELDS['inputs'].schema]},
            'texts, or an object with source_sentence and sentences',
        ),
        _PARAMETERS,
        _PARAMETERS,
    ),
}


def fields_of(task: str) -> Mapping[str, Field]:
    """Return the fields of a body for a model of a task."""
    return FORMS[task].fields


async def answer_task(call: ServiceCall) -> Reply:
    """Answer as the task of the model does."""
    return await FORMS[call.model.task].answer(call)


ENDPOINTS = (
    Endpoint(
        '/',
        answer_task,
        HUGGING_FACE,
        'What the task of the model gives',
        example={'inputs': 'A cat sleeps.'},
        fields_of=fields_of,
    ),
)
