"""What is in doubt is counted without reading receipts, by whatever way it came there, and left."""

from __future__ import annotations

import asyncpg
import pytest

from integration.store.test_sweeping import declare_dead
from onceproxy.core.receipts import Claim, Receipt, Source
from onceproxy.guard.ports import Resolution
from onceproxy.store.doubts import count_doubts
from onceproxy.store.postgres import PostgresStore
from stores import OpenStore, a_response, an_action, completed, in_doubt, released


async def claimed(store: PostgresStore, name: str, **changes: object) -> Claim:
    claim = await store.claim(an_action(name, **changes))
    assert isinstance(claim, Claim)
    return claim


async def counted(store: PostgresStore) -> int:
    return (await store.doubts())[0]


async def test_every_way_into_doubt_and_out_of_it_counts(
    open_store: OpenStore, database: asyncpg.Connection
) -> None:
    store = await open_store()
    assert await store.doubts() == (0, 0.0)
    claims = [await claimed(store, name) for name in ("a", "b", "c", "d")]
    for claim in claims:
        await store.settle(claim, in_doubt(502))
    assert await counted(store) == 4

    # It came to an end after all; somebody says what happened, or did not.
    await store.settle(claims[0], completed())
    happened = Resolution(True, Source.OPERATOR, "seen", a_response())
    await store.resolve(claims[1].request_id, 1, happened)
    await store.resolve(claims[2].request_id, 1, Resolution(False, Source.OPERATOR, "not there"))
    assert await counted(store) == 1

    # What another owner had claimed is in doubt when he is dead, for whoever sees it first.
    dead = await open_store()
    orphan = await claimed(dead, "orphan")
    await declare_dead(dead, database)
    assert await counted(store) == 1
    seen = await store.read(orphan.request_id)
    assert isinstance(seen, Receipt)
    assert await counted(store) == 2


async def test_settled_receipts_never_count(store: PostgresStore, database: asyncpg.Connection) -> None:
    await store.settle(await claimed(store, "done"), completed())
    await store.settle(await claimed(store, "turned-away"), released())

    assert await counted(store) == 0
    assert await database.fetchval("SELECT count(*) FROM doubts") == 0


async def test_the_oldest_is_told(store: PostgresStore, database: asyncpg.Connection) -> None:
    for name in ("old", "young"):
        await store.settle(await claimed(store, name), in_doubt())
    await database.execute(
        "UPDATE doubts SET since = since - interval '1 hour' WHERE request_id = $1",
        an_action("old").request_id.digest,
    )

    count, oldest = await store.doubts()

    assert count == 2
    assert 3600 <= oldest < 4000


async def test_a_row_that_is_removed_by_hand_counts_no_more(
    store: PostgresStore, database: asyncpg.Connection
) -> None:
    await store.settle(await claimed(store, "a"), in_doubt())

    await database.execute("DELETE FROM receipts")

    assert await counted(store) == 0


async def test_counting_stops_somewhere(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        await store.settle(await claimed(store, name), in_doubt())
    monkeypatch.setattr("onceproxy.store.doubts.MOST", 2)

    assert (await count_doubts(store._connections))[0] == 2


async def test_roles_without_a_grant_put_in_doubt_as_well(
    store: PostgresStore, database: asyncpg.Connection
) -> None:
    claim = await claimed(store, "a")
    await database.execute("CREATE ROLE no_grants_yet")
    await database.execute("GRANT SELECT, UPDATE ON receipts TO no_grants_yet")
    async with database.transaction():
        await database.execute("SET LOCAL ROLE no_grants_yet")
        await database.execute(
            "UPDATE receipts SET previous = state, state = 'in_doubt' WHERE request_id = $1",
            claim.request_id.digest,
        )
    await database.execute("DROP OWNED BY no_grants_yet")
    await database.execute("DROP ROLE no_grants_yet")

    assert await counted(store) == 1
