"""A client's connection: aiohttp's protocol, plus what a proxy needs of it.

The library has no timer for a head that never ends, answers malformed requests in plain text, lets whoever
reads a malformed body wait for its end, and has no way to hand a connection over. Those are mended here, and
this is the only place that knows its inside.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import Enum
from typing import Any, cast

import structlog
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from onceproxy.core.messages import Origin
from onceproxy.core.problems import Problem, ProblemType
from onceproxy.core.users import Login
from onceproxy.ingress.responses import ProblemResponse, problem_bytes
from onceproxy.ingress.unreadable import unreadable

log = structlog.get_logger("onceproxy.ingress")


@dataclass(frozen=True, slots=True)
class Tunnel:
    """What a CONNECT said about the requests inside: where they go, and who sends them."""

    origin: Origin
    login: Login


class Sent(Enum):
    """What may have become of the request that is being served, and what its client should know of that."""

    NOTHING = "Nothing was sent. Retrying is safe."
    GUARDED = (
        "It may have been sent, and will not be sent twice: send the same request again to learn what became "
        "of it."
    )
    READ = "It may have been sent, and asks for nothing to be done. Retrying is safe."
    UNGUARDED = "It may have been sent, and nothing guards it: look at the upstream before you send it again."


class ClientConnection(RequestHandler):
    """One connection of a client, TLS already taken off.

    ``tunnel`` is set on the connections that are served inside a CONNECT. ``head`` is the head of the request
    that is being served, as the parser read it; ``sent`` says how far it came. ``closed`` is resolved when
    the connection is gone.
    """

    def __init__(
        self, server: ClientServer, *, loop: asyncio.AbstractEventLoop, head_timeout: float, **settings: Any
    ) -> None:
        super().__init__(server, loop=loop, **settings)
        self.tunnel: Tunnel | None = None
        self.head: RawRequestMessage | None = None
        self.sent = Sent.NOTHING
        self.closed: asyncio.Future[None] = loop.create_future()
        self._head_timeout = head_timeout
        self._head_timer: asyncio.TimerHandle | None = None
        self._busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock for the first head."""
        super().connection_made(transport)
        self._start_head_timer()

    def data_received(self, data: bytes) -> None:
        """Start the clock for a later head at its first byte; an idle connection has its own timer."""
        super().data_received(data)
        if not self._busy:
            self._start_head_timer()
        if self._messages and isinstance(self._messages[-1][0], _ErrInfo):
            self._end_broken_bodies()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell whoever waits that the connection is gone."""
        self._stop_head_timer()
        super().connection_lost(exc)
        if not self.closed.done():
            self.closed.set_result(None)

    def head_arrived(self, head: RawRequestMessage) -> None:
        """Stop the clock: a request's head is there."""
        self.head = head
        self.sent = Sent.NOTHING
        self._busy = True
        self._stop_head_timer()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Write the response; from then on the connection is idle."""
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            self._busy = False

    def take_over(self, successor: asyncio.Protocol) -> tuple[asyncio.Transport, bytes]:
        """Give the transport to another protocol; return it, reading paused, and the bytes already read.

        The caller resumes reading, and calls ``abandon`` when the successor has ended.
        """
        transport = cast(asyncio.Transport, self.transport)
        if transport is None:
            raise ConnectionResetError("the client has left")
        self._stop_head_timer()
        transport.pause_reading()
        early, self._message_tail = self._message_tail, b""
        transport.set_protocol(successor)
        return transport, early

    def abandon(self) -> None:
        """End this protocol's part of a connection that was taken over."""
        self.connection_lost(None)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what could not be parsed, or what failed in here, with a problem; the connection closes."""
        self._stop_head_timer()
        if status == 400:
            return ProblemResponse(unreadable(exc), close=True)
        log.error("request-failed", exc_info=exc)
        detail = f"The proxy failed on this request; its log says why. {self.sent.value}"
        return ProblemResponse(Problem(ProblemType.INTERNAL_ERROR, detail), close=True)

    def _end_broken_bodies(self) -> None:
        """Tell whoever reads a body that the rest of it is not HTTP; the library leaves them waiting."""
        payloads = [payload for _, payload in self._messages]
        if self._current_request is not None:
            payloads.append(self._current_request.content)
        for payload in payloads:
            if not payload.is_eof():
                _break_off(payload)
                # Whoever was woken by the end of a chunk in the same piece looks for more without asking
                # whether anything is wrong. To them an end now would be that of a whole body.
                asyncio.get_running_loop().call_soon(_end, payload)

    def _start_head_timer(self) -> None:
        if self._head_timer is None and self._head_timeout > 0 and self.transport is not None:
            loop = asyncio.get_running_loop()
            self._head_timer = loop.call_later(self._head_timeout, self._head_late)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_late(self) -> None:
        self._head_timer = None
        if self.transport is not None and not self._busy:
            detail = (
                f"The request's head did not arrive within {self._head_timeout:g} seconds. "
                "Nothing was sent. Send the request again on another connection."
            )
            self.transport.write(problem_bytes(Problem(ProblemType.REQUEST_TIMEOUT, detail)))
            self.force_close()


def _break_off(payload: StreamReader) -> None:
    payload.set_exception(web.RequestPayloadError("malformed"))


def _end(payload: StreamReader) -> None:
    _break_off(payload)
    payload.feed_eof()


class ClientServer(web.Server):
    """Makes the protocol of each client connection."""

    def __init__(self, handler: Any, *, head_timeout: float, **settings: Any) -> None:
        super().__init__(handler, request_factory=_make_request, **settings)
        self._head_timeout = head_timeout

    def __call__(self) -> ClientConnection:
        """Make the protocol of a new connection."""
        return ClientConnection(
            self, loop=asyncio.get_running_loop(), head_timeout=self._head_timeout, **self._kwargs
        )


def _make_request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: RequestHandler,
    writer: AbstractStreamWriter,
    task: asyncio.Task[None],
) -> web.BaseRequest:
    cast(ClientConnection, protocol).head_arrived(message)
    return web.BaseRequest(message, payload, protocol, writer, task, asyncio.get_running_loop())
