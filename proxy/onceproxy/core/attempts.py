"""What one attempt at sending saw: the evidence from which an outcome is concluded."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from onceproxy.core.messages import Response


class WirePhase(StrEnum):
    """How far an attempt came. Each phase includes the ones before it."""

    RESOLVING = "resolving"  # looking the host's name up
    CONNECTING = "connecting"  # TCP and TLS
    SENT_NOTHING = "sent-nothing"  # connected, and not one byte of the request written
    SENDING = "sending"  # at least one byte was handed to the operating system
    SENT = "sent"  # the whole request was handed over
    HEAD_RECEIVED = "head-received"  # the final response's status and headers arrived whole
    BODY_RECEIVED = "body-received"  # the whole response arrived


NOTHING_SENT = frozenset({WirePhase.RESOLVING, WirePhase.CONNECTING, WirePhase.SENT_NOTHING})
"""The phases in which it is certain that the upstream received no byte of the request."""


class Failure(StrEnum):
    """Why an attempt has no whole response."""

    NAME_NOT_RESOLVED = "name-not-resolved"
    EGRESS_DENIED = "egress-denied"  # our own policy forbids it; ``rule`` says which part of it
    CONNECTION_REFUSED = "connection-refused"  # also unreachable networks and failed connects of any kind
    TLS_FAILED = "tls-failed"  # handshake, or a certificate that does not verify
    LEASE_LOST = "lease-lost"  # our right to send ran out before the first byte
    CONNECTION_LOST = "connection-lost"  # closed or reset after the connection was made
    TIMEOUT = "timeout"
    MALFORMED_RESPONSE = "malformed-response"
    STOPPED = "stopped"  # this process was told to stop, or the caller left before anything began
    RAISED = "raised"  # a guarded function raised an exception


@dataclass(frozen=True, slots=True)
class Attempt:
    """The report of one sending.

    ``response`` is there exactly when ``phase`` is ``BODY_RECEIVED``; else ``failure`` says why not, and
    ``partial`` may hold what had arrived of it.
    ``detail`` is for people: plain words, no secrets. ``status`` is the final status if at least the head
    arrived. ``rule`` is the part of the egress policy that forbade it.
    """

    phase: WirePhase
    response: Response | None = None
    failure: Failure | None = None
    detail: str = ""
    status: int | None = None
    partial: Response | None = None
    rule: str | None = None


class SendFailed(Exception):
    """A request has no response: how far it came, why, and the words for people."""

    def __init__(self, phase: WirePhase, failure: Failure, detail: str, *, rule: str | None = None) -> None:
        super().__init__(detail)
        self.phase = phase
        self.failure = failure
        self.detail = detail
        self.rule = rule

    def attempt(self) -> Attempt:
        """Return the same as an attempt's report."""
        return Attempt(self.phase, failure=self.failure, detail=self.detail, rule=self.rule)
