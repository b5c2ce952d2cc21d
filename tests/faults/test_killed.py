"""kill -9: what was under way is in doubt, what was stored is replayed, and nothing is sent twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from faults.conftest import StartProxy
from onceproxy.testing import crash_at
from raw_client import Reply, post
from upstreams import Upstream, after, answer

LOST = (asyncio.IncompleteReadError, ConnectionError)
KEY = "Idempotency-Key: order-1"


async def pay(url: str, upstream: Upstream) -> Reply:
    return await post(url, f"{upstream.url}/charges", KEY)


async def test_while_the_upstream_holds_the_answer(start_proxy: StartProxy, upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.always = after(gate, answer())
    proxy = await start_proxy()
    paying = asyncio.create_task(pay(proxy.url, upstream))
    await upstream.arrived(1)
    await proxy.kill()
    with pytest.raises(LOST):
        await paying
    gate.set()

    await proxy.start()
    replies = [await pay(proxy.url, upstream) for _ in range(3)]

    for reply in replies:
        assert (reply.status, reply.slug) == (409, "outcome-unknown")
        assert reply.one("Onceproxy-Status").startswith("state=in_doubt")
        assert reply.problem()["attempt"] == 1
    assert upstream.executions == 1


async def test_after_the_receipt(start_proxy: StartProxy, upstream: Upstream) -> None:
    body = bytes(range(256)) * 400
    upstream.will(answer(201, body, (("X-Twice", "a"), ("x-twice", "b"), ("Content-Type", "a/b"))))
    proxy = await start_proxy()
    first = await pay(proxy.url, upstream)
    await proxy.kill()

    await proxy.start()
    second = await pay(proxy.url, upstream)

    assert (first.status, first.body, first.replayed) == (201, body, False)
    assert second.replayed
    assert second.own == first.own
    assert upstream.executions == 1


NEVER_SENT = ("before-claim",)
UNKNOWN = (
    *("after-claim", "connected", "request-sent", "head-received", "body-received", "before-completion"),
)
STORED = ("after-completion",)


@pytest.mark.parametrize("point", [*NEVER_SENT, *UNKNOWN, *STORED])
async def test_at_each_step(start_proxy: StartProxy, upstream: Upstream, point: str) -> None:
    proxy = await start_proxy(environment=crash_at(point).environment)
    with pytest.raises(LOST):
        await pay(proxy.url, upstream)
    await proxy.ended()
    sent = point not in ("before-claim", "after-claim", "connected")
    if sent:
        await upstream.arrived(1)

    proxy.environment = {}
    await proxy.start()
    replies = [await pay(proxy.url, upstream) for _ in range(2)]

    if point in UNKNOWN:
        assert [reply.slug for reply in replies] == ["outcome-unknown"] * 2
        assert upstream.executions == sent
    else:
        assert [reply.status for reply in replies] == [201, 201]
        assert [reply.replayed for reply in replies] == [point in STORED, True]
        assert upstream.executions == 1


async def test_another_proxy_waits_for_the_lease_and_never_sends(
    start_proxy: StartProxy, upstream: Upstream, tmp_path: Path
) -> None:
    # It can't know that the other one is dead: on another machine there is only the lease to go by.
    gate = asyncio.Event()
    upstream.always = after(gate, answer())
    first = await start_proxy()
    second = await start_proxy(data_dir=tmp_path / "other", config="defaults: {wait: 100ms}\n")
    paying = asyncio.create_task(pay(first.url, upstream))
    await upstream.arrived(1)
    await first.kill()
    with pytest.raises(LOST):
        await paying
    gate.set()

    reply = await pay(second.url, upstream)

    assert (reply.status, reply.slug) == (409, "in-progress")
    assert upstream.executions == 1


async def test_with_the_embedded_database(
    start_proxy: StartProxy, upstream: Upstream, tmp_path: Path
) -> None:
    gate = asyncio.Event()
    upstream.will(answer(), after(gate, answer()))
    proxy = await start_proxy(database="embedded", data_dir=tmp_path / "embedded")
    first = await pay(proxy.url, upstream)
    held = asyncio.create_task(post(proxy.url, f"{upstream.url}/held"))
    await upstream.arrived(2)
    await proxy.kill()
    with pytest.raises(LOST):
        await held
    gate.set()

    await proxy.start()
    second = await pay(proxy.url, upstream)
    third = await post(proxy.url, f"{upstream.url}/held")

    assert second.replayed
    assert second.own == first.own
    assert third.slug == "outcome-unknown"
    assert upstream.executions == 2
    assert await proxy.stop() == 0
    assert not (tmp_path / "embedded" / "postgres" / "postmaster.pid").exists()
