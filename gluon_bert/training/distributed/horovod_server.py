"""Serve Horovod's rendezvous: the place where its processes leave their addresses."""

from __future__ import annotations

import os
import sys


def serve() -> None:
    """Serve at HOROVOD_GLOO_RENDEZVOUS_PORT until this process is killed."""
    try:
        from horovod.runner.common.util.hosts import get_host_assignments, parse_hosts
        from horovod.runner.http.http_server import RendezvousHandler, RendezvousHTTPServer
    except ImportError as error:
        sys.exit(f'error: --comm_backend horovod needs Horovod: {error}')
    size, slots = int(os.environ['HOROVOD_SIZE']), int(os.environ['HOROVOD_LOCAL_SIZE'])
    hosts = ','.join(f'node{number}:{slots}' for number in range(size // slots))
    port = int(os.environ['HOROVOD_GLOO_RENDEZVOUS_PORT'])
    server = RendezvousHTTPServer(('', port), RendezvousHandler, 0)
    server.init(get_host_assignments(parse_hosts(hosts), size))
    server.serve_forever()
