"""Measurements of one server of load.py: its memory over many requests, and an overload."""

from __future__ import annotations

import asyncio
import functools
import itertools
import time

from load_client import percentile, request_bytes, run_closed, run_open
from load_systems import NAME, Server
from load_work import KINDS, PATH, Library, body_of

CONCURRENCY = 16  # of the requests over which memory is measured
_FULL = 64  # open requests by which the rate of a server is measured
_RATE_SECONDS = 5.0
_LONG_EVERY = 20  # every so many requests a paragraph, else a sentence
PERCENTS = range(0, 101)


def _texts(args, folder):
    library = Library(folder / 'model', args.threads)
    return {kind: [text for text, _ in library.fitting(KINDS[kind]())] for kind in args.texts}


def _requests(port, texts):
    return [request_bytes(port, PATH, body_of(text, NAME)) for text in texts]


def _mixed(port, texts):
    """Sentences, and now and then a paragraph, for ever."""
    cycles = [itertools.cycle(_requests(port, part)) for part in texts.values()]
    for number in itertools.count(1):
        yield next(cycles[-1 if number % _LONG_EVERY == 0 else 0])


def measure_memory(args, folder):
    """Yield the memory of the server after each percent of the requests."""
    name, texts = args.systems[0], _texts(args, folder)
    with Server(name, folder, args.threads, folder / f'{name}.log', args.infinity) as server:
        requests, answers, rows = _mixed(server.port, texts), itertools.count(1), []
        marks = iter([max(1, args.requests * percent // 100) for percent in PERCENTS])
        mark, begun = next(marks), time.perf_counter()

        def note(status, body):
            nonlocal mark
            if next(answers) == mark:
                rows.append(
                    (mark, time.perf_counter() - begun, server.memory(), server.memory('VmHWM'))
                )
                mark = next(marks, None)

        outcome = asyncio.run(
            run_closed(server.port, requests, CONCURRENCY, count=args.requests, on_answer=note)
        )
        failed = args.requests - len(outcome.times())
        for done, seconds, memory, peak in rows:
            yield {
                'system': name,
                'requests': done,
                'seconds': round(seconds, 1),
                'memory_mb': round(memory / 1e6, 1),
                'peak_memory_mb': round(peak / 1e6, 1),
                'texts': '+'.join(texts),
                'concurrency': CONCURRENCY,
                'failed_of_all': failed,
                'threads': args.threads,
            }


def measure_overload(args, folder):
    """Yield a row for each kind of text."""
    name = args.systems[0]
    for kind, texts in _texts(args, folder).items():
        log = folder / f'{name}.log'
        with Server(name, folder, args.threads, log, args.infinity) as server:
            requests = itertools.cycle(_requests(server.port, texts))
            full = asyncio.run(run_closed(server.port, requests, _FULL, _RATE_SECONDS))
            rate = len(full.times()) / full.seconds
            memory = [(0.0, server.memory())]
            outcome = asyncio.run(
                run_open(
                    server.port,
                    requests,
                    args.times * rate,
                    args.seconds,
                    functools.partial(_sample, memory, server),
                )
            )
            yield {
                'system': name,
                'texts': kind,
                'rate_without_overload': round(rate, 1),
                'seconds': args.seconds,
                **_figures(outcome, args.seconds),
                'memory_before_mb': round(memory[0][1] / 1e6, 1),
                'memory_middle_mb': round(memory[len(memory) // 2][1] / 1e6, 1),
                'memory_after_mb': round(memory[-1][1] / 1e6, 1),
                'peak_memory_mb': round(server.memory('VmHWM') / 1e6, 1),
                'threads': args.threads,
            }


def _sample(memory, server, now):
    if now - memory[-1][0] >= 1.0:
        memory.append((now, server.memory()))


def _figures(outcome, seconds):
    others = {status: n for status, n in outcome.statuses.items() if status not in (200, 429)}
    offered = sum(outcome.statuses.values()) + outcome.unanswered
    accepted, refused = outcome.times(200), outcome.times(429)
    return {
        'offered_per_second': round(offered / seconds, 1),
        'not_offered': outcome.not_offered,
        'status_200': outcome.statuses[200],
        'status_429': outcome.statuses[429],
        'other_statuses': ' '.join(f'{status}:{n}' for status, n in others.items()),
        'unanswered': outcome.unanswered,
        'accepted_per_second': round(outcome.statuses[200] / seconds, 1),
        'accepted_p50_ms': round(1000 * percentile(accepted, 0.5), 1),
        'accepted_p99_ms': round(1000 * percentile(accepted, 0.99), 1),
        'accepted_longest_ms': round(1000 * (accepted or [0])[-1], 1),
        'refused_p99_ms': round(1000 * percentile(refused, 0.99), 1),
    }
