"""Copies that meet: at one moment, across proxies, and after their client has left."""

from __future__ import annotations

import asyncio

import pytest

from integration.proxy.conftest import Receipts, StartProxy
from onceproxy.serve import Proxy
from raw_client import a_request, ask, connected, post
from upstreams import Upstream, after, answer, close


async def test_twenty_copies_at_one_moment_are_one_execution(proxy: Proxy, upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.will(after(gate, answer(201, b"x" * 100_000, (("X-B", "1"), ("x-a", "2")))))
    copies = [asyncio.ensure_future(post(proxy.url, f"{upstream.url}/pay")) for _ in range(20)]
    await upstream.arrived(1)
    gate.set()
    replies = await asyncio.gather(*copies)

    assert upstream.executions == 1
    assert {reply.own for reply in replies} == {replies[0].own}
    assert sorted(reply.replayed for reply in replies) == [False] + [True] * 19
    assert len({reply.one("Onceproxy-Request-Id") for reply in replies}) == 1


async def test_twenty_copies_over_two_proxies_and_by_all_ways(
    start_proxy: StartProxy, upstream: Upstream
) -> None:
    mounts = {"/m": upstream.url}
    proxies = [await start_proxy(mounts=mounts), await start_proxy(mounts=mounts)]
    copies = [
        asyncio.ensure_future(post(proxies[n % 2].url, "/m/pay" if n % 4 < 2 else f"{upstream.url}/pay"))
        for n in range(20)
    ]
    replies = await asyncio.gather(*copies)

    assert upstream.executions == 1
    assert {reply.own for reply in replies} == {replies[0].own}


async def test_twenty_actions_at_one_moment_are_twenty_executions(proxy: Proxy, upstream: Upstream) -> None:
    replies = await asyncio.gather(*(post(proxy.url, f"{upstream.url}/pay/{n}") for n in range(20)))

    assert upstream.executions == 20
    assert [reply.body for reply in replies] == [b'{"target": "/pay/%d"}' % n for n in range(20)]


async def test_a_copy_at_another_proxy_waits_for_the_first_one(
    start_proxy: StartProxy, upstream: Upstream
) -> None:
    one, other = await start_proxy(), await start_proxy()
    gate = asyncio.Event()
    upstream.will(after(gate, answer()))
    first = asyncio.ensure_future(post(one.url, f"{upstream.url}/pay"))
    await upstream.arrived(1)
    second = asyncio.ensure_future(post(other.url, f"{upstream.url}/pay"))
    # What the second proxy does next on this connection it does after it has met the claim.
    assert (await post(other.url, f"{upstream.url}/other")).status == 201
    assert not second.done()
    gate.set()

    assert (await second).replayed
    assert (await second).own == (await first).own
    assert upstream.executions == 2  # /pay once, /other once


@pytest.mark.parametrize("wait", ["0", "50ms"])
async def test_a_copy_that_has_waited_long_enough_is_told_so(
    start_proxy: StartProxy, upstream: Upstream, wait: str
) -> None:
    proxy = await start_proxy(defaults={"wait": wait})
    gate = asyncio.Event()
    upstream.will(after(gate, answer()))
    first = asyncio.ensure_future(post(proxy.url, f"{upstream.url}/pay"))
    await upstream.arrived(1)

    reply = await post(proxy.url, f"{upstream.url}/pay")
    assert (reply.status, reply.slug) == (409, "in-progress")
    assert int(reply.one("Retry-After")) >= 1
    assert "Retry later" in reply.problem()["detail"]
    assert reply.told["state"] == "claimed"
    assert reply.told["attempt"] == 1

    gate.set()
    assert (await first).status == 201
    assert (await post(proxy.url, f"{upstream.url}/pay")).replayed
    assert upstream.executions == 1


async def test_a_copy_that_waits_is_sent_when_the_first_is_released(proxy: Proxy, upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.will(after(gate, answer(429, b"slow down")), answer(201))
    first = asyncio.ensure_future(post(proxy.url, f"{upstream.url}/pay"))
    await upstream.arrived(1)
    copies = [asyncio.ensure_future(post(proxy.url, f"{upstream.url}/pay")) for _ in range(5)]
    assert (await post(proxy.url, f"{upstream.url}/other")).status == 201
    gate.set()
    replies = await asyncio.gather(*copies)

    assert (await first).status == 429
    assert {reply.status for reply in replies} == {201}
    assert sorted(reply.replayed for reply in replies) == [False] + [True] * 4
    assert upstream.executions == 3


async def test_a_copy_that_waits_is_refused_when_the_first_is_in_doubt(
    proxy: Proxy, upstream: Upstream
) -> None:
    gate = asyncio.Event()
    upstream.will(after(gate, close))
    first = asyncio.ensure_future(post(proxy.url, f"{upstream.url}/pay"))
    await upstream.arrived(1)
    copy = asyncio.ensure_future(post(proxy.url, f"{upstream.url}/pay"))
    assert (await post(proxy.url, f"{upstream.url}/other")).status == 201
    gate.set()

    assert ((await first).status, (await first).slug) == (502, "upstream-failed")
    assert ((await copy).status, (await copy).slug) == (409, "outcome-unknown")
    assert upstream.executions == 2


@pytest.mark.parametrize("with_reset", [False, True])
async def test_a_client_that_leaves_does_not_stop_the_execution(
    proxy: Proxy, upstream: Upstream, receipts: Receipts, with_reset: bool
) -> None:
    gate = asyncio.Event()
    upstream.will(after(gate, answer()))
    request = a_request("POST", f"{upstream.url}/pay", body=b"1")
    async with connected(proxy.url) as client:
        await client.send(request)
        await upstream.arrived(1)
        if not with_reset:
            client.writer.write_eof()
    retry = asyncio.ensure_future(ask(proxy.url, request))
    gate.set()

    assert (await retry).status == 201
    assert (await retry).replayed
    assert upstream.executions == 1
    assert await receipts() == ["completed"]


async def test_a_copy_whose_client_leaves_does_not_disturb_the_others(
    proxy: Proxy, upstream: Upstream
) -> None:
    gate = asyncio.Event()
    upstream.will(after(gate, answer()))
    request = a_request("POST", f"{upstream.url}/pay", body=b"1")
    first = asyncio.ensure_future(ask(proxy.url, request))
    await upstream.arrived(1)
    async with connected(proxy.url) as client:
        await client.send(request)
    gate.set()

    assert (await first).status == 201
    assert (await ask(proxy.url, request)).own == (await first).own
    assert upstream.executions == 1
