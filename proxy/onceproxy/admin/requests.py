"""What becomes of requests, and how long their stages take, for Prometheus: the ``Recorder`` of ``signals``.

Called for each request. Looking a label's child up in a dict of our own is a third of what the library's
``labels`` takes.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class RequestCounts:
    """Counts and times requests. There are as many children as routes times words of ours."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "onceproxy_requests",
            "Requests, by what was done with them and what came of that.",
            ["route", "decision", "outcome"],
            registry=registry,
        )
        self._seconds = Histogram(
            "onceproxy_request_duration_seconds",
            "From a request's last byte to its answer, or the head of one that is streamed.",
            ["route", "decision"],
            buckets=SECONDS,
            registry=registry,
        )
        self._saved = Counter(
            "onceproxy_saved_executions",
            "Copies that were not sent, because their action had been, or may have been.",
            ["route"],
            registry=registry,
        )
        self._attempts = Counter(
            "onceproxy_attempts",
            "Attempts whose end is durable, by what they proved.",
            ["route", "outcome"],
            registry=registry,
        )
        self._claim = Histogram(
            "onceproxy_claim_duration_seconds",
            "How long the database took to claim an action, or to say what stands in the way.",
            buckets=SECONDS,
            registry=registry,
        )
        self._upstream = Histogram(
            "onceproxy_upstream_duration_seconds",
            "From sending to the end of the answer; for requests that are not guarded, to its head.",
            ["route"],
            buckets=SECONDS,
            registry=registry,
        )
        self._complete = Histogram(
            "onceproxy_complete_duration_seconds",
            "How long the database took to store what came of an attempt.",
            buckets=SECONDS,
            registry=registry,
        )
        self._store_errors = Counter(
            "onceproxy_store_errors",
            "What the database could not do, after some seconds of trying.",
            ["verb"],
            registry=registry,
        )
        self._requests_of: dict[tuple[str, str, str], tuple[Counter, Histogram]] = {}
        self._upstream_of: dict[str, Histogram] = {}
        self._attempts_of: dict[tuple[str, str], Counter] = {}

    def request(self, route: str, decision: str, outcome: str, seconds: float) -> None:
        """Count a request that got its answer."""
        key = route, decision, outcome
        children = self._requests_of.get(key)
        if children is None:
            children = self._requests.labels(*key), self._seconds.labels(route, decision)
            self._requests_of[key] = children
        children[0].inc()
        children[1].observe(seconds)

    def saved(self, route: str) -> None:
        """Count a copy that was not sent."""
        self._saved.labels(route).inc()

    def attempt(self, route: str, outcome: str) -> None:
        """Count an attempt whose end is durable."""
        child = self._attempts_of.get((route, outcome))
        if child is None:
            child = self._attempts_of[route, outcome] = self._attempts.labels(route, outcome)
        child.inc()

    def claim_took(self, seconds: float) -> None:
        """Time a claim."""
        self._claim.observe(seconds)

    def upstream_took(self, route: str, seconds: float) -> None:
        """Time a sending."""
        child = self._upstream_of.get(route)
        if child is None:
            child = self._upstream_of[route] = self._upstream.labels(route)
        child.observe(seconds)

    def complete_took(self, seconds: float) -> None:
        """Time the storing of what came of an attempt."""
        self._complete.observe(seconds)

    def store_error(self, verb: str) -> None:
        """Count what the database could not do."""
        self._store_errors.labels(verb).inc()
