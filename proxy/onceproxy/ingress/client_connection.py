"""A client's connection: aiohttp's protocol, plus what a proxy needs of it.

The library has no timer for a head that never ends, for a body that trickles or for an answer that nobody
takes, no bound on a head, answers malformed requests in plain text, lets whoever reads a malformed body wait
for its end, and has no way to hand a connection over. Those are mended here, and this is the only place that
knows its inside, together with ``client_server``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, cast

import structlog
from aiohttp import web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import _ErrInfo

from onceproxy.core.limits import Limit
from onceproxy.core.messages import Origin
from onceproxy.core.problems import Problem, ProblemType
from onceproxy.core.users import Login
from onceproxy.ingress.admission import Admission, client_of
from onceproxy.ingress.limits import ClientLimits
from onceproxy.ingress.pace import Pace
from onceproxy.ingress.prompt import AtOnce, PromptHandler
from onceproxy.ingress.responses import ProblemResponse, problem_bytes
from onceproxy.ingress.unreadable import too_large, unreadable

if TYPE_CHECKING:
    from onceproxy.ingress.client_server import ClientServer

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


class ClientConnection(PromptHandler):
    """One connection of a client, TLS already taken off.

    ``tunnel`` is set on the connections that are served inside a CONNECT. ``head`` is the head of the request
    that is being served, as the parser read it; ``sent`` says how far it came. ``closed`` is resolved when
    the connection is gone. ``head_over`` says that the head is larger than it may be.
    """

    def __init__(
        self,
        server: ClientServer,
        limits: ClientLimits,
        admission: Admission,
        hit: Callable[[Limit], None],
        at_once: AtOnce | None = None,
        *,
        loop: asyncio.AbstractEventLoop,
        **settings: Any,
    ) -> None:
        super().__init__(server, loop=loop, **settings)
        self._limits = limits
        self._admission = admission
        self.hit = hit
        self.at_once = at_once
        self._client: str | None = None  # whom the connection is counted for
        self._wire: asyncio.Transport | None = None  # the library forgets its own when it begins to close
        self._stuck_since: float | None = None
        self._pace: Pace | None = None
        self._body: StreamReader | None = None  # what arrives belongs to, unless it has ended
        self._unserved = 0  # bytes that arrived since a request was served last
        self.head_over = False
        self.tunnel: Tunnel | None = None
        self.head: RawRequestMessage | None = None
        self.sent = Sent.NOTHING
        self.closed: asyncio.Future[None] = loop.create_future()
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock for the first head, if there is room for the connection."""
        wire = cast(asyncio.Transport, transport)
        if self.tunnel is None:  # what is inside a tunnel was counted with it
            client = client_of(transport.get_extra_info("peername"))
            if (over := self._admission.enter(client)) is not None:
                self._admission.turn_away(wire, over)
                return
            self._client = client
        self._wire = wire
        super().connection_made(transport)
        self._start_head_timer()

    def data_received(self, data: bytes) -> None:
        """Start the clock for a later head at its first byte; an idle connection has its own timer."""
        if self.take(data):
            self._unserved = 0
            self._stop_head_timer()
            return
        # Most heads are here whole, and need no clock.
        if not self._request_in_progress and not self._messages:
            self._start_head_timer()
        self._count(len(data))
        if self._messages and isinstance(self._messages[-1][0], _ErrInfo):
            self._end_broken_bodies()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell whoever waits that the connection is gone."""
        self._stop_head_timer()
        self._wire = None
        if self._client is not None:
            self._admission.leave(self._client)
            self._client = None
        super().connection_lost(exc)
        if not self.closed.done():
            self.closed.set_result(None)

    def head_arrived(self, head: RawRequestMessage) -> None:
        """Stop the clock: a request's head is there."""
        self.head = head
        # Seldom: what has arrived since the last one is as much.
        self.head_over = self._unserved > self._limits.head and _size(head) > self._limits.head
        self.sent = Sent.NOTHING
        self._unserved = 0
        self._stop_head_timer()

    def take_over(self, successor: asyncio.Protocol) -> tuple[asyncio.Transport, bytes]:
        """Give the transport to another protocol; return it, reading paused, and the bytes already read.

        The caller resumes reading, and calls ``abandon`` when the successor has ended.
        """
        transport = cast(asyncio.Transport, self.transport)
        if transport is None:
            raise ConnectionResetError("the client has left")
        self._stop_head_timer()
        self._wire = None  # from here on it is the successor's to watch
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
            if (over := too_large(exc)) is not None:
                self.hit(over)
            return ProblemResponse(unreadable(exc), close=True)
        log.error("request-failed", exc_info=exc)
        detail = f"The proxy failed on this request; its log says why. {self.sent.value}"
        return ProblemResponse(Problem(ProblemType.INTERNAL_ERROR, detail), close=True)

    def refuse_head(self) -> Problem:
        """Return what a client hears whose request has too large a head."""
        self.hit(Limit.HEAD)
        detail = (
            f"The request's head is larger than {self._limits.head} bytes (limits.head). "
            "Nothing was sent. The connection is closed; send a smaller one on another."
        )
        return Problem(ProblemType.HEADERS_TOO_LARGE, detail)

    def pause_writing(self) -> None:
        """Note since when the client takes nothing."""
        super().pause_writing()
        self._stuck_since = self._loop.time()

    def resume_writing(self) -> None:
        """Note that the client takes something."""
        super().resume_writing()
        self._stuck_since = None

    def watch_body(self) -> Pace:
        """Begin to watch how fast the body of the present request arrives."""
        limits = self._limits
        self._pace = Pace(limits.body_timeout, limits.body_rate, self._loop.time)
        return self._pace

    def body_ended(self, pace: Pace) -> None:
        """Watch a body no more."""
        if self._pace is pace:
            self._pace = None

    def look(self) -> None:
        """Give up on a client that is too slow. Called from time to time, for all connections together."""
        wire = self._wire
        if wire is None:
            return
        now = self._loop.time()
        if self._stuck_since is None and wire.is_closing():
            self._stuck_since = now  # from here on its last bytes are to be taken
        if self._stuck_since is not None and now - self._stuck_since >= self._limits.drain_timeout:
            self.hit(Limit.DRAIN_TIMEOUT)
            wire.abort()
        elif self._pace is not None and (over := self._pace.look()) is not None:
            self.hit(over)
            self._give_up_body()

    def _give_up_body(self) -> None:
        if self._current_request is not None:
            _break_off(self._current_request.content)
            self._loop.call_soon(self._end_body, self._current_request.content)  # as below

    def _end_body(self, payload: StreamReader) -> None:
        _end(payload)
        if self.transport is not None:
            self.transport.pause_reading()  # the parser has nowhere to put the rest

    def _count(self, size: int) -> None:
        """Read no further ahead of the requests that are served; a head that goes on and on is refused."""
        if self._messages:
            self._body = self._messages[-1][1]
            self._unserved += size
            if self._unserved > self._limits.head and not self._buffer_paused:
                self._pause_reading_for_buffer()  # until the next one is served
        elif size and not self._request_in_progress and (self._body is None or self._body.is_eof()):
            self._unserved += size
            if self._unserved > self._limits.head and self.transport is not None:
                self.transport.write(problem_bytes(self.refuse_head()))
                self.force_close()

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
        if self._head_timer is None and self.transport is not None:
            self._head_timer = self._loop.call_later(self._limits.head_timeout, self._head_late)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_late(self) -> None:
        self._head_timer = None
        if self.transport is not None and not self._request_in_progress:
            self.hit(Limit.HEAD_TIMEOUT)
            detail = (
                f"The request's head did not arrive within {self._limits.head_timeout:g} seconds. "
                "Nothing was sent. Send the request again on another connection."
            )
            self.transport.write(problem_bytes(Problem(ProblemType.REQUEST_TIMEOUT, detail)))
            self.force_close()


def _break_off(payload: StreamReader) -> None:
    payload.set_exception(web.RequestPayloadError("malformed, or too slow"))


def _end(payload: StreamReader) -> None:
    _break_off(payload)
    payload.feed_eof()


def _size(head: RawRequestMessage) -> int:
    """Return the bytes of a head as it was sent, give or take some spaces."""
    lines = sum(len(name) + len(value) + len(": \r\n") for name, value in head.raw_headers)
    return len(head.method) + len(head.path) + len("  HTTP/1.1\r\n") + lines
