"""What one request that comes alone costs the database: two commits, and no statement is planned anew."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import asyncpg

from onceproxy.core.receipts import Claim
from onceproxy.store.embedded import EmbeddedServer
from onceproxy.store.postgres import PostgresStore
from stores import an_action, completed

PAIRS = 20


async def pay(store: PostgresStore, names: range) -> None:
    for name in names:
        claim = await store.claim(an_action(str(name)))
        assert isinstance(claim, Claim)
        await store.settle(claim, completed())


async def commits_of(pairs: int, database_url: str, elsewhere: asyncpg.Connection) -> int:
    """Count the commits of a store from its opening to its end, with ``pairs`` lone requests."""
    database = urlsplit(database_url).path.strip("/")

    async def committed() -> int:
        # What a session has counted is seen at the latest when it has ended.
        async with asyncio.timeout(20):
            while await elsewhere.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = $1", database
            ):
                await asyncio.sleep(0.01)
        count = await elsewhere.fetchval(
            "SELECT xact_commit FROM pg_stat_database WHERE datname = $1", database
        )
        return int(count)

    before = await committed()
    # No heartbeat, and no other chore, comes in the meantime.
    async with await PostgresStore.open(database_url, lease=600.0, heartbeat=200.0) as store:
        await pay(store, range(pairs))
    return await committed() - before


async def test_a_lone_pair_makes_two_commits(postgres: EmbeddedServer, database_url: str) -> None:
    elsewhere = await asyncpg.connect(postgres.url)
    try:
        one = await commits_of(1, database_url, elsewhere)
        truncating = await asyncpg.connect(database_url)
        await truncating.execute("TRUNCATE receipts, events")
        await truncating.close()
        many = await commits_of(1 + PAIRS, database_url, elsewhere)
    finally:
        await elsewhere.close()

    # Opening and closing make one more or less.
    assert round((many - one) / PAIRS) == 2


async def test_the_statements_of_a_lone_pair_stay_prepared(store: PostgresStore) -> None:
    await pay(store, range(PAIRS))

    prepared = [
        (row["statement"], row["generic_plans"] + row["custom_plans"])
        for lender in (store._connections._common, store._connections._reserved)
        for lent in lender._kept
        for row in await lent.connection.fetch(
            "SELECT statement, generic_plans, custom_plans FROM pg_prepared_statements"
        )
    ]

    for write in ("INSERT INTO receipts", "UPDATE receipts"):
        [runs] = [runs for statement, runs in prepared if write in statement]
        assert runs == PAIRS
