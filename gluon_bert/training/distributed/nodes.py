"""Keep the launchers of several machines together: they begin, fail and end as one.

Node 0 listens; each other launcher holds a connection to it for as long as the job runs. Messages
are lines of JSON. There is no password, as between the processes of a job: the network must be one
where only its users can connect.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Optional

from .job import LaunchJob
from .peer import Peer
from .supervisor import POLL_SECONDS, Failure

_GREETING_SECONDS = 2.0
_VERDICT_SECONDS = 5.0
_STOP_SECONDS = 10.0  # that a machine may need to end its processes


class Nodes:
    """The launchers of a job, as a context; of one machine there is nobody to talk to.

    Parameters
    ----------
    job : LaunchJob
    port : int
        At which node 0 listens.
    agreed : dict of str to object
        What must be the same on all machines, by the name of its flag.
    timeout : float
        Seconds to wait for the others at the start.
    stop : threading.Event, optional
        Ends the waiting.

    Raises
    ------
    KeyboardInterrupt
        If it is set meanwhile.
    ConnectionError
        If the port is in use, node 0 cannot be reached, or it was started with something else.
    TimeoutError
        If a machine is missing.
    """

    def __init__(
        self,
        job: LaunchJob,
        port: int,
        agreed: dict[str, Any],
        timeout: float,
        stop: Optional[threading.Event] = None,
    ) -> None:
        self.job, self._agreed, self._timeout = job, agreed, timeout
        self._stop = threading.Event() if stop is None else stop
        self._peers: dict[int, Peer] = {}  # by the number of the machine
        self._ready: set[int] = set()
        self._done: set[int] = set()
        self._port: Optional[int] = None
        self._failure: Optional[Failure] = None
        try:
            if job.nodes > 1 and job.node_rank == 0:
                self._gather(port)
            elif job.nodes > 1:
                self._join(port)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Nodes:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        for peer in self._peers.values():
            peer.close()

    # --- the start

    def _gather(self, port):
        """Listen until all other launchers are there."""
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(('', port))
            except OSError as error:
                raise ConnectionError(f'--master_port {port}: {error.strerror}') from None
            listener.listen()
            deadline = time.monotonic() + self._timeout
            while len(self._peers) < self.job.nodes - 1:
                self._check_stop()
                if time.monotonic() > deadline:
                    raise TimeoutError(self._missing(port))
                if select.select([listener], [], [], POLL_SECONDS)[0]:
                    self._greet(*listener.accept())
                failure = self.poll()
                if failure is not None:
                    raise ConnectionError(failure.reason)

    def _missing(self, port):
        numbers = [str(n) for n in range(1, self.job.nodes) if n not in self._peers]
        return (
            f'after {self._timeout:g} s node {", ".join(numbers)} of {self.job.nodes} has not '
            f'connected to port {port}'
        )

    def _greet(self, connection, address):
        """Take in another launcher; what it was started with must be the same."""
        peer = Peer(connection, address[0])
        messages = self._first_messages(peer)
        hello = messages[0].get('hello') if messages else None
        if hello is None:  # it is no launcher
            peer.close()
            return
        reason = self._refusal(hello)
        if reason is not None:
            peer.send(refused=reason)
            peer.close()
            return
        number = hello['node_rank']
        peer.name = f'node {number} ({address[0]})'
        self._peers[number] = peer
        for message in messages[1:]:
            self._note(number, peer, message)

    def _first_messages(self, peer):
        deadline = time.monotonic() + _GREETING_SECONDS
        while time.monotonic() < deadline:
            try:
                messages = peer.receive()
            except ConnectionError:
                break
            if messages:
                return messages
            time.sleep(POLL_SECONDS / 10)
        return []

    def _refusal(self, hello):
        if not isinstance(hello, dict) or not isinstance(hello.get('agreed'), dict):
            return 'the launcher of node 0 is of another version'
        for name, value in self._agreed.items():
            other = hello['agreed'].get(name)
            if other != value:
                return f'--{name} is {other!r} here and {value!r} on node 0'
        number = hello.get('node_rank')
        if number not in range(1, self.job.nodes):
            return f'--node_rank {number}: expected 1 to {self.job.nodes - 1}'
        if number in self._peers:
            return f'--node_rank {number}: {self._peers[number].name} has the same'
        return None

    def _join(self, port):
        """Connect to node 0."""
        host, deadline = self.job.master_addr, time.monotonic() + self._timeout
        while True:
            self._check_stop()
            try:
                connection = socket.create_connection((host, port), timeout=2)
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise ConnectionError(
                        f'node 0 could not be reached at {host}:{port} (--master_addr, '
                        f'--master_port) within {self._timeout:g} s: '
                        f'{error.strerror or "no answer"}'
                    ) from None
                time.sleep(POLL_SECONDS)
        self._peers[0] = Peer(connection, f'node 0 ({host})')
        self._peers[0].send(hello={'node_rank': self.job.node_rank, 'agreed': self._agreed})

    # --- the job

    def begin(self, port: int) -> int:
        """Begin an attempt on all machines, once they have ended the processes of the last one.

        Parameters
        ----------
        port : int
            Free on this machine; that of node 0 counts.

        Returns
        -------
        int

        Raises
        ------
        ConnectionError
            If a machine is lost, or node 0 refuses this one.
        """
        self._done, self._failure = set(), None
        if self.job.nodes == 1:
            return port
        if self.job.node_rank == 0:
            self._wait(lambda: len(self._ready) == len(self._peers))
            self._ready = set()
            self._tell(port=port)
            return port
        self._port = None
        self._tell(ready=True)
        self._wait(lambda: self._port is not None)
        assert self._port is not None
        return self._port

    def _wait(self, is_over: Callable[[], bool]) -> None:
        deadline = time.monotonic() + self._timeout + _STOP_SECONDS
        while not is_over():
            self._check_stop()
            if time.monotonic() > deadline:
                raise TimeoutError('the other machines do not begin')
            failure = self.poll()
            if failure is not None:
                raise ConnectionError(failure.reason)
            time.sleep(POLL_SECONDS)

    def _check_stop(self):
        if self._stop.is_set():
            raise KeyboardInterrupt

    def poll(self) -> Optional[Failure]:
        """Take in messages; give the failure of another machine, of which node 0 tells all."""
        for number, peer in self._peers.items():
            try:
                for message in peer.receive():
                    self._note(number, peer, message)
            except (ConnectionError, TypeError, ValueError) as error:
                self._fail(Failure(1, str(error), False))
        return self._failure

    def _note(self, number, peer, message):
        if 'refused' in message:
            self._fail(Failure(2, str(message['refused']), False))
        if 'ready' in message:
            self._ready.add(number)
        if 'port' in message:
            self._port = int(message['port'])
        if 'done' in message:
            self._done.add(number)
        if 'failed' in message:
            status, reason, may_restart = message['failed']
            prefix = f'{peer.name}: ' if number else ''
            self._fail(Failure(int(status), f'{prefix}{reason}', bool(may_restart)))

    def _fail(self, failure):
        if self._failure is None:
            self._failure = failure
            if self.job.node_rank == 0:
                self._tell(failed=failure)

    def tell_failure(self, failure: Failure) -> Failure:
        """Tell the other machines of a failure on this one.

        Parameters
        ----------
        failure : Failure

        Returns
        -------
        Failure
            The one of which node 0 heard first: often one failure brings others about.
        """
        if self.job.node_rank == 0:
            self._fail(failure)
            return self._failure or failure
        self._tell(failed=failure)
        end = time.monotonic() + _VERDICT_SECONDS
        while self._failure is None and time.monotonic() < end:
            self.poll()
            time.sleep(POLL_SECONDS)
        verdict = self._failure
        is_own = verdict is None or verdict.reason.endswith(failure.reason)
        return failure if is_own or verdict is None else verdict

    def tell_done(self) -> None:
        """Tell the others that the workers of this machine have ended well."""
        if self.job.node_rank not in self._done:
            self._done.add(self.job.node_rank)
            if self.job.node_rank:
                self._tell(done=True)
        if self.job.node_rank == 0 and self.are_done:
            self._tell(done=True)

    @property
    def are_done(self) -> bool:
        """True if the workers of all machines have ended well."""
        return 0 in self._done if self.job.node_rank else len(self._done) == self.job.nodes

    def _tell(self, **message):
        for peer in self._peers.values():
            peer.send(**message)
