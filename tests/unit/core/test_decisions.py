"""What a copy gets that meets a receipt."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onceproxy.core.decisions import Claimable, Refuse, Replay, Wait, decide, in_progress
from onceproxy.core.messages import BytesBody, Response
from onceproxy.core.problems import ProblemType
from onceproxy.core.receipts import Action, IdentityKind, Receipt, RequestId
from onceproxy.core.states import State

ID = RequestId(b"\1" * 32)
ACTION = Action(
    ID, IdentityKind.KEY, 1, (), b"f" * 32, b"c" * 32, "default", "POST", "https://api.example.com/pay", 60.0
)
COMPLETED = Receipt(
    ID,
    State.COMPLETED,
    1,
    IdentityKind.KEY,
    b"f" * 32,
    b"c" * 32,
    "default",
    "POST",
    "https://api.example.com/pay",
    age=3.0,
    response=Response(201, b"Created", (), BytesBody(b"{}")),
    body_size=2,
)


def refusal(receipt: Receipt) -> Refuse:
    decision = decide(ACTION, receipt)
    assert isinstance(decision, Refuse)
    return decision


def test_a_completed_one_is_replayed() -> None:
    decision = decide(ACTION, COMPLETED)
    assert isinstance(decision, Replay)
    assert decision.response is COMPLETED.response


def test_one_at_work_is_waited_for_and_then_named() -> None:
    at_work = replace(COMPLETED, state=State.CLAIMED, response=None)
    assert isinstance(decide(ACTION, at_work), Wait)
    problem = in_progress(ACTION, at_work).problem
    assert problem.type is ProblemType.IN_PROGRESS
    assert problem.retry_after == 1


def test_one_that_did_not_happen_is_claimed_again() -> None:
    assert isinstance(decide(ACTION, None), Claimable)
    assert isinstance(decide(ACTION, replace(COMPLETED, state=State.RELEASED, response=None)), Claimable)


def test_one_in_doubt_is_refused_with_its_evidence_and_the_next_step() -> None:
    lost = replace(
        COMPLETED,
        state=State.IN_DOUBT,
        response=None,
        phase="sent",
        failure="connection-lost",
        detail="cut",
    )
    problem = refusal(lost).problem
    assert problem.type is ProblemType.OUTCOME_UNKNOWN
    assert "cut" in problem.detail
    assert f"onceproxy receipts show {ID}" in problem.detail
    assert dict(problem.extra) == {
        "phase": "sent",
        "failure": "connection-lost",
        "upstream_status": None,
        "age": 3,
    }
    answered = replace(COMPLETED, state=State.IN_DOUBT, response=Response(500, b"", ()))
    assert "answered 500" in refusal(answered).problem.detail


@pytest.mark.parametrize("state", [State.CLAIMED, State.COMPLETED, State.IN_DOUBT, State.RELEASED])
def test_another_request_under_the_same_key(state: State) -> None:
    other = replace(COMPLETED, state=state, fingerprint=b"g" * 32)
    assert refusal(other).problem.type is ProblemType.KEY_REUSED


@pytest.mark.parametrize("state", [State.CLAIMED, State.COMPLETED, State.IN_DOUBT])
def test_another_credential_learns_nothing_of_the_receipt(state: State) -> None:
    stranger = replace(COMPLETED, state=state, credential=b"", attempt=7, fingerprint=b"g" * 32)
    problem = refusal(stranger).problem
    assert problem.type is ProblemType.CREDENTIAL_MISMATCH
    assert problem.attempt is None
    assert problem.extra == ()


def test_a_body_that_was_not_kept_is_described() -> None:
    large = replace(COMPLETED, body_kept=False, body_size=10**9, body_digest=b"\xab" * 32)
    problem = refusal(large).problem
    assert problem.type is ProblemType.BODY_NOT_KEPT
    assert dict(problem.extra) == {
        "upstream_status": 201,
        "body_size": 10**9,
        "body_sha256": "ab" * 32,
    }
