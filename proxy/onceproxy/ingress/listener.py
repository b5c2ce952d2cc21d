"""The proxy's listening socket and all that is served behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import http_parser

from onceproxy.core.messages import Request
from onceproxy.core.rules import IdentityRules
from onceproxy.guard.guard import Guard
from onceproxy.ingress.client_connection import ClientConnection, ClientServer
from onceproxy.ingress.connect import Connector, Leaves
from onceproxy.ingress.handler import Handler, IngressRules
from onceproxy.ingress.ports import Outbound, TlsMeter

BACKLOG = 1024


class SlowParser(RuntimeError):
    """aiohttp runs on its parser in pure Python, which accepts what the one in C refuses."""


class Listener:
    """One listening port: forward requests, CONNECT and mounts.

    ``head`` is the size that a request's line or one header line may have, in bytes; ``head_timeout`` the
    seconds for a head to arrive; ``idle_timeout`` the seconds a connection may stay idle between requests.
    ``via`` is our name in Via, if we have one.
    """

    def __init__(
        self,
        guard: Guard,
        outbound: Outbound,
        leaves: Leaves,
        credential: Callable[[Request, IdentityRules], bytes],
        rules: IngressRules,
        *,
        intercept: tuple[str, ...],
        passthrough: tuple[str, ...],
        meter: TlsMeter,
        head: int,
        head_timeout: float,
        idle_timeout: float,
        via: bytes | None = None,
    ) -> None:
        check_parser()
        connector = Connector(
            outbound,
            leaves,
            self._make_connection,
            intercept=intercept,
            passthrough=passthrough,
            patience=head_timeout,
            meter=meter,
        )
        self._handler = Handler(guard, outbound, connector, credential, rules, via)
        self._clients = ClientServer(
            self._handler,
            head_timeout=head_timeout,
            keepalive_timeout=idle_timeout,
            auto_decompress=False,  # the fingerprint and the upstream get the bytes that the client sent
            access_log=None,  # the canonical line of the handler takes its place
            max_line_size=head,
            max_field_size=head,
            lingering_time=1.0,
        )
        self._server: asyncio.Server | None = None

    def follow(self, rules: IngressRules) -> None:
        """Treat the requests that come from now on by other rules; those under way keep theirs."""
        self._handler.follow(rules)

    async def listen(self, host: str, port: int) -> int:
        """Listen; return the port (a free one is picked for 0). Raises ``OSError`` where it is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._clients, host, port, backlog=BACKLOG)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    def stop_listening(self) -> None:
        """Take no more connections; those that are open go on."""
        if self._server is not None:
            self._server.close()

    async def close(self, patience: float) -> None:
        """Close all connections; responses being written have ``patience`` seconds to end."""
        self.stop_listening()
        self._clients.pre_shutdown()
        await self._clients.shutdown(patience)

    def _make_connection(self) -> ClientConnection:
        return self._clients()


def check_parser() -> None:
    """Make sure that aiohttp's C parser is loaded.

    Raises:
        SlowParser: it is not, so that requests could be read in two ways (request smuggling).
    """
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        raise SlowParser(
            "aiohttp runs without its C parser (was AIOHTTP_NO_EXTENSIONS set, or was it built from source "
            "without a compiler?); install a wheel of aiohttp"
        )
