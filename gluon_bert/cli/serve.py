"""Serve models over HTTP: vectors, labels, answers, entities, masked words.

Routes are those of text-embeddings-inference, OpenAI's embeddings, rerank, Hugging Face's task
form, SageMaker and KServe; /openapi.json describes them. A model answers those of its task. A
request chooses one of several models by its name: the last part of its path, or NAME=MODEL. The
page at / shows results in a browser. With --zmq_port clients of bert-as-service get the vectors of
the first model that gives them.

examples:
  gluon-bert serve all_minilm_l6_v2
  gluon-bert serve mood=output_dir search=all_minilm_l6_v2 --port 8080
  gluon-bert serve output_dir --host 0.0.0.0 --api_key_file keys.txt --workers 2
  gluon-bert serve all_minilm_l6_v2 --zmq_port 5555 --zmq_port_out 5556

SIGTERM stops it when all accepted requests are answered, SIGHUP opens the models anew.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from ..serving.limits import KEY_VARIABLE, ServerLimits, ZmqSettings, read_api_keys

_TASKS = ('feature-extraction', 'fill-mask', 'next-sentence', 'sparse-embedding')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    bounds = ServerLimits()
    parser.add_argument(
        'models',
        nargs='+',
        metavar='MODEL',
        help='NAME=MODEL, or MODEL: a folder that a fine-tuning script wrote, a checkpoint, '
        'hf://owner/name, or a model of the zoo as NAME/DATASET',
    )
    parser.add_argument('--host', default='127.0.0.1', help='address (default: 127.0.0.1)')
    parser.add_argument('--port', type=int, default=3000, metavar='N', help='default: 3000')
    parser.add_argument(
        '--workers',
        type=int,
        default=1,
        metavar='N',
        help='processes, each with the models and a queue of its own (default: 1)',
    )
    parser.add_argument(
        '--threads',
        type=int,
        metavar='N',
        help='of the kernels, in each process (default: OMP_NUM_THREADS, else the cores shared '
        'among the processes)',
    )
    parser.add_argument(
        '--precision',
        choices=('float32', 'bfloat16', 'int8', 'saved'),
        help='of the dense layers; saved: as gluon-bert quantize found it (default: float32)',
    )
    parser.add_argument(
        '--task', choices=_TASKS, help='of pre-trained models (default: what they were trained for)'
    )
    parser.add_argument(
        '--auto_truncate',
        action='store_true',
        help='cut texts that are too long where a request does not say truncate (default: 422)',
    )
    _add_bounds(parser, bounds)
    _add_access(parser)
    _add_zmq(parser)


def _add_bounds(parser, bounds):
    numbers = (
        ('max_batch_tokens', 'tokens that are computed at once'),
        ('max_concurrent_requests', 'open requests; more are answered with 429'),
        ('max_client_batch_size', 'texts in a request; more are answered with 413'),
        ('payload_limit', 'bytes of a request; more are answered with 413'),
    )
    for name, about in numbers:
        default = getattr(bounds, name)
        parser.add_argument(
            f'--{name}', type=int, default=default, metavar='N', help=f'{about} ({default})'
        )
    parser.add_argument(
        '--max_queue_tokens',
        type=int,
        metavar='N',
        help='tokens that may wait; more are answered with 429 (default: what is computed in half '
        'of --stop_seconds, by the speed of the last batches)',
    )
    parser.add_argument(
        '--stop_seconds',
        type=float,
        default=bounds.stop_seconds,
        metavar='S',
        help='time to answer what was accepted when the server stops, and to receive a request '
        f'({bounds.stop_seconds:g})',
    )


def _add_access(parser):
    parser.add_argument(
        '--api_key_file',
        metavar='FILE',
        help=f'keys, one a line, of which each request must bring one (default: ${KEY_VARIABLE}, '
        'else none)',
    )
    parser.add_argument(
        '--cors_origin',
        action='append',
        default=[],
        metavar='ORIGIN',
        help='web pages of this origin may call, such as https://example.org; may be repeated '
        '(default: none)',
    )


def _add_zmq(parser):
    parser.add_argument(
        '--zmq_port',
        type=int,
        metavar='N',
        help="take requests of bert-as-service's clients here; its protocol has no keys "
        '(default: do not)',
    )
    parser.add_argument(
        '--zmq_port_out', type=int, metavar='N', help='and answer them here (default: the next)'
    )
    parser.add_argument(
        '--zmq_host', metavar='ADDRESS', help='numeric address of both (default: 127.0.0.1)'
    )
    parser.add_argument(
        '--show_tokens_to_client', action='store_true', help='send them tokens with the vectors'
    )


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    zmq = _zmq(args)
    for name, least in (('workers', 1), ('threads', 1)):
        value = getattr(args, name)
        if value is not None and value < least:
            raise ValueError(f'--{name} {value}: expected {least} or more')
    if not 0 <= args.port < 1 << 16:
        raise ValueError(f'--port {args.port}: expected 0 to 65535, 0 for a free one')
    limits = ServerLimits(
        args.max_batch_tokens,
        args.max_concurrent_requests,
        args.max_client_batch_size,
        args.payload_limit,
        args.max_queue_tokens,
        args.stop_seconds,
        args.auto_truncate,
        read_api_keys(args.api_key_file),
        tuple(args.cors_origin),
    )
    from ..serving.server import Settings, serve

    sources = _sources(args)
    settings = Settings(
        sources, limits, args.host, args.port, args.workers, _threads(args), zmq=zmq
    )
    try:
        return serve(settings)
    except ModuleNotFoundError as error:
        raise ValueError(str(error)) from None


def _zmq(args):
    if args.zmq_port is None:
        for name in ('zmq_port_out', 'zmq_host', 'show_tokens_to_client'):
            if getattr(args, name):
                raise ValueError(f'--{name} needs --zmq_port')
        return None
    port, out = args.zmq_port, args.zmq_port_out
    if out is None:
        out = port and port + 1
    for name, value in (('zmq_port', port), ('zmq_port_out', out)):
        if not 0 <= value < 1 << 16:
            raise ValueError(f'--{name} {value}: expected 0 to 65535, 0 for a free one')
    if port == out != 0:
        raise ValueError(f'--zmq_port_out {out}: is --zmq_port, too')
    host = args.zmq_host or ZmqSettings.host
    return ZmqSettings(port, out, host, args.show_tokens_to_client)


def _sources(args):
    from ..serving.models import check_names, read_source

    rows = [read_source(word, args.task, args.precision) for word in args.models]
    check_names(rows)
    return tuple(replace(row, path=_path(row.path)) for row in rows)


def _path(word):
    """A model as open_checkpoint takes it; its data set alone is a name, too."""
    from ..inference.sentence_options import source_of
    from .models import read_model

    return read_model([source_of(word)]).source


def _threads(args):
    import os

    from .._internal.cpu import physical_cores

    if args.threads is not None or args.workers == 1 or os.environ.get('OMP_NUM_THREADS'):
        return args.threads
    return max(1, physical_cores() // args.workers)
