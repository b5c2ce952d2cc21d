"""Synchronous standbys: what is not on them counts as not durable, and a failover forgets nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import pytest

from faults.conftest import StartProxy
from integration.store.relay import Relay
from onceproxy.core.receipts import Claim, Receipt
from onceproxy.guard.ports import Settled
from onceproxy.store.postgres import PostgresStore
from raw_client import Reply, post
from servers import MakeServer, Server
from stores import an_action, completed
from upstreams import Upstream

WAITING = "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
CONFIRMING = "query LIKE '%SET changed_at = changed_at%'"
BY_THE_STORE = "application_name = 'onceproxy' AND wait_event = 'SyncRep'"


async def synchronous(server: Server, standby: str) -> None:
    """Make commits wait for a standby; an empty name ends it."""
    await server.execute(
        f"ALTER SYSTEM SET synchronous_standby_names = '{standby}'", "SELECT pg_reload_conf()"
    )
    await server.until(f"SELECT current_setting('synchronous_standby_names') = '{standby}'")


@pytest.fixture
async def store(server: Server) -> AsyncIterator[PostgresStore]:
    """A store without heartbeat, whose commits wait for a standby that is not there only when it is told."""
    async with await PostgresStore.open(server.url, lease=3600, heartbeat=1000, pool_size=2) as store:
        yield store


@pytest.mark.parametrize("how", ["pg_cancel_backend", "pg_terminate_backend"])
@pytest.mark.parametrize("verb", ["claim", "settle"])
async def test_a_commit_whose_wait_for_the_standby_is_cut_short_is_not_believed(
    store: PostgresStore, server: Server, verb: str, how: str
) -> None:
    asked: Awaitable[Claim | Receipt | Settled]
    if verb == "claim":
        asked = store.claim(an_action())
    else:
        claim = await store.claim(an_action())
        assert isinstance(claim, Claim)
        asked = store.settle(claim, completed())
    await synchronous(server, "nobody")
    asking = asyncio.ensure_future(asked)
    await server.until(WAITING)

    await server.execute(f"SELECT {how}(pid) FROM pg_stat_activity WHERE {BY_THE_STORE}")
    # It is committed on this server and can be read; the store writes once more, and waits again.
    await server.until(f"SELECT count(*) = 1 FROM pg_stat_activity WHERE {BY_THE_STORE} AND {CONFIRMING}")
    assert not asking.done()

    await synchronous(server, "")
    result = await asking
    assert result is Settled.STORED or (isinstance(result, Claim) and result.attempt == 1)


@pytest.mark.parametrize("verb", ["claim", "settle"])
async def test_of_a_batch_whose_wait_for_the_standby_is_cut_short_none_is_believed(
    store: PostgresStore, server: Server, verb: str
) -> None:
    names = ("a", "b", "c")
    claims = [await store.claim(an_action(name)) for name in names] if verb == "settle" else []
    await synchronous(server, "nobody")
    asking: list[asyncio.Task[object]] = [
        *(asyncio.create_task(store.settle(one, completed())) for one in claims if isinstance(one, Claim)),
        *(asyncio.create_task(store.claim(an_action(name))) for name in names if not claims),
    ]
    await server.until(WAITING)

    await server.execute(f"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE {BY_THE_STORE}")
    await server.until(f"SELECT count(*) > 0 FROM pg_stat_activity WHERE {BY_THE_STORE} AND {CONFIRMING}")
    assert not any(task.done() for task in asking)

    await synchronous(server, "")
    results = await asyncio.gather(*asking)
    assert all(one is Settled.STORED or (isinstance(one, Claim) and one.attempt == 1) for one in results)


@pytest.mark.parametrize("verb", ["claim", "settle"])
async def test_a_connection_that_is_cut_within_the_commit(server: Server, tmp_path: Path, verb: str) -> None:
    async with (
        Relay(server.url, tmp_path) as relay,
        await PostgresStore.open(relay.url, lease=3600, heartbeat=1000, pool_size=2, patience=60) as store,
    ):
        asked: Awaitable[Claim | Receipt | Settled] = store.claim(an_action())
        if verb == "settle":
            claim = await asked
            assert isinstance(claim, Claim)
            asked = store.settle(claim, completed())
        await synchronous(server, "nobody")
        asking = asyncio.ensure_future(asked)
        await server.until(WAITING)

        await relay.sever()
        await relay.restore()
        # The second try waits for what became of the first, which the server goes on with.
        await server.until("SELECT count(*) > 0 FROM pg_locks WHERE NOT granted")
        assert not asking.done()

        await synchronous(server, "")
        result = await asking
        assert result is Settled.STORED or (isinstance(result, Claim) and result.attempt == 1)
    await server.until("SELECT count(*) = 1 FROM receipts")


async def test_a_failover_amid_load_forgets_nothing_that_a_client_saw(
    start_proxy: StartProxy, upstream: Upstream, make_server: MakeServer
) -> None:
    primary = await make_server()
    standby = await make_server(follows=primary, name="two")
    await synchronous(primary, "two")
    await primary.until("SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'")
    both = f"postgresql://postgres@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/postgres"
    proxy = await start_proxy(database=both)
    seen: dict[str, Reply] = {}
    enough = asyncio.Event()

    async def client(number: int) -> None:
        action = 0
        while not enough.is_set():
            action += 1
            target = f"/{number}/{action}"
            while (reply := await post(proxy.url, upstream.url + target)).status != 201:
                assert reply.slug in ("store-unavailable", "in-progress"), reply.body
                await asyncio.sleep(0.05)
            seen[target] = reply

    clients = [asyncio.create_task(client(number)) for number in range(16)]
    await upstream.arrived(100)
    # What is committed from here on is lost with the primary, so no client may come to see it.
    await standby.execute("ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()")
    await primary.until(f"SELECT count(*) > 0 FROM pg_stat_activity WHERE {BY_THE_STORE}")
    await primary.kill()
    await standby.promote()
    after_failover = len(seen)
    async with asyncio.timeout(60):
        while len(seen) < after_failover + 100:
            await asyncio.sleep(0.02)
    enough.set()
    await asyncio.gather(*clients)

    for target, reply in seen.items():
        copy = await post(proxy.url, upstream.url + target)
        assert copy.replayed
        assert copy.own == reply.own
    targets = [request.target for request in upstream.requests]
    assert len(targets) == len(set(targets))
    assert set(targets) == set(seen)
