"""The proxy's listening socket and all that is served behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import http_parser

from onceproxy.core.limits import Limit
from onceproxy.core.messages import Request
from onceproxy.core.rules import IdentityRules
from onceproxy.guard.guard import Guard
from onceproxy.guard.room import ENDLESS, Room
from onceproxy.ingress.client_connection import ClientConnection
from onceproxy.ingress.client_server import ClientServer
from onceproxy.ingress.connect import Connector, Leaves
from onceproxy.ingress.handler import Handler, IngressRules
from onceproxy.ingress.limits import ClientLimits
from onceproxy.ingress.ports import IngressMeter, Outbound
from onceproxy.ingress.tunnels import Tunnels
from onceproxy.signals.signals import Signals

BACKLOG = 1024
BUFFERED = 64 * 1024  # bytes of a body that wait for their reader; twice as many slow the client down


class SlowParser(RuntimeError):
    """aiohttp runs on its parser in pure Python, which accepts what the one in C refuses."""


class Listener:
    """One listening port: forward requests, CONNECT and mounts.

    ``hit`` is told of each limit that is hit. ``via`` is our name in Via, if we have one.
    ``room`` is where the bodies of guarded requests lie. ``signals`` is told what became of each request.
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
        meter: IngressMeter,
        limits: ClientLimits,
        hit: Callable[[Limit], None],
        via: bytes | None = None,
        room: Room = ENDLESS,
        signals: Signals | None = None,
    ) -> None:
        check_parser()
        self._tunnels = Tunnels(limits.tunnels, limits.tunnel_idle_timeout, hit, meter)
        connector = Connector(
            outbound,
            leaves,
            self._make_connection,
            self._tunnels,
            intercept=intercept,
            passthrough=passthrough,
            patience=limits.head_timeout,
            meter=meter,
        )
        self._handler = Handler(
            guard, outbound, connector, self._tunnels, credential, rules, via, room, signals
        )
        self._clients = ClientServer(
            self._handler,
            limits,
            hit,
            self._handler.at_once,
            keepalive_timeout=limits.idle_timeout,
            auto_decompress=False,  # the fingerprint and the upstream get the bytes that the client sent
            access_log=None,  # the canonical line of the handler takes its place
            max_line_size=limits.header,
            max_field_size=limits.header,
            max_headers=limits.header_lines,
            read_bufsize=BUFFERED,
            lingering_time=1.0,
        )
        self._server: asyncio.Server | None = None
        self._shares = False

    def share_port(self) -> None:
        """Listen beside other processes that share the port."""
        self._shares = True

    def follow(self, rules: IngressRules) -> None:
        """Treat the requests that come from now on by other rules; those under way keep theirs."""
        self._handler.follow(rules)

    async def listen(self, host: str, port: int) -> int:
        """Listen; return the port (a free one is picked for 0). Raises ``OSError`` where it is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._clients, host, port, backlog=BACKLOG, reuse_port=self._shares or None
        )
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    def stop_listening(self) -> None:
        """Take no more connections; those that are open go on."""
        if self._server is not None:
            self._server.close()

    async def close(self, patience: float) -> None:
        """Close all connections; responses being written have ``patience`` seconds to end, tunnels none."""
        self.stop_listening()
        self._tunnels.cut()
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
