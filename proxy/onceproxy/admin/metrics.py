"""Counters for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from onceproxy.admin.levels import Levels
from onceproxy.admin.requests import RequestCounts
from onceproxy.admin.standing import Standing
from onceproxy.admin.tally import SAMPLES, Tally, tally_of
from onceproxy.core.limits import Limit

BATCH_ROWS = (1, 2, 4, 8, 16, 32, 64, 120)  # the last one is the most that a batch may have


class Metrics:
    """The guard's ``Meter``, and the page that shows it, with ``requests`` and ``levels``.

    Labels hold names of the configuration and of the code only, never what a client sends. In a process whose
    environment had PROMETHEUS_MULTIPROC_DIR from its beginning, all is counted in files there.
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = RequestCounts(self._registry)
        self.levels = Levels(self._registry)
        self._executed_twice = Counter(
            "onceproxy_executed_twice",
            "Attempts that a later one had superseded, and that did the action, or may have. Must stay 0.",
            ["route"],
            registry=self._registry,
        )
        self._observed = Counter(
            "onceproxy_observed",
            "Copies sent in mode observe that would have been treated otherwise.",
            ["route", "would"],
            registry=self._registry,
        )
        self._looks_repeated = Counter(
            "onceproxy_looks_repeated",
            "Actions that were sent, and look like an earlier one under another key.",
            ["route"],
            registry=self._registry,
        )
        self._unreadable = Counter(
            "onceproxy_receipts_unreadable",
            "Copies refused because their receipts can't be decrypted. Must stay 0.",
            ["route"],
            registry=self._registry,
        )
        self._limits_hit = Counter(
            "onceproxy_limits_hit",
            "What was refused, closed or not kept because a limit had no room for it.",
            ["limit"],
            registry=self._registry,
        )
        self._batch_rows = Histogram(
            "onceproxy_batch_rows",
            "How many claims or settlements were written, or receipts read, in one statement.",
            ["lane"],
            buckets=BATCH_ROWS,
            registry=self._registry,
        )
        self._cache_hits = Counter(
            "onceproxy_receipt_cache_hits",
            "Receipts that were found in memory.",
            registry=self._registry,
        )

        self._egress_denied = Counter(
            "onceproxy_egress_denied",
            "Requests and tunnels that the egress policy forbade.",
            ["rule"],
            registry=self._registry,
        )

        self._hooks = Counter(
            "onceproxy_hooks",
            "Messages to hooks: told, put-off after a try that failed, or failed for good. That must stay 0.",
            ["result"],
            registry=self._registry,
        )

        self._client_tls_failed = Counter(
            "onceproxy_client_tls_failed",
            "Tunnels that could not be opened, because TLS with the client failed.",
            ["reason"],
            registry=self._registry,
        )

    def executed_twice(self, route: str) -> None:
        """Count an attempt that another one had superseded."""
        self._executed_twice.labels(route).inc()

    def observed(self, route: str, would: str) -> None:
        """Count a copy that was sent in mode ``observe``."""
        self._observed.labels(route, would).inc()

    def looks_repeated(self, route: str) -> None:
        """Count an action that looks like an earlier one."""
        self._looks_repeated.labels(route).inc()

    def unreadable(self, route: str) -> None:
        """Count a copy whose receipt can't be decrypted."""
        self._unreadable.labels(route).inc()

    def limit_hit(self, limit: Limit) -> None:
        """Count what a limit had no room for."""
        self._limits_hit.labels(limit.value).inc()

    def batch(self, lane: str, rows: int) -> None:
        """Count a batch of ``rows`` claims or settlements."""
        self._batch_rows.labels(lane).observe(rows)

    def receipt_cache_hit(self) -> None:
        """Count a receipt that was found in memory."""
        self._cache_hits.inc()

    def egress_denied(self, rule: str) -> None:
        """Count what the egress policy forbade."""
        self._egress_denied.labels(rule).inc()

    def hook(self, result: str) -> None:
        """Count what became of a message to a hook: ``told``, ``put-off`` or ``failed``."""
        self._hooks.labels(result).inc()

    def client_tls_failed(self, reason: str) -> None:
        """Count a tunnel that could not be opened."""
        self._client_tls_failed.labels(reason).inc()

    def tunnel_opened(self, kind: str) -> None:
        """Count an opaque tunnel."""
        self.levels.tunnel_opened(kind)

    def tunnel_closed(self, kind: str) -> None:
        """Count it no more among those that are open."""
        self.levels.tunnel_closed(kind)

    def show_ready(self, ready: Callable[[], bool]) -> None:
        """Show on the page, too, which version this is and whether it may send."""
        self._registry.register(Standing(ready))

    def tally(self) -> Tally:
        """Return the few numbers that a terminal shows."""
        return tally_of(self._registry.restricted_registry(SAMPLES).collect())

    def page(self) -> bytes:
        """Return all that was counted in the text format of Prometheus."""
        return generate_latest(self._registry)
