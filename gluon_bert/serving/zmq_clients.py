"""The clients of bert-as-service's protocol: who listens, and what is on the way to them."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from typing import Any, Optional

_GRACE = 1.0  # seconds in which a client that lost its connection may be back
_MAX_TOPICS = 10_000
_MAX_CLIENT_BYTES = 64 << 20  # that are on the way to one client
_MAX_BYTES = 256 << 20  # that are on the way to all
_MAX_ANSWERS = 1000  # that are on the way to one client


class Subscriptions:
    """The topics to which clients have subscribed, and changes of them to wait for."""

    def __init__(self) -> None:
        self._counts: dict[bytes, int] = {}
        self._changed: Any = None

    def __contains__(self, topic: bytes) -> bool:
        return topic in self._counts

    def take(self, message: bytes) -> Optional[bool]:
        """Read a message of the socket for answers.

        Parameters
        ----------
        message : bytes
            Its first byte is 1 if a client subscribes, 0 if it leaves.

        Returns
        -------
        bool or None
            True to subscribe, False to unsubscribe, None to do neither.
        """
        topic = message[1:]
        if message[:1] == b'\x01':
            # All topics begin with the empty one: it would get the answers of all clients.
            if not 0 < len(topic) < 256 or len(self._counts) >= _MAX_TOPICS:
                return None
            self._counts[topic] = self._counts.get(topic, 0) + 1
        elif message[:1] == b'\x00' and topic in self._counts:
            self._counts[topic] -= 1
            if not self._counts[topic]:
                del self._counts[topic]
        else:
            return None
        if self._changed is not None:
            self._changed.set()
            self._changed = None
        return message[:1] == b'\x01'

    async def until(self, topic: bytes, is_there: bool, seconds: Optional[float] = None) -> bool:
        """Wait until somebody, or nobody, listens to a topic; False if that takes too long."""
        loop = asyncio.get_running_loop()
        end = None if seconds is None else loop.time() + seconds
        while (topic in self._counts) != is_there:
            self._changed = self._changed or asyncio.Event()
            try:
                rest = None if end is None else max(0.0, end - loop.time())
                await asyncio.wait_for(self._changed.wait(), rest)
            except asyncio.TimeoutError:
                return False
        return True

    async def until_gone(self, topic: bytes) -> None:
        """Wait until nobody has listened to a topic for a while."""
        await self.until(topic, False)
        while await self.until(topic, True, _GRACE):
            await self.until(topic, False)


class Outgoing:
    """The answers that are on the way to clients, in bytes of memory."""

    def __init__(self) -> None:
        self._answers: dict[bytes, deque] = defaultdict(deque)

    def has_room(self, client: bytes, size: int) -> bool:
        """Tell if an answer may be sent now; one that is alone always may."""
        for key in list(self._answers):
            answers = self._answers[key]
            while answers and answers[0][1].done:
                answers.popleft()
            if not answers:
                del self._answers[key]
        sizes = {key: sum(row[0] for row in rows) for key, rows in self._answers.items()}
        is_far = len(self._answers.get(client, ())) < _MAX_ANSWERS
        own_fits = client not in sizes or sizes[client] + size <= _MAX_CLIENT_BYTES
        return is_far and own_fits and (not sizes or sum(sizes.values()) + size <= _MAX_BYTES)

    def add(self, client: bytes, size: int, tracker: Any) -> None:
        """Count an answer until its tracker is done."""
        self._answers[client].append((size, tracker))
