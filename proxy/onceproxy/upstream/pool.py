"""Idle connections, by origin and by who we are on them."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from onceproxy.core.messages import Origin
from onceproxy.upstream.connection import UpstreamConnection
from onceproxy.upstream.sessions import TlsContext

Key = tuple[Origin, TlsContext | None]
"""Each client certificate has a context of its own, and a request must never go out as somebody else."""


class IdleConnections:
    """Keeps at most ``most`` connections an origin and certificate, each for ``idle_timeout`` seconds."""

    def __init__(self, idle_timeout: float, most: int) -> None:
        self._idle_timeout = idle_timeout
        self._most = most
        self._idle: defaultdict[Key, list[tuple[float, UpstreamConnection]]] = defaultdict(list)
        self._timer: asyncio.TimerHandle | None = None

    def take(
        self, origin: Origin, context: TlsContext | None, longest_idle: float
    ) -> UpstreamConnection | None:
        """Return the connection that was idle for the shortest time, if less than ``longest_idle``.

        Only one that was made in ``context``.

        One on which something arrived meanwhile is closed, not returned.
        """
        idle = self._idle.get((origin, context), [])
        while idle:
            since, connection = idle.pop()
            if not connection.quiet:
                connection.abort()
            elif connection.loop.time() - since < longest_idle:
                connection.reused = True
                return connection
            else:  # the others have been idle for longer
                idle.append((since, connection))
                return None
        return None

    def give(self, connection: UpstreamConnection) -> None:
        """Keep a connection for the next request."""
        idle = self._idle[connection.origin, connection.context]
        if len(idle) >= self._most:
            connection.abort()
            return
        loop = connection.loop
        connection.rest_idle()
        idle.append((loop.time(), connection))
        if self._timer is None:
            self._timer = loop.call_later(self._idle_timeout, self._close_old)

    def close(self) -> None:
        """Close all of them."""
        for idle in self._idle.values():
            for _, connection in idle:
                connection.abort()
        self._idle.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close_old(self) -> None:
        """Close those that have been idle for too long, and come back when the next one will have been."""
        self._timer = None
        loop = asyncio.get_running_loop()
        limit = loop.time() - self._idle_timeout + 0.001
        for key, idle in list(self._idle.items()):
            young = []
            for entry in idle:
                if entry[0] > limit and entry[1].open:
                    young.append(entry)
                else:
                    entry[1].abort()
            if young:
                self._idle[key] = young
            else:
                del self._idle[key]
        if self._idle:
            oldest = min(idle[0][0] for idle in self._idle.values())
            self._timer = loop.call_at(oldest + self._idle_timeout, self._close_old)
