"""Limits, each hit at a whole proxy: what the client hears, that nothing was sent, and that all goes on."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import aiohttp

from integration.proxy.conftest import Receipts, StartProxy
from onceproxy.serve import Proxy
from raw_client import Reply, post
from upstreams import PATIENCE, Upstream, after, answer


async def hits(proxy: Proxy, limit: str) -> int:
    """How often the proxy says that a limit was hit."""
    async with aiohttp.ClientSession() as session, session.get(f"{proxy.admin_url}/metrics") as response:
        page = await response.text()
    found = re.search(rf'^onceproxy_limits_hit_total{{limit="{limit}"}} (\d+)', page, re.MULTILINE)
    return int(found[1]) if found else 0


def limits(**settings: Any) -> dict[str, Any]:
    return {"limits": settings}


def overloaded(reply: Reply, limit: str) -> bool:
    """Whether a reply says which limit has no room, and when to come again."""
    assert reply.status == 503
    assert reply.slug == "overloaded"
    assert int(reply.one("Retry-After")) >= 1
    assert f"limits.{limit}" in reply.problem()["detail"]
    return bool(reply.problem()["limit"] == limit)


async def test_beyond_the_executions_and_their_queue_nothing_is_sent(
    start_proxy: StartProxy, upstream: Upstream, receipts: Receipts
) -> None:
    proxy = await start_proxy(**limits(executions=1, queue=1))
    gate = asyncio.Event()
    upstream.always = after(gate, answer())
    first = asyncio.ensure_future(post(proxy.url, f"{upstream.url}/1"))
    await upstream.arrived(1)
    second = asyncio.ensure_future(post(proxy.url, f"{upstream.url}/2"))
    async with asyncio.timeout(PATIENCE):
        while not proxy._guard._places.queued:
            await asyncio.sleep(0.005)

    assert overloaded(await post(proxy.url, f"{upstream.url}/3"), "queue")
    assert await receipts() == ["claimed"]
    gate.set()

    assert [reply.status for reply in await asyncio.gather(first, second)] == [201, 201]
    assert (await post(proxy.url, f"{upstream.url}/3")).status == 201
    assert upstream.executions == 3
    assert await hits(proxy, "queue") == 1
