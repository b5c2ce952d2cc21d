"""All that one user can do with a route before another one comes with the same requests."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from upstreams import Behaviour, answer, reset

JSON = "Content-Type: application/json"
KEY, OTHER_KEY = "Idempotency-Key: k-1", "Idempotency-Key: k-2"
READ_ONLY = {
    "jsonrpc": "2.0",
    "id": 1,
    "result": {"tools": [{"name": "look", "annotations": {"readOnlyHint": True}}]},
}


def rpc(method: str, **params: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


@dataclass(frozen=True)
class Copy:
    """One request of Bob's or Ann's, to the situation's path."""

    lines: tuple[str, ...] = ()
    body: bytes = b'{"amount": 100}'
    method: str = "POST"


PLAIN, KEYED = Copy(), Copy((KEY,))


@dataclass(frozen=True)
class Situation:
    """``ann`` are her requests, each with what the upstream does; ``found`` is what her last one must show.

    ``bob`` are his requests. ``route`` is what the route's section says. ``passes``: seconds that go by after
    each request of hers.
    """

    name: str
    ann: tuple[tuple[Copy, Behaviour | None], ...]
    found: str
    bob: tuple[Copy, ...]
    route: dict[str, Any] = field(default_factory=dict)
    way: str = "forward"
    passes: float = 0.0


TWICE = (PLAIN, PLAIN)
UNKNOWN = ((PLAIN, reset), (PLAIN, None))
SITUATIONS = (
    Situation("completed", ((PLAIN, None), (PLAIN, None)), "completed", TWICE),
    Situation("completed-by-key", ((KEYED, None), (KEYED, None)), "completed", (KEYED, KEYED)),
    Situation("mounted", ((PLAIN, None), (PLAIN, None)), "completed", TWICE, way="mount"),
    Situation("tunnelled", ((PLAIN, None), (PLAIN, None)), "completed", TWICE, way="tunnel"),
    Situation(
        "on-purpose",
        ((Copy(("Onceproxy-Action: a",)), None),) * 2,
        "completed",
        (Copy(("Onceproxy-Action: a",)), PLAIN),
    ),
    Situation(
        "reused",
        ((KEYED, None), (Copy((KEY,), b"{}"), None)),
        "key-reused",
        (Copy((KEY,), b"{}"), KEYED),
    ),
    Situation(
        "credential",
        ((Copy((KEY, "Authorization: Bearer a")), None), (Copy((KEY, "Authorization: Bearer b")), None)),
        "credential-mismatch",
        (Copy((KEY, "Authorization: Bearer b")), Copy((KEY, "Authorization: Bearer a"))),
    ),
    Situation("doubtful", UNKNOWN, "outcome-unknown", TWICE),
    Situation("failed", ((PLAIN, answer(500)), (PLAIN, None)), "outcome-unknown", TWICE),
    Situation("turned-away", ((PLAIN, answer(429)),), "released", TWICE),
    Situation(
        "resent",
        ((KEYED, reset), (KEYED, reset)),
        "in_doubt",
        (KEYED, KEYED),
        {"in_doubt": "resend", "upstream_window": "1h"},
    ),
    Situation("executed", ((PLAIN, reset), (PLAIN, reset)), "in_doubt", TWICE, {"in_doubt": "execute"}),
    Situation(
        "probed",
        ((PLAIN, reset), (PLAIN, answer(503))),
        "outcome-unknown",
        TWICE,
        {"in_doubt": "probe", "probe": {"url": "UPSTREAM/found", "happened": "$.done", "tries": 1}},
    ),
    Situation("large", ((PLAIN, answer(200, b"x" * 5000)), (PLAIN, None)), "receipt-body-not-kept", TWICE),
    Situation(
        "expired",
        ((PLAIN, None),) * 2,
        "receipt-expired",
        (PLAIN,),
        {"ttl": "1ms", "after_ttl": "refuse"},
        passes=0.01,
    ),
    Situation(
        "held",
        ((KEYED, None), (Copy((OTHER_KEY,)), None)),
        "looks-repeated",
        (Copy((OTHER_KEY,)), Copy(("Idempotency-Key: k-3",)), PLAIN),
        {"fresh_key": "hold"},
    ),
    Situation(
        "warned",
        ((KEYED, None), (Copy((OTHER_KEY,)), None)),
        "completed",
        (Copy((OTHER_KEY,)), Copy(("Idempotency-Key: k-3",))),
        {"fresh_key": "warn"},
    ),
    Situation("observed", ((PLAIN, None),) * 2, "completed", TWICE, {"mode": "observe"}),
    Situation(
        "conflicting",
        ((PLAIN, None), (PLAIN, None)),
        "completed",
        TWICE,
        {"duplicate": "conflict"},
    ),
    Situation(
        "learnt",
        (
            (
                Copy((JSON,), rpc("tools/list")),
                answer(200, json.dumps(READ_ONLY).encode(), (("Content-Type", "application/json"),)),
            ),
            (Copy((JSON,), rpc("tools/call", name="look")), None),
        ),
        "passed",
        (Copy((JSON,), rpc("tools/call", name="look")),) * 2,
        {"identity": {"key": [], "fingerprint": {"body": {"jsonrpc": {"trust_annotations": True}}}}},
    ),
    Situation(
        "graphql",
        ((Copy((JSON,), b'{"query": "mutation { pay }"}'), None),) * 2,
        "completed",
        (Copy((JSON,), b'{"query": "mutation { pay }"}'),) * 2,
        {"identity": {"key": [], "fingerprint": {"body": "graphql"}}},
    ),
    Situation("read", ((Copy((), b"", "GET"), None),), "passed", (Copy((), b"", "GET"),)),
    Situation(
        "keyless",
        ((KEYED, None), (PLAIN, None)),
        "missing-key",
        (PLAIN, KEYED),
        {"identity": {"missing": "reject"}},
    ),
)
