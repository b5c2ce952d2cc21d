"""The opaque tunnels that are open: counted, cut when nothing moves in them, and cut at a stop.

Upgraded connections are tunnels too. Those that are opened with the local CA are not: what is inside is
served like any other connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import structlog
from aiohttp import web

from onceproxy.core.limits import Limit, OverLimit
from onceproxy.core.messages import RawHeaders
from onceproxy.ingress.client_connection import ClientConnection
from onceproxy.ingress.ports import OpenResponse, TunnelMeter
from onceproxy.ingress.relay import RelayEnd, relay
from onceproxy.ingress.responses import head_bytes

log = structlog.get_logger("onceproxy.ingress")


class Tunnels:
    """At most ``most`` at once, each of which may be silent for ``idle_timeout`` seconds.

    ``hit`` is told of each limit that one runs into.
    """

    def __init__(
        self, most: int, idle_timeout: float, hit: Callable[[Limit], None], meter: TunnelMeter
    ) -> None:
        self._most = most
        self._idle_timeout = idle_timeout
        self._hit = hit
        self._meter = meter
        self._open = 0
        self._ends: set[RelayEnd] = set()

    @contextmanager
    def one(self, kind: str) -> Iterator[None]:
        """Count a tunnel of a kind (``connect`` or ``upgrade``) from before it is opened until it is closed.

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
        self._meter.tunnel_opened(kind)
        try:
            yield
        finally:
            self._open -= 1
            self._meter.tunnel_closed(kind)

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

    async def upgraded(
        self, request: web.BaseRequest, response: OpenResponse, protocol: bytes, via: RawHeaders
    ) -> None:
        """Tell a client of its upgrade to ``protocol``, and relay until both sides are closed."""
        headers: RawHeaders = (*response.headers, (b"Connection", b"Upgrade"), (b"Upgrade", protocol), *via)
        transport, early = response.hijack()
        far = RelayEnd()
        transport.set_protocol(far)
        far.connection_made(transport)
        try:
            await request.writer.write(head_bytes(101, response.reason, headers))
            if early:
                far.data_received(early)
            transport.resume_reading()
            await self.relay(cast(ClientConnection, request.protocol), far)
        finally:
            far.abort()  # also where the client has left before it could be told

    def cut(self) -> None:
        """Cut all that are open."""
        for end in list(self._ends):
            end.abort()
