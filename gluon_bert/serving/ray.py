"""The application under Ray Serve: replicas over cores and machines, replaced when they die.

Ray is imported when a deployment is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional, Union

from .._internal.checks import check_positive
from ..inference.sentence_options import source_of
from ..zoo import find_model
from ..zoo.fetch.hub import is_hub_url
from .app import make_app
from .limits import ServerLimits
from .logs import start_log
from .models import Source, check_names, open_models, read_source

NEEDED = "replicas need Ray Serve: pip install 'gluon_bert[ray]'"
_PAUSE = 0.2  # seconds between two looks at what a replica has yet to answer
_HEALTH_PERIOD = 2.0  # seconds between two looks of Ray at a replica, after which it is replaced
_ID = b'x-request-id'
_GRACE = 5.0  # seconds beyond the time to stop, after which Ray kills a replica


class Replica:
    """One process of a deployment, with the models and a queue of its own."""

    app: Any
    """The application, which Ray's wrapper holds."""

    def check_health(self) -> None:
        """Raise RuntimeError if the replica can answer no more, so that Ray replaces it."""
        if not self.app.state.service.is_healthy:
            raise RuntimeError('the server is not ready')


def deployment(
    models: Union[str, Sequence[Union[str, Source]]],
    limits: Optional[ServerLimits] = None,
    num_replicas: int = 1,
    num_cpus: int = 1,
    name: str = 'gluon-bert',
) -> Any:
    """Make a deployment of the server for Ray Serve.

    Parameters
    ----------
    models : sequence of str or Source
        As on the command line: NAME=MODEL, or MODEL alone. Paths must be there on all machines,
        and on this one.
    limits : ServerLimits, optional
        Of each replica.
    num_replicas : int
        Processes, each with the models and a queue of its own.
    num_cpus : int
        Cores that a replica reserves, and the threads that it computes with.
    name : str
        In Ray's status and logs.

    Returns
    -------
    ray.serve.Deployment
        ``.options(...)`` changes what Ray does with it, ``.bind()`` makes it an application.

    Raises
    ------
    ModuleNotFoundError
        If Ray Serve is not installed.
    FileNotFoundError, ValueError
        If there is no such model, an argument is wrong, or two models have one name.

    Examples
    --------
    >>> from ray import serve  # doctest: +SKIP
    >>> from gluon_bert.serving.ray import deployment
    >>> serve.run(deployment(['search=all_minilm_l6_v2'], num_replicas=2).bind())  # doctest: +SKIP
    """
    check_positive(num_replicas=num_replicas, num_cpus=num_cpus)
    sources = _sources([models] if isinstance(models, str) else models)
    bounds = ServerLimits() if limits is None else limits
    try:
        from ray import serve
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(NEEDED) from error

    def build() -> Any:  # in each replica
        start_log()
        app = make_app(open_models(sources), bounds)
        app.add_middleware(_WithoutId)
        return app

    threads = dict.fromkeys(('OMP_NUM_THREADS', 'RAYON_NUM_THREADS'), str(num_cpus))
    return serve.deployment(
        serve.ingress(build)(Replica),
        name=name,
        num_replicas=num_replicas,
        ray_actor_options={'num_cpus': num_cpus, 'runtime_env': {'env_vars': threads}},
        max_ongoing_requests=bounds.max_concurrent_requests,
        max_queued_requests=bounds.max_concurrent_requests,
        health_check_period_s=_HEALTH_PERIOD,
        graceful_shutdown_wait_loop_s=_PAUSE,
        graceful_shutdown_timeout_s=bounds.stop_seconds + _GRACE,
    )


class _WithoutId:
    """Leave the request's id out of an answer: Ray's proxy adds the same."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_without(message: Any) -> None:
            if message['type'] == 'http.response.start':
                message['headers'] = [row for row in message['headers'] if row[0] != _ID]
            await send(message)

        await self._app(scope, receive, send_without)


def _sources(models):
    """The models, with absolute paths: replicas have a folder of their own."""
    rows = [read_source(row) if isinstance(row, str) else row for row in models]
    if not rows:
        raise ValueError('models: expected one model or more, got none')
    check_names(rows)
    return [replace(row, path=_absolute(row.path)) for row in rows]


def _absolute(text):
    path = Path(text)
    if path.exists() or path.with_name(f'{path.name}.index').is_file():
        return str(path.absolute())
    if not is_hub_url(text) and find_model(source_of(text)) is None:
        raise FileNotFoundError(f'{text}: no such file or folder, and no model of the zoo')
    return text
