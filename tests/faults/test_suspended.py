"""SIGSTOP for longer than the lease, then SIGCONT: a process that was taken for dead and does not know it."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import asyncpg
import pytest

from faults.conftest import StartProxy
from onceproxy.testing import crash_at
from proxies import ProxyProcess
from raw_client import Reply, post
from upstreams import Upstream

KEY = "Idempotency-Key: order-1"
LEASE = "limits: {lease: 1s}\n"


async def pay(proxy: ProxyProcess, upstream: Upstream) -> Reply:
    return await post(proxy.url, f"{upstream.url}/charges", KEY)


async def declared_dead(other: ProxyProcess, upstream: Upstream) -> Reply:
    """Ask another proxy until the lease has run out there."""
    async with asyncio.timeout(30):
        while (reply := await pay(other, upstream)).slug == "in-progress":
            pass
    return reply


async def kinds(database: asyncpg.Connection) -> list[str]:
    rows = await database.fetch("SELECT kind FROM events WHERE kind <> 'replayed' ORDER BY at, attempt")
    return [row["kind"] for row in rows]


@pytest.fixture
async def other(start_proxy: StartProxy, tmp_path: Path) -> ProxyProcess:
    """A proxy on another machine, which has only the lease to go by."""
    return await start_proxy(data_dir=tmp_path / "other", config=LEASE + "defaults: {wait: 100ms}\n")


@pytest.mark.parametrize("point", ["after-claim", "connected"])
async def test_before_the_first_byte_nothing_is_sent_any_more(
    start_proxy: StartProxy,
    upstream: Upstream,
    other: ProxyProcess,
    database: asyncpg.Connection,
    point: str,
) -> None:
    zombie = await start_proxy(environment=crash_at(point, suspend=True).environment, config=LEASE)
    paying = asyncio.create_task(pay(zombie, upstream))
    await zombie.suspended()
    meanwhile = await declared_dead(other, upstream)

    zombie.resume()
    reply = await paying

    assert meanwhile.slug == "outcome-unknown"
    assert (reply.status, reply.problem()["failure"]) == (503, "lease-lost")
    assert "No byte of the request was sent" in reply.problem()["detail"]
    assert upstream.executions == 0
    # It proves that nothing happened, and so the next copy may be sent.
    assert await kinds(database) == ["claimed", "lost", "healed"]
    again = await pay(other, upstream)
    assert (again.status, again.replayed) == (201, False)
    assert upstream.executions == 1


@pytest.mark.parametrize("point", ["request-sent", "head-received", "body-received", "before-completion"])
async def test_after_it_the_answer_that_comes_late_heals_the_doubt(
    start_proxy: StartProxy,
    upstream: Upstream,
    other: ProxyProcess,
    database: asyncpg.Connection,
    point: str,
) -> None:
    zombie = await start_proxy(environment=crash_at(point, suspend=True).environment, config=LEASE)
    paying = asyncio.create_task(pay(zombie, upstream))
    await zombie.suspended()
    meanwhile = await declared_dead(other, upstream)

    zombie.resume()
    reply = await paying

    assert meanwhile.slug == "outcome-unknown"
    assert (reply.status, reply.replayed) == (201, False)
    copy = await pay(other, upstream)
    assert copy.replayed
    assert copy.own == reply.own
    assert await kinds(database) == ["claimed", "lost", "healed"]
    assert upstream.executions == 1


async def test_after_another_attempt_began_it_is_kept_as_executed_twice(
    start_proxy: StartProxy, upstream: Upstream, tmp_path: Path, database: asyncpg.Connection
) -> None:
    other = await start_proxy(
        data_dir=tmp_path / "other", config=LEASE + "defaults: {wait: 100ms, in_doubt: execute}\n"
    )
    zombie = await start_proxy(environment=crash_at("after_send", suspend=True).environment, config=LEASE)
    paying = asyncio.create_task(pay(zombie, upstream))
    await zombie.suspended()
    async with asyncio.timeout(30):
        while (second := await pay(other, upstream)).status != 201:
            pass

    zombie.resume()
    late = await paying

    assert late.told["reason"] == "executed-twice"
    assert await kinds(database) == ["claimed", "lost", "claimed", "completed", "executed-twice"]
    copy = await pay(other, upstream)
    assert copy.replayed
    assert copy.own == second.own
    assert upstream.executions == 2


async def test_a_copy_that_waited_in_the_socket_of_one_that_slept_gets_the_receipt(
    start_proxy: StartProxy, upstream: Upstream, other: ProxyProcess
) -> None:
    zombie = await start_proxy(config=LEASE)
    assert zombie.process is not None
    zombie.process.send_signal(signal.SIGSTOP)
    await zombie.suspended()
    paying = asyncio.create_task(pay(zombie, upstream))  # it waits in the socket of one that sleeps
    assert (await pay(other, upstream)).status == 201

    zombie.resume()
    reply = await paying

    assert reply.replayed
    assert upstream.executions == 1
