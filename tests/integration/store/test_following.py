"""Receipts are seen as they are claimed and settled, also those from before that nobody knows of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path

import asyncpg
import pytest

from integration.store.relay import Relay
from onceproxy.core.receipts import Claim
from onceproxy.guard.ports import Settlement
from onceproxy.store.catalogue import ReceiptRow
from onceproxy.store.following import follow
from onceproxy.store.postgres import PostgresStore
from onceproxy.store.records import Records
from stores import OpenStore, an_action, completed, in_doubt
from upstreams import PATIENCE


class Watched:
    """What is seen, a line at a time."""

    def __init__(self, url: str) -> None:
        self.records = Records(lambda: nullcontext(url))
        self.away: list[bool] = []
        self._rows = follow(
            self.records, lambda row: row.route != "unwanted", every=0.01, away=self.away.append
        )

    async def next(self) -> tuple[str, str, int]:
        async with asyncio.timeout(PATIENCE):
            row: ReceiptRow = await anext(self._rows)
        return row.route, row.state.value, row.attempt

    async def close(self) -> None:
        await self._rows.aclose()
        await self.records.close()


@pytest.fixture
async def watched(database_url: str) -> AsyncIterator[Watched]:
    one = Watched(database_url)
    yield one
    await one.close()


async def claimed(store: PostgresStore, name: str) -> Claim:
    claim = await store.claim(an_action(name, route=name))
    assert isinstance(claim, Claim)
    return claim


async def ended(store: PostgresStore, name: str, settlement: Settlement) -> None:
    await store.settle(await claimed(store, name), settlement)


async def test_each_change_is_seen_once(
    watched: Watched, open_store: OpenStore, database: asyncpg.Connection
) -> None:
    store = await open_store()
    await ended(store, "before", completed())
    await ended(store, "doubt", in_doubt())
    old = await claimed(store, "old")
    await store.settle(old, in_doubt())
    await database.execute("UPDATE receipts SET created_at = now() - interval '3 days' WHERE route = 'old'")

    assert sorted([await watched.next(), await watched.next()]) == [
        ("doubt", "in_doubt", 1),
        ("old", "in_doubt", 1),
    ]
    await ended(store, "unwanted", completed())
    claim = await claimed(store, "new")
    assert await watched.next() == ("new", "claimed", 1)
    await store.settle(claim, completed())
    assert await watched.next() == ("new", "completed", 1)
    await store.settle(old, completed())  # its own late evidence
    assert await watched.next() == ("old", "completed", 1)
    assert watched.away == []


async def test_an_outage_is_told_and_nothing_is_missed(
    open_store: OpenStore, database_url: str, tmp_path: Path
) -> None:
    store = await open_store()
    async with Relay(database_url, tmp_path) as relay:
        watched = Watched(relay.url)
        await ended(store, "doubt", in_doubt())
        assert await watched.next() == ("doubt", "in_doubt", 1)
        await relay.sever()
        waiting = asyncio.create_task(watched.next())
        async with asyncio.timeout(PATIENCE):
            while not watched.away:
                await asyncio.sleep(0.01)
        await ended(store, "meanwhile", completed())
        await relay.restore()
        assert await waiting == ("meanwhile", "completed", 1)
        assert watched.away == [True, False]
        await watched.close()
