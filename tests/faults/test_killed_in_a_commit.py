"""kill -9 while the database is at work on a commit: it goes on without us, and what it wrote is believed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from faults.conftest import StartProxy
from proxies import ProxyProcess
from raw_client import Reply, post
from upstreams import Upstream, after, answer

LOST = (asyncio.IncompleteReadError, ConnectionError)
KEY = "Idempotency-Key: order-1"


@asynccontextmanager
async def held_up(database: asyncpg.Connection) -> AsyncIterator[None]:
    """Hold up whatever is written to receipts, until the context ends."""
    async with database.transaction():
        await database.execute("LOCK TABLE receipts IN EXCLUSIVE MODE")
        yield


async def somebody_waits(database: asyncpg.Connection) -> None:
    async with asyncio.timeout(20):
        while not await database.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
            await asyncio.sleep(0.01)


async def nobody_writes(database: asyncpg.Connection) -> None:
    """Wait until the statements of dead clients have ended."""
    others = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'onceproxy'"
    async with asyncio.timeout(20):
        while await database.fetchval(others):
            await asyncio.sleep(0.01)


async def pay(url: str, upstream: Upstream, key: str = KEY) -> Reply:
    return await post(url, f"{upstream.url}/charges", key)


async def warmed(start_proxy: StartProxy, upstream: Upstream) -> ProxyProcess:
    """A proxy whose statements are prepared, so that each is one message, and its commit part of that."""
    proxy = await start_proxy()
    assert (await pay(proxy.url, upstream, "Idempotency-Key: warm")).status == 201
    return proxy


async def test_amid_the_claim(
    start_proxy: StartProxy, upstream: Upstream, database: asyncpg.Connection
) -> None:
    proxy = await warmed(start_proxy, upstream)
    async with held_up(database):
        paying = asyncio.create_task(pay(proxy.url, upstream))
        await somebody_waits(database)
        await proxy.kill()
        with pytest.raises(LOST):
            await paying
    await nobody_writes(database)

    await proxy.start()
    replies = [await pay(proxy.url, upstream) for _ in (1, 2)]

    # The claim was written, and who finds it can't tell that nothing was sent.
    assert [reply.slug for reply in replies] == ["outcome-unknown"] * 2
    assert upstream.executions == 1  # the one that warmed it


async def test_amid_the_completion(
    start_proxy: StartProxy, upstream: Upstream, database: asyncpg.Connection
) -> None:
    gate = asyncio.Event()
    proxy = await warmed(start_proxy, upstream)
    upstream.will(after(gate, answer(201, b'{"id": "ch_1"}')))
    paying = asyncio.create_task(pay(proxy.url, upstream))
    await upstream.arrived(2)
    async with held_up(database):
        gate.set()
        await somebody_waits(database)
        await proxy.kill()
        with pytest.raises(LOST):
            await paying
    await nobody_writes(database)

    await proxy.start()
    replies = [await pay(proxy.url, upstream) for _ in (1, 2)]

    assert [(reply.status, reply.replayed, reply.body) for reply in replies] == [
        (201, True, b'{"id": "ch_1"}')
    ] * 2
    assert upstream.executions == 2
