"""Receipts that a store keeps in memory: they spare the database, and the database's news ends them."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from onceproxy.core.receipts import Claim, Receipt
from onceproxy.store.operator import operating, purge
from onceproxy.store.postgres import PostgresStore
from stores import OpenStore, an_action, completed

CACHE = 1 << 20
PATIENCE = 20.0  # seconds until a test that waits for something gives up


@pytest.fixture
async def store(open_store: OpenStore) -> PostgresStore:
    """A store with a cache, in which one action is completed and kept."""
    hit = asyncio.Event()
    store = await open_store(cache=CACHE, cache_hit=hit.set)
    await store.listening()
    claim = await store.claim(an_action())
    assert isinstance(claim, Claim)
    await store.settle(claim, completed())
    await _until_kept(store, hit)
    return store


async def _until_kept(store: PostgresStore, hit: asyncio.Event) -> None:
    """Ask until the answer came from memory: news of the action may still be under way."""
    async with asyncio.timeout(PATIENCE):
        while not hit.is_set():
            assert isinstance(await store.claim(an_action()), Receipt)


async def _until_claimable(store: PostgresStore) -> Claim:
    async with asyncio.timeout(PATIENCE):
        while not isinstance(found := await store.claim(an_action()), Claim):
            await asyncio.sleep(0.01)
    return found


async def test_a_replay_does_not_ask_the_database(store: PostgresStore, database: asyncpg.Connection) -> None:
    known = await store.read(an_action().request_id)
    await database.execute("DELETE FROM receipts")  # behind everybody's back

    found = await store.claim(an_action())
    again = await store.read(an_action().request_id)

    assert isinstance(found, Receipt)
    assert known is not None
    assert again is not None
    assert found.response == again.response == known.response == completed().response
    assert found.age >= known.age


async def test_a_purge_elsewhere_ends_it(store: PostgresStore, database_url: str) -> None:
    async with operating(database_url) as connections:
        await purge(connections, an_action().request_id, "as a test")

    claim = await _until_claimable(store)

    assert claim.attempt == 1


async def test_a_lost_listener_ends_them_all(store: PostgresStore, database: asyncpg.Connection) -> None:
    await database.execute("DELETE FROM receipts")
    assert isinstance(await store.claim(an_action()), Receipt)

    await database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
    )

    await _until_claimable(store)


async def test_what_was_kept_before_it_expired_is_a_new_action_after(open_store: OpenStore) -> None:
    store = await open_store(cache=CACHE)
    await store.listening()
    claim = await store.claim(an_action(ttl=0.3))
    assert isinstance(claim, Claim)
    await store.settle(claim, completed())

    async with asyncio.timeout(PATIENCE):
        while not isinstance(found := await store.claim(an_action(ttl=0.3)), Claim):
            await asyncio.sleep(0.01)

    assert found.attempt == 2


async def test_without_a_cache_each_replay_asks(open_store: OpenStore, database: asyncpg.Connection) -> None:
    store = await open_store()
    claim = await store.claim(an_action())
    assert isinstance(claim, Claim)
    await store.settle(claim, completed())
    assert isinstance(await store.claim(an_action()), Receipt)

    await database.execute("DELETE FROM receipts")

    assert isinstance(await store.claim(an_action()), Claim)
