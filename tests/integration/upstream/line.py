"""An upstream whose every step a test takes by hand: accept, read so much, write these bytes, close, reset.

``tests/upstreams.py`` answers by itself and counts whole requests; this one also does what comes before one
is whole, and knows of connections that were made behind a test's back.
"""

from __future__ import annotations

import asyncio
import select
import socket
import struct
from types import TracebackType

from onceproxy.core.messages import Origin, Request
from onceproxy.upstream.client import UpstreamClient

PATIENCE = 20.0  # seconds until a step that does not come fails the test


class Line:
    """A listening socket on loopback. A context manager."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        self._socket.setblocking(False)
        self._peers: list[Peer] = []
        self.origin = Origin("http", "127.0.0.1", self._socket.getsockname()[1])

    async def accept(self) -> Peer:
        """Take the next connection."""
        async with asyncio.timeout(PATIENCE):
            accepted, _ = await asyncio.get_running_loop().sock_accept(self._socket)
        self._peers.append(Peer(accepted))
        return self._peers[-1]

    async def accept_first(self, client: UpstreamClient) -> Peer:
        """Have ``client`` make one exchange; return its connection, which idles since."""
        request = Request("POST", self.origin, b"/first")
        sending = asyncio.create_task(client.send(request, lambda: True))
        peer = await self.accept()
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        assert (await sending).status == 200
        return peer

    @property
    def somebody_calls(self) -> bool:
        """Whether a connection was made that has not been accepted."""
        return bool(select.select([self._socket], [], [], 0)[0])

    def __enter__(self) -> Line:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for peer in self._peers:
            peer.close()
        self._socket.close()


class Peer:
    """The upstream's end of one connection."""

    def __init__(self, accepted: socket.socket) -> None:
        self.socket = accepted
        self.socket.setblocking(False)
        self.received = b""

    async def readable(self) -> None:
        """Wait until there is something to read, and leave it there."""
        seen = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self.socket, seen.set)
        try:
            async with asyncio.timeout(PATIENCE):
                await seen.wait()
        finally:
            loop.remove_reader(self.socket)

    async def read(self, count: int = 1 << 16) -> bytes:
        """Read some bytes, empty at the end of the connection."""
        async with asyncio.timeout(PATIENCE):
            data = await asyncio.get_running_loop().sock_recv(self.socket, count)
        self.received += data
        return data

    async def request(self, body: int = 0) -> bytes:
        """Read one request with ``body`` bytes of body; return its head."""
        while b"\r\n\r\n" not in self.received:
            assert await self.read(), "the connection ended before the head did"
        head, _, rest = self.received.partition(b"\r\n\r\n")
        while len(rest) < body:
            piece = await self.read()
            assert piece, "the connection ended before the body did"
            rest += piece
        self.received = b""
        return head

    async def ended(self) -> bytes:
        """Wait for the end of the connection; return what came before it."""
        before = len(self.received)
        try:
            while await self.read():
                pass
        except ConnectionResetError:
            pass  # an end, too
        return self.received[before:]

    def send(self, data: bytes) -> None:
        """Write bytes; they are in the other side's kernel when this returns."""
        self.socket.sendall(data)

    def close(self) -> None:
        """Close in order (with RST if something was left unread, as the kernel does)."""
        self.socket.close()

    def reset(self) -> None:
        """Close with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()
