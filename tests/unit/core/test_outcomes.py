"""The outcome table: what each status and each failure proves."""

from __future__ import annotations

import itertools

import pytest

from onceproxy.core.attempts import NOTHING_SENT, Attempt, Failure, WirePhase
from onceproxy.core.messages import Response
from onceproxy.core.outcomes import Outcome, OutcomeKind, after_doubt, classify
from onceproxy.core.problems import upstream_problem

RELEASED = {401, 403, 407, 408, 409, 421, 423, 425, 429}


@pytest.mark.parametrize("status", range(200, 600))
def test_statuses(status: int) -> None:
    attempt = Attempt(WirePhase.BODY_RECEIVED, response=Response(status, b"", ()), status=status)
    expected = (
        OutcomeKind.RELEASED
        if status in RELEASED
        else OutcomeKind.IN_DOUBT
        if status >= 500
        else OutcomeKind.COMPLETED
    )
    assert classify(attempt).kind is expected
    assert classify(attempt).reason == f"status-{status}"


def test_statuses_out_of_range_prove_nothing() -> None:
    for status in (100, 199, 600, 999):
        attempt = Attempt(WirePhase.BODY_RECEIVED, response=Response(status, b"", ()), status=status)
        assert classify(attempt).kind is OutcomeKind.IN_DOUBT


@pytest.mark.parametrize(("phase", "failure"), list(itertools.product(WirePhase, Failure)))
def test_failures(phase: WirePhase, failure: Failure) -> None:
    outcome = classify(Attempt(phase, failure=failure))
    assert (outcome.kind is OutcomeKind.RELEASED) is (phase in NOTHING_SENT)
    assert outcome.kind is not OutcomeKind.COMPLETED


def test_a_head_alone_is_no_answer() -> None:
    attempt = Attempt(WirePhase.HEAD_RECEIVED, failure=Failure.CONNECTION_LOST, status=200)
    assert classify(attempt).kind is OutcomeKind.IN_DOUBT


def test_the_phases_in_which_nothing_was_sent() -> None:
    assert {phase.value for phase in NOTHING_SENT} == {"resolving", "connecting", "sent-nothing"}


@pytest.mark.parametrize(
    ("phase", "failure", "status", "proxy_error"),
    [
        (WirePhase.RESOLVING, Failure.NAME_NOT_RESOLVED, 502, "dns_error"),
        (WirePhase.CONNECTING, Failure.CONNECTION_REFUSED, 502, "connection_refused"),
        (WirePhase.CONNECTING, Failure.TLS_FAILED, 502, "tls_certificate_error"),
        (WirePhase.CONNECTING, Failure.TIMEOUT, 504, "connection_timeout"),
        (WirePhase.SENT, Failure.TIMEOUT, 504, None),
        (WirePhase.SENT, Failure.CONNECTION_LOST, 502, "connection_terminated"),
        (WirePhase.SENT, Failure.MALFORMED_RESPONSE, 502, "http_protocol_error"),
        (WirePhase.SENT_NOTHING, Failure.LEASE_LOST, 503, None),
        (WirePhase.SENT, Failure.STOPPED, 503, None),
    ],
)
def test_the_problem_that_tells_a_failure(
    phase: WirePhase, failure: Failure, status: int, proxy_error: str | None
) -> None:
    problem = upstream_problem(Attempt(phase, failure=failure, detail="what happened"))
    assert problem.type.status == status
    assert problem.proxy_error == proxy_error
    assert problem.document()["phase"] == phase.value


@pytest.mark.parametrize("kind", OutcomeKind)
def test_a_release_after_a_doubt_is_a_doubt(kind: OutcomeKind) -> None:
    after = after_doubt(Outcome(kind, "why"))

    if kind is OutcomeKind.RELEASED:
        assert after == Outcome(OutcomeKind.IN_DOUBT, "earlier-attempt-in-doubt")
    else:
        assert after == Outcome(kind, "why")
