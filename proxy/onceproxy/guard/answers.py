"""What the guard hands back for one copy of an action."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from onceproxy.core.decisions import Refuse
from onceproxy.core.messages import Response
from onceproxy.core.problems import Problem, ProblemType
from onceproxy.core.receipts import Action, Receipt, RequestId, Source
from onceproxy.core.states import State


@dataclass(frozen=True, slots=True)
class Answer:
    """A response of the upstream (now or from a receipt), or a problem of our own; exactly one of the two.

    ``age`` is in seconds since the receipt's state was reached. ``reason`` is a short slug for the log and
    for ``Onceproxy-Status``. ``executed`` says whether this copy is the one that was sent. ``source`` says
    whose a replayed response is. ``stream`` is the body while it arrives, in place of the response's own: it
    raises ``ConnectionError`` where it is cut.
    """

    request_id: RequestId
    state: State | None
    attempt: int
    reason: str
    response: Response | None = None
    problem: Problem | None = None
    age: float = 0.0
    replayed: bool = False
    executed: bool = False
    source: Source = Source.UPSTREAM
    stream: AsyncGenerator[bytes, None] | None = None


def replayed(receipt: Receipt, response: Response) -> Answer:
    """Answer from a receipt."""
    return Answer(
        receipt.request_id,
        receipt.state,
        receipt.attempt,
        "replayed",
        response=response,
        age=receipt.age,
        replayed=True,
        source=receipt.source,
    )


def refusal(refused: Refuse) -> Answer:
    """Answer with a refusal; a problem without an attempt tells nothing of the receipt, and so does this."""
    receipt = refused.receipt
    told = refused.problem.attempt is not None
    return Answer(
        receipt.request_id,
        receipt.state if told else None,
        receipt.attempt if told else 0,
        refused.problem.type.slug,
        problem=refused.problem,
        age=receipt.age if told else 0.0,
    )


def not_sent(
    action: Action, kind: ProblemType, detail: str, extra: tuple[tuple[str, Any], ...] = ()
) -> Answer:
    """Answer a copy that was not sent for a reason that lies with this process; it may be tried again."""
    problem = Problem(
        kind, detail, request_id=action.request_id, route=action.route, retry_after=1, extra=extra
    )
    return Answer(action.request_id, None, 0, kind.slug, problem=problem)
