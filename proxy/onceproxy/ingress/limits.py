"""What a client may take of the proxy: how large its heads are, how slow it is, how often it connects."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """Bytes, seconds and counts.

    ``header``: one line of a head. ``header_lines``: how many of them a head may have. ``head``: all of it.
    ``head_timeout``: for a head to arrive. ``body_timeout``: for some of a body to arrive while it is waited
    for; in each such time at least ``body_rate`` bytes a second. ``drain_timeout``: for a client to take some
    of an answer. ``idle_timeout``: between two requests. ``connections``: of all clients, and
    ``connections_per_client`` of one address. ``tunnels``: opaque ones and upgraded connections, which may be
    silent for ``tunnel_idle_timeout``.
    """

    header: int = 64 * 1024
    header_lines: int = 128
    head: int = 128 * 1024
    head_timeout: float = 10.0
    body_timeout: float = 30.0
    body_rate: int = 500
    drain_timeout: float = 30.0
    idle_timeout: float = 75.0
    connections: int = 1000
    connections_per_client: int = 500
    tunnels: int = 500
    tunnel_idle_timeout: float = 600.0

    @property
    def look_every(self) -> float:
        """Seconds between two looks at all connections: a fraction of the shortest time to be kept."""
        return min(1.0, self.body_timeout / 4, self.drain_timeout / 4)
