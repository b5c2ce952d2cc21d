"""Attempts whose end takes its time: what their client is told, and what they hold meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from onceproxy.core.receipts import Claim, RequestId
from onceproxy.core.states import State
from onceproxy.guard.guard import Guard, GuardLimits
from onceproxy.guard.ports import NoMeter, Settled, Settlement
from simulated_store import SimulatedStore
from unit.guard.test_guard import ACTION, ID, REQUEST, Scripted, answered

OTHER = replace(ACTION, request_id=RequestId(b"\2" * 32))


class SlowToSettle(SimulatedStore):
    """Takes a settlement when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go = asyncio.Event(), asyncio.Event()

    async def settle(self, claim: Claim, settlement: Settlement) -> Settled:
        """Wait, and settle."""
        self.asked.set()
        await self.go.wait()
        return await super().settle(claim, settlement)


class Meter(NoMeter):
    """Counts what was executed twice."""

    twice = 0

    def executed_twice(self, route: str) -> None:
        """Count."""
        self.twice += 1


async def until_stored(store: SimulatedStore) -> None:
    async with asyncio.timeout(10):
        while store.receipts[ID].state is State.CLAIMED:
            await asyncio.sleep(0)


async def test_an_answer_that_is_not_stored_in_time_gives_its_place_back() -> None:
    store, execute = SlowToSettle(), Scripted([answered()])
    execute.go.set()
    guard = Guard(store, execute, GuardLimits(store_patience=0.01, executions=1, queue=0))
    assert (await guard.once(ACTION, REQUEST)).reason == "stored-later"

    second = asyncio.ensure_future(guard.once(OTHER, REQUEST))
    await asyncio.sleep(0)
    store.go.set()

    assert (await second).state is State.COMPLETED
    await until_stored(store)
    assert store.receipts[ID].state is State.COMPLETED


async def test_a_place_is_back_before_its_client_has_the_answer() -> None:
    store, execute = SimulatedStore(), Scripted([answered()])
    execute.go.set()
    guard = Guard(store, execute, GuardLimits(executions=1, queue=0))

    for number in range(3):
        action = replace(ACTION, request_id=RequestId(bytes([number]) * 32))
        assert (await guard.once(action, REQUEST)).state is State.COMPLETED


async def test_what_was_executed_twice_is_counted_though_it_is_stored_late() -> None:
    store, execute, meter = SlowToSettle(), Scripted([answered()]), Meter()
    execute.go.set()
    guard = Guard(store, execute, GuardLimits(store_patience=0.01), meter=meter)
    assert (await guard.once(ACTION, REQUEST)).reason == "stored-later"

    store.tokens[ID] = RequestId(b"\3" * 32)  # type: ignore[assignment]  # another's
    store.go.set()
    async with asyncio.timeout(10):
        while not meter.twice:
            await asyncio.sleep(0)


@pytest.mark.parametrize("hurries", [1, 2])
async def test_a_hurry_ends_the_sending_and_not_the_settling(hurries: int) -> None:
    store, execute = SlowToSettle(), Scripted([answered()])
    guard = Guard(store, execute)
    first = asyncio.ensure_future(guard.once(ACTION, REQUEST))
    await execute.started.wait()
    stop = asyncio.ensure_future(guard.stop(60))
    await asyncio.sleep(0)

    for _ in range(hurries):
        guard.hurry()
    await store.asked.wait()
    guard.hurry()
    store.go.set()

    await stop
    assert (await first).state is State.IN_DOUBT
    assert store.receipts[ID].state is State.IN_DOUBT
