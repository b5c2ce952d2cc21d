"""Behind a real PgBouncer in transaction mode: more connections of ours than the server has sessions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from integration.store.conftest import somebody_claims
from integration.store.pgbouncer import SESSIONS, PgBouncer, pgbouncer
from onceproxy.core.receipts import Claim, Receipt
from onceproxy.core.states import State
from onceproxy.guard.ports import Note, Settled
from onceproxy.store.connection import Connections
from onceproxy.store.errors import SchemaMissing, UnsafeDurability
from onceproxy.store.retention import collect
from onceproxy.store.sweeping import sweep
from stores import OpenStore, an_action, completed, in_doubt, url_of

MANY = 60
CONNECTIONS = 8  # of a store; three times as many as there are sessions, with two stores


@pytest.fixture
async def bouncer(database_url: str) -> AsyncIterator[PgBouncer]:
    async with pgbouncer(database_url) as bouncer:
        yield bouncer


def no_complaint(bouncer: PgBouncer) -> bool:
    return "ERROR" not in bouncer.log and "prepared statement" not in bouncer.log


async def test_two_proxies_share_few_sessions(
    open_store: OpenStore, bouncer: PgBouncer, database_url: str, database: asyncpg.Connection
) -> None:
    stores = [
        await open_store(bouncer.url, direct=database_url, pool_size=CONNECTIONS, lease=60.0) for _ in (1, 2)
    ]
    names = [str(number) for number in range(MANY)]

    async def pay(number: int, name: str) -> None:
        found = await stores[number].claim(an_action(name))
        if isinstance(found, Claim):
            assert await stores[number].settle(found, completed()) is Settled.STORED
        while (receipt := await stores[number].read(an_action(name).request_id)) is not None:
            if receipt.state is State.COMPLETED:
                break
            await asyncio.sleep(0.01)
        await stores[number].note(an_action(name).request_id, Note.REPLAYED)

    await asyncio.gather(*(pay(number, name) for number in (0, 1) for name in names))

    kinds = await database.fetch("SELECT kind, count(*) AS events FROM events GROUP BY kind")
    assert {row["kind"]: row["events"] for row in kinds} == {
        "claimed": MANY,
        "completed": MANY,
        "replayed": 2 * MANY,
    }
    sessions = await database.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    assert sessions <= SESSIONS + len(stores)  # and the connections that listen
    assert await database.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
    assert no_complaint(bouncer)


async def test_news_goes_past_it(open_store: OpenStore, bouncer: PgBouncer, database_url: str) -> None:
    here, there = [await open_store(bouncer.url, direct=database_url) for _ in (1, 2)]
    claim = await here.claim(an_action())
    assert isinstance(claim, Claim)
    found = await there.claim(an_action())
    assert isinstance(found, Receipt)

    with there.watch(claim.request_id) as watch:
        waiting = asyncio.create_task(watch.news(60.0))
        await here.settle(claim, in_doubt())
        async with asyncio.timeout(20):
            await waiting
    seen = await there.read(claim.request_id)
    assert seen is not None
    assert seen.state is State.IN_DOUBT


async def test_who_waits_for_a_row_that_is_held_keeps_no_session_from_the_others(
    open_store: OpenStore, bouncer: PgBouncer, database_url: str, database: asyncpg.Connection
) -> None:
    store = await open_store(bouncer.url, direct=database_url, pool_size=CONNECTIONS)
    await store.claim(an_action("warm"))
    async with somebody_claims(database, store, "held"):
        held = asyncio.create_task(store.claim(an_action("held")))
        mates = await asyncio.gather(*(store.claim(an_action(str(number))) for number in range(20)))

        assert not held.done()
        assert {type(mate) for mate in mates} == {Claim}
    assert isinstance(await held, Claim)
    someone = await asyncpg.connect(bouncer.url, statement_cache_size=0)
    for _ in range(SESSIONS):
        assert await someone.fetchval("SELECT current_setting('lock_timeout')") == "0"
    await someone.close()


async def test_chores_are_done_by_way_of_it(bouncer: PgBouncer, open_store: OpenStore) -> None:
    await open_store()
    connections = await Connections.open(bouncer.url, 4, pooled=True)
    try:
        await asyncio.gather(sweep(connections), *(collect(connections, patiently=True) for _ in range(4)))
    finally:
        await connections.close()
    assert no_complaint(bouncer)


async def test_without_saying_so_it_does_not_work(bouncer: PgBouncer, database_url: str) -> None:
    # What the setting is for: if this ever passes, nothing of it is needed any more.
    connections = await Connections.open(bouncer.url, CONNECTIONS)

    async def work() -> None:
        for _ in range(20):
            await asyncio.gather(*(connections.run("ping", timeout=5.0) for _ in range(CONNECTIONS)))

    try:
        with pytest.raises((asyncpg.PostgresError, asyncpg.InternalClientError)):
            await work()
    finally:
        await connections.close()


async def test_it_leads_to_another_database(
    bouncer: PgBouncer, database_url: str, open_store: OpenStore, postgres: object
) -> None:
    elsewhere = url_of(bouncer.url, "postgres")

    with pytest.raises(SchemaMissing, match="lead to two databases"):
        await open_store(elsewhere, direct=database_url)


async def test_its_sessions_may_forget(
    bouncer: PgBouncer, database_url: str, open_store: OpenStore, database: asyncpg.Connection
) -> None:
    await (await open_store()).close()
    name = await database.fetchval("SELECT current_database()")
    await database.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    past_that = f"{database_url}&options=-csynchronous_commit%3Don"

    with pytest.raises(UnsafeDurability, match="synchronous_commit = off"):
        await open_store(bouncer.url, direct=past_that)
