"""Each way into doubt leaves a notice, in the same transaction; each notice is one instance's at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from onceproxy.core.notices import NoticeKind
from onceproxy.core.policies import InDoubt
from onceproxy.core.receipts import Claim
from onceproxy.guard.ports import Settled
from onceproxy.store.connection import Connections
from onceproxy.store.outbox import Outbox, forget_notices
from onceproxy.store.postgres import PostgresStore
from onceproxy.store.sweeping import sweep
from stores import OpenStore, an_action, completed, in_doubt, released

ALL = frozenset(NoticeKind)


async def notices(database: asyncpg.Connection) -> list[str]:
    return [row["kind"] for row in await database.fetch("SELECT kind FROM outbox ORDER BY at")]


async def claimed(store: PostgresStore, name: str = "pay", **changes: object) -> Claim:
    claim = await store.claim(an_action(name, **changes))
    assert isinstance(claim, Claim)
    return claim


@pytest.fixture
async def connections(database_url: str) -> AsyncIterator[Connections]:
    connections = await Connections.open(database_url, 4)
    yield connections
    await connections.close()


async def test_what_is_known_is_not_told(store: PostgresStore, database: asyncpg.Connection) -> None:
    for number, end in enumerate((completed(), released(), released(None))):
        assert await store.settle(await claimed(store, str(number)), end) is Settled.STORED

    assert await notices(database) == []


@pytest.mark.parametrize("batched", [True, False])
async def test_an_attempt_that_can_not_tell(
    store: PostgresStore, database: asyncpg.Connection, batched: bool
) -> None:
    claim = await claimed(store)
    if not batched:
        store._refused.add(claim.token)

    await store.settle(claim, in_doubt())
    await store.settle(claim, in_doubt())  # a repetition is no other event

    assert await notices(database) == ["outcome-unknown"]


async def test_an_orphan_that_is_read(open_store: OpenStore, database: asyncpg.Connection) -> None:
    claim = await claimed(await open_store())
    await database.execute("UPDATE instances SET ended_at = clock_timestamp()")

    await (await open_store()).read(claim.request_id)

    assert await notices(database) == ["outcome-unknown"]


async def test_an_orphan_that_is_swept(
    store: PostgresStore, database: asyncpg.Connection, connections: Connections
) -> None:
    await claimed(store)
    await database.execute("UPDATE instances SET ended_at = clock_timestamp() - interval '1 hour'")

    assert await sweep(connections) == 1

    assert await notices(database) == ["outcome-unknown"]


async def test_a_claim_that_is_given_back_with_its_doubt(
    store: PostgresStore, database: asyncpg.Connection, connections: Connections
) -> None:
    again = {"in_doubt": InDoubt.EXECUTE}
    await store.settle(await claimed(store, **again), in_doubt())
    second = await claimed(store, **again)
    assert second.attempt == 2

    await connections.run("abandon", second.request_id.digest, second.token, second.token, timeout=5.0)

    assert await notices(database) == ["outcome-unknown", "outcome-unknown"]


async def test_a_superseded_attempt_that_did_it(store: PostgresStore, database: asyncpg.Connection) -> None:
    again = {"in_doubt": InDoubt.EXECUTE}
    first = await claimed(store, **again)
    await store.settle(first, in_doubt())
    await claimed(store, **again)

    for _ in range(2):
        assert await store.settle(first, completed()) is Settled.SUPERSEDED

    assert await notices(database) == ["outcome-unknown", "executed-twice"]


async def test_no_doubt_no_notice(store: PostgresStore, database: asyncpg.Connection) -> None:
    await claimed(store)
    transaction = database.transaction()
    await transaction.start()
    await database.execute("UPDATE receipts SET state = 'in_doubt', previous = state")
    assert await notices(database) == ["outcome-unknown"]
    await transaction.rollback()

    assert await notices(database) == []


async def doubts(store: PostgresStore, count: int) -> None:
    for number in range(count):
        await store.settle(await claimed(store, f"pay {number}"), in_doubt())


async def test_each_is_taken_once(store: PostgresStore, connections: Connections) -> None:
    await doubts(store, 20)
    outboxes = [Outbox(connections) for _ in range(4)]

    async def take_all(outbox: Outbox) -> list[str]:
        found = []
        while (taken := await outbox.take(ALL)) is not None:
            found.append(taken.notice.message_id)
        return found

    found = [one for many in await asyncio.gather(*map(take_all, outboxes)) for one in many]

    assert len(found) == len(set(found)) == 20


async def test_what_another_one_is_taking_is_left_to_it(
    store: PostgresStore, connections: Connections, database: asyncpg.Connection
) -> None:
    await doubts(store, 2)
    async with database.transaction():
        [held] = await database.fetch("SELECT event_id FROM outbox ORDER BY due_at LIMIT 1 FOR UPDATE")
        found = [await Outbox(connections).take(ALL) for _ in range(2)]

    assert found[0] is not None
    assert found[0].notice.event_id != held["event_id"]
    assert found[1] is None


async def test_what_it_says(store: PostgresStore, connections: Connections) -> None:
    await doubts(store, 1)

    taken = await Outbox(connections).take(ALL)

    assert taken is not None
    notice = taken.notice
    assert (notice.kind, notice.state, notice.attempt) == (NoticeKind.OUTCOME_UNKNOWN, "in_doubt", 1)
    assert (notice.phase, notice.reason) == ("sent", "connection-lost")
    assert (notice.route, notice.method) == ("charges", "POST")
    assert notice.url == "https://api.example.com/v1/charges"
    assert notice.request_id == an_action("pay 0").request_id


async def test_it_is_due_again_where_its_teller_died(
    store: PostgresStore, connections: Connections, database: asyncpg.Connection
) -> None:
    await doubts(store, 1)
    outbox = Outbox(connections)
    first = await outbox.take(ALL)
    assert first is not None
    assert await outbox.take(ALL) is None
    await database.execute("UPDATE outbox SET due_at = clock_timestamp()")  # the minute is over

    second = await outbox.take(ALL)
    assert second is not None
    assert (second.tries, second.notice) == (2, first.notice)

    await outbox.told(first, frozenset())  # too late: it is not its own any more
    assert await database.fetchval("SELECT ended_at FROM outbox") is None
    await outbox.told(second, frozenset())
    assert await database.fetchval("SELECT ended_at FROM outbox") is not None


async def test_who_has_it_is_remembered_while_it_is_put_off(
    store: PostgresStore, connections: Connections
) -> None:
    await doubts(store, 1)
    outbox = Outbox(connections)
    first = await outbox.take(ALL)
    assert first is not None

    await outbox.put_off(first, frozenset({b"a"}), 0.0)

    second = await outbox.take(ALL)
    assert second is not None
    assert second.told == {b"a"}
    await outbox.put_off(second, frozenset({b"a"}), 3600.0)
    assert await outbox.take(ALL) is None


async def test_only_what_somebody_wants_is_taken(store: PostgresStore, connections: Connections) -> None:
    await doubts(store, 1)

    assert await Outbox(connections).take(frozenset({NoticeKind.EXECUTED_TWICE})) is None


async def test_what_is_of_no_use_goes(
    store: PostgresStore, connections: Connections, database: asyncpg.Connection
) -> None:
    await doubts(store, 4)
    outbox = Outbox(connections)
    told, failed, tried = [await outbox.take(ALL) for _ in range(3)]
    assert told is not None
    assert failed is not None
    assert tried is not None
    await outbox.told(told, frozenset())
    await outbox.give_up(failed, frozenset())

    async def left_after(age: timedelta) -> int:
        await database.execute("UPDATE outbox SET at = clock_timestamp() - $1::interval", age)
        await forget_notices(connections)
        count: int = await database.fetchval("SELECT count(*) FROM outbox")
        return count

    assert await left_after(timedelta(days=5)) == 4
    assert await left_after(timedelta(days=7)) == 2  # nobody took the one, and the other was told
    assert await left_after(timedelta(days=31)) == 1  # still being tried
