"""Calls that nobody knows the outcome of, and receipts that have expired."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest

from onceproxy import (
    Doubt,
    Found,
    Guard,
    NotFound,
    OutcomeUnknown,
    Probe,
    ReceiptExpired,
    Unclear,
    current_action,
)
from onceproxy.functions.probing import Verdict
from tills import Till


def test_a_doubt_tells_what_to_do(guard: Guard, till: Till, key: str) -> None:
    till.next = TimeoutError("sk_live_abcdefgh123 timed out")
    with pytest.raises(TimeoutError) as first:
        guard.execute_sync("doubt", key, lambda: till.act(key))
    with pytest.raises(OutcomeUnknown) as second:
        guard.execute_sync("doubt", key, lambda: till.act(key))
    error = second.value
    assert error.request_id is not None
    assert error.request_id in first.value.__notes__[0]
    assert f"onceproxy receipts show {error.request_id}" in str(error)
    assert (error.name, error.attempt, error.executed) == ("doubt", 1, False)
    assert error.evidence == "TimeoutError: *** timed out"


async def test_a_cancelled_call_is_in_doubt(guard: Guard, key: str) -> None:
    began = asyncio.Event()

    async def hang() -> None:
        began.set()
        await asyncio.Event().wait()

    call = asyncio.create_task(guard.execute("hang", key, hang))
    await began.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    with pytest.raises(OutcomeUnknown, match="CancelledError"):
        await guard.execute("hang", key, hang)


@pytest.mark.parametrize(
    ("options", "calls"),
    [({"in_doubt": "execute"}, 2), ({"in_doubt": "resend", "upstream_window": 60}, 2), ({}, 1)],
)
def test_what_a_copy_of_a_doubt_does_is_chosen(
    guard: Guard, till: Till, key: str, options: Any, calls: int
) -> None:
    ids, name = [], f"policy {options}"

    def act() -> Any:
        ids.append(current_action().request_id)
        return till.act(key)

    till.next = TimeoutError()
    with pytest.raises(TimeoutError):
        guard.execute_sync(name, key, act, **options)
    till.next = "done"
    try:
        assert guard.execute_sync(name, key, act, **options) == "done"
    except OutcomeUnknown:
        assert not options
    assert len(till.calls) == calls
    assert len(set(ids)) == 1


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize(
    ("verdict", "calls"),
    [
        (Found("found"), 1),
        (NotFound(), 2),
        (Unclear("no answer"), 1),
        (RuntimeError("down"), 1),
        ("yes", 1),
        (Found(object()), 1),
    ],
)
async def test_a_probe_settles_a_doubt(
    guard: Guard, till: Till, key: str, verdict: Any, calls: int, later: bool
) -> None:
    doubts: list[Doubt] = []

    def ask(doubt: Doubt) -> Verdict:
        doubts.append(doubt)
        if isinstance(verdict, Exception):
            raise verdict
        return verdict  # type: ignore[no-any-return]  # also what it should not be

    async def ask_later(doubt: Doubt) -> Verdict:
        return ask(doubt)

    options: Any = {"key": "order", "name": f"probe {verdict} {later}", "returns": Any}
    if later:
        act = guard.once(in_doubt=Probe(ask_later), **options)(till.act_later)

        async def call() -> Any:
            return await act(key)
    else:
        plain = guard.once(in_doubt=Probe(ask), **options)(till.act)

        async def call() -> Any:
            return plain(key)

    till.next = TimeoutError("late")
    with pytest.raises(TimeoutError):
        await call()
    till.next = "again"
    if verdict == Found("found"):
        assert (await call(), await call()) == ("found", "found")
    elif verdict == NotFound():
        assert (await call(), await call()) == ("again", "again")
    elif verdict == "yes":
        with pytest.raises(TypeError, match="Found, NotFound or Unclear"):
            await call()
    else:
        with pytest.raises(OutcomeUnknown, match=r"no answer|down|no form"):
            await call()
    assert len(till.calls) == calls
    assert len(doubts) == 1
    assert (doubts[0].evidence, doubts[0].attempt, doubts[0].arguments["order"]) == (
        "TimeoutError: late",
        1,
        key,
    )


def test_a_young_doubt_is_not_settled_by_finding_nothing(guard: Guard, till: Till, key: str) -> None:
    till.next = TimeoutError()
    options: Any = {"in_doubt": Probe(lambda doubt: NotFound(), settle=3600)}
    with pytest.raises(TimeoutError):
        guard.execute_sync("settle", key, lambda: till.act(key), **options)
    with pytest.raises(OutcomeUnknown, match="believed in"):
        guard.execute_sync("settle", key, lambda: till.act(key), **options)
    assert len(till.calls) == 1


def test_an_expired_receipt_can_be_refused(guard: Guard, till: Till, key: str) -> None:
    options: Any = {"ttl": 0.001, "after_ttl": "refuse"}

    def calls() -> Iterator[Any]:
        while True:  # until the database's clock has moved on by a millisecond
            yield guard.execute_sync("expired", key, lambda: till.act(key), **options)

    with pytest.raises(ReceiptExpired):
        deque(calls(), maxlen=0)
    assert len(till.calls) == 1
