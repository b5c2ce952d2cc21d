"""A request's bytes: built from its parts, so that no framing of the client's goes upstream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from onceproxy.core.messages import RawHeaders, Request
from onceproxy.upstream.connection import UpstreamConnection

_FORBIDDEN = (b"\r", b"\n", b"\0")


def request_head(
    request: Request, *, length: int | None, chunked: bool = False, upgrade: bytes | None = None
) -> bytes:
    """Return the request line and the headers: Host first, then the request's own, then the framing.

    Raises:
        ValueError: a part holds what would end it early (CR, LF, NUL, or a space in the target).
    """
    lines: RawHeaders = ((b"Host", request.origin.host_header.encode("ascii")), *request.headers)
    if length is not None:
        lines += ((b"Content-Length", b"%d" % length),)
    if chunked:
        lines += ((b"Transfer-Encoding", b"chunked"),)
    if upgrade is not None:
        lines += ((b"Connection", b"Upgrade"), (b"Upgrade", upgrade))
    method = request.method.encode("ascii")
    if any(bad in part for part in (method, request.target) for bad in (*_FORBIDDEN, b" ")) or any(
        bad in part for line in lines for part in line for bad in _FORBIDDEN
    ):
        raise ValueError("a part of the request would end it early")
    fields = b"".join(b"%s: %s\r\n" % line for line in lines)
    return b"%s %s HTTP/1.1\r\n%s\r\n" % (method, request.target, fields)


async def write_body(
    connection: UpstreamConnection,
    head: bytes,
    pieces: Iterator[bytes] | AsyncIterator[bytes],
    *,
    chunked: bool = False,
) -> None:
    """Write a whole request, the head together with the first piece.

    Raises:
        SendFailed: the connection is gone.
    """
    pending = head
    async for piece in _each(pieces):
        framed = b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece
        await connection.write(pending + framed)
        pending = b""
    if chunked:
        pending += b"0\r\n\r\n"
    if pending:
        await connection.write(pending)
    connection.all_written()


async def _each(pieces: Iterator[bytes] | AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if isinstance(pieces, AsyncIterator):
        async for piece in pieces:
            if piece:
                yield piece
    else:
        for piece in pieces:
            yield piece
