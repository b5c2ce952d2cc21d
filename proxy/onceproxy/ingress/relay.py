"""Opaque bytes between two connections: passthrough tunnels and upgraded ones."""

from __future__ import annotations

import asyncio
from typing import cast


class RelayEnd(asyncio.Protocol):
    """One end of a relay: what arrives here is written to the other end.

    Each end slows the other down: where one can't write, the other does not read. ``closed`` is resolved when
    this end is gone, and then the other one is closed behind its last bytes. ``heard`` is when something came
    from it last, by the loop's clock.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = loop.create_future()
        self._clock = loop.time
        self.heard = self._clock()
        self._transport: asyncio.Transport | None = None
        self._peer: RelayEnd | None = None
        self._ended = False
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; bytes wait until the ends are joined."""
        self._transport = cast(asyncio.Transport, transport)

    def join(self, peer: RelayEnd) -> None:
        """Make ``peer`` the other end, and pass on what arrived meanwhile. Called on both ends."""
        self._peer = peer
        for data in self._early:
            self.data_received(data)
        self._early.clear()
        if self.closed.done():
            peer.close()

    def data_received(self, data: bytes) -> None:
        """Write to the other end, or keep the bytes until there is one."""
        self.heard = self._clock()
        if self._peer is None:
            self._early.append(data)
        elif self._peer._transport is not None:
            self._peer._transport.write(data)

    def eof_received(self) -> bool:
        """Pass the end on and stay half open, where the other end can be (TLS can't) and still speaks."""
        self._ended = True
        peer = self._peer
        if peer is None or peer._transport is None or not peer._transport.can_write_eof():
            return False
        peer._transport.write_eof()
        return not peer._ended

    def connection_lost(self, exc: Exception | None) -> None:
        """Close the other end behind its last bytes."""
        if not self.closed.done():
            self.closed.set_result(None)
        if self._peer is not None:
            self._peer.close()

    def pause_writing(self) -> None:
        """This end can't take more: the other one must not read."""
        other = self._peer._transport if self._peer is not None else None
        if other is not None and not other.is_closing():
            other.pause_reading()

    def resume_writing(self) -> None:
        """This end takes more again."""
        other = self._peer._transport if self._peer is not None else None
        if other is not None and not other.is_closing():
            other.resume_reading()

    def close(self) -> None:
        """Close this end behind the bytes that are still to be written."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close this end at once."""
        if self._transport is not None:
            self._transport.abort()


async def relay(one: RelayEnd, other: RelayEnd, patience: float) -> bool:
    """Join two ends and return when both are gone; cancelling it cuts both.

    Returns False where nothing came from either for ``patience`` seconds: then both are cut.
    """
    one.join(other)
    other.join(one)
    clock = asyncio.get_running_loop().time
    open_ends: set[asyncio.Future[None]] = {one.closed, other.closed}
    try:
        # One timer for all that time, not one for each piece.
        while open_ends and (left := max(one.heard, other.heard) + patience - clock()) > 0:
            _, open_ends = await asyncio.wait(open_ends, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        return not open_ends
    finally:
        one.abort()
        other.abort()
