"""Actions that are alike: found by an index, one at a time, and at no cost to the others."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from onceproxy.core.receipts import Action, Claim, Likeness, Receipt
from onceproxy.core.rules import FreshKey
from onceproxy.core.states import State
from onceproxy.store.postgres import PostgresStore
from onceproxy.store.statements import sql
from stores import OpenStore, an_action, completed, in_doubt, released


def alike(name: str, treatment: FreshKey = FreshKey.HOLD, window: float = 60.0, **changes: Any) -> Action:
    likeness = Likeness(hashlib.sha256(b"alike").digest(), treatment, window)
    return an_action(name, likeness=likeness, **changes)


async def claim(store: PostgresStore, action: Action) -> Claim:
    claimed = await store.claim(action)
    assert isinstance(claimed, Claim)
    return claimed


async def held(store: PostgresStore, action: Action) -> Receipt:
    receipt = await store.claim(action)
    assert isinstance(receipt, Receipt)
    assert receipt.request_id != action.request_id
    assert await store.read(action.request_id) is None
    return receipt


async def test_of_forty_fresh_keys_at_once_over_two_stores_one_claims(open_store: OpenStore) -> None:
    stores = [await open_store(), await open_store()]

    results = await asyncio.gather(*(stores[i % 2].claim(alike(f"key-{i}")) for i in range(40)))

    [winner] = [result for result in results if isinstance(result, Claim)]
    others = {result.request_id for result in results if isinstance(result, Receipt)}
    assert others == {winner.request_id}


@pytest.mark.parametrize(
    ("settlement", "state"),
    [(None, State.CLAIMED), (completed(), State.COMPLETED), (in_doubt(), State.IN_DOUBT)],
)
async def test_what_may_have_happened_holds_others(
    store: PostgresStore, settlement: Any, state: State
) -> None:
    first = await claim(store, alike("one"))
    if settlement is not None:
        await store.settle(first, settlement)

    receipt = await held(store, alike("two"))

    assert (receipt.request_id, receipt.state) == (first.request_id, state)
    assert receipt.first_age >= 0


async def test_what_did_not_happen_holds_nobody(store: PostgresStore) -> None:
    await store.settle(await claim(store, alike("one")), released())

    await claim(store, alike("two"))

    assert (await held_again(store)).request_id == alike("two").request_id


async def held_again(store: PostgresStore) -> Receipt:
    """The first key's retry: its own receipt is free, but meanwhile another one did it."""
    receipt = await store.claim(alike("one"))
    assert isinstance(receipt, Receipt)
    return receipt


async def test_a_copy_meets_its_own_receipt_whatever_is_like_it(store: PostgresStore) -> None:
    await store.settle(await claim(store, alike("one")), completed())
    await claim(store, alike("two", FreshKey.ALLOW))

    for name in ("one", "two"):
        receipt = await store.claim(alike(name))
        assert isinstance(receipt, Receipt)
        assert receipt.request_id == alike(name).request_id


async def test_the_window_ends(store: PostgresStore, database: asyncpg.Connection) -> None:
    await claim(store, alike("one"))
    await held(store, alike("two"))
    await database.execute("UPDATE receipts SET created_at = created_at - interval '61 seconds'")

    await claim(store, alike("two"))


async def test_who_insists_is_not_held_but_holds_those_who_do_not(store: PostgresStore) -> None:
    await claim(store, alike("one", FreshKey.ALLOW))
    assert (await claim(store, alike("two", FreshKey.ALLOW))).like is None

    assert (await held(store, alike("three"))).request_id == alike("two").request_id


async def test_a_warning_names_the_earlier_one(store: PostgresStore) -> None:
    assert (await claim(store, alike("one", FreshKey.WARN))).like is None
    assert (await claim(store, alike("two", FreshKey.WARN))).like == alike("one").request_id


async def test_other_actions_are_neither_held_nor_kept(
    store: PostgresStore, database: asyncpg.Connection
) -> None:
    await claim(store, an_action("plain"))
    await claim(store, alike("one"))

    await claim(store, an_action("other"))

    kept = await database.fetch("SELECT likeness FROM receipts WHERE likeness IS NOT NULL")
    assert [row["likeness"] for row in kept] == [hashlib.sha256(b"alike").digest()]


async def test_the_lookup_uses_the_index(store: PostgresStore, database: asyncpg.Connection) -> None:
    await claim(store, alike("one"))
    async with database.transaction():
        await database.execute("SET LOCAL enable_seqscan = off")
        plan = await database.fetch(f"EXPLAIN {sql('find_like')}", bytes(32), bytes(32), timedelta(1))

    text = "\n".join(row[0] for row in plan)
    assert "receipts_likeness_idx" in text
    assert "Seq Scan" not in text


async def test_a_settlement_stays_a_heap_only_update(
    store: PostgresStore, database: asyncpg.Connection
) -> None:
    for number in range(20):
        await store.settle(await claim(store, alike(f"key-{number}", FreshKey.WARN)), completed())

    await database.execute("SELECT pg_stat_force_next_flush()")
    count = (
        "SELECT n_tup_upd AS updates, n_tup_hot_upd AS hot FROM pg_stat_user_tables"
        " WHERE relname = 'receipts'"
    )
    async with asyncio.timeout(20):
        while (row := await database.fetchrow(count)) is None or row["updates"] < 20:
            await asyncio.sleep(0.05)
    assert row["hot"] == row["updates"]


async def test_a_held_claim_leaves_its_connection_usable(open_store: OpenStore) -> None:
    store = await open_store(pool_size=2)
    await claim(store, alike("one"))
    for number in range(10):
        await held(store, alike(f"other-{number}"))
    await claim(store, an_action("plain"))


async def test_a_holder_that_waits_is_cancelled_without_a_trace(
    store: PostgresStore, database: asyncpg.Connection
) -> None:
    action = alike("one")
    assert action.likeness is not None
    lock = int.from_bytes(action.likeness.digest[:8], "big", signed=True)
    await claim(store, an_action("warm"))
    async with database.transaction():
        await database.fetchrow(sql("lock_likeness"), lock)
        asking = asyncio.create_task(store.claim(action))
        async with asyncio.timeout(20):
            while not await database.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
                await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    assert (await claim(store, alike("two"))).attempt == 1
