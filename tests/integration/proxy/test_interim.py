"""Interim responses (1xx) of the upstream, on their way to the client."""

from __future__ import annotations

import asyncio

import pytest

from integration.proxy.conftest import Receipts, StartProxy
from onceproxy.ingress.interim import MOST
from onceproxy.serve import Proxy
from raw_client import a_request, connected
from upstreams import Behaviour, Conversation, Upstream, raw

EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n"
FINAL = b"HTTP/1.1 201 Made\r\nContent-Length: 2\r\n\r\nok"


def early_and(gate: asyncio.Event) -> Behaviour:
    """Say something early, and the answer when ``gate`` is open."""

    async def behave(talk: Conversation) -> None:
        await talk.send(b"HTTP/1.1 102 Processing\r\n\r\n" + EARLY)
        await gate.wait()
        await talk.send(FINAL)

    return behave


@pytest.mark.parametrize(
    ("method", "mode"), [("GET", "enforce"), ("POST", "enforce"), ("POST", "observe"), ("POST", "off")]
)
async def test_they_go_on_as_they_arrive(
    start_proxy: StartProxy, upstream: Upstream, method: str, mode: str
) -> None:
    proxy = await start_proxy(defaults={"mode": mode})
    gate = asyncio.Event()
    upstream.will(early_and(gate))

    async with connected(proxy.url) as client:
        await client.send(a_request(method, f"{upstream.url}/x", body=b"1"))
        first, second = await client.reply(), await client.reply()
        assert (first.status, first.reason) == (102, "Processing")
        assert second.status == 103
        assert second.headers[:1] == (("Link", "</a.css>"),)
        assert [name for name, _ in second.headers] == ["Link", "Via"], "this hop's own header stays here"
        gate.set()
        last = await client.reply()
        assert (last.status, last.body) == (201, b"ok")
        assert (await client.ask(a_request(method, f"{upstream.url}/x"))).status == 201


async def test_a_receipt_and_its_copies_know_nothing_of_them(
    proxy: Proxy, upstream: Upstream, receipts: Receipts
) -> None:
    upstream.will(raw(EARLY + FINAL, then="keep"))
    request = a_request("POST", f"{upstream.url}/x", body=b"1")

    async with connected(proxy.url) as client:
        await client.send(request)
        assert (await client.reply()).status == 103
        assert (await client.reply()).status == 201
        again = await client.ask(request)

        assert (again.status, again.replayed) == (201, True)
    assert await receipts() == ["completed"]


async def test_an_early_hint_proves_nothing(proxy: Proxy, upstream: Upstream, receipts: Receipts) -> None:
    upstream.will(raw(EARLY, then="reset"))

    async with connected(proxy.url) as client:
        await client.send(a_request("POST", f"{upstream.url}/x", body=b"1"))
        assert (await client.reply()).status == 103
        last = await client.reply()

        assert (last.status, last.slug) == (502, "upstream-failed")
    assert await receipts() == ["in_doubt"]
    assert upstream.executions == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_old_client_gets_none(proxy: Proxy, upstream: Upstream, method: str) -> None:
    upstream.will(raw(EARLY + FINAL))
    async with connected(proxy.url) as client:
        reply = await client.ask(a_request(method, f"{upstream.url}/x", body=b"", version="HTTP/1.0"))

    assert (reply.status, reply.body) == (201, b"ok")


async def test_they_are_bounded(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will(raw(EARLY * (MOST + 10) + FINAL))
    async with connected(proxy.url) as client:
        await client.send(a_request("POST", f"{upstream.url}/x", body=b"1"))
        statuses = [(await client.reply()).status for _ in range(MOST + 1)]

    assert statuses == [103] * MOST + [201]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_switch_that_nobody_asked_for_is_none(proxy: Proxy, upstream: Upstream, method: str) -> None:
    upstream.will(raw(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n" + FINAL))
    async with connected(proxy.url) as client:
        reply = await client.ask(a_request(method, f"{upstream.url}/x", body=b""))

    assert (reply.status, reply.slug) == (502, "upstream-failed")


async def test_those_of_an_attempt_that_outlives_its_client_go_nowhere(
    proxy: Proxy, upstream: Upstream, receipts: Receipts
) -> None:
    """A copy waits on another connection; the hints are not for it."""
    begin, gate = asyncio.Event(), asyncio.Event()

    async def late(talk: Conversation) -> None:
        await begin.wait()
        await talk.send(EARLY)
        await gate.wait()
        await talk.send(FINAL)

    upstream.will(late)
    request = a_request("POST", f"{upstream.url}/x", body=b"1")
    async with connected(proxy.url) as client, connected(proxy.url) as other:
        await client.send(request)
        await upstream.arrived(1)
        await client.close()
        await other.send(request)
        begin.set()
        gate.set()
        reply = await other.reply()

    assert (reply.status, reply.body) == (201, b"ok")
    assert upstream.executions == 1
    assert await receipts() == ["completed"]
