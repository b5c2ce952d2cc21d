"""The tables split by the hash of request_id: the same answers, and hot statements touch their parts only.

That is also what lets an engine put them on several machines.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from onceproxy.core.messages import BytesBody
from onceproxy.core.policies import InDoubt
from onceproxy.core.receipts import Claim, Source
from onceproxy.core.states import State
from onceproxy.guard.ports import Note, Resolution, Settled
from onceproxy.store.connection import Connections
from onceproxy.store.operator import operating, purge
from onceproxy.store.postgres import PostgresStore
from onceproxy.store.retention import collect
from onceproxy.store.statements import all_statements, sql
from onceproxy.store.sweeping import sweep
from stores import OpenStore, a_response, an_action, completed, in_doubt, released

SCRIPT = Path(__file__).parents[3] / "config" / "postgres" / "partitions.sql"
PARTITIONS = 16
MANY = 100
HOT = {"claims", "settlements", "reading", "parts", "resolutions"}
LARGE = ("receipts", "events", "parts", "outbox")


@pytest.fixture(autouse=True)
async def split(database: asyncpg.Connection) -> None:
    """Splits the test's database before anything is in it."""
    await database.execute(SCRIPT.read_text())


async def claimed(store: PostgresStore, name: str, **changes: Any) -> Claim:
    claim = await store.claim(an_action(name, **changes))
    assert isinstance(claim, Claim)
    return claim


def its_own(name: str) -> bytes:
    return f"the answer of {name}".encode()


async def settled(store: PostgresStore, name: str) -> Claim:
    claim = await claimed(store, name)
    assert await store.settle(claim, completed(a_response(body=its_own(name)))) is Settled.STORED
    return claim


async def answers(store: PostgresStore, names: Iterable[str]) -> list[str]:
    """The names whose receipts answer, each with its own answer."""
    found = []
    for name in names:
        receipt = await store.read(an_action(name).request_id)
        if receipt is not None and receipt.state is State.COMPLETED:
            assert receipt.response is not None
            assert isinstance(receipt.response.body, BytesBody)
            assert receipt.response.body.data == its_own(name)
            found.append(name)
    return found


async def test_the_tables_are_as_they_were_but_for_their_parts(
    database: asyncpg.Connection,
) -> None:
    for table in LARGE:
        parts = await database.fetch(
            "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = $1::text::regclass",
            table,
        )
        assert len(parts) == PARTITIONS
    settings = "SELECT reloptions FROM pg_class WHERE relname = 'receipts_p3'"
    assert "fillfactor=20" in await database.fetchval(settings)
    with pytest.raises(asyncpg.RestrictViolationError):
        await database.execute(
            "INSERT INTO events (request_id, kind, attempt, state)"
            "VALUES (sha256('a'), 'lost', 1, 'in_doubt');"
            "UPDATE events SET detail = 'x'"
        )
    await database.execute(SCRIPT.read_text())  # once more changes nothing


async def test_each_has_its_own_answer_though_places_are_the_same_in_all_parts(
    store: PostgresStore, database: asyncpg.Connection
) -> None:
    names = [str(number) for number in range(MANY)]

    await asyncio.gather(*(settled(store, name) for name in names[: MANY // 2]))  # in batches
    for name in names[MANY // 2 :]:
        await settled(store, name)  # alone

    assert await answers(store, names) == names
    shared = "SELECT count(*) FROM (SELECT ctid FROM receipts GROUP BY ctid HAVING count(*) > 1) AS places"
    assert await database.fetchval(shared) > 0


async def test_one_that_is_settled_settles_no_other(store: PostgresStore) -> None:
    claims = await asyncio.gather(*(claimed(store, str(number)) for number in range(MANY)))

    await store.settle(claims[0], completed(a_response(body=its_own("0"))))
    await asyncio.gather(
        *(store.settle(claims[at], completed(a_response(body=its_own(str(at))))) for at in range(1, 10))
    )

    states = [
        receipt.state for claim in claims if (receipt := await store.read(claim.request_id)) is not None
    ]
    assert states == [State.COMPLETED] * 10 + [State.CLAIMED] * (MANY - 10)


async def test_what_has_expired_goes_and_nothing_else(
    store: PostgresStore, database: asyncpg.Connection, database_url: str
) -> None:
    names = [str(number) for number in range(MANY)]
    await asyncio.gather(*(settled(store, name) for name in names))
    expired, forgotten, kept = names[:30], names[30:60], names[60:]

    async def make_due(some: Iterable[str], column: str) -> None:
        await database.execute(
            f"UPDATE receipts SET {column} = clock_timestamp() - interval '1 s' WHERE request_id = ANY ($1)",
            [an_action(name).request_id.digest for name in some],
        )

    await make_due([*expired, *forgotten], "expires_at")
    await make_due(forgotten, "forget_at")
    connections = await Connections.open(database_url, 2)
    try:
        collected = await collect(connections, 7)
    finally:
        await connections.close()

    assert (collected.expired, collected.forgotten) == (30, 30)
    assert await answers(store, names) == kept
    left = {row["request_id"] for row in await database.fetch("SELECT request_id FROM receipts")}
    assert left == {an_action(name).request_id.digest for name in (*expired, *kept)}


Touched = dict[str, list[tuple[int, set[int]]]]
"""By statement: of each run, how many keys it had, and which parts it touched."""


def scans(plan: dict[str, Any]) -> Iterator[str]:
    """The relations that were looked at while a statement ran."""
    if plan.get("Actual Loops") and "Relation Name" in plan:
        yield plan["Relation Name"]
    for inner in plan.get("Plans", ()):
        yield from scans(inner)


def keys_of(values: tuple[Any, ...]) -> set[bytes]:
    first = values[0]
    if isinstance(first, bytes):
        return {first}
    return set(first) if isinstance(first, (list, tuple)) else set()


@pytest.fixture
def touched(monkeypatch: pytest.MonkeyPatch) -> Touched:
    """What statements touch from now on: each is explained, run for that, and undone, before it is run."""
    found: Touched = defaultdict(list)
    run, rows = Connections.run, Connections.rows

    async def explain(self: Connections, name: str, *values: Any) -> None:
        if all_statements()[name].file in HOT:
            async with self.lent(5.0) as connection:
                transaction = connection.transaction()
                await transaction.start()
                text = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql(name)}", *values)
                await transaction.rollback()
            relations = list(scans(json.loads(text)[0]["Plan"]))
            parts = {int(one.rpartition("_p")[2]) for one in relations if "_p" in one}
            found[name].append((len(keys_of(values)), parts))

    async def run_explained(self: Connections, name: str, *values: Any, **more: Any) -> asyncpg.Record | None:
        await explain(self, name, *values)
        return await run(self, name, *values, **more)

    async def rows_explained(self: Connections, name: str, *values: Any, **more: Any) -> list[asyncpg.Record]:
        await explain(self, name, *values)
        return await rows(self, name, *values, **more)

    monkeypatch.setattr(Connections, "run", run_explained)
    monkeypatch.setattr(Connections, "rows", rows_explained)
    return found


async def test_a_hot_statement_touches_the_parts_of_its_keys_and_no_others(
    touched: Touched, open_store: OpenStore, database: asyncpg.Connection, database_url: str
) -> None:
    store = await open_store()
    again = {"in_doubt": InDoubt.EXECUTE}
    many = await asyncio.gather(*(claimed(store, f"many {number}") for number in range(20)))
    await asyncio.gather(*(store.settle(claim, completed()) for claim in many))
    await asyncio.gather(*(store.note(claim.request_id, Note.REPLAYED) for claim in many))
    await asyncio.gather(*(store.read(claim.request_id) for claim in many[:4]))
    alone = await settled(store, "alone")
    await store.settle(alone, completed())  # once more: it is asked whose it is
    await store.read(alone.request_id)
    await store.settle(await claimed(store, "free"), released())
    await claimed(store, "free")
    first = await claimed(store, "twice", **again)
    await store.settle(first, in_doubt())
    second = await claimed(store, "twice", **again)
    await store.settle(first, completed())  # too late
    await store.settle(second, in_doubt())
    asked = second.request_id.digest
    async with operating(database_url) as connections:
        for name, more in (
            ("write_part", (second.token, 0, b"a")),
            ("list_parts", (second.token, b"")),
            ("drop_parts", (second.token,)),
            ("read_part", (1, 0)),
            ("abandon", (second.token, uuid4())),
        ):
            await connections.run(name, asked, *more, timeout=5.0)
        await store.resolve(second.request_id, second.attempt, Resolution(False, Source.OPERATOR, "a test"))
        await purge(connections, alone.request_id, "a test")
    orphan = await claimed(store, "orphan")
    await database.execute("UPDATE instances SET ended_at = clock_timestamp()")
    await (await open_store()).read(orphan.request_id)

    for name, runs in touched.items():
        for keys, parts in runs:
            assert len(parts) <= keys, name
    unseen = {one.name for one in all_statements().values() if one.file in HOT} - touched.keys()
    assert unseen == set()
    # A look at what is there, and what only adds, are told apart: the others touched something.
    assert {name for name, runs in touched.items() if not any(parts for _, parts in runs)} <= {
        *("claim_new", "claim_one", "write_part", "note_late")
    }


async def test_what_a_dead_proxy_left_is_found_in_all_parts(
    store: PostgresStore, database: asyncpg.Connection, database_url: str
) -> None:
    claims = await asyncio.gather(*(claimed(store, str(number)) for number in range(40)))
    await database.execute("UPDATE instances SET ended_at = clock_timestamp() - interval '1 hour'")

    async with operating(database_url) as connections:
        assert await sweep(connections) == len(claims)

    assert await database.fetchval("SELECT count(*) FROM outbox") == len(claims)
