"""How much of something there is at the moment, for Prometheus.

What all processes of a database, or of a data directory, see alike is not added up where several count: the
value that was seen last stands for all.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class Levels:
    """Doubts, the spool, and open tunnels."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._doubts = Gauge(
            "onceproxy_receipts_in_doubt",
            "Actions of which nobody knows whether they happened, in the whole database, up to 100,000.",
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._oldest = Gauge(
            "onceproxy_receipts_in_doubt_oldest_age_seconds",
            "How long the oldest of those has been in doubt; 0 where there is none.",
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._spooled = Gauge(
            "onceproxy_spool_receipts",
            "Receipts that wait in this data directory for the database to take them.",
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._spooled_bytes = Gauge(
            "onceproxy_spool_bytes",
            "How large those are together.",
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._tunnels = Counter(
            "onceproxy_tunnels",
            "Opaque tunnels, in which nothing is guarded, that were asked for.",
            ["kind"],
            registry=registry,
        )
        self._tunnels_open = Gauge(
            "onceproxy_tunnels_open",
            "Opaque tunnels that are open.",
            ["kind"],
            registry=registry,
            multiprocess_mode="livesum",
        )

    def doubts(self, count: int, oldest: float) -> None:
        """Say how many actions are in doubt, and for how many seconds the oldest has been."""
        self._doubts.set(count)
        self._oldest.set(oldest)

    def spool(self, records: int, size: int) -> None:
        """Say how many records wait in the spool, and their bytes."""
        self._spooled.set(records)
        self._spooled_bytes.set(size)

    def tunnel_opened(self, kind: str) -> None:
        """Count a tunnel."""
        self._tunnels.labels(kind).inc()
        self._tunnels_open.labels(kind).inc()

    def tunnel_closed(self, kind: str) -> None:
        """Count it no more among those that are open."""
        self._tunnels_open.labels(kind).dec()
