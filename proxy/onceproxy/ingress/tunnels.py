"""The opaque tunnels that are open: counted, cut when nothing moves in them, and cut at a stop.

Upgraded connections are tunnels too. Those that are opened with the local CA are not: what is inside is
served like any other connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from onceproxy.core.limits import Limit, OverLimit
from onceproxy.ingress.client_connection import ClientConnection
from onceproxy.ingress.relay import RelayEnd, relay

log = structlog.get_logger("onceproxy.ingress")


class Tunnels:
    """At most ``most`` at once, each of which may be silent for ``idle_timeout`` seconds.

    ``hit`` is told of each limit that one runs into.
    """

    def __init__(self, most: int, idle_timeout: float, hit: Callable[[Limit], None]) -> None:
        self._most = most
        self._idle_timeout = idle_timeout
        self._hit = hit
        self._open = 0
        self._ends: set[RelayEnd] = set()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count a tunnel from before it is opened until it is closed.

        Raises:
            OverLimit: there are as many as may be.
        """
        if self._open >= self._most:
            self._hit(Limit.TUNNELS)
            raise OverLimit(
                Limit.TUNNELS,
                "There are as many tunnels as may be. Nothing was sent. Retry later: it is safe "
                "(limits.tunnels).",
            )
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

    async def relay(self, connection: ClientConnection, far: RelayEnd) -> None:
        """Relay opaque bytes between a client's connection and ``far`` until both are closed."""
        near = RelayEnd()
        self._ends |= {near, far}
        try:
            transport, early = connection.take_over(near)
            near.connection_made(transport)
            if early:
                near.data_received(early)
            transport.resume_reading()
            if not await relay(near, far, self._idle_timeout):
                self._hit(Limit.TUNNEL_IDLE_TIMEOUT)
                log.info("tunnel-idle", seconds=self._idle_timeout)
        finally:
            self._ends -= {near, far}
            far.abort()
            connection.abandon()

    def cut(self) -> None:
        """Cut all that are open."""
        for end in list(self._ends):
            end.abort()
