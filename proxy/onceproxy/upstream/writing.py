"""A request's bytes: built from its parts, so that no framing of the client's goes upstream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from functools import lru_cache

from onceproxy.core.messages import Origin, RawHeaders, Request, lines_end
from onceproxy.upstream.connection import UpstreamConnection

LAST_CHUNK = b"0\r\n\r\n"


def request_head(
    request: Request, *, length: int | None, chunked: bool = False, upgrade: bytes | None = None
) -> bytes:
    """Return the request line and the headers: Host first, then the request's own, then the framing.

    Raises:
        ValueError: a part holds what would end it early (CR, LF, NUL, or a space in the target).
    """
    lines: RawHeaders = (_host(request.origin), *request.headers)
    if length is not None:
        lines += ((b"Content-Length", b"%d" % length),)
    if chunked:
        lines += ((b"Transfer-Encoding", b"chunked"),)
    if upgrade is not None:
        lines += ((b"Connection", b"Upgrade"), (b"Upgrade", upgrade))
    method = request.method.encode("ascii")
    fields = b"".join([b"%s: %s\r\n" % line for line in lines])
    head = b"%s %s HTTP/1.1\r\n%s\r\n" % (method, request.target, fields)
    if b" " in method or b" " in request.target or not lines_end(head, len(lines) + 2):
        raise ValueError("a part of the request would end it early")
    return head


@lru_cache(maxsize=1024)
def _host(origin: Origin) -> tuple[bytes, bytes]:
    return (b"Host", origin.host_header.encode("ascii"))


def start_writing(
    connection: UpstreamConnection,
    head: bytes,
    body: bytes | Iterator[bytes] | AsyncIterator[bytes],
    *,
    chunked: bool = False,
) -> asyncio.Task[None] | None:
    """Write a whole request: at once where its body is here, else, or as far as it does not fit, in a task.

    A task that fails (the client's body ended early) ends the connection.

    Raises:
        SendFailed: the connection is gone.
    """
    if not isinstance(body, bytes):
        return _in_a_task(connection, _write(connection, head, body, chunked=chunked))
    if chunked:
        body = (_chunk(body) if body else b"") + LAST_CHUNK
    if connection.send(head + body):
        connection.all_written()
        return None
    return _in_a_task(connection, _end(connection))


async def finish(writing: asyncio.Task[None] | None) -> None:
    """End the writing of a request whose response has ended or failed; that tells more than the writing."""
    if writing is not None and not writing.done():
        writing.cancel()
        await asyncio.wait({writing})


def _in_a_task(connection: UpstreamConnection, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            connection.abort()

    task = asyncio.get_running_loop().create_task(work)
    task.add_done_callback(ended)
    return task


async def _end(connection: UpstreamConnection) -> None:
    await connection.drained()
    connection.all_written()


async def _write(
    connection: UpstreamConnection,
    head: bytes,
    pieces: Iterator[bytes] | AsyncIterator[bytes],
    *,
    chunked: bool,
) -> None:
    """Write the pieces as they come, the head together with the first one."""
    pending = head
    async for piece in _each(pieces):
        await _hand_over(connection, pending + (_chunk(piece) if chunked else piece))
        pending = b""
    if chunked:
        pending += LAST_CHUNK
    if pending:
        await _hand_over(connection, pending)
    connection.all_written()


async def _hand_over(connection: UpstreamConnection, data: bytes) -> None:
    if not connection.send(data):
        await connection.drained()


def _chunk(piece: bytes) -> bytes:
    """Return a piece in the chunked coding (RFC 9112 §7.1)."""
    return b"%x\r\n%s\r\n" % (len(piece), piece)


async def _each(pieces: Iterator[bytes] | AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if isinstance(pieces, AsyncIterator):
        async for piece in pieces:
            if piece:
                yield piece
    else:
        for piece in pieces:
            yield piece
