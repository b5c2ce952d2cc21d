"""A database that answers and does not write: full, read-only, overloaded, too slow, or broken."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from integration.store.conftest import History
from onceproxy.core.receipts import Claim
from onceproxy.guard.ports import Settled, SettlementRefused, StoreUnavailable
from onceproxy.store.postgres import PostgresStore
from stores import OpenStore, an_action, completed

REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$;
CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON receipts FOR EACH ROW EXECUTE FUNCTION refuse();
"""
NO_MORE = "DROP TRIGGER refuse ON receipts"
OUTAGES = {
    "disk full": "53100",
    "out of memory": "53200",
    "too many connections": "53300",
    "read-only": "25006",
    "shutting down": "57P01",
    "statement timeout": "57014",
    "lock timeout": "55P03",
    "serialization": "40001",
    "deadlock": "40P01",
    "disk broken": "58030",
}


@pytest.fixture
async def store(open_store: OpenStore) -> PostgresStore:
    return await open_store(patience=0.3)


async def claimed(store: PostgresStore) -> Claim:
    claim = await store.claim(an_action())
    assert isinstance(claim, Claim)
    return claim


@pytest.mark.parametrize("code", OUTAGES.values(), ids=OUTAGES.keys())
async def test_a_claim_says_that_the_store_is_unavailable(
    store: PostgresStore, database: asyncpg.Connection, code: str
) -> None:
    await database.execute(REFUSE.format(code=code))
    with pytest.raises(StoreUnavailable):
        await store.claim(an_action())
    assert await store.read(an_action().request_id) is None

    await database.execute(NO_MORE)
    assert (await claimed(store)).attempt == 1


@pytest.mark.parametrize("code", OUTAGES.values(), ids=OUTAGES.keys())
async def test_a_settlement_says_so_too_and_can_be_stored_later(
    store: PostgresStore, database: asyncpg.Connection, history: History, code: str
) -> None:
    claim = await claimed(store)
    await database.execute(REFUSE.format(code=code))
    with pytest.raises(StoreUnavailable) as caught:
        await store.settle(claim, completed())
    assert not isinstance(caught.value, SettlementRefused)

    await database.execute(NO_MORE)
    assert await store.settle(claim, completed()) is Settled.STORED
    assert await history(claim.request_id) == ["claimed", "completed"]


@pytest.mark.parametrize("code", ["42501", "42P01", "23514", "22P02", "P0001", "XX000"])
async def test_a_settlement_that_is_refused_for_whatever_reason_is_not_lost(
    store: PostgresStore, database: asyncpg.Connection, code: str
) -> None:
    claim = await claimed(store)
    await database.execute(REFUSE.format(code=code))
    with pytest.raises(StoreUnavailable):
        await store.settle(claim, completed())

    await database.execute(NO_MORE)
    assert await store.settle(claim, completed()) is Settled.STORED


async def test_connections_to_what_was_read_only_are_not_used_again(
    open_store: OpenStore, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await open_store(patience=20)
    refused, run = asyncio.Event(), store._connections.run

    async def watched(statement: str, *values: object, **how: Any) -> asyncpg.Record | None:
        try:
            return await run(statement, *values, **how)
        except asyncpg.ReadOnlySQLTransactionError:
            if statement == "claim":
                refused.set()
            raise

    monkeypatch.setattr(store._connections, "run", watched)
    name = await database.fetchval("SELECT current_database()")
    drop = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'onceproxy'"
    await database.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await database.execute(drop)  # those that come now are read-only for as long as they live
    claiming = asyncio.create_task(store.claim(an_action()))
    async with asyncio.timeout(15):
        await refused.wait()

    await database.execute("SET default_transaction_read_only = off")
    await database.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")

    assert isinstance(await claiming, Claim)


async def test_a_statement_timeout_of_the_database_is_an_outage(
    open_store: OpenStore, database: asyncpg.Connection, database_url: str
) -> None:
    name = await database.fetchval("SELECT current_database()")
    await database.execute(f"ALTER DATABASE {name} SET statement_timeout = '100ms'")
    store = await open_store(patience=0.5)
    claim = await claimed(store)
    other = await asyncpg.connect(database_url)
    transaction = other.transaction()
    await transaction.start()
    await other.execute("UPDATE receipts SET detail = ''")

    with pytest.raises(StoreUnavailable):
        await store.settle(claim, completed())

    await transaction.rollback()
    await other.close()
    assert await store.settle(claim, completed()) is Settled.STORED


async def test_claims_that_find_no_free_connection_are_refused_and_leave_nothing(
    open_store: OpenStore, database: asyncpg.Connection, database_url: str
) -> None:
    store = await open_store(pool_size=2, patience=0.3)
    other = await asyncpg.connect(database_url)
    transaction = other.transaction()
    await transaction.start()
    await other.execute("LOCK TABLE receipts IN EXCLUSIVE MODE")  # for ever, as far as a claim can tell

    results = await asyncio.gather(
        *(store.claim(an_action(f"n{number}")) for number in range(8)), return_exceptions=True
    )

    assert [type(result) for result in results] == [StoreUnavailable] * 8
    await transaction.rollback()
    await other.close()
    assert isinstance(await store.claim(an_action("after")), Claim)
    async with asyncio.timeout(30):
        while await database.fetchval("SELECT count(*) FROM receipts WHERE state = 'claimed'") != 1:
            await asyncio.sleep(0.02)
