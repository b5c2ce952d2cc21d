"""What makes clients' connections and looks after all of them together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from onceproxy.core.limits import Limit
from onceproxy.ingress.admission import Admission
from onceproxy.ingress.client_connection import ClientConnection
from onceproxy.ingress.client_request import ClientRequest
from onceproxy.ingress.limits import ClientLimits
from onceproxy.ingress.prompt import AtOnce

_AT_ONCE = 0.01  # seconds; to the library, 0 means for ever


class ClientServer(web.Server):
    """Makes the protocol of each client connection, and looks at all of them from time to time.

    ``hit`` is told of each limit that one runs into. ``at_once`` answers what needs no waiting.
    """

    def __init__(
        self,
        handler: Any,
        limits: ClientLimits,
        hit: Callable[[Limit], None],
        at_once: AtOnce | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(handler, request_factory=_make_request, **settings)
        self._limits = limits
        self._admission = Admission(limits.connections, limits.connections_per_client, hit)
        self._hit = hit
        self._at_once = at_once
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self) -> ClientConnection:
        """Make the protocol of a new connection."""
        if self._timer is None:
            self._look_later()
        return ClientConnection(
            self, self._limits, self._admission, self._hit, self._at_once, loop=self._loop, **self._kwargs
        )

    async def shutdown(self, timeout: float | None = None) -> None:
        """End all connections; responses being written have ``timeout`` seconds (more than 0), but once.

        The library waits for so long, asks the handlers to end, and waits again.
        """
        for one in self.connections:
            if not one._request_in_progress:
                one.force_close()
        running = [task for one in self.connections if (task := one._task_handler) is not None]
        if running:
            await asyncio.wait(running, timeout=timeout)
        await super().shutdown(_AT_ONCE)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_later(self) -> None:
        self._timer = self._loop.call_later(self._limits.look_every, self._look)

    def _look(self) -> None:
        self._timer = None
        connections = cast(list[ClientConnection], self.connections)
        for connection in connections:
            connection.look()
        if connections:
            self._look_later()


def _make_request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: RequestHandler,
    writer: AbstractStreamWriter | None,
    task: asyncio.Task[None],
) -> web.BaseRequest:
    cast(ClientConnection, protocol).head_arrived(message)
    return ClientRequest(message, payload, protocol, task)
