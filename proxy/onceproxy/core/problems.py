"""Our own answers when there is no upstream answer to give (RFC 9457, with Proxy-Status of RFC 9209).

Each has a slug, documented in ``docs/problems.md`` (a test compares), a status, a title, and the error type
under which ``Proxy-Status`` reports it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from onceproxy.core.attempts import NOTHING_SENT, Attempt, Failure, WirePhase
from onceproxy.core.egress import OF_ADDRESSES
from onceproxy.core.limits import OverLimit
from onceproxy.core.receipts import RequestId

URN = "urn:onceproxy:problem:"


class ProblemType(Enum):
    """The problems there are: slug, status, title, Proxy-Status error type (RFC 9209 §2.3)."""

    BAD_REQUEST = "bad-request", 400, "The request can't be understood", "http_request_error"
    MISSING_KEY = "missing-key", 400, "The request has no idempotency key", "http_request_error"
    BAD_KEY = "bad-key", 400, "The idempotency key can't be used", "http_request_error"
    CREDENTIAL_MISMATCH = (
        "credential-mismatch",
        403,
        "The receipt belongs to another credential",
        "http_request_denied",
    )
    EGRESS_DENIED = "egress-denied", 403, "The proxy may not send requests there", "http_request_denied"
    PROXY_AUTH_REQUIRED = (
        "proxy-auth-required",
        407,
        "The proxy does not know who asks",
        "http_request_denied",
    )
    REQUEST_TIMEOUT = "request-timeout", 408, "The request did not arrive in time", "http_request_error"
    IN_PROGRESS = "in-progress", 409, "The same action is still at work", "http_request_denied"
    OUTCOME_UNKNOWN = "outcome-unknown", 409, "Nobody can know whether it happened", "http_request_denied"
    LOOKS_REPEATED = (
        "looks-repeated",
        409,
        "The same was asked for just now, under another key",
        "http_request_denied",
    )
    BODY_NOT_KEPT = (
        "receipt-body-not-kept",
        409,
        "It happened, but its response can't be given again",
        "http_request_denied",
    )
    UNREADABLE = (
        "receipt-unreadable",
        409,
        "It happened, but its receipt can't be decrypted",
        "http_request_denied",
    )
    RECEIPT_EXPIRED = (
        "receipt-expired",
        410,
        "It happened, and its receipt has expired",
        "http_request_denied",
    )
    BODY_TOO_LARGE = "body-too-large", 413, "The request's body is over the limit", "http_request_error"
    TARGET_TOO_LONG = "target-too-long", 414, "The request's target is over the limit", "http_request_error"
    EXPECTATION_FAILED = "expectation-failed", 417, "The expectation can't be met", "http_request_error"
    KEY_REUSED = "key-reused", 422, "The key was used for another request", "http_request_denied"
    HEADERS_TOO_LARGE = (
        "headers-too-large",
        431,
        "The request's header lines are over the limit",
        "http_request_error",
    )
    INTERNAL_ERROR = "internal-error", 500, "The proxy failed", "proxy_internal_error"
    UNSUPPORTED = "unsupported", 501, "The proxy does not do that", "http_request_error"
    UPSTREAM_UNREACHABLE = (
        "upstream-unreachable",
        502,
        "The upstream can't be reached",
        "destination_unavailable",
    )
    UPSTREAM_FAILED = "upstream-failed", 502, "The upstream gave no whole response", "connection_terminated"
    LOOP_DETECTED = "loop-detected", 508, "The request came back to this proxy", "proxy_loop_detected"
    STORE_UNAVAILABLE = "store-unavailable", 503, "Receipts can't be stored now", "proxy_internal_error"
    OVERLOADED = "overloaded", 503, "The proxy has no room for it now", "connection_limit_reached"
    SHUTTING_DOWN = "shutting-down", 503, "The proxy is shutting down", "proxy_internal_error"
    UPSTREAM_TIMEOUT = "upstream-timeout", 504, "The upstream did not answer in time", "http_response_timeout"

    def __init__(self, slug: str, status: int, title: str, proxy_error: str) -> None:
        self.slug = slug
        self.status = status
        self.title = title
        self.proxy_error = proxy_error


# RFC 9209 has finer names for what an attempt saw than one a problem.
_PROXY_ERRORS = {
    Failure.NAME_NOT_RESOLVED: "dns_error",
    Failure.CONNECTION_REFUSED: "connection_refused",
    Failure.TLS_FAILED: "tls_certificate_error",
    Failure.CONNECTION_LOST: "connection_terminated",
    Failure.MALFORMED_RESPONSE: "http_protocol_error",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem as it will be told to a client.

    ``detail`` says in plain words what happened and what to do next. ``retry_after`` is in whole seconds.
    ``extra`` holds further members; none of them a secret.
    """

    type: ProblemType
    detail: str
    request_id: RequestId | None = None
    route: str | None = None
    attempt: int | None = None
    retry_after: int | None = None
    proxy_error: str | None = None
    extra: tuple[tuple[str, Any], ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the members of the ``application/problem+json`` document."""
        members: dict[str, Any] = {
            "type": URN + self.type.slug,
            "title": self.type.title,
            "status": self.type.status,
            "detail": self.detail,
        }
        if self.request_id is not None:
            members["request_id"] = str(self.request_id)
        if self.route is not None:
            members["route"] = self.route
        if self.attempt is not None:
            members["attempt"] = self.attempt
        members.update(self.extra)
        return members


def overloaded(over: OverLimit) -> Problem:
    """Return the problem of a request that a limit has no room for."""
    return Problem(ProblemType.OVERLOADED, str(over), retry_after=1, extra=(("limit", over.limit.value),))


def upstream_problem(attempt: Attempt) -> Problem:
    """Return the problem that tells an attempt which has no whole response."""
    failure = attempt.failure or Failure.CONNECTION_LOST
    extra: tuple[tuple[str, Any], ...] = (("failure", failure.value), ("phase", attempt.phase.value))
    proxy_error = _PROXY_ERRORS.get(failure)
    if failure is Failure.EGRESS_DENIED:
        kind = ProblemType.EGRESS_DENIED
        extra = (*extra, ("rule", attempt.rule))
        proxy_error = "destination_ip_prohibited" if attempt.rule in OF_ADDRESSES else None
    elif failure is Failure.STOPPED:
        kind = ProblemType.SHUTTING_DOWN
    elif failure is Failure.LEASE_LOST:
        kind = ProblemType.STORE_UNAVAILABLE
    elif failure is Failure.TIMEOUT:
        kind = ProblemType.UPSTREAM_TIMEOUT
        if attempt.phase is WirePhase.RESOLVING:
            proxy_error = "dns_timeout"
        elif attempt.phase is WirePhase.CONNECTING:
            proxy_error = "connection_timeout"
    elif attempt.phase in NOTHING_SENT:
        kind = ProblemType.UPSTREAM_UNREACHABLE
    else:
        kind = ProblemType.UPSTREAM_FAILED
    retry_after = 1 if kind.status == 503 else None
    return Problem(kind, attempt.detail, retry_after=retry_after, proxy_error=proxy_error, extra=extra)
