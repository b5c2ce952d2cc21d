"""Claims of dead instances are put in doubt although nobody asks; the living are left alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from integration.store.conftest import History
from onceproxy.core.receipts import Claim
from onceproxy.guard.ports import Settled
from onceproxy.store import sweeping
from onceproxy.store.connection import Connections
from onceproxy.store.periodic import Periodic
from onceproxy.store.postgres import PostgresStore
from onceproxy.store.sweeping import forget_instances, sweep
from stores import OpenStore, an_action, completed

AT_ONCE = timedelta(0)


@pytest.fixture
async def connections(database_url: str) -> AsyncIterator[Connections]:
    connections = await Connections.open(database_url, 2)
    yield connections
    await connections.close()


async def claim(store: PostgresStore, *names: str) -> list[Claim]:
    claims = [await store.claim(an_action(name)) for name in names]
    assert all(isinstance(claim, Claim) for claim in claims)
    return claims  # type: ignore[return-value]  # asserted above


async def declare_dead(store: PostgresStore, database: asyncpg.Connection) -> None:
    await database.execute(
        "UPDATE instances SET lease_until = now() - interval '1 ms' WHERE instance_id = $1", store.instance
    )


async def states(database: asyncpg.Connection) -> list[str]:
    return [row["state"] for row in await database.fetch("SELECT state FROM receipts ORDER BY created_at")]


async def test_all_claims_of_the_dead_and_none_of_the_living(
    open_store: OpenStore, database: asyncpg.Connection, connections: Connections, history: History
) -> None:
    dead, alive = await open_store(), await open_store()
    first, second, done = await claim(dead, "a", "b", "done")
    await dead.settle(done, completed())
    await claim(alive, "c")
    await declare_dead(dead, database)

    assert await sweep(connections, AT_ONCE) == 2

    assert await states(database) == ["in_doubt", "in_doubt", "completed", "claimed"]
    assert await history(first.request_id) == ["claimed", "lost"]
    assert await history(second.request_id) == ["claimed", "lost"]
    swept = await database.fetch("SELECT instance_id FROM instances WHERE swept_at IS NOT NULL")
    assert [row["instance_id"] for row in swept] == [dead.instance]
    assert await sweep(connections, AT_ONCE) == 0


async def test_waiters_hear_of_it(
    open_store: OpenStore, database: asyncpg.Connection, connections: Connections
) -> None:
    dead, alive = await open_store(), await open_store()
    [lost] = await claim(dead, "a")
    await alive.listening()
    with alive.watch(lost.request_id) as watch:
        await declare_dead(dead, database)
        await sweep(connections, AT_ONCE)
        async with asyncio.timeout(10):
            await watch.news(3600)


async def test_one_that_died_just_now_is_left_for_later(
    open_store: OpenStore, database: asyncpg.Connection, connections: Connections
) -> None:
    dead = await open_store()
    await claim(dead, "a")
    await declare_dead(dead, database)

    # What it asked for in its last moments may not be committed yet.
    assert await sweep(connections, timedelta(minutes=1)) == 0
    assert await states(database) == ["claimed"]


async def test_a_receipt_that_is_being_settled_is_left_to_that(
    open_store: OpenStore, database_url: str, database: asyncpg.Connection, connections: Connections
) -> None:
    dead = await open_store()
    late, _ = await claim(dead, "a", "b")
    await declare_dead(dead, database)
    other = await asyncpg.connect(database_url)
    transaction = other.transaction()
    await transaction.start()
    await other.execute("UPDATE receipts SET detail = '' WHERE request_id = $1", late.request_id.digest)

    assert await sweep(connections, AT_ONCE) == 1
    assert await database.fetchval("SELECT count(*) FROM instances WHERE swept_at IS NOT NULL") == 0
    await transaction.rollback()
    await other.close()

    assert await dead.settle(late, completed()) is Settled.STORED
    assert await sweep(connections, AT_ONCE) == 0
    assert await states(database) == ["completed", "in_doubt"]
    assert await database.fetchval("SELECT count(*) FROM instances WHERE swept_at IS NOT NULL") == 1


async def test_a_late_answer_heals_what_was_swept(
    open_store: OpenStore, database: asyncpg.Connection, connections: Connections, history: History
) -> None:
    dead = await open_store()
    [late] = await claim(dead, "a")
    await declare_dead(dead, database)
    await sweep(connections, AT_ONCE)

    assert await dead.settle(late, completed()) is Settled.STORED
    assert await history(late.request_id) == ["claimed", "lost", "healed"]


async def test_many_sweepers_lose_each_claim_once(
    open_store: OpenStore, database: asyncpg.Connection, connections: Connections
) -> None:
    dead = await open_store()
    await claim(dead, *(f"n{number}" for number in range(20)))
    await declare_dead(dead, database)

    lost = await asyncio.gather(*(sweep(connections, AT_ONCE) for _ in range(8)))

    assert sum(lost) == 20
    assert await database.fetchval("SELECT count(*) FROM events WHERE kind = 'lost'") == 20


async def test_a_running_store_sweeps_by_itself(
    open_store: OpenStore, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = await open_store()
    await claim(dead, "a")
    monkeypatch.setattr(sweeping, "EVERY", 0.05)
    await database.execute(
        "UPDATE instances SET ended_at = now() - interval '1 hour' WHERE instance_id = $1", dead.instance
    )

    await open_store()

    async with asyncio.timeout(10):
        while await states(database) != ["in_doubt"]:
            await asyncio.sleep(0.02)


async def test_instances_are_forgotten_long_after_they_were_swept(
    open_store: OpenStore, database: asyncpg.Connection, connections: Connections
) -> None:
    dead = await open_store()
    await declare_dead(dead, database)
    assert await forget_instances(connections, AT_ONCE) == 0
    await sweep(connections, AT_ONCE)

    assert await forget_instances(connections, timedelta(days=1)) == 0
    assert await forget_instances(connections, AT_ONCE) == 1


async def test_periodic_work_outlives_its_failures() -> None:
    times = 0
    third = asyncio.Event()

    async def work() -> None:
        nonlocal times
        times += 1
        if times == 3:
            third.set()
        raise (OSError("away"), asyncpg.UndefinedTableError("a mistake"))[times % 2]

    periodic = Periodic("trying", work, 0.001)
    periodic.start()
    async with asyncio.timeout(10):
        await third.wait()
    await periodic.stop()
