"""What became of a request: in one word, for whoever counts, and in one line of the log."""

from __future__ import annotations

import structlog

from onceproxy.core.problems import ProblemType
from onceproxy.core.receipts import Action
from onceproxy.core.states import State
from onceproxy.guard.answers import Answer
from onceproxy.signals.journey import CLAIM, COMPLETE, IDENTITY, UPSTREAM, Journey

log = structlog.get_logger("onceproxy.ingress")

EXECUTE, REPLAY, REFUSE, PASS, LEFT = "execute", "replay", "refuse", "pass", "left"
DECISIONS = (EXECUTE, REPLAY, REFUSE, PASS, LEFT)
"""It was sent; it was answered from a receipt; a problem; not guarded, and sent; its client has left."""

ANSWERED, CLIENT_LEFT = "answered", "client-left"
STREAMING, STORED_LATER, OBSERVED = "streaming", "stored-later", "observed"

OUTCOMES = frozenset(
    {ANSWERED, CLIENT_LEFT, STREAMING, STORED_LATER, OBSERVED}
    | {State.COMPLETED, State.RELEASED, State.IN_DOUBT}
    | {kind.slug for kind in ProblemType}
)
"""All that it may have come to."""

_UNSEEN = ProblemType.STORE_UNAVAILABLE.slug  # sent in mode observe, while the database was away

SAVING = frozenset(
    {
        ProblemType.IN_PROGRESS,
        ProblemType.OUTCOME_UNKNOWN,
        ProblemType.LOOKS_REPEATED,
        ProblemType.BODY_NOT_KEPT,
        ProblemType.UNREADABLE,
        ProblemType.RECEIPT_EXPIRED,
    }
)
"""Refusals of copies that would have been executed, had there been no receipt in the way."""


def decision_of(answer: Answer) -> str:
    """Say in a word what was done with a copy."""
    return REPLAY if answer.replayed else EXECUTE if answer.executed else REFUSE


def outcome_of(answer: Answer) -> str:
    """Say in a word how it ended: the state of the receipt, or the slug of the problem."""
    if not answer.executed and answer.problem is not None:
        return answer.problem.type.slug
    reason, state = answer.reason, answer.state
    if state is None or reason.startswith("would-") or reason == _UNSEEN:
        return OBSERVED  # the receipt, if there is one, is of another copy
    if answer.stream is not None:
        return STREAMING
    return STORED_LATER if state is State.CLAIMED else state.value


def status_of(answer: Answer) -> int:
    """Return the status that the client gets."""
    if answer.response is not None:
        return answer.response.status
    assert answer.problem is not None
    return answer.problem.type.status


def log_decision(journey: Journey, action: Action, answer: Answer, decision: str, outcome: str) -> None:
    """Write the one line that says what became of a guarded request. Never bodies, never secrets."""
    response = answer.response
    _write(
        journey,
        action,
        decision=decision,
        outcome=outcome,
        reason=answer.reason,
        state=answer.state.value if answer.state is not None else None,
        status=status_of(answer),
        attempt=answer.attempt,
        response_bytes=response.body.size if response is not None and answer.stream is None else None,
    )


def log_left(journey: Journey, action: Action) -> None:
    """Write the same line for a request whose client has left. What was begun goes on."""
    _write(
        journey,
        action,
        decision=LEFT,
        outcome=CLIENT_LEFT,
        reason=CLIENT_LEFT,
        state=None,
        status=None,
        attempt=None,
        response_bytes=None,
    )


def _write(
    journey: Journey,
    action: Action,
    *,
    decision: str,
    outcome: str,
    reason: str,
    state: str | None,
    status: int | None,
    attempt: int | None,
    response_bytes: int | None,
) -> None:
    took = journey.took
    log.info(
        "decision",
        request_id=str(action.request_id),
        route=action.route,
        method=action.method,
        url=action.url,
        decision=decision,
        outcome=outcome,
        reason=reason,
        state=state,
        status=status,
        attempt=attempt,
        request_bytes=journey.request_bytes,
        response_bytes=response_bytes,
        seconds=_rounded(journey.seconds),
        identity_seconds=_rounded(took.get(IDENTITY)),
        claim_seconds=_rounded(took.get(CLAIM)),
        upstream_seconds=_rounded(took.get(UPSTREAM)),
        complete_seconds=_rounded(took.get(COMPLETE)),
        trace_id=journey.span.trace_id if journey.span is not None else None,
    )


def _rounded(seconds: float | None) -> float | None:
    # To a tenth of a millisecond; a quarter of what `round` takes, five times a line.
    return None if seconds is None else int(seconds * 10_000 + 0.5) / 10_000
