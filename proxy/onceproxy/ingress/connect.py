"""CONNECT: an opaque tunnel where the configuration says so, else TLS that is opened here.

After the 200 the first byte decides: 0x16 starts a TLS handshake, anything else is taken for plain HTTP,
which some clients send through CONNECT for ``http://`` URLs; not to port 443. What is inside is served by the
same handler as on the outside, with the tunnel's origin in place of the request target's.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, cast

import structlog
from aiohttp import web

from onceproxy.core.attempts import SendFailed
from onceproxy.core.client_hello import MalformedHello
from onceproxy.core.globs import tls_globs_fit
from onceproxy.core.messages import DEFAULT_PORTS
from onceproxy.core.problems import Problem, ProblemType, upstream_problem
from onceproxy.ingress.client_connection import ClientConnection, Tunnel
from onceproxy.ingress.handshake import FirstBytes, Handshakes
from onceproxy.ingress.ports import Outbound, TlsMeter
from onceproxy.ingress.relay import RelayEnd
from onceproxy.ingress.responses import HandedOver, ProblemResponse, problem_bytes
from onceproxy.ingress.tunnels import Tunnels

log = structlog.get_logger("onceproxy.ingress")

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_NOT_TLS = Problem(
    ProblemType.BAD_REQUEST,
    "What came inside the tunnel is no TLS, and the tunnel leads to port 443. Nothing was sent. Use an "
    "https:// URL, or a forward request for an http:// one.",
)


class Leaves(Protocol):
    """Where the certificates of intercepted hosts come from."""

    def context_for(self, host: str) -> ssl.SSLContext:
        """Return a server context for ``host``.

        Raises ``ValueError`` for what is no host name, ``OverLimit`` where too many were made just now.
        """
        ...


class Connector:
    """Serves CONNECT requests.

    ``intercept`` are host globs whose tunnels are opened, ``passthrough`` those of which they are opaque all
    the same. ``patience`` is how long a client may take to start speaking and to shake hands, in seconds.
    """

    def __init__(
        self,
        outbound: Outbound,
        leaves: Leaves,
        inner: Callable[[], ClientConnection],
        tunnels: Tunnels,
        *,
        intercept: tuple[str, ...],
        passthrough: tuple[str, ...],
        patience: float,
        meter: TlsMeter,
    ) -> None:
        self._outbound = outbound
        self._leaves = leaves
        self._inner = inner
        self._tunnels = tunnels
        self._intercept = intercept
        self._passthrough = passthrough
        self._patience = patience
        self._handshakes = Handshakes(meter, patience)

    async def serve(self, request: web.BaseRequest, tunnel: Tunnel) -> web.StreamResponse:
        """Answer a CONNECT and serve its tunnel until it closes."""
        connection = cast(ClientConnection, request.protocol)
        host = tunnel.origin.host
        if tls_globs_fit(self._passthrough, host) or not tls_globs_fit(self._intercept, host):
            with self._tunnels.one("connect"):
                return await self._opaque(request, connection, tunnel)
        try:
            self._outbound.check(host, tunnel.origin.port)
        except SendFailed as failed:
            return ProblemResponse(upstream_problem(failed.attempt()), close=True)
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
        try:
            await request.writer.write(ESTABLISHED)
            await self._tunnels.relay(connection, far)
        finally:
            far.abort()  # also where the client has left before it could be told
        return HandedOver()

    async def _intercepted(
        self, connection: ClientConnection, tunnel: Tunnel, context: ssl.SSLContext
    ) -> None:
        first = FirstBytes()
        transport, early = connection.take_over(first)
        if early:
            first.data_received(early)
        transport.resume_reading()
        host = tunnel.origin.host
        try:
            async with asyncio.timeout(self._patience):
                hello = await first.opening()
        except TimeoutError:
            transport.abort()
            return
        except MalformedHello:
            self._handshakes.may_open(transport, None, host)
            return
        if hello is not None:
            if not self._handshakes.may_open(transport, hello, host):
                return
            transport.pause_reading()
            opened = await self._handshakes.shake(transport, first.data, context, host)
            if opened is not None:
                await self._serve(*opened, tunnel)
        elif not first.data or first.ended:
            transport.close()
        elif tunnel.origin.port == DEFAULT_PORTS["https"]:
            # What is said to this port was meant to be said inside TLS.
            transport.write(problem_bytes(_NOT_TLS))
            transport.close()
        else:
            plain = replace(tunnel, origin=replace(tunnel.origin, scheme="http"))
            transport.pause_reading()
            await self._serve(transport, first.data, plain)

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
