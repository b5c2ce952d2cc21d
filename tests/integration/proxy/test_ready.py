"""Readiness: a balancer is told to send nothing where the database is lost, and while a proxy stops."""

from __future__ import annotations

import asyncio
from pathlib import Path

from integration.proxy.conftest import StartProxy
from integration.store.relay import Relay
from onceproxy.serve import Proxy
from raw_client import a_request, ask, post
from upstreams import Upstream, after, answer


async def readiness(proxy: Proxy) -> int:
    return (await ask(proxy.admin_url, a_request("GET", "/readyz"))).status


async def becomes(proxy: Proxy, status: int) -> None:
    async with asyncio.timeout(20):
        while await readiness(proxy) != status:
            await asyncio.sleep(0.02)


async def test_while_it_stops(start_proxy: StartProxy, upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.will(after(gate, answer()))
    proxy = await start_proxy()
    paying = asyncio.create_task(post(proxy.url, f"{upstream.url}/charges"))
    await upstream.arrived(1)
    assert await readiness(proxy) == 200

    stopping = asyncio.create_task(proxy.stop())
    await becomes(proxy, 503)
    assert not stopping.done()
    gate.set()

    assert (await paying).status == 201
    await stopping


async def test_while_the_database_is_lost(start_proxy: StartProxy, database_url: str, tmp_path: Path) -> None:
    async with Relay(database_url, tmp_path) as wire:
        proxy = await start_proxy(database=wire.url, limits={"lease": "1s"})
        assert await readiness(proxy) == 200

        await wire.sever()
        await becomes(proxy, 503)
        assert (
            await ask(proxy.admin_url, a_request("GET", "/healthz"))
        ).status == 200  # no reason to kill it
        await wire.restore()

        await becomes(proxy, 200)
        await proxy.stop(grace=0)
