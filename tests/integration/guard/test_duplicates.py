"""Copies of an action that is at work: they wait for it, hear how it ended, and are no burden meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from integration.guard.conftest import Side, StartSide
from onceproxy.core.policies import Duplicate
from onceproxy.core.problems import ProblemType
from onceproxy.core.states import State
from onceproxy.guard.answers import Answer
from onceproxy.guard.guard import GuardLimits
from onceproxy.store.postgres import PostgresStore
from stores import an_action
from upstreams import Upstream, after, answer, close, hang

LONG = 600.0
CROWD = GuardLimits(waiters=1000, waiters_per_action=1000)
SOON = 30.0  # seconds; far more than it takes, far less than for ever
ID = an_action("order").request_id


def problem(told: Answer) -> ProblemType:
    assert told.problem is not None
    return told.problem.type


async def waiting(store: PostgresStore, copies: int) -> None:
    """Return when so many copies wait for news."""
    async with asyncio.timeout(SOON):
        while len(store._watching._watchers.get(ID.digest, ())) < copies:
            await asyncio.sleep(0.01)


@pytest.fixture
async def elsewhere(start_side: StartSide) -> Side:
    """Another process."""
    return await start_side()


async def test_a_conflict_is_told_at_once(side: Side, upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.will(after(gate, answer()))
    first = asyncio.create_task(side.post())
    await upstream.arrived(1)

    told = await side.post(duplicate=Duplicate.CONFLICT, wait=LONG)

    assert problem(told) is ProblemType.IN_PROGRESS
    assert told.problem is not None
    assert (told.state, told.problem.retry_after) == (State.CLAIMED, 1)
    gate.set()
    await first
    assert (await side.post(duplicate=Duplicate.CONFLICT)).replayed


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (answer(201), "replayed"),
        (answer(429), "sent"),
        (close, "outcome-unknown"),
        (answer(500), "outcome-unknown"),
    ],
)
async def test_copies_hear_of_every_end(
    side: Side, elsewhere: Side, upstream: Upstream, end: Any, told: str
) -> None:
    gate = asyncio.Event()
    upstream.will(after(gate, end), answer(201))
    first = asyncio.create_task(side.post())
    await upstream.arrived(1)
    copies = [asyncio.create_task(one.post(wait=LONG)) for one in (side, elsewhere)]
    await waiting(side.store, 1)
    await waiting(elsewhere.store, 1)

    gate.set()

    async with asyncio.timeout(SOON):
        answers = await asyncio.gather(first, *copies)
    later = answers[1:]
    if told == "sent":
        assert sorted(one.executed for one in later) == [False, True]
        assert upstream.executions == 2
    else:
        assert {one.reason for one in later} == {told}
        assert upstream.executions == 1


async def test_copies_hear_that_the_owner_stopped(side: Side, elsewhere: Side, upstream: Upstream) -> None:
    upstream.will(hang)
    first = asyncio.create_task(side.post())
    await upstream.arrived(1)
    copy = asyncio.create_task(elsewhere.post(wait=LONG))
    await waiting(elsewhere.store, 1)

    await side.guard.stop(0)

    async with asyncio.timeout(SOON):
        assert problem(await copy) is ProblemType.OUTCOME_UNKNOWN
    await first


async def test_copies_hear_that_the_owner_was_lost(start_side: StartSide, upstream: Upstream) -> None:
    dying, elsewhere = await start_side(lease=1.0, heartbeat=0.4), await start_side()
    upstream.will(hang)
    first = asyncio.create_task(dying.post())
    await upstream.arrived(1)
    copy = asyncio.create_task(elsewhere.post(wait=LONG))
    await waiting(elsewhere.store, 1)

    assert dying.store._lease._task is not None
    dying.store._lease._task.cancel()

    async with asyncio.timeout(SOON):
        assert problem(await copy) is ProblemType.OUTCOME_UNKNOWN
    assert upstream.executions == 1
    first.cancel()


async def test_a_thousand_copies_wait_without_the_database(
    start_side: StartSide, upstream: Upstream, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = await start_side(limits=CROWD, pool_size=4)
    statements = counting(side.store, monkeypatch)
    gate = asyncio.Event()
    upstream.will(after(gate, answer(201)))
    first = asyncio.create_task(side.post())
    await upstream.arrived(1)
    statements.clear()

    copies = [asyncio.create_task(side.post(wait=LONG)) for _ in range(1000)]
    await waiting(side.store, 1000)
    await quiet(database)

    ours = await database.fetch(
        "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    assert len(ours) <= 4 + 1  # the pool, and the connection that listens
    assert {row["state"] for row in ours} == {"idle"}
    assert len(statements) < 20

    statements.clear()
    gate.set()
    answers = await asyncio.gather(*copies)

    assert (await first).executed
    assert all(told.replayed for told in answers)
    await side.guard.stop(SOON)
    assert upstream.executions == 1
    assert len(statements) < 20
    counted_copies = await database.fetch("SELECT reason FROM events WHERE kind = 'replayed'")
    assert sum(int((row["reason"] or "1").split()[0]) for row in counted_copies) == 1000


async def test_a_thousand_copies_of_what_did_not_happen_send_once(
    start_side: StartSide, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = await start_side(limits=CROWD)
    statements = counting(side.store, monkeypatch)
    gate = asyncio.Event()
    upstream.will(after(gate, answer(429)), answer(201))
    first = asyncio.create_task(side.post())
    await upstream.arrived(1)
    copies = [asyncio.create_task(side.post(wait=LONG)) for _ in range(1000)]
    await waiting(side.store, 1000)

    gate.set()
    answers = await asyncio.gather(*copies)

    assert not (await first).replayed
    assert sum(told.executed for told in answers) == 1
    assert sum(told.replayed for told in answers) == 999
    assert upstream.executions == 2
    assert len(statements) < 40


def counting(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the statements that a store runs from now on."""
    names: list[str] = []
    run = store._connections.run

    async def noted(name: str, *values: Any, **options: Any) -> Any:
        names.append(name)
        return await run(name, *values, **options)

    monkeypatch.setattr(store._connections, "run", noted)
    return names


async def quiet(database: asyncpg.Connection) -> None:
    """Return when no statement of the store runs."""
    busy = """SELECT EXISTS (SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle')"""
    async with asyncio.timeout(SOON):
        while await database.fetchval(busy):
            await asyncio.sleep(0.01)
