"""What time takes away: in pages, one walk at a time, and never what is unfinished."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from integration.store.conftest import History
from onceproxy.core.receipts import Claim
from onceproxy.store import collecting, retention
from onceproxy.store.connection import Connections
from onceproxy.store.postgres import PostgresStore
from onceproxy.store.retention import Collected, Memory, collect
from onceproxy.store.statements import sql
from processes import clean_environment, ended
from stores import OpenStore, an_action, completed, in_doubt, released


@pytest.fixture
async def connections(database_url: str) -> AsyncIterator[Connections]:
    connections = await Connections.open(database_url, 4)
    yield connections
    await connections.close()


async def fill(store: PostgresStore, database: asyncpg.Connection) -> None:
    """Make two receipts of each kind; of each, the time of the second is up."""
    for name, settlement in {"done": completed(), "free": released(), "doubt": in_doubt()}.items():
        for when in ("new", "old"):
            claim = await store.claim(an_action(f"{name}-{when}", route=f"{name}-{when}"))
            assert isinstance(claim, Claim)
            await store.settle(claim, settlement)
    for when in ("new", "old"):
        await store.claim(an_action(f"held-{when}", route=f"held-{when}"))
    long_ago = "now() - interval '1 year'"
    await database.execute(f"UPDATE receipts SET expires_at = {long_ago} WHERE route = 'done-old'")
    await database.execute(f"UPDATE receipts SET forget_at = {long_ago} WHERE route = 'free-old'")
    await database.execute(f"UPDATE receipts SET created_at = {long_ago} WHERE route LIKE '%-old'")


async def left(database: asyncpg.Connection) -> dict[str, str]:
    return {row["route"]: row["state"] for row in await database.fetch("SELECT route, state FROM receipts")}


AFTERWARDS = {
    "done-new": "completed",
    "done-old": "tombstone",
    "free-new": "released",
    "doubt-new": "in_doubt",
    "doubt-old": "in_doubt",
    "held-new": "claimed",
    "held-old": "claimed",
}


@pytest.mark.parametrize("page", [1, 3, 500])
async def test_only_what_is_settled_goes(
    store: PostgresStore,
    database: asyncpg.Connection,
    connections: Connections,
    history: History,
    page: int,
) -> None:
    await fill(store, database)

    assert await collect(connections, page) == Collected(expired=1, forgotten=1)
    assert await left(database) == AFTERWARDS
    assert await history(an_action("done-old").request_id) == ["claimed", "completed", "expired"]
    assert await history(an_action("free-old").request_id) == ["claimed", "released", "forgotten"]
    assert await collect(connections, page) == Collected()


async def test_a_walk_does_not_wait_for_a_receipt_that_somebody_has_locked(
    store: PostgresStore, database: asyncpg.Connection, database_url: str
) -> None:
    await fill(store, database)
    other = await asyncpg.connect(database_url)
    transaction = other.transaction()
    await transaction.start()
    await other.execute("SELECT FROM receipts WHERE route = 'done-old' FOR UPDATE")

    assert await collect(store._connections) == Collected(expired=0, forgotten=1)

    await transaction.rollback()
    await other.close()
    assert await collect(store._connections) == Collected(expired=1, forgotten=0)
    assert await left(database) == AFTERWARDS


async def test_a_walk_with_a_memory_looks_only_where_something_can_be_due(
    store: PostgresStore, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    run = store._connections.run

    async def counted(statement: str, *values: object, **how: Any) -> asyncpg.Record | None:
        looked.append(statement)
        return await run(statement, *values, **how)

    monkeypatch.setattr(store._connections, "run", counted)
    now = 0.0
    memory = Memory(lambda: now)

    async def walk() -> tuple[Collected, int]:
        looked.clear()
        return await collect(store._connections, 1, memory=memory), looked.count("collect")

    for number in range(5):
        claim = await store.claim(
            an_action(f"n{number}", ttl=100.0 if number == 2 else 1000.0, tombstone=900.0)
        )
        assert isinstance(claim, Claim)
        await store.settle(claim, completed())
    await database.execute("UPDATE receipts SET created_at = created_at - interval '1 day'")
    await store.claim(an_action("new"))

    assert await walk() == (Collected(), 7)  # six, and there are no more
    assert await walk() == (Collected(), 2)  # the new one, of which one can't tell yet

    now += 200.0
    await database.execute(AGE, timedelta(seconds=200))
    assert await walk() == (Collected(expired=1), 4)
    assert await walk() == (Collected(), 2)

    now += 850.0
    await database.execute(AGE, timedelta(seconds=850))
    assert await walk() == (Collected(expired=4, forgotten=1), 12)


AGE = "UPDATE receipts SET expires_at = expires_at - $1::interval, forget_at = forget_at - $1::interval"


async def test_one_walk_at_a_time(
    store: PostgresStore, database: asyncpg.Connection, database_url: str, connections: Connections
) -> None:
    await fill(store, database)
    other = await asyncpg.connect(database_url)
    transaction = other.transaction()
    await transaction.start()
    row = await other.fetchrow(
        sql("collect"), *retention._BEGIN, *retention._END, 1
    )  # one page, not committed yet
    assert row is not None
    assert row["alone"]

    assert await collect(connections) == Collected()

    patient = asyncio.create_task(collect(connections, patiently=True))
    await transaction.rollback()
    await other.close()
    assert await patient == Collected(expired=1, forgotten=1)
    assert await left(database) == AFTERWARDS


async def test_a_running_store_collects_by_itself(
    open_store: OpenStore, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(await open_store(), database)
    monkeypatch.setattr(retention, "EVERY", 0.05)

    await open_store()

    async with asyncio.timeout(10):
        while await left(database) != AFTERWARDS:
            await asyncio.sleep(0.02)


async def test_gc_does_it_now_and_says_what_it_did(
    store: PostgresStore, database: asyncpg.Connection, database_url: str, tmp_path: Path
) -> None:
    await fill(store, database)

    async def gc() -> list[str]:
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "onceproxy",
                "gc",
                "--database",
                database_url,
                "--data-dir",
                str(tmp_path),
            ),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=tmp_path,
            env=clean_environment(),
        )
        done = await ended(process)
        assert (done.code, done.err) == (0, "")
        return done.out.splitlines()

    assert await gc() == [
        "1 receipts expired: their responses are gone",
        "1 receipts forgotten: their rows are gone",
        "0 loose parts of bodies removed",
        "0 claims of dead proxies put in doubt",
        "0 dead proxies forgotten",
        "0 old messages to hooks removed",
    ]
    assert await left(database) == AFTERWARDS
    assert [line.split(" ", 1)[0] for line in await gc()] == ["0"] * 6


async def test_old_history_goes_only_where_its_receipt_is_gone(
    store: PostgresStore, database: asyncpg.Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(store, database)
    await collect(store._connections, patiently=True)
    gone = await database.fetchval(
        """
        SELECT count(*) FROM events
        WHERE NOT EXISTS (SELECT FROM receipts WHERE receipts.request_id = events.request_id)
        """
    )
    kept = await database.fetchval("SELECT count(*) FROM events") - gone
    assert gone > 1
    assert kept > 1
    monkeypatch.setattr(collecting, "PAGE", 1)
    told: list[int] = []

    assert await collecting.forget_events(database_url, 3600.0, told.append) == 0
    assert await collecting.forget_events(database_url, 0.0, told.append) == gone

    assert told == [0, *range(1, gone + 1), gone]
    assert await database.fetchval("SELECT count(*) FROM events") == kept


async def test_gc_removes_old_history_when_told_to(
    store: PostgresStore, database_url: str, tmp_path: Path
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "onceproxy", "gc", "--events-older-than", "1d"),
        *("--database", database_url, "--data-dir", str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=tmp_path,
        env=clean_environment(),
    )
    done = await ended(process)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1] == "0 events removed from the audit trail"
