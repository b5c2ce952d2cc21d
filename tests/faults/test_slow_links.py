"""Slow wires, on either side of the proxy: the same results, later."""

from __future__ import annotations

import asyncio
from pathlib import Path

from faults.conftest import StartProxy
from faults.links import SlowLink
from proxies import ProxyProcess
from raw_client import Reply, a_request, ask, post
from upstreams import Upstream, answer, closing

METHODS = ("POST", "PUT", "DELETE")
BODY = bytes(range(256)) * 8


async def all_once(proxy: ProxyProcess, url: str, upstream: Upstream, count: int) -> None:
    """Send copies of some actions at once; see that each is executed once and answered the same."""

    async def copies(number: int) -> list[Reply]:
        request = a_request(METHODS[number % 3], f"{url}/{number}", body=BODY)
        return list(await asyncio.gather(*(ask(proxy.url, request) for _ in range(3))))

    before = upstream.executions
    for replies in await asyncio.gather(*(copies(number) for number in range(count))):
        assert [reply.status for reply in replies] == [201] * 3
        assert len({reply.own for reply in replies}) == 1
        assert sum(not reply.replayed for reply in replies) == 1
        assert replies[0].body == BODY
    assert upstream.executions - before == count
    assert all(seen.body == BODY for seen in upstream.requests)


async def test_to_the_database(start_proxy: StartProxy, upstream: Upstream, database_url: str) -> None:
    upstream.always = answer(201, BODY)
    async with SlowLink.to(database_url, piece=1024, delay=0.02) as link:
        proxy = await start_proxy(database=link.instead(database_url))
        await all_once(proxy, upstream.url, upstream, 6)
        assert await proxy.stop() == 0


async def test_to_a_database_that_is_slower_than_patience(
    start_proxy: StartProxy, upstream: Upstream, database_url: str
) -> None:
    # It takes longer than a try may: nothing is sent, and nobody waits for ever.
    async with SlowLink.to(database_url, piece=65536, delay=0.02) as link:
        proxy = await start_proxy(database=link.instead(database_url))
        link.slow_down(3.0)
        refused = await post(proxy.url, f"{upstream.url}/charges")
        assert (refused.status, refused.slug) == (503, "store-unavailable")
        assert upstream.executions == 0
        link.slow_down(0.0)
        while (reply := await post(proxy.url, f"{upstream.url}/charges")).status == 503:
            pass
        assert (reply.status, upstream.executions) == (201, 1)


async def test_to_the_upstream(start_proxy: StartProxy, upstream: Upstream) -> None:
    upstream.always = closing(answer(201, BODY))
    proxy = await start_proxy()
    async with (
        SlowLink.to(upstream.url, piece=1 << 16, delay=0.5) as late,
        SlowLink.to(upstream.url, piece=64, delay=0.005) as narrow,
    ):
        for link in (late, narrow):
            await all_once(proxy, link.instead(upstream.url), upstream, 3)


async def test_to_the_clients(start_proxy: StartProxy, upstream: Upstream, tmp_path: Path) -> None:
    upstream.always = answer(201, BODY)
    proxy = await start_proxy()
    async with SlowLink.to(proxy.url, piece=64, delay=0.005) as link:
        near = proxy.url
        proxy.url = link.instead(proxy.url)
        await all_once(proxy, upstream.url, upstream, 6)
        proxy.url = near
