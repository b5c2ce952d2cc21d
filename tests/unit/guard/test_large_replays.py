"""Replays of large bodies: all of them, or a word about it."""

from __future__ import annotations

from dataclasses import replace

from onceproxy.core.messages import BodyApart, BytesBody
from onceproxy.core.problems import ProblemType
from onceproxy.core.states import State
from onceproxy.guard.guard import Guard
from simulated_store import SimulatedStore
from unit.guard.test_guard import ACTION, ID, REQUEST, Scripted, answered, guarded, problem


async def kept_apart() -> tuple[Guard, SimulatedStore, Scripted]:
    guard, store, execute = guarded(answered(body=b"large"))
    assert (await guard.once(ACTION, REQUEST)).executed
    receipt = store.receipts[ID]
    assert receipt.response is not None
    response = replace(receipt.response, body=BodyApart(5, b"d" * 32))
    store.receipts[ID] = replace(receipt, response=response, body_digest=b"d" * 32)
    store.apart[ID] = BytesBody(b"large")
    return guard, store, execute


async def test_a_body_that_is_kept_apart_is_loaded() -> None:
    guard, _, _ = await kept_apart()
    answer = await guard.once(ACTION, REQUEST)
    assert answer.replayed
    assert answer.response is not None
    assert answer.response.body.read() == b"large"


async def test_one_that_is_damaged_is_not_given_and_the_action_not_sent_again() -> None:
    guard, store, execute = await kept_apart()
    store.apart.clear()
    for _ in range(2):
        answer = await guard.once(ACTION, REQUEST)
        assert problem(answer) is ProblemType.BODY_NOT_KEPT
        assert answer.problem is not None
        assert "does not give back" in answer.problem.detail
        assert dict(answer.problem.extra)["body_sha256"] == (b"d" * 32).hex()
    assert execute.sent == 1
    await guard.stop(1)
    assert (ID, "replayed") not in store.events


async def test_one_that_expired_while_it_was_read_is_asked_for_again() -> None:
    guard, store, execute = await kept_apart()
    store.apart.clear()
    receipt = store.receipts[ID]

    async def expired(_: object) -> None:
        store.receipts[ID] = replace(receipt, state=State.TOMBSTONE, response=None)

    store.load = expired  # type: ignore[method-assign,assignment]
    answer = await guard.once(ACTION, REQUEST)
    assert problem(answer) is ProblemType.STORE_UNAVAILABLE
    assert answer.problem is not None
    assert "Retry" in answer.problem.detail
    assert execute.sent == 1


async def test_a_store_that_is_away_meanwhile_is_told_so() -> None:
    guard, store, execute = await kept_apart()
    load = store.load

    async def away(receipt: object) -> object:
        store.fail = 1
        return await load(receipt)  # type: ignore[arg-type]

    store.load = away  # type: ignore[method-assign,assignment]
    assert problem(await guard.once(ACTION, REQUEST)) is ProblemType.STORE_UNAVAILABLE
    assert execute.sent == 1
