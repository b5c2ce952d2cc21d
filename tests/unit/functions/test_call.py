"""The turn of a call, between the guard's loop and the caller: taken once, or proven not to have been."""

from __future__ import annotations

import asyncio

from onceproxy.core.attempts import NOTHING_SENT, Attempt, Failure, WirePhase
from onceproxy.functions.calls import Call

DONE = Attempt(WirePhase.SENDING, failure=Failure.RAISED, detail="ValueError")


async def offered(call: Call, may_send: bool = True) -> asyncio.Task[Attempt]:
    """Offer a turn, and return when the caller could take it."""
    offer = asyncio.create_task(call.offer(lambda: may_send))
    await asyncio.sleep(0)
    assert call.turn.result(0) is True
    return offer


async def test_a_turn_is_taken_and_reported() -> None:
    call = Call()
    offer = await offered(call)
    assert call.take()
    assert not call.take()
    call.report(DONE)
    call.leave()  # what was said stands
    assert await offer is DONE


async def test_who_left_before_the_offer_is_not_waited_for() -> None:
    call = Call()
    call.leave()
    attempt = await call.offer(lambda: True)
    assert attempt.phase in NOTHING_SENT
    assert not call.turn.done()


async def test_who_leaves_after_the_offer_proves_that_nothing_happened() -> None:
    call = Call()
    offer = await offered(call)
    call.leave()
    assert (await offer).phase in NOTHING_SENT
    assert not call.take()


async def test_a_right_that_ran_out_is_not_taken() -> None:
    call = Call()
    offer = await offered(call, may_send=False)
    assert not call.take()
    assert (await offer).failure is Failure.LEASE_LOST


async def test_an_offer_that_is_taken_back_is_not_taken() -> None:
    call = Call()
    offer = await offered(call)
    offer.cancel()
    await asyncio.wait({offer})
    assert not call.take()


async def test_who_leaves_with_the_turn_proves_nothing() -> None:
    call = Call()
    offer = await offered(call)
    assert call.take()
    call.leave()
    attempt = await offer
    assert attempt.phase not in NOTHING_SENT


async def test_a_report_that_comes_too_late_disturbs_nobody() -> None:
    call = Call()
    offer = await offered(call)
    assert call.take()
    offer.cancel()
    await asyncio.wait({offer})
    call.report(DONE)
    await asyncio.sleep(0)
