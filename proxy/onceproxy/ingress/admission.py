"""How many connections clients may have: in all, and each client address.

Those beyond are told so, and looked after until they have heard it: a connection that is closed while the
client still writes is reset, and the reset takes the answer with it.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Callable
from typing import Any

from onceproxy.core.limits import Limit, OverLimit
from onceproxy.core.problems import overloaded
from onceproxy.ingress.responses import problem_bytes

LINGER = 1.0  # seconds in which one that was turned away can read why
LINGERING = 64  # connections that are looked after so at once; others are cut at once

_WORDS = {
    Limit.CONNECTIONS: "The proxy has as many connections as it may.",
    Limit.CONNECTIONS_PER_CLIENT: "There are as many connections from this address as there may be.",
}


class Admission:
    """Counts connections. ``hit`` is told of each one that is turned away."""

    def __init__(self, most: int, per_client: int, hit: Callable[[Limit], None]) -> None:
        self._most = most
        self._per_client = per_client
        self._hit = hit
        self._clients: Counter[str] = Counter()
        self._lingering = 0

    def enter(self, client: str) -> Limit | None:
        """Count a connection of ``client`` in; or return the limit under which there is no room for it."""
        if self._clients.total() >= self._most:
            return Limit.CONNECTIONS
        if self._clients[client] >= self._per_client:
            return Limit.CONNECTIONS_PER_CLIENT
        self._clients[client] += 1
        return None

    def leave(self, client: str) -> None:
        """Count one out that was counted in."""
        self._clients[client] -= 1
        if not self._clients[client]:
            del self._clients[client]

    def turn_away(self, transport: asyncio.Transport, limit: Limit) -> None:
        """Tell a client that there is no room for its connection, and close that."""
        self._hit(limit)
        if self._lingering >= LINGERING:
            transport.abort()
            return
        self._lingering += 1
        over = OverLimit(
            limit, f"{_WORDS[limit]} Nothing was sent. Retry later: it is safe (limits.{limit})."
        )
        transport.set_protocol(_TurnedAway(transport, self._gone))
        transport.write(problem_bytes(overloaded(over)))
        if transport.can_write_eof():
            transport.write_eof()

    def _gone(self) -> None:
        self._lingering -= 1


class _TurnedAway(asyncio.Protocol):
    """Takes no note of what the client says, until it has left or its time is up."""

    def __init__(self, transport: asyncio.Transport, gone: Callable[[], None]) -> None:
        self._gone = gone
        self._timer = asyncio.get_running_loop().call_later(LINGER, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end."""
        self._timer.cancel()
        self._gone()


def client_of(peer: Any) -> str:
    """Return what stands for a client: its IPv4 address, or its network of IPv6, of which it has all."""
    host = str(peer[0]) if isinstance(peer, tuple) else ""
    if ":" not in host:
        return host
    address = ipaddress.IPv6Address(host.partition("%")[0])
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address, 64), strict=False))
