"""Run the application on uvicorn: signals, a stop that loses no request, several processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass
from typing import Any, Optional

from .app import NEEDED, make_app
from .connections import Connections, most_connections
from .http_protocol import http_protocol
from .limits import ServerLimits, ZmqSettings
from .logs import log_event, start_log
from .metrics import Metrics
from .models import Source, open_models

_NOTICE = 0.2  # share of the time to stop in which a balancer may learn that we are not ready
_BACKLOG = 4096  # connections; what overflows would wait a minute for an answer
_SWITCH_SECONDS = 0.0005  # between threads of Python
_LAST = 0.3  # seconds in which connections are served after no more are accepted
_SAME = 1.0  # seconds in which signals are one
_CONFIG: dict[str, Any] = {  # of uvicorn
    'ws': 'none',
    'log_config': None,
    'access_log': False,
    'backlog': _BACKLOG,
    'server_header': False,
    'proxy_headers': False,
    'lifespan': 'on',
}


@dataclass(frozen=True)
class Settings:
    """The settings of a server.

    Parameters
    ----------
    sources : tuple of Source
    limits : ServerLimits
    host : str
    port : int
        0 for a free one.
    workers : int
        Processes, each with the models and a queue of its own.
    threads : int, optional
        Of the kernels, in each process.
    zmq : ZmqSettings, optional
        Speak bert-as-service's protocol, too, in the one process.
    """

    sources: tuple[Source, ...]
    limits: ServerLimits
    host: str = '127.0.0.1'
    port: int = 3000
    workers: int = 1
    threads: Optional[int] = None
    zmq: Optional[ZmqSettings] = None


def serve(settings: Settings) -> int:
    """Serve until a signal ends it.

    Parameters
    ----------
    settings : Settings

    Returns
    -------
    int
        The exit status.

    Raises
    ------
    ModuleNotFoundError, OSError, ValueError
        If uvicorn is not installed, the address is taken, or a model cannot be opened.
    """
    try:
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(NEEDED) from error
    if settings.zmq is not None and settings.workers > 1:
        raise ValueError('--zmq_port: one process has the ports, so --workers must be 1')
    with _bound(settings.host, settings.port) as listener:
        if settings.workers == 1:
            return run_worker(settings, listener)
        from .workers import run_workers

        return run_workers(settings, listener)


def run_worker(
    settings: Settings, listener: socket.socket, metrics: Optional[Metrics] = None
) -> int:
    """Open the models and serve in this process.

    Parameters
    ----------
    settings : Settings
    listener : socket.socket
        Bound to the address; it listens when the models are open.
    metrics : Metrics, optional
        Those of all processes, where there are several.

    Returns
    -------
    int
        The exit status.
    """
    if settings.threads is not None:
        os.environ['OMP_NUM_THREADS'] = str(settings.threads)
    # The thread that computes waits so long for the one that reads requests and writes answers.
    sys.setswitchinterval(_SWITCH_SECONDS)
    start_log()
    with contextlib.ExitStack() as stack:
        # What comes before the models are open would end the process: it waits until they are.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        stack.callback(signal.pthread_sigmask, signal.SIG_SETMASK, mask)
        front = None
        if settings.zmq is not None:
            from .zmq_front import ZmqFront

            front = ZmqFront(settings.zmq)
            stack.callback(front.close)
        models = open_models(settings.sources)
        app = make_app(models, settings.limits, metrics=metrics)
        if front is not None:
            front.serve(app.state.service)
        return _run(app, settings, listener, front)


def _run(app, settings, listener, front=None):
    import uvicorn

    class Server(uvicorn.Server):
        """A server that says that it is not ready before it stops taking requests."""

        stopping = 0.0

        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            loop, service = asyncio.get_running_loop(), app.state.service
            self.tasks: set = set()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self.begin_stop, number)
            loop.add_signal_handler(
                signal.SIGHUP, lambda: self.keep(loop.create_task(service.reload()))
            )
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
            opened, seconds = self.server_state.connections, settings.limits.stop_seconds
            self.keep(loop.create_task(Connections(opened, seconds, most_connections()).watch()))
            self.keep(loop.create_task(service.publish()))
            _start_front(front)
            _say_ready(service, listener)

        async def shutdown(self, sockets: Any = None) -> None:
            await asyncio.sleep(0)  # connections that wait are accepted
            for server in self.servers:
                server.close()
            end = time.monotonic() + (1 - _NOTICE) * limits.stop_seconds
            await _stop_front(front, end - time.monotonic())
            config.timeout_graceful_shutdown = max(1, round(end - time.monotonic()))
            # Requests may be under way on connections that look idle.
            await asyncio.sleep(_LAST)
            await super().shutdown(sockets)

        def keep(self, task: Any) -> None:
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

        def begin_stop(self, number: int) -> None:
            service = app.state.service
            if not service.is_ready:
                # A second one; a terminal and the first process send the same one at once.
                if time.monotonic() > self.stopping + _SAME:
                    self.should_exit = self.force_exit = True
                return
            service.is_ready, self.stopping = False, time.monotonic()
            notice = _NOTICE * settings.limits.stop_seconds if number == signal.SIGTERM else 0.0
            log_event('stopping', signal=signal.Signals(number).name, in_flight=service.in_flight)
            asyncio.get_running_loop().call_later(notice, self.stop)

        def stop(self) -> None:
            self.should_exit = True

    limits = settings.limits
    config = uvicorn.Config(app, http=http_protocol(), **_CONFIG)
    server = Server(config)
    server.run(sockets=[listener])
    log_event('stopped')
    return 0 if server.started else 1


def _start_front(front):
    if front is not None:
        front.start()


async def _stop_front(front, seconds):
    if front is not None:
        await front.stop(seconds)


def _say_ready(service, listener):
    host, port = listener.getsockname()[:2]
    shown = f'[{host}]' if ':' in host else host
    log_event(
        'ready',
        url=f'http://{shown}:{port}',
        process=os.getpid(),
        models={model.name: model.task for model in service.models},
        tokens_per_second={model.name: round(model.tokens_per_second) for model in service.models},
        max_queue_tokens=service.batcher.max_queue_tokens,
        has_key=bool(service.limits.api_keys),
    )


def _bound(host, port):
    """A socket at an address, which listens later."""
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    # With the protocol named, asyncio sends small packets at once (TCP_NODELAY).
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise OSError(f'--host {host} --port {port}: {reason}') from None
    return listener
