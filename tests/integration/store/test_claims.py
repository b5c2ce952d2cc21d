"""Claiming: exactly one at a time, whoever asks, and only for those who are alive."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from integration.store.conftest import History
from onceproxy.core.policies import InDoubt
from onceproxy.core.receipts import Claim, Receipt, RequestId
from onceproxy.core.states import State
from onceproxy.guard.ports import StoreUnavailable
from onceproxy.store.postgres import PostgresStore
from onceproxy.store.rows import action_values
from onceproxy.store.statements import sql
from stores import OpenStore, an_action, completed, in_doubt, released


async def claim(store: PostgresStore, **changes: Any) -> Claim:
    claimed = await store.claim(an_action(**changes))
    assert isinstance(claimed, Claim)
    return claimed


async def test_of_fifty_at_once_over_two_stores_one_claims(open_store: OpenStore, history: History) -> None:
    stores = [await open_store(), await open_store()]

    results = await asyncio.gather(*(stores[i % 2].claim(an_action()) for i in range(50)))

    claims = [result for result in results if isinstance(result, Claim)]
    assert len(claims) == 1
    assert claims[0].attempt == 1
    others = [result for result in results if isinstance(result, Receipt)]
    assert {receipt.state for receipt in others} == {State.CLAIMED}
    assert await history(an_action().request_id) == ["claimed"]


async def test_of_fifty_at_once_one_reclaims_what_was_released(open_store: OpenStore) -> None:
    stores = [await open_store(), await open_store()]
    await stores[0].settle(await claim(stores[0]), released())

    results = await asyncio.gather(*(stores[i % 2].claim(an_action()) for i in range(50)))

    assert [result.attempt for result in results if isinstance(result, Claim)] == [2]


@pytest.mark.parametrize("before", ["absent", "released", "expired"])
async def test_who_waits_for_a_claim_in_the_making_does_not_get_another(
    store: PostgresStore, database: asyncpg.Connection, before: str
) -> None:
    if before != "absent":
        await store.settle(await claim(store), released() if before == "released" else completed())
        await database.execute("UPDATE receipts SET expires_at = now() WHERE state = 'completed'")
    action = an_action()
    async with database.transaction():
        row = await database.fetchrow(
            sql("claim"),
            action.request_id.digest,
            uuid4(),
            store.instance,
            *action_values(action),
        )
        assert row is not None
        assert row["attempt"] == (1 if before == "absent" else 2)
        # Not committed yet, so the second one's look ahead finds the way free.
        waiting = asyncio.create_task(store.claim(action))
        await until(database, "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")

    receipt = await waiting

    assert isinstance(receipt, Receipt)
    assert (receipt.state, receipt.attempt) == (State.CLAIMED, row["attempt"])


async def test_the_receipt_in_the_way_is_told(store: PostgresStore) -> None:
    action = an_action(credential=b"digest", url="https://api.example.com/a")
    await store.claim(action)

    receipt = await store.claim(action)

    assert isinstance(receipt, Receipt)
    assert receipt.state is State.CLAIMED
    assert receipt.request_id == action.request_id
    assert (receipt.fingerprint, receipt.credential) == (action.fingerprint, b"digest")
    assert (receipt.route, receipt.method, receipt.url) == (action.route, action.method, action.url)
    assert receipt.attempt == 1
    assert 0 < receipt.lease_left <= 20
    assert 0 <= receipt.age < 5
    assert receipt.response is None


async def test_a_released_action_is_claimed_again_as_the_next_attempt(
    store: PostgresStore, history: History
) -> None:
    first = await claim(store)
    await store.settle(first, released())

    second = await claim(store)

    assert second.attempt == 2
    assert second.token != first.token
    receipt = await store.read(second.request_id)
    assert receipt is not None
    assert (receipt.state, receipt.phase, receipt.detail) == (State.CLAIMED, None, "")
    assert await history(second.request_id) == ["claimed", "released", "claimed"]


async def test_a_released_key_is_not_free_for_another_request(store: PostgresStore) -> None:
    await store.settle(await claim(store), released())

    receipt = await store.claim(an_action(fingerprint=hashlib.sha256(b"something else").digest()))

    assert isinstance(receipt, Receipt)
    assert receipt.state is State.RELEASED
    assert receipt.fingerprint == an_action().fingerprint


@pytest.mark.parametrize("settlement", [completed(), in_doubt()], ids=["completed", "in_doubt"])
async def test_what_is_completed_or_in_doubt_is_not_claimed(store: PostgresStore, settlement: object) -> None:
    first = await claim(store)
    await store.settle(first, settlement)  # type: ignore[arg-type]

    assert isinstance(await store.claim(an_action()), Receipt)


async def test_an_expired_receipt_is_gone_and_its_action_is_new(
    store: PostgresStore, history: History, database: asyncpg.Connection
) -> None:
    first = await claim(store)
    await store.settle(first, completed())
    await database.execute("UPDATE receipts SET expires_at = clock_timestamp(), created_at = 'epoch'")

    expired = await store.read(first.request_id)
    assert expired is not None
    assert (expired.state, expired.response) == (State.TOMBSTONE, None)
    other = an_action(fingerprint=hashlib.sha256(b"another").digest())
    second = await store.claim(other)

    assert isinstance(second, Claim)
    assert second.attempt == 2
    receipt = await store.read(second.request_id)
    assert receipt is not None
    assert (receipt.state, receipt.fingerprint, receipt.response) == (State.CLAIMED, other.fingerprint, None)
    assert await history(second.request_id) == ["claimed", "completed", "expired", "claimed"]
    assert await database.fetchval("SELECT created_at > now() - interval '1 minute' FROM receipts")


async def test_the_ttl_counts_from_the_completion(store: PostgresStore, database: asyncpg.Connection) -> None:
    await store.settle(await claim(store, ttl=90.5), completed())

    left = "SELECT extract(epoch FROM expires_at - changed_at)::float8 FROM receipts"
    assert await database.fetchval(left) == pytest.approx(90.5, abs=0.01)


@pytest.mark.parametrize(
    "death",
    ["SET ended_at = clock_timestamp()", "SET lease_until = clock_timestamp()"],
    ids=["ended", "lease ran out"],
)
async def test_an_instance_that_the_database_holds_for_dead_can_not_claim(
    store: PostgresStore, database: asyncpg.Connection, death: str
) -> None:
    before = store.instance
    await database.execute(f"UPDATE instances {death}")

    with pytest.raises(StoreUnavailable, match="lease ran out"):
        await store.claim(an_action())

    assert await database.fetchval("SELECT count(*) FROM receipts") == 0
    async with asyncio.timeout(10):
        while store.instance == before or not store.may_send():  # the heartbeat comes at once
            await asyncio.sleep(0.01)
    await claim(store)


async def test_a_claim_that_was_cancelled_is_given_back(
    store: PostgresStore, database: asyncpg.Connection, history: History
) -> None:
    await claim(store, name="warm")
    async with database.transaction():
        # Holds the claim up inside the database, and so its commit after the cancellation.
        await database.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        asking = asyncio.create_task(store.claim(an_action()))
        await until(database, "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    await until(database, "SELECT EXISTS (SELECT FROM events WHERE kind = 'abandoned')")

    again = await claim(store)

    assert again.attempt == 2
    assert await history(again.request_id) == ["claimed", "abandoned", "claimed"]


async def test_a_claim_of_what_is_in_doubt_says_so(store: PostgresStore) -> None:
    first = await claim(store)
    await store.settle(first, in_doubt())

    again = await claim(store, in_doubt=InDoubt.EXECUTE)
    await store.settle(again, released())
    new = await claim(store)

    assert (first.doubtful, again.doubtful, new.doubtful) == (False, True, False)


@pytest.mark.parametrize("lost", [False, True], ids=["while claimed", "after it was lost"])
async def test_a_claim_of_what_is_in_doubt_that_is_given_back_leaves_the_doubt(
    store: PostgresStore, database: asyncpg.Connection, history: History, lost: bool
) -> None:
    await store.settle(await claim(store), in_doubt())
    again = await claim(store, in_doubt=InDoubt.EXECUTE)
    if lost:
        await database.execute("UPDATE instances SET lease_until = clock_timestamp()")
        await store.read(again.request_id)

    row = await database.fetchrow(sql("abandon"), again.request_id.digest, again.token, uuid4())

    assert row is not None
    assert row["state"] == "in_doubt"
    receipt = await store.read(again.request_id)
    assert receipt is not None
    assert (receipt.state, receipt.attempt) == (State.IN_DOUBT, 2)
    assert await history(again.request_id) == [
        *("claimed", "in_doubt", "claimed"),
        "lost" if lost else "abandoned",
    ]


async def until(database: asyncpg.Connection, question: str) -> None:
    async with asyncio.timeout(10):
        while not await database.fetchval(question):
            await asyncio.sleep(0.01)


async def test_words_that_postgres_can_not_keep_are_escaped(store: PostgresStore) -> None:
    claimed = await claim(store, url="https://h/\0\udc85", route="r\0", scope=("a\0", "\udcff"))

    receipt = await store.read(claimed.request_id)

    assert receipt is not None
    assert receipt.url == r"https://h/\x00\udc85"


async def test_reading_what_was_never_claimed(store: PostgresStore) -> None:
    assert await store.read(RequestId(bytes(32))) is None
