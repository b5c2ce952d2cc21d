"""What the client of an attempt is told in the end."""

from __future__ import annotations

from dataclasses import replace

import structlog

from onceproxy.core.attempts import NOTHING_SENT, Attempt
from onceproxy.core.outcomes import Outcome, OutcomeKind
from onceproxy.core.problems import Problem, ProblemType, upstream_problem
from onceproxy.core.receipts import Action, Claim
from onceproxy.core.states import State
from onceproxy.guard.answers import Answer
from onceproxy.guard.streaming import Stream

log = structlog.get_logger("onceproxy.guard")


def tell(stream: Stream, claim: Claim, answer: Answer) -> None:
    """Tell the client; and the log, where the client has a stream or has left."""
    if stream.begun or stream.left:
        log.info(
            "stream-ended", request_id=str(claim.request_id), reason=answer.reason, attempt=claim.attempt
        )
    stream.tell(answer)


def answer_of(
    action: Action, claim: Claim, attempt: Attempt, outcome: Outcome, reason: str, state: State
) -> Answer:
    """Answer with what an attempt brought, or with the problem that it had."""
    problem = None
    if attempt.response is None:
        problem = replace(
            upstream_problem(attempt),
            detail=_explain(attempt, outcome, claim),
            request_id=claim.request_id,
            route=action.route,
            attempt=claim.attempt,
        )
    return Answer(
        claim.request_id,
        state,
        claim.attempt,
        reason,
        response=attempt.response,
        problem=problem,
        executed=attempt.phase not in NOTHING_SENT,
    )


def stored_later(action: Action, claim: Claim) -> Answer:
    """Answer a client whose receipt the store has not taken in time."""
    problem = Problem(
        ProblemType.STORE_UNAVAILABLE,
        "The upstream has answered, but the receipt could not be stored yet; the proxy goes on trying. "
        "Retry later: the action will not be sent again.",
        request_id=action.request_id,
        route=action.route,
        attempt=claim.attempt,
        retry_after=5,
    )
    return Answer(
        claim.request_id, State.CLAIMED, claim.attempt, "stored-later", problem=problem, executed=True
    )


def _explain(attempt: Attempt, outcome: Outcome, claim: Claim) -> str:
    if outcome.kind is OutcomeKind.RELEASED:
        return f"{attempt.detail}. No byte of the request was sent: it did not happen. Retrying is safe."
    return (
        f"{attempt.detail}. Whether the action took effect is not known, and it will not be sent again. "
        f"Look at the upstream whether it happened; `onceproxy receipts show {claim.request_id}` "
        "shows the evidence."
    )
