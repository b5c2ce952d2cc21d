"""CONNECT: an opaque tunnel where the configuration says so, else TLS that is opened here.

After the 200 the first byte decides: 0x16 starts a TLS handshake, anything else is taken for plain HTTP,
which some clients send through CONNECT for ``http://`` URLs. What is inside is served by the same handler as
on the outside, with the tunnel's origin in place of the request target's.
"""

from __future__ import annotations

import asyncio
import fnmatch
import ssl
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, cast

import structlog
from aiohttp import web

from onceproxy.core.attempts import SendFailed
from onceproxy.core.problems import Problem, ProblemType, upstream_problem
from onceproxy.ingress.client_connection import ClientConnection, Tunnel
from onceproxy.ingress.ports import Outbound
from onceproxy.ingress.relay import RelayEnd, relay
from onceproxy.ingress.responses import HandedOver, ProblemResponse

log = structlog.get_logger("onceproxy.ingress")

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_TLS_HANDSHAKE = 0x16  # the content type of a TLS record that carries a ClientHello (RFC 8446 §5.1)


class Leaves(Protocol):
    """Where the certificates of intercepted hosts come from."""

    def context_for(self, host: str) -> ssl.SSLContext:
        """Return a server context for ``host``. Raises ``ValueError`` for what is no host name."""
        ...


class FirstBytes(asyncio.Protocol):
    """Keeps what a client says first, until it is known what speaks."""

    def __init__(self) -> None:
        self.arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.data = b""

    def data_received(self, data: bytes) -> None:
        """Keep the bytes."""
        self.data += data
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake the one that waits; there may be nothing to read."""
        self._wake()

    def _wake(self) -> None:
        if not self.arrived.done():
            self.arrived.set_result(None)


class Connector:
    """Serves CONNECT requests.

    ``intercept`` false makes every tunnel opaque; ``passthrough`` are host globs whose tunnels are.
    ``patience`` is how long a client may take to start speaking and to shake hands, in seconds.
    """

    def __init__(
        self,
        outbound: Outbound,
        leaves: Leaves,
        inner: Callable[[], ClientConnection],
        *,
        intercept: bool,
        passthrough: tuple[str, ...],
        patience: float,
    ) -> None:
        self._outbound = outbound
        self._leaves = leaves
        self._inner = inner
        self._intercept = intercept
        self._passthrough = tuple(pattern.lower() for pattern in passthrough)
        self._patience = patience

    async def serve(self, request: web.BaseRequest, tunnel: Tunnel) -> web.StreamResponse:
        """Answer a CONNECT and serve its tunnel until it closes."""
        connection = cast(ClientConnection, request.protocol)
        host = tunnel.origin.host
        if not self._intercept or any(fnmatch.fnmatchcase(host, glob) for glob in self._passthrough):
            return await self._opaque(request, connection, tunnel)
        try:
            context = await asyncio.to_thread(self._leaves.context_for, host)
        except ValueError as error:
            return ProblemResponse(Problem(ProblemType.BAD_REQUEST, f"No certificate: {error}"), close=True)
        await request.writer.write(ESTABLISHED)
        try:
            await self._intercepted(connection, tunnel, context)
        finally:
            connection.abandon()
        return HandedOver()

    async def _opaque(
        self, request: web.BaseRequest, connection: ClientConnection, tunnel: Tunnel
    ) -> web.StreamResponse:
        try:
            far = RelayEnd()
            await self._outbound.tunnel(tunnel.origin.host, tunnel.origin.port, lambda: far)
        except SendFailed as failed:
            return ProblemResponse(upstream_problem(failed.attempt()), close=True)
        log.info("tunnel-unguarded", host=tunnel.origin.host, port=tunnel.origin.port)
        await request.writer.write(ESTABLISHED)
        await relay_client(connection, far)
        return HandedOver()

    async def _intercepted(
        self, connection: ClientConnection, tunnel: Tunnel, context: ssl.SSLContext
    ) -> None:
        first = FirstBytes()
        transport, early = connection.take_over(first)
        if early:
            first.data_received(early)
        transport.resume_reading()
        try:
            async with asyncio.timeout(self._patience):
                await first.arrived
        except TimeoutError:
            transport.abort()
            return
        if not first.data:
            transport.close()
        elif first.data[0] == _TLS_HANDSHAKE:
            await self._shake_hands(transport, first.data, tunnel, context)
        else:
            plain = replace(tunnel, origin=replace(tunnel.origin, scheme="http"))
            transport.pause_reading()
            await self._serve(transport, first.data, plain)

    async def _shake_hands(
        self, transport: asyncio.Transport, hello: bytes, tunnel: Tunnel, context: ssl.SSLContext
    ) -> None:
        loop = asyncio.get_running_loop()
        transport.pause_reading()
        inside = FirstBytes()
        handshake = loop.create_task(
            loop.start_tls(transport, inside, context, server_side=True, ssl_handshake_timeout=self._patience)
        )
        # The hello was read to tell TLS from HTTP, so it is fed to the TLS layer by hand: that layer is
        # there after the task's first step, and its own start is queued before this call.
        await asyncio.sleep(0)
        loop.call_soon(_feed, transport, hello)
        try:
            secure = await handshake
        except (ssl.SSLError, OSError) as error:
            log.info(
                "tls-handshake-failed",
                host=tunnel.origin.host,
                error=type(error).__name__,
                hint="does the client trust the local CA (onceproxy env), or does it pin (tls.passthrough)?",
            )
            transport.abort()
            return
        except asyncio.CancelledError:
            transport.abort()
            raise
        if secure is None:  # closed while it shook hands
            transport.abort()
            return
        secure.pause_reading()
        await self._serve(secure, inside.data, tunnel)

    async def _serve(self, transport: asyncio.Transport, early: bytes, tunnel: Tunnel) -> None:
        """Serve HTTP on a connection whose reading is paused, from the bytes already read on."""
        inner = self._inner()
        inner.tunnel = tunnel
        transport.set_protocol(inner)
        inner.connection_made(transport)
        if early:
            inner.data_received(early)
        if transport.is_closing():
            inner.connection_lost(None)
            return
        transport.resume_reading()
        try:
            await inner.closed
        except asyncio.CancelledError:
            transport.abort()
            raise


def _feed(transport: asyncio.Transport, data: bytes) -> None:
    layer = cast(asyncio.BufferedProtocol, transport.get_protocol())
    offset = 0
    while offset < len(data):
        buffer = memoryview(layer.get_buffer(len(data) - offset))
        size = min(len(buffer), len(data) - offset)
        buffer[:size] = data[offset : offset + size]
        layer.buffer_updated(size)
        offset += size


async def relay_client(connection: ClientConnection, far: RelayEnd) -> None:
    """Relay opaque bytes between a client's connection and ``far`` until both are closed."""
    near = RelayEnd()
    try:
        transport, early = connection.take_over(near)
        near.connection_made(transport)
        if early:
            near.data_received(early)
        transport.resume_reading()
        await relay(near, far)
    finally:
        far.abort()
        connection.abandon()
