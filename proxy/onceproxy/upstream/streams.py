"""A response that is passed on as it arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from onceproxy.upstream.connection import UpstreamConnection
from onceproxy.upstream.parser import Head
from onceproxy.upstream.writing import finish


class UpstreamResponse:
    """A response whose head is there; see ``ingress.ports.OpenResponse``.

    ``connection`` is None where it is not needed any more: ``whole`` is the body then.
    """

    def __init__(
        self,
        connection: UpstreamConnection | None,
        head: Head,
        writing: asyncio.Task[None] | None,
        let_go: Callable[[UpstreamConnection], None],
        patience: float,
        whole: bytes | None = None,
    ) -> None:
        self.status = head.status
        self.reason = head.reason
        self.version = head.version
        self.headers = head.headers
        self.content_length = head.content_length
        self.whole = whole
        self._connection = connection
        self._writing = writing
        self._let_go = let_go
        self._patience = patience

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives, waiting for each piece as long as for a whole response.

        Raises:
            SendFailed: it was cut, or a piece took too long.
        """
        if self.whole is not None:
            yield self.whole
            return
        connection, clock = self._owned(), asyncio.get_running_loop().time
        while (piece := await connection.piece(clock() + self._patience)) is not None:
            yield piece

    def hijack(self) -> tuple[asyncio.Transport, bytes]:
        """Hand over the connection after a 101: its paused transport, and the bytes behind the head."""
        connection, self._connection = self._owned(), None
        connection.transport.pause_reading()
        if connection.handshake is not None:
            connection.handshake.keep()
        return connection.transport, connection.rest()

    async def aclose(self) -> None:
        """Let go of the connection."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        await finish(self._writing)
        self._let_go(connection)

    def _owned(self) -> UpstreamConnection:
        if self._connection is None:
            raise RuntimeError("this response was closed or handed over")
        return self._connection
