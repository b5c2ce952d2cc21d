"""Two processes over one database: many copies of one action at once are one execution and one answer."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from faults.conftest import StartProxy
from onceproxy.core.receipts import RequestId
from onceproxy.store.operator import operating, purge
from proxies import ProxyProcess
from raw_client import a_request, ask, post
from upstreams import PATIENCE, Upstream, after, answer

COPIES = 20


async def test_twenty_copies_at_each(start_proxy: StartProxy, upstream: Upstream, tmp_path: Path) -> None:
    gate = asyncio.Event()
    upstream.will(after(gate, answer(201, b'{"id": "ch_1"}', (("X-A", "1"), ("x-a", "2")))))
    first, second = await asyncio.gather(
        start_proxy(data_dir=tmp_path / "one"), start_proxy(data_dir=tmp_path / "two")
    )
    paying = [
        asyncio.create_task(post(proxy.url, f"{upstream.url}/charges"))
        for _ in range(COPIES)
        for proxy in (first, second)
    ]
    await upstream.arrived(1)
    gate.set()

    replies = await asyncio.gather(*paying)

    assert upstream.executions == 1
    assert {reply.own for reply in replies} == {replies[0].own}
    assert replies[0].status == 201
    assert sum(not reply.replayed for reply in replies) == 1
    assert len({reply.one("Onceproxy-Request-Id") for reply in replies}) == 1


async def test_many_actions_at_once_are_each_executed_once(
    start_proxy: StartProxy, upstream: Upstream, tmp_path: Path
) -> None:
    proxies = await asyncio.gather(
        start_proxy(data_dir=tmp_path / "one"), start_proxy(data_dir=tmp_path / "two")
    )
    replies = await asyncio.gather(
        *(
            post(proxy.url, f"{upstream.url}/charges/{number}")
            for number in range(COPIES)
            for _ in range(2)
            for proxy in proxies
        )
    )

    assert upstream.executions == COPIES
    bodies = [b'{"target": "/charges/%d"}' % number for number in range(COPIES)]
    assert sorted(reply.body for reply in replies) == sorted(bodies * 4)


async def test_a_database_that_nobody_has_used_yet(
    start_proxy: StartProxy, upstream: Upstream, empty_database_url: str, tmp_path: Path
) -> None:
    proxies = await asyncio.gather(
        *(start_proxy(data_dir=tmp_path / name, database=empty_database_url) for name in ("one", "two"))
    )
    replies = [await post(proxy.url, f"{upstream.url}/charges") for proxy in proxies]

    assert [reply.replayed for reply in replies] == [False, True]


async def test_a_purge_is_heard_by_the_proxy_that_replays_from_memory(
    start_proxy: StartProxy, upstream: Upstream, database_url: str, tmp_path: Path
) -> None:
    upstream.will(answer(201, b"first"), answer(201, b"second"))
    first, second = await asyncio.gather(
        start_proxy(data_dir=tmp_path / "one"), start_proxy(data_dir=tmp_path / "two")
    )
    target = f"{upstream.url}/charges"
    reply = await post(first.url, target)
    async with asyncio.timeout(PATIENCE):
        while not await _cache_hits(second):
            assert (await post(second.url, target)).own == reply.own

    async with operating(database_url) as connections:
        await purge(connections, RequestId.parse(reply.one("Onceproxy-Request-Id")), "as a test")
    async with asyncio.timeout(PATIENCE):
        while (again := await post(second.url, target)).replayed:
            assert again.body == b"first"

    assert again.body == b"second"
    assert upstream.executions == 2
    async with asyncio.timeout(PATIENCE):
        while (copy := await post(first.url, target)).body == b"first":
            pass
    assert copy.own == again.own
    assert upstream.executions == 2


async def _cache_hits(proxy: ProxyProcess) -> float:
    page = (await ask(proxy.admin_url, a_request("GET", "/metrics"))).body.decode()
    [hits] = re.findall(r"^onceproxy_receipt_cache_hits_total (\S+)$", page, re.MULTILINE)
    return float(hits)
