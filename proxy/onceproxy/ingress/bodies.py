"""The bodies of clients' requests: read whole before anything is claimed, or passed on as they arrive."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import cast

from aiohttp import web

from onceproxy.core.limits import Limit
from onceproxy.core.problems import Problem, ProblemType
from onceproxy.guard.capture import Capture
from onceproxy.guard.room import Room
from onceproxy.ingress.client_connection import ClientConnection
from onceproxy.ingress.incoming import Refused
from onceproxy.ingress.responses import AT_ONCE, ProblemResponse

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class ArrivingBody:
    """A body on its way from the client. ``length`` is its size in bytes, if that was announced."""

    def __init__(self, request: web.BaseRequest) -> None:
        self._content = request.content
        self._connection = cast(ClientConnection, request.protocol)
        self.length = request.content_length
        self.over: Limit | None = None

    def whole(self) -> bytes | None:
        """Return it, if all of it is here; it is taken then."""
        if not self._content.is_eof() or self._content.exception() is not None:
            return None
        return self._content.read_nowait()

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield it as it arrives. Raises ``RequestPayloadError`` where it is not whole, or too slow."""
        pace = self._connection.watch_body()
        try:
            while True:
                pace.wait()
                piece = await self._content.readany()
                pace.take(len(piece))
                if not piece:
                    if (broken := self._content.exception()) is not None:
                        raise broken
                    return
                yield piece
        finally:
            self.over = pace.over
            self._connection.body_ended(pace)

    def what_is_wrong(self) -> tuple[ProblemType, str]:
        """Return what its client has to hear of a body that was given up."""
        if self.over is None:
            detail = "The body did not arrive whole, or is no valid HTTP/1.1; send all of it."
            return ProblemType.BAD_REQUEST, detail
        detail = f"The body arrives too slowly (limits.{self.over}); send it again on another connection."
        return ProblemType.REQUEST_TIMEOUT, detail


async def read_body(request: web.BaseRequest, limit: int, room: Room) -> Capture:
    """Read the whole body before anything is claimed: half a message is no message (RFC 9112 §8).

    Raises:
        Refused: it is larger than ``limit`` bytes, too slow, or not whole.
        OverLimit: there is no ``room`` for it.
    """
    body = Capture(room, refusable=True)
    if (request.content_length or 0) <= limit:
        if request.can_read_body:
            await answer_expectation(request)
        arriving = ArrivingBody(request)
        try:
            if (whole := arriving.whole()) is not None:
                body.write(whole)
            else:
                async with aclosing(arriving.pieces()) as pieces:
                    async for piece in pieces:
                        body.write(piece)
                        if body.size > limit:
                            break
            if body.size <= limit:
                return body
        except (web.RequestPayloadError, ConnectionError):
            raise Refused(*arriving.what_is_wrong()) from None
    cast(ClientConnection, request.protocol).hit(Limit.REQUEST_BODY)
    raise Refused(
        ProblemType.BODY_TOO_LARGE,
        f"The body is larger than {limit} bytes; send less, or raise limits.request_body.",
    )


def broken_off(request: web.BaseRequest, body: ArrivingBody | None) -> ProblemResponse:
    """Return what is said of a body that turned bad, or too slow, while it was sent on."""
    kind, detail = (body or ArrivingBody(request)).what_is_wrong()
    sent = cast(ClientConnection, request.protocol).sent
    return ProblemResponse(Problem(kind, f"{detail} {sent.value}"), close=True)


def body_read_before(
    request: web.BaseRequest, body: Capture
) -> tuple[bytes | AsyncIterator[bytes] | None, int | None]:
    """Return a body that was read already, framed as it came."""
    if not body.size and request.content_length is None:
        return None, None
    if body.size <= AT_ONCE:
        return body.read(), request.content_length

    async def pieces() -> AsyncIterator[bytes]:
        for piece in body.chunks():
            yield piece

    return pieces(), request.content_length


async def answer_expectation(request: web.BaseRequest) -> None:
    """Ask for the body that the client holds back (RFC 9110 §10.1.1); the upstream is not asked."""
    if request.version >= (1, 1) and "expect" in request.headers:
        await request.writer.write(CONTINUE)
