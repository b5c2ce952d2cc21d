"""Another version at work on the same database: what it does not know, it does not touch."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from faults.conftest import StartProxy
from onceproxy.store import schema
from onceproxy.store.schema import Migration, all_migrations, migrate
from raw_client import post
from upstreams import Upstream

KEY = "Idempotency-Key: order-1"

NEW_STATE = """
ALTER TABLE receipts DROP CONSTRAINT receipts_transition_is_legal;
UPDATE receipts SET state = 'quarantined', expires_at = NULL, forget_at = NULL;
"""


async def test_a_state_of_a_later_version_is_refused(
    start_proxy: StartProxy, upstream: Upstream, database: asyncpg.Connection
) -> None:
    proxy = await start_proxy()
    assert (await post(proxy.url, f"{upstream.url}/charges", KEY)).status == 201
    await database.execute(NEW_STATE)

    for _ in (1, 2):
        reply = await post(proxy.url, f"{upstream.url}/charges", KEY)
        assert reply.status == 503, reply
    assert upstream.executions == 1
    assert await database.fetchval("SELECT state FROM receipts") == "quarantined"
    assert (await post(proxy.url, f"{upstream.url}/other")).status == 201


MIGRATIONS = (
    "ALTER TABLE receipts ADD COLUMN later text NOT NULL DEFAULT 'x', ADD COLUMN latest bytea",
    "ALTER TABLE receipts ALTER COLUMN attempt TYPE bigint",
    "ALTER TABLE receipts DROP COLUMN later",
    "CREATE INDEX later_idx ON receipts (changed_at)",
    "ALTER TABLE instances ADD COLUMN later text",
)


async def test_a_schema_that_is_migrated_under_load(
    start_proxy: StartProxy,
    upstream: Upstream,
    database: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy = await start_proxy()
    done = asyncio.Event()

    async def client(number: int) -> int:
        count = 0
        while not done.is_set():
            count += 1
            url = f"{upstream.url}/{number}/{count}"
            first, second = [await post(proxy.url, url) for _ in (1, 2)]
            assert (first.status, first.replayed, second.replayed) == (201, False, True), first
            assert first.own == second.own
        return count

    clients = [asyncio.create_task(client(number)) for number in range(8)]
    for number, migration in enumerate(MIGRATIONS):
        await upstream.arrived(len(upstream.requests) + 16)
        with monkeypatch.context() as newer:
            applied = range(len(all_migrations()) + 1, len(all_migrations()) + 1 + number)
            known = [*all_migrations(), *(Migration(one, "earlier", "") for one in applied)]
            known.append(Migration(len(known) + 1, "later", migration))
            newer.setattr(schema, "all_migrations", lambda known=known: known)
            assert await migrate(database) == 1
    await upstream.arrived(len(upstream.requests) + 16)
    done.set()

    assert sum(await asyncio.gather(*clients)) == upstream.executions
