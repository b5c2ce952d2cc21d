"""Tables that do not grow by being written to: settlements in place, and vacuum before much has gathered."""

from __future__ import annotations

import asyncio

import asyncpg

from onceproxy.core.receipts import Claim
from onceproxy.store.postgres import PostgresStore
from stores import a_response, an_action, completed

BATCH = 120
ROUNDS = 5
HEADERS = tuple((b"X-Header-%d" % number, b"v" * 30) for number in range(5))


async def test_whole_batches_of_real_answers_are_settled_in_place(
    store: PostgresStore, database: asyncpg.Connection
) -> None:
    await database.execute("ALTER TABLE receipts SET (autovacuum_enabled = off)")  # which would make room
    answer = completed(a_response(200, b"x" * 200, HEADERS))
    for turn in range(ROUNDS):
        claims = await asyncio.gather(*(store.claim(an_action(f"{turn}-{n}")) for n in range(BATCH)))
        await asyncio.gather(*(store.settle(one, answer) for one in claims if isinstance(one, Claim)))

    await database.execute("SELECT pg_stat_force_next_flush()")
    count = (
        "SELECT n_tup_upd AS updates, n_tup_hot_upd AS hot FROM pg_stat_user_tables"
        " WHERE relname = 'receipts'"
    )
    async with asyncio.timeout(20):
        while (row := await database.fetchrow(count)) is None or row["updates"] < BATCH * ROUNDS:
            await asyncio.sleep(0.05)
    assert row["hot"] / row["updates"] >= 0.95


async def test_vacuum_looks_after_large_tables_early(
    store: PostgresStore, database: asyncpg.Connection
) -> None:
    rows = await database.fetch(
        """
        SELECT main.relname AS name, main.reloptions || coalesce(toast.reloptions, '{}') AS options
        FROM pg_class AS main LEFT JOIN pg_class AS toast ON toast.oid = main.reltoastrelid
        WHERE main.relname IN ('receipts', 'events', 'parts')
        """
    )
    said = {row["name"]: [option for option in row["options"] if "scale_factor" in option] for row in rows}

    assert said["receipts"].count("autovacuum_vacuum_scale_factor=0.02") == 2  # and its large values
    assert said["parts"].count("autovacuum_vacuum_scale_factor=0.02") == 2
    assert "autovacuum_vacuum_insert_scale_factor=0.05" in said["receipts"]
    assert "autovacuum_vacuum_insert_scale_factor=0.05" in said["events"]  # which nobody updates
