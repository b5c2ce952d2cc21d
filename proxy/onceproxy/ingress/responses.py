"""Responses as raw bytes: a receipt is replayed as it was received, and a problem of ours is made here.

aiohttp's own response adds headers, folds names and re-encodes values; what is relayed must not change.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

import http_sf
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from onceproxy.core.hygiene import OUR_PREFIX
from onceproxy.core.messages import Body, RawHeaders, has_line, header_values, lines_end, may_have_body
from onceproxy.core.problems import Problem, ProblemType
from onceproxy.guard.answers import Answer
from onceproxy.ingress.status import onceproxy_status

REPLAYED = b"Idempotency-Replayed"

AT_ONCE = 64 * 1024  # bytes of a body that is written together with its head
CHALLENGE = b'Basic realm="onceproxy", charset="UTF-8"'  # RFC 7617 §2


def head_bytes(status: int, reason: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Return a response's head (RFC 9112 §4: an empty reason keeps its space).

    Raises:
        ValueError: a header line or the reason holds CR, LF or NUL, which would let it end the head.
    """
    lines = b"".join([b"%s: %s\r\n" % line for line in headers])
    head = b"HTTP/1.1 %d %s\r\n%s\r\n" % (status, reason, lines)
    if not lines_end(head, len(headers) + 2):
        raise ValueError("a header of a response, or its reason, holds CR, LF or NUL")
    return head


class RawResponse(web.StreamResponse):
    """A response that is written byte for byte as it was given.

    ``body`` is the content, or yields it; ``length`` is its size in bytes, or None where only the end tells
    (then it goes out chunked, or ends with the connection for an HTTP/1.0 client). ``ended`` is called when
    it is over, also where nothing was taken of ``body``: a generator that was never begun does not clean up.
    """

    def __init__(
        self,
        status: int,
        reason: bytes,
        headers: RawHeaders,
        body: bytes | AsyncGenerator[bytes, None],
        length: int | None,
        *,
        close: bool = False,
        ended: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        # Not the library's: its headers and its reason are none of these, and are not asked for.
        self._state = {}
        self._status = status
        self._reason = ""
        self._ended = ended
        self._raw_reason = reason
        self._raw_headers = headers
        self._content = body
        self._size = length
        if close:
            self.force_close()

    def told(self) -> tuple[RawHeaders, bytes | AsyncGenerator[bytes, None]]:
        """Return the header lines and the content, for who writes them elsewhere."""
        return self._raw_headers, self._content

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write the whole response. A body that is cut cuts the client's connection, so that it can tell."""
        writer = request.writer
        bodied = may_have_body(request.method, self.status)
        modern = request.version >= (1, 1)
        # A proxy keeps no connection of an HTTP/1.0 client (RFC 9112 §9.3).
        keep = modern and request.keep_alive and self.keep_alive is not False
        headers, chunked = self._framed(bodied=bodied, modern=modern)
        if not keep:
            self.force_close()
            headers.append((b"Connection", b"close"))
        if self._keep_alive is None:
            self._keep_alive = keep
        try:
            head = head_bytes(self.status, self._raw_reason, tuple(headers))
            if isinstance(self._content, bytes):
                await writer.write(head + _framed(self._content, chunked=chunked) if bodied else head)
            else:
                async with aclosing(self._content):
                    await writer.write(head)
                    if chunked:
                        writer.enable_chunking()
                    if bodied:
                        async for chunk in self._content:
                            if chunk:
                                await writer.write(chunk)
            await writer.write_eof()
        except BaseException:
            # Not a clean end: the client must not take what it has for the whole.
            if request.transport is not None:
                if bodied and not chunked and not header_values(tuple(headers), "content-length"):
                    _let_reset(request.transport)
                request.transport.abort()
            raise
        finally:
            if self._ended is not None:
                await self._ended()
        return writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Do nothing: ``prepare`` has written all."""

    def in_one_piece(self, request: web.BaseRequest) -> bytes | None:
        """Return what ``prepare`` would write to a client that stays, if it is here and nobody waits for the
        end.
        """
        if (
            not isinstance(self._content, bytes)
            or self._ended is not None
            or self._keep_alive is False
            or len(self._content) > AT_ONCE
            or not request.keep_alive
            or request.version < (1, 1)
        ):
            return None
        self._keep_alive = True
        return self.whole(request.method)

    def whole(self, method: str) -> bytes:
        """Return what ``prepare`` writes to a client of HTTP/1.1 that stays; the response must be here."""
        if not isinstance(self._content, bytes):
            raise ValueError("this response is not all here")
        status = self._status
        bodied = may_have_body(method, status)
        headers, chunked = self._framed(bodied=bodied, modern=True)
        head = head_bytes(status, self._raw_reason, headers)
        return head + _framed(self._content, chunked=chunked) if bodied else head

    def _framed(self, *, bodied: bool, modern: bool) -> tuple[list[tuple[bytes, bytes]], bool]:
        """Return the headers with those that tell where the body ends, and whether its chunks do."""
        headers = list(self._raw_headers)
        if bodied and not has_line(self._raw_headers, b"content-length"):
            if self._size is not None:
                headers.append((b"Content-Length", b"%d" % self._size))
            elif modern:
                headers.append((b"Transfer-Encoding", b"chunked"))
                return headers, True
        return headers, False


def _framed(body: bytes, *, chunked: bool) -> bytes:
    """Return a whole body, in the chunked coding if need be (RFC 9112 §7.1)."""
    if not chunked:
        return body
    return (b"%x\r\n%s\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"


def _let_reset(transport: asyncio.Transport) -> None:
    """Make the coming close a reset, where a plain close would look like the end of the body."""
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class HandedOver(web.StreamResponse):
    """Stands for the response on a connection that was handed over to another protocol."""

    def __init__(self) -> None:
        super().__init__()
        self.force_close()

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write nothing."""
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Write nothing."""


class ProblemResponse(RawResponse):
    """A problem of our own, as ``application/problem+json``.

    ``headers`` come in addition, such as those that tell the receipt's state.
    """

    def __init__(self, problem: Problem, headers: RawHeaders = (), *, close: bool = False) -> None:
        reason, lines, content = _problem_parts(problem)
        super().__init__(problem.type.status, reason, lines + headers, content, len(content), close=close)


def problem_bytes(problem: Problem) -> bytes:
    """Return a whole response for a connection that is closed right after it."""
    reason, lines, content = _problem_parts(problem)
    lines += ((b"Content-Length", b"%d" % len(content)), (b"Connection", b"close"))
    return head_bytes(problem.type.status, reason, lines) + content


def _problem_parts(problem: Problem) -> tuple[bytes, RawHeaders, bytes]:
    content = json.dumps(problem.document(), ensure_ascii=False).encode("utf-8") + b"\n"
    error = problem.proxy_error or problem.type.proxy_error
    # The library's types leave out members with parameters, which it takes.
    members: Any = [(http_sf.Token("onceproxy"), {"error": http_sf.Token(error)})]
    proxy_status = http_sf.ser(members)
    headers: RawHeaders = (
        (b"Date", formatdate(usegmt=True).encode("ascii")),
        (b"Content-Type", b"application/problem+json"),
        (b"Proxy-Status", proxy_status.encode("ascii")),
    )
    if problem.type is ProblemType.PROXY_AUTH_REQUIRED:
        headers += ((b"Proxy-Authenticate", CHALLENGE),)  # must be there (RFC 9110 §15.5.8)
    if problem.retry_after is not None:
        headers += ((b"Retry-After", b"%d" % problem.retry_after),)
    return HTTPStatus(problem.type.status).phrase.encode("ascii"), headers, content


def _content(body: Body) -> bytes | AsyncGenerator[bytes, None]:
    return body.read() if body.size <= AT_ONCE else _pieces(body.chunks())


async def _pieces(chunks: Iterator[bytes]) -> AsyncGenerator[bytes, None]:
    for chunk in chunks:
        yield chunk


def answer_response(answer: Answer, *, via: RawHeaders = (), close: bool = False) -> RawResponse:
    """Return the response that tells a guard's answer.

    ``via`` is added to an upstream's response, which a receipt holds without it.
    """
    told = _answer_headers(answer)
    if answer.response is None:
        if answer.problem is None:
            raise ValueError("an answer is a response or a problem")
        return ProblemResponse(answer.problem, told, close=close)
    response = answer.response
    # Only we speak of receipts here; an upstream that says the same would be believed. Of two marks of
    # a replay, the upstream's (it replayed to us) and ours, a replay has ours alone.
    mine = (OUR_PREFIX, REPLAYED.lower()) if answer.replayed else (OUR_PREFIX,)
    headers = tuple(line for line in response.headers if not line[0].lower().startswith(mine))
    streamed = answer.stream is not None
    return RawResponse(
        response.status,
        response.reason,
        headers + told + via,
        answer.stream if answer.stream is not None else _content(response.body),
        None if streamed else response.body.size,
        close=close,
    )


def _answer_headers(answer: Answer) -> RawHeaders:
    headers: RawHeaders = (
        (b"Onceproxy-Request-Id", str(answer.request_id).encode("ascii")),
        (b"Onceproxy-Status", onceproxy_status(answer).encode("ascii")),
    )
    if answer.replayed:
        headers = ((REPLAYED, b"true"), *headers)
    return headers
