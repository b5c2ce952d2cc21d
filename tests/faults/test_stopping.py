"""SIGTERM: what is under way may end within the grace, and is in doubt beyond it."""

from __future__ import annotations

import asyncio
import signal

import pytest

from faults.conftest import StartProxy
from raw_client import a_request, connected, post
from upstreams import Upstream, after, answer

KEY = "Idempotency-Key: order-1"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_what_is_under_way_ends_and_nothing_new_begins(
    start_proxy: StartProxy, upstream: Upstream, number: signal.Signals
) -> None:
    gate = asyncio.Event()
    upstream.will(after(gate, answer()))
    proxy = await start_proxy()
    assert proxy.process is not None
    async with connected(proxy.url) as idle:
        paying = asyncio.create_task(post(proxy.url, f"{upstream.url}/charges", KEY))
        await upstream.arrived(1)
        proxy.process.send_signal(number)
        await proxy.says("stopping")

        late = await idle.ask(a_request("POST", f"{upstream.url}/late", body=b"1"))
        with pytest.raises(ConnectionError):
            await post(proxy.url, f"{upstream.url}/later")
        gate.set()
        reply = await paying

    assert (reply.status, reply.replayed) == (201, False)
    assert (late.status, late.slug) == (503, "shutting-down")
    assert late.all("Retry-After")
    assert await proxy.ended() == 0
    assert upstream.executions == 1

    await proxy.start()
    copy = await post(proxy.url, f"{upstream.url}/charges", KEY)
    assert copy.replayed
    assert copy.own == reply.own


async def test_what_takes_longer_than_the_grace_is_in_doubt(
    start_proxy: StartProxy, upstream: Upstream
) -> None:
    gate = asyncio.Event()
    upstream.will(after(gate, answer()))
    proxy = await start_proxy(arguments=("--grace", "0.2"))
    paying = asyncio.create_task(post(proxy.url, f"{upstream.url}/charges", KEY))
    await upstream.arrived(1)

    assert await proxy.stop() == 0
    reply = await paying
    gate.set()

    assert (reply.status, reply.slug) == (503, "shutting-down")
    assert reply.one("Onceproxy-Status").startswith("state=in_doubt")
    assert "not be sent again" in reply.problem()["detail"]

    await proxy.start()
    copy = await post(proxy.url, f"{upstream.url}/charges", KEY)
    assert copy.slug == "outcome-unknown"
    assert upstream.executions == 1


async def test_a_client_that_left_does_not_stop_what_is_under_way(
    start_proxy: StartProxy, upstream: Upstream
) -> None:
    gate = asyncio.Event()
    upstream.will(after(gate, answer()))
    proxy = await start_proxy()
    async with connected(proxy.url) as client:
        await client.send(a_request("POST", f"{upstream.url}/charges", KEY, body=b"1"))
        await upstream.arrived(1)
    stopping = asyncio.create_task(proxy.stop())
    await proxy.says("stopping")
    gate.set()
    assert await stopping == 0

    await proxy.start()
    assert (await post(proxy.url, f"{upstream.url}/charges", KEY, body=b"1")).replayed
    assert upstream.executions == 1


async def test_a_second_signal_does_not_wait(start_proxy: StartProxy, upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.will(after(gate, answer()))
    proxy = await start_proxy(arguments=("--grace", "3600"))
    assert proxy.process is not None
    paying = asyncio.create_task(post(proxy.url, f"{upstream.url}/charges", KEY))
    await upstream.arrived(1)
    proxy.process.send_signal(signal.SIGTERM)
    await proxy.says("stopping")

    proxy.process.send_signal(signal.SIGTERM)

    reply = await paying
    assert await proxy.ended() == 0
    gate.set()
    assert (reply.status, reply.slug) == (503, "shutting-down")
    assert reply.told["state"] == "in_doubt"

    await proxy.start()
    copy = await post(proxy.url, f"{upstream.url}/charges", KEY)
    assert copy.slug == "outcome-unknown"
    assert copy.problem()["failure"] == "stopped"
    assert upstream.executions == 1
