"""A store that does not take receipts: they go to the spool, and are stored whoever finds them there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import pytest

from onceproxy.core.problems import ProblemType
from onceproxy.core.receipts import Claim, RequestId
from onceproxy.core.states import State
from onceproxy.guard.draining import Draining
from onceproxy.guard.guard import Guard, GuardLimits
from onceproxy.guard.ports import NoMeter, Settled, Settlement, SettlementRefused
from onceproxy.guard.settling import Settling
from onceproxy.spool.directory import SpoolDirectory
from simulated_store import SimulatedStore
from stores import completed
from unit.guard.test_guard import ACTION, ID, REQUEST, Scripted, answered, problem

OTHER = replace(ACTION, request_id=RequestId(b"\2" * 32))


@pytest.fixture
def open_spool(tmp_path: Path) -> Callable[..., SpoolDirectory]:
    """Opens one spool directory, as another process would each time."""

    def open_one(limit: int = 1 << 20) -> SpoolDirectory:
        return SpoolDirectory(tmp_path / "spool", b"k" * 32, limit)

    return open_one


@pytest.fixture
def records(tmp_path: Path) -> Callable[[], int]:
    """Counts the records in the directory."""
    return lambda: len(list((tmp_path / "spool").glob("*.receipt")))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def claimed(store: SimulatedStore) -> Claim:
    claim = await store.claim(ACTION)
    assert isinstance(claim, Claim)
    return claim


@dataclass
class Counting(NoMeter):
    """Counts what was executed twice."""

    twice: int = 0

    def executed_twice(self, route: str) -> None:
        self.twice += 1


async def test_a_settlement_that_the_store_refuses_is_spooled_and_removed_when_it_is_stored(
    open_spool: Callable[..., SpoolDirectory], records: Callable[[], int]
) -> None:
    store = SimulatedStore()
    claim = await claimed(store)
    store.fail = 10**6
    settling = asyncio.ensure_future(Settling(store, open_spool()).settle(claim, completed(), "charges"))
    await until(lambda: records() == 1)
    assert not settling.done()

    store.fail = 0

    assert await settling is Settled.STORED
    assert records() == 0
    assert store.receipts[ID].state is State.COMPLETED


async def test_a_settlement_that_the_store_does_not_answer_is_spooled(
    open_spool: Callable[..., SpoolDirectory], records: Callable[[], int]
) -> None:
    store, answer = SimulatedStore(), asyncio.Event()
    claim, settle = await claimed(store), store.settle

    async def slow(claim: Claim, settlement: Settlement) -> Settled:
        await answer.wait()
        return await settle(claim, settlement)

    store.settle = slow  # type: ignore[method-assign]  # it hangs, as a database behind a dead link does
    settling = asyncio.ensure_future(
        Settling(store, open_spool(), spool_after=0.01).settle(claim, completed(), "charges")
    )
    await until(lambda: records() == 1)

    answer.set()

    assert await settling is Settled.STORED
    assert records() == 0


async def test_a_store_that_takes_it_leaves_the_spool_alone(
    open_spool: Callable[..., SpoolDirectory], tmp_path: Path
) -> None:
    store = SimulatedStore()

    await Settling(store, open_spool()).settle(await claimed(store), completed(), "charges")

    assert not (tmp_path / "spool").exists()


async def test_what_fits_nowhere_holds_up_new_claims_and_no_replays(
    open_spool: Callable[..., SpoolDirectory],
) -> None:
    store, execute = SimulatedStore(), Scripted([answered()])
    guard = Guard(store, execute, GuardLimits(store_patience=0.1), spool=open_spool(limit=10))
    execute.go.set()
    assert (await guard.once(OTHER, REQUEST)).executed
    execute.go.clear()
    execute.started.clear()
    first = asyncio.ensure_future(guard.once(ACTION, REQUEST))
    await execute.started.wait()
    settle, away = store.settle, True

    async def sometimes(claim: Claim, settlement: Settlement) -> Settled:
        if away:
            raise SettlementRefused("not now")
        return await settle(claim, settlement)

    store.settle = sometimes  # type: ignore[method-assign]  # only this verb fails
    execute.go.set()
    assert (await first).reason == "stored-later"

    third = replace(ACTION, request_id=RequestId(b"\3" * 32))
    refused = await guard.once(third, REQUEST)
    assert problem(refused) is ProblemType.STORE_UNAVAILABLE
    assert execute.sent == 2
    assert (await guard.once(OTHER, REQUEST)).replayed

    away = False
    async with asyncio.timeout(10):
        while not (await guard.once(third, REQUEST)).executed:
            await asyncio.sleep(0.01)
    assert store.receipts[ID].state is State.COMPLETED


async def test_a_stop_leaves_what_the_store_does_not_take_in_the_spool(
    open_spool: Callable[..., SpoolDirectory], records: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onceproxy.guard.executions.LAST_TRY", 0.1)
    store, execute = SimulatedStore(), Scripted([answered()])
    guard = Guard(store, execute, spool=open_spool())
    asking = asyncio.ensure_future(guard.once(ACTION, REQUEST))
    await execute.started.wait()
    store.fail = 10**6
    await guard.stop(grace=0)
    await asyncio.wait({asking})
    assert records() == 1
    assert store.receipts[ID].state is State.CLAIMED

    store.fail = 0
    assert await Draining(store, open_spool(), NoMeter()).run_once() == 1

    assert store.receipts[ID].failure == "stopped"
    assert records() == 0


async def test_what_a_killed_process_left_heals_the_doubt(
    open_spool: Callable[..., SpoolDirectory], records: Callable[[], int]
) -> None:
    store = SimulatedStore()
    claim = await claimed(store)
    store.fail = 10**6
    settling = asyncio.ensure_future(Settling(store, open_spool()).settle(claim, completed(), "charges"))
    await until(lambda: records() == 1)
    settling.cancel()
    await asyncio.wait({settling})
    store.fail = 0
    store.lose(ID)

    draining = Draining(store, open_spool(), NoMeter())
    await draining.start()
    await draining.stop()

    receipt = store.receipts[ID]
    assert receipt.state is State.COMPLETED
    assert receipt.response is not None
    assert receipt.response.body.read() == b'{"id": "ch_1"}'
    assert records() == 0


async def test_what_is_drained_too_late_is_told(
    open_spool: Callable[..., SpoolDirectory], records: Callable[[], int]
) -> None:
    store, meter = SimulatedStore(), Counting()
    claim = await claimed(store)
    store.fail = 10**6
    settling = asyncio.ensure_future(Settling(store, open_spool()).settle(claim, completed(), "charges"))
    await until(lambda: records() == 1)
    settling.cancel()
    await asyncio.wait({settling})
    store.fail = 0
    store.tokens[ID] = uuid4()  # another attempt began

    await Draining(store, open_spool(), meter).run_once()

    assert meter.twice == 1
    assert store.events[-1] == (ID, "executed-twice")
    assert records() == 0


async def test_one_that_is_refused_does_not_hold_up_the_rest_and_an_outage_loses_nothing(
    open_spool: Callable[..., SpoolDirectory], records: Callable[[], int]
) -> None:
    store, left = SimulatedStore(), open_spool()
    claims = []
    for number in range(3):
        claim = await store.claim(replace(ACTION, request_id=RequestId(bytes([number]) * 32)))
        assert isinstance(claim, Claim)
        claims.append(claim)
        settling = asyncio.ensure_future(Settling(store, left).settle(claim, completed(), "charges"))
        store.fail = 10**6
        await until(lambda: records() == len(claims))
        settling.cancel()
        await asyncio.wait({settling})
        store.fail = 0
    settle = store.settle

    async def picky(claim: Claim, settlement: Settlement) -> Settled:
        if claim == claims[0]:
            raise SettlementRefused("not this one")
        return await settle(claim, settlement)

    store.settle = picky  # type: ignore[method-assign]  # it refuses one of three
    draining = Draining(store, open_spool(), NoMeter())
    store.fail = 1
    await draining.run_once()
    assert await draining.run_once() >= 1

    assert records() == 1
    assert [store.receipts[claim.request_id].state for claim in claims] == [
        State.CLAIMED,
        State.COMPLETED,
        State.COMPLETED,
    ]
