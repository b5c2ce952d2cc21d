"""What a copy gets that meets a receipt."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from onceproxy.core.decisions import Ask, Claimable, Refuse, Replay, Resend, Wait, decide, in_progress
from onceproxy.core.messages import BytesBody, Response
from onceproxy.core.policies import AfterTtl, InDoubt, Policy
from onceproxy.core.probes import Probe
from onceproxy.core.problems import ProblemType
from onceproxy.core.receipts import Action, IdentityKind, Receipt, RequestId
from onceproxy.core.states import State

ID = RequestId(b"\1" * 32)
ACTION = Action(
    ID,
    IdentityKind.KEY,
    1,
    (),
    b"f" * 32,
    b"c" * 32,
    "default",
    "POST",
    "https://api.example.com/pay",
    Policy(),
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
    cut = replace(answered, response=Response(200, b"", ()), phase="head-received", failure="timeout")
    assert "began to answer 200, and was cut off after 2 bytes" in refusal(cut).problem.detail


IN_DOUBT = replace(COMPLETED, state=State.IN_DOUBT, response=None, first_age=100.0)


def policy(**changes: Any) -> Action:
    return replace(ACTION, policy=replace(Policy(), **changes))


@pytest.mark.parametrize(("window", "expected"), [(100.5, Resend), (100.0, Refuse)])
def test_one_in_doubt_is_sent_again_while_the_upstream_knows_copies(window: float, expected: type) -> None:
    decision = decide(policy(in_doubt=InDoubt.RESEND, upstream_window=window), IN_DOUBT)
    assert isinstance(decision, expected)
    if isinstance(decision, Refuse):
        assert "upstream_window" in decision.problem.detail


def test_one_in_doubt_that_does_no_harm_is_sent_again_at_any_time() -> None:
    decision = decide(policy(in_doubt=InDoubt.EXECUTE), replace(IN_DOUBT, first_age=10**9))
    assert isinstance(decision, Resend)


def test_one_in_doubt_is_asked_about_where_there_is_a_probe() -> None:
    probe = Probe("https://api.example.com/orders", "$.data[0]")
    assert isinstance(decide(policy(in_doubt=InDoubt.PROBE, probe=probe), IN_DOUBT), Ask)


def test_one_whose_receipt_expired_is_new_or_refused() -> None:
    tombstone = replace(COMPLETED, state=State.TOMBSTONE, response=None)
    assert isinstance(decide(ACTION, tombstone), Claimable)
    refused = decide(policy(after_ttl=AfterTtl.REFUSE), tombstone)
    assert isinstance(refused, Refuse)
    assert refused.problem.type is ProblemType.RECEIPT_EXPIRED


def test_one_that_did_not_happen_may_be_tried_with_another_credential() -> None:
    released = replace(COMPLETED, state=State.RELEASED, response=None, credential=b"wrong")
    assert isinstance(decide(ACTION, released), Claimable)


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
    headers = ((b"Content-Type", b"text/csv"), (b"X-Odd", b"\xff"), (b"Set-Cookie", b"session=secret"))
    large = replace(
        COMPLETED,
        response=Response(201, b"", headers),
        body_kept=False,
        body_size=10**9,
        body_digest=b"\xab" * 32,
    )
    problem = refusal(large).problem
    assert problem.type is ProblemType.BODY_NOT_KEPT
    assert dict(problem.extra) == {
        "upstream_status": 201,
        "upstream_headers": [["Content-Type", "text/csv"], ["X-Odd", "\xff"]],
        "body_size": 10**9,
        "body_sha256": "ab" * 32,
    }


def test_one_that_is_like_another_is_held_and_told_how_to_go_on() -> None:
    earlier = replace(COMPLETED, request_id=RequestId(b"\2" * 32), first_age=61.4, credential=b"")
    told = refusal(earlier).problem
    assert told.type is ProblemType.LOOKS_REPEATED
    assert (told.request_id, told.attempt) == (ID, None)
    assert told.document()["earlier"] == str(earlier.request_id)
    assert told.document()["earlier_state"] == "completed"
    for words in ("61 s ago", str(earlier.request_id), "Nothing was sent", "Onceproxy-Action"):
        assert words in told.detail
