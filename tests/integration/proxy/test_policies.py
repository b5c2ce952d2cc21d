"""Policies of the configuration, on the wire: what a later copy gets, from a proxy as people run it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from integration.proxy.conftest import StartProxy
from onceproxy.core.receipts import RequestId, Source
from onceproxy.guard.ports import Resolution
from onceproxy.serve import Proxy
from onceproxy.store.operator import operating, purge, resolve_by_hand
from raw_client import Reply, post
from stores import a_response
from upstreams import Upstream, answer, close

AGE = """UPDATE receipts SET changed_at = changed_at - $1::interval, created_at = created_at - $1,
    expires_at = expires_at - $1, forget_at = forget_at - $1"""
ORDER = b'{"reference": "r 1"}'


def a_route(**treatment: Any) -> list[dict[str, Any]]:
    return [{"name": "orders", "match": {"path": "/orders", "methods": ["POST"]}, **treatment}]


async def order(proxy: Proxy, upstream: Upstream, *lines: str) -> Reply:
    kind = "Content-Type: application/json"
    return await post(proxy.url, f"{upstream.url}/orders", kind, *lines, body=ORDER)


def probe_of(upstream: Upstream, place: str) -> dict[str, Any]:
    return {"url": f"{upstream.url}/orders?reference={place}", "happened": "$.data[0]", "settle": "0s"}


async def test_a_probe_that_finds_it(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await start_proxy(
        routes=a_route(in_doubt="probe", probe=probe_of(upstream, "{json:$.reference}"))
    )
    upstream.will(close, answer(200, b'{"data": [{"id": 7}]}'))
    assert (await order(proxy, upstream)).told["state"] == "in_doubt"

    stranger = await order(proxy, upstream, "Authorization: Bearer a")
    assert (stranger.status, stranger.slug) == (403, "credential-mismatch")
    found = [await order(proxy, upstream) for _ in range(2)]

    assert {one.body for one in found} == {b'{"data": [{"id": 7}]}'}
    assert all(one.replayed for one in found)
    told = found[0].told
    assert (told["state"], told["attempt"], told["source"]) == ("completed", 1, "probe")
    assert [seen.target for seen in upstream.requests] == ["/orders", "/orders?reference=r%201"]


async def test_a_probe_by_the_clients_own_key(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await start_proxy(routes=a_route(in_doubt="probe", probe=probe_of(upstream, "{key}")))
    upstream.will(close, answer(404))
    key = 'Idempotency-Key: "k/1"'
    await order(proxy, upstream, key)

    again = await order(proxy, upstream, key)

    assert (again.status, again.told["attempt"]) == (201, 2)
    assert upstream.requests[1].target == "/orders?reference=k%2F1"
    assert upstream.executions == 2


async def test_resend_and_execute(start_proxy: StartProxy, upstream: Upstream) -> None:
    for treatment in ({"in_doubt": "resend", "upstream_window": "24h"}, {"in_doubt": "execute"}):
        proxy = await start_proxy(routes=a_route(**treatment))
        upstream.will(close)
        key = f"Idempotency-Key: {treatment['in_doubt']}"
        before = len(upstream.requests)
        await order(proxy, upstream, key)

        again = await order(proxy, upstream, key)

        assert (again.status, again.told["attempt"]) == (201, 2)
        first, second = upstream.requests[before:]
        assert (first.raw, first.body) == (second.raw, second.body)


async def test_a_person_settles_a_doubt(
    start_proxy: StartProxy, upstream: Upstream, database_url: str
) -> None:
    proxy = await start_proxy(routes=a_route())
    upstream.will(close, close)
    doubtful = await order(proxy, upstream)
    request_id = RequestId.parse(doubtful.one("Onceproxy-Request-Id"))
    assert (await order(proxy, upstream)).slug == "outcome-unknown"

    async with operating(database_url) as connections:
        await resolve_by_hand(connections, request_id, Resolution(False, Source.OPERATOR, "not there"))
        again = await order(proxy, upstream)
        assert (again.told["state"], again.told["attempt"]) == ("in_doubt", 2)
        seen = Resolution(True, Source.OPERATOR, "it is there", a_response(201, b"by hand"))
        await resolve_by_hand(connections, request_id, seen)
        told = await order(proxy, upstream)
        assert (told.status, told.body, told.replayed) == (201, b"by hand", True)
        assert told.told["source"] == "operator"
        await purge(connections, request_id, "once more")

    new = await order(proxy, upstream)
    assert (new.replayed, new.told["attempt"]) == (False, 1)
    assert upstream.executions == 3


@pytest.mark.parametrize("after_ttl", ["new", "refuse"])
async def test_a_receipt_expires(
    start_proxy: StartProxy, upstream: Upstream, database: asyncpg.Connection, after_ttl: str
) -> None:
    proxy = await start_proxy(
        routes=a_route(ttl="1h", tombstone="1d", after_ttl=after_ttl),
        limits={"receipt_cache": "0B"},  # whose times are those of when it looked, and here time is moved
    )
    await order(proxy, upstream)
    await database.execute(AGE, timedelta(minutes=59))
    replay = await order(proxy, upstream)
    assert replay.replayed
    assert 59 * 60 <= replay.told["age"] < 60 * 60
    await database.execute(AGE, timedelta(minutes=2))

    late = await order(proxy, upstream)

    if after_ttl == "new":
        assert (late.status, late.replayed, late.told["attempt"]) == (201, False, 2)
        assert upstream.executions == 2
        return
    assert (late.status, late.slug) == (410, "receipt-expired")
    assert (late.told["state"], late.told["reason"]) == ("tombstone", "receipt-expired")
    assert "It was not sent again" in late.problem()["detail"]
    # It is remembered for `tombstone` after that, and then it is a new action.
    await database.execute(AGE, timedelta(hours=24))
    assert (await order(proxy, upstream)).status == 201
    assert upstream.executions == 2


async def test_duplicate_and_mode(start_proxy: StartProxy, upstream: Upstream) -> None:
    gate = asyncio.Event()

    async def held(talk: Any) -> None:
        await gate.wait()
        await answer()(talk)

    conflict = await start_proxy(routes=a_route(duplicate="conflict"))
    upstream.will(held)
    first = asyncio.create_task(order(conflict, upstream))
    await upstream.arrived(1)
    told = await order(conflict, upstream)
    assert (told.status, told.slug, told.one("Retry-After")) == (409, "in-progress", "1")
    gate.set()
    await first

    off = await start_proxy(routes=a_route(mode="off"))
    observe = await start_proxy(routes=a_route(mode="observe"))
    assert not (await order(off, upstream)).replayed
    seen = await order(observe, upstream)
    assert (seen.replayed, seen.told["reason"]) == (False, "would-replay")
    assert upstream.executions == 3
