"""What the guard hands back for one copy of an action."""

from __future__ import annotations

from dataclasses import dataclass

from onceproxy.core.messages import Response
from onceproxy.core.problems import Problem
from onceproxy.core.receipts import RequestId
from onceproxy.core.states import State


@dataclass(frozen=True, slots=True)
class Answer:
    """A response of the upstream (now or from a receipt), or a problem of our own; exactly one of the two.

    ``age`` is in seconds since the receipt's state was reached. ``reason`` is a short slug for the log and
    for ``Onceproxy-Status``. ``executed`` says whether this copy is the one that was sent.
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
