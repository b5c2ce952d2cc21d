"""Messages to hooks outlive whoever tells them, and the database's own death."""

from __future__ import annotations

import asyncio
import base64
from contextlib import suppress

import asyncpg
from standardwebhooks import Webhook

from faults.conftest import StartProxy
from proxies import ProxyProcess
from raw_client import post
from servers import Server
from upstreams import Upstream, after, answer, hang, reset

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
ENVIRONMENT = {"HOOK_SECRET": SECRET}
OVER = "UPDATE outbox SET due_at = clock_timestamp() WHERE ended_at IS NULL"


def told_at(receiver: Upstream) -> str:
    return f"hooks: [{{url: '{receiver.url}/told', secret_env: HOOK_SECRET}}]\n"


async def lose_an_answer(proxy: ProxyProcess, upstream: Upstream) -> None:
    upstream.will(reset)
    assert (await post(proxy.url, f"{upstream.url}/charges", "Idempotency-Key: one")).status == 502


def ids(receiver: Upstream) -> set[str]:
    for seen in receiver.requests:
        Webhook(SECRET).verify(seen.body, {name.lower(): value for name, value in seen.headers})
    return {name for seen in receiver.requests for name in seen.all("webhook-id")}


async def done_with(url: str) -> None:
    """Wait until nothing is left to tell."""
    async with asyncio.timeout(60):
        while True:
            with suppress(OSError, asyncpg.PostgresError):
                connection = await asyncpg.connect(url)
                try:
                    if await connection.fetchval("SELECT bool_and(ended_at IS NOT NULL) FROM outbox"):
                        return
                finally:
                    await connection.close()
            await asyncio.sleep(0.05)


async def test_who_tells_it_is_killed(
    start_proxy: StartProxy, upstream: Upstream, database: asyncpg.Connection, database_url: str
) -> None:
    async with Upstream(always=answer(200)) as receiver:
        receiver.will(hang)
        proxy = await start_proxy(config=told_at(receiver), environment=ENVIRONMENT)
        await lose_an_answer(proxy, upstream)
        await receiver.arrived(1)
        await proxy.kill()
        await database.execute(OVER)  # its minute

        await proxy.start()
        await done_with(database_url)

    assert (len(receiver.requests), len(ids(receiver))) == (2, 1)


async def test_the_database_dies_before_it_hears_that_it_was_told(
    start_proxy: StartProxy, upstream: Upstream, server: Server
) -> None:
    gate = asyncio.Event()
    async with Upstream(always=answer(200)) as receiver:
        receiver.will(after(gate, answer(200)))
        proxy = await start_proxy(database=server.url, config=told_at(receiver), environment=ENVIRONMENT)
        await lose_an_answer(proxy, upstream)
        await receiver.arrived(1)
        await server.kill()
        gate.set()
        await proxy.says("telling hooks")  # in vain

        await server.start()
        await server.execute(OVER)
        await done_with(server.url)

    assert (len(receiver.requests), len(ids(receiver))) == (2, 1)
