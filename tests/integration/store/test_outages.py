"""Connections that break at the worst moment, and databases that stay away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from integration.store.conftest import History
from integration.store.relay import Cut, Relay
from onceproxy.core.receipts import Claim
from onceproxy.guard.ports import Note, Settled, StoreUnavailable
from onceproxy.store.postgres import PostgresStore
from stores import OpenStore, an_action, completed, released

FROM_THEN_ON = [Cut.ANSWER, *[Cut.REQUEST] * 100]  # the answer is lost, and nobody is there any more


@pytest.fixture
async def relay(database_url: str, tmp_path: Path) -> AsyncIterator[Relay]:
    async with Relay(database_url, tmp_path) as relay:
        yield relay


@pytest.fixture
async def store(relay: Relay, open_store: OpenStore) -> PostgresStore:
    """A store behind the relay, whose statements are prepared, so that each is one request; no heartbeat."""
    return await behind(relay, open_store, patience=2)


async def behind(relay: Relay, open_store: OpenStore, patience: float) -> PostgresStore:
    store = await open_store(relay.url, pool_size=2, lease=600, heartbeat=200, patience=patience)
    claim = await store.claim(an_action("warm"))
    assert isinstance(claim, Claim)
    await store.settle(claim, completed())
    await store.claim(an_action("warm"))
    await store.note(claim.request_id, Note.REPLAYED)
    return store


@pytest.mark.parametrize("cut", list(Cut))
async def test_a_claim_whose_connection_breaks_is_ours_once(
    store: PostgresStore, relay: Relay, history: History, cut: Cut
) -> None:
    relay.cuts.append(cut)

    claim = await store.claim(an_action())

    assert relay.done == [cut]
    assert isinstance(claim, Claim)
    assert claim.attempt == 1
    assert await history(claim.request_id) == ["claimed"]
    assert await store.settle(claim, completed()) is Settled.STORED


@pytest.mark.parametrize("cut", list(Cut))
async def test_a_settlement_whose_connection_breaks_is_stored_once(
    store: PostgresStore, relay: Relay, history: History, cut: Cut
) -> None:
    claim = await store.claim(an_action())
    assert isinstance(claim, Claim)
    relay.cuts.append(cut)

    settled = await store.settle(claim, completed())

    assert relay.done == [cut]
    assert settled is Settled.STORED
    assert await history(claim.request_id) == ["claimed", "completed"]


async def test_while_the_database_is_away_all_verbs_say_so(store: PostgresStore, relay: Relay) -> None:
    claim = await store.claim(an_action())
    assert isinstance(claim, Claim)
    await relay.sever()

    async with asyncio.timeout(10):
        results = await asyncio.gather(
            store.claim(an_action("other")),
            store.settle(claim, completed()),
            store.read(claim.request_id),
            store.note(claim.request_id, Note.REPLAYED),
            return_exceptions=True,
        )
    assert [type(result) for result in results] == [StoreUnavailable] * 4

    await relay.restore()
    assert await store.settle(claim, completed()) is Settled.STORED


async def test_a_claim_that_was_given_up_is_given_back_when_the_database_is_back(
    store: PostgresStore, relay: Relay, history: History
) -> None:
    sever = asyncio.Event()

    async def cut_off() -> None:
        # Commit, lose the answer, and find nobody at the second try.
        relay.cuts += FROM_THEN_ON
        while not relay.done:
            await asyncio.sleep(0)
        sever.set()

    watcher = asyncio.create_task(cut_off())
    claiming = asyncio.create_task(store.claim(an_action()))
    await sever.wait()
    await watcher
    async with asyncio.timeout(10):
        while await history(an_action().request_id) != ["claimed"]:
            await asyncio.sleep(0.01)
    await relay.sever()
    relay.cuts.clear()
    with pytest.raises(StoreUnavailable):
        await claiming
    await relay.restore()

    async with asyncio.timeout(20):
        while await history(an_action().request_id) != ["claimed", "abandoned"]:
            await asyncio.sleep(0.02)
    again = await store.claim(an_action())
    assert isinstance(again, Claim)
    assert again.attempt == 2


async def test_a_claim_that_ends_in_a_mistake_of_ours_is_given_back(
    open_store: OpenStore, relay: Relay, database: asyncpg.Connection, history: History
) -> None:
    """Its first try was committed and its answer lost; somebody changes the tables before the second one."""
    store = await behind(relay, open_store, patience=60)  # it must not give up before the tables have changed
    relay.cuts += FROM_THEN_ON
    claiming = asyncio.create_task(store.claim(an_action()))
    async with asyncio.timeout(10):
        while not relay.done or await history(an_action().request_id) != ["claimed"]:
            await asyncio.sleep(0)
    await relay.sever()
    relay.cuts.clear()
    await database.execute("ALTER TABLE receipts RENAME COLUMN route TO rout")
    await relay.restore()
    with pytest.raises(asyncpg.UndefinedColumnError):
        await claiming

    async with asyncio.timeout(20):
        while await history(an_action().request_id) != ["claimed", "abandoned"]:
            await asyncio.sleep(0.02)


async def test_a_short_outage_is_waited_out(store: PostgresStore, relay: Relay) -> None:
    await relay.sever()
    claiming = asyncio.create_task(store.claim(an_action()))
    await asyncio.sleep(0.2)
    assert not claiming.done()
    await relay.restore()

    assert isinstance(await claiming, Claim)


async def test_backends_that_are_killed_are_replaced(
    store: PostgresStore, database: asyncpg.Connection
) -> None:
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'onceproxy'"
    for i in range(5):
        await database.execute(kill)
        assert isinstance(await store.claim(an_action(f"n{i}")), Claim)


async def test_a_mistake_of_ours_is_not_called_an_outage(
    store: PostgresStore, database: asyncpg.Connection
) -> None:
    await database.execute("ALTER TABLE receipts RENAME COLUMN route TO rout")

    with pytest.raises(asyncpg.UndefinedColumnError):
        await store.claim(an_action())


async def test_settlements_do_not_wait_for_claims(
    store: PostgresStore, database: asyncpg.Connection, database_url: str
) -> None:
    free, held = await store.claim(an_action()), await store.claim(an_action("held"))
    assert isinstance(free, Claim)
    assert isinstance(held, Claim)
    await store.settle(free, released())
    other = await asyncpg.connect(database_url)
    transaction = other.transaction()
    await transaction.start()
    await other.execute("UPDATE receipts SET detail = 'held' WHERE state = 'released'")
    # Whoever claims the action now waits for the row, with a common connection in hand.
    waiting = [asyncio.create_task(store.claim(an_action())) for _ in range(10)]
    async with asyncio.timeout(10):
        while not await database.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
            await asyncio.sleep(0.01)

    assert await store.settle(held, completed()) is Settled.STORED

    assert not any(task.done() for task in waiting)
    await transaction.rollback()
    await other.close()
    results = await asyncio.gather(*waiting)
    assert sum(isinstance(result, Claim) for result in results) == 1


@pytest.mark.parametrize(("piece", "delay"), [(1, 0.0), (7, 0.0), (65536, 0.2)])
async def test_a_slow_link_changes_nothing(
    store: PostgresStore, relay: Relay, history: History, piece: int, delay: float
) -> None:
    relay.piece, relay.delay = piece, delay

    first, second = await asyncio.gather(store.claim(an_action()), store.claim(an_action()))

    [claim] = [one for one in (first, second) if isinstance(one, Claim)]
    assert await store.settle(claim, completed()) is Settled.STORED
    assert await history(claim.request_id) == ["claimed", "completed"]
