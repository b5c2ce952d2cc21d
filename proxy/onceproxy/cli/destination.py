"""Whether the egress policy lets a request go where it wants, for `onceproxy explain`."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any

from onceproxy.core.addresses import parse_address
from onceproxy.core.egress import EgressPolicy, Verdict, Way
from onceproxy.core.messages import Origin


@dataclass(frozen=True, slots=True)
class Destination:
    """The verdict on a host, and on each of its addresses where they were looked up.

    ``unresolved`` says why they were not.
    """

    host: str
    verdict: Verdict
    addresses: tuple[tuple[str, Verdict], ...] = ()
    unresolved: str | None = None

    @property
    def words(self) -> str:
        """The verdict for people."""
        if not self.verdict.allowed:
            return f"egress: denied by the rule {self.verdict.rule}: {self.verdict.words}"
        if not self.addresses:
            why = f" ({self.unresolved})" if self.unresolved is not None else ""
            return f"egress: allowed by name; each address is judged when it is dialled{why}"
        if any(verdict.allowed for _, verdict in self.addresses):
            return "egress: allowed"
        return "egress: denied, as none of its addresses is allowed"

    @property
    def lines(self) -> list[str]:
        """What there is to say of each address."""
        return [
            f"{address}: {verdict.rule}" + (f": {verdict.words}" if verdict.words else "")
            for address, verdict in self.addresses
        ]

    def document(self) -> dict[str, Any]:
        """Return the same as plain values; the names are stable. ``allowed`` is null where it is open."""
        allowed: bool | None = self.verdict.allowed
        if self.addresses:
            allowed = any(verdict.allowed for _, verdict in self.addresses)
        elif self.verdict.maybe:
            allowed = None
        return {
            "allowed": allowed,
            "rule": self.verdict.rule.value,
            "addresses": [
                {"address": address, "allowed": verdict.allowed, "rule": verdict.rule.value}
                for address, verdict in self.addresses
            ],
        }


def destination(policy: EgressPolicy, origin: Origin, *, resolve: bool) -> Destination:
    """Judge where a request wants to go; ``resolve``: look its name up, as sending it would."""
    verdict = policy.judge_name(origin.host, origin.port, Way.HTTP)
    if not resolve or not verdict.maybe:
        return Destination(origin.host, verdict)
    try:
        found = socket.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return Destination(origin.host, verdict, unresolved="its name can't be resolved")
    judged = []
    for text in dict.fromkeys(str(entry[4][0]) for entry in found):
        address = parse_address(text)
        if address is not None:
            judged.append((text, policy.judge_address(origin.host, address, origin.port, Way.HTTP)))
    return Destination(origin.host, verdict, tuple(judged))
