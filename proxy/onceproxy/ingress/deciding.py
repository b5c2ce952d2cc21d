"""The one line in the log that says what became of a guarded request."""

from __future__ import annotations

import structlog

from onceproxy.core.receipts import Action
from onceproxy.guard.answers import Answer

log = structlog.get_logger("onceproxy.ingress")


def log_decision(action: Action, answer: Answer, seconds: float) -> None:
    """Write it; ``seconds`` is how long the answer took. Never bodies, never secrets."""
    status = answer.response.status if answer.response is not None else None
    if answer.problem is not None:
        status = answer.problem.type.status
    log.info(
        "decision",
        request_id=str(action.request_id),
        route=action.route,
        method=action.method,
        url=action.url,
        decision="replay" if answer.replayed else "execute" if answer.executed else "refuse",
        reason=answer.reason,
        state=answer.state.value if answer.state is not None else None,
        status=status,
        attempt=answer.attempt,
        seconds=round(seconds, 4),
    )
