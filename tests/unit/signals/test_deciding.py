"""What became of a request, in words that are few and known."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from onceproxy.core.problems import Problem, ProblemType
from onceproxy.core.states import State
from onceproxy.guard.answers import Answer
from onceproxy.signals.deciding import DECISIONS, OUTCOMES, decision_of, outcome_of
from stores import a_response, an_action

REQUEST_ID = an_action().request_id


async def _nothing() -> AsyncGenerator[bytes, None]:
    yield b""


def an_answer(state: State | None, reason: str, **changes: Any) -> Answer:
    return Answer(REQUEST_ID, state, 1, reason, **changes)


def problem(kind: ProblemType) -> Problem:
    return Problem(kind, "words")


@pytest.mark.parametrize(
    ("answer", "decision", "outcome"),
    [
        (
            an_answer(State.COMPLETED, "status-201", response=a_response(), executed=True),
            "execute",
            "completed",
        ),
        (
            an_answer(State.RELEASED, "status-429", response=a_response(429), executed=True),
            "execute",
            "released",
        ),
        (
            an_answer(State.IN_DOUBT, "status-500", response=a_response(500), executed=True),
            "execute",
            "in_doubt",
        ),
        (
            an_answer(
                State.IN_DOUBT, "connection-lost", problem=problem(ProblemType.UPSTREAM_FAILED), executed=True
            ),
            "execute",
            "in_doubt",
        ),
        (
            an_answer(State.CLAIMED, "streaming", response=a_response(), executed=True, stream=_nothing()),
            "execute",
            "streaming",
        ),
        (
            an_answer(
                State.CLAIMED, "stored-later", problem=problem(ProblemType.STORE_UNAVAILABLE), executed=True
            ),
            "execute",
            "stored-later",
        ),
        (an_answer(State.COMPLETED, "replayed", response=a_response(), replayed=True), "replay", "completed"),
        # Mode observe: the receipt is of another copy, or there is none.
        (
            an_answer(State.COMPLETED, "would-replay", response=a_response(), executed=True),
            "execute",
            "observed",
        ),
        (an_answer(None, "store-unavailable", response=a_response(), executed=True), "execute", "observed"),
        (
            an_answer(
                State.RELEASED, "connection-refused", problem=problem(ProblemType.UPSTREAM_UNREACHABLE)
            ),
            "refuse",
            "upstream-unreachable",
        ),
        (
            an_answer(State.IN_DOUBT, "outcome-unknown", problem=problem(ProblemType.OUTCOME_UNKNOWN)),
            "refuse",
            "outcome-unknown",
        ),
    ],
)
def test_an_answer_has_a_decision_and_an_outcome(answer: Answer, decision: str, outcome: str) -> None:
    assert (decision_of(answer), outcome_of(answer)) == (decision, outcome)
    assert decision in DECISIONS
    assert outcome in OUTCOMES
