"""The database dies and comes back: nothing is lost, nothing is sent twice, and everybody is answered."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from faults.conftest import StartProxy
from onceproxy.testing import crash_at
from proxies import ProxyProcess
from raw_client import Reply, a_request, ask, post
from servers import Server
from upstreams import Upstream, after, answer

LOST = (asyncio.IncompleteReadError, ConnectionError)
KEY = "Idempotency-Key: order-1"
QUICK = "limits: {lease: 2s}\n"


async def pay(url: str, upstream: Upstream, key: str = KEY) -> Reply:
    return await post(url, f"{upstream.url}/charges", key)


async def pay_patiently(url: str, upstream: Upstream, *lines: str) -> Reply:
    """Try again for as long as nothing may be sent: the proxy may need a new lease first."""
    async with asyncio.timeout(60):
        while (reply := await pay(url, upstream, *lines)).status == 503:
            await asyncio.sleep(0.05)
    return reply


def records(proxy: ProxyProcess) -> list[Path]:
    return list((proxy.data_dir / "spool").glob("*.receipt"))


async def spooled(proxy: ProxyProcess, count: int = 1) -> None:
    async with asyncio.timeout(20):
        while len(records(proxy)) != count:
            await asyncio.sleep(0.02)


async def test_down_at_the_claim_nothing_is_sent_and_reads_pass(
    start_proxy: StartProxy, upstream: Upstream, server: Server
) -> None:
    proxy = await start_proxy(database=server.url)
    await server.kill()

    refused = await pay(proxy.url, upstream)
    read = await ask(proxy.url, a_request("GET", f"{upstream.url}/charges"))

    assert (refused.status, refused.slug) == (503, "store-unavailable")
    assert refused.all("Retry-After")
    assert read.status == 201
    assert upstream.executions == 0

    await server.start()
    assert (await pay_patiently(proxy.url, upstream)).status == 201
    assert upstream.executions == 1


async def test_down_at_the_completion_and_the_proxy_killed_as_well(
    start_proxy: StartProxy, upstream: Upstream, server: Server
) -> None:
    gate, body = asyncio.Event(), bytes(range(256)) * 1000
    upstream.will(after(gate, answer(201, body, (("X-Id", "7"),))))
    proxy = await start_proxy(database=server.url)
    paying = asyncio.create_task(pay(proxy.url, upstream))
    await upstream.arrived(1)
    await server.kill()
    gate.set()
    await spooled(proxy)
    assert not paying.done()  # nobody sees an answer that only the spool has
    await proxy.kill()
    with pytest.raises(LOST):
        await paying

    await server.start()
    await proxy.start()
    copy = await pay_patiently(proxy.url, upstream)

    assert (copy.status, copy.replayed, copy.body) == (201, True, body)
    assert copy.one("X-Id") == "7"
    assert records(proxy) == []
    assert upstream.executions == 1


async def test_down_at_the_completion_the_client_is_answered_when_it_is_back(
    start_proxy: StartProxy, upstream: Upstream, server: Server
) -> None:
    gate = asyncio.Event()
    upstream.will(after(gate, answer()))
    proxy = await start_proxy(database=server.url)
    paying = asyncio.create_task(pay(proxy.url, upstream))
    await upstream.arrived(1)
    await server.kill()
    gate.set()
    await spooled(proxy)
    assert not paying.done()

    await server.start()
    reply = await paying

    assert (reply.status, reply.replayed) == (201, False)
    assert (await pay_patiently(proxy.url, upstream)).own == reply.own
    await spooled(proxy, 0)
    assert upstream.executions == 1


async def test_a_record_that_was_torn_is_set_aside_and_the_action_stays_in_doubt(
    start_proxy: StartProxy, upstream: Upstream, server: Server
) -> None:
    gate = asyncio.Event()
    upstream.will(after(gate, answer()))
    proxy = await start_proxy(database=server.url)
    paying = asyncio.create_task(pay(proxy.url, upstream))
    await upstream.arrived(1)
    await server.kill()
    gate.set()
    await spooled(proxy)
    await proxy.kill()
    with pytest.raises(LOST):
        await paying
    [record] = records(proxy)
    record.write_bytes(record.read_bytes()[:-7])

    await server.start()
    await proxy.start()
    copy = await pay_patiently(proxy.url, upstream)

    assert copy.slug == "outcome-unknown"
    assert upstream.executions == 1
    assert (proxy.data_dir / "spool" / "corrupt" / record.name).exists()
    assert any("spooled-record-corrupt" in line for line in proxy.log)


async def test_stopped_while_the_database_is_down(
    start_proxy: StartProxy, upstream: Upstream, server: Server
) -> None:
    gate = asyncio.Event()
    upstream.will(after(gate, answer()))
    proxy = await start_proxy(database=server.url, arguments=("--grace", "0.1"))
    paying = asyncio.create_task(pay(proxy.url, upstream))
    await upstream.arrived(1)
    await server.kill()

    assert await proxy.stop() == 0
    with suppress(*LOST):
        await paying
    assert len(records(proxy)) == 1

    await server.start()
    await proxy.start()
    copy = await pay_patiently(proxy.url, upstream)
    assert copy.slug == "outcome-unknown"
    assert copy.problem()["failure"] == "stopped"
    assert upstream.executions == 1


async def test_killed_amid_load_and_back_after_a_while(
    start_proxy: StartProxy, upstream: Upstream, server: Server
) -> None:
    proxy = await start_proxy(database=server.url, config=QUICK)
    again, gone = asyncio.Event(), asyncio.Event()
    statuses: dict[str, set[int]] = {}
    answers: dict[str, Reply] = {}

    async def client(number: int) -> None:
        """Does actions one after another, each until it has its answer."""
        action = 0
        while not again.is_set() or action < 3:
            action += 1
            key = f"{number}-{action}"
            seen = statuses.setdefault(key, set())
            while True:
                reply = await pay(proxy.url, upstream, f"Idempotency-Key: {key}")
                seen.add(reply.status)
                if reply.status == 201:
                    answers[key] = reply
                    break
                assert reply.slug in ("store-unavailable", "in-progress"), reply.body
                await asyncio.sleep(0.05)

    clients = [asyncio.create_task(client(number)) for number in range(16)]
    await upstream.arrived(64)
    await server.kill()
    with suppress(TimeoutError):
        await asyncio.wait_for(gone.wait(), 4)  # longer than the lease: it must be had anew
    await server.start()
    before = len(upstream.requests)
    await upstream.arrived(before + 64)
    again.set()
    async with asyncio.timeout(60):
        await asyncio.gather(*clients)

    keys = [seen.all("Idempotency-Key")[0] for seen in upstream.requests]
    assert len(keys) == len(set(keys))
    assert set(keys) == set(statuses)
    assert any(503 in seen for seen in statuses.values())
    for key, reply in answers.items():
        copy = await pay(proxy.url, upstream, f"Idempotency-Key: {key}")
        assert (copy.replayed, copy.own) == (True, reply.own), key
    await spooled(proxy, 0)


@pytest.mark.parametrize(
    "point",
    [
        *("before-claim", "after-claim", "connected", "request-sent", "head-received", "body-received"),
        *("before-completion", "after-completion"),
    ],
)
async def test_killed_at_each_point_and_started_again(
    start_proxy: StartProxy, upstream: Upstream, server: Server, point: str
) -> None:
    proxy = await start_proxy(database=server.url, environment=crash_at(point, suspend=True).environment)
    paying = asyncio.create_task(pay(proxy.url, upstream))
    await proxy.suspended()
    await server.kill()
    await server.start()
    proxy.resume()

    reply = await paying
    copy = await pay_patiently(proxy.url, upstream)

    assert (reply.status, reply.replayed) == (201, False)
    assert copy.replayed
    assert copy.own == reply.own
    assert upstream.executions == 1


async def test_the_embedded_one_is_started_again(
    start_proxy: StartProxy, upstream: Upstream, tmp_path: Path
) -> None:
    gate = asyncio.Event()
    upstream.will(answer(), after(gate, answer()))
    proxy = await start_proxy(database="embedded", data_dir=tmp_path / "embedded")
    first = await pay(proxy.url, upstream)
    paying = asyncio.create_task(pay(proxy.url, upstream, "Idempotency-Key: order-2"))
    await upstream.arrived(2)
    file = proxy.data_dir / "postgres" / "postmaster.pid"
    killed = file.read_text().split("\n")[0]
    os.kill(int(killed), signal.SIGKILL)
    gate.set()

    assert (await paying).status == 201
    # What the orphans of the killed one, or the proxy's memory, answer says nothing of the next one.
    async with asyncio.timeout(60):
        while not file.exists() or file.read_text().split("\n")[0] == killed:
            await asyncio.sleep(0.05)
    third = await pay_patiently(proxy.url, upstream, "Idempotency-Key: order-3")
    assert third.status == 201
    copy = await pay_patiently(proxy.url, upstream)
    assert copy.replayed
    assert copy.own == first.own
    assert upstream.executions == 3
    assert await proxy.stop() == 0
    assert not file.exists()
